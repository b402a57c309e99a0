--- The options of all that plays: generate.drum, sketch.continue and sketch.play, the
--- commands of the same names, and REAPER's settings. This table is the only place
--- where an option is described. From it come the checks of option tables, the command
--- line with its help and manual page, REAPER's settings, and the annotations in
--- generate.d.lua (`lua5.4 .ci/options.lua` writes that file anew).
local kits = require "neuraldrummer.kits"
local options = require "neuraldrummer.options"

local playing = {}

---@class neuraldrummer.playing_option
---@field name string of the option table's field
---@field type string as options.check takes it
---@field annotation? string its LuaCATS type; default: `type`
---@field text string what it does, for the reference
---@field flag? string on the command line; none: it is an option of the library alone
---@field value? string metavariable on the command line; none: a flag without a value
---@field help? string text for the command line, if it differs
---@field sets? boolean what a flag without a value sets the option to; default: true
---@field range? number[] least and greatest number; either may be missing
---@field choices? string[] all values
---@field suggests? fun(): string[] some values, for completion
---@field group? string heading on the command line; default: the one of the option before
---@field only? string[] functions that take it: drum, continue, sketch; default: all of them
---@field reaper? table its setting in REAPER, as reaper/settings describes it

local DRUM <const>, FILES <const> = { "drum" }, { "drum", "continue" }
local SKETCH <const>, CONTINUE <const> = { "sketch" }, { "continue" }

