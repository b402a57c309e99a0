local core = require "neuraldrummer.core"
local explain = require "neuraldrummer.explain"
local plot = require "neuraldrummer.plot"
local json = require "dkjson"
local form = require "spec.support.naive_form"
local shell = require "spec.support.shell"
local tiny = require "spec.support.tiny"

local bars = {
  { kick = "x.......x.......", snare = "....x.......x...", closed_hat = "x.x.x.x.x.x.x.x.",
    bass = "x...x...x...x...", lead = "x.....x.....x..." },
  { kick = "x.....x.x.......", snare = "....x.......x..x", closed_hat = "x.x.x.x.x.x.x.x.",
    bass = "x.....x.x.......", lead = "..x...x..x..x..." },
}

local VOICES <const>, METRICS <const> = 9, 31

local function near(want, got, within)
  assert.is_true(math.abs(want - got) < within, got .. ", not " .. want)
end

local function sum(list)
  local s = 0
  for _, x in pairs(list) do s = s + x end
  return s
end

describe("explain", function()
  local tok = core.tokeniser()
  local seq = tok:encode(tiny.song { patterns = bars, bars = 6 })

  -- every weight at work, also those that start as none
  local function stirred(options)
    local model = core.model(options)
    for k, name in ipairs { "out.skip", "out.mix" } do
      local values = model:tensor(name)
      for i = 1, #values do values[i] = math.sin(i * k) / 4 end
      model:set_tensor(name, values)
    end
    return model
  end

  --- The first hit of step `t` after rows of input weights were scaled.
  local function scaled(model, t, rows, by)
    local before = {}
    for name, list in pairs(rows) do
      local values, shape = model:tensor(name)
      before[name] = model:tensor(name)
      for _, row in ipairs(list) do
        for j = 1, shape[2] do
          local at = (row - 1) * shape[2] + j
          values[at] = values[at] * by
        end
      end
      model:set_tensor(name, values)
    end
    local logit = core.explain(model, seq, t, t, true)[1].logit
    for name, values in pairs(before) do model:set_tensor(name, values) end
    return logit
  end

  -- to scale the weights behind an input is to scale the input itself
  local function derivative(model, t, rows)
    local e <const> = 0.02
    return (scaled(model, t, rows, 1 + e) - scaled(model, t, rows, 1 - e)) / (2 * e)
  end

  for _, kind in ipairs { "encoder", "causal encoder", "no encoder" } do
    it("is the derivative by every input, with " .. kind, function()
      local encoder = kind == "no encoder" and 0 or 5
      local causal = kind:find "causal" ~= nil
      local model <close> = stirred { hidden = 7, layers = 2, encoder = encoder, causal = causal,
        dropout = 0, seed = 5 }
      local config = model:config()
      local front = encoder == 0 and 0 or (causal and 1 or 2) * encoder
      local read = encoder == 0 and 0 or METRICS + 2 * VOICES + 4
      -- in the first layer, before the history: behind the metrics, or whether it is told
      local first = encoder == 0 and METRICS or 1
      local whole = kind == "encoder"  -- hears what is known ahead, and the bar that returns
      local past = 1 + #config.look_back + (whole and 1 or 0)  -- rows of hits
      local t = 53
      local hit = core.explain(model, seq, t, t, true)[1]
      assert.equal("kick", core.explain(model, seq, 17, 17)[1].voice)
      local names = {}
      for name in pairs(hit.metrics) do names[#names + 1] = name end
      assert.equal(METRICS, #names)
      -- rows by their place: the metrics come first, as in seq:metrics' own order
      local order = { "intensity", "onsets_low", "onsets_mid", "onsets_high", "bass", "loudness",
        "sounding", "harmony", "tempo", "beat_sin", "beat_cos", "bar_sin", "bar_cos" }
      for m, name in ipairs(order) do
        local rows = { ["out.skip"] = { m } }
        if encoder == 0 then
          rows["lstm.1.wx"] = { m }
        else
          rows["encoder.1.wx"] = { m }
          if not causal then rows["encoder.2.wx"] = { m } end
        end
        near(derivative(model, t, rows), hit.metrics[name], 2e-3)
      end
      for m, name in ipairs { "contrast", "recurrence", "novelty", "progress" } do
        local rows = { ["out.skip"] = { 27 + m } }
        if encoder == 0 then
          rows["lstm.1.wx"] = { 27 + m }
        else
          rows["encoder.1.wx"] = { 27 + m }
          if not causal then rows["encoder.2.wx"] = { 27 + m } end
        end
        if whole and name == "recurrence" then  -- of that bar by itself, too
          local at = first + past * VOICES + 1
          table.insert(rows["out.skip"], read + at)
          rows["lstm.1.wx"] = { front + at }
        end
        near(derivative(model, t, rows), hit.metrics[name], 2e-3)
        if causal then assert.equal(0, hit.metrics[name]) end
        if encoder > 0 and not causal then assert.is_true(hit.metrics[name] ~= 0) end
      end
      for v, voice in ipairs(tok:voices()) do
        local rows = { ["out.skip"] = {}, ["lstm.1.wx"] = {} }
        for k = 0, past - 1 do
          local at = first + k * VOICES + v
          table.insert(rows["out.skip"], read + at)
          table.insert(rows["lstm.1.wx"], front + at)
        end
        near(derivative(model, t, rows), hit.voices[voice], 2e-3)
      end
      if encoder > 0 then
        local rows = { ["out.skip"] = {}, ["lstm.1.wx"] = {} }
        local from = config.inputs - read - (2 * VOICES + 7)  -- traits, groove, and whether given
        assert.equal(first + past * VOICES + (whole and 1 or 0), from)
        for k = 1, 2 * VOICES + 7 do
          table.insert(rows["out.skip"], read + from + k)
          table.insert(rows["lstm.1.wx"], front + from + k)
        end
        near(derivative(model, t, rows), hit.style, 2e-3)
        assert.is_true(hit.style ~= 0)
      else
        assert.equal(0, hit.style)
      end
      -- what is to come is heard by an encoder that reads backwards, and by no other
      local ahead = 0
      for at = t + 1, #seq do ahead = ahead + math.abs(hit.song[at]) end
      assert.equal(kind == "encoder", ahead > 0)
      near(sum(hit.metrics), sum(hit.song), 1e-4)
    end)
  end

  it("sends what the bar that returns says to where it was struck", function()
    local model <close> = core.model { hidden = 2, layers = 1, encoder = 2, dropout = 0 }
    local of, how = form.returns(seq)
    local likeness = model:config().inputs - (2 * VOICES + 7)
    for _, name in ipairs(model:tensors()) do
      local values = model:tensor(name)
      for i = 1, #values do
        local row = name == "out.skip" and (i - 1) // VOICES + 1 or 0
        values[i] = row == likeness and 3 or row < likeness and row >= likeness - VOICES and 5 or 0
      end
      model:set_tensor(name, values)
    end
    local explained, rows = 0, form.rows(seq)
    for _, hit in ipairs(core.explain(model, seq, 17, #seq)) do
      local bar = (hit.step - 1) // 16 + 1
      local from = (of[bar] - bar) * 16 + hit.step
      near(3 * how[bar], hit.metrics.recurrence, 1e-4)
      for v, voice in ipairs(tok:voices()) do
        near(5 * rows[from][v], hit.voices[voice], 1e-4)
        explained = explained + rows[from][v]
      end
      for name, x in pairs(hit.metrics) do assert.is_true(name == "recurrence" or x == 0) end
      for _, earlier in ipairs(hit.earlier) do assert.equal(from, earlier.step) end
    end
    assert.is_true(explained > 50)
  end)

  it("says which hits, and when they were struck", function()
    local model <close> = stirred { hidden = 7, layers = 1, encoder = 4, dropout = 0, seed = 5 }
    local hits = core.explain(model, seq, 33, 48)
    local voices = {}
    for _, hit in ipairs(hits) do voices[#voices + 1] = hit.step - 32 .. hit.voice end
    assert.same({ "1kick", "1closed_hat", "3closed_hat", "5snare", "5closed_hat", "7closed_hat",
      "9kick", "9closed_hat", "11closed_hat", "13snare", "13closed_hat", "15closed_hat" }, voices)
    local last = hits[#hits]
    local total = 0
    for _, each in ipairs(last.earlier) do
      assert.is_true(each.step < last.step)
      assert.is_true(seq:hits(each.step)[each.voice] > 0)
      total = total + each.weight
    end
    near(sum(last.voices), total, 0.3)  -- but for those of less than 0.01
    assert.same({}, hits[1].simultaneous)
    local mix = model:tensor "out.mix"
    near(mix[0 * VOICES + 3], hits[2].simultaneous.kick, 1e-6)
    near(math.exp(last.logit) / (1 + math.exp(last.logit)), last.probability, 1e-6)
  end)

  it("agrees with the likelihood that the hits have", function()
    local model <close> = stirred { hidden = 7, layers = 2, encoder = 4, dropout = 0, seed = 5 }
    -- of a step where all voices are struck, nothing else goes into it
    local full = seq:with_hits(seq:packed_hits():sub(1, 32 * VOICES) .. ("\100"):rep(VOICES)
      .. ("\0"):rep((#seq - 33) * VOICES))
    local log = 0
    for _, hit in ipairs(core.explain(model, full, 33, 33)) do
      log = log + math.log(hit.probability)
    end
    near(core.log_likelihood(model, full)[33], log, 1e-4)
  end)

  it("explains a bar in order of weight", function()
    local model <close> = stirred { hidden = 7, layers = 2, encoder = 4, dropout = 0, seed = 5 }
    local result = assert(explain.run(model, seq, { bar = 3 }))
    assert.equal(12, #result.hits)
    assert.equal(33, result.step)
    assert.equal(16, result.steps)
    assert.equal(2, result.hits[4].beat)
    for _, list in ipairs { result.reasons, result.hits[1].reasons, result.hits[2].earlier } do
      for i = 2, #list do
        assert.is_true(math.abs(list[i].weight) <= math.abs(list[i - 1].weight))
      end
    end
    local text = explain.format(result, 2)
    assert.matches("^beat +voice +prob%. +reasons", text)
    assert.matches("\n2 +snare +%d+ %%  ", text)
    local snare = assert(explain.run(model, seq, { bar = 3, voice = "snare" }))
    assert.equal(2, #snare.hits)
    assert.same(result.hits[4].reasons, snare.hits[1].reasons)
  end)

  it("says what it cannot explain", function()
    local model <close> = core.model { hidden = 4, layers = 1, encoder = 4 }
    local function refuses(pattern, options, drums)
      local none, message = explain.run(model, drums or seq, options)
      assert.is_nil(none)
      assert.matches(pattern, message)
    end
    refuses("no bar 7: the last is 6", { bar = 7 })
    refuses("no voice 'cowbell'; choose from kick", { bar = 1, voice = "cowbell" })
    refuses("crash has no hits in bar 1", { bar = 1, voice = "crash" })
    refuses("bar 1 has no hits", { bar = 1 },
      seq:with_hits(("\0"):rep(#seq * VOICES)))
    assert.has_error(function() explain.run(model, seq, {}) end)
    local function raises(pattern, ...)
      local ok, message = pcall(core.explain, ...)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    raises("no such step", model, seq, 0, 1)
    raises("or it is before 'from'", model, seq, 5, 4)
    raises("no such step", model, seq, 5, #seq + 1)
    local old <close> = core.model { preset = "neuraldrummer2023", hidden = 4, layers = 1 }
    local heard = old:tokeniser():encode(tiny.song { patterns = bars, bars = 2 })
    raises("explanations need a streaming model without dense layers", old, heard, 1, 2)
    local touch <close> = core.model { preset = "touch", hidden = 4, layers = 1 }
    raises("touch model", touch, seq, 1, 2)
  end)

  it("draws a picture, and is a command", function()
    local folder = shell.folder()
    local song, weights = folder .. "/song.mid", folder .. "/model.safetensors"
    assert(tiny.song { patterns = bars, bars = 6 }:save(song))
    local model <close> = stirred { hidden = 7, layers = 1, encoder = 4, dropout = 0, seed = 5 }
    assert(model:save(weights))
    local png = folder .. "/why.png"
    local status, out, err = shell.run(shell.tool, "explain", song, "--model", weights,
      "--bar", "3", "--plot", png)
    assert.equal("", err)
    assert.equal(0, status)
    assert.matches("\n2 +snare", out)
    assert.equal("\137PNG", shell.read(png):sub(1, 4))
    status, out = shell.run(shell.tool, "explain", song, "--model", weights, "--bar", "6",
      "--voice", "kick", "--json")
    assert.equal(0, status)
    local figures = json.decode(out)
    assert.equal(6, figures.bar)
    assert.equal(3, #figures.hits)
    status, out, err = shell.run(shell.tool, "explain", song, "--model", weights, "--bar", "9")
    assert.equal(1, status)
    assert.equal("", out)
    assert.matches("no bar 9", err)
    shell.remove(folder)
    assert.has_error(function() plot.explain(seq, {}, {}) end)
  end)
end)
