-- Styles: gathered from a corpus, chosen for a song, kept in a checkpoint.
local core = require "neuraldrummer.core"
local safetensors = require "spec.support.safetensors"
local tiny = require "spec.support.tiny"

local grooves = {
  { kick = "x.......x.......", snare = "....x.......x...", closed_hat = "x.x.x.x.x.x.x.x." },
  { kick = "x...x...x...x...", snare = "....x.......x...", open_hat = "..x...x...x...x." },
  { kick = "x..x......x.....", ride = "x...x.x.x...x.x." },
  { crash = "x...............", snare = "xxxxxxxxxxxxxxxx" },
}
local lines = {
  { bass = "x.x.x.x.x.x.x.x." },
  { bass = "x...x...x...x...", lead = "xxxxxxxxxxxxxxxx" },
  { lead = "x..x..x.....x..." },
  { bass = "xxxxxxxxxxxxxxxx", lead = "..x...x...x...x." },
}

--- The n-th song: its own line and groove.
local function song(n, drums)
  local bar = {}
  for voice, line in pairs(lines[n]) do bar[voice] = line end
  if drums ~= false then
    for voice, line in pairs(grooves[n]) do bar[voice] = line end
  end
  return tiny.song { patterns = { bar }, bars = 4 + n, root = 30 + 4 * n }
end

local function corpus_of(tok)
  local names = { "rock/one.mid", "two", "a/b/three\tx.mid", "four.mid" }
  local list = {}
  for i, name in ipairs(names) do
    list[i] = { assert(tok:encode(song(i), name)), i == 4 and "valid" or "train" }
  end
  list[5] = { assert(tok:encode(song(1, false), "no drums")), "train" }
  return tiny.corpus(tok, list)
end

local function small(seed)
  return core.model { hidden = 4, layers = 1, encoder = 3, seed = seed }
end

