-- Which kernels OpenBLAS and we ourselves use, each case in a process of its own:
-- the choice is made once in a process.
local json = require "dkjson"
local shell = require "spec.support.shell"

local function lua(code, environment, cpath)
  local path = os.tmpname()
  shell.write(path, code)
  local status, out, err = shell.sh(("env -u OPENBLAS_CORETYPE %s LUA_PATH=%s LUA_CPATH=%s "
    .. "lua5.4 %s"):format(environment or "", shell.quote(package.path),
    shell.quote(cpath or package.cpath), path))
  os.remove(path)
  assert.equal("", err)
  assert.equal(0, status)
  return out
end

-- The features that the system says the CPU has, by our names.
local function flags()
  local text = shell.exists "/proc/cpuinfo" and shell.read "/proc/cpuinfo" or ""
  local found, line = {}, text:match "\nflags%s*:([^\n]*)" or ""
  for flag in line:gmatch "%S+" do found[flag:gsub("sse4_2", "sse4.2")] = true end
  return found
end

-- Whether this OpenBLAS does as it is told.
local function obeys()
  return lua([[print(require "neuraldrummer.core".cpu().blas)]], "OPENBLAS_CORETYPE=Nehalem")
    == "Nehalem\n"
end

describe("the CPU", function()
  local core, cpu = require "neuraldrummer.core", require "neuraldrummer.cpu"

  it("has what the system says", function()
    local has, ours = flags(), {}
    for _, name in ipairs(core.cpu().features) do ours[name] = true end
    for _, name in ipairs { "sse4.2", "avx", "avx2", "fma", "avx512f", "avx512cd", "avx512dq",
      "avx512bw", "avx512vl" } do
      assert.equal(has[name] or false, ours[name] or false, name)
    end
  end)

  it("is never taken to have kernels that it lacks", function()
    local has = flags()
    local _, fits = cpu.told()
    local needs = { SkylakeX = { "avx2", "fma", "avx512f", "avx512cd", "avx512dq", "avx512bw",
      "avx512vl" }, Haswell = { "avx2", "fma" } }
    for _, name in ipairs(fits and needs[fits] or {}) do assert.is_true(has[name]) end
    if not fits then assert.falsy(has.avx2 and has.fma) end
    local packed = core.cpu().packed
    assert.is_true(packed == "blas" or packed == "avx2" and has.avx2
      or packed == "avx512" and has.avx512f)
  end)
end)

describe("OpenBLAS", function()
  it("is told which kernels fit the CPU, and nobody else is", function()
    local _, fits = require "neuraldrummer.cpu".told()
    if not fits or not obeys() then return pending "it chooses by itself" end
    local out = lua [[
      local nd = require "neuraldrummer"
      print(require "neuraldrummer.core".cpu().blas, (require "neuraldrummer.cpu".told()))
      print(os.getenv "OPENBLAS_CORETYPE")
      print(io.popen "env | grep -c OPENBLAS_CORETYPE; true":read "a")]]
    assert.equal(("%s\t%s\nnil\n0\n\n"):format(fits, fits), out)
  end)

  it("does as the user said", function()
    if not obeys() then return pending "it chooses by itself" end
    local out = lua([[
      local nd = require "neuraldrummer"
      print(require "neuraldrummer.core".cpu().blas, (require "neuraldrummer.cpu".told()))
      print(os.getenv "OPENBLAS_CORETYPE")]], "OPENBLAS_CORETYPE=Nehalem")
    assert.equal("Nehalem\tnil\nNehalem\n", out)
  end)

  it("is told once, while it is loaded, even where that fails", function()
    local _, fits = require "neuraldrummer.cpu".told()
    if not fits then return pending "no kernels that fit this CPU" end
    local out = lua [[
      local cpu = require "neuraldrummer.cpu"
      print((cpu.told()))
      print(pcall(cpu.load, function(...)
        print(os.getenv "OPENBLAS_CORETYPE", os.getenv "HOME" ~= nil, ...)
        error("no library", 0)
      end, 1))
      print(os.getenv "OPENBLAS_CORETYPE", (cpu.told()))
      print(cpu.load(function() return os.getenv "OPENBLAS_CORETYPE" end))
      print(pcall(cpu.load, 1))]]
    assert.equal(("nil\n%s\ttrue\t1\nfalse\tno library\nnil\t%s\nnil\n"):format(fits, fits)
      .. "false\tbad argument #1 to 'neuraldrummer.cpu.load' (function expected, got number)\n",
      out)
  end)

  it("is loaded without the module that knows the CPU, too", function()
    local folder = shell.folder()
    shell.run("mkdir", "-p", folder .. "/neuraldrummer")
    shell.run("cp", shell.build .. "/lib/neuraldrummer/core.so", folder .. "/neuraldrummer")
    assert.equal("true\ttrue\n", lua([[
      local nd = require "neuraldrummer"
      print(require "neuraldrummer.core".cpu().blas ~= "", nd.model.new() ~= nil)]], nil,
      folder .. "/?.so"))
    shell.remove(folder)
  end)
end)

describe("info --cpu", function()
  local function info(environment, ...)
    local words = { "env", "-u", "OPENBLAS_CORETYPE", "-u", "NEURALDRUMMER_KERNELS" }
    for word in environment:gmatch "%S+" do words[#words + 1] = word end
    words[#words + 1] = shell.build .. "/bin/neuraldrummer"
    words[#words + 1] = "info"
    for _, word in ipairs { ... } do words[#words + 1] = word end
    return shell.run(table.unpack(words))
  end

  it("says what is used, and why", function()
    local status, out, err = info("", "--cpu")
    assert.same({ 0, "" }, { status, err })
    assert.matches("^cpu: .*\nOpenBLAS: kernels %w+: .*\nproducts by packed weights: .*\n"
      .. "element%-wise loops: %S+\n$", out)
    out = select(2, info("NEURALDRUMMER_KERNELS=blas", "--cpu"))
    assert.matches("\nproducts by packed weights: none, OpenBLAS does them, "
      .. "NEURALDRUMMER_KERNELS being blas\n", out)
  end)

  it("says whose choice OpenBLAS's kernels are", function()
    if not obeys() then return pending "it chooses by itself" end
    local _, out = info("OPENBLAS_CORETYPE=Nehalem", "--cpu", "--json")
    local facts = json.decode(out)
    assert.same({ "cpu", "Nehalem", "OPENBLAS_CORETYPE is Nehalem" },
      { facts.kind, facts.blas, facts.why })
    assert.is_nil(facts.told)
    facts = json.decode((select(2, info("", "--cpu", "--json"))))
    if not facts.fits then return end
    assert.equal(facts.fits, facts.told)
    assert.equal("the fastest that fit the CPU, of which OpenBLAS was told", facts.why)
  end)

  it("takes no file, and without it one is needed", function()
    local function refused(message, ...)
      local status, out, err = info("", ...)
      assert.same({ 2, "", "neuraldrummer: " .. message .. "\n" }, { status, out, err })
    end
    refused("option '--cpu': is of this machine, and takes no FILE", "--cpu", "song.mid")
    refused "a FILE is needed, or --cpu"
    refused("option '--plot': of the CPU there is nothing to draw", "--cpu", "--plot", "x.png")
  end)
end)
