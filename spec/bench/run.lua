--- Measures against the limits that the project set itself, and against others
--- doing the same: a row each with name, ours, peer or limit, ratio, and whether
--- it was held. The rows are a Markdown table.
---
---   make bench [PYTHON=python3] [CORPUS=folder] [ONLY=word] [ROUNDS=5]
---              [SECONDS=1] [FILES=200] [QUICK=1]
---
--- PYTHON names an interpreter with torch, keras and tensorflow-cpu, mido,
--- pretty_midi and symusic; what it has not is said and left out. CORPUS is a folder
--- of MIDI files (without one, songs are made). ONLY runs the parts whose name
--- holds the word, or one of several (ONLY=step,drafts). Both sides of a comparison
--- are measured in turn, ROUNDS times for SECONDS each. QUICK does everything in a
--- tiny size: it shows that the benchmarks work, and no figure of it means anything.
local bench = require "spec.bench.support"

local PARTS <const> = {
  "training", "small", "original", "playing", "step", "window", "drafts", "reading", "preprocess",
  "memory",
}

bench.configure(arg, 5, 1)
local chosen = {}
for _, name in ipairs(PARTS) do
  if bench.wanted(name) then chosen[#chosen + 1] = name end
end
if #chosen == 0 then
  error(("no part is named like '%s'; there are %s"):format(bench.settings.ONLY,
    table.concat(PARTS, ", ")), 0)
end
bench.facts()
for _, name in ipairs(chosen) do require("spec.bench.parts." .. name)() end
bench.sum()
