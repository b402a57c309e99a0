--- Measures against the limits that the project set itself, and against others
--- doing the same: one line each with name, ours, peer or limit, ratio.
---
---   make bench [PYTHON=python3] [CORPUS=folder of MIDI files] [ONLY=word]
---
--- PYTHON names an interpreter with torch, mido and pretty_midi; what it has
--- not is said and left out. ONLY runs the parts whose name holds the word:
--- training, original, generation, reading. Both sides of a comparison are run
--- in turn, three times, and of each the best counts.
local core = require "neuraldrummer.core"
local nd = require "neuraldrummer"

local settings = {
  PYTHON = os.getenv "PYTHON" or "python3",
  CORPUS = os.getenv "CORPUS",
  ONLY = os.getenv "ONLY" or "",
  BUILD = os.getenv "BUILD" or "build",
}
for _, word in ipairs(arg) do
  local key, value = word:match "^(%u+)=(.*)$"
  if not key then error(("KEY=value is needed, got '%s'"):format(word)) end
  settings[key] = value
end

local ROUNDS <const> = 3
local SECONDS <const> = 2  -- of each round

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

--- A command's output, or nil when it failed.
local function output(command)
  local pipe = assert(io.popen(command, "r"))
  local text = pipe:read "a"
  return pipe:close() and text or nil
end

local function say(name, ours, peer, ratio)
  print(("%-58s %16s  %-30s %s"):format(name, ours, peer or "", ratio or ""))
  io.flush()
end

local function held(ratio, limit)
  return ("%.2f (at least %g: %s)"):format(ratio, limit, ratio >= limit and "held" or "MISSED")
end

local function within(value, limit)
  return ("%.2f (at most 1: %s)"):format(value / limit, value <= limit and "held" or "MISSED")
end

local function peer(script, words)
  return output(("%s spec/bench/%s %s 2>/dev/null"):format(quote(settings.PYTHON), script, words))
end

local torch = peer("peer_torch.py", "version")
torch = torch and "PyTorch " .. torch:match "^[^%s+]+"
if not torch then print(("(no PyTorch in %s: not compared)"):format(settings.PYTHON)) end

local state = 1
local function random()
  state = (state * 1664525 + 1013904223) & 0xffffffff
  return (state >> 8) / 0x1000000
end

-- Training -------------------------------------------------------------------

--- A net of the preset's own size, on made-up data.
local function training(preset, steps, streams)
  local model = core.model { preset = preset }
  local config = model:config()
  local window = config.window > 0
  local spec = { steps = steps, batch = streams, x = {}, y = {}, fresh = {} }
  for i = 1, steps * streams * config.inputs do spec.x[i] = random() end
  for i = 1, (window and 1 or steps) * streams * config.voices do
    spec.y[i] = random() < 0.1 and 1 or 0
  end
  for i = 1, streams do spec.fresh[i] = window end
  local batch = core.batch(model, spec)
  batch:next()
  local options = { rate = 1e-3, clip = not window and 1 or nil }
  local function rate(threads)
    model:threads(threads)
    model:train_step(batch, options)
    local n, start = 0, core.clock()
    repeat
      model:train_step(batch, options)
      n = n + 1
    until core.clock() - start > SECONDS / 2
    return n / (core.clock() - start)
  end
  -- floating-point operations of a training step's matrix products: forward,
  -- gradient of the weights, and of the inputs, save the net's own
  local flops, own = 0, { ["out.skip"] = true, ["out.mix"] = true }
  for _, name in ipairs { "encoder.1.wx", "encoder.2.wx" } do own[name] = true end
  own["lstm.1.wx"] = config.encoder == 0
  for _, name in ipairs(model:tensors()) do
    local _, shape = model:tensor(name)
    if shape[2] then
      local rows = name:find "^lstm" and steps * streams or window and streams or steps * streams
      flops = flops + (own[name] and 4 or 6) * shape[1] * shape[2] * rows
    end
  end
  local words = ("preset=%s window=%d layers=%d hidden=%d encoder=%d encoded=%d "
    .. "inputs=%d voices=%d dropout=%g "
    .. "steps=%d batch=%d"):format(preset, config.window, config.layers, config.hidden,
    config.encoder, config.encoded, config.inputs, config.voices, config.dropout or 0.3, steps,
    streams)
  return { rate = rate, flops = flops, words = words, config = config }
end

