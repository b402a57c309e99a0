--- How well a model drums: with the recorded hits as its history (teacher
--- forcing), and playing freely, from nothing, with its own hits as its
--- history; the latter beside what needs no network.
---
--- Figures of free play, over the first `steps` steps of the first `songs`
--- songs of a split:
---   hits         struck voices a step
---   density      hits, as a share of the recorded ones
---   repeats      share of the bars with hits that equal the bar before
---   silent       songs with less than SILENT of the recorded songs' mean density
---   f1           of hits against the recorded ones at the same step and voice
---   consistency  1 - mean Hamming distance of neighbouring bars, a step and voice
---   auc          how well a classifier tells four bars of it from four recorded
---                ones, cross-validated by song: 0.5 is human, 1 is plainly not
local core = require "neuraldrummer.core"
local check = require "neuraldrummer.options".check

local evaluate = {}

local SILENT = 0.05  -- of the usual density: fewer than about 1 hit in 25 steps
local FOLDS = 5      -- of the classifier's cross-validation

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
---@field n integer steps looked at
---@field real integer[] recorded hits, as masks
---@field bars {first: integer, last: integer, numerator: integer, denominator: integer}[]

local function bars_of(seq, n)
  local bars = {}
  local list, total = seq:bars(), #seq
  for i, bar in ipairs(list) do
    local last = list[i + 1] and list[i + 1].step - 1 or total
    if last > n then break end  -- only whole bars
    bars[i] = { first = bar.step, last = last,
      numerator = bar.numerator, denominator = bar.denominator }
  end
  return bars
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
      local n = math.min(#seq, options.steps)
      songs[#songs + 1] = { seq = seq, n = n, real = masks_of(seq, n), bars = bars_of(seq, n) }
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
}

local function settle(options)
  local o = { split = "valid", songs = 60, steps = 512, seed = 1, on_progress = function() end }
  for key, value in pairs(options) do o[key] = value end
  return o
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
  local out, before = silence(song), nil
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

--- One row of figures about `played`, a list of masks for each song.
local function measure(name, songs, played, real_stretches)
  local steps, hits, real_hits, both = 0, 0, 0, 0
  local bars, repeats, distance, cells = 0, 0, 0, 0
  local densities = {}
  for s, song in ipairs(songs) do
    local masks, own = played[s], 0
    for t = 1, song.n do
      local m, r = masks[t], song.real[t]
      if m ~= 0 then own = own + ones(m) end
      if r ~= 0 then
        real_hits, both = real_hits + ones(r), both + ones(r & m)
      end
    end
    steps, hits = steps + song.n, hits + own
    densities[s] = own / song.n
    local voices, before = #song.seq:voices(), nil
    for _, bar in ipairs(song.bars) do
      local different, any = 0, false
      local same_length = before and before.last - before.first == bar.last - bar.first
      for t = bar.first, bar.last do
        any = any or masks[t] ~= 0
        if same_length then
          different = different + ones(masks[t] ~ masks[before.first + t - bar.first])
        end
      end
      if any then bars = bars + 1 end
      if same_length then
        if any and different == 0 then repeats = repeats + 1 end
        distance = distance + different
        cells = cells + (bar.last - bar.first + 1) * voices
      end
      before = bar
    end
  end
  local usual = real_hits / math.max(1, steps)
  local silent = 0
  for _, density in ipairs(densities) do
    if density < SILENT * usual then silent = silent + 1 end
  end
  return {
    name = name, songs = #songs, steps = steps,
    hits = hits / math.max(1, steps),
    density = real_hits > 0 and hits / real_hits or nil,
    repeats = bars > 0 and repeats / bars or nil,
    silent = silent,
    f1 = hits + real_hits > 0 and 2 * both / (hits + real_hits) or nil,
    consistency = cells > 0 and 1 - distance / cells or nil,
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
---@field consistency? number
---@field auc? number

--- Lets the model play the songs from nothing.
---@param model neuraldrummer.model
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options
---@return neuraldrummer.evaluate_row[]? rows one
---@return string? message
function evaluate.free(model, corpus, options)
  local o = settle(check(options, KNOWN))
  local songs, message = songs_of(corpus, o)
  if not songs then return nil, message end
  local played = {}
  for s, song in ipairs(songs) do
    local gen <close> = core.generator(model, { seed = o.seed + s - 1, temperature = o.temperature,
      cutoff = o.cutoff, forced = o.forced, start = o.start, threads = o.threads })
    -- without the recorded drums: nothing of them may reach the drummer
    local blank = song.seq:with_hits(("\0"):rep(#song.seq * #song.seq:voices()))
    played[s] = masks_of(gen:play(blank), song.n)
    o.on_progress(s, #songs)
  end
  local name = o.name
    or o.temperature and ("model, temperature %g"):format(o.temperature) or "model"
  return { measure(name, songs, played, stretches(songs, real_of(songs))) }
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
  local real = real_of(songs)
  local real_rows = stretches(songs, real)
  local rows = { measure("recorded drums", songs, real) }
  local players = {
    { "silence", silence },
    { "stock beat", stock_beat },
    { "last recorded bar (oracle)", last_bar },
    { "song's commonest bar (oracle)", commonest_bar },
  }
  for i, player in ipairs(players) do
    local played = {}
    for s, song in ipairs(songs) do played[s] = player[2](song) end
    rows[i + 1] = measure(player[1], songs, played, real_rows)
    o.on_progress(i, #players)
  end
  return rows
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

local columns = {
  { "loss", "loss", "%.4f" }, { "bits", "bits/step", "%.3f" },
  { "f1", "F1", "%.3f" }, { "hits", "hits/step", "%.2f" }, { "density", "of real", "%.2f" },
  { "repeats", "repeats", "%.0f%%", 100 }, { "silent", "silent", "%d" },
  { "consistency", "consistency", "%.3f" }, { "auc", "AUC", "%.2f" },
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
