--- Runs a Lua program and says at its end what memory the process held at most:
---   lua5.4 spec/bench/peak.lua PROGRAM [ARGUMENT…]
local program = table.remove(arg, 1)
arg[0] = program  -- luacheck: ignore 122

local function tell()
  for line in io.lines "/proc/self/status" do
    local peak = line:match "^VmHWM:%s*(%d+) kB"
    if peak then print(("peak %s kB"):format(peak)) end
  end
end

local exit = os.exit
os.exit = function(...)  -- luacheck: ignore 122
  tell()
  exit(...)
end

assert(loadfile(program))(table.unpack(arg))
tell()
