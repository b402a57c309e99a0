--- The commands that make a model and measure it: train, evaluate.
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

-- What shows a training's progress: a bar, and a line an epoch. Second, what
-- takes the bar away.
local function watcher(args)
  local bar, shown, voices = nil, 0, nil
  return function(now)
    local done = (now.epoch - 1) * now.batches + now.batch
    if not bar then
      bar = progress.new(now.epochs * now.batches, "steps",
        { quiet = args.quiet, done = done })
      shown = now.epoch - (now.batch == 0 and 2 or 1)
      voices = #now.model:tokeniser():voices()
    end
    if now.batch == 0 and now.epoch - 1 > shown then
      shown = now.epoch - 1
      bar:clear()
      if not args.quiet then
        local bits = now.valid_loss and ("  valid %.4f (%.3f bits/step)"):format(
          now.valid_loss, now.valid_loss * voices / math.log(2)) or ""
        io.stderr:write(("epoch %d/%d  loss %.4f%s  %s\n"):format(shown, now.epochs,
          now.loss, bits, progress.time(now.seconds)))
      end
    end
    bar:update(done, ("epoch %d  loss %.4f%s"):format(
      math.min(now.epoch, now.epochs), now.loss,
      now.valid_loss and ("  valid %.4f"):format(now.valid_loss) or ""))
  end, function()
    if bar then bar:finish() end
  end
end

local function stopped_text(state)
  return ("stopped in epoch %d, batch %d; saved as %s, --resume goes on"):format(state.epoch,
    state.batch, state.last)
end

local function say_trained(args, state, log, picture)
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
    say("%s: to go on from", state.last)
    say("%s: losses%s", log, picture and ", drawn in " .. picture or "")
  end
end

learn.train = {
  summary = "Train a model on a corpus.",
  example = "neuraldrummer train my-songs.ndc -o my-drummer.safetensors",
  takes = {
    { "corpus", "FILE", "made by preprocess; or token text (saved.txt)." },
    { "-o --output", "MODEL", "the best model; MODEL.last… goes on.", count = 1 },
    { "--from", "MODEL", "teach this one further, softly; bundled: the one that comes along." },
    { "--preset", false, "drummer, neuraldrummer2023 or touch (velocity and timing); "
      .. "default: as the corpus was made.",
      choices = { "drummer", "neuraldrummer2023", "touch" } },
    { "--epochs", "N", "times through the corpus.", positive },
    { "--rate", "R", "Adam's learning rate, at its highest.", number },
    { "--warmup", "N", "batches until the rate is reached.", natural },
    { "--clip", "X", "highest norm of the gradient; 0: none.", number },
    { "--constant-rate", "no cosine decay." },
    { "--batch", "N", "songs or windows at once.", positive },
    { "--steps", "N", "stretch of truncated BPTT.", positive },
    { "--hidden", "N", "LSTM units a layer.", positive },
    { "--layers", "N", "LSTM layers.", positive },
    { "--encoder", "N", "units that read the song each way; 0: it hears each step alone.",
      natural },
    { "--causal", "hears no step to come: for playing along live." },
    { "--dropout", "P", "0-1.", number },
    { "--seed", "N", "default 1.", integer },
    common.THREADS,
    { "--checkpoint-every", "N", "batches between checkpoints (default 200; 0: at the end "
      .. "of each epoch only).", natural },
    { "--keep-epochs", "keep the weights after each epoch as well." },
    { "--half", "write the best model in half precision." },
    { "--resume", "go on from the last checkpoint of MODEL." },
    { "--distributed", "with the other processes of an mpirun: mpirun -n 4 neuraldrummer train …" },
    { "--log", "FILE", "TSV, a row a batch; default: MODEL's name with .tsv." },
    { "-q --quiet", "no progress bar, no line an epoch." },
    { "--json", "the result as JSON." },
  },
  run = function(args)
    local stem = args.output:gsub("%.safetensors$", "")
    local log, picture = args.log or stem .. ".tsv", stem .. ".loss.png"
    local last = files.infix(args.output, ".last")
    -- a model may be taught further in its own place
    local world, corpus, apart, message, status
    apart, message, status = common.check_outputs(
      { { args.corpus, "the corpus" }, { args.from, "the model to begin with" } },
      { { args.output, "the model", over = args.from },
        { last, "the model to go on from", over = args.from },
        { log, "the log (--log)" }, { picture, "the picture of the losses" } })
    if not apart then return nil, message, status end
    if args.distributed then
      world, message = nd.join()
      if not world then return nil, message end
      common.world = world
    end
    corpus, message = nd.corpus.open(args.corpus)
    if not corpus then return nil, message end
    local from = args.from
    if from == "bundled" then
      from, message = nd.default_model()
      if not from then return nil, message end
    end
    local watch, finish = watcher(args)
    local state
    state, message = require "neuraldrummer.train".run(corpus, {
      out = args.output, from = from, preset = args.preset, epochs = args.epochs, rate = args.rate,
      warmup = args.warmup, clip = args.clip, cosine = args.constant_rate and false,
      batch = args.batch, steps = args.steps, hidden = args.hidden, layers = args.layers,
      dropout = args.dropout, seed = args.seed, threads = args.threads, half = args.half,
      keep_epochs = args.keep_epochs, checkpoint_every = args.checkpoint_every,
      resume = args.resume, log = log, encoder = args.encoder, causal = args.causal,
      distributed = world, on_progress = watch,
    })
    finish()
    if not state then return nil, message end
    if world then
      common.world = nil
      local leads, ended = world:rank() == 1, state.interrupted
      -- said before all else, for mpirun kills soon after it asks to end
      if ended and leads then common.complain("%s", stopped_text(state)) end
      world:leave()
      if ended then return nil end
      if not leads then return true end  -- the first process has it all
    end

    local drawn, why = require "neuraldrummer.plot".loss(log, picture)
    if not drawn then
      common.complain("no picture of the losses: %s", why)
      picture = nil
    end
    if state.diverged then
      return nil, ("%s (epoch %d, batch %d); %s is as it was last saved; try a lower --rate")
        :format(state.why, state.epoch, state.batch + 1, args.output)
    elseif state.interrupted then
      return nil, stopped_text(state)
    end
    say_trained(args, state, log, picture)
    return true
  end,
}

