--- Parses what a user asks of the drummer: bars, voices, energy and fills. Misuse
--- raises a message that begins with "option 'NAME'". Bars count from 1.
local as_text = require "neuraldrummer.decimal".text
local sections = require "neuraldrummer.sections"
local misuse = require "neuraldrummer.options".misuse

local parse = {}

-- The items of a comma-separated list, without blanks around them; an empty one is refused.
local function items(option, text)
  local list = {}
  for item in (text .. ","):gmatch "%s*(.-)%s*," do
    if item == "" then misuse(option, "an empty item in '%s'", text) end
    list[#list + 1] = item
  end
  return list
end

local function bar_number(option, text, n_bars)
  local bar = math.tointeger(tonumber(text))
  if not bar or bar < 1 then misuse(option, "'%s' is not a bar number", text) end
  if bar > n_bars then misuse(option, "there is no bar %d: the last is %d", bar, n_bars) end
  return bar
end

-- "9", "9-12" or "9-" (to the end): the first and the last bar.
local function range(option, text, n_bars)
  local from, to = text:match "^(%d+)%s*%-%s*(%d*)$"
  if not from then
    local bar = bar_number(option, text, n_bars)
    return bar, bar
  end
  from = bar_number(option, from, n_bars)
  to = to == "" and n_bars or bar_number(option, to, n_bars)
  if to < from then misuse(option, "'%s' ends before it begins", text) end
  return from, to
end

--- Bars as a set: "9-12,17", "33-" (to the end), a number, or a list of numbers.
---@param option string name of the option, for messages
---@param value string|integer|integer[]
---@param n_bars integer bars of the song
---@return table<integer, boolean> set true for each bar
function parse.bars(option, value, n_bars)
  local set = {}
  if type(value) == "table" then
    for _, bar in ipairs(value) do set[bar_number(option, tostring(bar), n_bars)] = true end
    return set
  end
  for _, item in ipairs(items(option, as_text(value))) do
    local from, to = range(option, item, n_bars)
    for bar = from, to do set[bar] = true end
  end
  return set
end

-- Names for several voices, by patterns of their names.
local GROUPS <const> = {
  hats = { "_hat$" }, toms = { "_tom$" }, cymbals = { "^crash$", "^ride$", "^splash$", "^bell$" },
}

--- Indices of the voices that a name stands for: a voice, or a group (hats, toms,
--- cymbals) of which a kit has some. Empty for an unknown name.
---@param name string
---@param voices string[]
---@return integer[]
---@package
function parse.members(name, voices)
  local found = {}
  for i, voice in ipairs(voices) do
    if voice == name then return { i } end
    for _, pattern in ipairs(GROUPS[name] or {}) do
      if voice:find(pattern) then found[#found + 1] = i end
    end
  end
  return found
end

--- Voices as a set of indices: "kick,snare", "hats", or a list of names.
---@param option string name of the option, for messages
---@param value string|string[]
---@param voices string[] of the kit
---@return table<integer, boolean>
function parse.voices(option, value, voices)
  local set = {}
  for _, name in ipairs(type(value) == "table" and value or items(option, value)) do
    local found = parse.members(name, voices)
    if #found == 0 then
      misuse(option, "the kit has no voice '%s'; choose from %s, hats, toms, cymbals", name,
        table.concat(voices, ", "))
    end
    for _, i in ipairs(found) do set[i] = true end
  end
  return set
end

local function energy_number(text)
  local x = tonumber(text)
  if not x or not (x >= -3 and x <= 3) then
    misuse("energy", "'%s' is not a number from -3 to 3 (0: as many hits as usual, 1: about "
      .. "twice as many)", text)
  end
  return x + 0.0
end

--- Energy by bar, the binary logarithm of a bar's hits over the usual number: a
--- number for all bars, "1-8:-1,9-16:1", "9-16:-1>1" (rising from -1 to 1), or a list
--- with false where the drummer decides.
---@param value number|string|(number|false)[]
---@param n_bars integer
---@return (number|false)[]
function parse.energy(value, n_bars)
  local list = {}
  for bar = 1, n_bars do list[bar] = false end
  if type(value) == "table" then
    for bar = 1, n_bars do list[bar] = value[bar] and energy_number(value[bar]) or false end
    return list
  end
  local text = as_text(value)
  if not text:find ":" then
    local x = energy_number(text)
    for bar = 1, n_bars do list[bar] = x end
    return list
  end
  for _, item in ipairs(items("energy", text)) do
    local bars, x = item:match "^([^:]+):(.+)$"
    if not bars then misuse("energy", "'%s' is not BARS:ENERGY, such as 1-8:-1", item) end
    local from, to = range("energy", bars, n_bars)
    local first, last = x:match "^(.-)>(.+)$"
    first, last = energy_number(first or x), energy_number(last or x)
    for bar = from, to do
      list[bar] = to > from and first + (last - first) * (bar - from) / (to - from) or first
    end
  end
  return list
end

--- Fills by bar: "none", "sections" (the last bar of each), "every 8" (or 8),
--- "9,17-18" (these bars and no others), or a list of booleans with nil where the
--- drummer decides.
---@param value string|integer|table<integer, boolean>
---@param seq neuraldrummer.sequence
---@param list? neuraldrummer.section[] default: the sections of the song
---@return table<integer, boolean?>
function parse.fills(value, seq, list)
  local n_bars = #seq:bars()
  local fills = {}
  if type(value) == "table" then
    for bar = 1, n_bars do
      if value[bar] ~= nil and type(value[bar]) ~= "boolean" then
        misuse("fills", "bar %d: a boolean is needed", bar)
      end
      fills[bar] = value[bar]
    end
    return fills
  end
  local text = as_text(value)
  for bar = 1, n_bars do fills[bar] = false end
  local every = text:match "^every%s+(%d+)$" or text:match "^%d+$"
  if text == "sections" then
    for _, section in ipairs(list or sections.find(seq)) do
      if section.last < n_bars then fills[section.last] = true end
    end
  elseif every then
    every = math.tointeger(tonumber(every))
    if not every or every < 1 then misuse("fills", "'%s' is not 1 bar or more", text) end
    for bar = every + sections.pickup(seq), n_bars, every do fills[bar] = true end
  elseif text ~= "none" then
    if not text:find "^[%d%s,-]+$" then
      misuse("fills", "'%s' is not none, sections, every N, or bars such as 9,17", text)
    end
    for bar in pairs(parse.bars("fills", text, n_bars)) do fills[bar] = true end
  end
  return fills
end

return parse
