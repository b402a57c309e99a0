--- Runs the specs under this Lua, then luacheck; ends with "N passed, N failed".
--- lua5.4 spec/run.lua LUA BUILD [SPEC…]     (`make test` does)
--- PRELOAD: words put before the command (`LD_PRELOAD=… `), for sanitizers.

package.path = "./?.lua;" .. package.path
local temporary = require "spec.support.temporary"

local lua, build = arg[1] or "lua5.4", arg[2] or "build"

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local specs = table.move(arg, 3, #arg, 1, {})
if #specs == 0 then
  local list = assert(io.popen("ls spec/*_spec.lua", "r"))
  for line in list:lines() do specs[#specs + 1] = line end
  list:close()
end
for i, spec in ipairs(specs) do specs[i] = quote(spec) end

-- Files that specs, or the programs they start, leave in it go with it.
local folder = temporary.folder()

local counts = temporary.name()
local ok, how, status = os.execute(table.concat({
  "env", os.getenv "PRELOAD" or "",
  "SPEC_TMP=" .. quote(folder),
  "TMPDIR=" .. quote(folder),
  "SPEC_COUNTS=" .. quote(counts),
  "NEURALDRUMMER_BUILD=" .. quote(build),
  "LUA_PATH=" .. quote("./lua/?.lua;./lua/?/init.lua;./?.lua;;"),
  "LUA_CPATH=" .. quote("./" .. build .. "/lib/?.so;" .. build .. "/lib/?.so;;"),
  quote(lua), "-e", quote "require 'busted.runner' { standalone = false }", "/dev/null",
  "-o", "spec/support/counts.lua", "--ignore-lua",
  table.concat(specs, " "),
}, " "))
temporary.remove(folder)

local marks = ""
local file = io.open(counts, "r")
if file then
  marks = file:read "a"
  file:close()
end
local function count(mark) return select(2, marks:gsub(mark, "")) end
local passed, failed = count "%+", count "%-"
if not marks:find "E$" then
  print(("the specs did not come to their end (%s %s)"):format(how, status))
  failed = failed + 1
elseif not ok and failed == 0 then
  print(("busted failed without a failing test (%s %s)"):format(how, status))
  failed = failed + 1
end
if passed + failed == 0 then
  print "no test ran"
  failed = 1
end

if #arg < 3 then
  if os.execute "luacheck --no-color --quiet ." then
    passed = passed + 1
  else
    failed = failed + 1
  end
end

print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0, true)
