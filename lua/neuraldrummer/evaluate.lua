--- How well a model drums: with the recorded hits as its history (teacher
--- forcing), and playing freely, with its own hits as its history; the latter
--- beside what needs no network.
---
--- Figures of free play, over the first `steps` steps of the first `songs`
--- songs of a split:
---   hits         struck voices a step
---   density      hits, as a share of the recorded ones
---   repeats      share of the bars with hits that equal the bar before
---   silent       songs with less than SILENT of the recorded songs' mean density
---   f1           of hits against the recorded ones at the same step and voice
---   near         the same, but a step early or late is right as well
---   consistency  1 - mean Hamming distance of neighbouring bars, a step and voice
---   groove       MusPy's groove_consistency: the same of onsets, whatever voice;
---                the mean over songs
---   pattern      MusPy's drum_pattern_consistency: share of hits that lie on
---                sixteenths, or on triplets where more do (within a 24th of a
---                beat); the mean over songs
---   back_beat    share of the snare's hits that fall on beats 2, 4, …
---   kick_bass    share of the kick's hits that fall on onsets of the bass
---   fills        F1 of the bars that stand out (peaks of the bars' novelty, after
---                Dahale et al. 2022) against the recorded ones', a bar early or
---                late being right as well
---   intervals    overlap with the recorded drums' histogram of the steps from hit to
---                hit of each voice
---   velocity     overlap of the histograms of velocities, and
---   offset       ... of offsets, over the songs whose recorded hits have such
---   auc          how well a classifier tells four bars of it from four recorded
---                ones, cross-validated by song: 0.5 is human, 1 is plainly not
--- Of a model besides:
---   bits         a step over all voices, the recorded hits being its history
---   forced_f1    of the voices with odds of at least 1/2, likewise
---   matching     share of stretches of MATCHED steps of recorded drums that are likelier
---                with their own song than with any of nine others
local core = require "neuraldrummer.core"
local check = require "neuraldrummer.options".check

local evaluate = {}

local SILENT = 0.05  -- of the usual density: fewer than about 1 hit in 25 steps
local FOLDS = 5      -- of the classifier's cross-validation
local MATCHED <const>, AMONG <const> = 256, 10

local bits_of = {}  -- number of ones in a byte
for i = 0, 255 do bits_of[i] = (i & 1) + (bits_of[i >> 1] or 0) end

local function ones(mask)
  local n = 0
  while mask ~= 0 do
    n = n + bits_of[mask & 255]
    mask = mask >> 8
  end
  return n
end

--- A Sequence's hits as one integer a step, bit v - 1 being voice v.
local function masks_of(seq, n)
  local packed, voices, masks = seq:packed_hits(), #seq:voices(), {}
  for t = 1, n do
    local mask, at = 0, (t - 1) * voices
    for v = 1, voices do
      if packed:byte(at + v) > 0 then mask = mask | 1 << (v - 1) end
    end
    masks[t] = mask
  end
  return masks
end

-- Songs ------------------------------------------------------------------

---@class neuraldrummer.evaluated_song
---@field seq neuraldrummer.sequence
---@field from integer first step looked at; what is before is given
---@field n integer last step looked at
---@field real integer[] recorded hits, as masks
---@field bars {first: integer, last: integer, numerator: integer, denominator: integer}[]
---@field given table[] the bars before `from`

-- Those that are given, and those looked at: only whole bars.
local function bars_of(seq, from, n)
  local given, bars = {}, {}
  local list, total = seq:bars(), #seq
  for i, bar in ipairs(list) do
    local last = list[i + 1] and list[i + 1].step - 1 or total
    if last > n then break end
    local to = last < from and given or bars
    to[#to + 1] = { first = bar.step, last = last,
      numerator = bar.numerator, denominator = bar.denominator }
  end
  return bars, given
end

