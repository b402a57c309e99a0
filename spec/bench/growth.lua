--- What memory training takes, as a process of its own, for parts/memory.lua:
---   lua5.4 spec/bench/growth.lua PATH UPDATES PRESET [STEPS BATCH]
--- on the corpus PATH. Prints in bytes the growth of the resident set, from when
--- the modules are loaded to its peak, and what model:training_bytes says.
local bench = require "spec.bench.support"
local core = require "neuraldrummer.core"

local path, updates, preset = arg[1], tonumber(arg[2]), arg[3]
local shape = { steps = tonumber(arg[4]), batch = tonumber(arg[5]) }

--- A line of /proc/self/status.
local function status(key)
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match("^" .. key .. ":%s*(%d+) kB")
    if kilobytes then return tonumber(kilobytes) * 1024 end
  end
end

bench.rates().sgemm(256)  -- so that OpenBLAS has allocated its buffers
local before = status "VmRSS"
local corpus = assert(core.open_corpus(path))
local model = core.model { preset = preset }
local batches = assert(corpus:batches { model = model, split = "all", shuffle = true,
  steps = shape.steps, batch = shape.batch })
for _ = 1, updates do
  if not batches:next() then batches:next() end
  assert(model:train_step(batches, { rate = 1e-4, clip = 1 }))
end
print(("%d %d"):format(status "VmHWM" - before, model:training_bytes(shape)))
