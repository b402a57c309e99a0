--- Comma-separated values (RFC 4180: quoted values, doubled quotes, newlines within
--- quotes). The first line names the columns. A zero byte is an error.
local csv = {}

-- A quoted value whose quote is at `at`: the value and the position after it; nil and a
-- message.
local function quoted(text, at)
  local from, parts = at + 1, {}
  while true do
    local quote = text:find('"', from, true)
    if not quote then return nil, "a quote is not closed" end
    parts[#parts + 1] = text:sub(from, quote - 1)
    from = quote + 1
    if text:byte(from) ~= 34 then break end
    parts[#parts + 1] = '"'
    from = from + 1
  end
  if from <= #text and not text:find("^[,\r\n]", from) then
    return nil, "text after a closing quote"
  end
  return table.concat(parts), from
end

-- A value without quotes, and the position after it.
local function plain(text, at)
  local ending = text:find("[,\r\n]", at) or #text + 1
  return text:sub(at, ending - 1), ending
end

--- Reads rows one after another.
---@param text string
---@return string[]? columns
---@return (fun(): table<string, string>?, string?)|string rows returns the next row, keyed by
--- column; nil at the end; nil and a message for a faulty row. Without columns: message
function csv.rows(text)
  local zero = text:find("\0", 1, true)
  if zero then
    return nil, ("line %d: a zero byte"):format(select(2, text:sub(1, zero):gsub("\n", "")) + 1)
  end
  local at, line = text:find("^\xEF\xBB\xBF") and 4 or 1, 1

  -- The values of the next line that is not empty, with its number as `line`.
  local function next_record()
    local record = {}
    while at <= #text do
      local value, after = (text:byte(at) == 34 and quoted or plain)(text, at)
      if not value then return nil, ("line %d: %s"):format(line, after) end
      at = after
      line = line + select(2, value:gsub("\n", ""))
      record[#record + 1] = value
      local separator = text:match("^\r?\n", at) or text:match("^[,\r]", at) or ""
      at = at + #separator
      if separator == "," and at > #text then record[#record + 1] = "" end
      if separator ~= "," or at > #text then
        record.line = line
        line = line + 1
        if #record > 1 or record[1] ~= "" then return record end
        record = {}
      end
    end
    return nil
  end

  local columns, message = next_record()
  if not columns then return nil, message or "no header line" end
  columns.line = nil
  return columns, function()
    local values, why = next_record()
    if not values then return nil, why end
    if #values ~= #columns then
      return nil, ("line %d: %d values, but %d columns"):format(values.line, #values, #columns)
    end
    local row = {}
    for j, name in ipairs(columns) do row[name] = values[j] end
    return row
  end
end

--- Reads all rows at once.
---@param text string
---@return table<string, string>[]? rows each keyed by column
---@return string[]|string columns or message
function csv.parse(text)
  local columns, next_row = csv.rows(text)
  if not columns then return nil, next_row end
  local rows = {}
  while true do
    local row, message = next_row()
    if message then return nil, message end
    if not row then return rows, columns end
    rows[#rows + 1] = row
  end
end

return csv
