--- Calls every annotated function of the C side with one wrong thing at a time:
--- self, each argument, each field of a table of options. What does not fit the
--- annotation must be refused, by an error or by nil and a message; the rest
--- must do no harm. Run by misuse_spec as a process of its own:
---
---     lua5.4 spec/support/misuse.lua FOLDER
---
--- It works in FOLDER, leaves what it calls just now in FOLDER/last-call, and
--- prints a line for each fault, then how many calls of how many functions it made.
local lfs = require "lfs"
local core = require "neuraldrummer.core"
local annotations = require "spec.support.annotations"
local temporary = require "spec.support.temporary"
local tiny = require "spec.support.tiny"

local modules = { ["neuraldrummer.core"] = core }
local classes, functions = annotations.modules "core"
assert(lfs.chdir(arg[1]))

-- Objects ------------------------------------------------------------------

local PATTERN <const> = { kick = "x.......x.......", snare = "....x.......x...",
  bass = "x...x...x...x..." }

local tokeniser = core.tokeniser()
local song = tiny.song { patterns = { PATTERN }, bars = 4, name = "four bars" }
local four_bars = assert(tokeniser:encode(song, "four bars"))
local filled = assert(core.create_corpus("corpus.ndc", tokeniser))
for _ = 1, 4 do assert(filled:add(four_bars, "train")) end
assert(filled:finish())

local SMALL <const> = { hidden = 4, layers = 1, encoder = 4, causal = true }
core.model(SMALL):save "model.safetensors"

local function batch(model)
  local config, spec = model:config(), { x = {}, y = {} }
  for i = 1, config.inputs do spec.x[i] = 0 end
  for i = 1, config.voices do spec.y[i] = i % 2 end
  return spec
end

-- A new object of each type.
local make = {}
make["neuraldrummer.song"] = function()
  return tiny.song { patterns = { PATTERN }, bars = 1 }
end
make["neuraldrummer.tokeniser"] = function() return core.tokeniser() end
make["neuraldrummer.sequence"] = function() return assert(tokeniser:encode(song)) end
make["neuraldrummer.corpus"] = function() return assert(core.open_corpus "corpus.ndc") end
local written = 0
local function new_path()  -- a file is written by one writer at a time
  written = written + 1
  return ("made-%d.ndc"):format(written)
end
make["neuraldrummer.corpus_writer"] = function()
  return assert(core.create_corpus(new_path(), tokeniser))
end
make["neuraldrummer.file_writer"] = function() return assert(core.create_file(new_path())) end
make["neuraldrummer.model"] = function() return core.model(SMALL) end
make["neuraldrummer.batches"] = function()
  local batches = make["neuraldrummer.corpus"]():batches { model = core.model(SMALL), steps = 16 }
  batches:next()
  return batches
end
make["neuraldrummer.generator"] = function() return core.generator(core.model(SMALL)) end
make["neuraldrummer.interrupt"] = function() return core.catch_interrupt() end
make["neuraldrummer.lock"] = function() return assert(core.lock(temporary.name())) end

-- One of each, to be an argument.
local given = {}
for name, new in pairs(make) do given[name] = new() end

