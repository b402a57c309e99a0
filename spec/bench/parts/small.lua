--- Training the drummer in small batches. Of the machine's limits none is wanted here.
local bench = require "spec.bench.support"
local learning = require "spec.bench.learning"

return function()
  local quick = bench.settings.QUICK
  local steps, streams = quick and 4 or 32, quick and 2 or 8
  learning {
    title = ("training drummer, %d stretches of %d steps"):format(streams, steps),
    options = { preset = "drummer", hidden = quick and 8 or nil, encoder = quick and 4 or nil },
    steps = steps, streams = streams, unit = "steps", units = steps * streams,
    peers = { at_least = 3 },
  }
end
