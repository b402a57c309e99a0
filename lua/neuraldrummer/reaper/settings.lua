--- The settings of a REAPER user, stored in REAPER's extended state. The windows
--- `imgui` and `window` show this list and change it with these functions. The options
--- of the drummer among them are described in options/playing.
local format = require "neuraldrummer.decimal".format
local playing = require "neuraldrummer.options.playing"

local settings = {}

local SECTION <const> = "neuraldrummer"

settings.TITLE = "Neural Drummer: settings"
settings.UNSET = "default"    -- shown for the empty value

---@class neuraldrummer.reaper.setting
---@field name string
---@field label string
---@field hint string the values that may be set
---@field default string "": the drummer's own default
---@field choices? string[] some of the values
---@field step? number of a number: the change by one arrow
---@field min? number
---@field max? number
---@field whole? boolean whether it must be a whole number
---@field text? boolean whether other text than a number may be set too

-- The setting of an option; what the option's row in `playing` does not say comes from
-- its type and range.
local function setting_of(option)
  local own = option.reaper
  local range = own.range or own.step and option.range or {}
  local choices = own.choices and table.move(own.choices, 1, #own.choices, 2, { "" })
  return { name = own.name or option.name, label = own.label, hint = own.hint,
    default = own.default or "", choices = choices, step = own.step, min = range[1],
    max = range[2], whole = option.type == "integer" or nil, text = own.text }
end

---@type neuraldrummer.reaper.setting[]
settings.LIST = {}
for _, option in ipairs(playing.LIST) do
  if option.reaper then settings.LIST[#settings.LIST + 1] = setting_of(option) end
end
table.insert(settings.LIST, { name = "tool", label = "Tool",
  hint = "the neuraldrummer program, used if the module cannot be loaded",
  default = "neuraldrummer" })

--- The value of a setting.
---@param r table the `reaper` table
---@param setting neuraldrummer.reaper.setting
---@return string
function settings.get(r, setting)
  local value = r.GetExtState(SECTION, setting.name)
  if value == "" and not r.HasExtState(SECTION, setting.name) then return setting.default end
  return value
end

--- Sets it, and keeps it when REAPER is closed.
---@param r table
---@param setting neuraldrummer.reaper.setting
---@param value string
function settings.set(r, setting, value) r.SetExtState(SECTION, setting.name, value, true) end

--- Sets all to their defaults.
---@param r table
function settings.reset(r)
  for _, setting in ipairs(settings.LIST) do settings.set(r, setting, setting.default) end
end

local function trim(value) return value:match "^%s*(.-)%s*$" end

--- Checks a value, as far as that is possible without a song.
---@param setting neuraldrummer.reaper.setting
---@param value string
---@return string? message nil if it is valid
function settings.problem(setting, value)
  value = trim(value)
  if not setting.step or value == "" then return nil end
  local number = tonumber(value)
  if not number then
    if setting.text then return nil end
    return ("%s: '%s' is not a number."):format(setting.label, value)
  elseif not (number >= setting.min and number <= setting.max) then
    return ("%s: %s is not between %g and %g."):format(setting.label, value, setting.min,
      setting.max)
  elseif setting.whole and not math.tointeger(number) then
    return ("%s: %s is not a whole number."):format(setting.label, value)
  end
end

--- All settings as options of the player. Empty ones are left out.
---@param r table
---@return table? options
---@return string? message
function settings.options(r)
  local o = {}
  for _, setting in ipairs(settings.LIST) do
    local value = trim(settings.get(r, setting))
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

--- A number as the text of a setting, rounded to its steps and moved into its range.
---@param setting neuraldrummer.reaper.setting
---@param number number
---@return string
function settings.number(setting, number)
  number = math.floor(number / setting.step + 0.5) * setting.step
  return format("%.10g", math.max(setting.min, math.min(setting.max, number)))
end

--- The value that is some choices or steps further.
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
