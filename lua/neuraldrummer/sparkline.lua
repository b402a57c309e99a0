--- Sparklines: small charts of Unicode block characters for a terminal.
local core = require "neuraldrummer.core"

local sparkline = {}

local EIGHTHS <const> = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }
local SHADES <const> = { "░", "▒", "▓", "█" }

--- Width of the terminal on stdout. Nil when stdout is no terminal, or when the
--- locale is not UTF-8, so that block characters could not be shown.
---@return integer? columns
function sparkline.terminal_columns()
  local charset = os.getenv "LC_ALL" or ""
  if charset == "" then charset = os.getenv "LC_CTYPE" or "" end
  if charset == "" then charset = os.getenv "LANG" or "" end
  if not charset:lower():find "utf%-?8" or os.getenv "TERM" == "dumb" then return nil end
  local columns = core.terminal "stdout"
  return columns and (math.tointeger(tonumber(os.getenv "COLUMNS")) or columns)
end

--- Reduces values to at most `max` means of equally long runs (the last run may be
--- shorter), so that a line fits the terminal.
---@param values number[]
---@param max integer
---@return number[]
function sparkline.downsample(values, max)
  local run = math.max(1, -(-#values // math.max(1, max)))
  local out = {}
  for i = 1, #values, run do
    local last, sum = math.min(i + run - 1, #values), 0
    for k = i, last do sum = sum + values[k] end
    out[#out + 1] = sum / (last - i + 1)
  end
  return out
end

-- One glyph per value: a blank at `low` or below, the last glyph at `high`. A value just
-- above `low` gets the first glyph, so that it cannot be mistaken for nothing.
local function draw(values, glyphs, low, high)
  local out = {}
  for i, x in ipairs(values) do
    local fraction = high > low and (x - low) / (high - low) or 0
    out[i] = x <= low and " "
      or glyphs[math.max(1, math.min(#glyphs, math.ceil(fraction * #glyphs)))]
  end
  return table.concat(out)
end

--- Values as columns, from `low` (blank) to `high` (full height).
---@param values number[]
---@param low? number default: the smallest value
---@param high? number default: the largest value
---@return string
function sparkline.bars(values, low, high)
  return draw(values, EIGHTHS, low or math.min(table.unpack(values)),
    high or math.max(table.unpack(values)))
end

--- Values as shades of grey; 0 is blank.
---@param values number[]
---@param high? number default: the largest value
---@return string
function sparkline.shades(values, high)
  return draw(values, SHADES, 0, high or math.max(0, table.unpack(values)))
end

--- Signed values as two lines: columns for positive values and, below them, shades for
--- negative ones, both on one scale.
---@param values number[]
---@return string above
---@return string below
function sparkline.signed(values)
  local above, below, high = {}, {}, 0
  for i, x in ipairs(values) do
    above[i], below[i] = math.max(x, 0), math.max(-x, 0)
    high = math.max(high, math.abs(x))
  end
  return draw(above, EIGHTHS, 0, high), draw(below, SHADES, 0, high)
end

return sparkline
