--- What check-tsan runs in states of their own, each in a thread (states.c): a
--- network large enough that its training is shared out among threads too.
local core = require "neuraldrummer.core"
local tiny = require "spec.support.tiny"

local PATTERN <const> = { kick = "x.......x.......", snare = "....x.......x...",
  bass = "x...x...x...x..." }

return function()
  local songs = {}
  for i = 1, 16 do songs[i] = { tiny.song { patterns = { PATTERN }, bars = 8 }, "train" } end
  local corpus, path = tiny.corpus(core.tokeniser(), songs)
  os.remove(path)
  local model = core.model { hidden = 64, layers = 1, encoder = 32, seed = 7 }
  model:threads(2)
  local batches = corpus:batches { model = model, steps = 64, batch = 16, seed = 7 }
  local losses = {}
  for i = 1, 2 do
    assert(batches:next())
    losses[i] = ("%.4f"):format(model:train_step(batches, { rate = 1e-3 }))
  end
  return true, table.concat(losses, " ")
end
