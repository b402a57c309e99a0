--- The command-line tool. Exit status: 0 done; 1 a file or the system failed, or Ctrl-C;
--- 2 misuse. Results go to stdout, errors to stderr in one line.
local argparse = require "argparse"
local nd = require "neuraldrummer"
local common = require "neuraldrummer.cli.common"
local play = require "neuraldrummer.cli.play"
local data = require "neuraldrummer.cli.data"
local learn = require "neuraldrummer.cli.learn"
local analysis = require "neuraldrummer.cli.analysis"
local info = require "neuraldrummer.cli.info"
local shell = require "neuraldrummer.cli.shell"

local cli = {}

local DONE <const>, FAILED <const>, MISUSED <const> = common.DONE, common.FAILED, common.MISUSED

-- In the order of the help.
local ORDER = { "drum", "continue", "sketch", "style", "tokens", "preprocess", "merge", "train",
  "evaluate", "score", "explain", "plot", "info", "kits", "completion", "man" }
local commands = {}
for _, group in ipairs { play, data, learn, analysis, info, shell } do
  for name, command in pairs(group) do commands[name] = command end
end

-- argparse takes "-1" for an option; joined to the option before it, it is a value.
local function join_negative_numbers(args)
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

-- A converter whose messages name the option.
local function with_name(names, converter)
  if not converter then return nil end
  return function(text)
    local value, message = converter(text)
    if value ~= nil then return value end
    return nil, ("option '%s': %s"):format(names:match "%-%-[%w-]+", message)
  end
end

-- Adds the arguments, options and flags of a command, from its rows, and collects them by
-- the headings of the help. With `suggested`, suggested values count as choices, for
-- completion.
local function define(command, rows, suggested, groups)
  for _, row in ipairs(rows) do
    local names, argname, description, converter = table.unpack(row, 1, 4)
    if type(names) == "table" then
      define(command, row, suggested, groups)
    else
      local element
      if not description then
        element = command:flag(names, common.sentence(argname))
      else
        local kind = names:find "^%-" and "option" or "argument"
        element = command[kind](command, { name = names, argname = argname or nil,
          description = common.sentence(description), args = row.args,
          convert = with_name(names, converter), count = row.count,
          choices = row.choices or suggested and row.suggests and row.suggests() or nil,
          default = row.default })
      end
      if row.group then
        if not groups[row.group] then
          groups[row.group] = {}
          groups[#groups + 1] = row.group
        end
        table.insert(groups[row.group], element)
      end
    end
  end
end

-- Flushes the result; the exit status.
local function finish()
  local written, why = common.flush()
  if written then return DONE end
  common.complain("cannot write the result: %s", why)
  return FAILED
end

-- argparse's own action would not notice that its help cannot be written.
local function add_help(parser)
  return parser:add_help { description = "Print this help.", action = function()
    common.write(parser:get_help(), "\n")
    os.exit(finish(), true)
  end }
end

local function build_parser(suggested)
  local parser = add_help(argparse("neuraldrummer",
    "Plays drums to a song in a MIDI file."))
    :help_max_width(80):command_target "command"
  parser:flag("--version", "Print the version."):action(function()
    common.say("neuraldrummer %s", nd.version)
    os.exit(finish(), true)
  end)
  for _, name in ipairs(ORDER) do
    local command = add_help(parser:command(name, commands[name].summary))
    local groups = {}
    define(command, commands[name].takes, suggested, groups)
    for _, group in ipairs(groups) do command:group(group, table.unpack(groups[group])) end
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

-- How errors begin that the C side or an option check raises about a value from the
-- command line.
local MISUSE <const> = { "options? '", "unknown option", "no kit is named" }

-- The exit status and the message for an error. Any but these is a bug of the tool.
local function on_error(message)
  local text = tostring(message)
  for _, words in ipairs(MISUSE) do
    -- after the position of the line that raised it, whose path may contain colons
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

--- Parses arguments, without running anything.
---@param args string[]
---@return boolean ok
---@return table|string parsed or message
function cli.parse(args)
  return build_parser():pparse(join_negative_numbers(args))
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
  return finish()
end

-- With stdin, stdout or stderr closed, the next file to be opened would get its number,
-- and what is printed would be written into it. So a placeholder that cannot be written
-- is opened first.
local placeholders = {}
local function occupy_closed_streams()
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
  occupy_closed_streams()
  local ran, result = xpcall(run, on_error, args)
  -- out of memory, Lua does not call the handler
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
