--- Prints losses and gradients of networks of many sizes, a tensor a line, for
--- kernels_spec.lua: the kernels are chosen once in a process.
---   lua5.4 spec/support/products.lua THREADS
local core = require "neuraldrummer.core"
local formula = require "spec.support.formula"

local SHAPES = {  -- sizes that fill no tile, few and many streams, long stretches
  { layers = 2, hidden = 37, inputs = 5, voices = 3, steps = 7, batch = 1 },
  { layers = 2, hidden = 37, inputs = 5, voices = 3, steps = 7, batch = 3 },
  { layers = 2, hidden = 37, inputs = 50, voices = 3, steps = 7, batch = 33 },
  { layers = 1, hidden = 12, inputs = 1, voices = 1, steps = 2, batch = 200 },
  { layers = 2, hidden = 100, inputs = 100, voices = 2, steps = 20, batch = 33 },
}

for number, size in ipairs(SHAPES) do
  local model <close> = core.model { preset = "drummer", layers = size.layers, dropout = 0,
    hidden = size.hidden, inputs = size.inputs, voices = size.voices }
  model:threads(tonumber(arg[1]))
  formula.fill(model)
  local batch <close> = core.batch(model, formula.batch(2, size))
  batch:next()
  print(number .. ".loss", model:train_step(batch, { rate = 0 }))
  for _, name in ipairs(model:tensors()) do
    print(number .. "." .. name, table.concat((model:gradient(name)), " "))
  end
  -- the state that was carried on
  print(number .. ".next", (model:train_step(batch, { rate = 0 })))
end
