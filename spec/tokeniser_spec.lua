-- Kits, settings, and the grid in all meters.
local core = require "neuraldrummer.core"

local PPQ <const> = 480

--- A song of one note that ends at `length`, and drum notes {tick, pitch, velocity}.
local function song(length, meters, drums, ppq)
  local notes = { { tick = 0, duration = length, pitch = 60, velocity = 90 } }
  for _, d in ipairs(drums or {}) do
    notes[#notes + 1] = { tick = d[1], duration = 10, pitch = d[2] or 36, velocity = d[3] or 100,
      channel = 10 }
  end
  table.sort(notes, function(a, b) return a.tick < b.tick end)
  local list = {}
  for i, m in ipairs(meters or {}) do
    list[i] = { tick = m[1], numerator = m[2], denominator = m[3] }
  end
  return core.song { ppq = ppq or PPQ, notes = notes, meters = list }
end

local function bars(seq)
  local text, list = {}, seq:bars()
  for i, bar in ipairs(list) do
    assert.equal(list[i + 1] and list[i + 1].first - 1 or #seq, bar.last)
    text[i] = ("%d:%d/%d"):format(bar.first, bar.numerator, bar.denominator)
  end
  return table.concat(text, " ")
end

local function struck(seq, voice)
  local steps = {}
  for t, hits in ipairs(seq:hits()) do
    if hits[voice] then steps[#steps + 1] = t end
  end
  return steps
end

describe("kits", function()
  it("have their voices", function()
    assert.are.same({ "kick", "snare", "closed_hat", "open_hat", "low_tom", "mid_tom", "high_tom",
      "crash", "ride" }, core.tokeniser():voices())
    assert.are.same({ "kick", "snare", "closed_hat", "open_hat", "crash", "ride" },
      core.tokeniser({ kit = "basic6" }):voices())
    assert.are.equal(17, #core.tokeniser({ kit = "full17" }):voices())
  end)

  it("map pitches and write the first back", function()
    for kit, cases in pairs {
      gm9 = { [35] = "kick", [36] = "kick", [27] = "snare", [75] = "snare", [22] = "closed_hat",
        [26] = "open_hat", [84] = "low_tom", [47] = "mid_tom", [48] = "mid_tom", [62] = "high_tom",
        [57] = "crash", [82] = "ride" },
      basic6 = { [35] = "kick", [36] = "kick", [40] = "snare", [44] = "closed_hat",
        [46] = "open_hat", [55] = "crash", [57] = "crash", [59] = "ride" },
      full17 = { [37] = "stick", [39] = "clap", [43] = "high_floor_tom", [44] = "pedal_hat",
        [53] = "bell", [55] = "splash", [57] = "crash", [59] = "ride" },
    } do
      local tok = core.tokeniser { kit = kit }
      for pitch, voice in pairs(cases) do
        local seq = assert(tok:encode(song(PPQ, nil, { { 0, pitch } })))
        local hits = seq:hits(1)
        assert.are.equal(voice, (next(hits)), kit .. " " .. pitch)
      end
    end
    local blank = assert(core.tokeniser({ kit = "basic6" }):encode(song(PPQ)))
    local packed = "\1\2\3\4\5\6" .. ("\0"):rep(6 * (#blank - 1))
    assert.is_truthy(blank:with_hits(packed):tokens():find "^35,38,42,46,49,51,i")
    blank = assert(core.tokeniser():encode(song(PPQ)))
    packed = ("\1"):rep(9) .. ("\0"):rep(9 * (#blank - 1))
    assert.is_truthy(blank:with_hits(packed):tokens():find "^36,38,42,46,45,48,50,49,51,i")
  end)

  it("may be the user's", function()
    local kit = { name = "duo", { name = "boom", pitches = { 36, 35 } },
      { name = "tschak", pitches = { 40 } } }
    local tok = core.tokeniser { kit = kit }
    assert.are.same({ "boom", "tschak" }, tok:voices())
    assert.are.equal("duo|boom:36,35|tschak:40", tok:settings().kit_text)
    local again = core.tokeniser { kit = tok:settings().kit_text }
    assert.are.equal(tok, again)
    assert.are_not.equal(tok, core.tokeniser())
    assert.is_false(tok == song(PPQ) or song(PPQ) == tok or tok == io.stdout)
    again:close()
    assert.is_false(tok == again or again == tok)
    local seq = assert(tok:encode(song(PPQ, nil, { { 0, 35 }, { 120, 40 }, { 240, 38 } })))
    assert.are.same({ 1 }, struck(seq, "boom"))
    assert.are.same({ 2 }, struck(seq, "tschak"))
    assert.is_truthy(seq:tokens():find("38,", 1, true))
  end)

  it("are refused when they cannot be", function()
    local function refused(kit, message)
      local ok, why = pcall(core.tokeniser, { kit = kit })
      assert.is_false(ok)
      assert.is_truthy(why:find(message, 1, true), why)
    end
    refused("gm10", "no kit is named 'gm10'; known kits: gm9, basic6, full17")
    refused(9, "a name or a table is needed, got number")
    refused({ { name = "a", pitches = { 1 } } }, "kit: a name is needed")
    refused({ name = "k" }, "kit: a voice is needed")
    refused({ name = "k", { name = "a" } }, "kit: voice 1: {name")
    refused({ name = "k", { name = "a", pitches = {} } }, "kit: voice 'a' has no pitches")
    refused({ name = "k", { name = "a", pitches = { 128 } } }, "kit: voice 'a': pitch 1 is not")
    refused({ name = "k", { name = "a", pitches = { 1.5 } } }, "kit: voice 'a': pitch 1 is not")
    refused({ name = "k", { name = "a", pitches = { 1, 1 } } },
      "voice 'a': pitch 1 already belongs to a voice")
    refused({ name = "k", { name = "a", pitches = { 1 } }, { name = "a", pitches = { 2 } } },
      "kit: two voices are named 'a'")
    refused({ name = "k", { name = "a|b", pitches = { 1 } } },
      "kit: the name of a voice must be 1 to 23")
    refused({ name = ("k"):rep(24), { name = "a", pitches = { 1 } } },
      "kit: its name must be 1 to 23")
    refused("k|a:1,200", "kit: voice 'a': 200 is not a pitch")
    refused("k|a", "kit: expected name|voice:pitch")
    refused("k|a:1,", "kit: expected name|voice:pitch")
    local many = { name = "k" }
    for i = 1, 33 do many[i] = { name = "v" .. i, pitches = { i } } end
    refused(many, "kit: more than 32 voices")
  end)
end)

describe("tokeniser", function()
  it("has presets", function()
    local settings = core.tokeniser():settings()
    assert.are.equal("gm9", settings.kit)
    assert.are.equal(4, settings.steps_per_beat)
    assert.are.equal("quarter", settings.beat)
    assert.is_false(settings.include_drums)
    assert.is_false(settings.original)
    settings = core.tokeniser({ preset = "neuraldrummer2023" }):settings()
    assert.are.equal("basic6", settings.kit)
    assert.are.equal(2, settings.steps_per_beat)
    assert.are.equal("meter", settings.beat)
    assert.is_true(settings.include_drums)
    assert.is_true(settings.original)
    assert.are.equal("tokeniser: gm9, 4 steps a beat", tostring(core.tokeniser()))
  end)

  it("refuses what it does not know", function()
    local function refused(options, message)
      local ok, why = pcall(core.tokeniser, options)
      assert.is_false(ok)
      assert.is_truthy(why:find(message, 1, true), why)
    end
    refused({ kitt = "gm9" }, "unknown option 'kitt'; did you mean 'kit'?")
    refused({ steps_per_beat = 5 }, "option 'steps_per_beat': 5 is not one of 2, 4, 6, 8, 12")
    refused({ preset = "drums" }, "'drums' is not one of drummer, neuraldrummer2023")
    refused({ beat = "half" }, "'half' is not one of quarter, meter")
    refused({ max_steps = 0 }, "option 'max_steps'")
  end)

  it("refuses to work when closed", function()
    local tok = core.tokeniser()
    tok:close()
    tok:close()
    assert.are.equal("tokeniser (closed)", tostring(tok))
    assert.has_error(function() tok:voices() end)
  end)

  it("lays bars of any meter", function()
    local tok = core.tokeniser()
    for _, case in ipairs {
      { 1, { { 0, 4, 4 } }, 16, "1:4/4" },
      { 1920, { { 0, 4, 4 } }, 16, "1:4/4" },
      { 1921, { { 0, 4, 4 } }, 32, "1:4/4 17:4/4" },
      { 2880, { { 0, 3, 4 } }, 24, "1:3/4 13:3/4" },
      { 1681, { { 0, 7, 8 } }, 28, "1:7/8 15:7/8" },
      { 2880, { { 0, 6, 8 } }, 24, "1:6/8 13:6/8" },
      { 960, { { 0, 5, 16 } }, 10, "1:5/16 6:5/16" },
      { 3840, { { 0, 2, 2 } }, 32, "1:2/2 17:2/2" },
      -- a pickup of one quarter
      { 2400, { { 0, 1, 4 }, { 480, 4, 4 } }, 20, "1:1/4 5:4/4" },
      -- changes on the bar line
      { 4800, { { 0, 4, 4 }, { 1920, 3, 4 }, { 3360, 6, 8 } }, 40, "1:4/4 17:3/4 29:6/8" },
      -- a change inside a bar starts the next one there
      { 3000, { { 0, 4, 4 }, { 960, 3, 4 } }, 32, "1:4/4 9:3/4 21:3/4" },
      -- off the grid: the nearest step, midway the earlier
      { 2000, { { 0, 4, 4 }, { 490, 4, 4 } }, 20, "1:4/4 5:4/4" },
      { 2000, { { 0, 4, 4 }, { 540, 4, 4 } }, 20, "1:4/4 5:4/4" },
      { 2000, { { 0, 4, 4 }, { 541, 4, 4 } }, 21, "1:4/4 6:4/4" },
      -- a change that is a hair late does not make a bar of its own
      { 3840, { { 0, 4, 4 }, { 1921, 4, 4 } }, 32, "1:4/4 17:4/4" },
      -- after the end it is nothing
      { 1900, { { 0, 4, 4 }, { 9000, 3, 4 } }, 16, "1:4/4" },
      -- bars shorter than a step are a step long
      { 480, { { 0, 1, 64 } }, 4, "1:1/64 2:1/64 3:1/64 4:1/64" },
    } do
      local seq = assert(tok:encode(song(case[1], case[2])))
      assert.are.equal(case[4], bars(seq))
      assert.are.equal(case[3], #seq)
    end
  end)

  it("counts the meter's beats when asked", function()
    local tok = core.tokeniser { steps_per_beat = 2, beat = "meter" }
    for _, case in ipairs {
      { 1920, { { 0, 4, 4 } }, 8, "1:4/4" },
      { 2880, { { 0, 6, 8 } }, 8, "1:6/8 5:6/8" },    -- dotted quarters
      { 1440, { { 0, 3, 8 } }, 12, "1:3/8 7:3/8" },   -- three is simple
      { 1680, { { 0, 7, 8 } }, 14, "1:7/8" },
      { 1920, { { 0, 2, 2 } }, 4, "1:2/2" },
      { 6480, { { 0, 9, 8 }, { 2160, 12, 8 } }, 22, "1:9/8 7:12/8 15:12/8" },
      -- a beat cut short by a change keeps its steps
      { 2400, { { 0, 4, 4 }, { 720, 3, 4 } }, 16, "1:4/4 5:3/4 11:3/4" },
    } do
      local seq = assert(tok:encode(song(case[1], case[2])))
      assert.are.equal(case[4], bars(seq))
      assert.are.equal(case[3], #seq)
    end
    -- the second beat is 240 ticks: its halves are at 480 and 600
    local seq = assert(tok:encode(song(2400, { { 0, 4, 4 }, { 720, 3, 4 } },
      { { 0 }, { 240 }, { 480 }, { 600 }, { 720 }, { 960 } })))
    assert.are.same({ 1, 2, 3, 4, 5, 6 }, struck(seq, "kick"))
  end)

  it("puts notes on the nearest step, midway on the earlier", function()
    local tok = core.tokeniser()
    local seq = assert(tok:encode(song(1920, nil,
      { { 60 }, { 181 }, { 299 }, { 420 }, { 1859 } })))
    assert.are.same({ 1, 3, 4, 16 }, struck(seq, "kick"))
    assert.are.equal(2, select(2, seq:tokens():gsub("36,36,", "")) + 1)  -- 181 and 299
    -- what rounds past the end is no longer in the song
    seq = assert(tok:encode(song(1920, nil, { { 0 }, { 1900 }, { 5000 } })))
    assert.are.same({ 1 }, struck(seq, "kick"))
  end)

  it("lays triplets on grids of 6 and 12, in any ppq", function()
    for _, ppq in ipairs { 96, 100, 120, 480, 1024 } do
      for _, steps in ipairs { 6, 12 } do
        local drums, want = {}, {}
        for i = 0, 5 do
          drums[i + 1] = { (i * ppq * 2 + 3) // 6 }
          want[i + 1] = 1 + i * steps // 3
        end
        local tok = core.tokeniser { steps_per_beat = steps }
        local seq = assert(tok:encode(song(4 * ppq, nil, drums, ppq)))
        assert.are.equal(4 * steps, #seq)
        assert.are.same(want, struck(seq, "kick"), ppq .. " " .. steps)
      end
    end
  end)

  it("keeps the louder of two hits", function()
    local tok = core.tokeniser()
    local seq = assert(tok:encode(song(1920, nil,
      { { 0, 36, 50 }, { 10, 35, 127 }, { 20, 36, 60 }, { 480, 38, 127 } })))
    assert.are.same({ kick = 1 }, seq:hits(1))
    assert.are.same({ snare = 1 }, seq:hits(5))
    assert.is_truthy(seq:tokens():find "^36,35,36,i")
  end)

  it("ends with the music, or with the drums when there is nothing else", function()
    local tok = core.tokeniser()
    assert.are.equal(16, #assert(tok:encode(song(1920, nil, { { 9000 } }))))
    local drums = core.song { ppq = PPQ,
      notes = { { tick = 1920, duration = 9000, pitch = 36, velocity = 9, channel = 10 } } }
    local seq = assert(tok:encode(drums))
    assert.are.equal(32, #seq)
    assert.are.same({ 17 }, struck(seq, "kick"))
    local nothing, why = tok:encode(core.song { ppq = PPQ, notes = {} })
    assert.is_nil(nothing)
    assert.are.equal("the song has no notes", why)
  end)

  it("refuses songs over its limit", function()
    for _, beat in ipairs { "quarter", "meter" } do
      local tok = core.tokeniser { max_steps = 16, beat = beat }
      assert.are.equal(16, #assert(tok:encode(song(1920))))
      local seq, why = tok:encode(song(1921), "long.mid")
      assert.is_nil(seq)
      assert.are.equal("long.mid: the song is longer than 16 steps (max_steps)", why)
    end
    local far = song(1)
    local seq = core.tokeniser():encode(core.song { ppq = 1, notes = {
      { tick = 0x0FFFFFF0, duration = 1, pitch = 60, velocity = 1 } } })
    assert.is_nil(seq)
    assert.are.equal(16, #assert(core.tokeniser():encode(far)))
  end)

  it("refuses songs of more bars than are played, and lays as many as may be", function()
    local MOST <const> = 131072
    local function sixteenths(n, most)  -- each a bar
      return core.tokeniser { steps_per_beat = 4 }:encode(core.song { ppq = 4,
        meters = { { tick = 0, numerator = 1, denominator = 16 } },
        notes = { { tick = 0, duration = n, pitch = 60, velocity = 1 } } }, "x", most)
    end
    assert.are.equal(MOST, #assert(sixteenths(MOST)):bars())
    for _, n in ipairs { MOST + 1, 1048576 } do
      local seq, why = sixteenths(n)
      assert.is_nil(seq)
      assert.are.equal("x: the song has more than 131072 bars (max_steps)", why)
    end
    -- a lower limit refuses no song that is shorter; a higher one has room for more bars
    assert.are.equal(20, #assert(sixteenths(20, 20)):bars())
    assert.are.equal(MOST + 1, #assert(sixteenths(MOST + 1, 1048584)):bars())
    local seq, why = core.tokeniser { beat = "meter", steps_per_beat = 2 }:encode(core.song {
      ppq = 4, meters = { { tick = 0, numerator = 1, denominator = 16 } },
      notes = { { tick = 0, duration = MOST + 1, pitch = 60, velocity = 1 } } }, "x")
    assert.is_nil(seq)
    assert.are.equal("x: the song has more than 131072 bars (max_steps)", why)
  end)

  it("takes the last of several drum instruments in the original's way", function()
    local function note(tick, pitch, track, program)
      return { tick = tick, duration = 20, pitch = pitch, velocity = 100, channel = 10,
        track = track, program = program }
    end
    local s = core.song { ppq = PPQ, notes = {
      note(0, 36, 1), note(240, 38, 2, 8), note(480, 40, 2, 0), note(720, 42, 2, 8) } }
    local tok = core.tokeniser { preset = "neuraldrummer2023" }
    assert.is_truthy(assert(tok:encode(s)):tokens():find "^i[^,]*,%-1,i[^,]*,%-1,40,i")
    local ours = assert(core.tokeniser():encode(s))
    assert.are.same({ 3, 5 }, struck(ours, "snare"))
  end)

  it("drops notes of no length in the original's way alone", function()
    local s = core.song { ppq = PPQ, notes = {
      { tick = 0, duration = 0, pitch = 36, velocity = 100, channel = 10 },
      { tick = 240, duration = 1, pitch = 38, velocity = 100, channel = 10 } } }
    local tok = core.tokeniser { preset = "neuraldrummer2023" }
    assert.are.same({}, struck(assert(tok:encode(s)), "kick"))
    assert.are.same({ 2 }, struck(assert(tok:encode(s)), "snare"))
    assert.are.same({ 1 }, struck(assert(core.tokeniser():encode(s)), "kick"))
  end)
end)
