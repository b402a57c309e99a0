--- The command-line tool. Exit status: 0 done, 1 the world failed or Ctrl-C, 2 misuse.
--- Results go to stdout, errors to stderr in one line.
local argparse = require "argparse"
local nd = require "neuraldrummer"
local common = require "neuraldrummer.cli.common"
local play = require "neuraldrummer.cli.play"
local data = require "neuraldrummer.cli.data"
local learn = require "neuraldrummer.cli.learn"
local judge = require "neuraldrummer.cli.judge"
local info = require "neuraldrummer.cli.info"
local shell = require "neuraldrummer.cli.shell"

local cli = {}

local DONE <const>, FAILED <const>, MISUSED <const> = common.DONE, common.FAILED, common.MISUSED

-- In the order of the help.
local ORDER = { "drum", "continue", "sketch", "style", "tokens", "preprocess", "merge", "train",
  "evaluate", "score", "explain", "plot", "info", "kits", "completion", "man" }
local commands = {}
for _, group in ipairs { play, data, learn, judge, info, shell } do
  for name, command in pairs(group) do commands[name] = command end
end

-- argparse takes "-1" for an option; glued to its own it is a value.
local function glue_negative_numbers(args)
  local out = {}
  for _, arg in ipairs(args) do
    local before = out[#out]
    if arg:find "^%-%.?%d" and before and before:find "^%-%-[%a]" and not before:find "=" then
      out[#out] = before .. "=" .. arg
    else
      out[#out + 1] = arg
    end
  end
  return out
end

-- What is wrong with a value, with the option that it was given to.
local function naming(names, converter)
  if not converter then return nil end
  return function(text)
    local value, message = converter(text)
    if value ~= nil then return value end
    return nil, ("option '%s': %s"):format(names:match "%-%-[%w-]+", message)
  end
end

-- Arguments, options and flags of a command, from its rows. With `suggested`, what
-- a value may be among others is given as all that it may be: for completion.
local function define(command, rows, suggested)
  for _, row in ipairs(rows) do
    local names, argname, description, converter = table.unpack(row, 1, 4)
    if type(names) == "table" then
      define(command, row, suggested)
    elseif not description then
      command:flag(names, argname)
    else
      local kind = names:find "^%-" and "option" or "argument"
      command[kind](command, { name = names, argname = argname or nil, description = description,
        args = row.args, convert = naming(names, converter), count = row.count,
        choices = row.choices or suggested and row.suggests and row.suggests() or nil,
        default = row.default })
    end
  end
end

-- The exit status when all is said.
local function all_said()
  local written, why = common.flush()
  if written then return DONE end
  common.complain("cannot write the result: %s", why)
  return FAILED
end

-- argparse's own would not notice where its help cannot be written.
local function add_help(parser)
  return parser:add_help { action = function()
    common.write(parser:get_help(), "\n")
    os.exit(all_said(), true)
  end }
end

local function build_parser(suggested)
  local parser = add_help(argparse("neuraldrummer",
    "Listens to a song as MIDI and plays drums to it."))
    :help_max_width(80):command_target "command"
  parser:flag("--version", "print the version and leave."):action(function()
    common.say("neuraldrummer %s", nd.version)
    os.exit(all_said(), true)
  end)
  for _, name in ipairs(ORDER) do
    local command = add_help(parser:command(name, commands[name].summary))
    define(command, commands[name].takes, suggested)
    if commands[name].example then command:epilog("For example: " .. commands[name].example) end
  end
  return parser
end

--- The commands in the order of the help, each with its name.
---@return neuraldrummer.cli_command[]
function cli.commands()
  local list = {}
  for i, name in ipairs(ORDER) do
    list[i] = commands[name]
    list[i].name = name
  end
  return list
end

-- How errors begin that the C side or an option check raises about a value given on
-- the command line.
local MISUSE <const> = { "options? '", "unknown option", "no kit is named" }

-- Those are misuse by the user; any other error is a fault of ours.
local function on_error(message)
  local text = tostring(message)
  for _, words in ipairs(MISUSE) do
    -- behind the line that raised it; its folder's name may hold colons
    local plain = text:match(("^(%s.*)"):format(words))
      or text:match(("^[^\n]-%%.lua:%%d+: (%s.*)"):format(words))
    if plain then return { status = MISUSED, text = plain } end
  end
  if text:find "not enough memory" then
    return { status = FAILED, text = "not enough memory" }
  elseif text:match "^[^\n]*":find "interrupted!$" then
    return { status = FAILED, text = "interrupted" }  -- what lua5.4 raises at Ctrl-C
  end
  return { status = FAILED, text = debug.traceback(text, 2), fault = true }
end

--- What the arguments say, without doing it.
---@param args string[]
---@return boolean ok
---@return table|string parsed or message
function cli.parse(args)
  return build_parser():pparse(glue_negative_numbers(args))
end

-- Parses and runs; the exit status.
local function run(args)
  local ok, parsed = cli.parse(args)
  if not ok then
    local named = commands[args[1]] and args[1] .. " " or ""
    common.complain("%s (see neuraldrummer %s--help)", parsed, named)
    return MISUSED
  end
  local done, message, status = commands[parsed.command].run(parsed,
    { commands = cli.commands(), suggesting = function() return build_parser(true) end })
  if not done then
    if message then common.complain("%s", message) end
    return status or FAILED
  end
  return all_said()
end

-- A file opened where stdin, stdout or stderr is closed would be taken for it, and
-- written into. Something stands there then that cannot be written, as before.
local placeholders = {}
local function take_closed_streams()
  local EBADF <const> = 9
  for _, stream in ipairs { io.stdin, io.stdout, io.stderr } do
    if select(3, stream:seek()) == EBADF then
      placeholders[#placeholders + 1] = io.open("/dev/null", "r")
    end
  end
end

--- Runs the tool; the exit status.
---@param args string[]
---@return integer status
function cli.main(args)
  take_closed_streams()
  local ran, result = xpcall(run, on_error, args)
  -- memory that runs out in Lua comes past the handler
  if not ran and type(result) ~= "table" then result = on_error(result) end
  local status = ran and result or result.status
  if not ran and result.fault then
    io.stderr:write("neuraldrummer: ", result.text, "\n")
  elseif not ran then
    common.complain("%s", result.text)
  end
  if status ~= DONE and common.world then common.world:abort(status) end
  return status
end

return cli
