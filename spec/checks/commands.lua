--- The tool's commands, over and over, with the files that they take spoilt or
--- replaced by what is no file: each must come to its end with a result, or
--- with lines that say what is wrong, and leave nothing half done.
---
---     make check-commands [RUNS=1000]
---     lua5.4 spec/checks/commands.lua TOOL RUNS [SEED]
local lfs = require "lfs"
local faulty = require "spec.support.faulty"
local mutate = require "spec.support.mutate"
local shell = require "spec.support.shell"

local tool, runs, seed = require "spec.support.rounds"("commands.lua", "RUNS")

local SMALL <const> = " --hidden 4 --layers 1 --encoder 2 --batch 2 --steps 16 --epochs 2 -q"
local DRUM <const> = "drum song.mid -o out.mid --model model.safetensors "
local HALF <const> = "train corpus.ndc -o half.safetensors --resume -q"
-- What may be spoilt are the files that are named in it, or that lie beside these.
local COMMANDS <const> = {
  DRUM .. "--style own.style", DRUM .. "--kit-in own.kit --keep kick",
  DRUM .. "--kit-out own.kit --drafts 2", DRUM .. "--style-of other.mid --json",
  DRUM .. "--loop other.mid --swing song", DRUM .. "--prime other.mid --drums-alone",
  "continue song.mid -o out.mid --model model.safetensors --kit-in own.kit",
  "sketch -o out.mid --model model.safetensors --style own.style",
  "style song.mid -o out.style --kit-in own.kit",
  "tokens song.mid --kit-in own.kit", "tokens song.mid --original",
  "preprocess songs -o out.ndc --manifest list.csv --where good=1 -q --list-skipped",
  "preprocess songs -o out.ndc --threads 2 --kit-in own.kit -q --json",
  "merge 1.ndc 2.ndc -o out.ndc --list-skipped",
  "train corpus.ndc -o out.safetensors" .. SMALL,
  "train corpus.ndc -o out.safetensors --from model.safetensors --epochs 1 --batch 2 -q",
  "train saved.txt -o out.safetensors --preset neuraldrummer2023 --hidden 4 --epochs 1 -q",
  HALF, HALF, HALF,
  "evaluate model.safetensors corpus.ndc --songs 1 --free --split all",
  "evaluate model.safetensors corpus.ndc --songs 1 --split all --json",
  "score song.mid --model model.safetensors --against other.mid --json",
  "explain song.mid --bar 2 --model model.safetensors",
  "info song.mid", "info corpus.ndc --json", "info model.safetensors", "info saved.txt",
  "plot half.tsv -o out.png", "plot song.mid -o out.svg", "kits own.kit",
}
local BESIDE <const> = {
  ["1.ndc"] = { "1.ndc.json" }, ["half.safetensors"] = { "half.last.safetensors", "half.tsv" },
}
-- What stands in a file's place.
local OTHERS <const> = { "rm %s", "rm %s; mkdir %s", "rm %s; mkfifo %s", "rm %s; ln -s %s %s",
  "rm %s; ln -s /dev/null %s" }

local folder = shell.folder()
local clean, work = folder .. "/clean", folder .. "/work"
-- a sanitizer takes all addresses that there are
local LIMIT <const> = faulty.sanitized and "" or "ulimit -v 8000000 && "
local function run(where, words)
  return shell.sh(("cd %s && %sexec timeout 120 %s %s"):format(where, LIMIT, shell.quote(tool),
    words))
end

local function prepare()
  assert(lfs.mkdir(clean))
  assert(lfs.mkdir(clean .. "/songs"))
  assert(dofile "examples/songs/all.lua".write(clean .. "/songs"))
  shell.sh(([[cd %s && cp songs/rock.mid song.mid && cp songs/waltz.mid other.mid
    cp %s/lua/neuraldrummer/kits/roland-td.kit own.kit
    { echo file,good; for song in songs/*; do echo "${song##*/},1"; done; } >list.csv
    for song in songs/f*; do %s tokens --original $song; done >saved.txt]]):format(clean,
    shell.quote(shell.root), shell.quote(tool)))
  for _, words in ipairs { "preprocess songs -o corpus.ndc -q",
    "preprocess songs -o 1.ndc --shard 1/2", "preprocess songs -o 2.ndc --shard 2/2",
    "style song.mid -o own.style",
    "train corpus.ndc -o model.safetensors" .. SMALL,
    "train corpus.ndc -o half.safetensors" .. SMALL } do
    local status, _, err = run(clean, words)
    assert(status == 0, words .. ": " .. err)
  end
end

-- The files below a folder, as a set.
local function listed(where)
  local set, _, out = {}, shell.sh(("cd %s && find . -mindepth 1"):format(where))
  for path in out:gmatch "[^\n]+" do set[path] = true end
  return set
end

local function spoil(path)
  if math.random(10) == 1 then
    shell.sh((OTHERS[math.random(#OTHERS)]:gsub("%%s", (shell.quote(path):gsub("%%", "%%%%")))))
  else
    shell.write(path, mutate.any(shell.read(path)))
  end
end

-- What is wrong with how a command ended; nil: nothing.
local function fault(words, before, status, out, err)
  if status > 2 then return ("status %d"):format(status) end
  if err:find "traceback" then return "an error of ours" end
  if (out .. err):find "[\0-\8\11-\31\127]" or not utf8.len(out .. err) then
    return "what a terminal would obey"
  end
  local told = err:gsub("neuraldrummer: %S[^\n]*\n", "")
  if status > 0 and (err == "" or told ~= "") then return "not a line of what is wrong" end
  for path in pairs(listed(work)) do
    local training = words:find "^train" and not path:find "part"
    if not before[path] and (path:find "part" or status > 0 and not training) then
      return "left behind: " .. path
    end
  end
end

prepare()
local bad, refused, spoilt = 0, 0, 0
for i = 1, runs do
  shell.sh(("rm -rf %s; cp -R %s %s"):format(work, clean, work))
  local words, names = COMMANDS[math.random(#COMMANDS)], {}
  for name in words:gmatch "%S+%.%S+" do
    if shell.exists(work .. "/" .. name) then names[#names + 1] = name end
    for _, neighbour in ipairs(BESIDE[name] or {}) do names[#names + 1] = neighbour end
  end
  for _ = 1, math.min(#names, math.random(2)) do
    spoil(work .. "/" .. table.remove(names, math.random(#names)))
    spoilt = spoilt + 1
  end
  if words:find "^preprocess" then
    for name in lfs.dir(work .. "/songs") do
      if name:find "%.mid$" and math.random(3) == 1 then spoil(work .. "/songs/" .. name) end
    end
  end
  local before = listed(work)
  local status, out, err = run(work, words)
  if status > 0 then refused = refused + 1 end
  local why = fault(words, before, status, out, err)
  if why then
    bad = bad + 1
    print(("run %d of seed %d, %s: %s\n%s"):format(i, seed, words, why, err:sub(1, 600)))
  end
end
shell.remove(folder)
print(("%d commands with %d files spoilt: %d refused, %d ended badly"):format(runs, spoilt, refused,
  bad))
os.exit(bad == 0, true)
