-- What every object has: it says what it is, is closed at the end of its block,
-- and its options are strict.
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local tokeniser = nd.tokeniser()
local note = { tick = 0, duration = 96, pitch = 40, velocity = 90 }
local song = nd.song.new { ppq = 96, notes = { note } }
local seq = assert(tokeniser:encode(song, "one"))
local model = nd.model.new { hidden = 4, layers = 1, encoder = 2 }

local path = temporary.name()
local function corpus()
  local writer <close> = assert(nd.corpus.create(path, tokeniser))
  assert(writer:add(seq) and writer:finish())
  return assert(nd.corpus.open(path))
end

-- A new one of each kind, and what it says.
local make = {
  song = function() return nd.song.new { ppq = 96, notes = { note } }, "1 note" end,
  tokeniser = function() return nd.tokeniser(), "gm9, 4 steps a beat" end,
  sequence = function() return assert(tokeniser:encode(song)), "16 steps, 9 voices, 0 hits" end,
  corpus = function() return corpus(), "1 songs, 16 steps, gm9" end,
  corpus_writer = function() return assert(nd.corpus.create(path, tokeniser)), "writer" end,
  file_writer = function() return assert(core.create_file(path)), "writer" end,
  model = function() return nd.model.new { hidden = 4, layers = 1, encoder = 2 }, "drummer" end,
  batches = function() return corpus():batches { model = model, steps = 16 }, "inputs" end,
  generator = function() return nd.generator(model), "generator of model: drummer" end,
  interrupt = function() return core.catch_interrupt(), "not seen" end,
  lock = function() return core.lock(path .. ".lock"), path .. ".lock" end,
}

describe("every object", function()
  teardown(function() os.remove(path) end)

  it("is here", function()
    for name, metatable in pairs(debug.getregistry()) do
      local kind = type(name) == "string" and name:match "^neuraldrummer%.(.*)"
      -- a line of tokens, what self_similarity() uses, files being read and work that pauses
      -- are internal
      local inner = ({ line = 1, self_similarity = 1, ingest = 1, job = 1 })[kind]
      if kind and not inner and type(metatable) == "table" and metatable.__gc then
        assert.truthy(make[kind], "no " .. kind .. " is made here")
      end
    end
  end)

  for kind, new in pairs(make) do
    it(("says what it is, and is closed by <close>: a %s"):format(kind), function()
      local outside, words
      do
        local object <close>, says = new()
        outside, words = object, says
        assert.truthy(tostring(object):find(words, 1, true), tostring(object))
      end
      assert.matches("closed", tostring(outside))
      outside:close()  -- once more does nothing
      assert.equal("locked", getmetatable(outside))
    end)
  end
end)

describe("an object that another uses", function()
  local function learnt(batches, other)
    local losses = {}
    for i = 1, 4 do
      if not batches:next() then assert(batches:next()) end
      losses[i] = assert(other:train_step(batches))
    end
    return losses
  end

  it("may be closed and collected: the other goes on with it", function()
    local function new() return nd.model.new { hidden = 4, layers = 1, encoder = 2 } end
    -- an object and what it uses, which nothing refers to after this
    local function left(what, use)
      local object = use(what)
      what:close()
      return object
    end
    local wanted = nd.generator(new()):play(seq):packed_hits()
    local generator = left(new(), nd.generator)
    collectgarbage()
    assert.equal("generator of model: drummer", tostring(generator))
    assert.equal(wanted, generator:play(seq):packed_hits())

    local its = new()
    local function of(from) return from:batches { model = its, steps = 16, batch = 2 } end
    wanted = learnt(of(corpus()), its)
    its = new()
    local batches = left(corpus(), of)
    collectgarbage()
    assert.same(wanted, learnt(batches, its))
    batches = left(new(), function(it)
      return corpus():batches { model = it, steps = 16, batch = 2 }
    end)
    collectgarbage()
    assert.is_true(batches:next())
    assert.equal(2, select(2, batches:shape()))
  end)

  it("cannot be taken away: there are no user values, and no upvalues but names", function()
    for kind, new in pairs(make) do
      local object <close> = new()
      assert.same({ n = 1 }, table.pack(debug.getuservalue(object, 1)), kind)
      local metatable = debug.getmetatable(object)
      for _, list in ipairs { metatable, metatable.__index } do
        for name, f in pairs(list) do
          local has, value = nil, nil
          if type(f) == "function" then has, value = debug.getupvalue(f, 1) end
          assert.is_true(has == nil or value == "neuraldrummer." .. kind, name)
        end
      end
    end
  end)
end)

