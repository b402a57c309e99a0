--- The command-line tool. Exit status: 0 done, 1 the world failed, 2 misuse.
--- Results go to stdout, errors to stderr in one line.
local argparse = require "argparse"
local json = require "dkjson"
local nd = require "neuraldrummer"
local files = require "neuraldrummer.files"
local progress = require "neuraldrummer.progress"

local cli = {}

local DONE <const>, FAILED <const>, MISUSED <const> = 0, 1, 2

-- What a command has to say to the user beside its result.
local function complain(format, ...)
  io.stderr:write("neuraldrummer: ", (format:format(...):gsub("%s*\n%s*", " ")), "\n")
end

-- A result that cannot be written, to a full disk say, is a failure: the
-- first reason is kept for the end.
local unwritten
local function write(...)
  local ok, why = io.stdout:write(...)
  if not ok then unwritten = unwritten or why end
end

local function say(format, ...) write(format:format(...), "\n") end

-- JSON has no infinity and no NaN: dkjson writes them as null, as it should.
local function say_json(value, order)
  write(json.encode(value, { indent = true, keyorder = order }), "\n")
end

-- Parsing of values ---------------------------------------------------------

local function integer(text)
  local n = math.tointeger(tonumber(text))
  if not n then return nil, ("'%s' is not a whole number"):format(text) end
  return n
end

local function number(text)
  local n = tonumber(text)
  if not n or n ~= n or n == math.huge or n == -math.huge then
    return nil, ("'%s' is not a number"):format(text)
  end
  return n + 0.0
end

local function positive(text)
  local n, message = integer(text)
  if n and n < 1 then return nil, ("'%s' is not 1 or more"):format(text) end
  return n, message
end

local function natural(text)
  local n, message = integer(text)
  if n and n < 0 then return nil, ("'%s' is not 0 or more"):format(text) end
  return n, message
end

local function pair(text)
  local name, value = text:match "^([^=]+)=(.*)$"
  if not name then return nil, ("'%s' is not COLUMN=VALUE"):format(text) end
  return { name, value }
end

