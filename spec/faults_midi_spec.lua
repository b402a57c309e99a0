-- MIDI files from nowhere good: each is read, mended or refused, in bounded
-- time, and what is made of it can be used.
local core = require "neuraldrummer.core"
local faulty = require "spec.support.faulty"
local midi = require "spec.support.midi"
local shell = require "spec.support.shell"

local hex <const> = midi.hex
local NOTE <const> = hex "00903C40 60803C40"

local function file(body, ppq)
  return midi.file(1, ppq or 96, { midi.chunk(body .. "\0" .. midi.eot) })
end

local tokenisers = {}
for i, options in ipairs { {}, { beat = "meter" }, { preset = "neuraldrummer2023" },
  { steps_per_beat = 12, kit = "full17", include_drums = true } } do
  tokenisers[i] = core.tokeniser(options)
end

--- All that is done with a song; the song, or nil and why not.
local function live_through(bytes, options)
  local song, message = core.parse_song(bytes, options)
  if not song then
    assert.is_string(message)
    return nil, message
  end
  assert.is_true(song:seconds() >= 0 and song:seconds() < math.huge)
  tostring(song)
  for _, name in ipairs(song:tracks()) do assert.is_string(name) end
  for _, note in ipairs(song:notes()) do
    if note.tick < 0 or note.duration < 0 or note.velocity == 0 then error "no such note" end
  end
  local why
  for _, tok in ipairs(tokenisers) do
    local seq, reason = tok:encode(song, "x")
    why = why or reason
    if seq then
      for _, x in ipairs(seq:metric "intensity") do
        if x ~= x then error "an intensity that is no number" end
      end
      local out = song:with_drums(seq)
      assert.is_truthy(core.parse_song(out:bytes(), { max_tracks = 65535 }))
      assert.is_string(seq:tokens())
    end
  end
  return song, why
end

