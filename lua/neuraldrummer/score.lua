--- How well drums fit their song: their log-likelihood under it, in bits a step, minus
--- their mean log-likelihood under other songs. A likelihood by itself only says how
--- common drums are; the difference is what they owe to this song.
---
--- The other songs are the same song started at other bars (it wraps around at its end)
--- and, if a corpus is given, songs of that. The model is given the style of the drums
--- and the hits played before, so that neither of these counts. Of pairs of drums that
--- belong to the song and drums that do not, this score tells three in four apart; the
--- likelihood alone does hardly better than chance.
local core = require "neuraldrummer.core"
local check = require "neuraldrummer.options".check

---@class neuraldrummer.modules.score
local score = {}

local OTHERS <const> = 8    -- other songs of each kind, by default

---@class neuraldrummer.score_options
---@field others? integer number of other songs of each kind (default 8)
---@field against? neuraldrummer.corpus to take other songs from as well
---@field seed? integer that chooses the songs of the corpus (default 1)
---@field history? boolean whether the model is given the hits before each step (default true)
---@field style? boolean whether the model is given the style of the drums (default true)
---@field pause? function as generator:play takes it

---@class neuraldrummer.scored_bar
---@field bar integer from 1
---@field step integer its first step, from 1
---@field steps integer
---@field hits integer
---@field likelihood number log-likelihood in bits a step
---@field others number mean log-likelihood under the other songs, in bits a step
---@field fit number likelihood minus others

---@class neuraldrummer.score
---@field likelihood number log-likelihood in bits a step, from the first hit to the last
---@field others number mean log-likelihood under the other songs, in bits a step
---@field fit number likelihood minus others; the drums fit if it is above 0
---@field steps integer from the first hit to the last
---@field hits integer
---@field better integer number of other songs that the drums fit less well
---@field of integer number of other songs
---@field bars neuraldrummer.scored_bar[]

