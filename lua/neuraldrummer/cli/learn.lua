--- The commands that train and evaluate models.
local nd = require "neuraldrummer"
local common = require "neuraldrummer.cli.common"
local compatible = require "neuraldrummer.compatible"
local files = require "neuraldrummer.files"
local generate = require "neuraldrummer.generate"
local progress = require "neuraldrummer.progress"

local say, say_json = common.say, common.say_json
local integer, number = common.integer, common.number
local natural, positive = common.natural, common.positive

---@type table<string, neuraldrummer.cli_command>
local learn = {}

-- Prints what is trained, on what, and which files are written.
local function print_start(args, state, corpus, outputs)
  local config = state.model:config()
  local n, valid = #corpus, 0
  for i = 1, n do
    if corpus:info(i).split == "valid" then valid = valid + 1 end
  end
  local threads = args.threads or 1
  io.stderr:write(("preset %s, %d parameters; %d songs to train on, %d for validation; "
    .. "%d thread%s\n"):format(config.preset, config.parameters, n - valid, valid, threads,
    threads == 1 and "" or "s"))
  io.stderr:write("writes ", table.concat(outputs, ", "), "\n")
end

-- Callbacks that show the progress of a training: a line at the start and after each epoch,
-- and a bar. The second result takes the bar off the screen.
local function watch(args, corpus, outputs)
  local bar, voices
  local function start(state)
    if not args.quiet then print_start(args, state, corpus, outputs) end
    voices = #state.model:tokeniser():voices()
    bar = progress.new(state.epochs * state.batches, "batches", { quiet = args.quiet,
      done = (state.epoch - 1) * state.batches + state.batch })
  end
  local function show(state)
    bar:update((state.epoch - 1) * state.batches + state.batch,
      ("epoch %d  loss %.4f%s"):format(math.min(state.epoch, state.epochs), state.loss,
        state.valid_loss and ("  valid %.4f"):format(state.valid_loss) or ""))
  end
  local function end_epoch(state, epoch)
    bar:clear()
    if args.quiet then return end
    local bits = state.valid_loss and ("  valid %.4f (%.3f bits/step)"):format(
      state.valid_loss, state.valid_loss * voices / math.log(2)) or ""
    io.stderr:write(("epoch %d/%d  loss %.4f%s  %s\n"):format(epoch, state.epochs, state.loss,
      bits, progress.time(state.seconds)))
  end
  return { start = start, progress = show, epoch = end_epoch }, function()
    if bar then bar:finish() end
  end
end

local function stopped_text(state)
  return ("stopped in epoch %d, batch %d; saved in %s; --resume continues from there"):format(
    state.epoch, state.batch, state.last)
end

local function print_result(args, state, log, picture)
  if args.json then
    say_json({
      output = args.output, last = state.last, log = log, picture = picture,
      epochs = state.epochs, best_epoch = state.best_epoch, best_loss = state.best,
      valid_loss = state.valid_loss, loss = state.loss, seconds = state.seconds,
    }, { "output", "best_epoch", "best_loss", "epochs", "loss", "valid_loss", "seconds", "last",
      "log", "picture" })
  else
    if state.best then
      say("%s: the model after epoch %d of %d, loss %.4f; trained for %s", args.output,
        state.best_epoch, state.epochs, state.best, progress.time(state.seconds))
    end
    say("%s: checkpoint, for --resume", state.last)
    say("%s: losses%s", log, picture and ", drawn in " .. picture or "")
  end
end

-- Opens what `train` reads: the corpus, and the path of the model to fine-tune, if any.
local function open_inputs(args)
  local corpus, message = nd.corpus.open(args.corpus)
  if not corpus then return nil, message end
  local from = args.from
  if from == "bundled" then
    from, message = nd.default_model()
    if not from then return nil, message end
  end
  return corpus, from
end

-- Ends the processes of a distributed training. True in those that have nothing to print;
-- false after Ctrl-C.
local function leave_world(world, state)
  common.world = nil
  local leads, interrupted = world:rank() == 1, state.interrupted
  -- printed at once, because mpirun kills the processes soon after Ctrl-C
  if interrupted and leads then common.complain("%s", stopped_text(state)) end
  world:leave()
  if interrupted then return false end
  return not leads or nil
end

