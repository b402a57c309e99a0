--- The commands that play, and the one that keeps a style to play in:
--- drum, continue, sketch, style.
local common = require "neuraldrummer.cli.common"
local files = require "neuraldrummer.files"
local kits = require "neuraldrummer.kits"
local progress = require "neuraldrummer.progress"

local say, say_json = common.say, common.say_json
local integer, number, positive = common.integer, common.number, common.positive

---@type table<string, neuraldrummer.cli_command>
local play = {}

-- What all commands that play have in common.
local function playing(output)
  return {
    { "-o --output", "FILE", ("where the result goes (default %s)."):format(output) },
    common.MODEL,
    { "--seed", "N", "another seed, another take (default 1).", integer },
    { "--temperature", "T", "below 1 surer, above 1 freer.", number },
    { "--variation", "X", "0-1, how much the temperature differs between bars.", number },
    { "--cutoff", "C", "strike from this probability on, instead of drawing lots.", number },
    { "--velocity", "V", "0-1, of every hit; then --humanise is 0 unless given.", number },
    { "--humanise", "X", "0: on the grid and flat; 1: velocities and timing as people "
      .. "played them (default).", number },
    { "--swing", "S", "0: straight, 1: triplets, song: as the song has it; with /8 or /16 "
      .. "behind it, eighths or sixteenths swing (default: as people played)." },
    { "--kit-out", "MAP", "kit map that is written for: a name of `kits`, or a file (mine.kit); "
      .. "default: General MIDI's.", suggests = kits.names },
    { "--length", "STEPS", "of a drum note, in steps.", number },
    { "--style", "STYLE", "play in one style: its number or name of --styles, a file "
      .. "(mine.style), or changes to the style it would choose (ride=0.6,toms=0.2)." },
    { "--style-of", "FILE.mid", "play in the style of the drums in this file." },
    { "--no-style", "commit to no style." },
    { "--energy", "E", "-3 to 3 for all bars or by bar: 1-8:-1,9-16:-1>1; 0 is the usual, "
      .. "1 twice its hits." },
    { "--fills", "WHERE", "none, sections (at their ends), N (every N bars) or bars (12,24)." },
    { "--no-return", "a section that returns does not get its groove back." },
    { "--vary", "X", "share of such a groove that is played anew (default 0.75).", number },
    { "--allow-unplayable", "allow more hits at once than two hands and two feet can strike." },
    { "--plot", "FILE", "a picture (PNG, SVG, PDF) of what was played, and of what was asked." },
    common.THREADS,
    { "--json", "the result as JSON." },
  }
end

-- Whether the results take no other file's place. The song's own is meant where -o names
-- it, and not where it happens to have the default's name.
local function keep_apart(args, output)
  local over = args.output
  args.output = over or output
  return common.keep_apart_picture(args.plot, { { args.song, "the song" },
    { args.loop, "the loop" }, { args.prime, "what went before" },
    { args.style_of, "the song with the style" }, { args.model, "the model" } },
    { { args.output, "the result (-o)", over = over and args.song } })
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
    variation = args.variation, cutoff = args.cutoff, velocity = args.velocity,
    humanise = args.humanise,
    swing = args.swing, length = args.length, style = style, style_of = args.style_of,
    energy = args.energy, fills = args.fills, vary = args.vary,
    kit_in = args.kit_in, kit_out = args.kit_out,
    returns = off(args.no_return), playable = off(args.allow_unplayable), threads = args.threads,
    max_bytes = args.max_bytes, max_events = args.max_events, max_tracks = args.max_tracks,
    max_steps = args.max_steps,
  }
end

