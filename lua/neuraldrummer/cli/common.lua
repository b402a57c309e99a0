--- What the commands of the tool share: the exit statuses, results and
--- complaints, the conversion of values, options that several take, and songs.
local nd = require "neuraldrummer"
local files = require "neuraldrummer.files"
local kits = require "neuraldrummer.kits"
local log = require "neuraldrummer.train.log"
local option = require "neuraldrummer.options"
local printable = require "neuraldrummer.printable"

local common = { DONE = 0, FAILED = 1, MISUSED = 2 }

---@class neuraldrummer.cli_command
---@field name? string
---@field summary string
---@field example? string a command line, for the help
---@field takes table[] rows, or lists of rows: {name, argname, description, converter}, or
--- {name, description} of a flag; an argname of false names the choices; besides, argparse's
--- args, choices, count and default, and `suggests`, a function that gives values for
--- the shell to complete
---@field run fun(args: table, tool: neuraldrummer.cli_tool): boolean?, string?, integer? true; or
--- nil, a message (none when all is said), and the exit status where that is not FAILED

---@class neuraldrummer.cli_tool
---@field suggesting fun(): table argparse's parser, with the values that are suggested
---@field commands neuraldrummer.cli_command[] in the order of the help

-- Results -------------------------------------------------------------------

--- The processes that a command runs among, until it has left them: they end
--- with this one.
---@type neuraldrummer.world?
common.world = nil

--- What a command has to say to the user beside its result.
---@param format string
function common.complain(format, ...)
  local world = common.world
  io.stderr:write("neuraldrummer: ",
    world and ("process %d of %d: "):format(world:rank(), world:size()) or "",
    printable.line((format:format(...):gsub("%s*\n%s*", " "))), "\n")
end

-- A result that cannot be written, to a full disk say, is a failure: the
-- first reason is kept for the end.
local unwritten

--- A part of the result, as it is.
---@param ... string
function common.write(...)
  local ok, why = io.stdout:write(...)
  if not ok then unwritten = unwritten or why end
end

--- A line of the result.
---@param format string
function common.say(format, ...) common.write(printable.line(format:format(...)), "\n") end

--- Lines of the result.
---@param text string each with its end
function common.say_lines(text)
  for line in text:gmatch "([^\n]*)\n" do common.say("%s", line) end
end

--- The result as JSON.
---@param value table
---@param order? string[] of the keys; those that it does not name come behind, by name
function common.say_json(value, order) common.write(printable.json(value, order or {})) end

--- Whether all of the result could be written.
---@return boolean? ok
---@return string? message
function common.flush()
  local flushed, why = io.stdout:flush()
  if not flushed or unwritten then return nil, unwritten or why end
  return true
end

-- Values: from text, or nil and what is wrong with it -------------------------

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

local function at_least(least)
  return function(text)
    local n, message = common.integer(text)
    if n and n < least then return nil, ("'%s' is not %d or more"):format(text, least) end
    return n, message
  end
end
common.natural, common.positive = at_least(0), at_least(1)

-- From 1 to `most`.
local function at_most(most)
  return function(text)
    local n, message = common.positive(text)
    if n and n > most then return nil, ("%d is not in 1-%d"):format(n, most) end
    return n, message
  end
end

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

common.DRUM_CHANNEL = { "--drum-channel", "N",
  "channel of the song's drums, 1-16, where it is not 10.", common.integer }
common.GRID = {
  { "--kit", "KIT", "drum kit: gm9, basic6 or full17.",
    suggests = function() return { "gm9", "basic6", "full17" } end },
  { "--steps-per-beat", "N", "steps of a quarter note: 2, 4, 6, 8 or 12.", common.integer,
    suggests = function() return { "2", "4", "6", "8", "12" } end },
}
common.KIT_IN = { "--kit-in", "MAP", "kit map of the file's drums: a name of `kits`, or a file "
  .. "(mine.kit); default: as in General MIDI.", suggests = kits.names }
