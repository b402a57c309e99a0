--- A stand-in for REAPER's `reaper` and `gfx` tables: a project in memory, the
--- API's functions with their documented arguments and results, every call
--- recorded and its arguments checked, undo blocks counted and undone.
---
--- A project: { tempos = { {qn, bpm[, bpm at the next]} … }, meters = { {measure, n, d} … },
--- tracks = { { name, muted, folder = name of an earlier one, items = { { from = QN,
--- to = QN, notes = { {start QN in the source, length, pitch, velocity, channel} … },
--- offset = QN, rate, loop = QN of the source, selected, muted } } } },
--- selection = { QN, QN }, cursor = QN, imgui = true where ReaImGui is installed }
local core = require "neuraldrummer.core"
local imgui = require "spec.support.imgui"

local fake = {}

local PPQ <const> = 960

-- Types of arguments; "?": may be left out.
local SIGNATURES <const> = {
  CountMediaItems = "p", GetMediaItem = "p n", IsMediaItemSelected = "item",
  GetMediaItemInfo_Value = "item s", SetMediaItemInfo_Value = "item s n",
  GetMediaItem_Track = "item", GetMediaTrackInfo_Value = "track s", GetActiveTake = "item",
  GetParentTrack = "track", Undo_CanUndo2 = "p",
  TakeIsMIDI = "take", GetSetMediaTrackInfo_String = "track s s b",
  GetSetMediaItemInfo_String = "item s s b", GetSetMediaItemTakeInfo_String = "take s s b",
  GetMediaItemTakeInfo_Value = "take s", GetMediaItemTake_Source = "take",
  GetMediaSourceLength = "source", CountTracks = "p", GetTrack = "p n",
  CountTrackMediaItems = "track", GetTrackMediaItem = "track n", InsertTrackAtIndex = "n b",
  CreateNewMIDIItemInProj = "track n n b?", GetSet_LoopTimeRange2 = "p b b n n b",
  GetCursorPosition = "", TimeMap2_timeToQN = "p n", TimeMap2_QNToTime = "p n",
  TimeMap2_timeToBeats = "p n", TimeMap_GetMeasureInfo = "p n", MIDI_CountEvts = "take",
  MIDI_GetNote = "take n", MIDI_GetProjQNFromPPQPos = "take n",
  MIDI_GetPPQPosFromProjQN = "take n", MIDI_InsertNote = "take b b n n n n n b?",
  MIDI_Sort = "take", GetNumTakeMarkers = "take", GetTakeMarker = "take n",
  DeleteTakeMarker = "take n", SetTakeMarker = "take n s n? n?", PreventUIRefresh = "n",
  Undo_BeginBlock2 = "p", Undo_EndBlock2 = "p s n", Undo_DoUndo2 = "p", UpdateArrange = "",
  MB = "s s n", GetUserInputs = "s n s s", GetExtState = "s s", HasExtState = "s s",
  SetExtState = "s s s b", GetOS = "", ExecProcess = "s n", time_precise = "", defer = "f",
  APIExists = "s", ImGui_GetBuiltinPath = "", GetResourcePath = "",
}
local PLAIN <const> = { n = "number", s = "string", b = "boolean", f = "function" }

local function check(name, signature, ...)
  local given, i = table.pack(...), 0
  for word in signature:gmatch "%S+" do
    i = i + 1
    local kind, optional = word:match "^(%a+)(%??)$"
    local value = given[i]
    local fits = (optional == "?" and value == nil) or type(value) == PLAIN[kind]
      or (kind == "p" and value == 0) or (type(value) == "table" and value.kind == kind)
    if not fits then error(("%s: argument %d is no %s"):format(name, i, kind), 3) end
  end
  if given.n > i then error(("%s: %d arguments, not %d"):format(name, given.n, i), 3) end
end

-- Time --------------------------------------------------------------------------

-- Beats after `seconds` of a segment, whose tempo may change evenly in time.
local function beats_in(segment, seconds)
  local slope = segment.length and (segment.to - segment.bpm) / segment.length or 0
  return (segment.bpm * seconds + slope * seconds ^ 2 / 2) / 60
end

