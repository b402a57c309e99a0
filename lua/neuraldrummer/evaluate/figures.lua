--- The figures of free play: how drums that were played compare with the recorded drums of
--- the same songs. COLUMNS explains each figure. All are means over the first `steps` steps of
--- the first `songs` songs of a split; 0 to 1 unless stated otherwise.
local classifier = require "neuraldrummer.evaluate.classifier"
local evaluated = require "neuraldrummer.evaluate.songs"

local figures = {}

local count_bits = evaluated.count_bits
-- A song is near-silent below this fraction of the recorded songs' mean density: fewer than
-- about 1 hit in 25 steps.
local SILENT <const> = 0.05
-- Velocities (or offsets) of a song vary if its recorded hits are in this many bins or more.
local MIN_BINS <const> = 3
-- Intervals between hits of a voice are counted up to this many steps.
local MAX_INTERVAL <const> = 64

---@class neuraldrummer.evaluate_row
---@field name string of the player
---@field songs integer
---@field steps integer
---@field hits number
---@field density? number
---@field repeats? number
---@field silent integer
---@field f1? number
---@field f1_tolerant? number
---@field consistency? number
---@field groove? number
---@field pattern? number
---@field back_beat? number
---@field kick_bass? number
---@field fills? number
---@field intervals? number
---@field velocity? number
---@field offset? number
---@field auc? number
---@field loss? number
---@field bits? number
---@field forced_f1? number
---@field matching? number

---@class neuraldrummer.evaluate_column
---@field key string field of a row
---@field title string
---@field format string
---@field factor? number that a value is multiplied by
---@field label? string title of its panel in a picture; without one, it is not drawn
---@field text string

--- The columns of a table of figures, in order. MusPy: Dong et al. 2020; the fills follow
--- Dahale et al. 2022.
---@type neuraldrummer.evaluate_column[]
figures.COLUMNS = {
  { key = "loss", title = "loss", format = "%.4f",
    text = "cross-entropy in nats per grid cell (a voice at a step), given the recorded history" },
  { key = "bits", title = "bits/step", format = "%.3f", label = "bits/step, history given",
    text = "loss in bits per step, summed over the voices, given the recorded history" },
  { key = "forced_f1", title = "forced F1", format = "%.3f", label = "forced F1, history given",
    text = "F1 of voices with a probability of 1/2 or more, given the recorded history" },
  { key = "f1", title = "free F1", format = "%.3f", label = "free F1",
    text = "F1 of the hits: the same voice at the same step as recorded" },
  { key = "f1_tolerant", title = "F1 +-1", format = "%.3f", label = "F1 +-1 step",
    text = "the same, but a hit one step early or late is right as well" },
  { key = "hits", title = "hits/step", format = "%.2f", text = "hits per step, all voices" },
  { key = "density", title = "hits/real", format = "%.2f", label = "hits/real",
    text = "number of hits, divided by that of the recorded drums" },
  { key = "repeats", title = "repeats", format = "%.0f%%", factor = 100, label = "repeats: bars, %",
    text = "bars with hits that equal the bar before" },
  { key = "silent", title = "silent", format = "%d", label = "silent: songs",
    text = "songs with less than 5 % of the mean density of the recorded drums" },
  { key = "groove", title = "groove", format = "%.3f", label = "groove consistency",
    text = "steps with or without a hit that agree with the bar before (MusPy)" },
  { key = "consistency", title = "consistency", format = "%.3f",
    text = "grid cells that agree with the bar before" },
  { key = "pattern", title = "pattern", format = "%.3f",
    text = "hits on sixteenths or, if more, on triplets (MusPy)" },
  { key = "back_beat", title = "back-beat", format = "%.0f%%", factor = 100,
    label = "back-beat: snare hits, %",
    text = "snare hits on beats 2, 4, ..." },
  { key = "kick_bass", title = "kick+bass", format = "%.0f%%", factor = 100,
    label = "kick+bass: kick hits, %",
    text = "kick hits that coincide with an onset of the bass" },
  { key = "fills", title = "fills", format = "%.2f", label = "fills: F1 of places",
    text = "F1 of the bars that stand out, compared with the recorded ones; +-1 bar is right" },
  { key = "intervals", title = "intervals", format = "%.2f", label = "intervals: overlap",
    text = "overlap with the recorded histogram of steps between hits of a voice" },
  { key = "velocity", title = "velocity", format = "%.2f", label = "velocity: overlap",
    text = "overlap with the recorded histogram of velocities" },
  { key = "offset", title = "offset", format = "%.2f", label = "offset: overlap",
    text = "overlap with the recorded histogram of timing offsets" },
  { key = "matching", title = "matching", format = "%.0f%%", factor = 100,
    label = "matching: songs, %",
    text = "recorded drums that are likelier with their song than with 9 others (chance: 10 %)" },
  { key = "auc", title = "AUC", format = "%.2f", label = "AUC of a classifier",
    text = "how well a classifier tells 4 bars from recorded ones: 0.5: human, 1: always" },
  { key = "songs", title = "songs", format = "%d", text = "songs measured" },
  { key = "steps", title = "steps", format = "%d", text = "steps measured" },
}

