--- All that a Lua program can do to us with metatables, finalisers, the
--- collector, coroutines and callbacks. Run by faults_lua_spec as a process of
--- its own; prints a line for each fault, then how much it tried.
---
---     lua5.4 spec/support/hostile.lua FOLDER MODE [briefly]
---
--- MODE is swap, replace, gc, finalise, rob, collect or coroutines.
local lfs = require "lfs"
local core = require "neuraldrummer.core"
local tiny = require "spec.support.tiny"

assert(lfs.chdir(arg[1]))
local BRIEFLY <const> = arg[3] ~= nil  -- one in so many, where each is slow
local tried = 0
local function fault(...) print(table.concat({ ... }, " ")) end

local PATTERN <const> = { kick = "x.......x.......", bass = "x...x...x...x..." }
local SMALL <const> = { hidden = 4, layers = 1, encoder = 4, causal = true }
local tok = core.tokeniser()
local song = tiny.song { patterns = { PATTERN }, bars = 2, name = "two bars" }
local two_bars = assert(tok:encode(song, "two bars"))
local bytes = song:bytes()
do
  local writer = assert(core.create_corpus("corpus.ndc", tok))
  for i = 1, 4 do assert(writer:add(two_bars, i < 4 and "train" or "valid")) end
  assert(writer:finish())
  assert(core.model(SMALL):save "model.safetensors")
end

-- A whole set of objects, each standing on others as in life.
local written = 0
local function world()
  local w = { song = assert(core.parse_song(bytes)), tokeniser = core.tokeniser() }
  w.sequence = assert(w.tokeniser:encode(w.song, "x"))
  w.corpus = assert(core.open_corpus "corpus.ndc")
  w.model = assert(core.load_model "model.safetensors")
  assert(w.model:learn_styles(w.corpus))
  w.batches = w.corpus:batches { model = w.model, steps = 16, batch = 2 }
  assert(w.batches:next())
  w.generator = core.generator(w.model)
  written = written + 1
  w.writer = assert(core.create_corpus(("made-%d.ndc"):format(written), w.tokeniser))
  w.file = assert(core.create_file(("made-%d.txt"):format(written)))
  w.interrupt = core.catch_interrupt()
  w.lock = assert(core.lock(("lock-%d"):format(written)))
  return w
end

