-- The engine's forward passes against the naive network in plain Lua.
local core = require "neuraldrummer.core"
local form = require "spec.support.naive_form"
local formula = require "spec.support.formula"
local naive = require "spec.support.naive_lstm"
local tiny = require "spec.support.tiny"

local function make(options, size)
  options.dropout, options.inputs, options.voices = 0, size.inputs, size.voices
  local model = core.model(options)
  formula.fill(model)
  return model
end

local function batch_of(model, spec)
  local batch = core.batch(model, spec)
  batch:next()
  return batch
end

local function near(want, got, tolerance)
  local close = math.abs(want - got) <= (tolerance or 2e-6)
  assert.is_true(close, ("%.9g, naive %.9g"):format(got, want))
end

describe("the network's loss", function()
  local shapes = {
    { layers = 1, hidden = 1, steps = 1, batch = 1, inputs = 1, voices = 1 },
    { layers = 2, hidden = 16, steps = 12, batch = 4, inputs = 11, voices = 9 },
    { layers = 3, hidden = 13, steps = 7, batch = 3, inputs = 2, voices = 5, masked = true },
    { layers = 1, hidden = 33, steps = 3, batch = 17, inputs = 40, voices = 17 },
    { layers = 1, hidden = 1, steps = 1, batch = 1, inputs = 1, voices = 1, encoder = 1,
      encoded = 1 },
    { layers = 2, hidden = 16, steps = 12, batch = 4, inputs = 11, voices = 9, encoder = 10,
      encoded = 6 },
    { layers = 1, hidden = 5, steps = 9, batch = 3, inputs = 8, voices = 2, encoder = 17,
      encoded = 8, masked = true },
    { layers = 2, hidden = 8, steps = 12, batch = 5, inputs = 11, voices = 4, encoder = 7,
      encoded = 6, causal = true },
    { layers = 1, hidden = 9, steps = 11, batch = 4, inputs = 7, voices = 5, encoder = 6,
      encoded = 7, preset = "touch", touch = true, masked = true },
    { layers = 2, hidden = 9, steps = 5, batch = 2, inputs = 7, voices = 3, preset = "touch",
      touch = true },
  }
  for i, size in ipairs(shapes) do
    it(("is the naive one, streaming, shape %d"):format(i), function()
      local model <close> = make({ preset = size.preset or "drummer", layers = size.layers,
        hidden = size.hidden, encoder = size.encoder, encoded = size.encoded,
        causal = size.causal }, size)
      local spec = formula.batch(0, size)
      local batch <close> = batch_of(model, spec)
      local want, count = naive.loss(naive.net(model), spec)
      local got, counted = model:loss(batch)
      near(want, got)
      assert.equal(count, counted)
    end)
  end

  it("goes on from stretch to stretch where a stream is not fresh", function()
    local size = { steps = 5, batch = 4, inputs = 3, voices = 3 }
    local model <close> = make({ preset = "drummer", layers = 2, hidden = 8 }, size)
    local spec = formula.batch(2, size)  -- the fourth stream starts afresh every time
    assert.same({ false, false, false, true }, spec.reset)
    local batch <close> = batch_of(model, spec)
    local net, states = naive.net(model), {}
    local first = naive.loss(net, spec, false, states)
    near(first, (model:train_step(batch, { rate = 0 })))
    local second = naive.loss(net, spec, false, states)
    assert.is_true(math.abs(first - second) > 1e-4)
    near(second, (model:train_step(batch, { rate = 0 })))
  end)

  it("goes on so in the forward reader; the backward one begins at each stretch's end", function()
    for _, causal in ipairs { false, true } do
      local size = { steps = 5, batch = 4, inputs = 6, voices = 3 }
      local model <close> = make({ preset = "drummer", layers = 1, hidden = 8, encoder = 7,
        encoded = 4, causal = causal }, size)
      local spec = formula.batch(2, size)
      local batch <close> = batch_of(model, spec)
      local net, states = naive.net(model), {}
      local first = naive.loss(net, spec, false, states)
      near(first, (model:train_step(batch, { rate = 0 })))
      -- with the layers put back and the reader not, the loss is another
      local layers = {}
      for b, state in ipairs(states) do
        layers[b] = naive.state(net)
        layers[b][1] = { h = state[1].h, c = state[1].c }
      end
      local forgotten = naive.loss(net, spec, false, layers)
      local second = naive.loss(net, spec, false, states)
      assert.is_true(math.abs(forgotten - second) > 1e-5)
      near(second, (model:loss(batch)))
      near(naive.loss(net, spec, false, states), (model:loss(batch)))
    end
  end)

  it("is the naive one, by windows, with running and with the batch's own norms", function()
    for _, size in ipairs {
      { steps = 8, batch = 5, inputs = 7, voices = 6, layers = 3, hidden = 12, window = true },
      { steps = 3, batch = 2, inputs = 4, voices = 2, layers = 1, hidden = 9, window = true },
    } do
      local model <close> = make({ preset = "neuraldrummer2023", layers = size.layers,
        hidden = size.hidden, window = size.steps }, size)
      for _, name in ipairs(model:tensors()) do
        if name:find "%.mean$" or name:find "%.var$" then
          local values = formula.uniform(name, #model:tensor(name))
          for j, v in ipairs(values) do values[j] = name:find "var" and 1 + v / 2 or v / 10 end
          model:set_tensor(name, values)
        end
      end
      local spec = formula.batch(3, size)
      local batch <close> = batch_of(model, spec)
      local net = naive.net(model)
      near(naive.loss(net, spec, false), (model:loss(batch)))
      near(naive.loss(net, spec, true), (model:train_step(batch, { rate = 0 })), 5e-6)
    end
  end)

  it("is finite for logits beyond exp's range", function()
    local size = { steps = 2, batch = 2, inputs = 2, voices = 2 }
    local model <close> = make({ preset = "drummer", layers = 1, hidden = 2 }, size)
    model:set_tensor("out.b", { 1000, -1000 })
    local spec = formula.batch(0, size)
    local batch <close> = batch_of(model, spec)
    local want = naive.loss(naive.net(model), spec)
    assert.is_true(want > 100)
    near(want, (model:loss(batch)), 1e-3)
  end)
end)

-- Input rows as features.h describes them, from a song and the hits so far.
local METRICS = { "intensity", "onsets_low", "onsets_mid", "onsets_high", "bass", "loudness",
  "sounding", "harmony", "tempo", "beat_sin", "beat_cos", "bar_sin", "bar_cos", "phrase_sin",
  "phrase_cos", "downbeat", "on_beat", "meter", "energy", "playing", "melody", "endings", "root",
  "guitars", "strings", "winds", "synths", "contrast", "recurrence", "novelty", "progress" }
local AHEAD = { contrast = true, recurrence = true, novelty = true, progress = true }

--- A song in two meters by turns, so that a bar back is not a fixed count.
local function song_of(tok)
  local notes = {}
  for i = 0, 95 do
    notes[i + 1] = { tick = i * 240, duration = 200, pitch = 36 + i * 7 % 40,
      velocity = 60 + i % 50, channel = 1, program = 33 }
  end
  return assert(tok:encode(core.song { ppq = 480, notes = notes, meters = {
    { tick = 0, numerator = 4, denominator = 4 }, { tick = 7680, numerator = 3, denominator = 4 },
    { tick = 14880, numerator = 4, denominator = 4 } } }))
end

--- Plays step by step; calls check(t, hits, probabilities) with lists by voice.
local function play(gen, seq, steps, check)
  local voices, starts, played = seq:voices(), {}, {}
  for _, bar in ipairs(seq:bars()) do starts[bar.first] = true end
  for t = 1, steps do
    local heard = seq:metrics(t)
    heard.bar = starts[t]
    local struck, probabilities = gen:step(heard), gen:probabilities()
    local row, list = {}, {}
    for v, name in ipairs(voices) do
      row[v], list[v] = struck[name] and 1 or 0, probabilities[name]
    end
    played[t] = row
    check(t, row, list)
  end
  return played
end

describe("the generator's probabilities", function()
  it("are the naive ones of the drummer, given the hits it drew", function()
    local model <close> = core.model { preset = "drummer", hidden = 9, encoder = 0, seed = 5 }
    formula.fill(model)
    local tok = model:tokeniser()
    local seq, net, V = song_of(tok), naive.net(model), #tok:voices()
    local bars, back = seq:bars(), model:config().look_back
    local state, bar, rows, drawn = naive.state(net), 0, {}, 0
    local gen <close> = core.generator(model, { playable = false, enter = "always", seed = 3,
      temperature = 1.5 })
    play(gen, seq, #seq, function(t, hits, probabilities)
      if bars[bar + 1] and bars[bar + 1].first == t then bar = bar + 1 end
      local heard, x = seq:metrics(t), {}
      for i, name in ipairs(METRICS) do x[i] = heard[name] end
      local function put(row)
        for v = 1, V do x[#x + 1] = row and row[v] or 0 end
      end
      put(rows[t - 1])
      for _, n in ipairs(back) do
        local from = bars[bar - n]
        local at = from and from.first + t - bars[bar].first
        put(at and at < bars[bar - n + 1].first and rows[at] or nil)
      end
      assert.equal(net.inputs, #x)
      rows[t] = hits
      local z = naive.logits(net, naive.step(net, state, x), x, hits)
      for v = 1, V do
        near(naive.sigmoid(z[v]), probabilities[v], 1e-5)
        drawn = drawn + hits[v]
      end
    end)
    assert.is_true(drawn > #seq)
  end)

  it("are the naive ones of the original, its window run again at every step", function()
    local model <close> = core.model { preset = "neuraldrummer2023", hidden = 10, seed = 5 }
    formula.fill(model)
    model:set_tensor("norm.1.var", formula.uniform("wide", 10))  -- and then above zero
    local var = model:tensor "norm.1.var"
    for j, v in ipairs(var) do var[j] = 0.02 + 0.01 * v end
    model:set_tensor("norm.1.var", var)
    local tok = model:tokeniser()
    local seq, net, V, W = song_of(tok), naive.net(model), 6, 8
    local prime = assert(tok:parse(
      "36,42,i0.5,-1,42,i-0.5,-1,38,42,i1.0,-1,46,i0.0,-1,36,i0.3,-1,i-1.0,-1,38,i0.2,-1,"
      .. "49,i0.1,-1,36,51,i-0.7,-1,42,i0.9,-1"))
    for _, case in ipairs { { prime = prime }, { start = "blank" } } do
      local rows, heard = {}, {}
      for t = 1, case.prime and #prime or W do
        local hits = case.prime and prime:hits(t) or {}
        rows[t], heard[t] = {}, case.prime and prime:metrics(t).intensity or 0
        for v, name in ipairs(tok:voices()) do rows[t][v] = hits[name] and 1 or 0 end
      end
      local before = #rows
      local gen <close> = core.generator(model, { playable = false, enter = "always", cutoff = 0.5,
        prime = case.prime, start = case.start })
      play(gen, seq, 40, function(t, hits, probabilities)
        local now = before + t
        heard[now] = seq:metrics(t).intensity
        local state, h = naive.state(net), nil
        for k = now - W + 1, now do
          local x = table.move(rows[k - 1] or { 0, 0, 0, 0, 0, 0 }, 1, V, 1, {})
          x[V + 1] = heard[k]
          h = naive.step(net, state, x)
        end
        local z = naive.head(net, { h }, false)[1]
        for v = 1, V do near(naive.sigmoid(z[v]), probabilities[v], 1e-5) end
        rows[now] = hits
      end)
    end
  end)

  --- Rows of features.h for a model with an encoder, from a song and direction
  --- (`fixed`, `mask`: 0 and 1 by step and voice; density, fills by bar).
  local function row_of(net, back, seq, bars, t, bar, played, d)
    local V, x, heard = net.voices, {}, seq:metrics(t)
    local place = t - bars[bar].first
    for i, name in ipairs(METRICS) do x[i] = d.causal and AHEAD[name] and 0 or heard[name] end
    local function put(row)
      for v = 1, V do x[#x + 1] = row and row[v] or 0 end
    end
    local known, given = d.mask[t], {}
    for v = 1, V do given[v] = known[v] * d.fixed[t][v] end
    put(given)
    put(known)
    local density, fill = d.density[bar], d.fills[bar]
    table.move({ density or 0, density and 1 or 0, fill and 1 or 0, fill ~= nil and 1 or 0 },
      1, 4, #x + 1, x)
    assert.equal(net.encoded, #x)
    x[#x + 1] = 1  -- the past is told
    put(played[t - 1])
    local function put_place(from)
      local at = bars[from] and bars[from].first + place
      put(at and at < bars[from + 1].first and played[at] or nil)
      return at and at < bars[from + 1].first
    end
    for _, n in ipairs(back) do put_place(bar - n) end
    if not d.causal then
      -- the bar that this one is the return of, and how like it is
      local there = put_place(d.of[bar])
      x[#x + 1] = there and d.how[bar] or 0
    end
    local traits = V + 5
    for i = 1, traits do x[#x + 1] = d.style and d.style[i] or 0 end
    x[#x + 1] = d.style and 1 or 0
    local groove = d.style and d.style[traits + 1] ~= nil
    local row = traits + place % 24 * V  -- this grid's steps are sixteenths
    for v = 1, V do x[#x + 1] = groove and d.style[row + v] or 0 end
    x[#x + 1] = groove and 1 or 0
    assert.equal(net.inputs, #x)
    return x
  end

  for _, told in ipairs { "no style", "a style", "a style with a groove" } do
    it("lead to the naive ones' hits, of a whole song read both ways, with " .. told, function()
      local model <close> = core.model { preset = "drummer", layers = 1, hidden = 8, encoder = 6,
        seed = 5 }
      formula.fill(model)
      local tok = model:tokeniser()
      local seq, net, V = song_of(tok), naive.net(model), #tok:voices()
      assert.equal(2, net.readers)
      local bars, back = seq:bars(), model:config().look_back
      local d = { fixed = {}, mask = {}, density = { 1.5, nil, -2, 0 },
        fills = { nil, true, false } }
      for t = 1, #seq do
        d.fixed[t], d.mask[t] = formula.hits("given." .. t, V), formula.hits("known." .. t, V)
      end
      d.of, d.how = form.returns(seq)
      assert.is_truthy(d.of[4] and d.of[6])
      if told ~= "no style" then
        d.style = formula.uniform("style", V + 5 + (told == "a style" and 0 or 24 * V))
        for i, v in ipairs(d.style) do d.style[i] = math.abs(v) end
      end
      local function bytes(rows)
        local list = {}
        for t, row in ipairs(rows) do list[t] = string.char(table.unpack(row)) end
        return table.concat(list)
      end
      local gen <close> = core.generator(model, { playable = false, enter = "always",
        cutoff = 0.5 })
      local whole = gen:play(seq, { fixed = seq:with_hits(bytes(d.fixed)), mask = bytes(d.mask),
        style = d.style or false, density = d.density, fills = d.fills })
      local probabilities = gen:probabilities()

      local played, places, bar = {}, {}, 0
      for t = 1, #seq do
        if bars[bar + 1] and bars[bar + 1].first == t then bar = bar + 1 end
        places[t] = bar
        played[t] = {}
        local struck = whole:hits(t)
        for v, name in ipairs(seq:voices()) do played[t][v] = struck[name] and 1 or 0 end
      end
      local xs = {}
      for t = 1, #seq do xs[t] = row_of(net, back, seq, bars, t, places[t], played, d) end
      local state, free = naive.state(net), 0
      for t, front in ipairs(naive.front(net, state, xs)) do
        local z = naive.logits(net, naive.step(net, state, front), xs[t], played[t])
        for v, name in ipairs(seq:voices()) do
          if d.mask[t][v] == 1 then
            assert.equal(d.fixed[t][v], played[t][v])
          elseif math.abs(z[v]) > 1e-4 then
            assert.equal(z[v] > 0 and 1 or 0, played[t][v])
            free = free + played[t][v]
          end
          if t == #seq then near(naive.sigmoid(z[v]), probabilities[name], 1e-5) end
        end
      end
      assert.is_true(free > #seq)
    end)
  end

  it("are the naive ones of a causal drummer, heard step by step", function()
    local model <close> = core.model { preset = "drummer", hidden = 7, encoder = 6, causal = true,
      seed = 5 }
    formula.fill(model)
    local seq, net = song_of(model:tokeniser()), naive.net(model)
    assert.equal(1, net.readers)
    local bars, back, V = seq:bars(), model:config().look_back, net.voices
    local none, d = {}, { fixed = {}, mask = {}, density = {}, fills = {}, causal = true }
    for v = 1, V do none[v] = 0 end
    for t = 1, #seq do d.fixed[t], d.mask[t] = none, none end
    local state, bar, played = naive.state(net), 0, {}
    local gen <close> = core.generator(model, { playable = false, enter = "always", seed = 3,
      temperature = 1.5 })
    play(gen, seq, #seq, function(t, hits, probabilities)
      if bars[bar + 1] and bars[bar + 1].first == t then bar = bar + 1 end
      played[t] = hits
      local x = row_of(net, back, seq, bars, t, bar, played, d)
      local h = naive.step(net, state, naive.front(net, state, { x })[1])
      local z = naive.logits(net, h, x, hits)
      for v = 1, V do near(naive.sigmoid(z[v]), probabilities[v], 1e-5) end
    end)
  end)

  it("are the same step by step as over a whole song", function()
    for _, preset in ipairs { "drummer", "neuraldrummer2023" } do
      local causal = preset == "drummer"
      local model <close> = core.model { preset = preset, hidden = 16, causal = causal }
      local seq = song_of(model:tokeniser())
      local gen <close> = core.generator(model, { playable = false, enter = "always", seed = 9,
        temperature = 1 })
      local whole = gen:play(seq)
      gen:reset()
      local voices = seq:voices()
      play(gen, seq, #seq, function(t, hits)
        local struck = whole:hits(t)
        for v, name in ipairs(voices) do assert.equal(hits[v] == 1, struck[name] ~= nil) end
      end)
    end
  end)

  it("hears a song of its own making alike, teacher-forced from a corpus", function()
    -- the generator's own hits, taught back: the loss is that of its probabilities
    local model <close> = core.model { preset = "drummer", hidden = 12, encoder = 0, dropout = 0 }
    local seq = song_of(model:tokeniser())
    local gen <close> = core.generator(model, { playable = false, enter = "always", seed = 2,
      temperature = 1 })
    local whole, sum, n = gen:play(seq), 0, 0
    gen:reset()
    play(gen, seq, #seq, function(_, hits, probabilities)
      for v, hit in ipairs(hits) do
        sum, n = sum - math.log(hit == 1 and probabilities[v] or 1 - probabilities[v]), n + 1
      end
    end)
    local corpus <close>, path = tiny.corpus(model:tokeniser(), { { whole, "valid" } })
    local batches <close> = corpus:batches { model = model, split = "valid", batch = 1,
      shuffle = false, steps = 1000 }
    assert.is_true(batches:next())
    local loss, count = model:loss(batches)
    assert.equal(n, count)
    near(sum / n, loss, 1e-5)
    os.remove(path)
  end)
end)
