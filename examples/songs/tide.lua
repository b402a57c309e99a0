--- Slow Tide: 12/8 soul in G, four dotted beats a bar; quarter = 117, dotted = 78.
---   lua5.4 examples/songs/tide.lua [--no-drums] OUT.mid
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local score = dofile(here .. "score.lua")

local song = score.song { title = "Slow Tide", tempo = 117, meter = "12/8", parts = {
  { "Sax", program = 65, volume = 96, pan = 70 },
  { "Organ", kind = "chords", program = 17, low = 55, volume = 70, pan = 88 },
  { "Guitar", kind = "chords", program = 26, low = 52, volume = 76, pan = 40 },
  { "Bass", kind = "bass", program = 33, low = 28 },
  { "Drums", kind = "drums" },
} }

local verse = {
  kick  = "X.....x.....|X....sx..s..",
  stick = "...x.....x..",
  hat   = "xssxssxssxss",
}
local chorus = {
  kick  = "X....xX.....|X....xX..s.x",
  snare = "...X.....X..|...X..g..X.g",
  ride  = "XsxXsxXsxXsx",
}
local fill_one = { kick = "X.....x.....", snare = "...X..xxxXXX", hat = "xssxss......" }
local fill_two = { kick = "X.....x.....", snare = "...X..xx....", high = "........xX..",
  low = "..........XX", hat = "xssxss......" }

local verse_tune = [[mp d5:4. b4:8 a4 g4 e4:4. r | g4:4 a4:8 b4:4. d5:4 b4:8 a4:4. |
  c5:4. e5:8 d5 c5 b4:4. g4 |
  a4:2.+4. r:4. | mf d5:4. b4:8 a4 b4 e5:4. r | g5:4 e5:8 d5:4. b4:4 a4:8 g4:4. |
  c5:4. b4:8 c5 e5 d5:4. b4:4 a4:8 | g4:2.+4. r:4. |]]
local chorus_tune = [[f e5:4. g5:8 f#5 e5 d5:4. b4 | c5:4 d5:8 e5:4. d5:4. r |
  e5:4. g5:8 a5 b5 a5:4. g5 |
  f#5:4 g5:8 a5:4.+4. r:4. | b5:4.> a5:8 g5 e5 d5:4. b4 | c5:4 e5:8 g5:4. f#5:4 e5:8 d#5:4. |
  e5:4. d5:8 c5 b4 a4:4. c5 | b4:4. a4:4. g4:2. |]]

song:section("Intro", { chords = "G | Em7 | Cmaj7 | D7sus4", level = 0.76,
  Guitar = { "123432123432" }, Organ = { "s-----------", level = 0.8 },
  Sax = [[r:1. | r | r | r:2. mp d4:8 e4 g4 a4 b4 c5 |]],
  Drums = { { hat = "x..x..x..x..", kick = "x..........." }, fill = fill_one } })
local function verse_section(name, level, organ)
  song:section(name, { chords = "G | Em7 | Cmaj7 | D7 | G | Em7 | Am7 D7 | G", level = level,
    Sax = verse_tune, Guitar = { "1.3.2.4.3.2.|1.3.2.432.3." }, Organ = organ,
    Bass = { "1----51---a-|1----51-5-a-" },
    Drums = { verse, fill = { fill_one, fill_two }, every = 4, crash = name ~= "Verse 1" } })
end
local function chorus_section(name, level)
  song:section(name, { chords = "C | G/B | Am7 | D7 | Em | C B7 | Am7 D7 | G", level = level,
    Sax = chorus_tune, Guitar = { "...x.....x.." }, Organ = { "x-----x-----" },
    Bass = { "1--1-51--5-a|1--1-58--5-a" },
    Drums = { chorus, fill = { fill_one, fill_two }, every = 4, crash = true } })
end
verse_section("Verse 1", 0.82)
chorus_section("Chorus 1", 0.96)
verse_section("Verse 2", 0.88, { "s-----------" })
song:section("Bridge", { chords = "Em | B7/D# | G/D | A7/C# | C | G/B | Am7 | D7", level = 0.9,
  Sax = [[mf g5:4. f#5:4 e5:8 b4:4. r | f#5:4. e5:4 d#5:8 b4:4. r | g5:4. a5:4 b5:8 d5:4. r |
    e5:4. g5:4 e5:8 c#5:4. r | f e5:4. g5:8 a5 g5 e5:4. c5 | d5:4. b4:8 d5 g5 b5:4. a5 |
    g5:8 e5 c5 a4 c5 e5 g5:4. e5 | d5:8 f#5 a5 c6:4.> a5:8 f#5 d5 r:4. |]],
  Organ = { "x-----x-----" }, Guitar = { "1-2-3-4-3-2-" }, Bass = { "1-----1-----" },
  Drums = { { kick = "X.....x.....", snare = "...x.....x..", high = ".....s.....s",
    low = "...........s|.....s....ss", ride = "x..x..x..x.." }, fill = fill_two, crash = true } })
chorus_section("Chorus 2", 1.03)
song:section("Outro", { chords = "C | Bm7 | Am7 D7 | G", level = 0.86, rit = 84,
  Sax = [[mf e5:4. g5:8 f#5 e5 d5:4. b4 | d5:4. f#5:8 e5 d5 b4:4. a4 |
    c5:4. b4:8 c5 e5 d5:4 a4:8 b4 a4 g4 |
    p g4:1. |]],
  Organ = { "s-----s-----", last = "s-----------" },
  Guitar = { "1.3.2.4.3.2.", last = "x-----------" },
  Bass = { "1--1-51--5-a", last = "1-----------" },
  Drums = { verse, fill = { kick = "s...........", crash = "s..........." } } })

score.run(song)
return song
