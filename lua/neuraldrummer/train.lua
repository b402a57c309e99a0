--- The training loop: batches through a model, a schedule for the rate,
--- validation after each epoch, checkpoints, a log. It can be stopped at any
--- batch, and goes on from its last checkpoint to the very same losses. Several
--- processes can share it, whatever their number: the batches stay the same.
---
--- Files, for `out` = "m.safetensors":
---   m.safetensors       the weights with the best validation loss so far
---   m.last.safetensors  the latest weights and all that going on needs
---   m.epoch-3.safetensors  with `keep_epochs`: the weights after each epoch
---   m.safetensors.training  while it is trained: no other may
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local compatible = require "neuraldrummer.compatible"
local saved_state = require "neuraldrummer.train.state"
local log = require "neuraldrummer.train.log"
local session = require "neuraldrummer.train.session"
local check = require "neuraldrummer.options".check

---@class neuraldrummer.modules.train
local train = {}

---@class neuraldrummer.train_options
---@field out string path of the checkpoint to write
---@field from? string path of a model to teach further, whose styles become those of the corpus
---@field model? neuraldrummer.model what to train; default: a new one
---@field preset? "drummer"|"neuraldrummer2023" of a new model; default as the corpus was made
---@field hidden? integer of a new model
---@field layers? integer of a new model
---@field dropout? number of a new model
---@field encoder? integer of a new model: units a direction; 0: it hears no more than the step
---@field causal? boolean of a new model: it hears no step to come
---@field epochs? integer
---@field rate? number Adam's, at its highest
---@field warmup? integer batches until it is reached
---@field cosine? boolean whether the rate then falls to `floor` of itself at the end
---@field floor? number
---@field clip? number highest norm of the gradient; 0: no limit
---@field epsilon? number Adam's
---@field batch? integer
---@field steps? integer stretch of truncated BPTT
---@field seed? integer
---@field history_dropout? boolean
---@field threads? integer
---@field half? boolean save the best weights in half precision
---@field keep_epochs? boolean
---@field checkpoint_every? integer batches between checkpoints within an epoch (default 200; 0:
--- none)
---@field resume? boolean go on from the last checkpoint of `out`, with its options where no others
--- are given
---@field log? string path of a TSV file: one row a batch
---@field distributed? neuraldrummer.world the processes that share it; the first writes all files
---@field on_progress? fun(state: neuraldrummer.train_state)

local KNOWN = {
  out = "string", from = "string", model = "userdata|table", preset = "string", hidden = "integer",
  layers = "integer", dropout = "number", encoder = "integer", causal = "boolean",
  epochs = "integer", rate = "number",
  warmup = "integer", cosine = "boolean", floor = "number", clip = "number",
  epsilon = "number", batch = "integer", steps = "integer", seed = "integer",
  history_dropout = "boolean", threads = "integer", half = "boolean",
  keep_epochs = "boolean", checkpoint_every = "integer", resume = "boolean",
  log = "string", distributed = "userdata", on_progress = "function",
}

local DEFAULTS = {
  drummer = {
    epochs = 20, rate = 2e-3, warmup = 100, cosine = true, floor = 0.02, clip = 1.0,
    epsilon = 1e-8, seed = 1, checkpoint_every = 200,
  },
  -- Keras' Adam, as the 2023 system has it
  neuraldrummer2023 = {
    epochs = 10, rate = 1e-3, warmup = 0, cosine = false, floor = 1.0, clip = 0.0,
    epsilon = 1e-7, seed = 1, keep_epochs = true, checkpoint_every = 200,
  },
}

-- Of a model that can play already: softly, and not for long, or it forgets.
local TEACHING <const> = { rate = 2e-4, warmup = 20, batch = 8, epochs = 8 }

local NO_FILE <const> = 2  -- ENOENT, the same everywhere

-- What a model already is cannot be asked of it.
local OF_NEW <const> = { "model", "preset", "hidden", "layers", "dropout", "encoder", "causal" }

---@class neuraldrummer.train_state
---@field epoch integer the one being run
---@field epochs integer
---@field batch integer done in it
---@field batches integer in an epoch
---@field loss? number mean of this epoch so far; nil where none is known yet
---@field last_loss? number of the latest batch of this sitting; nil before the first
---@field norm? number likewise
---@field rate? number likewise
---@field valid_loss? number of the latest validation; nil without one, or where it had no hits to
--- count
---@field best? number lowest loss of an epoch: validation's, or training's without valid songs
---@field best_epoch? integer
---@field seconds number of training, earlier sittings included
---@field interrupted boolean stopped by Ctrl-C, after saving
---@field diverged boolean stopped because the loss was no number any more, or a weight none that
--- can be saved
---@field why? string which, when it diverged
---@field model neuraldrummer.model
---@field last string path of the last checkpoint

