--- Trains, saves and plays with one seed, TIMES times over, each with so many
--- threads; prints a digest of every byte that came out.
---
---     lua5.4 spec/support/same.lua FOLDER TIMES THREADS
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local tiny = require "spec.support.tiny"

local folder, times, threads = arg[1], math.tointeger(arg[2]), math.tointeger(arg[3])
local PATTERNS <const> = {
  { kick = "x...x...x.x.x...", snare = "....x.......x...", bass = "x...x...x...x..." },
  { kick = "x.......x.......", closed_hat = "x.x.x.x.x.x.x.x.", bass = "x.x.x.x.x.x.x.x." },
}
local tok = core.tokeniser()
local song = tiny.song { patterns = PATTERNS, bars = 24 }

local function once()
  local songs = {}
  for i = 1, 12 do
    songs[i] = { tiny.song { patterns = PATTERNS, bars = 16 + i, root = 30 + i }, "train" }
  end
  local corpus <close>, path = tiny.corpus(tok, songs)
  -- large enough that threads are worth it
  local model = core.model { hidden = 96, layers = 2, encoder = 48, seed = 5 }
  model:threads(threads)
  model:learn_styles(corpus)
  local batches = corpus:batches { model = model, batch = 8, steps = 64, seed = 5 }
  local out = { files.read(path) }
  os.remove(path)
  for _ = 1, 3 do
    if not batches:next() then batches:next() end
    out[#out + 1] = ("%a %a"):format(model:train_step(batches))
  end
  path = folder .. "/same." .. threads .. "." .. times
  assert(model:save(path, { training = true, batches = batches }))
  out[#out + 1] = assert(files.read(path))
  os.remove(path)
  local generator = core.generator(model, { seed = 11, temperature = 0.9, threads = threads })
  for _ = 1, 2 do
    out[#out + 1] = song:with_drums(generator:play(assert(tok:encode(song)))):bytes()
  end
  return core.hash(table.concat(out, "\n"))
end

local first = once()
for i = 2, times do
  if once() ~= first then
    print(("run %d of %d gives other bytes"):format(i, times))
    os.exit(false)
  end
end
print(("%016x"):format(first))
