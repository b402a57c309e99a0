--- A bar on the terminal: how much is done, how fast, how long still.
--- Written to stderr, and only where that is a terminal.
local core = require "neuraldrummer.core"
local check = require "neuraldrummer.options".check

---@class neuraldrummer.modules.progress
local progress = {}

---@class neuraldrummer.progress
local bar = {}
bar.__index = bar

--- Seconds as 0:07, 3:45 or 1:02:03.
---@param seconds number
---@return string
function progress.time(seconds)
  if seconds ~= seconds or seconds >= 360000 then return "-:--" end
  local s = math.floor(seconds + 0.5)
  if s >= 3600 then return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60) end
  return ("%d:%02d"):format(s // 60, s % 60)
end

--- One line of the bar, at most `columns` wide.
---@param columns integer
---@param done integer
---@param total integer
---@param unit string
---@param rate number units a second; 0 when not known yet
---@param text? string
---@return string
function progress.line(columns, done, total, unit, rate, text)
  local share = total > 0 and math.min(done / total, 1) or 1
  local left = rate > 0 and progress.time((total - done) / rate) or "-:--"
  local facts = (" %d/%d %s  %.1f/s  %s left"):format(done, total, unit, rate, left)
  if text and text ~= "" then facts = facts .. "  " .. text end
  local width = math.min(30, columns - 3 - #facts)
  if width < 8 then return facts:sub(2, columns) end
  local full = math.floor(share * width + 0.5)
  return ("[%s%s]%s"):format(("#"):rep(full), ("."):rep(width - full), facts)
end

---@param total integer
---@param unit string what is counted, in the plural
---@param options? {quiet?: boolean, done?: integer} done: where it starts
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

--- Ten times a second at most, so that it may be called for every file.
---@param done integer
---@param text? string
function bar:update(done, text)
  if not self.columns then return end
  self.done = done
  local now = core.clock()
  if now - self.drawn < 0.1 and done < self.total then return end
  self.drawn = now
  local passed = now - self.started
  local rate = passed > 0.1 and (done - self.first) / passed or 0  -- before that, a guess
  io.stderr:write("\r", progress.line(self.columns - 1, done, self.total, self.unit, rate, text),
    "\27[K")
  io.stderr:flush()
end

--- Takes the bar off the screen, until the next update.
function bar:clear()
  if self.columns and self.drawn > -math.huge then io.stderr:write("\r\27[K") end
  self.drawn = -math.huge
end

--- The same, for good.
function bar:finish()
  self:clear()
  self.columns = nil
end
bar.__close = bar.finish

return progress
