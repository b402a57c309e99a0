--- What the benchmarks share: settings, peers, measuring in turn, and the table
--- that they print.
---
--- A peer is another library in a Python process of its own (peer_*.py), started
--- once for a comparison and asked in turn with ours, so that whatever else the
--- machine does meanwhile falls on both.
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local nd = require "neuraldrummer"
local temporary = require "spec.support.temporary"

local bench = {}

---@class bench.settings
---@field PYTHON string interpreter with the peers' libraries
---@field CORPUS? string a folder of MIDI files
---@field ONLY string parts whose name holds one of its words are run
---@field BUILD string where make built
---@field OUT string where pictures go
---@field ROUNDS integer turns of a comparison
---@field SECONDS number of each measuring within a turn
---@field FILES integer read by the reading part
---@field MANY? integer files of the preprocess part's larger folder (default four times FILES)
---@field QUICK boolean sizes that are done in seconds, for whether it works at all
bench.settings = {
  PYTHON = os.getenv "PYTHON" or "python3",
  CORPUS = os.getenv "CORPUS",
  ONLY = os.getenv "ONLY" or "",
  BUILD = os.getenv "BUILD" or "build",
  OUT = os.getenv "OUT",
  ROUNDS = os.getenv "ROUNDS",
  SECONDS = os.getenv "SECONDS",
  FILES = os.getenv "FILES",
  MANY = os.getenv "MANY",
  QUICK = os.getenv "QUICK",
}

--- The module that says how fast the machine is: rates.c.
---@return {sgemm: function, memory: function} rates
function bench.rates()
  local open = assert(package.loadlib(bench.settings.BUILD .. "/bench/rates.so", "luaopen_rates"))
  local rates = open()
  bench.rates = function() return rates end
  return rates
end

--- Takes KEY=VALUE words, in the place of the environment's.
---@param words string[]
---@param rounds integer turns unless said otherwise
---@param seconds number
function bench.configure(words, rounds, seconds)
  local s = bench.settings
  for _, word in ipairs(words) do
    local key, value = word:match "^(%u+)=(.*)$"
    if not key then error(("KEY=value is needed, got '%s'"):format(word), 0) end
    s[key] = value
  end
  for key, value in pairs(s) do
    if value == "" and key ~= "ONLY" then s[key] = nil end
  end
  s.QUICK = s.QUICK ~= nil and s.QUICK ~= "0"
  local usual = { ROUNDS = { rounds, 1 }, SECONDS = { seconds, 0.01 }, FILES = { 200, 6 } }
  for key, each in pairs(usual) do
    s[key] = tonumber(s[key] or each[s.QUICK and 2 or 1])
    if s[key] == nil or s[key] <= 0 then error(key .. ": a number above 0 is needed", 0) end
  end
  s.MANY = s.MANY and math.tointeger(tonumber(s.MANY))
  s.OUT = s.OUT or s.BUILD .. "/bench"
  s.TOOL = s.BUILD .. "/bin/neuraldrummer"
end

--- Whether a part is wanted.
---@param name string
---@return boolean
function bench.wanted(name)
  local any = true
  for word in bench.settings.ONLY:gmatch "[^%s,]+" do
    if name:find(word, 1, true) then return true end
    any = false
  end
  return any
end

------------------------------------------------------------------- commands

function bench.quote(s) return "'" .. tostring(s):gsub("'", "'\\''") .. "'" end

--- A command's output, or nil when it failed.
---@param command string
---@return string?
function bench.output(command)
  local pipe = assert(io.popen(command, "r"))
  local text = pipe:read "a"
  return pipe:close() and text or nil
end

local function has(program) return os.execute("command -v " .. program .. " >/dev/null 2>&1") end

--- A new empty folder; `bench.remove` removes it with all that is in it.
bench.folder, bench.remove = temporary.folder, temporary.remove

--- The command with one core to run on, where that can be had.
function bench.on_one_core(command)
  return (has "taskset" and "taskset -c 0 " or "") .. command
end

--- What a Lua program's process held at most, in bytes; and what it printed.
---@param command string the program and its words
---@return number bytes
---@return string text
function bench.peak(command)
  local text = bench.output(("%s spec/bench/peak.lua %s 2>&1"):format(bench.lua, command))
  local peak = text and text:match "peak (%d+) kB"
  if not peak then error(("failed: %s: %s"):format(command, text)) end
  return tonumber(peak) * 1024, text
