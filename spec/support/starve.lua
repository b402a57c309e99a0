--- Makes every allocation fail in turn, for all that allocates: it must end in
--- an error (or do without), the object must be as usable as before, and what
--- was taken must be given back. Run by faults_memory_spec, with faults.so
--- preloaded, as a process of its own:
---
---     lua5.4 spec/support/starve.lua FOLDER [engine|lua]
---
--- Works in FOLDER; prints a line for each fault, then "N cases, N allocations
--- failed".
local lfs = require "lfs"
local faults = require "faults"
local core = require "neuraldrummer.core"
local tiny = require "spec.support.tiny"

local who = arg[2] or "engine"
assert(lfs.chdir(arg[1]))

local PATTERN <const> = { kick = "x.......x.......", snare = "....x.......x...",
  closed_hat = "x.x.x.x.x.x.x.x.", bass = "x...x...x...x..." }
local SMALL <const> = { hidden = 4, layers = 1, encoder = 4 }
local tok = core.tokeniser()
local song = tiny.song { patterns = { PATTERN }, bars = 4, name = "four bars" }
local bytes = song:with_drums(assert(tok:encode(song))):bytes()
-- one that has to be mended all over
local broken = "junk" .. bytes:gsub("MTrk", "XTrk", 1) .. "more" .. bytes:sub(15, -9) .. "tail"
assert(song:save "song.mid")
local four_bars = assert(tok:encode(song, "four bars"))
local text = four_bars:tokens()
do
  local writer = assert(core.create_corpus("corpus.ndc", tok))
  for i = 1, 6 do assert(writer:add(four_bars, i < 5 and "train" or "valid")) end
  assert(writer:finish())
  local file = assert(io.open("saved.txt", "w"))
  file:write(text, "\n", text, "\n")
  file:close()
  local corpus <close> = assert(core.open_corpus "corpus.ndc")
  local model = core.model(SMALL)
  assert(model:learn_styles(corpus))
  local batches = corpus:batches { model = model, steps = 16, batch = 2 }
  assert(batches:next())
  assert(model:train_step(batches, { rate = 1e-3 }))
  assert(model:save("model.safetensors", { training = true, batches = batches,
    extra = { note = "x" } }))
end

local function load() return assert(core.load_model "model.safetensors") end
local function trained()
  local model = load()
  local corpus = assert(core.open_corpus "corpus.ndc")
  local batches = corpus:batches { model = model, steps = 16, batch = 2, resume = true }
  assert(batches:next())
  return model, batches, corpus
end
local function read(path)
  local file = assert(io.open(path, "rb"))
  local all = file:read "a"
  file:close()
  return all
