local core = require "neuraldrummer.core"
local evaluate = require "neuraldrummer.evaluate"
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
      local options = { temperature = 1, seed = seed, steps = 64, songs = 3 }
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

  it("prints rows as a table", function()
    local text = evaluate.format(evaluate.baselines(corpus, { songs = 2, steps = 64 }))
    local lines = {}
    for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(6, #lines)
    assert.matches("^ +F1  +hits/step  +of real  +repeats .*consistency  +AUC  +songs", lines[1])
    for _, line in ipairs(lines) do assert.equal(#lines[1], #line) end
    assert.matches("^recorded drums +1%.000", lines[2])
  end)

  it("says when there is nothing to play", function()
    local _, alone
    local empty <close>, place = tiny.corpus(tok, {
      { tiny.song { patterns = stock, bars = 4 }, "train" } })
    local model <close> = constant {}
    for _, f in ipairs { evaluate.free, evaluate.teacher } do
      _, alone = f(model, empty)
      assert.matches("^no song of th", alone)
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
