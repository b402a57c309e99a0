-- Rocks by LuaRocks: built, packed, installed, removed, tested; offline, with
-- no variable set by hand.
local shell = require "spec.support.shell"

-- No way out: every address is a proxy that is not there. BUILD: what is
-- compiled already is not compiled again.
local OFFLINE <const> = "env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u LUA_PATH -u LUA_CPATH "
  .. "http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 BUILD=%s "
local here = shell.sh "command -v luarocks" == 0

describe("a rock", function()
  local folder, build
  setup(function()
    folder = shell.folder()
    build = folder .. "/build"
    shell.run("cp", "-a", shell.build, build)
    assert(dofile "examples/songs/waltz.lua":save(folder .. "/song.mid"))
  end)
  teardown(function() shell.remove(folder) end)

  local function rocks(at, words)
    local status, out, err = shell.sh(("cd %s && %s luarocks --lua-version 5.4 %s"):format(
      shell.quote(at), OFFLINE:format(build), words))
    assert.equal(0, status, out .. err)
    return out .. err
  end

  local function files(tree, also)
    local _, out = shell.sh(("cd %s && find . -type f %s | sort"):format(shell.quote(tree),
      also or ""))
    return out
  end

  -- It drums from a folder that is none of its own, and finds what comes along.
  local function works(tree)
    local elsewhere = folder .. "/elsewhere"
    shell.run("mkdir", "-p", elsewhere)
    local status, out, err = shell.sh(("cd %s && %s %s/bin/neuraldrummer drum ../song.mid "
      .. "--kit-out roland-td -o out.mid"):format(elsewhere, OFFLINE:format(build), tree))
    assert.same({ 0, "" }, { status, err })
    assert.matches("^out.mid: ", out)
    status, out = shell.sh(("cd / && LUA_PATH='%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua'"
      .. " LUA_CPATH='%s/lib/lua/5.4/?.so' lua5.4 -e %s"):format(tree, tree, tree, shell.quote [[
        print(require "neuraldrummer".default_model())
        print(require "neuraldrummer.kits".load "ezdrummer".path)]]))
    assert.equal(0, status)
    assert.equal(("%s/share/lua/5.4/neuraldrummer/models/drummer.safetensors\n"
      .. "%s/share/lua/5.4/neuraldrummer/kits/ezdrummer.kit\n"):format(tree, tree), out)
    assert.equal(files("lua", "-name '*.lua' -o -name '*.kit'"),
      files(tree .. "/share/lua/5.4", "-name '*.lua' -o -name '*.kit'"))
    assert.equal(files "models", files(tree .. "/share/lua/5.4/neuraldrummer/models"))
    assert.equal("./core.so\n", files(tree .. "/lib/lua/5.4/neuraldrummer"))
  end

  it("is made in a checkout, packed, installed in an empty tree, and leaves nothing", function()
    if not here then return pending "no luarocks here" end
    rocks(shell.root, ("--tree %s/one make neuraldrummer-dev-1.rockspec"):format(folder))
    works(folder .. "/one")
    rocks(folder, ("--tree %s/one pack neuraldrummer"):format(folder))
    rocks(folder, ("--tree %s/one remove neuraldrummer"):format(folder))
    assert.equal("", files(folder .. "/one", "-not -name manifest"))
    local rock = shell.sh(("ls %s/*.rock"):format(folder)) == 0
      and select(2, shell.sh(("ls %s/*.rock"):format(folder))):match "[^\n]+"
    assert.matches("/neuraldrummer%-dev%-1%.linux%-[%w_]+%.rock$", rock)
    rocks(folder, ("--tree %s/two install %s"):format(folder, rock))
    works(folder .. "/two")
  end)

  it("of a release is made of its sources", function()
    if not here then return pending "no luarocks here" end
    local status, out, err = shell.sh(("%s make --no-print-directory dist BUILD=%s"):format(
      OFFLINE:format(build), build))
    assert.equal(0, status, out .. err)
    local version = require "neuraldrummer".version
    rocks(folder, ("--tree %s/three install %s/dist/neuraldrummer-%s-1.src.rock"):format(folder,
      build, version))
    works(folder .. "/three")
    assert.matches(("neuraldrummer\n   %s%%-1 "):format(version:gsub("%p", "%%%0")),
      rocks(folder, ("--tree %s/three list"):format(folder)))
  end)

  it("runs its specs", function()
    if not here then return pending "no luarocks here" end
    assert.matches("\n%d+ passed, 0 failed\n",
      rocks(shell.root, "test neuraldrummer-dev-1.rockspec -- SPEC=spec/init_spec.lua"))
  end)

  it("says the same for a checkout and for a release", function()
    local function read(path)
      local spec = {}
      assert(loadfile(path, "t", spec))()
      return spec
    end
    local version = require "neuraldrummer".version
    local dev = read "neuraldrummer-dev-1.rockspec"
    local release = read(("neuraldrummer-%s-1.rockspec"):format(version))
    assert.equal(version .. "-1", release.version)
    assert.equal(("neuraldrummer-%s.tar.gz"):format(version), release.source.url)
    dev.version, dev.source, release.version, release.source = nil, nil, nil, nil
    assert.same(dev, release)
  end)
end)
