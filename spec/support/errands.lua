--- What states.c runs in each of its states: reads a song, trains, plays and
--- writes, a piece a call. Returns true and a digest when all is done.
local core = require "neuraldrummer.core"
local temporary = require "spec.support.temporary"
local tiny = require "spec.support.tiny"

local PATTERN <const> = { kick = "x.......x.......", snare = "....x.......x...",
  bass = "x...x...x...x..." }
local digest, seq, model, batches, song, path = 0, nil, nil, nil, nil, nil

local function keep(text)
  for i = 1, #text do digest = digest * 31 + text:byte(i) & 0xffffffffffff end
end

local errands = {
  function()
    song = assert(core.parse_song(tiny.song { patterns = { PATTERN }, bars = 8 }:bytes()))
    seq = assert(core.tokeniser():encode(song))
    keep(seq:tokens())
  end,
  function()
    local songs = {}
    for i = 1, 4 do songs[i] = { seq, "train" } end
    local corpus
    corpus, path = tiny.corpus(core.tokeniser(), songs)
    os.remove(path)  -- it is open, and goes with the state
    model = core.model { hidden = 8, layers = 1, encoder = 8, seed = 7 }
    assert(model:learn_styles(corpus))
    batches = corpus:batches { model = model, steps = 32, batch = 2, seed = 7 }
  end,
}
for _ = 1, 20 do
  errands[#errands + 1] = function()
    if not batches:next() then assert(batches:next()) end  -- the next epoch
    keep(("%a %a"):format(model:train_step(batches, { rate = 1e-2 })))
  end
end
for seed = 1, 5 do
  errands[#errands + 1] = function()
    local drums = core.generator(model, { seed = seed, temperature = 1 }):play(seq)
    keep(drums:packed_hits())
    keep(song:with_drums(drums):bytes())
  end
end
errands[#errands + 1] = function()
  local file = temporary.name()
  assert(model:save(file))
  local again = assert(core.load_model(file))
  os.remove(file)
  for _, name in ipairs(again:tensors()) do
    for _, x in ipairs((again:tensor(name))) do keep(("%a"):format(x)) end
  end
end

return function()
  local next_one = table.remove(errands, 1)
  if next_one then
    next_one()
    return false
  end
  return true, ("%012x"):format(digest)
end