end

-- This Lua, for processes of our own; LUA, where it was started by a script.
bench.lua = bench.quote(os.getenv "LUA" or arg and arg[-1] or "lua5.4")

--------------------------------------------------------------------- machine

local function line_of(path, pattern)
  local text = files.read(path)
  return text and text:match(pattern)
end

--- Cores that this process may use.
---@return integer
function bench.cores()
  return tonumber(bench.output "nproc 2>/dev/null" or "") or 1
end

function bench.load() return line_of("/proc/loadavg", "^%S+ %S+ %S+") or "unknown" end

local versions

--- The version of a library in PYTHON, nil when it has none.
---@param library string
---@return string?
function bench.version(library)
  if not versions then
    versions = {}
    local text = bench.output(bench.quote(bench.settings.PYTHON) .. " " .. [[-c '
import importlib.metadata as m
for names in ("torch", "keras", "tensorflow tensorflow-cpu", "mido", "pretty_midi", "symusic"):
    for name in names.split():
        try:
            print(names.split()[0], m.version(name).split("+")[0])
        except m.PackageNotFoundError:
            pass' 2>/dev/null]])
    for name, version in (text or ""):gmatch "(%S+) (%S+)\n" do versions[name] = version end
  end
  return versions[library]
end

--- The CPU and its cores, in a few words.
---@return string
function bench.machine()
  return ("%s, %d core%s"):format(line_of("/proc/cpuinfo", "model name%s*: ([^\n]*)")
    or "unknown CPU", bench.cores(), bench.cores() == 1 and "" or "s")
end

--- Prints what the figures depend on.
function bench.facts()
  local cache = {}
  for i = 0, 3 do
    local at = ("/sys/devices/system/cpu/cpu0/cache/index%d/"):format(i)
    local level, size = line_of(at .. "level", "%d+"), line_of(at .. "size", "%S+")
    if size and line_of(at .. "type", "%a+") ~= "Instruction" then
      cache[#cache + 1] = ("L%s %s"):format(level, size)
    end
  end
  local system = line_of("/etc/os-release", 'PRETTY_NAME="([^"]*)"')
  print(("machine    %s, caches %s"):format(bench.machine(),
    #cache > 0 and table.concat(cache, ", ") or "unknown"))
  print(("system     %s, %s; load average %s"):format(system or "unknown",
    (bench.output "uname -srm" or ""):gsub("\n", ""), bench.load()))
  local commit = bench.output "git describe --always --dirty 2>/dev/null"
  local kernels = core.cpu().blas
  print(("ours       Neural Drummer %s%s, %s, OpenBLAS with kernels for %s%s"):format(core.version,
    commit and " (" .. commit:gsub("\n", "") .. ")" or "", _VERSION, kernels,
    os.getenv "OPENBLAS_CORETYPE" and " (OPENBLAS_CORETYPE)" or ""))
  local found, missing = {}, {}
  for _, library in ipairs { "torch", "keras", "tensorflow", "mido", "pretty_midi", "symusic" } do
    local version = bench.version(library)
    if version then
      found[#found + 1] = library .. " " .. version
    else
      missing[#missing + 1] = library
    end
  end
  if #found > 0 then
    print(("peers      %s, in %s"):format(table.concat(found, ", "), bench.settings.PYTHON))
  end
  if #missing > 0 then
    print(("not there  %s: not compared with (PYTHON=… names another interpreter)"):format(
      table.concat(missing, ", ")))
  end
  local load = tonumber((bench.load():match "^%S+"))
  if load and load > bench.cores() / 2 then
    print "busy       other programs run beside these: the figures say less than they could"
  end
  print(("measured   %d times in turn, about %g s each; of each, the best of these unless said "
    .. "otherwise"):format(bench.settings.ROUNDS, bench.settings.SECONDS))
end

----------------------------------------------------------------------- table

local held, missed, waiting, notes = 0, 0, nil, {}

local function say_notes()
  for _, note in ipairs(notes) do print(("\n(%s)"):format(note)) end
  notes = {}
end

--- The title of the rows to come.
---@param text string
function bench.title(text)
  say_notes()
  waiting = text
end

--- What is to be said behind the rows.
---@param text string
function bench.note(text) notes[#notes + 1] = text end

---@class bench.limit
---@field at_least? number
---@field at_most? number

--- Whether a ratio is within its limit.
---@param ratio number
---@param limit bench.limit
---@return boolean
function bench.within(ratio, limit)
  local least, most = limit.at_least, limit.at_most
  return (not least or ratio >= least) and (not most or ratio <= most)
end

-- In words; of QUICK's tiny sizes nothing is wanted.
local function verdict(ratio, limit)
  local least, most = limit.at_least, limit.at_most
  local wanted = least and most and ("%g to %g"):format(least, most)
    or least and ("at least %g"):format(least) or ("at most %g"):format(most)
  if bench.settings.QUICK then return wanted .. ", not judged" end
  local within = bench.within(ratio, limit)
  held, missed = held + (within and 1 or 0), missed + (within and 0 or 1)
  return wanted .. (within and ": held" or ": MISSED")
end

--- A row: what was measured, ours, the peer's or the limit, their ratio, and
--- whether it is within the limit that the project set itself.
---@param what string
---@param ours string
---@param other? string
---@param ratio? number
---@param limit? bench.limit of the ratio
function bench.row(what, ours, other, ratio, limit)
  local row = "| %-52s | %16s | %-48s | %6s | %s |"
  if waiting then
    print("\n" .. row:format(waiting, "ours", "the other, or the limit", "ratio", "wanted"))
    print(("|%s|%s|%s|%s|---|"):format(("-"):rep(54), ("-"):rep(18), ("-"):rep(50), ("-"):rep(8)))
    waiting = nil
  end
  print(row:format(what, ours, other or "",
    ratio and (ratio < 100 and "%.2f" or "%.0f"):format(ratio) or "",
    limit and verdict(ratio, limit) or ""))
  io.flush()
end

function bench.sum()
  say_notes()
  print(("\n%d held, %d missed; load average now %s"):format(held, missed, bench.load()))
end

function bench.ms(seconds) return ("%.1f ms"):format(seconds * 1e3) end
function bench.us(seconds) return ("%.1f us"):format(seconds * 1e6) end
function bench.mb(bytes) return ("%.1f MB"):format(bytes / 1e6) end

----------------------------------------------------------------------- peers

---@class bench.peer
---@field name string with its version and the way that is the fastest
---@field ask fun(): ... its next answer, nil when it has ended
---@field close fun()

--- Starts spec/bench/peer_*.py; nil when that fails.
---@param script string
---@param words string
---@return bench.peer?
function bench.peer(script, words)
  local way = temporary.name()
  assert(os.execute("mkfifo " .. bench.quote(way)))
  local answers = assert(io.popen(("%s spec/bench/%s %s 2>/dev/null <%s"):format(
    bench.quote(bench.settings.PYTHON), script, words, bench.quote(way)), "r"))
  -- opened for reading too: it waits for nobody, and nothing is raised when the
  -- peer has ended
  local asked = assert(io.open(way, "r+"))
  asked:setvbuf "line"
  local name = (answers:read "l" or ""):match "^ready (.*)"
  os.remove(way)
  if not name then
    asked:close()
    answers:close()
    bench.note(("%s %s: failed"):format(script, words:match "^%S*"))
    return nil
  end
  return {
    name = name,
    ask = function()
      asked:write "go\n"
      local values = {}
      for value in (answers:read "l" or ""):gmatch "%S+" do
        values[#values + 1] = tonumber(value)
      end
      return table.unpack(values)
    end,
    close = function()
      asked:write "quit\n"
      asked:close()
      answers:close()
    end,
  }
end

--- The peers that do what `words` say, of those that PYTHON has.
---@param words string
---@return bench.peer[]
function bench.networks(words)
  local list = {}
  if bench.version "torch" then list[#list + 1] = bench.peer("peer_torch.py", words) end
  if bench.version "keras" and bench.version "tensorflow" then
    list[#list + 1] = bench.peer("peer_keras.py", words)
  end
  return list
end

function bench.close(peers)
  for _, peer in ipairs(peers) do peer.close() end
end

-------------------------------------------------------------------- measuring

--- Calls a second, after one that is not counted.
---@param call fun()
---@return number
function bench.rate(call)
  call()
  local n, start = 0, core.clock()
  while true do
    call()
    n = n + 1
    local taken = core.clock() - start
    if taken >= bench.settings.SECONDS then return n / taken end
  end
end

--- Seconds that a call takes.
---@param call fun()
---@return number
function bench.seconds(call)
  local start = core.clock()
  call()
  return core.clock() - start
end

--- Measures in turn, ROUNDS times: { key, what gives a number } each. Of each
--- key, all numbers in order, the lowest first; nil when there were none.
---@param ways {[1]: any, [2]: fun(): number?}[]
---@param rounds? integer
---@return table<any, number[]>
function bench.in_turn(ways, rounds)
  local found = {}
  for _ = 1, rounds or bench.settings.ROUNDS do
    for _, way in ipairs(ways) do
      local value = way[2]()
      if value then
        found[way[1]] = found[way[1]] or {}
        table.insert(found[way[1]], value)
      end
    end
  end
  for _, list in pairs(found) do table.sort(list) end
  return found
end

--- Of a list in order, the share `q` of the way; 0.5: the median.
function bench.quantile(list, q) return list[math.floor((#list - 1) * q + 0.5) + 1] end

-------------------------------------------------------------------- material

local state = 1

--- The same numbers in every run, 0..1.
function bench.random()
  state = (state * 1664525 + 1013904223) & 0xffffffff
  return (state >> 8) / 0x1000000
end

---@class bench.net
---@field model neuraldrummer.model
---@field rate fun(threads: integer): number updates a second
---@field flops number of an update's matrix products
---@field words string of the same net, for a peer

--- A net of a preset's own size, or as `options` say, on made-up data.
---@param options neuraldrummer.model_options
---@param steps integer
---@param streams integer
---@return bench.net
function bench.net(options, steps, streams)
  local model = core.model(options)
  local config = model:config()
  local window = config.window > 0
  local random, spec = bench.random, { steps = steps, batch = streams, x = {}, y = {}, reset = {} }
  for i = 1, steps * streams * config.inputs do spec.x[i] = random() end
  for i = 1, (window and 1 or steps) * streams * config.voices do
    spec.y[i] = random() < 0.1 and 1 or 0
  end
  for i = 1, streams do spec.reset[i] = window end
  local batch = core.batch(model, spec)
  batch:next()
  local learning = { rate = 1e-3, clip = not window and 1 or nil }
  -- Floating-point operations of the products: forward, gradient of the weights,
  -- and of the inputs where there is anything to learn before them.
  local flops = 0
  for _, name in ipairs(model:tensors()) do
    local _, shape = model:tensor(name)
    if shape[2] then
      local rows = (name:find "^lstm" or not window) and steps * streams or streams
      local back = shape[1]
      if name == "out.skip" or name == "out.mix" or name:find "^encoder.*wx$" then
        back = 0
      elseif name == "lstm.1.wx" then
        back = config.encoder > 0 and shape[1] - (config.inputs - config.encoded) or 0
      end
      flops = flops + (4 * shape[1] + 2 * back) * shape[2] * rows
    end
  end
  return {
    model = model,
    flops = flops,
    rate = function(threads)
      model:threads(threads)
      return bench.rate(function() model:train_step(batch, learning) end)
    end,
    words = ("preset=%s window=%d layers=%d hidden=%d encoder=%d encoded=%d inputs=%d voices=%d "
      .. "dropout=%g steps=%d batch=%d seconds=%g"):format(config.preset, config.window,
      config.layers, config.hidden, config.encoder, config.encoded, config.inputs, config.voices,
      window and 0.3 or config.dropout, steps, streams, bench.settings.SECONDS),
  }
end

-- Whether a number is one of half precision (IEEE 754 binary16) exactly.
local function is_half(value)
  local bits = string.unpack("<I4", string.pack("<f", value))
  local power, lost = (bits >> 23 & 0xff) - 127, 13
  if power < -14 then lost = 13 - 14 - power end  -- below the normal ones
  return value == 0 or power <= 15 and lost <= 23 and bits & (1 << lost) - 1 == 0
end

--- Bytes of the weights that a model reads at every step that it plays, and of
--- those of its encoder, which reads a whole song at once unless it plays along; in
--- single precision, and whether half would do as well, as for those saved so.
---@param model neuraldrummer.model
---@return integer playing
---@return integer encoder
---@return boolean half
function bench.weights(model)
  local playing, encoder, half = 0, 0, true
  for _, name in ipairs(model:tensors()) do
    local values = model:tensor(name)
    if name:find "^encoder" then
      encoder = encoder + 4 * #values
    else
      playing = playing + 4 * #values
    end
    for i = 1, half and #values or 0 do
      if not is_half(values[i]) then
        half = false
        break
      end
    end
  end
  return playing, encoder, half
end

--- A song in 4/4 at 120 bpm, so many beats long: bass, chords and a melody; and
--- drums, when wanted.
---@param beats integer
---@param drums? boolean
---@return neuraldrummer.song
function bench.song(beats, drums)
  local list = {}
  local function add(tick, duration, pitch, velocity, channel, program)
    list[#list + 1] = { tick = tick, duration = duration, pitch = pitch, velocity = velocity,
      channel = channel, program = program, track = channel == 10 and 4 or channel }
  end
  for beat = 0, beats - 1 do
    local root = ({ 36, 33, 41, 43 })[beat // 4 % 4 + 1]
    add(beat * 480, 400, root, 90, 1, 33)
    if beat % 2 == 0 then
      for _, up in ipairs { 24, 28, 31 } do add(beat * 480, 900, root + up, 70, 2, 0) end
    end
    for half = 0, 1 do
      if bench.random() < 0.7 then
        add(beat * 480 + half * 240, 200, 60 + math.floor(bench.random() * 20), 80, 3, 0)
      end
      if drums then add(beat * 480 + half * 240, 100, 42, 70, 10, 0) end
    end
    if drums then add(beat * 480, 100, beat % 2 == 0 and 36 or 38, 100, 10, 0) end
  end
  return core.song { ppq = 480, notes = list, tempos = { { tick = 0, bpm = 120 } },
    meters = { { tick = 0, numerator = 4, denominator = 4 } }, name = "made" }
end

--- Beats of the song that the limits speak of: four minutes at 120 bpm.
function bench.beats() return bench.settings.QUICK and 32 or 480 end

--- The model that drums by default; without one, a new one (path nil).
---@return neuraldrummer.model
---@return string? path
function bench.drummer()
  local path = nd.default_model()
  if path and not bench.settings.QUICK then return assert(core.load_model(path)), path end
  return core.model { preset = "drummer", hidden = bench.settings.QUICK and 8 or nil,
    encoder = bench.settings.QUICK and 4 or nil }
end

--- What file to file needs: a folder, the song in it, where the drummed one goes,
--- and the model, in memory and in a file.
---@return {folder: string, from: string, to: string, model: neuraldrummer.model, path: string}
function bench.session()
  local folder = bench.folder()
  local from = folder .. "/song.mid"
  assert(bench.song(bench.beats()):save(from))
  local model, path = bench.drummer()
  if not path then
    path = folder .. "/model.safetensors"
    assert(model:save(path))
  end
  return { folder = folder, from = from, to = folder .. "/drummed.mid", model = model, path = path }
end

--- Paths of `n` MIDI files from all over CORPUS, or, without one, of songs made
--- in `folder`; and what they are.
---@param n integer
---@param folder string
---@return string[] paths
---@return string kind
function bench.files(n, folder)
  local list, corpus = {}, bench.settings.CORPUS
  if not corpus then
    for i = 1, n do
      list[i] = ("%s/%d.mid"):format(folder, i)
      assert(bench.song(16 + i * 37 % 200, true):save(list[i]))
    end
    return list, "made"
  end
  local paths = {}
  local found = bench.output(("find %s -iname '*.mid' | LC_ALL=C sort"):format(
    bench.quote(corpus)))
  for path in (found or ""):gmatch "[^\n]+" do paths[#paths + 1] = path end
  if #paths == 0 then error("no MIDI files in " .. corpus, 0) end
  n = math.min(n, #paths)
  for i = 1, n do list[i] = paths[(i - 1) * #paths // n + 1] end
  return list, "of the corpus"
end

return bench
