--- The commands that turn songs into data or pictures: tokens, preprocess, merge, plot.
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
    { "song", "SONG.mid", "a MIDI file" },
    { "--original", "use the grid and intensity of the 2023 system" },
    common.GRID, common.DRUM_CHANNEL, common.KIT_IN, common.LIMITS,
  },
  run = function(args)
    -- token text has every pitch, so pitches without a voice are not reported
    local seq, message = common.load_sequence(args, true)
    if not seq then return nil, message end
    say("%s", seq:tokens())
    return true
  end,
}

-- Parses "K/N".
local function shard_of(text)
  local k, n = text:match "^(%d+)/(%d+)$"
  k, n = math.tointeger(tonumber(k)), math.tointeger(tonumber(n))
  if not (k and n) or k < 1 or k > n then
    return nil, ("'%s' is not K/N, a part and the number of parts"):format(text)
  end
  return { k, n }
end

-- The reasons why files were skipped, most frequent first.
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
  for _, skip in ipairs(reasons) do say("%s: %s", skip.path, skip.message) end
end

local function say_summary(args, summary, unknown_to)
  local seconds = math.max(summary.seconds, 1e-3)
  -- token text does not store the split
  local valid = args.original and "" or (" (%d for validation)"):format(summary.valid)
  say("%s: %d of %d songs%s, %d steps; %.1f s, %.0f files/s", args.output, summary.accepted,
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

-- Prints the summary, as text or as JSON.
local function report(args, summary, unknown_to)
  if not args.json then return say_summary(args, summary, unknown_to) end
  for _, voice in ipairs(summary.voices) do
    if voice.weight == math.huge then voice.weight = nil end
  end
  if not args.list_skipped then summary.reasons = nil end
  if summary.unknown.hits == 0 then summary.unknown = nil end
  summary.output = args.output
  common.say_json(summary, { "output", "files", "accepted", "valid", "steps", "left_out",
    "seconds", "skipped", "voices", "name", "hits", "rate", "weight", "reasons", "path",
    "message" })
end

local LIST_SKIPPED <const> = { "--list-skipped", "print each skipped file and the reason" }
local JSON <const> = { "--json", "print the summary as JSON" }

data.preprocess = {
  summary = "Make a corpus from a folder of MIDI files.",
  example = "neuraldrummer preprocess my-songs -o my-songs.ndc",
  takes = {
    { "folder", "DIR", "folder of songs; its subfolders are searched too" },
    { "-o --output", "FILE", "the corpus to write, or the text with --original", count = 1 },
    { "--original", "write token text, as the 2023 system does (saved.txt)" },
    common.GRID, common.KIT_IN, common.LIMITS,
    { "--include-drums", "count the song's drums in its intensity" },
    { "--min-steps", "N", "skip songs of N steps or fewer (default 32)", common.natural },
    { "--manifest", "FILE.csv",
      "a CSV table with the columns 'file' (path from the table's folder) and 'split'." },
    { "--where", "COLUMN=VALUE",
      "take only the manifest's rows with this value; may be repeated.", common.pair, count = "*" },
    { "--valid-every", "N",
      "without a manifest: use one song in N for validation (default 10; 0: none).",
      common.natural },
    { "--threads", "N", "1-64; default: one per processor. The result is the same",
      common.positive },
    { "--shard", "K/N", "process only the K-th of N parts of the sorted files, for `merge`; also "
      .. "writes a summary, FILE.json.", shard_of },
    LIST_SKIPPED, common.QUIET, JSON,
  },
  run = function(args)
    local where
    if #args.where > 0 then
      if not args.manifest then
        return nil, "option '--where' needs '--manifest'", common.MISUSED
      end
      where = {}
      for _, pair in ipairs(args.where) do
        if where[pair[1]] then
          return nil, ("option '--where': column '%s' is given twice"):format(pair[1]),
            common.MISUSED
        end
        where[pair[1]] = pair[2]
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
      -- a shard's summary needs them, because `merge --list-skipped` prints them
      reasons = args.list_skipped or args.shard ~= nil,
      on_progress = function(done, total, accepted, skipped)
        bar = bar or progress.new(total, "files", { quiet = args.quiet })
        bar:update(done, ("%d accepted, %d skipped"):format(accepted, skipped))
        return not interrupt:seen()
      end,
    })
    if bar then bar:finish() end
    if tally then  -- every file was skipped
      if args.list_skipped then say_skipped(tally.reasons) end
      local reason = reasons_of(tally.skipped)[1]
      message = ("%s (%d skipped: %s)"):format(message, tally.skipped[reason], reason)
    end
    if not summary then return nil, message end
    report(args, summary, args.kit_in and "kit map" or "kit")
    return true
  end,
}