---@type neuraldrummer.playing_option[]
playing.LIST = {
  { group = "Result", name = "out", type = "string",
    text = "path of the MIDI file to write; default: none is written" },
  { name = "drums_alone", type = "boolean", flag = "--drums-alone", only = DRUM,
    text = "write the drums without the song" },
  { name = "keep_drums", type = "boolean", flag = "--keep-drums", only = DRUM,
    text = "leave the song's own drums in as well" },
  { name = "tempo", type = "number", flag = "--tempo", value = "BPM", range = { 4, 1000 },
    only = DRUM, text = "write the drums without the song, in 4/4 at this tempo" },
  { name = "length", type = "number", flag = "--length", value = "STEPS",
    range = { 1e-3, 1024 }, text = "length of a drum note in steps (default 0.5)" },
  { name = "tail", type = "number", text = "beats that the drum track continues after the song" },

  { group = "Music", name = "form", type = "string", flag = "--form", value = "FORM",
    only = SKETCH, text = "sections and their bars; a section that returns takes up its groove "
      .. "(default intro4,verse8,chorus8,verse8,chorus8,outro4)" },
  { name = "bpm", type = "number", flag = "--bpm", value = "BPM", range = { 4, 1000 },
    only = SKETCH, text = "tempo (default 120)" },
  { name = "meter", type = "string", flag = "--meter", value = "N/D", only = SKETCH,
    text = "time signature (default 4/4)" },
  { name = "bars", type = "integer", flag = "--bars", value = "N", range = { 1, 4096 },
    only = CONTINUE, text = "number of bars to play (default 16)" },
  { name = "energy", type = "number|string|table", annotation = "number|string|(number|false)[]",
    flag = "--energy", value = "E",
    text = "how busy the drums are, from -3 to 3: 0 is usual, 1 about twice as many hits; for "
      .. "all bars, or by bar (1-8:-1,9-16:-1>1)",
    reaper = { label = "Energy", hint = "-3 to 3, or bars: 1-8:-1,9-16:1", step = 0.5,
      range = { -3, 3 }, text = true } },
  { name = "fills", type = "string|integer|table",
    annotation = "string|integer|table<integer, boolean>", flag = "--fills", value = "WHERE",
    text = "where to play fills: sections (at their ends), N (every N bars), bars (12,24), or "
      .. "none; a bar without its fill is retried, up to 16 times (default: the drummer decides)",
    reaper = { label = "Fills", hint = "none, sections, every N bars, or bars: 12,24",
      choices = { "sections", "4", "8", "none" } } },
  { name = "style", type = "integer|string|boolean|table|userdata",
    annotation = "string|integer|false|number[]|neuraldrummer.sequence", flag = "--style",
    value = "STYLE",
    text = "style to play in: a number or name of the model's styles, a file (mine.style), or "
      .. "changes to the style that would be chosen (ride=0.6,toms=0.2); styles.resolve describes "
      .. "all forms",
    help = "style to play in: a number or name that `drum SONG.mid --styles` lists, a file "
      .. "(mine.style), or changes to the style that would be chosen (ride=0.6,toms=0.2)",
    reaper = { label = "Style", hint = "number, name, ride=0.6, or none" } },
  { name = "style", type = "boolean", flag = "--no-style", sets = false,
    text = "play without a style" },
  { name = "style_of", type = "string", flag = "--style-of", value = "FILE.mid",
    text = "MIDI file whose drums have the style to play in" },
  { name = "swing", type = "number|string", flag = "--swing", value = "S",
    text = "swing: 0 is straight, 1 is triplets, song is as in the song; /8 or /16 after it "
      .. "chooses what swings (default: timing as learnt from human performances)",
    reaper = { label = "Swing", hint = "0 to 1, or song",
      choices = { "0", "0.33", "0.67", "1", "song" } } },
  { name = "humanise", type = "number", flag = "--humanise", value = "X", range = { 0, 1 },
    text = "0: on the grid, flat velocities; 1: velocities and timing as learnt from human "
      .. "performances (default)",
    reaper = { label = "Humanise", hint = "0 to 1", default = "1", step = 0.1 } },
  { name = "velocity", type = "number", flag = "--velocity", value = "V",
    text = "velocity of every hit, 0 to 1; makes 0 the default of humanise" },
  { name = "touch", type = "string|userdata|table", annotation = "string|neuraldrummer.model",
    text = "model of velocities and timing (default: the bundled touch model)" },
  { name = "returns", type = "boolean", flag = "--no-return", sets = false,
    text = "sections that return take up the groove of their first occurrence (default true)",
    help = "play sections that return anew, instead of with the groove of their first occurrence" },
  { name = "vary", type = "number", flag = "--vary", value = "X",
    text = "share of such a groove that is played anew, 0 to 1 (default 0.75)" },
  { name = "playable", type = "boolean", flag = "--allow-unplayable", sets = false,
    text = "play no more at once than two hands and two feet can (default true; with original: "
      .. "false)",
    help = "allow more hits at once than two hands and two feet can play" },
  { name = "enter", type = "string", annotation = '"band"|"always"', flag = "--enter",
    value = "WHEN", choices = { "band", "always" },
    text = "when to play: band, from the song's first note to its last (default), or always" },

  { group = "Editing", name = "keep", type = "string|table", annotation = "string|string[]",
    flag = "--keep", value = "VOICES", only = DRUM,
    text = "voices of the song's own drums that stay, such as kick,snare or hats, toms, cymbals" },
  { name = "bars", type = "string|integer|table", annotation = "string|integer|integer[]",
    flag = "--bars --redo-bars", value = "BARS", only = DRUM,
    text = "play these bars again (9-12,17); the drums of all other bars stay; with keep, those "
      .. "voices stay in these bars too" },
  { name = "extend", type = "integer", flag = "--extend", value = "N", range = { 1 },
    only = DRUM, text = "the drums of the first N bars stay, and the others are played on from "
      .. "them" },
  { name = "loop", type = "string", flag = "--loop", value = "FILE.mid", only = DRUM,
    text = "MIDI file whose drums stand at the start of the song" },
  { name = "prime", type = "string", flag = "--prime", value = "FILE.mid",
    text = "MIDI file whose drums the drummer has played before the song" },
  { name = "start", type = "string", annotation = '"blank"|"count-in"|"basic"|"random"',
    flag = "--start", value = "HOW", choices = { "blank", "count-in", "basic", "random" },
    text = "drums that the drummer has played before the song, without a file: blank, count-in, "
      .. "basic or random" },

  { group = "Sampling", name = "model", type = "string|userdata|table",
    annotation = "string|neuraldrummer.model", flag = "--model", value = "MODEL",
    text = "a trained model (default: the bundled one)" },
  { name = "seed", type = "integer", flag = "--seed", value = "N",
    text = "random seed; another seed gives another take (default 1)",
    reaper = { label = "Seed", hint = "a whole number", default = "1", step = 1,
      range = { 0, 1e9 } } },
  { name = "drafts", type = "integer", flag = "--drafts", value = "K", range = { 1, 256 },
    only = DRUM, text = "play K takes, one seed after another, and write the one that fits the "
      .. "song best by the model's likelihood" },
  { name = "all_drafts", type = "boolean", flag = "--all-drafts", only = DRUM,
    text = "write every draft as well, with .seed-N before the extension of its name" },
  { name = "temperature", type = "number", flag = "--temperature", value = "T",
    text = "sampling temperature: below 1 more predictable, above 1 freer" },
  { name = "variation", type = "number", flag = "--variation", value = "X",
    text = "how much the temperature differs between bars, 0 to 1" },
  { name = "cutoff", type = "number", flag = "--cutoff", value = "C",
    text = "play every hit of at least this probability, instead of sampling" },
  { name = "forced", type = "integer", flag = "--forced", value = "N",
    text = "play the N most probable voices at every step as well" },
  { name = "original", type = "boolean", flag = "--original", only = DRUM,
    text = "play like the system of 2023; needs a model of preset neuraldrummer2023" },

  { group = "Files and limits", name = "drum_channel", type = "integer", flag = "--drum-channel",
    value = "N", only = FILES,
    text = "MIDI channel of the song's drums, 1 to 16 (default 10)" },
  { name = "kit_in", type = "string|table", annotation = "string|neuraldrummer.kit_map",
    flag = "--kit-in", value = "MAP", suggests = kits.names, only = FILES,
    text = "kit map of the instrument that the drums of the files are for: a name or a file "
      .. "(mine.kit) (default: General MIDI)" },
  { name = "kit_out", type = "string|table", annotation = "string|neuraldrummer.kit_map",
    flag = "--kit-out", value = "MAP", suggests = kits.names,
    text = "kit map of the instrument that plays the result: a name or a file (mine.kit); "
      .. "`neuraldrummer kits` lists the names (default: General MIDI)",
    reaper = { name = "kit", label = "Kit map", hint = "name of a map, or a .kit file",
      choices = kits.names() } },
  { name = "threads", type = "integer", flag = "--threads", value = "N", range = { 1, 256 },
    text = "threads to compute with (default 1)" },
  { name = "on_progress", type = "function", annotation = "fun(done: integer, total: integer)",
    only = DRUM, text = "called after each draft" },
  { name = "pause", type = "function",
    text = "called every few milliseconds of playing and ranking; it may yield" },
}
for _, limit in ipairs(options.LIMITS) do
  playing.LIST[#playing.LIST + 1] = { name = limit.name, type = "integer", flag = limit.flag,
    value = "N", range = limit.range, text = limit.text, only = FILES }
