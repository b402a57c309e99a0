--- The sections of a song: where it changes, which sections return, and how a
--- section that returns takes up the groove of its first occurrence.
---
--- Boundaries are peaks of novelty, and sections are compared bar by bar, both on
--- the song without its drums (Foote 2000, "Automatic audio segmentation using a
--- measure of audio novelty"). Bars count from 1.
local options = require "neuraldrummer.options"
local random = require "neuraldrummer.random"
local check = options.check

---@class neuraldrummer.modules.sections
local sections = {}

local MIN_NOVELTY <const> = 0.3      -- of a boundary
local MIN_SIMILARITY <const> = 0.6   -- mean over the bars of a section that returns
local MAX_KINDS <const> = 64         -- different sections that later ones are compared with

---@class neuraldrummer.section
---@field first integer bar
---@field last integer bar
---@field kind integer the same number for similar sections
---@field of? integer index of the first section of this kind, if this one repeats it

--- 1 if the song begins with a pickup bar (shorter than the second bar), else 0.
---@param seq neuraldrummer.sequence
---@return integer
---@package
function sections.pickup(seq)
  local bars = seq:bars()
  return #bars > 2 and bars[1].last - bars[1].first < bars[2].last - bars[2].first and 1 or 0
end

-- The bars at which sections begin.
local function boundaries(seq, bars)
  local n, novelty, change = #bars, {}, seq:metric "novelty"
  local shift = sections.pickup(seq)
  for b = 2, n do
    local x = change[bars[b].first]
    -- most phrases are four bars long
    novelty[b] = (b - 1 - shift) % 4 == 0 and x * 1.25 or x
  end
  local starts = { 1 }
  for b = 2, n do
    local peak = novelty[b] >= MIN_NOVELTY
    for other = math.max(2, b - 3), math.min(n, b + 3) do
      peak = peak and (novelty[other] < novelty[b] or (novelty[other] == novelty[b] and other >= b))
    end
    if peak then starts[#starts + 1] = b end
  end
  return starts
end

-- Mean similarity of two sections over the bars that both have; 0 for fewer than two bars.
local function similarity_of(a, b, similarity)
  local n = math.min(a.last - a.first, b.last - b.first) + 1
  local sum = 0
  for k = 0, n - 1 do sum = sum + similarity(a.first + k, b.first + k) end
  return n >= 2 and sum / n or 0
end

--- Finds the sections of a song, from its music without the drums.
---@param seq neuraldrummer.sequence
---@return neuraldrummer.section[]
function sections.find(seq)
  local bars = seq:bars()
  local similarity = seq:self_similarity()
  local starts = boundaries(seq, bars)
  local found, firsts = {}, {}       -- firsts: by kind, the index of its first section
  for i, start in ipairs(starts) do
    local section = { first = start, last = (starts[i + 1] or #bars + 1) - 1 }
    local best, highest = nil, MIN_SIMILARITY
    for kind, index in ipairs(firsts) do
      local x = similarity_of(section, found[index], similarity)
      if x > highest then best, highest = kind, x end
    end
    if best then
      section.kind, section.of = best, firsts[best]
    elseif #firsts < MAX_KINDS then
      firsts[#firsts + 1] = i
      section.kind = #firsts
    else
      section.kind = MAX_KINDS + 1
    end
    found[i] = section
  end
  return found
end

-- By bar, the bar whose groove it takes up: itself, unless its section returns. The
-- last bar of a section stays, because it leads to the section that follows. A bar
-- stays as well if hits are fixed in it, or if it has other energy or fills asked
-- for than its source. Nil if every bar is its own source.
local function sources_of(seq, list, direction)
  local bars, map, any = seq:bars(), {}, false
  local n_voices = #seq:voices()
  local function steps(b) return bars[b].last - bars[b].first + 1 end
  local function is_free(b)
    if not direction.mask then return true end
    return not direction.mask:sub((bars[b].first - 1) * n_voices + 1,
      bars[b].last * n_voices):find "[^\0]"
  end
  local density, fills = direction.density or {}, direction.fills or {}
  for b = 1, #bars do map[b] = b end
  for _, section in ipairs(list) do
    local first = section.of and list[section.of]
    for bar = section.first, first and section.last - 1 or 0 do
      local source = first.first + bar - section.first
      if source < first.last and steps(source) == steps(bar) and is_free(bar)
        and (density[source] or false) == (density[bar] or false)
        and fills[source] == fills[bar] then
        map[bar], any = source, true
      end
    end
  end
  return any and map or nil
end

---@class neuraldrummer.reuse_options
---@field sections? neuraldrummer.section[] default: those of the song
---@field vary? number 0..1, share of the grid cells of a returning bar that are played anew
--- (default 0.75)
---@field seed? integer default 1
---@field pause? function as generator:play takes it

--- The direction for playing drums a second time, in which each section that
--- returns takes up the groove of its first occurrence; a random share of its grid
--- cells is left open and played anew. Nil if no section returns.
---@param seq neuraldrummer.sequence
---@param drums neuraldrummer.sequence the first take
---@param direction neuraldrummer.direction the one of the first take
---@param given neuraldrummer.reuse_options
---@return neuraldrummer.direction?
function sections.reuse(seq, drums, direction, given)
  local o = check(given, { sections = "table", vary = "number", seed = "integer",
    pause = "function" })
  local vary = o.vary or 0.75
  options.check_range("vary", vary, 0, 1)
  local map = sources_of(seq, o.sections or sections.find(seq), direction)
  if not map then return nil end
  local draw = random.uniform(o.seed or 1)
  local n_voices, bars, parts = #seq:voices(), seq:bars(), {}
  for b, bar in ipairs(bars) do
    local cells = (bar.last - bar.first + 1) * n_voices
    if map[b] == b then
      parts[b] = ("\1"):rep(cells)
    else
      local open = {}
      for i = 1, cells do open[i] = draw() < vary and "\0" or "\1" end
      parts[b] = table.concat(open)
      if o.pause then o.pause() end
    end
  end
  local again = { fixed = drums:with_bars(map), mask = table.concat(parts) }
  for _, name in ipairs { "style", "density", "fills" } do again[name] = direction[name] end
  return again
end

return sections
