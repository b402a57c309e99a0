--- What bars are like, once more in plain Lua and double precision: vectors of
--- what is heard in them, their similarity, where the song turns, of which bar each
--- is the return; and how drums are played as a whole.
local form = {}

local HEARD <const> = { "onsets_low", "onsets_mid", "onsets_high", "bass", "sounding", "loudness",
  "harmony" }
local PLACES <const> = 16

--- The first step of each bar, from 1, and of the one behind the last.
---@param seq neuraldrummer.sequence
---@return integer[] starts
function form.starts(seq)
  local starts = {}
  for b, bar in ipairs(seq:bars()) do starts[b] = bar.first end
  starts[#starts + 1] = #seq + 1
  return starts
end

--- How alike two bars of a song are, by their numbers from 1.
---@param seq neuraldrummer.sequence
---@return fun(a: integer, b: integer): number
function form.self_similarity(seq)
  local starts, vectors, varying = form.starts(seq), {}, 0
  local n = #starts - 1
  for b = 1, n do vectors[b] = {} end
  for _, name in ipairs(HEARD) do
    local x, rows, variance = seq:metric(name), {}, 0
    for b = 1, n do
      rows[b] = {}
      local length = starts[b + 1] - starts[b]
      for place = 0, PLACES - 1 do
        local from, to = place * length // PLACES, (place + 1) * length // PLACES - 1
        rows[b][place] = math.max(table.unpack(x, starts[b] + from, starts[b] + math.max(from, to)))
      end
    end
    for place = 0, PLACES - 1 do
      local mean = 0
      for b = 1, n do mean = mean + rows[b][place] / n end
      for b = 1, n do variance = variance + (rows[b][place] - mean) ^ 2 / n end
    end
    if variance > 1e-9 then
      varying = varying + 1
      for b = 1, n do
        for place = 0, PLACES - 1 do
          table.insert(vectors[b], rows[b][place] / variance ^ 0.5)
        end
      end
    end
  end
  return function(a, b)
    local distance = 0
    for i, v in ipairs(vectors[a]) do distance = distance + (v - vectors[b][i]) ^ 2 end
    return varying > 0 and 1 - distance / (2 * varying) or 1
  end
end

--- How much the bars from `b` on differ from those before it.
---@param alike fun(a: integer, b: integer): number
---@param b integer
---@param n integer bars of the song
function form.novelty(alike, b, n)
  local reach = math.min(4, b - 1, n - b + 1)
  if reach < 2 then return 0 end
  local sums, counts = { [true] = 0, [false] = 0 }, { [true] = 0, [false] = 0 }
  for i = b - reach, b + reach - 1 do
    for j = b - reach, b + reach - 1 do
      if i ~= j then
        local same = (i < b) == (j < b)
        sums[same], counts[same] = sums[same] + alike(i, j), counts[same] + 1
      end
    end
  end
  return sums[true] / counts[true] - sums[false] / counts[false]
end

--- Of each bar the earlier one that it is the return of (nil: none), how like it
--- is, and by how much that one came before the next best.
---@param seq neuraldrummer.sequence
---@return table<integer, integer> of
---@return number[] how
---@return number[] lead
function form.returns(seq)
  local starts, alike = form.starts(seq), form.self_similarity(seq)
  local n, of, how, lead = #starts - 1, {}, {}, {}
  local function length(b) return starts[b + 1] - starts[b] end
  for b = 1, n do
    local best, second = -math.huge, -math.huge
    how[b] = 0
    for c = math.max(1, b - 64), b - 1 do
      if length(c) == length(b) then
        local worth = alike(b, c)
        for side = -1, 1, 2 do
          local inside = c + side >= 1 and b + side <= n
          worth = worth + 0.25 * (inside and alike(b + side, c + side) or alike(b, c))
        end
        worth = worth + ((b - c) % 4 == 0 and 0.05 or 0) - 0.001 * (b - c)
        if worth > best then
          best, second, of[b], how[b] = worth, best, c, math.max(alike(b, c), -1)
        else
          second = math.max(second, worth)
        end
      end
    end
    lead[b] = best - second
  end
  return of, how, lead
end

--- The hits of each step as rows of 0 and 1.
---@param seq neuraldrummer.sequence
---@return integer[][]
function form.rows(seq)
  local rows, voices = {}, seq:voices()
  for t, struck in ipairs(seq:hits()) do
    rows[t] = {}
    for v, name in ipairs(voices) do rows[t][v] = struck[name] and 1 or 0 end
  end
  return rows
end

return form