describe("options", function()
  -- A collection at every allocation, and the n-th takes the name of the preset away.
  it("may be taken away by a finaliser while they are read", function()
    local status, out, err = shell.sh(([[MALLOC_PERTURB_=165 LUA_CPATH=%s lua5.4 -e '
      local core = require "neuraldrummer.core"
      local options, left = nil, math.huge
      local again = {}
      function again.__gc()
        left = left - 1
        if left == 0 then options.preset = nil end
        setmetatable({}, again)
      end
      again.__gc()
      collectgarbage("incremental", 1, 400, 100)
      for n = 1, 40 do
        options = { preset = table.concat { "neural", "drummer", "2023" }, hidden = 2, layers = 1 }
        left = n
        local model = core.model(options)
        left = math.huge
        io.write(model:config().preset, " ")
      end']]):format(shell.quote(shell.build .. "/lib/?.so;;")))
    assert.same({ 0, "" }, { status, err })
    assert.matches(" drummer .*neuraldrummer2023 $", out)
  end)

  local function nearest(wrong, right, call)
    local ok, message = pcall(call)
    assert.is_false(ok)
    assert.truthy(message:find(("'%s'; did you mean '%s'?"):format(wrong, right), 1, true), message)
  end

  it("name the nearest, of every call that takes them", function()
    local direction, sections = require "neuraldrummer.direction", require "neuraldrummer.sections"
    local swing = require "neuraldrummer.swing"
    nearest("kits", "kit", function() nd.tokeniser { kits = 1 } end)
    nearest("titel", "name", function() nd.tokeniser { kit = { titel = 1, name = "x" } } end)
    nearest("pitch", "pitches", function()
      nd.tokeniser { kit = { name = "x", { name = "kick", pitches = { 36 }, pitch = 36 } } }
    end)
    nearest("note", "notes", function() nd.song.new { ppq = 1, note = {} } end)
    nearest("tik", "tick", function() nd.song.new { ppq = 1, notes = { { tik = 1 } } } end)
    nearest("bpn", "bpm", function()
      nd.song.new { ppq = 1, notes = {}, tempos = { { tick = 1, bpn = 1 } } }
    end)
    nearest("strikt", "strict", function() nd.song.parse("", { strikt = true }) end)
    nearest("keep_drum", "keep_drums", function() song:with_drums(seq, { keep_drum = true }) end)
    nearest("hiden", "hidden", function() nd.model.new { hiden = 4 } end)
    nearest("haf", "half", function() model:save(path, { haf = true }) end)
    nearest("modl", "model", function() corpus():batches { modl = model } end)
    nearest("rat", "rate", function()
      local batches = corpus():batches { model = model, steps = 16 }
      batches:next()
      model:train_step(batches, { rat = 1 })
    end)
    nearest("z", "x", function() core.batch(model, { z = 1, y = {} }) end)
    nearest("sead", "seed", function() nd.generator(model, { sead = 1 }) end)
    nearest("stile", "style", function() nd.generator(model):play(seq, { stile = 1 }) end)
    local live = nd.generator(nd.model.new { hidden = 4, layers = 1, causal = true })
    nearest("bas", "bass", function() live:step { bas = 1 } end)
    nearest("barr", "bar", function() live:step { barr = true } end)
    nearest("sond", "song", function() core.log_likelihood(model, seq, { sond = 1 }) end)
    nearest("amout", "amount", function() core.humanise(model, seq, { amout = 1 }) end)
    nearest("keap", "keep", function() direction.fixed_hits(seq, { keap = "kick" }) end)
    nearest("varie", "vary", function()
      sections.reuse(seq, seq, {}, { varie = 1 })
    end)
    nearest("swing", "swung", function() swing.apply(seq, 1, "eighths", { swing = true }) end)
    for module, call in pairs {
      generate = function(m) m.drum("x", { sed = 1 }) end,
      sketch = function(m) m.play { sed = 1 } end,
      preprocess = function(m) m.run("x", "y", { min_step = 1 }) end,
      train = function(m) m.run(corpus(), { epoch = 1 }) end,
      evaluate = function(m) m.free(model, corpus(), { song = 1 }) end,
      score = function(m) m.run(model, seq, { other = 1 }) end,
      explain = function(m) m.run(model, seq, { bars = 1 }) end,
      plot = function(m) m.song(seq, { tvs = "x" }) end,
      progress = function(m) m.new(1, "x", { quit = true }) end,
    } do
      assert.error_matches(function() call(require("neuraldrummer." .. module)) end,
        "unknown option '%w+_?%w*'; did you mean '%w+", module)
    end
  end)
end)
