--- Styles: how one drummer plays, as numbers from 0 to 1. For each voice the square
--- root of its hits a step; five traits; then the groove, for each sixteenth of a
--- bar the same root by voice (sequence:style describes them). A style is kept as a
--- JSON file (NAME.style), and may be changed by name ("ride=0.6"). Misuse raises a
--- message that begins with "option 'style'".
local files = require "neuraldrummer.files"
local misuse = require "neuraldrummer.options".misuse
local parse = require "neuraldrummer.direction.parse"
local safe_text = require "neuraldrummer.safe_text"

---@class neuraldrummer.modules.styles
local styles = {}

local TRAITS <const> = { "repeats", "off_eighths", "back_beats", "rests", "fills" }
local GROOVE_STEPS <const> = 24  -- sixteenths of a bar in the groove
local FORMAT <const> = "neuraldrummer style 1"
local MAX_BYTES <const> = 1 << 20

-- The names of a style's numbers before the groove.
local function names_of(voices)
  local names = table.move(voices, 1, #voices, 1, {})
  return table.move(TRAITS, 1, #TRAITS, #names + 1, names)
end

--- The style of a Sequence's drums as JSON: its numbers by name, and the groove as
--- rows, one for each sixteenth of a bar, of one number for each voice.
---@param name string
---@param seq neuraldrummer.sequence
---@return string json
function styles.encode(name, seq)
  local order, numbers, groove = { "format", "name", "kit", "numbers", "groove" }, {}, {}
  local measured, voices = seq:style(), seq:voices()
  local names = names_of(voices)
  local function short(x) return tonumber(("%.6f"):format(x)) end
  for i, key in ipairs(names) do
    numbers[key] = short(measured[i])
    order[#order + 1] = key
  end
  for place = 1, GROOVE_STEPS do
    local row, at = {}, #names + (place - 1) * #voices
    for v = 1, #voices do row[v] = short(measured[at + v]) end
    groove[place] = row
  end
  return require "dkjson".encode({
    format = FORMAT, name = safe_text.utf8(name), kit = seq:settings().kit_text,
    numbers = numbers, groove = groove,
  }, { indent = true, keyorder = order }) .. "\n"
end

local function is_unit(x) return type(x) == "number" and x >= 0 and x <= 1 end

-- Appends a groove's numbers; nil and what is wrong with it.
local function append_groove(numbers, groove, n_voices)
  if type(groove) ~= "table" or #groove ~= GROOVE_STEPS then
    return nil, ("the groove needs %d rows"):format(GROOVE_STEPS)
  end
  for place, row in ipairs(groove) do
    for v = 1, n_voices do
      if type(row) ~= "table" or #row ~= n_voices or not is_unit(row[v]) then
        return nil, ("row %d of the groove needs %d numbers from 0 to 1"):format(place, n_voices)
      end
      numbers[#numbers + 1] = row[v]
    end
  end
  return numbers
end

--- Reads a style file.
---@param path string
---@param kit neuraldrummer.tokeniser|neuraldrummer.sequence the style must be of the same kit
---@return number[]? numbers without a groove if the file has none
---@return string? message
function styles.load(path, kit)
  local text, message = files.text(path, MAX_BYTES)
  if not text then return nil, message end
  local settings, voices = kit:settings(), kit:voices()
  local ok, style = pcall(require "dkjson".decode, text)  -- it raises on deep nesting
  if not ok or type(style) ~= "table" or style.format ~= FORMAT
    or type(style.numbers) ~= "table" then
    return nil, path .. ": is not a style (`neuraldrummer style SONG.mid` makes one)"
  elseif style.kit ~= settings.kit_text then
    return nil, ("%s: the style has another kit than the model, %s"):format(path, settings.kit)
  end
  local numbers = {}
  for i, name in ipairs(names_of(voices)) do
    local x = style.numbers[name]
    if not is_unit(x) then
      return nil, ("%s: '%s' is not a number from 0 to 1"):format(path, name)
    end
    numbers[i] = x
  end
  if not style.groove then return numbers end
  ok, message = append_groove(numbers, style.groove, #voices)
  if not ok then return nil, ("%s: %s"):format(path, message) end
  return numbers
end

-- Changes a style by "ride=0.6"; the members of a group keep their proportions.
local function change(numbers, item, voices)
  local name, text = item:match "^(.-)%s*=%s*(.+)$"
  local x = tonumber(text)
  if not is_unit(x) then misuse("style", "'%s': give a number from 0 to 1", item) end
  for i, trait in ipairs(TRAITS) do
    if name == trait then
      numbers[#voices + i] = x
      return
    end
  end
  local found, sum = parse.members(name, voices), 0
  if #found == 0 then
    misuse("style", "there is no '%s'; choose from %s, hats, toms, cymbals", name,
      table.concat(names_of(voices), ", "))
  end
  -- the numbers are square roots of rates, so rates add up as squares
  for _, i in ipairs(found) do sum = sum + numbers[i] ^ 2 end
  local factor = sum > 0 and x / sum ^ 0.5
  local before = #voices + #TRAITS   -- numbers before the groove
  for _, i in ipairs(found) do
    numbers[i] = math.min(factor and numbers[i] * factor or x / (#found) ^ 0.5, 1.0)
    -- a voice that is new to the groove is put on the eighths
    for at = before + i, #numbers, #voices do
      local eighth = (at - before - 1) // #voices % 2 == 0
      numbers[at] = factor and math.min(numbers[at] * factor, 1.0) or eighth and numbers[i] or 0.0
    end
  end
end

-- The index of a model's style, by its name or a part that only one name has.
local function find(name, model)
  local matches = {}
  for _, style in ipairs(model:styles()) do
    if style.name == name then return style.index end
    if style.name:lower():find(name:lower(), 1, true) then matches[#matches + 1] = style end
  end
  if #matches == 1 then return matches[1].index end
  if #matches == 0 then
    misuse("style", "no style is named '%s' (`neuraldrummer drum SONG.mid --styles` lists them)",
      name)
  end
  local names = {}
  for i = 1, math.min(5, #matches) do names[i] = matches[i].name end
  misuse("style", "%d styles have '%s' in their names: %s%s; give one of the names", #matches,
    name, table.concat(names, ", "), #matches > 5 and ", ..." or "")
end

-- "bossa,ride=0.6" as the style before its changes (nil: none is named), and the changes.
local function split_changes(value)
  local base, changes = value, {}
  -- the name of a file may look like a change
  while base and not (base:find "%.style$" and files.exists(base)) do
    local before, item = base:match "^(.*),%s*([%w_]+%s*=[^,=]*)$"
    if not before then before, item = nil, base:match "^[%w_]+%s*=[^,=]*$" end
    if not item then break end
    table.insert(changes, 1, item)
    base = before
  end
  return base, changes
end

--- Resolves what a user gives as a style to what a generator's `play` takes: false
--- for no style; the index or name of a model's style, or a part of the name that
--- only one has; a file (NAME.style); changes to any of these, or to the style that
--- would be drawn ("ride=0.6,toms=0.2", each the square root of hits a step); a
--- Sequence whose drums have the style; or its numbers.
---@param value any
---@param seq neuraldrummer.sequence the song to be played
---@param model neuraldrummer.model
---@param generator neuraldrummer.generator
---@return any? style
---@return string? message
function styles.resolve(value, seq, model, generator)
  if type(value) ~= "string" then return value end
  local base, changes = split_changes(value)
  local style
  if base == "" then
    misuse("style", "'%s' names no style", value)
  elseif base and base:find "^%d+$" then
    style = math.tointeger(tonumber(base)) or misuse("style", "'%s' is not an index", base)
  elseif base and base:find "%.style$" then
    local message
    style, message = styles.load(base, seq)
    if not style then return nil, message end
  elseif base then
    style = find(base, model)
  end
  if #changes == 0 then return style end
  local numbers = generator:choose(seq, style)
  if not numbers then misuse("style", "the model has no styles to change") end
  for _, item in ipairs(changes) do change(numbers, item, seq:voices()) end
  return numbers
end

return styles
