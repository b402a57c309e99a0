-- Styles: gathered from a corpus, chosen for a song, kept in a checkpoint.
local core = require "neuraldrummer.core"
local form = require "spec.support.naive_form"
local formula = require "spec.support.formula"
local safetensors = require "spec.support.safetensors"
local temporary = require "spec.support.temporary"
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

  it("are of songs from all over the corpus where there are more than wanted", function()
    local model <close> = small()
    assert.equal(2, model:learn_styles(corpus, "all", 2))
    assert.same({ "one.mid", "three x.mid" }, names_of(model))
    assert.equal(3, model:learn_styles(corpus, "all", 3))
    assert.same({ "one.mid", "two", "four.mid" }, names_of(model))
    assert.equal(4, model:learn_styles(corpus, "all", 4096))
    assert.error_matches(function() model:learn_styles(corpus, "all", 4097) end, "1..4096")
  end)

  it("have weights that add up to 1, whether the song has drums or not", function()
    local model <close> = small()
    model:learn_styles(corpus, "all")
    for i = 1, 4 do
      local odds = {}
      for k, drums in ipairs { true, false } do  -- they are not looked at
        local sum = 0
        odds[k] = {}
        for _, style in ipairs(model:styles(assert(tok:encode(song(i, drums))))) do
          assert.is_true(style.weight >= 0 and style.weight <= 1)
          sum, odds[k][style.index] = sum + style.weight, style.weight
        end
        assert.is_true(math.abs(sum - 1) < 1e-6)
      end
      assert.same(odds[1], odds[2])
    end
    for _, style in ipairs(model:styles()) do assert.equal(0.25, style.weight) end
  end)

  it("are drawn as often as their odds say, one for a song and seed", function()
    local model <close> = small()
    model:learn_styles(corpus, "all")
    local between = assert(tok:encode(tiny.song { bars = 4, patterns = {
      { bass = "x.x.x.x.x.x.x.x.", lead = "..x...x...x...x." } } }))
    local odds, drawn, seeds = {}, { 0, 0, 0, 0 }, 400
    for _, style in ipairs(model:styles(between)) do odds[style.index] = style.weight end
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
        ("style %d: %d of %d, weight %g"):format(i, drawn[i], seeds, odds[i]))
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
      "option 'style': there is no style 4: the model has 3")
    assert.has_error(function() gen:play(seq, { style = { 1, 2 } }) end,
      "option 'style': 14 numbers are needed, or 230 with a groove")
  end)

  it("that are replaced are none of the model's any more", function()
    local model <close> = small()
    local seq = assert(tok:encode(song(2, false)))
    local played <close> = core.generator(model)
    local chosen <close> = core.generator(model)
    for _, split in ipairs { "valid", "all" } do  -- fewer than there were, and as many
      model:learn_styles(corpus, "all")
      played:play(seq, { style = 4 })
      local _, index = chosen:choose(seq, 4)
      assert.same({ 4, 4 }, { index, (played:style()) })
      model:learn_styles(corpus, split)
      assert.same({}, { played:style() })
      assert.same({}, { chosen:style() })
      played:play(seq, { style = 1 })
      assert.same({ 1, model:styles()[1].name }, { played:style() })
    end
  end)

  it("that are replaced in a pause end a playing", function()
    local model <close> = core.model { hidden = 96, layers = 2, encoder = 8 }
    local seq = assert(tok:encode(song(2, false)))
    -- the first pause is before a style is chosen
    local long = assert(tok:encode(tiny.song { patterns = { grooves[1] }, bars = 60 }))
    for _, direction in ipairs { {}, { style = 4 }, { style = false } } do
      for _, pauses in ipairs { 1, 2 } do
        assert.equal(4, model:learn_styles(corpus, "all"))
        local one <close> = core.generator(model, { seed = 1, prime = long })
        local other <close> = core.generator(model, { seed = 2, prime = long })
        local alone, n = one:play(seq, direction):packed_hits(), 0
        local before = { one:style() }
        assert.error_matches(function()
          core.play({ one, other }, seq, direction, function()
            n = n + 1
            if n == pauses then model:learn_styles(corpus, "valid") end
          end)
        end, "the model's styles changed while it was playing")
        assert.equal(pauses, n)
        -- as it was, and it plays on with those that there are
        model:learn_styles(corpus, "all")
        assert.equal(alone, one:play(seq, direction):packed_hits())
        assert.same(before, { one:style() })
      end
    end
  end)

  it("are kept in a checkpoint, in half precision too", function()
    local file = temporary.name()
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
        local close = math.abs(style.weight - is[i].weight) <= (half and 0.01 or 0)
        assert.is_true(close, ("weight %g, %g"):format(style.weight, is[i].weight))
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
    local file = temporary.name()
    local model <close> = small()
    model:learn_styles(corpus, "all")
    assert(model:save(file))
    local function load(change)
      local whole = safetensors.read(file)
      change(whole.tensors, whole.metadata)
      local path_of = temporary.name()
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
      function(t) t["styles.projection"] = nil end,  -- as one of older models, without a groove
      function(t) rows(t["styles.projection"], -1) end,
      function(t)
        local style, n, traits = t["styles.style"], t["styles.style"].shape[1], 12
        style.shape, style.data = { n, traits }, style.data:sub(1, 4 * n * traits)
      end,
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
      assert.same({ nil, "the styles are incomplete, or their shapes do not match", n = 2 },
        table.pack(load(change)))
    end
    for _, name in ipairs { "styles.style", "styles.song", "styles.projection" } do
      for _, value in ipairs { 0 / 0, math.huge, -math.huge } do
        local loaded, message = load(function(t)
          t[name].data = t[name].data:sub(1, -5) .. ("<f"):pack(value)
        end)
        assert.is_nil(loaded)
        assert.equal(("tensor %s has values that are not finite or out of range"):format(name),
          message)
      end
      local function of(value)
        return load(function(t) t[name].data = ("<f"):pack(value):rep(#t[name].data // 4) end)
      end
      for _, value in ipairs { 65505, -65505, 3e38, -3e38 } do
        assert.same({ nil,
          ("tensor %s has values that are not finite or out of range"):format(name) },
          { of(value) })
      end
      -- what is let in ends in odds, however far it is from any style
      for _, value in ipairs { 65504, -65504 } do
        local far <close> = assert(of(value))
        local sum = 0
        for _, style in ipairs(far:styles(assert(tok:encode(song(2))))) do
          sum = sum + style.weight
        end
        assert.is_true(math.abs(sum - 1) < 1e-6)
      end
    end
    os.remove(file)
  end)

  it("are measured: rates, repeated bars, off-beats, back-beats, rests and fills", function()
    local style = assert(tok:encode(song(1))):style()
    local want = { math.sqrt(2 / 16), math.sqrt(2 / 16), math.sqrt(8 / 16), 0, 0, 0, 0, 0, 0,
      4 / 5, 0, 1, 0, 0 }
    assert.equal(14 + 24 * 9, #style)
    for i, v in ipairs(want) do assert.is_true(math.abs(v - style[i]) < 1e-6, i) end
    for _, v in ipairs(assert(tok:encode(song(1, false))):style()) do assert.equal(0, v) end
    style = assert(tok:encode(song(4))):style()
    assert.equal(1, style[2])
    assert.is_true(math.abs(style[11] - 8 / 17) < 1e-6)   -- of 16 snares and a crash
    assert.is_true(math.abs(style[12] - 2 / 16) < 1e-6)
    -- bars with a fill in the fourth, and two of rest
    local bar = { kick = "x.......x.......", snare = "....x.......x...",
      closed_hat = "x.x.x.x.x.x.x.x.", bass = "x..............." }
    local fill = { kick = "x...............", snare = "....x...xxxxxxxx",
      closed_hat = "x.x.x.x.........", bass = "x..............." }
    local rest = { bass = "x..............." }
    style = assert(tok:encode(tiny.song { bars = 8, patterns = { bar, bar, bar, fill, bar, bar,
      rest, rest } })):style()
    want = { math.sqrt(11 / 96), math.sqrt(19 / 96), math.sqrt(44 / 96), 0, 0, 0, 0, 0, 0,
      3 / 6, 4 / 74, 12 / 19, 2 / 8, 1 / 6 }
    for i, v in ipairs(want) do assert.is_true(math.abs(v - style[i]) < 1e-6, i) end
    for voice, rates in pairs {
      [1] = { 6, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0 },
      [2] = { 0, 0, 0, 0, 6, 0, 0, 0, 1, 1, 1, 1, 6, 1, 1, 1 },
      [3] = { 6, 0, 6, 0, 6, 0, 6, 0, 5, 0, 5, 0, 5, 0, 5, 0 },
    } do
      for place = 0, 23 do
        local groove = style[14 + place * 9 + voice]
        assert.is_true(math.abs(math.sqrt(rates[place % 16 + 1] / 6) - groove) < 1e-6)
      end
    end
  end)

  -- Bars of these lengths in quarters by turns, a kick drawn by a formula at each
  -- sixteenth; the groove against plain counts.
  for name, case in pairs {
    ["3/4"] = { 3 }, ["5/4"] = { 5 }, ["7/4, longer than a groove"] = { 7 },
    ["3/4 and 5/4 by turns"] = { 3, 5 }, ["4/4 in eighths"] = { 4, per_beat = 2 },
    ["3/4 and 2/4 in eighths"] = { 3, 2, per_beat = 2 }, ["4/4 in triplets"] = { 4, per_beat = 6 },
    ["4/4, then 1/4"] = { 4, 1 }, ["1/4"] = { 1 },
  } do
    it("have a groove, of bars of " .. name, function()
      local notes, meters, tick, lots = {}, {}, 0, formula.uniform(name, 2000)
      local per_beat = case.per_beat or 4
      for b = 1, 12 do
        local length = case[(b - 1) % #case + 1]
        meters[b] = { tick = tick, numerator = length, denominator = 4 }
        for at = 0, length * per_beat - 1 do
          if lots[b * 100 + at] > 0 or at == 0 then
            notes[#notes + 1] = { tick = tick + at * 480 // per_beat, duration = 40, pitch = 36,
              velocity = 90, channel = 10 }
          end
        end
        tick = tick + length * 480
      end
      local seq = assert(core.tokeniser { steps_per_beat = per_beat }:encode(
        core.song { ppq = 480, notes = notes, meters = meters }))
      local struck, fell, rows, starts = {}, {}, form.rows(seq), form.starts(seq)
      local longest = math.max(table.unpack(case)) * 4
      for b = 1, #starts - 1 do
        for t = starts[b], starts[b + 1] - 1 do
          local place = (t - starts[b]) * 4 // per_beat % 24
          struck[place] = (struck[place] or 0) + rows[t][1]
          fell[place] = (fell[place] or 0) + 1
        end
      end
      local style = seq:style()
      for place = 0, 23 do
        local from = place < longest and place or place % longest
        local want = fell[from] and math.sqrt(struck[from] / fell[from]) or 0
        assert.is_true(math.abs(want - style[14 + place * 9 + 1]) < 1e-6,
          ("place %d: %g, not %g"):format(place, style[14 + place * 9 + 1], want))
        assert.equal(0, style[14 + place * 9 + 2])
      end
    end)
  end

  it("of another kit are refused", function()
    local six = core.tokeniser { kit = "basic6" }
    local other <close>, other_path = tiny.corpus(six, { { song(1), "train" } })
    local model <close> = small()
    assert.has_error(function() model:learn_styles(other) end,
      "bad argument #1 to 'learn_styles' (the corpus has another kit than the model)")
    os.remove(other_path)
  end)
end)

-- Songs of two kinds: by where the bass strikes. Tempo, register and how full they
-- are differ as much within a kind, and say nothing.
local kinds = {
  { bass = "x...x...x...x...", groove = { kick = "x...x...x...x...",
    open_hat = "..x...x...x...x.", snare = "....x.......x..." } },
  { bass = "x..x..x.x..x..x.", groove = { kick = "x..x....x.......", ride = "x.xxx.xxx.xxx.xx",
    snare = "......x...x....x" } },
}

local function song_of_kind(kind, n, drums)
  local lots, at = formula.uniform(("kind %d, %d"):format(kind, n), 1000), 0
  local function lot()
    at = at + 1
    return (lots[at] + 1) / 2
  end
  local patterns = {}
  local fullness = lot()
  for bar = 1, 4 do
    local pattern, lead = { bass = kinds[kind].bass }, {}
    for place = 1, 16 do lead[place] = lot() < fullness and "x" or "." end
    pattern.lead = table.concat(lead)
    for voice, line in pairs(drums and kinds[kind].groove or {}) do
      pattern[voice] = line:gsub(".", function(c)  -- no two songs have the very same
        return lot() < 0.1 and (c == "x" and "." or "x") or c
      end)
    end
    patterns[bar] = pattern
  end
  return tiny.song { patterns = patterns, bars = 8, root = 28 + math.floor(lot() * 20) }
end

describe("the chooser of styles", function()
  local tok = core.tokeniser()
  local corpus, path, model, file, near, traits_of, styles
  local EACH <const>, V <const>, M <const> = 10, 9, 31
  local TRAITS <const> = 2 * M + 64
  local METRICS <const> = { "intensity", "onsets_low", "onsets_mid", "onsets_high", "bass",
    "loudness", "sounding", "harmony", "tempo", "beat_sin", "beat_cos", "bar_sin", "bar_cos",
    "phrase_sin", "phrase_cos", "downbeat", "on_beat", "meter", "energy", "playing", "melody",
    "endings", "root", "guitars", "strings", "winds", "synths", "contrast", "recurrence", "novelty",
    "progress" }

  local function matrix(t)
    local rows, at = {}, 1
    for r = 1, t.shape[1] do
      rows[r] = {}
      for c = 1, t.shape[2] do
        rows[r][c] = ("<f"):unpack(t.data, at)
        at = at + 4
      end
    end
    return rows
  end

  setup(function()
    local songs = {}
    for n = 1, EACH do
      for kind = 1, 2 do songs[#songs + 1] = { song_of_kind(kind, n, true), "train" } end
    end
    corpus, path = tiny.corpus(tok, songs)
    model = small()
    assert.equal(2 * EACH, model:learn_styles(corpus))
    file = temporary.name()
    assert(model:save(file))
    local tensors = safetensors.read(file).tensors
    assert.same({ TRAITS, 16 }, tensors["styles.projection"].shape)
    near, traits_of = matrix(tensors["styles.projection"]), matrix(tensors["styles.song"])
    styles = matrix(tensors["styles.style"])
  end)
  teardown(function()
    corpus:close()
    os.remove(path)
    os.remove(file)
  end)

  --- Mean and deviation of each metric while the song plays, then what strikes at
  --- each sixteenth of four beats.
  local function traits(seq)
    local list, playing, starts = {}, seq:metric "playing", form.starts(seq)
    for _, name in ipairs(METRICS) do
      local sum, squares, n = 0, 0, 0
      for t, x in ipairs(seq:metric(name)) do
        if playing[t] > 0 then sum, squares, n = sum + x, squares + x * x, n + 1 end
      end
      list[#list + 1] = sum / n
      list[#list + 1] = math.sqrt(math.max(squares / n - (sum / n) ^ 2, 0))
    end
    for _, name in ipairs { "bass", "onsets_low", "onsets_mid", "onsets_high" } do
      local metric = seq:metric(name)
      for place = 0, 15 do
        local struck, n = 0, 0
        for b = 1, #starts - 1 do
          for t = starts[b], starts[b + 1] - 1 do
            if playing[t] > 0 and (t - starts[b]) % 16 == place then
              struck, n = struck + (metric[t] > 0 and 1 or 0), n + 1
            end
          end
        end
        list[#list + 1] = n > 0 and math.sqrt(struck / n) or 0
      end
    end
    return list
  end

  local function distance(a, b, by)
    local sum = 0
    for i = 1, 16 do
      local d = 0
      for k = 1, TRAITS do d = d + (a[k] - b[k]) * by[k][i] end
      sum = sum + d * d
    end
    return sum
  end

  local function agree(a, b)
    local both, all = 0, 0
    for i = V + 5 + 1, V + 5 + 16 * V do
      both, all = both + math.min(a[i], b[i]) ^ 2, all + a[i] ^ 2 + b[i] ^ 2
    end
    return 2 * both / all
  end

  -- of the groove, in four beats
  local function hits_of(style)
    local sum = 0
    for i = V + 5 + 1, V + 5 + 16 * V do sum = sum + style[i] ^ 2 end
    return sum
  end

  -- exp of each, over their sum
  local function shares(list)
    local most, sum, out = math.max(table.unpack(list)), 0, {}
    for i, x in ipairs(list) do out[i] = math.exp(x - most) sum = sum + out[i] end
    for i, x in ipairs(out) do out[i] = x / sum end
    return out
  end

  it("keeps of each song what it is like", function()
    for i = 1, #corpus do
      local seq = assert(corpus:song(i))
      for k, x in ipairs(traits(seq)) do
        assert.is_true(math.abs(x - traits_of[i][k]) < 1e-4 * math.max(1, math.abs(x)), k)
      end
      for k, x in ipairs(seq:style()) do assert.is_true(math.abs(x - styles[i][k]) < 1e-6, k) end
    end
  end)

  it("lets songs that are near vote, and takes what agrees with the likely", function()
    for kind = 1, 2 do
      local seq = assert(tok:encode(song_of_kind(kind, 100)))
      local own, away, risks = traits(seq), {}, {}
      for i, other in ipairs(traits_of) do away[i] = -distance(own, other, near) end
      local votes = shares(away)
      local most, usual = math.max(table.unpack(votes)), 0
      for i, style in ipairs(styles) do usual = usual + votes[i] * hits_of(style) end
      for i = 1, #styles do
        risks[i] = 0
        for j, vote in ipairs(votes) do
          if vote >= 0.02 * most then
            risks[i] = risks[i] + 25 * vote * (i == j and 1 or agree(styles[i], styles[j]))
          end
        end
        risks[i] = risks[i] - 10 * math.log((hits_of(styles[i]) + 0.1) / (usual + 0.1)) ^ 2
      end
      local want, sum = shares(risks), 0
      for _, style in ipairs(model:styles(seq)) do
        assert.is_true(math.abs(want[style.index] - style.weight) < 1e-3,
          ("style %d: %g, not %g"):format(style.index, style.weight, want[style.index]))
        sum = sum + style.weight
      end
      assert.is_true(math.abs(sum - 1) < 1e-6)
    end
  end)

  it("gives songs it never heard the groove of their kind", function()
    for n = 200, 205 do
      for kind = 1, 2 do
        local sum = 0
        for _, style in ipairs(model:styles(assert(tok:encode(song_of_kind(kind, n))))) do
          if (style.index - 1) % 2 + 1 == kind then sum = sum + style.weight end
        end
        assert.is_true(sum > 0.98, ("kind %d, song %d: %g"):format(kind, n, sum))
      end
    end
  end)

  it("does so from a file of half precision", function()
    local other = temporary.name()
    assert(model:save(other, { half = true }))
    local again <close> = assert(core.load_model(other))
    os.remove(other)
    for kind = 1, 2 do
      local seq = assert(tok:encode(song_of_kind(kind, 400)))
      local sum = 0
      for _, style in ipairs(again:styles(seq)) do
        if (style.index - 1) % 2 + 1 == kind then sum = sum + style.weight end
      end
      assert.is_true(sum > 0.98, ("kind %d: %g"):format(kind, sum))
    end
  end)

  it("has learnt what makes songs near whose grooves agree", function()
    -- the mean over songs of ln sum p(other) exp(8 agreement): what is to be large
    local function worth(by)
      local sum = 0
      for i = 1, #styles do
        local away, others = {}, {}
        for j = 1, #styles do
          if i ~= j and agree(styles[i], styles[j]) <= 0.97 then
            away[#away + 1] = -distance(traits_of[i], traits_of[j], by)
            others[#others + 1] = j
          end
        end
        local found = 0
        for k, p in ipairs(shares(away)) do
          found = found + p * math.exp(8 * agree(styles[i], styles[others[k]]))
        end
        sum = sum + math.log(found) / #styles
      end
      return sum
    end
    local none, all = {}, {}
    for k = 1, TRAITS do
      none[k], all[k] = {}, {}
      for i = 1, 16 do none[k][i], all[k][i] = 0, k == i and 1 or 0 end
    end
    local learnt = worth(near)
    assert.is_true(learnt > worth(none) + 0.4 and learnt > worth(all) + 0.1,
      ("%g learnt, %g by none, %g by some"):format(learnt, worth(none), worth(all)))
    -- and is near the best there is: all votes for one's own kind
    local own = 0
    for i = 1, #styles do
      local sum, n = 0, 0
      for j = 1, #styles do
        if i ~= j and (i - j) % 2 == 0 then
          sum, n = sum + math.exp(8 * agree(styles[i], styles[j])), n + 1
        end
      end
      own = own + math.log(sum / n) / #styles
    end
    assert.is_true(learnt > own - 0.05, ("%g learnt, %g by kind"):format(learnt, own))
  end)

  it("learns the same from the same songs, and nothing from a few", function()
    local again <close> = small(7)
    again:learn_styles(corpus)
    local other = temporary.name()
    assert(again:save(other))
    assert.equal(safetensors.read(file).tensors["styles.projection"].data,
      safetensors.read(other).tensors["styles.projection"].data)
    local songs = {}
    for n = 1, 7 do songs[n] = { song_of_kind(n % 2 + 1, n, true), "train" } end
    local few <close>, few_path = tiny.corpus(tok, songs)
    assert.equal(7, again:learn_styles(few))
    assert(again:save(other))
    local tensor = safetensors.read(other).tensors["styles.projection"]
    assert.equal(("\0"):rep(#tensor.data), tensor.data)
    -- all are as near then: it matters not which song asks
    local odds = {}
    for kind = 1, 2 do
      odds[kind] = {}
      for _, style in ipairs(again:styles(assert(tok:encode(song_of_kind(kind, 300))))) do
        odds[kind][style.index] = style.weight
      end
    end
    assert.same(odds[1], odds[2])
    os.remove(other)
    os.remove(few_path)
  end)
end)

describe("the style of kept bars", function()
  local tok = core.tokeniser()
  local model, seq, V
  setup(function()
    model = small()
    local values, shape = model:tensor "out.skip"
    for i = 1, #values do values[i] = math.sin(i) * (i > (shape[1] - 25) * shape[2] and 2 or 0) end
    model:set_tensor("out.skip", values)
    local patterns = {}
    for b = 1, 12 do
      patterns[b] = { bass = "x...x...x...x..." }
      for voice, line in pairs(grooves[b <= 6 and 1 + b % 2 or 4]) do patterns[b][voice] = line end
    end
    seq = assert(tok:encode(tiny.song { patterns = patterns, bars = 12 }))
    V = #seq:voices()
  end)

  local function play(direction)
    local gen <close> = core.generator(model, { cutoff = 0.5, playable = false, enter = "always" })
    local hits = gen:play(seq, direction):packed_hits()
    return hits, gen:style()
  end

  -- bars 1-6 are kept; `cells` more of bar 7
  local function known(bars, cells)
    local n = bars * 16 * V + (cells or 0)
    return ("\1"):rep(n) .. ("\0"):rep(#seq * V - n)
  end

  it("is theirs alone", function()
    local six = assert(tok:encode(tiny.song { bars = 6, patterns = (function()
      local patterns = {}
      for b = 1, 6 do
        patterns[b] = { bass = "x...x...x...x..." }
        for voice, line in pairs(grooves[1 + b % 2]) do patterns[b][voice] = line end
      end
      return patterns
    end)() }))
    local kept = { fixed = seq, mask = known(6) }
    local own, index = play(kept)
    assert.is_nil(index)
    kept.style = six
    assert.equal(play(kept), own)
    for _, style in ipairs { seq, false } do
      kept.style = style
      assert.not_equal(play(kept), own)
    end
    -- of the others nothing is heard
    for _, byte in ipairs { "\0", "\99" } do
      local hits = seq:packed_hits():sub(1, 96 * V) .. byte:rep((#seq - 96) * V)
      assert.equal(own, (play { fixed = seq:with_hits(hits), mask = known(6) }))
    end
  end)

  it("is of whole bars, two at least", function()
    assert.equal(play { fixed = seq, mask = known(1, 15 * V), style = false },
      (play { fixed = seq, mask = known(1, 15 * V) }))
    assert.not_equal(play { fixed = seq, mask = known(2), style = false },
      (play { fixed = seq, mask = known(2) }))
    -- a voice in all bars is none
    local kick = ("\1" .. ("\0"):rep(V - 1)):rep(#seq)
    assert.equal(play { fixed = seq, mask = kick, style = false },
      (play { fixed = seq, mask = kick }))
  end)
end)
