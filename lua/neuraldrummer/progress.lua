--- A progress bar on stderr: the work done, its rate and the time left. Nothing is drawn
--- where stderr is no terminal.
local core = require "neuraldrummer.core"
local check = require "neuraldrummer.options".check

---@class neuraldrummer.modules.progress
local progress = {}

---@class neuraldrummer.progress
local bar = {}
bar.__index = bar

-- Seconds between two updates on the screen, and before the first rate is known.
local MIN_SECONDS <const> = 0.1

--- Formats a duration as 0:07, 3:45 or 1:02:03; as "-:--" if it is unknown or above 100
--- hours.
---@param seconds number
---@return string
function progress.time(seconds)
  if seconds ~= seconds or seconds >= 360000 then return "-:--" end
  local s = math.floor(seconds + 0.5)
  if s >= 3600 then return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60) end
  return ("%d:%02d"):format(s // 60, s % 60)
end

--- Formats one line of a progress bar. Without space for the bar, it is the text alone.
---@param columns integer maximum width
---@param done integer
---@param total integer
---@param unit string
---@param rate number units per second; 0 if not known yet
---@param text? string
---@return string
function progress.line(columns, done, total, unit, rate, text)
  local fraction = total > 0 and math.min(done / total, 1) or 1
  local left = rate > 0 and progress.time((total - done) / rate) or "-:--"
  local facts = (" %d/%d %s  %.1f/s  %s left"):format(done, total, unit, rate, left)
  if text and text ~= "" then facts = facts .. "  " .. text end
  local width = math.min(30, columns - 3 - #facts)
  if width < 8 then return facts:sub(2, columns) end
  local full = math.floor(fraction * width + 0.5)
  return ("[%s%s]%s"):format(("#"):rep(full), ("."):rep(width - full), facts)
end

--- A new progress bar; nothing is drawn before the first update.
---@param total integer units of work
---@param unit string name of the units, in the plural
---@param options? {quiet?: boolean, done?: integer} quiet: draw nothing; done: units done already
---@return neuraldrummer.progress
function progress.new(total, unit, options)
  options = check(options, { quiet = "boolean", done = "integer" })
  local columns = not options.quiet and core.terminal() or nil
  local now = core.clock()
  return setmetatable({
    total = total, unit = unit, columns = columns,
    done = options.done or 0, first = options.done or 0, started = now, drawn = -math.huge,
  }, bar)
end

--- Updates the bar. It is redrawn at most ten times per second, so that this may be called
--- for every file.
---@param done integer
---@param text? string
function bar:update(done, text)
  if not self.columns then return end
  self.done = done
  local now = core.clock()
  if now - self.drawn < MIN_SECONDS and done < self.total then return end
  self.drawn = now
  local seconds = now - self.started
  local rate = seconds > MIN_SECONDS and (done - self.first) / seconds or 0
  io.stderr:write("\r", progress.line(self.columns - 1, done, self.total, self.unit, rate, text),
    "\27[K")
  io.stderr:flush()
end

--- Removes the bar from the screen until the next update.
function bar:clear()
  if self.columns and self.drawn > -math.huge then io.stderr:write("\r\27[K") end
  self.drawn = -math.huge
end

--- Removes the bar for good.
function bar:finish()
  self:clear()
  self.columns = nil
end
bar.__close = bar.finish

return progress
