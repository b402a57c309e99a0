--- Drumming a four-minute song, from file to file: as a command of its own, and
--- in a process that has the model already.
local bench = require "spec.bench.support"
local generate = require "neuraldrummer.generate"

local COLD <const>, MEMORY <const>, WARM <const> = 0.1, 60e6, 0.06  -- seconds, bytes, seconds
local WITHIN <const> = { at_most = 1 }

return function()
  local at = bench.session()
  local from, to, model, path = at.from, at.to, at.model, at.path
  local words = ("%s drum %s -o %s --model %s"):format(bench.quote(bench.settings.TOOL), from, to,
    bench.quote(path))
  local command = bench.on_one_core(words .. " >/dev/null 2>&1")
  local found = bench.in_turn({
    { "cold", function()
      return bench.seconds(function() assert(os.execute(command), words) end)
    end },
    { "warm", function()
      return bench.seconds(function() assert(generate.drum(from, { model = model, out = to })) end)
    end },
  }, 4 * bench.settings.ROUNDS)

  bench.title(("a song of %d beats, %s, file to file, one core"):format(bench.beats(),
    bench.settings.QUICK and "tiny net" or "four minutes at 120 bpm"))
  local cold, warm, peak = found.cold[1], found.warm[1], bench.peak(words)
  bench.row("the command, from its start", bench.ms(cold), "limit: " .. bench.ms(COLD), cold / COLD,
    WITHIN)
  bench.row("  median", bench.ms(bench.quantile(found.cold, 0.5)))
  bench.row("  its memory at most", bench.mb(peak), "limit: " .. bench.mb(MEMORY), peak / MEMORY,
    WITHIN)
  bench.row("in a running process", bench.ms(warm), "limit: " .. bench.ms(WARM), warm / WARM,
    WITHIN)
  bench.row("  median", bench.ms(bench.quantile(found.warm, 0.5)))
  bench.remove(at.folder)
end
