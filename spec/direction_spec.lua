-- What the generator does with direction: what is kept, hands and feet, when
-- it enters, styles. None of it depends on training.
local core = require "neuraldrummer.core"
local tiny = require "spec.support.tiny"

local PPQ <const> = 480
local BAR <const> = 4 * PPQ

local function model_of(options)
  options = options or {}
  options.hidden, options.layers, options.encoder = 8, 1, 4
  return core.model(options)
end

-- Eight bars of a bass, and drums as a person plays them: late and early, loud
-- and soft, two snares of one voice at once, a pitch that no voice has.
local function performance()
  local notes = {}
  for bar = 0, 7 do
    for beat = 0, 3 do
      local tick = bar * BAR + beat * PPQ
      notes[#notes + 1] = { tick = tick, duration = PPQ, pitch = 40, velocity = 90, channel = 1 }
      local function drum(pitch, late, velocity)
        notes[#notes + 1] = { tick = math.max(tick + late, 0), duration = 60, pitch = pitch,
          velocity = velocity, channel = 10 }
      end
      drum(beat % 2 == 0 and 35 or 40, (bar * 7 + beat * 5) % 31 - 15, 60 + 7 * bar)
      if beat == 3 then
        drum(37, 20, 33)
        drum(38, 20, 34)
        drum(100, 11, 77)
      end
      drum(44, -9, 50 + beat)
      drum(42, PPQ // 2 + 13, 20 + bar)
    end
  end
  return core.song { ppq = PPQ, notes = notes }
end

local function mask(seq, cell)
  local parts, bars, voices = {}, seq:bars(), seq:voices()
  local bar = 1
  for t = 1, #seq do
    if bars[bar + 1] and bars[bar + 1].first <= t then bar = bar + 1 end
    for _, voice in ipairs(voices) do parts[#parts + 1] = cell(bar, voice) and "\1" or "\0" end
  end
  return table.concat(parts)
end

local function described(notes, from, to, pitches)
  local list = {}
  for _, n in ipairs(notes) do
    if n.tick >= from and n.tick < to and (not pitches or pitches[n.pitch]) then
      list[#list + 1] = ("%d %d %d"):format(n.tick, n.pitch, n.velocity)
    end
  end
  table.sort(list)
  return table.concat(list, "\n")
end

describe("what is kept", function()
  local song = performance()
  local model, seq, own
  setup(function()
    model = model_of()
    seq = assert(model:tokeniser():encode(song))
    own = song:notes "drums"
  end)

  local function play(given)
    local generator <close> = core.generator(model, { seed = 3, temperature = 100 })
    return generator:play(seq, given)
  end

  it("comes out note for note where all is", function()
    local drums = play { fixed = seq }
    assert.equal(seq:packed_hits(), drums:packed_hits())
    assert.equal(seq:tokens(), drums:tokens())
    assert.equal(described(own, 0, 8 * BAR),
      described(song:with_drums(drums):notes "drums", 0, 8 * BAR))
  end)

  it("stands around bars that are played again", function()
    local known = mask(seq, function(bar) return bar < 3 or bar > 5 end)
    local drums = play { fixed = seq, mask = known }
    local notes = song:with_drums(drums):notes "drums"
    -- half a step before the bars' own ticks, as their first notes are early
    local from, to = 2 * BAR - 60, 5 * BAR - 60
    assert.equal(described(own, 0, from), described(notes, 0, from))
    assert.equal(described(own, to, 8 * BAR), described(notes, to, 8 * BAR))
    assert.not_equal(described(own, from, to), described(notes, from, to))
    local a, b, n = seq:packed_hits(), drums:packed_hits(), 16 * #seq:voices()
    assert.equal(a:sub(1, 2 * n), b:sub(1, 2 * n))
    assert.equal(a:sub(5 * n + 1), b:sub(5 * n + 1))
  end)

  it("may be voices", function()
    local known = mask(seq, function(_, voice) return voice == "kick" or voice == "snare" end)
    local notes = song:with_drums(play { fixed = seq, mask = known }):notes "drums"
    local kept = { [35] = true, [36] = true, [37] = true, [38] = true, [40] = true }
    assert.equal(described(own, 0, 8 * BAR, kept), described(notes, 0, 8 * BAR, kept))
    assert.equal("", described(notes, 0, 8 * BAR, { [100] = true, [44] = true }))
  end)

  it("is all that is heard of these drums", function()
    local known = mask(seq, function(bar, voice) return bar ~= 4 or voice == "kick" end)
    local other = seq:packed_hits():gsub("().", function(at)
      return known:byte(at) == 0 and "\99" or nil
    end)
    for seed = 1, 4 do
      local generator <close> = core.generator(model, { seed = seed })
      assert.equal(generator:play(seq, { fixed = seq, mask = known }):packed_hits(),
        generator:play(seq, { fixed = seq:with_hits(other), mask = known }):packed_hits())
    end
  end)

  it("is refused where it does not fit", function()
    local generator <close> = core.generator(model)
    local other = assert(model:tokeniser():encode(tiny.song { patterns = { { bass =
      "x..............." } }, bars = 3 }))
    assert.error_matches(function() generator:play(seq, { fixed = other }) end,
      "option 'fixed': it has 48 steps, the song 128")
    other = assert(core.tokeniser { kit = "basic6" }:encode(song))
    assert.error_matches(function() generator:play(seq, { fixed = other }) end,
      "option 'fixed': it has another kit than the song")
    assert.error_matches(function() generator:play(seq, { fixed = seq, mask = "\1" }) end,
      "option 'mask': 1152 bytes are needed, got 1")
    assert.error_matches(function() generator:play(seq, { mask = "\1" }) end,
      "option 'mask': it needs the option 'fixed'")
    local plain = core.model { hidden = 8, layers = 1, encoder = 0 }
    assert.error_matches(function() core.generator(plain):play(seq, { fixed = seq }) end,
      "this model takes no direction")
  end)

  it("moves from bar to bar", function()
    local moved = seq:with_bars { [1] = 8, [3] = 1 }
    local a, b, n = seq:packed_hits(), moved:packed_hits(), 16 * #seq:voices()
    assert.equal(a:sub(7 * n + 1), b:sub(1, n))
    assert.equal(("\0"):rep(n), b:sub(n + 1, 2 * n))
    assert.equal(a:sub(1, n), b:sub(2 * n + 1, 3 * n))
    assert.is_nil(b:find("[^\0]", 3 * n + 1))
    assert.equal(seq:metrics(40).bass, moved:metrics(40).bass)
    local all = {}
    for bar = 1, 8 do all[bar] = bar end
    assert.equal(seq:tokens(), seq:with_bars(all):tokens())
    assert.equal(described(own, 0, 8 * BAR),
      described(song:with_drums(seq:with_bars(all)):notes "drums", 0, 8 * BAR))
    local waltz = assert(model:tokeniser():encode(tiny.song { patterns = { { kick =
      "x...........", bass = "x..........." } }, bars = 2, numerator = 3 }))
    assert.error_matches(function() seq:with_bars({ 1 }, waltz) end,
      "bar 1 has 16 steps, but bar 1, to copy drums from, has 12")
    assert.error_matches(function() seq:with_bars { 9 } end,
      "bar 9, to copy drums from, does not exist")
    assert.error_matches(function() seq:with_bars { 1.5 } end, "bar 1: a bar's number is needed")
  end)
end)

describe("hands and feet", function()
  -- The most of these voices that one step strikes.
  local function most(seq, voices)
    local n = 0
    for _, hits in ipairs(seq:hits()) do
      local struck = 0
      for _, voice in ipairs(voices) do struck = struck + (hits[voice] and 1 or 0) end
      n = math.max(n, struck)
    end
    return n
  end
  local hands = { "snare", "closed_hat", "open_hat", "low_tom", "mid_tom", "high_tom", "crash",
    "ride" }

  it("suffice for what is played, whatever song and seed", function()
    for seed = 1, 12 do
      local model <close> = model_of { seed = seed }
      local patterns = { { bass = ("x"):rep(seed) .. ("."):rep(16 - seed) } }
      local seq = assert(model:tokeniser():encode(tiny.song { patterns = patterns, bars = 8 }))
      local generator <close> = core.generator(model, { seed = seed, temperature = 100 })
      assert.equal(2, most(generator:play(seq), hands))
      local forced <close> = core.generator(model, { seed = seed, forced = 9 })
      assert.equal(2, most(forced:play(seq), hands))
      local free <close> = core.generator(model, { seed = seed, temperature = 100,
        playable = false })
      assert.is_true(most(free:play(seq), hands) > 2)
    end
  end)

  it("keep the likeliest", function()
    local model <close> = model_of()
    local seq = assert(model:tokeniser():encode(tiny.song { patterns = { { bass =
      "x...x...x......x" } }, bars = 1 }))
    local generator <close> = core.generator(model, { forced = 9, cutoff = 1 })
    local last = generator:play(seq):hits(16)
    local odds = generator:probabilities()
    table.sort(hands, function(a, b) return odds[a] > odds[b] end)
    for i, voice in ipairs(hands) do assert.equal(i <= 2, last[voice] ~= nil) end
    assert.is_truthy(last.kick)
  end)

  it("are two of each, by the kit's pitches", function()
    local kit = { name = "feet", { name = "left", pitches = { 35 } }, { name = "right", pitches =
      { 36 } }, { name = "pedal", pitches = { 44 } }, { name = "stick", pitches = { 37 } } }
    local model <close> = model_of { tokeniser = core.tokeniser { kit = kit } }
    local seq = assert(model:tokeniser():encode(tiny.song { patterns = { { bass =
      "x...x...x...x..." } }, bars = 4 }))
    local generator <close> = core.generator(model, { forced = 4 })
    local drums = generator:play(seq)
    assert.equal(2, most(drums, { "left", "right", "pedal" }))
    assert.equal(1, most(drums, { "stick" }))
  end)

  it("take nothing away that is kept", function()
    local model <close> = model_of()
    local seq = assert(model:tokeniser():encode(tiny.song { patterns = { { bass =
      "x...x...x...x..." } }, bars = 4 }))
    local all = {}
    for t = 1, #seq do all[t] = { snare = 0.5, crash = 0.5, ride = 0.5 } end
    local known = mask(seq, function(_, voice)
      return voice == "snare" or voice == "crash" or voice == "ride"
    end)
    local generator <close> = core.generator(model, { temperature = 100 })
    local drums = generator:play(seq, { fixed = seq:with_hits(all), mask = known })
    assert.equal(3, most(drums, { "snare", "crash", "ride" }))
    assert.equal(3, most(drums, hands))
  end)
end)

describe("the drums", function()
  local model, seq
  setup(function()
    model = model_of()
    local notes = {}
    for beat = 16, 31 do
      notes[#notes + 1] = { tick = beat * PPQ, duration = PPQ, pitch = 40, velocity = 90 }
    end
    -- a fade of silence: the song ends within its last bar
    notes[#notes + 1] = { tick = 32 * PPQ, duration = PPQ, pitch = 40, velocity = 90 }
    seq = assert(model:tokeniser():encode(core.song { ppq = PPQ, notes = notes }))
  end)

  local function played(options)
    options.seed, options.temperature = 2, 100
    local generator <close> = core.generator(model, options)
    return generator:play(seq):packed_hits()
  end

  it("come in with the band and stop with it", function()
    local n = #seq:voices()
    local hits = played {}
    assert.equal(144, #seq)
    assert.equal(64, (hits:find "[^\0]" - 1) // n)
    assert.is_nil(hits:find("[^\0]", 132 * n + 1))
    assert.is_truthy(hits:find("[^\0]", 131 * n + 1))
    assert.equal(hits, played { enter = "band" })
  end)

  it("may be there always", function()
    local n = #seq:voices()
    local hits = played { enter = "always" }
    assert.is_true(hits:find "[^\0]" <= 2 * n)
    assert.is_truthy(hits:find("[^\0]", 140 * n + 1))
  end)

  it("are there always where no band is heard, or as the original's", function()
    local alone = assert(model:tokeniser():encode(tiny.song { patterns = { { kick =
      "x..............." } }, bars = 2 }))
    local generator <close> = core.generator(model, { temperature = 100 })
    assert.is_truthy(generator:play(alone):packed_hits():find "[^\0]")
    local original <close> = core.model { preset = "neuraldrummer2023", hidden = 8, layers = 1 }
    local tok = original:tokeniser()
    local song = assert(tok:encode(core.song { ppq = PPQ, notes = {
      { tick = 16 * PPQ, duration = PPQ, pitch = 40, velocity = 90 } } }))
    local first <close> = core.generator(original)
    assert.is_truthy(next(first:play(song):hits(1)))
  end)
end)

describe("a style", function()
  local model, seq, path
  setup(function()
    model = model_of()
    local songs = {}
    for i = 1, 9 do
      local x, o = ("x"):rep(i), ("."):rep(16 - i)
      songs[i] = { tiny.song { patterns = { { kick = "x...............", ride = x .. o,
        bass = "x...x...x...x..." } }, bars = 4 }, "train" }
    end
    local corpus
    corpus, path = tiny.corpus(model:tokeniser(), songs)
    assert.equal(9, model:learn_styles(corpus))
    seq = assert(corpus:song(4))
    corpus:close()
  end)
  teardown(function() os.remove(path) end)

  it("is drawn by the seed", function()
    local seen, n = {}, 0
    for seed = 1, 30 do
      local generator <close> = core.generator(model, { seed = seed })
      local numbers, index, name = generator:choose(seq)
      local drums = generator:play(seq)
      local played, played_name = generator:style()
      assert.equal(index, played)
      assert.equal(name, played_name)
      assert.equal("song " .. index, name)
      assert.near((index / 16) ^ 0.5, numbers[9], 1e-3)
      assert.equal(drums:packed_hits(), generator:play(seq):packed_hits())
      if not seen[index] then seen[index], n = true, n + 1 end
    end
    assert.is_true(n > 2)
  end)

  it("may be given", function()
    local generator <close> = core.generator(model, { seed = 1 })
    generator:play(seq, { style = 7 })
    assert.same({ 7, "song 7" }, { generator:style() })
    local numbers = generator:choose(seq, seq)
    assert.same(seq:style(), numbers)
    assert.equal(1, select("#", generator:choose(seq, false)))
    assert.is_nil((generator:choose(seq, false)))
    generator:play(seq, { style = numbers })
    assert.is_nil((generator:style()))
    assert.error_matches(function() generator:choose(seq, 10) end,
      "option 'style': there is no style 10: the model has 9")
    assert.error_matches(function() generator:choose(seq, { 0.5 }) end,
      "14 numbers are needed, or 230 with a groove")
  end)
end)
