--- The command `info`: describes a song, a corpus, a model, or the CPU.
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local sparkline = require "neuraldrummer.sparkline"
local common = require "neuraldrummer.cli.common"
local files = require "neuraldrummer.files"
local option = require "neuraldrummer.options"
local progress = require "neuraldrummer.progress"

local say = common.say

---@type table<string, neuraldrummer.cli_command>
local info = {}

-- Each of the functions `facts_of_...` returns the facts and a function that prints them.

local function facts_of_song(song)
  local meters, tempos = song:meters(), song:tempos()
  local channel, guessed = song:drum_channel()
  local facts = {
    kind = "song", seconds = song:seconds(), ppq = song:ppq(), notes = #song:notes(),
    drum_notes = #song:notes "drums", drum_channel = channel, drum_channel_guessed = guessed,
    tracks = song:tracks(), tempos = tempos, meters = meters, repairs = song:repairs(),
  }
  local function text()
    say("song: %s, %d notes (%d of drums), %d tracks, %d ticks a quarter", progress.time(
      facts.seconds), facts.notes, facts.drum_notes, #facts.tracks, facts.ppq)
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
    for i, name in ipairs(facts.tracks) do say("track %d: %s", i, name) end
    for _, repair in ipairs(facts.repairs) do
      say("repaired at byte %d: %s%s", repair.offset, repair.text,
        repair.lossy and " (events were lost)" or "")
    end
  end
  return facts, text
end

-- Prints sparklines of a song by bar, if there is a terminal: how much the instruments and
-- the drums play.
local function say_song_sparklines(song)
  local columns = sparkline.terminal_columns()
  local seq = columns and nd.tokeniser():encode(song)
  if not seq then return end
  local bars, hits, voices = seq:bars(), seq:packed_hits(), #seq:voices()
  local energy, song_bars, drum_bars = seq:metric "energy", {}, {}
  for b, bar in ipairs(bars) do
    local cells = hits:sub((bar.first - 1) * voices + 1, bar.last * voices)
    song_bars[b] = energy[bar.first]
    drum_bars[b] = select(2, cells:gsub("[^\0]", "")) / (bar.last - bar.first + 1)
  end
  song_bars = sparkline.downsample(song_bars, columns - 8)
  drum_bars = sparkline.downsample(drum_bars, columns - 8)
  say("song    %s", sparkline.bars(song_bars))
  say("drums   %s", sparkline.bars(drum_bars, 0))
  say("bar 1-%d", #bars)
end

-- Prints sparklines of a corpus, if there is a terminal: the hits of each voice by their
-- place in the bar, and the songs by tempo and density.
local function say_corpus_sparklines(corpus)
  if not sparkline.terminal_columns() then return true end
  local statistics = require "neuraldrummer.statistics"
  local found, message = statistics.run(corpus)
  if not found then return nil, message end
  local max = 0
  for _, rate in ipairs(found.rates) do max = math.max(max, table.unpack(rate)) end
  for v = #found.voices, 1, -1 do
    local cells = {}
    for k, rate in ipairs(found.rates[v]) do cells[k] = sparkline.shades({ rate }, max):rep(2) end
    say("%12s  %s", found.voices[v], table.concat(cells))
  end
  if max > 0 then
    say("%12s  1       2       3       4         darkest: %.0f %% of %d bars", "", 100 * max,
      found.bars)
  end
  for _, kind in ipairs { { "beats a minute", found.tempo, statistics.TEMPO },
    { "hits a step", found.density, statistics.DENSITY } } do
    local classes, songs = statistics.classes(kind[2], kind[3]), {}
    for i, class in ipairs(classes) do songs[i] = class[2] end
    if #songs > 0 then
      say("%14s  %g %s %g", kind[1], classes[1][1], sparkline.bars(songs, 0),
        classes[#classes][1])
    end
  end
  return true
end

local function facts_of_corpus(corpus)
  local settings = corpus:settings()
  local facts = { kind = "corpus", songs = #corpus, valid = 0, steps = 0, settings = settings }
  for i = 1, #corpus do
    local song = corpus:info(i)
    facts.steps = facts.steps + song.steps
    facts.valid = facts.valid + (song.split == "valid" and 1 or 0)
  end
  return facts, function()
    say("corpus: %d songs (%d for validation), %d steps", facts.songs, facts.valid, facts.steps)
    say("grid: kit %s, %d steps a beat%s", settings.kit, settings.steps_per_beat,
      settings.original and ", for the system of 2023" or "")
  end
end

-- Prints the fields of a table in one line, with numbers as short as possible.
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

local function facts_of_model(model)
  local config, settings = model:config(), model:tokeniser():settings()
  local facts = { kind = "model", config = config, settings = settings, extra = model:extra(),
    training_bytes = model:training_bytes() }
  return facts, function()
    say("model: preset %s, %d parameters", config.preset, config.parameters)
    say("grid: kit %s, %d steps a beat", settings.kit, settings.steps_per_beat)
    say_fields("network", config)
    say("training: needs %.0f MB, in batches of %d x %d steps", facts.training_bytes / 1e6,
      config.batch, config.steps)
    say_fields("saved with it", facts.extra)
  end
end

-- The features of the CPU, and the kernels that are used.
local function facts_of_cpu()
  local facts = core.cpu()
  facts.kind = "cpu"
  local asked = os.getenv "OPENBLAS_CORETYPE"
  if facts.blas == "own" then
    facts.why = "matrix products of this module; built without OpenBLAS"
  elseif asked then
    facts.why = ("OPENBLAS_CORETYPE is %s"):format(asked)
  else
    facts.why = "chosen by OpenBLAS"
  end
  facts.asked = os.getenv "NEURALDRUMMER_KERNELS"
  return facts, function()
    say("cpu: %s", #facts.features > 0 and table.concat(facts.features, ", ")
      or "no features that kernels are chosen by")
    say("OpenBLAS: kernels %s: %s", facts.blas, facts.why)
    say("matrix products with packed weights: %s%s",
      facts.packed == "blas" and "none, OpenBLAS computes them" or facts.packed,
      facts.asked and (", because NEURALDRUMMER_KERNELS is %s"):format(facts.asked) or "")
    say("element-wise loops: %s", facts.loops)
  end
end

-- The kind of a file, by its first bytes.
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

-- Draws the picture, if one is asked for.
local function draw(kind, thing, args)
  if not args.plot then return true end
  local plot = require "neuraldrummer.plot"
  if kind == "song" then
    local seq, message = nd.tokeniser():encode(thing, files.name(args.file), args.max_steps)
    if not seq then return nil, ("%s: %s"):format(args.file, message) end
    return plot.song(seq, { out = args.plot, from = { args.file } })
  end
  local found, message = require "neuraldrummer.statistics".run(thing)
  if not found then return nil, message end
  return plot.corpus(found, { out = args.plot, title = files.name(args.file),
    from = { args.file } })
end

info.info = {
  summary = "Describe a song, a corpus, a model, or the CPU.",
  example = "neuraldrummer info song.mid",
  takes = {
    { "file", "FILE", "a MIDI file, a corpus or a model", args = "?" },
    { "--cpu", "describe the CPU: its features, the kernels that are used, and why" },
    common.DRUM_CHANNEL, common.LIMITS,
    { "--plot", "FILE", "picture (PNG, SVG or PDF) of a song or a corpus" },
    { "--json", "print the result as JSON" },
  },
  run = function(args)
    if args.cpu or not args.file then
      local wrong = not args.cpu and "a FILE is needed, or the option --cpu"
        or args.file and "option '--cpu': it describes this machine; leave out FILE"
        or args.plot and "option '--plot': there is no picture of the CPU"
      if wrong then return nil, wrong, common.MISUSED end
      local facts, text = facts_of_cpu()
      if args.json then common.say_json(facts, { "kind" }) else text() end
      return true
    end
    local kind, message, apart, status
    apart, message, status = common.check_outputs_with_picture(args.plot,
      { { args.file, "the input" } }, {})
    if not apart then return nil, message, status end
    kind, message = kind_of(args.file)
    if not kind then return nil, message end
    if args.plot and kind == "model" then
      return nil, "option '--plot': there is no picture of a model; `neuraldrummer plot "
        .. "LOG.tsv` draws the losses of its training", common.MISUSED
    end
    local thing, describe
    if kind == "corpus" then
      thing, message = nd.corpus.open(args.file)
      describe = facts_of_corpus
    elseif kind == "model" then
      thing, message = nd.model.load(args.file)
      describe = facts_of_model
    else
      thing, message = nd.song.load(args.file, option.reading(args, args.drum_channel))
      describe = facts_of_song
    end
    if not thing then return nil, message end
    local facts, text = describe(thing)
    local drawn
    drawn, message = draw(kind, thing, args)
    if args.json then
      facts.picture = drawn and args.plot or nil
      common.say_json(facts, { "kind" })
    else
      text()
      if kind == "song" then say_song_sparklines(thing) end
      local ok, why = true, nil
      if kind == "corpus" then ok, why = say_corpus_sparklines(thing) end
      if not ok then return nil, why end
      if drawn and args.plot then say("%s: picture", args.plot) end
    end
    return drawn, message
  end,
}

return info
