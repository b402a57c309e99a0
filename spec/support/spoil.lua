--- Makes every call to the disk fail in turn, for all that reads and writes
--- files: it must say so, the old file must be as it was, and the next try must
--- do. Run by faults_disk_spec, with faults.so preloaded:
---
---     lua5.4 spec/support/spoil.lua FOLDER [briefly]
---
--- Works in FOLDER; prints a line for each fault, then "N cases, N calls failed".
local lfs = require "lfs"
local faults = require "faults"
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local preprocess = require "neuraldrummer.preprocess"
local train = require "neuraldrummer.train"
local tiny = require "spec.support.tiny"

assert(lfs.chdir(arg[1]))
assert(lfs.mkdir "songs")

local ENOSPC <const>, EIO <const>, EACCES <const> = 28, 5, 13
local PATTERN <const> = { kick = "x.......x.......", snare = "....x.......x...",
  bass = "x...x...x...x..." }
local tok = core.tokeniser()
local song = tiny.song { patterns = { PATTERN }, bars = 8, name = "eight bars" }
local seq = assert(tok:encode(song, "eight bars"))
for i = 1, 3 do assert(song:save(("songs/%d.mid"):format(i))) end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read "a"
  file:close()
  return bytes
end
local function write(path, bytes)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  assert(file:close())
end

local function corpus(path)
  local writer, message = core.create_corpus(path, tok)
  if not writer then return nil, message end
  local left <close> = writer
  for i = 1, 4 do
    local ok
    ok, message = left:add(seq, i < 4 and "train" or "valid")
    if not ok then return nil, message end
  end
  return left:finish()
end
assert(corpus "read.ndc")
local model = core.model { hidden = 4, layers = 1, encoder = 2 }
assert(model:save "read.safetensors")

-- {path, what writes it, whether it is whole though a later file failed}
local writers = {
  { "x.mid", function(path) return song:save(path) end },
  { "x.ndc", corpus },
  { "x.safetensors", function(path) return model:save(path) end },
  { "half.safetensors", function(path) return model:save(path, { half = true }) end },
  { "x.style", function(path) return files.write(path, ("style\t1\n"):rep(2000)) end },
  { "x.tsv", function(path)
    local writer, message = files.create(path)
    if not writer then return nil, message end
    local left <close> = writer
    for i = 1, 300 do left:write(i, "\t", i / 7, "\n") end
    return left:finish()
  end },
  { "y.ndc", function(path) return preprocess.run("songs", path) end },
  { "saved.txt", function(path) return preprocess.run("songs", path, { original = true }) end },
  { "t.safetensors", function(path)
    local set, message = core.open_corpus "read.ndc"
    if not set then return nil, message end
    local left <close> = set
    return train.run(left, { out = path, hidden = 2, layers = 1, encoder = 0, epochs = 1,
      steps = 16, batch = 2, seed = 3 })
  end, core.load_model },
}

local function fault(name, n, what) print(("%s, call %d: %s"):format(name, n, what)) end
local all = 0

-- Half-written files; what was left is said once.
local function look_for_parts(who, n)
  for name in lfs.dir "." do
    if name:find "part" then
      fault(who, n, name .. " was left")
      os.remove(name)
    end
  end
end

-- The n-th call fails, and with `on` all after it; false when there are fewer.
local function spoil(writer, n, on, number)
  local path, act, whole = table.unpack(writer)
  local old = "what stood there before"
  write(path, old)
  faults.disk(n, on, number)
  local ok, done, message = pcall(act, path)
  local calls, failed = faults.stop()
  all = all + failed
  if failed == 0 then return false, calls end
  local now = read(path)
  if not ok then
    fault(path, n, "raises " .. tostring(done))
  elseif done == nil or done == false then
    if type(message) ~= "string" then fault(path, n, "says nothing") end
    if now ~= old and not (whole and whole(path)) then
      fault(path, n, "the old file is not as it was")
    end
  elseif now == old then
    fault(path, n, "nothing was written, and nobody said so")
  end
  look_for_parts(path, n)
  return true
end

