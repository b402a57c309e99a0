local shell = require "spec.support.shell"

-- Without the flags and the job server of the make that runs the specs.
local CLEAN = "env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u LUA_PATH -u LUA_CPATH "

describe("make", function()
  local folder, song
  setup(function()
    folder = shell.folder()
    song = folder .. "/song.mid"
    assert(dofile "examples/songs/waltz.lua":save(song))
  end)
  teardown(function() shell.remove(folder) end)

  local function make(words)
    return shell.sh(("%s make --no-print-directory BUILD=%s %s"):format(CLEAN,
      shell.quote((shell.build:gsub("^" .. shell.root:gsub("%p", "%%%0") .. "/", ""))), words))
  end

  -- The Lua files below a folder.
  local function lua_files(at)
    local _, out = shell.sh(("cd %s && find . -name '*.lua' | sort"):format(shell.quote(at)))
    return out
  end

  -- What the module that is installed in a tree takes for its model.
  local function default_model(tree)
    local status, out = shell.sh(("cd / && %s LUA_PATH=%s LUA_CPATH=%s lua5.4 -e %s"):format(CLEAN,
      shell.quote(tree .. "/share/lua/5.4/?.lua;" .. tree .. "/share/lua/5.4/?/init.lua"),
      shell.quote(tree .. "/lib/lua/5.4/?.so"),
      shell.quote [[print(require "neuraldrummer".default_model())]]))
    assert.equal(0, status)
    return out
  end

  it("builds nothing the second time", function()
    assert.equal(0, (make "all"))
    local status, out = make "all"
    assert.equal(0, status)
    assert.not_matches(" -o ", out)
  end)

  it("writes the Lua reference and the manual page", function()
    assert.equal(0, (make "doc"))
    assert.matches("<h3 id=\"song:ppq\">", shell.read(shell.build .. "/doc/reference.html"))
    assert.matches("^%.TH NEURALDRUMMER 1 ", shell.read(shell.build .. "/doc/neuraldrummer.1"))
  end)

  it("exports nothing but the opener, and links OpenBLAS and no libsmf or glib", function()
    if shell.sh "command -v nm objdump readelf" ~= 0 then return pending "no nm here" end
    local path = shell.build .. "/lib/neuraldrummer/core.so"
    local _, symbols = shell.run("nm", "-D", "--defined-only", path)
    local found = {}
    for symbol in symbols:gmatch "%w+ [TDBRV] ([%w_]+)" do found[#found + 1] = symbol end
    assert.same({ "luaopen_neuraldrummer_core" }, found)
    local _, needs = shell.run("objdump", "-p", path)
    assert.matches("NEEDED +%S*openblas", needs)
    -- libsmf is inside, in its sandbox, and glib nowhere
    for _, library in ipairs { "lua", "smf", "glib" } do
      assert.not_matches("NEEDED +lib" .. library, needs)
    end
    local _, flags = shell.run("readelf", "-d", path)
    assert.matches("NODELETE", flags)
  end)

  it("installs what runs from any folder with its model", function()
    local root = folder .. "/root"
    local status, _, err = make("install DESTDIR=" .. root .. " PREFIX=/opt/nd")
    assert.equal("", err)
    assert.equal(0, status)
    assert.is_true(shell.exists(root .. "/opt/nd/lib/lua/5.4/neuraldrummer/core.so"))
    assert.equal(lua_files "lua", lua_files(root .. "/opt/nd/share/lua/5.4"))
    shell.run("mv", root .. "/opt/nd", folder .. "/nd")
    local out
    status, out, err = shell.sh(("cd %s && %s nd/bin/neuraldrummer drum song.mid -o out.mid")
      :format(folder, CLEAN))
    assert.equal("", err)
    assert.equal(0, status)
    assert.matches("^out.mid: ", out)
    assert.equal(folder .. "/nd/share/lua/5.4/neuraldrummer/models/drummer.safetensors\n",
      default_model(folder .. "/nd"))
    assert.matches("^%.TH NEURALDRUMMER 1 ",
      shell.read(folder .. "/nd/share/man/man1/neuraldrummer.1"))
    for _, page in ipairs { "bash-completion/completions/neuraldrummer",
      "zsh/site-functions/_neuraldrummer", "fish/vendor_completions.d/neuraldrummer.fish" } do
      assert.matches("neuraldrummer", shell.read(folder .. "/nd/share/" .. page))
    end
  end)
end)

describe(".ci/deps", function()
  local folder
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  it("has nothing to say when nothing is missing", function()
    for _, mode in ipairs { "check", "install" } do
      assert.same({ 0, "", "" }, { shell.run(".ci/deps", mode, "lua5.4", "lua-dkjson", "make") })
    end
  end)

  it("names what is missing", function()
    local status, out, err = shell.run(".ci/deps", "check", "lua5.4", "frobnicate", "zonk")
    assert.equal(1, status)
    assert.equal("", out)
    assert.equal("Missing (names of Debian packages): frobnicate zonk. `make deps` installs them "
      .. "with apt.\n", err)
  end)

  it("names it, and stops, where there is no apt", function()
    local status, out, err = shell.sh(("PATH=%s /bin/sh .ci/deps install frobnicate sh")
      :format(folder))
    assert.equal(1, status)
    assert.equal("", out)
    assert.equal("Please install (names as in Debian): frobnicate sh\n", err)
  end)

  it("says what it installs, and installs that alone", function()
    -- an apt-get that makes the programs it is asked for
    local bin = folder .. "/bin"
    shell.run("mkdir", bin)
    for _, name in ipairs { "sh", "env", "id", "touch", "chmod" } do
      shell.sh(("ln -s $(command -v %s) %s/%s"):format(name, bin, name))
    end
    shell.write(bin .. "/apt-get", ('#!/bin/sh\necho "$@" >>%s/log\n'):format(folder)
      .. 'for word; do case $word in frob*) touch "$0-$word"; p=${0%/*}/$word;'
      .. ' touch "$p"; chmod 755 "$p";; esac; done\n')
    shell.write(bin .. "/apt-cache", "#!/bin/sh\nexit 0\n")
    shell.write(bin .. "/sudo", '#!/bin/sh\nexec "$@"\n')
    shell.sh(("chmod 755 %s/*"):format(bin))
    local line = ("PATH=%s /bin/sh .ci/deps install frobnicate sh frob2"):format(bin)
    assert.same({ 0, "Installing packages: frobnicate frob2\n", "" }, { shell.sh(line) })
    assert.matches("install %-y %-%-no%-install%-recommends frobnicate frob2\n$",
      shell.read(folder .. "/log"))
    assert.same({ 0, "", "" }, { shell.sh(line) })
  end)
end)

describe("the runner of the specs", function()
  local folder
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  local function run(name, code)
    local path = shell.write(("%s/%s_spec.lua"):format(folder, name), code)
    local status, out = shell.sh(("PRELOAD= lua5.4 spec/run.lua lua5.4 %s %s"):format(folder, path))
    return status, out:match "([^\n]*)\n$"
  end

  it("counts what passed and what failed", function()
    assert.same({ 0, "2 passed, 0 failed" }, { run("good", [[describe("x", function()
      it("a", function() end) it("b", function() end) pending "c" end)]]) })
    assert.same({ 1, "1 passed, 2 failed" }, { run("bad", [[describe("x", function()
      it("a", function() end) it("b", function() assert.equal(1, 2) end)
      it("c", function() error "d" end) end)]]) })
  end)

  it("takes specs that don't load, crash, leave or are none for failures", function()
    assert.same({ 1, "0 passed, 1 failed" }, { run("syntax", "describe(") })
    assert.same({ 1, "1 passed, 1 failed" }, { run("setup", [[describe("x", function()
      it("a", function() end) end)
      describe("y", function() setup(function() error "z" end) it("b", function() end) end)]]) })
    assert.same({ 1, "1 passed, 1 failed" }, { run("crash", [[describe("x", function()
      it("a", function() end) it("b", function() io.popen "kill -9 $PPID":close() end) end)]]) })
    assert.same({ 1, "1 passed, 1 failed" }, { run("exit", [[describe("x", function()
      it("a", function() end) it("b", function() os.exit(true) end) end)]]) })
    assert.same({ 1, "0 passed, 1 failed" }, { run("none", "") })
  end)

  it("removes what specs leave in temporary files, also where they crash", function()
    local list = folder .. "/list"
    assert.same({ 1, "0 passed, 1 failed" }, { run("leaves", ([[
      local temporary = require "spec.support.temporary"
      local list <close> = assert(io.open(%q, "w"))
      local inner = temporary.folder() .. "/inner"
      assert(require "lfs".mkdir(inner))
      assert(io.open(inner .. "/file", "w")):close()
      list:write(inner, "\n")
      local pipe = io.popen "mktemp"
      list:write(pipe:read "a")
      pipe:close()
      list:close()
      io.popen "kill -9 $PPID":close()]]):format(list)) })
    local paths = 0
    for path in io.lines(list) do
      assert.is_false(shell.exists(path))
      paths = paths + 1
    end
    assert.equal(2, paths)
  end)
end)
