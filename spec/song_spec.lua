-- Songs from a host's notes.
local core = require "neuraldrummer.core"
local temporary = require "spec.support.temporary"

local function note(fields)
  local n = { tick = 0, duration = 48, pitch = 60, velocity = 90 }
  for k, v in pairs(fields or {}) do n[k] = v end
  return n
end

local function song(fields)
  local spec = { ppq = 96, notes = {} }
  for k, v in pairs(fields or {}) do spec[k] = v end
  return core.song(spec)
end

local function full(n)
  return { tick = n.tick, duration = n.duration, pitch = n.pitch, velocity = n.velocity,
    channel = n.channel or 1, program = n.program or 0, track = n.track or 1 }
end

describe("a song of a host's notes", function()
  it("keeps them in order of time", function()
    local late, early = note { tick = 96, channel = 2, program = 33, track = 3 }, note()
    local s = song { notes = { late, early, note { tick = 96, pitch = 62 } }, name = "Song" }
    assert.same({ full(early), full(late), full(note { tick = 96, pitch = 62 }) }, s:notes())
    assert.same({ "Song", "", "" }, s:tracks())
    assert.equal(96, s:ppq())
    assert.equal(144, s:length())
    assert.same({}, s:repairs())
  end)

  it("has 120 bpm and 4/4 from tick 0 unless told otherwise", function()
    local s = song()
    assert.same({ { tick = 0, bpm = 120.0 } }, s:tempos())
    assert.same({ { tick = 0, numerator = 4, denominator = 4 } }, s:meters())
    s = song {
      tempos = { { tick = 192, bpm = 60 }, { tick = 96, bpm = 100 }, { tick = 192, bpm = 240 } },
      meters = { { tick = 0, numerator = 7, denominator = 8 } },
    }
    assert.same({ { tick = 0, bpm = 120.0 }, { tick = 96, bpm = 100.0 },
      { tick = 192, bpm = 240.0 } }, s:tempos())
    assert.same({ { tick = 0, numerator = 7, denominator = 8 } }, s:meters())
  end)

  it("counts its seconds by the tempo map", function()
    local s = song {
      notes = { note { tick = 384, duration = 96 } },
      tempos = { { tick = 96, bpm = 60 }, { tick = 192, bpm = 240 } },
    }
    assert.near(0.5 + 1 + 3 * 0.25, s:seconds(), 1e-9)
  end)

  it("has drums on channel 10, or where the host says", function()
    local notes = { note { channel = 10, pitch = 36 }, note { channel = 3 } }
    assert.same({ 10, false }, { song { notes = notes }:drum_channel() })
    assert.same({ full(notes[1]) }, song { notes = notes }:notes "drums")
    assert.same({ full(notes[1]) }, song { notes = notes, drum_channel = 3 }:notes "others")
    local none, guessed = song { notes = { notes[2] } }:drum_channel()
    assert.is_nil(none)
    assert.is_false(guessed)
    assert.is_nil((song { notes = { notes[2] }, name = "Song without drums" }:drum_channel()))
  end)

  it("describes itself", function()
    local s = song { notes = { note { tick = 96 * 2 * 192, duration = 1 } } }
    assert.equal("song: 1 track, 1 note, 3:12, no drums", tostring(s))
    s:close()
    assert.equal("song (closed)", tostring(s))
  end)

  it("can be closed, more than once, and says so when it is used", function()
    local s = song()
    s:close()
    s:close()
    assert.has_error(function() s:ppq() end,
      "calling 'ppq' on bad self (neuraldrummer.song is closed)")
    do
      local closing <close> = song()
      s = closing
    end
    assert.equal("song (closed)", tostring(s))
  end)

  it("sorts many notes fast, and stably", function()
    local notes = {}
    for i = 1, 50000 do
      notes[i] = note { tick = i * 7919 % 1009, pitch = i % 128, velocity = i % 127 + 1 }
    end
    local want = {}
    for i, n in ipairs(notes) do want[i] = { n.tick, i } end
    table.sort(want, function(a, b)
      return a[1] < b[1] or a[1] == b[1] and a[2] < b[2]
    end)
    for i, n in ipairs(song { notes = notes }:notes()) do
      if n.pitch ~= want[i][2] % 128 then error("note " .. i .. " is out of order") end
    end
  end)
end)

