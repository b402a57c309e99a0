--- Paper Lanterns: a waltz in D minor, 3/4 at 152 bpm.
---   lua5.4 examples/songs/waltz.lua [--no-drums] OUT.mid
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local score = dofile(here .. "score.lua")

local song = score.song { title = "Paper Lanterns", tempo = 152, meter = "3/4", parts = {
  { "Clarinet", program = 71, volume = 98, pan = 74 },
  { "Accordion", kind = "chords", program = 21, low = 57, volume = 70, pan = 50 },
  { "Bass", kind = "bass", program = 32, low = 33 },
  { "Drums", kind = "drums" },
} }

-- Twelve cells a bar: sixteenths.
local light = {
  kick  = "x...........",
  stick = "....s...s...",
  pedal = "....x...x...",
}
local full = {
  kick  = "X...........|X.......s...",
  snare = "....x...x...|....x...x.g.",
  ride  = "x...x.s.x...",
}
local march = {
  kick  = "X.......x...|X...........",
  snare = "....xgx.X...|....x...xxxx",
  hat   = "x...x...x...",
}
local roll = { kick = "X...........", snare = "....x.x.xxXX" }
local toms = { kick = "X...........", high = "....X.x.....", mid = "........X...",
low = "..........X." }

local tune = [[mf a4:2 d5:4 | f5:2 e5:4 | d5:4 c#5 d5 | e5:2. | c5:2 a4:4 | bb4:2 g4:4 |
  a4:4 bb4 g4 | a4:2. | a4:2 d5:4 | f5:2 a5:4 | g5:4 f5 e5 | f5:2. | e5:4 d5 bb4 |
  a4:2 c#5:4 | d5:2.+2. |]]
local changes = [[Dm | Dm/F | Gm | A7 | F | Gm | Gm6 | A7 | Dm | Dm/F | C7 | F | Gm | A7 | Dm |
  Dm]]

song:section("Intro", { chords = "Dm | Gm | A7 | Dm | Dm | Gm | A7 | A7", level = 0.8,
  Accordion = { "..s-s-" }, Bass = { "1-....|1-....|5-....|1-...." },
  Clarinet = [[p r:2. | r | r | r | mp a4:8 bb4 a4 g4 f4 e4 | d4 f4 a4 bb4 d5 g4 |
    a4 c#5 e5 g5 e5 c#5 | a4:2. |]],
  Drums = { { pedal = "....x...x..." }, fill = roll, every = 8 } })
song:section("Theme", { chords = changes, level = 0.86, Clarinet = tune,
  Accordion = { "..s-s-" }, Bass = { "1-....|5-....|1-....|1-..a-" },
  Drums = { light, fill = roll, every = 8 } })
song:section("Second strain", {
  chords = "F | C7 | F | F | Bb | F/A | C7 | C7 | Dm | A7 | Dm | D7 | Gm | Dm | A7 | A7",
  level = 0.98,
  Clarinet = [[f c5:4. d5:8 c5:4 | bb4:2 g4:4 | a4:8 c5 f5:2 | r:4 f5 g5 | a5:2 bb5:4 |
    a5:2 f5:4 |
    g5:8 a5 g5 f5 e5 d5 | c5:2. | f5:4. e5:8 d5:4 | c#5:2 e5:4 | f5:8 e5 d5:2 | f#5:2 a5:4 |
    bb5:2 g5:4 | a5:2 f5:4 | g5:4 e5 c#5 | a4:2 a4:4 |]],
  Accordion = { "s-x-x-" }, Bass = { "1-..5-|1-....|1-..3-|5-..a-" },
  Drums = { full, fill = { roll, toms }, every = 8, crash = true } })
song:section("Theme again", { chords = changes, level = 0.9, Clarinet = tune,
  Accordion = { "..s-s-|..s.ss" }, Bass = { "1-....|5-....|1-....|1-..a-" },
  Drums = { light, fill = { roll, toms }, every = 8, crash = true } })
song:section("Trio", { level = 0.84,
  chords = "Bb | Bb | F | F | C7 | C7 | F | F | Bb | Bdim | F/C | D7 | Gm | C7 | F | A7",
  Clarinet = [[mp d5:2. | f5:2 d5:4 | c5:2.+2. | bb4:2. | g4:4 bb4 e5 | mf a4:2.+2. |
    d5:2. | f5:4 g#5 b5 | a5:2 c6:4 | a5:2 f#5:4 | g5:4 bb5 a5 | g5:4 e5 c5 | f5:2. |
    mf e5:4 c#5 a4 |]],
  Accordion = { "1-2-3-4-3-2-|1-3-2-4-3-2-" }, Bass = { "1-----|1-..5-" },
  Drums = { march, fill = roll, every = 8 } })
song:section("Finale", { chords = changes .. " | Gm | A7 | Dm | Dm", level = 1.04,
  rit = 110, Clarinet = tune .. [[ ff g5:4 bb5 d6 | c#6:2 a5:4 | d6:2.+2. |]],
  Accordion = { "s-x-x-", last = "X-----" },
  Bass = { "1-..5-|1-....|1-..3-|1-..a-", last = "1-----" },
  Drums = { full, fill = { toms, roll, { kick = "X...........", crash = "X..........." } },
    every = 8, crash = true } })

score.run(song)
return song