--- Ours and PyTorch's in turn, the best of each.
local function compare(net, threads)
  local ours, theirs = 0, nil
  for _ = 1, ROUNDS do
    ours = math.max(ours, net.rate(threads))
    local text = torch and peer("peer_torch.py",
      ("train %s threads=%d seconds=%d"):format(net.words, threads, SECONDS))
    if text then theirs = math.max(theirs or 0, tonumber(text)) end
  end
  return ours, theirs
end

local parts = {}

function parts.training()
  -- the preset's own batch, and a small one
  local config = core.model({ preset = "drummer" }):config()
  for _, shape in ipairs { { config.steps, config.batch }, { 32, 8 } } do
    local steps, streams = shape[1], shape[2]
    local net = training("drummer", steps, streams)
    for threads = 1, 2 do
      local ours, theirs = compare(net, threads)
      local sgemm = core.sgemm_rate(2048, threads)
      local name = ("training drummer, %d x %d, %d thread%s"):format(streams, steps, threads,
        threads == 1 and "" or "s")
      local function rate(updates) return ("%.0f steps/s"):format(updates * steps * streams) end
      say(name, rate(ours), theirs and ("%s %s"):format(rate(theirs), torch),
        theirs and held(ours / theirs, 2))
      say("  its matrix products", ("%.1f GFLOP/s"):format(ours * net.flops / 1e9),
        ("%.1f GFLOP/s SGEMM"):format(sgemm / 1e9), held(ours * net.flops / sgemm, 0.4))
    end
  end
end

function parts.original()
  local net = training("neuraldrummer2023", 8, 50)
  for threads = 1, 2 do
    local ours, theirs = compare(net, threads)
    local name = ("training neuraldrummer2023, batch 50, %d thread%s"):format(threads,
      threads == 1 and "" or "s")
    say(name, ("%.0f windows/s"):format(ours * 50),
      theirs and ("%.0f %s"):format(theirs * 50, torch),
      theirs and held(ours / theirs, 1.5))
  end
end

-- Generation -----------------------------------------------------------------

