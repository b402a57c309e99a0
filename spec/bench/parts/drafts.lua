--- Eight drafts of a four-minute song against one, and the longest slice of work
--- between two of their pauses.
local bench = require "spec.bench.support"
local core = require "neuraldrummer.core"
local generate = require "neuraldrummer.generate"

local EIGHT <const> = { at_most = 3 }

return function()
  local at = bench.session()
  local from, to, model, path = at.from, at.to, at.model, at.path
  local function inside(drafts)
    return function()
      return bench.seconds(function()
        assert(generate.drum(from, { model = model, out = to, drafts = drafts }))
      end)
    end
  end
  local function command(drafts)
    local words = bench.on_one_core(("%s drum %s -o %s --model %s --drafts %d >/dev/null 2>&1")
      :format(bench.quote(bench.settings.TOOL), from, to, bench.quote(path), drafts))
    return function() return bench.seconds(function() assert(os.execute(words), words) end) end
  end
  local function slice()
    local longest, last = 0, core.clock()
    local function pause()
      local now = core.clock()
      longest, last = math.max(longest, now - last), now
    end
    assert(generate.drum(from, { model = model, drafts = 8, pause = pause }))
    pause()
    return longest
  end
  local found = bench.in_turn {
    { "one", inside(1) }, { "eight", inside(8) }, { "none", inside(nil) },
    { "command one", command(1) }, { "command eight", command(8) }, { "slice", slice },
  }
  bench.title(("drafts of a song of %d beats, file to file, one core"):format(bench.beats()))
  bench.row("--drafts 8, in a running process", bench.ms(found.eight[1]),
    "--drafts 1: " .. bench.ms(found.one[1]), found.eight[1] / found.one[1], EIGHT)
  bench.row("  against drumming without drafts", bench.ms(found.eight[1]),
    bench.ms(found.none[1]), found.eight[1] / found.none[1])
  bench.row("--drafts 8, the command from its start", bench.ms(found["command eight"][1]),
    "--drafts 1: " .. bench.ms(found["command one"][1]),
    found["command eight"][1] / found["command one"][1], EIGHT)
  bench.row("longest slice between two pauses", bench.ms(found.slice[1]), "limit: 10.0 ms",
    found.slice[1] / 10e-3, { at_most = 1 })
  bench.remove(at.folder)
end
