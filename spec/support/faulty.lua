--- Builds faults.so and C hosts beside the build, and runs scripts under them.
local shell = require "spec.support.shell"

local faulty = {}

local FOLDER <const> = shell.build .. "/spec"
local SANITIZED <const> = os.getenv "ASAN_OPTIONS" ~= nil

--- Sanitizers have an allocator of their own, which cannot be made to fail and
--- wants more address space than a limit leaves.
faulty.sanitized = SANITIZED

local function compile(source, out, flags)
  assert(shell.sh("mkdir -p " .. shell.quote(FOLDER)) == 0)
  local status, _, err = shell.sh(("%s -std=gnu11 -O1 -g -Wall -Wextra %s -o %s %s %s"):format(
    os.getenv "CC" or "cc", "$(pkg-config --cflags lua5.4)", shell.quote(out), source, flags))
  assert(status == 0, err)
  return out
end

--- The library of faults; its path.
function faulty.library()
  return compile("spec/support/faults.c", FOLDER .. "/faults.so",
    "-shared -fPIC -ldl" .. (SANITIZED and " -DDISK_ONLY" or ""))
end

--- A program from `source`, linked with Lua; its path.
---@param source string
---@param name string
---@param flags? string
function faulty.program(source, name, flags)
  return compile(source, FOLDER .. "/" .. name, "-Wl,-E $(pkg-config --libs lua5.4) -lpthread -ldl "
    .. (flags or "") .. (SANITIZED and " -fsanitize=address,undefined" or ""))
end

--- What a process needs to find the modules, faults.so among them.
function faulty.paths()
  return ("LUA_PATH=%s LUA_CPATH=%s"):format(
    shell.quote(("%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua;;"):format(shell.root, shell.root,
      shell.root)), shell.quote(("%s/?.so;%s/lib/?.so;;"):format(FOLDER, shell.build)))
end

--- Runs a script with faults at its call; exit status, stdout, stderr.
---@param script string below spec/support, with arguments
function faulty.run(script)
  return shell.sh(("env LD_PRELOAD=%s %s lua5.4 spec/support/%s"):format(
    shell.quote((os.getenv "LD_PRELOAD" or "") .. " " .. faulty.library()), faulty.paths(), script))
end

return faulty
