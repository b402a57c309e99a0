--- How close the original system's preset comes to the original system.
---
---     lua5.4 spec/bench/golden.lua GOLDEN.tsv SONGS_DIR
---
--- GOLDEN.tsv holds a song's path below SONGS_DIR, a tab, and the token line
--- that the original wrote for it. A drum note exactly midway between two
--- steps may stand on either: the original computed in floating-point seconds.
--- Prints a line a song, the steps that differ, and a total; exit status 0 when
--- the targets are met.
---
--- Not copied: where notes of one pitch overlap, the original's reader lets the
--- first note-off end them all, and then drops a later one that starts and ends
--- on one tick; ours ends one note with each. In the golden set that is one
--- step, in d_e1m2.mid. The two songs that are a step longer there end on a
--- midway note.
local nd = require "neuraldrummer"

local PITCHES, INTENSITY, MIDWAY = 0.995, 0.97, 0.05

local function parse(line)
  local steps, step = {}, { pitches = {} }
  for token in line:gmatch "[^,]+" do
    if token == "-1" then
      steps[#steps + 1] = step
      step = { pitches = {} }
    elseif token:sub(1, 1) == "i" then
      step.intensity = tonumber(token:sub(2))
    else
      local pitch = tonumber(token)
      step.pitches[pitch] = (step.pitches[pitch] or 0) + 1
    end
  end
  return steps
end

-- All songs of the golden set are in 4/4: a step is half a quarter note.
local function is_midway(note, ppq)
  return 4 * note.tick % (2 * ppq) == ppq
end

-- Takes the midway notes out of our steps: pitch -> count for each step that
-- one is on; it may as well be on the next.
local function set_apart(steps, drums, ppq)
  local apart = {}
  for _, note in ipairs(drums) do
    if is_midway(note, ppq) then
      local step = note.tick * 2 // ppq + 1
      local ours = steps[step] and steps[step].pitches
      if ours and (ours[note.pitch] or 0) > 0 then
        ours[note.pitch] = ours[note.pitch] - 1
        apart[step] = apart[step] or {}
        apart[step][note.pitch] = (apart[step][note.pitch] or 0) + 1
      end
    end
  end
  return apart
end

-- Whether the step's pitches are the golden ones, given the midway notes that
-- the step before left over (they must be here) and its own (they may be).
local function same_pitches(ours, golden, left_over, own)
  local same = true
  for pitch = 0, 127 do
    local surplus = (golden[pitch] or 0) - (ours[pitch] or 0) - (left_over[pitch] or 0)
    local free = own[pitch] or 0
    if surplus < 0 or surplus > free then same = false end
    own[pitch] = math.max(free - math.max(surplus, 0), 0)
  end
  return same
end

local function compare(song, line)
  local tok = nd.tokeniser { preset = "neuraldrummer2023" }
  local ours = parse(assert(tok:encode(song)):tokens())
  local golden = parse(line)
  local ppq = song:ppq()
  local apart = set_apart(ours, song:notes "drums", ppq)
  local r = { steps = math.max(#ours, #golden), pitches = 0, heard = 0, intensity = 0,
    ours = #ours, golden = #golden }
  r.differ = {}
  local left_over = {}
  for t = 1, r.steps do
    local a, b = ours[t] or { pitches = {} }, golden[t] or { pitches = {} }
    local own = apart[t] or {}
    local same = same_pitches(a.pitches, b.pitches, left_over, own)
    if same and ours[t] and golden[t] then
      r.pitches = r.pitches + 1
    else
      r.differ[#r.differ + 1] = t
    end
    left_over = own
    if b.intensity then
      r.heard = r.heard + 1
      if a.intensity and math.abs(a.intensity - b.intensity) < 0.1001 then
        r.intensity = r.intensity + 1
      end
    end
  end
  local midway, notes = 0, song:notes "all"
  for _, note in ipairs(notes) do
    if is_midway(note, ppq) then midway = midway + 1 end
  end
  r.midway = midway / #notes
  return r
end

local golden_path, folder = ...
if not folder then
  io.stderr:write("usage: golden.lua GOLDEN.tsv SONGS_DIR\n")
  os.exit(2)
end
local sum = { steps = 0, pitches = 0, heard = 0, intensity = 0, songs = 0, even = 0 }
print "pitches  intensity  midway  steps  golden  song"
for row in io.lines(golden_path) do
  local path, line = row:match "^([^\t]+)\t(.*)$"
  local song = assert(nd.song.load(folder .. "/" .. path))
  local r = compare(song, line)
  print(("%6.2f%%  %8.2f%%  %5.1f%%  %5d  %6d  %s"):format(100 * r.pitches / r.steps,
    100 * r.intensity / r.heard, 100 * r.midway, r.ours, r.golden, path))
  if #r.differ > 0 then
    print("  differ: step " .. table.concat(r.differ, ", ", 1, math.min(#r.differ, 8))
      .. (#r.differ > 8 and " …" or ""))
  end
  sum.songs, sum.steps, sum.pitches = sum.songs + 1, sum.steps + r.steps, sum.pitches + r.pitches
  if r.midway < MIDWAY then
    sum.even = sum.even + 1
    sum.heard, sum.intensity = sum.heard + r.heard, sum.intensity + r.intensity
  end
end
local pitches, intensity = sum.pitches / sum.steps, sum.intensity / sum.heard
print(("%d songs, %d steps: same pitches %.3f%% (at least %.1f%%)"):format(sum.songs, sum.steps,
  100 * pitches, 100 * PITCHES))
print(("%d songs with few midway notes, %d steps: intensity within 0.1 %.3f%% (at least %.1f%%)")
  :format(sum.even, sum.heard, 100 * intensity, 100 * INTENSITY))
os.exit(pitches >= PITCHES and intensity >= INTENSITY, true)
