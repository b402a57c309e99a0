--- Writes files where there are no locks; run by faults_disk_spec, with faults.so
--- preloaded. Prints what is wrong.
---
---     lua5.4 spec/support/unlocked.lua FOLDER
local lfs = require "lfs"
local faults = require "faults"
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"

local ENOLCK <const> = 37

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end
local function left()
  local names = {}
  for name in lfs.dir(arg[1]) do
    if name:find "part" then names[#names + 1] = name end
  end
  return names
end

local model = core.model { hidden = 2, layers = 1, encoder = 0 }
local path = arg[1] .. "/x"
for _, write in ipairs {
  function() return files.write(path, "new") end,
  function() return model:save(path) end,
  function()
    local writer, message = core.create_corpus(path, core.tokeniser())
    if not writer then return nil, message end
    return writer:finish()
  end,
} do
  os.remove(path)
  faults.no_locks(ENOLCK)
  local ok, message = write()
  local one, two = assert(files.create(path)), assert(files.create(path))
  one:write "one"
  two:write "two"
  local both = #left()
  assert(one:finish())
  local first = read(path)
  assert(two:finish())
  faults.stop()
  if not ok then print("refused: " .. message) end
  -- each has a file of its own there
  if both ~= 2 or first ~= "one" or read(path) ~= "two" then print "two writers met" end
  for _, name in ipairs(left()) do print(name .. " was left") end
end
