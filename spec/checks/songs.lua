--- A whole folder of songs there and back: every file is read, given drums and
--- read again; tracks without drums must come out byte for byte, and all that
--- is not a drum note must be as it was, as another reader sees it. Then the
--- same files with their bytes spoilt, which must do no harm.
---
---     make check-corpus SONGS=folder [MUTATIONS=10] [PYTHON=python3]
---     lua5.4 spec/checks/songs.lua FOLDER MUTATIONS [PYTHON with mido]
---
--- The work is done in processes of their own, so that one that ends badly is
--- counted, with the file that it had in hand.
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local mutate = require "spec.support.mutate"
local reader = require "spec.support.reader"
local temporary = require "spec.support.temporary"

local BATCH <const> = 64
local COUNTS <const> = { "files", "refused", "round-tripped", "compared", "tracks", "mutants",
  "bytes", "mended", "bad" }

-- One file there and back; counts into `n`, prints what is wrong.
local function round_trip(path, bytes, n, tok, keep)
  local function bad(what)
    n.bad = n.bad + 1
    print(path .. ": " .. what)
  end
  local song, message = core.parse_song(bytes)
  if not song then
    n.refused = n.refused + 1
    if type(message) ~= "string" then bad "refused without a reason" end
    return
  end
  local seq, why = tok:encode(song)
  if not seq then
    if type(why) ~= "string" then bad "not encoded, without a reason" end
    n.refused = n.refused + 1
    return
  end
  local out = song:with_drums(seq)
  local made = out:bytes()
  n["round-tripped"] = n["round-tripped"] + 1
  local channel, guessed = song:drum_channel()
  local drums = { [9] = true }
  if channel then drums[channel - 1] = true end
  if keep then
    local channels = {}
    for number in pairs(drums) do channels[#channels + 1] = number end
    assert(files.write(keep .. ".before", bytes))
    assert(files.write(keep .. ".after", made))
    assert(files.write(keep .. ".drums", table.concat(channels, " ")))
    local mended = {}
    for i, repair in ipairs(song:repairs()) do mended[i] = repair.text end
    assert(files.write(keep .. ".mended", table.concat(mended, "; ")))
  end
  if out:bytes() ~= assert(core.parse_song(made)):bytes() then bad "its bytes are not its bytes" end
  if #out:notes "others" ~= #song:notes "others" then bad "other notes" end

  local before, after = reader.read(bytes), reader.read(made)
  if not before then return end  -- what had to be mended is not as it was
  if not after then return bad "the other reader can't read it any more" end
  n.compared = n.compared + 1
  if reader.score(before, drums) ~= reader.score(after, drums) then bad "another score" end
  local at = 1
  for i, track in ipairs(before) do
    local has_drums = false
    for _, event in ipairs(track) do
      local kind = event.status >> 4
      has_drums = has_drums or ((kind == 8 or kind == 9) and drums[event.status & 0xF])
    end
    if not has_drums or guessed and at <= #after and after[at].bytes == track.bytes then
      while at <= #after and after[at].bytes ~= track.bytes do at = at + 1 end
      if at > #after then return bad(("track %d is not as it was"):format(i)) end
      n.tracks = n.tracks + 1
      at = at + 1
    end
  end
end

local function spoil(path, bytes, n, tokenisers, mutations)
  for i = 1, mutations do
    local mutant, count = mutate.bytes(bytes)
    n.mutants, n.bytes = n.mutants + 1, n.bytes + count
    local clock = os.clock()
    local song, message = core.parse_song(mutant)
    if song then
      n.mended = n.mended + 1
      local seq = tokenisers[i % #tokenisers + 1]:encode(song)
      if seq then song:with_drums(seq):close() end
      song:close()
    elseif type(message) ~= "string" then
      n.bad = n.bad + 1
      print(("%s: mutant %d is refused without a reason"):format(path, i))
    end
    if os.clock() - clock > 10 then
      n.bad = n.bad + 1
      print(("%s: mutant %d took %.1f s"):format(path, i, os.clock() - clock))
    end
  end
end

-- The lines of a file: path and place to keep what was made, from `first` on.
local function work(list, first, mutations)
  local tok = core.tokeniser()
  local tokenisers = { tok, core.tokeniser { preset = "neuraldrummer2023" },
    core.tokeniser { beat = "meter", steps_per_beat = 6 } }
  local n, place = {}, assert(io.open(list .. ".place", "w"))
  for _, name in ipairs(COUNTS) do n[name] = 0 end
  place:setvbuf "no"
  local i = 0
  for line in io.lines(list) do
    i = i + 1
    if i >= first then
      local path, keep = line:match "^(.*)\t(.-)$"
      place:seek "set"
      place:write(("%9d\n"):format(i))
      local bytes = files.read(path) or ""
      n.files = n.files + 1
      round_trip(path, bytes, n, tok, keep ~= "" and keep or nil)
      if #bytes > 0 then
        math.randomseed(core.hash(bytes), 1)
        spoil(path, bytes, n, tokenisers, mutations)
      end
    end
  end
  for _, name in ipairs(COUNTS) do print(("= %s %d"):format(name, n[name])) end
end

if arg[1] == "--work" then
  work(arg[2], math.tointeger(arg[3]), math.tointeger(arg[4]))
  os.exit(true)
end

local folder, mutations, python = arg[1], math.tointeger(arg[2] or 10), arg[3]
if not folder or not mutations then
  io.stderr:write "usage: songs.lua FOLDER [MUTATIONS] [PYTHON]\n"
  os.exit(2)
end
local paths = assert(files.walk(folder, { "mid", "midi", "kar", "rmi" }))
local scratch = temporary.folder()
local total = {}
for _, name in ipairs(COUNTS) do total[name] = 0 end

local function batch(from)
  local list = scratch .. "/list"
  local out, last = {}, math.min(#paths, from + BATCH - 1)
  for i = from, last do
    out[#out + 1] = ("%s\t%s\n"):format(paths[i], python and ("%s/%d"):format(scratch, i) or "")
  end
  assert(files.write(list, table.concat(out)))
  local first = 1
  while first <= last - from + 1 do
    local process = assert(io.popen(("lua5.4 spec/checks/songs.lua --work %s %d %d"):format(list,
      first, mutations)))
    for line in process:lines() do
      local name, count = line:match "^= (%S+) (%d+)$"
      if name then total[name] = total[name] + count else print(line) end
    end
    local ok, how, status = process:close()
    if ok then return end
    first = math.tointeger(tonumber(assert(files.read(list .. ".place")))) or first
    total.bad, total.files = total.bad + 1, total.files + first
    print(("%s: ended the process (%s %s)"):format(paths[from + first - 1], how, status))
    first = first + 1
  end
end

for from = 1, #paths, BATCH do
  batch(from)
  if python then
    local process = assert(io.popen(("%s spec/checks/songs.py %s"):format(python, scratch)))
    for line in process:lines() do
      local name, count = line:match "^= (%S+) (%d+)$"
      line = line:gsub("(%d+)%.before", function(i) return paths[math.tointeger(i)] end)
      if name then total[name] = (total[name] or 0) + count else print(line) end
    end
    if not process:close() then total.bad = total.bad + 1 end
    os.execute(("rm -f %s/*.*"):format(scratch))
  end
end
temporary.remove(scratch)

print(("%d files, of which %d were refused with a reason and %d round-tripped; %d of these "
  .. "compared by another reader, %d tracks byte for byte"):format(total.files, total.refused,
  total["round-tripped"], total.compared, total.tracks))
if python then
  local kinds = {}
  for _, kind in ipairs { "tempos", "meters", "markers", "lyrics", "texts", "sysex", "notes",
    "others" } do
    kinds[#kinds + 1] = ("%d %s"):format(total[kind] or 0, kind)
  end
  print(("%d compared by mido, %d of them otherwise since they were mended, and %d that it "
    .. "refuses as they are: %s"):format(total.mido or 0, total["mido-mended"] or 0,
    total["mido-refused"] or 0, table.concat(kinds, ", ")))
end
print(("%d mutants, %d bytes mutated, %d of the mutants read nevertheless"):format(total.mutants,
  total.bytes, total.mended))
print(("%d ended badly"):format(total.bad))
os.exit(total.bad == 0 and total.files > 0, true)
