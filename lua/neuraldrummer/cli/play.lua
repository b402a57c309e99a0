--- The commands that play (drum, continue, sketch), and the one that saves a style
--- to play in (style).
local common = require "neuraldrummer.cli.common"
local files = require "neuraldrummer.files"
local kits = require "neuraldrummer.kits"
local options = require "neuraldrummer.options"
local playing = require "neuraldrummer.options.playing"
local progress = require "neuraldrummer.progress"

local say, say_json = common.say, common.say_json

---@type table<string, neuraldrummer.cli_command>
local play = {}

-- Options of the command line alone, and then those of options/playing.
local function rows_of(command, output, ...)
  local rows = {
    { "-o --output", "FILE", ("MIDI file to write (default %s)"):format(output),
      group = "Result" },
    { "--plot", "FILE", "picture (PNG, SVG or PDF) of the drums and of what was asked for",
      group = "Result" },
    { "--json", "print the result as JSON", group = "Result" },
    ...,
  }
  for _, option in ipairs(playing.of(command)) do
    if option.flag then rows[#rows + 1] = common.playing_row(option) end
  end
  return rows
end

-- The options of a command, from its arguments.
local function options_from(command, args)
  local o = { out = args.output }
  for _, option in ipairs(playing.of(command)) do
    local value
    if option.flag then value = args[common.field(option.flag)] end
    if value ~= nil and not option.value then value = option.sets ~= false end
    if value ~= nil and o[option.name] ~= nil then
      error(("options '--%s' and '%s': give one of them"):format(option.name, option.flag), 0)
    end
    if value ~= nil then o[option.name] = value end
  end
  return o
end

-- Checks that the results do not overwrite an input or one another. The song itself may be
-- overwritten if -o names it, but not if it happens to have the default's name.
local function check_outputs(args, default)
  local chosen = args.output
  args.output = chosen or default
  return common.check_outputs_with_picture(args.plot, { { args.song, "the song" },
    { args.loop, "the loop" }, { args.prime, "the option --prime" },
    { args.style_of, "the option --style-of" }, { args.model, "the model" } },
    { { args.output, "the result (-o)", over = chosen and args.song } })
end

local function voice_text(voices)
  local parts = {}
  for _, voice in ipairs(voices) do
    if voice.hits > 0 then parts[#parts + 1] = ("%s %d"):format(voice.name, voice.hits) end
  end
  return #parts > 0 and table.concat(parts, ", ") or "none"
end

local function say_drafts(result)
  for _, draft in ipairs(result.drafts) do
    say("%s seed %d: %s, %d hits%s", draft.seed == result.seed and "*" or " ", draft.seed,
      draft.rank and ("%+.3f bits a hit"):format(draft.rank) or "not ranked", draft.hits,
      draft.out and ", " .. draft.out or "")
  end
  say "*: the draft that fits the song best"
end

-- Prints the result, and draws the picture if one is asked for. The result is printed
-- even if the picture cannot be drawn.
local function report(args, result, what)
  local drawn, message = true, nil
  if args.plot then
    drawn, message = require "neuraldrummer.plot".song(result.drums, { out = args.plot,
      title = files.name(args.output), sections = result.sections, direction = result.direction,
      from = { args.output, args.song } })
  end
  if args.json then
    local voices = {}
    for _, voice in ipairs(result.voices) do voices[voice.name] = voice.hits end
    say_json({
      output = args.output, steps = result.steps, hits = result.hits, voices = voices,
      seconds = result.song:seconds(), seed = result.seed, style = result.style,
      unknown = #result.unknown > 0 and result.unknown or nil,
      missing = result.missing and result.missing.hits > 0 and result.missing or nil,
      drafts = result.drafts, picture = drawn and args.plot or nil,
    }, { "output", "seconds", "steps", "hits", "voices", "seed", "style", "index", "name",
      "drafts", "rank", "out", "picture" })
    return drawn, message
  end
  say("%s: %s of %s, %d hits on %d steps: %s", args.output, progress.time(result.song:seconds()),
    what, result.hits, result.steps, voice_text(result.voices))
  if result.style then say("style %d, %s", result.style.index, result.style.name) end
  local fills = result.fills
  if fills and fills.asked > 0 then
    say("%d of the %d fills asked for were played", fills.played, fills.asked)
  end
  if result.drafts then say_drafts(result) end
  if drawn and args.plot then say("%s: picture of the drums", args.plot) end
  return drawn, message
end

-- Reports drums on an unusual channel, and damage in the song's file.
local function remark_on_song(song, path)
  local channel, guessed = song:drum_channel()
  if guessed then
    common.complain("%s: channel 10 has no notes; channel %d is taken for the drums, by the name "
      .. "of its track", path, channel)
  end
  local lossy = 0
  for _, repair in ipairs(song:repairs()) do lossy = lossy + (repair.lossy and 1 or 0) end
  if lossy > 0 then
    common.complain("%s: the file is damaged and was read in part; `neuraldrummer info` lists "
      .. "the damage", path)
  end
end

-- Reports drum notes that were not understood or could not be written. Those of the song
-- itself matter only if its drums are used.
local function remark_on_pitches(args, result)
  for _, each in ipairs(result.unknown) do
    if args.kit_in or args.keep or args.bars or args.extend or each.path ~= args.song then
      common.remark_unknown(each.path, each.pitches, args.kit_in and "kit map" or "kit")
    end
  end
  if result.missing and result.missing.hits > 0 then
    common.complain("%s: %d hits are on drums that the kit map lacks; they have General MIDI's "
      .. "pitches: %s", args.output, result.missing.hits, kits.describe(result.missing))
  end
end

local SHOWN_STYLES <const> = 20

local function list_styles(args)
  local given = { model = args.model, drum_channel = args.drum_channel, kit_in = args.kit_in }
  for _, limit in ipairs(options.LIMITS) do given[limit.name] = args[limit.name] end
  local styles, message = require "neuraldrummer.generate".styles(args.song, given)
  if not styles then return nil, message end
  if args.json then
    say_json(styles, { "index", "name", "weight" })
    return true
  end
  if #styles == 0 then say "the model has no styles" end
  local rest = 0
  for i, style in ipairs(styles) do
    if i <= SHOWN_STYLES then
      say("%5d %5.1f %%  %s", style.index, 100 * style.weight, style.name)
    else
      rest = rest + style.weight
    end
  end
  if #styles > SHOWN_STYLES then
    say("      %5.1f %%  %d others (--json lists them)", 100 * rest, #styles - SHOWN_STYLES)
  end
  return true
end

play.drum = {
  summary = "Play drums to a song.",
  example = "neuraldrummer drum song.mid -o combined.mid --seed 7",
  takes = {
    { "song", "SONG.mid", "a MIDI file" },
    rows_of("drum", "combined.mid",
      { "--styles", "list the styles that the model would choose among, with their "
        .. "weights, and play nothing", group = "Music" }),
    common.QUIET,
  },
  run = function(args)
    if args.styles then return list_styles(args) end
    local ok, why, status = check_outputs(args, "combined.mid")
    if not ok then return nil, why, status end
    local o = options_from("drum", args)
    local bar <close> = progress.new(args.drafts or 0, "drafts", { quiet = args.quiet })
    o.on_progress = function(done) bar:update(done) end
    local result, message = require "neuraldrummer.generate".drum(args.song, o)
    bar:finish()
    if not result then return nil, message end
    if result.identical then
      common.complain("the %d drafts are identical, because no hit was sampled", #result.drafts)
    end
    remark_on_song(result.source, args.song)
    remark_on_pitches(args, result)
    return report(args, result, "song")
  end,
}

play.continue = {
  summary = "Continue the drums of a file, without a song.",
  example = "neuraldrummer continue groove.mid --bars 8 -o continued.mid",
  takes = {
    { "song", "GROOVE.mid", "a MIDI file with drums" },
    rows_of("continue", "continued.mid"),
  },
  run = function(args)
    local ok, why, status = check_outputs(args, "continued.mid")
    if not ok then return nil, why, status end
    local result, message = require "neuraldrummer.sketch".continue(args.song,
      options_from("continue", args))
    if not result then return nil, message end
    remark_on_pitches({ output = args.output, kit_in = args.kit_in }, result)
    return report(args, result, "drums")
  end,
}

play.sketch = {
  summary = "Play a drum track by form, without a song.",
  example = "neuraldrummer sketch --form verse8,chorus8 -o sketch.mid",
  takes = rows_of("sketch", "sketch.mid"),
  run = function(args)
    local ok, why, status = check_outputs(args, "sketch.mid")
    if not ok then return nil, why, status end
    local result, message = require "neuraldrummer.sketch".play(options_from("sketch", args))
    if not result then return nil, message end
    return report(args, result, "drums")
  end,
}

play.style = {
  summary = "Save the style of a file's drums as a small file.",
  example = "neuraldrummer style song.mid -o mine.style",
  takes = {
    { "song", "SONG.mid", "a MIDI file with drums" },
    { "-o --output", "FILE", "style file to write, NAME.style; drum --style reads it", count = 1 },
    { "--name", "NAME", "name of the style (default: that of the song)" },
    common.GRID, common.DRUM_CHANNEL, common.KIT_IN, common.LIMITS,
  },
  run = function(args)
    if not args.output:find "%.style$" then
      return nil, ("option '--output': '%s' does not end in .style"):format(args.output),
        common.MISUSED
    end
    local ok, why, status = common.check_outputs({ { args.song, "the song" } },
      { { args.output, "the style" } })
    if not ok then return nil, why, status end
    local seq, message = common.load_sequence(args)
    if not seq then return nil, message end
    if not seq:packed_hits():find "[^\0]" then return nil, args.song .. ": has no drums" end
    local name = args.name or files.name(args.song):gsub("%.[^.]*$", "")
    ok, message = files.write(args.output, require "neuraldrummer.styles".encode(name, seq))
    if not ok then return nil, message end
    say("%s: the style of %s", args.output, args.song)
    return true
  end,
}

return play
