--- Curves of what training, playing and reading cost, each with its limit drawn
--- in: pictures and their numbers.
---
---   make bench-plots [PYTHON=python3] [CORPUS=folder] [ONLY=word] [QUICK=1]
---
--- Into build/bench (or OUT): training, playing and reading, .png and .tsv each.
--- Settings as of run.lua; PYTHON is asked for symusic alone.
local bench = require "spec.bench.support"
local core = require "neuraldrummer.core"
local figure = require "spec.bench.figure"
local files = require "neuraldrummer.files"
local nd = require "neuraldrummer"
local gnuplot = require "neuraldrummer.plot.gnuplot"

local curves = {}

-- Writes the numbers of a picture, and draws it.
local function draw(name, columns, rows, picture)
  local at = bench.settings.OUT .. "/" .. name
  assert(gnuplot.write_tsv(at .. ".tsv", columns, rows))
  picture.facts = picture.facts .. "; " .. bench.machine()
  assert(figure(at .. ".png", picture, at .. ".tsv"))
  print(("%s.png, .tsv"):format(at))
end

-- Column `k` of rows of a kind, against the place.
local function points(rows, what, series, k)
  local list = {}
  for _, row in ipairs(rows) do
    if row[1] == what and row[3] == series and row[k] then
      list[#list + 1] = { row[2], row[k] }
    end
  end
  return list
end

------------------------------------------------------------------- training

--- Steps a second of training against hidden size, batch and threads.
function curves.training()
  local quick, cores = bench.settings.QUICK, bench.cores()
  local own = core.model({ preset = "drummer" }):config()
  local steps, rows, sgemm = quick and 4 or own.steps, {}, {}
  local function measure(what, at, hidden, streams, counts)
    local net = bench.net({ preset = "drummer", hidden = hidden, encoder = quick and 4 or nil },
      steps, streams)
    local ways = {}
    for _, threads in ipairs(counts) do
      ways[#ways + 1] = { threads, function() return net.rate(threads) end }
      ways[#ways + 1] = { -threads, function()
        return (bench.rates().sgemm(quick and 64 or 1024, threads))
      end }
    end
    for key, found in pairs(bench.in_turn(ways)) do
      local best = found[#found]
      if key < 0 then
        sgemm[-key] = math.max(sgemm[-key] or 0, best)
      else
        rows[#rows + 1] = { what, at or key, key, best * steps * streams,
          net.flops / (steps * streams) }
      end
    end
    net.model:close()
  end
  local counts = cores > 1 and { 1, 2 } or { 1 }
  for _, hidden in ipairs(quick and { 8, 16 } or { 48, 64, 96, 128, 192, 256, 384, 512 }) do
    measure("hidden", hidden, hidden, quick and 2 or own.batch, counts)
  end
  for _, streams in ipairs(quick and { 1, 2 } or { 1, 2, 4, 8, 16, 32, 64, 128 }) do
    measure("batch", streams, quick and 8 or own.hidden, streams, counts)
  end
  local all = {}
  for threads = 1, math.max(2, cores) do all[threads] = threads end
  measure("threads", nil, quick and 8 or own.hidden, quick and 2 or own.batch, all)

  -- what SGEMM's rate would allow
  for _, row in ipairs(rows) do row[5] = sgemm[row[3]] / row[5] end
  table.sort(rows, function(a, b)
    for k = 1, 3 do if a[k] ~= b[k] then return a[k] < b[k] end end
    return false
  end)
  local function panel(what, title, x, y)
    local list = {}
    for _, threads in ipairs(counts) do
      list[#list + 1] = { colour = threads, points = points(rows, what, threads, 4),
        name = threads == 1 and "one thread" or threads .. " threads" }
      list[#list + 1] = { colour = threads, points = points(rows, what, threads, 5), limit = true,
        name = ("limit: SGEMM, %.0f GFLOP/s"):format(sgemm[threads] / 1e9) }
    end
    local tics = {}
    for _, point in ipairs(list[1].points) do tics[#tics + 1] = point[1] end
    return { title = title, x = x, y = y, curves = list, xtics = tics, key = "inside left bottom" }
  end
  local by_threads, limits = {}, {}
  for _, row in ipairs(rows) do
    if row[1] == "threads" then
      by_threads[#by_threads + 1] = { row[3], row[4] }
      limits[#limits + 1] = { row[3], row[5] }
    end
  end
  local last = panel("batch", "batch", "stretches a batch", "")
  last.key = "inside right bottom"
  draw("training", { "against", "at", "threads", "steps_per_second", "limit" }, rows, {
    title = "Training the drummer: steps a second",
    facts = ("stretches of %d steps; hidden %d and batch %d unless varied"):format(steps,
      own.hidden, own.batch),
    panels = {
      panel("hidden", "hidden size", "units a layer", "steps/s"), last,
      { title = "threads", x = "threads", y = "", log = "", xlow = 0.7, xhigh = #all + 0.3,
        xtics = all, key = "inside left bottom",
        curves = { { colour = 1, points = by_threads, name = "measured" },
          { colour = 1, points = limits, limit = true, name = "limit: SGEMM on as many" } } },
    },
  })
end

-------------------------------------------------------------------- playing

--- Seconds of playing a song against its length; of a step, against the hidden size.
function curves.playing()
  local quick, rows = bench.settings.QUICK, {}
  local sgemm, memory = 0, {}  -- the machine's best, over all turns
  local function net_of(hidden, causal)
    return core.model { preset = "drummer", hidden = hidden, causal = causal,
      encoder = quick and 4 or nil }
  end
  -- A row: what is timed, in `unit`s, and its limit. At every step the weights come
  -- out of the cache that holds them; the encoder reads the song in products, unless
  -- it plays along.
  local function add(what, at, of, model, steps, unit, call)
    local playing, encoder = bench.weights(model)
    local bytes = of == "step" and playing + encoder or playing
    local flops = of == "step" and 0 or encoder / 4 * 2
    local best = bench.in_turn({ { "ours", function() return bench.seconds(call) end },
      { "machine", function()
        sgemm = math.max(sgemm, (bench.rates().sgemm(quick and 64 or 1024)))
        memory[bytes] = math.max(memory[bytes] or 0, (bench.rates().memory(bytes)))
      end } }).ours[1]
    rows[#rows + 1] = { what, at, of, best * unit, function()
      return (bytes / memory[bytes] + flops / sgemm) * steps * unit
    end }
  end
  local function player(model, seq)
    local gen = core.generator(model, { seed = 1 })
    return function() gen:play(seq) end
  end
  local sizes = quick and { 4, 8 } or { 64, 192, 512 }
  for _, hidden in ipairs(sizes) do
    local model <close> = net_of(hidden)
    for _, minutes in ipairs(quick and { 0.1, 0.2 } or { 0.25, 0.5, 1, 2, 4, 8, 16, 32 }) do
      local seq = assert(model:tokeniser():encode(bench.song(math.floor(minutes * 120))))
      add("minutes", minutes, hidden, model, #seq, 1, player(model, seq))
    end
  end
  local widths = quick and { 4, 8 } or { 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024 }
  local song = bench.song(quick and 16 or 120)
  for _, hidden in ipairs(widths) do
    local whole <close> = net_of(hidden)
    local along <close> = net_of(hidden, true)
    local seq = assert(whole:tokeniser():encode(song))
    add("hidden", hidden, "play", whole, #seq, 1e6 / #seq, player(whole, seq))
    local gen, metrics = core.generator(along, { seed = 1 }), {}
    for i = 1, #seq do metrics[i] = seq:metrics(i) end
    add("hidden", hidden, "step", along, #seq, 1e6 / #seq, function()
      for _, heard in ipairs(metrics) do gen:step(heard) end
    end)
  end
  for _, row in ipairs(rows) do row[5] = row[5]() end
  local lengths, ticks = {}, {}
  for i, hidden in ipairs(sizes) do
    lengths[2 * i - 1] = { colour = i, points = points(rows, "minutes", hidden, 4),
      name = ("hidden %d"):format(hidden) }
    lengths[2 * i] = { colour = i, points = points(rows, "minutes", hidden, 5), limit = true,
      name = i == #sizes and "limits of these" or nil }
  end
  for i, point in ipairs(lengths[1].points) do ticks[i] = point[1] end
  draw("playing", { "against", "at", "of", "taken", "limit" }, rows, {
    title = "Playing: what a song and a step take",
    facts = "one thread; limit: the weights read once a step at the rate of the cache that holds "
      .. "them, the encoder's products at SGEMM's",
    panels = {
      { title = "a song, gen:play, by its length", x = "minutes at 120 bpm", y = "seconds",
        curves = lengths, xtics = ticks, key = "inside left top" },
      { title = "a step, by the hidden size", x = "units a layer", y = "microseconds",
        xtics = widths, key = "inside left top", curves = {
          { colour = 1, points = points(rows, "hidden", "play", 4), name = "of a song, gen:play" },
          { colour = 1, points = points(rows, "hidden", "play", 5), limit = true,
            name = "limit of it" },
          { colour = 2, points = points(rows, "hidden", "step", 4),
            name = "alone, gen:step from Lua" },
          { colour = 2, points = points(rows, "hidden", "step", 5), limit = true,
            name = "limit of it" },
        } },
    },
  })
end

-------------------------------------------------------------------- reading

--- Seconds of reading a file against its size.
function curves.reading()
  local quick, folder = bench.settings.QUICK, bench.folder()
  local tok, rows, ways = core.tokeniser(), {}, {}
  local function ours(bytes)
    local best = math.huge
    for _ = 1, 3 do
      best = math.min(best, bench.seconds(function()
        local song <close> = nd.song.parse(bytes)
        local _ <close> = song and tok:encode(song)
      end))
    end
    return best
  end
  -- songs made ever longer, and those of the corpus
  local made = {}
  for i, beats in ipairs(quick and { 4, 8 } or { 4, 16, 64, 256, 1024, 4096, 16384, 65536 }) do
    made[i] = ("%s/made-%d.mid"):format(folder, beats)
    assert(bench.song(beats, true):save(made[i]))
  end
  ways[1] = { "made", made }
  if bench.settings.CORPUS then
    ways[2] = { "corpus", (bench.files(quick and 4 or 300, folder)) }
  end
  local largest = 0
  for _, way in ipairs(ways) do
    local kind, list = way[1], way[2]
    local listed = folder .. "/list"
    assert(files.write(listed, table.concat(list, "\n") .. "\n"))
    local peer = bench.version "symusic"
      and bench.peer("peer_midi.py", ("symusic %s each"):format(listed))
    local theirs = peer and { peer.ask() } or {}
    if peer then peer.close() end
    for i, path in ipairs(list) do
      local bytes = assert(files.read(path))
      largest = math.max(largest, #bytes)
      rows[#rows + 1] = { kind, #bytes, "file", ours(bytes) * 1e3,
        (theirs[i] or 0) > 0 and theirs[i] * 1e3 or nil }
    end
  end
  -- a copy of as many bytes, at the rate of the cache that holds them
  local copies = {}
  for power = quick and 8 or 10, quick and 9 or math.ceil(math.log(largest, 2)) do
    local bytes = 1 << power
    copies[#copies + 1] = { bytes, bytes / select(2, bench.rates().memory(bytes)) * 1e3 }
    rows[#rows + 1] = { "copy", bytes, "file", copies[#copies][2] }
  end
  bench.remove(folder)
  draw("reading", { "what", "bytes", "of", "ms", "symusic_ms" }, rows, {
    title = "Reading a MIDI file: what it takes, by its size",
    facts = ("one core, of three times the best%s"):format(bench.version "symusic"
      and "; symusic " .. bench.version "symusic" .. " parses alone, it lays nothing on a grid"
      or ""),
    panels = {
      { title = "bytes in memory to a Sequence", x = "bytes", y = "milliseconds",
        key = "inside left top", curves = {
          { colour = 6, points = points(rows, "corpus", "file", 4), dots = true,
            name = "ours, songs of the corpus" },
          { colour = 1, points = points(rows, "made", "file", 4), name = "ours, songs made" },
        } },
      { title = "beside symusic, and a copy of the bytes", x = "bytes", y = "milliseconds",
        key = "inside left top", curves = {
          { colour = 5, points = points(rows, "corpus", "file", 5), dots = true,
            name = "symusic, songs of the corpus" },
          { colour = 2, points = points(rows, "made", "file", 5), name = "symusic, songs made" },
          { colour = 1, points = points(rows, "made", "file", 4), name = "ours, songs made" },
          { colour = 3, points = copies, limit = true, name = "limit: memory copied" },
        } },
    },
  })
end

bench.configure(arg, 3, 0.3)
assert(os.execute("mkdir -p " .. bench.quote(bench.settings.OUT)))
local ran = false
for _, name in ipairs { "training", "playing", "reading" } do
  if bench.wanted(name) then
    ran = true
    curves[name]()
  end
end
-- a script of its own, of large songs: it fails where time is not in proportion
local linear = "spec/bench/linear.lua"
if files.read(linear) and bench.wanted "linear" then
  ran = true
  local out = bench.settings.OUT .. "/linear.png"
  if bench.settings.QUICK then
    print "(linear: not in a tiny size)"
  elseif os.execute(("%s %s %s >/dev/null"):format(bench.lua, linear, bench.quote(out))) then
    print(("%s, .tsv"):format(out))
  else
    print "linear: MISSED, time is not in proportion to bytes"
  end
end
if not ran then error(("no curves are named like '%s'"):format(bench.settings.ONLY), 0) end
