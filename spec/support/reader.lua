--- A reader of MIDI files of its own, in plain Lua: what a check compares
--- before and after, without the library that is checked. Strict: nil and a
--- reason for what is not as the standard has it.
local reader = {}

-- Data bytes of channel messages by their status' upper half.
local DATA <const> = { [8] = 2, [9] = 2, [0xA] = 2, [0xB] = 2, [0xC] = 1, [0xD] = 1, [0xE] = 2 }

local function read_track(body)
  local events, at, tick, running = {}, 1, 0, nil
  local function number()
    local n = 0
    for _ = 1, 4 do
      local byte = body:byte(at)
      if not byte then error "cut short" end
      at, n = at + 1, n << 7 | byte & 0x7F
      if byte < 0x80 then return n end
    end
    error "a number of five bytes"
  end
  while at <= #body do
    tick = tick + number()
    local status = body:byte(at) or error "cut short"
    if status >= 0x80 then at = at + 1 else status = running or error "no status" end
    local event = { tick = tick, status = status }
    if status == 0xFF then
      event.type = body:byte(at) or error "cut short"
      at = at + 1
    end
    local length
    if status == 0xFF or status == 0xF0 or status == 0xF7 then
      length = number()
    else
      length = DATA[status >> 4] or error "a system message"
      running = status
    end
    if at + length - 1 > #body then error "cut short" end
    event.data = body:sub(at, at + length - 1)
    if status < 0xF0 and event.data:find "[\x80-\xFF]" then error "a data byte above 127" end
    at = at + length
    events[#events + 1] = event
    if event.type == 0x2F then return events end
  end
  error "no end of track"
end

--- The tracks of a file: lists of {tick, status, type, data}, each with its
--- chunk's bytes as `bytes`.
---@param bytes string
---@return table[]? tracks
---@return string? reason
function reader.read(bytes)
  local ok, tracks = pcall(function()
    if bytes:sub(1, 8) ~= "MThd\0\0\0\6" then error "no header" end
    local list, at = {}, 15
    while at <= #bytes do
      local id, length = string.unpack(">c4I4", bytes, at)
      if at + 7 + length > #bytes then error "cut short" end
      if id == "MTrk" then
        local track = read_track(bytes:sub(at + 8, at + 7 + length))
        track.bytes = bytes:sub(at, at + 7 + length)
        list[#list + 1] = track
      end
      at = at + 8 + length
    end
    return list
  end)
  if ok then return tracks end
  return nil, (tostring(tracks):gsub("^.-:%d+: ", ""))
end

--- All events but names and ends of tracks and the notes of `channels`, one a
--- line, in order.
---@param tracks table[]
---@param channels table<integer, boolean> 0..15
---@return string
function reader.score(tracks, channels)
  local lines = {}
  for _, track in ipairs(tracks) do
    for _, event in ipairs(track) do
      local kind = event.status >> 4
      local note = (kind == 8 or kind == 9) and channels[event.status & 0xF]
      if not note and event.type ~= 0x2F and event.type ~= 0x03 then
        lines[#lines + 1] = ("%09d %02X %02X %s"):format(event.tick, event.status,
          event.type or 0, event.data)
      end
    end
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

return reader
