local clock = require "neuraldrummer.core".clock
local shell = require "spec.support.shell"

-- A sanitizer's runtime would have to be preloaded into every one of them.
local SANITIZED <const> = (os.getenv "PRELOAD" or "") ~= ""
local CLEAN <const> = "env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS "

local function has(...)
  for _, name in ipairs { ... } do
    if shell.sh("command -v " .. name) ~= 0 then return false end
  end
  return true
end

-- The paths of the module: of the checkout, and of a folder with core.so.
local function paths(lib)
  return ("LUA_PATH=%s LUA_CPATH=%s "):format(
    shell.quote(("%s/lua/?.lua;%s/lua/?/init.lua;;"):format(shell.root, shell.root)),
    shell.quote(lib .. "/?.so;;"))
end

local function run(line)
  local status, out, err = shell.sh(line)
  assert.equal(0, status, out .. err)
  return out
end

describe("products of our own", function()
  it("are OpenBLAS's, whatever the shape", function()
    if not has("cc", "pkg-config") then return pending "no C compiler here" end
    local folder = shell.folder()
    run(("cc -std=c11 -O2 -DND_NO_OPENBLAS -Icsrc $(pkg-config --cflags openblas) "
      .. "spec/support/blas.c csrc/net/gemm.c csrc/net/kernels.c csrc/base/cpu.c csrc/base/half.c "
      .. "csrc/base/nd.c csrc/base/rng.c csrc/base/thread_pool.c "
      .. "-o %s/blas $(pkg-config --libs openblas) -lm -pthread"):format(folder))
    for _, kernels in ipairs { "avx512", "avx2", "blas" } do  -- "blas": the portable ones
      assert.equal("1200 products, 0 differ\n",
        run(("NEURALDRUMMER_KERNELS=%s %s/blas"):format(kernels, folder)))
    end
    shell.remove(folder)
  end)
end)

