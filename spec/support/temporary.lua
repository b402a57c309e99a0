--- Temporary files and folders of specs, checks and benchmarks.
---
--- All of a run are in one folder. spec/run.lua makes it, gives its path to every
--- process of the run in the environment variable SPEC_TMP, and removes it after
--- they have ended, also when they failed. A script that runs by itself makes a
--- folder of its own, which is removed when its Lua state is closed.
local lfs = require "lfs"

local temporary = {}

local function remove(path)
  if lfs.symlinkattributes(path, "mode") ~= "directory" then
    os.remove(path)
    return
  end
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then remove(path .. "/" .. name) end
  end
  lfs.rmdir(path)
end

-- The folder of this state, made when it is first needed.
local own

local function make_own()
  local shared = os.getenv "SPEC_TMP"
  if shared then
    -- mkdir is atomic, so that no two processes of a run get the same folder
    for i = 1, 100000 do
      own = ("%s/%d"):format(shared, i)
      if lfs.mkdir(own) then return end
    end
    error("cannot make a folder in " .. shared)
  end
  local path = os.tmpname()
  os.remove(path)
  assert(lfs.mkdir(path))
  own, temporary.owner = path, setmetatable({}, { __gc = function() remove(path) end })
end

local count = 0

--- A new path, at which nothing exists yet.
---@return string
function temporary.name()
  if not own then make_own() end
  count = count + 1
  return ("%s/%d"):format(own, count)
end

--- A new empty folder.
---@return string
function temporary.folder()
  local path = temporary.name()
  assert(lfs.mkdir(path))
  return path
end

--- Removes a file or a folder with all that is in it. Only paths that this process
--- was given by `name` or `folder`, or paths below these, are removed.
---@param path string
function temporary.remove(path)
  assert(own and path:sub(1, #own + 1) == own .. "/" and not path:find("/../", 1, true), path)
  remove(path)
end

return temporary
