--- One session of a training, from its start or a checkpoint to its end or an interruption:
--- batches, validation and checkpoints. Its methods return true to continue, false when the
--- training has ended as `state` says, or nil and a message when a file failed.
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local saved_state = require "neuraldrummer.train.state"

local session = {}
session.__index = session

--- A session, from a table of what it works on; see train.run.
---@param self table
---@return table session
function session.new(self) return setmetatable(self, session) end

-- Mean loss per grid cell over the validation songs. NaN if the loss of a batch is not finite;
-- false if there is nothing to count.
local function validate(model, valid, world)
  local sum, cells = 0.0, 0
  while true do
    local more, message = valid:next()
    if more == nil then return nil, message end
    if not more then break end
    local loss, n = model:loss(valid)
    if loss then sum, cells = sum + loss * n, cells + n else sum = 0 / 0 end
  end
  local all, message = world:sum { sum, cells }
  if not all then return nil, message end
  return all[2] > 0 and all[1] / all[2]
end

local function finite(x) return x == x and x < math.huge and x > -math.huge end

local to_text = saved_state.to_text

-- The strings that all files of the training have.
function session:summary()
  local state = self.state
  return {
    ["train.songs"] = tostring(self.songs), ["train.epoch"] = tostring(state.epoch),
    ["train.loss"] = state.loss and to_text(state.loss),
    ["train.valid_loss"] = state.valid_loss and to_text(state.valid_loss),
    ["train.best"] = state.best and to_text(state.best),
    ["train.best_epoch"] = state.best_epoch and tostring(state.best_epoch),
  }
end

-- Writes the last checkpoint, with rows of the log that may not be on the disk yet.
function session:save_last()
  local state, o = self.state, self.options
  local logged, why_not = self.log:flush()
  local extra = self:summary()
  extra["train.row"] = self.log:waiting()
  extra["train.batch"] = tostring(state.batch)
  extra["train.sum"] = to_text(self.sum)
  extra["train.seconds"] = to_text(state.seconds)
  extra["train.corpus"] = self.corpus
  for name, text in pairs(saved_state.write(o)) do extra[name] = text end
  local ok, why = state.model:save(state.last,
    { training = true, batches = self.batches, extra = extra })
  if ok and logged then return true end
  return nil, not ok and not logged and ("%s; %s"):format(why_not, why) or why_not or why
end

-- Ends the training without saving weights, because they could not be loaded again.
function session:diverged(why)
  self.state.diverged, self.state.why = true, why
  self.log:settle()
  local ok, message = self.log:flush()
  if not ok then return nil, message end
  return false
end

-- Calls a callback of the options, if there is one, in the first process.
function session:notify(name, ...)
  local callback = self.leads and self.options[name]
  if callback then callback(self.state, ...) end
end

-- Writes a checkpoint within an epoch, and ends the session after Ctrl-C.
function session:checkpoint()
  local ok, message = self.state.model:is_finite()
  if not ok then return self:diverged(message) end
  ok, message = self:save_last()
  if not ok then return nil, message end
  if not self.state.interrupted then return true end
  self.log:settle()
  ok, message = self.log:flush()
  if not ok then return nil, message end
  return false
end

-- Trains one batch. The second result is false at the end of an epoch.
function session:train_batch()
  local state, o = self.state, self.options
  local more, message = self.batches:next()
  if more == nil then return nil, message end
  if not more then return true, false end
  local done = (state.epoch - 1) * state.batches + state.batch + 1
  state.rate = self.rate(o, done, state.batches * o.epochs)
  local loss, norm = state.model:train_step(self.batches,
    { rate = state.rate, clip = o.clip, epsilon = o.epsilon })
  state.seconds = self.seconds_before + core.clock() - self.started
  if not loss then  -- the weights are unchanged
    if norm:find "^training diverged" then return self:diverged(norm) end
    return nil, norm
  end
  self.sum = self.sum + loss
  state.batch = state.batch + 1
  state.loss, state.last_loss, state.norm = self.sum / state.batch, loss, norm
  self.log:add(state)
  self:notify "on_progress"
  -- an interruption or a failed disk in one process must stop all of them
  local failed
  state.interrupted, message = self.world:any(self.interrupt:seen())
  if message then return nil, message end
  failed, message = self.world:any(self.log.failed ~= nil)
  if message then return nil, message end
  local every = o.checkpoint_every or 0
  if state.interrupted or failed or (every > 0 and state.batch % every == 0) then
    local on, why = self:checkpoint()
    if not on then return on, why end
  end
  return true, true
end

-- Writes the best model and, if asked to, the model of the epoch.
function session:save_models(is_best)
  local state, o = self.state, self.options
  if is_best then
    local ok, message = state.model:save(o.out, { half = o.half, extra = self:summary() })
    if not ok then return nil, message end
  end
  if not o.keep_epochs then return true end
  return state.model:save(files.infix(o.out, ".epoch-" .. state.epoch),
    { extra = self:summary() })
end

-- Ends an epoch: validates, writes models and the checkpoint.
function session:end_epoch()
  local state = self.state
  local valid_loss, message
  if self.valid then
    valid_loss, message = validate(state.model, self.valid, self.world)
    if valid_loss == nil then return nil, message end
    if valid_loss and not finite(valid_loss) then
      return self:diverged "training diverged: the validation loss is not finite"
    end
  end
  state.valid_loss = valid_loss or nil
  self.log:settle(state.valid_loss)
  local ok
  ok, message = state.model:is_finite()
  if not ok then return self:diverged(message) end
  local loss = state.valid_loss or self.sum / state.batch
  local is_best = not state.best or loss < state.best
  if is_best then state.best, state.best_epoch = loss, state.epoch end
  if self.leads then ok, message = self:save_models(is_best) end
  if not ok then return nil, message end
  local finished = state.epoch
  state.epoch, state.batch, self.sum = finished + 1, 0, 0.0
  state.seconds = self.seconds_before + core.clock() - self.started
  ok, message = self:save_last()
  if not ok then return nil, message end
  self:notify("on_epoch", finished)
  self:notify "on_progress"
  state.interrupted, message = self.world:any(self.interrupt:seen()
    and state.epoch <= self.options.epochs)
  if message then return nil, message end
  return not state.interrupted
end

--- Runs the session.
---@return boolean? on nil when a file failed
---@return string? message
function session:train()
  local state = self.state
  self:notify "on_start"
  while state.epoch <= state.epochs do
    local on, more
    repeat
      on, more = self:train_batch()
      if not on then return on, more end
    until not more
    if state.batch == 0 then return nil, "the songs to train on are too short for one batch" end
    on, more = self:end_epoch()
    if not on then return on, more end
  end
  return self.log:flush()
end

return session