describe("a hostile neighbour:", function()
  local function says(message, bytes, options)
    local _, got = live_through(bytes, options)
    assert.equal(message, got)
  end
  local function lossy(song)
    for _, repair in ipairs(song:repairs()) do if repair.lossy then return repair.text end end
  end

  it("a division of 0", function()
    says("division 0 at byte 12", file(NOTE, 0))
  end)

  it("a tempo of 0, none, the shortest and the longest", function()
    local song = assert(live_through(file(hex "00FF5103000000" .. NOTE)))
    assert.equal(120.0, song:tempos()[1].bpm)
    assert.matches("tempo", lossy(song))
    assert.equal(120.0, assert(live_through(file(NOTE))):tempos()[1].bpm)
    for us, bpm in pairs { ["000001"] = 60e6, FFFFFF = 60e6 / 0xFFFFFF } do
      song = assert(live_through(file(hex("00FF5103" .. us) .. NOTE)))
      assert.equal(bpm, song:tempos()[1].bpm)
    end
  end)

  it("65,535 tracks declared, and there", function()
    local one = midi.chunk("\0" .. midi.eot)
    local song = assert(live_through(midi.file(1, 96, { midi.chunk(NOTE .. "\0" .. midi.eot) },
      65535)))
    assert.equal(1, #song:tracks())
    local bytes = midi.file(1, 96, { one:rep(65535) }, 65535)
    says("more than 4096 tracks (max_tracks) at byte 49166", bytes)
    assert.equal(65535, #assert(core.parse_song(bytes, { max_tracks = 65535 })):tracks())
    says("more than 65535 tracks (max_tracks) at byte 786434", midi.file(1, 96, { one:rep(65536) },
      65535), { max_tracks = 65535 })
  end)

  it("numbers at their limit of four bytes and 28 bits", function()
    local song = assert(live_through(file(hex "80808000 903C40 81808000 803C40", 960)))
    assert.equal(1 << 21, song:notes()[1].duration)
    song = assert(live_through(file(hex "FFFFFF7F 903C40 00803C40", 32767)))
    assert.equal(0x0FFFFFFF, song:notes()[1].tick)
    assert.matches("four bytes", lossy(assert(live_through(file(hex "8080808000 903C40")))))
    -- a length of 2^28 - 1 in a file of a few bytes
    for _, event in ipairs { "00F0FFFFFF7F", "00F7FFFFFF7F", "00FF01FFFFFF7F", "00FF51FFFFFF7F" } do
      assert.matches("ends within an event",
        lossy(assert(live_through(midi.file(1, 96, { midi.chunk(NOTE .. hex(event)) })))))
    end
  end)

  it("ticks beyond 28 and 32 bits", function()
    local song = assert(live_through(file(hex("FFFFFF7F903C40"):rep(40), 32767)))
    assert.equal(1, #song:notes())
    assert.matches("tick above 268435455", lossy(song))
  end)

  it("a note that lasts for years", function()
    local bytes = file(hex "00FF5103FFFFFF 00903C40 FFFFFF7F803C40", 1)
    local song, why = live_through(bytes)
    assert.is_true(song:seconds() > 100 * 365 * 86400)
    assert.equal("x: the song is longer than 1048576 steps (max_steps)", why)
    -- 100,000 of them at once, as long as a Sequence may be
    song = assert(core.parse_song(file(hex("00903C40"):rep(100000) .. midi.vlq(262000) ..
      hex "903C00", 1)))
    assert.equal(262000, song:length())
    assert.equal(1048000, #tokenisers[1]:encode(song))
    assert.matches("max_steps", select(2, tokenisers[4]:encode(song)))
  end)

  it("10 million events", function()
    local bytes = file("\0\x90\x3C\x40" .. ("\0\x3C\x40"):rep(10000000))
    local clock = os.clock()
    says("more than 8000000 events (max_events) at byte 24000023", bytes)
    says("30000030 bytes, over the limit of 20000000 (max_bytes)", bytes, { max_bytes = 20000000 })
    assert.is_true(os.clock() - clock < 5)
  end)

  it("time signatures of every numerator and power", function()
    for _, numerator in ipairs { 0, 1, 4, 7, 255 } do
      for _, power in ipairs { 0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255 } do
        local song = assert(live_through(file("\0\xFF\x58\4" ..
          string.char(numerator, power, 24, 8) .. NOTE)))
        local meter = song:meters()[1]
        if numerator > 0 and power <= 7 then
          assert.same({ numerator, 1 << power }, { meter.numerator, meter.denominator })
        else
          assert.same({ 4, 4 }, { meter.numerator, meter.denominator })
        end
      end
    end
  end)

  it("names and texts that are not UTF-8, hold zeros, or never end", function()
    for _, name in ipairs { "\xFF\xFE\x80", "a\0b", ("\xC3"):rep(1000), ("n"):rep(1 << 20),
      "\x1B[2J", "%s%n", "" } do
      local song = assert(live_through(file("\0" .. midi.meta(3, name) .. NOTE)))
      assert.equal(name:match "^[^\0]*", song:tracks()[1])
      local again = assert(core.parse_song(song:with_drums(tokenisers[1]:encode(song)):bytes()))
      assert.equal(song:tracks()[1], again:tracks()[1])
    end
  end)

  it("running status behind sysex and meta events, and none to run on", function()
    for _, between in ipairs { "00F001F7", "00F70102", "00FF0100", "00F8", "00F101" } do
      local song = assert(live_through(file(hex("00903C40" .. between .. "603C00"))))
      assert.equal(1, #song:notes())
    end
    assert.matches("without a status", lossy(assert(live_through(file(hex "003C40")))))
  end)

  it("notes that are never released, or twice, or were never struck", function()
    local song = assert(live_through(file(hex
      "00903C40 00903C40 00903C40 60803C40 00FF0100 60FF0100")))
    assert.equal(3, #song:notes())
    assert.equal(0, #assert(core.parse_song(file(hex "00803C40 00903C00"))):notes())
    local all = {}
    for channel = 0, 15 do
      for pitch = 0, 127 do all[#all + 1] = string.char(0, 0x90 + channel, pitch, 1) end
    end
    song = assert(live_through(file(table.concat(all) .. "\x60\xFF\1\0")))
    assert.equal(2048, #song:notes())
    for _, note in ipairs(song:notes()) do assert.equal(96, note.duration) end
  end)

  it("data bytes above 127, everywhere", function()
    for status = 0x80, 0xFF do
      for _, data in ipairs { "\x80\x80", "\xFF\xFF", "\x3C\xFF", "\xFF\x3C", "\x7F\x80" } do
        live_through(file(NOTE .. "\0" .. string.char(status) .. data .. NOTE))
      end
    end
  end)

  it("any three bytes as an event", function()
    local tried = 0
    for a = 0, 255, 3 do
      for b = 0, 255, 15 do
        for _, c in ipairs { 0, 1, 0x2F, 0x7F, 0x80, 0xFF } do
          local song = core.parse_song(file(string.char(0, a, b, c) .. NOTE))
          assert.is_truthy(song)
          song:close()
          tried = tried + 1
        end
      end
    end
    assert.is_true(tried > 8000)
  end)
end)

describe("a path that is no MIDI file:", function()
  local folder
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  it("a folder, a FIFO, a device, a socket, nothing, and what may not be read", function()
    shell.sh(("mkfifo %s/fifo.mid; ln -s loop.mid %s/loop.mid"):format(folder, folder))
    local bound = shell.sh(([[cd %s && perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) &&
      bind(S, sockaddr_un("socket.mid")) or exit 1']]):format(folder))
    local socket = folder .. "/socket.mid"
    for name, message in pairs {
      [bound == 0 and socket or folder] = bound == 0 and "No such device or address"
        or "is a folder",
      [folder] = "is a folder", ["/dev/zero"] = "is not a regular file",
      [folder .. "/fifo.mid"] = "is not a regular file",
      [folder .. "/none.mid"] = "No such file or directory",
      [folder .. "/loop.mid"] = "Too many levels of symbolic links",
      [folder .. "/" .. ("n"):rep(300)] = "File name too long",
    } do
      assert.same({ nil, name .. ": " .. message }, { core.load_song(name) })
      assert.same({ nil, name .. ": " .. message }, { core.open_corpus(name) })
      assert.same({ nil, name .. ": " .. message }, { core.load_model(name) })
    end
    local empty = shell.write(folder .. "/empty.mid", "")
    assert.same({ nil, empty .. ": too short for a MIDI file: ends at byte 0" },
      { core.load_song(empty) })
    -- root may read all: the system call is told to refuse
    local script = shell.write(folder .. "/shut.lua", [[
      local faults = require "faults"
      local core = require "neuraldrummer.core"
      for _, load in ipairs { core.load_song, core.open_corpus, core.load_model } do
        faults.disk(1, false, 13)
        local ok, message = load(arg[1])
        faults.stop()
        print(ok, message)
      end]])
    local _, out = shell.sh(("env LD_PRELOAD=%s %s lua5.4 %s %s"):format(
      shell.quote((os.getenv "LD_PRELOAD" or "") .. " " .. faulty.library()), faulty.paths(),
      script, empty))
    assert.equal(("nil\t%s: Permission denied\n"):format(empty):rep(3), out)
  end)

  it("a file larger than the limit is not read", function()
    local path = folder .. "/huge.mid"
    shell.sh("truncate -s 300M " .. path)
    local before = shell.bytes_read()
    assert.same({ nil, path .. ": 314572800 bytes, over the limit of 268435456 (max_bytes)" },
      { core.load_song(path) })
    assert.is_true(shell.bytes_read() - before < 4 << 20)
    assert.same({ nil, path .. ": 314572800 bytes, over the limit of 5 (max_bytes)" },
      { core.load_song(path, { max_bytes = 5 }) })
  end)

  it("folders full of them are gone through, and each is named with its reason", function()
    local songs = folder .. "/songs"
    shell.sh(("mkdir -p %s/folder.mid; mkfifo %s/fifo.mid; ln -s nowhere %s/gone.mid")
      :format(songs, songs, songs))
    shell.write(songs .. "/empty.mid", "")
    shell.write(songs .. "/zeros.mid", ("\0"):rep(5000))
    shell.write(songs .. "/zero.mid", file(NOTE, 0))
    shell.sh(("truncate -s 300M %s/huge.mid"):format(songs))
    for i = 1, 40 do
      local body = {}
      for j = 1, i * 20 do body[j] = string.char((i * j * 7919) % 256) end
      shell.write(("%s/%d.mid"):format(songs, i), file(table.concat(body)))
    end
    local status, _, err = shell.sh(("timeout 60 %s preprocess %s -o %s/x.ndc --list-skipped")
      :format(shell.quote(shell.tool), songs, folder))
    assert.equal(1, status)
    assert.matches("no usable song in 44 files", err)
    assert.is_false(shell.exists(folder .. "/x.ndc"))
  end)
end)
