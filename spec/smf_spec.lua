-- The reader of MIDI files: what it reads, repairs, and refuses.
local core = require "neuraldrummer.core"
local midi = require "spec.support.midi"
local faulty = require "spec.support.faulty"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local hex, track, file, meta = midi.hex, midi.track, midi.file, midi.meta

--- The notes as lines "tick duration pitch velocity channel program track".
local function notes(song, which)
  local lines = {}
  for i, n in ipairs(song:notes(which)) do
    lines[i] = table.concat(
      { n.tick, n.duration, n.pitch, n.velocity, n.channel, n.program, n.track }, " ")
  end
  return lines
end

local function repairs(song)
  local lines = {}
  for i, r in ipairs(song:repairs()) do
    lines[i] = ("%d%s %s"):format(r.offset, r.lossy and " lossy" or "", r.text)
  end
  return lines
end

local function body(bytes) return file(1, 96, { midi.chunk(hex(bytes)) }) end

describe("a MIDI file", function()
  it("gives notes, tempos, meters and names", function()
    local song = assert(core.parse_song(file(1, 96, {
      track { 0, meta(3, "Song"), 0, meta(0x51, hex "07A120"), 0, meta(0x58, hex "03021808"),
        192, meta(0x51, hex "0F4240"), 0, meta(0x58, hex "07031808") },
      track { 0, meta(3, "Bass"), 0, hex "C021", 0, hex "902440", 96, hex "802440",
        0, hex "902650", 48, hex "902600" },
      track { 0, hex "9924 7F", 10, hex "892400" },
    })))
    assert.equal(96, song:ppq())
    assert.same({ "0 96 36 64 1 33 2", "0 10 36 127 10 0 3", "96 48 38 80 1 33 2" }, notes(song))
    assert.same({ { tick = 0, bpm = 120.0 }, { tick = 192, bpm = 60.0 } }, song:tempos())
    assert.same({ { tick = 0, numerator = 3, denominator = 4 },
      { tick = 192, numerator = 7, denominator = 8 } }, song:meters())
    assert.same({ "Song", "Bass", "" }, song:tracks())
    assert.same({}, repairs(song))
    assert.equal(10, (song:drum_channel()))
    assert.same({ "0 10 36 127 10 0 3" }, notes(song, "drums"))
    assert.equal(2, #song:notes "others")
    assert.equal(192, song:length())
    assert.equal(1.0, song:seconds())
    assert.equal("song: 3 tracks, 3 notes, 0:01, drums on channel 10", tostring(song))
  end)

  it("pairs ends with beginnings first in, first out, by track, channel and pitch", function()
    local song = assert(core.parse_song(file(1, 96, {
      track { 0, hex "903C40", 10, hex "903C41", 10, hex "803C00", 10, hex "803C00",
        10, hex "803C00" },
      track { 0, hex "903C42", 1, hex "913C43", 99, hex "803C00", 0, hex "813E00",
        20, midi.eot },
    })))
    assert.same({ "0 20 60 64 1 0 1", "0 100 60 66 1 0 2", "1 119 60 67 2 0 2",
      "10 20 60 65 1 0 1" }, notes(song))
  end)

  it("follows programs across tracks, from their tick on", function()
    assert.same({ "0 30 60 64 1 0 1", "10 20 61 64 1 5 1", "20 10 62 64 1 5 1" },
      notes(assert(core.parse_song(file(1, 96, {
        track { 0, hex "903C40", 10, hex "903D40", 10, hex "903E40", 10, midi.eot },
        track { 10, hex "C005", 5, hex "C107" },
      })))))
  end)

  it("takes long names whole and the first of them", function()
    local long = ("x"):rep(300) .. "\xE9"
    local song = assert(core.parse_song(file(0, 96, {
      track { 0, meta(3, long), 0, meta(3, "other") } })))
    assert.same({ long }, song:tracks())
  end)

  it("lets the last tempo and meter of a tick win, and puts the defaults at 0", function()
    local song = assert(core.parse_song(file(1, 96, {
      track { 96, meta(0x51, hex "07A120"), 0, meta(0x51, hex "0F4240") },
      track { 96, meta(0x58, hex "03021808") },
    })))
    assert.same({ { tick = 0, bpm = 120.0 }, { tick = 96, bpm = 60.0 } }, song:tempos())
    assert.same({ { tick = 0, numerator = 4, denominator = 4 },
      { tick = 96, numerator = 3, denominator = 4 } }, song:meters())
  end)

  it("counts SMPTE ticks in seconds", function()
    for _, case in ipairs {
      { "E728", 1000, 60.0 }, { "E850", 1920, 60.0 }, { "E250", 2400, 60.0 },
      { "E302", 60, 60 / 1.001 },
    } do
      local song = assert(core.parse_song(file(0, hex(case[1]), {
        track { 0, meta(0x51, hex "030D40"), case[2], hex "903C40", 0, hex "803C40" },
      })))
      assert.equal(case[2], song:ppq())
      assert.same(1, #song:tempos())
      assert.near(case[3], song:tempos()[1].bpm, 1e-9)
      assert.near(case[3] == 60.0 and 1 or 1.001, song:seconds(), 1e-9)
    end
  end)

  it("of format 2 is read with one track and refused with several", function()
    local one = track { 0, hex "903C40", 9, hex "803C40" }
    assert.equal(1, #assert(core.parse_song(file(2, 96, { one }))):notes())
    assert.same({ nil, "format 2 with 2 tracks (separate songs) is not supported, at byte 8" },
      { core.parse_song(file(2, 96, { one, one })) })
  end)
end)

describe("drums", function()
  local function song(name, channel, other, options)
    return assert(core.parse_song(file(1, 96, {
      track { 0, meta(3, name), 0, string.char(0x90 + channel - 1) .. "\x24\x40", 9,
        string.char(0x80 + channel - 1) .. "\x24\x40" },
      track { 0, meta(3, "Piano"), 0, string.char(0x90 + other - 1) .. "\x3C\x40", 9,
        string.char(0x80 + other - 1) .. "\x3C\x40" },
    }), options))
  end

  it("are channel 10, else a track with a name that says so", function()
    for _, case in ipairs {
      { "Drums", 3, 1, 3, true }, { "DRUM KIT", 3, 1, 3, true }, { "Schlagzeug 2", 3, 1, 3, true },
      { "Bater\xC3\xADa", 3, 1, 3, true }, { "Steel Drums", 3, 1, nil, false },
      { "Humdrum", 3, 1, nil, false }, { "Piano", 3, 1, nil, false }, { "Drums", 3, 10, 10, false },
    } do
      local s = song(case[1], case[2], case[3])
      local channel, guessed = s:drum_channel()
      assert.same({ case[4], case[5] }, { channel, guessed }, case[1])
    end
    assert.equal("song: 2 tracks, 2 notes, 0:00, drums on channel 3 (guessed)",
      tostring(song("Drums", 3, 1)))
    assert.equal("song: 2 tracks, 2 notes, 0:00, no drums", tostring(song("Bass", 3, 1)))
  end)

  it("by name are those of that track alone where others share its channel", function()
    local s = song("Drums", 1, 1)
    assert.same({ 1, true }, { s:drum_channel() })
    assert.same({ "0 9 36 64 1 0 1" }, notes(s, "drums"))
    assert.same({ "0 9 60 64 1 0 2" }, notes(s, "others"))
  end)

  it("are where the caller says", function()
    local s = song("Drums", 3, 1, { drum_channel = 1 })
    assert.same({ 1, false }, { s:drum_channel() })
    assert.same({ "0 9 60 64 1 0 2" }, notes(s, "drums"))
  end)
end)

describe("a broken file", function()
  local eot = "00FF2F00"

  it("is repaired where it can be, and says so", function()
    local sound = track { 0, hex "903C40", 9, hex "803C40" }
    local cases = {
      { "junk before the header", "xyz" .. file(1, 96, { sound }),
        "0 junk of 3 bytes before the header skipped" },
      { "a RIFF wrapper", "RIFF" .. string.pack("<I4", 99) .. "RMIDdata" ..
        string.pack("<s4", file(1, 96, { sound })) .. "LIST\4\0\0\0abcd",
        "0 RIFF wrapper of 20 bytes before the header skipped" },
      { "a long header", (file(1, 96, { "ab", sound }):gsub("\0\0\0\6", "\0\0\0\8", 1)),
        "4 header of 8 bytes: those after the first 6 ignored" },
      { "an endless header", (file(1, 96, { sound }):gsub("\0\0\0\6", "\xFF\0\0\6", 1)),
        "4 header length 4278190086 read as 6" },
      { "a wrong count", file(1, 96, { sound }, 7), "10 7 tracks declared, 1 found" },
      { "an unknown chunk", file(1, 96, { midi.chunk("abc", "XFIH"), sound }),
        "14 unknown chunk 'XFIH' ignored" },
      { "junk between", file(1, 96, { sound, "\1\2\3", sound }),
        "34 3 bytes between chunks skipped" },
      { "trailing bytes", file(1, 96, { sound, "\0\0" }),
        "34 2 bytes after the last chunk ignored" },
      { "two tracks in format 0", file(0, 96, { sound, sound }),
        "8 format 0 with 2 tracks read as format 1" },
      { "a short length", file(1, 96, { (sound:gsub("\0\0\0\12", "\0\0\0\8", 1)) }),
        "14 track 1: 8 bytes declared, 12 found" },
      { "a short length within an event", file(1, 96, { (sound:gsub("\0\0\0\12", "\0\0\0\6", 1)),
        sound }), "14 track 1: 6 bytes declared, 12 found" },
      { "a long length", file(1, 96, { (sound:gsub("\0\0\0\12", "\0\0\1\12", 1)), sound }),
        "14 track 1: 268 bytes declared, 12 available" },
      { "a length that reaches into the next track",
        file(1, 96, { (sound:gsub("\0\0\0\12", "\0\0\0\16", 1)), sound }),
        "14 track 1: 16 bytes declared, 12 found", 2 },
      { "a length over the next track",
        file(1, 96, { (sound:gsub("\0\0\0\12", "\0\0\0\32", 1)), sound }),
        "14 track 1: 32 bytes declared, 12 found", 2 },
      { "a header length over a track",
        (file(1, 96, { sound, sound }):gsub("\0\0\0\6", "\0\0\0\10", 1)),
        "4 header length 10 read as 6", 2 },
      { "an end with data", body "00903C40 09803C40 00FF2F0155",
        "31 track 1: data in the end-of-track event ignored (count 1)" },
      { "events after the end", body("00903C40 09803C40" .. eot .. "00903C40"),
        "34 track 1: 4 bytes after the end-of-track ignored" },
      { "no end", body "00903C40 09803C40", "30 track 1: missing end-of-track added" },
      { "running status over a sysex", body("00903C40 00F0027EF7 093C00" .. eot),
        "32 track 1: running status continued after a meta or sysex event (count 1)" },
      { "a clock", body("00F8 00903C40 09803C40" .. eot),
        "23 track 1: system message, not allowed in a file, ignored (count 1)" },
      { "a meta type above 127", body("00FF8000 00903C40 09803C40" .. eot),
        "23 track 1: meta event of a type above 127 ignored (count 1)" },
    }
    for _, case in ipairs(cases) do
      local song, message = core.parse_song(case[2], { strict = true })
      assert.is_truthy(song, ("%s: %s"):format(case[1], message))
      assert.same({ case[3] }, repairs(song), case[1])
      assert.equal("0 9 60 64 1 0 1", notes(song)[1], case[1])
      if case[4] then assert.equal(case[4], #song:notes(), case[1]) end
    end
  end)

  it("that loses events is read, but not strictly", function()
    local cases = {
      { "a number of five bytes", "00903C40 8181818101 803C40" .. eot, 26,
        "track 1: a number of more than four bytes; track cut here" },
      { "F4", "00903C40 09F4" .. eot, 26,
        "track 1: undefined status byte; track cut here" },
      { "no status to run on", "003C40" .. eot, 22,
        "track 1: data byte without a status byte; track cut here" },
      { "a torn meta", "00903C40 09FF0109 41", 26,
        "track 1: the track ends within an event; track cut here" },
      { "endless time", ("FFFFFF7F903C40"):rep(2) .. eot, 29,
        "track 1: tick above 268435455; track cut here" },
      { "a data byte", "0090FF40 00903C40" .. eot, 23,
        "track 1: channel event with a data byte above 127 ignored (count 1)" },
      { "an empty tempo", "00FF5100" .. eot, 23,
        "track 1: invalid tempo event ignored (count 1)" },
      { "a tempo of nothing", "00FF5103000000" .. eot, 23,
        "track 1: invalid tempo event ignored (count 1)" },
      { "a meter of nothing", "00FF580400021808" .. eot, 23,
        "track 1: invalid time signature ignored (count 1)" },
    }
    for _, case in ipairs(cases) do
      local song = assert(core.parse_song(body(case[2])))
      assert.equal(("%d lossy %s"):format(case[3], case[4]), repairs(song)[1], case[1])
      assert.same({ nil, ("%s at byte %d"):format(case[4], case[3]) },
        { core.parse_song(body(case[2]), { strict = true }) }, case[1])
    end
  end)

  it("is refused with the reason and the byte", function()
    local sound = track { 0, hex "903C40", 9, hex "803C40" }
    local function header(h) return hex("4D546864" .. h) .. sound end
    for _, case in ipairs {
      { "", "too short for a MIDI file: ends at byte 0" },
      { "MThd\0\0\0\6\0", "too short for a MIDI file: ends at byte 9" },
      { ("x"):rep(5000) .. file(1, 96, { sound }),
        "not a MIDI file: no MThd at byte 0 or within 4096 bytes" },
      { "xxxxxxMThd\0\0\0\6\0\1", "the header is cut off at byte 16" },
      { header "00000005 0001 0001 0060", "header length 5 is below 6 at byte 4" },
      { header "00000006 0003 0001 0060", "unknown format 3 at byte 8" },
      { header "00000006 0001 0001 0000", "division 0 at byte 12" },
      { header "00000006 0001 0001 E700",
        "invalid SMPTE division (25 frames, 0 ticks) at byte 12" },
      { header "00000006 0001 0001 FF28",
        "invalid SMPTE division (1 frames, 40 ticks) at byte 12" },
      { file(1, 96, { "no tracks here" }), "no track (MTrk) at byte 14 or later" },
    } do
      assert.same({ nil, case[2] }, { core.parse_song(case[1]) })
    end
  end)

  it("is refused over the caller's limits", function()
    local sound = track { 0, hex "903C40", 9, hex "803C40" }
    local bytes = file(1, 96, { sound, sound })
    assert.is_truthy(core.parse_song(bytes, { max_bytes = #bytes, max_tracks = 2, max_events = 6 }))
    assert.same({ nil, "54 bytes, over the limit of 53 (max_bytes)" },
      { core.parse_song(bytes, { max_bytes = 53 }) })
    assert.same({ nil, "more than 1 tracks (max_tracks) at byte 34" },
      { core.parse_song(bytes, { max_tracks = 1 }) })
    assert.same({ nil, "more than 5 events (max_events) at byte 50" },
      { core.parse_song(bytes, { max_events = 5 }) })
    -- bytes behind a track are no events, however many they would be
    bytes = file(1, 96, { midi.chunk(hex "00903C40 09803C40") }) .. ("\0"):rep(512)
    assert.equal(1, #assert(core.parse_song(bytes, { max_events = 10 })):notes())
  end)

  it("is read in time that grows with its bytes", function()
    -- tempos in a late track, unended notes of one pitch, tracks by the thousand
    local tempos, opened, tracks = {}, {}, {}
    for _ = 1, 60000 do tempos[#tempos + 1] = hex "01FF5103070000" end
    for _ = 1, 200000 do opened[#opened + 1] = "\0\x90\x3C\x40" end
    for i = 1, 4000 do tracks[i] = track { 0, hex "903C40", 9, hex "803C40" } end
    local clock = os.clock()
    assert.equal(60001, #assert(core.parse_song(file(1, 96, {
      midi.chunk(table.concat(opened) .. "\9" .. midi.eot),
      midi.chunk(table.concat(tempos) .. "\0" .. midi.eot),
    }))):tempos())
    assert.equal(4000, #assert(core.parse_song(file(1, 96, tracks))):notes())
    assert.is_true(os.clock() - clock < 10)  -- minutes where it is quadratic
  end)
end)

describe("the sandbox of libsmf", function()
  it("ends the call, and not the process", function()
    local program = faulty.program("spec/support/sandbox.c", "sandbox", ("-Icsrc "
      .. "$(pkg-config --cflags smf glib-2.0) csrc/base/nd.c csrc/midi/smf_sandbox.c "
      .. "%s/libsmf/libsmf.a -lm"):format(shell.quote(shell.build)))
    local status, out, err = shell.sh(program)
    assert.equal("", err)
    assert.equal(0, status)
    assert.equal("500 refused, 6400 events\n", out)
  end)
end)

describe("inputs that crash libsmf", function()
  -- inputs of the fuzzer, too: name, outcome (notes and tracks), lossy
  local crashers = {
    A1_f7_escape = { 0, 1 }, A2_missing_eot = { 1, 1 }, A3_empty_mtrk = { 0, 2 },
    A4_rs_after_sysex = { 1, 1 }, A5_tick_overflow = { 1, 1, true }, A6_len_negative = { 0, 1 },
    A7_alien_len_overflow = { 0, 2 }, B1_truncated_track = { 1, 1, true },
    B2_truncated_meta = { 0, 1, true },
    B3_header_9 = "too short for a MIDI file: ends at byte 9",
    B4_tempo_len0 = { 0, 1, true }, B5_alien_chunk_uaf = { 0, 1 }, B6_ntrk_65535 = { 0, 1 },
    B7_huge_len_walk = { 1, 1, true }, C1_timesig_dd31 = { 0, 1, true }, C2_vlq5 = { 0, 1, true },
    D1_meta129 = { 1, 1 }, D2_rs_after_meta = { 1, 1 }, D3_data_ge80 = { 0, 1, true },
    D4_fewer_declared = { 2, 2 }, L1_smpte_leak = { 0, 1 }, S1_save_raw_f8 = { 0, 1 },
    S2_save_eot_len = { 1, 1 },
  }
  for name, want in pairs(crashers) do
    it("are harmless: " .. name, function()
      local path = "spec/fuzz/regressions/smf/" .. name .. ".mid"
      local song, message = core.load_song(path)
      if type(want) == "string" then
        assert.same({ nil, path .. ": " .. want }, { song, message })
        return
      end
      assert.is_truthy(song, message)
      local lossy = nil
      for _, r in ipairs(song:repairs()) do lossy = lossy or r.lossy or nil end
      assert.same(want, { #song:notes(), #song:tracks(), lossy })
    end)
  end

  it("print nothing, even where glib makes its log fatal", function()
    local script = temporary.name()
    local out = assert(io.open(script, "w"))
    out:write([[local core = require "neuraldrummer.core"
      for i = 1, #arg do local song = core.load_song(arg[i]) if song then song:bytes() end end]])
    out:close()
    local pipe = assert(io.popen(
      "G_DEBUG=fatal-criticals lua5.4 " .. script
      .. " spec/fuzz/regressions/smf/*.mid 2>&1; echo $?"))
    local printed = pipe:read "a"
    pipe:close()
    os.remove(script)
    assert.equal("0\n", printed)
  end)
end)

describe("the reader's face", function()
  it("refuses unknown options and wrong types by name", function()
    assert.has_error(function() core.parse_song("", { strickt = true }) end,
      "unknown option 'strickt'; did you mean 'strict'?")
    assert.has_error(function() core.parse_song("", { drum_channel = 17 }) end,
      "option 'drum_channel': 17 is not in 1..16")
    assert.has_error(function() core.parse_song(nil) end)
  end)

  it("names the file that can't be opened", function()
    assert.same({ nil, "no/such.mid: No such file or directory" }, { core.load_song "no/such.mid" })
    assert.same({ nil, "spec: is a folder" }, { core.load_song "spec" })
  end)
end)
