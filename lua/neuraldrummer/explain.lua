--- Explains why a model finds the hits of a bar likely: how much each metric of the
--- song and each earlier hit contribute to a hit's log-odds.
---
--- A weight is gradient times input (Shrikumar et al. 2016, "Not just a black box"):
--- the derivative of the log-odds with respect to an input, times its value. It is
--- exact to first order, through the whole song and every step of the network. The
--- weights need not add up to the log-odds, because the network is not linear. A weight
--- above 0 makes the hit more likely.
local core = require "neuraldrummer.core"
local format = require "neuraldrummer.decimal".format
local check = require "neuraldrummer.options".check

---@class neuraldrummer.modules.explain
local explain = {}

local MAX_EARLIER <const> = 16   -- earlier hits listed with each explained hit

---@class neuraldrummer.explain_options
---@field bar integer from 1
---@field voice? string only the hits of this voice
---@field style? boolean whether the model is given the style of the song's own drums (default
--- true)

---@class neuraldrummer.reason
---@field kind "song"|"before"|"with"|"style" a metric of the song, earlier hits of a voice, a hit
--- at the same step, or the style
---@field name string of the metric or the voice
---@field weight number

---@class neuraldrummer.explained_hit
---@field step integer
---@field beat number in the bar, from 1
---@field voice string
---@field probability number 0..1, given the voices before it in the kit
---@field reasons neuraldrummer.reason[] by falling absolute weight
---@field earlier {step: integer, bar: integer, beat: number, voice: string, weight: number}[]
--- single earlier hits, by falling absolute weight
---@field song number[] by step, the weight of all metrics there

---@class neuraldrummer.explanation
---@field bar integer
---@field step integer its first step
---@field steps integer
---@field hits neuraldrummer.explained_hit[]
---@field reasons neuraldrummer.reason[] means over the hits
---@field song number[] means over the hits
---@field earlier table[] means over the hits, in order of time

-- Sorts by falling absolute weight, and returns the list.
local function sort_by_weight(list)
  table.sort(list, function(a, b)
    local x, y = math.abs(a.weight), math.abs(b.weight)
    if x ~= y then return x > y end
    if a.step ~= b.step then return (a.step or 0) > (b.step or 0) end
    return core.byte_less((a.kind or "") .. (a.name or a.voice),
      (b.kind or "") .. (b.name or b.voice))
  end)
  return list
end

