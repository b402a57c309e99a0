--- The songs that are played to be measured: bars, recorded hits and hits as
--- masks, one integer a step.
local evaluated = {}

local bits_of = {}  -- number of ones in a byte
for i = 0, 255 do bits_of[i] = (i & 1) + (bits_of[i >> 1] or 0) end

---@param mask integer
---@return integer n how many bits are set
function evaluated.count_bits(mask)
  local n = 0
  while mask ~= 0 do
    n = n + bits_of[mask & 255]
    mask = mask >> 8
  end
  return n
end

--- A Sequence's hits as one integer a step, bit v - 1 being voice v.
---@param seq neuraldrummer.sequence
---@param n integer steps
---@return integer[] masks
function evaluated.masks(seq, n)
  local packed, voices, masks = seq:packed_hits(), #seq:voices(), {}
  for t = 1, n do
    local mask, at = 0, (t - 1) * voices
    for v = 1, voices do
      if packed:byte(at + v) > 0 then mask = mask | 1 << (v - 1) end
    end
    masks[t] = mask
  end
  return masks
end

---@class neuraldrummer.evaluated_song
---@field seq neuraldrummer.sequence
---@field from integer first step looked at; what is before is given
---@field n integer last step looked at
---@field real integer[] recorded hits, as masks
---@field bars neuraldrummer.bar[]
---@field given table[] the bars before `from`

-- Those that are given, and those looked at: only whole bars.
local function bars_of(seq, from, n)
  local given, bars = {}, {}
  for _, bar in ipairs(seq:bars()) do
    if bar.last > n then break end
    local to = bar.last < from and given or bars
    to[#to + 1] = bar
  end
  return bars, given
end

--- The songs to be played: those of `options.split` in the corpus' order.
---@param corpus neuraldrummer.corpus
---@param options neuraldrummer.evaluate_options
---@return neuraldrummer.evaluated_song[]? songs
---@return string? message also where there are none
function evaluated.load(corpus, options)
  local songs = {}
  for i = 1, #corpus do
    if #songs >= options.songs then break end
    if options.split == "all" or corpus:info(i).split == options.split then
      local seq, message = corpus:song(i)
      if not seq then return nil, message end
      local opening = options.given_bars and seq:bars()[options.given_bars + 1]
      local from = opening and opening.first or 1
      local n = math.min(#seq, from - 1 + options.steps)
      -- of a song of no more than the bars that are given, nothing can be asked
      if opening or not options.given_bars then
        local bars, given = bars_of(seq, from, n)
        songs[#songs + 1] = { seq = seq, from = from, n = n, real = evaluated.masks(seq, n),
          bars = bars, given = given, bass = seq:metric "bass" }
      end
    end
  end
  if #songs == 0 then
    return nil, ("no song of the split '%s' to play"):format(options.split)
  end
  return songs
end

--- The recorded hits of each song.
---@param songs neuraldrummer.evaluated_song[]
---@return integer[][] masks
function evaluated.recorded(songs)
  local real = {}
  for s, song in ipairs(songs) do real[s] = song.real end
  return real
end

--- A bar's hits as a string: equal where the hits are.
---@param masks integer[]
---@param bar {first: integer, last: integer}
---@return string
function evaluated.bar_key(masks, bar)
  return table.concat(masks, ",", bar.first, bar.last)
end

return evaluated
