-- The songs of our own: what they must be to be a listener's first impression,
-- and a training corpus. Read by a reader of its own, so that nothing of the
-- product is needed.
local temporary = require "spec.support.temporary"
local all = dofile "examples/songs/all.lua"
local score = dofile "examples/songs/score.lua"

-- A MIDI file as {format, ppq, tracks = {{name, notes, metas, stop}}}; strict.
local function read(bytes)
  local format, count, ppq, at = select(3, string.unpack(">c4I4I2I2I2", bytes))
  local file = { format = format, ppq = ppq, tracks = {} }
  for i = 1, count do
    local id, data
    id, data, at = string.unpack(">c4s4", bytes, at)
    assert(id == "MTrk")
    local track, sounding, tick, p = { notes = {}, metas = {} }, {}, 0, 1
    local function variable()
      local value = 0
      repeat
        local byte = data:byte(p)
        p, value = p + 1, value << 7 | byte & 0x7F
      until byte < 0x80
      return value
    end
    while p <= #data do
      tick = tick + variable()
      local status = data:byte(p)
      p = p + 1
      if status == 0xFF then
        local kind = data:byte(p)
        p = p + 1
        local size = variable()
        local text = data:sub(p, p + size - 1)
        p = p + size
        track.metas[#track.metas + 1] = { tick = tick, kind = kind, data = text }
        if kind == 3 then track.name = text end
        if kind == 0x2F then track.stop = tick end
      else
        local high, key, value = status & 0xF0, data:byte(p, p + 1)
        p = p + (high == 0xC0 and 1 or 2)
        if high == 0x90 then
          assert(not sounding[key], "a key is struck while it sounds")
          local note = { tick = tick, key = key, velocity = value, channel = status & 15 }
          sounding[key] = note
          table.insert(track.notes, note)
        elseif high == 0x80 then
          assert(sounding[key]).duration = tick - sounding[key].tick
          sounding[key] = nil
        end
      end
    end
    assert(not next(sounding), "a note does not end")
    file.tracks[i] = track
  end
  assert(at == #bytes + 1)
  return file
end

local function metas(file, kind)
  local list = {}
  for _, meta in ipairs(file.tracks[1].metas) do
    if meta.kind == kind then list[#list + 1] = meta end
  end
  return list
end

local function seconds(file)
  local sum, tick, micros = 0, 0, 500000
  local function pass(to)
    sum = sum + (to - tick) / file.ppq * micros / 1e6
    tick = to
  end
  for _, tempo in ipairs(metas(file, 0x51)) do
    pass(tempo.tick)
    micros = string.unpack(">I3", tempo.data)
  end
  pass(file.tracks[1].stop)
  return sum
end

local function meters(file)
  local list = {}
  for i, meta in ipairs(metas(file, 0x58)) do
    list[i] = ("%d/%d"):format(meta.data:byte(1), 1 << meta.data:byte(2))
  end
  return table.concat(list, " ")
end

describe("songs", function()
  it("are nine, in many meters", function()
    local found = {}
    for _, name in ipairs(all.names) do found[name] = meters(read(all.load(name):bytes())) end
    assert.same({ ballad = "4/4", five = "5/4", funk = "4/4", journey = "4/4 2/4 4/4 3/4 4/4",
      rock = "4/4", seven = "7/8", shuffle = "4/4", tide = "12/8", waltz = "3/4" }, found)
  end)

  for _, name in ipairs(all.names) do
    describe(name, function()
      local song = all.load(name)
      local file = read(song:bytes())

      it("lasts between one and two and a half minutes, in sections", function()
        local length = seconds(file)
        assert.is_true(length > 60 and length < 150, ("%.1f seconds"):format(length))
        assert.is_true(#metas(file, 6) >= 5)
        assert.equal(1, file.format)
      end)

      it("has bass, chords, a melody and drums, all with dynamics", function()
        assert.is_true(#file.tracks >= 5)
        for i = 2, #file.tracks do
          local track, soft, loud = file.tracks[i], 127, 1
          assert.is_true(#track.notes > 60, track.name)
          for _, note in ipairs(track.notes) do
            soft, loud = math.min(soft, note.velocity), math.max(loud, note.velocity)
            assert.is_true(note.duration > 0)
            assert.equal(track.name == "Drums" and 9 or i - 2, note.channel)
          end
          assert.is_true(loud - soft >= 20, track.name .. ": no dynamics")
        end
        assert.equal("Drums", file.tracks[#file.tracks].name)
      end)

      it("drums from a kit, with fills and crashes", function()
        local counts = {}
        for _, note in ipairs(file.tracks[#file.tracks].notes) do
          counts[note.key] = (counts[note.key] or 0) + 1
        end
        assert.is_true((counts[36] or 0) >= 60)
        assert.is_true((counts[38] or 0) + (counts[37] or 0) >= 60)
        assert.is_true((counts[49] or 0) + (counts[57] or 0) >= 2)
      end)

      it("leaves its drums out, and nothing else", function()
        local bare = read(song:bytes { drums = false })
        assert.equal(#file.tracks - 1, #bare.tracks)
        for i, track in ipairs(bare.tracks) do assert.same(file.tracks[i], track) end
      end)

      it("is the same bytes each time", function()
        assert.equal(song:bytes(), all.load(name):bytes())
      end)
    end)
  end

  it("are written from the command line", function()
    local path, bare = temporary.name(), temporary.name()
    assert.is_true(os.execute("lua5.4 examples/songs/rock.lua " .. path))
    assert.is_true(os.execute("lua5.4 examples/songs/rock.lua --no-drums " .. bare))
    local function content(name)
      local handle <close> = assert(io.open(name, "rb"))
      return handle:read "a"
    end
    assert.equal(all.load "rock":bytes(), content(path))
    assert.equal(all.load "rock":bytes { drums = false }, content(bare))
    os.remove(path)
    os.remove(bare)
    local _, _, status = os.execute "lua5.4 examples/songs/rock.lua 2>/dev/null"
    assert.equal(2, status)
  end)
end)

describe("score", function()
  local function song(swing)
    return score.song { title = "t", tempo = 120, swing = swing,
      parts = { { "Line" }, { "Chords", kind = "chords", low = 60 },
        { "Bass", kind = "bass", low = 28 }, { "Drums", kind = "drums" } } }
  end
  local function keys(part)
    local list = {}
    for i, note in ipairs(part.notes) do list[i] = note.key end
    return list
  end

  it("refuses a bar that isn't full", function()
    assert.error_matches(function()
      song():section("A", { bars = 2, Line = "c4:4 d4 e4 | f4:1 |" })
    end, "t, A, Line: bar 1 has 3 beats")
    assert.error_matches(function()
      song():section("A", { bars = 2, Line = "c4:1 |" })
    end, "4 beats written, 8 wanted")
  end)

  it("reads pitches, lengths, ties and triplets", function()
    local s = song():section("A", { bars = 1, Line = "bb3:8t c#5 d4 e4:4. r:8 c4,e4,g4:8+8 |" })
    assert.same({ 58, 73, 62, 64, 60, 64, 67 }, keys(s.parts[1]))
    local ticks = {}
    for i, note in ipairs(s.parts[1].notes) do ticks[i] = (note.tick + 40) // 80 * 80 end
    assert.same({ 0, 160, 320, 480, 1440, 1440, 1440 }, ticks)
  end)

  it("voices chords within an octave and walks a bass over them", function()
    local s = song():section("A", { chords = "C | F/A", Chords = { "x-------" },
      Bass = { "1 3 5 a" } })
    assert.same({ 60, 64, 67, 60, 65, 69 }, keys(s.parts[2]))
    assert.same({ 36, 40, 43, 32, 33, 33, 36, 35 }, keys(s.parts[3]))
  end)

  it("swings eighths and leaves triplets", function()
    local s = song(2 / 3):section("A", { bars = 1, Line = "c4:16 c4 d4:8 e4:8t f4 g4 r:2 |" })
    local ticks = {}
    for i, note in ipairs(s.parts[1].notes) do ticks[i] = (note.tick + 40) // 80 * 80 end
    assert.same({ 0, 160, 320, 480, 640, 800 }, ticks)
  end)

  it("puts the fill into the last bar and the crash into the first", function()
    local s = song():section("A", { bars = 2,
      Drums = { { hat = "x.x." }, fill = { snare = "xxxx" }, crash = true } })
    assert.same({ 38, 38, 38, 38, 42, 49 }, keys(s.parts[4]))
  end)
end)