-- What a model is called where no label is given.
local function label_of(path) return (files.name(path):gsub("%.safetensors$", "")) end

-- "FILE" or "FILE=LABEL"; the name of a file may hold "=" as well.
local function labelled(text)
  local path, label = text:match "^(.+)=([^=/]+)$"
  if not path or files.exists(text) then return { text, label_of(text) } end
  return { path, label }
end

-- Rows; or what is wrong, with the corpus that it is about.
local function about(path, rows, message)
  if rows then return rows end
  return nil, ("%s: %s"):format(path, message)
end

-- The rows of `evaluate --free`.
local function evaluate_freely(args, model, corpus, options)
  local evaluate = require "neuraldrummer.evaluate"
  local message
  local entries, paths = { { model = model, label = label_of(args.model) } }, { args.model }
  for _, each in ipairs(args.also) do
    local other
    other, message = generate.open_model(each[1])
    if not other then return nil, message end
    if args.threads then other:threads(args.threads) end
    entries[#entries + 1] = { model = other, label = each[2] }
    paths[#entries] = each[1]
  end
  for _, each in ipairs(args.corpus_of) do
    local found
    for _, entry in ipairs(entries) do
      if entry.label == each[1] then
        entry.corpus, message = nd.corpus.open(each[2], entry.model:tokeniser())
        if not entry.corpus then return nil, message end
        found = true
      end
    end
    if not found then
      return nil, ("option '--corpus-of': no model is '%s'"):format(each[1]), common.MISUSED
    end
  end
  for i, entry in ipairs(entries) do
    local ok
    ok, message = compatible.check(entry.corpus or corpus, entry.model, paths[i])
    if not ok then return nil, message end
  end
  if args.touch then
    options.touch, message = generate.open_model(args.touch, "touch")
    if not options.touch then return nil, message end
  end
  options.temperature = nil
  options.temperatures = args.temperature
  options.style_of_own, options.given_bars = args.style_of_own, args.given_bars
  return about(args.corpus, evaluate.table(entries, corpus, options))
end

-- What only the one table has a use for; nil: nothing such was asked for.
local function needs_free(args)
  local odd = #args.also > 0 and "--also" or #args.corpus_of > 0 and "--corpus-of"
    or args.style_of_own and "--style-of-own" or args.given_bars and "--given-bars"
    or args.touch and "--touch"
  if odd then return ("option '%s' needs '--free'"):format(odd) end
  return #args.temperature > 1 and "several temperatures need '--free'" or nil
end

learn.evaluate = {
  summary = "Measure a model on a corpus: teacher-forced, and playing freely.",
  example = "neuraldrummer evaluate my-drummer.safetensors my-songs.ndc",
  takes = {
    { "model", "MODEL", "a trained model." },
    { "corpus", "FILE", "made by preprocess." },
    { "--split", false, "valid (default), train or all.",
      choices = { "valid", "train", "all" } },
    { "--songs", "N", "at most so many (default 60; with --free all).", positive },
    { "--steps", "N", "of each at most (default 512).", positive },
    { "--seed", "N", "of the first song.", integer },
    { "--temperature", "T", "below 1 surer, above 1 freer; with --free also several.", number,
      count = "*" },
    { "--variation", "X", "0-1, how much the temperature differs between bars.", number },
    { "--cutoff", "C", "strike from this probability on.", number },
    { "--forced", "N", "strike the N likeliest voices as well.", integer },
    common.START,
    { "--free", "all of it in one table, a row for each player." },
    { "--also", "MODEL=LABEL", "another model for the table; may be repeated.", labelled,
      count = "*" },
    { "--corpus-of", "LABEL=FILE", "the same songs as one of the models hears them, where its "
      .. "kit or grid is another.", common.pair, count = "*" },
    { "--style-of-own", "with --free: the style of each song's own drums is given." },
    { "--given-bars", "N", "with --free: the first N bars of its drums are given.", positive },
    { "--touch", "MODEL", "with --free: a model that gives velocities and offsets." },
    common.THREADS, common.QUIET,
    { "--json", "the figures as JSON." },
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
      function() return evaluate_freely(args, model, corpus, options) end,
    } or {
      function() return about(args.corpus, evaluate.teacher(model, corpus, options)) end,
      function() return about(args.corpus, evaluate.free(model, corpus, options)) end,
      function() return about(args.corpus, evaluate.baselines(corpus, options)) end,
    }) do
      local more, status
      more, message, status = measure()
      if not more then return nil, message, status end
      table.move(more, 1, #more, #rows + 1, rows)
    end
    if bar then bar:finish() end
    if args.json then say_json(rows) else common.say_lines(evaluate.format(rows)) end
    return true
  end,
}

return learn
