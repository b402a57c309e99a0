-- Swing: what it moves, where to, and how it reads a song's own feel.
local core = require "neuraldrummer.core"
local generate = require "neuraldrummer.generate"
local shell = require "spec.support.shell"
local swing = require "neuraldrummer.swing"
local tiny = require "spec.support.tiny"

local PPQ <const> = 480

--- Hits as "voice@time", times in steps from 1, by time.
local function heard(seq)
  local list, n = {}, #seq:voices()
  local hits, offsets = seq:packed_hits(), seq:packed_offsets()
  for cell = 1, #hits do
    if hits:byte(cell) > 0 then
      list[#list + 1] = { (cell - 1) // n + 1 + ("b"):unpack(offsets, cell) / 256,
        seq:voices()[(cell - 1) % n + 1] }
    end
  end
  table.sort(list, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  for i, each in ipairs(list) do list[i] = ("%s@%.2f"):format(each[2], each[1]) end
  return table.concat(list, " ")
end

local function encode(patterns, options)
  local spec = { patterns = patterns, bars = #patterns }
  for name, value in pairs(options or {}) do spec[name] = value end
  return assert(core.tokeniser():encode(tiny.song(spec)))
end

--- A band that plays at these places of each beat, in `bars` bars of a meter.
local function band(places, bars, numerator, denominator)
  local notes = {}
  numerator, denominator = numerator or 4, denominator or 4
  local beats = (bars or 8) * numerator * 4 // denominator
  for beat = 0, beats - 1 do
    for _, place in ipairs(places) do
      notes[#notes + 1] = { tick = math.floor((beat + place) * PPQ + 0.5), duration = 60,
        pitch = 60, velocity = 90 }
    end
  end
  return core.song { ppq = PPQ, notes = notes, meters = { { tick = 0, numerator = numerator,
    denominator = denominator } } }
end

describe("core.retime", function()
  local seq = encode { { kick = "x...x.......x...", snare = "....x...........",
    bass = "x..............." } }
  local times = {}
  before_each(function()
    for i = 1, #seq do times[i] = i end
  end)

  it("moves a step's hits to a time of its own", function()
    assert.equal(heard(seq), heard(core.retime(seq, times)))
    times[5], times[13], times[1] = 6.75, 100, -3
    local moved = core.retime(seq, times)
    assert.equal("kick@0.50 kick@6.75 snare@6.75 kick@16.50", heard(moved))
    assert.equal(100, moved:packed_hits():byte(6 * 9 + 1))
    assert.equal("kick@0.50 kick@6.75 snare@6.75 kick@16.50",
      heard(core.retime(moved, (function()
        local same = {}
        for i = 1, 16 do same[i] = i end
        return same
      end)())))
  end)

  it("lets what is known stay", function()
    local known = ("\0"):rep(4 * 9) .. "\1" .. ("\0"):rep(11 * 9 + 8)
    times[5] = 7
    assert.equal("kick@1.00 kick@5.00 snare@7.00 kick@13.00", heard(core.retime(seq, times, known)))
  end)

  it("keeps one, the loudest, of hits that meet", function()
    local two = seq:with_hits(((("\0"):rep(9)):rep(4) .. "\50" .. ("\0"):rep(8) .. "\90"
      .. ("\0"):rep(8) .. ("\0"):rep(9 * 10)))
    assert.equal("kick@5.00 kick@6.00", heard(two))
    times[5] = 6
    local met = core.retime(two, times)
    assert.equal("kick@6.00", heard(met))
    assert.equal(90, met:packed_hits():byte(5 * 9 + 1))
    local out = tiny.song { patterns = { { bass = "x..............." } }, bars = 1 }
    assert.equal(1, #out:with_drums(met):notes "drums")
  end)

  it("refuses what is none", function()
    assert.error_matches(function() core.retime(seq, { 1 }) end, "a time for each step is needed")
    times[3] = "x"
    assert.error_matches(function() core.retime(seq, times) end, "times are numbers")
    times[3] = 0 / 0
    assert.error_matches(function() core.retime(seq, times) end,
      "step 3: its time is not a finite number")
    times[3] = 3
    assert.error_matches(function() core.retime(seq, times, "x") end, "a byte for each cell")
  end)
end)

describe("a song's feel", function()
  local function feel(...)
    local found = swing.feel(band(...))
    return ("%s %.2f"):format(found.unit, found.amount)
  end

  it("is heard in its onsets", function()
    assert.equal("eighths 0.00", feel { 0, 1 / 2 })
    assert.equal("eighths 1.00", feel { 0, 2 / 3 })
    assert.equal("eighths 1.00", feel { 0, 1 / 3, 2 / 3 })
    assert.equal("eighths 0.50", feel { 0, 7 / 12 })
    assert.equal("sixteenths 0.00", feel { 0, 1 / 4, 1 / 2, 3 / 4 })
    assert.equal("sixteenths 1.00", feel { 0, 1 / 3, 1 / 2, 5 / 6 })
    assert.equal("eighths 0.00", feel { 0 })
    assert.equal("eighths 0.00", feel({ 0, 1 / 2 }, 8, 6, 8))
    assert.equal("eighths 0.00", feel {})
    assert.equal("eighths 1.00", feel({ 0, 2 / 3 }, 8, 3, 4))
  end)

  it("is heard where a bar is shorter than a tick", function()
    for denominator, ppq in pairs { [8] = 1, [16] = 2, [128] = 3 } do
      local notes = {}
      for i = 0, 15 do notes[i + 1] = { tick = i, duration = 1, pitch = 60, velocity = 90 } end
      local short = core.song { ppq = ppq, notes = notes, meters = { { tick = 0, numerator = 1,
        denominator = denominator } } }
      assert.same({ unit = "eighths", amount = 0 }, swing.feel(short))
    end
  end)

  it("is read in the songs of the examples", function()
    local all = dofile "examples/songs/all.lua"
    local found = {}
    for _, name in ipairs { "rock", "shuffle", "funk" } do
      found[name] = swing.feel(assert(require "neuraldrummer".song.parse(
        assert(all.load(name):bytes()))))
    end
    assert.equal("eighths", found.rock.unit)
    assert.is_true(found.rock.amount < 0.05)
    assert.equal("eighths", found.shuffle.unit)
    assert.is_true(found.shuffle.amount > 0.8)
    assert.equal("sixteenths", found.funk.unit)
  end)

  it("may be asked for", function()
    local song = band { 0, 2 / 3 }
    local function read(value) return { swing.read(value, song) } end
    assert.same({ 0.3, "eighths", true }, read(0.3))
    assert.same({ 0.3, "sixteenths", true }, read "0.3/16")
    assert.same({ 1, "eighths", true }, read "song")
    assert.near(1, read "song/8"[1], 1e-9)
    assert.same({ 0, "eighths", false }, { swing.read("0", band { 0, 1 / 2 }) })
    for _, value in ipairs { "2", "-1", "x", "0.5/4", "0.5/8/8", "nan" } do
      assert.error_matches(function() swing.read(value, song) end, "^option 'swing': ")
    end
  end)
end)

describe("swing", function()
  local eighths = encode { { ride = "x.x.x.x.x.x.x.x.", snare = ".x.x............",
    bass = "x..............." } }

  it("moves what is off the beat, and nothing else", function()
    assert.equal(heard(eighths), heard(swing.apply(eighths, 0, "eighths")))
    assert.equal("ride@1.00 snare@2.33 ride@3.67 snare@4.33 ride@5.00 ride@7.67 ride@9.00 "
      .. "ride@11.67 ride@13.00 ride@15.67", heard(swing.apply(eighths, 1, "eighths")))
    assert.matches("ride@1.00 snare@2.17 ride@3.33 snare@4.17 ride@5.00 ",
      heard(swing.apply(eighths, 0.5, "eighths")))
    assert.matches("ride@1.00 snare@2.33 ride@3.00 snare@4.33 ride@5.00 ride@7.00 ",
      heard(swing.apply(eighths, 1, "sixteenths")))
  end)

  it("takes the last sixteenth for the off-beat where the song swings", function()
    local shuffled = encode { { ride = "x..xx..xx..xx..x", bass = "x..............." } }
    assert.matches("^ride@1.00 ride@3.67 ride@5.00 ride@7.67 ",
      heard(swing.apply(shuffled, 1, "eighths", { swung = true })))
    assert.matches("^ride@1.00 ride@3.00 ride@5.00 ride@7.00 ",
      heard(swing.apply(shuffled, 0, "eighths", { swung = true })))
    assert.matches("^ride@1.00 ride@4.33 ", heard(swing.apply(shuffled, 1, "eighths")))
  end)

  it("takes the place of a lateness that is there, and leaves what is a hit's own", function()
    local places = {}
    for i = 1, 16 do places[i] = i + ((i - 3) % 4 == 0 and (i % 8 == 3 and 0.3 or 0.1) or 0.05) end
    local played = core.retime(eighths, places)
    local straight = heard(swing.apply(played, 0, "eighths"))
    assert.matches("^ride@1.05 snare@2.05 ride@3.15 snare@4.05 ride@5.05 ride@6.95 ", straight)
    assert.matches("ride@3.82 ", heard(swing.apply(played, 1, "eighths")))
  end)

  it("lets what is kept stay", function()
    local known = ("\0"):rep(6 * 9) .. ("\1"):rep(9) .. ("\0"):rep(9 * 9)
    local out = heard(swing.apply(eighths, 1, "eighths", { mask = known }))
    assert.matches("ride@3.67 .*ride@7.00 .*ride@11.67", out)
  end)

  it("leaves what a bar cuts off, and triplets on a finer grid", function()
    local seven = core.song { ppq = PPQ, meters = { { tick = 0, numerator = 7, denominator = 8 } },
      notes = (function()
        local notes = {}
        for i = 0, 6 do
          notes[#notes + 1] = { tick = i * PPQ // 2, duration = 60, pitch = 51, velocity = 90,
            channel = 10 }
        end
        return notes
      end)() }
    local seq = assert(core.tokeniser():encode(seven))
    assert.equal("ride@1.00 ride@3.67 ride@5.00 ride@7.67 ride@9.00 ride@11.67 ride@13.00",
      heard(swing.apply(seq, 1, "eighths")))
    local fine = assert(core.tokeniser { steps_per_beat = 12 }:encode(core.song { ppq = PPQ,
      notes = { { tick = 160, duration = 60, pitch = 51, velocity = 90, channel = 10 },
        { tick = 240, duration = 60, pitch = 51, velocity = 90, channel = 10 } } }))
    assert.equal("ride@5.00 ride@9.00", heard(swing.apply(fine, 1, "eighths")))
    local coarse = assert(core.tokeniser { steps_per_beat = 2 }:encode(band({ 0, 1 / 2 }, 1)))
    assert.equal("", heard(swing.apply(coarse, 1, "sixteenths")))
  end)

  it("is asked of a take, and of its ticks", function()
    local folder = shell.folder()
    local model = core.model { hidden = 8, layers = 1, encoder = 4 }
    assert(band({ 0, 1 / 2 }, 4):save(folder .. "/song.mid"))
    local function ticks(options)
      options.model, options.temperature, options.seed = model, 3, 2
      local off = {}
      for _, note in ipairs(assert(generate.drum(folder .. "/song.mid", options)).song
        :notes "drums") do
        off[note.tick % PPQ] = (off[note.tick % PPQ] or 0) + 1
      end
      return off
    end
    local flat = ticks { humanise = 0 }
    local swung = ticks { humanise = 0, swing = 1 }
    assert.is_true(flat[240] > 0)
    assert.is_nil(swung[240])
    assert.equal(flat[240], swung[320])
    assert.equal(flat[120], swung[160])
    assert.equal(flat[360], swung[400])
    -- alone and at another tempo as well
    local alone = generate.drum(folder .. "/song.mid", { model = model, seed = 2, temperature = 3,
      humanise = 0, swing = 1, tempo = 90 })
    local places = {}
    for _, note in ipairs(alone.song:notes "drums") do places[note.tick % 320] = true end
    assert.same({ [0] = true, [107] = true, [213] = true, [267] = true }, places)
    shell.remove(folder)
  end)
end)
