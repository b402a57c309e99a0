--- Corner Store: funk in E, sixteenths with ghost notes, 102 bpm.
---   lua5.4 examples/songs/funk.lua [--no-drums] OUT.mid
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local score = dofile(here .. "score.lua")

local song = score.song { title = "Corner Store", tempo = 102, parts = {
  { "Horns", program = 61, volume = 94, pan = 72 },
  { "Clav", kind = "chords", program = 7, low = 57, volume = 74, pan = 44 },
  { "Guitar", kind = "chords", program = 28, low = 60, volume = 70, pan = 88 },
  { "Bass", kind = "bass", program = 36, low = 28, volume = 104 },
  { "Drums", kind = "drums" },
} }

local pocket = {
  kick  = "X..x....x.x....s|X..x..x...x..x..",
  snare = ".g..X..g.g..X..g|.g..X..g.gg.X.g.",
  hat   = "X.s.x.s.X.s.x.s.|X.s.x.s.X.s.x...",
  open  = "................|..............x.",
}
local busy = {
  kick  = "X.x...x..xx.....|X.x...x..x....xx",
  snare = "....X..g.g..X..g|....X.gg.g..X.xg",
  hat   = "XsxsxsxsXsxsxsxs",
}
local breakdown = {
  kick  = "X.........x.....|X.......x.x.....",
  stick = "....x.......x...|....x..x....x...",
  hat   = "x.s.x.s.x.s.x.ss",
}
local hits = { kick = "X..X..X...X.....", snare = "X. .X .. X. .. .. XX XX",
crash2 = "X..X..X........." }
local snare_fill = { kick = "X..x....x.......", snare = ".g..X.ggX.xxX.XX",
hat = "X.s.x.s........." }
local tom_fill = { kick = "X..x....x..x..x.", snare = ".g..X.......X...",
high = "........XX......",
  mid = "..........XX....", low = ".. .. .. .. .. .. .X XX", hat = "X.s.x.s........." }

local bass_riff = "1..1..7.8..5..7a|1..1..5.7.5.3.1a"

song:section("Intro", { chords = "E7 | E7 | E7 | E7", level = 0.86,
  Bass = { bass_riff },
  Clav = { "................|................|s.x..xs..x.sx.x.|s.x..xs..x.sx.x." },
  Horns = [[r:1 | r | r | r:2 f b4:8 d5:16 r e5:8> r |]],
  Drums = { pocket, fill = snare_fill } })
local function verse_section(name, level)
  song:section(name, { chords = "E7 | E7 | A7 | E7 | E7 | E7 | A7 | B7", level = level,
    Horns = [[r:1 | mf r:4 e5:16 r g5:8 r:16 e5:16 d5:8 b4:4 | r:1 |
      r:4 g5:16 e5 r:8 d5:16 e5 r:8 b4:8 r |
      r:1 | r:4 e5:16 r g5:8 r:16 a5:16 g5:8 e5:4 | r:8 a5:8> r:16 g5:16 e5 c#5 a4:4 r |
      f b4:8 r:16 b4 d5:8 r:16 d5 d#5:8 f#5 a5:4> |]],
    Clav = { "s.x..xs..x.sx.x.|x..x.x.s..xx.x.." },
    Guitar = { "....X..s....X.s.|....X.......X..x" },
    Bass = { bass_riff },
    Drums = { pocket, fill = { snare_fill, tom_fill }, every = 4, crash = true } })
end
local function chorus_section(name, level)
  song:section(name, { chords = "A9 | A9 | E9 | E9 | C9 | D9 | E9 | B7", level = level,
    Horns = [[f e5:8. e5:16 r:8 g5 a5:8 g5:16 e5 r:4 | c#6:4> b5:8 a5:16 g5 e5:4 r |
      g5:8. g5:16 r:8 b5 g5:8 e5:16 d5 r:4 | e5:2+8 r:8 b4:16 d5 e5 g5 |
      bb5:8. g5:16 r:8 e5 c5:8 d5:16 e5 r:4 | a5:8. f#5:16 r:8 d5 c5:8 d5:16 f#5 r:4 |
      g5:16 e5 r:8 d5:16 e5 r:8 g5:8 g#5 b5:4> | a5:16 f#5 d#5 b4 r:4 b4:16 d#5 f#5 a5 b5:4> |]],
    Clav = { "X.xs.xX..xs.X.x." }, Guitar = { "..X...X...X..sX." },
    Bass = { "1.1..1.5.7.8..5a|1.1..1.5.8.7.5.a" },
    Drums = { busy, fill = { snare_fill, tom_fill }, every = 4, crash = true } })
end
verse_section("Verse 1", 0.9)
chorus_section("Chorus 1", 1)
verse_section("Verse 2", 0.92)
song:section("Breakdown", { chords = "Em7 | Em7 | A7 | A7 | Em7 | Em7 | Cmaj7 | B7", level = 0.8,
  Horns = [[mp r:1 | b4:4. d5:8 e5:2 | r:1 | c#5:4. e5:8 g5:4 e5 | r:1 | mf b4:4. d5:8 g5:4 f#5 |
    e5:2 b5:2 | f a5:8 f#5 d#5 b4 b4:16 b4 d#5 d#5 f#5 f#5 a5 b5> |]],
  Clav = { "1..3..2..4..3.2.|1..3..2..5..4.3." }, Bass = { "1.......5..7..8.|1..........5.7.." },
  Drums = { breakdown, fill = { snare_fill, hits }, every = 4 } })
chorus_section("Chorus 2", 1.04)
song:section("Outro", { chords = "E7 | E7 | E7 | E7 | E7 | E9", level = 1,
  Horns = [[f r:1 | r:4 e5:16 r g5:8 r:16 e5:16 d5:8 b4:4 | r:1 |
    r:4 e5:16 r g5:8 r:16 a5:16 g5:8 e5:4 |
    ff b5:8 r:16 b5:16 r:8 b5:8 r:8 g5:16 e5 d5:16 e5 g5 b5 | g#4,d5,e5:1> |]],
  Clav = { "s.x..xs..x.sx.x.", last = "X---------------" },
  Guitar = { "....X..s....X.s.", last = "X---------------" },
  Bass = { bass_riff, last = "1---------------" },
  Drums = { busy, fill = { hits, { kick = "X...............", snare = "X...............",
    crash = "X..............." } }, every = 5, crash = true } })

score.run(song)
return song
