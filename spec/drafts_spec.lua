-- Drafts: several takes, of which the one is kept that fits the song best.
local core = require "neuraldrummer.core"
local generate = require "neuraldrummer.generate"
local json = require "dkjson"
local score = require "neuraldrummer.score"
local shell = require "spec.support.shell"
local tiny = require "spec.support.tiny"

describe("drafts", function()
  local folder, song, model, weights

  setup(function()
    folder = shell.folder()
    song, weights = folder .. "/song.mid", folder .. "/model.safetensors"
    assert(tiny.song { patterns = {
      { bass = "x..x..x...x.....", lead = "x...x...x...x..." },
      { bass = "x.......x.x..x..", lead = "....x.......x..." },
    }, bars = 6 }:save(song))
    model = core.model { hidden = 8, layers = 1, encoder = 4, seed = 3 }
    assert(model:save(weights))
  end)
  teardown(function() shell.remove(folder) end)

  local function drum(options)
    options.model = options.model or model
    return assert(generate.drum(song, options))
  end

  it("are the takes of one seed after another; the one with the best score is kept", function()
    local result = drum { seed = 5, drafts = 4, out = folder .. "/best.mid" }
    assert.equal(4, #result.drafts)
    local best = -math.huge
    for k, draft in ipairs(result.drafts) do
      local alone = drum { seed = 4 + k, humanise = 0 }
      assert.equal(4 + k, draft.seed)
      assert.equal(alone.hits, draft.hits)
      assert.near(assert(score.rank(model, { alone.drums })[1]), draft.rank, 1e-9)
      best = math.max(best, draft.rank)
    end
    local taken = result.drafts[result.seed - 4]
    assert.equal(best, taken.rank)
    assert.equal(drum { seed = result.seed }.song:bytes(), shell.read(folder .. "/best.mid"))
    assert.is_false(result.identical)
    local again = drum { seed = 5, drafts = 4 }
    assert.equal(result.song:bytes(), again.song:bytes())
  end)

  it("may all be kept", function()
    local done = {}
    local result = drum { seed = 2, drafts = 3, all_drafts = true, out = folder .. "/all.mid",
      on_progress = function(k, n) done[k] = n end }
    assert.same({ 3, 3, 3 }, done)
    for k, draft in ipairs(result.drafts) do
      assert.equal(("%s/all.seed-%d.mid"):format(folder, 1 + k), draft.out)
      assert.equal(drum { seed = 1 + k }.song:bytes(), shell.read(draft.out))
    end
    assert.equal(shell.read(("%s/all.seed-%d.mid"):format(folder, result.seed)),
      shell.read(folder .. "/all.mid"))
  end)

  it("need something to judge", function()
    local silent = core.model { hidden = 4, layers = 1, encoder = 0 }
    local bias = silent:tensor "out.b"
    for v = 1, #bias do bias[v] = -90 end
    silent:set_tensor("out.b", bias)
    local result = drum { model = silent, drafts = 2 }
    assert.is_nil(result.drafts[1].rank)
    assert.equal(1, result.seed)
    assert.is_true(result.identical)
  end)

  it("are asked for in words that make sense", function()
    local function refused(pattern, options)
      options.model = model
      local ok, message = pcall(generate.drum, song, options)
      assert.is_false(ok)
      assert.matches(pattern, message)
    end
    refused("^option 'drafts': 0 is not between 1 and 256$", { drafts = 0 })
    refused("^option 'all_drafts': needs the option 'drafts', and an output file",
      { all_drafts = true, out = "x" })
    refused("^option 'all_drafts': needs", { all_drafts = true, drafts = 2 })
    refused("^option 'vary': it varies the grooves of sections that return, but these are played "
      .. "anew$", { vary = 0.5, returns = false })
    refused("^option 'keep_drums': the hits that 'bars' keeps would be there twice",
      { bars = "1", keep_drums = true })
  end)

  it("are a command's", function()
    local out = folder .. "/told.mid"
    local status, said, err, _ = shell.run(shell.tool, "drum", song, "--model", weights, "-o", out,
      "--drafts", "3", "--seed", "7", "--all-drafts", "--swing", "0.5")
    assert.equal("", err)
    assert.equal(0, status)
    for seed = 7, 9 do
      assert.matches(("\n[ *] seed %d: [+-]%%d%%.%%d%%d%%d bits a hit, %%d+ hits, %s\n"):format(
        seed, (("%s/told.seed-%d.mid"):format(folder, seed):gsub("%p", "%%%0"))), said)
    end
    assert.equal(1, select(2, said:gsub("\n%* seed ", "")))
    status, said = shell.run(shell.tool, "drum", song, "--model", weights, "-o", out, "--drafts",
      "3", "--seed", "7", "--json")
    assert.equal(0, status)
    local facts = json.decode(said)
    assert.equal(3, #facts.drafts)
    assert.is_true(facts.seed >= 7 and facts.seed <= 9)
    status, _, err = shell.run(shell.tool, "drum", song, "--model", weights, "-o", out, "--drafts",
      "2", "--cutoff", "0.3")
    assert.equal(0, status)
    assert.equal("neuraldrummer: the 2 drafts are identical, because no hit was sampled\n", err)
    status, _, err = shell.run(shell.tool, "drum", song, "--model", weights, "--swing", "2")
    assert.equal(2, status)
    assert.matches("^neuraldrummer: option 'swing': '2' is not a number from 0 to 1 or song", err)
  end)
end)
