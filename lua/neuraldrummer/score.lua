--- How well drums fit their song: their log-likelihood a step, in bits, in
--- excess of that under other songs. A likelihood by itself says how usual
--- drums are; what it loses when another song is heard is what they owe to
--- this one.
---
--- The other songs are the same one, begun OTHERS times at another of its bars
--- and going round at its end; and, where a corpus is at hand, as many of its
--- songs. The model is told the style of the drums and what was played before,
--- so that neither counts. (Of drums put to a song that isn't theirs, this tells three in
--- four pairs apart; the likelihood itself hardly better than chance.)
local core = require "neuraldrummer.core"
local check = require "neuraldrummer.options".check

local score = {}

local OTHERS <const> = 8

---@class neuraldrummer.score_options
---@field others? integer other songs of each kind; default 8
---@field against? neuraldrummer.corpus songs to hear instead, besides the song's own other bars
---@field seed? integer which of them
---@field history? boolean default true: the model is told what was played before
---@field style? boolean default true: ... and the style of the drums
---@field pause? function as generator:play takes it

---@class neuraldrummer.scored_bar
---@field bar integer from 1
---@field step integer its first, from 1
---@field steps integer
---@field hits integer
---@field likelihood number bits a step
---@field others number bits a step, the mean under other songs
---@field fit number the former less the latter

---@class neuraldrummer.score
---@field likelihood number bits a step, of the steps from the first hit to the last
---@field others number the mean under other songs
---@field fit number the former less the latter; above 0: the drums fit
---@field steps integer from the first hit to the last
---@field hits integer
---@field better integer how many of the other songs they fit less
---@field of integer how many there are
---@field bars neuraldrummer.scored_bar[]

-- The bars to begin at: `n` of them, spread over the song, none of them the first.
local function other_starts(seq, n)
  local bars, starts = seq:bars(), {}
  n = math.min(n, #bars - 1)
  for k = 1, n do starts[k] = bars[1 + math.max(1, #bars * k // (n + 1))].first end
  return starts
end

-- `n` songs drawn from a corpus, and a bar of each to begin at.
local function other_songs(corpus, seq, n, seed)
  local songs, starts = {}, {}
  -- a walk by a step without a common divisor meets every song once
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

-- What is heard with some drums: the song as it is, then the others.
local function hearings(seq, o)
  local n = o.others or OTHERS
  local songs, at = { seq }, { 1 }
  for _, step in ipairs(other_starts(seq, n)) do songs[#songs + 1], at[#at + 1] = seq, step end
  if o.against then
    local more, starts = other_songs(o.against, seq, n, o.seed or 1)
    if not more then return nil, starts end
    table.move(more, 1, #more, #songs + 1, songs)
    table.move(starts, 1, #starts, #at + 1, at)
  end
  if #songs == 1 then return nil, "it has a single bar, and no other song is there to hear" end
  return songs, at
end

-- The steps of the first hit and the last.
local function reach(seq)
  local hits, voices = seq:packed_hits(), #seq:voices()
  local first, last = hits:find "[^\0]", hits:find "[^\0]\0*$"
  if not first then return nil, "it has no drums to score" end
  return (first - 1) // voices + 1, (last - 1) // voices + 1
end

-- Bits of every hearing over some steps, a step; and the mean of the others.
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
  local first, last = reach(seq)
  if not first then return nil, last end
  local songs, at = hearings(seq, o)
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

local PLAIN <const> = 0.3    -- weight of the likelihood itself

--- How good takes are among others for the same song, in bits a hit: the fit, and
--- a third as much the likelihood itself; a take that fits by hits that nobody
--- would play is none. The model is told neither history nor style here, for a take
--- that copies itself, or keeps to an odd style, is not the better for it. So what
--- it hears is the same for all of them, and they cost hardly more than one.
---
--- Of six takes each for 42 validation songs, the best by this one match the recorded
--- hits a little better than any take does (F1 .36, and .35), and are told from
--- recorded ones a little more often (AUC .74, and .68): what fits is the more usual.
---@param model neuraldrummer.model
---@param takes neuraldrummer.sequence[] for one song
---@param pause? function as generator:play takes it
---@return (number|false)[] worths false where there is nothing to judge
---@return string? message why, of the last of those
function score.worths(model, takes, pause)
  local worths, kept, message = {}, {}, nil
  for k, seq in ipairs(takes) do
    worths[k] = false
    local first, why = reach(seq)
    if first then kept[#kept + 1] = k else message = why end
  end
  if #kept == 0 then return worths, message end
  local songs, at = hearings(takes[kept[1]], {})
  if not songs then return worths, at end
  local played = {}
  for i, k in ipairs(kept) do played[i] = takes[k] end
  local judged = core.log_likelihood(model, played,
    { song = songs, song_step = at, history = false }, pause)
  for i, k in ipairs(kept) do
    local first, last = reach(takes[k])
    local sums, others = means(judged[i], first, last)
    worths[k] = (sums[1] - others + PLAIN * sums[1]) * (last - first + 1)
      / count(takes[k]:packed_hits())
    if pause then pause() end
  end
  return worths, message
end

--- The same of one take.
---@param model neuraldrummer.model
---@param seq neuraldrummer.sequence
---@return number? worth
---@return string? message
function score.worth(model, seq)
  local worths, message = score.worths(model, { seq })
  return worths[1] or nil, message
end

--- The bars that fit least, the worst first: of those between the first hit
--- and the last, the ones that another song would explain better.
---@param result neuraldrummer.score
---@param n? integer at most so many; default 8
---@return neuraldrummer.scored_bar[]
function score.least(result, n)
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