-- Overlap of two histograms: the sum over the bins of the smaller of the two fractions.
local function overlap(a, b)
  local na, nb, shared = 0, 0, 0
  for _, n in pairs(a) do na = na + n end
  for _, n in pairs(b) do nb = nb + n end
  if na == 0 or nb == 0 then return nil end
  for key, n in pairs(a) do shared = shared + math.min(n / na, (b[key] or 0) / nb) end
  return shared
end

-- The mean of a list; nil if it is empty.
local function mean_of(list)
  local sum = 0
  for _, x in ipairs(list) do sum = sum + x end
  return #list > 0 and sum / #list or nil
end

-- A ratio; nil where its denominator is 0.
local function ratio(a, b) return b > 0 and a / b or nil end

local function add_to(sum, histogram)
  for key, n in pairs(histogram) do sum[key] = (sum[key] or 0) + n end
end

-- The steps of each voice's hits.
local function steps_by_voice(song, masks)
  local out = {}
  for v = 1, #song.seq:voices() do out[v] = {} end
  for t = song.from, song.n do
    local mask, v = masks[t], 1
    while mask ~= 0 do
      if mask & 1 == 1 then out[v][#out[v] + 1] = t end
      mask, v = mask >> 1, v + 1
    end
  end
  return out
end

-- The number of pairs, one from each of two ascending lists, that differ by 1 or less.
local function count_pairs(a, b)
  local i, j, n = 1, 1, 0
  while a[i] and b[j] do
    if math.abs(a[i] - b[j]) <= 1 then
      i, j, n = i + 1, j + 1, n + 1
    elseif a[i] < b[j] then
      i = i + 1
    else
      j = j + 1
    end
  end
  return n
end

-- Jaccard distance of two bars: of the grid cells with a hit in either, the fraction that
-- has none in the other.
local function distance(masks, a, b)
  local same, either = 0, 0
  local function at(bar, k) return bar.first + k <= bar.last and masks[bar.first + k] or 0 end
  for k = 0, math.max(a.last - a.first, b.last - b.first) do
    local m, p = at(a, k), at(b, k)
    if m | p ~= 0 then same, either = same + count_bits(m & p), either + count_bits(m | p) end
  end
  return either > 0 and 1 - same / either or 0
end

-- Bars that stand out. A bar's novelty is its mean distance from the two bars before and the
-- two after it. Bars at local maxima of the novelty are returned if they exceed its mean by a
-- standard deviation.
local function find_fills(song, masks)
  local bars, novelty = song.bars, {}
  local sum, squares = 0, 0
  for i, bar in ipairs(bars) do
    local total, n = 0, 0
    for _, k in ipairs { -2, -1, 1, 2 } do
      if bars[i + k] then total, n = total + distance(masks, bar, bars[i + k]), n + 1 end
    end
    novelty[i] = n > 0 and total / n or 0
    sum, squares = sum + novelty[i], squares + novelty[i] ^ 2
  end
  local mean = sum / math.max(1, #bars)
  local threshold = mean + math.sqrt(math.max(0, squares / math.max(1, #bars) - mean ^ 2))
  local out = {}
  for i, x in ipairs(novelty) do
    if x > 0 and x >= threshold and x > (novelty[i - 1] or -1) and x >= (novelty[i + 1] or -1) then
      out[#out + 1] = i
    end
  end
  return out
end

-- Fraction of hits on sixteenths, or on triplets where those are more, within a 24th of a
-- beat; nil without hits.
local function in_pattern(song, masks, offsets)
  local per_beat, voices = song.seq:settings().steps_per_beat, #song.seq:voices()
  local duple, triple, all = 0, 0, 0
  for _, bar in ipairs(song.bars) do
    for t = bar.first, bar.last do
      for v = 1, masks[t] == 0 and 0 or voices do
        if masks[t] >> (v - 1) & 1 == 1 then
          local offset = offsets and ("b"):unpack(offsets, (t - 1) * voices + v) / 256 or 0
          local place = math.floor((t - bar.first + offset) * 24 / per_beat + 0.5)
          all = all + 1
          if (place + 1) % 6 <= 2 then duple = duple + 1 end
          if (place + 1) % 8 <= 2 then triple = triple + 1 end
        end
      end
    end
  end
  return all > 0 and math.max(duple, triple) / all or nil
end

local function voice_named(song, word)
  for v, name in ipairs(song.seq:voices()) do
    if name:lower():find(word, 1, true) then return v end
  end
end

-- Adds the snare's hits and those on back-beats, the kick's hits and those with the bass.
local function add_anchors(sum, song, masks)
  local per_beat, bass = song.seq:settings().steps_per_beat, song.bass
  local snare, kick = voice_named(song, "snare"), voice_named(song, "kick")
  for _, bar in ipairs(song.bars) do
    for t = bar.first, bar.last do
      local mask, into = masks[t], t - bar.first
      if snare and mask >> (snare - 1) & 1 == 1 then
        sum.snares = sum.snares + 1
        if into % per_beat == 0 and into // per_beat % 2 == 1 then
          sum.back_beats = sum.back_beats + 1
        end
      end
      if kick and mask >> (kick - 1) & 1 == 1 then
        sum.kicks = sum.kicks + 1
        if bass[t] > 0 then sum.kicks_with_bass = sum.kicks_with_bass + 1 end
      end
    end
  end
end

-- Histograms of the velocities, sixteen to a bin, and of the offsets, a sixteenth of a step to
-- a bin, and the number of bins of each.
local function touch_of(song, seq)
  local velocities, offsets, bins = {}, {}, { 0, 0 }
  local hits, shifts, voices = seq:packed_hits(), seq:packed_offsets(), #seq:voices()
  local at, stop = (song.from - 1) * voices + 1, song.n * voices
  at = hits:find("[^\0]", at)
  while at and at <= stop do
    local v, o = hits:byte(at) >> 4, (("b"):unpack(shifts, at) + 8) // 16
    if not velocities[v] then bins[1] = bins[1] + 1 end
    if not offsets[o] then bins[2] = bins[2] + 1 end
    velocities[v], offsets[o] = (velocities[v] or 0) + 1, (offsets[o] or 0) + 1
    at = hits:find("[^\0]", at + 1)
  end
  return velocities, offsets, bins
end

-- Overlap of the velocities and of the offsets with the recorded ones, over the songs whose
-- recorded hits vary.
local function touch_overlaps(songs, seqs)
  local real, played = { {}, {} }, { {}, {} }
  for s, song in ipairs(songs) do
    local v, o, bins = touch_of(song, song.seq)
    local pv, po = touch_of(song, seqs[s])
    if bins[1] >= MIN_BINS then add_to(real[1], v) add_to(played[1], pv) end
    if bins[2] >= MIN_BINS then add_to(real[2], o) add_to(played[2], po) end
  end
  return overlap(real[1], played[1]), overlap(real[2], played[2])
end

-- Adds bars with hits, and comparisons of each bar with the bar before if both have the same
-- length: equal bars, differing cells, and the song's groove consistency.
local function add_neighbours(sum, song, masks)
  local voices, before = #song.seq:voices(), nil
  local changed, steps = 0, 0  -- steps where only one of two bars has a hit; all steps
  for _, bar in ipairs(song.bars) do
    local different, moved, any = 0, 0, false
    local comparable = before and before.last - before.first == bar.last - bar.first
    for t = bar.first, bar.last do
      any = any or masks[t] ~= 0
      if comparable then
        local other = masks[before.first + t - bar.first]
        if other ~= masks[t] then different = different + count_bits(masks[t] ~ other) end
        if (other == 0) ~= (masks[t] == 0) then moved = moved + 1 end
      end
    end
    if any then sum.bars = sum.bars + 1 end
    if comparable then
      local length = bar.last - bar.first + 1
      if any and different == 0 then sum.repeats = sum.repeats + 1 end
      sum.different = sum.different + different
      sum.compared = sum.compared + length * voices
      changed, steps = changed + moved, steps + length
    end
    before = bar
  end
  if steps > 0 then sum.grooves[#sum.grooves + 1] = 1 - changed / steps end
end

-- Adds a song's hits, played and recorded, those at the same place, and the density.
local function add_hits(sum, song, masks)
  local played = 0
  for t = song.from, song.n do
    local m, r = masks[t], song.real[t]
    if m ~= 0 then played = played + count_bits(m) end
    if r ~= 0 then
      sum.real_hits, sum.both = sum.real_hits + count_bits(r), sum.both + count_bits(r & m)
    end
  end
  local steps = song.n - song.from + 1
  sum.steps, sum.hits = sum.steps + steps, sum.hits + played
  sum.densities[#sum.densities + 1] = played / steps
end

local function add_intervals(histogram, voice, list)
  for i = 2, #list do
    local key = voice << 32 | math.min(list[i] - list[i - 1], MAX_INTERVAL)
    histogram[key] = (histogram[key] or 0) + 1
  end
end

-- Adds hits at most a step from a recorded one, and the intervals between hits.
local function add_distances(sum, song, masks)
  local played, real = steps_by_voice(song, masks), steps_by_voice(song, song.real)
  for v = 1, #played do
    sum.close = sum.close + count_pairs(played[v], real[v])
    add_intervals(sum.intervals, v, played[v])
    add_intervals(sum.real_intervals, v, real[v])
  end
end

local function add_fills(sum, song, masks)
  local played, real = find_fills(song, masks), find_fills(song, song.real)
  sum.fills, sum.real_fills = sum.fills + #played, sum.real_fills + #real
  sum.fills_found = sum.fills_found + count_pairs(played, real)
end

-- Counts over no song yet.
local function new_sum()
  local sum = { densities = {}, grooves = {}, patterns = {}, intervals = {}, real_intervals = {} }
  for _, name in ipairs { "steps", "hits", "real_hits", "both", "close", "bars", "repeats",
    "different", "compared", "snares", "back_beats", "kicks", "kicks_with_bass", "fills",
    "real_fills", "fills_found" } do
    sum[name] = 0
  end
  return sum
end

-- The number of songs that are near-silent.
local function count_silent(sum)
  local threshold, n = SILENT * sum.real_hits / math.max(1, sum.steps), 0
  for _, density in ipairs(sum.densities) do
    if density < threshold then n = n + 1 end
  end
  return n
end

--- Measures a player: one row of figures.
---@param name string of the player
---@param songs neuraldrummer.evaluated_song[]
---@param played integer[][] masks of the hits, by song and step
---@param real_stretches? table[] the recorded drums as the classifier takes them; without
--- them, there is no auc
---@param seqs? neuraldrummer.sequence[] the same hits with velocities and offsets, by song
---@return neuraldrummer.evaluate_row
---@package
function figures.measure(name, songs, played, real_stretches, seqs)
  local sum = new_sum()
  for s, song in ipairs(songs) do
    local masks = played[s]
    add_hits(sum, song, masks)
    add_distances(sum, song, masks)
    add_neighbours(sum, song, masks)
    add_anchors(sum, song, masks)
    add_fills(sum, song, masks)
    local offsets = seqs and seqs[s]:packed_offsets()
    sum.patterns[#sum.patterns + 1] = in_pattern(song, masks, offsets)
  end
  local velocity, offset
  if seqs then velocity, offset = touch_overlaps(songs, seqs) end
  local changed = ratio(sum.different, sum.compared)
  return {
    name = name, songs = #songs, steps = sum.steps,
    hits = sum.hits / math.max(1, sum.steps),
    density = ratio(sum.hits, sum.real_hits),
    repeats = ratio(sum.repeats, sum.bars),
    silent = count_silent(sum),
    f1 = ratio(2 * sum.both, sum.hits + sum.real_hits),
    f1_tolerant = ratio(2 * sum.close, sum.hits + sum.real_hits),
    consistency = changed and 1 - changed,
    groove = mean_of(sum.grooves), pattern = mean_of(sum.patterns),
    back_beat = ratio(sum.back_beats, sum.snares),
    kick_bass = ratio(sum.kicks_with_bass, sum.kicks),
    fills = ratio(2 * sum.fills_found, sum.fills + sum.real_fills),
    intervals = overlap(sum.intervals, sum.real_intervals),
    velocity = velocity, offset = offset,
    auc = real_stretches and classifier.auc(songs, real_stretches, played) or nil,
  }
end

return figures
