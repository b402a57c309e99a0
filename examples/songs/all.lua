--- All songs of this folder.
---   lua5.4 examples/songs/all.lua [--no-drums] FOLDER
--- Loaded by another script it gives {names = …, load = f(name) -> song,
--- write = f(folder, options) -> paths | nil, message}.
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

local all = { names = { "ballad", "five", "funk", "journey", "rock", "seven", "shuffle", "tide",
  "waltz" } }

function all.load(name) return dofile(here .. name .. ".lua") end

--- Writes every song into a folder that is there.
---@param folder string
---@param options? {drums?: boolean}
---@return string[]? paths
---@return string? message
function all.write(folder, options)
  local paths = {}
  for i, name in ipairs(all.names) do
    paths[i] = folder .. "/" .. name .. ".mid"
    local ok, message = all.load(name):save(paths[i], options)
    if not ok then return nil, message end
  end
  return paths
end

if arg and arg[0] and debug.getinfo(1, "S").source == "@" .. arg[0] then
  local folder, options = nil, {}
  for _, word in ipairs(arg) do
    if word == "--no-drums" then options.drums = false else folder = word end
  end
  if not folder or folder:sub(1, 1) == "-" then
    io.stderr:write("usage: lua5.4 ", arg[0], " [--no-drums] FOLDER\n")
    os.exit(2)
  end
  local paths, message = all.write(folder, options)
  if not paths then
    io.stderr:write(message, "\n")
    os.exit(1)
  end
  for _, path in ipairs(paths) do print(path) end
end

return all