--- The songs to be played: those of `options.split` in the corpus' order; nil
--- and a message when there are none.
local function songs_of(corpus, options)
  local songs = {}
  for i = 1, #corpus do
    if #songs >= options.songs then break end
    if options.split == "all" or corpus:info(i).split == options.split then
      local seq, message = corpus:song(i)
      if not seq then return nil, message end
      local opening = options.given_bars and seq:bars()[options.given_bars + 1]
      local from = opening and opening.step or 1
      local n = math.min(#seq, from - 1 + options.steps)
      -- of a song of no more than the bars that are given, nothing can be asked
      if opening or not options.given_bars then
        local bars, given = bars_of(seq, from, n)
        songs[#songs + 1] = { seq = seq, from = from, n = n, real = masks_of(seq, n), bars = bars,
          given = given, bass = seq:metric "bass" }
      end
    end
  end
  if #songs == 0 then
    return nil, ("no song of the split '%s' to play"):format(options.split)
  end
  return songs
end

local KNOWN = {
  split = "string", songs = "integer", steps = "integer", seed = "integer",
  temperature = "number", cutoff = "number", forced = "integer", start = "string",
  threads = "integer", batch = "integer", name = "string", on_progress = "function",
  style_of_own = "boolean", given_bars = "integer", touch = "userdata",
}

-- A copy of a table, with changes.
local function with(options, changes)
  local o = {}
  for key, value in pairs(options) do o[key] = value end
  for key, value in pairs(changes) do o[key] = value end
  return o
end

local function settle(options)
  return with({ split = "valid", songs = 60, steps = 512, seed = 1,
    on_progress = function() end }, options)
end

-- What needs no network ----------------------------------------------------

local function bar_key(masks, bar)
  return table.concat(masks, ",", bar.first, bar.last)
end

local function silence(song)
  local out = {}
  for t = 1, song.n do out[t] = 0 end
  return out
end

--- Kick on 1 and 3, snare on 2 and 4, closed hat on eighths. The pulse is the
--- quarter, or three eighths in 6/8, 9/8, 12/8.
local function stock_beat(song)
  local voice = {}
  for v, name in ipairs(song.seq:voices()) do
    voice[name:lower():gsub("[^%a]+", " ")] = 1 << (v - 1)
  end
  local kick, snare = voice.kick or 0, voice.snare or 0
  local hat = voice["closed hat"] or voice["closed hihat"] or 0
  local out, list, total = {}, song.seq:bars(), #song.seq
  local unit = {}  -- steps of 1/denominator, by meter: from the longest bar, as one may be cut off
  for i, bar in ipairs(list) do
    local meter = bar.numerator .. "/" .. bar.denominator
    local steps = (list[i + 1] and list[i + 1].step or total + 1) - bar.step
    unit[meter] = math.max(unit[meter] or 0, steps / bar.numerator)
  end
  for t = 1, song.n do out[t] = 0 end
  local function strike(from, to, every, pick)
    local k = 0
    while every > 0 do
      local t = from + math.floor(k * every + 0.5)
      if t > to then break end
      out[t] = (out[t] or 0) | pick(k)
      k = k + 1
    end
  end
  for i, bar in ipairs(list) do
    local u, d = unit[bar.numerator .. "/" .. bar.denominator], bar.denominator
    local pulse = d == 8 and bar.numerator % 3 == 0 and 3 * u or u * d / 4
    local last = math.min(list[i + 1] and list[i + 1].step - 1 or total, song.n)
    strike(bar.step, last, pulse, function(k) return k % 2 == 0 and kick or snare end)
    strike(bar.step, last, math.max(1, u * d / 8), function() return hat end)
  end
  return out
end

--- The recorded bar before, at every bar: it sees the real drums.
local function last_bar(song)
  local out, before = silence(song), song.given[#song.given]
  for _, bar in ipairs(song.bars) do
    for t = bar.first, bar.last do
      local from = before and before.first + (t - bar.first)
      if from and from <= before.last then out[t] = song.real[from] end
    end
    before = bar
  end
  return out
end

--- The recorded bar that is met most often (of those with hits, the first),
--- at every bar, cut off or gone on with to the bar's length.
local function commonest_bar(song)
  local counts, best, most = {}, nil, 0
  for _, bar in ipairs(song.bars) do
    local struck = false
    for t = bar.first, bar.last do struck = struck or song.real[t] ~= 0 end
    if struck then
      local key = bar_key(song.real, bar)
      counts[key] = (counts[key] or 0) + 1
    end
  end
  for _, bar in ipairs(song.bars) do
    local count = counts[bar_key(song.real, bar)] or 0
    if count > most then best, most = bar, count end
  end
  local out = silence(song)
  if not best then return out end
  for _, bar in ipairs(song.seq:bars()) do
    local t = bar.step
    for k = 0, best.last - best.first do
      if t + k <= song.n then out[t + k] = song.real[best.first + k] end
    end
  end
  return out
end

--- The bars that are given, over and over.
local function given_again(song)
  local out, given = silence(song), song.given
  for i, bar in ipairs(song.bars) do
    local source = given[(i - 1) % #given + 1]
    for t = bar.first, bar.last do
      local from = source.first + t - bar.first
      out[t] = from <= source.last and song.real[from] or 0
    end
  end
  return out
end

-- The classifier -----------------------------------------------------------

--- What a classifier is shown of bars i..i+3.
local function features(song, masks, i, voices, hats)
  local per_beat = math.max(1, song.seq:settings().steps_per_beat)
  local rate = {}
  for k = 1, 5 * voices do rate[k] = 0 end
  local places, steps, hits, struck, thick, clash = { 0, 0, 0, 0 }, 0, 0, 0, 0, 0
  local repeats, alike, empty, distinct, seen = 0, 0, 0, 0, {}
  for b = i, i + 3 do
    local bar, any = song.bars[b], false
    for t = bar.first, bar.last do
      local k, mask = (t - bar.first) % per_beat, masks[t]
      local place = t == bar.first and 1 or k == 0 and 2 or k * 2 == per_beat and 3 or 4
      places[place], steps = places[place] + 1, steps + 1
      if mask ~= 0 then
        local n = ones(mask)
        hits, struck, any = hits + n, struck + 1, true
        if n >= 3 then thick = thick + 1 end
        if mask & hats == hats then clash = clash + 1 end
        for v = 1, voices do
          if mask >> (v - 1) & 1 == 1 then
            rate[v] = rate[v] + 1
            rate[place * voices + v] = rate[place * voices + v] + 1
          end
        end
      end
    end
    local key = bar_key(masks, bar)
    if not seen[key] then seen[key], distinct = true, distinct + 1 end
    if not any then empty = empty + 1 end
    local before = b > i and song.bars[b - 1]
    if before and before.last - before.first == bar.last - bar.first then
      local same, either = 0, 0
      for t = bar.first, bar.last do
        local m, p = masks[t], masks[before.first + t - bar.first]
        same, either = same + ones(m & p), either + ones(m | p)
      end
      if either > 0 then alike = alike + same / either end
      if same == either and any then repeats = repeats + 1 end
    end
  end
  -- square roots bring rare voices and frequent ones onto one scale
  for v = 1, voices do
    rate[v] = math.sqrt(rate[v] / steps)
    for place = 1, 4 do
      local at = place * voices + v
      rate[at] = math.sqrt(rate[at] / math.max(1, places[place]))
    end
  end
  local density = hits / steps
  local rest = { density, density * density, struck / steps, thick / steps, clash / steps,
    repeats, alike, empty, distinct }
  return table.move(rest, 1, #rest, #rate + 1, rate)
end

--- Every four-bar stretch of the songs, with its song's number.
local function stretches(songs, played)
  local rows = {}
  for s, song in ipairs(songs) do
    local names, hats = song.seq:voices(), 0
    for v, name in ipairs(names) do
      if name:lower():find "hat" then hats = hats | 1 << (v - 1) end
    end
    for i = 1, #song.bars - 3, 4 do
      local row = features(song, played[s], i, #names, hats == 0 and -1 or hats)
      row.song = s
      rows[#rows + 1] = row
    end
  end
  return rows
end

--- Logistic regression by gradient descent with momentum; returns a scorer.
local function regress(rows)
  local n, k = #rows, #rows[1]
  local mean, scale = {}, {}
  for j = 1, k do
    local sum, squares = 0, 0
    for i = 1, n do
      local x = rows[i][j]
      sum, squares = sum + x, squares + x * x
    end
    mean[j] = sum / n
    local var = squares / n - mean[j] ^ 2
    scale[j] = var > 1e-9 and 1 / math.sqrt(var) or 0
  end
  local x = {}
  for i = 1, n do
    local xi, row = {}, rows[i]
    for j = 1, k do xi[j] = (row[j] - mean[j]) * scale[j] end
    x[i] = xi
  end
  local w, move, bias, bias_move = {}, {}, 0, 0
  for j = 1, k do w[j], move[j] = 0, 0 end
  for _ = 1, 100 do
    local gradient, bias_gradient = {}, 0
    for j = 1, k do gradient[j] = 0 end
    for i = 1, n do
      local xi, z = x[i], bias
      for j = 1, k do z = z + w[j] * xi[j] end
      local e = 1 / (1 + math.exp(-z)) - rows[i].label
      bias_gradient = bias_gradient + e
      for j = 1, k do gradient[j] = gradient[j] + e * xi[j] end
    end
    bias_move = 0.9 * bias_move - 0.1 * bias_gradient / n
    bias = bias + bias_move
    for j = 1, k do
      move[j] = 0.9 * move[j] - 0.1 * (gradient[j] / n + 0.003 * w[j])
      w[j] = w[j] + move[j]
    end
  end
  return function(row)
    local z = bias
    for j = 1, k do z = z + w[j] * (row[j] - mean[j]) * scale[j] end
    return z
  end
end

--- Area under the curve of scored rows with `label` 0 or 1; ties count half.
local function area(rows)
  table.sort(rows, function(a, b) return a.score < b.score end)
  local ranks, positive, i = 0, 0, 1
  while i <= #rows do
    local j = i
    while rows[j + 1] and rows[j + 1].score == rows[i].score do j = j + 1 end
    for k = i, j do
      if rows[k].label == 1 then
        ranks, positive = ranks + (i + j) / 2, positive + 1
      end
    end
    i = j + 1
  end
  local negative = #rows - positive
  if positive == 0 or negative == 0 then return nil end
  return (ranks - positive * (positive + 1) / 2) / (positive * negative)
end

--- nil when there are too few stretches to say.
local function auc(songs, real, played)
  local rows = {}
  for _, row in ipairs(stretches(songs, played)) do
    row.label = 1
    rows[#rows + 1] = row
  end
  for _, row in ipairs(real) do
    row.label = 0
    rows[#rows + 1] = row
  end
  for fold = 0, FOLDS - 1 do
    local train, test = {}, {}
    for _, row in ipairs(rows) do
      local list = row.song % FOLDS == fold and test or train
      list[#list + 1] = row
    end
    if #test > 0 then
      if #train == 0 then return nil end
      local score = regress(train)
      for _, row in ipairs(test) do row.score = score(row) end
    end
  end
  return area(rows)
end

-- Figures ------------------------------------------------------------------

local function overlap(a, b)
  local na, nb, shared = 0, 0, 0
  for _, n in pairs(a) do na = na + n end
  for _, n in pairs(b) do nb = nb + n end
  if na == 0 or nb == 0 then return nil end
  for key, n in pairs(a) do shared = shared + math.min(n / na, (b[key] or 0) / nb) end
  return shared
end

local function mean_of(list)
  local sum = 0
  for _, x in ipairs(list) do sum = sum + x end
  return #list > 0 and sum / #list or nil
end

--- Steps of each voice's hits.
local function strokes(song, masks)
  local out = {}
  for v = 1, #song.seq:voices() do out[v] = {} end
  for t = song.from, song.n do
    local mask, v = masks[t], 1
    while mask ~= 0 do
      if mask & 1 == 1 then out[v][#out[v] + 1] = t end
      mask, v = mask >> 1, v + 1
    end
  end
  return out
end

--- How many of two ascending lists pair off within one of each other.
local function paired(a, b)
  local i, j, n = 1, 1, 0
  while a[i] and b[j] do
    if math.abs(a[i] - b[j]) <= 1 then
      i, j, n = i + 1, j + 1, n + 1
    elseif a[i] < b[j] then
      i = i + 1
    else
      j = j + 1
    end
  end
  return n
end

--- Share of cells that two bars have not in common, of those struck in either.
local function unlike(masks, a, b)
  local same, either = 0, 0
  local function at(bar, k) return bar.first + k <= bar.last and masks[bar.first + k] or 0 end
  for k = 0, math.max(a.last - a.first, b.last - b.first) do
    local m, p = at(a, k), at(b, k)
    if m | p ~= 0 then same, either = same + ones(m & p), either + ones(m | p) end
  end
  return either > 0 and 1 - same / either or 0
end

--- Bars that stand out: peaks of the novelty, a bar's mean distance from the
--- two before and the two after, that exceed its mean by its deviation.
local function standing_out(song, masks)
  local bars, novelty = song.bars, {}
  local sum, squares = 0, 0
  for i, bar in ipairs(bars) do
    local far, n = 0, 0
    for _, k in ipairs { -2, -1, 1, 2 } do
      if bars[i + k] then far, n = far + unlike(masks, bar, bars[i + k]), n + 1 end
    end
    novelty[i] = n > 0 and far / n or 0
    sum, squares = sum + novelty[i], squares + novelty[i] ^ 2
  end
  local mean = sum / math.max(1, #bars)
  local least = mean + math.sqrt(math.max(0, squares / math.max(1, #bars) - mean ^ 2))
  local out = {}
  for i, x in ipairs(novelty) do
    if x > 0 and x >= least and x > (novelty[i - 1] or -1) and x >= (novelty[i + 1] or -1) then
      out[#out + 1] = i
    end
  end
  return out
end

--- Share of hits on sixteenths, or on triplets where more are, within a 24th of
--- a beat.
local function in_pattern(song, masks, offsets)
  local per_beat, voices = song.seq:settings().steps_per_beat, #song.seq:voices()
  local duple, triple, all = 0, 0, 0
  for _, bar in ipairs(song.bars) do
    for t = bar.first, bar.last do
      for v = 1, masks[t] == 0 and 0 or voices do
        if masks[t] >> (v - 1) & 1 == 1 then
          local offset = offsets and ("b"):unpack(offsets, (t - 1) * voices + v) / 256 or 0
          local place = math.floor((t - bar.first + offset) * 24 / per_beat + 0.5)
          all = all + 1
          if (place + 1) % 6 <= 2 then duple = duple + 1 end
          if (place + 1) % 8 <= 2 then triple = triple + 1 end
        end
      end
    end
  end
  return all > 0 and math.max(duple, triple) / all or nil
end

local function voice_named(song, word)
  for v, name in ipairs(song.seq:voices()) do
    if name:lower():find(word, 1, true) then return v end
  end
end

--- What a song's hits have to do with its beats and its bass: the snare's hits,
--- those on back-beats, the kick's, those with the bass.
local function anchors(song, masks)
  local per_beat, bass = song.seq:settings().steps_per_beat, song.bass
  local snare, kick = voice_named(song, "snare"), voice_named(song, "kick")
  local snares, backs, kicks, together = 0, 0, 0, 0
  for _, bar in ipairs(song.bars) do
    for t = bar.first, bar.last do
      local mask, into = masks[t], t - bar.first
      if snare and mask >> (snare - 1) & 1 == 1 then
        snares = snares + 1
        if into % per_beat == 0 and into // per_beat % 2 == 1 then backs = backs + 1 end
      end
      if kick and mask >> (kick - 1) & 1 == 1 then
        kicks = kicks + 1
        if bass[t] > 0 then together = together + 1 end
      end
    end
  end
  return snares, backs, kicks, together
end

--- Histograms of velocities, sixteen to a bin, and of offsets, a sixteenth of a step,
--- over the bars looked at; how many bins each has.
local function touch_of(song, seq)
  local velocities, offsets, bins = {}, {}, { 0, 0 }
  local hits, shifts, voices = seq:packed_hits(), seq:packed_offsets(), #seq:voices()
  local at, stop = (song.from - 1) * voices + 1, song.n * voices
  at = hits:find("[^\0]", at)
  while at and at <= stop do
    local v, o = hits:byte(at) >> 4, (("b"):unpack(shifts, at) + 8) // 16
    if not velocities[v] then bins[1] = bins[1] + 1 end
    if not offsets[o] then bins[2] = bins[2] + 1 end
    velocities[v], offsets[o] = (velocities[v] or 0) + 1, (offsets[o] or 0) + 1
    at = hits:find("[^\0]", at + 1)
  end
  return velocities, offsets, bins
end

local function add_to(sum, histogram)
  for key, n in pairs(histogram) do sum[key] = (sum[key] or 0) + n end
end

--- Overlap of velocities and offsets with the recorded ones, over the songs
--- where these vary (MANY bins or more).
local function touch_overlaps(songs, seqs)
  local MANY <const> = 3
  local real, own = { {}, {} }, { {}, {} }
  for s, song in ipairs(songs) do
    local v, o, bins = touch_of(song, song.seq)
    local pv, po = touch_of(song, seqs[s])
    if bins[1] >= MANY then add_to(real[1], v) add_to(own[1], pv) end
    if bins[2] >= MANY then add_to(real[2], o) add_to(own[2], po) end
  end
  return overlap(real[1], own[1]), overlap(real[2], own[2])
end

--- Neighbouring bars of one length: repeats, distances by cell and by onset.
local function neighbours(song, masks)
  local voices, before = #song.seq:voices(), nil
  local bars, repeats, distance, cells, shifted, places = 0, 0, 0, 0, 0, 0
  for _, bar in ipairs(song.bars) do
    local different, moved, any = 0, 0, false
    local same_length = before and before.last - before.first == bar.last - bar.first
    for t = bar.first, bar.last do
      any = any or masks[t] ~= 0
      if same_length then
        local other = masks[before.first + t - bar.first]
        if other ~= masks[t] then different = different + ones(masks[t] ~ other) end
        if (other == 0) ~= (masks[t] == 0) then moved = moved + 1 end
      end
    end
    if any then bars = bars + 1 end
    if same_length then
      if any and different == 0 then repeats = repeats + 1 end
      distance = distance + different
      cells = cells + (bar.last - bar.first + 1) * voices
      shifted, places = shifted + moved, places + bar.last - bar.first + 1
    end
    before = bar
  end
  return bars, repeats, distance, cells, places > 0 and 1 - shifted / places or nil
end

--- One row of figures about `played`, a list of masks for each song; `seqs`
--- are the Sequences that these are of, where there are any.
local function measure(name, songs, played, real_stretches, seqs)
  local steps, hits, real_hits, both, close = 0, 0, 0, 0, 0
  local bars, repeats, distance, cells = 0, 0, 0, 0
  local snares, backs, kicks, together = 0, 0, 0, 0
  local fills, real_fills, found = 0, 0, 0
  local densities, grooves, patterns, intervals, real_intervals = {}, {}, {}, {}, {}
  for s, song in ipairs(songs) do
    local masks, own = played[s], 0
    for t = song.from, song.n do
      local m, r = masks[t], song.real[t]
      if m ~= 0 then own = own + ones(m) end
      if r ~= 0 then
        real_hits, both = real_hits + ones(r), both + ones(r & m)
      end
    end
    local long = song.n - song.from + 1
    steps, hits = steps + long, hits + own
    densities[s] = own / long

    local mine, theirs = strokes(song, masks), strokes(song, song.real)
    for v = 1, #mine do
      close = close + paired(mine[v], theirs[v])
      for list, histogram in pairs { [mine[v]] = intervals, [theirs[v]] = real_intervals } do
        for i = 2, #list do
          local key = v << 32 | math.min(list[i] - list[i - 1], 64)
          histogram[key] = (histogram[key] or 0) + 1
        end
      end
    end

    local b, r, d, c, groove = neighbours(song, masks)
    bars, repeats, distance, cells = bars + b, repeats + r, distance + d, cells + c
    grooves[#grooves + 1] = groove
    local offsets = seqs and seqs[s]:packed_offsets()
    patterns[#patterns + 1] = in_pattern(song, masks, offsets)
    local n, back, k, joint = anchors(song, masks)
    snares, backs, kicks, together = snares + n, backs + back, kicks + k, together + joint
    local out, real_out = standing_out(song, masks), standing_out(song, song.real)
    fills, real_fills, found = fills + #out, real_fills + #real_out, found + paired(out, real_out)
  end
  local usual = real_hits / math.max(1, steps)
  local silent = 0
  for _, density in ipairs(densities) do
    if density < SILENT * usual then silent = silent + 1 end
  end
  local velocity, offset
  if seqs then velocity, offset = touch_overlaps(songs, seqs) end
  return {
    name = name, songs = #songs, steps = steps,
    hits = hits / math.max(1, steps),
    density = real_hits > 0 and hits / real_hits or nil,
    repeats = bars > 0 and repeats / bars or nil,
    silent = silent,
    f1 = hits + real_hits > 0 and 2 * both / (hits + real_hits) or nil,
    near = hits + real_hits > 0 and 2 * close / (hits + real_hits) or nil,
    consistency = cells > 0 and 1 - distance / cells or nil,
    groove = mean_of(grooves), pattern = mean_of(patterns),
    back_beat = snares > 0 and backs / snares or nil,
    kick_bass = kicks > 0 and together / kicks or nil,
    fills = fills + real_fills > 0 and 2 * found / (fills + real_fills) or nil,
    intervals = overlap(intervals, real_intervals),
    velocity = velocity, offset = offset,
    auc = real_stretches and auc(songs, real_stretches, played) or nil,
  }
end

local function real_of(songs)
  local real = {}
  for s, song in ipairs(songs) do real[s] = song.real end
  return real
end

---@class neuraldrummer.evaluate_options
---@field split? "valid"|"train"|"all" default "valid"
---@field songs? integer at most so many, in the corpus' order; default 60
---@field steps? integer of each at most; default 512
---@field seed? integer of the first song; the next ones' follow
---@field temperature? number
---@field cutoff? number
---@field forced? integer
---@field start? string
---@field threads? integer
---@field name? string of the row
---@field batch? integer streams at once when teacher-forced
---@field style_of_own? boolean the style of each song's own drums is given, to models that
--- take one
---@field given_bars? integer so many bars of a song's own drums are given, likewise; what
--- follows is measured
---@field touch? neuraldrummer.model gives what is played velocities and offsets
---@field on_progress? fun(done: integer, total: integer)

---@class neuraldrummer.evaluate_row
---@field name string
---@field songs integer
---@field steps integer
---@field hits number
---@field density? number
---@field repeats? number
---@field silent integer
---@field f1? number
---@field near? number
---@field consistency? number
---@field groove? number
---@field pattern? number
---@field back_beat? number
---@field kick_bass? number
---@field fills? number
---@field intervals? number
---@field velocity? number
---@field offset? number
---@field auc? number
---@field bits? number
---@field forced_f1? number
---@field matching? number

local function takes_direction(model) return model:config().features == "whole" end

-- What a song's own drums may tell the drummer; nil: nothing.
local function direction_of(song, model, o)
  if not takes_direction(model) or not (o.style_of_own or o.given_bars) then return nil end
  local direction = { style = o.style_of_own and song.seq or nil }
  if o.given_bars then
    local voices = #song.seq:voices()
    local kept = (song.from - 1) * voices
    direction.given = song.seq
    direction.known = ("\1"):rep(kept) .. ("\0"):rep(#song.seq * voices - kept)
  end
  return direction
end

local function played_by(model, songs, o)
  local played, seqs = {}, {}
  for s, song in ipairs(songs) do
    local gen <close> = core.generator(model, { seed = o.seed + s - 1, temperature = o.temperature,
      cutoff = o.cutoff, forced = o.forced, start = o.start, threads = o.threads })
    -- without the recorded drums: nothing of them may reach the drummer but what is told
    local blank = song.seq:with_hits(("\0"):rep(#song.seq * #song.seq:voices()))
    local seq = gen:play(blank, direction_of(song, model, o))
    if o.touch then seq = core.touch(o.touch, seq, { seed = o.seed + s - 1 }) end
    played[s], seqs[s] = masks_of(seq, song.n), seq
    o.on_progress(s, #songs)
  end
  return played, seqs
end

--- Lets the model play the songs.
---@param model neuraldrummer.model
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options
---@return neuraldrummer.evaluate_row[]? rows one
---@return string? message
function evaluate.free(model, corpus, options)
  local o = settle(check(options, KNOWN))
  local songs, message = songs_of(corpus, o)
  if not songs then return nil, message end
  local played, seqs = played_by(model, songs, o)
  local name = o.name
    or o.temperature and ("model, temperature %g"):format(o.temperature) or "model"
  return { measure(name, songs, played, stretches(songs, real_of(songs)), seqs) }
end

local function baselines_of(songs, o)
  local real = real_of(songs)
  local real_rows, recorded = stretches(songs, real), {}
  for s, song in ipairs(songs) do recorded[s] = song.seq end
  local rows = { measure("recorded drums", songs, real, nil, recorded) }
  local players = {
    { "silence", silence },
    { "stock beat", stock_beat },
    { "last recorded bar (oracle)", last_bar },
    { "song's commonest bar (oracle)", commonest_bar },
    o.given_bars and { "given bars again", given_again } or nil,
  }
  for i, player in ipairs(players) do
    local played = {}
    for s, song in ipairs(songs) do played[s] = player[2](song) end
    rows[i + 1] = measure(player[1], songs, played, real_rows)
    o.on_progress(i, #players)
  end
  return rows
end

--- The same figures of what needs no network, and of the recorded drums.
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options
---@return neuraldrummer.evaluate_row[]? rows
---@return string? message
function evaluate.baselines(corpus, options)
  local o = settle(check(options, KNOWN))
  local songs, message = songs_of(corpus, o)
  if not songs then return nil, message end
  return baselines_of(songs, o)
end

--- Whose song? In how many cases a stretch of recorded drums, from the middle of a song,
--- is likelier with its own song than with those of nine others.
---@param model neuraldrummer.model
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options `songs`: at most so many; sampling has no say here
---@return table[]? rows one: name, matching, songs; nil where there are fewer than ten
---@return string? message
function evaluate.matching(model, corpus, options)
  local o = settle(check(options, KNOWN))
  local seqs, at = {}, {}
  for i = 1, #corpus do
    local info = corpus:info(i)
    if #seqs == o.songs then break end
    if (o.split == "all" or info.split == o.split) and info.steps >= MATCHED then
      local seq, message = corpus:song(i)
      if not seq then return nil, message end
      local start, middle = 1, (#seq - MATCHED) // 2
      for b, bar in ipairs(seq:bars()) do
        if b % 4 == 1 and bar.step <= middle then start = bar.step end
      end
      seqs[#seqs + 1], at[#at + 1] = seq, start
    end
  end
  local groups = #seqs // AMONG
  if groups == 0 then
    return nil, ("matching needs %d songs of %d steps"):format(AMONG, MATCHED)
  end
  -- neighbours in a corpus may be of one band: group g takes every groups-th song
  local right = 0
  for g = 1, groups do
    local song, from = {}, {}
    for k = 1, AMONG do song[k], from[k] = seqs[g + (k - 1) * groups], at[g + (k - 1) * groups] end
    for k = 1, AMONG do
      local best, most = nil, -math.huge
      local judged = core.judge(model, song[k], { song = song, at = from, from = from[k],
        steps = MATCHED })
      for other, list in ipairs(judged) do
        local sum = 0
        for _, x in ipairs(list) do sum = sum + x end
        if sum > most then best, most = other, sum end
      end
      if best == k then right = right + 1 end
    end
    o.on_progress(g, groups)
  end
  return { { name = "matching", matching = right / (groups * AMONG), songs = groups * AMONG } }
end

--- The model's loss on a split with the recorded hits as history.
---@param model neuraldrummer.model
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options `songs`, `steps` and sampling have no say here
---@return table[]? rows one: name, loss (nats a hit), bits (a step, over all voices), f1
--- and hits (a step) of the voices with odds of at least 1/2, steps
---@return string? message
function evaluate.teacher(model, corpus, options)
  local o = settle(check(options, KNOWN))
  local batches <close>, message = corpus:batches { model = model, split = o.split,
    batch = o.batch, shuffle = false, history_dropout = false, seed = o.seed }
  if not batches then return nil, message end
  local sum, count, guessed, struck, both = 0, 0, 0, 0, 0
  local done, total = 0, batches:count()
  while batches:next() do
    local loss, n, guesses, hits, right = model:loss(batches)
    if not loss then return nil, n end
    sum, count = sum + loss * n, count + n
    guessed, struck, both = guessed + guesses, struck + hits, both + right
    done = done + 1
    o.on_progress(done, total)
  end
  local voices = #model:tokeniser():voices()
  local loss = sum / math.max(1, count)
  return { { name = "teacher forcing", loss = loss, bits = loss * voices / math.log(2),
    f1 = guessed + struck > 0 and 2 * both / (guessed + struck) or nil,
    hits = guessed / math.max(1, count // voices), steps = count // voices } }
end

-- One table ----------------------------------------------------------------

local MUCH <const> = 1 << 40

---@class neuraldrummer.evaluate_entry
---@field model neuraldrummer.model
---@field label string
---@field corpus? neuraldrummer.corpus the same songs as the model hears them, where that is
--- another grid or kit than the others'

--- One table: what needs no network, each model playing the songs freely, at
--- each temperature, and the recorded drums. Whole songs are counted for bits
--- and forced_f1, `steps` of each for the rest.
---@param entries neuraldrummer.evaluate_entry[]
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options songs: default all; besides, temperatures:
--- number[], and on_model: fun(label, what), called before each part
---@return neuraldrummer.evaluate_row[]? rows
---@return string? message
function evaluate.table(entries, corpus, options)
  local o = with({ songs = MUCH, temperatures = {}, on_model = function() end },
    check(options, with(KNOWN, { temperatures = "table", on_model = "function" })))
  o = settle(o)
  local songs, message = songs_of(corpus, o)
  if not songs then return nil, message end
  o.on_model("recorded drums", "without a network")
  local rows = baselines_of(songs, o)
  local recorded = table.remove(rows, 1)
  local real_rows = stretches(songs, real_of(songs))
  local plain = { split = o.split, songs = o.songs, seed = o.seed, batch = o.batch,
    threads = o.threads, on_progress = o.on_progress }
  for _, entry in ipairs(entries) do
    local model, label = entry.model, entry.label
    local heard = entry.corpus or corpus
    o.on_model(label, "teacher forcing")
    local teacher, matching
    teacher, message = evaluate.teacher(model, heard, plain)
    if not teacher then return nil, message end
    o.on_model(label, "matching")
    matching = evaluate.matching(model, heard, plain)  -- nil where songs are few
    local here, real_here = songs, real_rows
    if entry.corpus then
      here, message = songs_of(heard, o)
      if not here then return nil, message end
      real_here = stretches(here, real_of(here))
    end
    local temperatures = #o.temperatures > 0 and o.temperatures or { o.temperature or false }
    for _, temperature in ipairs(temperatures) do
      o.on_model(label, "free play")
      local played, seqs = played_by(model, here, with(o, { temperature = temperature or nil }))
      local name = label
      if temperature then name = ("%s, %g"):format(name, temperature) end
      if (o.style_of_own or o.given_bars) and not takes_direction(model) then
        name = name .. " (takes no direction)"
      end
      local row = measure(name, here, played, real_here, seqs)
      row.bits, row.forced_f1 = teacher[1].bits, teacher[1].f1
      row.matching = matching and matching[1].matching
      rows[#rows + 1] = row
    end
  end
  rows[#rows + 1] = recorded
  return rows
end

local columns = {
  { "loss", "loss", "%.4f" }, { "bits", "bits/step", "%.3f" },
  { "forced_f1", "forced F1", "%.3f" },
  { "f1", "F1", "%.3f" }, { "near", "F1 near", "%.3f" },
  { "hits", "hits/step", "%.2f" }, { "density", "of real", "%.2f" },
  { "repeats", "repeats", "%.0f%%", 100 }, { "silent", "silent", "%d" },
  { "groove", "groove", "%.3f" }, { "consistency", "consistency", "%.3f" },
  { "pattern", "pattern", "%.3f" },
  { "back_beat", "back-beat", "%.0f%%", 100 }, { "kick_bass", "kick+bass", "%.0f%%", 100 },
  { "fills", "fills", "%.2f" }, { "intervals", "intervals", "%.2f" },
  { "velocity", "velocity", "%.2f" }, { "offset", "offset", "%.2f" },
  { "matching", "matching", "%.0f%%", 100 }, { "auc", "AUC", "%.2f" },
  { "songs", "songs", "%d" }, { "steps", "steps", "%d" },
}

--- Rows as a printable table; columns that no row has are left out.
---@param rows table[]
---@return string
function evaluate.format(rows)
  local lines, width = { "" }, 0
  for _, row in ipairs(rows) do width = math.max(width, #row.name) end
  lines[1] = (" "):rep(width)
  for i, row in ipairs(rows) do lines[i + 1] = row.name .. (" "):rep(width - #row.name) end
  for _, column in ipairs(columns) do
    local key, title, pattern, factor = table.unpack(column)
    local cells, wide, any = { title }, #title, false
    for i, row in ipairs(rows) do
      local value = row[key]
      any = any or value ~= nil
      cells[i + 1] = value and pattern:format(factor and value * factor or value) or "-"
      wide = math.max(wide, #cells[i + 1])
    end
    if any then
      for i, cell in ipairs(cells) do
        lines[i] = lines[i] .. "  " .. (" "):rep(wide - #cell) .. cell
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

return evaluate
