--- The commands that analyse the drums of a song with a model: score, explain.
local nd = require "neuraldrummer"
local common = require "neuraldrummer.cli.common"
local generate = require "neuraldrummer.generate"
local sparkline = require "neuraldrummer.sparkline"

local say, say_json = common.say, common.say_json

---@type table<string, neuraldrummer.cli_command>
local analysis = {}

-- The model, and the song on its grid; or nil, a message, and an exit status.
local function load_inputs(args)
  local model, song, seq
  local ok, why, status = common.check_outputs_with_picture(args.plot, {
    { args.song, "the song" }, { args.model, "the model" }, { args.against, "the corpus" } }, {})
  if not ok then return nil, why, status end
  model, why = generate.open_model(args.model)
  if not model then return nil, why end
  song, why = common.load_song(args)
  if not song then return nil, why end
  seq, why = common.encode(args, song, model:tokeniser())
  if not seq then return nil, why end
  return model, seq
end

-- Draws the picture, if one is asked for. The result is printed even if that fails.
local function draw(kind, args, seq, result)
  if not args.plot then return true end
  return require "neuraldrummer.plot"[kind](seq, result, { out = args.plot,
    from = { args.song } })
end

local LABEL_COLUMNS <const> = 16   -- beside the sparkline

-- Prints the fit of each bar as a sparkline, if there is a terminal.
local function say_sparkline(result)
  local columns, fits = sparkline.terminal_columns(), {}
  if not columns then return end
  columns = math.max(1, columns - LABEL_COLUMNS)
  for i, bar in ipairs(result.bars) do fits[i] = bar.fit end
  fits = sparkline.downsample(fits, columns)
  local above, below = sparkline.signed(fits)
  say("  fits its song %s", above)
  if below:find "[^ ]" then say("  fits another %s", below) end
  say("        bar 1-%-3d%s", #result.bars, #fits < #result.bars
    and ("  (%d bars a column)"):format(-(-#result.bars // columns)) or "")
end

local function say_score(args, result, worst)
  say("%s: fit %+.3f bits a step; more likely with its own song than with %d of %d others",
    args.song, result.fit, result.better, result.of)
  say("log-likelihood: %.3f bits a step with its own song, %.3f with the others",
    result.likelihood, result.others)
  if #worst > 0 then
    say "bars that fit worst:"
    for _, bar in ipairs(worst) do say("%6d  %+.3f, %d hits", bar.bar, bar.fit, bar.hits) end
  end
  say_sparkline(result)
end

analysis.score = {
  summary = "Measure how well the drums of a song fit it.",
  example = "neuraldrummer score song.mid",
  takes = {
    { "song", "SONG.mid", "a MIDI file with drums" },
    common.MODEL,
    { "--others", "N", "number of other songs to compare with (default 8)", common.positive },
    { "--against", "CORPUS", "compare with songs of this corpus as well" },
    { "--seed", "N", "seed that chooses them (default 1)", common.natural },
    { "--bars", "N", "list the N bars that fit worst (default 8)", common.natural },
    { "--plot", "FILE", "picture (PNG, SVG or PDF) of the fit of each bar, above the drums" },
    common.DRUM_CHANNEL, common.KIT_IN, common.LIMITS,
    { "--json", "print the result with all bars as JSON" },
  },
  run = function(args)
    local score = require "neuraldrummer.score"
    local model, seq, status = load_inputs(args)
    if not model then return nil, seq, status end
    local corpus, result, drawn, message
    if args.against then
      corpus, message = nd.corpus.open(args.against, model:tokeniser())
      if not corpus then return nil, message end
    end
    result, message = score.run(model, seq, { others = args.others, against = corpus,
      seed = args.seed })
    if not result then return nil, ("%s: %s"):format(args.song, message) end
    local worst = score.worst_bars(result, args.bars)
    drawn, message = draw("score", args, seq, result)
    if args.json then
      result.song, result.picture, result.worst = args.song, drawn and args.plot or nil, {}
      for i, bar in ipairs(worst) do result.worst[i] = bar.bar end
      say_json(result, { "song", "fit", "likelihood", "others", "better", "of", "worst", "bars",
        "picture", "bar", "step", "steps", "hits" })
      return drawn, message
    end
    say_score(args, result, worst)
    if drawn and args.plot then say("%s: picture of the fit of each bar", args.plot) end
    return drawn, message
  end,
}

analysis.explain = {
  summary = "Explain why the hits of a bar are likely.",
  example = "neuraldrummer explain song.mid --bar 8",
  takes = {
    { "song", "SONG.mid", "a MIDI file with drums" },
    { "--bar", "N", "number of the bar, from 1", common.positive, count = 1 },
    { "--voice", "VOICE", "explain only the hits of this voice, such as snare" },
    common.MODEL,
    { "--reasons", "N", "number of reasons for each hit (default 4)", common.positive },
    { "--plot", "FILE", "picture (PNG, SVG or PDF) of the song, earlier hits and reasons" },
    common.DRUM_CHANNEL, common.KIT_IN, common.LIMITS,
    { "--json", "print all reasons as JSON" },
  },
  run = function(args)
    local explain = require "neuraldrummer.explain"
    local model, seq, status = load_inputs(args)
    if not model then return nil, seq, status end
    local result, drawn, message
    result, message = explain.run(model, seq, { bar = args.bar, voice = args.voice })
    if not result then return nil, ("%s: %s"):format(args.song, message) end
    drawn, message = draw("explain", args, seq, result)
    if args.json then
      result.file, result.picture = args.song, drawn and args.plot or nil
      say_json(result, { "file", "bar", "step", "steps", "reasons", "hits", "picture", "kind",
        "name", "voice", "beat", "probability", "weight" })
    else
      common.say_lines(explain.format(result, args.reasons))
      if drawn and args.plot then say("%s: picture of the reasons", args.plot) end
    end
    return drawn, message
  end,
}

return analysis
