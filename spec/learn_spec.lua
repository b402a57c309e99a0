-- The whole chain can learn: songs made of notes, through the corpus and its
-- batches, are learnt by heart, and the generator gives them back.
local core = require "neuraldrummer.core"
local tiny = require "spec.support.tiny"

local rock = {
  { kick = "x.......x.......", snare = "....x.......x...", closed_hat = "x.x.x.x.x.x.x.x.",
    bass = "x.x.x.x.x.x.x.x." },
  { kick = "x.......x.x.....", snare = "....x.......x..x", closed_hat = "x.x.x.x.x.x.x...",
    open_hat = "..............x.", bass = "x.x.x.x.x.x.x.x." },
}
local funk = {
  { kick = "x..x......x..x..", snare = "....x..x.x..x...", closed_hat = "xxxxxxxxxxxxxxxx",
    bass = "x..x......x..x..", lead = "....x.......x..." },
}
local waltz = {
  { kick = "x...........", snare = "....x...x...", ride = "x...x.x.x...", bass = "x...........",
    lead = "....x...x..." },
}
-- In eighths. What the first step of a song hears is not in token text: it is
-- taken to hear what the second does, so here that is no lie.
local eighths = {
  { kick = "x.......x.......", snare = "....x.......x...", closed_hat = "x.x.x.x.x.x.x.x.",
    bass = "x.x.x.x.x.x.x.x.", lead = "..x............." },
}
local eighths_in_three = {
  { kick = "x...........", snare = "....x...x...", ride = "x.x...x.x...", bass = "x.x.........",
    lead = "..x.x...x..." },
}

--- Trains, the rate falling over the second half; returns the last ten losses' mean.
local function learn(model, batches, options)
  local sum, n, mean = 0, 0, nil
  for update = 1, options.updates do
    if not batches:next() then assert.is_true(batches:next()) end
    local rate = options.rate * math.min(1, (options.updates - update + 1) / (options.updates / 2))
    local loss = model:train_step(batches, { rate = rate, clip = options.clip })
    sum, n = sum + loss, n + 1
    if n == 10 then
      sum, n, mean = 0, 0, sum / n
    end
  end
  return mean
end

local function hits_of(seq)
  local n = 0
  for _ in seq:packed_hits():gmatch "[^\0]" do n = n + 1 end
  return n
end

--- Cells of two hit strings in which one is struck and the other not.
local function differences(a, b)
  assert.equal(#a, #b)
  local n = 0
  for i = 1, #a do
    if (a:byte(i) > 0) ~= (b:byte(i) > 0) then n = n + 1 end
  end
  return n
end

describe("a tiny corpus is learnt by heart", function()
  it("by the drummer, and played back from nothing", function()
    local tok = core.tokeniser()
    local corpus <close>, path = tiny.corpus(tok, {
      { tiny.song { patterns = rock, bars = 16, root = 40 }, "train" },
      { tiny.song { patterns = funk, bars = 16, root = 33 }, "train" },
      { tiny.song { patterns = waltz, bars = 16, numerator = 3, root = 36 }, "train" },
    })
    local model <close> = core.model { preset = "drummer", hidden = 32, encoder = 16, dropout = 0, seed = 3 }
    local batches <close> = corpus:batches { model = model, batch = 3, steps = 64, seed = 1,
      history_dropout = false }
    local loss = learn(model, batches, { updates = 900, rate = 1e-2, clip = 1 })
    assert.is_true(loss < 2e-3, ("loss %g"):format(loss))
    for i = 1, #corpus do
      local song = assert(corpus:song(i))
      assert.is_true(hits_of(song) > 80)
      local blank = song:with_hits(("\0"):rep(#song:packed_hits()))
      for _, options in ipairs { { cutoff = 0.5, seed = 1 }, { temperature = 0.3, seed = 5 } } do
        options.limbs, options.enter = false, "always"  -- the songs are no person's
        local gen <close> = core.generator(model, options)
        local wrong = differences(song:packed_hits(), gen:play(blank):packed_hits())
        assert.is_true(wrong == 0, ("song %d: %d cells differ"):format(i, wrong))
      end
    end
    os.remove(path)
  end)

  it("by the original's network, and gone on with from its first bars", function()
    local tok = core.tokeniser { preset = "neuraldrummer2023" }
    local corpus <close>, path = tiny.corpus(tok, {
      { tiny.song { patterns = eighths, bars = 24 }, "train" },
      { tiny.song { patterns = eighths_in_three, bars = 24, numerator = 3 }, "train" },
    })
    local model <close> = core.model { preset = "neuraldrummer2023", hidden = 24, layers = 2,
      dropout = 0, seed = 3 }
    local batches <close> = corpus:batches { model = model, batch = 32, seed = 1 }
    local loss = learn(model, batches, { updates = 700, rate = 3e-3 })
    assert.is_true(loss < 0.02, ("loss %g"):format(loss))
    local gone <close> = corpus:batches { model = model, batch = 32, seed = 2, split = "all",
      shuffle = false }
    gone:next()
    -- the running means and variances serve as well as the batch's own
    local still = model:loss(gone)
    assert.is_true(still < 0.05, ("loss without learning %g"):format(still))
    for i = 1, #corpus do
      local song = assert(corpus:song(i))
      local steps, voices = 12 * (i == 1 and 8 or 6), #song:voices()  -- twelve bars of eighths
      local two_bars = song:tokens():match("^" .. ("[^-]*i%-?[%d.]+,%-1,?"):rep(steps // 6))
      local prime = assert(tok:parse((two_bars:gsub(",$", ""))))
      assert.equal(steps // 6, #prime)
      local gen <close> = core.generator(model, { cutoff = 0.5, forced = 0, prime = prime })
      local played = gen:play(song:with_hits(("\0"):rep(#song * voices)))
      local wrong = differences(song:packed_hits():sub(1, steps * voices),
        played:packed_hits():sub(1, steps * voices))
      assert.is_true(wrong == 0, ("song %d: %d cells differ"):format(i, wrong))
    end
    os.remove(path)
  end)
end)
