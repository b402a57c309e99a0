--- The command `info`: what is in a song, a corpus or a model.
local nd = require "neuraldrummer"
local common = require "neuraldrummer.cli.common"
local files = require "neuraldrummer.files"
local progress = require "neuraldrummer.progress"

local say = common.say

---@type table<string, neuraldrummer.cli_command>
local info = {}

-- Each of these: the facts, and a function that says them.

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
      say("mended at byte %d: %s%s", repair.offset, repair.text,
        repair.lossy and " (events were lost)" or "")
    end
  end
  return facts, text
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

local function facts_of_model(model)
  local config, settings = model:config(), model:tokeniser():settings()
  local facts = { kind = "model", config = config, settings = settings, extra = model:extra() }
  return facts, function()
    say("model: preset %s, %d parameters", config.preset, config.parameters)
    say("grid: kit %s, %d steps a beat", settings.kit, settings.steps_per_beat)
    say_fields("network", config)
    say_fields("saved with it", facts.extra)
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

info.info = {
  summary = "Say what is in a song, a corpus or a model.",
  takes = {
    { "file", "FILE", "a MIDI file, a corpus or a model." },
    common.DRUM_CHANNEL,
    { "--json", "as JSON." },
  },
  run = function(args)
    local kind, message = kind_of(args.file)
    if not kind then return nil, message end
    local thing, describe
    if kind == "corpus" then
      thing, message = nd.corpus.open(args.file)
      describe = facts_of_corpus
    elseif kind == "model" then
      thing, message = nd.model.load(args.file)
      describe = facts_of_model
    else
      thing, message = nd.song.load(args.file, { drum_channel = args.drum_channel })
      describe = facts_of_song
    end
    if not thing then return nil, message end
    local facts, text = describe(thing)
    if args.json then common.say_json(facts, { "kind" }) else text() end
    return true
  end,
}

return info
  example = "neuraldrummer info song.mid",
