--- Numbers by a formula, the same in Lua here and in Python
--- (torch_fixtures.py), so that weights and data of the reference runs need
--- not be stored: a linear congruential generator seeded by a name.
local formula = {}

--- `n` numbers in [-1, 1), each a multiple of 2^-23.
---@param name string
---@param n integer
---@return number[]
function formula.uniform(name, n)
  local s = 0
  for i = 1, #name do s = (s * 31 + name:byte(i)) & 0xffffffff end
  for _ = 1, 4 do s = (s * 1664525 + 1013904223) & 0xffffffff end
  local out = {}
  for i = 1, n do
    s = (s * 1664525 + 1013904223) & 0xffffffff
    out[i] = (s >> 8) / 0x800000 - 1
  end
  return out
end

--- Zeros and ones, a quarter of them ones.
---@param name string
---@param n integer
---@return integer[]
function formula.hits(name, n)
  local out = formula.uniform(name, n)
  for i = 1, n do out[i] = out[i] >= 0.5 and 1 or 0 end
  return out
end

--- First values of the tensor `name`: products' weights ± 1/sqrt(rows),
--- biases and beta ± 0.1, gamma 1 ± 0.1, running mean 0 and variance 1.
---@param name string
---@param shape integer[]
---@return number[]
function formula.tensor(name, shape)
  local n = shape[1] * (shape[2] or 1)
  local centre, k = 0, shape[2] and 1 / math.sqrt(shape[1]) or 0.1
  if name:find "%.gamma$" or name:find "%.var$" then centre = 1 end
  if name:find "%.mean$" or name:find "%.var$" then k = 0 end
  local out = formula.uniform(name, n)
  for i = 1, n do out[i] = centre + k * out[i] end
  return out
end

--- Gives all tensors of a model their values by the formula.
---@param model neuraldrummer.model
function formula.fill(model)
  for _, name in ipairs(model:tensors()) do
    local _, shape = model:tensor(name)
    model:set_tensor(name, formula.tensor(name, shape))
  end
end

--- The `k`-th batch of a run, as core.batch takes it. Streams start afresh at
--- every visit in batch 0 and, so that both are met, in every fifth place after;
--- the others go on from where their batch left them.
---@param k integer from 0
---@param size table steps, batch, inputs, voices, window, masked, touch (booleans)
---@return table spec
function formula.batch(k, size)
  local t, b = size.steps, size.batch
  local spec = {
    steps = t, batch = b,
    x = formula.uniform("x." .. k, t * b * size.inputs),
    y = formula.hits("y." .. k, (size.window and 1 or t) * b * size.voices),
  }
  if size.touch then  -- velocities and offsets, ±1/2
    spec.y = formula.uniform("y." .. k, t * b * 2 * size.voices)
    for i = 1, #spec.y do spec.y[i] = spec.y[i] / 2 end
  end
  if not size.window then
    spec.reset = {}
    for i = 1, b do spec.reset[i] = k == 0 or (k + i - 1) % 5 == 0 end
  end
  if size.masked then
    spec.mask = formula.uniform("mask." .. k, t * b)
    for i = 1, t * b do spec.mask[i] = spec.mask[i] < 0.5 and 1 or 0 end
  end
  return spec
end

return formula
