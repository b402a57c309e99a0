--- Drums without a song: drums that continue a groove, and whole drum tracks by form.
--- The model only plays along with music, so a bass and chords are composed for it;
--- the result does not contain them.
local nd = require "neuraldrummer"
local generate = require "neuraldrummer.generate"
local option = require "neuraldrummer.options"
local pipeline = require "neuraldrummer.pipeline"
local playing = require "neuraldrummer.options.playing"
local random = require "neuraldrummer.random"
local files = require "neuraldrummer.files"
local misuse = option.misuse

---@class neuraldrummer.modules.sketch
local sketch = {}

local PPQ <const> = 480
local MAX_BARS <const> = 4096

-- Default energy of a section, by its name; others have 0.
local ENERGY <const> = {
  intro = -0.5, verse = -0.2, prechorus = 0.1, chorus = 0.4, bridge = -0.3, solo = 0.3,
  ["break"] = -1.5, outro = -0.4,
}

local function section_energy(section)
  return ENERGY[section.name:gsub("[^%a]", "")] or 0
end

local function bar_ticks(meter, ppq) return 4 * ppq * meter.numerator // meter.denominator end

-- Chords of a minor key: their roots from the key's, in semitones, and their thirds.
local CHORDS <const> = { 0, -4, 3, -2, 5, -5, -7 }
local THIRDS <const> = { 3, 4, 4, 4, 3, 3, 4 }

-- Adds a bar of the accompaniment: bass notes at `onsets` (ticks from the start of the
-- bar), each up to the next one, and a chord that is played `times` in it.
local function add_bar(notes, tick, length, onsets, chord, times, velocity)
  local root = 40 + CHORDS[chord]
  for i, at in ipairs(onsets) do
    notes[#notes + 1] = {
      tick = tick + at, duration = math.max((onsets[i + 1] or length) - at, 1), pitch = root,
      velocity = velocity, channel = 2, program = 33, track = 2,
    }
  end
  for k = 0, times - 1 do
    for _, interval in ipairs { 12, 12 + THIRDS[chord], 19 } do
      notes[#notes + 1] = {
        tick = tick + k * length // times, duration = math.max(length // times, 1),
        pitch = root + interval, velocity = velocity, channel = 1, program = 0, track = 3,
      }
    end
  end
end

