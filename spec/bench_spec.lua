-- That the benchmarks run, in tiny sizes: how fast anything is, is not tested.
local bench = require "spec.bench.support"
local shell = require "spec.support.shell"

-- Stands in for Python: has every library, and each answers at once.
local PEER <const> = [[#!/bin/sh
if [ "$1" = -c ]; then
  for name in torch keras tensorflow mido pretty_midi symusic; do echo "$name 1.2"; done
  exit
fi
echo "$*" >>'%s'
case $* in *broken*) exit 1 ;; esac
echo "ready Peer 1.2"
while read -r word && [ "$word" != quit ]; do
  case $* in *each*) echo "0.001 0.002 0.003 0.004" ;; *) echo "2 3" ;; esac
done
]]

-- A few words that a part's rows have.
local PARTS <const> = {
  training = { "training drummer", "its matrix products", "Peer 1.2: %d+ steps/s",
    bench.cores() > 1 and "one thread: %d+ steps/s" or nil },
  small = { "training drummer", "of SGEMM there" },
  original = { "training neuraldrummer2023", "Peer 1.2: %d+ windows/s" },
  playing = { "the command, from its start", "its memory at most", "in a running process" },
  step = { "gen:step", "median of all steps", "MB at %d+ GB/s" },
  window = { "its window run again", "Peer 1.2: 2.0 us", "its own playing layers" },
  drafts = { "%-%-drafts 8, in a running process", "%-%-drafts 1: " },
  reading = { "bytes to Sequences, 6 done", "against Peer alone, which parses 3",
    "parsing alone, 6 done" },
  preprocess = { "preprocess, 6 files made", "memory at most, 24 files" },
  memory = { "drummer, batch 2 x 16 steps", "neuraldrummer2023, batch 2 x 8 steps" },
}

