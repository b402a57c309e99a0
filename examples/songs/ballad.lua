--- Harbour Light: a slow ballad in C major, 80 bpm, piano and strings.
---   lua5.4 examples/songs/ballad.lua [--no-drums] OUT.mid
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local score = dofile(here .. "score.lua")

local song = score.song { title = "Harbour Light", tempo = 80, parts = {
  { "Voice", program = 73, volume = 96 },
  { "Piano", kind = "chords", program = 0, low = 52, volume = 92, pan = 52 },
  { "Strings", kind = "chords", program = 48, low = 55, volume = 64, pan = 80 },
  { "Bass", kind = "bass", program = 32, low = 28 },
  { "Drums", kind = "drums" },
} }

local verse = {
  kick  = "x.........s.....|x......s..x.....",
  stick = "....x.......x...",
  hat   = "x.s.x.s.x.s.x.s.",
}
local chorus = {
  kick  = "X......sx.......|X......sx.s.....",
  snare = "....X.......X...|....X..g....X.g.",
  ride  = "x.s.x.s.x.s.x.s.",
}
local soft_fill = { kick = "x.........s.....", stick = "....x...........",
  hat = "x.s.x.s.x.......", high = "............ss..", mid = "..............xx" }
local big_fill = { kick = "X......sx.......", snare = "....X.....xxX...",
  ride = "x.s.x.s.x.......", mid = ".............XX.", low = "...............X" }

song:section("Intro", { chords = "C | G/B | Am7 | Fmaj7", level = 0.76,
  Piano = { "1-2-3-4-3-2-4-3-" }, Voice = [[p r:1 | r | r:2. g4:4 | a4:2 b4 |]] })
local verse_tune = [[mp c5:4. b4:8 c5:4 e5 | d5:4. b4:8 g4:2 | c5:4. b4:8 a4:4 c5 | a4:2. r:4 |
  c5:4. d5:8 e5:4 g5 | d5:4. e5:8 d5:4 b4 | f5:4 e5 d5:4. c5:8 | d5:2. r:4 |]]
local function verse_section(name, level, strings, drums)
  song:section(name, { chords = "C | G/B | Am7 | Fmaj7 | C/E | G | Dm7 | Gsus4 G", level = level,
    Voice = verse_tune, Piano = { "1-2-3-4-3-2-3-2-|1-2-3-4-5-4-3-2-" },
    Strings = strings, Bass = { "1-------5-------|1-------8---5---" }, Drums = drums })
end
local function chorus_section(name, level, last_bar)
  song:section(name, { chords = "F | G | Em7 | Am | F | G | Dm7 F | " .. last_bar, level = level,
    Voice = [[f a5:4. g5:8 f5:4 c5 | d5:4. e5:8 d5:4 g4 | g5:4. f#5:8 g5:4 b5 | a5:2. e5:4 |
      f5:4. g5:8 a5:4 c6> | b5:4. a5:8 g5:4 d5 | f5:4 e5 d5 c5 | d5:2. e5:4 |]],
    Piano = { "x---s---x---s-s-" }, Strings = { "x-------x-------" },
    Bass = { "1-----1-5-----a-|1-----1-8---5-a-" },
    Drums = { chorus, fill = { soft_fill, big_fill }, every = 4, crash = true } })
end

verse_section("Verse 1", 0.76)
verse_section("Verse 2", 0.84, { "s---------------" },
  { verse, fill = { soft_fill, big_fill }, every = 4 })
chorus_section("Chorus 1", 0.96, "Gsus4 G")
song:section("Bridge", { chords = "Am | Em | F | C | Dm7 | Am/E | F | G", level = 0.84,
  Voice = [[mf e5:4 e5:8 d5 e5:4 c5 | b4:2. r:4 | a4:4 c5:8 d5 f5:4 e5 | e5:2. r:4 |
    mf f5:4 e5:8 f5 a5:4 f5 | e5:4. d5:8 c5:4 e5 | f a5:4. g5:8 f5:4 a5 | b5:2> d6 |]],
  Piano = { "1-3-2-3-4-3-2-3-" }, Strings = { "x---------------" },
  Bass = { "1-------5---8---" },
  Drums = { { kick = "X.......x.......", low = "....s.......s...|....s...s...s.ss",
    pedal = "....x.......x..." }, fill = big_fill } })
chorus_section("Chorus 2", 1.04, "C")
song:section("Outro", { chords = "F | G/F | Em7 | Fmaj7 | C", level = 0.74, rit = 54,
  Voice = [[mp a4:4 c5 f5 e5 | d5:2. r:4 | p g4:4 b4 e5 d5 | c5:1 | c5:1 |]],
  Piano = { "1-2-3-4-3-2-4-3-", last = "x---------------" },
  Strings = { "s---------------", level = 0.8 }, Bass = { "1---------------" },
  Drums = { { kick = "s...............", ride = "s.......s......." },
    fill = { crash = "s...............", kick = "s..............." } } })

score.run(song)
return song
