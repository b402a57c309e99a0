--- Backstairs: a twelve-bar shuffle in A, 116 bpm, eighths swung to triplets.
---   lua5.4 examples/songs/shuffle.lua [--no-drums] OUT.mid
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local score = dofile(here .. "score.lua")

local song = score.song { title = "Backstairs", tempo = 116, swing = 2 / 3, parts = {
  { "Harp", program = 22, volume = 94, pan = 72 },
  { "Piano", kind = "chords", program = 0, low = 55, volume = 78, pan = 44 },
  { "Bass", kind = "bass", program = 32, low = 28 },
  { "Drums", kind = "drums" },
} }

-- Twelve cells a bar: three to the beat.
local head = {
  kick  = "x.....x.....|x.....x..s..",
  snare = "...X.....X..|...X.g...X.g",
  ride  = "x..x.sx..x.s",
  pedal = "...x.....x..",
}
local solo = {
  kick  = "X..s..X..s..|X..s..X.sx..",
  snare = "..gX.g..gX.g",
  hat   = "X.sx.sX.sx.s",
}
local shout = {
  kick  = "X.x..xX.x..x",
  snare = "...X.....X.x",
  open  = "X..x..X..x..",
}
local fill_one = { kick = "x.....x.....", snare = "...X..xxxXXX", ride = "x..x.s......" }
local fill_two = { kick = "x.....x.....", snare = "...X..xxx...", low = "...........X",
  mid = ".........XX.", hat = "X.sx.s......" }

local changes = "A7 | D7 | A7 | A7 | D7 | D7 | A7 | F#7 | Bm7 | E7 | A7 F#7 | Bm7 E7"
local walk = { "1-3-5-6-|1-3-5-a-|8-7-6-5-|1-3-5-a-" }

song:section("Pick-up", { chords = "E7 | D7 | A7 | E7", level = 0.88,
  Harp = [[f e5:8 g5 e5 d5 b4:4 r | d5:8 f#5 d5 c5 a4:4 r | c5:8t c#5 e5 a5:4 g5:8 e5 c5:4 |
    e5:2> r:2 |]],
  Piano = { "x...x...|..x-..x-" }, Bass = walk,
  Drums = { { hat = "x..x..x..x..", kick = "x..........." }, fill = fill_one } })
song:section("Head 1", { chords = changes, level = 0.88,
  Harp = [[mf r:8 e4 a4 c5 c#5:4 a4 | r:8 f#4 a4 c5 d5:4 c5 | e5:4> c#5:8 a4 g4:4 e4 | r:1 |
    r:8 a4 d5 f5 f#5:4 d5 | c5:8 a4 f#4 a4 c5:2 | e5:4> c#5:8 a4 g4:4 a4 |
    a#4:8 c#5 e5 c#5 a#4:4 r |
    mf d5:4 f#5:8 d5 b4:2 | g#4:4 b4:8 d5 e5:4 d5 | c#5:8 e5 a4 c#5 a#4 c#5 e5 f#5 |
    f d5:8t b4 f#4 e4:4 r:2 |]],
  Piano = { "..x-..x-|..x-...x" }, Bass = walk,
  Drums = { head, fill = { fill_one, fill_one, fill_two }, every = 4, crash = true } })
song:section("Head 2", { chords = changes, level = 0.94,
  Harp = [[mf r:8 e4 a4 c5 c#5:4 a4 | r:8 f#4 a4 c5 d5:4 f#5 | g5:4> e5:8 c#5 a4:4 c5:8 c#5 |
    r:1 |
    f f5:8t f#5 a5 f#5:8 d5 c5:4 a4 | c5:8 d5 f5 d5 c5:2 | e5:4> c#5:8 a4 g4:4 a4 |
    a#4:8 c#5 e5 g5 f#5:4 r | f d5:4 f#5:8 a5 b5:2> | g#5:4 e5:8 d5 b4:4 d5 |
    c#5:8 e5 a4 c#5 a#4 c#5 e5 f#5 | b4:8 d5 g#4 b4 e5:4> r |]],
  Piano = { "..x-..x-|x..x..x-" }, Bass = walk,
  Drums = { head, fill = { fill_one, fill_two }, every = 4, crash = true } })
song:section("Piano chorus", { chords = changes, level = 0.9,
  Piano = { "1-3-5-3-|6-5-3-2-|x-xx-xx-|5-4-3-1-" }, Bass = walk,
  Harp = [[p r:1 | r | r | r:2 mp e5:8 c5 a4:4 | r:1 | r | r | r:2 a#4:8 c#5 e5:4 |
    r:1 | r | r | mf e5:8t e5 e5 g#5:4> r:2 |]],
  Drums = { solo, fill = { fill_one, fill_one, fill_two }, every = 4, crash = true } })
song:section("Shout", { chords = changes, level = 1.04,
  Harp = [[ff a5:4> r:8 a5 g5 e5 c5:4 | a5:4> r:8 a5 f#5 d5 c5:4 | a5:8t g5 e5 c#5 a4 g4 a4:2 |
    r:1 |
    d6:4> r:8 c6 a5 f#5 d5:4 | c6:8 a5 f#5 d5 c5:2 | a5:4 e5:8 c#5 a4:4 c#5 |
    e5:8 f#5 a#5 f#5 e5:4 r |
    ff b5:4 a5:8 f#5 d5:4 b4 | g#4:8 b4 d5 e5 g#5:4 b5 | a5:8 e5 c#5 e5 f#5 e5 c#5 a#4 |
    b4:8 d5 f#5 e5 g#5:4> r |]],
  Piano = { "X..x..X-|x..x..xx" }, Bass = { "1-3-5-6-|7-6-5-a-" },
  Drums = { shout, fill = { fill_one, fill_two }, every = 4, crash = true } })
song:section("Tag", { chords = "Bm7 | E7 | A7 D7 | A6", level = 0.96, rit = 84,
  Harp = [[f d5:4 f#5:8 d5 b4:2 | g#4:4 b4:8 d5 e5:4 d5 | c#5:8t e5 g5 a5:4> c5:8t c#5 a4 r:4 |
    a4:4> e4 a4:2 |]],
  Piano = { "..x-..x-", last = "x---X---" }, Bass = { "1-3-5-a-", last = "1-5-1---" },
  Drums = { head, fill = { kick = "X.....X.....", snare = "...xxXX.....",
  crash = "......X....." } } })

score.run(song)
return song
