-- Corpora: what goes in comes out, and nothing hostile gets by.
local core = require "neuraldrummer.core"
local made = require "spec.support.made_songs"
local temporary = require "spec.support.temporary"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

-- In place with `keep`; else a new file, which is quicker.
local function write(path, bytes, keep)
  if not keep then os.remove(path) end
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

local function assert_same(a, b)
  assert.are.equal(#a, #b)
  assert.are.equal(a:name(), b:name())
  assert.are.equal(a:tokens(), b:tokens())
  assert.are.equal(a:packed_hits(), b:packed_hits())
  assert.are.same(a:bars(), b:bars())
  assert.are.same(a:settings(), b:settings())
  for name in pairs(a:metrics(1)) do assert.are.same(a:metric(name), b:metric(name)) end
end

--- CRC-32, to make hostile files that carry the right one.
local function crc32(bytes)
  local x = 0xFFFFFFFF
  for i = 1, #bytes do
    x = x ~ bytes:byte(i)
    for _ = 1, 8 do x = x >> 1 ~ (x & 1) * 0xEDB88320 end
  end
  return x ~ 0xFFFFFFFF
end

describe("corpus", function()
  local path = temporary.name()
  local function fresh(tok, sequences, splits)
    local writer = assert(core.create_corpus(path, tok))
    for i, seq in ipairs(sequences) do assert.is_true(writer:add(seq, splits and splits[i])) end
    assert.is_true(writer:finish())
  end
  after_each(function() os.remove(path) end)

  local kit = { name = "duo", { name = "boom", pitches = { 36 } },
    { name = "tick", pitches = { 42 } } }
  for name, options in pairs {
    drummer = {}, original = { preset = "neuraldrummer2023" }, triplets = { steps_per_beat = 6 },
    beats = { beat = "meter", steps_per_beat = 2 }, user = { kit = kit, include_drums = true },
  } do
    it("gives back what it was given: " .. name, function()
      local tok, sequences, splits = core.tokeniser(options), {}, {}
      for i, song in ipairs(made.songs) do
        sequences[i] = assert(tok:encode(core.song(made.spec(i)), song.name))
        splits[i] = i % 3 == 0 and "valid" or "train"
      end
      sequences[#sequences + 1] = sequences[1]:with_hits(sequences[1]:packed_hits())
      sequences[#sequences + 1] = assert(tok:parse "42,36,i0.5,-1,99,i-0.5,-1,i-0.5,-1")
      fresh(tok, sequences, splits)
      local corpus = assert(core.open_corpus(path))
      assert.are.equal(#sequences, #corpus)
      assert.are.equal(tok, corpus:tokeniser())
      assert.are.same(tok:settings(), corpus:settings())
      for i, seq in ipairs(sequences) do
        assert_same(seq, assert(corpus:song(i)))
        assert.are.same({ name = seq:name(), steps = #seq, split = splits[i] or "train" },
          corpus:info(i))
      end
      assert.is_truthy(tostring(corpus):find("corpus: 14 songs, %d+ steps, " .. tok:settings().kit))
    end)
  end

  it("may be empty", function()
    fresh(core.tokeniser(), {})
    assert.are.equal(0, #assert(core.open_corpus(path)))
  end)

  it("appears only when it is whole", function()
    local tok = core.tokeniser()
    local seq = assert(tok:encode(core.song(made.spec(1))))
    write(path, "old")
    local writer = assert(core.create_corpus(path, tok))
    writer:add(seq)
    assert.are.equal("old", read(path))
    local second, why = core.create_corpus(path, tok)
    assert.is_nil(second)
    assert.are.equal(path .. ": is being written by another writer", why)
    writer:close()
    writer:close()
    assert.are.equal("old", read(path))
    assert.are.equal("corpus writer (closed)", tostring(writer))
    assert.has_error(function() writer:add(seq) end)
    do
      local left <close> = assert(core.create_corpus(path, tok))
      left:add(seq)
    end
    local list = assert(io.popen("ls " .. path .. "*"))
    assert.are.equal(path .. "\n", list:read "a")  -- no temporary file is left
    list:close()
    fresh(tok, { seq })
    assert.are.equal(1, #assert(core.open_corpus(path)))
  end)

  it("refuses sequences of other settings", function()
    local writer <close> = assert(core.create_corpus(path, core.tokeniser()))
    local seq = assert(core.tokeniser({ steps_per_beat = 8 }):encode(core.song(made.spec(1))))
    local ok, why = pcall(writer.add, writer, seq)
    assert.is_false(ok)
    assert.is_truthy(why:find("the sequence has other tokeniser settings than the corpus", 1, true))
    assert.has_error(function() writer:add(seq, "test") end)
  end)

  it("says why it cannot be written or read", function()
    local nowhere = path .. "/no/where.ndc"
    local writer, why = core.create_corpus(nowhere, core.tokeniser())
    assert.is_nil(writer)
    assert.is_truthy(why:find(nowhere .. ": ", 1, true))
    local corpus
    corpus, why = core.open_corpus(nowhere)
    assert.is_nil(corpus)
    assert.is_truthy(why:find(nowhere .. ": ", 1, true))
    corpus, why = core.open_corpus "/"
    assert.is_nil(corpus)
    assert.are.equal("/: is a folder", why)
    write(path, "")
    corpus, why = core.open_corpus(path)
    assert.is_nil(corpus)
    assert.are.equal(path .. ": neither a corpus nor token text: the file has no songs", why)
  end)

  it("is closed once and for all", function()
    fresh(core.tokeniser(), {})
    local corpus = assert(core.open_corpus(path))
    assert.has_error(function() corpus:song(1) end)
    corpus:close()
    corpus:close()
    assert.are.equal("corpus (closed)", tostring(corpus))
    assert.has_error(function() return #corpus end)
  end)

  it("reads token text", function()
    write(path, "42,36,i0.5,-1,i-0.5,-1,i-0.5,-1\n\n \r\n38,i1.0,-1,i1.0,-1\r\n36,-1")
    local corpus = assert(core.open_corpus(path))
    assert.are.equal(3, #corpus)
    assert.is_true(corpus:settings().original)
    assert.are.same({ name = "line 1", steps = 3, split = "train" }, corpus:info(1))
    assert.are.same({ name = "line 4", steps = 2, split = "train" }, corpus:info(2))
    assert.are.same({ name = "line 5", steps = 1, split = "train" }, corpus:info(3))
    local song = assert(corpus:song(1))
    assert.are.equal("line 1", song:name())
    assert.are.equal("42,36,i0.5,-1,i-0.5,-1,i-0.5,-1", song:tokens())
    assert.are.equal("38,i1.0,-1,i1.0,-1", assert(corpus:song(2)):tokens())
    local tok = core.tokeniser { steps_per_beat = 8 }
    corpus = assert(core.open_corpus(path, tok))
    assert.are.equal(tok, corpus:tokeniser())

    write(path, "36,-1\n\n36,hat,-1\n")
    local why
    corpus, why = core.open_corpus(path)
    assert.is_nil(corpus)
    assert.are.equal(path .. ": line 3: column 4: expected a pitch 0..127, an intensity (i0.5) "
      .. "or -1", why)
  end)

  -- A small corpus of three songs, two grids, and its bytes.
  local function small()
    local tok = core.tokeniser { kit = kit, beat = "meter", steps_per_beat = 2 }
    local function song(meters)
      return core.song { ppq = 96, meters = meters, notes = {
        { tick = 0, duration = 96, pitch = 60, velocity = 80 },
        { tick = 0, duration = 9, pitch = 36, velocity = 80, channel = 10 },
        { tick = 50, duration = 9, pitch = 42, velocity = 70, channel = 10 } } }
    end
    local sequences = {
      assert(tok:encode(song { { tick = 0, numerator = 2, denominator = 4 } }, "a")),
      assert(tok:encode(song { { tick = 0, numerator = 4, denominator = 4 },
        { tick = 70, numerator = 1, denominator = 4 } }, "b")),
      assert(tok:parse "42,i0.5,-1,36,i0.5,-1"),
    }
    fresh(tok, sequences)
    return read(path), sequences
  end

  --- Opens the bytes and reads all songs; the first message, or nil.
  local function try(bytes)
    write(path, bytes)
    local corpus, why = core.open_corpus(path)
    if not corpus then return why end
    local songs = {}
    for i = 1, #corpus do
      songs[i], why = corpus:song(i)
      if not songs[i] then return why end
    end
    return nil, songs
  end

  it("refuses every damaged byte", function()
    local bytes, sequences = small()
    local why, songs = try(bytes)
    assert.is_nil(why)
    for i, seq in ipairs(sequences) do assert_same(seq, songs[i]) end
    for at = 1, #bytes do
      for _, flip in ipairs { 1, 128, 255 } do
        local damaged = bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ flip)
          .. bytes:sub(at + 1)
        why = try(damaged)
        assert.are.equal("string", type(why), "byte " .. at)
        assert.are.equal(path, why:sub(1, #path))
      end
    end
  end)

  it("refuses every cut, and what is added", function()
    local bytes = small()
    for length = 0, #bytes - 1 do
      assert.are.equal("string", type(try(bytes:sub(1, length))), "length " .. length)
    end
    local why = try(bytes .. "\0")
    assert.are.equal(("%s: the file is incomplete: it has %d bytes and should have %d"):format(path,
      #bytes + 1, #bytes), why)
  end)

  it("notices when a file shrinks or changes under it", function()
    local bytes = small()
    local corpus = assert(core.open_corpus(path))
    write(path, bytes:sub(1, 120), true)
    local song, why = corpus:song(3)
    assert.is_nil(song)
    assert.are.equal(path .. ": song 3: the file is cut short", why)
    write(path, bytes:sub(1, 120) .. ("x"):rep(#bytes), true)
    song, why = corpus:song(2)
    assert.is_nil(song)
    assert.are.equal(path .. ": song 2: the corpus is damaged: checksum of a song", why)
  end)

  it("survives hostile files whose checksums are right", function()
    local bytes, sequences = small()
    local function u32(at) return (("<I4"):unpack(bytes, at + 1)) end
    local header, index = u32(12), u32(16)
    -- the parts that have a checksum at their end: header, songs, index
    local parts = { { 0, header } }
    local at = index
    for _ = 1, #sequences do
      local offset, size, name = u32(at), u32(at + 8), u32(at + 24)
      parts[#parts + 1] = { offset, offset + size }
      at = at + 28 + name
    end
    parts[#parts + 1] = { index, #bytes }
    local function sealed(hostile)
      for _, part in ipairs(parts) do
        hostile = hostile:sub(1, part[2] - 4)
          .. ("<I4"):pack(crc32(hostile:sub(part[1] + 1, part[2] - 4))) .. hostile:sub(part[2] + 1)
      end
      return hostile
    end
    assert.are.equal(bytes, sealed(bytes))
    local refused, tried = 0, 0
    for _, part in ipairs(parts) do
      for place = part[1], part[2] - 5 do
        for _, value in ipairs { 0, 127, 128, 255 } do
          local hostile = sealed(bytes:sub(1, place) .. string.char(value) .. bytes:sub(place + 2))
          if hostile ~= bytes then
            tried = tried + 1
            local why, songs = try(hostile)
            if why then
              refused = refused + 1
            else
              for _, song in ipairs(songs) do  -- whatever it is, it is sound
                assert.are.equal(#song * #song:voices(), #song:packed_hits())
                for _, x in ipairs(song:metric "intensity") do
                  assert.is_true(math.abs(x) <= 65504)
                end
              end
            end
          end
        end
      end
    end
    assert.is_true(refused > tried // 3)

    local function with(place, format, value)
      local word = format:pack(value)
      return try(sealed(bytes:sub(1, place) .. word .. bytes:sub(place + #word + 1)))
    end
    local song = parts[2][1]
    local steps = #sequences[1]
    local strikes = song + 20 + 8 + 4 * steps
    for message, why in pairs {
      ["the corpus is damaged: settings"] = with(40, "<I4", 0xFFFFFFFF),
      ["the corpus is damaged: size of the index"] = with(40, "<I4", 0x7FFFFFFF),
      ["the corpus is damaged: entries of the index"] = with(index, "<I8", 0xFFFFFFFFFFFFFFF0 | 0),
      ["the corpus is damaged: sizes of a song"] = with(song + 4, "<I4", 0xFFFFFFFF),
      ["the corpus is damaged: bars or ticks of a song"] = with(song + 20, "<I4", 1),
      ["the corpus is damaged: strikes of a song"] = with(strikes, "B", 128),
      ["the corpus is damaged: metrics of a song"] = with(parts[2][2] - 6, "<I2", 0x7E00),
      ["the corpus has version 2; this program reads version 1"] = with(8, "<I4", 2),
      ["the corpus has 32 metrics per step; this program uses 31: run preprocess again"] = with(60,
        "<I4", 32),
    } do
      assert.is_truthy(why and why:find(message, 1, true), message .. ": " .. tostring(why))
    end
    -- songs of more steps than a limit may let through
    assert.is_nil(with(56, "<I4", 1 << 24))
    for _, most in ipairs { (1 << 24) + 1, 0x7FFFFFFF } do
      assert.is_truthy(with(56, "<I4", most):find("damaged: settings", 1, true))
    end
    -- an index is read only where so many songs could fill it
    local function stretched(size)
      local hostile = sealed(bytes:sub(1, 24) .. ("<I8I8"):pack(size, index + size)
        .. bytes:sub(41))
      return try(hostile .. ("\0"):rep(index + size - #hostile))
    end
    local longest = #sequences * (28 + 4096) + 4
    assert.is_truthy(stretched(longest):find("checksum of the index", 1, true))
    assert.is_truthy(stretched(longest + 1):find("size of the index", 1, true))
    for place, value in pairs { [0] = 3, [4] = 0, [8] = 0x80000000, [12] = 0 } do
      assert.is_truthy(with(song + place, "<I4", value):find("sizes of a song", 1, true))
    end
    assert.is_truthy(with(song + 20 + 8, "<I4", 0xFFFFFFFF):find("strikes of a song", 1, true))
    assert.is_truthy(with(strikes + 1, "B", 0):find("strikes of a song", 1, true))
  end)

  it("leaves no file behind", function() assert.is_false(exists(path)) end)
end)
