--- Small pictures for a terminal, of Unicode's blocks.
local core = require "neuraldrummer.core"

local blocks = {}

local EIGHTHS <const> = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }
local SHADES <const> = { "░", "▒", "▓", "█" }

--- Columns of the terminal that stdout is; nil where it is none, or one that is
--- not said to show Unicode.
---@return integer? columns
function blocks.columns()
  local charset = os.getenv "LC_ALL" or ""
  if charset == "" then charset = os.getenv "LC_CTYPE" or "" end
  if charset == "" then charset = os.getenv "LANG" or "" end
  if not charset:lower():find "utf%-?8" or os.getenv "TERM" == "dumb" then return nil end
  if not os.execute "test -t 1" then return nil end
  return math.tointeger(tonumber(os.getenv "COLUMNS")) or core.terminal() or 80
end

--- At most `most` values in place of many: means of as many each as need be.
---@param values number[]
---@param most integer
---@return number[]
function blocks.fit(values, most)
  local each = math.max(1, -(-#values // math.max(1, most)))
  local out = {}
  for i = 1, #values, each do
    local last, sum = math.min(i + each - 1, #values), 0
    for k = i, last do sum = sum + values[k] end
    out[#out + 1] = sum / (last - i + 1)
  end
  return out
end

local function drawn(values, glyphs, low, high)
  local out = {}
  for i, x in ipairs(values) do
    local share = high > low and (x - low) / (high - low) or 0
    -- nothing at all is a blank, however little is not
    out[i] = x <= low and " "
      or glyphs[math.max(1, math.min(#glyphs, math.ceil(share * #glyphs)))]
  end
  return table.concat(out)
end

--- Values as columns between `low` (blank) and `high` (full).
---@param values number[]
---@param low? number default: the least
---@param high? number default: the greatest
---@return string
function blocks.columns_of(values, low, high)
  return drawn(values, EIGHTHS, low or math.min(table.unpack(values)),
    high or math.max(table.unpack(values)))
end

--- Values as shades, 0 being blank.
---@param values number[]
---@param high? number default: the greatest
---@return string
function blocks.shades_of(values, high)
  return drawn(values, SHADES, 0, high or math.max(0, table.unpack(values)))
end

--- Values above and below 0: columns, and under them shades for those below.
---@param values number[]
---@return string above
---@return string below
function blocks.both_ways(values)
  local above, below, far = {}, {}, 0
  for i, x in ipairs(values) do
    above[i], below[i] = math.max(x, 0), math.max(-x, 0)
    far = math.max(far, math.abs(x))
  end
  return drawn(above, EIGHTHS, 0, far), drawn(below, SHADES, 0, far)
end

return blocks
