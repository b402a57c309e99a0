--- Training shared by processes: what one and two of them do here, against one
--- process with two threads; and, worked out from that, what many would do on
--- machines of their own.
---
---   make MPI=1 && lua5.4 spec/bench/distributed.lua [CORPUS=songs.ndc] [BUILD=build]
---     [GBITS=25] [MICROSECONDS=10] [STREAMS=32] [SECONDS=3]
---
--- Without a corpus it makes one. The network is taken to pass on GBITS a second
--- both ways between neighbours, each message MICROSECONDS late, and gradients to
--- go round in a ring (Patarasuk & Yuan 2009): 2 (n - 1) messages of 1/n of it.
local quote = function(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local settings = { CORPUS = "", BUILD = "build", GBITS = "25", MICROSECONDS = "10",
  STREAMS = "32", SECONDS = "3", THREADS = "1", WORKER = "" }
for _, word in ipairs(arg) do
  local key, value = word:match "^(%u+)=(.*)$"
  if not settings[key] then error(("KEY=value is needed, got '%s'"):format(word)) end
  settings[key] = value
end
package.path = "lua/?.lua;lua/?/init.lua;./?.lua;" .. package.path
package.cpath = settings.BUILD .. "/lib/?.so;" .. package.cpath
local core = require "neuraldrummer.core"

-- A process of its own ---------------------------------------------------------

-- Seconds of a batch's filling and of its training step, as rank 1 sees them.
local function work()
  local nd = require "neuraldrummer"
  local world = settings.WORKER == "shared" and assert(nd.join()) or nil
  local corpus = assert(nd.corpus.open(settings.CORPUS))
  local model = core.model { preset = "drummer", tokeniser = corpus:tokeniser() }
  model:threads(math.tointeger(settings.THREADS))
  local batches = assert(corpus:batches { model = model, world = world,
    batch = math.tointeger(settings.STREAMS) })
  local options = { rate = 1e-3, clip = 1 }
  local filling, stepping, n, began = 0, 0, 0, nil
  repeat
    local start = core.clock()
    if not batches:next() then batches:next() end
    local filled = core.clock()
    assert(model:train_step(batches, options))
    local now = core.clock()
    if n > 0 then  -- the first one makes room
      filling, stepping = filling + filled - start, stepping + now - filled
    end
    n = n + 1
    began = began or now
    local over = now - began > tonumber(settings.SECONDS)
    if world then over = world:any(over) end
  until over
  if not world or world:rank() == 1 then
    local steps, streams = batches:shape()
    print(("%.6f %.6f %d %d %d"):format(filling / (n - 1), stepping / (n - 1), steps, streams,
      model:config().parameters))
  end
  if world then world:leave() end
end

if settings.WORKER ~= "" then
  work()
  return
end

-- Measuring ----------------------------------------------------------------------

local made
if settings.CORPUS == "" then
  local tiny = require "spec.support.tiny"
  local songs = {}
  for i = 1, 64 do
    local pattern = { kick = "x...x...x.x.x...", snare = "....x.......x...",
      closed_hat = i % 3 == 0 and "x.x.x.x.x.x.x.x." or "xxxxxxxxxxxxxxxx",
      bass = i % 2 == 0 and "x...x...x...x..." or "x.x.....x.x.....", }
    songs[i] = { tiny.song { patterns = { pattern }, bars = 60 + i, root = 30 + i % 30 }, "train" }
  end
  local corpus
  corpus, made = tiny.corpus(core.tokeniser(), songs)
  corpus:close()
  settings.CORPUS = made
end

---@param ranks integer 0: without MPI
local function measure(ranks, threads, streams)
  local line = ("lua5.4 spec/bench/distributed.lua WORKER=%s CORPUS=%s BUILD=%s SECONDS=%s "
    .. "THREADS=%d STREAMS=%d"):format(ranks > 0 and "shared" or "alone",
    quote(settings.CORPUS), quote(settings.BUILD), settings.SECONDS, threads, streams)
  if ranks > 0 then
    line = ("mpirun --allow-run-as-root --oversubscribe --bind-to none -n %d %s"):format(ranks,
      line)
  end
  local best
  for _ = 1, 2 do
    local pipe = assert(io.popen("OPENBLAS_NUM_THREADS=1 " .. line))
    local text = pipe:read "a"
    pipe:close()
    local fill, step, steps, here, parameters = text:match "(%S+) (%S+) (%d+) (%d+) (%d+)"
    if not fill then error("this failed: " .. line) end
    local one = { fill = tonumber(fill), step = tonumber(step), steps = tonumber(steps),
      here = tonumber(here), parameters = tonumber(parameters) }
    one.rate = steps * streams / (one.fill + one.step)
    if not best or one.rate > best.rate then best = one end
  end
  return best
end

local streams = math.tointeger(settings.STREAMS)
local alone = measure(0, 1, streams)
print(("drummer, batches of %d x %d steps, %d parameters"):format(streams, alone.steps,
  alone.parameters))
print(("%-34s %8s %8s %9s %7s"):format("", "fill ms", "step ms", "steps/s", "times"))
local function say(name, m)
  print(("%-34s %8.1f %8.1f %9.0f %7.2f"):format(name, m.fill * 1e3, m.step * 1e3, m.rate,
    m.rate / alone.rate))
end
say("one process, 1 thread", alone)
say("one process, 2 threads", measure(0, 2, streams))
say("mpirun -n 1", measure(1, 1, streams))
local pair = measure(2, 1, streams)
say("mpirun -n 2, 1 thread each", pair)
-- what a process does with its share, if nobody else is there
local half = measure(0, 1, streams // 2)
print(("    of a step, not the share's own work: %.1f ms"):format((pair.step - half.step) * 1e3))

-- On paper -----------------------------------------------------------------------

local bytes = alone.parameters * 4
local bandwidth, late = tonumber(settings.GBITS) * 1e9 / 8, tonumber(settings.MICROSECONDS) * 1e-6
local function ring(n) return 2 * (n - 1) * (bytes / n / bandwidth + late) end

print(("\non paper: %.1f MB of gradients in a ring, %s Gbit/s, %s us; a machine a process"):format(
  bytes / 1e6, settings.GBITS, settings.MICROSECONDS))
print(("%-8s %-22s %9s %9s %10s %11s"):format("ranks", "streams, of each", "work ms", "ring ms",
  "steps/s", "efficiency"))
local function row(n, share, work_of)
  local seconds = work_of.fill + work_of.step
  local total = seconds + ring(n)
  local rate = n * share * alone.steps / total
  print(("%-8d %-22s %9.1f %9.2f %10.0f %10.0f%%"):format(n,
    ("%d, %d"):format(n * share, share), seconds * 1e3, ring(n) * 1e3, rate,
    100 * rate / (n * alone.rate)))
end
for _, n in ipairs { 2, 8, 64 } do row(n, streams, alone) end
local quarter = measure(0, 1, math.max(streams // 4, 1))
for _, n in ipairs { 2, 8, 64 } do row(n, math.max(streams // 4, 1), quarter) end
if made then os.remove(made) end
