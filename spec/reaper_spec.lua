local fake = require "spec.support.reaper"
local actions = require "neuraldrummer.reaper"
local midi = require "neuraldrummer.reaper.midi"
local nd = require "neuraldrummer"
local player = require "neuraldrummer.reaper.player"
local project = require "neuraldrummer.reaper.project"
local settings = require "neuraldrummer.reaper.settings"
local shell = require "spec.support.shell"

local function no_pause() end

-- A bass line in quarters from `from` to `to` QN of its source.
local function line(from, to)
  local notes = {}
  for beat = from, to - 1 do
    notes[#notes + 1] = { beat, 0.9, 40 + beat % 4 * 2 + beat // 16 % 2, 90 }
  end
  return notes
end

local function bass(from, to, extra)
  local item = { from = from, to = to, notes = line(0, to - from), selected = true }
  for name, value in pairs(extra or {}) do item[name] = value end
  return { name = "Bass", items = { item } }
end

-- A rock beat of so many beats, as a host's drum item has it.
local function beat(beats)
  local notes = {}
  for b = 0, beats - 1 do
    notes[#notes + 1] = { b, 0.2, b % 2 == 0 and 36 or 38, 100, 10 }
    notes[#notes + 1] = { b, 0.2, 42, 80, 10 }
    notes[#notes + 1] = { b + 0.5125, 0.2, 42, 70, 10 }
  end
  return notes
end

local function run(f, action)
  actions.run(action, f.reaper, f.gfx)
  f.pump()
end

-- The newest item of the Drums track.
local function newest(f)
  local track = f.track "Drums"
  return track and track.items[#track.items]
end

-- Notes of a take as text, by QN of the project.
local function heard(item)
  local take, list = item.take, {}
  for _, n in ipairs(take.notes) do
    list[#list + 1] = ("%.4f %d %d"):format(take.zero + n.start / 960, n.pitch, n.velocity)
  end
  table.sort(list)
  return list
end

-- What every action that wrote something must have done, and no other change.
local function well_done(f, label)
  assert.same({}, f.messages)
  assert.equal(1, #f.undo)
  assert.equal(label, f.undo[1].label)
  assert.equal(0, f.loose)
  assert.equal(0, f.refresh)
  assert.equal(0, f.gfx.windows)
  assert.equal(1, f.calls.Undo_BeginBlock2)
  assert.equal(1, f.calls.Undo_EndBlock2)
end

local function untouched(f, message)
  assert.same({}, f.undo)
  assert.equal(0, f.loose)
  assert.equal(0, f.refresh)
  assert.equal(0, f.gfx.windows)
  assert.equal(message and 1 or 0, #f.messages)
  if message then assert.matches(message, f.messages[1]) end
end

local function read(spec, job)
  local f = fake.new(spec)
  local items = {}
  for _, track in ipairs(f.tracks) do
    if track.name ~= "Drums" then table.move(track.items, 1, #track.items, #items + 1, items) end
  end
  local drums = f.track "Drums"
  return assert(project.read(f.reaper, { items = items, from = job[1], to = job[2],
    drums = drums and drums.items[1] }, no_pause)), f
end

describe("a REAPER project", function()
  it("is read as notes in ticks, with its tempo and meter", function()
    local song = read({ tracks = { { name = "A", items = { { from = 0, to = 8, notes = {
      { 0, 1, 60, 90, 1 }, { 2.5, 0.25, 64, 70, 3 } } } } } } }, { 0, 8 })
    assert.same({
      { tick = 0, duration = 960, pitch = 60, velocity = 90, channel = 1, track = 1 },
      { tick = 2400, duration = 240, pitch = 64, velocity = 70, channel = 3, track = 1 },
    }, song.notes)
    assert.same({ { tick = 0, bpm = 120 } }, song.tempos)
    assert.same({ { tick = 0, numerator = 4, denominator = 4 } }, song.meters)
    assert.equal(2, #song.measures)
  end)

  it("keeps time under tempo changes, ramps among them", function()
    local spec = { tempos = { { 0, 120 }, { 4, 90 }, { 9.5, 60, 180 }, { 15.5, 180 } },
      tracks = { bass(0, 20) } }
    local song, f = read(spec, { 0, 20 })
    local own = nd.song.new { ppq = 960, notes = song.notes, tempos = song.tempos,
      meters = song.meters }
    assert.near(f.to_time(20), own:seconds() + 0.1 * 60 / 180, 1e-3)
    local at = {}
    for _, t in ipairs(song.tempos) do at[t.tick // 960] = t.bpm end
    assert.near(120, at[0], 1e-6)
    assert.near(90, at[4], 1e-6)
    assert.near(180, at[16], 1e-6)
    assert.is_true(at[11] > at[10] and at[12] > at[11])
  end)

  it("has odd meters, and a bar that a time signature cuts short", function()
    local song = read({ meters = { { 0, 7, 8 }, { 2, 5, 4 }, { 3, 4, 4, 2.5 }, { 4, 4, 4 } },
      tracks = { bass(0, 20) } }, { 0, 18.5 })
    assert.same({ { tick = 0, numerator = 7, denominator = 8 },
      { tick = 6720, numerator = 5, denominator = 4 },
      { tick = 11520, numerator = 5, denominator = 8 },
      { tick = 13920, numerator = 4, denominator = 4 } }, song.meters)
    assert.equal("2-3", project.bar_range(song, 3.6, 8))
    assert.equal("", project.bar_range(song, 40, 48))
  end)

  it("has items that start within a bar", function()
    local song = read({ tracks = { bass(6.5, 10.5) } }, { 6.5, 10.5 })
    assert.equal(4, song.base)
    assert.equal(2400, song.notes[1].tick)
    assert.equal(2, #song.measures)
  end)

  it("has takes with a start offset and a rate", function()
    -- two beats of the source lie before the item, at double speed
    local song = read({ tracks = { bass(4, 8, { offset = 2, notes = line(0, 16) }) } }, { 4, 8 })
    assert.equal(4, #song.notes)
    assert.equal(44, song.notes[1].pitch)
    song = read({ tracks = { bass(0, 4, { rate = 2, notes = line(0, 16) }) } }, { 0, 4 })
    assert.equal(8, #song.notes)
    assert.equal(480, song.notes[2].tick)
    assert.equal(432, song.notes[2].duration)
  end)

  it("has loops, from their middle too, cut at the item's end", function()
    local song = read({ tracks = { bass(0, 10, { loop = 4, notes = line(0, 4) }) } }, { 0, 10 })
    local ticks = {}
    for i, n in ipairs(song.notes) do ticks[i] = n.tick end
    table.sort(ticks)
    assert.same({ 0, 960, 1920, 2880, 3840, 4800, 5760, 6720, 7680, 8640 }, ticks)
    song = read({ tracks = { bass(4, 10, { loop = 4, offset = 3, notes = {
      { 0, 1, 50 }, { 3.5, 2, 51 }, { 4.5, 1, 52 } } }) } }, { 4, 10 })
    local got = {}
    for _, n in ipairs(song.notes) do
      got[#got + 1] = ("%d %d %d"):format(n.pitch, n.tick, n.duration)
    end
    table.sort(got)
    -- the base is QN 4; what lies behind the loop's end is never heard
    assert.same({ "50 4800 960", "50 960 960", "51 4320 480", "51 480 480" }, got)
  end)

  it("leaves out what is muted, is no MIDI, or lies on channel 10 of other tracks", function()
    local f = fake.new { tracks = { bass(0, 4, { muted = true }),
      { name = "Voice", items = { { from = 0, to = 4, audio = true, selected = true } } },
      { name = "Keys", muted = true, items = { { from = 0, to = 4, selected = true } } },
      { name = "Strings", folder = "Keys" },
      { name = "Cello", folder = "Strings", items = { { from = 0, to = 4, selected = true } } },
      { name = "Drum kit", items = { { from = 0, to = 4, selected = true } } },
      { name = "Drummond's lead", items = { { from = 0, to = 4, selected = true, notes = {
        { 0, 1, 60 }, { 1, 1, 36, 100, 10 }, { 2, 1, 61, muted = true } } } } } } }
    local items = project.selected(f.reaper)
    assert.equal(1, #items)
    assert.equal("Drummond's lead", items[1].track.name)
    local song = project.read(f.reaper, { items = items, from = 0, to = 4 }, no_pause)
    assert.equal(1, #song.notes)
  end)
end)

describe("Drum selected items", function()
  it("writes one item on a Drums track of its own, as one undo step", function()
    local f = fake.new { tracks = { bass(0, 64) } }
    run(f, "drum")
    well_done(f, "Neural Drummer: drum items")
    local item = newest(f)
    assert.equal(0, f.to_qn(item.D_POSITION))
    assert.near(64, f.to_qn(item.D_POSITION + item.D_LENGTH), 1e-9)
    assert.equal("Drums, seed 1", item.take.name)
    assert.equal(1, item.take.sorts)
    assert.is_false(item.take.unsorted)
    assert.is_true(#item.take.notes > 20)
    for _, n in ipairs(item.take.notes) do assert.equal(9, n.channel) end
    f.reaper.Undo_DoUndo2(0)
    assert.equal(1, #f.tracks)
  end)

  it("plays what the same song gets from Lua", function()
    local f = fake.new { tracks = { bass(0, 64) } }
    run(f, "drum")
    local song = read({ tracks = { bass(0, 64) } }, { 0, 64 })
    local own = nd.song.new { ppq = 960, notes = song.notes, tempos = song.tempos,
      meters = song.meters }
    local model = assert(nd.model.load(assert(nd.default_model())))
    local seq = model:tokeniser():encode(own)
    local drums = require "neuraldrummer.generate".play(model, own, seq, { seed = 1, humanise = 1 })
    local expected = {}
    for i, n in ipairs(own:with_drums(drums):notes "drums") do
      expected[i] = ("%.4f %d %d"):format(n.tick / 960, n.pitch, n.velocity)
    end
    table.sort(expected)
    assert.same(expected, heard(newest(f)))
  end)

  it("uses the Drums track that is there, and mutes what sounded there", function()
    local f = fake.new { tracks = { { name = "My drums", items = {
      { from = 0, to = 16, notes = beat(16) }, { from = 64, to = 80, notes = beat(16) } } },
      bass(0, 64) } }
    run(f, "drum")
    well_done(f, "Neural Drummer: drum items")
    assert.equal(2, #f.tracks)
    local items = f.tracks[1].items
    assert.same({ 3, 1, 0, 0 }, { #items, items[1].B_MUTE, items[2].B_MUTE, items[3].B_MUTE })
    f.reaper.Undo_DoUndo2(0)
    assert.same({ 2, 0 }, { #items, items[1].B_MUTE })
  end)

  it("takes the time selection over all tracks when no item is selected", function()
    local f = fake.new { selection = { 8, 40 }, tracks = { bass(0, 64, { selected = false }),
      { name = "Drums", items = { { from = 0, to = 64, notes = beat(64), selected = true } } } } }
    run(f, "drum")
    well_done(f, "Neural Drummer: drum items")
    local item = newest(f)
    assert.near(8, f.to_qn(item.D_POSITION), 1e-9)
    assert.near(40, f.to_qn(item.D_POSITION + item.D_LENGTH), 1e-9)
    for _, n in ipairs(item.take.notes) do
      assert.is_true(n.start >= 0 and n.stop <= 32 * 960 + 1e-6)
    end
  end)

  it("starts and ends with items that begin within a bar of odd meters and tempos", function()
    local f = fake.new { tempos = { { 0, 97 }, { 20, 140 } }, meters = { { 0, 7, 8 }, { 4, 4, 4 } },
      tracks = { bass(5.5, 45.5) } }
    run(f, "drum")
    well_done(f, "Neural Drummer: drum items")
    local item = newest(f)
    assert.near(5.5, f.to_qn(item.D_POSITION), 1e-9)
    assert.near(45.5, f.to_qn(item.D_POSITION + item.D_LENGTH), 1e-9)
  end)

  it("says what to do where there is nothing to play to", function()
    local f = fake.new { tracks = { bass(0, 8, { selected = false }) } }
    run(f, "drum")
    untouched(f, "^Select MIDI items")
    f = fake.new { selection = { 100, 108 }, tracks = { bass(0, 8, { selected = false }) } }
    run(f, "drum")
    untouched(f, "^The time range has no MIDI items")
    f = fake.new { tracks = { bass(0, 8, { notes = {} }) } }
    run(f, "drum")
    untouched(f, "have no notes")
  end)

  it("changes nothing when writing fails half-way, and says so", function()
    local f = fake.new { tracks = { bass(0, 64) } }
    f.fail_at = 7
    run(f, "drum")
    untouched(f, "^Nothing was changed: .*the disk is full")
    assert.equal(1, #f.tracks)
  end)

  it("takes back nothing of the user's when it fails before it changed anything", function()
    local f = fake.new { tracks = { bass(0, 64), { name = "Drums" } } }
    f.undo[1] = { label = "Move items", back = { error } }
    f.reaper.CreateNewMIDIItemInProj = function() end
    run(f, "drum")
    assert.equal(1, #f.undo)
    assert.same({ "Nothing was changed: REAPER could not create a MIDI item." }, f.messages)
  end)

  it("leaves the drums of its last run when it fails before it changed anything", function()
    local f = fake.new { tracks = { bass(0, 64) } }
    run(f, "drum")
    f.reaper.CreateNewMIDIItemInProj = function() end
    newest(f).D_POSITION = 1e6  -- nothing there that would be muted
    run(f, "drum")
    assert.same({ "Nothing was changed: REAPER could not create a MIDI item." }, f.messages)
    assert.equal(1, #f.undo)
    assert.equal(1, #f.track "Drums".items)
  end)

  it("obeys the settings, and refuses those that make no sense", function()
    local f = fake.new { tracks = { bass(0, 64) } }
    f.ext.seed, f.ext.humanise, f.ext.energy, f.ext.kit = "9", "0", "-2", "roland-td"
    run(f, "drum")
    well_done(f, "Neural Drummer: drum items")
    assert.equal("Drums, seed 9", newest(f).take.name)
    local quiet = #newest(f).take.notes
    f = fake.new { tracks = { bass(0, 64) } }
    f.ext.energy = "2"
    run(f, "drum")
    assert.is_true(#newest(f).take.notes > 1.5 * quiet)
    for name, message in pairs { energy = "^option 'energy'", fills = "^option 'fills'",
      style = "^option 'style'", swing = "^option 'swing'", seed = "^Seed: 'x!' is not a number",
      humanise = "^Humanise: 'x!' is not a number", kit = "x!" } do
      f = fake.new { tracks = { bass(0, 16) } }
      f.ext[name] = "x!"
      run(f, "drum")
      untouched(f, message)
    end
  end)

  it("can be cancelled from its window, with nothing changed", function()
    local f = fake.new { tracks = { bass(0, 64) } }
    local clock = 0
    f.reaper.time_precise = function()
      clock = clock + 0.011
      return clock
    end
    actions.run("drum", f.reaper, f.gfx)
    f.pump(20)
    assert.equal(1, f.gfx.windows)
    local x, y = table.unpack(f.gfx.texts.Cancel)
    f.events = { { x + 3, y + 3 } }
    f.pump()
    untouched(f)
    assert.same({}, f.messages)

    f = fake.new { tracks = { bass(0, 64) } }
    f.reaper.time_precise = function()
      clock = clock + 0.011
      return clock
    end
    actions.run("drum", f.reaper, f.gfx)
    f.pump(20)
    f.events = { -1 }  -- its window was closed
    f.pump()
    untouched(f)
  end)

  it("reads a large project in slices of ten milliseconds", function()
    local tracks = {}
    for t = 1, 30 do
      local notes = {}
      for i = 0, 1999 do notes[#notes + 1] = { i / 8, 0.1, 40 + i % 24 } end
      tracks[t] = { name = "T" .. t, items = { { from = 0, to = 250, notes = notes } } }
    end
    -- the processor's time: other processes have theirs
    local f = fake.new { tracks = tracks, clock = os.clock }
    local job = { items = project.items_between(f.reaper, 0, 250), from = 0, to = 250 }
    local song
    require "neuraldrummer.reaper.work".run(f.reaper, f.gfx, "", function(pause)
      return project.read(f.reaper, job, pause)
    end, function(result) song = result end)
    f.pump()
    assert.equal(60000, #song.notes)
    assert.is_true(#f.slices > 5)
    table.sort(f.slices)
    assert.is_true(f.slices[#f.slices // 2] <= 0.010)
  end)

  it("is played to, and scored, in slices of counted work", function()
    local notes = {}
    for q = 0, 479 do
      notes[#notes + 1] = { tick = q * 96, duration = 90, pitch = 40 + q // 64 % 4,
        velocity = 90, channel = 1 }
    end
    local song = { ppq = 96, notes = notes, tempos = { { tick = 0, bpm = 120 } },
      meters = { { tick = 0, numerator = 4, denominator = 4 } } }
    local pauses = 0
    local function pause(wait)
      assert.is_nil(wait)  -- nobody else is waited for
      pauses = pauses + 1
    end
    local played = assert(player.play(song, { seed = 3 }, nil, pause))
    local model = assert(nd.model.load(assert(nd.default_model())))
    -- the song is played at least once: so many multiply-adds, and 3e7 of a slice and
    -- what came last in it
    local work <const>, slice <const> = model:config().macs * 480 * 4, 7.5e7
    assert.is_true(pauses >= work / slice, pauses .. " pauses")
    assert.same(played, assert(player.play(song, { seed = 3 }, nil, no_pause)))
    local with = { notes = table.move(notes, 1, #notes, 1, {}) }
    for _, note in ipairs(played) do
      note.channel = 10
      with.notes[#with.notes + 1] = note
    end
    setmetatable(with, { __index = song })
    pauses = 0
    local least = assert(player.score(with, nil, pause))
    assert.is_true(pauses >= 9 * work / slice, pauses .. " pauses")
    assert.same(least, assert(player.score(with, nil, no_pause)))
  end)
end)

describe("the other actions", function()
  local function with_beat(extra)
    local spec = { tracks = { bass(0, 64, { selected = false }),
      { name = "Drums", items = { { from = 0, to = 64, notes = beat(64) } } } } }
    for name, value in pairs(extra or {}) do spec[name] = value end
    return fake.new(spec)
  end

  -- Notes of an item from one QN to another, apart from those of some pitches.
  local function part(item, from, to, but)
    local list = {}
    for _, text in ipairs(heard(item)) do
      local at, pitch = text:match "^(%S+) (%d+)"
      at = tonumber(at)
      if at >= from and at < to and not (but and but[tonumber(pitch)]) then
        list[#list + 1] = text
      end
    end
    return list
  end

  it("redo the bars of the time selection, and keep the others to the tick", function()
    local f = with_beat { selection = { 17, 22 } }
    run(f, "redo")
    well_done(f, "Neural Drummer: redo bars")
    local items = f.track "Drums".items
    assert.equal(1, items[1].B_MUTE)
    -- what is played anew may come a little before its bar
    assert.same(part(items[1], 0, 15.6), part(items[2], 0, 15.6))
    assert.same(part(items[1], 24, 64), part(items[2], 24, 64))
    assert.not_same(part(items[1], 16, 24), part(items[2], 16, 24))
  end)

  it("keep the voices of the selected notes, and redo the rest", function()
    local f = with_beat()
    for _, n in ipairs(f.track "Drums".items[1].take.notes) do n.selected = n.pitch == 42 end
    local asked
    local get = f.reaper.GetUserInputs
    f.reaper.GetUserInputs = function(title, n, captions, default)
      asked = default
      f.inputs = { default }
      return get(title, n, captions, default)
    end
    run(f, "keep")
    assert.equal("closed_hat", asked)
    well_done(f, "Neural Drummer: keep voices, redo the rest")
    local items = f.track "Drums".items
    local rest = {}
    for pitch = 0, 127 do rest[pitch] = pitch ~= 42 end
    assert.same(part(items[1], 0, 64, rest), part(items[2], 0, 64, rest))
    assert.not_same(part(items[1], 0, 64), part(items[2], 0, 64))

    f = with_beat()
    run(f, "keep")     -- the question is dismissed
    untouched(f)
    f = with_beat()
    f.inputs = { "cowbell" }
    run(f, "keep")
    untouched(f, "the kit has no voice 'cowbell'")
  end)

  it("offer to keep what the kit map has the selected notes for", function()
    local map = assert(require "neuraldrummer.kits".load "battery")
    local hat = map.writes[42]
    assert.equal(46, hat)  -- another drum's in General MIDI
    local f = with_beat()
    f.ext.kit = "battery"
    for _, n in ipairs(f.track "Drums".items[1].take.notes) do
      n.pitch = map.writes[n.pitch]
      n.selected = n.pitch == hat
    end
    -- a pitch that is no drum's, and one that the map does not know
    for _, pitch in ipairs { 127, 0 } do
      assert.is_falsy(map.reads[pitch])
      table.insert(f.track "Drums".items[1].take.notes, { selected = true, muted = false,
        start = 0, stop = 10, pitch = pitch, velocity = 90, channel = 9 })
    end
    local asked
    f.reaper.GetUserInputs = function(_, _, _, default)
      asked = default
      return false, ""
    end
    run(f, "keep")
    assert.equal("closed_hat", asked)
    untouched(f)
    f.ext.kit = "none"
    run(f, "keep")
    untouched(f, "^no kit map is named 'none'")
  end)

  it("extend a loop over the song, from where it lies or where the song starts", function()
    local f = fake.new { tracks = { bass(0, 64, { selected = false }),
      { name = "Drums", items = { { from = 0, to = 8, notes = beat(8) } } } } }
    run(f, "extend")
    well_done(f, "Neural Drummer: extend loop")
    local items = f.track "Drums".items
    assert.same(part(items[1], 0, 7.6), part(items[2], 0, 7.6))
    assert.is_true(#part(items[2], 8, 64) > 20)

    f = fake.new { tracks = { bass(32, 96), { name = "Drums", items = {
      { from = 0, to = 8, notes = beat(8) } } } } }
    run(f, "extend")
    well_done(f, "Neural Drummer: extend loop")
    items = f.track "Drums".items
    assert.near(32, f.to_qn(items[2].D_POSITION), 1e-9)
    local moved = {}
    for i, text in ipairs(part(items[1], 0, 7.6)) do
      local at, rest = text:match "^(%S+)( .*)"
      moved[i] = ("%.4f%s"):format(at + 32, rest)
    end
    table.sort(moved)
    local first = part(items[2], 32, 39.6)
    table.sort(first)
    assert.same(moved, first)
  end)

  it("score drums, and mark the bars that fit least", function()
    local notes = beat(32)
    for i = 0, 31 do notes[#notes + 1] = { 16 + i / 8, 0.1, 49, 127, 10 } end
    local f = fake.new { tracks = { bass(0, 32, { selected = false }),
      { name = "Drums", items = { { from = 0, to = 32, notes = notes } } } } }
    run(f, "score")
    well_done(f, "Neural Drummer: score drums")
    local take = f.track "Drums".items[1].take
    assert.is_true(#take.markers > 0)
    assert.matches("^low fit %(1%): %-%d", take.markers[1].name)
    local n = #take.markers
    actions.run("score", f.reaper, f.gfx)
    f.pump()
    assert.equal(n, #take.markers)  -- the marks of before are gone
  end)

  it("play another: the next seed, of the same items and the same drums", function()
    local f = fake.new { tracks = { bass(0, 64), { name = "Lead", items = {
      { from = 0, to = 64, notes = line(0, 64) } } } } }
    run(f, "drum")
    run(f, "another")
    local items = f.track "Drums".items
    assert.equal(2, #items)
    assert.equal("Drums, seed 2", items[2].take.name)
    assert.equal(1, items[1].B_MUTE)
    assert.not_same(heard(items[1]), heard(items[2]))
    -- as if the setting had been 2, and the lead still not heard
    local g = fake.new { tracks = { bass(0, 64) } }
    g.ext.seed = "2"
    run(g, "drum")
    assert.same(heard(newest(g)), heard(items[2]))

    f = with_beat { selection = { 16, 24 } }
    run(f, "redo")
    run(f, "another")
    items = f.track "Drums".items
    assert.same({ 3, 1, 1, 0 }, { #items, items[1].B_MUTE, items[2].B_MUTE, items[3].B_MUTE })
    assert.same(part(items[1], 24, 64), part(items[3], 24, 64))
    assert.not_same(part(items[2], 16, 24), part(items[3], 16, 24))
  end)

  it("say what is missing", function()
    for action, message in pairs { redo = "^Select the time", keep = "no MIDI item on a track",
      extend = "no MIDI item on a track", score = "no MIDI item on a track",
      another = "no MIDI item on a track" } do
      local f = fake.new { tracks = { bass(0, 16) } }
      run(f, action)
      untouched(f, message)
    end
    local f = with_beat()
    run(f, "another")
    untouched(f, "was not made by Neural Drummer")
    f = with_beat { selection = { 80, 90 } }
    run(f, "redo")
    untouched(f, "does not touch the drum item")
    f = fake.new { cursor = 30, tracks = { { name = "Drums", items = {
      { from = 0, to = 8, notes = beat(8) }, { from = 8, to = 16, notes = beat(8) } } } } }
    run(f, "score")
    untouched(f, "Select one%.")
  end)

end)

describe("settings", function()
  -- The values that are not as they came, by name.
  local function stored(f)
    local list = {}
    for _, setting in ipairs(settings.LIST) do
      local value = settings.get(f.reaper, setting)
      if value ~= setting.default then list[setting.name] = value end
    end
    return list
  end

  local AFTER <const> = { energy = "0.5", fills = "sections", seed = "0", style = "ride=0.6",
    kit = "roland-td" }

  it("are changed in a window of plain gfx", function()
    local f = fake.new { tracks = {} }
    actions.run("settings", f.reaper, f.gfx)
    f.pump(1)
    local function click(x, row)
      f.events = { { x, (row - 1) * 30 + 15 }, 0 }
      f.pump(2)
    end
    click(400, 1)   -- energy up
    click(400, 2)   -- fills on
    click(130, 6)   -- seed down
    f.inputs = { "ride=0.6", "roland-td" }
    click(250, 3)   -- style asked for
    click(130, 3)   -- no arrow there
    click(250, 7)   -- the kit
    assert.same(AFTER, stored(f))
    assert.same({ energy = 0.5, fills = "sections", seed = 0, style = "ride=0.6", humanise = 1.0,
      kit = "roland-td", tool = "neuraldrummer" }, settings.options(f.reaper))
    assert.truthy(f.gfx.texts["roland-td"])
    f.inputs = { "often" }
    click(250, 6)
    f.pump(1)
    assert.truthy(f.gfx.texts["Seed: 'often' is not a number."])
    click(20, 10)   -- Defaults
    assert.same({}, stored(f))
    f.events = { 27 }
    f.pump()
    assert.equal(0, f.gfx.windows)
    assert.equal(0, #f.undo + f.loose)
  end)

  local function open(user)
    local f = fake.new { tracks = {}, imgui = true }
    for name, value in pairs(user or {}) do f.user[name] = value end
    actions.run("settings", f.reaper, f.gfx)
    f.pump(1)
    return f, f.user
  end

  it("are changed in a window of ReaImGui, where that is installed, to the same", function()
    local f, user = open()
    assert.equal(0, f.gfx.windows)
    assert.equal("default", user.shown["##energy"])
    assert.equal("-", user.shown["##slider of energy"])
    assert.equal("1.0", user.shown["##slider of humanise"])
    for label, what in pairs { ["##slider of energy"] = 0.4, ["##choices of fills"] = "sections",
      ["-##seed"] = true, ["##style"] = "ride=0.6", ["##choices of kit"] = "roland-td" } do
      user.does[label] = what
      f.pump(1)
    end
    assert.same({}, user.does)
    f.pump(1)
    assert.same(AFTER, stored(f))
    assert.equal("0.5", user.shown["##slider of energy"])
    assert.equal("roland-td", user.shown["##kit"])
    user.does["##choices of kit"] = "default"
    f.pump(1)
    user.does["##energy"] = "1-8:-1"
    f.pump(2)
    assert.equal("-", user.shown["##slider of energy"])
    assert.same({ energy = "1-8:-1", fills = "sections", seed = "0", style = "ride=0.6" },
      stored(f))
    user.does["##seed"] = "1.5"
    f.pump(2)
    assert.equal("Seed: 1.5 is not a whole number.", user.texts[#user.texts - 2])
    user.does["Defaults"] = true
    f.pump(1)
    assert.same({}, stored(f))
    user.hovers = true
    f.pump(1)
    assert.matches("^the neuraldrummer program", user.tooltip)
    user.does["Close"] = true
    assert.equal(1, f.pump())
    assert.equal(0, #f.undo + f.loose)
  end)

  it("are stored when the hand comes off, and when the window is closed", function()
    local f, user = open()
    local function hold(what, value)
      user.active, user.does[what] = true, value
      f.pump(1)
    end
    hold("##slider of humanise", 0.52)
    hold("##slider of humanise", 0.31)
    assert.is_nil(f.calls.SetExtState)
    assert.equal("0.5", user.shown["##humanise"])  -- not stored, and shown
    f.pump(1)
    assert.equal(1, f.calls.SetExtState)
    assert.same({ humanise = "0.3" }, stored(f))
    hold("##seed", "7")
    user.key, user.active = 526, true  -- Escape, in a field
    assert.equal(5, f.pump(5))
    user.active, user.does["##seed"], user.closing = true, "71", true
    assert.equal(1, f.pump(5))
    assert.same({ humanise = "0.3", seed = "71" }, stored(f))

    f, user = open()
    user.key = 526
    assert.equal(1, f.pump(5))
    f, user = open { folded = true }
    assert.equal(5, f.pump(5))
    user.folded = false
    user.does["Close"] = true
    assert.equal(1, f.pump(5))
  end)

  it("have their plain window where ReaImGui is too old or too new", function()
    local f = open { version = "0.8" }
    assert.equal(1, f.gfx.windows)
    f.events = { -1 }
    f.pump()
    assert.equal(0, f.gfx.windows)
  end)
end)

describe("without the module, the tool in a process of its own", function()
  local before, resources
  setup(function() before, resources = player.in_process, shell.folder() end)
  teardown(function()
    player.in_process = before
    shell.remove(resources)
  end)

  local function outside(f)
    player.in_process = function() return false, "core.so: not for this machine" end
    f.ext.tool, f.resources = shell.tool, resources
  end

  local function both(spec, action, ext)
    local f, g = fake.new(spec), fake.new(spec)
    for name, value in pairs(ext or {}) do f.ext[name], g.ext[name] = value, value end
    player.in_process = before
    run(f, action)
    outside(g)
    run(g, action)
    assert.equal(1, #g.execs)
    well_done(g, f.undo[1].label)
    return f, g
  end

  it("plays the same", function()
    local spec = { tempos = { { 0, 97.3 }, { 20, 140 } }, meters = { { 0, 7, 8 }, { 4, 4, 4 } },
      tracks = { bass(5.5, 45.5), bass(0, 40, { notes = line(0, 40) }) } }
    local f, g = both(spec, "drum", { seed = "5", energy = "0.5", fills = "sections",
      humanise = "0.7", swing = "0.5", kit = "roland-td", style = "none" })
    assert.same(heard(newest(f)), heard(newest(g)))
    spec = { selection = { 16, 24 }, tracks = { bass(0, 64, { selected = false }),
      { name = "Drums", items = { { from = 0, to = 64, notes = beat(64) } } } } }
    f, g = both(spec, "redo")
    assert.same(heard(newest(f)), heard(newest(g)))
  end)

  it("scores the same", function()
    local notes = beat(32)
    for i = 0, 31 do notes[#notes + 1] = { 16 + i / 8, 0.1, 49, 127, 10 } end
    local f, g = both({ tracks = { bass(0, 32, { selected = false }),
      { name = "Drums", items = { { from = 0, to = 32, notes = notes } } } } }, "score")
    local one, other = f.track "Drums".items[1].take.markers, g.track "Drums".items[1].take.markers
    assert.is_true(#one > 0)
    assert.same(one, other)
  end)

  it("says why it could not, and leaves no files", function()
    local f = fake.new { tracks = { bass(0, 16) } }
    outside(f)
    f.ext.tool = "/no/such/tool"
    run(f, "drum")
    untouched(f, "not found.*\n.*could not be loaded: core.so: not for this machine")
    f = fake.new { tracks = { bass(0, 16) } }
    outside(f)
    f.ext.energy = "9:1"
    run(f, "drum")
    untouched(f, "^option 'energy': there is no bar 9")
    local _, left = shell.run("ls", resources)
    assert.equal("", left)
  end)

  it("leaves files for it in REAPER's own folder, not in one for all", function()
    local f = fake.new { tracks = { bass(0, 16) } }
    outside(f)
    f.resources = resources .. "/it's mine"
    shell.run("mkdir", f.resources)
    run(f, "drum")
    well_done(f, "Neural Drummer: drum items")
    assert.equal(1, (f.execs[1]:find("/bin/sh " .. shell.quote(f.resources):sub(1, -2)
      .. "/neuraldrummer-", 1, true)))
    local _, left = shell.run("ls", f.resources)
    shell.run("rmdir", f.resources)
    assert.equal("", left)
  end)

  it("starts a batch file on Windows", function()
    local f = fake.new { os = "Win64", tracks = { bass(0, 16) } }
    outside(f)
    local lines = {}
    f.reaper.ExecProcess = function(text) lines[#lines + 1] = text end
    actions.run("drum", f.reaper, f.gfx)
    f.pump(30)
    assert.matches('^cmd.exe /C ".*neuraldrummer%-%d+%-%d+%.bat"$', lines[1])
    local script = shell.read(lines[1]:match '"(.*)"')
    assert.matches("%-%-humanise=1", script)
    assert.matches("\r\n$", script)
    f.gfx.getchar = function() return 27 end
    f.reaper.time_precise = function() return 1e9 end
    f.pump()
    untouched(f)
    assert.is_false(shell.exists(lines[1]:match '"(.*)"'))
  end)

  it("writes MIDI files that read back as they were", function()
    local song = { ppq = 960, tempos = { { tick = 0, bpm = 97.3 }, { tick = 5000, bpm = 140 } },
      meters = { { tick = 0, numerator = 7, denominator = 8 } }, notes = {
        { tick = 0, duration = 300000, pitch = 60, velocity = 1, channel = 16, track = 2 },
        { tick = 10, duration = 10, pitch = 36, velocity = 127, channel = 10, track = 3 },
        { tick = 20, duration = 10, pitch = 36, velocity = 90, channel = 10, track = 3 } } }
    local bytes = midi.bytes(song)
    local own = assert(nd.song.parse(bytes))
    assert.equal(0, #own:repairs())
    local direct = nd.song.new { ppq = 960, notes = song.notes, tempos = song.tempos,
      meters = song.meters }
    for _, what in ipairs { "tempos", "meters", "length", "seconds" } do
      assert.same(direct[what](direct), own[what](own))
    end
    local notes = midi.notes(bytes)
    for i, n in ipairs(notes) do
      local given = song.notes[i]
      assert.same({ given.tick, given.duration, given.pitch, given.velocity, given.channel },
        { n.tick, n.duration, n.pitch, n.velocity, n.channel })
    end
    assert.equal(3, #notes)
    assert.same({ nil, "is not a MIDI file" }, { midi.notes "RIFF" })
    assert.same({ nil, "is truncated" }, { midi.notes(bytes:sub(1, -2)) })
  end)
end)