-- Arguments with which a call succeeds, made anew for each.
local function new(kind) return make["neuraldrummer." .. kind]() end
local right = {
  ["neuraldrummer.core.song"] = function()
    return { ppq = 96, notes = { { tick = 0, duration = 96, pitch = 60, velocity = 90 } },
      tempos = { { tick = 0, bpm = 120 } }, meters = { { tick = 0, numerator = 4,
      denominator = 4 } } }
  end,
  ["neuraldrummer.core.tokeniser"] = function() return {} end,
  ["neuraldrummer.core.create_corpus"] = function() return new_path(), new "tokeniser" end,
  ["neuraldrummer.core.create_file"] = function() return new_path() end,
  ["neuraldrummer.core.byte_less"] = function() return "a", "b" end,
  ["neuraldrummer.core.hash"] = function() return "a" end,
  ["neuraldrummer.core.open_corpus"] = function() return "corpus.ndc" end,
  ["neuraldrummer.core.model"] = function() return { hidden = 4, layers = 1, encoder = 4 } end,
  ["neuraldrummer.core.load_model"] = function() return "model.safetensors" end,
  ["neuraldrummer.core.generator"] = function() return new "model", {} end,
  ["neuraldrummer.core.batch"] = function()
    local model = new "model"
    return model, batch(model)
  end,
  ["neuraldrummer.core.humanise"] = function()
    return core.model { preset = "touch", hidden = 4, layers = 1 }, new "sequence"
  end,
  ["neuraldrummer.core.retime"] = function()
    local times = {}
    for step = 1, #four_bars do times[step] = step end
    return new "sequence", times
  end,
  ["neuraldrummer.core.bar_styles"] = function() return new "sequence" end,
  ["neuraldrummer.core.play"] = function()
    local model = new "model"
    return { core.generator(model), core.generator(model) }, new "sequence", {}
  end,
  ["neuraldrummer.core.log_likelihood"] = function() return new "model", new "sequence", {} end,
  ["neuraldrummer.core.explain"] = function() return new "model", new "sequence", 1, 4, true end,
  ["neuraldrummer.core.catch_interrupt"] = function() return true end,
  ["neuraldrummer.core.lock"] = function() return temporary.name() end,
  ["neuraldrummer.core.ingest"] = function()
    assert(song:save "song.mid")
    return { { path = "song.mid", name = "song" } },
      { tokeniser = new "tokeniser" }
  end,
  ["neuraldrummer.core.parse_song"] = function() return song:bytes() end,
  ["neuraldrummer.core.load_song"] = function()
    assert(song:save "song.mid")
    return "song.mid", {}
  end,
  ["neuraldrummer.song:with_drums"] = function() return new "sequence", {} end,
  ["neuraldrummer.song:with_pitches"] = function() return { [36] = 35 } end,
  ["neuraldrummer.song:save"] = function() return "saved.mid" end,
  ["neuraldrummer.tokeniser:encode"] = function() return new "song", "name" end,
  ["neuraldrummer.tokeniser:parse"] = function() return four_bars:tokens() end,
  ["neuraldrummer.sequence:metrics"] = function() return 1 end,
  ["neuraldrummer.sequence:metric"] = function() return "intensity" end,
  ["neuraldrummer.sequence:with_hits"] = function() return four_bars:packed_hits() end,
  ["neuraldrummer.sequence:with_bars"] = function() return { 1, false } end,
  ["neuraldrummer.corpus_writer:add"] = function() return new "sequence", "train" end,
  ["neuraldrummer.corpus_writer:append"] = function() return new "corpus", 1, 1 end,
  ["neuraldrummer.corpus_writer:finish"] = function(writer) writer:add(four_bars) end,
  ["neuraldrummer.corpus:song"] = function() return 1 end,
  ["neuraldrummer.corpus:info"] = function() return 1 end,
  ["neuraldrummer.corpus:batches"] = function() return { model = new "model", steps = 16 } end,
  ["neuraldrummer.model:save"] = function() return "saved.safetensors", {} end,
  ["neuraldrummer.model:train_step"] = function(self)
    return core.batch(self, batch(self)), { rate = 1e-3 }
  end,
  ["neuraldrummer.model:loss"] = function(self) return core.batch(self, batch(self)) end,
  ["neuraldrummer.model:tensor"] = function(self) return self:tensors()[1] end,
  ["neuraldrummer.model:gradient"] = function(self)
    assert(self:train_step(core.batch(self, batch(self)), { rate = 1e-3 }))
    return self:tensors()[1]
  end,
  ["neuraldrummer.model:set_tensor"] = function(self)
    return self:tensors()[1], (self:tensor(self:tensors()[1]))
  end,
  ["neuraldrummer.model:learn_styles"] = function() return new "corpus", "train", 2 end,
  ["neuraldrummer.model:threads"] = function() return 1 end,
  ["neuraldrummer.generator:play"] = function()
    local sequence = new "sequence"
    return sequence, { fixed = sequence }
  end,
  ["neuraldrummer.generator:choose"] = function() return new "sequence" end,
  ["neuraldrummer.generator:step"] = function() return { bar = true } end,
}

-- Values ---------------------------------------------------------------------

