--- Text that came from a file, or names one, as it may be shown: a song's track
--- names hold any bytes, and a terminal obeys some of them.
local printable = {}

-- `text` with `escape` of each byte that belongs to no UTF-8 character.
local function mend(text, escape)
  local parts, at = {}, 1
  repeat
    local _, bad = utf8.len(text, at)
    parts[#parts + 1] = text:sub(at, (bad or 0) - 1)
    if bad then
      parts[#parts + 1] = escape(text:sub(bad, bad))
      at = bad + 1
    end
  until not bad
  return table.concat(parts)
end

local function as_hex(bytes)
  return (bytes:gsub(".", function(byte) return ("\\x%02X"):format(byte:byte()) end))
end

--- For a terminal: control characters, and bytes that are no UTF-8, as \xNN.
---@param text string
---@return string
function printable.line(text)
  if not text:find "[\0-\31\127-\255]" then return text end
  return (mend(text, as_hex):gsub("[\0-\31\127]", as_hex):gsub("\xC2[\x80-\x9F]", as_hex))
end

--- For JSON and other text in UTF-8: U+FFFD for bytes that are none.
---@param text string
---@return string
function printable.utf8(text)
  return mend(text, function() return "\u{FFFD}" end)
end

-- Adds the names of all fields in a value to `seen`.
local function add_keys(value, seen)
  for key, inner in pairs(value) do
    if type(key) == "string" then seen[key] = true end
    if type(inner) == "table" then add_keys(inner, seen) end
  end
end

--- JSON, the same bytes for the same value: fields in this order, then all others by
--- their names. It has no infinity and no NaN: they become null, as they should.
---@param value table
---@param order string[]
---@return string json with a line's end
function printable.json(value, order)
  local seen, rest = {}, {}
  add_keys(value, seen)
  for _, key in ipairs(order) do seen[key] = nil end
  for key in pairs(seen) do rest[#rest + 1] = key end
  table.sort(rest)
  local keys = table.move(rest, 1, #rest, #order + 1, table.move(order, 1, #order, 1, {}))
  return printable.utf8(require "dkjson".encode(value, { indent = true, keyorder = keys })) .. "\n"
end

return printable
