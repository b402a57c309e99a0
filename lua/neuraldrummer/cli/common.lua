--- What the commands of the tool share: the exit statuses, results and
--- complaints, the conversion of values, options that several take, and songs.
local json = require "dkjson"
local nd = require "neuraldrummer"
local files = require "neuraldrummer.files"

local common = { DONE = 0, FAILED = 1, MISUSED = 2 }

---@class neuraldrummer.cli_command
---@field summary string
---@field takes table[] rows, or lists of rows: {name, argname, description, converter}, or
--- {name, description} of a flag; an argname of false names the choices; besides, argparse's
--- choices, count and default
---@field run fun(args: table): boolean?, string?, integer? true; or nil, a message, and the exit
--- status where that is not FAILED

-- Results -------------------------------------------------------------------

--- What a command has to say to the user beside its result.
---@param format string
function common.complain(format, ...)
  io.stderr:write("neuraldrummer: ", (format:format(...):gsub("%s*\n%s*", " ")), "\n")
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
function common.say(format, ...) common.write(format:format(...), "\n") end

--- The result as JSON. This has no infinity and no NaN: dkjson writes them as
--- null, as it should.
---@param value table
---@param order? string[] of the keys
function common.say_json(value, order)
  common.write(json.encode(value, { indent = true, keyorder = order }), "\n")
end

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
  { "--kit", "KIT", "drum kit: gm9, basic6 or full17." },
  { "--steps-per-beat", "N", "steps of a quarter note: 2, 4, 6, 8 or 12.", common.integer },
}
common.MODEL = { "--model", "MODEL", "a trained model; default: the one that comes along." }
common.QUIET = { "-q --quiet", "no progress bar." }
common.START = { "--start", "HOW", "what went before: blank, count-in, basic or random.",
  choices = { "blank", "count-in", "basic", "random" } }
common.THREADS = { "--threads", "N", "default 1.", common.positive }

-- Songs ---------------------------------------------------------------------

---@param args table song, drum_channel
---@return neuraldrummer.song? song
---@return string? message
function common.load_song(args)
  return nd.song.load(args.song, { drum_channel = args.drum_channel })
end

---@param args table song
---@param song neuraldrummer.song
---@param tokeniser neuraldrummer.tokeniser
---@return neuraldrummer.sequence? seq
---@return string? message
function common.encode(args, song, tokeniser)
  local seq, message = tokeniser:encode(song, files.name(args.song))
  if not seq then return nil, ("%s: %s"):format(args.song, message) end
  return seq
end

--- A song on the grid that is asked for.
---@param args table song, drum_channel, original, kit, steps_per_beat
---@return neuraldrummer.sequence? seq
---@return string? message
function common.load_sequence(args)
  local song, message = common.load_song(args)
  if not song then return nil, message end
  return common.encode(args, song, nd.tokeniser {
    preset = args.original and "neuraldrummer2023" or "drummer",
    kit = args.kit, steps_per_beat = args.steps_per_beat,
  })
end

return common
