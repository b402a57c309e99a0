--- Kills preprocessing and training with -9, at random moments, and goes on as
--- a user would: what comes out must be what a run that was never killed gives.
---
---     make check-kill [KILLS=30]
---     lua5.4 spec/checks/kill.lua TOOL KILLS [SEED]
local core = require "neuraldrummer.core"
local shell = require "spec.support.shell"
local tiny = require "spec.support.tiny"

local tool, wanted, seed = require "spec.support.rounds"("kill.lua", "KILLS")
local folder = shell.folder()
local bad = 0
local function check(ok, ...)
  if ok then return end
  bad = bad + 1
  print(("%s (seed %d)"):format(table.concat({ ... }, " "), seed))
end

-- Songs enough that a kill finds it at work.
assert(shell.sh("mkdir " .. folder .. "/songs") == 0)
for i = 1, 150 do
  local pattern = { kick = "x...x...x.x.x...", snare = "....x.......x...",
    closed_hat = i % 3 == 0 and "x.x.x.x.x.x.x.x." or "xxxxxxxxxxxxxxxx",
    bass = i % 2 == 0 and "x...x...x...x..." or "x.x.....x.x....." }
  assert(tiny.song { patterns = { pattern, pattern }, bars = 12 + i % 9, root = 30 + i % 30 }
    :save(("%s/songs/%03d.mid"):format(folder, i)))
end

--- Runs the tool; killed after so many seconds if these are given. Whether it
--- came to its end.
local function run(words, seconds)
  local line = ("%s %s >%s/out 2>&1"):format(shell.quote(tool), words, folder)
  if not seconds then
    local status = shell.sh(line)
    check(status == 0, words, ":", shell.read(folder .. "/out"))
    return true
  end
  -- the shell waits for it, so that it is gone
  local status = shell.sh(("%s & p=$!; sleep %.3f; kill -9 $p 2>/dev/null; wait $p 2>/dev/null")
    :format(line, seconds))
  check(status == 0 or status == 137, words, "status", tostring(status))
  return status == 0
end

local function timed(words)
  local start = core.clock()
  run(words)
  return core.clock() - start
end

-- All columns but the seconds.
local function losses(path) return (shell.read(path):gsub("\t[^\t\n]*\n", "\n")) end

local PREPROCESS <const> = "preprocess %s/songs -o %s/%s.ndc -q"
local TRAIN <const> = "train %s/whole.ndc -o %s/%s.safetensors --hidden 24 --layers 1 --encoder 8 "
  .. "--epochs 3 --batch 8 --steps 32 --checkpoint-every 2 -q%s"

local kills = { preprocess = 0, train = 0 }
local takes = timed(PREPROCESS:format(folder, folder, "whole"))
while kills.preprocess < (wanted + 1) // 2 do
  local words = PREPROCESS:format(folder, folder, "killed")
  if run(words, math.random() * takes * 1.1) then
    check(shell.read(folder .. "/killed.ndc") == shell.read(folder .. "/whole.ndc"),
      "another corpus")
  else
    kills.preprocess = kills.preprocess + 1
    -- nothing, or the whole of an earlier run
    if shell.exists(folder .. "/killed.ndc") then
      check(core.open_corpus(folder .. "/killed.ndc"), "half a corpus")
    end
  end
  if math.random(4) == 1 then os.remove(folder .. "/killed.ndc") end
end
run(PREPROCESS:format(folder, folder, "killed"))
check(shell.read(folder .. "/killed.ndc") == shell.read(folder .. "/whole.ndc"), "another corpus")
local left = select(2, shell.sh("ls " .. folder .. " | grep part"))
check(left == "", "left behind:", left)

takes = timed(TRAIN:format(folder, folder, "whole", ""))
local trainings = 0
repeat
  trainings = trainings + 1
  shell.sh(("rm -f %s/killed.*"):format(folder))
  local done
  repeat
    local last = folder .. "/killed.last.safetensors"
    local enough = kills.preprocess + kills.train >= wanted
    done = run(TRAIN:format(folder, folder, "killed", shell.exists(last) and " --resume" or ""),
      not enough and (0.05 + math.random()) * takes * 0.6 or nil)
    if not done then kills.train = kills.train + 1 end
    for _, name in ipairs { "killed.safetensors", "killed.last.safetensors" } do
      local path = folder .. "/" .. name
      if shell.exists(path) then
        local model, message = core.load_model(path)
        check(model, "half a checkpoint:", message)
      end
    end
  until done
  check(losses(folder .. "/killed.tsv") == losses(folder .. "/whole.tsv"), "other losses")
  check(shell.read(folder .. "/killed.safetensors") == shell.read(folder .. "/whole.safetensors"),
    "another model")
until kills.preprocess + kills.train >= wanted

left = select(2, shell.sh("ls " .. folder .. " | grep part"))
check(left == "", "left behind:", left)
shell.remove(folder)
print(("%d kills survived: %d of preprocess, %d of %d trainings; %d ended badly"):format(
  kills.preprocess + kills.train, kills.preprocess, kills.train, trainings, bad))
os.exit(bad == 0, true)