--- Four minutes at 120 bpm: bass, chords and a melody.
local function four_minutes()
  local notes = {}
  for beat = 0, 479 do
    local root = ({ 36, 33, 41, 43 })[beat // 4 % 4 + 1]
    notes[#notes + 1] = { tick = beat * 480, duration = 400, pitch = root, velocity = 90,
      channel = 1, program = 33, track = 1 }
    if beat % 2 == 0 then
      for _, up in ipairs { 24, 28, 31 } do
        notes[#notes + 1] = { tick = beat * 480, duration = 900, pitch = root + up,
          velocity = 70, channel = 2, track = 2 }
      end
    end
    for half = 0, 1 do
      if random() < 0.7 then
        notes[#notes + 1] = { tick = beat * 480 + half * 240, duration = 200,
          pitch = 60 + math.floor(random() * 20), velocity = 80, channel = 3, track = 3 }
      end
    end
  end
  return core.song { ppq = 480, notes = notes, tempos = { { tick = 0, bpm = 120 } },
    meters = { { tick = 0, numerator = 4, denominator = 4 } }, name = "four minutes" }
end

--- Microseconds that a model takes for a step of a song.
local function playing(model, song, options)
  local seq = assert(model:tokeniser():encode(song))
  local gen = core.generator(model, options)
  local best = math.huge
  for _ = 1, ROUNDS do
    gen:reset()
    local start = core.clock()
    gen:play(seq)
    best = math.min(best, (core.clock() - start) / #seq * 1e6)
  end
  gen:close()
  return best, #seq
end

function parts.generation()
  local song = four_minutes()
  local path = nd.default_model()
  local model = path and assert(core.load_model(path)) or core.model { preset = "drummer" }
  local us, steps = playing(model, song, {})
  say(("generation, drummer, %d steps, 1 thread"):format(steps), ("%.1f us/step"):format(us))

  -- the original's way of playing: the window is run again for every step
  local original = core.model { preset = "neuraldrummer2023" }
  local original_us = playing(original, song, { cutoff = 0.2, forced = 1 })
  say("generation, neuraldrummer2023, 1 thread", ("%.1f us/step"):format(original_us))
  if torch then
    local function window(m, preset)
      local c = m:config()
      return tonumber(peer("peer_torch.py", ("window preset=%s window=8 layers=%d hidden=%d "
        .. "inputs=%d voices=%d dropout=0.3 threads=1 seconds=%d"):format(preset, c.layers,
        c.hidden, c.inputs, c.voices, SECONDS)))
    end
    local theirs = window(original, "neuraldrummer2023")
    say("generation, drummer against the original's way", ("%.1f us/step"):format(us),
      ("%.0f us/step %s"):format(theirs, torch), held(theirs / us, 30))
    local same = window(model, "drummer")
    say("  the same net as ours, 8 steps run again each step", ("%.1f us/step"):format(us),
      ("%.0f us/step %s"):format(same, torch), held(same / us, 30))
    say("  neuraldrummer2023, window run again by both", ("%.1f us/step"):format(original_us),
      ("%.0f us/step %s"):format(theirs, torch), ("%.2f"):format(theirs / original_us))
  end

  -- the whole command, from file to file, as a process of its own
  local from, to = os.tmpname(), os.tmpname()
  assert(song:save(from))
  if not path then
    path = os.tmpname()
    assert(model:save(path))
  end
  local command = ("lua5.4 spec/bench/peak.lua %s drum %s -o %s --model %s"):format(
    quote(settings.BUILD .. "/bin/neuraldrummer"), from, to, quote(path))
  local best, peak = math.huge, nil
  for _ = 1, ROUNDS do
    local start = core.clock()
    local text = output(command .. " 2>&1")
    best = math.min(best, core.clock() - start)
    peak = tonumber(text and text:match "peak (%d+) kB")
    if not peak then error("the command-line tool failed: " .. tostring(text)) end
  end
  say("a song of 4 minutes at 120 bpm, file to file", ("%.0f ms"):format(best * 1e3), "300 ms",
    within(best, 0.3))
  say("  its peak memory", ("%.0f MB"):format(peak / 1e3), "150 MB", within(peak / 1e3, 150))
  os.remove(from)
  os.remove(to)
  if path ~= nd.default_model() then os.remove(path) end
end

-- Reading --------------------------------------------------------------------

function parts.reading()
  if not settings.CORPUS then
    print "(no CORPUS=folder: reading is not measured)"
    return
  end
  local paths = {}
  local found = assert(output(("find %s -iname '*.mid' | LC_ALL=C sort")
    :format(quote(settings.CORPUS))))
  for path in found:gmatch "[^\n]+" do paths[#paths + 1] = path end
  if #paths == 0 then
    print(("(no MIDI files in %s)"):format(settings.CORPUS))
    return
  end
  -- two hundred, from all over the folder
  local list, files = {}, {}
  local count = math.min(200, #paths)
  for i = 1, count do list[i] = paths[(i - 1) * #paths // count + 1] end
  for i, path in ipairs(list) do
    local file = assert(io.open(path, "rb"))
    files[i] = file:read "a"
    file:close()
  end
  local tok = core.tokeniser()
  local function ours()
    local done, start = 0, core.clock()
    for _, bytes in ipairs(files) do
      local song = nd.song.parse(bytes)
      local seq = song and tok:encode(song)
      if seq then
        done = done + 1
        seq:close()
      end
      if song then song:close() end
    end
    return core.clock() - start, done
  end
  local listed = os.tmpname()
  local out = assert(io.open(listed, "w"))
  out:write(table.concat(list, "\n"), "\n")
  out:close()
  local best, done = math.huge, nil
  for _ = 1, ROUNDS do
    local seconds, n = ours()
    best, done = math.min(best, seconds), n
  end
  say(("reading %d files to Sequences, %d done"):format(#files, done),
    ("%.0f files/s"):format(#files / best))
  for _, library in ipairs { "mido", "pretty_midi" } do
    local text = peer("peer_midi.py", library .. " " .. listed)
    local seconds, parsed = (text or ""):match "^(%S+) (%d+)"
    if seconds then
      say(("  against %s, which parses %d"):format(library, parsed),
        ("%.0f files/s"):format(#files / best), ("%.1f files/s"):format(#files / seconds),
        held(seconds / best, 20))
    else
      print(("(no %s in %s: not compared)"):format(library, settings.PYTHON))
    end
  end
  os.remove(listed)
end

local ran = false
for _, name in ipairs { "training", "original", "generation", "reading" } do
  if name:find(settings.ONLY, 1, true) then
    ran = true
    parts[name]()
  end
end
if not ran then error(("no part is named like '%s'"):format(settings.ONLY)) end
