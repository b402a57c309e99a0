--- Reads notes, tempos and meters of a REAPER project, and writes drums into it.
---
--- All positions are in quarter notes of the project (QN). All reading goes through the
--- API, so that start offset, rate and loop of a take have the same effect as in REAPER.
--- `r` is the `reaper` table, or a replacement for tests.
local project = {}

project.PPQ = 960
local PPQ <const> = project.PPQ
local EPSILON <const> = 1e-6     -- QN; closer positions are equal

---@class neuraldrummer.reaper.job
---@field action string
---@field items any[] MediaItems of the music
---@field drums? any the MediaItem of the project's own drums
---@field from number QN
---@field to number
---@field shift? number QN by which these drums are moved
---@field options table of the player: seed, bars, keep, extend, ...

local function round(x) return math.floor(x + 0.5) end

local function at_time(r, seconds) return r.TimeMap2_timeToQN(0, seconds) end

--- First and last QN of an item.
---@return number from
---@return number to
function project.span(r, item)
  local position = r.GetMediaItemInfo_Value(item, "D_POSITION")
  return at_time(r, position), at_time(r, position + r.GetMediaItemInfo_Value(item, "D_LENGTH"))
end

-- Whether an item is muted, or its track, or a folder of the track.
local function is_muted(r, item)
  if r.GetMediaItemInfo_Value(item, "B_MUTE") == 1 then return true end
  local track = r.GetMediaItem_Track(item)
  while track do
    if r.GetMediaTrackInfo_Value(track, "B_MUTE") == 1 then return true end
    track = r.GetParentTrack(track)
  end
  return false
end

local function is_midi(r, item)
  local take = r.GetActiveTake(item)
  return take ~= nil and r.TakeIsMIDI(take)
end

--- Whether a track is a drum track, by its name.
---@return boolean
function project.is_drum_track(r, track)
  local _, name = r.GetSetMediaTrackInfo_String(track, "P_NAME", "", false)
  return name:lower():find "%f[%a]drums?%f[%A]" ~= nil
end

function project.is_drum_item(r, item)
  return project.is_drum_track(r, r.GetMediaItem_Track(item))
end

