--- The players that are evaluated: models, and baselines that need no network. A player
--- gives a song's hits as masks, one integer per step.
local core = require "neuraldrummer.core"
local evaluated = require "neuraldrummer.evaluate.songs"

local players = {}

-- Baselines -----------------------------------------------------------------

local function silence(song)
  local out = {}
  for t = 1, song.n do out[t] = 0 end
  return out
end

-- Masks of the voices of the stock beat; 0 for a voice that the kit does not have.
local function stock_voices(song)
  local voice = {}
  for v, name in ipairs(song.seq:voices()) do
    voice[name:lower():gsub("[^%a]+", " ")] = 1 << (v - 1)
  end
  return voice.kick or 0, voice.snare or 0, voice["closed hat"] or voice["closed hihat"] or 0
end

-- Steps of a note of the meter's denominator, by meter. The longest bar of a meter decides,
-- because other bars may be cut off.
local function unit_lengths(bars)
  local unit = {}
  for _, bar in ipairs(bars) do
    local meter = bar.numerator .. "/" .. bar.denominator
    unit[meter] = math.max(unit[meter] or 0, (bar.last - bar.first + 1) / bar.numerator)
  end
  return unit
end

-- Kick on 1 and 3, snare on 2 and 4, closed hat on eighths. The pulse is a quarter note, or
-- three eighths in 6/8, 9/8 and 12/8.
local function stock_beat(song)
  local kick, snare, hat = stock_voices(song)
  local out, bars = silence(song), song.seq:bars()
  local unit = unit_lengths(bars)
  local function add(from, to, every, voice_of)
    local k = 0
    while every > 0 do
      local t = from + math.floor(k * every + 0.5)
      if t > to then break end
      out[t] = (out[t] or 0) | voice_of(k)
      k = k + 1
    end
  end
  for _, bar in ipairs(bars) do
    local u, d = unit[bar.numerator .. "/" .. bar.denominator], bar.denominator
    local pulse = d == 8 and bar.numerator % 3 == 0 and 3 * u or u * d / 4
    local last = math.min(bar.last, song.n)
    add(bar.first, last, pulse, function(k) return k % 2 == 0 and kick or snare end)
    add(bar.first, last, math.max(1, u * d / 8), function() return hat end)
  end
  return out
end

-- Plays in every bar the recorded drums of the bar before: it sees the recording.
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

-- Plays the most frequent recorded bar (of those with hits; the earliest of equally frequent
-- ones) in every bar. A bar of another length is cut off, or filled from the bar after.
local function commonest_bar(song)
  local counts, best, best_count = {}, nil, 0
  for _, bar in ipairs(song.bars) do
    local any = false
    for t = bar.first, bar.last do any = any or song.real[t] ~= 0 end
    if any then
      local key = evaluated.bar_key(song.real, bar)
      counts[key] = (counts[key] or 0) + 1
    end
  end
  for _, bar in ipairs(song.bars) do
    local count = counts[evaluated.bar_key(song.real, bar)] or 0
    if count > best_count then best, best_count = bar, count end
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

-- Plays the given bars over and over.
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

--- The baselines in the order of the table.
---@param options neuraldrummer.evaluate_options
---@return neuraldrummer.evaluate_player[]
---@package
function players.simple(options)
  return {
    { name = "silence", play = silence },
    { name = "stock beat", play = stock_beat },
    { name = "last recorded bar (oracle)", play = last_bar },
    { name = "song's commonest bar (oracle)", play = commonest_bar },
    options.given_bars and { name = "given bars again", play = given_again } or nil,
  }
end

-- Models --------------------------------------------------------------------

--- Whether a model takes a style and given drums.
---@param model neuraldrummer.model
---@return boolean
---@package
function players.takes_direction(model) return model:config().features == "whole" end

-- What the model is given of a song's recorded drums; nil for nothing.
local function direction_of(song, model, o)
  if not players.takes_direction(model) or not (o.recorded_style or o.given_bars) then
    return nil
  end
  local direction = { style = o.recorded_style and song.seq or nil }
  if o.given_bars then
    local voices = #song.seq:voices()
    local cells = (song.from - 1) * voices
    direction.fixed = song.seq
    direction.mask = ("\1"):rep(cells) .. ("\0"):rep(#song.seq * voices - cells)
  end
  return direction
end

--- Lets a model play the songs freely, with its own hits as history.
---@param model neuraldrummer.model
---@param songs neuraldrummer.evaluated_song[]
---@param o neuraldrummer.evaluate_options with all defaults
---@return integer[][] played masks, by song and step
---@return neuraldrummer.sequence[] seqs the same with velocities and offsets
---@package
function players.model(model, songs, o)
  local played, seqs = {}, {}
  for s, song in ipairs(songs) do
    local gen <close> = core.generator(model, { seed = o.seed + s - 1, temperature = o.temperature,
      variation = o.variation, cutoff = o.cutoff, forced = o.forced, start = o.start,
      threads = o.threads })
    -- without the recorded drums, so that the model sees only what the direction gives
    local blank = song.seq:with_hits(("\0"):rep(#song.seq * #song.seq:voices()))
    local seq = gen:play(blank, direction_of(song, model, o))
    if o.touch then seq = core.humanise(o.touch, seq, { seed = o.seed + s - 1 }) end
    played[s], seqs[s] = evaluated.masks(seq, song.n), seq
    o.on_progress(s, #songs)
  end
  return played, seqs
end

return players
