--- Compares two builds of this project, to show that a change of the code keeps
--- its behaviour: both run the same commands on the same songs, and their result
--- files must be the same, byte for byte.
---
---     make check-same OLD=../other/build SONGS=folder [QUICK=1]
---     lua5.4 spec/checks/same.lua OLD NEW FOLDER [--quick] [--songs N] [--seeds N]
---
--- OLD and NEW are build folders, which hold bin/neuraldrummer. FOLDER is searched
--- for *.mid and *.midi in all its folders. N songs (default 200) are taken from
--- it at even distances, and drums are played to each with N seeds (default 3);
--- --quick takes 12 songs and 1 seed. Each build plays with the model that it ships.
---
--- Compared are drums, token text, corpora with their counts, the losses of small
--- trainings of each preset, and the options in FEATURES with a few songs each.
--- Only the command-line tools are run, so that names inside the builds may differ.
--- Messages are not compared, nor are keys of JSON or headings of tables. Exit
--- status 0: no difference; 1: differences, which are listed; 2: wrong usage.
local lfs = require "lfs"
local shell = require "spec.support.shell"

-- Options that NEW spells otherwise than OLD: ["--old"] = "--new".
local RENAMED <const> = {}

local CHUNK <const> = 30  -- commands between two comparisons, which bounds the space on disk
local FEW <const> = 12  -- songs to train on: some 50 batches an epoch or more
local TOOL_LIMIT <const> = 300  -- seconds that a command may take

-- Features of `drum` and `continue`, each tried with a few songs. The models without a
-- path are those that the build has trained just before.
local FEATURES <const> = {
  "drum SONG --bars 5-8", "drum SONG --extend 4", "drum SONG --fills sections",
  "drum SONG --energy '1-8:-1,9-16:-1>1'", "drum SONG --keep kick,snare",
  "drum SONG --humanise 0.5", "drum SONG --swing 0.6/8", "drum SONG --drafts 3",
  "drum SONG --kit-out roland-td --style ride=0.6", "continue SONG --bars 8",
  "drum SONG --model drummer.safetensors", "drum SONG --model causal.safetensors",
  "drum SONG --original --model neuraldrummer2023.safetensors",
}
local SKETCHES <const> = { "sketch", "sketch --form verse8,chorus8 --meter 3/4 --bpm 90 --seed 2" }
-- Corpora are OLD's, so that both builds learn from the same one.
local SMALL <const> = " --hidden 8 --seed 1 --threads 1"
local TRAININGS <const> = {
  { "drummer", "../old/few.ndc --batch 2 --steps 64 --layers 1 --encoder 4 --epochs 2" .. SMALL },
  { "causal", "../old/few.ndc --batch 2 --steps 64 --layers 2 --encoder 4 --epochs 2 --causal" ..
    " --dropout 0.2" .. SMALL },
  { "touch", "../old/few.ndc --preset touch --batch 2 --steps 64 --encoder 4 --epochs 2" .. SMALL },
  { "neuraldrummer2023", "../old/few.txt --preset neuraldrummer2023 --batch 1 --rate 0.01 " ..
    "--epochs 6" .. SMALL },
  { "fine-tuned", "../old/few.ndc --from bundled --batch 2 --steps 64 --epochs 1 --threads 1" },
}

---@class Job
---@field group string what it is counted under
---@field name string without an extension, of its files in either build's folder
---@field command string of the tool
---@field label string what the user reads of it
---@field views table<string, fun(text: string): string> what to compare, by extension

local function whole(text) return text end