end

local group
for _, row in ipairs(playing.LIST) do
  group = row.group or group
  row.group = group
end

local function takes(row, name)
  for _, each in ipairs(row.only or { name }) do if each == name then return true end end
  return false
end

--- The options of a function, in the order of the help.
---@param name "drum"|"continue"|"sketch"
---@return neuraldrummer.playing_option[]
function playing.of(name)
  local list = {}
  for _, row in ipairs(playing.LIST) do
    if takes(row, name) then list[#list + 1] = row end
  end
  return list
end

--- Checks an option table: names, types and ranges. Raises at the caller's caller.
---@param name "drum"|"continue"|"sketch"
---@param given? table
---@return table options a copy
function playing.check(name, given)
  local types, o = {}, {}
  local rows = playing.of(name)
  for _, row in ipairs(rows) do types[row.name] = types[row.name] or row.type end
  for _, row in ipairs(type(given) == "table" and playing.of "drum" or {}) do
    if given[row.name] ~= nil and not types[row.name] then
      error(("option '%s': there is no song that it could apply to"):format(row.name), 3)
    end
  end
  for key, value in pairs(options.check(given, types, 4)) do o[key] = value end
  for _, row in ipairs(rows) do
    if row.range and o[row.name] ~= nil then
      options.check_range(row.name, o[row.name], row.range[1], row.range[2])
    end
  end
  return o
end

return playing
