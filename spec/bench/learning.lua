--- Rows about training a net: against the machine's matrix products, against
--- itself on one thread, and against the same net in other libraries.
local bench = require "spec.bench.support"

---@class bench.learning
---@field title string
---@field options neuraldrummer.model_options
---@field steps integer
---@field streams integer
---@field unit string what is counted
---@field units integer so many of it an update
---@field products? bench.limit of the products' rate, over SGEMM's, one thread
---@field two? bench.limit of two threads' rate over one's
---@field peers bench.limit

---@param o bench.learning
return function(o)
  local net = bench.net(o.options, o.steps, o.streams)
  local cube = bench.settings.QUICK and 64 or 2048
  local function rate_of(updates) return ("%.0f %s/s"):format(updates * o.units, o.unit) end
  bench.title(o.title)
  for threads = 1, math.min(2, bench.cores()) do
    local peers = bench.networks(("train %s threads=%d"):format(net.words, threads))
    local ways = {
      { "ours", function() return net.rate(threads) end },
      { "sgemm", function() return (bench.rates().sgemm(cube, threads)) end },
      threads > 1 and { "alone", function() return net.rate(1) end } or nil,
    }
    for _, peer in ipairs(peers) do ways[#ways + 1] = { peer, peer.ask } end
    local found = bench.in_turn(ways)
    bench.close(peers)
    local function best(key) return found[key][#found[key]] end

    local ours, name = best "ours", threads == 1 and "one thread" or threads .. " threads"
    bench.row(name, rate_of(ours), threads > 1 and "one thread: " .. rate_of(best "alone") or nil,
      threads > 1 and ours / best "alone" or nil, threads > 1 and o.two or nil)
    bench.row("  its matrix products", ("%.1f GFLOP/s"):format(ours * net.flops / 1e9),
      ("SGEMM: %.1f GFLOP/s"):format(best "sgemm" / 1e9), ours * net.flops / best "sgemm",
      threads == 1 and o.products or nil)
    for _, peer in ipairs(peers) do
      if found[peer] then
        bench.row(("  the same net, %.2f of SGEMM there"):format(
          best(peer) * net.flops / best "sgemm"), rate_of(ours),
          ("%s: %s"):format(peer.name, rate_of(best(peer))), ours / best(peer), o.peers)
      end
    end
  end
end
