-- Batches out of a corpus: which songs, how often, in which lessons, and that
-- all of it is the seed's alone and goes on after a stop.
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local form = require "spec.support.naive_form"
local safetensors = require "spec.support.safetensors"
local temporary = require "spec.support.temporary"
local tiny = require "spec.support.tiny"

local METRICS <const> = 31  -- first inputs of a step; then given hits, then given cells

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

--- out.skip with one weight from each input to all voices: `weights` by {first, last, weight}.
local function bus(model, ...)
  local values, shape = model:tensor "out.skip"
  for i = 1, #values do values[i] = 0 end
  for _, part in ipairs { ... } do
    for i = part[1], part[2] do
      for v = 1, shape[2] do values[(i - 1) * shape[2] + v] = part[3] end
    end
  end
  return values
end

--- Losses and counts of the next `n` batches, over ends of epochs.
local function losses(model, batches, n)
  local list = {}
  for _ = 1, n do
    if not batches:next() then assert.is_true(batches:next()) end
    local epoch, at = batches:position()
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
        assert.same({ 1, n }, { batches:position() })
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
    deaf(inputs - 2 * V - 6, inputs)
  end)

  --- A small model whose lessons are drawn by these shares.
  local function taught(shares)
    local file, model = temporary.name(), small { dropout = 0 }
    assert(model:save(file))
    model:close()
    local whole = safetensors.read(file)
    for name, share in pairs(shares) do
      assert.is_string(whole.metadata[name])
      whole.metadata[name] = tostring(share)
    end
    safetensors.write(file, whole)
    model = assert(core.load_model(file))
    os.remove(file)
    return model
  end

  it("tell of the past, but for the share of it that is erased", function()
    local model <close> = taught { history_all = 0.4, history_hidden = 0.5, history_step = 0.1,
      fixed_given = 0 }
    local V = #tok:voices()
    local told = METRICS + 2 * V + 4 + 1
    local past = { told + 1, told + V * (2 + #model:config().look_back) }  -- before, back, alike
    local function struck(erased, bias, ...)
      local biases = {}
      for v = 1, V do biases[v] = bias end
      only(model, { ["out.b"] = biases, ["out.skip"] = bus(model, ...) })
      local batches <close> = corpus:batches { model = model, batch = 8, steps = 16, seed = 3,
        history_dropout = erased }
      local guessed, counted = 0, 0
      for _, batch in ipairs(losses(model, batches, 60)) do
        guessed, counted = guessed + batch[5], counted + batch[4]
      end
      return guessed / counted
    end
    -- cells that are told of no past: none, or all of half of 0.4 stretches and a
    -- tenth of the others' steps
    assert.equal(0, struck(false, 1, { told, told, -2 }))
    local share = struck(true, 1, { told, told, -2 })
    assert.is_true(math.abs(share - (0.4 * 0.5 + 0.6 * 0.1)) < 0.06, ("%g"):format(share))
    -- these have none, nor know how like the bar is that returns
    assert.equal(0, struck(true, -0.01, { told, told, -1000 }, { past[1], past[2], 1 }))
    assert.equal(0, struck(true, -0.01, { told, told, -1000 }, { past[2] + 1, past[2] + 1, 1 }))
    assert.is_true(struck(true, -0.01, { past[1], past[2], 1 }) > 0.3)
    -- and in some stretches all is rest, though told
    local rests = struck(false, 0.5, { past[1], past[2], -1 })
    local secret = struck(true, -0.5, { told, told, 1 }, { past[1], past[2], -1 })
    assert.is_true(secret > rests + 0.1 and secret < rests + 0.35,
      ("%g, %g by themselves"):format(secret, rests))
  end)

  it("hear the hits of the bar that each is the return of", function()
    local model <close> = small { dropout = 0 }
    local V = #tok:voices()
    local alike = METRICS + 2 * V + 4 + 1 + V * (1 + #model:config().look_back)
    local minus = {}
    for v = 1, V do minus[v] = -0.5 end
    -- an odd guest: bars of three quarters between those of four, which turn up again
    local notes, meters, tick = {}, {}, 0
    for b = 1, 24 do
      local kind = b % 5 == 0 and 3 or b % 7 % 3
      local quarters = kind == 3 and 3 or 4
      meters[b] = { tick = tick, numerator = quarters, denominator = 4 }
      for at = 0, quarters * 4 - 1 do
        local function add(pitch, channel)
          notes[#notes + 1] = { tick = tick + at * 120, duration = 60, pitch = pitch,
            velocity = 60 + 10 * kind, channel = channel }
        end
        if at % (kind + 2) == 0 then add(40 + 5 * kind + at, 1) end
        if at % 8 == kind then add(36, 10) end
        if (at * b) % 7 == 3 then add(42, 10) end
      end
      tick = tick + quarters * 480
    end
    local seq = assert(tok:encode(core.song { ppq = 480, notes = notes, meters = meters }))
    local odd <close>, odd_path = tiny.corpus(tok, { { seq, "valid" } })
    local of, how, lead = form.returns(seq)
    local starts, rows = form.starts(seq), form.rows(seq)
    local wired, likeness = {}, bus(model, { alike + V + 1, alike + V + 1, 1 })
    wired.hits = wires(model, alike, function(u, v) return u == v and 1 or 0 end)
    -- guessed, struck and both, of each bar by itself
    only(model, { ["out.b"] = minus, ["out.skip"] = wired.hits })
    local function batches()
      return odd:batches { model = model, split = "valid", batch = 1, steps = 4, shuffle = false,
        history_dropout = false }
    end
    local found, all = 0, batches()
    for b = 1, #starts - 1 do
      local guessed, both = 0, 0
      for t = starts[b], starts[b + 1] - 1 do
        local from = of[b] and starts[of[b]] + t - starts[b]
        for v = 1, V do
          local hit = from and rows[from][v] or 0
          guessed, both = guessed + hit, both + hit * rows[t][v]
        end
      end
      local got, got_both = 0, 0
      for _ = 1, (starts[b + 1] - starts[b]) // 4 do
        assert.is_true(all:next())
        local _, _, more, _, more_both = model:loss(all)
        got, got_both = got + more, got_both + more_both
      end
      assert.is_true(b == 1 or not of[b] or lead[b] > 1e-4)
      assert.same({ guessed, both }, { got, got_both }, "bar " .. b)
      found = found + guessed
    end
    assert.is_true(found > 50)
    all:close()
    -- and how like it is
    only(model, { ["out.skip"] = likeness })
    all = batches()
    for b = 1, #starts - 1 do
      for at = starts[b], starts[b + 1] - 1, 4 do
        assert.is_true(all:next())
        local want = 0
        for t = at, at + 3 do
          for v = 1, V do
            want = want + math.log(1 + math.exp(rows[t][v] == 1 and -how[b] or how[b])) / (4 * V)
          end
        end
        assert.is_true(math.abs(want - model:loss(all)) < 1e-4, "bar " .. b)
      end
    end
    all:close()
    os.remove(odd_path)
  end)

  it("of a causal drummer know nothing that lies ahead", function()
    local model <close> = small { dropout = 0, causal = true }
    local V, inputs = #tok:voices(), model:config().inputs
    assert.equal(small():config().inputs - V - 1, inputs)  -- no bar that this one is the return of
    only(model, { ["out.skip"] = bus(model, { METRICS - 3, METRICS, 1000 }) })
    local batches <close> = corpus:batches { model = model, batch = 3 }
    for _, batch in ipairs(losses(model, batches, 10)) do
      assert.is_true(math.abs(batch[3] - math.log(2)) < 1e-6)
    end
  end)

  it("tell a style with its groove or without", function()
    local model <close> = taught { style_given = 0.6, groove_given = 0.7, fixed_given = 0 }
    local V, inputs = #tok:voices(), model:config().inputs
    local groove, style = inputs, inputs - V - 1  -- whether they are given
    local function share(...)
      only(model, { ["out.skip"] = bus(model, ...), ["out.b"] = (function()
        local list = {}
        for v = 1, V do list[v] = -0.5 end
        return list
      end)() })
      local batches <close> = corpus:batches { model = model, batch = 8, steps = 16, seed = 9 }
      local guessed, counted = 0, 0
      for _, batch in ipairs(losses(model, batches, 60)) do
        guessed, counted = guessed + batch[5], counted + batch[4]
      end
      return guessed / counted
    end
    local styled, grooved = share { style, style, 1 }, share { groove, groove, 1 }
    assert.is_true(math.abs(styled - 0.6) < 0.06, ("%g"):format(styled))
    assert.is_true(math.abs(grooved - 0.6 * 0.7) < 0.06, ("%g"):format(grooved))
    -- no groove without a style, no numbers where they are not given
    assert.equal(0, share({ groove, groove, 1 }, { style, style, -1 }))
    assert.equal(0, share({ groove - V, groove - 1, 1000 }, { groove, groove, -1e6 }))
    assert.equal(0, share({ style - V - 5, style - 1, 1000 }, { style, style, -1e6 }))
    assert.is_true(share { groove - V, groove - 1, 1000 } > 0.2)
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
        assert.same({ epoch, n }, { batches:position() })
      end
      assert.equal(batches:count(), n)
    end
    assert.same({ 32, 3, model:config().inputs, #tok:voices() }, { batches:shape() })
  end)

  it("go on in the middle of an epoch as if never stopped", function()
    local file, step = temporary.name(), { rate = 3e-3, clip = 1 }
    local function learn(model, batches, n)
      local list = {}
      for i = 1, n do
        if not batches:next() then assert.is_true(batches:next()) end
        list[i] = { batches:position() }
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
        assert.same({ batches:position() }, { resumed:position() })
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

  it("go on after a song that could not be read as if it always had been", function()
    local model <close> = small()
    local spoilt, bytes = temporary.name(), assert(files.read(path))
    assert(files.write(spoilt, bytes))
    local handle = assert(io.open(spoilt, "r+b"))
    local function put(all)
      handle:seek "set"
      assert(handle:write(all))
      handle:flush()
    end
    local damaged = bytes:sub(1, 400) .. ("x"):rep(#bytes - 2400) .. bytes:sub(-2000)
    for _, shuffle in ipairs { true, false } do
      local own <close> = assert(core.open_corpus(spoilt))
      local function run(disturbed)
        local batches <close> = own:batches { model = model, batch = 3, steps = 32, seed = 2,
          shuffle = shuffle, history_dropout = true }
        local list, failed = {}, 0
        for i = 1, 30 do
          if disturbed then
            put(damaged)
            local place = { batches:position() }
            local more, message = batches:next()
            put(bytes)
            if more == nil then
              failed = failed + 1
              assert.equal(spoilt .. ": the corpus is damaged: checksum of a song", message)
              assert.same(place, { batches:position() })
              assert.error_matches(function() model:loss(batches) end, "call next%(%) first")
              more = batches:next()
            end
            list[i] = { more, batches:position() }
          else
            list[i] = { batches:next(), batches:position() }
          end
          if list[i][1] then list[i][5] = { model:loss(batches) } end
        end
        return list, failed
      end
      local undisturbed = run(false)
      local list, failed = run(true)
      assert.is_true(failed > 5)
      assert.same(undisturbed, list)
    end
    handle:close()
    os.remove(spoilt)
  end)

  it("do not go on with others than they were", function()
    local file = temporary.name()
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
    local otherwise = ("%s, of %s: cannot resume: it was trained with batches of 3 x 32 "
      .. "steps from 4 songs, seed 4"):format(file, path)
    refused(otherwise, { batch = 3, steps = 64, seed = 4 })
    refused(otherwise, { batch = 3, steps = 32, seed = 5 })
    refused(otherwise, { batch = 3, steps = 32, seed = 4, split = "all" })
    refused(otherwise, { batch = 2, steps = 32, seed = 4 })
    local none = file .. ": has no saved training to resume"
    assert(model:save(file))
    refused(none, { batch = 3, steps = 32, seed = 4 })
    -- Adam's state is a part of it
    assert(model:save(file, { batches = batches }))
    refused(none, { batch = 3, steps = 32, seed = 4 })
    -- nor at a place where it never was, or from a state that is no numbers
    assert(model:save(file, { training = true, batches = batches }))
    local whole = safetensors.read(file)
    local place, streams, valid = whole.metadata.batches, whole.tensors.streams.data, 0
    for i = 1, #corpus do
      if corpus:info(i).split == "valid" then valid = i end
    end
    local function placed(text)
      assert.not_equal(place, text)
      whole.metadata.batches = text
      safetensors.write(file, whole)
    end
    local same = { batch = 3, steps = 32, seed = 4 }
    local at = ("%s, of %s: the saved batch position "):format(file, path)
    for text, why in pairs {
      [(place:gsub(" %d+:", " 77:", 1))] = "is out of range",
      [(place:gsub(" %d+:(%d+)$", (" %d:%%1"):format(valid - 1)))] = "is out of range",
      [(place:gsub(":%d+$", ":999999"))] = "is out of range",
      [place .. " 0:0"] = "cannot be parsed",
      [place .. "x"] = "cannot be parsed",
      [place .. " "] = "cannot be parsed",
    } do
      placed(text)
      refused(at .. why, same)
    end
    whole.metadata.batches = place
    whole.tensors.streams.data = ("<f"):pack(0 / 0) .. streams:sub(5)
    safetensors.write(file, whole)
    refused(file .. ": the saved state of the training is malformed", same)
    -- nor with songs that were spoilt since
    assert(model:save(file, { training = true, batches = batches }))
    local spoilt, bytes = temporary.name(), assert(files.read(path))
    assert(files.write(spoilt, bytes:sub(1, 400) .. ("x"):rep(#bytes - 2400) .. bytes:sub(-2000)))
    local damaged <close> = assert(core.open_corpus(spoilt))
    local made, message = damaged:batches { batch = 3, steps = 32, seed = 4, resume = true,
      model = assert(core.load_model(file)) }
    assert.same({ nil, ("%s, of %s: the corpus is damaged: checksum of a song"):format(file,
      spoilt) }, { made, message })
    os.remove(spoilt)
    os.remove(file)
  end)
end)

describe("batches of windows", function()
  local tok = core.tokeniser { preset = "neuraldrummer2023" }

  it("are the same ones after a song that could not be read", function()
    local corpus <close>, path = corpus_of(tok, { { 9, "train" }, { 8, "train" }, { 7, "train" } })
    local model <close> = core.model { preset = "neuraldrummer2023", hidden = 4, layers = 1,
      dropout = 0 }
    local bytes, handle = assert(files.read(path)), assert(io.open(path, "r+b"))
    local function run(disturbed)
      local batches <close> = corpus:batches { model = model, batch = 2 }
      local list = {}
      for i = 1, 9 do
        if disturbed then
          handle:seek "set"
          handle:write(bytes:sub(1, 400), ("x"):rep(#bytes - 600), bytes:sub(-200))
          handle:flush()
          local more = batches:next()
          handle:seek "set"
          handle:write(bytes)
          handle:flush()
          if more == nil then more = batches:next() end
          if not more then assert(batches:next()) end
        elseif not batches:next() then
          batches:next()
        end
        list[i] = { model:loss(batches) }
      end
      return list
    end
    assert.same(run(false), run(true))
    handle:close()
    os.remove(path)
  end)

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
          assert.same({ epoch, n }, { batches:position() })
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
    assert.equal(path .. ": no song of the split 'train' is longer than 8 steps", message)
    local valid <close> = assert(corpus:batches { model = model, batch = 2, split = "valid" })
    assert.is_true(valid:next())
    os.remove(path)
  end)
end)

describe("batches are refused", function()
  it("by a checkpoint of another model", function()
    local corpus <close>, path = corpus_of(core.tokeniser(), { { 2, "train" } })
    local model <close> = small()
    local other <close> = small { seed = 2 }
    local batches <close> = corpus:batches { model = other, batch = 1, steps = 16 }
    batches:next()
    model:train_step(batches)
    local file = temporary.name()
    assert(files.write(file, "before"))
    assert.has_error(function() model:save(file, { training = true, batches = batches }) end,
      "option 'batches': they are for another model")
    assert.equal("before", files.read(file))
    os.remove(file)
    os.remove(path)
  end)

  it("of another grid or kit than the model's, or for a raw net", function()
    local corpus <close>, path = corpus_of(core.tokeniser(), { { 2, "train" } })
    local function raises(want, model)
      assert.has_error(function() corpus:batches { model = model } end, want)
      model:close()
    end
    raises("the corpus has 4 steps per quarter note, the model needs 6 per quarter note",
      core.model { tokeniser = core.tokeniser { steps_per_beat = 6 }, hidden = 2 })
    raises("the corpus has kit 'gm9', the model plays 'full17'",
      core.model { tokeniser = core.tokeniser { kit = "full17" }, hidden = 2 })
    raises("a raw model has no features to fill from a corpus",
      core.model { inputs = 3, voices = 9, hidden = 2 })
    os.remove(path)
  end)
end)
