--- Statistics of a corpus' drums: how often each voice plays at each place in the bar, and
--- histograms of the songs' tempo and density.
local byte_less = require "neuraldrummer.core".byte_less

---@class neuraldrummer.modules.statistics
local statistics = {}

local PLACES <const> = 16          -- sixteenths of a bar of 4/4
local TEMPO <const> = 10           -- width of a class of tempo, in bpm
local FAST <const> = 250           -- the last class of tempo: this and faster
local DENSITY <const> = 0.1        -- width of a class of density, in hits per step

---@class neuraldrummer.statistics
---@field voices string[]
---@field rates number[][] by voice and sixteenth of a bar of 4/4: fraction of the bars with a hit
--- there
---@field bars integer bars of 4/4 with at least one hit
---@field tempo table<integer, integer> number of songs by bpm, rounded down to tens; 250 includes
--- all faster songs
---@field density table<number, integer> number of songs by hits per step, rounded down to tenths
---@field meters {meter: string, bars: integer}[] most frequent first

local function add_to(counts, key) counts[key] = (counts[key] or 0) + 1 end

-- Counts a song's hits and, by voice and place, those in bars of 4/4: the number of hits,
-- and the number of such bars that have any.
local function count_hits(seq, counts, meters)
  local n, packed, hits, bars = #counts, seq:packed_hits(), 0, 0
  for _, bar in ipairs(seq:bars()) do
    local steps, any = bar.last - bar.first + 1, false
    local is_4_4 = bar.numerator == 4 and bar.denominator == 4
    add_to(meters, bar.numerator .. "/" .. bar.denominator)
    local last = bar.last * n
    local at = packed:find("[^\0]", (bar.first - 1) * n + 1)
    while at and at <= last do
      hits, any = hits + 1, true
      if is_4_4 then
        local place = ((at - 1) // n - bar.first + 1) * PLACES // steps + 1
        local row = counts[(at - 1) % n + 1]
        row[place] = row[place] + 1
      end
      at = packed:find("[^\0]", at + 1)
    end
    if any and is_4_4 then bars = bars + 1 end
  end
  return hits, bars
end

-- The tempo that lasts longest, in bpm. The metric is log2(bpm / 120).
local function main_tempo(seq)
  local seconds, tempo, longest = {}, 120, 0
  for _, x in ipairs(seq:metric "tempo") do
    local bpm = 120 * 2 ^ x
    seconds[bpm] = (seconds[bpm] or 0) + 1 / bpm
    if seconds[bpm] > longest then tempo, longest = bpm, seconds[bpm] end
  end
  return tempo
end

-- Meters with their numbers of bars, most frequent first.
local function sort_meters(meters)
  local list = {}
  for meter, bars in pairs(meters) do list[#list + 1] = { meter = meter, bars = bars } end
  table.sort(list, function(a, b)
    if a.bars ~= b.bars then return a.bars > b.bars end
    return byte_less(a.meter, b.meter)
  end)
  return list
end

--- Reads every song of a corpus.
---@param corpus neuraldrummer.corpus
---@param on_progress? fun(done: integer, total: integer) called after each song
---@return neuraldrummer.statistics? statistics
---@return string? message
function statistics.run(corpus, on_progress)
  local voices = corpus:tokeniser():voices()
  local counts, meters = {}, {}
  local found = { voices = voices, rates = {}, bars = 0, tempo = {}, density = {} }
  for v = 1, #voices do
    counts[v] = {}
    for k = 1, PLACES do counts[v][k] = 0 end
  end
  for i = 1, #corpus do
    local seq <close>, message = corpus:song(i)
    if not seq then return nil, message end
    local hits, bars = count_hits(seq, counts, meters)
    found.bars = found.bars + bars
    add_to(found.tempo, math.min(math.floor(main_tempo(seq) / TEMPO + 0.01) * TEMPO, FAST))
    add_to(found.density, math.floor(hits / #seq / DENSITY) * DENSITY)
    if on_progress then on_progress(i, #corpus) end
  end
  for v = 1, #voices do
    found.rates[v] = {}
    for k = 1, PLACES do found.rates[v][k] = counts[v][k] / math.max(1, found.bars) end
  end
  found.meters = sort_meters(meters)
  return found
end

--- The classes of a histogram in ascending order, with empty ones between them.
---@param counts table<number, integer> songs by lower bound of a class
---@param width number of a class
---@return {[1]: number, [2]: integer}[] classes {lower bound, songs}
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
