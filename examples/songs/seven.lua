--- Odd Bridge: 7/8, counted 2+2+3, in B minor; quarter = 144.
---   lua5.4 examples/songs/seven.lua [--no-drums] OUT.mid
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local score = dofile(here .. "score.lua")

local song = score.song { title = "Odd Bridge", tempo = 144, meter = "7/8", parts = {
  { "Violin", program = 40, volume = 94, pan = 76 },
  { "Bouzouki", kind = "chords", program = 25, low = 57, volume = 82, pan = 44 },
  { "Pad", kind = "chords", program = 89, low = 54, volume = 56, pan = 84 },
  { "Bass", kind = "bass", program = 33, low = 28 },
  { "Drums", kind = "drums" },
} }

-- Seven cells a bar are eighths, fourteen sixteenths.
local theme = {
  kick  = "X.....s.x.....|X.....s.x...s.",
  snare = "....X.....g.X.|....X.....X...",
  hat   = "x.s.x.s.x.s.s.",
}
local refrain = {
  kick  = "X..sx...X..s..|X..sx...X...x.",
  snare = "....X.......X.|....X..g....X.",
  ride  = "X.x.X.x.X.x.x.",
}
local low_toms = {
  kick = "X.......x.....",
  low  = "....s.....s.s.|..s.s.....x.x.",
  pedal = "....x.......x.",
}
local fill_one = { kick = "X.....s.X.....", snare = "....X.....xxXX", hat = "x.s.x.s.x....." }
local fill_two = { kick = "X.....s.X.....", snare = "....X...xx....", mid = "..........XX..",
  low = "............XX", hat = "x.s.x.s......." }

local tune = [[mf f#5:8 e5 d5 c#5 b4:4. | d5:8 c#5 b4 a4 b4:4. | g4:8 a4 b4 d5 e5:4 d5:8 |
  c#5:4 a4 c#5:4. |
  f#5:8 e5 d5 c#5 b4:4. | d5:8 e5 f#5 g5 a5:4 f#5:8 | g5:8 f#5 e5 d5 c#5:4 a#4:8 | b4:2+4. |]]
local changes = "Bm | Bm | G | A | Bm | D | Em F#7 | Bm"

song:section("Intro", { chords = "Bm | Bm | G | A", level = 0.8,
  Bouzouki = { "1-3-2-4-3-2-3-" }, Bass = { ".......", last = "1-1-1.a" },
  Violin = [[r:2+4. | r | r | mp c#5:4 a4 c#5:4. |]],
  Drums = { { hat = "x.s.x.s.x.s.s.", kick = "x............." }, fill = fill_one } })
song:section("Theme 1", { chords = changes .. "|" .. changes, level = 0.88, Violin = tune .. tune,
  Bouzouki = { "1-3-2-4-3-2-3-|1-3-2-4-5-4-3-" }, Bass = { "1-..1-.|1-..1-a" },
  Drums = { theme, fill = { fill_one, fill_two }, every = 8, crash = true } })
song:section("Refrain 1", { chords = "G | A | D | Bm | G | A | F#m | F#7", level = 1,
  Violin = [[f b5:4 a5 g5:4. | a5:4 g5 e5:4. | f#5:8 a5 f#5 e5 d5:4. | d5:4 c#5 b4:4. |
    b5:4 a5 g5:4. | a5:4 b5 c#6:4. | a5:8 g#5 f#5 e5 c#5:4. | a#4:8 c#5 e5 f#5 a#5:4.> |]],
  Bouzouki = { "X-x-X-x" }, Pad = { "x------" }, Bass = { "1.1.1.5|1.1.5.a" },
  Drums = { refrain, fill = { fill_one, fill_two }, every = 4, crash = true } })
song:section("Theme 2", { chords = changes, level = 0.92, Violin = tune,
  Bouzouki = { "x.s.x.s.x.ss.s" }, Bass = { "1-1.1-1|1-5.1-a" },
  Drums = { theme, fill = fill_two, every = 8, crash = true } })
song:section("Middle", { chords = "Em | Em | Bm | Bm | C | C | F#7sus4 | F#7", level = 0.78,
  Violin = [[mp e5:2+4. | g5:4 f#5 e5:4. | f#5:2+4. | d5:4 c#5 b4:4. | e5:2+4. | g5:4 e5 c5:4. |
    mf b4:4 c#5 e5:4. | f f#5:8 e5 c#5 a#4 f#5:4.> |]],
  Bouzouki = { "1-2-3-2-4-3-2-" }, Pad = { "s------" }, Bass = { "1------|5------" },
  Drums = { low_toms, fill = fill_two } })
song:section("Refrain 2", { chords = "G | A | D | Bm | G | A | F#m | F#7", level = 1.03,
  Violin = [[f b5:4 a5 g5:4. | a5:4 g5 e5:4. | f#5:8 a5 f#5 e5 d5:4. | d5:4 c#5 b4:4. |
    b5:4 a5 g5:4. | a5:4 b5 c#6:4. | a5:8 g#5 f#5 e5 c#5:4. | a#4:8 c#5 e5 f#5 a#5:4.> |]],
  Bouzouki = { "X-x-X-x" }, Pad = { "x------" }, Bass = { "1.1.1.5|1.1.5.a" },
  Drums = { refrain, fill = { fill_one, fill_two }, every = 4, crash = true } })
song:section("Outro", { chords = changes .. "| Em F#7 | Bm", level = 1, rit = 120,
  Violin = tune .. [[ ff g5:8 f#5 e5 d5 c#5:4 a#4:8 | b4,f#5:2+4.> |]],
  Bouzouki = { "X-x-X-x", last = "X------" }, Pad = { "x------" },
  Bass = { "1.1.1.5|1.1.5.a", last = "1------" },
  Drums = { refrain, crash = true, every = 8,
    fill = { fill_two, { kick = "X.......", crash = "X......" } } } })

score.run(song)
return song
