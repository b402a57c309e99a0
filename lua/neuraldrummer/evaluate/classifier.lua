--- A classifier that tells stretches of four played bars from four recorded ones by logistic
--- regression. Its AUC says how recognisable a player is: 0.5 is indistinguishable from
--- people, 1 is always recognised.
local evaluated = require "neuraldrummer.evaluate.songs"

local classifier = {}

local count_bits, bar_key = evaluated.count_bits, evaluated.bar_key
local FOLDS <const> = 5  -- of the cross-validation

-- Adds the hits of a bar to the counts of a stretch: by voice, by voice and place in the beat
-- (1: first step of the bar, 2: other beats, 3: half beats, 4: other steps), and steps with hits,
-- with three or more of them, and with all hi-hats at once. Whether there are any.
local function add_bar(sum, bar, masks, per_beat, voices, hats)
  local any = false
  for t = bar.first, bar.last do
    local k, mask = (t - bar.first) % per_beat, masks[t]
    local place = t == bar.first and 1 or k == 0 and 2 or k * 2 == per_beat and 3 or 4
    sum.places[place], sum.steps = sum.places[place] + 1, sum.steps + 1
    if mask ~= 0 then
      local n = count_bits(mask)
      sum.hits, sum.onsets, any = sum.hits + n, sum.onsets + 1, true
      if n >= 3 then sum.thick = sum.thick + 1 end
      if mask & hats == hats then sum.clashes = sum.clashes + 1 end
      for v = 1, voices do
        if mask >> (v - 1) & 1 == 1 then
          sum.rate[v] = sum.rate[v] + 1
          sum.rate[place * voices + v] = sum.rate[place * voices + v] + 1
        end
      end
    end
  end
  return any
end

-- Jaccard similarity of a bar and the one before it (0 if neither has hits), and whether their
-- hits are the same.
local function compare(masks, bar, before)
  local same, either = 0, 0
  for t = bar.first, bar.last do
    local m, p = masks[t], masks[before.first + t - bar.first]
    same, either = same + count_bits(m & p), either + count_bits(m | p)
  end
  return either > 0 and same / either or 0, same == either
end

-- The features of bars i to i + 3, a list of numbers.
local function features(song, masks, i, voices, hats)
  local per_beat = math.max(1, song.seq:settings().steps_per_beat)
  local sum = { rate = {}, places = { 0, 0, 0, 0 }, steps = 0, hits = 0, onsets = 0, thick = 0,
    clashes = 0 }
  for k = 1, 5 * voices do sum.rate[k] = 0 end
  local repeats, similarity, empty, distinct, seen = 0, 0, 0, 0, {}
  for b = i, i + 3 do
    local bar = song.bars[b]
    local any = add_bar(sum, bar, masks, per_beat, voices, hats)
    local key = bar_key(masks, bar)
    if not seen[key] then seen[key], distinct = true, distinct + 1 end
    if not any then empty = empty + 1 end
    local before = b > i and song.bars[b - 1]
    if before and before.last - before.first == bar.last - bar.first then
      local similar, equal = compare(masks, bar, before)
      similarity = similarity + similar
      if equal and any then repeats = repeats + 1 end
    end
  end
  -- square roots bring rare and frequent voices to a similar scale
  local row = sum.rate
  for v = 1, voices do
    row[v] = math.sqrt(row[v] / sum.steps)
    for place = 1, 4 do
      local at = place * voices + v
      row[at] = math.sqrt(row[at] / math.max(1, sum.places[place]))
    end
  end
  local density = sum.hits / sum.steps
  local rest = { density, density * density, sum.onsets / sum.steps, sum.thick / sum.steps,
    sum.clashes / sum.steps, repeats, similarity, empty, distinct }
  return table.move(rest, 1, #rest, #row + 1, row)
end

--- The features of every four-bar stretch of the songs. The number of the song is in the
--- field `song`.
---@param songs neuraldrummer.evaluated_song[]
---@param played integer[][] masks, by song and step
---@return table[] rows
---@package
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

local STEPS <const>, RATE <const>, MOMENTUM <const>, DECAY <const> = 100, 0.1, 0.9, 0.003

-- The mean of each feature and the inverse of its standard deviation (0 for a constant).
local function moments(rows)
  local n, mean, scale = #rows, {}, {}
  for j = 1, #rows[1] do
    local sum, squares = 0, 0
    for i = 1, n do
      local x = rows[i][j]
      sum, squares = sum + x, squares + x * x
    end
    mean[j] = sum / n
    local variance = squares / n - mean[j] ^ 2
    scale[j] = variance > 1e-9 and 1 / math.sqrt(variance) or 0
  end
  return mean, scale
end

-- Logistic regression on standardised features, by gradient descent with momentum and weight
-- decay. Returns a function that gives a row's score.
local function regress(rows)
  local n, k = #rows, #rows[1]
  local mean, scale = moments(rows)
  local x, w, move, bias, bias_move = {}, {}, {}, 0, 0
  for i = 1, n do
    local xi, row = {}, rows[i]
    for j = 1, k do xi[j] = (row[j] - mean[j]) * scale[j] end
    x[i] = xi
  end
  for j = 1, k do w[j], move[j] = 0, 0 end
  for _ = 1, STEPS do
    local gradient, bias_gradient = {}, 0
    for j = 1, k do gradient[j] = 0 end
    for i = 1, n do
      local xi, z = x[i], bias
      for j = 1, k do z = z + w[j] * xi[j] end
      local e = 1 / (1 + math.exp(-z)) - rows[i].label
      bias_gradient = bias_gradient + e
      for j = 1, k do gradient[j] = gradient[j] + e * xi[j] end
    end
    bias_move = MOMENTUM * bias_move - RATE * bias_gradient / n
    bias = bias + bias_move
    for j = 1, k do
      move[j] = MOMENTUM * move[j] - RATE * (gradient[j] / n + DECAY * w[j])
      w[j] = w[j] + move[j]
    end
  end
  return function(row)
    local z = bias
    for j = 1, k do z = z + w[j] * (row[j] - mean[j]) * scale[j] end
    return z
  end
end

-- Area under the ROC curve of rows with a score and a label, 0 or 1: the probability that a
-- row of label 1 scores higher than one of label 0, where ties count half. Nil if a label is
-- missing. It sorts the rows.
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

--- How well the classifier tells played stretches from recorded ones, cross-validated: a
--- song's stretches are scored by a classifier that was trained on other songs.
---@param songs neuraldrummer.evaluated_song[]
---@param real table[] stretches of the recorded drums
---@param played integer[][] masks, by song and step
---@return number? auc nil if there are too few stretches
---@package
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