for _, writer in ipairs(writers) do
  local path, act = table.unpack(writer)
  for _, on in ipairs { false, true } do
    for _, number in ipairs(arg[2] and { ENOSPC } or { ENOSPC, EIO, EACCES }) do
      local n = 1
      while spoil(writer, n, on, number) do
        n = n + (n < 60 and 1 or 7)  -- where a folder is read, few calls differ
      end
    end
  end
  local ok, message = act(path)
  if not ok then fault(path, 0, "afterwards: " .. tostring(message)) end
  if faults.unflushed() > 0 then fault(path, 0, "the folder was not flushed after renaming") end
end

-- {path, what reads it, and gives a string of what it found}
local readers = {
  { "songs/1.mid", function(path)
    local read_song, message = core.load_song(path)
    return read_song and read_song:bytes(), message
  end },
  { "read.ndc", function(path)
    local set, message = core.open_corpus(path)
    if not set then return nil, message end
    local found = {}
    for i = 1, #set do
      found[i], message = set:song(i)
      if not found[i] then return nil, message end
      found[i] = found[i]:tokens()
    end
    return table.concat(found, "\n")
  end },
  { "saved.txt", function(path)
    local set, message = core.open_corpus(path)
    if not set then return nil, message end
    local first
    first, message = set:song(1)
    return first and first:tokens(), message
  end },
  { "read.safetensors", function(path)
    local read_model, message = core.load_model(path)
    if not read_model then return nil, message end
    return table.concat(read_model:tensors(), " ")
  end },
  { "x.style", files.read },
}
for _, reader in ipairs(readers) do
  local path, act = table.unpack(reader)
  local right = assert(act(path))
  for _, on in ipairs { false, true } do
    local n = 1
    repeat
      faults.disk(n, on, EIO)
      local ok, found, message = pcall(act, path)
      local _, failed = faults.stop()
      all = all + failed
      if not ok then
        fault(path, n, "raises " .. tostring(found))
      elseif found == nil then
        if not tostring(message):find(path, 1, true) then fault(path, n, "says " .. message) end
      elseif found ~= right then
        fault(path, n, "reads something else")
      end
      n = n + 1
    until failed == 0
  end
  assert(act(path) == right)
end

-- A training whose disk fails at any call, that of its log or of a checkpoint:
-- gone on with, it is as one that nothing happened to.
local set = assert(core.open_corpus "read.ndc")
local taken  -- batches
local function training(resume)
  taken = 0
  return train.run(set, { out = "train.safetensors", log = "train.tsv", hidden = 2, layers = 1,
    encoder = 0, epochs = 2, steps = 16, batch = 2, seed = 3, checkpoint_every = 3,
    resume = resume, on_progress = function() taken = taken + 1 end })
end
local FILES <const> = { "train.tsv", "train.safetensors", "train.last.safetensors" }
local function outcome()
  -- but for the seconds, which are of the day
  return read("train.tsv"):gsub("\t[%d.]+\n", "\n") .. read "train.safetensors"
end
local BATCHES <const> = assert(training(false)).batches
local right_outcome = outcome()
local named = 0
for _, on in ipairs { false, true } do
  local n = 1
  repeat
    for _, path in ipairs(FILES) do os.remove(path) end
    faults.disk(n, on, ENOSPC)
    local ok, state, message = pcall(training, false)
    local _, failed = faults.stop()
    all = all + failed
    if not ok then
      fault("training", n, "raises " .. tostring(state))
    elseif not state then
      if not message:find("^[%w.]+: ") then fault("training", n, "says " .. message) end
      local last = read "train.last.safetensors" ~= nil
      if message:find "^train%.tsv: " and taken > 0 then
        named = named + 1
        -- where the log alone failed, no step is lost
        local extra = last and assert(core.load_model "train.last.safetensors"):extra()
        local at = last and (extra["train.epoch"] - 1) * BATCHES + extra["train.batch"] or 0
        if not on and at < taken - 2 then fault("training", n, "lost steps") end
      end
      local done
      done, message = training(last)
      if not done then fault("training", n, "does not go on: " .. message) end
    end
    if outcome() ~= right_outcome then fault("training", n, "ends otherwise") end
    n = n + (n < 200 and 1 or 7)
  until failed == 0
end
set:close()
if named < 5 then fault("training", 0, "the log was seldom named") end

look_for_parts("training", 0)
print(("%d cases, %d calls failed"):format(#writers + #readers + 1, all))
