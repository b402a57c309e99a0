--- What a REAPER user sets once: kept in REAPER's extended state, changed in a
--- window of plain gfx.
local kits = require "neuraldrummer.kits"
local work = require "neuraldrummer.reaper.work"

local settings = {}

local SECTION <const> = "neuraldrummer"
local FREE <const> = "as it likes"

local function choices_of_kits()
  local names = kits.names()
  table.insert(names, 1, "")
  return names
end

---@class neuraldrummer.reaper.setting
---@field name string
---@field label string
---@field hint string asked with it
---@field default string
---@field choices? string[] that the arrows go through
---@field step? number by which they change a number
---@field least? number
---@field most? number
---@field whole? boolean

---@type neuraldrummer.reaper.setting[]
settings.LIST = {
  { name = "energy", label = "Energy", hint = "-3 to 3, or bars: 1-8:-1,9-16:1", default = "",
    step = 0.5, least = -3, most = 3 },
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
---@return string
function settings.get(r, setting)
  local value = r.GetExtState(SECTION, setting.name)
  if value == "" and not r.HasExtState(SECTION, setting.name) then return setting.default end
  return value
end

local function set(r, setting, value) r.SetExtState(SECTION, setting.name, value, true) end

--- All of them, as the player takes them: what is left to it is absent.
---@param r table
---@return table? options
---@return string? message
function settings.options(r)
  local o = {}
  for _, setting in ipairs(settings.LIST) do
    local value = settings.get(r, setting):match "^%s*(.-)%s*$"
    if value ~= "" then
      local number = tonumber(value)
      if setting.step and number then
        if not (number >= setting.least and number <= setting.most) then
          return nil, ("%s: %s is not in %g to %g."):format(setting.label, value, setting.least,
            setting.most)
        end
        o[setting.name] = setting.whole and math.tointeger(number) or number + 0.0
      elseif setting.step and setting.name ~= "energy" then
        return nil, ("%s: '%s' is no number."):format(setting.label, value)
      else
        o[setting.name] = value
      end
      if setting.whole and math.type(o[setting.name]) ~= "integer" then
        return nil, ("%s: %s is not a whole number."):format(setting.label, value)
      end
    end
  end
  if o.style == "none" then o.style = false end
  return o
end

-- The value that an arrow leads to.
local function stepped(setting, value, by)
  if setting.choices then
    local at = 1
    for i, choice in ipairs(setting.choices) do if choice == value then at = i end end
    return setting.choices[(at - 1 + by) % #setting.choices + 1]
  elseif setting.step then
    local number = tonumber(value) or tonumber(setting.default) or 0
    number = math.max(setting.least, math.min(setting.most, number + by * setting.step))
    return ("%g"):format(number)
  end
  return value
end

local ROW <const>, WIDTH <const> = 30, 420

--- The window. Arrows change a value, a click on it asks for one.
---@param r table
---@param gfx table
function settings.window(r, gfx)
  local list, state = settings.LIST, {}
  gfx.init("Neural Drummer: settings", WIDTH, ROW * (#list + 1) + 8, 0)
  gfx.setfont(1, "Arial", 15)
  local function ask(setting)
    local ok, value = r.GetUserInputs("Neural Drummer", 1,
      ("%s (%s),separator=\n,extrawidth=160"):format(setting.label, setting.hint),
      settings.get(r, setting))
    if ok then set(r, setting, value) end
  end
  local function loop()
    local key = gfx.getchar()
    if key == -1 or key == 27 then return gfx.quit() end
    gfx.set(0.18, 0.18, 0.18)
    gfx.rect(0, 0, WIDTH, ROW * (#list + 1) + 8, 1)
    gfx.set(0.85, 0.85, 0.85)
    local asked
    for i, setting in ipairs(list) do
      local y, value = (i - 1) * ROW + 4, settings.get(r, setting)
      work.text(gfx, setting.label, 12, y, 100, ROW)
      local arrows = setting.choices or setting.step
      if arrows then
        work.text(gfx, "<", 120, y, 24, ROW, true)
        work.text(gfx, ">", WIDTH - 36, y, 24, ROW, true)
        local by = work.clicked(gfx, state, 120, y, 24, ROW) and -1
          or work.clicked(gfx, state, WIDTH - 36, y, 24, ROW) and 1
        if by then set(r, setting, stepped(setting, value, by)) end
      end
      work.text(gfx, value == "" and FREE or value, 150, y, WIDTH - 192, ROW, true)
      if work.clicked(gfx, state, 150, y, WIDTH - 192, ROW) then asked = setting end
    end
    local y = #list * ROW + 4
    gfx.rect(WIDTH - 92, y, 80, 26, 0)
    work.text(gfx, "Close", WIDTH - 92, y, 80, 26, true)
    local closed = work.clicked(gfx, state, WIDTH - 92, y, 80, 26)
    state.down = gfx.mouse_cap & 1 == 1
    gfx.update()
    if closed then return gfx.quit() end
    if asked then ask(asked) end
    r.defer(loop)
  end
  loop()
end

return settings
