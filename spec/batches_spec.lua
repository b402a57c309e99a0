-- Batches out of a corpus: which songs, how often, in which lessons, and that
-- all of it is the seed's alone and goes on after a stop.
local core = require "neuraldrummer.core"
local tiny = require "spec.support.tiny"

local METRICS <const> = 20  -- first inputs of a step; then given hits, then given cells

local beat = {
  { kick = "x.......x.......", snare = "....x.......x...", closed_hat = "x.x.x.x.x.x.x.x.",
    bass = "x.x.x.x.x.x.x.x." },
  { kick = "x..x....x.......", snare = "....x.......x.xx", ride = "x...x...x...x...",
    bass = "x..x..x.x..x..x." },
}

--- A corpus of songs that differ in length: {bars, split} pairs.
local function corpus_of(tok, songs)
  local list = {}
  for i, song in ipairs(songs) do
    list[i] = { tiny.song { patterns = beat, bars = song[1], root = 30 + i }, song[2] }
  end
  return tiny.corpus(tok, list)
end

local function small(options)
  options = options or {}
  options.hidden, options.layers = options.hidden or 5, 1
  options.encoder = options.encoder or 3
  return core.model(options)
end

--- Sets tensors to zero, all but those given; returns the model.
local function only(model, tensors)
  for _, name in ipairs(model:tensors()) do
    local values = {}
    for i = 1, #model:tensor(name) do values[i] = 0 end
    model:set_tensor(name, tensors[name] or values)
  end
  return model
end

--- out.skip with `weight` from each of V inputs after the first `at` to all voices.
local function wires(model, at, weight)
  local values, shape = model:tensor "out.skip"
  local inputs, V = shape[1], shape[2]
  for i = 1, inputs do
    for v = 1, V do
      values[(i - 1) * V + v] = i > at and i <= at + V and weight(i - at, v) or 0
    end
  end
  return values
end