describe("styles", function()
  local tok = core.tokeniser()
  local corpus, path
  lazy_setup(function() corpus, path = corpus_of(tok) end)
  lazy_teardown(function()
    corpus:close()
    os.remove(path)
  end)

  local function names_of(model)
    local names = {}
    for i, style in ipairs(model:styles()) do
      assert.equal(i, style.index)
      names[i] = style.name
    end
    return names
  end

  it("are those of the songs with drums of a split, by their names", function()
    local model <close> = small()
    assert.same({}, model:styles())
    assert.equal(0, model:config().styles)
    assert.equal(3, model:learn_styles(corpus))
    assert.same({ "one.mid", "two", "three x.mid" }, names_of(model))
    assert.equal(3, model:config().styles)
    assert.equal(1, model:learn_styles(corpus, "valid"))
    assert.same({ "four.mid" }, names_of(model))
    assert.equal(4, model:learn_styles(corpus, "all"))
    assert.same({ "one.mid", "two", "three x.mid", "four.mid" }, names_of(model))
  end)

  it("have odds that add up to 1, a song's own the highest", function()
    local model <close> = small()
    model:learn_styles(corpus, "all")
    for i = 1, 4 do
      for _, drums in ipairs { true, false } do  -- the drums are not looked at
        local sum, odds = 0, {}
        for _, style in ipairs(model:styles(assert(tok:encode(song(i, drums))))) do
          assert.is_true(style.odds >= 0 and style.odds <= 1)
          sum, odds[style.index] = sum + style.odds, style.odds
        end
        assert.is_true(math.abs(sum - 1) < 1e-6)
        for other = 1, 4 do assert.is_true(other == i or odds[other] < odds[i]) end
      end
    end
    for _, style in ipairs(model:styles()) do assert.equal(0.25, style.odds) end
  end)

  it("are drawn as often as their odds say, one for a song and seed", function()
    local model <close> = small()
    model:learn_styles(corpus, "all")
    local between = assert(tok:encode(tiny.song { bars = 4, patterns = {
      { bass = "x.x.x.x.x.x.x.x.", lead = "..x...x...x...x." } } }))
    local odds, drawn, seeds = {}, { 0, 0, 0, 0 }, 400
    for _, style in ipairs(model:styles(between)) do odds[style.index] = style.odds end
    for seed = 1, seeds do
      local gen <close> = core.generator(model, { seed = seed })
      local numbers, index, name = gen:choose(between)
      assert.same({ numbers, index, name }, { gen:choose(between) })
      assert.equal(model:styles()[index].name, name)
      drawn[index] = drawn[index] + 1
    end
    for i = 1, 4 do
      local wide = 4 * math.sqrt(odds[i] * (1 - odds[i]) / seeds) + 1e-3
      assert.is_true(math.abs(drawn[i] / seeds - odds[i]) < wide,
        ("style %d: %d of %d, odds %g"):format(i, drawn[i], seeds, odds[i]))
    end
  end)

  it("are what a song is played in, and can be asked for", function()
    local model <close> = small()
    local seq = assert(tok:encode(song(2, false)))
    local gen <close> = core.generator(model)
    gen:play(seq)
    assert.is_nil(gen:style())
    model:learn_styles(corpus)
    gen:play(seq)
    local _, chosen, chosen_name = gen:choose(seq)
    gen:play(seq)
    assert.same({ chosen, chosen_name }, { gen:style() })
    for i, name in ipairs { "one.mid", "two", "three x.mid" } do
      gen:play(seq, { style = i })
      assert.same({ i, name }, { gen:style() })
      -- its numbers are those of the song's drums
      local own = corpus:song(i):style()
      for k, v in ipairs(gen:choose(seq, i)) do assert.is_true(math.abs(own[k] - v) < 1e-6) end
      gen:play(seq, { style = corpus:song(i) })
      assert.is_nil(gen:style())
    end
    gen:play(seq, { style = 2 })
    gen:play(seq, { style = false })
    assert.is_nil(gen:style())
    gen:play(seq, { style = 2 })
    gen:reset()
    assert.is_nil(gen:style())
    assert.has_error(function() gen:play(seq, { style = 4 }) end,
      "option 'style': the model has 3 styles")
    assert.has_error(function() gen:play(seq, { style = { 1, 2 } }) end,
      "option 'style': 12 numbers are needed")
  end)

  it("are kept in a checkpoint, in half precision too", function()
    local file = os.tmpname()
    local model <close> = small()
    model:learn_styles(corpus, "all")
    local seq = assert(tok:encode(song(3, false)))
    for _, half in ipairs { false, true } do
      assert(model:save(file, { half = half }))
      local again <close> = assert(core.load_model(file))
      local was, is = model:styles(seq), again:styles(seq)
      assert.equal(4, #is)
      for i, style in ipairs(was) do
        assert.equal(style.name, is[i].name)
        assert.equal(style.index, is[i].index)
        local close = math.abs(style.odds - is[i].odds) <= (half and 0.01 or 0)
        assert.is_true(close, ("odds %g, %g"):format(style.odds, is[i].odds))
      end
      local a <close> = core.generator(model)
      local b <close> = core.generator(again)
      local before, after = a:choose(seq, 4), b:choose(seq, 4)
      for k, v in ipairs(before) do
        assert.is_true(math.abs(v - after[k]) <= (half and 1e-3 or 0))
      end
    end
    os.remove(file)
  end)

  it("that are broken in a checkpoint are refused", function()
    local file = os.tmpname()
    local model <close> = small()
    model:learn_styles(corpus, "all")
    assert(model:save(file))
    local function load(change)
      local whole = safetensors.read(file)
      change(whole.tensors, whole.metadata)
      local path_of = os.tmpname()
      safetensors.write(path_of, whole)
      local loaded, message = core.load_model(path_of)
      os.remove(path_of)
      if loaded then return loaded end
      return nil, message:sub(#path_of + 3)
    end
    local sound <close> = assert(load(function() end))
    assert.equal(4, #sound:styles())
    local function rows(t, n)
      t.shape[1] = t.shape[1] + n
      t.data = t.data:sub(1, #t.data // (t.shape[1] - n) * t.shape[1])
    end
    for _, change in ipairs {
      function(t) t["styles.style"] = nil end,
      function(t) t["styles.song"] = nil end,
      function(_, m) m.styles = nil end,
      function(_, m) m.styles = "" end,
      function(_, m) m.styles = m.styles .. "one more\n" end,
      function(_, m) m.styles = m.styles:gsub("\n$", "") end,
      function(t) rows(t["styles.song"], -1) end,
      function(t) rows(t["styles.style"], -1) end,
      function(t, m)
        for _, name in ipairs { "styles.style", "styles.song" } do
          t[name].shape[1], t[name].data = 0, ""
        end
        m.styles = ""
      end,
      function(t)
        local style = t["styles.style"]
        style.shape = { style.shape[1] * 2, style.shape[2] // 2 }
      end,
      function(t) t["styles.style"].shape = { #t["styles.style"].data // 4 } end,
      function(t) t["styles.song"].shape = { #t["styles.song"].data // 4 } end,
    } do
      assert.same({ nil, "its styles are broken", n = 2 }, table.pack(load(change)))
    end
    for _, name in ipairs { "styles.style", "styles.song" } do
      for _, value in ipairs { 0 / 0, math.huge, -math.huge } do
        local loaded, message = load(function(t)
          t[name].data = t[name].data:sub(1, -5) .. ("<f"):pack(value)
        end)
        assert.is_nil(loaded)
        assert.equal("its styles are not finite", message)
      end
    end
    os.remove(file)
  end)

  it("are measured: rates, repeated bars, off-beats and back-beats", function()
    local style = assert(tok:encode(song(1))):style()
    local want = { math.sqrt(2 / 16), math.sqrt(2 / 16), math.sqrt(8 / 16), 0, 0, 0, 0, 0, 0,
      4 / 5, 0, 1 }
    assert.equal(#want, #style)
    for i, v in ipairs(want) do assert.is_true(math.abs(v - style[i]) < 1e-6, i) end
    for _, v in ipairs(assert(tok:encode(song(1, false))):style()) do assert.equal(0, v) end
    style = assert(tok:encode(song(4))):style()
    assert.equal(1, style[2])
    assert.is_true(math.abs(style[11] - 8 / 17) < 1e-6)   -- of 16 snares and a crash
    assert.is_true(math.abs(style[12] - 2 / 16) < 1e-6)
  end)

  it("of another kit are refused", function()
    local six = core.tokeniser { kit = "basic6" }
    local other <close>, other_path = tiny.corpus(six, { { song(1), "train" } })
    local model <close> = small()
    assert.has_error(function() model:learn_styles(other) end,
      "bad argument #1 to 'learn_styles' (the corpus has another kit than the model)")
    os.remove(other_path)
  end)
end)
