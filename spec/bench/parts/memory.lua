--- Memory that training takes, against the formula for it, and on a corpus that
--- is larger than what a process may hold of it.
local bench = require "spec.bench.support"
local temporary = require "spec.support.temporary"
local songs = dofile "spec/bench/songs.lua"

--- A training on a corpus of so many bytes; `words` as growth.lua takes them.
local function row(name, bytes, words, limit)
  local path = temporary.name()
  songs.corpus(path, words:match " (%S+)", bytes)
  local text = bench.output(("%s spec/bench/growth.lua %s %s"):format(bench.lua, path, words))
  local grown, formula = (text or ""):match "^(%d+) (%d+)"
  if not grown then error("training failed: " .. tostring(text)) end
  bench.row(name:format(bench.mb(songs.size(path))), bench.mb(tonumber(grown)),
    "formula: " .. bench.mb(tonumber(formula)), grown / formula, limit)
  os.remove(path)
end

return function()
  local quick = bench.settings.QUICK
  bench.title "memory of training: growth of the process from when the modules are loaded"
  local shapes = { { "drummer", 128, 32 }, { "drummer", 32, 8 }, { "drummer", 256, 64 },
    { "neuraldrummer2023", 8, 50 } }
  if quick then shapes = { { "drummer", 16, 2 }, { "neuraldrummer2023", 8, 2 } } end
  for _, shape in ipairs(shapes) do
    local preset, steps, streams = table.unpack(shape)
    row(("%s, batch %d x %d steps"):format(preset, streams, steps), 1,
      ("3 %s %d %d"):format(preset, steps, streams), { at_least = 0.8, at_most = 1.2 })
  end
  for _, bytes in ipairs(quick and {} or { 1e7, 2e9 }) do
    row("  on a corpus of %s, 100 batches", bytes, "100 drummer")
  end
end