describe("a step played live", function()
  it("asks for no memory, takes no lock, and reads and writes nothing", function()
    if SANITIZED or not has("cc", "pkg-config") then return pending "no C compiler here" end
    local folder, objects = shell.folder(), {}
    for path in run "ls csrc/*/*.c":gmatch "csrc/(%S+)%.c" do
      if not path:find "^lua/" and not path:find "^mpi/" then
        objects[#objects + 1] = ("%s/obj/%s.o"):format(shell.build, path)
      end
    end
    -- with the flags that the objects are linked with, such as --coverage
    objects[#objects + 1] = shell.build .. "/libsmf/libsmf.a"
    run(("cc -std=gnu11 -O2 -Icsrc spec/support/step.c %s -o %s/step $(pkg-config --libs openblas) "
      .. "-lm $LDFLAGS"):format(table.concat(objects, " "), folder))
    local asked, struck = run(folder .. "/step models/drummer-live.safetensors 2000")
      :match "^(%d+ %d+ %d+) (%d+)"
    assert.equal("0 0 0", asked)
    assert.is_true(tonumber(struck) > 0)
    shell.remove(folder)
  end)
end)

describe("the module that depends on nothing", function()
  local folder, core, libraries
  local static = "$(cc -print-file-name=liblua5.4.a) -lm -ldl"
  setup(function()
    if SANITIZED or not has("cc", "make", "objdump", "nm") then return end
    folder = shell.folder()
    libraries = folder .. "/lib"
    run(CLEAN .. ("make -s -f examples/reaper/Makefile core BUILD=%s REAPER=%s"):format(
      shell.quote(shell.build), folder))
    core = libraries .. "/neuraldrummer/core.so"
  end)
  teardown(function() if folder then shell.remove(folder) end end)

  local function there()
    if not core then pending "nothing to build it with, or a sanitizer" end
    return core ~= nil
  end

  -- A host with a Lua linked in, and what it exports of it.
  local function host(name, words, header)
    local path = folder .. "/" .. name
    run(("cc -std=c11 -O1 $(pkg-config --cflags %s) spec/support/host.c -o %s %s"):format(
      header or "lua5.4", path, words))
    return path
  end

  local SCRIPT <const> = [[
    local nd = require "neuraldrummer"
    local notes = {}
    for beat = 0, 31 do
      notes[#notes + 1] = { tick = beat * 96, duration = 90, pitch = 40 + beat % 5, velocity = 90 }
    end
    local song = nd.song.new { ppq = 96, notes = notes }
    local model = assert(nd.model.load(assert(nd.default_model())))
    local seq = assert(model:tokeniser():encode(song))
    local drums = nd.generator(model, { seed = 7 }):play(seq)
    print((drums:packed_hits():gsub("[^\0]", "x"):gsub("\0", ".")))]]

  local function play(path, count)
    local script = shell.write(folder .. "/play.lua", SCRIPT)
    return run(("cd / && %s %s %d %s"):format(paths(libraries), path, count or 1, script))
  end

  it("needs libc and libm, exports its opener, and of Lua wants the core alone", function()
    if not there() then return end
    local needs = {}
    for name in run("objdump -p " .. core):gmatch "NEEDED +(%S+)" do needs[#needs + 1] = name end
    table.sort(needs)
    assert.same({ "libc.so.6", "libm.so.6" }, needs)
    assert.matches("^%x+ T luaopen_neuraldrummer_core\n$", run("nm -D --defined-only " .. core))
    local wanted = run("nm -D --undefined-only " .. core)
    assert.matches("U lua_newuserdatauv", wanted)
    assert.not_matches("luaL_", wanted)
  end)

  it("reads no MIDI file, and says why", function()
    if not there() then return end
    local script = shell.write(folder .. "/read.lua", [[
      local nd = require "neuraldrummer"
      print(nd.song.parse "MThd")
      print(nd.song.load(arg and arg[0] or "/dev/null"))]])
    local linked = host("linked", "-llua5.4")
    local out = run(("cd / && %s %s 1 %s"):format(paths(libraries), linked, script))
    assert.matches("^nil\tMIDI files cannot be read: built without libsmf\nnil\t", out)
  end)

  it("plays in a host that exports lua_* only, all of Lua, or links it", function()
    if not there() then return end
    shell.write(folder .. "/core.list", "{ lua_*; };\n")
    local core_only = host("core_only", ("-Wl,--dynamic-list=%s/core.list -Wl,--whole-archive %s "
      .. "-Wl,--no-whole-archive"):format(folder, static))
    assert.not_matches("luaL_", run("nm -D --defined-only " .. core_only))
    local all = host("all", ("-rdynamic -Wl,--whole-archive %s -Wl,--no-whole-archive")
      :format(static))
    assert.matches("luaL_", run("nm -D --defined-only " .. all))
    local linked = host("linked", "-llua5.4")
    local drums = play(core_only)
    assert.matches("^[x.]+\n$", drums)
    assert.matches("x", drums)
    assert.equal(drums, play(all))
    assert.equal(drums, play(linked))
    -- the ordinary module asks for more, and says so
    local status, _, err = shell.sh(("cd / && %s %s 1 %s/play.lua"):format(
      paths(shell.build .. "/lib"), core_only, folder))
    assert.equal(1, status)
    assert.matches("undefined symbol: luaL_", err)
    run(("cd / && %s %s 1 %s/play.lua"):format(paths(shell.build .. "/lib"), all, folder))

    -- states one after another, each loading and unloading the module
    local _, lines = play(core_only, 50):gsub(drums:gsub("%p", "%%%0"), "")
    assert.equal(50, lines)
  end)

  it("plays the same with OpenBLAS, linked in or of the machine", function()
    if not there() then return end
    local linked = host("linked", "-llua5.4")
    local drums = play(linked)
    for _, blas in ipairs { "openblas", "openblas-static" } do
      local other = ("%s/%s"):format(folder, blas)
      run(CLEAN .. ("make -s -f examples/reaper/Makefile core BUILD=%s REAPER=%s BLAS=%s"):format(
        shell.quote(shell.build), other, blas))
      assert.equal(drums, run(("cd / && %s %s 1 %s/play.lua"):format(paths(other .. "/lib"), linked,
        folder)))
      local needs = run("objdump -p " .. other .. "/lib/neuraldrummer/core.so")
      assert.equal(blas == "openblas", needs:find("NEEDED +libopenblas") ~= nil)
    end
  end)

  it("is unloaded with its state, and leaves nothing behind", function()
    if not there() then return end
    local path = host("all", ("-rdynamic -Wl,--whole-archive %s -Wl,--no-whole-archive")
      :format(static))
    local script = shell.write(folder .. "/again.lua", [[
      local maps = assert(io.open "/proc/self/maps"):read "a"
      assert(not maps:find("core.so", 1, true), "it is still there")
      local nd = require "neuraldrummer"
      nd.model.new { preset = "drummer", layers = 1, hidden = 8, encoder = 0 }
      assert(io.open "/proc/self/maps":read "a":find("core.so", 1, true))
      print(assert(io.open "/proc/self/statm"):read("n", "n"))]])
    local sizes = {}
    for line in run(("cd / && %s %s 50 %s"):format(paths(libraries), path, script))
      :gmatch "%d+%s+(%d+)" do sizes[#sizes + 1] = tonumber(line) end
    assert.equal(50, #sizes)
    assert.is_true(sizes[50] - sizes[5] < 128, "it grew")  -- pages
  end)

  it("fails cleanly in a host that exports nothing of its Lua", function()
    if not there() then return end
    local path = host("none", static)
    shell.write(folder .. "/play.lua", SCRIPT)
    local status, _, err = shell.sh(("cd / && %s %s 1 %s/play.lua"):format(paths(libraries), path,
      folder))
    assert.equal(1, status)
    assert.matches("error loading module 'neuraldrummer.core'.*undefined symbol: lua_", err)
  end)

  it("is refused in words by Lua 5.3", function()
    if not there() then return end
    if shell.sh "pkg-config --exists lua5.3" ~= 0 then return pending "no Lua 5.3 here" end
    local path = host("older", "-rdynamic -Wl,--whole-archive "
      .. "$(cc -print-file-name=liblua5.3.a) -Wl,--no-whole-archive -lm -ldl", "lua5.3")
    shell.write(folder .. "/play.lua", SCRIPT)
    local status, _, err = shell.sh(("cd / && %s %s 1 %s/play.lua"):format(
      paths(libraries):gsub("LUA_PATH", "LUA_PATH_5_3"):gsub("LUA_CPATH", "LUA_CPATH_5_3"), path,
      folder))
    assert.equal(1, status)
    assert.matches("neuraldrummer needs Lua 5.4, and this is Lua 5.3", err)
    -- and so is the folder for REAPER, in a box
    local script = shell.write(folder .. "/old.lua", [[
      reaper = { MB = function(text) print(text) end }
      dofile(arg[1] .. "/examples/reaper/neuraldrummer_Play another.lua")]])
    local out = run(("%s 1 %s %s"):format(path, script, shell.root))
    assert.matches("needs REAPER 7 or newer.*This is Lua 5.3", out)
  end)
end)

describe("the folder for REAPER", function()
  it("runs its scripts from where it lies, with its own module and models", function()
    if SANITIZED or not has("cc", "make") then return pending "nothing to build it with" end
    local folder = shell.folder()
    run(CLEAN .. ("make -s reaper-index BUILD=%s REAPER=%s/nd URL=https://example.org/nd")
      :format(shell.quote(shell.build), folder))
    local script = shell.write(folder .. "/run.lua", ([[
      package.path = %q
      local fake = require "spec.support.reaper"
      package.path, package.cpath = "", ""
      package.loaded["neuraldrummer.core"] = nil
      for _, name in ipairs { "lfs", "dkjson", "argparse" } do package.preload[name] = error end
      local f = fake.new { tracks = { { name = "A", items = { { from = 0, to = 32, selected = true,
        notes = { { 0, 30, 60 }, { 8, 4, 64 } } } } } } }
      reaper, gfx = f.reaper, f.gfx
      dofile(arg[1] .. "/neuraldrummer_Drum selected items.lua")
      f.pump()
      print(f.messages[1], #f.undo, #f.track "Drums".items[1].take.notes > 0)
      print(package.searchpath("neuraldrummer.core", package.cpath))]]):format(
      shell.root .. "/?.lua;" .. package.path))
    local out = run(("cd / && %s lua5.4 %s %s/nd"):format(paths(shell.build .. "/lib"), script,
      folder))
    assert.equal(("nil\t1\ttrue\n%s/nd/lib/neuraldrummer/core.so\n"):format(folder), out)
    local index = shell.read(folder .. "/nd/index.xml")
    assert.matches('<source file="neuraldrummer_Play another.lua" main="main">'
      .. 'https://example.org/nd/neuraldrummer_Play%%20another.lua</source>', index)
    assert.matches('<source platform="linux64" file="lib/neuraldrummer/core.so">', index)
    assert.not_matches("core.dll", index)
    assert.truthy(index:find("<description><![CDATA[{\\rtf1", 1, true))
    local _, scripts = index:gsub('main="main"', "")
    assert.equal(7, scripts)
    -- all that it names is there
    for file in index:gmatch 'file="([^"]+)"' do
      assert.is_true(shell.exists(folder .. "/nd/" .. file), file)
    end
    shell.remove(folder)
  end)
end)

describe("other programs with Lua in them", function()
  local folder, expected
  setup(function()
    folder = shell.folder()
    assert(dofile "examples/songs/waltz.lua":save(folder .. "/song.mid"))
    run(("cd %s && %s drum song.mid -o expected.mid --seed 7"):format(folder,
      shell.quote(shell.tool)))
    expected = shell.read(folder .. "/expected.mid")
  end)
  teardown(function() shell.remove(folder) end)

  -- Runs one in the folder. Its locale is the user's, its messages are in English.
  local function visit(line)
    return shell.sh(("cd %s && PATH=$PATH:/usr/sbin && export LANGUAGE=en %s && %s"):format(folder,
      paths(shell.build .. "/lib"), line))
  end
  local hosts = shell.root .. "/examples/hosts"

  it("gnuplot: a terminal", function()
    if SANITIZED or not has "gnuplot" then return pending "no gnuplot here, or a sanitizer" end
    local _, _, err = visit(([[gnuplot -e "set terminal lua '%s/gnuplot.lua' 'song.mid' 'g.mid'"]])
      :format(hosts))
    assert.matches("g.mid: %d+ hits", err)
    assert.equal(expected, shell.read(folder .. "/g.mid"))
  end)

  it("mle: a command of an editor", function()
    if SANITIZED or not has "mle" then return pending "no mle here, or a sanitizer" end
    local _, out = visit(([[printf 'song.mid\nnone.mid\n' | mle -N -x %s/mle.lua -K drums,,1 ]]
      .. [[-k cmd_drum,f8, -n drums -M 'all f8' -p all]]):format(shell.quote(hosts)))
    assert.matches("^song.mid: song.drums.mid, %d+ hits\nnone.mid: No such file", out)
    assert.equal(expected, shell.read(folder .. "/song.drums.mid"))
  end)

  it("clingo: a program that decides how it is played", function()
    if SANITIZED or not has "clingo" then return pending "no clingo here, or a sanitizer" end
    local _, out, err = visit(([[clingo %s/clingo.lp -c song='"song.mid"' -c out='"c.mid"']])
      :format(shell.quote(hosts)))
    local energy = out:match "c.mid: %d+ hits, energy (%S+)"
    assert.is_string(energy, out .. err)
    run(("cd %s && %s drum song.mid -o d.mid --seed 7 --energy=%s"):format(folder,
      shell.quote(shell.tool), energy))
    assert.equal(shell.read(folder .. "/d.mid"), shell.read(folder .. "/c.mid"))
  end)

  it("lighttpd: a web server", function()
    if SANITIZED or not has "bash" or visit "command -v lighttpd" ~= 0
      or not shell.exists "/usr/lib/lighttpd/mod_magnet.so" then
      return pending "no lighttpd with mod_magnet here, or a sanitizer"
    end
    -- a port at which nobody answers
    local port = shell.read "/proc/self/stat":match "%d+" % 10000 + 18000
    while shell.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/" .. port) == 0 do port = port + 1 end
    shell.sh(("sed 's/port = .*/port = %d/' %s/lighttpd.conf >%s/lighttpd.conf"):format(port,
      shell.quote(hosts), folder))
    shell.sh(("cp %s/lighttpd.lua %s"):format(shell.quote(hosts), folder))
    shell.write(folder .. "/post.sh", ([[
lighttpd -D -f lighttpd.conf 2>log & server=$!
for try in {1..300}; do
  { exec 3<>/dev/tcp/127.0.0.1/PORT; } 2>/dev/null && break
  sleep 0.1
done
printf 'POST /drum?seed=7 HTTP/1.0\r\nContent-Length: %d\r\n\r\n' $(wc -c <song.mid) >&3
cat song.mid >&3
cat <&3 >answer
kill $server
]]):gsub("PORT", port))
    visit "bash post.sh"
    local answer = shell.read(folder .. "/answer")
    assert.matches("^HTTP/1.0 200 OK", answer)
    assert.equal(expected, answer:match "\r\n\r\n(.*)")
  end)

  -- Two C programs: the example, and what measures it.
  local function live(source)
    run(("cc -std=gnu11 -O2 -Wall -Wextra -Werror %s -o %s/live "
      .. "$(pkg-config --cflags --libs lua5.4) -Wl,-E"):format(source, folder))
  end

  it("a program in C, of forty lines, that plays along in time", function()
    if SANITIZED or not has("cc", "pkg-config") then return pending "no C compiler here" end
    local source = hosts .. "/live.c"
    assert.equal(40, select(2, shell.read(source):gsub("\n", "")))
    live(source)
    local before = clock()
    local _, out, err = visit "./live 1200 64"
    assert.is_true(clock() - before >= 64 * 15 / 1200)
    assert.equal("", err)
    assert.equal("", (out:gsub("\x99[\x23-\x33][\1-\x7F]", "")))
    -- a groove, not a hit now and then
    for pitch, least in pairs { [36] = 8, [38] = 8, [42] = 8 } do
      local _, count = out:gsub("\x99%" .. string.char(pitch), "")
      assert.is_true(count >= least, pitch .. ": " .. count)
    end
    local status
    status, _, err = shell.sh(("LUA_PATH=%s/?.lua %s/live"):format(folder, folder))
    assert.equal(1, status)
    assert.matches("module 'neuraldrummer' not found", err)
  end)

  it("the same, measured", function()
    if SANITIZED or not has("cc", "pkg-config") then return pending "no C compiler here" end
    live(shell.root .. "/spec/bench/live.c")
    for _, words in ipairs { "0 2000", "6000 200" } do
      local _, out, err = visit("./live " .. words)
      local count = 0
      for n in out:gmatch "up to +%d+ us +(%d+) +#" do count = count + n end
      assert.equal(tonumber(words:match "%d+$"), count, out .. err)
      assert.matches("worst: %d+ us", out)
    end
  end)
end)