-- By bar, the onsets of the kick in ticks from the start of the bar, at least a
-- thirty-second apart.
local function kick_onsets(notes, bars, ppq)
  local starts, tick, kicks = {}, 0, {}
  for b, bar in ipairs(bars) do
    starts[b], kicks[b] = tick, {}
    tick = tick + bar_ticks(bar, ppq)
  end
  local b = 1
  for _, note in ipairs(notes) do
    while b < #bars and note.tick >= starts[b + 1] do b = b + 1 end
    local at = note.tick - starts[b]
    if (note.pitch == 35 or note.pitch == 36) and at >= (kicks[b][#kicks[b]] or -1) + ppq // 8 then
      table.insert(kicks[b], at)
    end
  end
  return kicks
end

-- Adds an accompaniment whose bass follows the kick of a groove, over the bars of the
-- groove and `n_more`, in which its bars are repeated.
local function accompany_groove(notes, bars, n_more, ppq)
  local kicks, tick = kick_onsets(notes, bars, ppq), 0
  for bar = 1, #bars + n_more do
    local onsets = kicks[(bar - 1) % #bars + 1]
    local length = bar_ticks(bars[math.min(bar, #bars)], ppq)
    add_bar(notes, tick, length, #onsets > 0 and onsets or { 0 }, (bar - 1) // 2 % 4 + 1, 1, 90)
    tick = tick + length
  end
end

--- Continues the drums of a file, which stay as they are at the start of the result.
---@param path string a MIDI file
---@param options? neuraldrummer.continue_options
---@return neuraldrummer.generate_result? result
---@return string? message
function sketch.continue(path, options)
  local o = playing.check("continue", options)
  generate.check_combinations(o)
  local model, message = pipeline.open_model(o.model)
  if not model then return nil, message end
  local ok
  ok, message = pipeline.open_kits(o)
  if not ok then return nil, message end
  local groove
  groove, message = nd.song.load(path, option.reading(o, o.drum_channel))
  if not groove then return nil, message end
  o.kits.source = groove
  local tokeniser = model:tokeniser()
  groove = o.kits:read(groove, path, tokeniser)
  local notes = groove:notes "drums"
  if #notes == 0 then return nil, path .. ": has no drums to continue" end
  for _, note in ipairs(notes) do note.channel, note.track = 10, nil end
  local spec = {
    ppq = groove:ppq(), notes = notes, tempos = groove:tempos(), meters = groove:meters(),
    drum_channel = 10,
  }
  local primer
  primer, message = tokeniser:encode(nd.song.new(spec), nil, o.max_steps)
  if not primer then return nil, ("%s: %s"):format(path, message) end
  accompany_groove(notes, primer:bars(), o.bars or 16, spec.ppq)
  local song = nd.song.new(spec)
  local seq
  seq, message = tokeniser:encode(song, files.name(path))
  if not seq then return nil, ("%s: %s"):format(path, message) end
  o.bars, o.extend, o.drums_alone = nil, #primer:bars(), true
  if o.style == nil and o.style_of == nil then o.style = primer end
  return pipeline.run(model, song, seq, o)
end

--- Parses a form, names of sections with their numbers of bars: "intro4,verse8,chorus8".
---@param text string
---@return neuraldrummer.section[] sections with `name`
---@return integer bars
function sketch.form(text)
  local sections, firsts, bar = {}, {}, 0
  for item in (text .. ","):gmatch "%s*(.-)%s*," do
    local name, n = item:match "^(%a[%a_-]*)(%d+)$"
    n = math.tointeger(tonumber(n))
    if not n or n < 1 or n > MAX_BARS then
      misuse("form", "'%s' is not the name of a section and its number of bars, such as verse8",
        item)
    end
    name = name:lower()
    local of = firsts[name]
    firsts[name] = of or #sections + 1
    sections[#sections + 1] = {
      name = name, first = bar + 1, last = bar + n, kind = firsts[name], of = of,
    }
    bar = bar + n
  end
  if bar > MAX_BARS then misuse("form", "it has %d bars, more than %d", bar, MAX_BARS) end
  return sections, bar
end

-- Any of the model's styles, by the seed.
local function any_style(model, seed)
  local n = model:config().styles
  return n > 0 and (seed * 0x9E3779B97F4A7C15 >> 11) % n + 1 or nil
end

local DENOMINATORS <const> = { [2] = true, [4] = true, [8] = true, [16] = true }

local function meter_of(text)
  local above, below = text:match "^(%d%d?)/(%d%d?)$"
  above, below = math.tointeger(tonumber(above)), math.tointeger(tonumber(below))
  if not above or above < 1 or not DENOMINATORS[below] then
    misuse("meter", "'%s' is not a time signature, such as 6/8", text)
  end
  return { tick = 0, numerator = above, denominator = below }
end

-- The accompaniment of a form. All sections of one name have the same bass line and
-- chords, by the seed, louder and fuller with more energy.
local function accompany_form(sections, meter, seed)
  local notes, length = {}, bar_ticks(meter, PPQ)
  local eighth = PPQ // 2
  for _, section in ipairs(sections) do
    local draw = random.uniform(seed * 64 + section.kind)
    local energy = section_energy(section)
    local chords, onsets = {}, { 0 }
    for i = 1, 4 do chords[i] = i == 1 and 1 or math.floor(draw() * #CHORDS) + 1 end
    for at = eighth, length - 1, eighth do
      local probability = (at % PPQ == 0 and 0.5 or 0.3) + 0.3 * energy
      if draw() < probability then onsets[#onsets + 1] = at end
    end
    local times = energy > 0 and math.max(length // PPQ, 1) or draw() < 0.5 and 2 or 1
    for bar = section.first, section.last do
      local chord = chords[(bar - section.first) // 2 % 4 + 1]
      add_bar(notes, (bar - 1) * length, length, onsets, chord, times,
        math.floor(90 + 25 * energy))
    end
  end
  table.sort(notes, function(a, b)
    if a.tick ~= b.tick then return a.tick < b.tick end
    return a.pitch < b.pitch
  end)
  return notes
end

-- Options that are left out, by the form: energy by section, fills at the ends of
-- sections, and one style.
local function direct_form(o, sections, model)
  if not o.energy then
    o.energy = {}
    for _, section in ipairs(sections) do
      for bar = section.first, section.last do o.energy[bar] = section_energy(section) end
    end
  end
  o.fills = o.fills or "sections"
  if o.style == nil and o.style_of == nil then o.style = any_style(model, o.seed or 1) end
end

--- Plays a drum track by form, without a song.
---@param options? neuraldrummer.sketch_options
---@return neuraldrummer.generate_result? result
---@return string? message
function sketch.play(options)
  local o = playing.check("sketch", options)
  generate.check_combinations(o)
  local sections = sketch.form(o.form or "intro4,verse8,chorus8,verse8,chorus8,outro4")
  local meter = meter_of(o.meter or "4/4")
  local model, message = pipeline.open_model(o.model)
  if not model then return nil, message end
  local ok
  ok, message = pipeline.open_kits(o)
  if not ok then return nil, message end
  local song = nd.song.new {
    ppq = PPQ, notes = accompany_form(sections, meter, o.seed or 1),
    tempos = { { tick = 0, bpm = o.bpm or 120 } }, meters = { meter }, drum_channel = 10,
    name = "sketch",
  }
  local seq
  seq, message = model:tokeniser():encode(song, "sketch")
  if not seq then return nil, message end
  if model:config().features == "whole" then direct_form(o, sections, model) end
  o.sections, o.drums_alone = sections, true
  local result
  result, message = pipeline.run(model, song, seq, o)
  if result then result.sections = sections end
  return result, message
end

return sketch
