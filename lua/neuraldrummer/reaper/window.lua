--- The settings in a window of gfx, which every REAPER has. Arrows change a value; a
--- click on it opens a dialog.
local settings = require "neuraldrummer.reaper.settings"
local work = require "neuraldrummer.reaper.work"

local window = {}

local ROW <const>, WIDTH <const>, EDGE <const> = 30, 420, 12
local BUTTON <const> = 80

--- Opens the window and returns; REAPER then calls it through `defer`.
---@param r table the `reaper` table
---@param gfx table
function window.open(r, gfx)
  local list, state = settings.LIST, {}
  local height = ROW * (#list + 2) + 8
  gfx.init(settings.TITLE, WIDTH, height, 0)
  gfx.setfont(1, "Arial", 15)
  local function pressed(x, y, w, h) return work.clicked(gfx, state, x, y, w, h or ROW) end
  local function button(text, x, y)
    gfx.rect(x, y, BUTTON, 26, 0)
    work.text(gfx, text, x, y, BUTTON, 26, true)
    return pressed(x, y, BUTTON, 26)
  end
  local function ask(setting)
    local ok, value = r.GetUserInputs("Neural Drummer", 1,
      ("%s (%s),separator=\n,extrawidth=160"):format(setting.label, setting.hint),
      settings.get(r, setting))
    if ok then settings.set(r, setting, value) end
  end
  local function row(setting, y)
    local value = settings.get(r, setting)
    work.text(gfx, setting.label, EDGE, y, 100, ROW)
    if setting.choices or setting.step then
      local right = WIDTH - 36
      work.text(gfx, "<", 120, y, 24, ROW, true)
      work.text(gfx, ">", right, y, 24, ROW, true)
      local by = pressed(120, y, 24) and -1 or pressed(right, y, 24) and 1
      if by then settings.set(r, setting, settings.further(setting, value, by)) end
    end
    work.text(gfx, value == "" and settings.UNSET or value, 150, y, WIDTH - 192, ROW, true)
    return pressed(150, y, WIDTH - 192), settings.problem(setting, value)
  end
  local function loop()
    local key = gfx.getchar()
    if key == -1 or key == 27 then return gfx.quit() end
    gfx.set(0.18, 0.18, 0.18)
    gfx.rect(0, 0, WIDTH, height, 1)
    gfx.set(0.85, 0.85, 0.85)
    local asked, problem
    for i, setting in ipairs(list) do
      local clicked, wrong = row(setting, (i - 1) * ROW + 4)
      if clicked then asked = setting end
      problem = problem or wrong
    end
    local y = (#list + 1) * ROW + 4
    if button("Defaults", EDGE, y) then settings.reset(r) end
    local closed = button("Close", WIDTH - EDGE - BUTTON, y)
    if problem then
      gfx.set(0.9, 0.62, 0)
      work.text(gfx, problem, EDGE, #list * ROW + 4, WIDTH - 2 * EDGE, ROW)
    end
    state.down = gfx.mouse_cap & 1 == 1
    gfx.update()
    if closed then return gfx.quit() end
    if asked then ask(asked) end
    r.defer(loop)
  end
  loop()
end

return window
