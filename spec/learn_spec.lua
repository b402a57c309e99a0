-- The whole chain can learn: songs made of notes, through the corpus and its
-- batches, are learnt by heart, and the generator gives them back.
local core = require "neuraldrummer.core"
local formula = require "spec.support.formula"
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
    local model <close> = core.model { preset = "drummer", hidden = 32, encoder = 16, dropout = 0,
      seed = 3 }
    -- stretches end anywhere in a phrase: what reads backwards is not to know them by that
    local batches <close> = corpus:batches { model = model, batch = 3, steps = 56, seed = 1,
      history_dropout = false }
    local loss = learn(model, batches, { updates = 900, rate = 1e-2, clip = 1 })
    assert.is_true(loss < 2e-3, ("loss %g"):format(loss))
    for i = 1, #corpus do
      local song = assert(corpus:song(i))
      assert.is_true(hits_of(song) > 80)
      local blank = song:with_hits(("\0"):rep(#song:packed_hits()))
      for _, options in ipairs { { cutoff = 0.5, seed = 1 }, { temperature = 0.3, seed = 5 } } do
        options.playable, options.enter = false, "always"  -- the songs are no person's
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

describe("what is told is learnt to be heeded", function()
  --- Learns by the lessons that the drummer's own shares draw.
  local function drummer(corpus, options)
    local model = core.model { preset = "drummer", hidden = options.hidden, layers = 1,
      encoder = options.encoder, dropout = 0, seed = 3 }
    local batches <close> = corpus:batches { model = model, batch = 8, steps = 64, seed = 1 }
    learn(model, batches, { updates = options.updates, rate = 1e-2, clip = 1 })
    return model
  end

  --- Shares of a voice's cells that are as they should be: struck, not struck.
  local function right(seq, voice, wanted)
    local yes, no, struck, silent = 0, 0, 0, 0
    for t = 1, #seq do
      local hit = seq:hits(t)[voice] ~= nil
      if wanted(t) then
        struck, yes = struck + 1, yes + (hit and 1 or 0)
      else
        silent, no = silent + 1, no + (hit and 0 or 1)
      end
    end
    return yes / struck, no / silent
  end

  it("given drums: a kick comes two steps before each ride, wherever these are", function()
    local tok = core.tokeniser()
    local lots, at = formula.uniform("rides", 4000), 0
    local function bars(n)
      local patterns = {}
      for bar = 1, n do
        local kick, ride = {}, {}
        for place = 1, 16 do
          at = at + 1
          local struck = place > 2 and lots[at] > 0.4
          ride[place] = struck and "x" or "."
          if place > 2 then kick[place - 2] = ride[place] end
        end
        kick[15], kick[16] = ".", "."
        patterns[bar] = { kick = table.concat(kick), ride = table.concat(ride),
          bass = "x...x...x...x..." }
      end
      return patterns
    end
    local songs = {}
    for i = 1, 12 do songs[i] = { tiny.song { patterns = bars(12), bars = 12 }, "train" } end
    local corpus <close>, path = tiny.corpus(tok, songs)
    local model <close> = drummer(corpus, { hidden = 16, encoder = 24, updates = 2500 })
    -- rides that it never heard
    local other = assert(tok:encode(tiny.song { patterns = bars(8), bars = 8 }))
    local V, rides = #tok:voices(), {}
    for t = 1, #other do rides[t] = other:hits(t).ride ~= nil end
    local known = ("\0"):rep(V - 1) .. "\1"  -- the ride is the kit's last voice
    assert.equal("ride", tok:voices()[V])
    local blank = other:with_hits(("\0"):rep(#other * V))
    local gen <close> = core.generator(model, { cutoff = 0.5, playable = false, enter = "always" })
    local direction = { fixed = other, mask = known:rep(#other) }
    local function led(t) return rides[t + 2] == true end
    local struck, silent = right(gen:play(blank, direction), "kick", led)
    assert.is_true(struck > 0.8 and silent > 0.9, ("%g, %g right"):format(struck, silent))
    struck = right(gen:play(blank), "kick", led)  -- and not without them
    assert.is_true(struck < 0.4, ("%g right by chance"):format(struck))
    -- moved by a step, they are followed there
    local later = {}
    for t = 1, #other do later[t] = { ride = rides[t - 1] or nil } end
    direction.fixed = other:with_hits(later)
    struck, silent = right(gen:play(blank, direction), "kick", function(t) return led(t - 1) end)
    assert.is_true(struck > 0.7 and silent > 0.9, ("%g, %g right"):format(struck, silent))
    os.remove(path)
  end)

  it("a style: two songs whose music is the same", function()
    local tok = core.tokeniser()
    local bass = "x..x..x.x..x..x."
    local styles = {
      { { kick = "x.......x.......", snare = "....x.......x...", closed_hat = "x.x.x.x.x.x.x.x.",
        bass = bass } },
      { { kick = "x...x...x...x...", open_hat = "..x...x...x...x.", ride = "x.xxx.xxx.xxx.xx",
        bass = bass } },
    }
    local corpus <close>, path = tiny.corpus(tok, {
      { tiny.song { patterns = styles[1], bars = 12 }, "train" },
      { tiny.song { patterns = styles[2], bars = 12 }, "train" },
    })
    local model <close> = drummer(corpus, { hidden = 16, encoder = 4, updates = 250 })
    assert.equal(2, model:learn_styles(corpus))
    local one, two = assert(corpus:song(1)), assert(corpus:song(2))
    for i, own in ipairs { one, two } do
      local blank = own:with_hits(("\0"):rep(#own:packed_hits()))
      local gen <close> = core.generator(model, { cutoff = 0.5, playable = false,
        enter = "always" })
      for _, style in ipairs { i, own, own:style() } do
        local played = gen:play(blank, { style = style })
        assert.equal(0, differences(own:packed_hits(), played:packed_hits()))
      end
      -- the music alone leaves it open; the seed decides
      local drawn <close> = core.generator(model, { temperature = 0.3, playable = false,
        enter = "always", seed = i })
      local played = drawn:play(blank)
      local song = drawn:style() == 1 and one or two
      assert.is_true(differences(song:packed_hits(), played:packed_hits()) < #own // 20)
    end
    os.remove(path)
  end)
end)

describe("memory of training", function()
  it("is told for batches of any size, of those that nobody has room for too", function()
    for _, options in ipairs { { hidden = 3, layers = 1, encoder = 3 },
      { preset = "neuraldrummer2023", hidden = 3, layers = 1 } } do
      local model <close> = core.model(options)
      local function bytes(n) return model:training_bytes { batch = n, steps = n } end
      local windows = model:config().window > 0
      local once, twice, most = bytes(1024), bytes(2048), bytes(65536)
      assert.is_true(twice > once)
      -- by so many times the rows, but for what does not depend on them
      local times = (most - once) / (twice - once)
      local rows = windows and (65536 - 1024) / 1024 or (65536 ^ 2 - 1024 ^ 2) / (3 * 1024 ^ 2)
      assert.near(1, times / rows, 0.01)
    end
  end)
end)
