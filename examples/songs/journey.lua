--- Over the Pass: 4/4 at 100, a 2/4 bar, a faster 4/4, then 3/4, and home again.
---   lua5.4 examples/songs/journey.lua [--no-drums] OUT.mid
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local score = dofile(here .. "score.lua")

local song = score.song { title = "Over the Pass", tempo = 100, parts = {
  { "Flute", program = 73, volume = 98, pan = 72 },
  { "Guitar", kind = "chords", program = 25, low = 52, volume = 86, pan = 46 },
  { "Strings", kind = "chords", program = 48, low = 57, volume = 62, pan = 82 },
  { "Bass", kind = "bass", program = 32, low = 28 },
  { "Drums", kind = "drums" },
} }

local trail = {
  kick = "X.......x.s.....|X.......x.....s.",
  stick = "....x.......x...",
  hat = "x.s.x.s.x.s.x.s.",
}
local ridge = {
  kick = "X.....x.X.x.....|X.....x.X.......",
  snare = "....X.......X...|....X..g....X.gg",
  ride = "X.x.X.x.X.x.X.x.",
}
local meadow = {
  kick = "X...........|X.......s...",
  snare = "........x...|....s...x...",
  ride = "x...x.s.x.s.",
}
local short_four = { kick = "X.......x.......", snare = "....X.....xxX.XX",
hat = "x.s.x.s........." }
local long_four = { kick = "X.....x.X.......", snare = "....X...xxx.....",
high = "...........XX...",
  low = ".. .. .. .. .. .. .X XX", ride = "X.x.X.x........." }
local three = { kick = "X...........", snare = "....x.x.xxXX" }
local two = { snare = "s.x.xxXX", kick = "X...X..." }

local ridge_tune = [[f d5:4. e5:8 f#5:4 a5 | b5:4. a5:8 f#5:2 | g5:4 f#5:8 e5 d5:4 b4 |
  a4:2. a4:8 b4 |
  d5:4. e5:8 f#5:4 a5 | b5:4. c#6:8 d6:2> | b5:4 a5:8 g5 f#5:4 e5 | e5:2. c#5:4 |]]

song:section("Trail", { chords = "D | A/C# | Bm7 | G | D | A/C# | G | Asus4 A", level = 0.82,
  Guitar = { "1-3-2-4-3-2-4-3-" }, Bass = { "1-------5---1---" },
  Flute = [[mp r:1 | r:2 a4:4 c#5 | f#5:4. e5:8 d5:4 b4 | d5:2 b4:4 a4 | f#4:4. a4:8 d5:4 f#5 |
    e5:4. d5:8 c#5:4 a4 | b4:4 d5 g5:4. f#5:8 | e5:2. r:4 |]],
  Drums = { trail, fill = short_four } })
song:section("Climb", { chords = "Bm | G | D | A | Bm | G | Em7 | A", level = 0.92,
  Guitar = { "x---x-s-x-s-x-s-" }, Strings = { "s---------------" },
  Bass = { "1---1-1-5---1-a-" },
  Flute = [[mf b4:4 d5 f#5:4. e5:8 | d5:4 b4 g4:2 | a4:4 d5 f#5:4. g5:8 | e5:2. r:4 |
    b4:4 d5 f#5:4. a5:8 | g5:4 f#5 d5:2 | e5:4 g5 b5:4. a5:8 | a5:2 e5:4 c#5 |]],
  Drums = { trail, fill = { short_four }, every = 4, crash = true } })
song:section("Step", { meter = "2/4", chords = "A7", Flute = "f c#5:8 e5 g5 a5 |",
  Guitar = { "x-x-x-x-" }, Strings = { "x-------" }, Bass = { "1-1-1-1-" },
  Drums = { {}, fill = two } })
song:section("Ridge", { meter = "4/4", tempo = 128, level = 1,
  chords = "D | Bm | G | A | D | Bm | G | A", Flute = ridge_tune,
  Guitar = { "X--x--x-X-x-x-x-" }, Strings = { "x-------x-------" },
  Bass = { "1.1.1.1.5.5.1.a." },
  Drums = { ridge, fill = { short_four, long_four }, every = 4, crash = true } })
song:section("Ridge again", { level = 1.02,
  chords = "D | Bm | G | A | D/F# | Bm | Em7 | A", Flute = ridge_tune,
  Guitar = { "X--x--x-X-x-x-x-" }, Strings = { "x-------x-------" },
  Bass = { "1.1.1.1.5.5.1.a." },
  Drums = { ridge, fill = { short_four, long_four }, every = 4, crash = true } })
song:section("Meadow", { meter = "3/4", tempo = 108, level = 0.84,
  chords = "G | A | F#m | Bm | G | A | D | D7 | G | A | F#7 | Bm | Em7 | A7 | D | A",
  Flute = [[mf b4:4 d5 g5 | e5:2 c#5:4 | c#5:4 a4 c#5 | d5:2. | b4:4 d5 g5 | a5:2 g5:4 |
    f#5:2.+2 r:4 |
    g5:4. f#5:8 g5:4 | a5:2 e5:4 | f#5:4 e5 c#5 | d5:2 b4:4 | e5:4 g5 b5 | a5:4 g5 e5 | f#5:2. |
    mf e5:8 d5 c#5:4 a4 |]],
  Guitar = { "1-2-3-4-3-2-" }, Strings = { "s-----------" },
  Bass = { "1-------5---|1-------a---" },
  Drums = { meadow, fill = three, every = 8, crash = true } })
song:section("Home", { meter = "4/4", tempo = 100, level = 0.98, rit = 66,
  chords = "D | A/C# | Bm7 | G | D | A/C# | G A | D",
  Guitar = { "x---s-x-s-x-x-s-", last = "x---------------" }, Strings = { "x---------------" },
  Bass = { "1-----1-5---1-a-", last = "1---------------" },
  Flute = [[f f#5:4. e5:8 d5:4 a4 | e5:4. d5:8 c#5:4 a4 | f#5:4. e5:8 d5:4 b4 | d5:4 b4 g4 a4 |
    d5:4. e5:8 f#5:4 a5 | e5:4. f#5:8 a5:4 c#5 | mf b4:4 d5 c#5 e5 | mp d5:1 |]],
  Drums = { trail, fill = { short_four, { kick = "x...............",
  crash = "x..............." } },
    every = 4, crash = true } })

score.run(song)
return song