common.LIMITS = {
  { "--max-bytes", "N", "of a file that is read (default 256 MiB).", common.natural },
  { "--max-events", "N", "that it may hold (default 8 million).", common.natural },
  { "--max-tracks", "N", "that it may hold (default 4096).", common.natural },
  { "--max-steps", "N", "of the grid that a song may be long (default 2^20, at most 2^24).",
    at_most(1 << 24) },
}
common.MODEL = { "--model", "MODEL", "a trained model; default: the one that comes along." }
common.QUIET = { "-q --quiet", "no progress bar." }
common.START = { "--start", "HOW", "what went before: blank, count-in, basic or random.",
  choices = { "blank", "count-in", "basic", "random" } }
common.THREADS = { "--threads", "N", "1-256, default 1.", at_most(256) }

-- Files ---------------------------------------------------------------------

---@class neuraldrummer.cli_file
---@field [1] string|false|nil path; no such file without one
---@field [2] string what it is, in words
---@field over? string a path that it may take the place of

--- Whether what will be written leaves alone what is read, and what else is written.
---@param read neuraldrummer.cli_file[]
---@param written neuraldrummer.cli_file[]
---@return boolean? ok
---@return string? message
---@return integer? status
function common.keep_apart(read, written)
  local others = table.move(read, 1, #read, 1, {})
  for _, file in ipairs(written) do
    local path, what = file[1], file[2]
    for _, other in ipairs(path and others or {}) do
      if other[1] and other[1] ~= file.over and files.same(path, other[1]) then
        return nil, ("%s: is %s; %s must go elsewhere"):format(path, other[2], what), common.MISUSED
      end
    end
    others[#others + 1] = file
  end
  return true
end

--- The same, with a picture and the numbers that are left beside it. Its name must be
--- a picture's, and its numbers take no log's place: a training's has the same ending.
---@param picture? string
---@param read neuraldrummer.cli_file[]
---@param written neuraldrummer.cli_file[]
---@param numbers? string|false where they go; default: beside it; false: it has none
---@return boolean? ok
---@return string? message
---@return integer? status
function common.keep_apart_picture(picture, read, written, numbers)
  if not picture then return common.keep_apart(read, written) end
  local named, message = require "neuraldrummer.plot.gnuplot".is_picture(picture)
  if not named then return nil, message, common.MISUSED end
  if numbers == nil then numbers = files.ending(picture, ".tsv") end
  if numbers and log.is_log(numbers) then
    read = table.move(read, 1, #read, 2, { { numbers, "the log of a training" } })
  end
  written = table.move(written, 1, #written, 1, {})
  written[#written + 1] = { picture, "the picture" }
  written[#written + 1] = { numbers, "the picture's numbers" }
  return common.keep_apart(read, written)
end

-- Songs ---------------------------------------------------------------------

---@param args table song, drum_channel, kit_in, limits
---@return neuraldrummer.song? song with General MIDI's drums
---@return string? message
function common.load_song(args)
  local song, map, message, unknown
  map, message = kits.open(args.kit_in)
  if message then return nil, message end
  song, message = nd.song.load(args.song, option.reading(args, args.drum_channel))
  if not song then return nil, message end
  if not map then return song end
  song, unknown = kits.read(song, map)
  common.remark_unknown(args.song, unknown, "kit map")
  return song
end

--- Says that drum notes are no voice's, and which, where there are any.
---@param path string
---@param unknown neuraldrummer.unknown_pitch[]
---@param what string the kit, or the kit map, that does not know them
function common.remark_unknown(path, unknown, what)
  if unknown.hits == 0 then return end
  common.complain("%s: %d drum note%s with pitches that the %s does not know: %s", path,
    unknown.hits, unknown.hits == 1 and "" or "s", what, kits.text(unknown))
end

---@param args table song, kit_in, max_steps
---@param song neuraldrummer.song
---@param tokeniser neuraldrummer.tokeniser
---@param silent? boolean nothing is said of pitches that are no voice's
---@return neuraldrummer.sequence? seq
---@return string? message
function common.encode(args, song, tokeniser, silent)
  if not silent and not args.kit_in then
    common.remark_unknown(args.song, kits.unknown(song, tokeniser), "kit")
  end
  local seq, message = tokeniser:encode(song, files.name(args.song), args.max_steps)
  if not seq then return nil, ("%s: %s"):format(args.song, message) end
  return seq
end

--- A song on the grid that is asked for.
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
