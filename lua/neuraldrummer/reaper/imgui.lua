--- The settings in a window of ReaImGui, if that extension is installed: for each a text
--- field, and beside it a list, a slider or two buttons.
local settings = require "neuraldrummer.reaper.settings"

local imgui = {}

local VERSION <const> = "0.9"    -- of its API; newer versions support it
local LABEL <const>, FIELD <const>, SLIDER <const> = 80, 200, 130
local ORANGE <const> = 0xE69F00FF

-- Loads the extension, in the way that its documentation describes; nil if there is none,
-- or an older one.
local function library(r)
  if not r.APIExists "ImGui_GetBuiltinPath" then return nil end
  local before = package.path
  package.path = r.ImGui_GetBuiltinPath() .. "/?.lua;" .. before
  local ok, ImGui = pcall(function() return require "imgui" (VERSION) end)
  package.path = before
  return ok and ImGui or nil
end

--- Opens the window and returns; REAPER then calls it through `defer`.
---@param r table the `reaper` table
---@return boolean opened false if ReaImGui is not installed
function imgui.open(r)
  local ImGui = library(r)
  if not ImGui then return false end
  local ctx = ImGui.CreateContext(settings.TITLE)
  local changed = {}             -- values that are not stored yet, by setting

  local function value_of(setting) return changed[setting] or settings.get(r, setting) end

  -- Not called while a key or a mouse button is down, because it writes to the disk.
  local function store()
    for setting, value in pairs(changed) do
      settings.set(r, setting, value)
      changed[setting] = nil
    end
  end

  local function list(setting)
    if not ImGui.BeginCombo(ctx, "##choices of " .. setting.name, "",
      ImGui.ComboFlags_NoPreview) then return end
    for _, choice in ipairs(setting.choices) do
      local name = choice == "" and settings.UNSET or choice
      if ImGui.Selectable(ctx, name, choice == value_of(setting)) then changed[setting] = choice end
    end
    ImGui.EndCombo(ctx)
  end

  -- Without a number, the slider stands in the middle and shows "-".
  local function slider(setting)
    local number = tonumber(value_of(setting))
    ImGui.SetNextItemWidth(ctx, SLIDER)
    local moved, to = ImGui.SliderDouble(ctx, "##slider of " .. setting.name,
      number or (setting.min + setting.max) / 2, setting.min, setting.max,
      number and "%.1f" or "-")
    if moved then changed[setting] = settings.number(setting, to) end
  end

  local function buttons(setting)
    for _, by in ipairs { -1, 1 } do
      local sign = by < 0 and "-" or "+"
      if by > 0 then ImGui.SameLine(ctx) end
      if ImGui.Button(ctx, ("%s##%s"):format(sign, setting.name), 24) then
        changed[setting] = settings.further(setting, value_of(setting), by)
      end
    end
  end

  local function row(setting)
    ImGui.AlignTextToFramePadding(ctx)
    ImGui.Text(ctx, setting.label)
    ImGui.SameLine(ctx, LABEL)
    ImGui.SetNextItemWidth(ctx, FIELD)
    local typed, text = ImGui.InputTextWithHint(ctx, "##" .. setting.name, settings.UNSET,
      value_of(setting))
    if typed then changed[setting] = text end
    if ImGui.IsItemHovered(ctx) then ImGui.SetTooltip(ctx, setting.hint) end
    local beside = setting.choices and list or setting.whole and buttons or setting.step and slider
    if beside then
      ImGui.SameLine(ctx)
      beside(setting)
    end
    local problem = settings.problem(setting, value_of(setting))
    if problem then ImGui.TextColored(ctx, ORANGE, problem) end
  end

  -- Draws the window; true if it is to be closed.
  local function content()
    -- checked before the fields: in a field, Escape restores its text
    local escaped = ImGui.IsWindowFocused(ctx) and not ImGui.IsAnyItemActive(ctx)
      and ImGui.IsKeyPressed(ctx, ImGui.Key_Escape)
    for _, setting in ipairs(settings.LIST) do row(setting) end
    ImGui.Separator(ctx)
    if ImGui.Button(ctx, "Defaults") then
      changed = {}
      settings.reset(r)
    end
    ImGui.SameLine(ctx)
    local closed = ImGui.Button(ctx, "Close")
    if not ImGui.IsAnyItemActive(ctx) then store() end
    return escaped or closed
  end

  local function loop()
    local shown, open = ImGui.Begin(ctx, settings.TITLE, true, ImGui.WindowFlags_AlwaysAutoResize)
    if shown then
      if content() then open = false end
      ImGui.End(ctx)             -- for a collapsed window, Begin has called it
    end
    if open then r.defer(loop) else store() end
  end
  r.defer(loop)
  return true
end

return imgui