local function voice_text(voices)
  local parts = {}
  for _, voice in ipairs(voices) do
    if voice.hits > 0 then parts[#parts + 1] = ("%s %d"):format(voice.name, voice.hits) end
  end
  return #parts > 0 and table.concat(parts, ", ") or "none"
end

-- Which draft was taken, and what the others are like.
local function say_drafts(result)
  for _, draft in ipairs(result.drafts) do
    say("%s seed %d: %s, %d hits%s", draft.seed == result.seed and "*" or " ", draft.seed,
      draft.worth and ("%+.3f bits a hit"):format(draft.worth) or "nothing to judge", draft.hits,
      draft.out and ", " .. draft.out or "")
  end
end

local function say_played(args, result, what)
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
      "drafts", "worth", "out", "picture" })
    return drawn, message
  end
  say("%s: %s of %s, %d hits on %d steps: %s", args.output, progress.time(result.song:seconds()),
    what, result.hits, result.steps, voice_text(result.voices))
  if result.style then say("in style %d, %s", result.style.index, result.style.name) end
  local fills = result.fills
  if fills and fills.asked > 0 then say("%d of %d fills asked for", fills.played, fills.asked) end
  if result.drafts then say_drafts(result) end
  if drawn and args.plot then say("%s: the drums, and what was asked", args.plot) end
  return drawn, message
end

-- What the reader found odd, said once and briefly.
local function remark_on(song, path)
  local channel, guessed = song:drum_channel()
  if guessed then
    common.complain("%s: nothing on channel 10; channel %d holds drums by its track's name", path,
      channel)
  end
  local lossy = 0
  for _, repair in ipairs(song:repairs()) do lossy = lossy + (repair.lossy and 1 or 0) end
  if lossy > 0 then
    common.complain("%s: damaged, and read in part; `neuraldrummer info` says where", path)
  end
end

-- What of the drums was understood, or could be written, in part only. The
-- song's own count where they are made use of.
local function remark_on_pitches(args, result)
  for _, each in ipairs(result.unknown) do
    if args.kit_in or args.keep or args.bars or args.extend or each.path ~= args.song then
      common.remark_unknown(each.path, each.pitches, args.kit_in and "kit map" or "kit")
    end
  end
  if result.missing and result.missing.hits > 0 then
    common.complain("%s: %d hits on drums that the kit map does not have, written as in General "
      .. "MIDI: %s", args.output, result.missing.hits, kits.text(result.missing))
  end
end