learn.train = {
  summary = "Train a model on a corpus.",
  example = "neuraldrummer train my-songs.ndc -o my-drummer.safetensors",
  takes = {
    { "corpus", "FILE", "a corpus made by preprocess, or token text (saved.txt)" },
    { "-o --output", "MODEL", "the best model to write; MODEL.last... is the checkpoint",
      count = 1 },
    { "--from", "MODEL", "fine-tune this model; 'bundled' is the one that is installed" },
    { "--preset", false, "kind of network: drummer, neuraldrummer2023 or touch (velocity and "
      .. "timing); default: by the corpus",
      choices = { "drummer", "neuraldrummer2023", "touch" } },
    { "--epochs", "N", "passes over the corpus", positive },
    { "--rate", "R", "highest learning rate of Adam", number },
    { "--warmup", "N", "batches until that rate is reached", natural },
    { "--clip", "X", "maximum norm of the gradient; 0: no limit", number },
    { "--constant-rate", "do not let the rate fall along a cosine" },
    { "--batch", "N", "songs, or windows, per batch", positive },
    { "--steps", "N", "steps per stretch of back-propagation", positive },
    { "--hidden", "N", "LSTM units per layer", positive },
    { "--layers", "N", "number of LSTM layers", positive },
    { "--encoder", "N", "units of the encoder per direction; 0: no encoder", natural },
    { "--causal", "make the network causal, for playing live: it does not see later steps" },
    { "--dropout", "P", "dropout probability, from 0 to below 1", number },
    { "--seed", "N", "seed of the random numbers (default 1)", integer },
    common.THREADS,
    { "--checkpoint-every", "N", "batches between checkpoints (default 200; 0: only at the end "
      .. "of each epoch)", natural },
    { "--keep-epochs", "also write the weights after each epoch" },
    { "--half", "write the best model in half precision" },
    { "--resume", "resume from the last checkpoint of MODEL" },
    { "--distributed", "share the training with the other processes of mpirun: "
      .. "mpirun -n 4 neuraldrummer train ..." },
    { "--log", "FILE", "TSV file with a row per batch; default: MODEL's name with .tsv" },
    { "-q --quiet", "show no progress" },
    { "--json", "print the result as JSON" },
  },
  run = function(args)
    local stem = args.output:gsub("%.safetensors$", "")
    local log, picture = args.log or stem .. ".tsv", stem .. ".loss.png"
    local last = files.infix(args.output, ".last")
    -- a model may be fine-tuned in place
    local apart, message, status = common.check_outputs(
      { { args.corpus, "the corpus" }, { args.from, "the model to begin with" } },
      { { args.output, "the model", over = args.from },
        { last, "the checkpoint", over = args.from },
        { log, "the log (--log)" }, { picture, "the picture of the losses" } })
    if not apart then return nil, message, status end
    local world
    if args.distributed then
      world, message = nd.join()
      if not world then return nil, message end
      common.world = world
    end
    local corpus, from = open_inputs(args)
    if not corpus then return nil, from end
    local on, finish = watch(args, corpus, { args.output, last, log, picture })
    local state
    state, message = require "neuraldrummer.train".run(corpus, {
      out = args.output, from = from, preset = args.preset, epochs = args.epochs, rate = args.rate,
      warmup = args.warmup, clip = args.clip, cosine = args.constant_rate and false,
      batch = args.batch, steps = args.steps, hidden = args.hidden, layers = args.layers,
      dropout = args.dropout, seed = args.seed, threads = args.threads, half = args.half,
      keep_epochs = args.keep_epochs, checkpoint_every = args.checkpoint_every,
      resume = args.resume, log = log, encoder = args.encoder, causal = args.causal,
      distributed = world, on_start = on.start, on_progress = on.progress, on_epoch = on.epoch,
    })
    finish()
    if not state then return nil, message end
    if world then
      local done = leave_world(world, state)
      if done ~= nil then return done or nil end
    end
    local drawn, why = require "neuraldrummer.plot".loss(log, picture)
    if not drawn then
      common.complain("no picture of the losses: %s", why)
      picture = nil
    end
    if state.diverged then
      return nil, ("%s (epoch %d, batch %d); %s holds the best model so far; try a lower --rate")
        :format(state.why, state.epoch, state.batch + 1, args.output)
    elseif state.interrupted then
      return nil, stopped_text(state)
    end
    print_result(args, state, log, picture)
    return true
  end,
}

-- The default label of a model.
local function label_of(path) return (files.name(path):gsub("%.safetensors$", "")) end

-- Parses "FILE" or "FILE=LABEL". A file's name may contain "=" as well.
local function labelled(text)
  local path, label = text:match "^(.+)=([^=/]+)$"
  if not path or files.exists(text) then return { text, label_of(text) } end
  return { path, label }
end

-- Rows, or nil and a message with the path of the corpus.
local function name_corpus(path, rows, message)
  if rows then return rows end
  return nil, ("%s: %s"):format(path, message)
end

