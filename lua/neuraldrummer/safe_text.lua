--- Makes text from files safe to show. Names of tracks and files can hold any bytes;
--- some would control a terminal, others are not UTF-8.
local safe_text = {}

-- Replaces each byte that is not part of a UTF-8 character by `replace(byte)`.
local function replace_invalid(text, replace)
  local parts, at = {}, 1
  repeat
    local _, bad = utf8.len(text, at)
    parts[#parts + 1] = text:sub(at, (bad or 0) - 1)
    if bad then
      parts[#parts + 1] = replace(text:sub(bad, bad))
      at = bad + 1
    end
  until not bad
  return table.concat(parts)
end

local function as_hex(bytes)
  return (bytes:gsub(".", function(byte) return ("\\x%02X"):format(byte:byte()) end))
end

--- A line for a terminal: control characters and bytes that are not UTF-8 become \xNN.
---@param text string
---@return string
function safe_text.line(text)
  if not text:find "[\0-\31\127-\255]" then return text end
  return (replace_invalid(text, as_hex):gsub("[\0-\31\127]", as_hex)
    :gsub("\xC2[\x80-\x9F]", as_hex))
end

--- Valid UTF-8: bytes that are not become the replacement character.
---@param text string
---@return string
function safe_text.utf8(text)
  return replace_invalid(text, function() return "\u{FFFD}" end)
end

-- Adds the names of all fields in a value to `seen`.
local function add_keys(value, seen)
  for key, inner in pairs(value) do
    if type(key) == "string" then seen[key] = true end
    if type(inner) == "table" then add_keys(inner, seen) end
  end
end

--- Encodes a value as JSON, with the same bytes for the same value. Infinity and NaN
--- become null, because JSON has neither.
---@param value table
---@param order string[] of the keys; other keys follow, sorted by name
---@return string json with a newline at its end
function safe_text.json(value, order)
  local seen, rest = {}, {}
  add_keys(value, seen)
  for _, key in ipairs(order) do seen[key] = nil end
  for key in pairs(seen) do rest[#rest + 1] = key end
  table.sort(rest)
  local keys = table.move(rest, 1, #rest, #order + 1, table.move(order, 1, #order, 1, {}))
  local json = require "dkjson".encode(value, { indent = true, keyorder = keys })
  return safe_text.utf8(json) .. "\n"
end

return safe_text
