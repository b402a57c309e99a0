local core = require "neuraldrummer.core"
local evaluate = require "neuraldrummer.evaluate"
local safetensors = require "spec.support.safetensors"
local temporary = require "spec.support.temporary"
local tiny = require "spec.support.tiny"

local stock = {
  { kick = "x.......x.......", snare = "....x.......x...", closed_hat = "x.x.x.x.x.x.x.x.",
    bass = "x...x...x...x..." },
}
local stock_waltz = {
  { kick = "x.......x...", snare = "....x.......", closed_hat = "x.x.x.x.x.x.",
    bass = "x..........." },
}
-- two bars in turn, so that no bar equals the one before
local turning = {
  { kick = "x..x..x.........", ride = "x.x.x.x.x.x.x.x.", bass = "x..............." },
  { kick = "x..x..x...x.x...", ride = "x.x.x.x.x.x.x.x.", crash = "x...............",
    bass = "x..............." },
}

local function near(want, got)
  assert.is_true(math.abs(want - got) < 1e-9, got .. ", not " .. want)
end

describe("evaluate", function()
  local tok, corpus, path

  setup(function()
    tok = core.tokeniser()
    local songs = { { tiny.song { patterns = turning, bars = 8 }, "train" } }
    for i = 1, 6 do
      songs[#songs + 1] = { tiny.song { patterns = stock, bars = 16, root = 30 + i }, "valid" }
    end
    songs[#songs + 1] = { tiny.song { patterns = stock_waltz, bars = 16, numerator = 3 }, "valid" }
    corpus, path = tiny.corpus(tok, songs)
  end)
  teardown(function()
    corpus:close()
    os.remove(path)
  end)

  -- all tensors zero: the odds are out.b's alone, at every step
  local function constant(odds)
    local model = core.model { preset = "drummer", layers = 1, hidden = 4, dropout = 0 }
    for _, name in ipairs(model:tensors()) do
      local values = model:tensor(name)
      for i = 1, #values do values[i] = 0 end
      if name == "out.b" then
        for v, p in pairs(odds) do values[v] = math.log(p / (1 - p)) end
      end
      model:set_tensor(name, values)
    end
    return model
  end

  it("is of all songs, or none: not where one cannot be read", function()
    local bytes, spoilt = safetensors.bytes(path), temporary.name()
    safetensors.save(spoilt, bytes:sub(1, #bytes - 8000) .. ("x"):rep(4000) .. bytes:sub(-4000))
    local damaged <close> = assert(core.open_corpus(spoilt))
    local rows, message = evaluate.teacher(constant {}, damaged, { batch = 1 })
    assert.same({ nil, spoilt .. ": the corpus is damaged: checksum of a song" },
      { rows, message })
    os.remove(spoilt)
  end)

  --- Steps and hits by voice of the first `steps` steps of the valid songs.
  local function count(steps)
    local n, hits = 0, {}
    for i = 1, #corpus do
      if corpus:info(i).split == "valid" then
        local song = corpus:song(i)
        for t = 1, math.min(#song, steps) do
          n = n + 1
          for voice in pairs(song:hits(t)) do hits[voice] = (hits[voice] or 0) + 1 end
        end
      end
    end
    return n, hits
  end

  it("knows what the players without a network score", function()
    local rows = evaluate.baselines(corpus, { steps = 512 })
    local by = {}
    for _, row in ipairs(rows) do by[row.name] = row end
    local real = by["recorded drums"]
    assert.equal(7, real.songs)
    near(1, real.f1)
    near(1, real.density)
    assert.equal(0, real.silent)
    assert.is_nil(real.auc)

    local silence = by.silence
    near(0, silence.f1)
    near(0, silence.hits)
    assert.equal(7, silence.silent)
    assert.is_nil(silence.repeats)
    near(1, silence.consistency)
    assert.is_true(silence.auc > 0.95)

    -- the recorded drums are the stock beat, up to the songs' last bars
    local beat = by["stock beat"]
    assert.is_true(beat.f1 > 0.97, beat.f1)
    assert.is_true(beat.repeats > 0.85 and beat.repeats < 1)
    assert.is_true(math.abs(beat.auc - 0.5) < 0.2, beat.auc)

    -- all but the first of sixteen equal bars
    local last = by["last recorded bar (oracle)"]
    assert.is_true(last.f1 > 0.92 and last.f1 < 1, last.f1)
    assert.is_true(by["song's commonest bar (oracle)"].f1 > 0.97)
  end)

  it("counts repeats, consistency and steps exactly", function()
    local rows = evaluate.baselines(corpus, { split = "train", steps = 128 })
    local real = rows[1]
    assert.equal("recorded drums", real.name)
    assert.equal(128, real.steps)
    near((4 * (3 + 8) + 4 * (5 + 8 + 1)) / 128, real.hits)
    near(0, real.repeats)
    near(1 - 7 * 3 / (7 * 16 * 9), real.consistency)  -- two kicks and the crash, seven times
    local last = rows[4]
    -- what two neighbouring bars share: 3 kicks and 8 rides, seven times
    near(2 * 7 * 11 / (100 + 4 * 11 + 3 * 14), last.f1)
  end)

  it("lets a model play freely, hearing nothing of the recorded drums", function()
    local model <close> = constant { 0.9, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01 }
    local done = {}
    local rows = evaluate.free(model, corpus, { cutoff = 0.5, steps = 64, songs = 5,
      on_progress = function(n, of) done[#done + 1] = n .. "/" .. of end })
    assert.same({ "1/5", "2/5", "3/5", "4/5", "5/5" }, done)
    local row = rows[1]
    assert.equal(5 * 64, row.steps)
    near(1, row.hits)  -- the kick, at every step
    near(3 / 4, row.repeats)  -- all bars but the first
    near(1, row.consistency)
    near(64 / (4 * 12), row.density)
    near(2 * (4 * 2) / (64 + 4 * 12), row.f1)
    assert.is_true(row.auc > 0.95)
  end)

  it("draws by the seed", function()
    local model <close> = constant { 0.3, 0.2, 0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1 }
    local function play(seed)
      local options = { temperature = 1, variation = 0, seed = seed, steps = 64, songs = 3 }
      return evaluate.free(model, corpus, options)[1]
    end
    assert.same(play(4), play(4))
    assert.not_same(play(4).f1, play(5).f1)
    assert.is_true(math.abs(play(4).hits - 1.5) < 0.25)
  end)

  it("gives bits a step with the recorded hits as history", function()
    local odds = { 0.25, 0.125, 0.5, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01 }
    local model <close> = constant(odds)
    local n, hits = count(math.huge)
    local want = 0
    for v, voice in ipairs(tok:voices()) do
      local k = hits[voice] or 0
      want = want - k * math.log(odds[v], 2) - (n - k) * math.log(1 - odds[v], 2)
    end
    local row = evaluate.teacher(model, corpus)[1]
    assert.equal(n, row.steps)
    assert.is_true(math.abs(row.bits - want / n) < 1e-5, row.bits .. ", not " .. want / n)
    -- odds of 1/2 and more: the closed hat, at every step
    local all = hits.kick + hits.snare + hits.closed_hat
    near(1, row.hits)
    near(2 * hits.closed_hat / (n + all), row.f1)
  end)

  --- Calls `f` while `play` stands in for every generator's.
  local function with_player(play, f)
    local make = core.generator
    core.generator = function() -- luacheck: ignore
      return setmetatable({ play = function(_, ...) return play(...) end },
        { __close = function() end })
    end
    local results = table.pack(pcall(f))
    core.generator = make -- luacheck: ignore
    return assert(table.unpack(results, 1, results.n))
  end

  --- The figures of one song's bars against another's.
  local function judge_bars(real, played)
    local alone <close>, place = tiny.corpus(tok, {
      { tiny.song { patterns = real, bars = #real }, "valid" } })
    os.remove(place)
    local seq = assert(tok:encode(tiny.song { patterns = played, bars = #played }))
    local model <close> = constant {}
    local _, rows = with_player(function(song) return song:with_hits(seq:packed_hits()) end,
      function() return evaluate.free(model, alone) end)
    return rows[1]
  end

  it("says how near, how regular and how rooted the hits are", function()
    local bar = { kick = "x.......x.......", snare = "....x.......x...",
      bass = "x..............." }
    local early = { kick = ".x........x.....", snare = "....x..x........" }
    local real = { bar, bar, bar, bar }
    local late = { early, early, { kick = early.kick, snare = "............x..." }, early }
    local row = judge_bars(real, late)
    near(2 * 4 / (16 + 15), row.f1)          -- a back-beat in each bar
    near(2 * (4 + 4) / (16 + 15), row.f1_tolerant)  -- and a kick a step late
    near(1 - (0 + 3 + 3) / (3 * 16), row.groove)
    near(4 / 7, row.back_beat)
    near(0, row.kick_bass)
    near(1, row.pattern)
    local own = judge_bars(real, real)
    near(1, own.f1_tolerant)
    near(1, own.groove)
    near(1, own.back_beat)
    near(1 / 2, own.kick_bass)
    near(1, own.intervals)
    near(1 / 13, row.intervals)  -- always 8 steps; so once of 13 times in what was played
  end)

  it("finds the bars that stand out, a bar early or late as well", function()
    local groove = { kick = "x.......x.......", snare = "....x.......x..." }
    local fill = { snare = "xxxxxxxxxxxxxxxx", crash = "x..............." }
    groove.bass, fill.bass = fill.crash, fill.crash
    local function with_fills(...)
      local bars = {}
      for i = 1, 16 do bars[i] = groove end
      for _, i in ipairs { ... } do bars[i] = fill end
      return bars
    end
    near(1, judge_bars(with_fills(8, 16), with_fills(8, 16)).fills)
    near(1, judge_bars(with_fills(8, 16), with_fills(7, 15)).fills)
    near(0, judge_bars(with_fills(8, 16), with_fills(4, 12)).fills)
    near(2 / 3, judge_bars(with_fills(8, 16), with_fills(8)).fills)
  end)

  it("compares velocities and offsets where they vary", function()
    local function touched(velocity, shift)
      local notes = { { tick = 0, duration = 960 * 8, pitch = 36, velocity = 90, channel = 1 } }
      for i = 0, 63 do
        notes[#notes + 1] = { tick = i * 120 + shift(i), duration = 60, pitch = 38,
          velocity = velocity(i), channel = 10 }
      end
      return core.song { ppq = 480, notes = notes }
    end
    local human = touched(function(i) return 30 + i end, function(i) return i % 5 * 8 end)
    local flat = touched(function() return 100 end, function() return 0 end)
    local lively <close>, place = tiny.corpus(tok, { { human, "valid" } })
    local dead <close>, other = tiny.corpus(tok, { { flat, "valid" } })
    os.remove(place)
    os.remove(other)
    local row = evaluate.baselines(lively)[1]
    near(1, row.velocity)
    near(1, row.offset)
    assert.is_true(row.pattern < 1)
    row = evaluate.baselines(dead)[1]
    assert.is_nil(row.velocity)
    assert.is_nil(row.offset)
    local model <close> = constant { 0.99, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01 }
    row = evaluate.free(model, lively, { cutoff = 0.5 })[1]
    assert.is_true(row.velocity < 0.3, row.velocity)
    assert.is_true(row.offset < 0.5, row.offset)
  end)

  it("matches drums with their songs", function()
    -- the kick follows the bass, or nothing does
    local songs = {}
    for i = 1, 10 do
      local line = {}
      for k = 1, 16 do line[k] = (k * i * 7 + i * i) % 11 < 4 and "x" or "." end
      line = table.concat(line)
      songs[i] = { tiny.song { patterns = { { kick = line, bass = line } }, bars = 20 }, "valid" }
    end
    local ten <close>, place = tiny.corpus(tok, songs)
    os.remove(place)
    local model <close> = core.model { hidden = 4, layers = 1, encoder = 0, dropout = 0 }
    for _, name in ipairs(model:tensors()) do
      local values = model:tensor(name)
      for i = 1, #values do values[i] = 0 end
      if name == "out.skip" then values[4 * 9 + 1] = 8 end   -- bass to kick
      if name == "out.b" then values[1] = -4 end
      model:set_tensor(name, values)
    end
    local row = evaluate.matching(model, ten)[1]
    near(1, row.matching)
    assert.equal(10, row.songs)
    local deaf <close> = constant {}
    assert.is_true(evaluate.matching(deaf, ten)[1].matching <= 0.1)
    local none, message = evaluate.matching(model, ten, { songs = 9 })
    assert.is_nil(none)
    assert.matches("needs 10 songs of 256 steps", message)
  end)

  it("measures what follows the bars that are given", function()
    local function beside(...)
      local by = {}
      for _, row in ipairs(assert(evaluate.baselines(...))) do by[row.name] = row end
      return by
    end
    local by = beside(corpus, { given_bars = 2 })
    assert.equal(6 * (14 * 16) + 14 * 12, by["recorded drums"].steps)
    assert.is_true(by["given bars again"].f1 > 0.97)
    assert.equal(32, beside(corpus, { split = "train", given_bars = 2, steps = 32 })
      ["recorded drums"].steps)
    assert.is_true(beside(corpus, { split = "train", given_bars = 2 })["given bars again"].f1 == 1)
    -- two bars in turn: of one alone, every other is right
    local one = beside(corpus, { split = "train", given_bars = 1 })["given bars again"]
    assert.is_true(one.f1 < 1 and one.f1 > 0.8)
  end)

  it("tells the drummer its song's own style, or its first bars, and nothing else", function()
    local model <close> = core.model { hidden = 4, layers = 1, encoder = 4, dropout = 0 }
    local plain <close> = core.model { hidden = 4, layers = 1, encoder = 0 }
    local asked = {}
    with_player(function(song, direction)
      assert.is_nil(song:packed_hits():find "[^\0]")
      asked[#asked + 1] = direction or false
      return song
    end, function()
      assert(evaluate.free(model, corpus, { songs = 1 }))
      assert(evaluate.free(model, corpus, { songs = 1, recorded_style = true }))
      assert(evaluate.free(model, corpus, { songs = 1, given_bars = 3 }))
      assert(evaluate.free(plain, corpus, { songs = 1, given_bars = 3 }))
    end)
    assert.equal(4, #asked)
    assert.is_false(asked[1])
    assert.is_true(asked[2].style ~= nil and asked[2].fixed == nil and asked[2].mask == nil)
    assert.is_nil(asked[3].style)
    assert.equal(("\1"):rep(3 * 16 * 9) .. ("\0"):rep(13 * 16 * 9), asked[3].mask)
    assert.is_false(asked[4])
  end)

  it("puts models and temperatures into one table", function()
    local a <close> = core.model { hidden = 4, layers = 1, encoder = 4, seed = 1 }
    local b <close> = core.model { hidden = 4, layers = 1, encoder = 0, seed = 2 }
    local rows = assert(evaluate.table({ { model = a, label = "a" }, { model = b, label = "b" } },
      corpus, { temperatures = { 0.5, 1 }, steps = 64, recorded_style = true }))
    local names = {}
    for i, row in ipairs(rows) do names[i] = row.name end
    assert.same({ "silence", "stock beat", "last recorded bar (oracle)",
      "song's commonest bar (oracle)", "a, 0.5", "a, 1", "b, 0.5 (takes no direction)",
      "b, 1 (takes no direction)", "recorded drums" }, names)
    assert.equal(evaluate.teacher(a, corpus)[1].bits, rows[5].bits)
    assert.equal(rows[5].bits, rows[6].bits)
    assert.is_nil(rows[5].matching)          -- seven songs are too few
    assert.is_true(rows[5].hits ~= rows[6].hits)
    local free = evaluate.free(a, corpus, { temperature = 0.5, steps = 64, recorded_style = true })
    assert.equal(free[1].f1, rows[5].f1)
    assert.has_error(function() evaluate.table({}, corpus, { tepmeratures = {} }) end)
  end)

  it("prints rows as a table", function()
    local text = evaluate.format(evaluate.baselines(corpus, { songs = 2, steps = 64 }))
    local lines = {}
    for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(6, #lines)
    assert.matches(
      "^ +free F1  +F1 %+%-1  +hits/step  +hits/real  +repeats .*consistency .*AUC  +songs",
      lines[1])
    for _, line in ipairs(lines) do assert.equal(#lines[1], #line) end
    assert.matches("^recorded drums +1%.000", lines[2])
    local legend = evaluate.legend(evaluate.baselines(corpus, { songs = 2, steps = 64 }))
    assert.matches("^free F1 +F1 of the hits", legend)
    for title in lines[1]:gmatch "%S+%s?%S*" do
      assert.truthy(("\n" .. legend):find("\n" .. title:match "%S+", 1, true), title)
    end
  end)

  it("says when there is nothing to play", function()
    local _, alone
    local empty <close>, place = tiny.corpus(tok, {
      { tiny.song { patterns = stock, bars = 4 }, "train" } })
    local model <close> = constant {}
    for _, f in ipairs { evaluate.free, evaluate.teacher } do
      _, alone = f(model, empty)
      assert.matches("no song of th", alone)
    end
    _, alone = evaluate.baselines(empty)
    assert.equal("no song of the split 'valid' to play", alone)
    os.remove(place)
  end)

  it("refuses unknown options by name", function()
    local function misspelt() evaluate.baselines(corpus, { stpes = 3 }) end
    assert.error_matches(misspelt, "'stpes'.*'steps'")
  end)
end)
