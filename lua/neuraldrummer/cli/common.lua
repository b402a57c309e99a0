--- What the commands of the tool share: exit statuses, printing, the conversion of
--- values, options that several take, checks of output files, and reading songs.
local nd = require "neuraldrummer"
local files = require "neuraldrummer.files"
local kits = require "neuraldrummer.kits"
local log = require "neuraldrummer.train.log"
local options = require "neuraldrummer.options"
local playing = require "neuraldrummer.options.playing"
local safe_text = require "neuraldrummer.safe_text"

local common = { DONE = 0, FAILED = 1, MISUSED = 2 }

---@class neuraldrummer.cli_row
---@field [1] string names: "song", "--seed" or "-o --output"
---@field [2] string|false metavariable (false: the choices stand for it); of a flag, the
--- description
---@field [3]? string description; a flag has none
---@field [4]? fun(text: string): any, string? converter: a value, or nil and a message
---@field args? string as argparse takes it; so are `choices`, `count` and `default`
---@field suggests? fun(): string[] some of the values, for completion
---@field group? string heading in the help

---@class neuraldrummer.cli_command
---@field name? string
---@field summary string
---@field example? string a command line for the help
---@field takes table[] rows, or lists of rows
---@field run fun(args: table, tool: neuraldrummer.cli_tool): boolean?, string?, integer? true; or
--- nil, a message (or nil if all is printed), and the exit status if it is not FAILED

---@class neuraldrummer.cli_tool
---@field suggesting fun(): table argparse's parser, with suggested values as choices
---@field commands neuraldrummer.cli_command[] in the order of the help

-- Printing ------------------------------------------------------------------

--- The processes that a command runs in, until it leaves them: they end together.
---@type neuraldrummer.world?
common.world = nil

--- Prints a message to the user on stderr, in one line.
---@param format string
function common.complain(format, ...)
  local world = common.world
  io.stderr:write("neuraldrummer: ",
    world and ("process %d of %d: "):format(world:rank(), world:size()) or "",
    safe_text.line((format:format(...):gsub("%s*\n%s*", " "))), "\n")
end

-- The first failure to write the result, such as a full disk; it is reported at the end.
local write_failure

--- Writes a part of the result.
---@param ... string
function common.write(...)
  local ok, why = io.stdout:write(...)
  if not ok then write_failure = write_failure or why end
end

--- Prints a line of the result.
---@param format string
function common.say(format, ...) common.write(safe_text.line(format:format(...)), "\n") end

--- Prints lines of the result.
---@param text string lines, each with its newline
function common.say_lines(text)
  for line in text:gmatch "([^\n]*)\n" do common.say("%s", line) end
end

--- Prints the result as JSON.
---@param value table
---@param order? string[] of the keys; other keys follow, sorted by name
function common.say_json(value, order) common.write(safe_text.json(value, order or {})) end

--- Flushes the result; nil and a message if any of it could not be written.
---@return boolean? ok
---@return string? message
function common.flush()
  local flushed, why = io.stdout:flush()
  if not flushed or write_failure then return nil, write_failure or why end
  return true
end

-- Converters: a value from its text, or nil and a message ---------------------------

---@param text string
---@return integer? n
---@return string? message
function common.integer(text)
  local n = math.tointeger(tonumber(text))
  if not n then return nil, ("'%s' is not a whole number"):format(text) end
  return n
end

---@param text string
---@return number? n
---@return string? message
function common.number(text)
  local n = tonumber(text)
  if not n or n ~= n or n == math.huge or n == -math.huge then
    return nil, ("'%s' is not a number"):format(text)
  end
  return n + 0.0
end

-- A converter that checks a range as well.
local function in_range(convert, min, max)
  return function(text)
    local n, message = convert(text)
    if n then message = options.out_of_range(n, min, max) end
    if message then return nil, message end
    return n
  end
end
common.natural, common.positive = in_range(common.integer, 0), in_range(common.integer, 1)

--- "COLUMN=VALUE" as both.
---@param text string
---@return string[]? pair
---@return string? message
function common.pair(text)
  local name, value = text:match "^([^=]+)=(.*)$"
  if not name then return nil, ("'%s' is not COLUMN=VALUE"):format(text) end
  return { name, value }
end

-- Options -------------------------------------------------------------------

--- A description as a sentence of the help.
---@param text string
---@return string
function common.sentence(text)
  return (text:gsub("^%l", string.upper):gsub("%.?$", "."))
end

local CONVERTERS <const> = { integer = common.integer, number = common.number }

--- The row of an option of options/playing.
---@param option neuraldrummer.playing_option with `flag`
---@return neuraldrummer.cli_row
function common.playing_row(option)
  local text = option.help or option.text
  if not option.value then return { option.flag, text, group = option.group } end
  local convert = CONVERTERS[option.type]
  if convert and option.range then
    convert = in_range(convert, option.range[1], option.range[2])
  end
  return { option.flag, option.value, text, convert, choices = option.choices,
    suggests = option.suggests, group = option.group }
end

--- The field of the parsed arguments that an option is found in.
---@param flag string "--seed", or several names
---@return string
function common.field(flag) return (flag:match "%-%-([%w-]+)":gsub("-", "_")) end

