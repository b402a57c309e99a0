--- Reads bytes as a program of calls to the C side. What it may call, and with
--- what, is read from the annotations; the bytes choose, mostly what fits and
--- now and then what does not. Loaded by lua.c with a folder to write in; gives
--- the function that runs a program. It raises where a call answers otherwise
--- than by a result, by nil and a message, or by an error in words.
local folder = ...
package.path = "./?.lua;" .. package.path

local core = require "neuraldrummer.core"
local modules = { ["neuraldrummer.core"] = core }
local annotations = require "spec.support.annotations"
local tiny = require "spec.support.tiny"

local classes, functions = annotations.modules "core"

local NAMES <const> = { "a", "b", "c", "d" }
local paths = {}
for i, name in ipairs(NAMES) do paths[i] = folder .. "/" .. name end
local function clean() for _, path in ipairs(paths) do os.remove(path) end end

-- The program ------------------------------------------------------------------

local program, at
local function byte()
  at = at + 1
  return program:byte(at) or 0
end
local function pick(list) return list[byte() % #list + 1] end

-- Objects ------------------------------------------------------------------------

local pool  -- by class: those made by this program

local PATTERN <const> = { kick = "x.......x.......", snare = "....x.......x...",
  bass = "x...x...x...x..." }
local SMALL <const> = { hidden = 3, layers = 1, encoder = 3 }

local object, call, meddle
local make = {
  song = function() return tiny.song { patterns = { PATTERN }, bars = 2 } end,
  tokeniser = function() return core.tokeniser() end,
  sequence = function()
    return assert(core.tokeniser():encode(tiny.song { patterns = { PATTERN }, bars = 2 }))
  end,
  file_writer = function() return assert(core.create_file(paths[1])) end,
  corpus_writer = function() return assert(core.create_corpus(paths[1], core.tokeniser())) end,
  corpus = function()
    local writer = assert(core.create_corpus(paths[2], core.tokeniser()))
    for _ = 1, 2 do assert(writer:add(object "neuraldrummer.sequence")) end
    assert(writer:finish())
    return assert(core.open_corpus(paths[2]))
  end,
  model = function() return core.model(SMALL) end,
  batches = function()
    return object "neuraldrummer.corpus":batches {
      model = object "neuraldrummer.model", steps = 8, batch = 2, split = "all" }
  end,
  generator = function() return core.generator(object "neuraldrummer.model") end,
}

-- What a callback may do to what waits for it.
local calls = {
  function() end,
  function() return object(pick(functions).owner) end,
  function() collectgarbage() end,
  function() error "asked to stop" end,
  function() call(pick(functions)) end,
  function() meddle(pick(functions).owner) end,
  function()
    local own = pool[pick(functions).owner] or {}
    if own[1] then own[1]:close() end
  end,
  function() coroutine.yield() end,
}
-- Each of them once, then no more, so that every program ends.
local function callback()
  local act, done = pick(calls), false
  return function(...)
    if done then return end
    done = true
    return act(...)
  end
end

-- One of the class: of the program's own, or a new one. What it would stand on
-- may be closed: then there is none.
function object(class)
  local own = pool[class] or {}
  pool[class] = own
  local which = byte() % 8
  if own[which] then return own[which] end
  local maker = make[class:match "[%w_]+$"]
  local ok, new = pcall(maker or error)
  if not ok or type(new) ~= "userdata" then return nil end
  if #own < 7 then own[#own + 1] = new end
  return new
end

local function keep(value)
  if type(value) ~= "userdata" then return end
  local class = debug.getmetatable(value).__name
  local own = pool[class] or {}
  pool[class] = own
  if #own < 7 then own[#own + 1] = value end
end

-- Values ---------------------------------------------------------------------------

-- Closes what the program has while an argument is read.
local hostile = setmetatable({}, { __index = function()
  local class = pool[pick(functions).owner] or {}
  if class[1] then class[1]:close() end
  return nil
end, __len = function() return 3 end, __tostring = function() return {} end })

local odd = { true, false, -1, 0.5, 0 / 0, math.huge, -math.huge, 1e308, 1 << 31, (1 << 32) + 1,
  math.maxinteger, math.mininteger, 2.0 ^ 63, "", "\0\0", "\xff\xfe", "%s%n%d", ("x"):rep(3000),
  {}, { {} }, { [true] = 1, [0.5] = 2 }, hostile, next, coroutine.create(next) }
local INTEGERS <const> = { 0, 1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 24, 31, 32, 33, 64, 96, 127, 128, 480,
  -1, -2, 255, 256, 257, 65535, 65536, 1 << 31 }
local NUMBERS <const> = { 0, 1, 0.5, 0.1, 0.25, 2, 3, 120, -0.5, -1, -3, 1e-3, 1e-9, 60, 1000, 1e9 }
local TEXTS <const> = { "", "x", "gm9", "basic6", "kick", "snare", "drummer", "touch", "-1",
  "42,36,i0.0,-1,42,i0.6,-1", "intensity", "train", "lstm0.kernel" }

local value

local function list_of(kind)
  local list = {}
  for i = 1, byte() % 24 do list[i] = value(kind) end
  return list
end

local function one(kind)
  local class = classes[kind]
  if class and class.userdata then return object(kind) end
  local fields = annotations.fields(kind, classes)
  if fields then
    local t = {}
    for _, field in ipairs(fields) do
      if not field.optional or byte() % 4 == 1 then
        t[field.name] = value(field.kind, field.name)
      end
    end
    return t
  end
  local element = kind:match "^(.*)%[%]$"
  if element then return list_of(element) end
  local from, to = kind:match "^table<(.-), *(.*)>$"
  if from then
    local t = {}
    for _ = 1, byte() % 4 do
      local key = value(from)
      t[key == key and key or 1] = value(to)
    end
    return t
  end
  if kind == "integer" then return pick(INTEGERS) end
  if kind == "number" then return byte() % 2 == 0 and pick(NUMBERS) or pick(INTEGERS) end
  if kind == "boolean" then return byte() % 2 == 1 end
  if kind == "false" then return false end
  if kind == "function" then return callback() end
  if kind:find '^"' then return kind:sub(2, -2) end
  if kind == "string" then
    local n = byte()
    if n < 128 then return pick(TEXTS) end
    at = at + n % 64
    return program:sub(at - n % 64 + 1, at)
  end
  return nil
end

--- A value for what is annotated as `kind`; `name` is the parameter's.
function value(kind, name)
  local b = byte()
  if name == "path" then return b < 250 and paths[b % #paths + 1] or nil end
  if b >= 240 then return pick(odd) end
  return one(pick(annotations.alternatives(kind)))
end

-- Calls --------------------------------------------------------------------------------

local function judge(ok, first, second, ...)
  if not ok then
    if type(first) ~= "string" then error("an error that is a " .. type(first), 0) end
    return
  end
  for _, result in ipairs { first, second, ... } do keep(result) end
end

-- Raw hands on an object: what its metatable has, keys that it has not, a
-- finaliser, and other things in the place of what it stands on.
function meddle(class)
  local it = object(class)
  if it == nil then return end
  local events = { "__gc", "__close", "__len", "__tostring", "__index", "__call", "__pairs" }
  local event = debug.getmetatable(it)[pick(events)]
  local self = byte() < 128 and it or pick(odd)
  if type(event) == "function" then judge(pcall(event, self, pick(odd))) end
  judge(pcall(function() return it[pick(odd)] end))
  local b = byte()
  if b % 4 == 1 then
    debug.setuservalue(it, object(pick(functions).owner) or pick(odd), b // 4 % 3 + 1)
  elseif b % 4 == 3 then
    setmetatable({}, { __gc = function() if event then pcall(event, it) end end })
  end
end

-- Options of a model that takes no long time to make, as the presets would.
local function small(given)
  local options = { hidden = 3, layers = 1, encoder = 3 }
  for key, option in pairs(type(given) == "table" and given or {}) do
    local size = math.type(option) == "integer" and option > 16 and option <= 4096
    options[key] = size and option % 16 or option
  end
  return options
end

function call(f)
  local args, n = {}, 0
  local fn
  if f.kind == ":" then
    local it = object(f.owner)
    if it == nil then return end
    fn, n = it[f.name], 1
    args[1] = byte() < 250 and it or pick(odd)
  else
    fn = modules[f.owner][f.name]
  end
  if fn == nil then error(f.owner .. f.kind .. f.name .. " is annotated, but not there", 0) end
  for _, param in ipairs(f.params) do
    n = n + 1
    if not (param.optional and byte() % 3 == 0) then args[n] = value(param.kind, param.name) end
  end
  if f.name == "model" then args[1] = small(args[1]) end
  -- what measures the machine would take most of the time
  if f.name:find "_rate$" and byte() > 4 then return end
  if byte() < 240 then
    judge(pcall(fn, table.unpack(args, 1, n)))
  else
    judge(coroutine.resume(coroutine.create(fn), table.unpack(args, 1, n)))
  end
end

return function(bytes)
  program, at, pool = bytes, 0, setmetatable({}, { __gc = clean })
  for _ = 1, 48 do
    if at >= #program then break end
    local b = byte()
    if b >= 250 then collectgarbage "step"
    elseif b >= 240 then meddle(pick(functions).owner)
    else call(functions[b % #functions + 1]) end
  end
  pool = nil
end
