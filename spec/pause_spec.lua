-- Work in slices: what pauses between them, and takes that play side by side.
local core = require "neuraldrummer.core"
local nd = require "neuraldrummer"
local score = require "neuraldrummer.score"
local shell = require "spec.support.shell"
local tiny = require "spec.support.tiny"

local function same(a, b)
  return a:packed_hits() == b:packed_hits() and a:packed_offsets() == b:packed_offsets()
end

local SLICE <const> = 3e7     -- multiply-adds, of lnd_slice
local MOST <const> = 7.5e7    -- with what comes last in it

describe("long work", function()
  local model, touch, seq, long, given, known
  setup(function()
    model = assert(nd.model.load(assert(nd.default_model())))
    touch = assert(nd.model.load(assert(nd.default_model "touch")))
    local song = tiny.song { patterns = { { kick = "x.....x.x.......", snare = "....x.......x...",
      bass = "x..x..x...x.....", lead = "x...x...x...x..." } }, bars = 40 }
    seq = assert(model:tokeniser():encode(song))
    long = assert(model:tokeniser():encode(tiny.song { patterns = { { bass = "x...x...x...x...",
      kick = "x.......x.......", snare = "....x.......x..." } }, bars = 160 }))
    given, known = seq, ("\1\0\0\0\0\0\0\0\0"):rep(#seq)
  end)

  local function generator(seed) return nd.generator(model, { seed = seed }) end

  -- Each kind of work with a function to call between its slices, and its result
  -- as something to compare.
  local works = {
    play = function(pause) return generator(3):play(seq, nil, pause):packed_hits() end,
    ["play under direction"] = function(pause)
      return generator(3):play(seq, { fixed = given, mask = known, density = { 1 } }, pause)
        :packed_hits()
    end,
    ["play after a prime"] = function(pause)
      local primed = nd.generator(model, { seed = 3, prime = given })
      return primed:play(seq, nil, pause):packed_hits()
    end,
    ["play a window net"] = function(pause)
      local net = core.model { preset = "neuraldrummer2023", hidden = 128 }
      local own = assert(net:tokeniser():encode(tiny.song {
        patterns = { { bass = "x...x...x...x..." } }, bars = 60 }))
      return nd.generator(net, { seed = 3 }):play(own, nil, pause):packed_hits()
    end,
    ["play together"] = function(pause)
      local hits = {}
      for k, drums in ipairs(core.play({ generator(3), generator(4) }, seq, nil, pause)) do
        hits[k] = drums:packed_hits()
      end
      return table.concat(hits)
    end,
    touch = function(pause)
      local touched = core.humanise(touch, long, { seed = 2 }, pause)
      return touched:packed_hits() .. touched:packed_offsets()
    end,
    log_likelihood = function(pause)
      local lists = core.log_likelihood(model, seq,
        { song = { seq, seq }, song_step = { 1, 33 } }, pause)
      return table.concat(lists[1], " ") .. table.concat(lists[2], " ")
    end,
    score = function(pause)
      local result = score.run(model, seq, { pause = pause })
      return ("%a %a"):format(result.fit, result.likelihood)
    end,
  }

  for name, work in pairs(works) do
    it("pauses often enough, and comes out the same: " .. name, function()
      local alone, pauses = work(), 0
      local paused = work(function(products)
        pauses = pauses + 1
        assert.is_true(products == nil or (products > 0 and products <= MOST))
      end)
      assert.equal(alone, paused)
      assert.is_true(pauses > 1)
    end)

    it("may yield, be dropped half-way, or end in an error: " .. name, function()
      local alone, yields = work(), 0
      local routine = coroutine.wrap(function() return work(coroutine.yield) end)
      local came
      repeat
        came = routine()
        yields = yields + 1
      until type(came) == "string"
      assert.equal(alone, came)
      assert.is_true(yields > 2)
      local dropped = coroutine.create(function() return work(coroutine.yield) end)
      assert(coroutine.resume(dropped))
      assert.is_true((coroutine.close(dropped)))
      assert.error_matches(function() work(function() error("enough", 0) end) end, "^enough$")
      collectgarbage()
      assert.equal(alone, work())
    end)
  end

  for name, work in pairs(works) do
    it("does not go on in a finaliser, when all is over: " .. name, function()
      local saved
      do
        local routine = coroutine.create(function() return work(coroutine.yield) end)
        assert(coroutine.resume(routine))
        setmetatable({ routine }, { __gc = function(t) saved = t[1] end })
      end
      collectgarbage()
      collectgarbage()
      local ok, why = coroutine.resume(saved)
      assert.is_false(ok)
      assert.matches("the paused call was collected and cannot continue$", why)
    end)
  end

  it("says how much a slice did", function()
    local sum, config = 0, model:config()
    generator(3):play(seq, nil, function(products)
      assert.is_true(products >= SLICE)
      sum = sum + products
    end)
    -- all but the last slice, of at least what the net itself takes
    assert.is_true(sum + MOST > config.macs * #seq)
  end)

  it("leaves a generator as it was until it is done", function()
    local one, other = generator(3), generator(3)
    one:play(seq)
    other:play(seq)
    local dropped = coroutine.create(function()
      one:play(seq, { density = { 3 } }, coroutine.yield)
    end)
    assert(coroutine.resume(dropped))
    assert(coroutine.close(dropped))
    assert.same(other:probabilities(), one:probabilities())
    assert.same({ other:style() }, { one:style() })
    -- and may be played in the pause of another's playing
    local within
    one:play(seq, nil, function() within = within or one:play(seq):packed_hits() end)
    assert.equal(other:play(seq):packed_hits(), within)
  end)

  it("goes on with what is closed and collected in a pause", function()
    local closed
    local function closing(...)
      local objects = { ... }
      return function()
        for i, object in pairs(objects) do
          object:close()
          objects[i], closed = nil, tostring(object)
        end
        collectgarbage()
      end
    end
    local function unharmed(wanted, got)
      assert.matches("closed", closed)
      assert.same(wanted, got)
      closed = nil
    end
    local function played(drums) return { drums:packed_hits(), drums:packed_offsets() } end
    local function copy() return seq:with_hits(seq:packed_hits()) end
    local function another() return assert(nd.model.load(assert(nd.default_model()))) end

    local wanted = played(generator(1):play(seq))
    local one = generator(1)
    unharmed(wanted, played(one:play(seq, nil, closing(one))))
    local song = copy()
    unharmed(wanted, played(generator(1):play(song, nil, closing(song))))
    local its = another()
    one = nd.generator(its)
    unharmed(wanted, played(one:play(seq, nil, closing(its))))
    its = another()
    local takes = { nd.generator(its), nd.generator(its, { seed = 2 }) }
    local drums = core.play(takes, seq, nil, closing(its, table.unpack(takes)))
    unharmed(wanted, played(drums[1]))

    wanted = played(generator(1):play(seq, { fixed = seq, mask = known, style = seq }))
    local kept = copy()
    unharmed(wanted, played(generator(1):play(seq,
      { fixed = kept, mask = known:sub(1, -1), style = kept }, closing(kept))))

    wanted = core.log_likelihood(model, { seq, seq }, { song = { seq, seq }, style = seq })
    song, kept, its = copy(), copy(), another()
    unharmed(wanted, core.log_likelihood(its, { seq, kept }, { song = { seq, song }, style = kept },
      closing(song, kept, its)))

    wanted = played(core.humanise(touch, seq))
    song = copy()
    unharmed(wanted, played(core.humanise(touch, song, nil, closing(song))))
  end)

  it("is refused what is no function", function()
    for _, wrong in ipairs { 1, "x", {}, true } do
      assert.has_error(function() generator(1):play(seq, nil, wrong) end)
      assert.has_error(function() core.play({ generator(1) }, seq, nil, wrong) end)
      assert.has_error(function() core.humanise(touch, seq, nil, wrong) end)
      assert.has_error(function() core.log_likelihood(model, seq, nil, wrong) end)
    end
  end)

  it("goes on with weights that were changed meanwhile", function()
    local own = core.model { hidden = 160, layers = 2, encoder = 32 }
    local name = own:tensors()[1]
    local its = nd.generator(own)
    local pauses = 0
    its:play(long, nil, function()
      pauses = pauses + 1
      own:set_tensor(name, (own:tensor(name)))
    end)
    assert.is_true(pauses > 0)
  end)
end)

describe("takes that play side by side", function()
  local model, seq
  setup(function()
    model = assert(nd.model.load(assert(nd.default_model())))
    seq = assert(model:tokeniser():encode(tiny.song { patterns = {
      { kick = "x.......x.......", bass = "x..x..x...x.....", lead = "x...x...x...x..." },
      { bass = "x.......x.x..x..", lead = "....x.......x..." } }, bars = 12 }))
  end)

  it("are what each generator plays alone, under its own direction or one for all", function()
    local fills, known = {}, ("\1\0\0\0\0\0\0\0\0"):rep(#seq)
    for b = 1, #seq:bars() do fills[b] = b % 4 == 0 end
    local directions = { {}, { density = { 2, 2, 2 } }, { style = false }, { fills = fills },
      { fixed = seq, mask = known }, { style = 3 },
      { fixed = seq, mask = ("\0"):rep(9) .. known:sub(10) }, {} }
    local options = { {}, { seed = 2, prime = seq }, { cutoff = 0.3 },
      { seed = 4, playable = false },
      { seed = 5, temperature = 1.2 }, { seed = 6, start = "basic" },
      { seed = 7, enter = "always" }, { seed = 8, variation = 0 } }
    local together, alone = {}, {}
    for k, o in ipairs(options) do
      together[k], alone[k] = nd.generator(model, o), nd.generator(model, o)
    end
    local played = core.play(together, seq, directions)
    for k, drums in ipairs(played) do
      assert.is_true(same(alone[k]:play(seq, directions[k]), drums), "take " .. k)
      assert.same(alone[k]:probabilities(), together[k]:probabilities())
      assert.same({ alone[k]:style() }, { together[k]:style() })
      assert.is_true(together[k]:probabilities().kick > 0)
    end
    for k, drums in ipairs(core.play(together, seq, { density = { 1 } })) do
      assert.is_true(same(alone[k]:play(seq, { density = { 1 } }), drums), "take " .. k)
    end
  end)

  it("are judged as each alone", function()
    local takes = {}
    for seed = 1, 3 do takes[seed] = nd.generator(model, { seed = seed }):play(seq) end
    for _, history in ipairs { true, false } do
      local options = { song = { seq, seq, seq }, song_step = { 1, 17, 33 }, history = history }
      local judged = core.log_likelihood(model, takes, options)
      for k, drums in ipairs(takes) do
        assert.same(core.log_likelihood(model, drums, options), judged[k])
      end
      assert.not_same(judged[1][1], judged[1][2])
      assert.not_same(judged[1][1], judged[2][1])
    end
    assert.same(core.log_likelihood(model, takes[2]), core.log_likelihood(model, takes)[2])
    local ranks = score.rank(model, takes)
    for k, drums in ipairs(takes) do assert.equal(score.rank(model, { drums })[1], ranks[k]) end
  end)

  it("are of one model, each of a generator of its own", function()
    local one = nd.generator(model)
    local function refused(pattern, ...)
      local ok, message = pcall(core.play, ...)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    refused("generator 2 is the same as generator 1: each take needs its own", { one, one }, seq)
    refused("must be of one model", { one, nd.generator(core.model { hidden = 4 }) }, seq)
    refused("1 to 256 generators are needed", {}, seq)
    refused("there are as many directions as generators", { one }, seq, { {}, {} })
    refused("table expected", { one, nd.generator(model) }, seq, { {}, 1 })
    refused("unknown option 'stile'; did you mean 'style'", { one }, seq, { { stile = 1 } })
  end)
end)

-- Each case in a process of its own: the kernels are chosen once in a process.
describe("weights in half precision", function()
  local HEAD <const> = [[
    local nd, core = require "neuraldrummer", require "neuraldrummer.core"
    local tiny = require "spec.support.tiny"
    local song = tiny.song { patterns = {
      { kick = "x.......x.......", bass = "x..x..x...x.....", lead = "x...x...x...x..." } },
      bars = 8 }
    local function load(name)
      local model = assert(nd.model.load(assert(nd.default_model(name))))
      return model, assert(model:tokeniser():encode(song))
    end
    local function probabilities(gen, seq)
      local values, words = gen:probabilities(), {}
      for _, voice in ipairs(seq:voices()) do words[#words + 1] = ("%a"):format(values[voice]) end
      return table.concat(words, " ") .. "\n"
    end
  ]]
  local function run(kernels, script)
    local status, out, err = shell.sh(
      ("NEURALDRUMMER_KERNELS=%s LUA_PATH=%s LUA_CPATH=%s lua5.4 -e %s"):format(kernels,
      shell.quote(package.path), shell.quote(package.cpath), shell.quote(HEAD .. script)))
    assert.equal(0, status, err)
    return out
  end

  local LIVE <const> = [[
    local model, seq = load "drummer-live"
    local gen = nd.generator(model, { start = "basic" })
    for step = 1, 64 do
      gen:step { bass = step % 4, bar = step % 16 == 1 }
      io.write(probabilities(gen, seq))
    end
  ]]

  it("play the same to the last bit, by each set of kernels", function()
    local script = LIVE .. [[
      for _, name in ipairs { "drummer", "drummer-live" } do
        local model, seq = load(name)
        for seed = 1, 3 do
          local gen = nd.generator(model, { seed = seed, start = "basic" })
          io.write(gen:play(seq):tokens(), "\n", probabilities(gen, seq))
        end
      end
    ]]
    local out = run("avx2", script)
    assert.is_true(#out > 1000)
    assert.equal(out, run("avx512", script))
  end)

  it("play as in single precision, to the last bit", function()
    -- a weight too small to change a sum, but no half: its matrix is held as floats
    local script = [[
      for _, name in ipairs { "drummer", "drummer-live" } do
        local model, seq = load(name)
        for _, tensor in ipairs { "encoder.1.wx", "encoder.1.wh", "lstm.1.wx", "lstm.1.wh",
          "lstm.2.wx", "lstm.2.wh", "out.w" } do
          local values, out = model:tensor(tensor), {}
          for _, last in ipairs { 0, 1e-30 } do
            values[#values] = last
            assert(model:set_tensor(tensor, values) ~= false)
            local gen = nd.generator(model, { seed = 5 })
            out[#out + 1] = gen:play(seq):tokens() .. probabilities(gen, seq)
          end
          print(tensor, out[1] == out[2], #out[1] > 1000)
        end
      end
    ]]
    for _, kernels in ipairs { "avx2", "avx512" } do
      local out = run(kernels, script)
      assert.equal(14, select(2, out:gsub("\ttrue\ttrue\n", "")), out)
    end
  end)

  -- Products of several rows are OpenBLAS's there, which sums in an order of its own.
  it("play as the matrices themselves do, but for rounding", function()
    -- every hit is given, so that no draw can fall otherwise
    local script = [[
      for _, name in ipairs { "drummer", "drummer-live" } do
        local model, seq = load(name)
        local gen = nd.generator(model)
        gen:play(seq, { fixed = seq })
        io.write(probabilities(gen, seq))
      end
    ]]
    local ours, theirs = run("avx2", script):gmatch "%S+", run("blas", script):gmatch "%S+"
    local n = 0
    for probability in ours do
      local want = tonumber(theirs())
      assert.is_true(math.abs(tonumber(probability) - want) <= 1e-4 * want)
      n = n + 1
    end
    assert.equal(18, n)
    assert.is_nil(theirs())
  end)

  it("play live as the matrices themselves do, to the last bit", function()
    -- loops that are compiled for any CPU have no fused multiply-adds
    if core.cpu().loops == "default" then return pending "no fused multiply-adds here" end
    assert.equal(run("avx2", LIVE), run("blas", LIVE))
  end)
end)
