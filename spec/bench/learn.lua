--- Trains a net of a preset on made-up data for some updates, for memory.lua:
---   lua5.4 spec/bench/peak.lua spec/bench/learn.lua PRESET STEPS STREAMS UPDATES
local core = require "neuraldrummer.core"

local preset, steps, streams, updates = arg[1], tonumber(arg[2]), tonumber(arg[3]),
  tonumber(arg[4])
local model = core.model { preset = preset }
local config = model:config()
local x, y, fresh = {}, {}, {}
for i = 1, steps * streams * config.inputs do x[i] = i % 7 / 7 end
for i = 1, (config.window > 0 and 1 or steps) * streams * config.voices do
  y[i] = i % 11 == 0 and 1 or 0
end
for i = 1, streams do fresh[i] = true end
local batch = core.batch(model, { steps = steps, batch = streams, x = x, y = y, fresh = fresh })
batch:next()
x, y = nil, nil  -- luacheck: ignore 311
collectgarbage()
for _ = 1, updates do assert(model:train_step(batch)) end
