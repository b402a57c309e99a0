-- How alike bars are, where a song turns, and what returns, against plain Lua.
local core = require "neuraldrummer.core"
local formula = require "spec.support.formula"
local form = require "spec.support.naive_form"
local made = require "spec.support.made_songs"

local PPQ <const> = 480

--- A song of bars by their letters: the same letter, the same bar. A letter's
--- notes are drawn by a formula; `meters` as core.song takes them, by bar.
local function song(letters, quarters, options)
  local notes, meters, tick = {}, {}, 0
  local at = 0
  for letter in letters:gmatch "." do
    at = at + 1
    local length = type(quarters) == "function" and quarters(at) or quarters or 4
    local lots = formula.uniform(letter, 256)
    meters[at] = { tick = tick, numerator = length, denominator = 4 }
    for place = 0, length * 4 - 1 do
      for k = 1, letter == "." and 0 or 3 do
        local lot = lots[(place * 3 + k) % 256 + 1]
        if lot > 0.2 then
          notes[#notes + 1] = { tick = tick + place * PPQ // 4, duration = PPQ // 4,
            pitch = 24 + (place * 7 + math.floor(lot * 50) + k * 20) % 60,
            velocity = 40 + math.floor(lot * 80), channel = 1, program = k == 1 and 33 or 0 }
        end
      end
    end
    tick = tick + length * PPQ
  end
  -- a note on the last step keeps bars of silence at the end
  notes[#notes + 1] = { tick = tick - PPQ // 4, duration = PPQ // 4, pitch = 60, velocity = 1 }
  return assert(core.tokeniser(options):encode(core.song { ppq = PPQ, notes = notes,
    meters = meters }))
end

local function near(want, got, within, message)
  assert.is_true(math.abs(want - got) <= within,
    ("%s: %g, naive %g"):format(message or "", got, want))
end

-- letters, quarters of each bar
local songs = {
  { "ABCDABCDEFGHABCD" }, { "AABBAACCAABBAADD" }, { "AB" }, { "A" }, { "AAAAAAAA" },
  { "ABCABCDDDEABCA", 3 }, { "ABCDEFGHIJKLMNOP" }, { "ABABABAB....ABAB" },
  { "ABABCABABABCAB", function(b) return b % 3 == 0 and 3 or 4 end },
  { "ABCDEABCDEABCDE", function(b) return b % 5 == 0 and 2 or b % 2 == 0 and 5 or 4 end },
  { "ABCD" .. ("EFGHIJ"):rep(12) .. "ABCD" },
}

describe("self_similarity", function()
  local sequences = {}
  setup(function()
    for i, spec in ipairs(songs) do
      sequences[i] = song(spec[1], spec[2], { steps_per_beat = i % 4 == 0 and 6 or 4 })
    end
    for i, from in ipairs(made.songs) do
      local given = core.song(made.spec(i))
      sequences[#sequences + 1] = assert(core.tokeniser():encode(given, from.name))
    end
  end)

  it("is the naive one, of any two bars", function()
    for i, seq in ipairs(sequences) do
      local naive, alike = form.self_similarity(seq), seq:self_similarity()
      for a = 1, #seq:bars() do
        for b = 1, #seq:bars() do
          near(naive(a, b), alike(a, b), 2e-5, ("song %d, bars %d, %d"):format(i, a, b))
        end
      end
    end
  end)

  it("is 1 of the same, about 0 by chance, less of the unlike", function()
    local alike, sum = song("AAAAZZZZAAAAZZZZ"):self_similarity(), 0
    near(1, alike(2, 10), 1e-6)
    assert.is_true(alike(2, 6) < -0.5)
    for a = 1, 16 do for b = 1, 16 do sum = sum + alike(a, b) end end
    near(0, sum / 256, 1e-3)
    local line = ("36,i0.5,-1,"):rep(64):sub(1, -2)
    local still = assert(core.tokeniser():parse(line)):self_similarity()
    assert.equal(1, still(1, 4))
  end)

  it("hears the band alone", function()
    local seq = song "ABCDABCD"
    local drums = seq:with_hits(("\100"):rep(#seq * #seq:voices()))
    for b = 1, 8 do assert.equal(seq:self_similarity()(1, b), drums:self_similarity()(1, b)) end
  end)

  it("is asked of bars that are there, and outlives its song", function()
    local seq = song "ABC"
    local alike = seq:self_similarity()
    seq:close()
    collectgarbage()
    assert.equal(1, alike(2, 2))
    for _, bars in ipairs { { 0, 1 }, { 1, 4 }, { 1 }, { 1.5, 1 }, { "x", 1 }, { -1, 1 } } do
      assert.has_error(function() alike(table.unpack(bars)) end)
    end
    assert.error_matches(function() alike(1, 4) end, "bad argument #2 .*no such bar")
    assert.has_error(function() seq:self_similarity() end)
  end)

  it("says how each bar contrasts with the last, and where the song turns", function()
    local turned = 0
    for i, seq in ipairs(sequences) do
      local alike, starts = form.self_similarity(seq), form.starts(seq)
      local n = #starts - 1
      local contrast, novelty = seq:metric "contrast", seq:metric "novelty"
      for b = 1, n do
        for t = starts[b], starts[b + 1] - 1 do
          local where = ("song %d, bar %d"):format(i, b)
          near(b > 1 and 1 - alike(b, b - 1) or 0, contrast[t], 2e-3, where)
          near(form.novelty(alike, b, n), novelty[t], 2e-3, where)
        end
        if novelty[starts[b]] > 0.3 then turned = turned + 1 end
      end
    end
    assert.is_true(turned > 10)
    -- verse, chorus, verse: it turns there most
    local novelty = song("AAAAAAAABBBBBBBBAAAAAAAA"):metric "novelty"
    local least = math.min(novelty[8 * 16 + 1], novelty[16 * 16 + 1])
    for b = 1, 24 do
      if b ~= 9 and b ~= 17 then assert.is_true(novelty[b * 16 - 15] < least - 0.1, "bar " .. b) end
    end
  end)

  it("says how like each bar is to the one that it is the return of", function()
    for i, seq in ipairs(sequences) do
      local of, how, lead = form.returns(seq)
      local starts, returns = form.starts(seq), seq:metric "recurrence"
      for b = 1, #starts - 1 do
        -- of two as good either may be taken
        if not of[b] or lead[b] > 1e-4 then
          for t = starts[b], starts[b + 1] - 1 do
            near(how[b], returns[t], 2e-3, ("song %d, bar %d"):format(i, b))
          end
        end
      end
    end
  end)

  it("never takes a bar of another length for a return", function()
    -- of equal length there is no earlier one at all, then only an unlike one
    local seq = song("AAAA", function(b) return 1 + b end)
    for _, x in ipairs(seq:metric "recurrence") do assert.equal(0, x) end
    seq = song("ZAA", function(b) return b == 2 and 3 or 4 end)
    local starts = form.starts(seq)
    assert.equal(16, starts[4] - starts[3])
    near(form.self_similarity(seq)(3, 1), seq:metric "recurrence"[starts[3]], 2e-3)
    assert.is_true(seq:metric "recurrence"[starts[3]] < 0.2)
  end)

  it("looks 64 bars back, no further", function()
    for far, found in pairs { [63] = true, [64] = true, [65] = false } do
      local between = {}
      for i = 1, far - 2 do between[i] = string.char(128 + i) end
      -- a bar's harmony has to do with the one before it
      local seq = song("ZA" .. table.concat(between) .. "ZAQ")
      local last = seq:metric "recurrence"[#seq - 24]
      assert.equal(found, last > 0.999, ("%d bars back: %g"):format(far, last))
    end
  end)

  it("costs a long song no more a bar than a short one", function()
    local function cost(bars)
      local notes = {}
      for i = 1, bars do
        notes[i] = { tick = (i - 1) * PPQ, duration = 100, pitch = 30 + i * i % 50, velocity = 90 }
      end
      local given = core.song { ppq = PPQ, notes = notes,
        meters = { { tick = 0, numerator = 1, denominator = 4 } } }
      local tok, least = core.tokeniser(), math.huge
      for _ = 1, 3 do
        local from = os.clock()
        assert.equal(bars, #assert(tok:encode(given)):bars())
        least = math.min(least, os.clock() - from)
      end
      return least
    end
    assert.is_true(cost(16000) < 16 * cost(2000) + 0.05)
  end)
end)
