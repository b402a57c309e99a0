--- Files, folders and processes, for specs.
local lfs = require "lfs"
local temporary = require "spec.support.temporary"

local shell = {}

--- Of this run: absolute paths of the checkout and of the build.
shell.root = lfs.currentdir()
shell.build = os.getenv "NEURALDRUMMER_BUILD" or "build"
if shell.build:sub(1, 1) ~= "/" then shell.build = shell.root .. "/" .. shell.build end
shell.tool = shell.build .. "/bin/neuraldrummer"

function shell.quote(s) return "'" .. tostring(s):gsub("'", "'\\''") .. "'" end

function shell.read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

function shell.write(path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  assert(file:close())
  return path
end

function shell.exists(path) return lfs.attributes(path, "mode") ~= nil end

--- A new empty folder; `shell.remove` removes it with all that is in it.
shell.folder, shell.remove = temporary.folder, temporary.remove

--- What this process has read of files so far, in bytes: by calls, and by pages
--- of memory that it touched for the first time.
function shell.bytes_read()
  local calls = tonumber(shell.read "/proc/self/io":match "rchar: (%d+)")
  local faults = tonumber(shell.read "/proc/self/stat":match "%) %S+ %S+ %S+ %S+ %S+ %S+ %S+ (%d+)")
  return calls + 4096 * faults
end

--- Runs a line of shell; exit status, stdout, stderr.
function shell.sh(line)
  local out, err = temporary.name(), temporary.name()
  local _, how, status = os.execute(("{ %s\n} </dev/null >%s 2>%s"):format(line, out, err))
  local stdout, stderr = shell.read(out), shell.read(err)
  os.remove(out)
  os.remove(err)
  return how == "exit" and status or 128 + status, stdout, stderr
end

--- Runs a program with its arguments as they are.
function shell.run(...)
  local words = {}
  for i = 1, select("#", ...) do words[i] = shell.quote((select(i, ...))) end
  return shell.sh(table.concat(words, " "))
end

--- Runs a program with its arguments as they are, and sends it a signal once the
--- file that it is to write is begun; exit status, stdout, stderr.
---@param signal string
---@param file string
function shell.signalled(signal, file, ...)
  local words = {}
  for i = 1, select("#", ...) do words[i] = shell.quote((select(i, ...))) end
  -- the program is not the one behind: that would not hear of an interrupt
  return shell.sh(([[
    pid=%s
    { for try in $(seq 3000); do [ -e %s ] && break; sleep 0.01; done
      kill -%s $(cat "$pid"); } &
    sh -c 'echo $$ >"$0"; exec "$@"' "$pid" %s
    status=$?
    rm "$pid"
    (exit $status)]]):format(shell.quote(temporary.name()), shell.quote(file .. ".nd-part"), signal,
    table.concat(words, " ")))
end

return shell
