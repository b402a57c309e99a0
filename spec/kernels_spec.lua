-- The matrix products with packed weights, for each instruction set that this CPU has,
-- against BLAS's. (Against the naive network: net_spec and gradient_spec.) Also
-- which kernels are chosen, as core.cpu and `info --cpu` report it.
local json = require "dkjson"
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

describe("matrix products with packed weights", function()
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

describe("the CPU", function()
  -- The features that the system lists, by our names.
  local function flags()
    local text = shell.exists "/proc/cpuinfo" and shell.read "/proc/cpuinfo" or ""
    local found, line = {}, text:match "\nflags%s*:([^\n]*)" or ""
    for flag in line:gmatch "%S+" do found[flag:gsub("sse4_2", "sse4.2")] = true end
    return found
  end

  it("has the features that the system lists", function()
    local has, ours = flags(), {}
    for _, name in ipairs(core.cpu().features) do ours[name] = true end
    for _, name in ipairs { "sse4.2", "avx", "avx2", "fma", "avx512f", "avx512cd", "avx512dq",
      "avx512bw", "avx512vl" } do
      assert.equal(has[name] or false, ours[name] or false, name)
    end
  end)

  it("is given no kernels that it cannot run", function()
    local has, cpu = flags(), core.cpu()
    local needs = { default = {}, ["x86-64-v3"] = { "avx2", "fma" },
      ["x86-64-v4"] = { "avx2", "fma", "avx512f", "avx512cd", "avx512dq", "avx512bw", "avx512vl" },
      blas = {}, avx2 = { "avx2", "fma" }, avx512 = { "avx2", "fma", "avx512f" } }
    for _, chosen in ipairs { cpu.loops, cpu.packed } do
      for _, name in ipairs(needs[chosen]) do assert.is_true(has[name], chosen .. ": " .. name) end
    end
  end)
end)

describe("info --cpu", function()
  local function info(environment, ...)
    local words = { "env", "-u", "OPENBLAS_CORETYPE", "-u", "NEURALDRUMMER_KERNELS" }
    for word in environment:gmatch "%S+" do words[#words + 1] = word end
    table.move({ shell.tool, "info", ... }, 1, 2 + select("#", ...), #words + 1, words)
    return shell.run(table.unpack(words))
  end

  it("reports the kernels in use, and why", function()
    local status, out, err = info("", "--cpu")
    assert.same({ 0, "" }, { status, err })
    assert.matches("^cpu: .*\nOpenBLAS: kernels %w+: chosen by OpenBLAS\n"
      .. "matrix products with packed weights: .*\nelement%-wise loops: %S+\n$", out)
    out = select(2, info("NEURALDRUMMER_KERNELS=blas", "--cpu"))
    assert.matches("\nmatrix products with packed weights: none, OpenBLAS computes them, "
      .. "because NEURALDRUMMER_KERNELS is blas\n", out)
  end)

  it("reports the kernels that OPENBLAS_CORETYPE names", function()
    local facts = json.decode((select(2, info("OPENBLAS_CORETYPE=Nehalem", "--cpu", "--json"))))
    if facts.blas ~= "Nehalem" then return pending "this OpenBLAS has one set of kernels" end
    assert.same({ "cpu", "OPENBLAS_CORETYPE is Nehalem" }, { facts.kind, facts.why })
    facts = json.decode((select(2, info("", "--cpu", "--json"))))
    assert.equal("chosen by OpenBLAS", facts.why)
  end)

  it("takes no file, and without it one is needed", function()
    local function refused(message, ...)
      local status, out, err = info("", ...)
      assert.same({ 2, "", "neuraldrummer: " .. message .. "\n" }, { status, out, err })
    end
    refused("option '--cpu': it describes this machine; leave out FILE", "--cpu", "song.mid")
    refused "a FILE is needed, or the option --cpu"
    refused("option '--plot': there is no picture of the CPU", "--cpu", "--plot", "x.png")
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
