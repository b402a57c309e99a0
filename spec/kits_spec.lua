-- Kit maps: from their files, and what they make of songs.
local nd = require "neuraldrummer"
local kits = require "neuraldrummer.kits"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

-- A song of a bass and one drum note a beat, of these pitches.
local function song_of(pitches)
  local notes = {}
  for i, pitch in ipairs(pitches) do
    local tick = (i - 1) * 96
    notes[#notes + 1] = { tick = tick, duration = 90, pitch = 40, velocity = 90 }
    notes[#notes + 1] = { tick = tick, duration = 9, pitch = pitch, velocity = 100, channel = 10 }
  end
  return nd.song.new { ppq = 96, notes = notes }
end

local function drum_pitches(song)
  local list = {}
  for i, note in ipairs(song:notes "drums") do list[i] = note.pitch end
  return list
end

describe("the kit maps that come along", function()
  it("are those in the folder", function()
    local _, list = shell.sh "ls lua/neuraldrummer/kits"
    assert.equal(list, table.concat(kits.names(), ".kit\n") .. ".kit\n")
  end)

  local drums = {}
  for _, name in ipairs { "gm9", "basic6", "full17" } do
    for pitch in nd.tokeniser { kit = name }:settings().kit_text:gmatch ":(%d+)" do
      drums[math.tointeger(tonumber(pitch))] = true
    end
  end

  for _, name in ipairs(kits.names()) do
    it(name .. " names its sources and has a place for every voice", function()
      local map = assert(kits.load(name))
      assert.is_true(#map.sources > 0)
      assert.not_equal(name, map.title)
      local pitches = kits.output_pitches(map)
      for gm in pairs(drums) do assert.truthy(pitches[gm], "no place for " .. gm) end
      -- what is written is read as the same drum, or as a relative where it has none
      for gm, pitch in pairs(map.writes) do assert.equal(gm, map.reads[pitch]) end
      for pitch, words in pairs(map.words) do
        assert.truthy(words ~= "", pitch .. " has no words")
        local gm = map.reads[pitch]
        assert.is_true(gm == false or gm >= 27 and gm <= 87)
      end
    end)

    it(name .. " keeps the voices of the default kit apart, both ways", function()
      local map = assert(kits.load(name))
      local tok = nd.tokeniser()
      local nine = { 36, 38, 42, 46, 45, 48, 50, 49, 51 }
      local pitches, written = kits.output_pitches(map), {}
      for i, gm in ipairs(nine) do written[i] = pitches[gm] end
      local heard = kits.to_general_midi(song_of(written), map)
      local seq = assert(tok:encode(heard))
      local seen = {}
      for step = 1, 4 * #nine, 4 do
        local voice = next(seq:hits(step))
        assert.is_nil(seen[voice], tostring(voice) .. " twice")
        seen[voice] = true
      end
    end)
  end
end)

describe("a kit map of one's own", function()
  it("begins as another and has lines of its own", function()
    local map = assert(kits.parse("\xEF\xBB\xBFtitle Mine\r\nlike roland-td\n\n# new\n"
      .. "60 46 wide open\n 46 42 half open\n61 - choke", "mine"))
    assert.equal("kit map: Mine, 24 pitches", tostring(map))
    local reads = map.reads
    assert.same({ 46, 42, false, 36 }, { reads[60], reads[46], reads[61], reads[36] })
    assert.equal(60, map.writes[46])   -- its own line first
    assert.equal("wide open", map.words[60])
    assert.equal("kick", map.words[36])
    assert.equal(2, #map.sources)
  end)

  it("is refused with the line and the reason", function()
    local function refused(text, why)
      assert.same({ nil, "mine: " .. why }, { kits.parse(text, "mine") })
    end
    refused("", "the map has no pitches")
    refused("36 36 a\n36 38 b", "line 2: pitch 36 is already in line 1")
    refused("36", "line 1: '36' is not a pitch, a drum's pitch in General MIDI (or -), and a name")
    refused("128 36", "line 1: '128 36' is not a pitch, a drum's pitch in General MIDI (or -), "
      .. "and a name")
    refused("36 128", "line 1: '36 128' is not a pitch, a drum's pitch in General MIDI (or -), "
      .. "and a name")
    refused("like battery\nlike battery", "line 2: there is a second 'like' line")
    refused("like none", "line 1: " .. select(2, kits.load "none"))
    assert.same({ nil, "no kit map is named 'none'; choose from addictive-drums-2, battery, "
      .. "ezdrummer, general-midi, mt-power-drum-kit, roland-td, superior-drummer-3, or give a "
      .. "file (mine.kit)" }, { kits.load "none" })
    assert.error_matches(function() kits.open {} end, "a kit map is needed")
  end)

  it("is found by its path and in the user's folder, and ends where it is like itself", function()
    local folder = shell.folder()
    shell.sh(("mkdir -p %s/neuraldrummer/kits"):format(folder))
    local path = shell.write(folder .. "/neuraldrummer/kits/mine.kit", "36 36 kick\n")
    shell.write(folder .. "/round.kit", ("like %s/round.kit\n36 36 kick\n"):format(folder))
    assert.equal("mine", assert(kits.load(path)).name)
    assert.same({ nil, "nowhere.kit: No such file or directory" }, { kits.load "nowhere.kit" })
    local _, why = kits.load(folder .. "/round.kit")
    assert.matches("more than 8 maps are 'like' one another, or a map is like itself$", why)
    local line = "XDG_CONFIG_HOME=%s LUA_PATH=%s LUA_CPATH=%s lua5.4 -e %s"
    local status, out = shell.sh(line:format(folder, shell.quote(package.path),
      shell.quote(package.cpath),
      shell.quote [[print(require "neuraldrummer.kits".load "mine".path)]]))
    shell.remove(folder)
    assert.equal(0, status)
    assert.equal(path .. "\n", out)
  end)
end)

describe("a kit map on the disk", function()
  local folder
  setup(function()
    folder = shell.folder()
    shell.sh(("mkdir -p %s/sub/deep %s/neuraldrummer/kits/folder.kit"):format(folder, folder))
  end)
  teardown(function() shell.remove(folder) end)

  it("is like another beside it, wherever one is", function()
    shell.write(folder .. "/sub/base.kit", "36 36 kick\n")
    shell.write(folder .. "/sub/own.kit", "like base.kit\n40 38 snare\n")
    shell.write(folder .. "/sub/deep/low.kit", "like ../own.kit\n60 42 hat\n")
    shell.run("mkdir", folder .. "/sub/a")
    shell.write(folder .. "/sub/a/base.kit", "35 36 kick\n")
    shell.write(folder .. "/sub/short.kit", "like a/base.kit\n")
    assert.same({ [35] = 36 }, assert(kits.load(folder .. "/sub/short.kit")).reads)
    assert.same({ [36] = 36, [40] = 38 }, assert(kits.load(folder .. "/sub/own.kit")).reads)
    assert.same({ [36] = 36, [40] = 38, [60] = 42 },
      assert(kits.load(folder .. "/sub/deep/low.kit")).reads)
    shell.write(folder .. "/sub/whole.kit", ("like %s/sub/base.kit\n"):format(folder))
    assert.same({ [36] = 36 }, assert(kits.load(folder .. "/sub/whole.kit")).reads)
    -- and from the current folder on, where there is none beside it
    shell.write(folder .. "/sub/here.kit", "like lua/neuraldrummer/kits/battery.kit\n")
    assert.same(assert(kits.load "battery").reads,
      assert(kits.load(folder .. "/sub/here.kit")).reads)
    shell.write(folder .. "/sub/odd.kit", "like nowhere.kit\n")
    assert.same({ nil, folder .. "/sub/odd.kit: line 1: nowhere.kit: No such file or directory" },
      { kits.load(folder .. "/sub/odd.kit") })
  end)

  it("is named where it is there and cannot be read", function()
    local own = folder .. "/neuraldrummer/kits/"
    shell.run("mkfifo", own .. "pipe.kit")
    shell.write(folder .. "/file", "")
    local function said(config, name)
      local _, _, err = shell.sh(("XDG_CONFIG_HOME=%s %s kits %s"):format(config, shell.tool, name))
      return err
    end
    assert.equal(("neuraldrummer: %sfolder.kit: is a folder\n"):format(own), said(folder, "folder"))
    assert.equal(("neuraldrummer: %spipe.kit: is not a regular file\n"):format(own),
      said(folder, "pipe"))
    -- where there are none, or nowhere for them, those that come along are found
    assert.equal("", said(folder, "battery"))
    assert.equal("", said(folder .. "/file", "battery"))
    assert.matches("no kit map is named 'none'", said(folder .. "/file", "none"))
  end)
end)

describe("a song in an instrument's pitches", function()
  local map = assert(kits.parse("36 36 kick\n40 38 snare\n41 38 rim\n60 42 hat\n61 - choke", "x"))

  it("is heard in General MIDI's, and what is unknown as no drum", function()
    local song = song_of { 36, 40, 41, 60, 61, 38, 38 }
    local heard, unknown, aliases = kits.to_general_midi(song, map)
    local pitches = drum_pitches(heard)
    assert.same({ 36, 38, 38, 42 }, { table.unpack(pitches, 1, 4) })
    assert.same({ { pitch = 38, hits = 2 } }, unknown)
    assert.equal(2, unknown.hits)
    assert.equal("38 (2 hits)", kits.describe(unknown))
    for i = 5, 7 do assert.equal(song:notes "drums"[i].pitch, aliases[pitches[i]]) end
    local seq = assert(nd.tokeniser():encode(heard))
    for step = 17, 28 do assert.is_nil(next(seq:hits(step))) end
    -- all else is as it was
    assert.same(song:notes "others", heard:notes "others")
    assert.same({ song:tempos(), song:meters(), song:length(), song:seconds(), song:tracks() },
      { heard:tempos(), heard:meters(), heard:length(), heard:seconds(), heard:tracks() })
  end)

  it("is written as it was where the instrument is the same", function()
    local song = song_of { 36, 40, 41, 60, 61, 38, 41 }
    local heard, _, aliases = kits.to_general_midi(song, map)
    local seq = assert(nd.tokeniser():encode(heard))
    local same = song:with_drums(seq, {
      pitches = kits.output_pitches(map, { song = song, map = map, aliases = aliases }) })
    assert.same(drum_pitches(song), drum_pitches(same))
    local gm = song:with_drums(seq, {
      pitches = kits.output_pitches(nil, { song = song, map = map, aliases = aliases }) })
    assert.same({ 36, 38, 38, 42, 61, 38, 38 }, drum_pitches(gm))
    local roland = song:with_drums(seq, {
      pitches = kits.output_pitches(assert(kits.load "roland-td")) })
    assert.same({ 36, 38, 38, 42 }, { table.unpack(drum_pitches(roland), 1, 4) })
  end)

  it("says what it has no place for", function()
    local missing = kits.missing_pitches(song_of { 36, 37, 42, 56, 56 }, map)
    assert.same({ { pitch = 56, hits = 2 } }, missing)
    assert.equal(2, missing.hits)
    local unknown = kits.unknown_pitches(song_of { 36, 91, 91, 95 }, nd.tokeniser())
    assert.equal("91 (2 hits), 95 (1)", kits.describe(unknown))
    assert.equal(3, unknown.hits)
  end)

  it("refuses what is no pitch", function()
    local song = song_of { 36 }
    for _, bad in ipairs { 128, -1, 1.5, "x" } do
      assert.has_error(function() song:with_pitches { [36] = bad } end,
        "pitches[36]: a pitch, 0 to 127, is needed")
    end
    local seq = assert(nd.tokeniser():encode(song))
    -- of tick 0 alone
    assert.has_error(function() song:with_drums(seq, { pitches = { [128 + 36] = 200 } }) end,
      "pitches[164]: a pitch, 0 to 127, is needed")
    assert.has_error(function() song:with_drums(seq, { pitches = 1 }) end,
      "option 'pitches': a table is needed, got number")
  end)
end)

describe("kit_in and kit_out", function()
  local folder
  local generate = require "neuraldrummer.generate"
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  local function written(path, map)
    local song = assert(nd.song.load(path))
    local unknown = 0
    for pitch, n in pairs(song:pitches()) do
      if not map.reads[pitch] then unknown = unknown + n end
    end
    return song, unknown
  end

  it("keep what is kept as it was, and write all else for the instrument", function()
    local path, out = folder .. "/song.mid", folder .. "/out.mid"
    assert(dofile "examples/songs/funk.lua":save(path))
    local map = assert(kits.load "roland-td")
    -- into Roland's pitches: drums alone, then the hats on their edge
    local song = assert(nd.song.load(path))
    local seq = assert(nd.tokeniser():encode(song))
    local to = kits.output_pitches(map)
    to[42], to[46] = 22, 26
    assert(song:with_drums(seq, { pitches = to }):save(path))
    song = assert(nd.song.load(path))
    assert.is_true(song:pitches()[22] > 100)
    local result = assert(generate.drum(path, { out = out, kit_in = "roland-td",
      kit_out = "roland-td", keep = "closed_hat,open_hat", seed = 3, returns = false }))
    local played, unknown = written(out, map)
    assert.equal(0, unknown)
    assert.equal(0, #result.unknown)
    assert.equal(0, result.missing.hits)
    assert.equal(song:pitches()[22], played:pitches()[22])
    assert.is_nil(played:pitches()[42])
    -- the same, read back as what is played in General MIDI
    local plain = assert(generate.drum(path, { kit_in = "roland-td",
      keep = "closed_hat,open_hat", seed = 3, returns = false }))
    local heard = assert(nd.tokeniser():encode((kits.to_general_midi(played, map))))
    assert.equal(assert(nd.tokeniser():encode(plain.song)):packed_hits(), heard:packed_hits())
  end)

  it("say what is not known, once a file", function()
    local path, out = folder .. "/odd.mid", folder .. "/odd.out.mid"
    assert(song_of { 36, 38, 91, 91, 95, 36, 38, 36, 38 }:save(path))
    local function run(...)
      local status, _, err = shell.run(shell.tool, "drum", path, "-o", out, ...)
      assert.equal(0, status, err)
      return err
    end
    assert.equal("", run())
    assert.equal(("neuraldrummer: %s: 3 drum notes with pitches that are not in the kit: "
      .. "91 (2 hits), 95 (1)\n"):format(path), run("--bars", "3"))
    -- and they come back as they were
    assert.equal(2, assert(nd.song.load(out)):pitches()[91])
    local err = run("--kit-in", "battery", "--bars", "3")
    assert.equal(("neuraldrummer: %s: 3 drum notes with pitches that are not in the kit map: "
      .. "91 (2 hits), 95 (1)\n"):format(path), err)
    assert.equal(2, assert(nd.song.load(out)):pitches()[91])
    shell.write(folder .. "/small.kit", "36 36 kick\n38 38 snare\n42 42 hat\n49 49 crash\n")
    err = run("--kit-out", folder .. "/small.kit", "--extend", "1")
    assert.matches("3 drum notes with pitches that are not in the kit: ", err)
    assert.matches("they have General MIDI's pitches: ", err)
    local status, _, why = shell.run(shell.tool, "drum", path, "-o", out, "--kit-in", "odd")
    assert.equal(1, status)
    assert.matches("no kit map is named 'odd'", why)
  end)

  it("are lists in JSON", function()
    local path, songs = folder .. "/listed.mid", folder .. "/listed"
    local pitches = { 91, 91, 95 }
    for i = 4, 60 do pitches[i] = i % 2 == 0 and 36 or 38 end
    assert(song_of(pitches):save(path))
    shell.run("mkdir", songs)
    shell.run("cp", path, songs)
    local function said(...)
      local status, out, err = shell.run(shell.tool, ...)
      assert.equal(0, status, err)
      return require "dkjson".decode(out)
    end
    local unknown <const> = { { pitch = 91, hits = 2 }, { pitch = 95, hits = 1 } }
    shell.write(folder .. "/kick.kit", "36 36 kick\n")
    local drummed = said("drum", path, "-o", folder .. "/listed.out.mid", "--keep", "snare",
      "--kit-out", folder .. "/kick.kit", "--json")
    assert.same({ { path = path, pitches = unknown } }, drummed.unknown)
    assert.is_true(#drummed.missing > 0)
    for key in pairs(drummed.missing) do assert.equal("integer", math.type(key)) end
    assert.same(unknown, said("preprocess", songs, "-o", folder .. "/listed.ndc", "--json").unknown)
  end)

  it("are counted for a corpus", function()
    local songs = folder .. "/songs"
    shell.run("mkdir", songs)
    local pitches = { 36, 38, 42, 42, 36, 38, 42, 42, 60, 61 }
    for i = 1, 40 do pitches[#pitches + 1] = i % 2 == 0 and 36 or 38 end
    assert(song_of(pitches):save(songs .. "/a.mid"))
    local preprocess = require "neuraldrummer.preprocess"
    local summary = assert(preprocess.run(songs, folder .. "/a.ndc", { kit_in = "roland-td" }))
    assert.same({ { pitch = 60, hits = 1 }, { pitch = 61, hits = 1 } }, summary.unknown)
    assert.equal(2, summary.unknown.hits)
    summary = assert(preprocess.run(songs, folder .. "/a.ndc"))
    assert.equal(0, summary.unknown.hits)
    assert.same({ nil, select(2, kits.load "x") },
      { preprocess.run(songs, folder .. "/a.ndc", { kit_in = "x" }) })
  end)
end)

describe("for", function()
  local function collected(object)
    local list = {}
    for i, value in pairs(object) do
      assert.equal(#list + 1, i)
      list[i] = value
    end
    return list
  end

  local song = song_of { 36, 38, 36, 38 }
  local seq = assert(nd.tokeniser():encode(song, "four"))

  it("goes through a song's notes, a Sequence's steps", function()
    assert.same(song:notes(), collected(song))
    assert.equal(#song:notes(), #song)
    assert.same(seq:hits(), collected(seq))
    assert.same({ 36, 2, 38, 2 }, { 36, song:pitches()[36], 38, song:pitches()[38] })
  end)

  it("goes through a corpus's songs, and names one that cannot be read", function()
    local path = temporary.name()
    do
      local writer <close> = assert(nd.corpus.create(path, nd.tokeniser()))
      assert(writer:add(seq) and writer:add(seq) and writer:finish())
    end
    local names = {}
    for i, read in pairs(assert(nd.corpus.open(path))) do names[i] = read:name() end
    assert.same({ "four", "four" }, names)
    -- one byte of the first song spoilt, wherever it lies
    local bytes, told = shell.read(path), nil
    for at = 200, #bytes, 97 do
      local spoilt = string.char(bytes:byte(at) ~ 1)
      shell.write(path, bytes:sub(1, at - 1) .. spoilt .. bytes:sub(at + 1))
      local broken = nd.corpus.open(path)
      for i, read, why in pairs(broken or {}) do
        if not read then told = { i, why } end
      end
      if told then break end
    end
    assert.matches(": song " .. told[1] .. ": ", told[2], 1, true)
    os.remove(path)
  end)

  it("stops at what is closed", function()
    local other = song_of { 36, 38 }
    assert.error_matches(function() for _ in pairs(other) do other:close() end end,
      "neuraldrummer.song is closed")
  end)
end)
