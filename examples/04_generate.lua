--- 04 Drums to a song.
---   lua5.4 examples/04_generate.lua [FOLDER]   (build/examples)
--- Needs what 02_train.lua made. Drums a song that has no drums: with the model
--- just trained, with the one that comes along, and the way of the original.

package.path = package.path .. ";lua/?.lua;lua/?/init.lua"
package.cpath = package.cpath .. ";build/lib/?.so"

local nd = require "neuraldrummer"
local generate = require "neuraldrummer.generate"
local plot = require "neuraldrummer.plot"

local folder = arg[1] or "build/examples"

-- The song that 02 never trained on, and without its drums.
local path = folder .. "/song.mid"
assert(dofile "examples/songs/rock.lua":save(path, { drums = false }))
local song = assert(nd.song.load(path))
print(("song.mid: %d notes, drums: %s"):format(#song:notes(), song:drum_channel() or "none"))

-- The walk by hand: a Sequence, a generator, the song with its drums.
local model = assert(nd.model.load(folder .. "/drummer.safetensors"))
local seq = assert(model:tokeniser():encode(song))
local drums = nd.generator(model, { seed = 7, temperature = 0.8 }):play(seq)
assert(song:with_drums(drums):save(folder .. "/trained.mid"))

local function report(what, played)
  local voices, total = generate.count(played)
  local counts = {}
  for _, voice in ipairs(voices) do
    if voice.hits > 0 then counts[#counts + 1] = voice.name:gsub("_", " ") .. " " .. voice.hits end
  end
  print(("\n%s: %.2f hits a step\n%s"):format(what, total / #played, table.concat(counts, ", ")))
end
report("trained.mid", drums)

local function picture(name, title, played)
  local ok, message = plot.song(played, { title = title,
    out = ("%s/%s.png"):format(folder, name) })
  print("  " .. (ok and name .. ".png" or message))
end
picture("trained", "Neon Mile, drums by the model of 02_train.lua", drums)

-- The same seed plays the same; another seed, another take.
local second = nd.generator(model, { seed = 7, temperature = 0.8 }):play(seq)
local third = nd.generator(model, { seed = 8, temperature = 0.8 }):play(seq)
print(("  same seed, same drums: %s; another seed: %s"):format(
  second:packed_hits() == drums:packed_hits(), third:packed_hits() == drums:packed_hits()))

-- Step by step, as a host would play along: a bar's probabilities of a snare.
local live = nd.generator(model, { seed = 7, temperature = 0.8 })
local snare = {}
for step = 1, 32 do
  live:step(seq:metrics(step))
  if step > 16 then snare[#snare + 1] = ("%2.0f"):format(100 * live:probabilities().snare) end
end
print("  snare in bar 2, %: " .. table.concat(snare, " "))

-- The model that comes along, in one call.
local bundled, message = generate.drum(path, { out = folder .. "/bundled.mid", seed = 7 })
if bundled then
  report("bundled.mid", bundled.drums)
  picture("bundled", "Neon Mile, drums by the model that comes along", bundled.drums)
else
  print("\n" .. message)
end

-- The original system's way: its eighths and six voices, the window run again
-- for every step, whatever reaches the cut-off struck and one voice at least.
for _, start in ipairs { "basic", "count-in" } do
  local out = ("original-%s.mid"):format(start)
  local played = assert(generate.drum(path, { model = folder .. "/original.safetensors",
    out = folder .. "/" .. out, original = true, start = start, cutoff = 0.2 }))
  report(out, played.drums)
end

--[[ printed:
song.mid: 2076 notes, drums: none

trained.mid: 0.87 hits a step
kick 220, snare 174, closed hat 28, open hat 2, low tom 18, mid tom 3, high tom 5, crash 7, ride 461
  trained.png
  same seed, same drums: true; another seed: false
  snare in bar 2, %:  5  0  4  1 24  0  7  1 11  1  3  2 20  0  3  2

bundled.mid: 0.73 hits a step
kick 201, snare 205, closed hat 123, open hat 187, low tom 12, crash 40, ride 3
  bundled.png

original-basic.mid: 1.79 hits a step
kick 193, snare 216, closed hat 6, ride 525

original-count-in.mid: 2.91 hits a step
kick 485, snare 517, closed hat 525
]]
