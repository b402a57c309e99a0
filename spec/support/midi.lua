--- Writes MIDI files for specs, from events in hex or bytes, without our own
--- writer.
local midi = {}

--- Bytes of hex digits; blanks are skipped.
function midi.hex(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(d) return string.char(tonumber(d, 16)) end))
end

--- A variable-length quantity.
function midi.vlq(n)
  local bytes = string.char(n & 0x7F)
  while n > 0x7F do
    n = n >> 7
    bytes = string.char(n & 0x7F | 0x80) .. bytes
  end
  return bytes
end

function midi.meta(type, data) return "\xFF" .. string.char(type) .. midi.vlq(#data) .. data end

midi.eot = "\xFF\x2F\0"

--- A chunk of `body`.
function midi.chunk(body, id) return (id or "MTrk") .. string.pack(">s4", body) end

--- A track of events "delta", bytes, "delta", bytes…, ended.
function midi.track(events)
  local parts = {}
  for i = 1, #events, 2 do
    parts[#parts + 1] = midi.vlq(events[i]) .. events[i + 1]
  end
  if #events == 0 or events[#events] ~= midi.eot then parts[#parts + 1] = "\0" .. midi.eot end
  return midi.chunk(table.concat(parts))
end

--- A file of chunks. `division` may be a number or two bytes.
function midi.file(format, division, chunks, count)
  if not count then
    count = 0
    for _, chunk in ipairs(chunks) do
      if chunk:sub(1, 4) == "MTrk" then count = count + 1 end
    end
  end
  if type(division) == "number" then division = string.pack(">I2", division) end
  return "MThd" .. string.pack(">I4I2I2", 6, format, count) .. division .. table.concat(chunks)
end

--- The chunks of a file: list of {id, body}, and what stands behind them.
function midi.chunks(bytes)
  local list, at = {}, 1
  while at + 7 <= #bytes do
    local id, body, after = bytes:sub(at, at + 3), string.unpack(">s4", bytes, at + 4)
    list[#list + 1] = { id = id, body = body }
    at = after
  end
  return list, bytes:sub(at)
end

return midi
