--- Where the time of training a drummer goes, on one thread, as a table:
---
---   make bench-profile [CORPUS=songs.ndc] [SECONDS=10]
---
--- Without a CORPUS, on the songs that come with the examples. The module is an
--- ordinary one with clocks around its parts: spec/bench/profile.c.
local songs = dofile "spec/bench/songs.lua"  -- which loads all of neuraldrummer
local core = require "neuraldrummer.core"
local temporary = require "spec.support.temporary"
local library = package.searchpath("neuraldrummer.core", package.cpath)
local spent = assert(package.loadlib(library, "luaopen_profile"), "the module has no clocks")()

local given = os.getenv "CORPUS" or ""
local path = given ~= "" and given or temporary.name()
if path ~= given then songs.corpus(path, "drummer", 1) end
local corpus = assert(core.open_corpus(path))
if path ~= given then os.remove(path) end
local model = core.model { preset = "drummer" }
local batches = assert(corpus:batches { model = model, split = "all", shuffle = true })

local function step()
  if not batches:next() then batches:next() end  -- an epoch's end, then the next one's first
  return model:train_step(batches, { rate = 1e-3, clip = 1 })
end

step()
spent()
local n, start = 0, core.clock()
local seconds = tonumber(os.getenv "SECONDS") or 10
repeat
  step()
  n = n + 1
until core.clock() - start > seconds
local whole, rest = core.clock() - start, 1
local T, B = batches:shape()
print(("training drummer, %d x %d, one thread: %.1f ms a batch, %.0f steps/s"):format(B, T,
  1e3 * whole / n, n * T * B / whole))
local rows, zeros, eights = spent()
for _, row in ipairs(rows) do
  local share = row[2] / whole
  rest = rest - share
  print(("%-22s %7.2f ms %6.1f %%"):format(row[1], 1e3 * row[2] / n, 100 * share))
end
print(("%-22s %7.2f ms %6.1f %%"):format("copies and the rest", 1e3 * rest * whole / n, 100 * rest))
print(("of the inputs %.0f %% are zero, of eights side by side %.0f %%"):format(100 * zeros,
  100 * eights))
