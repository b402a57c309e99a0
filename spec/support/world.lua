--- What mpi_spec asks of a world, run by mpirun in each of its processes; the
--- first prints.
---
---     mpirun -n 3 lua5.4 spec/support/world.lua CORPUS
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"

local world = assert(nd.join())
local rank, size = world:rank(), world:size()
local function say(...)
  if rank == 1 then print(...) end
end

say(world, size)
say(table.unpack(world:sum { rank, 0.5, rank == 2 and 1 or 0 }))
say(world:any(false), world:any(rank == 2))
say(world:same "alike", world:same("process " .. rank))
say((pcall(nd.join)))

-- the shares of a batch, put together, are the batch
local corpus = assert(nd.corpus.open(arg[1]))
local model = core.model { tokeniser = corpus:tokeniser(), hidden = 5, layers = 1, encoder = 3 }
local whole = corpus:batches { model = model, batch = 5, steps = 16 }
local share = corpus:batches { model = model, batch = 5, steps = 16, world = world }
local _, streams = share:shape()
say("streams", world:sum { streams }[1])
local alike = true
for _ = 1, 40 do
  assert(whole:next() == share:next())
  local a, n = model:loss(whole)
  local b, m = model:loss(share)
  local all = world:sum { b * m, m }
  alike = alike and math.abs(all[1] / all[2] - a) < 1e-6 and math.tointeger(all[2]) == n
end
say("alike", alike)

-- all learn the same
for _ = 1, 5 do
  share:next()
  model:train_step(share)
end
say("same weights", world:same(table.concat(model:tensor "lstm.1.wh", " ")))

-- and stop alike when one of them has a loss that is no number
if rank == 2 then
  local values = model:tensor "out.w"
  for i = 1, #values do values[i] = 3e38 * (-1) ^ i end
  model:set_tensor("out.w", values)
end
share:next()
say(model:train_step(share))

say(select(2, pcall(corpus.batches, corpus, { model = model, batch = 2, world = world })))
say(select(2, pcall(world.sum, world, { "x" })))
say(select(2, pcall(world.any, world, 1)))
say(select(2, pcall(world.abort, world, 0)))
assert(world:leave())
say(world, select(2, pcall(world.rank, world)))
say(select(2, pcall(share.next, share)))
say((pcall(nd.join)))
