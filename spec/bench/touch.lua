--- How like a person's the touch model's velocities and offsets are: on the
--- validation performances of a corpus, only which voices were struck is told,
--- and the histograms of what it draws are laid over the recorded ones.
---
---   lua5.4 spec/bench/touch.lua CORPUS.ndc [MODEL]
local core = require "neuraldrummer.core"

if not arg[1] then error("usage: touch.lua CORPUS.ndc [MODEL]", 0) end
local corpus = assert(core.open_corpus(arg[1]))
local model = assert(core.load_model(arg[2] or "models/touch.safetensors"))

--- Adds a Sequence's hits to histograms of velocities in steps of 8, and of
--- offsets in sixteenths of a step.
local function count(seq, into)
  local hits, offsets = seq:packed_hits(), seq:packed_offsets()
  for at = 1, #hits do
    local velocity = hits:byte(at)
    if velocity > 0 then
      local offset = string.unpack("i1", offsets, at)
      local v, o = velocity // 8, offset // 16
      into.velocity[v] = (into.velocity[v] or 0) + 1
      into.offset[o] = (into.offset[o] or 0) + 1
      into.n = into.n + 1
    end
  end
end

local real = { velocity = {}, offset = {}, n = 0 }
local played = { velocity = {}, offset = {}, n = 0 }
for i = 1, #corpus do
  if corpus:info(i).split == "valid" then
    local seq = assert(corpus:song(i))
    local flat = seq:with_hits((seq:packed_hits():gsub("[^\0]", "\100")))
    count(seq, real)
    count(core.humanise(model, flat, { seed = i }), played)
  end
end

for _, name in ipairs { "velocity", "offset" } do
  local overlap = 0
  for bin, n in pairs(real[name]) do
    overlap = overlap + math.min(n / real.n, (played[name][bin] or 0) / played.n)
  end
  print(("%s: %.0f %% of the histograms of %d hits overlap"):format(name, 100 * overlap, real.n))
end