-- The models of the table with their labels, corpora (--corpus-of) and paths.
local function open_entries(args, model)
  local entries = { { model = model, label = label_of(args.model), path = args.model } }
  for _, pair in ipairs(args.also) do
    local other, message = generate.open_model(pair[1])
    if not other then return nil, message end
    if args.threads then other:threads(args.threads) end
    entries[#entries + 1] = { model = other, label = pair[2], path = pair[1] }
  end
  for _, pair in ipairs(args.corpus_of) do
    local found
    for _, entry in ipairs(entries) do
      if entry.label == pair[1] then
        local corpus, message = nd.corpus.open(pair[2], entry.model:tokeniser())
        if not corpus then return nil, message end
        entry.corpus, found = corpus, true
      end
    end
    if not found then
      return nil, ("option '--corpus-of': no model has the label '%s'"):format(pair[1]),
        common.MISUSED
    end
  end
  return entries
end

-- The rows of `evaluate --free`.
local function evaluate_table(args, model, corpus, options)
  local entries, message, status = open_entries(args, model)
  if not entries then return nil, message, status end
  for _, entry in ipairs(entries) do
    local ok
    ok, message = compatible.check(entry.corpus or corpus, entry.model, entry.path)
    if not ok then return nil, message end
  end
  if args.touch then
    options.touch, message = generate.open_model(args.touch, "touch")
    if not options.touch then return nil, message end
  end
  options.temperature = nil
  options.temperatures = args.temperature
  options.recorded_style, options.given_bars = args.recorded_style, args.given_bars
  local evaluate = require "neuraldrummer.evaluate"
  return name_corpus(args.corpus, evaluate.table(entries, corpus, options))
end

-- A message if an option is given that only --free has.
local function needs_free(args)
  local option = #args.also > 0 and "--also" or #args.corpus_of > 0 and "--corpus-of"
    or args.recorded_style and "--recorded-style" or args.given_bars and "--given-bars"
    or args.touch and "--touch"
  if option then return ("option '%s' needs '--free'"):format(option) end
  return #args.temperature > 1 and "several temperatures need '--free'" or nil
end

learn.evaluate = {
  summary = "Measure a model on a corpus, with recorded history and playing freely.",
  example = "neuraldrummer evaluate my-drummer.safetensors my-songs.ndc",
  takes = {
    { "model", "MODEL", "a trained model" },
    { "corpus", "FILE", "a corpus made by preprocess" },
    { "--split", false, "songs to use: valid (default), train or all",
      choices = { "valid", "train", "all" } },
    { "--songs", "N", "maximum number of songs (default 60; with --free: all)", positive },
    { "--steps", "N", "maximum number of steps of each song (default 512)", positive },
    { "--seed", "N", "seed of the first song; each further song has the next one", integer },
    { "--temperature", "T", "temperature of sampling: below 1 safer, above 1 freer; several with "
      .. "--free", number, count = "*" },
    { "--variation", "X", "how much the temperature varies between bars, 0 to 1", number },
    { "--cutoff", "C", "play every hit with this probability or more", number },
    { "--forced", "N", "also play the N likeliest voices of each step", integer },
    common.START,
    { "--free", "one table of all figures, with a row per player" },
    { "--also", "MODEL=LABEL", "another model for the table; may be repeated", labelled,
      count = "*" },
    { "--corpus-of", "LABEL=FILE", "the corpus of the same songs for the model with this label, "
      .. "if its kit or grid differs", common.pair, count = "*" },
    { "--recorded-style", "with --free: give the style of each song's recorded drums" },
    { "--given-bars", "N", "with --free: give the first N bars of the recorded drums", positive },
    { "--touch", "MODEL", "with --free: touch model that gives velocities and offsets" },
    common.THREADS, common.QUIET,
    { "--json", "print the figures as JSON" },
  },
  run = function(args)
    local evaluate = require "neuraldrummer.evaluate"
    local model, corpus, message
    message = not args.free and needs_free(args)
    if message then return nil, message, common.MISUSED end
    model, message = generate.open_model(args.model)
    if not model then return nil, message end
    corpus, message = nd.corpus.open(args.corpus, model:tokeniser())
    if not corpus then return nil, message end
    local ok = args.free
    if not ok then ok, message = compatible.check(corpus, model, args.model) end
    if not ok then return nil, message end
    if args.threads then model:threads(args.threads) end
    local bar
    local options = {
      split = args.split, songs = args.songs, steps = args.steps, seed = args.seed,
      temperature = args.temperature[1], variation = args.variation, cutoff = args.cutoff,
      forced = args.forced,
      start = args.start, threads = args.threads,
      on_progress = function(done, total)
        if not bar or bar.total ~= total then
          if bar then bar:finish() end
          bar = progress.new(total, "parts", { quiet = args.quiet })
        end
        bar:update(done)
      end,
    }
    local rows = {}
    for _, measure in ipairs(args.free and {
      function() return evaluate_table(args, model, corpus, options) end,
    } or {
      function() return name_corpus(args.corpus, evaluate.teacher(model, corpus, options)) end,
      function() return name_corpus(args.corpus, evaluate.free(model, corpus, options)) end,
      function() return name_corpus(args.corpus, evaluate.baselines(corpus, options)) end,
    }) do
      local more, status
      more, message, status = measure()
      if not more then return nil, message, status end
      table.move(more, 1, #more, #rows + 1, rows)
    end
    if bar then bar:finish() end
    if args.json then
      say_json(rows)
    else
      common.say_lines(evaluate.format(rows) .. "\n" .. evaluate.legend(rows))
    end
    return true
  end,
}

return learn
