--- The commands that ask a model about drums that are there: score, explain.
local nd = require "neuraldrummer"
local blocks = require "neuraldrummer.blocks"
local common = require "neuraldrummer.cli.common"
local generate = require "neuraldrummer.generate"

local say, say_json = common.say, common.say_json

---@type table<string, neuraldrummer.cli_command>
local judge = {}

-- A model, given or the one that comes along, and a song as it hears it; or a message,
-- and the status where a picture is asked for that can't be.
local function load_heard(args)
  local model, song, seq
  local apart, why, status = common.check_outputs_with_picture(args.plot, { { args.song, "the song" },
    { args.model, "the model" }, { args.against, "the corpus" } }, {})
  if not apart then return nil, why, status end
  model, why = generate.open_model(args.model)
  if not model then return nil, why end
  song, why = common.load_song(args)
  if not song then return nil, why end
  seq, why = common.encode(args, song, model:tokeniser())
  if not seq then return nil, why end
  return model, seq
end

-- The picture that is asked for, if one is. The result is said even where it
-- cannot be drawn.
local function draw(kind, args, seq, result)
  if not args.plot then return true end
  return require "neuraldrummer.plot"[kind](seq, result, { out = args.plot,
    from = { args.song } })
end

-- The fit of each bar, where there is a terminal to draw it on.
local function sketch_fit(result)
  local columns, fits = blocks.columns(), {}
  if not columns then return end
  columns = math.max(1, columns - 16)  -- beside the words
  for i, bar in ipairs(result.bars) do fits[i] = bar.fit end
  fits = blocks.fit(fits, columns)
  local above, below = blocks.both_ways(fits)
  say("   its own song %s", above)
  if below:find "[^ ]" then say("another rather %s", below) end
  say("        bar 1-%-3d%s", #result.bars, #fits < #result.bars
    and ("  (%d bars a column)"):format(-(-#result.bars // columns)) or "")
end

judge.score = {
  summary = "Say how well the drums of a song fit it.",
  example = "neuraldrummer score song.mid",
  takes = {
    { "song", "SONG.mid", "a MIDI file with drums." },
    common.MODEL,
    { "--others", "N", "other songs that are heard with the drums (default 8).",
      common.positive },
    { "--against", "FILE", "take songs of this corpus as well." },
    { "--seed", "N", "which of them.", common.natural },
    { "--bars", "N", "list so many of the bars that fit least (default 8).", common.natural },
    { "--plot", "FILE", "a picture (PNG, SVG, PDF): the fit of each bar above the drums." },
    common.DRUM_CHANNEL, common.KIT_IN, common.LIMITS,
    { "--json", "all bars, as JSON." },
  },
  run = function(args)
    local score = require "neuraldrummer.score"
    local model, seq, status = load_heard(args)
    if not model then return nil, seq, status end
    local corpus, result, drawn, message
    if args.against then
      corpus, message = nd.corpus.open(args.against, model:tokeniser())
      if not corpus then return nil, message end
    end
    result, message = score.run(model, seq, { others = args.others, against = corpus,
      seed = args.seed })
    if not result then return nil, ("%s: %s"):format(args.song, message) end
    local least = score.least(result, args.bars)
    drawn, message = draw("score", args, seq, result)
    if args.json then
      result.song, result.picture, result.least = args.song, drawn and args.plot or nil, {}
      for i, bar in ipairs(least) do result.least[i] = bar.bar end
      say_json(result, { "song", "fit", "likelihood", "others", "better", "of", "least", "bars",
        "picture", "bar", "step", "steps", "hits" })
      return drawn, message
    end
    say("%s: %+.3f bits a step for its own song; likelier with it than with %d of %d others",
      args.song, result.fit, result.better, result.of)
    say("log-likelihood: %.3f bits a step, under the others %.3f", result.likelihood,
      result.others)
    if #least > 0 then
      say("bars that fit least:")
      for _, bar in ipairs(least) do say("%6d  %+.3f, %d hits", bar.bar, bar.fit, bar.hits) end
    end
    sketch_fit(result)
    if drawn and args.plot then say("%s: the fit of each bar", args.plot) end
    return drawn, message
  end,
}

judge.explain = {
  summary = "Say why the hits of a bar are likely.",
  example = "neuraldrummer explain song.mid --bar 8",
  takes = {
    { "song", "SONG.mid", "a MIDI file with drums." },
    { "--bar", "N", "which, from 1.", common.positive, count = 1 },
    { "--voice", "VOICE", "only the hits of this voice, as snare." },
    common.MODEL,
    { "--reasons", "N", "of each hit (default 4).", common.positive },
    { "--plot", "FILE", "a picture (PNG, SVG, PDF): song, hits before, reasons." },
    common.DRUM_CHANNEL, common.KIT_IN, common.LIMITS,
    { "--json", "all reasons, as JSON." },
  },
  run = function(args)
    local explain = require "neuraldrummer.explain"
    local model, seq, status = load_heard(args)
    if not model then return nil, seq, status end
    local result, drawn, message
    result, message = explain.run(model, seq, { bar = args.bar, voice = args.voice })
    if not result then return nil, ("%s: %s"):format(args.song, message) end
    drawn, message = draw("explain", args, seq, result)
    if args.json then
      result.file, result.picture = args.song, drawn and args.plot or nil
      say_json(result, { "file", "bar", "step", "steps", "reasons", "hits", "picture", "kind",
        "name", "voice", "beat", "odds", "weight" })
    else
      common.say_lines(explain.format(result, args.reasons))
      if drawn and args.plot then say("%s: song, hits before and reasons", args.plot) end
    end
    return drawn, message
  end,
}

return judge