-- {name, value, type of a live object}
local values = {
  { "nil", nil }, { "true", true }, { "false", false },
  { "0", 0 }, { "1", 1 }, { "-1", -1 }, { "0.5", 0.5 }, { "-0.0", -0.0 },
  { "NaN", 0 / 0 }, { "inf", math.huge }, { "-inf", -math.huge }, { "1e308", 1e308 },
  { "1e-320", 1e-320 }, { "2^31", 1 << 31 }, { "2^32 + 1", (1 << 32) + 1 },
  { "maxinteger", math.maxinteger }, { "mininteger", math.mininteger }, { "2.0^63", 2.0 ^ 63 },
  { "''", "" }, { "'x'", "x" }, { "zero bytes", "\0\0" }, { "no UTF-8", "\xff\xfe" },
  { "formats", "%s%n%d" }, { "100,000 characters", ("x"):rep(100000) },
  { "{}", {} }, { "{1}", { 1 } }, { "{{}}", { {} } }, { "a table's table", { x = { x = {} } } },
  { "a table with keys of all kinds", { [true] = 1, [0.5] = 2, [print] = 3, [-1] = 4 } },
  { "a function", type }, { "a coroutine", coroutine.create(print) }, { "a file", io.stdout },
}
local loop = {}
loop[1], loop.loop = loop, loop
values[#values + 1] = { "a table in itself", loop }
values[#values + 1] = { "a table that raises",
  setmetatable({}, { __index = error, __len = error, __pairs = error, __tostring = error }) }
for name, object in pairs(given) do
  local closed = make[name]()
  closed:close()
  values[#values + 1] = { "a " .. name, object, name }
  values[#values + 1] = { "a closed " .. name, closed }
end

-- Whether a value may be given where the annotation says `kind`.
local function fits(value, kind)
  for _, one in ipairs(annotations.alternatives(kind)) do
    local v, is = value[2], type(value[2])
    local class = classes[one]
    if class and class.userdata then
      if value[3] == one then return true end
    elseif class or one:find "^{" or one:find "%[%]$" or one:find "^table" then
      if is == "table" then return true end
    elseif one:find '^"' then
      if v == one:sub(2, -2) then return true end
    elseif one == "any" then
      return true
    elseif one == "false" then
      if v == false then return true end
    elseif one == "integer" then
      if math.tointeger(v) and is == "number" then return true end
    elseif one == "string" then
      if is == "string" or is == "number" then return true end
    elseif is == one then
      return true
    end
  end
  return false
end

-- What lies deeper in a table of options than its fields: elements of lists, and
-- fields of these, as `sample` has them. Each: the keys that lead there, its kind
-- and whether it may be missing.
local function deeper(kind, sample, keys, found)
  for _, one in ipairs(annotations.alternatives(kind)) do
    local element = one:match "^(.*)%[%]$"
    local fields = annotations.fields(one, classes)
    local function add(key, of_kind, optional)
      local path = table.move(keys, 1, #keys, 1, {})
      path[#path + 1] = key
      if #path > 1 then found[#found + 1] = { keys = path, kind = of_kind, optional = optional } end
      deeper(of_kind, type(sample) == "table" and sample[key] or nil, path, found)
    end
    if element and type(sample) == "table" and sample[1] ~= nil then
      add(1, element, true)
    elseif fields and type(sample) == "table" then
      for _, field in ipairs(fields) do add(field.name, field.kind, field.optional) end
    end
  end
  return found
end

-- Calls ------------------------------------------------------------------------

local last = assert(io.open("last-call", "w"))
last:setvbuf "no"
local calls = 0

-- nil when it was refused as it should be, else what came back.
local function refusal(what, call, ...)
  calls = calls + 1
  last:seek "set"
  last:write(what, (" "):rep(120 - #what), "\n")
  local results = table.pack(pcall(call, ...))
  if not results[1] then
    if type(results[2]) == "string" then return nil end
    return "raised a " .. type(results[2])
  end
  if results.n == 3 and results[2] == nil and type(results[3]) == "string" then return nil end
  return "gave " .. (results.n > 1 and tostring(results[2]) or "nothing")
end

local function fault(what, ...) print(what .. ": " .. table.concat({ ... }, " ")) end

local function try(what, must_refuse, call, ...)
  local came = refusal(what, call, ...)
  if came and (must_refuse or came == "raised a table") then fault(what, came) end
end

local tried = 0
for _, f in ipairs(functions) do
  local name = f.owner .. f.kind .. f.name
  local is_method = f.kind == ":"
  local arguments = right[name] or function() end
  local call
  if is_method then
    local object = make[f.owner] and make[f.owner]()
    call = object and object[f.name]
  else
    call = modules[f.owner][f.name]
  end
  if call then
    tried = tried + 1
    local short = name:gsub("^neuraldrummer%.", "")
    local function self() return is_method and make[f.owner]() or nil end
    -- the right arguments with the i-th replaced; 0 is self
    local function replaced(i, value)
      local object = self()
      local list = table.pack(arguments(object))
      list.n = math.max(list.n, #f.params)
      if i == 0 then object = value elseif i then list[i] = value end
      if is_method then return object, table.unpack(list, 1, list.n) end
      return table.unpack(list, 1, list.n)
    end

    local results = table.pack(pcall(call, replaced()))
    if not results[1] or (results.n == 3 and results[2] == nil) then
      fault(short, "does not succeed:", tostring(results[results.n]))
    end
    if is_method then
      for _, value in ipairs(values) do
        local closing = f.name == "close" and value[1] == "a closed " .. f.owner
        try(("%s(self = %s)"):format(short, value[1]), value[3] ~= f.owner and not closing, call,
          replaced(0, value[3] == f.owner and self() or value[2]))
      end
      try(short .. "()", true, call)
    end
    for i, param in ipairs(f.params) do
      for _, value in ipairs(values) do
        local optional = param.optional and value[2] == nil
        try(("%s(%s = %s)"):format(short, param.name, value[1]),
          not optional and not fits(value, param.kind), call, replaced(i, value[2]))
      end
      if fits({ nil, {} }, param.kind) then
        -- where a table may be, one whose metamethods close all that the call works on
        local list = table.pack(replaced())
        local at = is_method and i + 1 or i
        local inner = type(list[at]) == "table" and list[at] or {}
        list[at] = setmetatable({}, { __index = function(_, key)
          for _, object in pairs(list) do
            if type(object) == "userdata" then object:close() end
          end
          return inner[key]
        end })
        try(("%s(%s = a table that closes the rest)"):format(short, param.name), false, call,
          table.unpack(list, 1, list.n))
      end
      local sample = select(i, arguments(self()))
      for _, place in ipairs(deeper(param.kind, sample, {}, {})) do
        for _, value in ipairs(values) do
          local options = select(i, arguments(self()))
          local at = options
          for k = 1, #place.keys - 1 do at = at[place.keys[k]] end
          at[place.keys[#place.keys]] = value[2]
          try(("%s(%s.%s = %s)"):format(short, param.name, table.concat(place.keys, "."), value[1]),
            not (place.optional and value[2] == nil) and not fits(value, place.kind), call,
            replaced(i, options))
        end
      end
      for _, field in ipairs(annotations.fields(param.kind, classes) or {}) do
        for _, value in ipairs(values) do
          local options = select(i, arguments(self())) or {}
          options[field.name] = value[2]
          local optional = field.optional and value[2] == nil
          try(("%s(%s.%s = %s)"):format(short, param.name, field.name, value[1]),
            not optional and not fits(value, field.kind), call, replaced(i, options))
        end
      end
    end
  else
    fault(name, "cannot be called: an object of its type is not made here")
  end
end

-- What an object stands on is closed, or it is used again after its end.
local orphans = {}
orphans["batches without a corpus"] = function()
  local corpus = make["neuraldrummer.corpus"]()
  local batches = corpus:batches { model = new "model", steps = 16 }
  corpus:close()
  return batches
end
orphans["batches without a model"] = function()
  local other = core.model(SMALL)
  local batches = make["neuraldrummer.corpus"]():batches { model = other, steps = 16 }
  batches:next()
  other:close()
  return batches
end
orphans["generator without a model"] = function()
  local other = core.model(SMALL)
  local generator = core.generator(other)
  other:close()
  return generator
end
orphans["writer that is finished"] = function()
  local writer = make["neuraldrummer.corpus_writer"]()
  writer:add(four_bars)
  writer:finish()
  return writer
end
orphans["file writer that is finished"] = function()
  local writer = make["neuraldrummer.file_writer"]()
  writer:write "x"
  writer:finish()
  return writer
end
orphans["song of a closed corpus"] = function()
  local corpus = make["neuraldrummer.corpus"]()
  local seq = corpus:song(1)
  corpus:close()
  return seq
end
for what, orphan in pairs(orphans) do
  for _, f in ipairs(functions) do
    local object = orphan()
    local owner = debug.getmetatable(object).__name
    if f.owner == owner and f.kind == ":" then
      local arguments = right[f.owner .. ":" .. f.name] or function() end
      try(("%s:%s"):format(what, f.name), false, object[f.name], object,
        arguments(make[owner]()))
    end
  end
  tostring(orphan())
end

print(("%d functions, %d calls"):format(tried, calls))