-- What one does with them; each must work, or raise a string.
local deeds = {
  function(w) return w.song:notes() end,
  function(w) return w.song:tracks(), w.song:repairs(), w.song:tempos(), w.song:meters() end,
  function(w) return w.song:bytes() end,
  function(w) return w.song:save "out.mid" end,
  function(w) return w.song:with_drums(w.sequence, { track_name = "x" }):bytes() end,
  function() return core.parse_song(bytes, { strict = true }), core.load_song "out.mid" end,
  function(w) return w.tokeniser:encode(w.song, "name") end,
  function(w) return w.tokeniser:parse(w.sequence:tokens()) end,
  function(w) return w.tokeniser:settings(), w.tokeniser:voices() end,
  function(w) return w.sequence:hits(), w.sequence:bars(), w.sequence:metrics(1) end,
  function(w) return w.sequence:metric "energy", w.sequence:style(), w.sequence:settings() end,
  function(w) return w.sequence:with_hits(w.sequence:hits()) end,
  function(w) return w.sequence:with_bars { 1, 1 } end,
  function(w) for i = 1, #w.corpus do assert(w.corpus:song(i), w.corpus:info(i)) end end,
  function(w) return w.corpus:path(), w.corpus:settings(), w.corpus:tokeniser() end,
  function(w) for _, seq in pairs(w.corpus) do seq:tokens() end end,
  function(w) for _, hits in pairs(w.sequence) do next(hits) end end,
  function(w) for _, note in pairs(w.song) do next(note) end end,
  function(w) return w.writer:add(w.sequence, "train") end,
  function(w) return w.writer:finish() end,
  function(w) return w.file:write(1, 0.5, "x") end,
  function(w) return w.file:finish() end,
  function(w) return w.model:config(), w.model:tensors(), w.model:extra() end,
  function(w) return w.model:tensor(w.model:tensors()[1]) end,
  function(w) return w.model:save("out.safetensors", { extra = { x = "y" } }) end,
  function(w) return w.model:train_step(w.batches, { rate = 1e-3 }) end,
  function(w)
    return w.model:save("out.safetensors", { training = true, batches = w.batches })
  end,
  function(w) return w.model:loss(w.batches) end,
  function(w) return w.model:learn_styles(w.corpus) end,
  function(w) return w.model:styles(), w.model:styles(w.sequence) end,
  function(w) return w.batches:next(), w.batches:position(), w.batches:shape() end,
  function(w) return w.corpus:batches { model = w.model, steps = 8 } end,
  function(w) return core.generator(w.model, { seed = 2, prime = w.sequence }) end,
  function(w) return w.generator:play(w.sequence, { fixed = w.sequence, style = 1 }) end,
  function(w) return w.generator:play(w.sequence, { style = w.sequence, density = { 1 } }) end,
  function(w) return w.generator:choose(w.sequence), w.generator:style() end,
  function(w) return w.generator:step { bar = true }, w.generator:probabilities() end,
  function(w) return w.generator:reset() end,
  function(w) return core.log_likelihood(w.model, w.sequence, { song = { w.sequence } }) end,
  function(w) return core.explain(w.model, w.sequence, 1, 4) end,
  function(w) return core.model(SMALL), core.model { tokeniser = w.tokeniser, hidden = 2 } end,
  function(w) return w.interrupt:seen() end,
  function(w) return core.lock(tostring(w.lock):match "lock: (.*)") end,
  function(w) for _, object in pairs(w) do tostring(object) end return #w.corpus, #w.sequence end,
}

-- Does all, and says whether the world was still whole.
local function act(w, what)
  for i, deed in ipairs(deeds) do
    tried = tried + 1
    local ok, message = pcall(deed, w)
    if not ok and type(message) ~= "string" then
      fault(what, "deed", i, "raised a", type(message))
    end
  end
end

local asked = 0
local function skipped(every)
  asked = asked + 1
  return BRIEFLY and asked % every ~= 0
end

-- In order of their names, so that two runs do the same.
local function names(w)
  local list = {}
  for name in pairs(w) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local modes = {}

