local shell = require "spec.support.shell"

-- A Lua of its own with nothing but the given places to find modules.
local function lua(code, path, cpath, folder)
  path = path or shell.root .. "/lua/?.lua;" .. shell.root .. "/lua/?/init.lua;;"
  return shell.sh(("cd %s && LUA_PATH=%s LUA_CPATH=%s lua5.4 -e %s"):format(
    shell.quote(folder or shell.root), shell.quote(path),
    shell.quote(cpath or shell.build .. "/lib/?.so;;"), shell.quote(code)))
end

describe("neuraldrummer", function()
  local folder
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  it("has the engine's version", function()
    local nd = require "neuraldrummer"
    assert.equal(shell.read("csrc/base/nd.h"):match 'ND_VERSION "([^"]+)"', nd.version)
  end)

  it("loads its other modules when they are first used", function()
    local _, out = lua [[
      local nd = require "neuraldrummer"
      print(package.loaded["neuraldrummer.generate"])
      print(nd.generate == require "neuraldrummer.generate", nd.train.run ~= nil)
      print(nd.nothing, rawget(nd, "kits"))
      local names = {}
      for name, value in pairs(nd) do names[name] = value end
      print(names.kits == require "neuraldrummer.kits", names.song == nd.song, names.drafts)]]
    assert.equal("nil\ntrue\ttrue\nnil\tnil\ntrue\ttrue\tnil\n", out)
  end)

  it("does without the libraries of the tool", function()
    local _, out = lua [[
      for _, name in ipairs { "lfs", "argparse", "dkjson" } do
        package.preload[name] = function() error("no " .. name) end
      end
      local nd = require "neuraldrummer"
      print(nd.generate.drum ~= nil, nd.plot.song ~= nil, next(nd) ~= nil)
      for _ in pairs(nd) do end]]
    assert.equal("true\ttrue\ttrue\n", out)
  end)

  it("refuses another Lua before it loads C", function()
    local _, out = lua [[
      _VERSION = "Lua 5.3"
      print(pcall(require, "neuraldrummer"))
      print(package.loaded["neuraldrummer.core"])]]
    assert.matches("false\t.*neuraldrummer needs Lua 5.4, and this is Lua 5.3", out)
    assert.matches("nil\n$", out)
  end)

  it("does without MPI, and says how training with other processes comes by it", function()
    local lib = folder .. "/without/neuraldrummer"
    shell.run("mkdir", "-p", lib)
    shell.run("cp", shell.build .. "/lib/neuraldrummer/core.so", lib)
    local _, out = lua([[print(require "neuraldrummer".join())]], nil, folder .. "/without/?.so")
    assert.equal("nil\tseveral processes cannot train together without the module "
      .. "neuraldrummer.mpi: `make MPI=1` builds it, with Open MPI (packages openmpi-bin and "
      .. "libopenmpi-dev)\n", out)
    shell.write(lib .. "/mpi.so", "no library")
    _, out = lua([[print(require "neuraldrummer".join())]], nil, folder .. "/without/?.so")
    assert.matches("^nil\tseveral processes .* neuraldrummer.mpi: .*mpi.so: ", out)
  end)

  it("finds its model from where it is installed", function()
    local module = folder .. "/share/neuraldrummer"
    shell.run("mkdir", "-p", module)
    shell.sh(("cp lua/neuraldrummer/*.lua %s"):format(module))
    local path = folder .. "/share/?.lua;" .. folder .. "/share/?/init.lua"
    local code = [[print(require "neuraldrummer".default_model())]]
    local _, out = lua(code, path)
    assert.equal(("nil\tno model: models/drummer.safetensors is not in %s/\n"):format(module), out)
    shell.run("mkdir", module .. "/models")
    shell.write(module .. "/models/drummer.safetensors", "")
    _, out = lua(code, path)
    assert.equal(module .. "/models/drummer.safetensors\n", out)
  end)

  it("is as the README shows", function()
    local code = assert(shell.read("README.md"):match "\n```lua\n(.-)\n```\n")
    local home = folder .. "/readme"
    shell.run("mkdir", home)
    assert(dofile("examples/songs/waltz.lua"):save(home .. "/song.mid", { drums = false }))
    local status, _, err = lua(code, nil, nil, home)
    assert.equal("", err)
    assert.equal(0, status)
    assert.equal("MThd", shell.read(home .. "/combined.mid"):sub(1, 4))
  end)
end)

describe("options", function()
  local check = require "neuraldrummer.options".check
  local known = { rate = "number", epochs = "integer", out = "string|table" }
  local function use(given)
    return function() check(given, known) end
  end

  it("are known by name", function()
    assert.no_error(use(nil))
    assert.no_error(use { rate = 1, epochs = 2, out = {} })
    assert.error_matches(use { epoch = 1 }, "unknown option 'epoch'; did you mean 'epochs'%?")
    assert.error_matches(use { [1] = 1 }, "unknown option '1'")
  end)

  it("are of the right type", function()
    assert.error_matches(use { epochs = 1.5 }, "option 'epochs': integer is needed, got number")
    assert.error_matches(use { out = 1 }, "option 'out': string or table is needed, got number")
    assert.error_matches(use(3), "options: a table is needed, got number")
  end)
end)
