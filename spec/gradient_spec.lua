-- Every tensor's gradient against numeric ones: central differences of the
-- naive network's loss, in double precision.
local core = require "neuraldrummer.core"
local formula = require "spec.support.formula"
local naive = require "spec.support.naive_lstm"
local temporary = require "spec.support.temporary"

local ENTRIES = 24  -- of a tensor, at most

--- Compares model:gradient with numeric gradients of `naive.loss`.
local function check(options, size)
  options.dropout, options.inputs, options.voices = 0, size.inputs, size.voices
  local model <close> = core.model(options)
  formula.fill(model)
  local spec = formula.batch(7, size)
  local batch <close> = core.batch(model, spec)
  batch:next()
  local net = naive.net(model)
  local loss = model:train_step(batch, { rate = 0 })
  local exact = naive.loss(net, spec, true)
  assert.is_true(math.abs(loss - exact) < 1e-6, ("loss %.9g, naive %.9g"):format(loss, exact))

  local seen = 0
  for name, values in pairs(net.tensors) do
    if not (name:find "%.mean$" or name:find "%.var$") then
      local gradient = model:gradient(name)
      assert.equal(#values, #gradient)
      local difference, length, step = 0, 0, 1e-4
      for k = 0, math.min(#values, ENTRIES) - 1 do
        -- all of a small tensor; of a large one, places all over it
        local i = #values <= ENTRIES and k + 1 or k * 2654435761 % #values + 1
        local before = values[i]
        values[i] = before + step
        local above = naive.loss(net, spec, true)
        values[i] = before - step
        local below = naive.loss(net, spec, true)
        values[i] = before
        local numeric = (above - below) / (2 * step)
        difference = difference + (gradient[i] - numeric) ^ 2
        length = length + numeric ^ 2
      end
      -- the floor is for biases before a batch norm, whose gradient is zero
      local close = math.sqrt(difference) <= 1e-3 * math.sqrt(length) + 2e-7
      if not close then
        error(("%s: off by %.3g of %.3g"):format(name, math.sqrt(difference), math.sqrt(length)))
      end
      seen = seen + 1
    end
  end
  return seen, net
end

describe("gradients equal numeric ones", function()
  it("of every tensor of the drummer", function()
    local seen = check({ preset = "drummer", layers = 2, hidden = 5 },
      { steps = 4, batch = 3, inputs = 6, voices = 4 })
    assert.equal(2 * 3 + 4, seen)
  end)

  it("with steps that do not count", function()
    check({ preset = "drummer", layers = 1, hidden = 4 },
      { steps = 5, batch = 2, inputs = 3, voices = 2, masked = true })
  end)

  it("of three layers, sizes that fill no vector, one stream", function()
    check({ preset = "drummer", layers = 3, hidden = 7 },
      { steps = 9, batch = 1, inputs = 5, voices = 3 })
  end)

  it("of every tensor of the drummer with an encoder that reads both ways", function()
    local seen, net = check(
      { preset = "drummer", layers = 2, hidden = 5, encoder = 4, encoded = 3 },
      { steps = 6, batch = 3, inputs = 7, voices = 4 })
    assert.equal(2 * 3 + 2 * 3 + 4, seen)
    assert.equal(7 - 3 + 2 * 4, net.tensors["lstm.1.wx"].rows)
  end)

  it("of a wide causal encoder that reads all inputs, with steps that do not count", function()
    local seen = check(
      { preset = "drummer", layers = 1, hidden = 3, encoder = 9, encoded = 4, causal = true },
      { steps = 7, batch = 2, inputs = 4, voices = 3, masked = true })
    assert.equal(3 + 3 + 4, seen)
  end)

  it("of an encoder that reads one input, one stream, sizes that fill no vector", function()
    check({ preset = "drummer", layers = 3, hidden = 7, encoder = 1, encoded = 1 },
      { steps = 9, batch = 1, inputs = 5, voices = 3 })
  end)

  it("of every tensor of the touch net", function()
    for _, masked in ipairs { false, true } do
      local seen, net = check(
        { preset = "touch", layers = 1, hidden = 6, encoder = 5, encoded = 6 },
        { steps = 6, batch = 3, inputs = 6, voices = 4, touch = true, masked = masked })
      assert.equal(2 * 3 + 3 + 3, seen)
      assert.is_true(net.touch)
    end
  end)

  it("of a touch net of two layers without an encoder", function()
    local seen = check({ preset = "touch", layers = 2, hidden = 5, encoder = 0 },
      { steps = 4, batch = 2, inputs = 3, voices = 2, touch = true })
    assert.equal(2 * 3 + 3, seen)
  end)

  it("lead back a deviation beyond its bounds, and no further away", function()
    -- one voice, one step; the outputs are the biases alone
    local model <close> = core.model { preset = "touch", layers = 1, hidden = 2, dropout = 0,
      inputs = 1, voices = 1 }
    for _, name in ipairs(model:tensors()) do
      local zero = {}
      for i = 1, #model:tensor(name) do zero[i] = 0 end
      model:set_tensor(name, zero)
    end
    for _, case in ipairs {  -- log-deviation, target, whether it is moved
      { -7, 0.5, -1 }, { -7, 0.001, 0 }, { 3, 0.5, 1 }, { 3, 20, 0 },
    } do
      local deviation, y, way = table.unpack(case)
      model:set_tensor("out.b", { 0, deviation, 0, 0 })
      local batch <close> = core.batch(model, { steps = 1, batch = 1, x = { 0 }, y = { y, 0 } })
      batch:next()
      local s = math.max(-5, math.min(1, deviation))
      local loss = model:train_step(batch, { rate = 0 })
      local want = s + (y / math.exp(s)) ^ 2 / 2 + math.log(2 * math.pi)
      assert.is_true(math.abs(loss - want) < 1e-5 * math.abs(want))
      local gradient = model:gradient "out.b"
      local slope = 1 - (y / math.exp(s)) ^ 2
      assert.is_true(math.abs(gradient[2] - math.abs(way) * slope) <= 1e-4 * math.abs(slope))
      assert.is_true(way == 0 and gradient[2] == 0 or way * gradient[2] > 0)
    end
  end)

  it("of every tensor of the original, through both batch norms", function()
    local seen, net = check(
      { preset = "neuraldrummer2023", layers = 3, hidden = 5, window = 4 },
      { steps = 4, batch = 4, inputs = 3, voices = 2, window = true })
    assert.equal(3 * 3 + 2 * 2 + 2 * 2 + 2, seen)
    assert.is_true(net.window)
  end)

  it("through dropout: of the encoder, of each layer, of the head", function()
    local path = temporary.name()
    for _, case in ipairs {
      { options = { preset = "drummer", layers = 2, hidden = 9, encoder = 11, encoded = 4 },
        size = { steps = 8, batch = 6, inputs = 7, voices = 4 } },
      { options = { preset = "touch", layers = 1, hidden = 9, encoder = 8, encoded = 7 },
        size = { steps = 8, batch = 6, inputs = 7, voices = 4, touch = true } },
      { options = { preset = "neuraldrummer2023", layers = 2, hidden = 9, window = 4 },
        size = { steps = 4, batch = 16, inputs = 7, voices = 4, window = true } },
    } do
      local options, size = case.options, case.size
      options.dropout, options.inputs, options.voices = 0.4, size.inputs, size.voices
      local model <close> = core.model(options)
      formula.fill(model)
      local spec = formula.batch(0, size)
      -- what is dropped is in the checkpoint's state: all these drop the same
      local function step(change)
        local again = assert(core.load_model(path))
        if change then change(again) end
        local batch <close> = core.batch(again, spec)
        batch:next()
        return again:train_step(batch, { rate = 0 }), again
      end
      local batch <close> = core.batch(model, spec)
      batch:next()
      local first = model:train_step(batch, { rate = 0 })
      assert(model:save(path, { training = true }))
      local loss, learnt = step()
      assert.equal(loss, (step()))
      assert.is_true(math.abs(loss - first) > 1e-4)  -- others were dropped then
      for _, name in ipairs(model:tensors()) do
        if not (name:find "%.mean$" or name:find "%.var$") then
          local gradient, values, length = learnt:gradient(name), model:tensor(name), 0
          for _, g in ipairs(gradient) do length = length + g * g end
          length = math.sqrt(length)
          local function along(way)
            local moved = {}
            for i, v in ipairs(values) do moved[i] = v + way * gradient[i] / length end
            return (step(function(again) again:set_tensor(name, moved) end))
          end
          if length > 1e-5 then  -- uphill, the loss grows as steeply as the gradient is long
            local slope = (along(0.01) - along(-0.01)) / 0.02
            assert.is_true(math.abs(slope - length) < 0.02 * length + 2e-5,
              ("%s: slope %.6g, gradient %.6g"):format(name, slope, length))
          else
            assert.equal("neuraldrummer2023", options.preset)
            assert.is_truthy(name:find "^dense%..%.b$")  -- a batch norm follows
          end
        end
      end
      learnt:close()
    end
    os.remove(path)
  end)

  it("does not let a voice see itself or the ones after it", function()
    local model <close> = core.model { preset = "drummer", layers = 1, hidden = 4, dropout = 0,
      inputs = 3, voices = 3 }
    formula.fill(model)
    local batch <close> = core.batch(model,
      formula.batch(0, { steps = 8, batch = 4, inputs = 3, voices = 3 }))
    batch:next()
    model:train_step(batch, { rate = 0 })
    local mix = model:gradient "out.mix"
    for u = 1, 3 do
      for v = 1, 3 do
        local entry = mix[(u - 1) * 3 + v]
        if u < v then assert.not_equal(0, entry) else assert.equal(0, entry) end
      end
    end
  end)
end)
