--- Direction: what a user asks of the drummer, in the form that a generator's
--- `play` takes. Fixed hits and their mask, energy, and fills, which are retried
--- until they are played. Misuse raises a message that begins with "option 'NAME'".
--- Bars count from 1.
local core = require "neuraldrummer.core"
local options = require "neuraldrummer.options"
local parse = require "neuraldrummer.direction.parse"
local sections = require "neuraldrummer.sections"
local misuse = options.misuse

---@class neuraldrummer.modules.direction
local direction = {
  bars = parse.bars, voices = parse.voices, energy = parse.energy, fills = parse.fills,
}

-- Fixed hits ----------------------------------------------------------------

-- A mask with a byte for each step and voice: 1 where `is_fixed(bar, voice)`.
local function mask_of(seq, is_fixed)
  local bars, n_voices, parts = seq:bars(), #seq:voices(), {}
  for b, bar in ipairs(bars) do
    local step = {}
    for voice = 1, n_voices do step[voice] = is_fixed(b, voice) and "\1" or "\0" end
    parts[b] = table.concat(step):rep(bar.last - bar.first + 1)
  end
  return table.concat(parts)
end

local function check_fixing(o)
  local keep, redo, extend, loop = o.keep, o.bars, o.extend, o.loop
  if loop and (keep or redo) then
    misuse("loop", "the loop replaces the song's own drums; leave out '%s'",
      keep and "keep" or "bars")
  elseif redo and extend then
    misuse("extend", "'bars' already keeps all other bars; leave out one of the two")
  elseif extend and extend < 1 then
    misuse("extend", "%d is not 1 or more", extend)
  end
end

-- The song with a loop's drums from its first whole bar on, and the bars they fill.
local function place_loop(seq, loop, extend)
  local n_loop, skipped, map = #loop:bars(), sections.pickup(seq), {}
  local n = extend or n_loop
  if n > n_loop then misuse("extend", "the loop has %d bars, not %d", n_loop, n) end
  local first, last = 1 + skipped, math.min(n + skipped, #seq:bars())
  for bar = first, last do map[bar] = bar - skipped end
  local ok, given = pcall(seq.with_bars, seq, map, loop)
  if not ok then misuse("loop", "its bars do not match those of the song: %s", given) end
  return given, first, last
end

---@class neuraldrummer.fixed_options
---@field keep? string|string[] voices that stay in the whole song
---@field bars? string|integer|integer[] bars that are played again; all others stay
---@field extend? integer the first bars that stay (of a loop; default: all of it)
---@field loop? neuraldrummer.sequence a loop whose drums replace the song's own at its start

--- The fixed hits of a song, from its own drums or a loop's, and their mask. A grid
--- cell (step and voice) is fixed if its voice is in `keep`; if `bars` is given and
--- its bar is not among them; or if it lies in the first `extend` bars. With `keep`
--- and `bars` together, the other voices of those bars are played again.
---@param seq neuraldrummer.sequence
---@param given neuraldrummer.fixed_options
---@return neuraldrummer.sequence? fixed nil: no hits are fixed
---@return string? mask a byte for each step and voice, 1 where the cell is fixed
function direction.fixed_hits(seq, given)
  local o = options.check(given, { keep = "string|table", bars = "string|integer|table",
    extend = "integer", loop = "userdata" })
  if not (o.keep or o.bars or o.extend or o.loop) then return nil end
  check_fixing(o)
  local n_bars = #seq:bars()
  local voices = o.keep and parse.voices("keep", o.keep, seq:voices()) or {}
  local again = o.bars and parse.bars("bars", o.bars, n_bars)
  local fixed, first, last = seq, 1, o.extend or 0
  if o.loop then
    fixed, first, last = place_loop(seq, o.loop, o.extend)
  elseif not seq:packed_hits():find "[^\0]" then
    misuse(o.keep and "keep" or o.bars and "bars" or "extend",
      "the song has no drums of its own; drum it first, then use this option on the result")
  elseif last > n_bars then
    misuse("extend", "the song has %d bars, not %d", n_bars, last)
  end
  return fixed, mask_of(seq, function(bar, voice)
    return voices[voice] or (again and not again[bar]) or (bar >= first and bar <= last)
  end)
end

-- Fills ---------------------------------------------------------------------

local MAX_TRIES <const> = 16
-- Energy above the asked one, in bars that lack a fill: of the first try, and per try.
local FIRST_BOOST <const>, BOOST <const> = 0.5, 0.1

-- The bars that do not end as asked, and a mask that leaves only their second halves
-- open, without the fixed cells. The first and the last bar are left out: a fill is a
-- departure from the bars before and after.
local function failed_fills(drums, asked)
  local bars, styles, failed, parts = drums:bars(), core.bar_styles(drums), {}, {}
  local n_voices, any = #drums:voices(), false
  for b, bar in ipairs(bars) do
    local steps = bar.last - bar.first + 1
    local fill = asked.fills[b]
    parts[b] = ("\1"):rep(steps * n_voices)
    if fill ~= nil and fill ~= styles[b].fill and b > 1 and b < #bars then
      local half = steps // 2 * n_voices
      local from = (bar.first - 1) * n_voices
      local rest = asked.mask and asked.mask:sub(from + half + 1, from + steps * n_voices)
        or ("\0"):rep(steps * n_voices - half)
      if rest:find "\0" then
        parts[b], failed[b], any = ("\1"):rep(half) .. rest, true, true
      end
    end
  end
  return any and failed, table.concat(parts)
end

--- Plays the second halves of bars again that do not end as asked: with a fill, or
--- without one. Each try has another seed and, where a fill is missing, more energy;
--- there are at most 16.
---@param new_generator fun(try: integer): neuraldrummer.generator a new one for each try
---@param seq neuraldrummer.sequence
---@param drums neuraldrummer.sequence played under this direction
---@param asked neuraldrummer.direction with `fills`, and the style for the tries
---@param pause? function as generator:play takes it
---@return neuraldrummer.sequence drums
---@package
function direction.retry_fills(new_generator, seq, drums, asked, pause)
  for try = 1, MAX_TRIES do
    local failed, mask = failed_fills(drums, asked)
    if not failed then break end
    local density = {}
    for b in pairs(failed) do
      density[b] = asked.fills[b] and math.min(3, (asked.density and asked.density[b] or 0)
        + FIRST_BOOST + BOOST * try) or nil
    end
    local generator <close> = new_generator(try)
    drums = generator:play(seq, { fixed = drums, mask = mask, style = asked.style,
      density = density, fills = asked.fills }, pause)
  end
  return drums
end

--- Counts the bars that were asked to end in a fill, and those of them that do.
---@param drums neuraldrummer.sequence
---@param fills table<integer, boolean?>
---@return integer asked
---@return integer played
---@package
function direction.count_fills(drums, fills)
  local asked, played = 0, 0
  for b, style in ipairs(core.bar_styles(drums)) do
    if fills[b] then asked, played = asked + 1, played + (style.fill and 1 or 0) end
  end
  return asked, played
end

return direction
