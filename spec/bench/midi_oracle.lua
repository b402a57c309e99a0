--- Compares our reader with another library's, on the files that it read.
---
---     python3 spec/bench/midi_oracle.py FOLDER >oracle.tsv
---     lua5.4 spec/bench/midi_oracle.lua FOLDER oracle.tsv
---
--- Prints the files that differ, then how many agree. Exit status 1 where a
--- file that both read is not the same in both.

require "neuraldrummer.core"
local core = require "neuraldrummer.core"

local folder, table_path = arg[1], arg[2]
if not table_path then
  io.stderr:write "usage: midi_oracle.lua FOLDER ORACLE.TSV\n"
  os.exit(2)
end

local function digest(rows, fields)
  local h = 0
  for _, row in ipairs(rows) do
    for _, field in ipairs(fields) do
      h = h * 6364136223846793005 + row[field] + 1442695040888963407
    end
  end
  return ("%016x"):format(h)
end

local note_fields = { "tick", "channel", "pitch", "velocity", "duration" }

local function ours(path)
  local song, message = core.load_song(path)
  if not song then return nil, message end
  local notes, tempos, meters = song:notes(), song:tempos(), song:meters()
  for _, note in ipairs(notes) do note.channel = note.channel - 1 end
  table.sort(notes, function(a, b)
    for _, field in ipairs(note_fields) do
      if a[field] ~= b[field] then return a[field] < b[field] end
    end
    return false
  end)
  for _, tempo in ipairs(tempos) do tempo.us = math.floor(60e6 / tempo.bpm + 0.5) end
  local lossy
  for _, repair in ipairs(song:repairs()) do lossy = lossy or repair.lossy and repair.text end
  return table.concat({
    #notes, #tempos, #meters, digest(notes, note_fields), digest(tempos, { "tick", "us" }),
    digest(meters, { "tick", "numerator", "denominator" }),
  }, "\t"), lossy
end

local same, different, theirs_failed, ours_failed = 0, 0, 0, 0
local lines = io.lines(table_path)
lines()  -- names of the columns
for line in lines do
  local path, rest = line:match "^([^\t]*)\t(.*)$"
  local got, note = ours(folder .. "/" .. path)
  if not got then
    ours_failed = ours_failed + 1
    print(("%s: ours can't read it (%s), the other: %s"):format(path, note, rest))
  elseif rest:find "^error" then
    theirs_failed = theirs_failed + 1
    print(("%s: the other can't read it (%s)%s"):format(path, rest:sub(7),
      note and "; ours: " .. note or ""))
  elseif got == rest then
    same = same + 1
  else
    different = different + 1
    print(("%s:\n  other %s\n  ours  %s%s"):format(path, rest, got, note and "  " .. note or ""))
  end
end
print(("%d files: %d the same, %d different, %d that the other can't read, %d that ours can't")
  :format(same + different + theirs_failed + ours_failed, same, different, theirs_failed,
    ours_failed))
os.exit(different + ours_failed == 0, true)