describe("a song's table", function()
  local function refused(message, fields)
    assert.has_error(function() song(fields) end, message)
  end

  it("names what is wrong, and where", function()
    refused("notes[3].pitch: 200 is not in 0..127",
      { notes = { note(), note(), note { pitch = 200 } } })
    refused("notes[1].velocity: 0 is not in 1..127", { notes = { note { velocity = 0 } } })
    refused("notes[1].tick: -1 is not in 0..268435455", { notes = { note { tick = -1 } } })
    refused("notes[1].tick: a whole number is needed, got 1.5", { notes = { note { tick = 1.5 } } })
    refused("notes[1].pitch: a whole number is needed, got string",
      { notes = { note { pitch = "C4" } } })
    refused("notes[2].duration is missing",
      { notes = { note(), { tick = 0, pitch = 1, velocity = 1 } } })
    refused("notes[1].tick is missing",
      { notes = { { duration = 1, pitch = 1, velocity = 1 } } })
    refused("notes[1].channel: 0 is not in 1..16", { notes = { note { channel = 0 } } })
    refused("notes[1]: unknown field 'chan'; did you mean 'channel'?",
      { notes = { note { chan = 1 } } })
    refused("notes[1]: a table is needed, got number", { notes = { 60 } })
    refused("notes[1]: the note ends after tick 268435455, the last one",
      { notes = { note { tick = 268435455, duration = 1 } } })
    refused("tempos[1].bpm: 2.0 is not in 3.5763..60000000", { tempos = { { tick = 0, bpm = 2 } } })
    refused("tempos[1].bpm: -1.0 is not in 3.5763..60000000",
      { tempos = { { tick = 0, bpm = -1 } } })
    refused("tempos[1].bpm: a number is needed, got nil", { tempos = { { tick = 0 } } })
    refused("meters[1].denominator: 6 is not a power of two",
      { meters = { { tick = 0, numerator = 6, denominator = 6 } } })
    refused("meters[2].numerator is missing",
      { meters = { { tick = 0, numerator = 4, denominator = 4 }, { tick = 1, denominator = 4 } } })
    refused("option 'ppq': 0 is not in 1..32767", { ppq = 0 })
    refused("option 'notes': a list is needed, got string", { notes = "C D E" })
    refused("option 'drum_channel': 17 is not in 1..16", { drum_channel = 17 })
    refused("unknown option 'note'; did you mean 'notes'?", { note = {} })
    assert.has_error(function() core.song { notes = {} } end, "option 'ppq' is missing")
    assert.has_error(function() core.song { ppq = 96 } end,
      "option 'notes': a list is needed, got nil")
    assert.has_error(function() core.song() end)
  end)
end)

describe("a host's song as a file", function()
  local function lines(s)
    local list = {}
    for i, n in ipairs(s:notes()) do
      list[i] = table.concat({ n.tick, n.duration, n.pitch, n.velocity, n.channel, n.program }, " ")
    end
    table.sort(list)
    return list
  end

  local host = song {
    name = "From a host",
    notes = {
      note { channel = 1 }, note { tick = 48 }, note { tick = 48, pitch = 64, duration = 0 },
      note { tick = 0, channel = 2, program = 33, track = 2 },
      note { tick = 96, channel = 2, program = 34, track = 2 },
      note { tick = 200, channel = 5, track = 2, duration = 10000 },
      note { tick = 0, channel = 10, pitch = 36, track = 7 },
    },
    tempos = { { tick = 0, bpm = 97.3 }, { tick = 96, bpm = 180 } },
    meters = { { tick = 0, numerator = 5, denominator = 8 },
      { tick = 96, numerator = 3, denominator = 4 } },
  }

  it("is read again as it was", function()
    local s = assert(core.parse_song(host:bytes(), { strict = true }))
    assert.same({}, s:repairs())
    assert.same(lines(host), lines(s))
    assert.same(host:tempos(), s:tempos())
    assert.same(host:meters(), s:meters())
    assert.equal(host:length(), s:length())
    assert.equal(96, s:ppq())
    -- a conductor's track, then one for each track and channel
    assert.same({ "From a host", "", "", "", "" }, s:tracks())
    assert.equal(host:bytes(), host:bytes())
  end)

  it("is saved whole, or not at all", function()
    local path = temporary.name()
    assert.is_true(host:save(path))
    local file = assert(io.open(path, "rb"))
    assert.equal(host:bytes(), file:read "a")
    file:close()
    os.remove(path)
    assert.same({ nil, "no/such/folder/x.mid: No such file or directory" },
      { host:save "no/such/folder/x.mid" })
  end)
end)
