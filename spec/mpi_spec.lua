-- Training shared by processes, where Open MPI is: builds it, and runs it on
-- songs of the examples.
local lfs = require "lfs"
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local annotations = require "spec.support.annotations"
local safetensors = require "spec.support.safetensors"
local shell = require "spec.support.shell"

local CLEAN <const> = "env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u LUA_PATH -u LUA_CPATH "
-- Open MPI unloads its parts before a sanitizer looks for what they left.
local UNSEEN <const> = "ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 "
local MPIRUN <const> = CLEAN .. UNSEEN .. "mpirun --allow-run-as-root --oversubscribe "

local there = shell.sh "command -v mpirun && pkg-config --exists ompi-c" == 0

describe("training with other processes", function()
  if not there then return pending "no Open MPI here" end

  local folder, build, tool
  setup(function()
    folder = shell.folder()
    build = shell.build .. "/mpi"
    tool = build .. "/bin/neuraldrummer"
    local status, _, err = shell.sh(("%s make --no-print-directory MPI=1 BUILD=%s")
      :format(CLEAN, shell.quote((build:gsub("^" .. shell.root:gsub("%p", "%%%0") .. "/", "")))))
    assert.equal(0, status, err)
    local all = dofile "examples/songs/all.lua"
    local tokeniser = nd.tokeniser {}
    local writer = assert(nd.corpus.create(folder .. "/songs.ndc", tokeniser))
    for i, name in ipairs { "ballad", "rock", "waltz", "seven", "funk" } do
      local song = assert(nd.song.parse(all.load(name):bytes()))
      assert(writer:add(assert(tokeniser:encode(song, name)), i == 4 and "valid" or "train"))
    end
    assert(writer:finish())
    assert.equal(0, (shell.sh(("mkdir %s/own && lua5.4 -e %s"):format(folder, shell.quote(
      ('assert(dofile "examples/songs/all.lua".write "%s/own")'):format(folder))))))
    assert.equal(0, (shell.sh(("%s %s preprocess %s/own -o %s/saved.txt --original -q"):format(
      CLEAN, tool, folder, folder))))
  end)
  teardown(function() shell.remove(folder) end)

  local SMALL <const> = "%s/songs.ndc --hidden 11 --layers 2 --encoder 5 --batch 3 --steps 32 "
    .. "--warmup 0 -q "

  -- A training by so many processes, or by one without MPI when `ranks` is 0.
  local function command(ranks, words, name)
    return ("%s %s train %s -o %s/%s.safetensors%s"):format(
      ranks == 0 and CLEAN or MPIRUN .. "-n " .. ranks, tool, words, folder, name,
      ranks == 0 and "" or " --distributed")
  end

  local function train(ranks, words, name)
    local status, out, err = shell.sh(command(ranks, words, name))
    assert.equal(0, status, err)
    return out, err
  end

  -- Rows of a log: epoch, batch, loss, validation.
  local function rows(name)
    local list = {}
    for line in shell.read(("%s/%s.tsv"):format(folder, name)):gmatch "[^\n]+" do
      local epoch, batch, loss, valid = line:match "^(%d+)\t(%d+)\t(%S+)\t(%S*)\t"
      if epoch then
        list[#list + 1] = { tonumber(epoch), tonumber(batch), tonumber(loss), tonumber(valid) }
      end
    end
    return list
  end

  local function same_losses(wanted, name, within)
    local list = rows(name)
    assert.equal(#wanted, #list)
    for i, row in ipairs(wanted) do
      for k = 1, 4 do
        if row[k] then assert.near(row[k], list[i][k], k < 3 and 0 or within or 1e-5) end
      end
      assert.equal(row[4] == nil, list[i][4] == nil)
    end
  end

  it("comes to the same losses as one process, by 1 to 3 of them", function()
    local words = SMALL:format(folder) .. "--epochs 12"
    local out = train(0, words, "alone")
    local wanted = rows "alone"
    assert.is_true(#wanted > 150)
    assert.is_true(wanted[#wanted][3] < 0.8 * wanted[1][3])
    for ranks = 1, 3 do
      local name = "by_" .. ranks
      -- the first process says what the one would
      assert.equal((out:gsub("alone", name):gsub("trained for [%d:]+", "")),
        (train(ranks, words, name):gsub("trained for [%d:]+", "")))
      same_losses(wanted, name)
      assert.is_true(shell.exists(("%s/%s.loss.png"):format(folder, name)))
      local a = assert(nd.model.load(folder .. "/alone.safetensors"))
      local b = assert(nd.model.load(("%s/%s.safetensors"):format(folder, name)))
      for _, tensor in ipairs(a:tensors()) do
        local others = b:tensor(tensor)
        for i, w in ipairs(a:tensor(tensor)) do assert.near(w, others[i], 1e-3) end
      end
    end
  end)

  it("normalises by the whole batch, as the system of 2023 wants", function()
    local words = folder .. "/saved.txt --hidden 16 --batch 24 --epochs 30 -q"
    train(0, words, "norm")
    local wanted = rows "norm"
    assert.is_true(#wanted >= 30)
    for ranks = 2, 3 do
      train(ranks, words, "norm_by_" .. ranks)
      same_losses(wanted, "norm_by_" .. ranks)
    end
  end)

  it("goes on with another number of processes, or with one", function()
    local words = SMALL:format(folder) .. "--constant-rate --epochs "
    train(0, words .. 4, "on_alone")
    local wanted = rows "on_alone"
    train(2, words .. 1, "on")
    train(3, words .. 2 .. " --resume", "on")
    train(0, words .. 3 .. " --resume", "on")
    train(2, words .. 4 .. " --resume", "on")
    same_losses(wanted, "on")
    -- nothing of the number is in the file
    local a = safetensors.read(folder .. "/on_alone.last.safetensors")
    local b = safetensors.read(folder .. "/on.last.safetensors")
    assert.equal(a.metadata.batches, b.metadata.batches)
    local x, y = a.tensors.streams.data, b.tensors.streams.data
    assert.equal(#x, #y)
    for at = 1, #x, 4 do
      assert.near(string.unpack("<f", x, at), string.unpack("<f", y, at), 1e-3)
    end
  end)

  -- The processes that `parent` started.
  local function children(parent)
    local list = {}
    for name in lfs.dir "/proc" do
      local file = name:find "^%d+$" and io.open("/proc/" .. name .. "/stat")
      if file then
        local line = file:read "a" or ""
        file:close()
        if line:match "%) %S+ (%d+)" == parent then list[#list + 1] = name end
      end
    end
    return list
  end

  local LONG <const> = SMALL .. "--constant-rate --checkpoint-every 2 --epochs 40"

  -- A training by two that `stop`, given mpirun's id, ends when it has logged
  -- some batches: its exit status, what it said, and the seconds until it ended.
  local function stopped(name, stop)
    local at = folder .. "/" .. name
    assert(os.execute(("sh -c %s &"):format(shell.quote(
      ("%s >%s.out 2>&1 & echo $! >%s.pid; wait $!; echo $? >%s.status"):format(
        command(2, LONG:format(folder), name), at, at, at)))))
    local function wait_for(what, done)
      local from = core.clock()
      while not done() do
        assert(core.clock() - from < 120, what .. ": in vain")
        os.execute "sleep 0.05"
      end
      return core.clock() - from
    end
    wait_for("some batches", function()
      return shell.exists(at .. ".tsv") and #rows(name) > 20
    end)
    stop(shell.read(at .. ".pid"):match "%d+")
    local seconds = wait_for("its end", function()
      return shell.exists(at .. ".status") and shell.read(at .. ".status"):find "\n"
    end)
    return tonumber(shell.read(at .. ".status")), shell.read(at .. ".out"), seconds
  end

  -- From its last checkpoint to the end, by another number of processes.
  local function goes_on(name)
    assert.equal("", (select(2, shell.sh(("ls %s | grep part"):format(folder)))))
    if not shell.exists(folder .. "/never.tsv") then train(0, LONG:format(folder), "never") end
    local wanted = rows "never"
    assert.is_true(#rows(name) < #wanted)
    train(3, LONG:format(folder) .. " --resume", name)
    same_losses(wanted, name)
  end

  it("ends when one of them is killed, with its last checkpoint whole", function()
    local status, said, seconds = stopped("killed", function(mpirun)
      local processes = children(mpirun)
      assert.equal(2, #processes)
      shell.run("kill", "-9", processes[2])
    end)
    assert.not_equal(0, status)
    assert.is_true(seconds < 30, said)
    goes_on "killed"
  end)

  it("saves and says so when mpirun is interrupted", function()
    local status, said = stopped("stopped", function(mpirun) shell.run("kill", "-INT", mpirun) end)
    assert.not_equal(0, status)
    local epoch, batch = said:match "neuraldrummer: stopped in epoch (%d+), batch (%d+); saved in "
    assert.truthy(epoch, said)
    local list = rows "stopped"
    local last = list[#list]
    -- between two epochs it stands before the first batch of the next
    local place = batch == "0" and { tonumber(epoch) - 1, last[2] }
      or { tonumber(epoch), tonumber(batch) }
    assert.same(place, { last[1], last[2] })
    assert.equal(1, select(2, said:gsub("stopped in", "")))
    goes_on "stopped"
  end)

  it("ends everywhere when one cannot go on", function()
    local status, _, err = shell.sh(command(2, SMALL:format(folder) .. "--epochs 2", "none/x"))
    assert.not_equal(0, status)
    assert.matches("neuraldrummer: process 1 of 2: .*none/x", err)
    status, _, err = shell.sh(command(2, SMALL:gsub("songs.ndc", "none.ndc"):format(folder), "x"))
    assert.not_equal(0, status)
    assert.matches("neuraldrummer: process [12] of 2: .*none.ndc: ", err)
    status, _, err = shell.sh(command(4, SMALL:format(folder), "x"))
    assert.not_equal(0, status)
    assert.matches("option 'batch': 3 streams cannot be shared by 4 processes", err)
  end)

  it("is a world to Lua", function()
    local status, out, err = shell.sh(("%sLUA_PATH=%s LUA_CPATH=%s mpirun --allow-run-as-root "
      .. "--oversubscribe -n 3 lua5.4 spec/support/world.lua %s/songs.ndc"):format(CLEAN .. UNSEEN,
      shell.quote "./lua/?.lua;./lua/?/init.lua;;", shell.quote(build .. "/lib/?.so;;"), folder))
    assert.same({ 0, "" }, { status, err })
    assert.equal(([[
world: process 1 of 3	3
6.0	1.5	1.0
false	true
true	false
false
streams	5.0
alike	true
same weights	true
nil	training diverged: the loss is not finite
option 'batch': 2 streams cannot be shared by 3 processes
bad argument #2 to '?' (numbers are needed)
bad argument #2 to '?' (boolean expected, got number)
bad argument #2 to '?' (a status is in 1..125)
world: closed	bad argument #1 to '?' (neuraldrummer.world is closed)
bad argument #1 to '?' (the processes that share these batches have left their world)
false
]]), out)
  end)

  it("has a module that is described, and links what is its own", function()
    local status, out = shell.sh(("LUA_CPATH=%s lua5.4 -e %s"):format(
      shell.quote(build .. "/lib/?.so;;"), shell.quote [[
        require "neuraldrummer.core"
        for name in pairs(require "neuraldrummer.mpi") do print("neuraldrummer.mpi." .. name) end
        for name in pairs(debug.getregistry()["neuraldrummer.world"].__index) do
          print("neuraldrummer.world:" .. name)
        end]]))
    assert.equal(0, status)
    local registered, described = {}, { ["neuraldrummer.mpi.version"] = true }
    for name in out:gmatch "%S+" do registered[name] = true end
    local _, functions = annotations.read "lua/neuraldrummer/mpi.d.lua"
    for _, f in ipairs(functions) do described[f.owner .. f.kind .. f.name] = true end
    assert.same(described, registered)
    if shell.sh "command -v nm objdump" ~= 0 then return end
    local _, symbols = shell.run("nm", "-D", "--defined-only", build .. "/lib/neuraldrummer/mpi.so")
    assert.matches("^%x+ T luaopen_neuraldrummer_mpi\n$", symbols)
    for name, needs in pairs { mpi = true, core = false } do
      local path = ("%s/lib/neuraldrummer/%s.so"):format(build, name)
      local _, links = shell.run("objdump", "-p", path)
      assert.equal(needs, links:find "NEEDED +libmpi" ~= nil)
      assert.equal(name == "core", links:find "NEEDED +libopenblas" ~= nil)
    end
  end)

  local function make(words)
    return shell.sh(("%s make --no-print-directory %s"):format(CLEAN, words))
  end

  it("is built again by a plain make where it is there", function()
    local at = shell.quote((build:gsub("^" .. shell.root:gsub("%p", "%%%0") .. "/", "")))
    local status, out, err = make("-n -W csrc/base/nd.h BUILD=" .. at)
    assert.equal(0, status, err)
    assert.matches("%-o %S+/lib/neuraldrummer/core.so ", out)
    assert.matches("%-o %S+/lib/neuraldrummer/mpi.so ", out)
  end)

  it("refuses a core of another build", function()
    local status, _, err = make(("MPI=1 BUILD=%s/other LAYOUT=other CFLAGS=-O0 "
      .. "%s/other/lib/neuraldrummer/mpi.so"):format(folder, folder))
    assert.equal(0, status, err)
    local _, out = shell.sh(("LUA_CPATH=%s lua5.4 -e %s"):format(shell.quote(
      ("%s/other/lib/?.so;%s/lib/?.so;;"):format(folder, build)),
      shell.quote [[print(require "neuraldrummer".join())]]))
    assert.matches("^nil\tseveral processes cannot train together [^\n]*: neuraldrummer.mpi is of "
      .. "[%d.]+, layout other but neuraldrummer.core of [%d.]+, layout %d+: build both again\n$",
      out)
    _, out = shell.sh(("LUA_CPATH=%s lua5.4 -e %s"):format(shell.quote(build .. "/lib/?.so;;"),
      shell.quote [[print(pcall(require, "neuraldrummer.mpi"))]]))
    assert.matches("neuraldrummer.mpi needs neuraldrummer.core to be loaded before it", out, 1,
      true)
  end)

  it("is installed where it was built", function()
    local status, _, err = shell.sh(("%s make --no-print-directory MPI=1 BUILD=%s install "
      .. "DESTDIR=%s/root PREFIX=/opt/nd"):format(CLEAN,
      shell.quote((build:gsub("^" .. shell.root:gsub("%p", "%%%0") .. "/", ""))), folder))
    assert.equal(0, status, err)
    assert.is_true(shell.exists(folder .. "/root/opt/nd/lib/lua/5.4/neuraldrummer/mpi.so"))
  end)
end)
