-- Touch: how hard and when known hits are struck, learnt and drawn.
local core = require "neuraldrummer.core"
local formula = require "spec.support.formula"
local naive = require "spec.support.naive_lstm"
local tiny = require "spec.support.tiny"

-- Of a touch net's inputs, the first: where a step is (then its hits).
local PLACES <const> = { "tempo", "beat_sin", "beat_cos", "bar_sin", "bar_cos", "phrase_sin",
  "phrase_cos", "downbeat", "on_beat", "meter" }

local PPQ <const> = 480
local STEP <const> = PPQ // 4
local pitches <const> = { kick = 36, snare = 38, closed_hat = 42 }

--- Bars of sixteenths; `touch(voice, place, n)` says velocity and ticks of delay.
local function song(patterns, bars, touch)
  local notes = {}
  for bar = 0, bars - 1 do
    for voice, line in pairs(patterns[bar % #patterns + 1]) do
      for place in line:gmatch "()x" do
        local velocity, late = touch(voice, place - 1, bar)
        notes[#notes + 1] = { tick = (bar * 16 + place - 1) * STEP + (late or 0),
          duration = STEP // 2, pitch = pitches[voice], velocity = velocity, channel = 10 }
      end
    end
  end
  table.sort(notes, function(a, b)
    if a.tick ~= b.tick then return a.tick < b.tick end
    return a.pitch < b.pitch
  end)
  return core.song { ppq = PPQ, notes = notes, meters = { { tick = 0, numerator = 4,
    denominator = 4 } } }
end

local grooves <const> = {
  { kick = "x.......x.......", snare = "....x..x.x..x..x", closed_hat = "xxxxxxxxxxxxxxxx" },
  { kick = "x..x......x.....", snare = "....x.......x...", closed_hat = "x.x.x.x.x.x.x.x." },
}
local other_groove <const> = {
  { kick = "x.....x...x.....", snare = "....x...x...x.x.", closed_hat = "x.xxx.xxx.xxx.xx" },
}

local third_groove <const> =
  { kick = "x...x...x.x...x.", snare = "xx....x.xxx...xx", closed_hat = "..xx.xx..x..x.xx" }

local function flat() return 80 end

--- Calls visit(voice number, velocity 1..127, offset, place in the bar) per hit.
local function each_hit(seq, visit)
  local V, n = #seq:voices(), 0
  local hits, offsets = seq:packed_hits(), seq:packed_offsets()
  for i = 1, #hits do
    if hits:byte(i) > 0 then
      n = n + 1
      visit((i - 1) % V + 1, hits:byte(i), (("b"):unpack(offsets, i)), (i - 1) // V % 16, i)
    end
  end
  return n
end

local function same(a, b)
  return a:packed_hits() == b:packed_hits() and a:packed_offsets() == b:packed_offsets()
end

--- A touch net whose every output is within reach: velocities about 1/2,
--- offsets about zero, both with deviations of about a twentieth.
local function small(options)
  options = options or {}
  options.preset, options.hidden = "touch", options.hidden or 6
  options.encoder = options.encoder or 5
  local model = core.model(options)
  formula.fill(model)
  local bias = model:tensor "out.b"
  local V = #bias // 4
  for v = 1, V do
    bias[v], bias[V + v] = 0.5, math.log(0.05)
    bias[2 * V + v], bias[3 * V + v] = 0.02, math.log(0.04)
  end
  model:set_tensor("out.b", bias)
  for name, part in pairs { ["out.w"] = 1 / 2, ["out.skip"] = 1 / 8 } do
    local values = model:tensor(name)
    for i, value in ipairs(values) do values[i] = value * part end
    model:set_tensor(name, values)
  end
  return model
end

describe("touch", function()
  local tok = core.tokeniser()
  local played = assert(tok:encode(song(grooves, 4, function(_, place, bar)
    return 40 + place * 5 + bar, place % 4 * 9
  end)))

  it("of nothing leaves all as it is", function()
    local model <close> = small()
    local touched = core.humanise(model, played, { amount = 0 })
    assert.is_true(same(played, touched))
    assert.is_true(each_hit(played, function() end) > 60)
    assert.same(played:metric "intensity", touched:metric "intensity")
    assert.same(played:bars(), touched:bars())
  end)

  it("is the seed's alone, and grows with its amount", function()
    local model <close> = small()
    local whole = core.humanise(model, played)
    assert.is_true(same(whole, core.humanise(model, played, { seed = 1, amount = 1 })))
    assert.is_false(same(whole, core.humanise(model, played, { seed = 2 })))
    local half = core.humanise(model, played, { amount = 0.5 })
    local before, after = played:packed_hits(), whole:packed_hits()
    local moved, late = played:packed_offsets(), whole:packed_offsets()
    each_hit(half, function(_, velocity, offset, _, i)
      assert.is_true(math.abs(velocity - (before:byte(i) + after:byte(i)) / 2) <= 1)
      local from, to = ("b"):unpack(moved, i), ("b"):unpack(late, i)
      assert.is_true(math.abs(offset - (from + to) / 2) <= 1)
    end)
  end)

  it("strikes what was struck, nothing else, and no voice twice alike", function()
    local model <close> = small()
    local even = assert(tok:encode(song(grooves, 8, flat)))
    for seed = 1, 5 do
      local touched = core.humanise(model, even, { seed = seed })
      local hits, other = even:packed_hits(), touched:packed_hits()
      for i = 1, #hits do assert.equal(hits:byte(i) > 0, other:byte(i) > 0) end
      local velocities, offsets = {}, {}
      each_hit(touched, function(v, velocity, offset)
        assert.is_true(velocity >= 1 and velocity <= 127 and offset >= -127 and offset <= 127)
        velocities[v], offsets[v] = velocities[v] or {}, offsets[v] or {}
        velocities[v][velocity], offsets[v][offset] = true, true
      end)
      for _, v in ipairs { 1, 2, 3 } do
        assert.is_truthy(next(velocities[v], next(velocities[v])))
        assert.is_truthy(next(offsets[v], next(offsets[v])))
      end
    end
  end)

  it("leaves known cells as they are", function()
    local model <close> = small()
    local cells = {}
    for i = 1, #played:packed_hits() do cells[i] = i % 3 == 0 and "\1" or "\0" end
    local touched = core.humanise(model, played, { mask = table.concat(cells) })
    local free = core.humanise(model, played)
    local kept, struck = 0, 0
    each_hit(played, function(_, velocity, _, _, i)
      if i % 3 == 0 then
        assert.equal(velocity, touched:packed_hits():byte(i))
        assert.equal(played:packed_offsets():byte(i), touched:packed_offsets():byte(i))
        kept = kept + 1
      elseif touched:packed_hits():byte(i) ~= velocity then
        struck = struck + 1
      end
    end)
    assert.is_true(kept > 15 and struck > 15)
    local all = ("\1"):rep(#played:packed_hits())
    assert.is_true(same(played, core.humanise(model, played, { mask = all })))
    assert.is_false(same(played, free))
    assert.has_error(function() core.humanise(model, played, { mask = "x" }) end,
      ("option 'mask': %d bytes are needed, got 1"):format(#all))
  end)

  it("draws from the naive network's normals, half of the variance a voice's own", function()
    for _, options in ipairs {
      { layers = 2 }, { causal = true }, { encoder = 12 }, { encoder = 0, hidden = 9 },
    } do
      local model <close> = small(options)
      local net = naive.net(model)
      local V, xs = net.voices, {}
      for t = 1, #played do
        local heard, hits, x = played:metrics(t), played:hits(t), {}
        for i, name in ipairs(PLACES) do x[i] = heard[name] end
        for _, name in ipairs(played:voices()) do x[#x + 1] = hits[name] and 1 or 0 end
        assert.equal(net.inputs, #x)
        xs[t] = x
      end
      local state, outputs = naive.state(net), {}
      for t, front in ipairs(naive.front(net, state, xs)) do
        outputs[t] = naive.logits(net, naive.step(net, state, front), xs[t])
      end
      -- standardised by these, all hits of many seeds are standard normals,
      -- and any two of a voice share half of their variance
      local seeds, n = 40, 0
      local sums, squares, shared, voices = { 0, 0 }, { 0, 0 }, { 0, 0 }, 0
      for seed = 1, seeds do
        local of_voice = {}
        each_hit(core.humanise(model, played, { seed = seed }), function(v, velocity, offset, _, i)
          local o = outputs[(i - 1) // V + 1]
          local z = { (velocity / 127 - o[v]) / math.exp(o[V + v]),
            (offset / 256 - o[2 * V + v]) / math.exp(o[3 * V + v]) }
          of_voice[v] = of_voice[v] or { 0, 0, n = 0 }
          of_voice[v].n, n = of_voice[v].n + 1, n + 1
          for k = 1, 2 do
            of_voice[v][k] = of_voice[v][k] + z[k]
            sums[k], squares[k] = sums[k] + z[k], squares[k] + z[k] ^ 2
          end
        end)
        for _, own in pairs(of_voice) do
          voices = voices + 1
          -- of the mean of m hits: half the variance, and half an m-th
          for k = 1, 2 do
            shared[k] = shared[k] + (own[k] / own.n) ^ 2 / (0.5 + 0.5 / own.n)
          end
        end
      end
      for k = 1, 2 do
        local mean, square, ratio = sums[k] / n, squares[k] / n, shared[k] / voices
        assert.is_true(math.abs(mean) < 0.3, ("mean %g"):format(mean))
        assert.is_true(math.abs(square - 1) < 0.3, ("variance %g"):format(square))
        assert.is_true(math.abs(ratio - 1) < 0.5, ("shared %g"):format(ratio))
      end
    end
  end)

  it("is learnt: accents on the beats, ghosts between, the snare laid back", function()
    local function touch(voice, place)
      local velocity = place == 0 and 110 or place % 4 == 0 and 90 or 40
      return velocity, voice == "snare" and 40 or place % 2 == 1 and -20 or 0
    end
    local lots, n = formula.uniform("hand", 4000), 0
    local function by_hand(voice, place)
      local velocity, late = touch(voice, place)
      n = n + 2
      return velocity + math.floor(8 * lots[n - 1]), math.max(late + math.floor(6 * lots[n]),
        place == 0 and 0 or -30)
    end
    local corpus <close>, path = tiny.corpus(tok, {
      { song(grooves, 16, by_hand), "train" },
      { song({ grooves[2], third_groove }, 16, by_hand), "train" },
      { song(other_groove, 8, by_hand), "valid" },
    })
    local model <close> = core.model { preset = "touch", hidden = 16, encoder = 8, dropout = 0,
      seed = 2 }
    local batches <close> = corpus:batches { model = model, batch = 2, steps = 64 }
    local valid <close> = corpus:batches { model = model, batch = 1, steps = 128, split = "valid" }
    local struck = each_hit(corpus:song(3), function() end)
    local function validate()
      assert.is_true(valid:next())
      local loss, count, guessed = model:loss(valid)
      assert.equal(struck, count)  -- of both, velocity and offset, once a hit
      assert.equal(0, guessed)
      assert.is_false(valid:next())
      return loss
    end
    local before, updates = validate(), 400
    for update = 1, updates do
      if not batches:next() then assert.is_true(batches:next()) end
      local rate = 1e-2 * math.min(1, 2 * (updates - update + 1) / updates)
      assert(model:train_step(batches, { rate = rate, clip = 1 }))
    end
    local after = validate()
    assert.is_true(after < before - 2, ("loss from %g to %g"):format(before, after))

    -- what it learnt, struck on hits that were all alike, in a groove of its own
    local even = assert(tok:encode(song(other_groove, 4, flat)))
    local off = { velocity = 0, offset = 0, n = 0 }
    each_hit(core.humanise(model, even), function(v, velocity, offset, place)
      local hard, late = touch(even:voices()[v], place)
      off.velocity = off.velocity + math.abs(velocity - hard)
      off.offset = off.offset + math.abs(offset - late * 256 / STEP)
      off.n = off.n + 1
      local close = math.abs(velocity - hard) < 25
      assert.is_true(close, ("velocity %d at place %d, not %d"):format(velocity, place, hard))
    end)
    assert.is_true(off.velocity / off.n < 8, ("velocities off by %g"):format(off.velocity / off.n))
    assert.is_true(off.offset / off.n < 16, ("offsets off by %g"):format(off.offset / off.n))
    os.remove(path)
  end)

  it("is a touch model's, for sequences of its kit and grid", function()
    local drummer <close> = core.model { hidden = 2, layers = 1 }
    assert.has_error(function() core.humanise(drummer, played) end,
      "not a touch model: its preset is 'drummer'")
    local raw <close> = core.model { preset = "touch", inputs = 19, voices = 9, hidden = 2 }
    assert.has_error(function() core.humanise(raw, played) end,
      "not a touch model: its preset is 'touch'")
    local model <close> = small()
    for message, options in pairs {
      ["the sequence has kit 'basic6', the model plays 'gm9'"] = { kit = "basic6" },
      ["the sequence has 6 steps per quarter note, the model needs 4 per quarter note"] =
        { steps_per_beat = 6 },
    } do
      local seq = assert(core.tokeniser(options):encode(song(grooves, 1, flat)))
      assert.has_error(function() core.humanise(model, seq) end, message)
    end
    assert.has_error(function() core.humanise(model, played, { amount = 2 }) end)
  end)
end)
