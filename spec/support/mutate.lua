--- Bytes spoilt at random, by math.random.
local mutate = {}

local NUMBERS <const> = { "0", "-1", "99999999999999999999", "1e308", "nan", "inf", "0x10",
  "1e-400", "4294967297", "", "null", "[]", '"x"' }
local VALUES <const> = { "1", "null", '""', "{}", "[[]]", "true", [["\ud800"]] }

local function noise(n)
  local bytes = {}
  for i = 1, n do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

--- `bytes`, of which there is at least one, with some of them spoilt.
---@param bytes string
---@return string spoilt
---@return integer count of the bytes that were
function mutate.bytes(bytes)
  local kind, size = math.random(6), #bytes
  local at = math.random(size)
  if kind == 1 then  -- cut off
    return bytes:sub(1, at), size - at
  elseif kind == 2 then  -- a piece out
    local last = math.min(size, at + math.random(64))
    return bytes:sub(1, at - 1) .. bytes:sub(last + 1), last - at + 1
  elseif kind == 3 then  -- a piece twice, elsewhere
    local piece = bytes:sub(at, at + math.random(64))
    local to = math.random(size)
    return bytes:sub(1, to) .. piece .. bytes:sub(to + 1), #piece
  end
  local parts, from, count = {}, 1, math.random(kind == 4 and 1 or 40)
  local places = {}
  for i = 1, count do  -- half of them in the first 200 bytes, where the sizes are
    places[i] = math.random(math.random(2) == 1 and math.min(size, 200) or size)
  end
  table.sort(places)
  for _, place in ipairs(places) do
    if place >= from then
      parts[#parts + 1] = bytes:sub(from, place - 1)
      parts[#parts + 1] = kind == 6 and "\xFF" or string.char(math.random(0, 255))
      from = place + 1
    end
  end
  return table.concat(parts) .. bytes:sub(from), count
end

-- One of the parts that match `pattern` becomes one of `others`.
local function exchange(bytes, pattern, others)
  local from, to = bytes:find(pattern, math.random(#bytes))
  if not from then return bytes end
  return bytes:sub(1, from - 1) .. others[math.random(#others)] .. bytes:sub(to + 1)
end

--- The same with what text, JSON and headers may have wrong, noise and nothing
--- at all besides.
---@param bytes string
---@return string
function mutate.any(bytes)
  local kind = math.random(10)
  if kind == 1 or bytes == "" then return noise(math.random(0, 2000)) end
  if kind == 2 then return "" end
  if kind == 3 then return exchange(bytes, "%-?%d+%.?%d*", NUMBERS) end
  if kind == 4 then return exchange(bytes, '"[^"]*"', VALUES) end
  if kind == 5 then
    local lines = {}
    for line in (bytes .. "\n"):gmatch "(.-)\n" do
      table.insert(lines, math.random(#lines + 1), line)
    end
    return table.concat(lines, "\n", 1, math.random(#lines))
  end
  return (mutate.bytes(bytes))
end

return mutate