-- Every object with the metatable of every other, of a file and of none; with
-- its own again, it is as it was.
function modes.swap()
  local metatables = { file = debug.getmetatable(io.stdout), none = {}, line = nil }
  for name, object in pairs(world()) do metatables[name] = debug.getmetatable(object) end
  for name, metatable in pairs(debug.getregistry()) do
    if type(name) == "string" and name:find "^neuraldrummer" then metatables[name] = metatable end
  end
  for _, name in ipairs(names(world())) do
    for _, other in ipairs(names(metatables)) do
      local w = world()
      local own = debug.getmetatable(w[name])
      debug.setmetatable(w[name], metatables[other])
      if not skipped(7) then act(w, name .. " as " .. other) end
      if other ~= "file" then
        pcall(function() w[name]:close() end)
        for _, event in ipairs { "__gc", "__close", "__tostring", "__len", "__pairs", "__eq" } do
          pcall(function() metatables[other][event](w[name], w[name]) end)
        end
      end
      debug.setmetatable(w[name], own)
      if metatables[other] ~= own and not skipped(7) then act(w, name) end
    end
  end
  -- and ours on what is not ours
  local foreign = { io.tmpfile(), io.tmpfile() }
  for other, metatable in pairs(metatables) do
    if other ~= "file" then
      local file = io.tmpfile()
      local own = debug.getmetatable(file)
      debug.setmetatable(file, metatable)
      for event, handler in pairs(metatable) do
        if type(handler) == "function" then pcall(handler, file, file)
        elseif event == "__index" and type(handler) == "table" then
          for _, method in pairs(handler) do pcall(method, file, 1, file) end
        end
      end
      debug.setmetatable(file, own)
      foreign[#foreign + 1] = file
    end
  end
  for _, file in ipairs(foreign) do assert(file:write "still a file", file:close()) end
end

-- User values cannot be replaced: there are none. Upvalues and what the registry holds
-- are replaced by everything else; with its own again, all is as it was.
function modes.replace()
  local function values()
    local list = { 7, "x", false, {}, print, io.stdout, coroutine.create(print) }
    for length = 40, 72, 8 do list[#list + 1] = ("\127"):rep(length) end
    local w = world()
    for _, name in ipairs(names(w)) do list[#list + 1] = w[name] end
    return list
  end
  local like = world()
  for name, object in pairs(world()) do
    for n = 1, 3 do
      if select(2, debug.getuservalue(object, n)) or debug.setuservalue(object, like.model, n) then
        fault(name, "has a user value", n)
      end
    end
  end
  for key, metatable in pairs(debug.getregistry()) do
    if type(key) == "string" and key:find "^neuraldrummer" then
      local methods = {}
      for _, from in ipairs { metatable, metatable.__index, metatable.methods } do
        if type(from) == "table" then
          for what, f in pairs(from) do
            if type(f) == "function" then methods[#methods + 1] = { what, f } end
          end
        end
      end
      for _, method in ipairs(methods) do
        local i = 1
        while true do
          local has, own = debug.getupvalue(method[2], i)
          if not has then break end
          for _, value in pairs(values()) do
            debug.setupvalue(method[2], i, value)
            for _, object in pairs(world()) do pcall(method[2], object) end
          end
          debug.setupvalue(method[2], i, own)
          act(world(), key .. "." .. method[1] .. " with its own again")
          i = i + 1
        end
      end
    end
  end
  local registry = debug.getregistry()
  local keys = {}
  for key in pairs(registry) do
    if type(key) == "string" and key:find "^neuraldrummer" then keys[#keys + 1] = key end
  end
  for _, key in ipairs(keys) do
    local own = registry[key]
    for k, value in pairs(values()) do
      if k % 4 == 1 and not skipped(3) then
        local w = world()
        registry[key] = value
        act(w, key .. " in the registry")
        registry[key] = nil
        act(w, key .. " out of the registry")
        registry[key] = own
        act(w, key .. " in the registry again")
      end
    end
  end
end

-- __gc and __close by hand, twice, before and after close, then all deeds.
function modes.gc()
  for _, name in ipairs(names(world())) do
    for _, ends in ipairs { { "__gc" }, { "__gc", "__gc" }, { "close", "__gc" },
      { "__gc", "close", "__close" }, { "__close", "__close", "__gc" } } do
      local w = world()
      for _, how in ipairs(ends) do
        local object = w[name]
        local call = how == "close" and object.close or debug.getmetatable(object)[how]
        call(object)
      end
      act(w, name .. " after " .. table.concat(ends, ", "))
    end
  end
end

-- A finaliser that closes an object, or uses and then closes it, while a
-- method works: the collector is always on, and the finaliser comes back until
-- its turn has come, a little later each time.
function modes.finalise()
  collectgarbage "incremental"
  collectgarbage("setpause", 0)
  collectgarbage("setstepmul", 1000)
  for i, deed in ipairs(deeds) do
    for n, name in ipairs(names(world())) do
      for after = 1 + (i + n) % 2, skipped(9) and 0 or 24, 4 do
        local w = world()
        local left = after
        local function bomb()
          setmetatable({}, { __gc = function()
            left = left - 1
            if left > 0 then return bomb() end
            if after % 4 > 1 then
              pcall(deeds[(i + after) % #deeds + 1], w)
              pcall(w.model.learn_styles, w.model, w.corpus)
            end
            local by = after % 8 < 4 and w[name].close or debug.getmetatable(w[name]).__gc
            pcall(by, w[name])
          end })
        end
        bomb()
        tried = tried + 1
        local ok, message = pcall(deed, w)
        if not ok and type(message) ~= "string" then fault("deed", i, "raised", message) end
      end
      if i == n then
        local w = world()
        pcall(deed, w)
        setmetatable({}, { __gc = function() pcall(w[name].close, w[name]) end })
        collectgarbage()
        act(w, "after a finaliser")
      end
    end
  end
end

-- Calls with tables that alone hold what is in them, and what is done with what
-- they give.
local function held_by_tables(w)
  local n = 0
  local function long(word)
    n = n + 1
    return word:rep(60) .. n
  end
  local function like() return w.sequence:with_bars { 1, 2 } end
  local note = { tick = 0, duration = 96, pitch = 60, velocity = 90 }
  return {
    { core.song, { ppq = 96, name = long "song", notes = { note } } },
    { w.song.with_drums, w.song, w.sequence, { track_name = long "drums" } },
    { core.tokeniser, { kit = { name = long "kit", { name = long "voice", pitches = { 36 } } } } },
    { core.model, { preset = "drummer", tokeniser = core.tokeniser(), hidden = 4, encoder = 2 } },
    { w.model.save, w.model, "out.safetensors", { extra = { [long "key"] = long "value" } } },
    { w.corpus.batches, w.corpus, { model = core.model(SMALL), steps = 16, batch = 2 },
      function(batches) return batches:next() end },
    { core.generator, w.model, { prime = like() }, function(g) return g:play(w.sequence) end },
    { w.generator.play, w.generator, w.sequence,
      { fixed = like(), mask = long("\1"):sub(1, 2 * 9 * 16), style = like(), density = { 1 } } },
    { core.log_likelihood, w.model, w.sequence, { song = { like(), like() }, style = like() } },
    { core.log_likelihood, w.model, { like(), like() }, nil },
    { core.play, { core.generator(w.model), core.generator(w.model) }, w.sequence,
      { { fixed = like() }, { style = like() } } },
    { core.ingest,
      { { path = "out.mid", name = long "one" }, { path = "out.mid", name = long "two" } },
      { tokeniser = core.tokeniser { kit = "full17" } } },
    { core.ingest, { { path = "out.mid", name = long "one" } },
      { tokeniser = core.tokeniser(),
        into = assert(core.create_corpus("taken.ndc", core.tokeniser())) } },
  }
end

local function empty(t)
  for _, value in pairs(t) do if type(value) == "table" then empty(value) end end
  for key in pairs(t) do t[key] = nil end
end

-- A finaliser that takes all out of the tables that a function is reading, and
-- lets it be collected.
function modes.rob()
  collectgarbage "incremental"
  collectgarbage("setpause", 0)
  collectgarbage("setstepmul", 1000)
  assert(song:save "out.mid")
  for i = 1, #held_by_tables(world()) do
    for after = 1, skipped(3) and 6 or 24 do
      local w = world()
      local call = held_by_tables(w)[i]
      local f, n = table.remove(call, 1), 0
      for k = 1, 4 do if call[k] ~= nil then n = k end end
      local use = type(call[n]) == "function" and table.remove(call, n)
      local tables = {}
      for k = 1, n do if type(call[k]) == "table" then tables[#tables + 1] = call[k] end end
      local left = after
      local function bomb()
        setmetatable({}, { __gc = function()
          left = left - 1
          if left > 0 then return bomb() end
          for _, t in ipairs(tables) do empty(t) end
          collectgarbage()
        end })
      end
      bomb()
      tried = tried + 1
      local ok, result = pcall(f, table.unpack(call, 1, n))
      if ok and use then ok, result = pcall(use, result) end
      if not ok and type(result) ~= "string" then fault("robbed", i, "raised a", type(result)) end
    end
  end
end

-- A whole collection at every instruction of the virtual machine, in turns of
-- both kinds of collector.
function modes.collect()
  for _, kind in ipairs { "incremental", "generational" } do
    collectgarbage(kind)
    local w = world()
    debug.sethook(function() collectgarbage() end, "", 1)
    for _, deed in ipairs(deeds) do
      tried = tried + 1
      local ok, message = pcall(deed, w)
      if not ok then fault(kind, tostring(message)) end
    end
    debug.sethook()
  end
end

-- Objects made in one coroutine, used in another, closed in a third; yields
-- out of every metamethod and hook that we might call.
function modes.coroutines()
  local w
  for _, deed in ipairs(deeds) do
    w = coroutine.wrap(world)()
    local co = coroutine.create(function() return deed(w) end)
    debug.sethook(co, function() coroutine.yield() end, "", 1)
    local turns = 0
    repeat
      local ok, message = coroutine.resume(co)
      if not ok and not tostring(message):find "yield" then fault("in a coroutine:", message) end
      turns = turns + 1
    until coroutine.status(co) == "dead" or turns > 10000
    coroutine.wrap(function() act(w, "in a coroutine") end)()
  end
  -- a coroutine that is dropped while a to-be-closed object of ours waits in it
  for _ = 1, 50 do
    local co = coroutine.wrap(function()
      local seq <close> = two_bars:with_bars { 1, 1 }
      coroutine.yield(#seq)
    end)
    co()
    local again = coroutine.create(function()
      local other <close> = core.open_corpus "corpus.ndc"
      coroutine.yield(#other)
    end)
    coroutine.resume(again)
    coroutine.close(again)
  end
  -- tables whose metamethods yield, raise, or work on us again
  local tricks = {
    function() coroutine.yield() end, function() error({}) end,
    function() w.generator:reset() w.model:loss(w.batches) return 1 end,
    function() for _, object in pairs(w) do pcall(object.close, object) end end,
  }
  for _, trick in ipairs(tricks) do
    for _, event in ipairs { "__index", "__len", "__pairs", "__tostring", "__eq", "__lt",
      "__name" } do
      w = world()
      local evil = setmetatable({}, { [event] = trick })
      for _, call in ipairs {
        function() core.song { ppq = 96, notes = { evil } } end,
        function() core.song { ppq = 96, notes = { { tick = evil, duration = 1, pitch = 1,
          velocity = 1 } } } end,
        function() core.song { ppq = 96, notes = evil } end,
        function() core.song(evil) end,
        function() core.tokeniser { kit = evil } end,
        function() core.tokeniser { kit = { name = "x", evil } } end,
        function() core.tokeniser { kit = { name = "x", { name = "y", pitches = evil } } } end,
        function() w.sequence:with_hits(evil) end,
        function() w.sequence:with_hits { evil, evil } end,
        function() w.sequence:with_bars(evil) end,
        function() w.generator:step(evil) end,
        function() w.generator:play(w.sequence, evil) end,
        function() w.generator:play(w.sequence, { style = evil }) end,
        function() w.generator:play(w.sequence, { density = evil, fills = evil }) end,
        function() w.model:set_tensor(w.model:tensors()[1], evil) end,
        function() w.model:save("out.safetensors", { extra = evil }) end,
        function() w.corpus:batches(evil) end,
        function() core.batch(w.model, { x = evil, y = evil }) end,
        function() core.log_likelihood(w.model, w.sequence, { song = evil, song_step = evil }) end,
        function() core.create_corpus(evil, w.tokeniser) end,
        function() core.create_file(evil) end,
        function() w.file:write("x", evil) end,
        function() core.byte_less(evil, evil) end,
        function() core.hash(evil) end,
        function() w.sequence:metric(evil) end,
      } do
        tried = tried + 1
        local co = coroutine.create(call)
        for _ = 1, 5 do if coroutine.status(co) ~= "dead" then coroutine.resume(co) end end
      end
      act(w, "after tricks")
    end
  end
end

modes[arg[2]]()
collectgarbage()
collectgarbage()
print(("%d deeds"):format(tried))
