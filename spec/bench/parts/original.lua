--- Training the 2023 system's network.
local bench = require "spec.bench.support"
local core = require "neuraldrummer.core"
local learning = require "spec.bench.learning"

return function()
  local quick = bench.settings.QUICK
  local options = { preset = "neuraldrummer2023", hidden = quick and 8 or nil }
  local config = core.model(options):config()
  local streams = quick and 2 or config.batch
  learning {
    title = ("training neuraldrummer2023, batch %d"):format(streams),
    options = options, steps = config.window, streams = streams, unit = "windows",
    units = streams, peers = { at_least = 3 },
  }
end
