--- What a REAPER user sets once: kept in REAPER's extended state. Its windows,
--- `imgui` and `window`, show this list and change it by these functions.
local format = require "neuraldrummer.numbers".format
local kits = require "neuraldrummer.kits"

local settings = {}

local SECTION <const> = "neuraldrummer"

settings.TITLE = "Neural Drummer: settings"
settings.FREE = "as it likes"    -- what stands for the empty value

local function choices_of_kits()
  local names = kits.names()
  table.insert(names, 1, "")
  return names
end

---@class neuraldrummer.reaper.setting
---@field name string
---@field label string
---@field hint string what may be set
---@field default string
---@field choices? string[] some that may be set
---@field step? number of a number: by how much it is changed
---@field least? number
---@field most? number
---@field whole? boolean
---@field text? boolean something else than a number may be set too

---@type neuraldrummer.reaper.setting[]
settings.LIST = {
  { name = "energy", label = "Energy", hint = "-3 to 3, or bars: 1-8:-1,9-16:1", default = "",
    step = 0.5, least = -3, most = 3, text = true },
  { name = "fills", label = "Fills", hint = "none, sections, every N bars, or bars: 12,24",
    default = "", choices = { "", "sections", "4", "8", "none" } },
  { name = "style", label = "Style", hint = "number, name, ride=0.6, or none", default = "" },
  { name = "swing", label = "Swing", hint = "0 to 1, or song", default = "",
    choices = { "", "0", "0.33", "0.67", "1", "song" } },
  { name = "humanise", label = "Humanise", hint = "0 to 1", default = "1", step = 0.1, least = 0,
    most = 1 },
  { name = "seed", label = "Seed", hint = "a whole number", default = "1", step = 1, least = 0,
    most = 1e9, whole = true },
  { name = "kit", label = "Kit map", hint = "a map's name, or a .kit file", default = "",
    choices = choices_of_kits() },
  { name = "tool", label = "Tool", hint = "the neuraldrummer program, where the module won't load",
    default = "neuraldrummer" },
}

--- The value of a setting, as it was last set.
---@param r table the `reaper` table
---@param setting neuraldrummer.reaper.setting
---@return string
function settings.get(r, setting)
  local value = r.GetExtState(SECTION, setting.name)
  if value == "" and not r.HasExtState(SECTION, setting.name) then return setting.default end
  return value
end

--- Sets it, to stay when REAPER is closed.
---@param r table
---@param setting neuraldrummer.reaper.setting
---@param value string
function settings.set(r, setting, value) r.SetExtState(SECTION, setting.name, value, true) end

--- All as they came.
---@param r table
function settings.reset(r)
  for _, setting in ipairs(settings.LIST) do settings.set(r, setting, setting.default) end
end

-- A value without what surrounds it.
local function bare(value) return value:match "^%s*(.-)%s*$" end

--- What is wrong with a value, as far as that is known without a song.
---@param setting neuraldrummer.reaper.setting
---@param value string
---@return string? message
function settings.problem(setting, value)
  value = bare(value)
  if not setting.step or value == "" then return nil end
  local number = tonumber(value)
  if not number then
    if setting.text then return nil end
    return ("%s: '%s' is no number."):format(setting.label, value)
  elseif not (number >= setting.least and number <= setting.most) then
    return ("%s: %s is not in %g to %g."):format(setting.label, value, setting.least, setting.most)
  elseif setting.whole and not math.tointeger(number) then
    return ("%s: %s is not a whole number."):format(setting.label, value)
  end
end

--- All of them, as the player takes them: what is left to it is absent.
---@param r table
---@return table? options
---@return string? message
function settings.options(r)
  local o = {}
  for _, setting in ipairs(settings.LIST) do
    local value = bare(settings.get(r, setting))
    local problem = settings.problem(setting, value)
    if problem then return nil, problem end
    local number = setting.step and tonumber(value)
    if number then
      o[setting.name] = setting.whole and math.tointeger(number) or number + 0.0
    elseif value ~= "" then
      o[setting.name] = value
    end
  end
  if o.style == "none" then o.style = false end
  return o
end

--- Of a setting that is a number: this one as text, on its steps and in its range.
---@param setting neuraldrummer.reaper.setting
---@param number number
---@return string
function settings.number(setting, number)
  number = math.floor(number / setting.step + 0.5) * setting.step
  return format("%.10g", math.max(setting.least, math.min(setting.most, number)))
end

--- The value that is so many choices or steps further.
---@param setting neuraldrummer.reaper.setting
---@param value string
---@param by integer
---@return string
function settings.further(setting, value, by)
  if setting.choices then
    local at = 1
    for i, choice in ipairs(setting.choices) do if choice == value then at = i end end
    return setting.choices[(at - 1 + by) % #setting.choices + 1]
  elseif setting.step then
    local number = tonumber(value) or tonumber(setting.default) or 0
    return settings.number(setting, number + by * setting.step)
  end
  return value
end

return settings
