--- Trains a model: batches, a schedule of the learning rate, validation after each epoch,
--- checkpoints and a log. A training that was stopped at any batch resumes from its last
--- checkpoint with the same losses as an uninterrupted one. Several processes can share a
--- training; their number does not change the batches.
---
--- Files, for `out` = "m.safetensors":
---   m.safetensors           the weights with the lowest validation loss so far
---   m.last.safetensors      checkpoint: the latest weights and the state of the training
---   m.epoch-3.safetensors   with `keep_epochs`, the weights after each epoch
---   m.safetensors.training  lock file, during a training: no other may use these files
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
---@field out string path of the model to write
---@field from? string path of a model to fine-tune; its styles are replaced by those of the corpus
---@field model? neuraldrummer.model model to train; default: a new one
---@field preset? "drummer"|"neuraldrummer2023"|"touch" of a new model; default: by the corpus
---@field hidden? integer LSTM units per layer of a new model
---@field layers? integer LSTM layers of a new model
---@field dropout? number dropout probability of a new model
---@field encoder? integer encoder units per direction of a new model; 0: no encoder, so that the
--- model sees only the current step of the song
---@field causal? boolean make a new model causal: it does not see later steps
---@field epochs? integer
---@field rate? number highest learning rate of Adam
---@field warmup? integer batches until that rate is reached
---@field cosine? boolean let the rate fall along a cosine to `floor` times the rate
---@field floor? number
---@field clip? number maximum norm of the gradient; 0: no limit
---@field epsilon? number of Adam
---@field batch? integer number of songs, or windows, per batch
---@field steps? integer steps per stretch of truncated back-propagation through time
---@field seed? integer
---@field history_dropout? boolean
---@field threads? integer
---@field half? boolean write the best weights in half precision
---@field keep_epochs? boolean also write the weights after each epoch
---@field checkpoint_every? integer batches between checkpoints within an epoch (default 200; 0:
--- only at the end of each epoch)
---@field resume? boolean resume from the last checkpoint of `out`; options that are not given are
--- those of the checkpoint
---@field log? string path of a TSV file with a row per batch
---@field distributed? neuraldrummer.world processes that share the training; the first writes all
--- files and calls all callbacks
---@field on_start? fun(state: neuraldrummer.train_state) called once, before the first batch
---@field on_progress? fun(state: neuraldrummer.train_state) called after each batch, and after each
--- epoch, when `epoch` is already the next one and `batch` is 0. At the last batch of an epoch,
--- `valid_loss` still is that of the epoch before.
---@field on_epoch? fun(state: neuraldrummer.train_state, epoch: integer) called after each epoch
--- with its number, after validation and when all files are written

local KNOWN = {
  out = "string", from = "string", model = "userdata|table", preset = "string", hidden = "integer",
  layers = "integer", dropout = "number", encoder = "integer", causal = "boolean",
  epochs = "integer", rate = "number",
  warmup = "integer", cosine = "boolean", floor = "number", clip = "number",
  epsilon = "number", batch = "integer", steps = "integer", seed = "integer",
  history_dropout = "boolean", threads = "integer", half = "boolean",
  keep_epochs = "boolean", checkpoint_every = "integer", resume = "boolean",
  log = "string", distributed = "userdata", on_start = "function", on_progress = "function",
  on_epoch = "function",
}

local DEFAULTS = {
  drummer = {
    epochs = 20, rate = 2e-3, warmup = 100, cosine = true, floor = 0.02, clip = 1.0,
    epsilon = 1e-8, seed = 1, checkpoint_every = 200,
  },
  -- Keras' defaults, which the 2023 system uses
  neuraldrummer2023 = {
    epochs = 10, rate = 1e-3, warmup = 0, cosine = false, floor = 1.0, clip = 0.0,
    epsilon = 1e-7, seed = 1, keep_epochs = true, checkpoint_every = 200,
  },
}

-- Fine-tuning: a low rate and few epochs, so that the model does not forget what it learnt.
local FINE_TUNING <const> = { rate = 2e-4, warmup = 20, batch = 8, epochs = 8 }

local ENOENT <const> = 2  -- on every system that has an errno

-- Options of a new model.
local OF_NEW <const> = { "model", "preset", "hidden", "layers", "dropout", "encoder", "causal" }