-- First steps of `n` bars that are spread over the song, without the first bar.
local function other_starts(seq, n)
  local bars, starts = seq:bars(), {}
  n = math.min(n, #bars - 1)
  for k = 1, n do starts[k] = bars[1 + math.max(1, #bars * k // (n + 1))].first end
  return starts
end

-- `n` songs of a corpus, and the step of each to start at.
local function other_songs(corpus, seq, n, seed)
  local songs, starts = {}, {}
  -- with a stride that is coprime to the number of songs, no song comes twice
  local count, stride = #corpus, 1 + 2 * (seed * 7919 % 65536)
  local function gcd(a, b) return b == 0 and a or gcd(b, a % b) end
  while count > 1 and gcd(stride, count) > 1 do stride = stride + 2 end
  for k = 1, count do
    if #songs == n then break end
    local song, message = corpus:song((seed + k * stride) % count + 1)
    if not song then return nil, message end
    if song:name() ~= seq:name() then
      local bars = song:bars()
      songs[#songs + 1] = song
      starts[#starts + 1] = bars[#bars // 3 + 1].first
    end
  end
  return songs, starts
end

-- The songs under which drums are scored, each with the step it starts at: their own
-- song first.
local function contexts(seq, o)
  local n = o.others or OTHERS
  local songs, at = { seq }, { 1 }
  for _, step in ipairs(other_starts(seq, n)) do songs[#songs + 1], at[#at + 1] = seq, step end
  if o.against then
    local more, starts = other_songs(o.against, seq, n, o.seed or 1)
    if not more then return nil, starts end
    table.move(more, 1, #more, #songs + 1, songs)
    table.move(starts, 1, #starts, #at + 1, at)
  end
  if #songs == 1 then
    return nil, "it has only one bar, so there is nothing to compare with; give a corpus"
  end
  return songs, at
end

-- The steps of the first hit and the last.
local function hit_range(seq)
  local hits, voices = seq:packed_hits(), #seq:voices()
  local first, last = hits:find "[^\0]", hits:find "[^\0]\0*$"
  if not first then return nil, "it has no drums to score" end
  return (first - 1) // voices + 1, (last - 1) // voices + 1
end

-- Log-likelihood in bits a step under each song, over a range of steps; and the mean of
-- all but the first.
local function means(judged, from, to)
  local sums = {}
  for k, list in ipairs(judged) do
    local sum = 0
    for t = from, to do sum = sum + list[t] end
    sums[k] = sum / math.log(2) / (to - from + 1)
  end
  local others = 0
  for k = 2, #sums do others = others + sums[k] end
  return sums, others / (#sums - 1)
end

local function count(hits) return select(2, hits:gsub("[^\0]", "")) end

--- Scores the drums of a Sequence.
---@param model neuraldrummer.model
---@param seq neuraldrummer.sequence
---@param options? neuraldrummer.score_options
---@return neuraldrummer.score? score
---@return string? message
function score.run(model, seq, options)
  local o = check(options, { others = "integer", against = "userdata", seed = "integer",
    history = "boolean", style = "boolean", pause = "function" })
  local pause = o.pause
  local first, last = hit_range(seq)
  if not first then return nil, last end
  local songs, at = contexts(seq, o)
  if not songs then return nil, at end
  local takes_style = model:config().features == "whole"
  local judged = core.log_likelihood(model, seq, { song = songs, song_step = at,
    history = o.history, style = takes_style and o.style ~= false and seq or false }, pause)

  local hits, voices = seq:packed_hits(), #seq:voices()
  local sums, others = means(judged, first, last)
  local result = { likelihood = sums[1], others = others, fit = sums[1] - others, better = 0,
    of = #sums - 1, steps = last - first + 1, hits = count(hits), bars = {} }
  for k = 2, #sums do
    if sums[1] > sums[k] then result.better = result.better + 1 end
  end
  local bars = seq:bars()
  for b, bar in ipairs(bars) do
    local own, other = means(judged, bar.first, bar.last)
    result.bars[b] = { bar = b, step = bar.first, steps = bar.last - bar.first + 1,
      hits = count(hits:sub((bar.first - 1) * voices + 1, bar.last * voices)),
      likelihood = own[1], others = other, fit = own[1] - other }
    if pause and b % 16 == 0 then pause() end
  end
  return result
end

local LIKELIHOOD_WEIGHT <const> = 0.3

--- Ranks takes of one song: for each a number in bits a hit, higher for a better take. It
--- is the fit plus 0.3 times the likelihood, because a take can also fit by hits that
--- nobody would play. The model is given neither history nor style here, so that a take
--- gains nothing by repeating itself or by an odd style.
---
--- Of six takes each for 42 validation songs, the best one by this number matches the
--- recorded hits slightly better than an average take (F1 .36 against .35), but is told
--- from recorded drums slightly more often (AUC .74 against .68), because what fits is
--- also more ordinary.
---@param model neuraldrummer.model
---@param takes neuraldrummer.sequence[] for one song
---@param pause? function as generator:play takes it
---@return (number|false)[] ranks false for a take that cannot be ranked
---@return string? message why, for the last of these
function score.rank(model, takes, pause)
  local ranks, at_take, played, message = {}, {}, {}, nil
  for k, seq in ipairs(takes) do
    ranks[k] = false
    local first, why = hit_range(seq)
    if first then
      at_take[#at_take + 1], played[#played + 1] = k, seq
    else
      message = why
    end
  end
  if #played == 0 then return ranks, message end
  local songs, at = contexts(played[1], {})
  if not songs then return ranks, at end
  local judged = core.log_likelihood(model, played,
    { song = songs, song_step = at, history = false }, pause)
  for i, seq in ipairs(played) do
    local first, last = hit_range(seq)
    local sums, others = means(judged[i], first, last)
    ranks[at_take[i]] = (sums[1] - others + LIKELIHOOD_WEIGHT * sums[1]) * (last - first + 1)
      / count(seq:packed_hits())
    if pause then pause() end
  end
  return ranks, message
end

--- The bars that fit worst, the worst first: bars between the first hit and the last
--- that are more likely under other songs.
---@param result neuraldrummer.score
---@param n? integer at most this many (default 8)
---@return neuraldrummer.scored_bar[]
function score.worst_bars(result, n)
  local from, to
  for b, bar in ipairs(result.bars) do
    if bar.hits > 0 then from, to = from or b, b end
  end
  local list = {}
  for b = from or 1, to or 0 do
    if result.bars[b].fit < 0 then list[#list + 1] = result.bars[b] end
  end
  table.sort(list, function(x, y)
    if x.fit ~= y.fit then return x.fit < y.fit end
    return x.bar < y.bar
  end)
  for i = #list, (n or 8) + 1, -1 do list[i] = nil end
  return list
end

return score