-- All MIDI items that are not muted and for which `wanted` is true.
local function items_where(r, wanted)
  local found = {}
  for i = 0, r.CountMediaItems(0) - 1 do
    local item = r.GetMediaItem(0, i)
    if is_midi(r, item) and not is_muted(r, item) and wanted(item) then
      found[#found + 1] = item
    end
  end
  return found
end

--- The time selection in QN; nil if there is none.
---@return number? from
---@return number? to
function project.time_selection(r)
  local from, to = r.GetSet_LoopTimeRange2(0, false, false, 0, 0, false)
  if to > from then return at_time(r, from), at_time(r, to) end
end

--- MIDI items between two positions, without those on drum tracks.
---@return any[]
function project.items_between(r, from, to)
  return items_where(r, function(item)
    local first, last = project.span(r, item)
    return first < to - EPSILON and last > from + EPSILON and not project.is_drum_item(r, item)
  end)
end

--- The selected MIDI items, without those on drum tracks.
---@return any[]
function project.selected(r)
  return items_where(r, function(item)
    return r.IsMediaItemSelected(item) and not project.is_drum_item(r, item)
  end)
end

--- The drum item that an action works on: the selected item of a drum track, else the one
--- under the time selection or the edit cursor, else the only one.
---@return any? item
---@return string? message
function project.find_drums(r)
  local all = items_where(r, function(item) return project.is_drum_item(r, item) end)
  if #all == 0 then
    return nil, "There is no MIDI item on a track named Drums."
  end
  local from, to = project.time_selection(r)
  if not from then
    from = at_time(r, r.GetCursorPosition())
    to = from + 2 * EPSILON
  end
  local here
  for _, item in ipairs(all) do
    if r.IsMediaItemSelected(item) then return item end
    local first, last = project.span(r, item)
    if not here and first < to - EPSILON and last > from + EPSILON then here = item end
  end
  if here or #all == 1 then return here or all[1] end
  return nil, "There are several items on the Drums track. Select one."
end

--- The measures between two positions, whole ones.
---@return {from: number, to: number, numerator: integer, denominator: integer}[]
function project.measures(r, from, to)
  local list = {}
  local _, first = r.TimeMap2_timeToBeats(0, r.TimeMap2_QNToTime(0, from + EPSILON))
  for m = first, math.huge do
    local _, start, stop, numerator, denominator = r.TimeMap_GetMeasureInfo(0, m)
    if start >= to - EPSILON or stop <= start then break end
    -- a bar that a time signature cuts short gets a meter of its own
    for _, unit in ipairs { denominator, 4, 8, 16, 32, 64 } do
      local n = (stop - start) * unit / 4
      if math.abs(n - round(n)) < 1e-4 and n >= 1 then
        numerator, denominator = round(n), round(unit)
        break
      end
    end
    list[#list + 1] = { from = start, to = stop, numerator = round(numerator),
      denominator = round(denominator) }
  end
  return list
end

-- The tempo at each beat where it changes; in a ramp, the mean of each beat.
local function tempos_of(r, from, to, pause)
  local list, last = {}, nil
  local before = r.TimeMap2_QNToTime(0, from)
  for beat = 0, math.ceil(to - from - EPSILON) - 1 do
    local now = r.TimeMap2_QNToTime(0, from + beat + 1)
    local bpm = 60 / (now - before)
    if not last or math.abs(bpm / last - 1) > 1e-5 then
      list[#list + 1] = { tick = beat * PPQ, bpm = bpm }
      last = bpm
    end
    before = now
    pause()
  end
  return list
end

-- Calls `add` with each note of an item that sounds between two positions: start and end
-- (QN), channel (0-15), pitch, velocity, selected.
local function each_note(r, item, from, to, pause, add)
  local take = r.GetActiveTake(item)
  local first, last = project.span(r, item)
  first, last = math.max(first, from), math.min(last, to)
  local zero = r.MIDI_GetProjQNFromPPQPos(take, 0)
  local turns, period = { 0, 0 }, 0
  if r.GetMediaItemInfo_Value(item, "B_LOOPSRC") == 1 then
    local length, in_qn = r.GetMediaSourceLength(r.GetMediaItemTake_Source(take))
    if in_qn and length > 0 then
      period = length / r.GetMediaItemTakeInfo_Value(take, "D_PLAYRATE")
      turns = { math.floor((first - zero) / period), math.ceil((last - zero) / period) }
    end
  end
  local _, count = r.MIDI_CountEvts(take)
  for i = 0, count - 1 do
    local _, selected, muted, start, stop, channel, pitch, velocity = r.MIDI_GetNote(take, i)
    start = r.MIDI_GetProjQNFromPPQPos(take, start)
    stop = r.MIDI_GetProjQNFromPPQPos(take, stop)
    if period > 0 then stop = math.min(stop, zero + period) end
    if not muted and (period == 0 or start < zero + period - EPSILON) then
      for turn = turns[1], turns[2] do
        local s, e = start + turn * period, math.min(stop + turn * period, last)
        if s >= first - EPSILON and s < last - EPSILON then
          add(math.max(s, first), e, channel, pitch, velocity, selected)
        end
      end
    end
    pause()
  end
end

-- Adds the notes of one item, in ticks from `base`.
local function add_notes(r, notes, item, job, base, track, pause)
  local is_drums = item == job.drums
  local shift = is_drums and job.shift or 0
  local function put(s, e, channel, pitch, velocity)
    -- notes of other tracks on channel 10 are drums, and are not part of the music
    if channel == 9 and not is_drums then return end
    local tick = round((s + shift - base) * PPQ)
    if tick < 0 then return end
    local stop = round((e + shift - base) * PPQ)
    notes[#notes + 1] = { tick = tick, duration = math.max(1, stop - tick), pitch = pitch,
      velocity = math.max(1, math.min(127, velocity)),
      channel = is_drums and 10 or channel + 1, track = track }
  end
  each_note(r, item, job.from - shift, job.to - shift, pause, put)
end

---@class neuraldrummer.reaper.song
---@field base number QN of tick 0, the start of a bar
---@field notes neuraldrummer.note[]
---@field tempos table[]
---@field meters table[]
---@field measures table[] bars, from the first
---@field n_music integer number of notes that are not drums

--- Reads the music of a job, with the fields that nd.song.new takes and some more.
---@param job neuraldrummer.reaper.job
---@param pause fun() called often; it may yield
---@return neuraldrummer.reaper.song? song
---@return string? message
function project.read(r, job, pause)
  local measures = project.measures(r, job.from, job.to)
  if #measures == 0 then return nil, "The selected range has no bars." end
  local base, stop = measures[1].from, measures[#measures].to
  local song = { base = base, measures = measures, notes = {}, meters = {},
    tempos = tempos_of(r, base, stop, pause) }
  for i, m in ipairs(measures) do
    local before = measures[i - 1]
    if not before or before.numerator ~= m.numerator or before.denominator ~= m.denominator then
      song.meters[#song.meters + 1] = { tick = round((m.from - base) * PPQ),
        numerator = m.numerator, denominator = m.denominator }
    end
  end
  local tracks, n = {}, 0
  for _, item in ipairs(job.items) do
    local track = r.GetMediaItem_Track(item)
    if not tracks[track] then
      n = n + 1
      tracks[track] = n
    end
    add_notes(r, song.notes, item, job, base, tracks[track], pause)
  end
  song.n_music = #song.notes
  if job.drums then add_notes(r, song.notes, job.drums, job, base, n + 1, pause) end
  return song
end

--- The numbers of the bars of a song between two positions, such as "9-12".
---@return string
function project.bar_range(song, from, to)
  local first, last
  for i, m in ipairs(song.measures) do
    if m.from < to - EPSILON and m.to > from + EPSILON then first, last = first or i, i end
  end
  return first and ("%d-%d"):format(first, last) or ""
end

--- The pitches of the selected notes of an item.
---@return table<integer, boolean>
function project.selected_pitches(r, item)
  local pitches = {}
  local from, to = project.span(r, item)
  each_note(r, item, from, to, function() end, function(_, _, _, pitch, _, selected)
    if selected then pitches[pitch] = true end
  end)
  return pitches
end

-- Writing -------------------------------------------------------------------

--- Makes changes as one undo step. If `edit` raises, none of them stay.
---@param label string
---@param edit fun()
---@return boolean? ok
---@return string? message
function project.change(r, label, edit)
  r.PreventUIRefresh(1)
  r.Undo_BeginBlock2(0)
  local ok, message = pcall(edit)
  -- REAPER makes an undo point only if something changed, and the one before it may be the
  -- user's; so a failed edit gets a label that no finished action has
  local failed = label .. " (failed)"
  r.Undo_EndBlock2(0, ok and label or failed, -1)
  if not ok and r.Undo_CanUndo2(0) == failed then r.Undo_DoUndo2(0) end
  r.PreventUIRefresh(-1)
  r.UpdateArrange()
  if ok then return true end
  return nil, tostring(message)
end

local function drum_track(r)
  local n = r.CountTracks(0)
  for i = 0, n - 1 do
    local track = r.GetTrack(0, i)
    if project.is_drum_track(r, track) then return track end
  end
  r.InsertTrackAtIndex(n, true)
  local track = r.GetTrack(0, n)
  r.GetSetMediaTrackInfo_String(track, "P_NAME", "Drums", true)
  return track
end

--- Writes notes as a new item on the Drums track, and mutes the drum items that overlap
--- it. Call it within `change`.
---@param notes {from: number, to: number, pitch: integer, velocity: integer}[] in QN
---@param name string of the take
---@param record string stored with the item
---@return any item
function project.write(r, job, notes, name, record)
  local track = job.drums and r.GetMediaItem_Track(job.drums) or drum_track(r)
  for i = 0, r.CountTrackMediaItems(track) - 1 do
    local other = r.GetTrackMediaItem(track, i)
    local from, to = project.span(r, other)
    if from < job.to - EPSILON and to > job.from + EPSILON then
      r.SetMediaItemInfo_Value(other, "B_MUTE", 1)
    end
  end
  local item = r.CreateNewMIDIItemInProj(track, job.from, job.to, true)
  local take = item and r.GetActiveTake(item)
  if not take then error("REAPER could not create a MIDI item.", 0) end
  r.SetMediaItemInfo_Value(item, "B_LOOPSRC", 0)
  for _, note in ipairs(notes) do
    -- a hit before the start of the item is moved to its start
    local from = r.MIDI_GetPPQPosFromProjQN(take, math.max(note.from, job.from))
    local to = r.MIDI_GetPPQPosFromProjQN(take, math.min(note.to, job.to))
    r.MIDI_InsertNote(take, false, false, from, math.max(to, from + 1), 9, note.pitch,
      note.velocity, true)
  end
  r.MIDI_Sort(take)
  r.GetSetMediaItemTakeInfo_String(take, "P_NAME", name, true)
  r.GetSetMediaItemInfo_String(item, "P_EXT:neuraldrummer", record, true)
  return item
end

local MARK <const> = "low fit"

--- Marks the bars of a drum item that fit worst, and removes earlier marks.
---@param bars {from: number, fit: number}[] in QN, the worst first
function project.mark(r, item, bars)
  local take = r.GetActiveTake(item)
  for i = r.GetNumTakeMarkers(take) - 1, 0, -1 do
    local _, name = r.GetTakeMarker(take, i)
    if name:find(MARK, 1, true) == 1 then r.DeleteTakeMarker(take, i) end
  end
  local position = r.GetMediaItemInfo_Value(item, "D_POSITION")
  local offset = r.GetMediaItemTakeInfo_Value(take, "D_STARTOFFS")
  local rate = r.GetMediaItemTakeInfo_Value(take, "D_PLAYRATE")
  for rank, bar in ipairs(bars) do
    local seconds = math.max(0, r.TimeMap2_QNToTime(0, bar.from) - position)
    r.SetTakeMarker(take, -1, ("%s (%d): %+.2f"):format(MARK, rank, bar.fit),
      offset + seconds * rate)
  end
end

-- References to items ------------------------------------------------------

--- The GUIDs of items, separated by blanks.
function project.names_of(r, items)
  local names = {}
  for i, item in ipairs(items) do
    local _, guid = r.GetSetMediaItemInfo_String(item, "GUID", "", false)
    names[i] = guid
  end
  return table.concat(names, " ")
end

--- The items with these GUIDs that still exist.
function project.items_named(r, text)
  local wanted, found = {}, {}
  for guid in text:gmatch "%S+" do wanted[guid] = true end
  for i = 0, r.CountMediaItems(0) - 1 do
    local item = r.GetMediaItem(0, i)
    local _, guid = r.GetSetMediaItemInfo_String(item, "GUID", "", false)
    if wanted[guid] and is_midi(r, item) then found[#found + 1] = item end
  end
  return found
end

return project
