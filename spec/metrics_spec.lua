-- What is heard at each step.
local core = require "neuraldrummer.core"

local PPQ <const> = 480
local STEP <const> = 120

--- notes: { {step, length in steps, pitch, velocity, program?, channel?}, … }
local function encode(notes, options, spec)
  local list = {}
  for i, n in ipairs(notes) do
    list[i] = { tick = n[1] * STEP, duration = n[2] * STEP, pitch = n[3], velocity = n[4] or 100,
      program = n[5] or 0, channel = n[6] or 1 }
  end
  table.sort(list, function(a, b) return a.tick < b.tick end)
  spec = spec or {}
  local song = core.song { ppq = PPQ, notes = list, tempos = spec.tempos, meters = spec.meters }
  return assert(core.tokeniser(options):encode(song))
end

local function near(want, got, message)
  assert.is_true(math.abs(want - got) <= 0.001 * math.max(1, math.abs(want)),
    ("%s: %s, not %s"):format(message or "", got, want))
end

local function check(want, seq, name)
  local list = seq:metric(name)
  for t, x in ipairs(want) do near(x, list[t], name .. " at " .. t) end
end

describe("metrics", function()
  it("have the names that the face gives them", function()
    local seq = encode { { 0, 4, 60 } }
    local names = {}
    for name in pairs(seq:metrics(1)) do names[#names + 1] = name end
    table.sort(names)
    assert.are.same({ "bar_cos", "bar_sin", "bass", "beat_cos", "beat_sin", "contrast", "downbeat",
      "endings", "energy", "guitars", "harmony", "intensity", "loudness", "melody", "meter",
      "novelty", "on_beat", "onsets_high", "onsets_low", "onsets_mid", "phrase_cos", "phrase_sin",
      "playing", "progress", "recurrence", "root", "sounding", "strings", "synths", "tempo",
      "winds" },
      names)
    assert.has_error(function() seq:metric "volume" end)
    assert.has_error(function() seq:metrics(0) end)
    assert.has_error(function() seq:metrics(17) end)
    for _, name in ipairs(names) do
      for t, x in ipairs(seq:metric(name)) do assert.are.equal(x, seq:metrics(t)[name]) end
    end
  end)

  it("count onsets by register, with their loudness", function()
    local seq = encode { { 0, 1, 47 }, { 0, 1, 48, 50 }, { 0, 1, 71, 60 }, { 2, 1, 72, 127 },
      { 2, 1, 0, 1 }, { 2, 1, 1, 1 } }
    local log = math.log
    check({ log(2), 0, log(3), 0 }, seq, "onsets_low")
    check({ log(3), 0, 0, 0 }, seq, "onsets_mid")
    check({ 0, 0, log(2), 0 }, seq, "onsets_high")
    check({ 70 / 127, 0, 43 / 127, 0 }, seq, "loudness")
  end)

  it("hear what sounds, and while the song plays", function()
    local seq = encode { { 2, 3, 60 }, { 3, 1, 64 }, { 4, 0, 62 }, { 20, 100, 60 } }
    local one, two = math.log(2), math.log(3)
    check({ 0, 0, one, two, two, 0, 0 }, seq, "sounding")
    check({ 0, 0, 1, 1, 1, 1, 1 }, seq, "playing")
    assert.are.equal(128, #seq)
    assert.are.equal(1, seq:metrics(120).playing)
    assert.are.equal(0, seq:metrics(121).playing)
    near(one, seq:metrics(120).sounding)
    assert.are.equal(0, seq:metrics(121).sounding)
  end)

  it("leave the drums out, but for the intensity when asked", function()
    local music = { { 0, 2, 60 }, { 5, 2, 64 }, { 9, 2, 67 } }
    local all = { { 0, 1, 36, 100, 0, 10 }, { 7, 1, 38, 100, 0, 10 }, table.unpack(music) }
    local a, b = encode(music), encode(all)
    local c = encode(all, { include_drums = true })
    for t = 1, #a do
      assert.are.same(a:metrics(t), b:metrics(t))
      local heard, plain = c:metrics(t), a:metrics(t)
      heard.intensity, plain.intensity, heard.energy, plain.energy = nil, nil, nil, nil
      assert.are.same(plain, heard)
    end
    assert.is_true(c:metrics(8).intensity > a:metrics(8).intensity)
  end)

  it("normalise the intensity as the original does", function()
    -- fifteen steps of one note and one of thirty: that one is an outlier
    local notes = {}
    for t = 0, 15 do notes[#notes + 1] = { t, 1, 60 } end
    notes[#notes + 1] = { 3, 1, 62 }
    for i = 1, 29 do notes[#notes + 1] = { 8, 1, 30 + i } end
    local x, sum = encode(notes):metric "intensity", 0
    -- mended to 1, so that step 4 alone stands out of 16: mean 17/16
    local sd = math.sqrt(15 / 256)
    for t = 1, 16 do
      near(((t == 4 and 2 or 1) - 17 / 16) / sd, x[t], "step " .. t)
      sum = sum + x[t]
    end
    assert.is_true(math.abs(sum) < 0.01)
  end)

  it("are still where nothing changes, and bounded where all does", function()
    local even = {}
    for t = 0, 15 do even[#even + 1] = { t, 1, 60 } end
    for _, x in ipairs(encode(even):metric "intensity") do assert.are.equal(0, x) end
    local crowd = { { 0, 1, 60 } }
    for i = 1, 3000 do crowd[#crowd + 1] = { 600 + i % 3, 3, i % 128 } end
    crowd[#crowd + 1] = { 1200, 1, 60 }
    local seq = encode(crowd)
    for t = 1, #seq do
      for name, x in pairs(seq:metrics(t)) do
        assert.is_true(x == x and math.abs(x) <= 16, name)
      end
      assert.is_true(math.abs(seq:metrics(t).intensity) <= 4)
    end
  end)

  it("give each bar's energy", function()
    local notes = {}
    for t = 0, 15 do notes[#notes + 1] = { t, 1, 60 } end
    for t = 16, 31, 4 do notes[#notes + 1] = { t, 1, 60 } end
    local seq = encode(notes)
    local x, energy = seq:metric "intensity", seq:metric "energy"
    for bar = 0, 1 do
      local sum = 0
      for t = 1, 16 do sum = sum + x[bar * 16 + t] end
      for t = 1, 16 do near(sum / 16, energy[bar * 16 + t]) end
    end
    assert.is_true(energy[1] > 0 and energy[17] < 0)
  end)

  it("find the bass", function()
    -- an instrument that is a bass
    check({ 1, 0, 0, 1, 0, 0 },
      encode { { 0, 1, 70, 9, 33 }, { 1, 1, 20, 9, 0 }, { 3, 1, 70, 9, 39 }, { 4, 1, 71, 9, 40 } },
      "bass")
    -- without one, what strikes below all that sounds, under middle C
    check({ 1, 0, 0, 1, 0, 0, 0, 0, 1 },
      encode { { 0, 3, 40 }, { 1, 1, 50 }, { 3, 1, 50 }, { 5, 1, 60 }, { 6, 9, 72 }, { 8, 1, 59 } },
      "bass")
  end)

  it("find the melody: the highest that sounds strikes", function()
    check({ 1, 0, 0, 1, 0, 1, 1, 0 }, encode { { 0, 4, 60 }, { 0, 9, 50 }, { 1, 1, 55 },
      { 3, 1, 60 }, { 5, 1, 52 }, { 6, 1, 49 }, { 6, 1, 0 }, { 6, 1, 70 } }, "melody")
    -- one that goes on above is the highest still
    check({ 1, 0, 0, 1 },
      encode { { 0, 3, 72 }, { 1, 1, 71 }, { 2, 1, 30 }, { 3, 1, 30 } }, "melody")
    check({ 1 }, encode { { 0, 1, 0 } }, "melody")
  end)

  it("hear notes end", function()
    local one, two = math.log(2), math.log(3)
    check({ 0, 0, one, two, 0, 0, one, 0 },
      encode { { 0, 2, 60 }, { 0, 3, 64 }, { 2, 1, 65 }, { 3, 3, 60 }, { 6, 200, 1 } }, "endings")
    -- no note is shorter than a step
    check({ 0, one, 0 }, encode { { 0, 0, 60 }, { 2, 50, 60 } }, "endings")
  end)

  it("hear the bass go to another root", function()
    -- C, C again, C an octave up, G, then others above it, G, C
    check({ 1, 0, 0, 0, 1, 0, 0, 0, 0, 1 }, encode { { 0, 1, 36, 90, 33 }, { 1, 1, 36, 90, 33 },
      { 2, 1, 48, 90, 33 }, { 4, 1, 43, 90, 33 }, { 5, 1, 48, 90, 0 }, { 6, 1, 43, 90, 33 },
      { 6, 1, 48, 90, 33 }, { 9, 1, 36, 90, 33 } }, "root")
    -- the lowest line, where no instrument is a bass
    check({ 1, 0, 1, 0, 1 },
      encode { { 0, 1, 40 }, { 0, 1, 47 }, { 1, 1, 52 }, { 2, 1, 41 }, { 4, 1, 40 } }, "root")
    for _, x in ipairs(encode { { 0, 4, 70 }, { 4, 4, 72 } }:metric "root") do
      assert.are.equal(0, x)
    end
  end)

  it("know the instruments by their families", function()
    local families = { guitars = { 24, 31 }, strings = { 40, 55 }, winds = { 56, 79 },
      synths = { 80, 103 } }
    for program = 0, 127 do
      local seq = encode { { 1, 2, 60, 90, program }, { 2, 2, 64, 90, program } }
      for name, range in pairs(families) do
        local is = program >= range[1] and program <= range[2]
        local one, two = is and math.log(2) or 0, is and math.log(3) or 0
        check({ 0, one, two, one, 0 }, seq, name)
      end
    end
    local band = encode { { 0, 4, 40, 90, 33 }, { 0, 2, 60, 90, 25 }, { 1, 3, 64, 90, 27 },
      { 1, 1, 70, 90, 48 }, { 2, 1, 72, 90, 65 }, { 2, 1, 77, 90, 81 } }
    local one, two = math.log(2), math.log(3)
    check({ one, two, one, one, 0 }, band, "guitars")
    check({ 0, one, 0, 0, 0 }, band, "strings")
    check({ 0, 0, one, 0, 0 }, band, "winds")
    check({ 0, 0, one, 0, 0 }, band, "synths")
  end)

  it("know how much of the song is gone", function()
    local seq = encode { { 8, 4, 60 }, { 20, 20, 64 }, { 22, 1, 60 } }
    local progress = seq:metric "progress"
    for t = 0, #seq - 1 do
      near(t < 8 and 0 or t < 40 and (t - 8) / 32 or 1, progress[t + 1], "step " .. t)
    end
    local drums = encode { { 0, 1, 36, 100, 0, 10 } }
    for _, x in ipairs(drums:metric "progress") do assert.are.equal(0, x) end
  end)

  it("of token text know the intensity and the place alone", function()
    local seq = assert(core.tokeniser():parse(("36,i0.5,-1,"):rep(40):sub(1, -2)))
    for name, want in pairs { melody = 0, endings = 0, root = 0, guitars = 0, progress = 0 } do
      for _, x in ipairs(seq:metric(name)) do assert.are.equal(want, x) end
    end
  end)

  it("hear the harmony change from beat to beat", function()
    local seq = encode { { 0, 4, 60 }, { 4, 4, 72 }, { 8, 4, 61 }, { 12, 2, 61 }, { 12, 2, 62 },
      { 20, 4, 60 } }
    local harmony = seq:metric "harmony"
    for t, x in ipairs {
      0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1,
      1 - 1 / math.sqrt(2), 1 - 1 / math.sqrt(2), 1 - 1 / math.sqrt(2), 1 - 1 / math.sqrt(2),
      0, 0, 0, 0, 0, 0, 0, 0,
    } do near(x, harmony[t], "step " .. t) end
  end)

  it("know the tempo", function()
    local seq = encode({ { 0, 32, 60 } }, nil,
      { tempos = { { tick = 0, bpm = 120 }, { tick = 4 * STEP, bpm = 240 },
        { tick = 9 * STEP + 1, bpm = 60 }, { tick = 12 * STEP, bpm = 4 } } })
    check({ 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, -1, -1, -4 }, seq, "tempo")
  end)

  it("know the place in beat, bar and phrase", function()
    local seq = encode { { 0, 80, 60 } }
    for t = 0, 79 do
      local m = seq:metrics(t + 1)
      for name, length in pairs { beat = 4, bar = 16, phrase = 64 } do
        near(math.sin(2 * math.pi * t / length), m[name .. "_sin"], name)
        near(math.cos(2 * math.pi * t / length), m[name .. "_cos"], name)
      end
      assert.are.equal(t % 16 == 0 and 1 or 0, m.downbeat)
      assert.are.equal(t % 4 == 0 and 1 or 0, m.on_beat)
      assert.are.equal(1, m.meter)
    end
  end)

  it("know it in other meters", function()
    local seq = encode({ { 0, 70, 60 } }, nil, { meters = {
      { tick = 0, numerator = 1, denominator = 4 },
      { tick = 480, numerator = 7, denominator = 8 } } })
    -- a pickup of a quarter: the phrase starts behind it
    near(-1, seq:metrics(1).phrase_sin)
    near(0, seq:metrics(5).phrase_sin)
    near(1, seq:metrics(5).phrase_cos)
    near(1, seq:metrics(5 + 14).phrase_sin)
    near(0.25, seq:metrics(1).meter)
    near(7 / 8, seq:metrics(5).meter)
    for t = 0, 13 do
      local m = seq:metrics(5 + t)
      near(math.sin(2 * math.pi * t / 14), m.bar_sin)
      assert.are.equal(t % 4 == 0 and 1 or 0, m.on_beat)
    end
    assert.are.equal(1, seq:metrics(5 + 14).on_beat)
    assert.are.equal(1, seq:metrics(5 + 14).downbeat)
  end)

  it("are exact in half precision", function()
    local seq = encode { { 0, 7, 61, 33 }, { 3, 9, 40, 77 }, { 9, 30, 75 } }
    for t = 1, #seq do
      for _, x in pairs(seq:metrics(t)) do
        if x ~= 0 then  -- eleven bits, the last of at least 2^-24
          local exponent = math.floor(math.log(math.abs(x), 2))
          assert.are.equal(0, x / 2.0 ^ math.max(exponent - 10, -24) % 1)
        end
      end
    end
  end)

  it("are rounded to the nearest half, of two the even one", function()
    local tok = core.tokeniser()
    for text, want in pairs {
      ["1.00048828125"] = 1, ["1.00146484375"] = 1.001953125, ["1.0005"] = 1.0009765625,
      ["-1.00048828125"] = -1, ["65504"] = 65504, ["2049"] = 2048, ["2051"] = 2052,
      ["0.00000002980232"] = 0, ["0.0000000298024"] = 2.0 ^ -24,
      ["0.0000609755"] = 2.0 ^ -14 - 2.0 ^ -24,
    } do
      local seq = assert(tok:parse("i" .. text .. ",-1"))
      assert.are.equal(want, seq:metrics(1).intensity, text)
    end
  end)

  it("cost no more for long notes", function()
    local notes = {}
    for i = 1, 20000 do notes[i] = { i % 64, 200000, 20 + i % 80 } end
    local from = os.clock()
    local seq = encode(notes)
    assert.are.equal(200064, #seq)
    assert.is_true(os.clock() - from < 5)
  end)
end)
