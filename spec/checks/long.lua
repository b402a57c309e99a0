--- Long runs: memory must not grow with the songs that were encoded and the
--- steps that were played.
---
---     make check-long [SONGS=10000] [STEPS=100000]
---     lua5.4 spec/checks/long.lua SONGS STEPS
local core = require "neuraldrummer.core"
local tiny = require "spec.support.tiny"

local songs, steps = math.tointeger(arg[1] or 10000), math.tointeger(arg[2] or 100000)
if not songs or not steps then
  io.stderr:write "usage: long.lua SONGS STEPS\n"
  os.exit(2)
end

-- Of this process, in MiB: its own pages, also those that the system has put
-- away. Pages of files come and go with what else runs.
local function memory()
  local file = assert(io.open "/proc/self/status")
  local status = file:read "a"
  file:close()
  return (status:match "RssAnon:%s*(%d+) kB" + (status:match "VmSwap:%s*(%d+) kB" or 0)) / 1024
end

local LIMIT <const> = 8
local bad = 0
--- Does it so many times. What the last tenth needs at least, against what the
--- beginning needed at most: in between, garbage comes and goes.
local function grows(what, times, act)
  local every = math.max(times // 1000, 1)
  local warm = math.max(times // 10, math.min(times // 2, 1000))
  local first, last = 0.0, math.huge
  for i = 1, times do
    act(i)
    if i % every == 0 then
      if i <= warm then first = math.max(first, memory()) end
      if i > times - times // 10 then last = math.min(last, memory()) end
    end
  end
  print(("%s: %d times, %.1f MiB at first, then %+.1f"):format(what, times, first, last - first))
  if last - first > LIMIT then bad = bad + 1 end
end

local tok = core.tokeniser()
local bytes = {}
for i = 1, 16 do
  bytes[i] = tiny.song { bars = 16 + i, root = 30 + i, patterns = { { kick = "x...x...x...x...",
    snare = "....x.......x...", closed_hat = "x.x.x.x.x.x.x.x.", bass = "x.x.x.x.x.x.x.x." } } }
    :bytes()
end
grows("songs read, encoded and written, left to the collector", songs, function(i)
  local song = assert(core.parse_song(bytes[i % 16 + 1]))
  local seq = assert(tok:encode(song))
  assert(#song:with_drums(seq):bytes() > #seq:tokens() / 1000)
end)
grows("songs refused", songs, function(i)
  assert(not core.parse_song((bytes[i % 16 + 1]:gsub("MTrk", "mTrk"))))
  assert(not tok:parse "36,x")
end)

local model = core.model { hidden = 32, layers = 2, causal = true, encoder = 16 }
local generator = core.generator(model)
local metrics = { bar = false, energy = 0.5, intensity = 0 }
grows("steps played", steps, function(i)
  metrics.bar = i % 16 == 1
  generator:step(metrics)
  if i % 100 == 0 then generator:probabilities() end
end)
local seq = assert(tok:encode(assert(core.parse_song(bytes[1]))))
grows("songs played", math.max(steps // #seq, 20), function(i)
  core.generator(model, { seed = i }):play(seq)
end)
grows("models made and dropped", math.max(songs // 20, 20), function()
  assert(core.model { hidden = 32, layers = 1 })
end)
print(("%d grew by more than %d MiB"):format(bad, LIMIT))
os.exit(bad == 0, true)
