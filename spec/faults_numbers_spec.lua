-- Numbers that are none reach no file and nobody's ears; and the same bytes
-- come out of the same bytes, however often.
local core = require "neuraldrummer.core"
local faulty = require "spec.support.faulty"
local shell = require "spec.support.shell"
local tiny = require "spec.support.tiny"

local CORRUPT <const> = "the model produced NaN probabilities; its weights are corrupt"
local song = tiny.song { bars = 4, patterns = { { kick = "x...x...x...x...",
  bass = "x...x...x...x..." } } }

--- Gives all weights values of `size`, of both signs.
local function blow_up(model, size)
  for _, name in ipairs(model:tensors()) do
    if not name:find "%.var$" then
      local values = model:tensor(name)
      for i = 1, #values do values[i] = size * (-1) ^ (i * 7 // 3) end
      model:set_tensor(name, values)
    end
  end
  return model
end

describe("numbers that are none", function()
  it("are refused as weights, in a table and in a file", function()
    local model = core.model { hidden = 4, layers = 1, encoder = 2 }
    local name = model:tensors()[1]
    local values = model:tensor(name)
    for _, x in ipairs { 0 / 0, math.huge, -math.huge, 1e39 } do
      local spoilt = table.move(values, 1, #values, 1, {})
      spoilt[2] = x
      assert.error_matches(function() model:set_tensor(name, spoilt) end,
        "value 2 is not a finite number")
      assert.same(values, (model:tensor(name)))
    end
  end)

  it("do not come out of weights that are finite and absurd", function()
    for _, options in ipairs { { hidden = 8, layers = 2, encoder = 4 },
      { hidden = 8, layers = 2, encoder = 4, causal = true },
      { hidden = 8, layers = 2, preset = "neuraldrummer2023" } } do
      for _, size in ipairs { 1e3, 1e10, 1e20, 1e30, 3e38 } do
        local model = blow_up(core.model(options), size)
        local seq = assert(model:tokeniser():encode(song))
        local function sound(x)
          assert.is_true(x == x and x < math.huge and x > -math.huge)
        end
        local function refused_or(ok, what)
          if not ok then assert.matches(CORRUPT, what, 1, true) end
          return ok
        end
        local generator = core.generator(model, { seed = 3 })
        if refused_or(pcall(generator.play, generator, seq)) then
          for _, odds in pairs(generator:probabilities()) do sound(odds) end
        end
        if options.causal then
          generator:reset()
          for i = 1, 20 do
            if not refused_or(pcall(generator.step, generator, { bar = i == 1 })) then break end
            for _, odds in pairs(generator:probabilities()) do sound(odds) end
          end
        end
        local ok, likelihoods = pcall(core.log_likelihood, model, seq)
        if refused_or(ok, likelihoods) then
          for _, x in ipairs(likelihoods) do sound(x) end
        end
        if not options.preset then
          local reasons
          ok, reasons = pcall(core.explain, model, seq, 1, 8)
          if refused_or(ok, reasons) then
            for _, reason in ipairs(reasons) do sound(reason.logit) end
          end
        end
      end
      -- and they are refused indeed where nothing else is left
      local worst = blow_up(core.model(options), 3e38)
      local seq = assert(worst:tokeniser():encode(song))
      assert.error_matches(function() core.generator(worst):play(seq) end, CORRUPT, 1, true)
    end
  end)

  it("do not come of a training step: it is not taken", function()
    for round, size in ipairs { 1e20, 3e38, 1e20, 3e38 } do
      local model = blow_up(core.model(round < 3 and { hidden = 8, layers = 1, encoder = 4 }
        or { preset = "neuraldrummer2023", hidden = 8, layers = 1 }), size)
      local corpus <close>, path = tiny.corpus(model:tokeniser(), { { song, "train" },
        { song, "train" } })
      local batches = corpus:batches { model = model, steps = 16, batch = 2 }
      os.remove(path)
      for _ = 1, 6 do
        if not batches:next() then batches:next() end
        local before = {}
        for i, name in ipairs(model:tensors()) do before[i] = model:tensor(name) end
        local loss, norm = model:train_step(batches, { rate = 1.0, clip = 0.0 })
        for i, name in ipairs(model:tensors()) do
          local after = model:tensor(name)
          if not loss then assert.same(before[i], after) end
          for _, x in ipairs(after) do assert.is_true(x == x and math.abs(x) < math.huge) end
        end
        if loss then
          assert.is_true(loss == loss and norm == norm)
        else
          assert.matches("training diverged", norm)
        end
      end
    end
  end)

  it("leave what is carried on and dropout where they were before the step", function()
    for _, options in ipairs { { hidden = 8, layers = 2, encoder = 4, dropout = 0.4 },
      { preset = "neuraldrummer2023", hidden = 8, layers = 2, dropout = 0.4 } } do
      local function run(disturbed)
        local model <close> = core.model(options)
        local corpus <close>, path = tiny.corpus(model:tokeniser(), { { song, "train" },
          { song, "train" } })
        local batches <close> = corpus:batches { model = model, steps = 16, batch = 2 }
        os.remove(path)
        local list = {}
        for i = 1, 8 do
          if not batches:next() then batches:next() end
          if i == 3 and disturbed then
            local former = {}
            for _, name in ipairs(model:tensors()) do former[name] = model:tensor(name) end
            blow_up(model, 3e38)
            local loss, message = model:train_step(batches)
            assert.is_nil(loss)
            assert.matches("training diverged", message)
            for name, values in pairs(former) do model:set_tensor(name, values) end
          elseif i ~= 3 then
            list[#list + 1] = { model:train_step(batches, { rate = 1e-2 }) }
          end
        end
        for _, name in ipairs(model:tensors()) do list[#list + 1] = model:tensor(name) end
        return list
      end
      assert.same(run(false), run(true))
    end
  end)
end)

describe("the same bytes come out", function()
  local folder
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)
  local function digest(times, threads)
    local status, out, err = shell.sh(("env %s lua5.4 spec/support/same.lua %s %d %d"):format(
      faulty.paths(), folder, times, threads))
    assert.equal("", err)
    assert.equal(0, status, out)
    return out
  end

  local times <const> = faulty.sanitized and 2 or 20  -- sanitizers take their time

  it("twenty times in one process, with one thread and with two", function()
    assert.equal(digest(times, 1), digest(times, 2))
  end)

  it("in twenty fresh processes, with one thread and with two", function()
    for threads = 1, 2 do
      local first = digest(1, threads)
      for _ = 2, times do assert.equal(first, digest(1, threads)) end
    end
  end)
end)
