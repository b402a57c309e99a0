--- One step of playing along: `gen:step` of the drummer that hears no step to
--- come, and what the weights that it reads would take if that were all.
local bench = require "spec.bench.support"
local core = require "neuraldrummer.core"
local nd = require "neuraldrummer"

local MEDIAN <const> = 60e-6  -- seconds

return function()
  local quick = bench.settings.QUICK
  local path = nd.default_model()
  path = path and path:gsub("[^/]*$", "drummer-live.safetensors")
  local model = not quick and path and core.load_model(path)
    or core.model { preset = "drummer", causal = true, hidden = quick and 8 or nil,
      encoder = quick and 4 or nil }
  local seq = assert(model:tokeniser():encode(bench.song(bench.beats())))
  local metrics = {}
  for i = 1, #seq do metrics[i] = seq:metrics(i) end
  for _, bar in ipairs(seq:bars()) do metrics[bar.first].bar = true end
  local gen = core.generator(model)
  local bytes = model:config().step_bytes
  local steps = {}  -- of all turns
  local found = bench.in_turn({
    { "step", function()
      gen:reset()
      local taken = {}
      for i, heard in ipairs(metrics) do
        local start = core.clock()
        gen:step(heard)
        taken[i] = core.clock() - start
        steps[#steps + 1] = taken[i]
      end
      table.sort(taken)
      return bench.quantile(taken, 0.5)
    end },
    { "reading", function() return (bench.rates().memory(bytes)) end },
  }, 4 * bench.settings.ROUNDS)
  table.sort(steps)

  local median = bench.quantile(steps, 0.5)
  bench.title(("gen:step, %d x %d, one thread"):format(4 * bench.settings.ROUNDS, #seq))
  bench.row("median of all steps", bench.us(median), "limit: " .. bench.us(MEDIAN),
    median / MEDIAN, { at_most = 1 })
  bench.row("  of the best turn", bench.us(found.step[1]), "limit: " .. bench.us(MEDIAN),
    found.step[1] / MEDIAN)
  bench.row("  99 % of all steps take at most", bench.us(bench.quantile(steps, 0.99)))
  local rate = found.reading[#found.reading]
  bench.row("  against reading its weights alone, best turn", bench.us(found.step[1]),
    ("%.2f MB at %.0f GB/s: %s"):format(bytes / 1e6, rate / 1e9, bench.us(bytes / rate)),
    found.step[1] / (bytes / rate))
end
