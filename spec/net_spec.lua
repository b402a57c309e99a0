-- The engine's forward passes against the naive network in plain Lua.
local core = require "neuraldrummer.core"
local formula = require "spec.support.formula"
local naive = require "spec.support.naive_lstm"

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
  }
  for i, size in ipairs(shapes) do
    it(("is the naive one, streaming, shape %d"):format(i), function()
      local model <close> = make({ preset = "drummer", layers = size.layers, hidden = size.hidden },
        size)
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
    assert.same({ false, false, false, true }, spec.fresh)
    local batch <close> = batch_of(model, spec)
    local net, states = naive.net(model), {}
    local first = naive.loss(net, spec, false, states)
    near(first, (model:train_step(batch, { rate = 0 })))
    local second = naive.loss(net, spec, false, states)
    assert.is_true(math.abs(first - second) > 1e-4)
    near(second, (model:train_step(batch, { rate = 0 })))
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