-- The row of the option of this name that playing a song has.
local function row_of(name)
  for _, option in ipairs(playing.of "drum") do
    if option.name == name then
      local row = common.playing_row(option)
      row.group = nil
      return row
    end
  end
end

common.DRUM_CHANNEL, common.KIT_IN = row_of "drum_channel", row_of "kit_in"
common.MODEL, common.START, common.THREADS = row_of "model", row_of "start", row_of "threads"
common.LIMITS = {}
for i, limit in ipairs(options.LIMITS) do common.LIMITS[i] = row_of(limit.name) end
common.GRID = {
  { "--kit", "KIT", "drum kit: gm9, basic6 or full17",
    suggests = function() return { "gm9", "basic6", "full17" } end },
  { "--steps-per-beat", "N", "steps of a quarter note: 2, 4, 6, 8 or 12", common.integer,
    suggests = function() return { "2", "4", "6", "8", "12" } end },
}
common.QUIET = { "-q --quiet", "show no progress bar" }

-- Output files ----------------------------------------------------------------

---@class neuraldrummer.cli_file
---@field [1] string|false|nil path; without one, there is no such file
---@field [2] string what it is, in words
---@field over? string an input that this output may overwrite

--- Checks that outputs do not overwrite inputs or one another.
---@param inputs neuraldrummer.cli_file[]
---@param outputs neuraldrummer.cli_file[]
---@return boolean? ok
---@return string? message
---@return integer? status
function common.check_outputs(inputs, outputs)
  local others = table.move(inputs, 1, #inputs, 1, {})
  for _, file in ipairs(outputs) do
    local path, what = file[1], file[2]
    for _, other in ipairs(path and others or {}) do
      if other[1] and other[1] ~= file.over and files.same(path, other[1]) then
        return nil, ("%s: is %s; choose another file for %s"):format(path, other[2], what),
          common.MISUSED
      end
    end
    others[#others + 1] = file
  end
  return true
end

--- The same with a picture and the file of its numbers beside it. The picture's name must
--- end as that of a picture, and its numbers must not overwrite the log of a training,
--- which has the same ending.
---@param picture? string
---@param inputs neuraldrummer.cli_file[]
---@param outputs neuraldrummer.cli_file[]
---@param numbers? string|false their path; default: beside the picture; false: there are none
---@return boolean? ok
---@return string? message
---@return integer? status
function common.check_outputs_with_picture(picture, inputs, outputs, numbers)
  if not picture then return common.check_outputs(inputs, outputs) end
  local named, message = require "neuraldrummer.plot.gnuplot".is_picture(picture)
  if not named then return nil, message, common.MISUSED end
  if numbers == nil then numbers = files.ending(picture, ".tsv") end
  if numbers and log.is_log(numbers) then
    inputs = table.move(inputs, 1, #inputs, 2, { { numbers, "the log of a training" } })
  end
  outputs = table.move(outputs, 1, #outputs, 1, {})
  outputs[#outputs + 1] = { picture, "the picture" }
  outputs[#outputs + 1] = { numbers, "the picture's numbers" }
  return common.check_outputs(inputs, outputs)
end

-- Songs ---------------------------------------------------------------------

--- Reads a song, with its drums converted to General MIDI.
---@param args table song, drum_channel, kit_in, limits
---@return neuraldrummer.song? song
---@return string? message
function common.load_song(args)
  local song, map, message, unknown
  map, message = kits.open(args.kit_in)
  if message then return nil, message end
  song, message = nd.song.load(args.song, options.reading(args, args.drum_channel))
  if not song then return nil, message end
  if not map then return song end
  song, unknown = kits.to_general_midi(song, map)
  common.remark_unknown(args.song, unknown, "kit map")
  return song
end

--- Reports drum notes that are not understood, if there are any.
---@param path string
---@param unknown neuraldrummer.pitch_count[]
---@param what string "kit" or "kit map"
function common.remark_unknown(path, unknown, what)
  if unknown.hits == 0 then return end
  common.complain("%s: %d drum note%s with pitches that are not in the %s: %s", path, unknown.hits,
    unknown.hits == 1 and "" or "s", what, kits.describe(unknown))
end

--- Lays a song on a grid.
---@param args table song, kit_in, max_steps
---@param song neuraldrummer.song
---@param tokeniser neuraldrummer.tokeniser
---@param silent? boolean do not report pitches that no voice stands for
---@return neuraldrummer.sequence? seq
---@return string? message
function common.encode(args, song, tokeniser, silent)
  if not silent and not args.kit_in then
    common.remark_unknown(args.song, kits.unknown_pitches(song, tokeniser), "kit")
  end
  local seq, message = tokeniser:encode(song, files.name(args.song), args.max_steps)
  if not seq then return nil, ("%s: %s"):format(args.song, message) end
  return seq
end

--- Reads a song and lays it on the grid that the arguments ask for.
---@param args table song, drum_channel, kit_in, limits, original, kit, steps_per_beat
---@param silent? boolean as of encode
---@return neuraldrummer.sequence? seq
---@return string? message
function common.load_sequence(args, silent)
  local song, message = common.load_song(args)
  if not song then return nil, message end
  return common.encode(args, song, nd.tokeniser {
    preset = args.original and "neuraldrummer2023" or "drummer",
    kit = args.kit, steps_per_beat = args.steps_per_beat,
  }, silent)
end

return common
