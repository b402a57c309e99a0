--- Swing: how late what lies off the beat is played, as told or as the song has it.
---
--- A unit of time, the beat or the half of one, has two halves. Swing 0 leaves
--- them alike; swing 1 makes the first one twice as long as the second (a triplet);
--- what lies within moves along, so that nothing changes its order. With swing
--- 0.5, what was halfway is at 7/12 of the unit.
---
--- The unit is the beat, so that off-beat eighths swing, where the song lives on
--- eighths; the half beat, so that sixteenths do, where it plays the last sixteenth
--- of a beat at least half as often as its off-beat eighths. In 6/8, 9/8 and
--- 12/8, whose beats are triplets already, it is the eighth. In a song that swings its
--- eighths, drums stand on the grid's last sixteenth for the off-beat, and
--- are taken for that.
---
--- Hits off the beat may be early or late on the average already, as people
--- play: that average makes way for the swing asked; what is left of each is kept.
local core = require "neuraldrummer.core"
local check = require "neuraldrummer.options".check

---@class neuraldrummer.modules.swing
local swing = {}

local SWUNG <const> = 0.5    -- from here on, a song's own eighths are swung

---@class neuraldrummer.feel
---@field unit "eighths"|"sixteenths" what swings
---@field amount number 0..1, how much the song itself does; 0 where it can't be said

local function compound(meter)
  return meter.denominator == 8 and meter.numerator % 3 == 0 and meter.numerator > 3
end

-- Mean of the places in a unit (0..1) as swing, or 0 for too few.
local function amount_of(sum, n)
  if n < 8 then return 0 end
  return math.max(0, math.min(1, (sum / n - 0.5) * 6))
end

--- What swings in a song, and how much: of the onsets of its notes beside the drums.
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
      -- a bar need not be of whole ticks
      local place = (tick - meter.tick) % (4 * ppq * meter.numerator / meter.denominator)
        % ppq / ppq
      if place > 0.46 and place < 0.72 then off, off_sum = off + 1, off_sum + place end
      if place >= 0.72 and place < 0.88 then fourth = fourth + 1 end
      local half = place * 2 % 1
      -- 1/3 is a triplet's rather than a late second sixteenth
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

--- What a user says: 0..1, "song" (as much as the song itself), with "/8" or "/16"
--- behind it where it shall not be the song that decides what swings.
---@param value number|string
---@param song neuraldrummer.song
---@return number amount
---@return "eighths"|"sixteenths" unit
---@return boolean swung whether the song's own eighths are
function swing.read(value, song)
  local amount, unit = tostring(value):match "^%s*([^/%s]+)%s*/?%s*(%d*)%s*$"
  local feel = swing.feel(song)
  local x = amount == "song" and feel.amount or tonumber(amount)
  local named = ({ ["8"] = "eighths", ["16"] = "sixteenths", [""] = feel.unit })[unit]
  if not x or not named or not (x >= 0 and x <= 1) then
    error(("option 'swing': '%s' is neither 0-1 nor song, with /8 or /16 behind it or not")
      :format(value), 0)
  end
  return x, named, feel.unit == "eighths" and feel.amount >= SWUNG
end

-- For each step its unit's first step (from 0), the place in the unit (in steps),
-- and the unit's length; nothing where nothing swings.
local function places(seq, unit)
  local per_beat, bars, out = seq:settings().steps_per_beat, seq:bars(), {}
  for _, bar in ipairs(bars) do
    local steps = bar.last - bar.first + 1
    local long = (unit == "sixteenths" or compound(bar)) and per_beat / 2 or per_beat
    for k = 0, steps - 1 do
      local first = k // long * long
      -- a grid without a middle, or a unit that the bar cuts off: straight
      if long >= 2 and long % 2 == 0 and first + long <= steps then
        out[bar.first + k] = { first = bar.first + first, place = k - first, long = long }
      end
    end
  end
  return out
end

--- Swings drums. What is kept stays as it is.
---@param seq neuraldrummer.sequence
---@param amount number 0..1
---@param unit "eighths"|"sixteenths"
---@param options? {swung?: boolean, mask?: string} swung: the song's own eighths are
---@return neuraldrummer.sequence
function swing.apply(seq, amount, unit, options)
  options = check(options, { swung = "boolean", mask = "string" })
  local mask, swung = options.mask, options.swung
  local hits, offsets, n_voices = seq:packed_hits(), seq:packed_offsets(), #seq:voices()
  local at = places(seq, unit)

  -- the mean lateness at each place of each kind of unit
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
