--- The pictures of the README and of the tutorial, made anew:
---   lua5.4 examples/pictures.lua [FOLDER]   (examples)
--- drumroll.png is a whole song of ours, drummed; loop.png another, over which
--- a loop of four bars is extended; the others are what the numbered examples draw.

package.path = package.path .. ";lua/?.lua;lua/?/init.lua"
package.cpath = package.cpath .. ";build/lib/?.so"

local generate = require "neuraldrummer.generate"
local nd = require "neuraldrummer"
local plot = require "neuraldrummer.plot"

local folder = arg[1] or "examples"
local work = os.tmpname()
os.remove(work)
assert(require "lfs".mkdir(work))

-- A song of ours without its drums; and its drums of some bars, as a loop.
local function write(name)
  local path = ("%s/%s.mid"):format(work, name)
  assert(dofile(("examples/songs/%s.lua"):format(name)):save(path, { drums = false }))
  return path
end

local function write_loop(name, first, bars)
  local song = assert(nd.song.parse(assert(dofile "examples/songs/all.lua".load(name):bytes())))
  local bar, notes = 4 * song:ppq(), {}
  local from, to = (first - 1) * bar, (first - 1 + bars) * bar
  for _, note in ipairs(song:notes "drums") do
    if note.tick >= from and note.tick < to then
      note.tick, note.channel, note.track = note.tick - from, 10, nil
      notes[#notes + 1] = note
    end
  end
  local path = ("%s/%s-loop.mid"):format(work, name)
  assert(nd.song.new { ppq = song:ppq(), notes = notes, tempos = { song:tempos()[1] },
    meters = { song:meters()[1] } }:save(path))
  return path
end

local function picture(name, title, path, options)
  local result = assert(generate.drum(path, options))
  assert(plot.song(result.drums, { out = ("%s/%s.png"):format(folder, name),
    tsv = ("%s/%s.tsv"):format(work, name), title = title, direction = result.direction }))
  print(("%s/%s.png: %d hits"):format(folder, name, result.hits))
end

picture("drumroll", "Neon Mile, drummed from nothing", write "rock",
  { seed = 7, fills = "sections" })
picture("loop", "A funk loop of four bars, extended over its song", write "funk",
  { seed = 3, loop = write_loop("funk", 5, 4), fills = "sections" })
for _, name in ipairs { "01_preprocess", "02_train", "03_plot", "04_generate" } do
  assert(os.execute(("lua5.4 examples/%s.lua '%s' >'%s/printed'"):format(name, work, work)))
end
for _, name in ipairs { "corpus", "loss", "journey", "trained" } do
  assert(os.execute(("cp '%s/%s.png' '%s'"):format(work, name, folder)))
  print(("%s/%s.png"):format(folder, name))
end
os.execute("rm -rf '" .. work .. "'")
