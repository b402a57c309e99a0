--- The log of a training: a TSV file, one row a batch. A row waits for the next
--- batch, since an epoch's last one takes the validation's loss along; written
--- ones are kept until the disk has them, so that a checkpoint can hold what a
--- full disk would lose.
local files = require "neuraldrummer.files"
local format = require "neuraldrummer.decimal".format

local ENOENT <const> = 2  -- on every system that has an errno
local COLUMNS <const> = "epoch\tbatch\tloss\tvalid\trate\tnorm\tseconds\n"

---@class neuraldrummer.train_log
---@field failed? string why the disk takes no more
local log = {}
log.__index = log

--- Whether a file is the log of a training.
---@param path string
---@return boolean
function log.is_log(path) return files.read(path, 6) == "epoch\t" end

-- Rows of an earlier sitting's file from before an epoch's batch: those behind
-- it were written since the checkpoint, or are in it.
local function rows_before(path, epoch, batch)
  local file <close>, message, errno = files.open(path)
  if errno == ENOENT then return {} end  -- its message may be in any language
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

--- Opens the log, with what an earlier sitting wrote up to its checkpoint.
---@param path? string without one, rows wait and go nowhere
---@param at? {epoch: integer, batch: integer, waiting?: string} the checkpoint gone on from:
--- its place, and what its log's `waiting` was
---@return neuraldrummer.train_log? log
---@return string? message
function log.open(path, at)
  local self = setmetatable({ path = path, row = at and at.waiting, unsure = {} }, log)
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

--- Writes the row that waits, with the validation's loss where there is one.
---@param valid_loss? number
function log:settle(valid_loss)
  if self.row and self.file then
    local row = self.row:format(valid_loss and format("%.6f", valid_loss) or "")
    self.unsure[#self.unsure + 1] = row
    local ok, why = self.file:write(row)
    if not ok then self.failed = self.failed or why end
  end
  self.row = nil
end

--- The row of a batch, which waits; the one before it is written.
---@param state neuraldrummer.train_state
function log:add(state)
  self:settle()
  self.row = format("%d\t%d\t%.6f\t%%s\t%.6g\t%.6g\t%.1f\n", state.epoch, state.batch,
    state.last_loss, state.rate, state.norm, state.seconds)
end

---@return boolean? ok
---@return string? message that names the file
function log:flush()
  if self.file and not self.failed then
    local ok, why = self.file:flush()
    if ok then self.unsure = {} else self.failed = why end
  end
  if self.failed then return nil, ("%s: %s"):format(self.path, self.failed) end
  return true
end

--- What the disk may not have, for the checkpoint.
---@return string? rows
function log:waiting()
  local rows = table.concat(self.unsure) .. (self.row or "")
  return rows ~= "" and rows or nil
end

function log:close()
  if self.file then self.file:close() end
  self.file = nil
end
log.__close = log.close

return log
