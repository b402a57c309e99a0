--- Drums without a song: going on from a groove, and whole drum tracks by form.
--- The drummer knows no other way than to play along. So a bass and chords are
--- imagined for it, heard and never written.
local nd = require "neuraldrummer"
local direct = require "neuraldrummer.direct"
local generate = require "neuraldrummer.generate"
local option = require "neuraldrummer.options"
local check = option.check

local sketch = {}

local PPQ <const> = 480
local MOST_BARS <const> = 4096

-- Energy of a section where nothing else is asked, by its name.
local ENERGY <const> = {
  intro = -0.5, verse = -0.2, prechorus = 0.1, chorus = 0.4, bridge = -0.3, solo = 0.3,
  ["break"] = -1.5, outro = -0.4,
}

local function section_energy(section)
  return ENERGY[section.name:gsub("[^%a]", "")] or 0
end

local function with(options, known)
  local o, all = {}, {}
  for name, kind in pairs(generate.KNOWN) do all[name] = kind end
  for name, kind in pairs(known) do all[name] = kind end
  for name, value in pairs(check(options, all)) do o[name] = value end
  -- there is no song, and so nothing of it to keep or to leave out
  local of_song = { "original", "keep", "loop", "extend", "keep_drums", "tempo", "bars",
    "drafts", "all_drafts", "kit_in" }
  for name in pairs(option.LIMITS) do of_song[#of_song + 1] = name end
  for _, name in ipairs(of_song) do
    if o[name] ~= nil and not known[name] then
      error(("option '%s': there is no song to use it on"):format(name), 3)
    end
  end
  generate.check(o)
  return o
end

local function bar_ticks(meter, ppq) return 4 * ppq * meter.numerator // meter.denominator end

local CHORDS <const> = { 0, -4, 3, -2, 5, -5, -7 }  -- roots, from the key's
local THIRDS <const> = { 3, 4, 4, 4, 3, 3, 4 }       -- of a minor key

-- The band in one bar: the bass at `strikes` (ticks from the bar's start), and a
-- chord held through it or struck `times` in it.
local function imagine(notes, tick, long, strikes, chord, times, velocity)
  local root = 40 + CHORDS[chord]
  for i, at in ipairs(strikes) do
    notes[#notes + 1] = {
      tick = tick + at, duration = math.max((strikes[i + 1] or long) - at, 1), pitch = root,
      velocity = velocity, channel = 2, program = 33, track = 2,
    }
  end
  for k = 0, times - 1 do
    for _, interval in ipairs { 12, 12 + THIRDS[chord], 19 } do
      notes[#notes + 1] = {
        tick = tick + k * long // times, duration = math.max(long // times, 1),
        pitch = root + interval, velocity = velocity, channel = 1, program = 0, track = 3,
      }
    end
  end
end

local function within(name, x, least, most)
  if not (x >= least and x <= most) then
    error(("option '%s': %g is not in %g-%g"):format(name, x, least, most), 0)
  end
end

-- A bass that goes with the kick of the groove, over all its bars and `more`, the
-- last of which it says the end of.
local function imagine_along(notes, bars, more, ppq)
  local starts, tick = {}, 0
  for b, bar in ipairs(bars) do
    starts[b] = tick
    tick = tick + bar_ticks(bar, ppq)
  end
  starts[#bars + 1] = tick
  local kicks = {}
  for b = 1, #bars do kicks[b] = {} end
  local b = 1
  for _, note in ipairs(notes) do
    while b < #bars and note.tick >= starts[b + 1] do b = b + 1 end
    local at = note.tick - starts[b]
    if (note.pitch == 35 or note.pitch == 36) and at >= (kicks[b][#kicks[b]] or -1) + ppq // 8 then
      table.insert(kicks[b], at)
    end
  end
  tick = 0
  for bar = 1, #bars + more do
    local like = bar <= #bars and bar or (bar - 1) % #bars + 1
    local long = bar_ticks(bars[math.min(bar, #bars)], ppq)
    local strikes = #kicks[like] > 0 and kicks[like] or { 0 }
    imagine(notes, tick, long, strikes, (bar - 1) // 2 % 4 + 1, 1, 90)
    tick = tick + long
  end
end

---@class neuraldrummer.continue_options: neuraldrummer.generate_options
---@field bars? integer how many are played (default 16)

--- Goes on from the drums of a file: they stand at the start as they are.
---@param path string a MIDI file
---@param options? neuraldrummer.continue_options
---@return neuraldrummer.generate_result? result
---@return string? message
function sketch.continue(path, options)
  local known = { bars = "integer", kit_in = "string|table" }
  for name, kind in pairs(option.LIMITS) do known[name] = kind end
  local o = with(options, known)
  local n = o.bars or 16
  within("bars", n, 1, MOST_BARS)
  local model, groove, message
  model, message = generate.open_model(o.model)
  if not model then return nil, message end
  local ok
  ok, message = generate.open_maps(o)
  if not ok then return nil, message end
  groove, message = nd.song.load(path, option.reading(o, o.drum_channel))
  if not groove then return nil, message end
  o.maps.source = groove
  groove = generate.heard(groove, path, model:tokeniser(), o.maps)
  local notes = groove:notes "drums"
  if #notes == 0 then return nil, path .. ": has no drums to go on from" end
  for _, note in ipairs(notes) do note.channel, note.track = 10, nil end
  local spec = {
    ppq = groove:ppq(), notes = notes, tempos = groove:tempos(), meters = groove:meters(),
    drum_channel = 10,
  }
  local tokeniser = model:tokeniser()
  local primer
  primer, message = tokeniser:encode(nd.song.new(spec), nil, o.max_steps)
  if not primer then return nil, ("%s: %s"):format(path, message) end
  imagine_along(notes, primer:bars(), n, spec.ppq)
  local song = nd.song.new(spec)
  local seq
  seq, message = tokeniser:encode(song, path:match "[^/]*$")
  if not seq then return nil, ("%s: %s"):format(path, message) end
  o.bars, o.extend, o.drums_alone = nil, #primer:bars(), true
  if o.style == nil and o.style_of == nil then o.style = primer end
  return generate.perform(model, song, seq, o)
end

--- The sections of a form: "intro4,verse8,chorus8", names with their bars.
---@param text string
---@return neuraldrummer.section[] sections with `name`
---@return integer bars
function sketch.form(text)
  local sections, firsts, bar = {}, {}, 0
  for item in (text .. ","):gmatch "%s*(.-)%s*," do
    local name, n = item:match "^(%a[%a_-]*)(%d+)$"
    n = math.tointeger(tonumber(n))
    if not n or n < 1 or n > MOST_BARS then
      error(("option 'form': '%s' is not a section's name and its bars, as verse8"):format(item), 0)
    end
    name = name:lower()
    local of = firsts[name]
    firsts[name] = of or #sections + 1
    sections[#sections + 1] = {
      name = name, first = bar + 1, last = bar + n, kind = firsts[name], of = of,
    }
    bar = bar + n
  end
  if bar > MOST_BARS then error(("option 'form': more than %d bars"):format(MOST_BARS), 0) end
  return sections, bar
end

-- One of all the model's styles, whatever song they came with.
local function any_style(model, seed)
  local n = model:config().styles
  return n > 0 and (seed * 0x9E3779B97F4A7C15 >> 11) % n + 1 or nil
end

local DENOMINATORS <const> = { [2] = true, [4] = true, [8] = true, [16] = true }

local function meter_of(text)
  local above, below = text:match "^(%d%d?)/(%d%d?)$"
  above, below = math.tointeger(tonumber(above)), math.tointeger(tonumber(below))
  if not above or above < 1 or not DENOMINATORS[below] then
    error(("option 'meter': '%s' is not a meter, as 6/8"):format(text), 0)
  end
  return { tick = 0, numerator = above, denominator = below }
end

-- The band of a form: each section's name has a bass line and chords of its own,
-- by the seed, louder and fuller where there is more energy.
local function imagine_form(sections, meter, seed)
  local notes, long = {}, bar_ticks(meter, PPQ)
  local eighth = PPQ // 2
  for _, section in ipairs(sections) do
    local draw = direct.lots(seed * 64 + section.kind)
    local energy = section_energy(section)
    local chords, strikes = {}, { 0 }
    for i = 1, 4 do chords[i] = i == 1 and 1 or math.floor(draw() * #CHORDS) + 1 end
    for at = eighth, long - 1, eighth do
      local odds = (at % PPQ == 0 and 0.5 or 0.3) + 0.3 * energy
      if draw() < odds then strikes[#strikes + 1] = at end
    end
    local times = energy > 0 and math.max(long // PPQ, 1) or draw() < 0.5 and 2 or 1
    for bar = section.first, section.last do
      local chord = chords[(bar - section.first) // 2 % 4 + 1]
      imagine(notes, (bar - 1) * long, long, strikes, chord, times,
        math.floor(90 + 25 * energy))
    end
  end
  table.sort(notes, function(a, b)
    if a.tick ~= b.tick then return a.tick < b.tick end
    return a.pitch < b.pitch
  end)
  return notes
end

---@class neuraldrummer.sketch_options: neuraldrummer.generate_options
---@field form? string default "intro4,verse8,chorus8,verse8,chorus8,outro4"
---@field bpm? number default 120
---@field meter? string default "4/4"

--- A drum track from a seed alone, section by section.
---@param options? neuraldrummer.sketch_options
---@return neuraldrummer.generate_result? result
---@return string? message
function sketch.play(options)
  local o = with(options, { form = "string", bpm = "number", meter = "string" })
  local sections = sketch.form(o.form or "intro4,verse8,chorus8,verse8,chorus8,outro4")
  local bpm = o.bpm or 120
  within("bpm", bpm, 4, 1000)
  local meter = meter_of(o.meter or "4/4")
  local model, message = generate.open_model(o.model)
  if not model then return nil, message end
  local ok
  ok, message = generate.open_maps(o)
  if not ok then return nil, message end
  local song = nd.song.new {
    ppq = PPQ, notes = imagine_form(sections, meter, o.seed or 1),
    tempos = { { tick = 0, bpm = bpm } }, meters = { meter }, drum_channel = 10, name = "sketch",
  }
  local seq
  seq, message = model:tokeniser():encode(song, "sketch")
  if not seq then return nil, message end
  if model:config().features == "whole" then
    if not o.energy then
      o.energy = {}
      for _, section in ipairs(sections) do
        for bar = section.first, section.last do
          o.energy[bar] = section_energy(section)
        end
      end
    end
    o.fills = o.fills or "sections"
    if o.style == nil and o.style_of == nil then o.style = any_style(model, o.seed or 1) end
  end
  o.sections, o.drums_alone = sections, true
  local result
  result, message = generate.perform(model, song, seq, o)
  if result then result.sections = sections end
  return result, message
end

return sketch
