--- 01 From songs to a corpus.
---
--- Four scripts, to be read and run one after another from the root of a
--- checkout, like a notebook:
---   lua5.4 examples/01_preprocess.lua [FOLDER]   (build/examples)
--- This one makes nine songs, looks at one as notes, then on the grid, and packs
--- them all into a corpus. What it printed stands at the end.

-- The module as it is installed, or this checkout's.
package.path = package.path .. ";lua/?.lua;lua/?/init.lua"
package.cpath = package.cpath .. ";build/lib/?.so"

local lfs = require "lfs"
local nd = require "neuraldrummer"
local preprocess = require "neuraldrummer.preprocess"

local folder = arg[1] or "build/examples"
local songs = folder .. "/songs"
for path in (songs .. "/"):gmatch "()/" do lfs.mkdir((songs:sub(1, path - 1))) end

-- The songs are our own, written as text: see examples/songs.
local all = dofile "examples/songs/all.lua"
local paths = assert(all.write(songs))
print(("%d songs in %s"):format(#paths, songs))

-- A Song: notes in ticks, with tempo and meter maps.
local song = assert(nd.song.load(songs .. "/rock.mid"))
local tempo, meter = song:tempos()[1], song:meters()[1]
print(("\nrock.mid: %d notes, %d of them drums on channel %d; %d/%d at %.0f bpm, %.0f s"):format(
  #song:notes(), #song:notes "drums", song:drum_channel(), meter.numerator, meter.denominator,
  tempo.bpm, song:seconds()))

-- A Sequence: the same on a grid of sixteenths, nine voices to each step, and
-- beside them what a drummer hears there.
local tokeniser = nd.tokeniser { kit = "gm9", steps_per_beat = 4 }
local seq = assert(tokeniser:encode(song, "rock.mid"))
print(("on the grid: %d steps, %d bars"):format(#seq, #seq:bars()))

print "\nbar 12, the last of the first verse"
local first = seq:bars()[12].first
for v = #seq:voices(), 1, -1 do
  local name, row = seq:voices()[v], {}
  for i = 0, 15 do
    local velocity = seq:hits(first + i)[name]
    row[#row + 1] = not velocity and "." or velocity > 0.75 and "X" or velocity > 0.4 and "x" or "o"
  end
  print(("%12s  %s"):format(name, table.concat(row)))
end
local heard = seq:metrics(first)
print(("heard on its first step: intensity %.2f, loudness %.2f, bass %d"):format(
  heard.intensity, heard.loudness, heard.bass))

-- All of them, in one file. The manifest says what is kept for validation: the
-- network is never trained on it.
local manifest = assert(io.open(folder .. "/manifest.csv", "w"))
manifest:write "file,split\n"
for _, name in ipairs(all.names) do
  manifest:write("songs/", name, ".mid,", name == "rock" and "valid" or "train", "\n")
end
manifest:close()
local summary = assert(preprocess.run(songs, folder .. "/songs.ndc",
  { manifest = folder .. "/manifest.csv" }))
print(("\nsongs.ndc: %d songs, %d for validation, %d steps"):format(summary.accepted, summary.valid,
  summary.steps))
print "       voice   hits  a step"
for _, voice in ipairs(summary.voices) do
  print(("%12s %6d   %.3f"):format(voice.name, voice.hits, voice.rate))
end

-- The original system kept one line of text a song: per step the pitches that
-- are struck and one intensity, ended by -1.
local original = assert(preprocess.run(songs, folder .. "/saved.txt",
  { original = true, manifest = folder .. "/manifest.csv", where = { split = "train" } }))
local saved = assert(io.open(folder .. "/saved.txt"))
print(("\nsaved.txt: %d songs, %d steps of an eighth"):format(original.accepted, original.steps))
for i, name in ipairs(all.names) do
  local line = saved:read "l"
  if name == "funk" then print(("line %d, %s: %s…"):format(i, name, line:sub(1, 60))) end
end
saved:close()

--[[ printed:
9 songs in build/examples/songs

rock.mid: 2954 notes, 878 of them drums on channel 10; 4/4 at 132 bpm, 120 s
on the grid: 1056 steps, 66 bars

bar 12, the last of the first verse
        ride  ................
       crash  ................
    high_tom  ................
     mid_tom  ............xx..
     low_tom  ..............xx
    open_hat  ................
  closed_hat  X.x.x.x.........
       snare  ....x...xxXx....
        kick  x.......x.......
heard on its first step: intensity 0.85, loudness 0.56, bass 1

songs.ndc: 9 songs, 1 for validation, 8420 steps
       voice   hits  a step
        kick   1431   0.170
       snare   1612   0.191
  closed_hat   1641   0.195
    open_hat    233   0.028
     low_tom    143   0.017
     mid_tom     71   0.008
    high_tom     58   0.007
       crash     64   0.008
        ride   1158   0.138

saved.txt: 8 songs, 3924 steps of an eighth
line 3, funk: 36,42,38,i-1.3,-1,42,36,i-1.6,-1,42,38,i-1.6,-1,42,i-0.9,-1,…
]]
