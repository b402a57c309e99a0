--- The commands that make data of songs, or draw it: tokens, preprocess, plot.
local core = require "neuraldrummer.core"
local common = require "neuraldrummer.cli.common"
local files = require "neuraldrummer.files"
local kits = require "neuraldrummer.kits"
local log = require "neuraldrummer.train.log"
local progress = require "neuraldrummer.progress"

local say = common.say

---@type table<string, neuraldrummer.cli_command>
local data = {}

data.tokens = {
  summary = "Print a song as a line of tokens.",
  example = "neuraldrummer tokens song.mid",
  takes = {
    { "song", "SONG.mid", "a MIDI file." },
    { "--original", "grid and intensity of the system of 2023." },
    common.GRID, common.DRUM_CHANNEL, common.KIT_IN, common.LIMITS,
  },
  run = function(args)
    -- the text has all pitches, a voice's or not
    local seq, message = common.load_sequence(args, true)
    if not seq then return nil, message end
    say("%s", seq:tokens())
    return true
  end,
}

-- "2/7" as both.
local function shard_of(text)
  local k, n = text:match "^(%d+)/(%d+)$"
  k, n = math.tointeger(tonumber(k)), math.tointeger(tonumber(n))
  if not (k and n) or k < 1 or k > n then
    return nil, ("'%s' is not K/N, the K-th of N"):format(text)
  end
  return { k, n }
end

