--- Formats numbers with a decimal point in any locale, for files and other programs. A
--- host may have set a locale in which Lua writes 0,5.
local decimal = {}

-- The current decimal separator; a host may change it at any time.
local function separator() return ("%.1f"):format(0.5):sub(2, -2) end

local function with_point(text, comma) return (text:gsub(comma, ".", 1)) end

--- string.format with a decimal point.
---@param format string
---@param ... any
---@return string
function decimal.format(format, ...)
  local comma = separator()
  if comma == "." then return format:format(...) end
  local values, i = table.pack(...), 0
  comma = comma:gsub("%p", "%%%0")
  format = format:gsub("%%([^%a%%]*)([%a%%])", function(flags, kind)
    if kind == "%" then return nil end
    i = i + 1
    if not kind:find "[aAeEfgG]" then return nil end
    values[i] = with_point(("%" .. flags .. kind):format(values[i]), comma)
    return "%s"
  end)
  return format:format(table.unpack(values, 1, values.n))
end

--- tostring with a decimal point.
---@param value any
---@return string
function decimal.text(value)
  if math.type(value) ~= "float" then return tostring(value) end
  return with_point(tostring(value), (separator():gsub("%p", "%%%0")))
end

return decimal
