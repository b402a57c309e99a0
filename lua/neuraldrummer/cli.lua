--- The command-line tool. Exit status: 0 done, 1 the world failed, 2 misuse.
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
local ORDER = { "drum", "continue", "sketch", "style", "tokens", "preprocess", "train", "evaluate",
  "score", "explain", "plot", "info", "kits", "completion", "man" }
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

-- Arguments, options and flags of a command, from its rows.
local function define(command, rows)
  for _, row in ipairs(rows) do
    local names, argname, description, converter = table.unpack(row, 1, 4)
    if type(names) == "table" then
      define(command, row)
    elseif not description then
      command:flag(names, argname)
    else
      local kind = names:find "^%-" and "option" or "argument"
      command[kind](command, { name = names, argname = argname or nil, description = description,
        args = row.args, convert = converter, choices = row.choices, count = row.count,
        default = row.default })
    end
  end
end

local function build_parser()
  local parser = argparse("neuraldrummer", "Listens to a song as MIDI and plays drums to it.")
    :help_max_width(80):command_target "command"
  parser:flag("--version", "print the version and leave."):action(function()
    common.say("neuraldrummer %s", nd.version)
    os.exit(DONE, true)
  end)
  for _, name in ipairs(ORDER) do
    local command = parser:command(name, commands[name].summary)
    define(command, commands[name].takes)
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

-- An error that the C side or an option check raised about a value given on
-- the command line is misuse by the user; any other is a fault of ours.
local function on_error(message)
  local text = tostring(message)
  local plain = text:gsub("^[^:]*:%d+: ", "")
  if plain:find "^options? '" or plain:find "^unknown option" or plain:find "^no kit is named" then
    return { status = MISUSED, text = plain }
  elseif plain:find "not enough memory" then
    return { status = FAILED, text = "not enough memory" }
  end
  return { status = FAILED, text = debug.traceback(text, 2), fault = true }
end

--- What the arguments say, without doing it.
---@param args string[]
---@return boolean ok
---@return table|string parsed or message
---@return table parser argparse's
function cli.parse(args)
  local parser = build_parser()
  local ok, parsed = parser:pparse(glue_negative_numbers(args))
  return ok, parsed, parser
end

-- The exit status.
local function main(args)
  local ok, parsed, parser = cli.parse(args)
  if not ok then
    local named = commands[args[1]] and args[1] .. " " or ""
    common.complain("%s (see neuraldrummer %s--help)", parsed, named)
    return MISUSED
  end
  local ran, done, message, status = xpcall(commands[parsed.command].run, on_error, parsed,
    { parser = parser, commands = cli.commands() })
  if not ran then
    if done.fault then
      io.stderr:write("neuraldrummer: ", done.text, "\n")
    else
      common.complain("%s", done.text)
    end
    return done.status
  elseif not done then
    common.complain("%s", message)
    return status or FAILED
  end
  local written, why = common.flush()
  if not written then
    common.complain("cannot write the result: %s", why)
    return FAILED
  end
  return DONE
end

--- Runs the tool; the exit status.
---@param args string[]
---@return integer status
function cli.main(args)
  local status = main(args)
  if status ~= DONE and common.world then common.world:abort(status) end
  return status
end

return cli
