--- The figures of free play, over the first `steps` steps of the first `songs`
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
local classifier = require "neuraldrummer.evaluate.classifier"
local evaluated = require "neuraldrummer.evaluate.songs"

local figures = {}

local ones = evaluated.count_bits
local SILENT <const> = 0.05  -- of the usual density: fewer than about 1 hit in 25 steps

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
---@param name string
---@param songs neuraldrummer.evaluated_song[]
---@param played integer[][]
---@param real_stretches? table[] the classifier's, of the recorded drums; nil: no auc
---@param seqs? neuraldrummer.sequence[]
---@return neuraldrummer.evaluate_row
function figures.measure(name, songs, played, real_stretches, seqs)
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
    auc = real_stretches and classifier.auc(songs, real_stretches, played) or nil,
  }
end

return figures
