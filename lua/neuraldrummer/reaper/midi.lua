--- MIDI files without the C module: writes a song for the tool in a separate process, and
--- reads the notes of the file that it returns.
local midi = {}

-- A number of variable length, as MIDI files have it.
local function variable_length(n)
  local bytes = string.char(n & 0x7F)
  n = n >> 7
  while n > 0 do
    bytes = string.char(n & 0x7F | 0x80) .. bytes
    n = n >> 7
  end
  return bytes
end

-- A track chunk of events {tick, order, bytes}. Events of one tick are sorted by `order`,
-- then by their position in the list.
local function track(events)
  for i, event in ipairs(events) do event[4] = i end
  table.sort(events, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[4] < b[4]
  end)
  local parts, now = {}, 0
  for _, event in ipairs(events) do
    parts[#parts + 1] = variable_length(event[1] - now) .. event[3]
    now = event[1]
  end
  local body = table.concat(parts) .. "\0\xFF\x2F\0"
  return "MTrk" .. string.pack(">I4", #body) .. body
end

--- Encodes a song as a MIDI file.
---@param song {ppq: integer, notes: table[], tempos: table[], meters: table[]}
---@return string
function midi.bytes(song)
  local tracks, n = { [0] = {} }, 0
  for _, t in ipairs(song.tempos) do
    local us = math.floor(60e6 / t.bpm + 0.5)
    tracks[0][#tracks[0] + 1] = { t.tick, 0, "\xFF\x51\3" .. string.pack(">I3", us) }
  end
  for _, m in ipairs(song.meters) do
    local power = 0
    while 1 << power < m.denominator do power = power + 1 end
    tracks[0][#tracks[0] + 1] = { m.tick, 0,
      "\xFF\x58\4" .. string.char(m.numerator, power, 24, 8) }
  end
  for _, note in ipairs(song.notes) do
    while n < note.track do
      n = n + 1
      tracks[n] = {}
    end
    local events, channel = tracks[note.track], note.channel - 1
    events[#events + 1] = { note.tick, 1, string.char(0x90 | channel, note.pitch, note.velocity) }
    events[#events + 1] = { note.tick + note.duration, 0,
      string.char(0x80 | channel, note.pitch, 64) }
  end
  local parts = { "MThd" .. string.pack(">I4I2I2I2", 6, 1, n + 1, song.ppq) }
  for i = 0, n do parts[#parts + 1] = track(tracks[i]) end
  return table.concat(parts)
end

--- Reads the notes of a MIDI file, in order of time.
---@param bytes string
---@return table[]? notes {tick, duration, channel, pitch, velocity}
---@return string? message
function midi.notes(bytes)
  if bytes:sub(1, 4) ~= "MThd" or #bytes < 14 then return nil, "is not a MIDI file" end
  local notes, at = {}, 15
  local function read_track(from, to)
    local tick, status, open = 0, nil, {}
    local function number()
      local n = 0
      while true do
        local byte = bytes:byte(from)
        from = from + 1
        n = n << 7 | byte & 0x7F
        if byte < 0x80 then return n end
      end
    end
    while from < to do
      tick = tick + number()
      local byte = bytes:byte(from)
      if byte == 0xFF then
        from = from + 2
        local length = number()
        from = from + length
      elseif byte == 0xF0 or byte == 0xF7 then
        from = from + 1
        local length = number()
        from = from + length
      else
        if byte >= 0x80 then status, from = byte, from + 1 end
        local kind, channel = status >> 4, (status & 15) + 1
        local a, b = bytes:byte(from, from + 1)
        from = from + ((kind == 0xC or kind == 0xD) and 1 or 2)
        local key = channel << 7 | a
        if kind == 9 and b > 0 then
          local note = { tick = tick, duration = 0, channel = channel, pitch = a, velocity = b }
          notes[#notes + 1] = note
          open[key] = open[key] or {}
          table.insert(open[key], note)
        elseif (kind == 8 or kind == 9) and open[key] and open[key][1] then
          local note = table.remove(open[key], 1)
          note.duration = tick - note.tick
        end
      end
    end
  end
  while at + 8 <= #bytes do
    local length = string.unpack(">I4", bytes, at + 4)
    if at + 7 + length > #bytes then return nil, "is truncated" end
    if bytes:sub(at, at + 3) == "MTrk" then read_track(at + 8, at + 8 + length) end
    at = at + 8 + length
  end
  for i, note in ipairs(notes) do note.order = i end
  table.sort(notes, function(a, b)
    if a.tick ~= b.tick then return a.tick < b.tick end
    if a.pitch ~= b.pitch then return a.pitch < b.pitch end
    return a.order < b.order
  end)
  return notes
end

return midi
