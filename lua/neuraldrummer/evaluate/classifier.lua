--- A classifier of four bars of drums, played or recorded: a drummer it cannot
--- tell from the recorded ones plays as people do.
local evaluated = require "neuraldrummer.evaluate.songs"

local classifier = {}

local ones, bar_key = evaluated.count_bits, evaluated.bar_key
local FOLDS <const> = 5  -- of the cross-validation

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
---@param songs neuraldrummer.evaluated_song[]
---@param played integer[][] masks
---@return table[] rows
function classifier.stretches(songs, played)
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

--- How well it tells what is played from what was recorded, cross-validated
--- by song.
---@param songs neuraldrummer.evaluated_song[]
---@param real table[] the stretches of the recorded drums
---@param played integer[][] masks
---@return number? auc nil where there are too few stretches to say
function classifier.auc(songs, real, played)
  local rows = {}
  for _, row in ipairs(classifier.stretches(songs, played)) do
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

return classifier
