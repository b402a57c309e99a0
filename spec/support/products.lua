--- Prints losses and gradients of networks of many sizes, and probabilities of steps
--- played with weights in halves and in floats, a tensor a line, for
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

local live <close> = core.load_model "models/drummer-live.safetensors"  -- its weights are halves
local floats <close> = core.model { preset = "drummer", causal = true, hidden = 100, encoder = 60 }
formula.fill(floats)
for _, case in ipairs { { "halves", live }, { "floats", floats } } do
  local name, model <const> = case[1], case[2]
  local generator = core.generator(model, { seed = 1 })
  for step = 1, 40 do
    generator:step { onsets_low = step % 4 // 3, energy = step % 7 / 7, bar = step % 16 == 1 }
    local probabilities, values = generator:probabilities(), {}
    for voice in pairs(probabilities) do values[#values + 1] = voice end
    table.sort(values)
    for i, voice in ipairs(values) do values[i] = probabilities[voice] end
    print(("%s.%d"):format(name, step), table.concat(values, " "))
  end
end
