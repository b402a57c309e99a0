--- Five Lamps: 5/4, counted 3+2, minor and cool; 126 bpm.
---   lua5.4 examples/songs/five.lua [--no-drums] OUT.mid
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local score = dofile(here .. "score.lua")

local song = score.song { title = "Five Lamps", tempo = 126, meter = "5/4", parts = {
  { "Vibes", program = 11, volume = 98, pan = 74 },
  { "Piano", kind = "chords", program = 0, low = 55, volume = 76, pan = 48 },
  { "Bass", kind = "bass", program = 32, low = 31, volume = 106 },
  { "Drums", kind = "drums" },
} }

-- Ten cells a bar are eighths, twenty sixteenths.
local cool = {
  kick  = "x....x....|x....x..s.",
  stick = "...x....x.|...x....xs",
  ride  = "x.xs.xx.xs",
  pedal = "..x...x.x.",
}
local open_up = {
  kick  = "X..x..X...|X..x..X..x",
  snare = "..gX.g..X.|..gX.g..Xg",
  ride  = "X.xxs.X.xs",
}
local mallets = { kick = "X.....x...", low = "..s.s...s.|..s.s...ss",
mid = "....s.....|....s...s." }
local fill_one = { kick = "X...........X.......", snare = "......x.x.x...xxXXXX",
ride = "x...x..............." }
local fill_two = { kick = "X...........X.......", snare = "......X.x.......X...",
  high = "............XX......", mid = "..............XX....", low = "..................XX" }

local changes = "Am7 | Dm7 | Am7 | E7 | Fmaj7 | Dm7 | Bm7b5 E7 | Am7"
local tune = [[mf a4:4. c5:8 e5:4 d5 c5 | f5:4. e5:8 d5:4 a4:2 | g4:4. a4:8 c5:4 e5 g5 |
  g#5:4. f5:8 e5:4 b4:2 |
  a4:4. c5:8 e5:4 a5 g5 | f5:4. e5:8 d5:4 c5 a4 | b4:8 d5 f5 a5 g#5:4 e5 d5 | c5:2. r:2 |]]

song:section("Vamp", { chords = "Am7 | Dm7 | Am7 | E7", level = 0.8,
  Bass = { "1--5-81-5a" }, Piano = { "..........|..........|...x-.x-..|...x-.x-.." },
  Drums = { { ride = "x.xs.xx.xs", pedal = "..x...x.x." }, fill = fill_one } })
song:section("Head", { chords = changes, level = 0.88, Vibes = tune, Bass = { "1--5-81-5a" },
  Piano = { "...x-.x-..|x--x-.x-.." }, Drums = { cool, fill = { fill_one, fill_two },
  every = 4 } })
song:section("Bridge", { chords = "Fmaj7 | G7 | Em7 | Am7 | Fmaj7 | G7 | Bm7b5 | E7",
  level = 0.98,
  Vibes = [[f c5:4 e5:8 f5 a5:4 c6 a5 | b5:4. a5:8 g5:4 d5:2 | g5:4 f#5:8 g5 b5:4 g5 e5 |
    e5:4. d5:8 c5:4 a4:2 |
    c5:4 e5:8 f5 a5:4 c6 e6 | d6:4. b5:8 g5:4 f5:2 | f5:4 d5 b4 a5 f5 |
    e5:8 f5 g#5 b5 d6:4> b5 g#5 |]],
  Bass = { "1.5.8.1.5a|1.3.5.8.7a" }, Piano = { "X--x-.X-x-|X--x-.X-.x" },
  Drums = { open_up, fill = { fill_one, fill_two }, every = 4, crash = true } })
song:section("Solo", { chords = changes, level = 0.92,
  Vibes = [[mf e5:8 g5 a5 c6 b5 a5 g5:4 e5 | f5:8 a5 c6 a5 f5 e5 d5:2 |
    r:4 e5:8 g5 a5:4 g5:8 e5 c5 d5 |
    e5:8 f5 e5 d5 b4:4 g#4 r | a4:8 c5 e5 g5 a5:4 c6 r | d6:8 c6 a5 f5 d5:4 a5:8 f5 d5 c5 |
    b4:8 d5 f5 a5 b5:4 g#5:8 e5 d5 b4 | c5:4 a4 r:4 r:2 |]],
  Bass = { "1.3.5.8.7a|1.5.7.5.3a" }, Piano = { "...x-.x-..|.x..x-..x-" },
  Drums = { open_up, fill = { fill_two, fill_one }, every = 4, crash = true } })
song:section("Quiet", { chords = "Dm7 | Am7 | Bm7b5 | E7", level = 0.76,
  Vibes = [[p a4:2. d5:2 | c5:2. e5:2 | mp f5:2. d5:2 | mf g#4:4 b4 d5 e5 g#5 |]],
  Bass = { "1---------" }, Piano = { "1-2-3-4-3-" }, Drums = { mallets, fill = fill_two } })
song:section("Head again", { chords = changes, level = 1, Vibes = tune, Bass = { "1--5-81-5a" },
  Piano = { "X--x-.X-..|x--x-.x-x-" },
  Drums = { open_up, fill = { fill_one, fill_two }, every = 4, crash = true } })
song:section("Tag", { chords = "Fmaj7 | Bm7b5 E7 | Fmaj7 | Bm7b5 E7 | Am7 | Am9",
  level = 0.88, rit = 100,
  Vibes = [[mf a4:4. c5:8 e5:4 a5 g5 | b4:8 d5 f5 a5 g#5:4 e5 d5 | mp c5:4. e5:8 g5:4 c6 a5 |
    b4:8 d5 f5 a5 g#5:4 e5 d5 | c5:4. b4:8 a4:4 e4 g4 | a4,b4,e5:2.+2 |]],
  Bass = { "1--5-81-5a", last = "1---------" }, Piano = { "...x-.x-..", last = "x---------" },
  Drums = { cool, fill = { kick = "x.........", crash = "s........." } } })

score.run(song)
return song