--- The rate of batch `n` of `total`, from 1.
---@param o {rate: number, warmup: integer, cosine: boolean, floor: number}
---@param n integer
---@param total integer
---@return number
function train.rate(o, n, total)
  local warmup = math.min(o.warmup, total // 4)  -- a short training still gets to its rate
  if n <= warmup then return o.rate * n / warmup end
  if not o.cosine then return o.rate end
  local share = (n - warmup) / math.max(total - warmup, 1)
  return o.rate * (o.floor + (1 - o.floor) * 0.5 * (1 + math.cos(math.pi * math.min(share, 1))))
end

-- Whether there are songs of a split that are long enough for the model.
local function has_split(corpus, split, model)
  local window = model:config().window
  for i = 1, #corpus do
    local song = corpus:info(i)
    if song.split == split and song.steps > window then return true end
  end
  return false
end

-- A corpus by its songs' names, lengths and splits, and what they are cut into.
local function fingerprint(corpus)
  local settings = corpus:settings()
  local hash = core.hash(("%s %d %s"):format(settings.kit_text, settings.steps_per_beat,
    settings.beat))
  for i = 1, #corpus do
    local song = corpus:info(i)
    hash = core.hash(("<i8 i8 z z"):pack(hash, song.steps, song.split, song.name))
  end
  return ("%016x"):format(hash)
end

-- A training that no other process has a part in.
local ALONE <const> = {
  rank = function() return 1 end,
  sum = function(_, numbers) return numbers end,
  any = function(_, here) return here end,
  same = function() return true end,
}

-- What all processes of a training must have before them alike.
local function outlook(mark, batches, valid, model, place, o)
  local config = model:config()
  local list = {}
  for name, text in pairs(saved_state.write(o)) do list[#list + 1] = name .. "=" .. text end
  table.sort(list)
  return table.concat({ mark, batches:count(), valid and valid:count() or 0, config.parameters,
    config.styles, place.epoch or 0, place.batch or 0, table.unpack(list) }, " ")
end

-- A model that hears and plays as the corpus was made, with the corpus' styles.
local function taught(corpus, path)
  local model, message = core.load_model(path)
  if not model then return nil, message end
  local ok
  ok, message = compatible.check(corpus, model, path)
  if not ok then return nil, message end
  if model:config().features == "whole" then
    local styles
    styles, message = model:learn_styles(corpus)
    if not styles then return nil, message end
  end
  return model, { options = {} }
end

-- What a training that goes on has as it was, of its model and its batches.
local STAY <const> = { "preset", "hidden", "layers", "dropout", "encoder", "causal", "batch",
  "steps", "seed" }

-- As a float: what a model keeps of a number.
local function single(value)
  return type(value) == "number" and ("<f"):unpack(("<f"):pack(value)) or value
end

-- The model of the last checkpoint, with where its training stands.
local function resumed(corpus, options, last, mark)
  local model, message = core.load_model(last)
  if not model then return nil, message end
  local extra = model:extra()
  if not extra["train.epoch"] then return nil, last .. ": holds no training to go on with" end
  local place = saved_state.read(extra)
  if not place then return nil, last .. ": the state of its training is broken" end
  local ok
  ok, message = compatible.check(corpus, model, last)
  if not ok then return nil, message end
  if place.songs ~= #corpus then
    return nil, ("%s: was trained on a corpus of %d songs, and %s has %d"):format(last, place.songs,
      corpus:path(), #corpus)
  elseif place.corpus and place.corpus ~= mark then  -- older ones keep none
    return nil, ("%s: was trained on other songs than those of %s"):format(last, corpus:path())
  end
  local config = model:config()
  for _, name in ipairs(STAY) do
    local now, was = options[name], place.options[name]
    if was == nil then was = config[name] end
    if now ~= nil and was ~= nil and single(now) ~= single(was) then
      return nil, ("%s: option '%s' is %s there, not %s"):format(last, name, was, now)
    end
  end
  return model, place
end

-- A model to train, with the state of an earlier sitting when there is one.
local function starting_model(corpus, options, last, mark)
  if options.resume then return resumed(corpus, options, last, mark) end
  if options.from then return taught(corpus, options.from) end
  if options.model then return options.model, { options = {} } end
  local preset = options.preset or (corpus:settings().original and "neuraldrummer2023" or "drummer")
  local model = core.model {
    preset = preset, tokeniser = corpus:tokeniser(), seed = options.seed or 1,
    hidden = options.hidden, layers = options.layers, dropout = options.dropout,
    encoder = options.encoder, causal = options.causal,
  }
  if model:config().features == "whole" then
    local styles, message = model:learn_styles(corpus)
    if not styles then return nil, message end
  end
  return model, { options = {} }
end

-- Given now, else as in the checkpoint, else the preset's.
local function settle_options(options, config, place)
  local o = {}
  for _, some in ipairs { DEFAULTS[config.preset] or DEFAULTS.drummer,
    options.from and TEACHING or {}, place.options, options } do
    for name, value in pairs(some) do o[name] = value end
  end
  return o
end

-- Batches to learn from and, where the corpus has songs for it, to choose by.
local function open_batches(corpus, model, o)
  local batches, valid, message
  batches, message = corpus:batches {
    model = model, split = "train", batch = o.batch, steps = o.steps, seed = o.seed,
    history_dropout = o.history_dropout, resume = o.resume, world = o.distributed,
  }
  if batches and has_split(corpus, "valid", model) then
    valid, message = corpus:batches {
      model = model, split = "valid", shuffle = false, batch = o.batch, steps = o.steps,
      seed = o.seed, world = o.distributed,
    }
  end
  if message then return nil, message end
  return batches, valid
end

-- The lock on a training's files, for the one who writes them.
local function claimed(out, leads)
  if not leads then return nil end
  local lock, message = core.lock(out .. ".training")
  return lock, message or out .. ": is being trained by another"
end

--- Trains, and returns how it ended; `nil, message` when a file failed.
---@param corpus neuraldrummer.corpus
---@param options neuraldrummer.train_options
---@return neuraldrummer.train_state? state
---@return string? message
function train.run(corpus, options)
  options = check(options, KNOWN)
  if not options.out then error("option 'out' is needed", 2) end
  local message = saved_state.wrong(options)
  if message then error(message, 2) end
  for _, name in ipairs(options.from and OF_NEW or {}) do
    if options[name] ~= nil then
      error(("option '%s': the model of 'from' is what it is"):format(name), 2)
    end
  end
  if options.resume and options.model then
    error("option 'model': what goes on is the model of the last checkpoint", 2)
  end
  local world = options.distributed or ALONE
  local leads = world:rank() == 1
  local claim <close>, taken = claimed(options.out, leads)
  if leads and not claim then return nil, taken end
  local last, mark = files.infix(options.out, ".last"), fingerprint(corpus)
  local model, place = starting_model(corpus, options, last, mark)
  if not model then return nil, place end
  local o = settle_options(options, model:config(), place)
  if o.threads then model:threads(o.threads) end
  local batches, valid = open_batches(corpus, model, o)
  if not batches then return nil, valid end
  local epoch, batch = batches:position()
  if options.resume and (epoch ~= place.epoch or batch ~= place.batch) then
    return nil, last .. ": the state of its training is broken"
  end
  local same
  same, message = world:same(outlook(mark, batches, valid, model, place, o))
  if message then return nil, message end
  if not same then
    return nil, "the processes do not have the same corpus, options and checkpoint before them"
  end

  ---@type neuraldrummer.train_state
  local state = {
    epoch = epoch, epochs = o.epochs, batch = batch, batches = batches:count(),
    loss = place.loss, valid_loss = place.valid_loss, best = place.best,
    best_epoch = place.best_epoch, seconds = place.seconds or 0.0,
    interrupted = false, diverged = false, model = model, last = last,
  }
  local opened
  opened, message = log.open(leads and o.log or nil, options.resume and
    { epoch = state.epoch, batch = state.batch, waiting = place.row } or nil)
  if not opened then return nil, message end
  local rows <close> = opened
  if leads and not options.resume then
    -- until there is a checkpoint of this training, there is none to go on from
    local removed, why, number = os.remove(last)
    if not removed and number ~= NO_FILE then return nil, why end
  end
  -- those that the disk had no room for, at the end of an epoch
  if state.batch == 0 then rows:settle() end
  local interrupt <close> = core.catch_interrupt(options.distributed ~= nil)
  local ended
  ended, message = setmetatable({
    rate = train.rate,
    state = state, options = o, songs = #corpus, corpus = mark, batches = batches, valid = valid,
    log = rows, world = world, leads = leads, interrupt = interrupt, sum = place.sum or 0.0,
    before = state.seconds, started = core.clock(),
  }, session):train()
  if ended == nil then return nil, message end
  return state
end

return train