local function list_styles(args)
  local styles, message = require "neuraldrummer.generate".styles(args.song, {
    model = args.model, drum_channel = args.drum_channel, kit_in = args.kit_in,
    max_bytes = args.max_bytes, max_events = args.max_events, max_tracks = args.max_tracks,
    max_steps = args.max_steps,
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

play.drum = {
  summary = "Play drums to a song.",
  example = "neuraldrummer drum song.mid -o combined.mid --seed 7",
  takes = {
    { "song", "SONG.mid", "a MIDI file." },
    playing "combined.mid",
    { "--styles", "list the styles it would choose among, with their odds, and leave." },
    { "--keep", "VOICES", "voices of the song's own drums to keep: kick,snare, hats, toms, "
      .. "cymbals." },
    { "--bars --redo-bars", "BARS", "play these bars again (9-12,17) and keep all others of "
      .. "the song's own drums; with --keep, those voices in these bars too." },
    { "--extend", "N", "keep so many bars at the start, and go on from there.", positive },
    { "--loop", "FILE.mid", "a MIDI file whose drums stand at the start." },
    { "--enter", "WHEN", "band: when the song does, and no longer than it; or always.",
      choices = { "band", "always" } },
    { "--forced", "N", "strike the N likeliest voices at every step as well.", integer },
    common.START,
    { "--prime", "FILE.mid", "a MIDI file whose drums went before." },
    { "--keep-drums", "leave the song's own drums in as well." },
    { "--drafts", "K", "play K, one seed after another, and keep the one that fits the song "
      .. "best, by its likelihood with this song and with others.", positive },
    { "--all-drafts", "write every draft as well, as FILE.seed-N." },
    { "--drums-alone", "write the drums only." },
    { "--tempo", "BPM", "write the drums only, in 4/4 at this tempo.", number },
    { "--original", "as the system of 2023; needs a model of that preset." },
    common.DRUM_CHANNEL, common.KIT_IN, common.LIMITS, common.QUIET,
  },
  run = function(args)
    if args.tempo and not (args.tempo >= 4 and args.tempo <= 1000) then
      return nil, ("option '--tempo': %g is not in 4-1000"):format(args.tempo), common.MISUSED
    end
    if args.styles then return list_styles(args) end
    local apart, why, status = keep_apart(args, "combined.mid")
    if not apart then return nil, why, status end
    local options = played_as(args)
    for _, name in ipairs { "keep", "bars", "extend", "loop", "enter", "forced", "start", "prime",
      "keep_drums", "drums_alone", "tempo", "original", "drum_channel", "drafts",
      "all_drafts" } do
      options[name] = args[name]
    end
    local bar <close> = progress.new(args.drafts or 0, "drafts", { quiet = args.quiet })
    options.on_progress = function(done) bar:update(done) end
    local result, message = require "neuraldrummer.generate".drum(args.song, options)
    bar:finish()
    if not result then return nil, message end
    if result.alike then
      common.complain("the %d drafts are alike: nothing was drawn by lot", #result.drafts)
    end
    remark_on(result.source, args.song)
    remark_on_pitches(args, result)
    return say_played(args, result, "song")
  end,
}

play.continue = {
  summary = "Go on from the drums of a file, without a song.",
  example = "neuraldrummer continue groove.mid --bars 8 -o continued.mid",
  takes = {
    { "song", "GROOVE.mid", "a MIDI file with drums." },
    { "--bars", "N", "how many to play (default 16).", positive },
    playing "continued.mid",
    common.DRUM_CHANNEL, common.KIT_IN, common.LIMITS,
  },
  run = function(args)
    local apart, why, status = keep_apart(args, "continued.mid")
    if not apart then return nil, why, status end
    local options = played_as(args)
    options.bars, options.drum_channel = args.bars, args.drum_channel
    local result, message = require "neuraldrummer.sketch".continue(args.song, options)
    if not result then return nil, message end
    remark_on_pitches({ output = args.output, kit_in = args.kit_in }, result)
    return say_played(args, result, "drums")
  end,
}

play.sketch = {
  summary = "Play a drum track from a seed alone.",
  example = "neuraldrummer sketch --form verse8,chorus8 -o sketch.mid",
  takes = {
    { "--form", "FORM", "sections with their bars; one that returns gets its groove back "
      .. "(default intro4,verse8,chorus8,verse8,chorus8,outro4)." },
    { "--bpm", "BPM", "default 120.", number },
    { "--meter", "N/D", "default 4/4." },
    playing "sketch.mid",
  },
  run = function(args)
    local apart, why, status = keep_apart(args, "sketch.mid")
    if not apart then return nil, why, status end
    local options = played_as(args)
    options.form, options.bpm, options.meter = args.form, args.bpm, args.meter
    local result, message = require "neuraldrummer.sketch".play(options)
    if not result then return nil, message end
    return say_played(args, result, "drums")
  end,
}

play.style = {
  summary = "Keep the style of a file's drums as a small file.",
  example = "neuraldrummer style song.mid -o mine.style",
  takes = {
    { "song", "SONG.mid", "a MIDI file with drums." },
    { "-o --output", "FILE", "ends in .style; drum --style takes it.", count = 1 },
    { "--name", "NAME", "default: the song's." },
    common.GRID, common.DRUM_CHANNEL, common.KIT_IN, common.LIMITS,
  },
  run = function(args)
    if not args.output:find "%.style$" then
      return nil, ("option '--output': '%s' does not end in .style"):format(args.output),
        common.MISUSED
    end
    local apart, why, status = common.keep_apart({ { args.song, "the song" } },
      { { args.output, "the style" } })
    if not apart then return nil, why, status end
    local seq, message = common.load_sequence(args)
    if not seq then return nil, message end
    if not seq:packed_hits():find "[^\0]" then return nil, args.song .. ": has no drums" end
    local name = args.name or files.name(args.song):gsub("%.[^.]*$", "")
    local ok
    ok, message = files.write(args.output, require "neuraldrummer.direct".style_text(name, seq))
    if not ok then return nil, message end
    say("%s: the style of %s", args.output, args.song)
    return true
  end,
}

return play
