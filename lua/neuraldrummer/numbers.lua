--- Numbers as text for files and other programs: a host may have set a locale in
--- which Lua writes 0,5.
local numbers = {}

-- What stands between the whole and its tenths now: a host may change it.
local function point() return ("%.1f"):format(0.5):sub(2, -2) end

local function with_point(text, comma) return (text:gsub(comma, ".", 1)) end

--- string.format, with a decimal point in any locale.
---@param format string
---@param ... any
---@return string
function numbers.format(format, ...)
  local comma = point()
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

--- tostring, with a decimal point in any locale.
---@param value any
---@return string
function numbers.text(value)
  if math.type(value) ~= "float" then return tostring(value) end
  return with_point(tostring(value), (point():gsub("%p", "%%%0")))
end

return numbers
