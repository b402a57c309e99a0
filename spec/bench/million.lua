--- What so many songs cost: hours, memory and disk, on one machine and on several,
--- by rates that are given or, where they are not, measured here on one core.
---
---   lua5.4 spec/bench/million.lua [SONGS=1000000] [MACHINES=8] [CORES=2] [EPOCHS=20]
---     [FOLDER=folder of MIDI files] [CORPUS=songs.ndc] [BUILD=build] and, instead of
---     what is measured:
---     [FILES=files a second, a core] [MIDI=bytes a file] [BYTES=bytes of corpus a song]
---     [STEPS=steps a song] [RATE=training steps a second, a machine] [INDEX=bytes of
---     memory a song] [MEMORY=MB of a training] [EFFICIENCY=of MACHINES together, 0-1]
---
--- RATE wants the machine's own threads: `threads` of it are CORES. EFFICIENCY is
--- what spec/bench/distributed.lua gives.
local settings = { SONGS = 1000000, MACHINES = 8, CORES = 2, EPOCHS = 20, EFFICIENCY = 0.95,
  BUILD = "build" }
for _, word in ipairs(arg) do
  local key, value = word:match "^(%u+)=(.*)$"
  if not key then error(("KEY=value is needed, got '%s'"):format(word)) end
  settings[key] = tonumber(value) or value
end
package.path = "lua/?.lua;lua/?/init.lua;./?.lua;" .. package.path
package.cpath = settings.BUILD .. "/lib/?.so;" .. package.cpath
local core = require "neuraldrummer.core"
local nd = require "neuraldrummer"
local temporary = require "spec.support.temporary"

local function memory(which)
  for line in io.lines "/proc/self/status" do
    local kb = line:match("^" .. which .. ":%s*(%d+) kB")
    if kb then return tonumber(kb) * 1024 end
  end
end

local function want(key, what)
  if not settings[key] then error(("%s is needed: %s"):format(key, what)) end
  return settings[key]
end

-- Measuring ----------------------------------------------------------------------

-- Files all over a folder, read as `preprocess` does.
local function read_files()
  local files = require "neuraldrummer.files"
  local all = assert(files.walk(want("FOLDER", "MIDI files to read"), { "mid", "midi" }))
  local count = math.min(#all, 400)
  local tokeniser, path = nd.tokeniser {}, temporary.name()
  local writer = assert(nd.corpus.create(path, tokeniser))
  local bytes, kept, steps, start = 0, 0, 0, core.clock()
  for i = 1, count do
    local name = all[(i - 1) * #all // count + 1]
    local song = nd.song.load(name)
    local seq = song and tokeniser:encode(song)
    if seq and assert(writer:add(seq)) then kept, steps = kept + 1, steps + #seq end
    local file = assert(io.open(name, "rb"))
    bytes = bytes + file:seek "end"
    file:close()
    if song then song:close() end
    if seq then seq:close() end
  end
  local seconds = core.clock() - start
  assert(writer:finish())
  local file = assert(io.open(path, "rb"))
  settings.FILES = settings.FILES or count / seconds
  settings.MIDI = settings.MIDI or bytes / count
  settings.BYTES = settings.BYTES or file:seek "end" / kept
  settings.STEPS = settings.STEPS or steps / kept
  file:close()
  os.remove(path)
end

-- What an open corpus and its batches hold a song, beside the songs at work: of
-- a process that opens one, and no more.
local function held(path)
  local model = core.model { hidden = 8, layers = 1, encoder = 4 }
  local before = memory "VmRSS"
  local corpus = assert(nd.corpus.open(path))
  local batches = corpus:batches { model = model, batch = 1 }
  batches:next()
  print(memory "VmRSS" - before)
end

local function index_of()
  local tokeniser, path = nd.tokeniser {}, temporary.name()
  local song = require "spec.support.tiny".song { bars = 2, patterns = { {
    kick = "x...x...x...x...",
    bass = "x...x...x...x..." } } }
  local seq = assert(tokeniser:encode(song, "a-folder-of-songs/the-name-of-a-song.mid"))
  local function asked(songs)
    local writer = assert(nd.corpus.create(path, tokeniser))
    for _ = 1, songs do assert(writer:add(seq)) end
    assert(writer:finish())
    local pipe = assert(io.popen(("lua5.4 spec/bench/million.lua BUILD='%s' HELD='%s'"):format(
      settings.BUILD, path)))
    local bytes = tonumber(pipe:read "a")
    pipe:close()
    return bytes
  end
  settings.INDEX = (asked(101000) - asked(1000)) / 100000
  os.remove(path)
end

-- Training of the preset, with as many threads as there are cores; then the
-- most memory that this process ever had.
local function training()
  local corpus = assert(nd.corpus.open(want("CORPUS", "songs to train on")))
  local model = core.model { tokeniser = corpus:tokeniser() }
  model:threads(math.tointeger(settings.CORES))
  local batches = corpus:batches { model = model }
  local steps, streams = batches:shape()
  batches:next()
  model:train_step(batches)
  local n, start = 0, core.clock()
  repeat
    if not batches:next() then batches:next() end
    assert(model:train_step(batches))
    n = n + 1
  until core.clock() - start > 5
  settings.RATE = settings.RATE or n * steps * streams / (core.clock() - start)
  settings.MEMORY = settings.MEMORY or memory "VmHWM" / 1e6
end

if settings.HELD then
  held(settings.HELD)
  return
end
if not (settings.RATE and settings.MEMORY) then training() end
if not (settings.FILES and settings.MIDI and settings.BYTES and settings.STEPS) then
  read_files()
end
if not settings.INDEX then index_of() end

-- The table ------------------------------------------------------------------------

local s = settings
print(("%.0f files/s a core, %.0f bytes a file, %.0f bytes of corpus and %.0f steps a song"):format(
  s.FILES, s.MIDI, s.BYTES, s.STEPS))
print(("%.0f training steps/s a machine of %d cores, %.0f MB and %.0f bytes a song of memory")
  :format(s.RATE, s.CORES, s.MEMORY, s.INDEX))
print(("%d songs, %d epochs; %d machines together are %.0f%% of as many"):format(s.SONGS,
  s.EPOCHS, s.MACHINES, 100 * s.EFFICIENCY))

local function hours(seconds)
  local h = seconds / 3600
  return h < 100 and ("%.1f h"):format(h) or ("%.0f h (%.1f days)"):format(h, h / 24)
end
local function gb(bytes) return ("%.1f GB"):format(bytes / 1e9) end

print(("%-44s %20s %20s"):format("", "1 machine", ("%d machines"):format(s.MACHINES)))
local function row(what, one, many) print(("%-44s %20s %20s"):format(what, one, many or one)) end
local reading = s.SONGS / s.FILES / s.CORES
row("preprocess, a shard a core", hours(reading), hours(reading / s.MACHINES))
local epoch = s.SONGS * s.STEPS / s.RATE
row("an epoch", hours(epoch), hours(epoch / s.MACHINES / s.EFFICIENCY))
row(("%d epochs"):format(s.EPOCHS), hours(epoch * s.EPOCHS),
  hours(epoch * s.EPOCHS / s.MACHINES / s.EFFICIENCY))
row("disk: the MIDI files", gb(s.SONGS * s.MIDI))
row("disk: the corpus", gb(s.SONGS * s.BYTES))
row("memory, each process", gb(s.MEMORY * 1e6 + s.SONGS * s.INDEX))