-- The counts in a summary as JSON: its numbers without their names, nor the time.
local function counts(text)
  local numbers = {}
  for key, number in text:gmatch '"([%w_]+)"%s*:%s*(%-?%d[%d.e+-]*)' do
    if not key:find "second" then numbers[#numbers + 1] = number end
  end
  return table.concat(numbers, " ")
end

-- A training log without its heading and its last column, which is the time.
local function losses(text) return (text:gsub("^[^\n]*\n", ""):gsub("\t[^\t\n]*\n", "\n")) end

local function usage()
  io.stderr:write "usage: same.lua OLD NEW FOLDER [--quick] [--songs N] [--seeds N]\n"
  os.exit(2)
end

local function arguments()
  local places, songs, seeds, i = {}, 200, 3, 1
  while arg[i] do
    if arg[i] == "--quick" then
      songs, seeds = 12, 1
    elseif arg[i] == "--songs" or arg[i] == "--seeds" then
      local number = math.tointeger(tonumber(arg[i + 1]))
      if not number or number < 1 then usage() end
      if arg[i] == "--songs" then songs = number else seeds = number end
      i = i + 1
    else
      places[#places + 1] = arg[i]:find "^/" and arg[i] or shell.root .. "/" .. arg[i]
    end
    i = i + 1
  end
  if #places ~= 3 then usage() end
  for build = 1, 2 do
    places[build] = places[build] .. "/bin/neuraldrummer"
    if not shell.exists(places[build]) then
      io.stderr:write(places[build], ": no such file; build that checkout with make first\n")
      os.exit(2)
    end
  end
  return { old = places[1], new = places[2] }, places[3], songs, seeds
end

-- `count` of a list's entries at even distances; all of them where there are fewer.
local function spread(list, count)
  local taken = {}
  count = math.min(count, #list)
  for i = 1, count do taken[i] = list[(2 * i - 1) * #list // (2 * count) + 1] end
  return taken
end

-- The temporary folder goes when this process ends, however it ends: a shell in
-- the background waits for that, and ignores the signals that end a run early.
local function temporary()
  local folder = shell.folder()
  os.execute(("pid=$PPID; (trap '' HUP INT TERM; while kill -0 $pid; do sleep 1; done; " ..
    "rm -rf %s) </dev/null >/dev/null 2>&1 &"):format(shell.quote(folder)))
  return folder
end

-- Finds the songs and copies them into `folder`/songs, and the first few into
-- `folder`/few, under names without odd characters.
---@return { path: string, copy: string }[]
local function copy_songs(folder, from, count)
  local _, out = shell.sh(("find %s -type f \\( -iname '*.mid' -o -iname '*.midi' \\) | " ..
    "LC_ALL=C sort"):format(shell.quote(from)))
  local found, songs = {}, {}
  for path in out:gmatch "[^\n]+" do found[#found + 1] = path end
  if #found == 0 then
    io.stderr:write(from, ": no MIDI files in it\n")
    os.exit(2)
  end
  for _, name in ipairs { "songs", "few", "old", "new" } do
    assert(lfs.mkdir(folder .. "/" .. name))
  end
  for i, path in ipairs(spread(found, count)) do
    songs[i] = { path = path, copy = ("../songs/%04d.mid"):format(i) }
    shell.write(folder .. "/old/" .. songs[i].copy, shell.read(path))
  end
  for _, song in ipairs(spread(songs, FEW)) do
    shell.write(folder .. "/few/" .. song.copy:match "[^/]+$",
      shell.read(folder .. "/old/" .. song.copy))
  end
  return songs
end

---@param songs { path: string, copy: string }[]
---@return Job[][] chunks, each of which may read the files of those before
local function plan(songs, seeds)
  local chunks = { {} }
  local function add(group, name, views, command, song)
    local label = song and command:gsub("SONG", shell.quote(song.path)) or command
    local jobs = chunks[#chunks]
    if #jobs == CHUNK then
      jobs = {}
      chunks[#chunks + 1] = jobs
    end
    jobs[#jobs + 1] = { group = group, name = name, views = views, label = label,
      command = song and command:gsub("SONG", song.copy) or command }
  end

  for i, song in ipairs(songs) do
    for seed = 1, seeds do
      add("drum", ("drum%d.%d"):format(i, seed), { mid = whole }, "drum SONG --seed " .. seed, song)
    end
    add("tokens", "tokens" .. i, { out = whole }, "tokens SONG", song)
    add("tokens", "original" .. i, { out = whole }, "tokens SONG --original", song)
  end
  for _, name in ipairs { "songs", "few" } do
    add("corpus", name, { ndc = whole, out = counts },
      ("preprocess ../%s --json -q -o %s.ndc"):format(name, name))
    add("token text", name, { txt = whole, out = counts },
      ("preprocess ../%s --original --json -q -o %s.txt"):format(name, name))
  end
  chunks[#chunks + 1] = {}  -- both builds read what the old one has made
  for _, training in ipairs(TRAININGS) do
    local name, words = training[1], training[2]
    add("train " .. name, name, { tsv = losses },
      ("train %s -q -o %s.safetensors"):format(words, name))
  end
  for i, words in ipairs(FEATURES) do
    for j, song in ipairs(spread(songs, math.max(1, math.min(4, #songs // 6)))) do
      add(words, ("feature%d.%d"):format(i, j), { mid = whole }, words, song)
    end
  end
  for i, words in ipairs(SKETCHES) do add("sketch", "sketch" .. i, { mid = whole }, words) end
  return chunks
end

-- A shell script that runs jobs by one build's tool in that build's own folder.
local function script(folder, tool, jobs, renamed)
  local lines = { "cd " .. shell.quote(folder) }
  for _, job in ipairs(jobs) do
    local command = job.command:gsub("%-%-[%w-]+", renamed)
    if job.views.mid then command = command .. " -o " .. job.name .. ".mid" end
    lines[#lines + 1] = ("timeout %d %s %s </dev/null >%s.out 2>%s.err; echo $? >%s.status"):format(
      TOOL_LIMIT, shell.quote(tool), command, job.name, job.name, job.name)
  end
  return shell.write(folder .. ".sh", table.concat(lines, "\n") .. "\n")
end

-- One of a job's files as it is compared; nil where there is none.
local function result(folder, job, extension)
  local path = ("%s/%s.%s"):format(folder, job.name, extension)
  return shell.exists(path) and job.views[extension](shell.read(path)) or nil
end

-- Says how the results of a job differ; nil: they are the same. The second result
-- tells whether OLD did the job at all.
local function difference(folder, job)
  local old, new = folder .. "/old", folder .. "/new"
  local function status(build)
    return tonumber(shell.read(("%s/%s.status"):format(build, job.name)))
  end
  local before, after = status(old), status(new)
  if before ~= after then
    local err = shell.read(("%s/%s.err"):format(after == 0 and old or new, job.name))
    return ("exit status %d, was %d: %s"):format(after, before, err:match "[^\n]*"), before == 0
  end
  local differ = {}
  for extension in pairs(job.views) do
    local was, is = result(old, job, extension), result(new, job, extension)
    if was ~= is then
      local at, size = 1, math.min(#(was or ""), #(is or ""))
      while at <= size and was:byte(at) == is:byte(at) do at = at + 1 end
      differ[#differ + 1] = ("the %s differs from character %d on"):format(extension, at)
    end
  end
  table.sort(differ)
  return differ[1] and table.concat(differ, ", "), before == 0
end

-- Removes a compared result that no later command reads, to bound the space on disk.
local function forget(folder, job)
  if not job.views.mid and job.group ~= "tokens" then return end
  for _, build in ipairs { "old", "new" } do
    for _, extension in ipairs { "mid", "out", "err", "status" } do
      os.remove(("%s/%s/%s.%s"):format(folder, build, job.name, extension))
    end
  end
end

local tools, from, count, seeds = arguments()
local folder = temporary()
local groups, compared, differing = {}, 0, 0

-- Counts a job that both builds have done, and prints how its results differ.
local function count_job(job)
  local group = groups[job.group]
  if not group then
    group = { name = job.group, compared = 0, done = 0, differ = 0 }
    groups[job.group], groups[#groups + 1] = group, group
  end
  local what, done = difference(folder, job)
  group.compared = group.compared + 1
  if done then group.done = group.done + 1 end
  if what then
    group.differ = group.differ + 1
    print(job.label .. ": " .. what)
  end
end

for _, jobs in ipairs(plan(copy_songs(folder, from, count), seeds)) do
  local old = script(folder .. "/old", tools.old, jobs, {})
  local new = script(folder .. "/new", tools.new, jobs, RENAMED)
  assert(os.execute(("sh %s & sh %s; wait"):format(shell.quote(old), shell.quote(new))))
  for _, job in ipairs(jobs) do
    count_job(job)
    forget(folder, job)
  end
end
for _, group in ipairs(groups) do
  -- A command that never succeeds shows nothing about its results.
  if group.done == 0 and group.differ == 0 then
    group.differ = group.compared
    print(group.name .. ": the old build fails at each of these commands")
  end
  compared, differing = compared + group.compared, differing + group.differ
  local failed = group.compared - group.done
  print(("%s: %d compared%s, %d differ"):format(group.name, group.compared,
    failed > 0 and (", %d with an error in the old build"):format(failed) or "", group.differ))
end
print(("same: %d compared, %d differ"):format(compared, differing))
os.exit(differing == 0)
