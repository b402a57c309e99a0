--- Swing: delays hits off the beat, by a given amount or as much as the song.
---
--- A unit of time, a beat or half a beat, has two halves. Swing 0 leaves them equal;
--- swing 1 makes the first one twice as long as the second, as in a triplet; hits
--- within the halves move along, so that their order stays. With swing 0.5, a hit
--- halfway through the unit moves to 7/12 of it.
---
--- The unit is the beat, so that off-beat eighths swing. It is half a beat, so that
--- sixteenths swing, if the song plays the last sixteenth of a beat at least half as often
--- as its off-beat eighths. In 6/8, 9/8 and 12/8, whose beats are triplets already, it is
--- an eighth. In a song that swings its eighths, drums on the last sixteenth of the grid's
--- beat are off-beats, and are moved as such.
---
--- Hits off the beat may be early or late on average already, in human timing. That
--- average is replaced by the given swing; each hit keeps its deviation from it.
local core = require "neuraldrummer.core"
local check = require "neuraldrummer.options".check

---@class neuraldrummer.modules.swing
local swing = {}

local SWUNG <const> = 0.5    -- least amount at which a song's own eighths count as swung

---@class neuraldrummer.feel
---@field unit "eighths"|"sixteenths" what swings
---@field amount number 0..1, the swing of the song itself; 0 if too few notes show it

local function compound(meter)
  return meter.denominator == 8 and meter.numerator % 3 == 0 and meter.numerator > 3
end

-- The swing that a mean place in the unit (0..1) amounts to; 0 for fewer than 8 notes.
local function amount_of(sum, n)
  if n < 8 then return 0 end
  return math.max(0, math.min(1, (sum / n - 0.5) * 6))
end

--- Measures what swings in a song, and how much, by the onsets of its notes without the
--- drums.
---@param song neuraldrummer.song
---@return neuraldrummer.feel
function swing.feel(song)
  local meters, ppq, at = song:meters(), song:ppq(), 1
  local off, off_sum, fourth, late, late_sum = 0, 0, 0, 0, 0
  local before = -1
  for _, note in ipairs(song:notes "others") do
    local tick = note.tick
    while meters[at + 1] and meters[at + 1].tick <= tick do at = at + 1 end
    local meter = meters[at] or { tick = 0, numerator = 4, denominator = 4 }
    if tick ~= before and not compound(meter) then
      -- a bar may have a fractional number of ticks
      local place = (tick - meter.tick) % (4 * ppq * meter.numerator / meter.denominator)
        % ppq / ppq
      if place > 0.46 and place < 0.72 then off, off_sum = off + 1, off_sum + place end
      if place >= 0.72 and place < 0.88 then fourth = fourth + 1 end
      local half = place * 2 % 1
      -- 1/3 is a triplet rather than a late second sixteenth
      if half > 0.46 and half < 0.72 and place > 0.5 then
        late, late_sum = late + 1, late_sum + half
      end
    end
    before = tick
  end
  if fourth > 0 and fourth >= off / 2 then
    return { unit = "sixteenths", amount = amount_of(late_sum, late) }
  end
  return { unit = "eighths", amount = amount_of(off_sum, off) }
end

--- Parses a swing option: 0..1, or "song" for the swing of the song itself. "/8" or "/16"
--- after it chooses what swings; by default the song decides.
---@param value number|string
---@param song neuraldrummer.song
---@return number amount
---@return "eighths"|"sixteenths" unit
---@return boolean swung whether the song's own eighths swing
function swing.read(value, song)
  local amount, unit = tostring(value):match "^%s*([^/%s]+)%s*/?%s*(%d*)%s*$"
  local feel = swing.feel(song)
  local x = amount == "song" and feel.amount or tonumber(amount)
  local named = ({ ["8"] = "eighths", ["16"] = "sixteenths", [""] = feel.unit })[unit]
  if not x or not named or not (x >= 0 and x <= 1) then
    error(("option 'swing': '%s' is not a number from 0 to 1 or song; /8 or /16 may follow")
      :format(value), 0)
  end
  return x, named, feel.unit == "eighths" and feel.amount >= SWUNG
end

-- By step, the first step of its unit, its place in the unit, and the length of the unit,
-- in steps; nil if the step does not swing.
local function places(seq, unit)
  local per_beat, bars, out = seq:settings().steps_per_beat, seq:bars(), {}
  for _, bar in ipairs(bars) do
    local steps = bar.last - bar.first + 1
    local long = (unit == "sixteenths" or compound(bar)) and per_beat / 2 or per_beat
    for k = 0, steps - 1 do
      local first = k // long * long
      -- a unit without a step in the middle, or cut off by the bar, does not swing
      if long >= 2 and long % 2 == 0 and first + long <= steps then
        out[bar.first + k] = { first = bar.first + first, place = k - first, long = long }
      end
    end
  end
  return out
end

--- Applies swing to drums. Fixed hits stay as they are.
---@param seq neuraldrummer.sequence
---@param amount number 0..1
---@param unit "eighths"|"sixteenths"
---@param options? {swung?: boolean, mask?: string} swung: whether the song's own eighths swing;
--- mask: a byte for each step and voice, not 0 where the hits are fixed
---@return neuraldrummer.sequence
function swing.apply(seq, amount, unit, options)
  options = check(options, { swung = "boolean", mask = "string" })
  local mask, swung = options.mask, options.swung
  local hits, offsets, n_voices = seq:packed_hits(), seq:packed_offsets(), #seq:voices()
  local at = places(seq, unit)

  -- the mean offset at each place of units of each length
  local sums, counts = {}, {}
  local function key(p) return p.long * 64 + p.place end
  local cell = hits:find "[^\0]"
  while cell do
    local p = at[(cell - 1) // n_voices + 1]
    if p and not (mask and mask:byte(cell) > 0) then
      local k = key(p)
      sums[k] = (sums[k] or 0) + ("b"):unpack(offsets, cell) / 256
      counts[k] = (counts[k] or 0) + 1
    end
    cell = hits:find("[^\0]", cell + 1)
  end
  local function late(p)
    local k = key(p)
    return counts[k] and sums[k] / counts[k] or 0
  end

  local times = {}
  for step = 1, #seq do
    local p = at[step]
    times[step] = step
    if p and p.place > 0 and not (p.long % 3 == 0 and p.place % (p.long // 3) == 0) then
      local half, place = p.long / 2, p.place
      if swung and p.long == seq:settings().steps_per_beat and place > half
        and place <= math.floor(p.long * 2 / 3 + 0.5) then
        place = half
      end
      local moved = place <= half and place * (1 + amount / 3)
        or half * (1 + amount / 3) + (place - half) * (1 - amount / 3)
      times[step] = p.first + moved - late(p) + late { long = p.long, place = 0 }
    end
  end
  return core.retime(seq, times, mask)
end

return swing