data.merge = {
  summary = "Merge shards, made by preprocess --shard, into one corpus.",
  example = "neuraldrummer merge part-1.ndc part-2.ndc -o my-songs.ndc",
  takes = {
    { "shard", "SHARD", "the shards, in any order; all are needed", args = "+" },
    { "-o --output", "FILE", "the corpus to write, or the text if the shards are text",
      count = 1 },
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
    report(args, summary, "kit or kit map")
    return true
  end,
}

-- The rows of one file that `evaluate --json` printed.
local function read_evaluation(path)
  local text, message = files.text(path, 1 << 24)
  if not text then return nil, message end
  local read, rows = pcall(require "dkjson".decode, text)  -- deep nesting makes it raise
  if not read or type(rows) ~= "table" or type(rows[1]) ~= "table" or not rows[1].name then
    return nil, path .. ": is not a result of evaluate --json"
  end
  return rows
end

-- Draws the rows of one or several evaluations. With several, a model without a label is
-- named by its file, players that occur in several files are drawn once, and the recorded
-- drums come last.
local function draw_figures(args, plot)
  local rows, seen, recorded = {}, {}, nil
  for _, path in ipairs(args.song) do
    local read, message = read_evaluation(path)
    if not read then return nil, message end
    local stem = files.name(path):gsub("%.%w+$", "")
    for _, row in ipairs(read) do
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
  say("%s: figures of %d players", args.output, #rows)
  return true
end

-- Draws one training log, or compares several.
local function draw_logs(args, plot, logs)
  local ok, message
  if #logs > 1 then
    ok, message = plot.compare(logs, args.output)
    if ok then say("%s: the losses of %d trainings", args.output, #logs) end
  else
    ok, message = plot.loss(logs[1], args.output)
    if ok then say("%s: the losses of %s", args.output, logs[1]) end
  end
  return ok, message
end

-- Draws the drums of a song.
local function draw_song(args, plot)
  local path = args.song[1]
  args.song = path
  local seq, message = common.load_sequence(args)
  if not seq then return nil, message end
  local ok
  ok, message = plot.song(seq, { out = args.output, tsv = args.tsv, from = { path } })
  if not ok then return nil, message end
  say("%s: the drums of %s and its intensity", args.output, path)
  say("%s: the same as text", args.tsv or files.ending(args.output, ".tsv"))
  return true
end

data.plot = {
  summary = "Draw a song's drums, a training's losses, or several models side by side.",
  example = "neuraldrummer plot song.mid -o song.png",
  takes = {
    { "song", "FILE", "a MIDI file; or one or several training logs (.tsv); or one or several "
      .. "results of evaluate --json.", args = "+" },
    { "-o --output", "FILE", "the picture to write: a PNG, SVG or PDF", count = 1 },
    { "--tsv", "FILE", "where to write a song's numbers; default: the picture's name with .tsv" },
    common.GRID, common.DRUM_CHANNEL, common.LIMITS,
  },
  run = function(args)
    local plot = require "neuraldrummer.plot"
    local logs, evaluations, read = {}, 0, {}
    for i, path in ipairs(args.song) do
      read[i] = { path, "the input" }
      local head, message = files.read(path, 64)
      if not head then return nil, message end
      if log.is_log(path) then logs[#logs + 1] = path end
      if head:find "^%s*%[" then evaluations = evaluations + 1 end
    end
    local numbers = args.tsv
    if #args.song == 1 and #logs == 1 then numbers = false end  -- the log has them already
    local apart, why, status = common.check_outputs_with_picture(args.output, read, {}, numbers)
    if not apart then return nil, why, status end
    if evaluations == #args.song then return draw_figures(args, plot) end
    if #logs < #args.song and #args.song > 1 then
      return nil, "several files can be drawn together only if all are training logs, or all "
        .. "are results of evaluate --json", common.MISUSED
    elseif args.tsv and #logs > 0 then
      return nil, "option '--tsv': a training log already is a TSV file", common.MISUSED
    end
    if #logs > 0 then return draw_logs(args, plot, logs) end
    return draw_song(args, plot)
  end,
}

return data