-- argparse takes "-1" for an option; glued to its own it is a value.
local function glue_negative_numbers(args)
  local out = {}
  for _, arg in ipairs(args) do
    local before = out[#out]
    if arg:find "^%-%.?%d" and before and before:find "^%-%-[%a]" and not before:find "=" then
      out[#out] = before .. "=" .. arg
    else
      out[#out + 1] = arg
    end
  end
  return out
end

local function tokeniser_options(command)
  command:option("--kit", "drum kit: gm9, basic6 or full17."):argname "KIT"
  command:option("--steps-per-beat", "steps of a quarter note: 2, 4, 6, 8 or 12.")
    :argname("N"):convert(integer)
end

local function drum_channel_option(command)
  command:option("--drum-channel", "channel of the song's drums, 1-16, where it is not 10.")
    :argname("N"):convert(integer)
end

-- A song and its Sequence, for the commands that look at one.
local function load_song(args)
  local song, seq, message
  song, message = nd.song.load(args.song, { drum_channel = args.drum_channel })
  if not song then return nil, message end
  local tokeniser = nd.tokeniser {
    preset = args.original and "neuraldrummer2023" or "drummer",
    kit = args.kit, steps_per_beat = args.steps_per_beat,
  }
  seq, message = tokeniser:encode(song, files.name(args.song))
  if not seq then return nil, ("%s: %s"):format(args.song, message) end
  return song, seq
end

local function voice_text(voices)
  local parts = {}
  for _, voice in ipairs(voices) do
    if voice.hits > 0 then parts[#parts + 1] = ("%s %d"):format(voice.name, voice.hits) end
  end
  return #parts > 0 and table.concat(parts, ", ") or "none"
end

-- What the reader found odd, said once and briefly.
local function remark_on(song, path)
  local channel, guessed = song:drum_channel()
  if guessed then
    complain("%s: nothing on channel 10; channel %d holds drums by its track's name", path, channel)
  end
  local lossy = 0
  for _, repair in ipairs(song:repairs()) do lossy = lossy + (repair.lossy and 1 or 0) end
  if lossy > 0 then
    complain("%s: damaged, and read in part; `neuraldrummer info` says where", path)
  end
end

-- Commands ------------------------------------------------------------------

local commands = {}

-- What all commands that play have in common.
local function playing_options(command, output)
  command:option("-o --output", "where the result goes."):argname("FILE"):default(output)
  command:option("--model", "a trained model; default: the one that comes along."):argname "MODEL"
  command:option("--seed", "another seed, another take (default 1)."):argname("N"):convert(integer)
  command:option("--temperature", "below 1 surer, above 1 freer."):argname("T"):convert(number)
  command:option("--cutoff", "strike from this probability on, instead of drawing lots.")
    :argname("C"):convert(number)
  command:option("--velocity", "0-1, of every hit; then --humanise is 0 unless given.")
    :argname("V"):convert(number)
  command:option("--humanise", "0: on the grid and flat; 1: velocities and timing as people "
    .. "played them (default)."):argname("X"):convert(number)
  command:option("--length", "of a drum note, in steps."):argname("STEPS"):convert(number)
  command:option("--style", "play in one style: its number or name of --styles, a file "
    .. "(mine.style), or changes to the style it would choose (ride=0.6,toms=0.2)."):argname "STYLE"
  command:option("--style-of", "play in the style of the drums in this file."):argname "FILE.mid"
  command:flag("--no-style", "commit to no style.")
  command:option("--energy", "-3 to 3 for all bars or by bar: 1-8:-1,9-16:-1>1; 0 is the usual, "
    .. "1 twice its hits."):argname "E"
  command:option("--fills", "none, sections (at their ends), N (every N bars) or bars (12,24).")
    :argname "WHERE"
  command:flag("--no-return", "a section that returns does not get its groove back.")
  command:option("--vary", "share of such a groove that is played anew (default 0.75).")
    :argname("X"):convert(number)
  command:flag("--no-limbs", "more at once than two hands and two feet can strike.")
  command:option("--threads", "default 1."):argname("N"):convert(positive)
  command:flag("--json", "the result as JSON.")
end

local function played_as(args)
  local style = args.style
  if args.no_style then
    if style or args.style_of then error("option '--no-style': with a style?", 0) end
    style = false
  end
  local function off(flag) if flag then return false end end
  return {
    out = args.output, model = args.model, seed = args.seed, temperature = args.temperature,
    cutoff = args.cutoff, velocity = args.velocity, humanise = args.humanise,
    length = args.length, style = style, style_of = args.style_of, energy = args.energy,
    fills = args.fills, vary = args.vary,
    returns = off(args.no_return), limbs = off(args.no_limbs), threads = args.threads,
  }
end

local function say_played(args, result, what)
  if args.json then
    local voices = {}
    for _, voice in ipairs(result.voices) do voices[voice.name] = voice.hits end
    say_json({
      output = args.output, steps = result.steps, hits = result.hits, voices = voices,
      seconds = result.song:seconds(), seed = args.seed or 1, style = result.style,
    }, { "output", "seconds", "steps", "hits", "voices", "seed", "style", "index", "name" })
    return
  end
  say("%s: %s of %s, %d hits on %d steps: %s", args.output, progress.time(result.song:seconds()),
    what, result.hits, result.steps, voice_text(result.voices))
  if result.style then say("in style %d, %s", result.style.index, result.style.name) end
end

local function list_styles(args)
  local styles, message = require "neuraldrummer.generate".styles(args.song, {
    model = args.model, drum_channel = args.drum_channel,
  })
  if not styles then return nil, message end
  if args.json then
    say_json(styles, { "index", "name", "odds" })
    return true
  end
  if #styles == 0 then say "the model has no styles to choose among" end
  local rest, left = 0, 0
  for i, style in ipairs(styles) do
    if i <= 20 then
      say("%5d %5.1f %%  %s", style.index, 100 * style.odds, style.name)
    else
      rest, left = rest + style.odds, left + 1
    end
  end
  if left > 0 then say("      %5.1f %%  %d others (--json lists them)", 100 * rest, left) end
  return true
end

commands.drum = {
  summary = "Play drums to a song.",
  define = function(command)
    command:argument("song", "a MIDI file."):argname "SONG.mid"
    playing_options(command, "combined.mid")
    command:flag("--styles", "list the styles it would choose among, with their odds, and leave.")
    command:option("--keep", "voices of the song's own drums to keep: kick,snare, hats, toms, "
      .. "cymbals."):argname "VOICES"
    command:option("--bars --redo-bars", "play these bars again (9-12,17) and keep all others of "
      .. "the song's own drums; with --keep, those voices in these bars too."):argname "BARS"
    command:option("--extend", "keep so many bars at the start, and go on from there.")
      :argname("N"):convert(positive)
    command:option("--loop", "a MIDI file whose drums stand at the start.")
      :argname "FILE.mid"
    command:option("--enter", "band: when the song does, and no longer than it; or always.")
      :argname("WHEN"):choices { "band", "always" }
    command:option("--forced", "strike the N likeliest voices at every step as well.")
      :argname("N"):convert(integer)
    command:option("--start", "what went before: blank, count-in, basic or random.")
      :argname("HOW"):choices { "blank", "count-in", "basic", "random" }
    command:option("--prime", "a MIDI file whose drums went before."):argname "FILE.mid"
    command:flag("--keep-drums", "leave the song's own drums in as well.")
    command:flag("--drums-alone", "write the drums only.")
    command:option("--tempo", "write the drums only, in 4/4 at this tempo.")
      :argname("BPM"):convert(number)
    command:flag("--original", "as the system of 2023; needs a model of that preset.")
    drum_channel_option(command)
  end,
  run = function(args)
    if args.tempo and not (args.tempo >= 4 and args.tempo <= 1000) then
      return nil, ("option '--tempo': %g is not in 4-1000"):format(args.tempo), MISUSED
    end
    if args.styles then return list_styles(args) end
    local options = played_as(args)
    for _, name in ipairs { "keep", "bars", "extend", "loop", "enter", "forced", "start", "prime",
      "keep_drums", "drums_alone", "tempo", "original", "drum_channel" } do
      options[name] = args[name]
    end
    local result, message = require "neuraldrummer.generate".drum(args.song, options)
    if not result then return nil, message end
    remark_on(result.source, args.song)
    say_played(args, result, "song")
    return true
  end,
}

commands.continue = {
  summary = "Go on from the drums of a file, without a song.",
  define = function(command)
    command:argument("song", "a MIDI file with drums."):argname "GROOVE.mid"
    command:option("--bars", "how many to play (default 16)."):argname("N"):convert(positive)
    playing_options(command, "continued.mid")
    drum_channel_option(command)
  end,
  run = function(args)
    local options = played_as(args)
    options.bars, options.drum_channel = args.bars, args.drum_channel
    local result, message = require "neuraldrummer.sketch".continue(args.song, options)
    if not result then return nil, message end
    say_played(args, result, "drums")
    return true
  end,
}

commands.sketch = {
  summary = "Play a drum track from a seed alone.",
  define = function(command)
    command:option("--form", "sections with their bars; one that returns gets its groove back "
      .. "(default intro4,verse8,chorus8,verse8,chorus8,outro4)."):argname "FORM"
    command:option("--bpm", "default 120."):argname("BPM"):convert(number)
    command:option("--meter", "default 4/4."):argname "N/D"
    playing_options(command, "sketch.mid")
  end,
  run = function(args)
    local options = played_as(args)
    options.form, options.bpm, options.meter = args.form, args.bpm, args.meter
    local result, message = require "neuraldrummer.sketch".play(options)
    if not result then return nil, message end
    say_played(args, result, "drums")
    return true
  end,
}

commands.style = {
  summary = "Keep the style of a file's drums as a small file.",
  define = function(command)
    command:argument("song", "a MIDI file with drums."):argname "SONG.mid"
    command:option("-o --output", "ends in .style; drum --style takes it."):argname("FILE"):count(1)
    command:option("--name", "default: the song's."):argname "NAME"
    tokeniser_options(command)
    drum_channel_option(command)
  end,
  run = function(args)
    if not args.output:find "%.style$" then
      return nil, ("option '--output': '%s' does not end in .style"):format(args.output), MISUSED
    end
    local song, seq = load_song(args)
    if not song then return nil, seq end
    if not seq:packed_hits():find "[^\0]" then return nil, args.song .. ": has no drums" end
    local name = args.name or files.name(args.song):gsub("%.[^.]*$", "")
    local ok, message = files.write(args.output,
      require "neuraldrummer.direct".style_text(name, seq))
    if not ok then return nil, message end
    say("%s: the style of %s", args.output, args.song)
    return true
  end,
}

commands.tokens = {
  summary = "Print a song as a line of tokens.",
  define = function(command)
    command:argument("song", "a MIDI file."):argname "SONG.mid"
    command:flag("--original", "grid and intensity of the system of 2023.")
    tokeniser_options(command)
    drum_channel_option(command)
  end,
  run = function(args)
    local song, seq = load_song(args)
    if not song then return nil, seq end
    say("%s", seq:tokens())
    return true
  end,
}

commands.preprocess = {
  summary = "Make a corpus from a folder of MIDI files.",
  define = function(command)
    command:argument("folder", "looked through with all folders in it."):argname "DIR"
    command:option("-o --output", "the corpus, or the text with --original."):argname("FILE")
      :count(1)
    command:flag("--original", "write token text, as the system of 2023 does (saved.txt).")
    tokeniser_options(command)
    command:flag("--include-drums", "count the song's drums in its intensity.")
    command:option("--min-steps", "skip songs of so many steps or fewer (default 32).")
      :argname("N"):convert(natural)
    command:option("--manifest",
      "a CSV table with columns 'file' (from its own folder) and 'split'.")
      :argname "FILE.csv"
    command:option("--where", "take only the manifest's rows with this value; may be repeated.")
      :argname("COLUMN=VALUE"):count("*"):convert(pair)
    command:option("--valid-every",
      "without a manifest: one song in N is for validation (default 10; 0: none).")
      :argname("N"):convert(natural)
    command:flag("--list-skipped", "print each skipped file and why.")
    command:flag("-q --quiet", "no progress bar.")
    command:flag("--json", "the summary as JSON.")
  end,
  run = function(args)
    local where
    if #args.where > 0 then
      if not args.manifest then return nil, "option '--where' needs '--manifest'", MISUSED end
      where = {}
      for _, each in ipairs(args.where) do where[each[1]] = each[2] end
    end
    local bar
    local summary, message = require "neuraldrummer.preprocess".run(args.folder, args.output, {
      original = args.original, kit = args.kit, steps_per_beat = args.steps_per_beat,
      include_drums = args.include_drums, min_steps = args.min_steps, manifest = args.manifest,
      where = where, valid_every = args.valid_every,
      on_progress = function(done, total, kept, skipped)
        bar = bar or progress.new(total, "files", { quiet = args.quiet })
        bar:update(done, ("%d kept, %d skipped"):format(kept, skipped))
      end,
    })
    if bar then bar:finish() end
    if not summary then return nil, message end

    if args.json then
      for _, voice in ipairs(summary.voices) do
        if voice.weight == math.huge then voice.weight = nil end
      end
      if not args.list_skipped then summary.reasons = nil end
      summary.output = args.output
      say_json(summary, { "output", "files", "kept", "valid", "steps", "left_out", "seconds",
        "skipped", "voices", "name", "hits", "rate", "weight", "reasons", "path", "message" })
      return true
    end
    local seconds = math.max(summary.seconds, 1e-3)
    -- token text knows no splits
    local valid = args.original and "" or (" (%d for validation)"):format(summary.valid)
    say("%s: %d of %d songs%s, %d steps; %.1f s, %.0f files/s", args.output, summary.kept,
      summary.files, valid, summary.steps, seconds, summary.files / seconds)
    if summary.left_out > 0 then say("%6d left out by --where", summary.left_out) end
    local reasons = {}
    for reason in pairs(summary.skipped) do reasons[#reasons + 1] = reason end
    table.sort(reasons, function(a, b)
      local m, n = summary.skipped[a], summary.skipped[b]
      if m ~= n then return m > n end
      return a < b
    end)
    for _, reason in ipairs(reasons) do
      say("%6d skipped: %s", summary.skipped[reason], reason)
    end
    say("%-12s %9s %10s %7s", "voice", "hits", "hits/step", "weight")
    for _, voice in ipairs(summary.voices) do
      say("%-12s %9d %10.4f %7s", voice.name, voice.hits, voice.rate,
        voice.hits > 0 and ("%.2f"):format(voice.weight) or "-")
    end
    if args.list_skipped then
      for _, each in ipairs(summary.reasons) do
        local known = each.message:sub(1, #each.path + 1) == each.path .. ":"
        say("%s", known and each.message or each.path .. ": " .. each.message)
      end
    end
    return true
  end,
}

commands.train = {
  summary = "Train a model on a corpus.",
  define = function(command)
    command:argument("corpus", "made by preprocess; or token text (saved.txt)."):argname "FILE"
    command:option("-o --output", "the best model; MODEL.last… goes on."):argname("MODEL"):count(1)
    command:option("--preset", "drummer, neuraldrummer2023 or touch (velocity and timing); "
      .. "default: as the corpus was made."):choices { "drummer", "neuraldrummer2023", "touch" }
    command:option("--epochs", "times through the corpus."):argname("N"):convert(positive)
    command:option("--rate", "Adam's learning rate, at its highest."):argname("R"):convert(number)
    command:option("--warmup", "batches until the rate is reached."):argname("N"):convert(natural)
    command:option("--clip", "highest norm of the gradient; 0: none."):argname("X"):convert(number)
    command:flag("--constant-rate", "no cosine decay.")
    command:option("--batch", "songs or windows at once."):argname("N"):convert(positive)
    command:option("--steps", "stretch of truncated BPTT."):argname("N"):convert(positive)
    command:option("--hidden", "LSTM units a layer."):argname("N"):convert(positive)
    command:option("--layers", "LSTM layers."):argname("N"):convert(positive)
    command:option("--encoder", "units that read the song each way; 0: it hears each step alone.")
      :argname("N"):convert(natural)
    command:flag("--causal", "hears no step to come: for playing along live.")
    command:option("--dropout", "0-1."):argname("P"):convert(number)
    command:option("--seed", "default 1."):argname("N"):convert(integer)
    command:option("--threads", "default 1."):argname("N"):convert(positive)
    command:option("--checkpoint-every", "batches between checkpoints (default 200; 0: at the end "
      .. "of each epoch only)."):argname("N"):convert(natural):default "200"
    command:flag("--keep-epochs", "keep the weights after each epoch as well.")
    command:flag("--half", "write the best model in half precision.")
    command:flag("--resume", "go on from the last checkpoint of MODEL.")
    command:option("--log", "TSV, a row a batch; default: MODEL's name with .tsv."):argname "FILE"
    command:flag("-q --quiet", "no progress bar, no line an epoch.")
    command:flag("--json", "the result as JSON.")
  end,
  run = function(args)
    local corpus, message = nd.corpus.open(args.corpus)
    if not corpus then return nil, message end
    local stem = args.output:gsub("%.safetensors$", "")
    local log = args.log or stem .. ".tsv"
    local bar, shown, voices = nil, 0, nil
    local state
    state, message = require "neuraldrummer.train".run(corpus, {
      out = args.output, preset = args.preset, epochs = args.epochs, rate = args.rate,
      warmup = args.warmup, clip = args.clip, cosine = args.constant_rate and false or nil,
      batch = args.batch, steps = args.steps, hidden = args.hidden, layers = args.layers,
      dropout = args.dropout, seed = args.seed, threads = args.threads, half = args.half,
      keep_epochs = args.keep_epochs, checkpoint_every = args.checkpoint_every,
      resume = args.resume, log = log, encoder = args.encoder, causal = args.causal,
      on_progress = function(now)
        local done = (now.epoch - 1) * now.batches + now.batch
        if not bar then
          bar = progress.new(now.epochs * now.batches, "steps",
            { quiet = args.quiet, done = done - 1 })
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
      end,
    })
    if bar then bar:finish() end
    if not state then return nil, message end

    local picture = stem .. ".loss.png"
    local drawn, why = require "neuraldrummer.plot".loss(log, picture)
    if not drawn then
      complain("no picture of the losses: %s", why)
      picture = nil
    end
    if state.diverged then
      return nil, ("the loss is no number any more (epoch %d, batch %d); %s is as it was last "
        .. "saved; try a lower --rate"):format(state.epoch, state.batch + 1, args.output)
    elseif state.interrupted then
      return nil, ("stopped in epoch %d, batch %d; saved as %s, --resume goes on"):format(
        state.epoch, state.batch, state.last)
    end
    if args.json then
      say_json({
        output = args.output, last = state.last, log = log, picture = picture,
        epochs = state.epochs, best_epoch = state.best_epoch, best_loss = state.best,
        valid_loss = state.valid_loss, loss = state.loss, seconds = state.seconds,
      }, { "output", "best_epoch", "best_loss", "epochs", "loss", "valid_loss", "seconds", "last",
        "log", "picture" })
    else
      say("%s: the model after epoch %d of %d, loss %.4f; trained for %s", args.output,
        state.best_epoch, state.epochs, state.best, progress.time(state.seconds))
      say("%s: to go on from", state.last)
      say("%s: losses%s", log, picture and ", drawn in " .. picture or "")
    end
    return true
  end,
}

-- "FILE" or "FILE=LABEL".
local function labelled(text)
  local path, label = text:match "^(.-)=([^=]*)$"
  if path == "" or label == "" then return nil, ("'%s' is not MODEL=LABEL"):format(text) end
  return { path or text, label or files.name(text):gsub("%.safetensors$", "") }
end

-- The rows of `evaluate --free`.
local function evaluate_freely(args, model, corpus, options)
  local evaluate = require "neuraldrummer.evaluate"
  local message
  local entries = { { model = model, label = labelled(args.model)[2] } }
  for _, each in ipairs(args.also) do
    local other
    other, message = nd.model.load(each[1])
    if not other then return nil, message end
    if args.threads then other:threads(args.threads) end
    entries[#entries + 1] = { model = other, label = each[2] }
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
    if not found then return nil, ("option '--corpus-of': no model is '%s'"):format(each[1]) end
  end
  if args.touch then
    options.touch, message = nd.model.load(args.touch)
    if not options.touch then return nil, message end
  end
  options.temperature = nil
  options.temperatures = args.temperature
  options.style_of_own, options.given_bars = args.style_of_own, args.given_bars
  return evaluate.table(entries, corpus, options)
end

commands.evaluate = {
  summary = "Measure a model on a corpus: teacher-forced, and playing freely.",
  define = function(command)
    command:argument("model", "a trained model."):argname "MODEL"
    command:argument("corpus", "made by preprocess."):argname "FILE"
    command:option("--split", "valid (default), train or all."):choices { "valid", "train", "all" }
    command:option("--songs", "at most so many (default 60; with --free all)."):argname("N")
      :convert(positive)
    command:option("--steps", "of each at most (default 512)."):argname("N"):convert(positive)
    command:option("--seed", "of the first song."):argname("N"):convert(integer)
    command:option("--temperature", "below 1 surer, above 1 freer; with --free also several.")
      :argname("T"):convert(number):count "*"
    command:option("--cutoff", "strike from this probability on."):argname("C"):convert(number)
    command:option("--forced", "strike the N likeliest voices as well."):argname("N")
      :convert(integer)
    command:option("--start", "what went before: blank, count-in, basic or random.")
      :argname("HOW"):choices { "blank", "count-in", "basic", "random" }
    command:flag("--free", "all of it in one table, a row for each player.")
    command:option("--also", "another model for the table; may be repeated.")
      :argname("MODEL=LABEL"):count("*"):convert(labelled)
    command:option("--corpus-of", "the same songs as one of the models hears them, where its "
      .. "kit or grid is another."):argname("LABEL=FILE"):count("*"):convert(pair)
    command:flag("--style-of-own", "with --free: the style of each song's own drums is given.")
    command:option("--given-bars", "with --free: the first N bars of its drums are given.")
      :argname("N"):convert(positive)
    command:option("--touch", "with --free: a model that gives velocities and offsets.")
      :argname "MODEL"
    command:option("--threads", "default 1."):argname("N"):convert(positive)
    command:flag("-q --quiet", "no progress bar.")
    command:flag("--json", "the figures as JSON.")
  end,
  run = function(args)
    local evaluate = require "neuraldrummer.evaluate"
    if not args.free then
      local odd = #args.also > 0 and "--also" or #args.corpus_of > 0 and "--corpus-of"
        or args.style_of_own and "--style-of-own" or args.given_bars and "--given-bars"
        or args.touch and "--touch"
      if odd then return nil, ("option '%s' needs '--free'"):format(odd), MISUSED end
      if #args.temperature > 1 then
        return nil, "several temperatures need '--free'", MISUSED
      end
    end
    local model, corpus, message
    model, message = nd.model.load(args.model)
    if not model then return nil, message end
    corpus, message = nd.corpus.open(args.corpus, model:tokeniser())
    if not corpus then return nil, message end
    if args.threads then model:threads(args.threads) end
    local bar
    local options = {
      split = args.split, songs = args.songs, steps = args.steps, seed = args.seed,
      temperature = args.temperature[1], cutoff = args.cutoff, forced = args.forced,
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
      function() return evaluate.teacher(model, corpus, options) end,
      function() return evaluate.free(model, corpus, options) end,
      function() return evaluate.baselines(corpus, options) end,
    }) do
      local more
      more, message = measure()
      if not more then return nil, ("%s: %s"):format(args.corpus, message) end
      table.move(more, 1, #more, #rows + 1, rows)
    end
    if bar then bar:finish() end
    if args.json then say_json(rows) else write(evaluate.format(rows)) end
    return true
  end,
}

-- A model, given or the one that comes along, and a song as it hears it.
local function load_heard(args)
  local path, model, song, seq, why = args.model
  if not path then
    path, why = nd.default_model()
    if not path then return nil, why end
  end
  model, why = nd.model.load(path)
  if not model then return nil, why end
  song, why = nd.song.load(args.song, { drum_channel = args.drum_channel })
  if not song then return nil, why end
  seq, why = model:tokeniser():encode(song, files.name(args.song))
  if not seq then return nil, ("%s: %s"):format(args.song, why) end
  return model, seq
end

commands.score = {
  summary = "Say how well the drums of a song fit it.",
  define = function(command)
    command:argument("song", "a MIDI file with drums."):argname "SONG.mid"
    command:option("--model", "a trained model; default: the one that comes along."):argname "MODEL"
    command:option("--others", "other songs that are heard with the drums (default 8).")
      :argname("N"):convert(positive)
    command:option("--against", "take songs of this corpus as well.")
      :argname "FILE"
    command:option("--seed", "which of them."):argname("N"):convert(natural)
    command:option("--bars", "list so many of the bars that fit least (default 8).")
      :argname("N"):convert(natural)
    command:option("--png", "a picture: the fit of each bar above the drums."):argname "PNG"
    drum_channel_option(command)
    command:flag("--json", "all bars, as JSON.")
  end,
  run = function(args)
    local score = require "neuraldrummer.score"
    local model, seq = load_heard(args)
    if not model then return nil, seq end
    local corpus, result, message
    if args.against then
      corpus, message = nd.corpus.open(args.against, model:tokeniser())
      if not corpus then return nil, message end
    end
    result, message = score.run(model, seq, { others = args.others, against = corpus,
      seed = args.seed })
    if not result then return nil, ("%s: %s"):format(args.song, message) end
    local least = score.least(result, args.bars)
    if args.png then
      local drawn
      drawn, message = require "neuraldrummer.plot".score(seq, result, { png = args.png })
      if not drawn then return nil, message end
    end
    if args.json then
      result.song, result.picture, result.least = args.song, args.png, {}
      for i, bar in ipairs(least) do result.least[i] = bar.bar end
      say_json(result, { "song", "fit", "likelihood", "others", "better", "of", "least", "bars",
        "picture", "bar", "step", "steps", "hits" })
      return true
    end
    say("%s: %+.3f bits a step for its own song; likelier with it than with %d of %d others",
      args.song, result.fit, result.better, result.of)
    say("log-likelihood: %.3f bits a step, under the others %.3f", result.likelihood,
      result.others)
    if #least > 0 then
      say("bars that fit least:")
      for _, bar in ipairs(least) do say("%6d  %+.3f, %d hits", bar.bar, bar.fit, bar.hits) end
    end
    if args.png then say("%s: the fit of each bar", args.png) end
    return true
  end,
}

commands.explain = {
  summary = "Say why the hits of a bar are likely.",
  define = function(command)
    command:argument("song", "a MIDI file with drums."):argname "SONG.mid"
    command:option("--bar", "which, from 1."):argname("N"):convert(positive):count(1)
    command:option("--voice", "only the hits of this voice, as snare."):argname "VOICE"
    command:option("--model", "a trained model; default: the one that comes along."):argname "MODEL"
    command:option("--reasons", "of each hit (default 4)."):argname("N"):convert(positive)
    command:option("--png", "a picture: song, hits before, reasons."):argname "PNG"
    drum_channel_option(command)
    command:flag("--json", "all reasons, as JSON.")
  end,
  run = function(args)
    local explain = require "neuraldrummer.explain"
    local model, seq = load_heard(args)
    if not model then return nil, seq end
    local result, message = explain.run(model, seq, { bar = args.bar, voice = args.voice })
    if not result then return nil, ("%s: %s"):format(args.song, message) end
    if args.png then
      local drawn
      drawn, message = require "neuraldrummer.plot".explain(seq, result, { png = args.png })
      if not drawn then return nil, message end
    end
    if args.json then
      result.file, result.picture = args.song, args.png
      say_json(result, { "file", "bar", "step", "steps", "reasons", "hits", "picture", "kind",
        "name", "voice", "beat", "odds", "weight" })
    else
      write(explain.format(result, args.reasons))
      if args.png then say("%s: song, hits before and reasons", args.png) end
    end
    return true
  end,
}

commands.plot = {
  summary = "Draw a song's drums under its intensity, or a training's losses.",
  define = function(command)
    command:argument("song", "a MIDI file, or the log of a training."):argname "SONG.mid"
    command:option("-o --output", "the picture."):argname("PNG"):count(1)
    command:option("--tsv", "where to leave what is drawn, as text."):argname "FILE"
    tokeniser_options(command)
    drum_channel_option(command)
  end,
  run = function(args)
    local plot = require "neuraldrummer.plot"
    local head, ok, message
    head, message = files.read(args.song, 64)
    if not head then return nil, message end
    if head:find "^epoch\t" then
      ok, message = plot.loss(args.song, args.output)
      if not ok then return nil, message end
      say("%s: the losses of %s", args.output, args.song)
      return true
    end
    local song, seq = load_song(args)
    if not song then return nil, seq end
    ok, message = plot.song(seq, { png = args.output, tsv = args.tsv })
    if not ok then return nil, message end
    say("%s: the drums of %s under its intensity", args.output, args.song)
    if args.tsv then say("%s: the same as text", args.tsv) end
    return true
  end,
}

-- Info ----------------------------------------------------------------------

local function info_of_song(song)
  local meters, tempos = song:meters(), song:tempos()
  local channel, guessed = song:drum_channel()
  local info = {
    kind = "song", seconds = song:seconds(), ppq = song:ppq(), notes = #song:notes(),
    drum_notes = #song:notes "drums", drum_channel = channel, drum_channel_guessed = guessed,
    tracks = song:tracks(), tempos = tempos, meters = meters, repairs = song:repairs(),
  }
  local function text()
    say("song: %s, %d notes (%d of drums), %d tracks, %d ticks a quarter", progress.time(
      info.seconds), info.notes, info.drum_notes, #info.tracks, info.ppq)
    local parts = {}
    for i, meter in ipairs(meters) do
      if i > 8 then break end
      parts[i] = ("%d/%d"):format(meter.numerator, meter.denominator)
    end
    say("meter: %s%s", table.concat(parts, ", "), #meters > 8 and ", …" or "")
    local low, high = math.huge, 0
    for _, tempo in ipairs(tempos) do
      low, high = math.min(low, tempo.bpm), math.max(high, tempo.bpm)
    end
    say(low == high and "tempo: %.6g" or "tempo: %.6g-%.6g, %d changes", low, high, #tempos - 1)
    if channel then
      say("drums: channel %d%s", channel, guessed and ", by its track's name" or "")
    else
      say "drums: none"
    end
    for i, name in ipairs(info.tracks) do say("track %d: %s", i, name) end
    for _, repair in ipairs(info.repairs) do
      say("mended at byte %d: %s%s", repair.offset, repair.text,
        repair.lossy and " (events were lost)" or "")
    end
  end
  return info, text
end

local function info_of_corpus(corpus)
  local settings = corpus:settings()
  local info = { kind = "corpus", songs = #corpus, valid = 0, steps = 0, settings = settings }
  for i = 1, #corpus do
    local song = corpus:info(i)
    info.steps = info.steps + song.steps
    info.valid = info.valid + (song.split == "valid" and 1 or 0)
  end
  return info, function()
    say("corpus: %d songs (%d for validation), %d steps", info.songs, info.valid, info.steps)
    say("grid: kit %s, %d steps a beat%s", settings.kit, settings.steps_per_beat,
      settings.original and ", as the system of 2023" or "")
  end
end

-- A table's fields in one line; numbers as short as they may be.
local function say_fields(title, from)
  local names, parts = {}, {}
  for name in pairs(from) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local value = from[name]
    if type(value) == "table" then
      value = table.concat(value, "/")
    elseif tonumber(value) then
      value = ("%.6g"):format(tonumber(value))
    end
    parts[i] = ("%s %s"):format(name, tostring(value):gsub("%s+", " "))
  end
  if #parts > 0 then say("%s: %s", title, table.concat(parts, ", ")) end
end

local function info_of_model(model)
  local config, settings = model:config(), model:tokeniser():settings()
  local info = { kind = "model", config = config, settings = settings, extra = model:extra() }
  return info, function()
    say("model: preset %s, %d parameters", config.preset, config.parameters)
    say("grid: kit %s, %d steps a beat", settings.kit, settings.steps_per_beat)
    say_fields("network", config)
    say_fields("saved with it", info.extra)
  end
end

-- What a file is, by its first bytes.
local function kind_of(path)
  local head, message = files.read(path, 64)
  if not head then return nil, message end
  if head:find "^NDCORPUS" then return "corpus" end
  if #head > 8 and head:find("^{", 9) and ("<I8"):unpack(head) < 1 << 32 then return "model" end
  if head:find "^[%di][%d%-%.,i ]*[\n\r]?" and head:find "^[%di%-%., \r\n]+$" then
    return "corpus"  -- token text
  end
  return "song"
end

commands.info = {
  summary = "Say what is in a song, a corpus or a model.",
  define = function(command)
    command:argument("file", "a MIDI file, a corpus or a model."):argname "FILE"
    drum_channel_option(command)
    command:flag("--json", "as JSON.")
  end,
  run = function(args)
    local kind, message = kind_of(args.file)
    if not kind then return nil, message end
    local thing, describe
    if kind == "corpus" then
      thing, message = nd.corpus.open(args.file)
      describe = info_of_corpus
    elseif kind == "model" then
      thing, message = nd.model.load(args.file)
      describe = info_of_model
    else
      thing, message = nd.song.load(args.file, { drum_channel = args.drum_channel })
      describe = info_of_song
    end
    if not thing then return nil, message end
    local info, text = describe(thing)
    if args.json then say_json(info, { "kind" }) else text() end
    return true
  end,
}

-- The tool ------------------------------------------------------------------

local ORDER = { "drum", "continue", "sketch", "style", "tokens", "preprocess", "train", "evaluate",
  "score", "explain", "plot", "info" }

local function build_parser()
  local parser = argparse("neuraldrummer", "Listens to a song as MIDI and plays drums to it.")
    :help_max_width(80):command_target "command"
  parser:flag("--version", "print the version and leave."):action(function()
    say("neuraldrummer %s", nd.version)
    os.exit(DONE, true)
  end)
  for _, name in ipairs(ORDER) do
    local command = parser:command(name, commands[name].summary)
    commands[name].define(command)
  end
  return parser
end

-- An error that the C side or an option check raised about a value given on
-- the command line is misuse by the user; any other is a fault of ours.
local function on_error(message)
  local text = tostring(message)
  local plain = text:gsub("^[^:]*:%d+: ", "")
  if plain:find "^options? '" or plain:find "^unknown option" or plain:find "^no kit is named" then
    return { status = MISUSED, text = plain }
  elseif plain:find "not enough memory" then
    return { status = FAILED, text = "not enough memory" }
  end
  return { status = FAILED, text = debug.traceback(text, 2), fault = true }
end

--- Runs the tool; the exit status.
---@param args string[]
---@return integer status
function cli.main(args)
  local ok, parsed = build_parser():pparse(glue_negative_numbers(args))
  if not ok then
    local named = commands[args[1]] and args[1] .. " " or ""
    complain("%s (see neuraldrummer %s--help)", parsed, named)
    return MISUSED
  end
  local ran, done, message, status = xpcall(commands[parsed.command].run, on_error, parsed)
  if not ran then
    if done.fault then
      io.stderr:write("neuraldrummer: ", done.text, "\n")
    else
      complain("%s", done.text)
    end
    return done.status
  elseif not done then
    complain("%s", message)
    return status or FAILED
  end
  local flushed, why = io.stdout:flush()
  if not flushed or unwritten then
    complain("cannot write the result: %s", unwritten or why)
    return FAILED
  end
  return DONE
end

return cli
