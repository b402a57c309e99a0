-- The products by packed weights, for each instruction set that this CPU has,
-- against BLAS's. (Against the naive network: net_spec and gradient_spec.)
local core = require "neuraldrummer.core"
local formula = require "spec.support.formula"
local shell = require "spec.support.shell"

--- What products.lua prints, by the kernels of that name.
local function run(kernels, threads)
  local status, out, err = shell.sh(
    ("NEURALDRUMMER_KERNELS=%s LUA_PATH=%s LUA_CPATH=%s lua5.4 spec/support/products.lua %d")
    :format(kernels, shell.quote(package.path), shell.quote(package.cpath), threads))
  assert.equal(0, status, err)
  return out
end

local function parse(text)
  local tensors, names = {}, {}
  for name, line in text:gmatch "(%S+)\t([^\n]+)" do
    local values = {}
    for word in line:gmatch "%S+" do values[#values + 1] = tonumber(word) end
    tensors[name], names[#names + 1] = values, name
  end
  return tensors, names
end

describe("products by packed weights", function()
  local blas, names = parse(run("blas", 1))

  for _, kernels in ipairs { "avx512", "avx2" } do
    it("equal BLAS's but for rounding: " .. kernels, function()
      local ours = parse(run(kernels, 1))
      assert.is_true(#names > 30)
      for _, name in ipairs(names) do
        assert.equal(#blas[name], #ours[name])
        local difference, length = 0, 0
        for i, want in ipairs(blas[name]) do
          difference = difference + (ours[name][i] - want) ^ 2
          length = length + want ^ 2
        end
        assert.is_true(math.sqrt(difference) <= 5e-6 * math.sqrt(length),
          ("%s is off by %.3g of %.3g"):format(name, math.sqrt(difference), math.sqrt(length)))
      end
    end)
  end

  it("come out the same every time, and losses for any number of threads", function()
    local one, three = run("avx512", 1), run("avx512", 3)
    assert.equal(one, run("avx512", 1))
    assert.equal(three, run("avx512", 3))
    local a, b = parse(one), parse(three)
    for _, name in ipairs(names) do
      if name:find "loss" or name:find "next" then assert.equal(a[name][1], b[name][1]) end
    end
  end)
end)

describe("activations", function()
  it("let a value that is no number through to where it is noticed", function()
    local size = { steps = 3, batch = 2, inputs = 8, voices = 2 }
    local model <close> = core.model { preset = "drummer", layers = 1, hidden = 20, dropout = 0,
      inputs = size.inputs, voices = size.voices }
    formula.fill(model)
    -- inputs and state pull to infinities of opposite sign, whose sum is none
    for name, value in pairs { ["lstm.1.wx"] = 3e38, ["lstm.1.wh"] = -3e38 } do
      local values = model:tensor(name)
      for i = 1, #values do values[i] = value end
      model:set_tensor(name, values)
    end
    local spec = formula.batch(0, size)
    for i = 1, #spec.x do spec.x[i] = 4 end
    local batch <close> = core.batch(model, spec)
    batch:next()
    local loss, message = model:train_step(batch, { rate = 1 })
    assert.is_nil(loss)
    assert.equal("training diverged: the loss is not finite", message)
  end)
end)
