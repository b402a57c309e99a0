--- Training the drummer, in batches of its preset's own size.
local bench = require "spec.bench.support"
local core = require "neuraldrummer.core"
local learning = require "spec.bench.learning"

return function()
  local quick = bench.settings.QUICK
  local options = { preset = "drummer", hidden = quick and 8 or nil, encoder = quick and 4 or nil }
  local config = core.model(options):config()
  local steps, streams = quick and 4 or config.steps, quick and 2 or config.batch
  learning {
    title = ("training drummer, %d stretches of %d steps"):format(streams, steps),
    options = options, steps = steps, streams = streams, unit = "steps", units = steps * streams,
    products = { at_least = 0.6 }, two = { at_least = 1.8 }, peers = { at_least = 3 },
  }
end
