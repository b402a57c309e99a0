--- One sitting of a training: what it trains, where it stands, and how that is
--- saved_state. Its steps return true to go on, false where the training has ended as
--- `state` says, or nil and a message.
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local saved_state = require "neuraldrummer.train.state"

local session = {}
session.__index = session

-- Mean loss a hit over the validation songs; NaN when it is none, false when no
-- hit was counted.
local function validate(model, valid, world)
  local sum, count = 0.0, 0
  while true do
    local more, message = valid:next()
    if more == nil then return nil, message end
    if not more then break end
    local loss, n = model:loss(valid)
    if loss then sum, count = sum + loss * n, count + n else sum = 0 / 0 end
  end
  local all, message = world:sum { sum, count }
  if not all then return nil, message end
  return all[2] > 0 and all[1] / all[2]
end

local function finite(x) return x == x and x < math.huge and x > -math.huge end

local to_text = saved_state.to_text

-- What every file of the training says of it.
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

-- Nothing that could not be loaded again is saved.
function session:diverged(why)
  self.state.diverged, self.state.why = true, why
  self.log:settle()
  local ok, message = self.log:flush()
  if not ok then return nil, message end
  return false
end

function session:tell()
  if self.leads and self.options.on_progress then self.options.on_progress(self.state) end
end

-- A checkpoint within an epoch.
function session:pause()
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

-- One batch; second, whether there was one.
function session:learn()
  local state, o = self.state, self.options
  local more, message = self.batches:next()
  if more == nil then return nil, message end
  if not more then return true, false end
  local done = (state.epoch - 1) * state.batches + state.batch + 1
  state.rate = self.rate(o, done, state.batches * o.epochs)
  local loss, norm = state.model:train_step(self.batches,
    { rate = state.rate, clip = o.clip, epsilon = o.epsilon })
  state.seconds = self.before + core.clock() - self.started
  if not loss then  -- nor is the step taken: the weights are as before it
    if norm:find "^training diverged" then return self:diverged(norm) end
    return nil, norm
  end
  self.sum = self.sum + loss
  state.batch = state.batch + 1
  state.loss, state.last_loss, state.norm = self.sum / state.batch, loss, norm
  self.log:add(state)
  self:tell()
  -- of what one process sees, all must think the same
  local failed
  state.interrupted, message = self.world:any(self.interrupt:seen())
  if message then return nil, message end
  failed, message = self.world:any(self.log.failed ~= nil)
  if message then return nil, message end
  local every = o.checkpoint_every or 0
  if state.interrupted or failed or (every > 0 and state.batch % every == 0) then
    local on, why = self:pause()
    if not on then return on, why end
  end
  return true, true
end

-- What follows an epoch: its validation, and what is saved.
function session:end_epoch()
  local state, o = self.state, self.options
  local valid_loss, message
  if self.valid then
    valid_loss, message = validate(state.model, self.valid, self.world)
    if valid_loss == nil then return nil, message end
    if valid_loss and not finite(valid_loss) then
      return self:diverged "training diverged: the validation's loss is not finite"
    end
  end
  state.valid_loss = valid_loss or nil
  self.log:settle(state.valid_loss)
  local judged = state.valid_loss or self.sum / state.batch
  local best = not state.best or judged < state.best
  local ok
  ok, message = state.model:is_finite()
  if not ok then return self:diverged(message) end
  if best then state.best, state.best_epoch = judged, state.epoch end
  if best and self.leads then
    ok, message = state.model:save(o.out, { half = o.half, extra = self:summary() })
  end
  if ok and o.keep_epochs and self.leads then
    ok, message = state.model:save(files.infix(o.out, ".epoch-" .. state.epoch),
      { extra = self:summary() })
  end
  if not ok then return nil, message end
  state.epoch, state.batch, self.sum = state.epoch + 1, 0, 0.0
  state.seconds = self.before + core.clock() - self.started
  ok, message = self:save_last()
  if not ok then return nil, message end
  self:tell()
  state.interrupted, message = self.world:any(self.interrupt:seen() and state.epoch <= o.epochs)
  if message then return nil, message end
  return not state.interrupted
end

function session:train()
  local state = self.state
  while state.epoch <= state.epochs do
    local on, more
    repeat
      on, more = self:learn()
      if not on then return on, more end
    until not more
    if state.batch == 0 then return nil, "the songs to train on are too short for one batch" end
    on, more = self:end_epoch()
    if not on then return on, more end
  end
  return self.log:flush()
end

return session
