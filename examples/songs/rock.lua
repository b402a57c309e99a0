--- Neon Mile: straight rock in E minor, 132 bpm.
---   lua5.4 examples/songs/rock.lua [--no-drums] OUT.mid
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local score = dofile(here .. "score.lua")

local song = score.song { title = "Neon Mile", tempo = 132, parts = {
  { "Lead", program = 81, volume = 92, pan = 70 },
  { "Guitar", kind = "chords", program = 29, low = 40, volume = 88, pan = 36 },
  { "Organ", kind = "chords", program = 16, low = 57, volume = 66, pan = 92 },
  { "Bass", kind = "bass", program = 33, low = 28 },
  { "Drums", kind = "drums" },
} }

local count = { hat = "x...x...x...x..." }
local verse = {
  kick  = "X.....x.X.......|X.....x.X.x.....",
  snare = "....X.......X...|....X..g....X..g",
  hat   = "X.x.X.x.X.x.X.x.",
}
local pre = {
  kick  = "X...X...X...X...",
  snare = "....X.......X...|....X.....x.X.x.",
  open  = "X...x...X...x...",
}
local chorus = {
  kick  = "X.x...x.X.x.....|X.x...x...X.x...",
  snare = "....X.......X...",
  crash = "X...............|................",
  open  = "..x.x.x.x.x.x.x.|X.x.x.x.X.x.x.x.",
}
local bridge = {
  kick = "X.........X.....",
  stick = "........x.......",
  ride = "x.s.x.s.x.s.x.s.",
}
local short_fill = { kick = "X.....x.X.......", snare = "....X.......XxXX",
  hat = "X.x.X.x.X.x....." }
local tom_fill = { kick = "X.......X.......", snare = "....X...xxXx....",
mid = "............XX..",
  low = "..............XX", hat = "X.x.X.x........." }
local build_fill = { kick = "X...X...X...X...", snare = "s.s.s.s.xxxxxXXX" }

local riff = [[f e4:8 e4 g4 e4 a4> e4 bb4 a4 | g4 e4 d4 e4:8+4 r:4 |
  e4:8 e4 g4 e4 a4> e4 b4 a4 | g4 a4 f#4 d4:8+2> |]]
local verse_tune = [[mf r:8 b4 b4 a4 b4:4 g4 | r:8 g4 a4 g4 e4:2 |
  r:8 b4 b4 d5 d5:4 b4 | a4:4. f#4:8 a4:2 |
  r:8 b4 b4 a4 b4:4 e5 | d5:8 c5 b4 a4 g4:2 | r:8 g4 a4 b4 d5:4 b4> | a4:2. r:4 |]]
local pre_tune = [[mf r:8 a4 c5 e5 e5:4. d5:8 | c5:4 d5 e5:2 | r:8 d5 d5 e5 f#5:4. e5:8 |
  f d5:4 e5 f#5 a5> |]]
local chorus_tune = [[f d5:4. b4:8 d5:4 e5 | f#5:4. e5:8 d5:4 a4 | b4:4. c5:8 b4:4 g4 |
  e4:8 g4 c5 b4 g4:2 | d5:4. b4:8 d5:4 g5> | f#5:4. e5:8 d5:4 f#5 | e5:4 g5 e5 d5 |
  d5:2 f#5:2 |]]

song:section("Intro", { chords = "Em | Em | Em | C D", level = 0.94, Lead = riff,
  Guitar = { "........X.......|........X.......", last = "X-------X-------" },
  Bass = { "1-..1-..1-..1-..", last = "1.1.1.1.1.1.1.1." },
  Drums = { count, fill = build_fill } })

local function verse_section(name, level, guitar)
  song:section(name, { chords = "Em | C | G | D | Em | C | G | D", level = level,
    Lead = verse_tune, Guitar = { guitar },
    Bass = { "1.1.1.1.1.1.1.5.|1.1.1.1.1.1.1.a." },
    Drums = { verse, fill = { short_fill, tom_fill }, every = 4, crash = true } })
end
local function pre_section()
  song:section("Pre-chorus", { chords = "Am | C | D | D", Lead = pre_tune,
    Guitar = { "X-------x-------|X-------x-------|X---x---X---x---|x.x.x.x.X.X.X.X." },
    Organ = { "s---------------", level = 0.8 },
    Bass = { "1.1.1.1.1.1.1.1.|1.1.1.1.1.1.5.8." }, Drums = { pre, fill = build_fill } })
end
local function chorus_section(name, level)
  song:section(name, { chords = "G | D | Em | C | G | D | C | D", level = level,
    Lead = chorus_tune, Organ = { "x-------x-------" },
    Guitar = { "X.x.x.x.X.x.xxx.|X.x.x.x.X-x-X-xx" },
    Bass = { "1.11..1.1.1.5.8.|1.11..1.1.1.1.a." },
    Drums = { chorus, fill = { short_fill, tom_fill }, every = 4, crash = true } })
end

-- palm-muted at first, then with chords on the beats
verse_section("Verse 1", 0.84, "1.1.1.1.1.1.1.1.|1.1.1.1.1.1.2.3.")
pre_section()
chorus_section("Chorus 1", 0.98)
verse_section("Verse 2", 0.9, "x.1.1.1.x.1.1.1.|x.1.1.1.x.1.2.3.")
pre_section()
chorus_section("Chorus 2", 1)
song:section("Bridge", { chords = "Am | Em | Bm | C | Am | Em | F | D", level = 0.76,
  Lead = [[mp c5:2 e5:4 d5 | b4:2. r:4 | d5:2 f#5:4 e5 | e5:2. r:4 |
    mf c5:2 e5:4 a5 | g5:2 e5 | f c5:4 f5 e5 c5 | d5:2 a5> |]],
  Organ = { "x---------------" }, Guitar = { "1-2-3-4-5-4-3-2-" },
  Bass = { "1-----------5---" },
  Drums = { bridge, fill = build_fill, crash = true } })
chorus_section("Chorus 3", 1.04)
song:section("Outro", { chords = "Em | Em | Em | C D | Em | Em", Lead = riff .. [[
    ff e4:8 e4 g4 e4 a4 b4 d5 e5 | e5:1> |]],
  Guitar = { "X.x.x.x.X.x.xxx.", last = "X---------------" },
  Organ = { "x-------x-------", last = "X---------------" },
  Bass = { "1.11..1.1.1.5.8.", last = "1---------------" },
  Drums = { chorus, fill = { { kick = "X...............", snare = "X...............",
    crash2 = "X..............." } }, crash = true } })

score.run(song)
return song
