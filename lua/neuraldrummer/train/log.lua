--- The log of a training: a TSV file with one row per batch. A row is written when the next
--- batch is done, because the last row of an epoch includes the validation loss. Rows are
--- also remembered until they are flushed, so that a checkpoint can store rows that a full
--- disk would lose.
local files = require "neuraldrummer.files"
local format = require "neuraldrummer.decimal".format

local ENOENT <const> = 2  -- on every system that has an errno
local COLUMNS <const> = "epoch\tbatch\tloss\tvalid\trate\tnorm\tseconds\n"

---@class neuraldrummer.train_log
---@field failed? string why a row could not be written
local log = {}
log.__index = log

--- Whether a file is a training log.
---@param path string
---@return boolean
function log.is_log(path) return files.read(path, 6) == "epoch\t" end

-- Rows of an earlier session before a batch. Later rows were written after the checkpoint, or
-- are in it.
local function rows_before(path, epoch, batch)
  local file <close>, message, errno = files.open(path)
  if errno == ENOENT then return {} end  -- the message depends on the locale
  if not file then return nil, message end
  local text, why = file:read "a"
  if not text then return nil, ("%s: %s"):format(path, why) end
  local rows = {}
  for line in text:gmatch "[^\n]+\n" do
    local e, b = line:match "^(%d+)\t(%d+)\t"
    e, b = math.tointeger(e), math.tointeger(b)
    if e and (e < epoch or (e == epoch and b < batch)) then rows[#rows + 1] = line end
  end
  return rows
end

--- Opens the log. When a training is resumed, rows up to its checkpoint stay.
---@param path? string without one, nothing is written
---@param at? {epoch: integer, batch: integer, waiting?: string} position of the checkpoint, and
--- the rows that it stores
---@return neuraldrummer.train_log? log
---@return string? message
function log.open(path, at)
  local self = setmetatable({ path = path, row = at and at.waiting, unflushed = {} }, log)
  if not path then return self end
  local rows = {}
  if at then
    local epoch, batch = (at.waiting or ""):match "^(%d+)\t(%d+)\t"
    local message
    rows, message = rows_before(path, math.tointeger(epoch) or at.epoch,
      math.tointeger(batch) or at.batch)
    if not rows then return nil, message end
  end
  local ok, message = files.write(path, COLUMNS .. table.concat(rows))
  if not ok then return nil, message end
  self.file, message = io.open(path, "a")
  if not self.file then return nil, message end
  return self
end

--- Writes the pending row.
---@param valid_loss? number validation loss, at the end of an epoch
function log:settle(valid_loss)
  if self.row and self.file then
    local row = self.row:format(valid_loss and format("%.6f", valid_loss) or "")
    self.unflushed[#self.unflushed + 1] = row
    local ok, why = self.file:write(row)
    if not ok then self.failed = self.failed or why end
  end
  self.row = nil
end

--- Adds the row of a batch, which stays pending, and writes the one before it.
---@param state neuraldrummer.train_state
function log:add(state)
  self:settle()
  self.row = format("%d\t%d\t%.6f\t%%s\t%.6g\t%.6g\t%.1f\n", state.epoch, state.batch,
    state.last_loss, state.rate, state.norm, state.seconds)
end

--- Flushes the rows that are written.
---@return boolean? ok
---@return string? message that names the file
function log:flush()
  if self.file and not self.failed then
    local ok, why = self.file:flush()
    if ok then self.unflushed = {} else self.failed = why end
  end
  if self.failed then return nil, ("%s: %s"):format(self.path, self.failed) end
  return true
end

--- Rows that may not be on the disk, for the checkpoint.
---@return string? rows
function log:waiting()
  local rows = table.concat(self.unflushed) .. (self.row or "")
  return rows ~= "" and rows or nil
end

--- Closes the file.
function log:close()
  if self.file then self.file:close() end
  self.file = nil
end
log.__close = log.close

return log
