local core = require "neuraldrummer.core"
local direction = require "neuraldrummer.direction"
local json = require "dkjson"
local sections = require "neuraldrummer.sections"
local shell = require "spec.support.shell"
local styles = require "neuraldrummer.styles"
local tiny = require "spec.support.tiny"

local quiet = { bass = "x.......x.......", kick = "x.......x.......",
  closed_hat = "x...x...x...x..." }
local busy = { bass = "x.x.x.x.x.x.x.x.", lead = "xxxxxxxxxxxxxxxx", kick = "x...x...x...x...",
  snare = "....x.......x...", ride = "x.x.x.x.x.x.x.x." }

-- A sections of eight bars, B of eight, A again, B again.
local function abab()
  local patterns = {}
  for bar = 1, 32 do patterns[bar] = (bar - 1) // 8 % 2 == 0 and quiet or busy end
  return tiny.song { patterns = patterns, bars = 32 }
end

local function listed(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  table.sort(list)
  return table.concat(list, " ")
end

local function misuse(pattern, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.matches(pattern, message)
end

describe("a user's words", function()
  local tok, seq
  setup(function()
    tok = core.tokeniser()
    seq = assert(tok:encode(abab()))
  end)

  it("name bars", function()
    assert.equal("9 10 11 12 17", listed(direction.bars("bars", "9-12, 17", 20)))
    assert.equal("18 19 20", listed(direction.bars("bars", "18-", 20)))
    assert.equal("3", listed(direction.bars("bars", 3, 20)))
    assert.equal("3 5", listed(direction.bars("bars", { 5, 3 }, 20)))
    misuse("^option 'bars': there is no bar 21: the last is 20$", direction.bars, "bars", "19-21",
      20)
    misuse("^option 'bars': '4%-2' ends before it begins$", direction.bars, "bars", "4-2", 20)
    misuse("^option 'bars': an empty item in '1,,2'$", direction.bars, "bars", "1,,2", 20)
    for _, text in ipairs { "0", "-3", "x", "1.5", "1-x", "" } do
      misuse("^option 'bars': ", direction.bars, "bars", text, 20)
    end
  end)

  it("name voices", function()
    local voices = seq:voices()
    assert.equal("1 2", listed(direction.voices("keep", "kick, snare", voices)))
    assert.equal("3 4 5 6 7 8 9", listed(direction.voices("keep", "hats,toms,cymbals", voices)))
    misuse("^option 'keep': the kit has no voice 'cowbell'; choose from kick, snare, ",
      direction.voices, "keep", "cowbell", voices)
    misuse("no voice 'toms'", direction.voices, "keep", "toms", { "kick" })
  end)

  it("ask for energy", function()
    assert.same({ 0.5, 0.5, 0.5 }, direction.energy(0.5, 3))
    assert.same({ -1, -1, false, 2, false }, direction.energy("1-2:-1,4:2", 5))
    assert.same({ -1, 0, 1, 0 }, direction.energy("1-3:-1>1,4-:0", 4))
    assert.same({ 1, false }, direction.energy({ 1 }, 2))
    for _, text in ipairs { "4", "x", "1:", "1:nan", "1:1>9", "9:1", "1-2" } do
      misuse("^option 'energy': ", direction.energy, text, 5)
    end
  end)

  it("ask for fills", function()
    local function at(value)
      local set = {}
      local list = direction.fills(value, seq)
      for bar = 1, 32 do
        assert.is_boolean(list[bar])
        if list[bar] then set[bar] = true end
      end
      return listed(set)
    end
    assert.equal("", at "none")
    assert.equal("8 16 24 32", at "every 8")
    assert.equal("8 16 24 32", at(8))
    assert.equal("9 17 18", at "9,17-18")
    assert.equal("8 16 24", at "sections")
    assert.same({ nil, true }, direction.fills({ nil, true }, seq))
    for _, value in ipairs { "never", "every 0", "9,33", "0", { 1 } } do
      misuse("^option 'fills': ", direction.fills, value, seq)
    end
    -- bars are counted from after a pickup
    local spec = { ppq = 480, meters = { { tick = 0, numerator = 1, denominator = 4 },
      { tick = 480, numerator = 4, denominator = 4 } }, notes = {
      { tick = 480 + 1920 * 7, duration = 480, pitch = 40, velocity = 90 } } }
    local fills = direction.fills(4, assert(tok:encode(core.song(spec))))
    assert.same({ false, false, false, false, true, false, false, false, true }, fills)
  end)
end)

describe("sections", function()
  it("are where a song changes, and known again", function()
    local seq = assert(core.tokeniser():encode(abab()))
    assert.same({ { first = 1, last = 8, kind = 1 }, { first = 9, last = 16, kind = 2 },
      { first = 17, last = 24, kind = 1, of = 1 }, { first = 25, last = 32, kind = 2, of = 2 } },
      sections.find(seq))
    local alike = seq:self_similarity()
    assert.near(1, alike(1, 20), 1e-9)
    assert.is_true(alike(1, 9) < 0)
  end)

  it("are one where nothing changes, and of any length and meter", function()
    local tok = core.tokeniser()
    local seq = assert(tok:encode(tiny.song { patterns = { quiet }, bars = 20 }))
    assert.same({ { first = 1, last = 20, kind = 1 } }, sections.find(seq))
    for _, bars in ipairs { 1, 2, 3 } do
      seq = assert(tok:encode(tiny.song { patterns = { quiet, busy }, bars = bars }))
      local found = sections.find(seq)
      assert.equal(bars, found[#found].last)
    end
    for _, name in ipairs { "journey", "five", "waltz" } do
      seq = assert(tok:encode(assert(require "neuraldrummer".song.parse(
        assert(dofile "examples/songs/all.lua".load(name):bytes())))))
      local next_bar = 1
      for _, section in ipairs(sections.find(seq)) do
        assert.equal(next_bar, section.first)
        assert.is_true(section.last >= section.first)
        next_bar = section.last + 1
      end
      assert.equal(#seq:bars() + 1, next_bar)
    end
  end)
end)

describe("what is kept", function()
  local seq, V
  setup(function()
    seq = assert(core.tokeniser():encode(abab()))
    V = #seq:voices()
  end)

  -- The cells "bar.voice" (voice by its index) are kept, or not; a bar's steps
  -- are all alike.
  local function keeps(known, kept, open)
    for cells, byte in pairs { [kept] = 1, [open] = 0 } do
      for bar, voice in cells:gmatch "(%d+)%.(%d+)" do
        local at = (bar - 1) * 16 * V + tonumber(voice)
        for step = 0, 15 do assert.equal(byte, known:byte(at + step * V)) end
      end
    end
  end

  it("is a voice everywhere, all other bars, or those voices in these bars", function()
    local given, known = direction.fixed_hits(seq, { keep = "kick" })
    assert.equal(seq, given)
    assert.equal(#seq * V, #known)
    keeps(known, "1.1 32.1", "9.2")
    keeps(select(2, direction.fixed_hits(seq, { bars = "9-12" })), "8.2 13.3", "9.1 12.9")
    keeps(select(2, direction.fixed_hits(seq, { keep = "kick", bars = "9-12" })),
      "8.2 9.1 13.3", "9.2")
    keeps(select(2, direction.fixed_hits(seq, { extend = 4 })), "1.2 4.1", "5.1")
    assert.is_nil((direction.fixed_hits(seq, {})))
  end)

  it("may be a loop's", function()
    local loop = assert(core.tokeniser():encode(tiny.song { patterns = { { snare =
      "x.x.x.x.x.x.x.x." }, { snare = "xxxxxxxxxxxxxxxx" } }, bars = 2 }))
    local given, known = direction.fixed_hits(seq, { loop = loop })
    assert.equal(loop:packed_hits(), given:packed_hits():sub(1, 32 * V))
    keeps(known, "1.2 2.1", "3.1")
    given, known = direction.fixed_hits(seq, { loop = loop, extend = 1 })
    assert.equal(loop:packed_hits():sub(1, 16 * V), given:packed_hits():sub(1, 16 * V))
    keeps(known, "1.9", "2.1")
    misuse("^option 'extend': the loop has 2 bars, not 3$", direction.fixed_hits, seq,
      { loop = loop, extend = 3 })
    misuse("^option 'loop': ", direction.fixed_hits, seq, { loop = loop, keep = "kick" })
    local waltz = assert(core.tokeniser():encode(tiny.song { patterns = { { kick =
      "x...........", bass = "x..........." } }, bars = 2, numerator = 3 }))
    misuse("^option 'loop': its bars do not match those of the song: bar 1 has 16 steps, but bar ",
      direction.fixed_hits, seq, { loop = waltz })
  end)

  it("is something", function()
    local bare = seq:with_hits(("\0"):rep(#seq * V))
    misuse("^option 'bars': the song has no drums of its own; drum it first",
      direction.fixed_hits, bare, { bars = "1" })
    misuse("^option 'extend': the song has 32 bars, not 40$", direction.fixed_hits, seq,
      { extend = 40 })
    misuse("^option 'extend': ", direction.fixed_hits, seq, { extend = 4, bars = "1" })
  end)
end)

describe("a style", function()
  local folder, model, seq, generator
  setup(function()
    folder = shell.folder()
    model = core.model { hidden = 8, layers = 1, encoder = 4 }
    local corpus, path = tiny.corpus(model:tokeniser(), {
      { tiny.song { patterns = { quiet }, bars = 4 }, "train" },
      { tiny.song { patterns = { busy }, bars = 4 }, "train" },
    })
    assert.equal(2, model:learn_styles(corpus))
    os.remove(path)
    seq = assert(model:tokeniser():encode(abab(), "abab"))
    generator = core.generator(model, { seed = 1 })
  end)
  teardown(function() shell.remove(folder) end)

  local function style(value) return styles.resolve(value, seq, model, generator) end

  it("has a number or a name", function()
    assert.equal(2, style "2")
    assert.equal(2, style "song 2")
    assert.equal(1, style "G 1")
    assert.is_false(style(false))
    misuse("2 styles have 'song' in their names", style, "song")
    misuse("no style is named 'swing'", style, "swing")
  end)

  it("may be changed", function()
    local base = generator:choose(seq, 2)
    local numbers = style "2, ride=0.6,toms=0.3,back_beats=1"
    assert.near(0.6, numbers[9], 1e-9)
    assert.near(0.3, (numbers[5] ^ 2 + numbers[6] ^ 2 + numbers[7] ^ 2) ^ 0.5, 1e-9)
    assert.equal(1, numbers[12])
    assert.equal(base[1], numbers[1])
    -- members of a group keep their shares
    numbers = style "1,hats=1"
    assert.equal(1, numbers[3])
    assert.equal(0, numbers[4])
    numbers = style "ride=0.1"
    assert.near(0.1, numbers[9], 1e-9)
    -- the groove follows: by as much at each place; where it has none, on eighths
    local V, names = 9, 9 + 5
    assert.equal(names + 24 * V, #base)
    numbers = style "2,ride=0.5,snare=0,crash=0.3"
    assert.near(0.5 ^ 0.5, base[9], 1e-6)
    assert.equal(0, base[8])
    for place = 0, 23 do
      local at = names + place * V
      assert.near(place % 2 == 0 and 0.5 ^ 0.5 or 0, numbers[at + 9], 1e-6)
      assert.equal(0, numbers[at + 2])
      assert.near(place % 2 == 0 and 0.3 or 0, numbers[at + 8], 1e-6)
      assert.equal(base[at + 1], numbers[at + 1])
    end
    misuse("^option 'style': there is no 'rode'; choose from kick", style, "rode=1")
    misuse("^option 'style': 'ride=2': give a number from 0 to 1$", style, "ride=2")
    misuse("^option 'style': 'ride=': ", style, "1,ride=")
  end)

  it("may be kept in a file", function()
    local path = folder .. "/mine.style"
    local text = styles.encode("mine", seq)
    shell.write(path, text)
    local numbers = style(path)
    for i, x in ipairs(seq:style()) do assert.near(x, numbers[i], 1e-6) end
    assert.is_table(generator:play(seq, { style = numbers }):hits(1))
    assert.near(0.9, style(path .. ",ride=0.9")[9], 1e-9)

    -- the groove is that of the drums, and may be missing
    local kept = json.decode(text)
    assert.equal(24, #kept.groove)
    for place = 1, 24 do
      -- half of the bars have kicks on 1 and 3, half on every beat
      assert.near(place % 8 == 1 and 1 or place % 8 == 5 and 0.5 ^ 0.5 or 0,
        kept.groove[place][1], 1e-6)
      for v, x in ipairs(kept.groove[place]) do
        assert.near(seq:style()[14 + (place - 1) * 9 + v], x, 1e-6)
      end
    end
    kept.groove = nil
    shell.write(folder .. "/plain.style", json.encode(kept))
    local plain = style(folder .. "/plain.style")
    assert.equal(14, #plain)
    for i, x in ipairs(plain) do assert.equal(numbers[i], x) end
    local chosen = generator:choose(seq, plain)
    assert.equal(14, #chosen)
    for i, x in ipairs(plain) do assert.near(x, chosen[i], 1e-7) end
    assert.equal(14 + 24 * 9, #generator:choose(seq, numbers))
    assert.near(0.9, style(folder .. "/plain.style,ride=0.9")[9], 1e-9)

    local function broken(change)
      local object = json.decode(text)
      change(object)
      shell.write(path, json.encode(object))
      local got, message = style(path)
      assert.is_nil(got)
      return message
    end
    assert.matches("mine.style: 'kick' is not a number from 0 to 1$",
      broken(function(o) o.numbers.kick = 2 end))
    assert.matches("'ride' is not", broken(function(o) o.numbers.ride = nil end))
    for _, wrong in ipairs { -0.1, 1.1, "x", {}, false } do
      assert.matches("mine.style: row 5 of the groove needs 9 numbers from 0 to 1$",
        broken(function(o) o.groove[5][9] = wrong end))
    end
    assert.matches("row 24 of the groove needs 9 numbers from 0 to 1$",
      broken(function(o) o.groove[24] = 1 end))
    assert.matches("row 1 of the groove needs 9 numbers from 0 to 1$",
      broken(function(o) o.groove[1][10] = 0 end))
    assert.matches("mine.style: the groove needs 24 rows$",
      broken(function(o) o.groove[24] = nil end))
    assert.matches("the groove needs 24 rows$", broken(function(o) o.groove[25] = o.groove[1] end))
    assert.matches("the groove needs 24 rows$", broken(function(o) o.groove = "boom" end))
    assert.matches("the groove needs 24 rows$", broken(function(o) o.groove = {} end))
    assert.matches("has another kit than the model, gm9$", broken(function(o) o.kit = "x" end))
    assert.matches("is not a style", broken(function(o) o.format = nil end))
    shell.write(path, "{")
    assert.matches("is not a style", (select(2, style(path))))
    assert.matches("none.style: ", (select(2, style(folder .. "/none.style"))))
  end)
end)

describe("the style of a take", function()
  it("is reported, whether sections return or not", function()
    local generate = require "neuraldrummer.generate"
    local folder = shell.folder()
    local model = core.model { hidden = 8, layers = 1, encoder = 4 }
    local corpus, path = tiny.corpus(model:tokeniser(), {
      { tiny.song { patterns = { quiet }, bars = 4 }, "train" },
      { tiny.song { patterns = { busy }, bars = 4 }, "train" },
    })
    assert(model:learn_styles(corpus))
    os.remove(path)
    local song = folder .. "/abab.mid"
    assert(abab():save(song))
    local again = assert(generate.drum(song, { model = model, seed = 2 }))
    local once = assert(generate.drum(song, { model = model, seed = 2, returns = false }))
    assert.not_equal(once.drums:packed_hits(), again.drums:packed_hits())
    assert.same(once.style, again.style)
    assert.matches("^song [12]$", again.style.name)
    local drafts = assert(generate.drum(song, { model = model, drafts = 2 })).drafts
    for _, draft in ipairs(drafts) do assert.is_table(draft.style) end
    assert.is_nil(assert(generate.drum(song, { model = model, style = false })).style)
    shell.remove(folder)
  end)
end)

describe("a section that returns", function()
  local model, seq, generator, n
  setup(function()
    model = core.model { hidden = 8, layers = 1, encoder = 4 }
    seq = assert(model:tokeniser():encode(abab()))
    generator = core.generator(model, { seed = 5, temperature = 2 })
    n = 16 * #seq:voices()
  end)

  local function bar(drums, b) return drums:packed_hits():sub((b - 1) * n + 1, b * n) end

  local function play_returning(given, options)
    local drums = generator:play(seq, given)
    local again = sections.reuse(seq, drums, given, options)
    return again and generator:play(seq, again) or drums
  end

  it("gets its groove back", function()
    local plain = generator:play(seq)
    local same = play_returning({}, { vary = 0 })
    local varied = play_returning({}, { seed = 3 })
    local differ = 0
    for b = 1, 32 do
      local returns = b > 16 and b % 8 ~= 0
      assert.equal(bar(plain, returns and b - 16 or b), bar(same, b))
      if not returns then assert.equal(bar(plain, b), bar(varied, b)) end
      if bar(varied, b) ~= bar(same, b) then differ = differ + 1 end
    end
    assert.is_true(differ > 4)
    assert.equal(varied:packed_hits(),
      play_returning({}, { seed = 3 }):packed_hits())
    assert.not_equal(varied:packed_hits(),
      play_returning({}, { seed = 4 }):packed_hits())
    misuse("^option 'vary': 2 is not between 0 and 1$", play_returning, {},
      { vary = 2 })
  end)

  it("may be longer than it was: the rest is played", function()
    local plain = generator:play(seq)
    local drums = play_returning({}, { vary = 0, sections = {
      { first = 1, last = 4, kind = 1 }, { first = 5, last = 32, kind = 1, of = 1 } } })
    for b = 1, 32 do assert.equal(bar(plain, b > 4 and b < 8 and b - 4 or b), bar(drums, b)) end
  end)

  it("has what is kept and asked before that", function()
    local given, known = direction.fixed_hits(seq, { extend = 20 })
    local drums = play_returning({ fixed = given, mask = known },
      { vary = 0 })
    for b = 1, 20 do assert.equal(bar(seq, b), bar(drums, b)) end
    for b = 21, 23 do assert.equal(bar(seq, b - 16), bar(drums, b)) end
    local asked = { fills = { [18] = true }, density = direction.energy("19:1", 32) }
    local plain = generator:play(seq, asked)
    drums = play_returning(asked, { vary = 0 })
    assert.equal(bar(plain, 17 - 16), bar(drums, 17))
    assert.equal(bar(plain, 18), bar(drums, 18))
    assert.equal(bar(plain, 19), bar(drums, 19))
    assert.equal(bar(plain, 20 - 16), bar(drums, 20))
  end)
end)

describe("fills", function()
  local model, seq, generators

  setup(function()
    model = core.model { hidden = 8, layers = 1, encoder = 4 }
    seq = assert(model:tokeniser():encode(tiny.song { patterns = { { kick = "x...x...x...x...",
      snare = "....x.......x...", bass = "x...x...x...x..." } }, bars = 12 }))
  end)
  before_each(function() generators = 0 end)

  -- Lively players, so that a fill comes soon; each try has another seed.
  local function generator(try)
    generators = generators + 1
    return core.generator(model, { seed = 100 + try, temperature = 3, playable = false })
  end

  it("are counted", function()
    assert.same({ 2, 0 }, { direction.count_fills(seq, { [2] = true, [5] = true, [7] = false }) })
  end)

  it("are insisted on, and nothing else is changed", function()
    local fills = direction.fills("4,8", seq)
    local drums = direction.retry_fills(generator, seq, seq, { fills = fills, style = false })
    local asked, played = direction.count_fills(drums, fills)
    assert.equal(2, asked)
    assert.is_true(played >= 1)
    local n = 16 * 9
    for b = 1, 12 do
      local before = seq:packed_hits():sub((b - 1) * n + 1, b * n)
      local after = drums:packed_hits():sub((b - 1) * n + 1, b * n)
      assert.equal(before:sub(1, n // 2), after:sub(1, n // 2))
      if b % 4 ~= 0 or b == 12 then assert.equal(before, after) end
    end
  end)

  it("are no more than was asked, and what is kept stays", function()
    local plain = direction.fills("none", seq)
    assert.equal(seq, direction.retry_fills(generator, seq, seq, { fills = plain }))
    assert.equal(0, generators)
    local known = ("\1"):rep(#seq * 9)
    local fills = direction.fills("4-4", seq)
    assert.equal(seq, direction.retry_fills(generator, seq, seq, { fills = fills, mask = known }))
    known = (("\1\1" .. ("\0"):rep(7)):rep(#seq))
    local drums = direction.retry_fills(generator, seq, seq, { fills = fills, mask = known })
    assert.is_true(generators > 0)
    for step = 1, #seq do
      local was, is = seq:hits(step), drums:hits(step)
      assert.equal(was.kick, is.kick)
      assert.equal(was.snare, is.snare)
    end
    -- the first bar and the last depart from nothing and lead back to nothing
    assert.equal(seq, direction.retry_fills(generator, seq, seq,
      { fills = { [1] = true, [12] = true } }))
  end)
end)

describe("a sketch", function()
  local sketch = require "neuraldrummer.sketch"

  it("has a form", function()
    assert.same({
      { name = "intro", first = 1, last = 2, kind = 1 },
      { name = "verse", first = 3, last = 6, kind = 2 },
      { name = "verse", first = 7, last = 9, kind = 2, of = 2 },
    }, (sketch.form "intro2, Verse4,verse3"))
    for _, text in ipairs { "", "4", "verse", "verse0", "verse4,,", "verse5000", "a4000,b4000" } do
      misuse("^option 'form': ", sketch.form, text)
    end
  end)

  it("is played by the seed, in any meter", function()
    local model = core.model { hidden = 8, layers = 1, encoder = 4 }
    local function play(seed, meter)
      return assert(sketch.play { model = model, seed = seed, form = "a4,b2,a4", meter = meter,
        bpm = 90, temperature = 2 })
    end
    local first = play(1)
    assert.equal(160, first.steps)
    assert.equal(0, #first.song:notes "others")
    assert.near(90, first.song:tempos()[1].bpm, 1e-3)
    assert.equal(first.song:bytes(), play(1).song:bytes())
    assert.not_equal(first.song:bytes(), play(2).song:bytes())
    assert.equal(120, play(1, "6/8").steps)
    assert.equal(140, play(1, "7/8").steps)
    misuse("^option 'meter': '4/5' is not a time signature", play, 1, "4/5")
    misuse("option 'keep': there is no song", sketch.play, { keep = "kick" })
  end)

  it("goes on from a groove, which stands as it was", function()
    local folder = shell.folder()
    local model = core.model { hidden = 8, layers = 1, encoder = 4 }
    local groove = tiny.song { patterns = { busy, quiet }, bars = 2 }
    assert(groove:save(folder .. "/groove.mid"))
    local result = assert(sketch.continue(folder .. "/groove.mid", { model = model, bars = 3,
      temperature = 2 }))
    assert.equal(80, result.steps)
    local before, after = groove:notes "drums", result.song:notes "drums"
    assert.is_true(#after > #before)
    for i, note in ipairs(before) do
      assert.same({ note.tick, note.pitch, note.velocity },
        { after[i].tick, after[i].pitch, after[i].velocity })
    end
    assert.equal(0, #result.song:notes "others")
    assert(tiny.song { patterns = { { bass = "x..............." } }, bars = 1 }:save(
      folder .. "/none.mid"))
    local none, message = sketch.continue(folder .. "/none.mid", { model = model })
    assert.is_nil(none)
    assert.matches("none.mid: has no drums", message)
    shell.remove(folder)
  end)
end)
