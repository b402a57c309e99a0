-- Every tensor's gradient against numeric ones: central differences of the
-- naive network's loss, in double precision.
local core = require "neuraldrummer.core"
local formula = require "spec.support.formula"
local naive = require "spec.support.naive_lstm"

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

  it("of every tensor of the original, through both batch norms", function()
    local seen, net = check(
      { preset = "neuraldrummer2023", layers = 3, hidden = 5, window = 4 },
      { steps = 4, batch = 4, inputs = 3, voices = 2, window = true })
    assert.equal(3 * 3 + 2 * 2 + 2 * 2 + 2, seen)
    assert.is_true(net.window)
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