local function reasons_of(hit)
  local list = {}
  local function add(kind, name, weight)
    if weight ~= 0 then list[#list + 1] = { kind = kind, name = name, weight = weight } end
  end
  for name, weight in pairs(hit.metrics) do add("song", name, weight) end
  for name, weight in pairs(hit.voices) do add("before", name, weight) end
  for name, weight in pairs(hit.simultaneous) do add("with", name, weight) end
  add("style", "style", hit.style)
  return sort_by_weight(list)
end

-- By step, the bar that it lies in, up to the step `last`.
local function bars_of_steps(bars, last)
  local bar_at, b = {}, 1
  for t = 1, last do
    while bars[b + 1] and bars[b + 1].first <= t do b = b + 1 end
    bar_at[t] = b
  end
  return bar_at
end

-- Adds a weight to the entry of a list that has this key, which `entry` becomes if there
-- is none.
local function add_weight(list, key, weight, entry)
  if not list[key] then
    entry.weight = 0
    list[key] = entry
    list[#list + 1] = entry
  end
  list[key].weight = list[key].weight + weight
end

-- The entries of such a list without their keys, and their weights divided by `n`.
local function means(list, n)
  local out = {}
  for i, entry in ipairs(list) do
    entry.weight = entry.weight / n
    out[i] = entry
  end
  return out
end

local function has_voice(seq, voice)
  for _, name in ipairs(seq:voices()) do if name == voice then return true end end
  return false
end

--- Explains the hits of a bar.
---@param model neuraldrummer.model
---@param seq neuraldrummer.sequence
---@param options neuraldrummer.explain_options
---@return neuraldrummer.explanation? explanation
---@return string? message
function explain.run(model, seq, options)
  local o = check(options, { bar = "integer", voice = "string", style = "boolean" })
  if not o.bar then error("option 'bar' is missing", 2) end
  local bars, per_beat = seq:bars(), seq:settings().steps_per_beat
  local bar = bars[o.bar]
  if not bar then return nil, ("there is no bar %d: the last is %d"):format(o.bar, #bars) end
  if o.voice and not has_voice(seq, o.voice) then
    return nil, ("there is no voice '%s'; choose from %s"):format(o.voice,
      table.concat(seq:voices(), ", "))
  end
  local styled = o.style ~= false and model:config().features == "whole"
  local bar_at, hits, song, reasons, earlier = bars_of_steps(bars, bar.last), {}, {}, {}, {}
  for t = 1, #seq do song[t] = 0 end
  for _, raw in ipairs(core.explain(model, seq, bar.first, bar.last, styled)) do
    if not o.voice or raw.voice == o.voice then
      local hit = { step = raw.step, beat = 1 + (raw.step - bar.first) / per_beat,
        voice = raw.voice, probability = raw.probability, reasons = reasons_of(raw), earlier = {},
        song = raw.song }
      for _, each in ipairs(raw.earlier) do
        local at = bar_at[each.step]
        each.bar, each.beat = at, 1 + (each.step - bars[at].first) / per_beat
        add_weight(earlier, each.step .. " " .. each.voice, each.weight,
          { step = each.step, bar = at, beat = each.beat, voice = each.voice })
      end
      table.move(sort_by_weight(raw.earlier), 1, MAX_EARLIER, 1, hit.earlier)
      for _, reason in ipairs(hit.reasons) do
        add_weight(reasons, reason.kind .. " " .. reason.name, reason.weight,
          { kind = reason.kind, name = reason.name })
      end
      for t = 1, #seq do song[t] = song[t] + raw.song[t] end
      hits[#hits + 1] = hit
    end
  end
  if #hits == 0 then
    return nil, o.voice and ("%s has no hits in bar %d"):format(o.voice, o.bar)
      or ("bar %d has no hits"):format(o.bar)
  end
  for t = 1, #seq do song[t] = song[t] / #hits end
  local result = { bar = o.bar, step = bar.first, steps = bar.last - bar.first + 1, hits = hits,
    song = song, reasons = sort_by_weight(means(reasons, #hits)), earlier = means(earlier, #hits) }
  table.sort(result.earlier, function(x, y)
    if x.step ~= y.step then return x.step < y.step end
    return x.voice < y.voice
  end)
  return result
end

--- Names a reason in words.
---@param reason neuraldrummer.reason
---@return string
function explain.words(reason)
  local name = reason.name:gsub("_", " ")
  if reason.kind == "song" then return name end
  if reason.kind == "before" then return "earlier " .. name end
  if reason.kind == "with" then return "with the " .. name end
  return name
end

--- Formats an explanation as a table of text: a row for each hit, with its main reasons.
---@param result neuraldrummer.explanation
---@param n? integer number of reasons for each hit (default 4)
---@return string
function explain.format(result, n)
  local rows = { { "beat", "voice", "prob.", "reasons, by their weight in log-odds" } }
  local function first(list, words)
    local parts = {}
    for i = 1, math.min(n or 4, #list) do
      parts[i] = format("%s %+.2f", words(list[i]), list[i].weight)
    end
    return table.concat(parts, ", ")
  end
  for _, hit in ipairs(result.hits) do
    rows[#rows + 1] = { format("%g", hit.beat), (hit.voice:gsub("_", " ")),
      format("%.0f %%", 100 * hit.probability), first(hit.reasons, explain.words) }
    if #hit.earlier > 0 then
      rows[#rows + 1] = { "", "", "", "  hits: " .. first(hit.earlier, function(each)
        return format("%s at %d:%g", each.voice:gsub("_", " "), each.bar, each.beat)
      end) }
    end
  end
  rows[#rows + 1] = { "", "all", "", first(result.reasons, explain.words) }
  local widths, lines = { 0, 0, 0 }, {}
  for _, row in ipairs(rows) do
    for i = 1, 3 do widths[i] = math.max(widths[i], #row[i]) end
  end
  for i, row in ipairs(rows) do
    lines[i] = ("%-" .. widths[1] .. "s  %-" .. widths[2] .. "s  %" .. widths[3] .. "s  %s")
      :format(table.unpack(row))
  end
  return table.concat(lines, "\n") .. "\n"
end

return explain