end
local function weights(model)
  local all = {}
  for _, name in ipairs(model:tensors()) do
    for _, x in ipairs((model:tensor(name))) do all[#all + 1] = ("%a"):format(x) end
  end
  return table.concat(all, " ")
end

-- Styles whose nearness is learnt too: of as many songs as that takes.
do
  local writer = assert(core.create_corpus("many.ndc", tok))
  for _ = 1, 9 do assert(writer:add(four_bars, "train")) end
  assert(writer:finish())
end
local function styles(model)
  local all = {}
  for i, style in ipairs(model:styles(four_bars)) do all[i] = ("%a"):format(style.weight) end
  return table.concat(all, " ")
end

-- {name, what it needs, what is done, what a result is, what stays as it was when
-- it fails}: `done` gets what `needs` gave, and must give the same when it is done
-- again.
local cases = {
  { "song.load", function() end, function() return assert(core.load_song "song.mid") end,
    function(s) return s:bytes() end },
  { "song.parse of broken bytes", function() end,
    function() return assert(core.parse_song(broken)) end,
    function(s) return #s:notes() .. " " .. #s:repairs() end },
  { "song.new", function() end, function()
    return tiny.song { patterns = { PATTERN }, bars = 2, name = "two" }
  end, function(s) return s:bytes() end },
  { "song's lists", function() return assert(core.load_song "song.mid") end, function(s)
    return { s:notes(), s:tempos(), s:meters(), s:tracks(), s:repairs(), tostring(s) }
  end, function(t) return #t[1] .. t[6] end },
  { "bytes of a host's song", function() return song end, song.bytes, tostring },
  { "with_drums", function() return assert(core.load_song "song.mid"), four_bars end,
    function(s, seq) return s:with_drums(seq) end, function(s) return s:bytes() end },
  { "song:save", function() return song end, function(s)
    assert(s:save "out.mid")
    return read "out.mid"
  end, tostring },
  { "tokeniser", function() end, function()
    return core.tokeniser { kit = { name = "duo", { name = "a", pitches = { 1, 2 } } } }
  end, function(t) return t:settings().kit_text end },
  { "encode", function() return song end, function(s) return assert(tok:encode(s, "x")) end,
    function(s) return s:tokens() end },
  { "encode as in 2023", function()
    return song, core.tokeniser { preset = "neuraldrummer2023" }
  end, function(s, t) return assert(t:encode(s, "x")) end, function(s) return s:tokens() end },
  { "parse", function() end, function() return assert(tok:parse(text)) end,
    function(s) return s:tokens() end },
  { "tokens", function() return four_bars end, function(s) return s:tokens() end, tostring },
  { "sequence's lists", function() return four_bars end, function(s)
    return { s:hits(), s:bars(), s:metrics(1), s:metric "energy", s:voices(), s:settings(),
      s:style(), s:packed_hits(), s:packed_offsets() }
  end, function(t) return t[8] .. t[9] end },
  { "with_hits", function() return four_bars end, function(s) return s:with_hits(s:hits()) end,
    function(s) return s:tokens() end },
  { "with_bars", function() return four_bars end, function(s)
    return s:with_bars { 2, false, 1, 1 }
  end, function(s) return s:tokens() end },
  { "create_corpus", function() end, function()
    local writer <close> = assert(core.create_corpus("out.ndc", tok))
    for _ = 1, 20 do assert(writer:add(four_bars, "valid")) end
    assert(writer:finish())
    return read "out.ndc"
  end, tostring },
  { "create_file", function() end, function()
    local writer <close> = assert(core.create_file "out.txt")
    assert(writer:write(("x"):rep(1 << 17), 1, 0.5) and writer:finish())
    return read "out.txt"
  end, tostring },
  { "open_corpus", function() end, function()
    local corpus = assert(core.open_corpus "corpus.ndc")
    return { assert(corpus:song(2)), corpus:info(1), corpus:tokeniser(), corpus:settings() }
  end, function(t) return t[1]:tokens() .. t[2].name end },
  { "open_corpus of text", function() end, function()
    return assert(assert(core.open_corpus "saved.txt"):song(2))
  end, function(s) return s:tokens() end },
  { "model", function() end, function() return core.model(SMALL) end, weights },
  { "model as in 2023", function() end, function()
    return core.model { preset = "neuraldrummer2023", hidden = 2, layers = 1 }
  end, weights },
  { "load_model", function() end, load, weights },
  { "model:save", function() return load() end, function(m)
    assert(m:save("out.safetensors", { half = true, extra = { note = "x" } }))
    return read "out.safetensors"
  end, tostring },
  { "model:save of a training", trained, function(m, batches)
    assert(m:save("out.safetensors", { training = true, batches = batches }))
    return read "out.safetensors"
  end, tostring },
  { "batches", function() return load(), assert(core.open_corpus "corpus.ndc") end,
    function(model, corpus)
      local batches = corpus:batches { model = model, steps = 16, batch = 2, resume = true }
      assert(batches:next())
      return batches
    end, function(b) return table.concat({ b:shape() }, " ") end },
  { "batch", load, function(model)
    local config, spec = model:config(), { x = {}, y = {} }
    for i = 1, config.inputs do spec.x[i] = i % 3 end
    for i = 1, config.voices do spec.y[i] = i % 2 end
    return core.batch(model, spec)
  end, function(b) return table.concat({ b:shape() }, " ") end },
  { "train_step", trained, function(model, batches)
    return { assert(model:train_step(batches, { rate = 1e-3 })) , model }
  end, function(t) return ("%a %s"):format(t[1], weights(t[2])) end },
  { "first train_step", function()
    local model = core.model(SMALL)
    local corpus = assert(core.open_corpus "corpus.ndc")
    local batches = corpus:batches { model = model, steps = 16, batch = 2 }
    assert(batches:next())
    return model, batches
  end, function(model, batches)
    return { assert(model:train_step(batches, { rate = 1e-3 })), model }
  end, function(t) return ("%a %s"):format(t[1], weights(t[2])) end },
  { "loss", trained, function(model, batches) return (assert(model:loss(batches))) end,
    function(x) return ("%a"):format(x) end },
  { "learn_styles", function() return load(), assert(core.open_corpus "many.ndc") end,
    function(model, corpus)
      assert(model:learn_styles(corpus) == 9)
      return model
    end, styles, styles },
  { "styles", load, function(model) return model:styles(four_bars) end,
    function(t) return #t .. t[1].name end },
  { "config and tensors", load, function(m)
    return { m:config(), m:tokeniser(), m:extra(), weights(m) }
  end, function(t) return t[4] end },
  { "generator", load, function(model)
    return core.generator(model, { seed = 3, prime = four_bars })
  end, tostring },
  { "play", function() return core.generator(load(), { seed = 3 }) end,
    function(g)
      return g:play(four_bars, { fixed = four_bars, density = { 1 }, fills = { true } })
    end, function(s) return s:packed_hits() end },
  { "play in a style", function() return core.generator(load(), { seed = 3 }) end,
    function(g) return g:play(four_bars, { style = four_bars }) end,
    function(s) return s:packed_hits() end },
  { "choose", function() return core.generator(load(), { seed = 3 }) end,
    function(g) return { g:choose(four_bars) } end, function(t) return tostring(t[2]) end },
  { "step", function()
    return core.generator(core.model { hidden = 4, layers = 1, encoder = 4, causal = true })
  end, function(g)
    g:reset()
    g:step { bar = true, energy = 1 }
    return g:probabilities()
  end, function(t) return ("%a"):format(t.kick) end },
  { "log_likelihood", load, function(m)
    return core.log_likelihood(m, four_bars, { song = { four_bars, four_bars } })
  -- weights that find no memory to be packed in are multiplied by BLAS, which rounds differently
  end, function(t) return ("%.5f"):format(t[2][1]) end },
  { "log_likelihood of takes", load, function(m)
    return core.log_likelihood(m, { four_bars, four_bars }, { song = four_bars, history = false })
  end, function(t) return ("%.5f"):format(t[2][1]) end },
  { "play together", function()
    local m = load()
    return { core.generator(m, { seed = 3 }), core.generator(m, { seed = 4 }) }
  end, function(generators)
    return core.play(generators, four_bars, { { fixed = four_bars }, { fills = { true } } },
      print)
  end, function(t) return t[1]:packed_hits() .. t[2]:packed_hits() end },
  { "explain", load, function(m) return core.explain(m, four_bars, 1, 8, true) end,
    function(t) return tostring(#t) end },
  { "touch", function() return core.model { preset = "touch", hidden = 4, layers = 1 } end,
    function(m) return core.humanise(m, four_bars) end, function(s) return s:packed_hits() end },
}

local function fault(name, n, what) print(("%s, allocation %d: %s"):format(name, n, what)) end

-- One process's memory is read at rest.
local function rest()
  collectgarbage()
  collectgarbage()
  return faults.live()
end

local failed_in_all, tried = 0, 0

-- Fails the n-th allocation of a case; false when it has fewer.
local function starve(case, n, on)
  local name, needs, act, result, kept = table.unpack(case)
  local before = rest()
  do
    local given = table.pack(needs())
    local function done() return act(table.unpack(given, 1, given.n)) end
    local former = kept and kept(given[1])
    faults.memory(who, n, on)
    local ok, came = pcall(done)
    local _, failed = faults.stop()
    if failed == 0 then return false end
    failed_in_all = failed_in_all + failed
    local what = "done without"
    if not ok then
      if not tostring(came):find "memory" then fault(name, n, "says " .. tostring(came)) end
      if kept and kept(given[1]) ~= former then fault(name, n, "is half done") end
      what, ok, came = "done again, with memory", pcall(done)
    end
    if ok then ok, came = pcall(result, came) end
    if not ok or came ~= case.result then
      fault(name, n, ("%s: %s"):format(what, ok and "another result" or came))
    end
  end
  local after = rest()
  if after ~= before then fault(name, n, ("leaks %d blocks"):format(after - before)) end
  return true
end

for _, case in ipairs(cases) do
  tried = tried + 1
  case.result = case[4](case[3](case[2]()))
  for _, on in ipairs(who == "lua" and { true } or { false, true }) do
    local n = 1
    while starve(case, n, on) do n = n + 1 end
  end
end
local list = assert(io.popen "ls | grep part")
for line in list:lines() do fault("all", 0, "left " .. line) end
list:close()
print(("%d cases, %d allocations failed"):format(tried, failed_in_all))
