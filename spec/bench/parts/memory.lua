--- Memory that training takes, against the formula for it, and on a corpus that
--- is larger than what a process may hold of it.
local bench = require "spec.bench.support"
local core = require "neuraldrummer.core"

local function size_of(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:seek "end"
end

--- A corpus of `bytes` at least: the songs that come with the examples, over and over.
local function corpus_of(bytes, preset)
  local path, tok = os.tmpname(), core.tokeniser { preset = preset }
  local corpus, sequences = assert(core.create_corpus(path, tok)), {}
  local all = dofile "examples/songs/all.lua"
  for i, name in ipairs(all.names) do sequences[i] = assert(tok:encode(all.load(name))) end
  repeat
    for _, seq in ipairs(sequences) do assert(corpus:add(seq)) end
  until size_of(path .. ".nd-part") >= bytes
  assert(corpus:finish())
  return path
end

local function row(name, path, words, limit)
  local text = bench.output(("%s spec/bench/growth.lua %s %s"):format(bench.lua, path, words))
  local grown, formula = (text or ""):match "^(%d+) (%d+)"
  if not grown then error("training failed: " .. tostring(text)) end
  bench.row(name, bench.mb(tonumber(grown)), "formula: " .. bench.mb(tonumber(formula)),
    grown / formula, limit)
  os.remove(path)
end

return function()
  local quick = bench.settings.QUICK
  bench.title "memory of training: growth of the process from when the modules are loaded"
  local shapes = quick and { { "drummer", 16, 2 } } or { { "drummer", 128, 32 },
    { "drummer", 32, 8 }, { "drummer", 256, 64 }, { "neuraldrummer2023", 8, 50 } }
  for _, shape in ipairs(shapes) do
    local preset, steps, streams = table.unpack(shape)
    row(("%s, batch %d x %d steps"):format(preset, streams, steps), corpus_of(1, preset),
      ("3 %s %d %d"):format(preset, steps, streams), { at_least = 0.8, at_most = 1.2 })
  end
  for _, bytes in ipairs(quick and {} or { 1e7, 2e9 }) do
    local path = corpus_of(bytes, "drummer")
    row(("  on a corpus of %s, 100 batches"):format(bench.mb(size_of(path))), path, "100 drummer")
  end
end