-- The reasons why files were skipped, the commonest first.
local function reasons_of(skipped)
  local reasons = {}
  for reason in pairs(skipped) do reasons[#reasons + 1] = reason end
  table.sort(reasons, function(a, b)
    local m, n = skipped[a], skipped[b]
    if m ~= n then return m > n end
    return core.byte_less(a, b)
  end)
  return reasons
end

local function say_skipped(reasons)
  for _, each in ipairs(reasons) do say("%s: %s", each.path, each.message) end
end

local function say_summary(args, summary, unknown_to)
  local seconds = math.max(summary.seconds, 1e-3)
  -- token text knows no splits
  local valid = args.original and "" or (" (%d for validation)"):format(summary.valid)
  say("%s: %d of %d songs%s, %d steps; %.1f s, %.0f files/s", args.output, summary.kept,
    summary.files, valid, summary.steps, seconds, summary.files / seconds)
  if summary.left_out > 0 then say("%6d left out by --where", summary.left_out) end
  for _, reason in ipairs(reasons_of(summary.skipped)) do
    say("%6d skipped: %s", summary.skipped[reason], reason)
  end
  say("%-12s %9s %10s %7s", "voice", "hits", "hits/step", "weight")
  for _, voice in ipairs(summary.voices) do
    say("%-12s %9d %10.4f %7s", voice.name, voice.hits, voice.rate,
      voice.hits > 0 and ("%.2f"):format(voice.weight) or "-")
  end
  if summary.unknown.hits > 0 then
    say("%d drum notes with pitches that the %s does not know: %s", summary.unknown.hits,
      unknown_to, kits.describe(summary.unknown))
  end
  if args.list_skipped then say_skipped(summary.reasons) end
end

-- What was made, in words or as JSON.
local function tell(args, summary, unknown_to)
  if not args.json then return say_summary(args, summary, unknown_to) end
  for _, voice in ipairs(summary.voices) do
    if voice.weight == math.huge then voice.weight = nil end
  end
  if not args.list_skipped then summary.reasons = nil end
  if summary.unknown.hits == 0 then summary.unknown = nil end
  summary.output = args.output
  common.say_json(summary, { "output", "files", "kept", "valid", "steps", "left_out",
    "seconds", "skipped", "voices", "name", "hits", "rate", "weight", "reasons", "path",
    "message" })
end

local LIST_SKIPPED <const> = { "--list-skipped", "print each skipped file and why." }
local JSON <const> = { "--json", "the summary as JSON." }

data.preprocess = {
  summary = "Make a corpus from a folder of MIDI files.",
  example = "neuraldrummer preprocess my-songs -o my-songs.ndc",
  takes = {
    { "folder", "DIR", "looked through with all folders in it." },
    { "-o --output", "FILE", "the corpus, or the text with --original.", count = 1 },
    { "--original", "write token text, as the system of 2023 does (saved.txt)." },
    common.GRID, common.KIT_IN, common.LIMITS,
    { "--include-drums", "count the song's drums in its intensity." },
    { "--min-steps", "N", "skip songs of so many steps or fewer (default 32).", common.natural },
    { "--manifest", "FILE.csv",
      "a CSV table with columns 'file' (from its own folder) and 'split'." },
    { "--where", "COLUMN=VALUE",
      "take only the manifest's rows with this value; may be repeated.", common.pair, count = "*" },
    { "--valid-every", "N",
      "without a manifest: one song in N is for validation (default 10; 0: none).",
      common.natural },
    { "--threads", "N", "default: as many as there are processors; the result is the same.",
      common.positive },
    { "--shard", "K/N", "of the sorted files the K-th of N parts alone, for `merge`; its summary "
      .. "is left beside it (FILE.json).", shard_of },
    LIST_SKIPPED, common.QUIET, JSON,
  },
  run = function(args)
    local where
    if #args.where > 0 then
      if not args.manifest then
        return nil, "option '--where' needs '--manifest'", common.MISUSED
      end
      where = {}
      for _, each in ipairs(args.where) do
        if where[each[1]] then
          return nil, ("option '--where': '%s' is wanted twice"):format(each[1]), common.MISUSED
        end
        where[each[1]] = each[2]
      end
    end
    local apart, why, status = common.check_outputs({ { args.manifest, "the manifest" } },
      { { args.output, args.original and "the text" or "the corpus" } })
    if not apart then return nil, why, status end
    local bar
    local interrupt <close> = core.catch_interrupt()
    local preprocess = require "neuraldrummer.preprocess"
    local summary, message, tally = preprocess.run(args.folder, args.output, {
      original = args.original, kit = args.kit, kit_in = args.kit_in,
      steps_per_beat = args.steps_per_beat,
      include_drums = args.include_drums, min_steps = args.min_steps, manifest = args.manifest,
      where = where, valid_every = args.valid_every, max_bytes = args.max_bytes,
      max_events = args.max_events, max_tracks = args.max_tracks, max_steps = args.max_steps,
      shard = args.shard, threads = args.threads or math.min(core.processors(), 64),
      -- a merge may be asked for them
      reasons = args.list_skipped or args.shard ~= nil,
      on_progress = function(done, total, kept, skipped)
        bar = bar or progress.new(total, "files", { quiet = args.quiet })
        bar:update(done, ("%d kept, %d skipped"):format(kept, skipped))
        return not interrupt:seen()
      end,
    })
    if bar then bar:finish() end
    if tally then  -- all were skipped
      if args.list_skipped then say_skipped(tally.reasons) end
      local commonest = reasons_of(tally.skipped)[1]
      message = ("%s (%d skipped: %s)"):format(message, tally.skipped[commonest], commonest)
    end
    if not summary then return nil, message end
    tell(args, summary, args.kit_in and "kit map" or "kit")
    return true
  end,
}

data.merge = {
  summary = "Make one corpus of its shards, which preprocess --shard made.",
  example = "neuraldrummer merge part-1.ndc part-2.ndc -o my-songs.ndc",
  takes = {
    { "shard", "SHARD", "all of them, in any order.", args = "+" },
    { "-o --output", "FILE", "the corpus, or the text where they are text.", count = 1 },
    LIST_SKIPPED, common.QUIET, JSON,
  },
  run = function(args)
    local bar
    local interrupt <close> = core.catch_interrupt()
    local summary, message = require "neuraldrummer.shards".merge(args.shard, args.output, {
      on_progress = function(done, total)
        bar = bar or progress.new(total, "songs", { quiet = args.quiet })
        bar:update(done)
        return not interrupt:seen()
      end,
    })
    if bar then bar:finish() end
    if not summary then return nil, message end
    tell(args, summary, "kit or kit map")
    return true
  end,
}

-- The rows that evaluate --json printed, one run's or several': a model without
-- a name has its file's then, and who is in several is shown once.
local function draw_figures(args, plot)
  local rows, seen, recorded = {}, {}, nil
  for _, path in ipairs(args.song) do
    local text, message = files.text(path, 1 << 24)
    if not text then return nil, message end
    local read, said = pcall(require "dkjson".decode, text)  -- it raises where it is too deep
    if not read or type(said) ~= "table" or type(said[1]) ~= "table" or not said[1].name then
      return nil, path .. ": is not what evaluate --json says"
    end
    local stem = files.name(path):gsub("%.%w+$", "")
    for _, row in ipairs(said) do
      local name = tostring(row.name)
      if #args.song > 1 and (name:find "^model" or name == "teacher forcing") then
        name = name == "model" and stem or ("%s, %s"):format(stem, (name:gsub("^model, ", "")))
      end
      row.name = name
      if name == "recorded drums" then
        recorded = row
      elseif not seen[name] then
        rows[#rows + 1] = row
      end
      seen[name] = true
    end
  end
  rows[#rows + 1] = recorded
  local ok, message = plot.figures(rows, args.output, args.song)
  if not ok then return nil, message end
  say("%s: %d players side by side", args.output, #rows)
  return true
end

data.plot = {
  summary = "Draw a song's drums, a training's losses, or several models side by side.",
  example = "neuraldrummer plot song.mid -o song.png",
  takes = {
    { "song", "FILE", "a MIDI file; logs of trainings (.tsv), one or several; or what "
      .. "evaluate --json said, of one model or several.", args = "+" },
    { "-o --output", "FILE", "the picture: a PNG, SVG or PDF.", count = 1 },
    { "--tsv", "FILE", "where to leave a song's numbers; default: beside the picture." },
    common.GRID, common.DRUM_CHANNEL, common.LIMITS,
  },
  run = function(args)
    local plot = require "neuraldrummer.plot"
    local logs, first, figures, read = {}, args.song[1], 0, {}
    for i, path in ipairs(args.song) do
      read[i] = { path, "the input" }
      local head, message = files.read(path, 64)
      if not head then return nil, message end
      if log.is_log(path) then logs[#logs + 1] = path end
      if head:find "^%s*%[" then figures = figures + 1 end
    end
    local numbers = args.tsv
    if #args.song == 1 and #logs == 1 then numbers = false end  -- it is text already
    local apart, why, status = common.check_outputs_with_picture(args.output, read, {}, numbers)
    if not apart then return nil, why, status end
    if figures == #args.song then return draw_figures(args, plot) end
    if #logs < #args.song and #args.song > 1 then
      return nil, "several files are drawn together when all are logs of trainings, or all "
        .. "are what evaluate --json said", common.MISUSED
    elseif args.tsv and #logs > 0 then
      return nil, "option '--tsv': a log is text already", common.MISUSED
    end
    local ok, message
    if #logs > 1 then
      ok, message = plot.compare(logs, args.output)
      if ok then say("%s: the losses of %d trainings", args.output, #logs) end
      return ok, message
    elseif #logs == 1 then
      ok, message = plot.loss(first, args.output)
      if ok then say("%s: the losses of %s", args.output, first) end
      return ok, message
    end
    args.song = first
    local seq
    seq, message = common.load_sequence(args)
    if not seq then return nil, message end
    ok, message = plot.song(seq, { out = args.output, tsv = args.tsv, from = { first } })
    if not ok then return nil, message end
    say("%s: the drums of %s under its intensity", args.output, first)
    say("%s: the same as text", args.tsv or files.ending(args.output, ".tsv"))
    return true
  end,
}

return data