---@class neuraldrummer.train_state
---@field epoch integer current epoch, from 1
---@field epochs integer
---@field batch integer number of batches done in it
---@field batches integer number of batches per epoch
---@field loss? number mean loss of the epoch so far, in nats per grid cell (a voice at a step; of
--- the preset touch: per hit); nil if not known yet
---@field last_loss? number loss of the latest batch in this session; nil before the first
---@field norm? number norm of its gradient
---@field rate? number its learning rate
---@field valid_loss? number latest validation loss; nil without validation songs, or if they have
--- nothing to count
---@field best? number lowest loss of an epoch: of validation or, without it, of training
---@field best_epoch? integer
---@field seconds number time of training, including earlier sessions
---@field interrupted boolean stopped by Ctrl-C, after saving
---@field diverged boolean stopped because the loss was not finite, or a weight was out of range
---@field why? string reason, if it diverged
---@field model neuraldrummer.model
---@field last string path of the last checkpoint

--- The learning rate at a batch.
---@param o {rate: number, warmup: integer, cosine: boolean, floor: number}
---@param n integer batch, from 1
---@param total integer number of batches of the whole training
---@return number
function train.rate(o, n, total)
  -- at most a quarter of the training, so that a short one reaches its rate as well
  local warmup = math.min(o.warmup, total // 4)
  if n <= warmup then return o.rate * n / warmup end
  if not o.cosine then return o.rate end
  local progress = math.min((n - warmup) / math.max(total - warmup, 1), 1)
  return o.rate * (o.floor + (1 - o.floor) * 0.5 * (1 + math.cos(math.pi * progress)))
end

-- Whether a split has songs that are long enough for the model.
local function has_split(corpus, split, model)
  local window = model:config().window
  for i = 1, #corpus do
    local song = corpus:info(i)
    if song.split == split and song.steps > window then return true end
  end
  return false
end

-- Hash of a corpus: the names, lengths and splits of its songs, its kit and grid.
local function hash_of(corpus)
  local settings = corpus:settings()
  local hash = core.hash(("%s %d %s"):format(settings.kit_text, settings.steps_per_beat,
    settings.beat))
  for i = 1, #corpus do
    local song = corpus:info(i)
    hash = core.hash(("<i8 i8 z z"):pack(hash, song.steps, song.split, song.name))
  end
  return ("%016x"):format(hash)
end

-- Stands for the processes where there is only this one.
local ALONE <const> = {
  rank = function() return 1 end,
  sum = function(_, numbers) return numbers end,
  any = function(_, here) return here end,
  same = function() return true end,
}

-- A description that must be the same in all processes.
local function describe(corpus_hash, batches, valid, model, place, o)
  local config = model:config()
  local list = {}
  for name, text in pairs(saved_state.write(o)) do list[#list + 1] = name .. "=" .. text end
  table.sort(list)
  return table.concat({ corpus_hash, batches:count(), valid and valid:count() or 0,
    config.parameters, config.styles, place.epoch or 0, place.batch or 0, table.unpack(list) }, " ")
end

-- Loads a model to fine-tune, with the styles of the corpus.
local function load_pretrained(corpus, path)
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

-- Options that cannot be changed when a training is resumed.
local FIXED <const> = { "preset", "hidden", "layers", "dropout", "encoder", "causal", "batch",
  "steps", "seed" }

-- Rounded to single precision, as a model stores numbers.
local function single(value)
  return type(value) == "number" and ("<f"):unpack(("<f"):pack(value)) or value
end

-- Loads the last checkpoint: the model and the state of its training.
local function load_checkpoint(corpus, options, last, corpus_hash)
  local model, message = core.load_model(last)
  if not model then return nil, message end
  local extra = model:extra()
  if not extra["train.epoch"] then return nil, last .. ": has no saved training to resume" end
  local place = saved_state.read(extra)
  if not place then return nil, last .. ": the saved state of the training is malformed" end
  local ok
  ok, message = compatible.check(corpus, model, last)
  if not ok then return nil, message end
  if place.songs ~= #corpus then
    return nil, ("%s: was trained on a corpus of %d songs, but %s has %d"):format(last, place.songs,
      corpus:path(), #corpus)
  elseif place.corpus and place.corpus ~= corpus_hash then  -- nil in old checkpoints
    return nil, ("%s: was trained on other songs than those of %s"):format(last, corpus:path())
  end
  local config = model:config()
  for _, name in ipairs(FIXED) do
    local now, was = options[name], place.options[name]
    if was == nil then was = config[name] end
    if now ~= nil and was ~= nil and single(now) ~= single(was) then
      return nil, ("%s: option '%s' was %s and cannot become %s"):format(last, name, was, now)
    end
  end
  return model, place
end

-- The model to train, and the state to start from: that of the checkpoint, or an empty one.
local function starting_model(corpus, options, last, corpus_hash)
  if options.resume then return load_checkpoint(corpus, options, last, corpus_hash) end
  if options.from then return load_pretrained(corpus, options.from) end
  if options.model then return options.model, { options = {} } end
  local preset = options.preset or (corpus:settings().original and "neuraldrummer2023" or "drummer")
  if preset == "neuraldrummer2023" and (options.encoder or 0) > 0 then
    error("option 'encoder': the preset neuraldrummer2023 has no encoder", 3)
  end
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

-- All options: as given, or as in the checkpoint, or the defaults of the preset.
local function complete_options(options, config, place)
  local o = {}
  for _, set in ipairs { DEFAULTS[config.preset] or DEFAULTS.drummer,
    options.from and FINE_TUNING or {}, place.options, options } do
    for name, value in pairs(set) do o[name] = value end
  end
  return o
end

-- Batches for training and, if the corpus has songs for it, for validation.
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

-- Locks the files of a training, in the process that writes them.
local function lock_files(out, leads)
  if not leads then return nil end
  local lock, message = core.lock(out .. ".training")
  return lock, message or out .. ": another process is training this model"
end

-- Raises an error for options that contradict one another.
local function check_options(options)
  if not options.out then error("option 'out' is needed", 3) end
  local message = saved_state.wrong(options)
  if message then error(message, 3) end
  for _, name in ipairs(options.from and OF_NEW or {}) do
    if options[name] ~= nil then
      error(("option '%s': has no effect with 'from', whose model decides it"):format(name), 3)
    end
  end
  if options.resume and options.model then
    error("option 'model': has no effect with 'resume', which loads the last checkpoint", 3)
  end
end

-- The state that callers see, at the start.
local function new_state(place, batches, model, last, o)
  local epoch, batch = batches:position()
  return {
    epoch = epoch, epochs = o.epochs, batch = batch, batches = batches:count(),
    loss = place.loss, valid_loss = place.valid_loss, best = place.best,
    best_epoch = place.best_epoch, seconds = place.seconds or 0.0,
    interrupted = false, diverged = false, model = model, last = last,
  }
end

-- Opens the log, in the process that writes it, and removes the checkpoint of an earlier
-- training of the same name, which must not be resumed as if it were this one's.
local function open_log(leads, o, state, place)
  local rows, message = log.open(leads and o.log or nil, o.resume and
    { epoch = state.epoch, batch = state.batch, waiting = place.row } or nil)
  if not rows then return nil, message end
  if leads and not o.resume then
    local removed, why, errno = os.remove(state.last)
    if not removed and errno ~= ENOENT then
      rows:close()
      return nil, why
    end
  end
  -- at the end of an epoch, rows from the checkpoint that the log lacks, after a full disk
  if state.batch == 0 then rows:settle() end
  return rows
end

--- Trains a model. It returns when all epochs are done, after Ctrl-C, or when the training
--- diverged; the state tells which.
---@param corpus neuraldrummer.corpus
---@param options neuraldrummer.train_options
---@return neuraldrummer.train_state? state
---@return string? message when a file cannot be read or written, or does not fit the others
function train.run(corpus, options)
  options = check(options, KNOWN)
  check_options(options)
  local world = options.distributed or ALONE
  local leads = world:rank() == 1
  local lock <close>, message = lock_files(options.out, leads)
  if leads and not lock then return nil, message end
  local last, corpus_hash = files.infix(options.out, ".last"), hash_of(corpus)
  local model, place = starting_model(corpus, options, last, corpus_hash)
  if not model then return nil, place end
  local o = complete_options(options, model:config(), place)
  if o.threads then model:threads(o.threads) end
  local batches, valid = open_batches(corpus, model, o)
  if not batches then return nil, valid end
  local state = new_state(place, batches, model, last, o)
  if options.resume and (state.epoch ~= place.epoch or state.batch ~= place.batch) then
    return nil, last .. ": the saved state of the training is malformed"
  end
  local same
  same, message = world:same(describe(corpus_hash, batches, valid, model, place, o))
  if message then return nil, message end
  if not same then
    return nil, "the processes have different corpora, options or checkpoints"
  end
  local opened
  opened, message = open_log(leads, o, state, place)
  if not opened then return nil, message end
  local rows <close> = opened
  local interrupt <close> = core.catch_interrupt(options.distributed ~= nil)
  local ended
  ended, message = session.new {
    rate = train.rate,
    state = state, options = o, songs = #corpus, corpus = corpus_hash, batches = batches,
    valid = valid, log = rows, world = world, leads = leads, interrupt = interrupt,
    sum = place.sum or 0.0, seconds_before = state.seconds, started = core.clock(),
  }:train()
  if ended == nil then return nil, message end
  return state
end

return train
