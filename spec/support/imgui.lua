--- A stand-in for ReaImGui: the functions that are used here, with their
--- documented arguments and results. What is shown is kept, and a user of our
--- own acts on it; Begin and End must balance in every frame, no two things have
--- one name, and no context outlives a cycle without use.
local imgui = {
  user = nil,                    -- of the project that was opened last
}

-- Types of arguments behind the context; "?": may be left out.
local SIGNATURES <const> = {
  Begin = "s b? i?", End = "", Text = "s", TextColored = "i s", AlignTextToFramePadding = "",
  SameLine = "n? n?", SetNextItemWidth = "n", InputTextWithHint = "s s s i?", Button = "s n? n?",
  SliderDouble = "s n n n s? i?", BeginCombo = "s s i?", EndCombo = "",
  Selectable = "s b? i? n? n?",
  Separator = "", SetTooltip = "s", IsItemHovered = "i?", IsWindowFocused = "i?",
  IsAnyItemActive = "", IsKeyPressed = "i b?",
}
local CONSTANTS <const> = { Key_Escape = 526, WindowFlags_AlwaysAutoResize = 64,
  ComboFlags_NoPreview = 64 }
local TYPES <const> = { s = "string", n = "number", b = "boolean" }

local function check(name, ...)
  local given, i = table.pack(...), 0
  for kind, optional in SIGNATURES[name]:gmatch "(%a)(%??)" do
    i = i + 1
    local value = given[i]
    local fits = optional == "?" and value == nil
      or kind == "i" and math.type(value) == "integer" or type(value) == TYPES[kind]
    if not fits then error(("ImGui.%s: argument %d is no %s"):format(name, i + 1, kind), 3) end
  end
  if given.n > i then error(("ImGui.%s: %d arguments"):format(name, given.n + 1), 3) end
end

--- A user; `does[label]` is what happens to a thing of that name, once: true
--- for a click, a text that is written, a number that a slider is drawn to. `key`
--- is pressed and `active` held in the next frame; `folded` windows show nothing,
--- `closing` ones are closed by their cross.
function imgui.new_user()
  local user = { does = {}, shown = {}, texts = {}, frames = 0, open = 0, turn = 0 }
  imgui.user = user

  --- To be called when a deferred function has returned.
  function user.frame_over()
    assert(not user.window and not user.combo, "Begin without End")
    user.turn, user.key, user.active = user.turn + 1, nil, nil
  end
  return user
end

local api = {}

local function take(label)
  local done = imgui.user.does[label]
  imgui.user.does[label] = nil
  return done
end

-- A thing of the window, whose label names it.
local function thing(label, value)
  local user = imgui.user
  assert(user.window, "outside of a window")
  assert(label ~= "" and not user.names[label], "two things of one name: " .. label)
  user.names[label], user.shown[label] = true, value
end

function api.Begin(name, open)
  local user = imgui.user
  assert(not user.window and name ~= "", "Begin within Begin")
  user.names, user.texts, user.frames = {}, {}, user.frames + 1
  open = open and not user.closing
  if user.folded then return false, open end  -- and End is not to be called
  user.window = name
  return true, open
end

function api.End()
  assert(imgui.user.window and not imgui.user.combo, "End without Begin")
  imgui.user.window = nil
end

function api.Text(text) table.insert(imgui.user.texts, text) end
function api.TextColored(_, text) table.insert(imgui.user.texts, text) end
function api.SetTooltip(text) imgui.user.tooltip = text end
function api.IsItemHovered() return imgui.user.hovers or false end
function api.IsWindowFocused() return true end
function api.IsAnyItemActive() return imgui.user.active or false end
function api.IsKeyPressed(key) return imgui.user.key == key end
for _, name in ipairs { "AlignTextToFramePadding", "SameLine", "SetNextItemWidth", "Separator" } do
  api[name] = function() assert(imgui.user.window, "outside of a window") end
end

function api.InputTextWithHint(label, hint, text)
  thing(label, text == "" and hint or text)
  local written = take(label)
  return written ~= nil, written or text
end

function api.Button(label)
  thing(label, true)
  return take(label) or false
end

function api.SliderDouble(label, value, least, most, format)
  assert(least <= most)
  thing(label, (format or "%.3f"):find "%%" and format:format(value) or format)
  local to = take(label)
  return to ~= nil, to or value
end

-- A list is open for the frame in which something is chosen from it.
function api.BeginCombo(label, preview)
  thing(label, preview)
  local chosen = take(label)
  if chosen then imgui.user.combo = { chosen = chosen } end
  return chosen ~= nil
end

function api.Selectable(label, selected)
  local combo = assert(imgui.user.combo, "outside of a list")
  assert(not combo[label], "twice in one list: " .. label)
  combo[label] = true
  if label ~= combo.chosen then return false, selected or false end
  combo.found = true
  return true, not selected
end

function api.EndCombo()
  local combo = assert(imgui.user.combo, "EndCombo without BeginCombo")
  assert(combo.found, "not in the list: " .. tostring(combo.chosen))
  imgui.user.combo = nil
end

--- What `require "imgui"` is in REAPER.
---@param version string of the API
function imgui.library(version)
  if imgui.user.version and imgui.user.version ~= version then
    error("reaper_imgui does not answer to API version " .. version)
  end
  local ImGui = {}
  for name, value in pairs(CONSTANTS) do ImGui[name] = value end
  function ImGui.CreateContext(label)
    assert(type(label) == "string")
    return { kind = "context", turn = imgui.user.turn }
  end
  for name, f in pairs(api) do
    ImGui[name] = function(ctx, ...)
      if type(ctx) ~= "table" or ctx.kind ~= "context" then
        error(("ImGui.%s: argument 1 is no context"):format(name), 2)
      elseif ctx.turn < imgui.user.turn - 1 then
        error("the context was not used in a cycle, and is gone", 2)
      end
      ctx.turn = imgui.user.turn
      check(name, ...)
      return f(...)
    end
  end
  return setmetatable(ImGui, { __index = function(_, name)
    error(("attempt to access a nil value (field '%s')"):format(name), 2)
  end })
end

return imgui
