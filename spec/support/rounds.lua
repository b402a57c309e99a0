--- What a check of many random rounds is given: `TOOL COUNT [SEED]`. Seeds the
--- random numbers; the tool's absolute path, the count and the seed.
local shell = require "spec.support.shell"

---@param script string the check's own name
---@param what string what it counts
return function(script, what)
  local tool, count, seed = arg[1], math.tointeger(tonumber(arg[2])), math.tointeger(arg[3])
  if not tool or not count then
    io.stderr:write(("usage: %s TOOL %s [SEED]\n"):format(script, what))
    os.exit(2)
  end
  if tool:sub(1, 1) ~= "/" then tool = shell.root .. "/" .. tool end
  seed = seed or os.time()
  math.randomseed(seed)
  return tool, count, seed
end
