--- Runs long work in slices, so that REAPER's window never freezes: a coroutine that is
--- resumed through `defer`, with a window that shows its progress.
local work = {}

work.SLICE = 0.008               -- seconds; the last step of a slice ends within 10 ms
local QUIET <const> = 0.2        -- seconds; shorter work shows no window
local WIDTH <const>, HEIGHT <const> = 320, 96

-- Whether the left button went down within a rectangle since the last call.
local function clicked(gfx, state, x, y, w, h)
  local down = gfx.mouse_cap & 1 == 1
  local pressed = down and not state.down
  return pressed and gfx.mouse_x >= x and gfx.mouse_x < x + w and gfx.mouse_y >= y
    and gfx.mouse_y < y + h
end
work.clicked = clicked

--- Draws a text in a box.
---@param gfx any
---@param text string
function work.text(gfx, text, x, y, w, h, centred)
  gfx.x, gfx.y = x, y
  gfx.drawstr(text, (centred and 1 or 0) | 4, x + w, y + h)
end

-- Draws the window; true if the user cancels.
local function draw(gfx, title, state)
  if not state.open then
    gfx.init(title, WIDTH, HEIGHT, 0)
    gfx.setfont(1, "Arial", 15)
    state.open = true
  end
  local key = gfx.getchar()
  if key == -1 or key == 27 then return true end
  gfx.set(0.18, 0.18, 0.18)
  gfx.rect(0, 0, WIDTH, HEIGHT, 1)
  gfx.set(0.85, 0.85, 0.85)
  work.text(gfx, state.text or "", 12, 8, WIDTH - 24, 20)
  gfx.rect(12, 34, WIDTH - 24, 14, 0)
  gfx.rect(14, 36, math.floor((WIDTH - 28) * (state.share or 0)), 10, 1)
  local x, y, w, h = WIDTH - 92, 60, 80, 26
  gfx.rect(x, y, w, h, 0)
  work.text(gfx, "Cancel", x, y, w, h, true)
  gfx.update()
  local cancelled = clicked(gfx, state, x, y, w, h)
  state.down = gfx.mouse_cap & 1 == 1
  return cancelled
end

--- Runs `task` in slices, then calls `finish` once with its results: without any if the
--- user cancelled; with nil and the message if it raised.
---@param r table the `reaper` table
---@param gfx table
---@param title string
---@param task fun(pause: fun(wait?: boolean), say: fun(text: string, share: number)): ...
---@param finish fun(...)
function work.run(r, gfx, title, task, finish)
  local state, started, deadline = {}, r.time_precise(), nil
  local function pause(wait)
    if wait or r.time_precise() >= deadline then coroutine.yield() end
  end
  local function say(text, share) state.text, state.share = text, share end
  local routine = coroutine.create(function() return task(pause, say) end)
  local function done(...)
    if state.open then gfx.quit() end
    finish(...)
  end
  local function slice()
    if (state.open or r.time_precise() - started > QUIET) and draw(gfx, title, state) then
      coroutine.close(routine)
      return done()
    end
    deadline = r.time_precise() + work.SLICE
    local results = table.pack(coroutine.resume(routine))
    if coroutine.status(routine) ~= "dead" then
      r.defer(slice)
    elseif results[1] then
      done(table.unpack(results, 2, results.n))
    else
      done(nil, tostring(results[2]))
    end
  end
  slice()
end

return work