describe("the benchmarks", function()
  local folder, python
  setup(function()
    folder = shell.folder()
    python = shell.write(folder .. "/python", PEER:format(folder .. "/asked"))
    os.execute("chmod 755 " .. python)
  end)
  teardown(function() shell.remove(folder) end)

  -- The others' words, and the rows below each title.
  local function run(script, words)
    local status, out, err = shell.sh(("env -u CORPUS -u ONLY -u ROUNDS -u SECONDS -u FILES "
      .. "LUA=lua5.4 LUA_PATH=%s LUA_CPATH=%s BUILD=%s QUICK=1 lua5.4 spec/bench/%s.lua %s"):format(
      shell.quote("./?.lua;" .. package.path), shell.quote(package.cpath),
      shell.quote(shell.build), script, words))
    return status, out, err
  end

  local function rows_of(out)
    local rows = {}
    for line in out:gmatch "[^\n]+" do
      local cells = {}
      for cell in line:gmatch "| ([^|]*) " do cells[#cells + 1] = cell:gsub("^ +", "") end
      if #cells > 0 then rows[#rows + 1] = cells end
    end
    return rows
  end

  for part, words in pairs(PARTS) do
    it("have a part that works: " .. part, function()
      local status, out, err = run("run", ("ONLY=%s PYTHON=%s"):format(part, python))
      assert.equal("", err)
      assert.equal(0, status)
      for _, word in ipairs(words) do assert.matches(word, out) end
      assert.matches("\nmachine ", "\n" .. out)
      assert.not_matches("[%s-]nan%f[%W]", out)
      assert.not_matches("failed", out)
      assert.matches("\n0 held, 0 missed; load average now ", out)
      for _, row in ipairs(rows_of(out)) do assert.equal(5, #row, table.concat(row, " | ")) end
    end)
  end

  it("know all their parts", function()
    local _, _, err = run("run", "ONLY=nonsense")
    local names, listed = {}, {}
    for part in pairs(PARTS) do names[#names + 1] = part end
    for name in err:match "there are ([%l, ]+)":gmatch "%l+" do listed[#listed + 1] = name end
    table.sort(names)
    table.sort(listed)
    assert.same(names, listed)
  end)

  it("say which libraries are not there, and go on without them", function()
    local status, out, err = run("run", "ONLY=original PYTHON=/bin/false")
    assert.same({ 0, "" }, { status, err })
    assert.matches("not there  torch, keras, tensorflow, mido, pretty_midi, symusic", out)
    assert.matches("one thread", out)
    assert.not_matches("the same net", out)
  end)

  it("judge a ratio by its limit", function()
    local within = require "spec.bench.support".within
    assert.is_true(within(3, { at_least = 3 }))
    assert.is_false(within(2.99, { at_least = 3 }))
    assert.is_true(within(1, { at_most = 1 }))
    assert.is_false(within(1.01, { at_most = 1 }))
    assert.is_true(within(0.9, { at_least = 0.8, at_most = 1.2 }))
    assert.is_false(within(0.7, { at_least = 0.8, at_most = 1.2 }))
    assert.is_false(within(1.3, { at_least = 0.8, at_most = 1.2 }))
    assert.is_false(within(0 / 0, { at_least = 0.6 }))
  end)

  it("tell weights that are halves", function()
    local core = require "neuraldrummer.core"
    local model = core.model { preset = "drummer", inputs = 5, voices = 2, layers = 1, hidden = 3,
      encoder = 0 }
    local playing, encoder = bench.weights(model)
    assert.same({ 4 * model:config().parameters, 0 }, { playing, encoder })
    -- one tensor alone is not zero
    for _, name in ipairs(model:tensors()) do
      local values = model:tensor(name)
      for i = 1, #values do values[i] = 0 end
      model:set_tensor(name, values)
    end
    for value, is in pairs { [1.5] = true, [-65504] = true, [2^-24] = true, [3 * 2^-24] = true,
      [1 + 2^-11] = false, [2^-25] = false, [65536] = false, [1.5 * 2^-24] = false } do
      model:set_tensor("out.b", { 0, value })
      assert.equal(is, (select(3, bench.weights(model))), tostring(value))
    end
  end)

  it("count the products of a step of training", function()
    bench.configure({ "QUICK=1" }, 1, 0.01)
    -- one layer, of inputs 5, hidden 3, voices 2, on 7 steps of 4 streams: forward, gradient
    -- of the weights, and of what the layer gives to itself and to the hits
    local net = bench.net({ preset = "drummer", inputs = 5, voices = 2, layers = 1, hidden = 3,
      encoder = 0 }, 7, 4)
    local macs = 2 * 5 * 12 + 3 * 3 * 12 + 3 * 3 * 2 + 2 * 5 * 2 + 2 * 2 * 2
    assert.equal(2 * macs * 28, net.flops)
    assert.is_true(net.rate(1) > 0)
  end)

  it("draw their curves, with the numbers beside them", function()
    if shell.sh "command -v gnuplot" ~= 0 then return pending "no gnuplot here" end
    local status, out, err = run("plots", ("OUT=%s PYTHON=%s"):format(folder .. "/out", python))
    assert.same({ 0, "" }, { status, err })
    for name, columns in pairs {
      training = "against\tat\tthreads\tsteps_per_second\tlimit",
      playing = "against\tat\tof\ttaken\tlimit", reading = "what\tbytes\tof\tms\tsymusic_ms",
    } do
      local at = folder .. "/out/" .. name
      assert.matches(name .. ".png", out, 1, true)
      assert.equal("\x89PNG\r\n\26\n", shell.read(at .. ".png"):sub(1, 8))
      local text = shell.read(at .. ".tsv")
      assert.equal(columns, text:match "[^\n]*")
      assert.is_true(select(2, text:gsub("\n", "")) > 4)
      assert.not_matches("nan", text)
      assert.not_matches("inf", text)
    end
  end)

  -- Peers are other people's libraries: what is tried here are their networks, small.
  it("have peers that answer", function()
    local interpreter = os.getenv "PYTHON" or "python3"
    if shell.sh("command -v " .. shell.quote(interpreter)) ~= 0 then
      return pending "no Python here"
    end
    local function answer(words)
      local status, out = shell.sh(("echo go | %s spec/bench/%s"):format(shell.quote(interpreter),
        words))
      return status, out
    end
    local drummer = "preset=drummer window=0 layers=2 hidden=4 encoder=3 encoded=2 inputs=5 "
      .. "voices=2 dropout=0.3 steps=3 batch=2 threads=1 seconds=0.01"
    local original = "preset=neuraldrummer2023 window=8 layers=3 hidden=4 encoder=0 encoded=0 "
      .. "inputs=4 voices=3 dropout=0.3 steps=8 batch=2 threads=1 seconds=0.01"
    local whole = "preset=drummer window=8 layers=2 hidden=4 encoder=0 encoded=0 inputs=5 "
      .. "voices=2 dropout=0.3 threads=1 seconds=0.01"
    local list, tried = folder .. "/list", 0
    local song = dofile "examples/songs/waltz.lua"
    assert(song:save(folder .. "/waltz.mid"))
    shell.write(list, folder .. "/waltz.mid\n")
    for library, lines in pairs {
      torch = { "torch.py train " .. drummer, "torch.py train " .. original,
        "torch.py window " .. original, "torch.py window " .. whole },
      tensorflow = { "keras.py train " .. drummer, "keras.py train " .. original,
        "keras.py window " .. original, "keras.py window " .. whole,
        "keras.py predict " .. original },
      mido = { "midi.py mido " .. list }, pretty_midi = { "midi.py pretty_midi " .. list },
      symusic = { "midi.py symusic " .. list, "midi.py symusic " .. list .. " each" },
    } do
      if shell.run(interpreter, "-c", "import importlib.util, sys\n"
        .. "sys.exit(importlib.util.find_spec('" .. library .. "') is None)") == 0 then
        for _, line in ipairs(lines) do
          tried = tried + 1
          local status, out = answer("peer_" .. line)
          assert.equal(0, status, line)
          assert.matches("^ready %S+ [^\n]*\n[%d.e-]+[ %d]*\n$", out)
        end
      end
    end
    if tried == 0 then return pending "no peers here" end
  end)
end)
