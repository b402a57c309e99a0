--- What the drums of a corpus are like: voices by place in the bar, and how
--- many songs have which tempo and how many hits.
local before = require "neuraldrummer.core".byte_less

---@class neuraldrummer.modules.statistics
local statistics = {}

local PLACES <const> = 16          -- of a bar of 4/4
local TEMPO <const> = 10           -- bpm a class,
local FAST <const> = 250           -- and that of all that are faster
local DENSITY <const> = 0.1        -- hits a step a class

---@class neuraldrummer.statistics
---@field voices string[]
---@field odds number[][] by voice and sixteenth of a bar of 4/4: share of the bars struck there
---@field bars integer of 4/4, with hits
---@field tempo table<integer, integer> songs by bpm, rounded down to tens; 250: and more
---@field density table<number, integer> songs by hits a step, in tenths
---@field meters {meter: string, bars: integer}[] the commonest first

local function add_to(counts, key) counts[key] = (counts[key] or 0) + 1 end

--- Looks through a corpus.
---@param corpus neuraldrummer.corpus
---@param on_progress? fun(done: integer, total: integer)
---@return neuraldrummer.statistics? statistics
---@return string? message
function statistics.run(corpus, on_progress)
  local voices = corpus:tokeniser():voices()
  local n, counts, meters = #voices, {}, {}
  local found = { voices = voices, odds = {}, bars = 0, tempo = {}, density = {}, meters = {} }
  for v = 1, n do
    counts[v] = {}
    for k = 1, PLACES do counts[v][k] = 0 end
  end
  for i = 1, #corpus do
    local seq <close>, message = corpus:song(i)
    if not seq then return nil, message end
    local hits, bars, struck = seq:packed_hits(), seq:bars(), 0
    for _, bar in ipairs(bars) do
      local steps, any = bar.last - bar.first + 1, false
      local whole = bar.numerator == 4 and bar.denominator == 4
      add_to(meters, bar.numerator .. "/" .. bar.denominator)
      local last = bar.last * n
      local at = hits:find("[^\0]", (bar.first - 1) * n + 1)
      while at and at <= last do
        struck, any = struck + 1, true
        if whole then
          local place = ((at - 1) // n - bar.first + 1) * PLACES // steps + 1
          local row = counts[(at - 1) % n + 1]
          row[place] = row[place] + 1
        end
        at = hits:find("[^\0]", at + 1)
      end
      if any and whole then found.bars = found.bars + 1 end
    end
    -- a song's tempo is the one it is in for longest
    local seconds, tempo, most = {}, 120, 0
    for _, x in ipairs(seq:metric "tempo") do
      local bpm = 120 * 2 ^ x
      seconds[bpm] = (seconds[bpm] or 0) + 1 / bpm
      if seconds[bpm] > most then tempo, most = bpm, seconds[bpm] end
    end
    add_to(found.tempo, math.min(math.floor(tempo / TEMPO + 0.01) * TEMPO, FAST))
    add_to(found.density, math.floor(struck / #seq / DENSITY) * DENSITY)
    if on_progress then on_progress(i, #corpus) end
  end
  for v = 1, n do
    found.odds[v] = {}
    for k = 1, PLACES do found.odds[v][k] = counts[v][k] / math.max(1, found.bars) end
  end
  for meter, bars in pairs(meters) do
    found.meters[#found.meters + 1] = { meter = meter, bars = bars }
  end
  table.sort(found.meters, function(a, b)
    if a.bars ~= b.bars then return a.bars > b.bars end
    return before(a.meter, b.meter)
  end)
  return found
end

--- A histogram's classes in order, empty ones between them too: {class, songs}.
---@param counts table<number, integer>
---@param width number of a class
---@return {[1]: number, [2]: integer}[]
function statistics.classes(counts, width)
  local by_index, low, high = {}, math.huge, -math.huge
  for class, songs in pairs(counts) do
    local i = math.floor(class / width + 0.5)
    by_index[i], low, high = songs, math.min(low, i), math.max(high, i)
  end
  local list = {}
  for i = low, high do list[#list + 1] = { i * width, by_index[i] or 0 } end
  return list
end

statistics.TEMPO, statistics.FAST = TEMPO, FAST
statistics.DENSITY, statistics.PLACES = DENSITY, PLACES

return statistics
