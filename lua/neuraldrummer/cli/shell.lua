--- The commands that describe the tool: completion scripts and the manual page, both made
--- from the rows that define its arguments; and the list of kit maps.
local nd = require "neuraldrummer"
local common = require "neuraldrummer.cli.common"
local kits = require "neuraldrummer.kits"

---@type table<string, neuraldrummer.cli_command>
local shell = {}

shell.completion = {
  summary = "Print a completion script for a shell.",
  example = "neuraldrummer completion bash",
  takes = {
    { "shell", false, "bash, zsh or fish", choices = { "bash", "zsh", "fish" } },
  },
  run = function(args, tool)
    local parser = tool.suggesting()
    common.write(parser[("get_%s_complete"):format(args.shell)](parser))
    return true
  end,
}

-- The manual page ------------------------------------------------------------

local function roff(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("^([.'])", "\\&%1")
    :gsub("[\xC2-\xF4][\x80-\xBF]+", function(char)
      return ("\\[u%04X]"):format(utf8.codepoint(char))
    end))
end

-- The names of an option or argument with its value: "-o FILE, --output FILE".
local function synopsis(names, argname, row)
  local value = row.choices and table.concat(row.choices, "|") or argname
  local parts = {}
  for name in names:gmatch "%S+" do
    if name:find "^%-" then
      parts[#parts + 1] = ("\\fB%s\\fR"):format(roff(name)) ..
        (value and (" \\fI%s\\fR"):format(roff(value)) or "")
    else
      parts[#parts + 1] = ("\\fI%s\\fR"):format(roff(value or name))
    end
  end
  return table.concat(parts, ", ")
end

-- Calls `visit(names, argname, description, row)` for each row of a command's `takes`.
local function each_row(rows, visit)
  for _, row in ipairs(rows) do
    local names, argname, description = table.unpack(row, 1, 3)
    if type(names) == "table" then
      each_row(row, visit)
    elseif description then
      visit(names, argname or nil, description, row)
    else
      visit(names, nil, argname, row)
    end
  end
end

local function manual(tool)
  local lines = {}
  local function put(format, ...) lines[#lines + 1] = format:format(...) end
  put('.TH NEURALDRUMMER 1 "" "neuraldrummer %s" "User Commands"', nd.version)
  put ".SH NAME\nneuraldrummer \\- plays drums to a song in a MIDI file"
  put ".SH SYNOPSIS\n.B neuraldrummer\n\\fICOMMAND\\fR [\\fIARGUMENTS\\fR]"
  put(".SH DESCRIPTION\n%s", roff("Reads a song from a MIDI file, plays drums to it, and writes "
    .. "the file with a drum track added; every other track stays the same, byte for byte. It can "
    .. "also be trained on your own MIDI files. The same song, model, options and seed give the "
    .. "same bytes."))
  put ".SH COMMANDS"
  for _, command in ipairs(tool.commands) do
    local arguments = {}
    each_row(command.takes, function(names, argname, _, row)
      if not names:find "^%-" then
        arguments[#arguments + 1] = " " .. synopsis(names, argname, row)
      end
    end)
    put(".SS \"\\fB%s\\fR%s\"\n%s", command.name, table.concat(arguments), roff(command.summary))
    each_row(command.takes, function(names, argname, description, row)
      put(".TP\n%s\n%s", synopsis(names, argname, row), roff(common.sentence(description)))
    end)
    if command.example then
      put(".PP\nFor example:\n.PP\n.RS\n.nf\n%s\n.fi\n.RE", roff(command.example))
    end
  end
  put ".SH OPTIONS"
  put(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nPrint help; after a command, help for that command.")
  put ".TP\n\\fB\\-\\-version\\fR\nPrint the version."
  put(".SH EXIT STATUS\n0: done. 1: a file or the system failed, or Ctrl-C. 2: misuse. "
    .. "The reason is printed on stderr, in one line.")
  put(".SH FILES\n.TP\n.I ~/.config/neuraldrummer/kits/NAME.kit\n%s",
    roff "Your own kit map, for --kit-in NAME and --kit-out NAME; `neuraldrummer kits` lists "
    .. "the bundled ones.")
  return table.concat(lines, "\n") .. "\n"
end

shell.man = {
  summary = "Print the manual page, for man or groff.",
  example = "neuraldrummer man",
  takes = {},
  run = function(_, tool)
    common.write(manual(tool))
    return true
  end,
}

-- Kit maps ---------------------------------------------------------------------

shell.kits = {
  summary = "List the kit maps, or describe one.",
  example = "neuraldrummer kits roland-td",
  takes = {
    { "map", "MAP", "a name or a file (mine.kit)", args = "?", suggests = kits.names },
    { "--json", "print the result as JSON" },
  },
  run = function(args)
    local maps = {}
    for i, name in ipairs(args.map and { args.map } or kits.names()) do
      local map, message = kits.load(name)
      if not map then return nil, message end
      local pitches = {}
      for pitch = 0, 127 do
        local drum = map.reads[pitch]
        if drum ~= nil then
          pitches[#pitches + 1] = { pitch = pitch, drum = drum or nil, words = map.words[pitch],
            written = drum and map.writes[drum] == pitch or false }
        end
      end
      maps[i] = { name = map.name, title = map.title, path = map.path, sources = map.sources,
        pitches = pitches }
    end
    if args.json then
      common.say_json(args.map and maps[1] or maps, { "name", "title", "path", "sources",
        "pitches", "pitch", "drum", "words", "written" })
    elseif args.map then
      local map = maps[1]
      common.say("%s (%s)", map.title, map.path)
      for _, source in ipairs(map.sources) do common.say("source: %s", source) end
      common.say "pitch  General MIDI"
      for _, each in ipairs(map.pitches) do
        common.say("%5d %5s %s %s", each.pitch, each.drum or "-", each.written and "*" or " ",
          each.words)
      end
      common.say "*: the pitch that is written for its drum"
    else
      for _, map in ipairs(maps) do
        common.say("%-20s %s, %d pitches", map.name, map.title, #map.pitches)
      end
    end
    return true
  end,
}

return shell
