-- Drums put into a song: everything else stays byte for byte.
local core = require "neuraldrummer.core"
local midi = require "spec.support.midi"

local hex, track, file, meta = midi.hex, midi.track, midi.file, midi.meta

local tok = core.tokeniser {}

--- A Sequence of the song with a kick on each of the first `n` beats.
local function kicks(song, n)
  local seq, hits = assert(tok:encode(song)), {}
  for step = 1, #seq do
    hits[step] = { kick = (step - 1) % 4 == 0 and step <= 4 * n and 0.5 or nil }
  end
  return seq:with_hits(hits)
end

local function with(bytes, options, parse_options, n)
  local song = assert(core.parse_song(bytes, parse_options))
  return song:with_drums(kicks(song, n or 1), options), song
end

--- The events of a chunk's body, one a line: absolute tick, then hex bytes
--- with the status written out.
local function events(body)
  local lines, at, tick, running = {}, 1, 0, nil
  local function vlq()
    local n, byte = 0
    repeat
      byte = body:byte(at)
      at, n = at + 1, n << 7 | byte & 0x7F
    until byte < 0x80
    return n
  end
  while at <= #body do
    tick = tick + vlq()
    local status = body:byte(at)
    if status >= 0x80 then at = at + 1 else status = assert(running, "no status to run on") end
    local start = at
    if status >= 0xF0 then
      if status == 0xFF then at = at + 1 end
      local length = vlq()
      at, running = at + length, nil  -- as strict readers have it
    else
      at, running = at + ((status & 0xE0 == 0xC0) and 1 or 2), status
    end
    lines[#lines + 1] = ("%d %02X"):format(tick, status) ..
      body:sub(start, at - 1):gsub(".", function(c) return ("%02X"):format(c:byte()) end)
  end
  return lines
end

local our_kick = { "0 FF0305" .. "4472756D73", "0 992440", "12 892440", "96 FF2F00" }

local function bodies(song)
  local list, tail = midi.chunks(song:bytes())
  for i, chunk in ipairs(list) do
    if i > 1 and chunk.id == "MTrk" then chunk.events = events(chunk.body) end
  end
  return list, tail
end

describe("drums put into a file", function()
  local conductor = track { 0, meta(3, "Song"), 0, meta(0x51, hex "07A120"), 96, midi.eot }
  -- running status, a delta longer than it need be, sysex, a long text
  local piano = midi.chunk("\x80\x00" .. hex "913C40 103C00 00F0037E01F7" .. "\0" ..
    meta(1, ("t"):rep(200)) .. hex "00913E40 203E00 00FF2F00")

  it("leave other tracks, unknown chunks and trailing bytes as they were", function()
    local out = with(file(1, 96, {
      conductor, piano, midi.chunk("whatever", "XFIH"),
      track { 0, hex "C900", 0, hex "992640", 24, hex "892640" }, midi.chunk("more", "XFKM"),
      "\1\2\3",
    }))
    local chunks, tail = bodies(out)
    assert.equal("\0\1\0\4\0\x60", chunks[1].body)
    assert.equal(conductor, midi.chunk(chunks[2].body))
    assert.equal(piano, midi.chunk(chunks[3].body))
    assert.equal("XFIHwhatever", chunks[4].id .. chunks[4].body)
    assert.same({ "0 C900", "24 FF2F00" }, chunks[5].events)
    assert.same(our_kick, chunks[6].events)
    assert.equal("XFKMmore", chunks[7].id .. chunks[7].body)
    assert.equal("\1\2\3", tail)
    assert.same({ "Song", "", "", "Drums" }, out:tracks())
  end)

  it("take the place of notes only, with the delta times joined", function()
    local out = with(file(1, 96, {
      conductor,
      track { 10, hex "992640", 5, hex "B90740", 5, hex "2600", 1, hex "0A40",
        100, hex "892600", 28, midi.eot },
    }))
    -- B9 runs on from 5 on: those two are controllers, no ends of notes
    assert.same({ "15 B90740", "20 B92600", "21 B90A40", "149 FF2F00" }, bodies(out)[3].events)
    assert.equal(149, out:length())
  end)

  it("write a status where the one it ran on went, or ran over a meta", function()
    local out = with(file(1, 96, { conductor, midi.chunk(hex [[
      00 99 26 40  08 26 00  00 90 3C 40  08 FF 01 01 41  00 3C 00  00 B9 07 40
      00 99 26 40  01 F0 01 F7  01 26 90  00 98 81 40  02 24 83  00 FF 2F 00]]) }))
    assert.equal(hex [[
      08 90 3C 40  08 FF 01 01 41  00 90 3C 00  00 B9 07 40
      01 F0 01 F7  01 98 81 40  02 24 83  00 FF 2F 00]], midi.chunks(out:bytes())[3].body)
  end)

  it("make format 1 of format 0, with the same events", function()
    local out = with(file(0, 96, {
      track { 0, meta(3, "All"), 0, hex "903C40", 0, hex "992640", 9, hex "3C00" .. "\3" ..
        hex "892600", 20, hex "803C00", 64, midi.eot },
    }))
    local chunks = bodies(out)
    assert.equal("\0\1\0\2\0\x60", chunks[1].body)
    assert.same({ "0 FF0303416C6C", "0 903C40", "32 803C00", "96 FF2F00" }, chunks[2].events)
    assert.same(our_kick, chunks[3].events)
  end)

  it("drop a track of which nothing but its name is left, but not the first", function()
    local named = track { 0, meta(3, "Old drums"), 0, hex "992640", 9, hex "892640" }
    assert.same({ "Song", "Drums" }, with(file(1, 96, { conductor, named })):tracks())
    assert.same({ "Old drums", "Drums" }, with(file(1, 96, { named })):tracks())
    -- a track that never had drums stays, name or not
    local empty = track { 0, meta(3, "Empty") }
    local out = with(file(1, 96, { conductor, named, empty, piano }))
    assert.same({ "Song", "Empty", "", "Drums" }, out:tracks())
    assert.same({ 3, 3, 4 }, { out:notes()[1].track, out:notes()[3].track, out:notes()[2].track })
  end)

  it("keep the old ones too where asked", function()
    local old = track { 0, hex "992640", 9, hex "892640" }
    local out = with(file(1, 96, { conductor, old }), { keep_drums = true })
    assert.equal(old, midi.chunk(midi.chunks(out:bytes())[3].body))
    assert.equal(2, #out:notes "drums")
  end)

  it("stand alone where asked, in the song's tempos and meters", function()
    local out = with(file(1, 96, {
      conductor, track { 0, meta(0x58, hex "03021808"), 48, meta(0x51, hex "0F4240") }, piano,
    }), { drums_alone = true, track_name = "Beat" })
    local chunks = bodies(out)
    assert.same({ "0 FF580403021808", "0 FF510307A120", "48 FF51030F4240", "96 FF2F00" },
      chunks[2].events)
    assert.equal("Beat", chunks[3].body:sub(5, 8))
    assert.equal(3, #chunks)
    assert.equal(1, #out:notes())
  end)

  it("take length and velocity as asked", function()
    local out = with(file(1, 96, { conductor, piano }), { length = 1, velocity = 1.5 })
    assert.same({ "0 992460", "24 892440" }, { table.unpack(bodies(out)[4].events, 2, 3) })
    out = with(file(1, 96, { conductor, piano }), { velocity = 100 })
    assert.equal(127, out:notes "drums"[1].velocity)
  end)

  it("rest behind the song as long as asked", function()
    local plain, song = with(file(1, 96, { conductor, piano }))
    local out = with(file(1, 96, { conductor, piano }), { tail = 4 })
    assert.equal(song:length(), plain:length())
    assert.equal(song:length() + 4 * 96, out:length())
    assert.equal(("%d FF2F00"):format(out:length()), bodies(out)[4].events[#bodies(out)[4].events])
  end)

  it("go to the song's own drum channel, unless it was guessed and is shared", function()
    local drums = track { 0, meta(3, "Drums"), 0, hex "922640", 9, hex "822640" }
    local other = track { 0, hex "923C40", 9, hex "823C40" }
    local out = with(file(1, 96, { conductor, drums, piano }))
    assert.same({ "Song", "", "Drums" }, out:tracks())
    assert.equal(3, (out:drum_channel()))
    assert.equal("0 922440", bodies(out)[4].events[2])
    out = with(file(1, 96, { conductor, drums, other }))
    assert.same({ "Song", "", "Drums" }, out:tracks())
    assert.equal(other, midi.chunk(midi.chunks(out:bytes())[3].body))
    assert.equal(10, (out:drum_channel()))
    assert.equal("0 992440", bodies(out)[4].events[2])
  end)

  it("that are none leave it to the names which of the others are drums", function()
    local drums = track { 0, meta(3, "Drums"), 0, hex "902640", 9, hex "802640" }
    local bass = track { 0, meta(3, "Bass"), 0, hex "902440", 9, hex "802440" }
    for _, options in ipairs { {}, { keep_drums = true } } do
      local out, song = with(file(1, 96, { bass, drums }), options, nil, 0)
      assert.equal(1, #song:notes "others")
      local again = assert(core.parse_song(out:bytes()))
      for _, which in ipairs { "drums", "others" } do
        assert.same(again:notes(which), out:notes(which))
      end
      assert.equal(1, #out:notes "others")
      assert.equal(1, #out:with_drums(kicks(out, 1)):notes "others")
    end
  end)

  it("end where time does", function()
    local last <const> = 0x0FFFFFFF
    local long = track { 0, hex "903C40", last, hex "803C40" }
    local song = assert(core.parse_song(file(1, 32767, { long })))
    local seq, hits = assert(tok:encode(song)), {}
    for step = 1, #seq do hits[step] = {} end
    hits[#seq].kick = 0.5
    local out = song:with_drums(seq:with_hits(hits), { tail = 64 })
    assert.equal(last, out:length())
    local again = assert(core.parse_song(out:bytes(), { strict = true }))
    assert.same({}, again:repairs())
    assert.equal(last, again:length())
    assert.equal(1, #again:notes "drums")
  end)

  it("write repaired what had to be repaired", function()
    local out = with("junk" .. file(1, 96, {
      conductor, "more junk", midi.chunk(hex "00903C40 09803C00"),          -- no end
      midi.chunk(hex "00903E40 09803E00 01F4"), "MTrk\0\0\1\0" .. hex "00904040",  -- cut, torn
    }, 9))
    local chunks = bodies(out)
    assert.equal("\0\1\0\5\0\x60", chunks[1].body)
    assert.same({ "0 903C40", "9 803C00", "9 FF2F00" }, chunks[3].events)
    assert.same({ "0 903E40", "9 803E00", "9 FF2F00" }, chunks[4].events)
    assert.same({ "0 904040", "0 FF2F00" }, chunks[5].events)
    assert.same({}, assert(core.parse_song(out:bytes(), { strict = true })):repairs())
    -- a length too long is put right, and what it covered is as it was
    out = with(file(1, 96, { (conductor:gsub("\0\0\0\19", "\0\0\0\23", 1)), piano }))
    assert.equal(conductor, midi.chunk(midi.chunks(out:bytes())[2].body))
    assert.equal(piano, midi.chunk(midi.chunks(out:bytes())[3].body))
  end)

  it("keep a long header and a SMPTE division", function()
    local bytes = file(0, hex "E728", { "ab", piano }):gsub("\0\0\0\6", "\0\0\0\8", 1)
    local out = with(bytes)
    assert.equal("\0\1\0\2\xE7\x28ab", midi.chunks(out:bytes())[1].body)
    assert.equal("0 992440", bodies(out)[3].events[2])
    out = with(bytes, { drums_alone = true })
    assert.equal("\0\1\0\2\xE7\x28", midi.chunks(out:bytes())[1].body)
    assert.same({ "0 FF580404021808" }, { bodies(out)[2].events[1] })
  end)

  it("make a song that is what a reader finds in its bytes", function()
    local out = with(file(1, 96, {
      conductor, track { 0, meta(3, "Old"), 0, hex "992640", 9, hex "892640" }, piano,
    }), nil, nil, 3)
    local again = assert(core.parse_song(out:bytes(), { strict = true }))
    assert.same(again:notes(), out:notes())
    assert.same(again:tracks(), out:tracks())
    assert.same(again:tempos(), out:tempos())
    assert.same({ 10, false }, { out:drum_channel() })
    assert.equal(again:length(), out:length())
    -- and once more, on what came out
    local twice = out:with_drums(kicks(out, 3))
    assert.equal(out:bytes(), twice:bytes())
  end)
end)

describe("drums put into a host's song", function()
  local host = core.song {
    ppq = 96, name = "Host",
    notes = {
      { tick = 0, duration = 96, pitch = 60, velocity = 80, program = 5 },
      { tick = 0, duration = 9, pitch = 38, velocity = 80, channel = 10, track = 2 },
    },
  }

  it("are written with the rest afresh", function()
    local out = host:with_drums(kicks(host, 1))
    local chunks = bodies(out)
    assert.same({ "0 FF0304486F7374", "0 FF580404021808", "0 FF510307A120", "96 FF2F00" },
      chunks[2].events)
    assert.same({ "0 C005", "0 903C50", "96 803C40", "96 FF2F00" }, chunks[3].events)
    assert.same(our_kick, chunks[4].events)
    assert.equal(4, #chunks)
    assert.same(assert(core.parse_song(out:bytes())):notes(), out:notes())
    assert.equal(3, #host:with_drums(kicks(host, 1), { keep_drums = true }):notes())
  end)
end)

describe("with_drums", function()
  it("refuses a Sequence on another grid, unknown options, and closed ones", function()
    local function song(ppq)
      local note = { tick = 0, duration = 9, pitch = 1, velocity = 1 }
      return core.song { ppq = ppq, notes = { note } }
    end
    local seq = assert(tok:encode(song(96)))
    assert.has_error(function() song(480):with_drums(seq) end,
      "the drums have 96 ticks a beat, the song 480")
    assert.has_error(function() song(96):with_drums(seq, { keep_drum = true }) end,
      "unknown option 'keep_drum'; did you mean 'keep_drums'?")
    seq:close()
    assert.has_error(function() song(96):with_drums(seq) end)
  end)
end)
