--- The settings in a window of ReaImGui, where that extension is installed:
--- each a field to write in, and beside it a list, a slider or two buttons.
local settings = require "neuraldrummer.reaper.settings"

local imgui = {}

local VERSION <const> = "0.9"    -- of its API; newer ones still answer to it
local LABEL <const>, FIELD <const>, SLIDER <const> = 80, 200, 130
local ORANGE <const> = 0xE69F00FF

-- The extension, as its own documentation says; nil where there is none, or an
-- older one.
local function library(r)
  if not r.APIExists "ImGui_GetBuiltinPath" then return nil end
  local before = package.path
  package.path = r.ImGui_GetBuiltinPath() .. "/?.lua;" .. before
  local ok, ImGui = pcall(function() return require "imgui" (VERSION) end)
  package.path = before
  return ok and ImGui or nil
end

--- Opens it, and leaves; the rest goes by `defer`.
---@param r table the `reaper` table
---@return boolean opened false: ReaImGui is not there
function imgui.open(r)
  local ImGui = library(r)
  if not ImGui then return false end
  local ctx = ImGui.CreateContext(settings.TITLE)
  local changed = {}             -- what is not stored yet, by setting

  local function value_of(setting) return changed[setting] or settings.get(r, setting) end

  -- Not while a key or a mouse button is down: each is a write to the disk.
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
      local name = choice == "" and settings.FREE or choice
      if ImGui.Selectable(ctx, name, choice == value_of(setting)) then changed[setting] = choice end
    end
    ImGui.EndCombo(ctx)
  end

  -- As long as there is no number, the slider stands in the middle and says so.
  local function slider(setting)
    local number = tonumber(value_of(setting))
    ImGui.SetNextItemWidth(ctx, SLIDER)
    local moved, to = ImGui.SliderDouble(ctx, "##slider of " .. setting.name,
      number or (setting.least + setting.most) / 2, setting.least, setting.most,
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
    local typed, text = ImGui.InputTextWithHint(ctx, "##" .. setting.name, settings.FREE,
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

  -- What is in the window; true when it is to be closed.
  local function content()
    -- before any field: in one, Escape takes back what was written there
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
      ImGui.End(ctx)             -- of a window that is folded up, Begin has done it
    end
    if open then r.defer(loop) else store() end
  end
  r.defer(loop)
  return true
end

return imgui
