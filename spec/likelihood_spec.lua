local core = require "neuraldrummer.core"
local tiny = require "spec.support.tiny"

local rock = {
  { kick = "x.......x.......", snare = "....x.......x...", closed_hat = "x.x.x.x.x.x.x.x.",
    bass = "x...x...x...x..." },
  { kick = "x.....x.x.......", snare = "....x.......x..x", closed_hat = "x.x.x.x.x.x.x.x.",
    bass = "x.....x.x......." },
}
local other = { { bass = "..x..x....x.x...", lead = "x.x.x.x.x.x.x.x." } }

local function sum(list)
  local s = 0
  for _, x in ipairs(list) do s = s + x end
  return s
end

local function near(want, got, within)
  assert.is_true(math.abs(want - got) < (within or 1e-4), got .. ", not " .. want)
end

describe("log_likelihood", function()
  local tok = core.tokeniser()
  local seq = tok:encode(tiny.song { patterns = rock, bars = 6 })
  local song = tok:encode(tiny.song { patterns = other, bars = 5 })

  -- every weight at work, also those that start as none
  local function stirred(options)
    local model = core.model(options)
    for k, name in ipairs { "out.skip", "out.mix" } do
      local ok, values = pcall(model.tensor, model, name)
      for i = 1, ok and #values or 0 do values[i] = math.sin(i * k) / 4 end
      if ok then model:set_tensor(name, values) end
    end
    return model
  end
  local model = stirred { hidden = 12, layers = 2, encoder = 6, dropout = 0, seed = 3 }

  -- the loss of the training's own pass, the song being one stretch of it
  it("agrees with the loss of a whole song", function()
    local corpus <close>, path = tiny.corpus(tok, { { seq, "valid" } })
    local batches <close> = corpus:batches { model = model, split = "valid", batch = 1,
      steps = #seq, shuffle = false, history_dropout = false }
    assert(batches:next())
    local loss, cells = model:loss(batches)
    os.remove(path)
    assert.equal(#seq * 9, cells)
    local steps = core.log_likelihood(model, seq)
    assert.equal(#seq, #steps)
    near(loss * cells, -sum(steps), 1e-3)
  end)

  it("agrees with one window after another", function()
    local heard = core.tokeniser { preset = "neuraldrummer2023" }
    local drums = heard:encode(tiny.song { patterns = rock, bars = 2 })
    local net <close> = core.model { preset = "neuraldrummer2023", hidden = 5, layers = 2,
      window = 4, seed = 2 }
    local hits, voices, intensity = drums:packed_hits(), 6, drums:metric "intensity"
    local function row(t, to)
      for v = 1, voices do
        to[#to + 1] = t > 1 and hits:byte((t - 2) * voices + v) > 0 and 1 or 0
      end
      to[#to + 1] = t > 0 and intensity[t] or 0
    end
    local judged = core.log_likelihood(net, drums)
    for t = 1, #drums do
      local x, y = {}, {}
      for at = t - 3, t do row(at, x) end
      for v = 1, voices do y[v] = hits:byte((t - 1) * voices + v) > 0 and 1 or 0 end
      local loss, cells = net:loss(core.batch(net, { steps = 4, batch = 1, x = x, y = y }))
      near(-loss * cells, judged[t])
    end
  end)

  it("agrees with the probabilities that a window's player has, of one step too", function()
    local heard = core.tokeniser { preset = "neuraldrummer2023" }
    local drums = heard:encode(tiny.song { patterns = rock, bars = 2 })
    for _, window in ipairs { 1, 4 } do
      local net <close> = core.model { preset = "neuraldrummer2023", hidden = 8, layers = 2,
        window = window }
      local player = core.generator(net, { cutoff = 0.5 })
      local played = player:play(drums)
      local last, likelihood = played:hits(#played), 0
      for voice, p in pairs(player:probabilities()) do
        likelihood = likelihood + math.log(last[voice] and p or 1 - p)
      end
      near(likelihood, core.log_likelihood(net, played)[#played], 1e-4)
    end
  end)

  it("hears another song, from any of its steps, round its end", function()
    local own = core.log_likelihood(model, seq)
    local heard = core.log_likelihood(model, seq,
      { song = { seq, song, song }, song_step = { 1, 1, 17 } })
    near(sum(own), sum(heard[1]), 1e-6)
    near(sum(core.log_likelihood(model, seq, { song = song })), sum(heard[2]), 1e-6)
    for i = 1, 3 do
      assert.equal(#seq, #heard[i])
      assert.is_true(math.abs(sum(heard[i]) - sum(heard[i % 3 + 1])) > 1e-3)
    end
  end)

  it("judges a stretch as the song's other steps do not matter to it", function()
    local cut = core.log_likelihood(model, seq, { from = 17, steps = 32 })
    assert.equal(32, #cut)
    local hits = seq:packed_hits()
    local changed = seq:with_hits(hits:sub(1, 48 * 9) .. ("\0"):rep(#hits - 48 * 9))
    assert.same(cut, core.log_likelihood(model, changed, { from = 17, steps = 32 }))
  end)

  it("takes a style, and history away", function()
    local with = core.log_likelihood(model, seq, { style = seq })
    assert.not_same(with, core.log_likelihood(model, seq))
    assert.same(core.log_likelihood(model, seq), core.log_likelihood(model, seq, { style = false }))
    local zeros = {}
    for i = 1, 14 do zeros[i] = 0 end
    assert.not_same(with, core.log_likelihood(model, seq, { style = zeros }))
    -- without history, steps that hear the same and are struck the same are the same:
    -- of a net that hears the past only, the first step knows nothing of the hits
    local blind = core.log_likelihood(model, seq, { history = false })
    local hits = seq:packed_hits()
    local changed = seq:with_hits(("\127"):rep(9) .. hits:sub(10))
    local also = core.log_likelihood(model, changed, { history = false })
    for t = 2, #blind do assert.equal(blind[t], also[t]) end
    assert.not_equal(blind[1], also[1])
  end)

  it("tells the net whether there is a past, a style and a groove", function()
    local told <close> = core.model { hidden = 2, layers = 1, encoder = 2, dropout = 0 }
    local V, inputs = 9, told:config().inputs
    local _, shape = told:tensor "out.skip"
    --- Chances of a step's hits where one input alone is heard, by all voices.
    local function hears(input, options)
      for _, name in ipairs(told:tensors()) do
        local values = told:tensor(name)
        for i = 1, #values do
          values[i] = name == "out.skip" and (i - 1) // shape[2] + 1 == input and 1 or 0
        end
        told:set_tensor(name, values)
      end
      return core.log_likelihood(told, seq, options)
    end
    local function is(x, list)
      for t, got in ipairs(list) do
        local want = 0
        for v = 1, V do
          local hit = seq:packed_hits():byte((t - 1) * V + v) > 0
          want = want - math.log(1 + math.exp(hit and -x or x))
        end
        near(want, got)
      end
    end
    local past, style, groove = 31 + 2 * V + 4 + 1, inputs - V - 1, inputs
    is(1, hears(past))
    is(0, hears(past, { history = false }))
    local traits = table.move(seq:style(), 1, V + 5, 1, {})
    for input, want in pairs { [style] = { 0, 1, 1 }, [groove] = { 0, 0, 1 } } do
      is(want[1], hears(input))
      is(want[2], hears(input, { style = traits }))
      is(want[3], hears(input, { style = seq }))
      is(want[3], hears(input, { style = seq:style() }))
    end
    -- the groove's own numbers are those of the place in the bar
    local list = hears(inputs - V, { style = seq })  -- of the kick
    for t = 1, #seq do
      local x, want = seq:style()[V + 5 + (t - 1) % 16 * V + 1], 0
      for v = 1, V do
        local hit = seq:packed_hits():byte((t - 1) * V + v) > 0
        want = want - math.log(1 + math.exp(hit and -x or x))
      end
      near(want, list[t])
    end
    for _, numbers in ipairs { { table.unpack(seq:style(), 1, 15) }, {}, { -1 } } do
      assert.error_matches(function() core.log_likelihood(told, seq, { style = numbers }) end,
        "14 numbers are needed, or 230 with a groove")
    end
    traits[3] = -0.1
    assert.error_matches(function() core.log_likelihood(told, seq, { style = traits }) end,
      "number 3 is not in 0%.%.1")
  end)

  it("refuses what cannot be judged", function()
    local function refuses(pattern, ...)
      local args = table.pack(...)
      local ok, message = pcall(core.log_likelihood, table.unpack(args, 1, args.n))
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    local eighths = core.tokeniser { steps_per_beat = 2 }
    local coarse = eighths:encode(tiny.song { patterns = rock, bars = 2 })
    refuses("the sequence has 2 steps per quarter note, the model needs 4", model, coarse)
    refuses("the song has 2 steps per quarter note, the model needs 4", model, seq,
      { song = coarse })
    refuses("'from'", model, seq, { from = #seq + 1 })
    refuses("'steps'", model, seq, { from = 2, steps = #seq })
    refuses("'song_step'", model, seq, { song_step = 0 })
    refuses("'song_step'", model, seq, { song = song, song_step = #song + 1 })
    refuses("same length", model, seq, { song = { song, song }, song_step = { 1 } })
    refuses("14 numbers are needed, or 230 with a groove", model, seq, { style = { 1, 2 } })
    refuses("'sogn'.*'song'", model, seq, { sogn = song })
    refuses("sequence", model, seq, { song = { song, 3 } })
    local raw <close> = core.model { inputs = 3, voices = 2, hidden = 4, layers = 1 }
    refuses("raw model", raw, seq)
  end)
end)