local function time_map(tempos)
  local map, time = {}, 0
  for i, t in ipairs(tempos) do
    local qn, bpm, to = t[1], t[2], t[3] or t[2]
    local segment = { qn = qn, bpm = bpm, to = to, time = time }
    local following = tempos[i + 1]
    if following then
      segment.length = (following[1] - qn) * 60 / ((bpm + to) / 2)
      time = time + segment.length
    end
    map[i] = segment
  end
  local function to_qn(seconds)
    local s = map[1]
    for _, other in ipairs(map) do if other.time <= seconds + 1e-12 then s = other end end
    return s.qn + beats_in(s, seconds - s.time)
  end
  local function to_time(qn)
    local s = map[1]
    for _, other in ipairs(map) do if other.qn <= qn + 1e-12 then s = other end end
    if not s.length or s.to == s.bpm then return s.time + (qn - s.qn) * 60 / s.bpm end
    local low, high = 0, s.length
    for _ = 1, 60 do
      local middle = (low + high) / 2
      if beats_in(s, middle) < qn - s.qn then low = middle else high = middle end
    end
    return s.time + low
  end
  return to_qn, to_time
end

--- A REAPER with a project open; `resources` is its own folder, where it has one.
---@param spec table
function fake.new(spec)
  local self = { calls = {}, undo = {}, messages = {}, deferred = {}, ext = {}, loose = 0,
    depth = 0, refresh = 0, inputs = {}, os = spec.os or "Other", slices = {}, execs = {} }
  local clock = spec.clock or core.clock
  local to_qn, to_time = time_map(spec.tempos or { { 0, 120 } })
  local api, tracks, block, ids = {}, {}, nil, 0

  local function guid()
    ids = ids + 1
    return ("{%08X-0000-0000-0000-000000000000}"):format(ids)
  end

  -- A change, with what takes it back.
  local function changed(back)
    if block then block[#block + 1] = back else self.loose = self.loose + 1 end
  end
  local function set(t, name, value)
    local before = t[name]
    t[name] = value
    changed(function() t[name] = before end)
  end

  local function add_item(track, from, to, s)
    local item = { kind = "item", track = track, guid = guid(), selected = s.selected or false,
      D_POSITION = to_time(from), D_LENGTH = to_time(to) - to_time(from),
      B_LOOPSRC = s.loop and 1 or 0, B_MUTE = s.muted and 1 or 0, ext = {} }
    item.take = { kind = "take", item = item, notes = {}, markers = {}, sorts = 0, unsorted = false,
      zero = from - (s.offset or 0), midi = s.audio == nil, D_PLAYRATE = s.rate or 1,
      D_STARTOFFS = to_time(from) - to_time(from - (s.offset or 0)), name = "" }
    item.take.source = { kind = "source", length = s.loop or to - from }
    for _, n in ipairs(s.notes or {}) do
      table.insert(item.take.notes, { selected = n.selected or false, muted = n.muted or false,
        start = n[1] * PPQ, stop = (n[1] + n[2]) * PPQ, pitch = n[3], velocity = n[4] or 100,
        channel = (n[5] or 1) - 1 })
    end
    table.insert(track.items, item)
    return item
  end
  for i, t in ipairs(spec.tracks) do
    local track = { kind = "track", name = t.name, items = {}, B_MUTE = t.muted and 1 or 0 }
    for k = 1, i - 1 do if tracks[k].name == t.folder then track.parent = tracks[k] end end
    tracks[i] = track
    for _, s in ipairs(t.items or {}) do add_item(track, s.from, s.to, s) end
  end
  local function all_items()
    local list = {}
    for _, t in ipairs(tracks) do table.move(t.items, 1, #t.items, #list + 1, list) end
    return list
  end

  -- measures: {qn, qn_end, numerator, denominator}, as many as are asked for
  local measures = {}
  local function measure(m)
    for i = #measures, m do
      local n, d = 4, 4
      local length
      for _, meter in ipairs(spec.meters or {}) do
        if meter[1] <= i then n, d = meter[2], meter[3] end
        if meter[1] == i then length = meter[4] end
      end
      local from = i > 0 and measures[i].to or 0
      measures[i + 1] = { from = from, to = from + (length or n * 4 / d), n = n, d = d }
    end
    return measures[m + 1]
  end

  function api.CountMediaItems() return #all_items() end
  function api.GetMediaItem(_, i) return all_items()[i + 1] end
  function api.IsMediaItemSelected(item) return item.selected end
  function api.GetMediaItemInfo_Value(item, name) return assert(item[name], name) end
  function api.SetMediaItemInfo_Value(item, name, value)
    assert(item[name], name)
    set(item, name, value)
    return true
  end
  function api.GetMediaItem_Track(item) return item.track end
  function api.GetMediaTrackInfo_Value(track, name) return assert(track[name], name) end
  function api.GetParentTrack(track) return track.parent end
  function api.GetActiveTake(item) return item.take end
  function api.TakeIsMIDI(take) return take.midi end
  local function get_set(t, name, value, write)
    if write then set(t, name, value) end
    return true, t[name] or ""
  end
  function api.GetSetMediaTrackInfo_String(track, name, value, write)
    assert(name == "P_NAME")
    return get_set(track, "name", value, write)
  end
  function api.GetSetMediaItemInfo_String(item, name, value, write)
    if name == "GUID" then return true, item.guid end
    return get_set(item.ext, assert(name:match "^P_EXT:(.+)"), value, write)
  end
  function api.GetSetMediaItemTakeInfo_String(take, name, value, write)
    assert(name == "P_NAME")
    return get_set(take, "name", value, write)
  end
  function api.GetMediaItemTakeInfo_Value(take, name) return assert(take[name], name) end
  function api.GetMediaItemTake_Source(take) return take.source end
  function api.GetMediaSourceLength(source) return source.length, true end
  function api.CountTracks() return #tracks end
  function api.GetTrack(_, i) return tracks[i + 1] end
  function api.CountTrackMediaItems(track) return #track.items end
  function api.GetTrackMediaItem(track, i) return track.items[i + 1] end
  function api.InsertTrackAtIndex(i)
    table.insert(tracks, i + 1, { kind = "track", name = "", items = {}, B_MUTE = 0 })
    changed(function() table.remove(tracks, i + 1) end)
  end
  function api.CreateNewMIDIItemInProj(track, from, to, in_qn)
    if not in_qn then from, to = to_qn(from), to_qn(to) end
    local item = add_item(track, from, to, { loop = to - from })
    changed(function() table.remove(track.items) end)
    return item
  end
  function api.GetSet_LoopTimeRange2(_, write)
    assert(not write)
    if not spec.selection then return 0, 0 end
    return to_time(spec.selection[1]), to_time(spec.selection[2])
  end
  function api.GetCursorPosition() return to_time(spec.cursor or 0) end
  function api.TimeMap2_timeToQN(_, seconds) return to_qn(seconds) end
  function api.TimeMap2_QNToTime(_, qn) return to_time(qn) end
  function api.TimeMap2_timeToBeats(_, seconds)
    local qn, m = to_qn(seconds), 0
    while measure(m).to <= qn do m = m + 1 end
    local here = measure(m)
    return (qn - here.from) * here.d / 4, m, here.n, qn, here.d
  end
  function api.TimeMap_GetMeasureInfo(_, m)
    local here = measure(m)
    return to_time(here.from), here.from, here.to, here.n, here.d, 120
  end
  function api.MIDI_CountEvts(take) return #take.notes, #take.notes, 0, 0 end
  function api.MIDI_GetNote(take, i)
    local n = take.notes[i + 1]
    return true, n.selected, n.muted, n.start, n.stop, n.channel, n.pitch, n.velocity
  end
  function api.MIDI_GetProjQNFromPPQPos(take, ppq)
    return take.zero + ppq / PPQ / take.D_PLAYRATE
  end
  function api.MIDI_GetPPQPosFromProjQN(take, qn)
    return (qn - take.zero) * PPQ * take.D_PLAYRATE
  end
  function api.MIDI_InsertNote(take, selected, muted, start, stop, channel, pitch, velocity,
                               no_sort)
    assert(stop > start and pitch >= 0 and pitch <= 127 and velocity >= 1 and velocity <= 127)
    if self.fail_at and #take.notes >= self.fail_at then error "the disk is full" end
    table.insert(take.notes, { selected = selected, muted = muted, start = start, stop = stop,
      channel = channel, pitch = pitch, velocity = velocity })
    if no_sort then take.unsorted = true else take.sorts = take.sorts + 1 end
    return true
  end
  function api.MIDI_Sort(take)
    take.sorts, take.unsorted = take.sorts + 1, false
  end
  function api.GetNumTakeMarkers(take) return #take.markers end
  function api.GetTakeMarker(take, i)
    local m = take.markers[i + 1]
    if not m then return -1 end
    return m.at, m.name, 0
  end
  function api.DeleteTakeMarker(take, i)
    local mark = table.remove(take.markers, i + 1)
    changed(function() table.insert(take.markers, i + 1, mark) end)
    return true
  end
  function api.SetTakeMarker(take, i, name, at)
    assert(i == -1)
    table.insert(take.markers, { name = name, at = at })
    changed(function() table.remove(take.markers) end)
    return #take.markers - 1
  end
  function api.PreventUIRefresh(n) self.refresh = self.refresh + n end
  function api.Undo_BeginBlock2()
    assert(not block, "a block within a block")
    block = {}
  end
  function api.Undo_EndBlock2(_, label)
    assert(block, "no block to end")
    -- a block in which nothing changed leaves no undo point
    if #block > 0 then table.insert(self.undo, { label = label, back = block }) end
    block = nil
  end
  function api.Undo_CanUndo2() return self.undo[1] and self.undo[#self.undo].label end
  function api.Undo_DoUndo2()
    local last = assert(table.remove(self.undo))
    for i = #last.back, 1, -1 do last.back[i]() end
    return 1
  end
  function api.UpdateArrange() end
  function api.MB(text)
    table.insert(self.messages, text)
    return 1
  end
  function api.GetUserInputs(_, _, _, default)
    local answer = table.remove(self.inputs, 1)
    if answer == nil or answer == false then return false, default end
    return true, answer
  end
  function api.GetExtState(_, name) return self.ext[name] or "" end
  function api.HasExtState(_, name) return self.ext[name] ~= nil end
  function api.SetExtState(_, name, value) self.ext[name] = value end
  function api.GetOS() return self.os end
  function api.ExecProcess(line, timeout)
    assert(timeout == -1)
    table.insert(self.execs, line)
    os.execute(line .. " &")
    return ""
  end
  function api.GetResourcePath() return assert(self.resources, "no folder of REAPER's") end
  function api.APIExists(name) return api[name] ~= nil end
  if spec.imgui then
    self.user = imgui.new_user()
    function api.ImGui_GetBuiltinPath() return "spec/support/reaimgui" end
  end
  api.time_precise = clock
  function api.defer(f)
    table.insert(self.deferred, f)
    return true
  end

  local recorded = {}
  for name, f in pairs(api) do
    recorded[name] = function(...)
      check(name, SIGNATURES[name], ...)
      self.calls[name] = (self.calls[name] or 0) + 1
      return f(...)
    end
  end
  self.reaper = setmetatable(recorded, { __index = function(_, name)
    error("REAPER has no function " .. name, 2)
  end })
  self.tracks = tracks

  -- gfx: what is drawn is counted; keys and clicks come from `self.events`.
  self.events = {}
  self.gfx = { mouse_cap = 0, mouse_x = 0, mouse_y = 0, x = 0, y = 0, windows = 0, texts = {} }
  local gfx = self.gfx
  for _, name in ipairs { "set", "rect", "update", "setfont" } do gfx[name] = function() end end
  function gfx.init(title)
    gfx.windows, gfx.title = gfx.windows + 1, title
  end
  function gfx.quit() gfx.windows = gfx.windows - 1 end
  function gfx.drawstr(text) gfx.texts[text] = { gfx.x, gfx.y } end
  function gfx.getchar()
    local event = table.remove(self.events, 1)
    gfx.mouse_cap = 0
    if type(event) == "table" then
      gfx.mouse_cap, gfx.mouse_x, gfx.mouse_y = 1, event[1], event[2]
      return 0
    end
    return event or 0
  end

  --- Runs what was put off until nothing is left, or `most` turns.
  function self.pump(most)
    local turns = 0
    while #self.deferred > 0 and turns < (most or 1e6) do
      turns = turns + 1
      local f = table.remove(self.deferred, 1)
      local before = clock()
      f()
      if self.user then self.user.frame_over() end
      table.insert(self.slices, clock() - before)
    end
    return turns
  end

  --- The track of this name.
  function self.track(name)
    for _, t in ipairs(tracks) do if t.name == name then return t end end
  end
  self.to_qn, self.to_time = to_qn, to_time
  return self
end

return fake
