--- Memory that training takes, against the formula for it.
local bench = require "spec.bench.support"
local core = require "neuraldrummer.core"

return function()
  local quick = bench.settings.QUICK
  bench.title "memory that training adds to a model and its batch"
  local missing = false
  for _, preset in ipairs { "drummer", "neuraldrummer2023" } do
    local config = core.model({ preset = preset }):config()
    local steps = config.window > 0 and config.window or config.steps
    for _, streams in ipairs(quick and { 2 } or { config.batch, 2 * config.batch }) do
      local words = ("spec/bench/learn.lua %s %d %d "):format(preset, steps, streams)
      local taken = bench.peak(words .. 3) - bench.peak(words .. 0)
      local model = core.model { preset = preset }
      local formula = model.training_bytes and model:training_bytes(steps, streams)
      missing = missing or not formula
      bench.row(("%s, batch %d x %d steps"):format(preset, streams, steps), bench.mb(taken),
        formula and "formula: " .. bench.mb(formula), formula and taken / formula,
        formula and { at_least = 0.8, at_most = 1.2 })
    end
  end
  if missing then bench.note "model:training_bytes is not there: nothing to compare with" end
end
