--- Writes the annotations of the options of all that plays, from options/playing.lua:
---   lua5.4 .ci/options.lua lua/neuraldrummer/generate.d.lua
--- Loaded by another script, it returns the function that makes the text.
package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
local playing = require "neuraldrummer.options.playing"

-- A comment of several lines, of at most 100 columns.
local function wrapped(prefix, text)
  local lines, line = {}, prefix
  for word in text:gmatch "%S+" do
    if #line + 1 + #word > 100 then
      lines[#lines + 1] = line
      line = "---"
    end
    line = line .. " " .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

local function class(name, about, list)
  local lines, seen = { about, "---@class " .. name }, {}
  for _, option in ipairs(list) do
    if not seen[option.name] then
      seen[option.name] = true
      lines[#lines + 1] = wrapped(("---@field %s? %s"):format(option.name,
        option.annotation or option.type), option.text)
    end
  end
  return table.concat(lines, "\n")
end

local function annotations()
  return table.concat({
    "---@meta neuraldrummer.generate\n--- The options of generate.drum, sketch.continue and "
      .. "sketch.play.\n--- Written by .ci/options.lua from options/playing.lua; change that.",
    class("neuraldrummer.generate_options", "--- Options of generate.drum.", playing.of "drum"),
    class("neuraldrummer.continue_options", "--- Options of sketch.continue.",
      playing.of "continue"),
    class("neuraldrummer.sketch_options", "--- Options of sketch.play.", playing.of "sketch"),
    "return {}\n",
  }, "\n\n")
end

if arg and arg[0] and debug.getinfo(1, "S").source == "@" .. arg[0] then
  local file = assert(io.open(assert(arg[1], "usage: lua5.4 .ci/options.lua FILE.d.lua"), "w"))
  assert(file:write(annotations()))
  assert(file:close())
end

return annotations
