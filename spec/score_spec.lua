local core = require "neuraldrummer.core"
local plot = require "neuraldrummer.plot"
local score = require "neuraldrummer.score"
local json = require "dkjson"
local shell = require "spec.support.shell"
local tiny = require "spec.support.tiny"

-- the kick with the bass, which is elsewhere in every bar
local function bars_of(n, salt)
  local bars = {}
  for b = 1, n do
    local line = {}
    for k = 1, 16 do line[k] = (k * (b + salt) * 7 + b * b * salt) % 13 < 4 and "x" or "." end
    bars[b] = { kick = table.concat(line), bass = table.concat(line) }
  end
  return bars
end

describe("score", function()
  local tok, model, folder = core.tokeniser(), nil, nil
  local fitting, clashing

  setup(function()
    folder = shell.folder()
    -- a model that knows one thing: the kick is struck with the bass
    model = core.model { hidden = 4, layers = 1, encoder = 0, dropout = 0 }
    for _, name in ipairs(model:tensors()) do
      local values = model:tensor(name)
      for i = 1, #values do values[i] = 0 end
      if name == "out.skip" then values[4 * 9 + 1] = 6 end
      if name == "out.b" then
        for v = 1, 9 do values[v] = -3 end
      end
      model:set_tensor(name, values)
    end
    fitting = bars_of(12, 3)
    clashing = {}
    for b, bar in ipairs(fitting) do clashing[b] = bar end
    local against = fitting[5].bass:gsub(".", { x = ".", ["."] = "x" })
    clashing[5] = { bass = fitting[5].bass, kick = against }
  end)
  teardown(function() shell.remove(folder) end)

  local function encode(patterns, name)
    return assert(tok:encode(tiny.song { patterns = patterns, bars = #patterns }, name))
  end

  it("prefers the own song", function()
    local result = assert(score.run(model, encode(fitting)))
    assert.is_true(result.fit > 0.1)
    assert.equal(8, result.of)
    assert.equal(8, result.better)
    assert.equal(12, #result.bars)
    assert.is_true(math.abs(result.fit - (result.likelihood - result.others)) < 1e-12)
    local sum = 0
    for b, bar in ipairs(result.bars) do
      assert.equal(b, bar.bar)
      assert.equal(16 * (b - 1) + 1, bar.step)
      assert.equal(16, bar.steps)
      assert.equal(select(2, fitting[b].kick:gsub("x", "")), bar.hits)
      sum = sum + bar.likelihood * bar.steps
    end
    local judged = 0
    for _, x in ipairs(core.log_likelihood(model, encode(fitting))) do judged = judged + x end
    assert.is_true(math.abs(sum - judged / math.log(2)) < 1e-4)
  end)

  it("finds the bar that does not fit", function()
    local least = score.worst_bars(assert(score.run(model, encode(clashing))))
    assert.equal(5, least[1].bar)
    assert.is_true(least[1].fit < 0)
    assert.equal(0, #score.worst_bars(assert(score.run(model, encode(clashing))), 0))
  end)

  it("says that drums of another song fit worse", function()
    local mixed = {}
    for b, bar in ipairs(bars_of(12, 5)) do
      mixed[b] = { bass = fitting[b].bass, kick = bar.kick }
    end
    local own, other = score.run(model, encode(fitting)), score.run(model, encode(mixed))
    assert.is_true(other.fit < own.fit / 3, other.fit .. " " .. own.fit)
  end)

  it("says how good a take is: what fits, without what nobody would play", function()
    local function rank(change)
      local patterns = {}
      for b, bar in ipairs(fitting) do
        patterns[b] = { bass = bar.bass, kick = bar.kick }
        for voice, line in pairs(change or {}) do patterns[b][voice] = line end
      end
      return assert(score.rank(model, { encode(patterns) })[1])
    end
    local result = assert(score.run(model, encode(fitting), { history = false, style = false }))
    local struck = 0
    for _, bar in ipairs(result.bars) do struck = struck + bar.hits end
    assert.equal(struck, result.hits)
    assert.is_true(result.steps > 11 * 16 - 16 and result.steps <= 12 * 16)
    assert.near((result.fit + 0.3 * result.likelihood) * result.steps / result.hits, rank(), 1e-9)
    assert.is_true(rank { kick = "x...x...x...x..." } < rank())
    assert.is_true(rank { ride = "..x....x......x." } < rank())
    assert.is_false(score.rank(model, { encode { { bass = "x..............." } } })[1])
  end)

  it("hears the songs of a corpus as well, but not the song itself", function()
    local songs = {}
    for i = 1, 5 do songs[i] = { encode(bars_of(6 + i, i), "song " .. i), "train" } end
    local corpus <close>, path = tiny.corpus(tok, songs)
    os.remove(path)
    local seq = encode(bars_of(9, 3), "song 3")
    local result = assert(score.run(model, seq, { against = corpus }))
    assert.equal(8 + 4, result.of)
    assert.same(result, score.run(model, seq, { against = corpus }))
    assert.equal(2 + 2, assert(score.run(model, seq, { against = corpus, others = 2 })).of)
    assert.is_true(result.fit > 0.1)
  end)

  it("says when there is nothing to score", function()
    local none, message = score.run(model, encode { { bass = "x..............." },
      { bass = "x..............." } })
    assert.is_nil(none)
    assert.equal("it has no drums to score", message)
    none, message = score.run(model, encode { fitting[1] })
    assert.is_nil(none)
    assert.matches("only one bar", message)
    assert.has_error(function() score.run(model, encode(fitting), { agianst = 1 }) end)
  end)

  it("draws a picture, and is a command", function()
    local path, weights = folder .. "/song (2).mid", folder .. "/model.safetensors"
    assert(tiny.song { patterns = clashing, bars = 12 }:save(path))
    assert(model:save(weights))
    local png = folder .. "/score.png"
    local status, out, err = shell.run(shell.tool, "score", path, "--model", weights, "--plot", png)
    assert.equal("", err)
    assert.equal(0, status)
    assert.matches("fit %+%d.%d+ bits a step; more likely with its own song than with 8 of 8", out)
    assert.matches("bars that fit worst:\n +5  %-", out)
    assert.equal("\137PNG", shell.read(png):sub(1, 4))
    assert.matches("^bar\tstep\tsteps\thits\tlikelihood\tothers\tfit\n1\t1\t16\t",
      shell.read(folder .. "/score.tsv"))
    -- what can be known before is said before; else the result comes all the same
    status, out, err = shell.run(shell.tool, "score", path, "--model", weights, "--plot",
      folder .. "/score.gif")
    assert.equal(2, status)
    assert.equal("", out)
    assert.equal("neuraldrummer: " .. folder
      .. "/score.gif: a picture's name must end in .png, .svg or .pdf\n", err)
    status, out, err = shell.run(shell.tool, "score", path, "--model", weights, "--plot",
      folder .. "/nowhere/score.png")
    assert.equal(1, status)
    assert.matches("more likely with its own song", out)
    assert.matches("^neuraldrummer: [^\n]*/nowhere/score.[^\n]*\n$", err)
    status, out = shell.run(shell.tool, "score", path, "--model", weights, "--json")
    assert.equal(0, status)
    local figures = json.decode(out)
    assert.equal(12, #figures.bars)
    assert.equal(5, figures.worst[1])
    assert.is_true(figures.fit > 0)
    status, out, err = shell.run(shell.tool, "score", folder .. "/none.mid", "--model", weights)
    assert.equal(1, status)
    assert.equal("", out)
    assert.matches("none.mid", err)
    assert.has_error(function() plot.score(encode(fitting), {}, {}) end)
  end)
end)
