--- The songs that are evaluated: their bars and recorded hits. Hits are masks: one integer
--- per step, with bit v - 1 set where voice v has a hit.
local evaluated = {}

local BITS <const> = {}  -- number of bits set in each byte
for i = 0, 255 do BITS[i] = (i & 1) + (BITS[i >> 1] or 0) end

---@param mask integer
---@return integer n number of bits that are set
---@package
function evaluated.count_bits(mask)
  local n = 0
  while mask ~= 0 do
    n = n + BITS[mask & 255]
    mask = mask >> 8
  end
  return n
end

--- The hits of a sequence as masks.
---@param seq neuraldrummer.sequence
---@param n integer number of steps
---@return integer[] masks
---@package
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
---@field from integer first step that is evaluated; the hits before it are given to the player
---@field n integer last step that is evaluated
---@field real integer[] recorded hits, as masks
---@field bars neuraldrummer.bar[] whole bars that are evaluated
---@field given neuraldrummer.bar[] bars before `from`
---@field bass number[] the bass metric by step; above 0: an onset

-- Whole bars up to step `n`: those from `from` on, and those before it.
local function split_bars(seq, from, n)
  local given, bars = {}, {}
  for _, bar in ipairs(seq:bars()) do
    if bar.last > n then break end
    local list = bar.last < from and given or bars
    list[#list + 1] = bar
  end
  return bars, given
end

--- Loads the songs of `options.split`, in the order of the corpus. With `given_bars`, songs
--- that are not longer than that are left out.
---@param corpus neuraldrummer.corpus
---@param options neuraldrummer.evaluate_options
---@return neuraldrummer.evaluated_song[]? songs at least one
---@return string? message
---@package
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
      if opening or not options.given_bars then
        local bars, given = split_bars(seq, from, n)
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
---@package
function evaluated.recorded(songs)
  local real = {}
  for s, song in ipairs(songs) do real[s] = song.real end
  return real
end

--- The hits of a bar as a string: two bars with the same hits have the same string.
---@param masks integer[]
---@param bar {first: integer, last: integer}
---@return string
---@package
function evaluated.bar_key(masks, bar)
  return table.concat(masks, ",", bar.first, bar.last)
end

return evaluated
