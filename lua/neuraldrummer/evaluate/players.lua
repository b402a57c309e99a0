--- Who plays the songs: a model, and what needs no network. Each gives a
--- song's hits as masks, one integer a step.
local core = require "neuraldrummer.core"
local evaluated = require "neuraldrummer.evaluate.songs"

local players = {}

-- What needs no network ----------------------------------------------------

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
  local out, list = silence(song), song.seq:bars()
  local unit = {}  -- steps of 1/denominator, by meter: from the longest bar, as one may be cut off
  for _, bar in ipairs(list) do
    local meter = bar.numerator .. "/" .. bar.denominator
    local steps = bar.last - bar.first + 1
    unit[meter] = math.max(unit[meter] or 0, steps / bar.numerator)
  end
  local function strike(from, to, every, pick)
    local k = 0
    while every > 0 do
      local t = from + math.floor(k * every + 0.5)
      if t > to then break end
      out[t] = (out[t] or 0) | pick(k)
      k = k + 1
    end
  end
  for _, bar in ipairs(list) do
    local u, d = unit[bar.numerator .. "/" .. bar.denominator], bar.denominator
    local pulse = d == 8 and bar.numerator % 3 == 0 and 3 * u or u * d / 4
    local last = math.min(bar.last, song.n)
    strike(bar.first, last, pulse, function(k) return k % 2 == 0 and kick or snare end)
    strike(bar.first, last, math.max(1, u * d / 8), function() return hat end)
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
      local key = evaluated.bar_key(song.real, bar)
      counts[key] = (counts[key] or 0) + 1
    end
  end
  for _, bar in ipairs(song.bars) do
    local count = counts[evaluated.bar_key(song.real, bar)] or 0
    if count > most then best, most = bar, count end
  end
  local out = silence(song)
  if not best then return out end
  for _, bar in ipairs(song.seq:bars()) do
    local t = bar.first
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

---@class neuraldrummer.evaluate_player
---@field name string
---@field play fun(song: neuraldrummer.evaluated_song): integer[]

--- These, in the order of the table; the last one where bars are given.
---@param options neuraldrummer.evaluate_options
---@return neuraldrummer.evaluate_player[]
function players.simple(options)
  return {
    { name = "silence", play = silence },
    { name = "stock beat", play = stock_beat },
    { name = "last recorded bar (oracle)", play = last_bar },
    { name = "song's commonest bar (oracle)", play = commonest_bar },
    options.given_bars and { name = "given bars again", play = given_again } or nil,
  }
end

-- A model ------------------------------------------------------------------

--- Whether a model can be told of a style or of given drums.
---@param model neuraldrummer.model
---@return boolean
function players.takes_direction(model) return model:config().features == "whole" end

-- What a song's own drums may tell the drummer; nil: nothing.
local function direction_of(song, model, o)
  if not players.takes_direction(model) or not (o.style_of_own or o.given_bars) then return nil end
  local direction = { style = o.style_of_own and song.seq or nil }
  if o.given_bars then
    local voices = #song.seq:voices()
    local kept = (song.from - 1) * voices
    direction.fixed = song.seq
    direction.mask = ("\1"):rep(kept) .. ("\0"):rep(#song.seq * voices - kept)
  end
  return direction
end

--- Lets a model play the songs freely.
---@param model neuraldrummer.model
---@param songs neuraldrummer.evaluated_song[]
---@param o neuraldrummer.evaluate_options
---@return integer[][] played masks
---@return neuraldrummer.sequence[] seqs
function players.model(model, songs, o)
  local played, seqs = {}, {}
  for s, song in ipairs(songs) do
    local gen <close> = core.generator(model, { seed = o.seed + s - 1, temperature = o.temperature,
      variation = o.variation, cutoff = o.cutoff, forced = o.forced, start = o.start,
      threads = o.threads })
    -- without the recorded drums: nothing of them may reach the drummer but what is told
    local blank = song.seq:with_hits(("\0"):rep(#song.seq * #song.seq:voices()))
    local seq = gen:play(blank, direction_of(song, model, o))
    if o.touch then seq = core.humanise(o.touch, seq, { seed = o.seed + s - 1 }) end
    played[s], seqs[s] = evaluated.masks(seq, song.n), seq
    o.on_progress(s, #songs)
  end
  return played, seqs
end

return players