--- Losses and counts of the next `n` batches, over ends of epochs.
local function losses(model, batches, n)
  local list = {}
  for _ = 1, n do
    if not batches:next() then assert.is_true(batches:next()) end
    local epoch, at = batches:place()
    list[#list + 1] = { epoch, at, model:loss(batches) }
  end
  return list
end

local function steps_of(corpus, split)
  local steps, hits, songs = 0, 0, 0
  for i = 1, #corpus do
    if corpus:info(i).split == split then
      songs = songs + 1
      steps = steps + corpus:info(i).steps
      for _ in corpus:song(i):packed_hits():gmatch "[^\0]" do hits = hits + 1 end
    end
  end
  return steps, hits, songs
end

local lengths = { { 3, "train" }, { 8, "valid" }, { 5, "train" }, { 6, "train" }, { 2, "valid" },
  { 9, "train" }, { 5, "valid" } }

describe("batches", function()
  local tok = core.tokeniser()
  local corpus, path
  lazy_setup(function() corpus, path = corpus_of(tok, lengths) end)
  lazy_teardown(function()
    corpus:close()
    os.remove(path)
  end)

  it("are the seed's alone, lessons and all", function()
    local model <close> = small()
    local function run(seed)
      local batches <close> = corpus:batches { model = model, batch = 3, steps = 32, seed = seed }
      return losses(model, batches, 12)
    end
    local first = run(7)
    assert.same(first, run(7))
    local other = run(8)
    local same = 0
    for i = 1, 12 do
      if first[i][3] == other[i][3] then same = same + 1 end
    end
    assert.equal(0, same)
  end)

  it("count every cell once where no lesson is given, and fewer where one is", function()
    local model <close> = small()
    local steps, hits, songs = steps_of(corpus, "train")
    local function epoch(lessons)
      local batches <close> = corpus:batches { model = model, batch = songs, steps = 16,
        shuffle = false, history_dropout = lessons }
      assert.equal(songs, batches:songs())
      local counted, struck, n = 0, 0, 0
      while batches:next() do
        local _, count, _, hit, both = model:loss(batches)
        counted, struck, n = counted + count, struck + hit, n + 1
        assert.is_true(both <= hit and hit <= count)
        assert.same({ 1, n }, { batches:place() })
      end
      assert.equal(batches:count(), n)
      return counted, struck
    end
    local counted, struck = epoch(false)
    assert.equal(steps * #tok:voices(), counted)
    assert.equal(hits, struck)
    local fewer, heard = epoch(true)
    assert.is_true(fewer < 0.95 * counted and fewer > 0.4 * counted)
    assert.is_true(heard < struck)
  end)

  it("never count a cell that is given, nor give one that is not", function()
    local model <close> = small { dropout = 0 }
    local V = #tok:voices()
    local batches <close> = corpus:batches { model = model, batch = 4, steps = 32, seed = 5 }
    -- odds of nearly all wherever the cell itself is given: a loss of 1000 were it counted
    only(model, { ["out.skip"] = wires(model, METRICS + V, function(u, v)
      return u == v and 1000 or 0
    end) })
    for _, batch in ipairs(losses(model, batches, 20)) do
      assert.is_true(math.abs(batch[3] - math.log(2)) < 1e-6, ("loss %g"):format(batch[3]))
    end
    -- no cell that counts has its own hit among the given ones
    local minus, seen = {}, 0
    for v = 1, V do minus[v] = -1 end
    only(model, { ["out.b"] = minus, ["out.skip"] = wires(model, METRICS, function(u, v)
      return u == v and 1000 or 0
    end) })
    for _, batch in ipairs(losses(model, batches, 20)) do assert.equal(0, batch[5]) end
    -- but the others' are heard
    local heard = wires(model, METRICS, function() return 2 end)
    only(model, { ["out.b"] = minus, ["out.skip"] = heard })
    for _, batch in ipairs(losses(model, batches, 20)) do seen = seen + batch[5] end
    assert.is_true(seen > 0)
  end)

  it("tell nothing unasked in validation, where every song is seen once an epoch", function()
    local model <close> = small { dropout = 0 }
    local steps, hits, songs = steps_of(corpus, "valid")
    assert.equal(3, songs)
    for _, size in ipairs { { 1, 16 }, { 2, 24 }, { 7, 500 } } do
      local batches <close> = corpus:batches { model = model, split = "valid", batch = size[1],
        steps = size[2] }
      assert.equal(songs, batches:songs())
      local epochs = {}
      for epoch = 1, 3 do
        local sum, counted, struck, n = 0, 0, 0, 0
        while batches:next() do
          local loss, count, _, hit = model:loss(batches)
          sum, counted, struck, n = sum + loss * count, counted + count, struck + hit, n + 1
        end
        assert.equal(steps * #tok:voices(), counted)
        assert.equal(hits, struck)
        assert.equal(batches:count(), n)
        epochs[epoch] = sum / counted
      end
      assert.equal(epochs[1], epochs[2])
      assert.equal(epochs[1], epochs[3])
    end
    -- neither given drums, style nor wishes: the inputs that say so are silent
    local V = #tok:voices()
    local function deaf(from, to)
      local values, shape = model:tensor "out.skip"
      for i = 1, shape[1] do
        for v = 1, V do values[(i - 1) * V + v] = i >= from and i <= to and 1000 or 0 end
      end
      only(model, { ["out.skip"] = values })
      local batches <close> = corpus:batches { model = model, split = "valid", batch = 3 }
      for _, batch in ipairs(losses(model, batches, 2)) do
        assert.is_true(math.abs(batch[3] - math.log(2)) < 1e-6)
      end
    end
    local inputs = model:config().inputs
    deaf(METRICS + 1, METRICS + 2 * V + 4)
    deaf(inputs - V - 3, inputs)
  end)

  it("of training are all stretches, ended or not by an epoch", function()
    local model <close> = small()
    local stretches = 0
    for i = 1, #corpus do
      local info = corpus:info(i)
      if info.split == "train" then stretches = stretches + (info.steps + 31) // 32 end
    end
    local batches <close> = corpus:batches { model = model, batch = 3, steps = 32 }
    assert.equal((stretches + 2) // 3, batches:count())
    for epoch = 1, 3 do
      local n = 0
      while batches:next() do
        n = n + 1
        assert.same({ epoch, n }, { batches:place() })
      end
      assert.equal(batches:count(), n)
    end
    assert.same({ 32, 3, model:config().inputs, #tok:voices() }, { batches:shape() })
  end)

  it("go on in the middle of an epoch as if never stopped", function()
    local file, step = os.tmpname(), { rate = 3e-3, clip = 1 }
    local function learn(model, batches, n)
      local list = {}
      for i = 1, n do
        if not batches:next() then assert.is_true(batches:next()) end
        list[i] = { batches:place() }
        table.move({ model:train_step(batches, step) }, 1, 2, 3, list[i])
      end
      return list
    end
    for seed = 1, 2 do
      local model <close> = small { seed = seed }
      local options = { model = model, batch = 3, steps = 32, seed = seed }
      local batches <close> = corpus:batches(options)
      -- stopped after each of them: every lesson is met in the midst of a song
      local went, tried = learn(model, batches, 1), {}
      for stop = 1, 40 do
        assert(model:save(file, { training = true, batches = batches }))
        local again <close> = assert(core.load_model(file))
        local resumed <close> = assert(corpus:batches { model = again, batch = 3, steps = 32,
          seed = seed, resume = true })
        assert.same({ batches:place() }, { resumed:place() })
        tried[stop + 1] = learn(again, resumed, stop % 10 == 0 and 12 or 2)
        went[stop + 1] = learn(model, batches, 1)[1]
      end
      table.move(learn(model, batches, 12), 1, 12, #went + 1, went)
      for stop, list in pairs(tried) do
        for i, one in ipairs(list) do assert.same(went[stop + i - 1], one) end
      end
    end
    os.remove(file)
  end)

  it("do not go on with others than they were", function()
    local file = os.tmpname()
    local model <close> = small()
    local batches <close> = corpus:batches { model = model, batch = 3, steps = 32, seed = 4 }
    batches:next()
    model:train_step(batches)
    local function refused(want, options)
      local again <close> = assert(core.load_model(file))
      options.model, options.resume = again, true
      local made, message = corpus:batches(options)
      assert.is_nil(made)
      assert.equal(want, message)
    end
    assert(model:save(file, { training = true, batches = batches }))
    local otherwise = "it was trained with other batches (3 x 32 steps of 4 songs, seed 4)"
    refused(otherwise, { batch = 3, steps = 64, seed = 4 })
    refused(otherwise, { batch = 3, steps = 32, seed = 5 })
    refused(otherwise, { batch = 3, steps = 32, seed = 4, split = "all" })
    refused("the model's file holds no training to go on with", { batch = 2, steps = 32, seed = 4 })
    assert(model:save(file))
    refused("the model's file holds no training to go on with", { batch = 3, steps = 32, seed = 4 })
    os.remove(file)
  end)
end)

describe("batches of windows", function()
  local tok = core.tokeniser { preset = "neuraldrummer2023" }

  it("have an epoch of as many as the songs fill, at least one", function()
    local corpus <close>, path = corpus_of(tok, { { 2, "train" }, { 3, "train" }, { 4, "train" },
      { 5, "train" }, { 2, "train" }, { 2, "valid" } })
    local model <close> = core.model { preset = "neuraldrummer2023", hidden = 4, layers = 1 }
    for _, case in ipairs { { 1, 5 }, { 2, 2 }, { 5, 1 }, { 50, 1 } } do
      local batches <close> = corpus:batches { model = model, batch = case[1] }
      assert.equal(5, batches:songs())
      assert.equal(case[2], batches:count())
      for epoch = 1, 2 do
        local n = 0
        while batches:next() do
          n = n + 1
          assert.same({ epoch, n }, { batches:place() })
          local _, count = model:loss(batches)
          assert.equal(case[1] * #tok:voices(), count)
        end
        assert.equal(case[2], n)
      end
    end
    local batches <close> = corpus:batches { model = model }  -- fifty at once by itself
    assert.same({ 8, 50, 7, 6 }, { batches:shape() })
    os.remove(path)
  end)

  it("are others each epoch in training, and the same in validation", function()
    local corpus <close>, path = corpus_of(tok, { { 9, "train" }, { 9, "train" }, { 8, "valid" },
      { 6, "valid" } })
    local model <close> = core.model { preset = "neuraldrummer2023", hidden = 4, layers = 1,
      dropout = 0 }
    for split, same in pairs { train = false, valid = true } do
      local batches <close> = corpus:batches { model = model, split = split, batch = 1 }
      local list = losses(model, batches, 4)
      assert.equal(2, list[3][1])
      assert.equal(same, list[1][3] == list[3][3] and list[2][3] == list[4][3])
    end
    os.remove(path)
  end)

  it("need songs that are longer than a window", function()
    local corpus <close>, path = tiny.corpus(tok, {
      { assert(tok:parse(("36,i0.1,-1,"):rep(8):sub(1, -2))), "train" },
      { assert(tok:parse(("36,i0.1,-1,"):rep(9):sub(1, -2))), "valid" },
    })
    local model <close> = core.model { preset = "neuraldrummer2023", hidden = 4, layers = 1 }
    local batches, message = corpus:batches { model = model, batch = 2 }
    assert.is_nil(batches)
    assert.equal("no song of this split to learn from", message)
    local valid <close> = assert(corpus:batches { model = model, batch = 2, split = "valid" })
    assert.is_true(valid:next())
    os.remove(path)
  end)
end)

describe("batches are refused", function()
  it("of another grid or kit than the model's, or for a raw net", function()
    local corpus <close>, path = corpus_of(core.tokeniser(), { { 2, "train" } })
    local function raises(want, model)
      assert.has_error(function() corpus:batches { model = model } end, want)
      model:close()
    end
    raises("the corpus has another grid than the model (4 and 6 steps a beat)",
      core.model { tokeniser = core.tokeniser { steps_per_beat = 6 }, hidden = 2 })
    raises("the corpus has kit 'gm9', the model plays 'full17'",
      core.model { tokeniser = core.tokeniser { kit = "full17" }, hidden = 2 })
    raises("a raw model has no features to fill from a corpus",
      core.model { inputs = 3, voices = 9, hidden = 2 })
    os.remove(path)
  end)
end)
