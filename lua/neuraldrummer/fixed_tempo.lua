--- Drums alone at one tempo: the beats of the grid become quarter notes of 320 ticks
--- in 4/4, as the 2023 system writes them.
local nd = require "neuraldrummer"

local fixed_tempo = {}

local PPQ <const> = 320

-- By voice, the pitch that is written for it; of a voice's pitches that is the first.
local function pitches_of(settings, output_pitches)
  local pitches = {}
  for voice in settings.kit_text:gmatch "|([^|]+)" do
    local name, pitch = voice:match "^(.-):(%d+)"
    pitch = math.tointeger(pitch)
    pitches[name] = output_pitches[pitch] or pitch
  end
  return pitches
end

--- A song of drums alone.
---@param drums neuraldrummer.sequence
---@param bpm number beats a minute
---@param length? number steps that a note lasts (default 0.5)
---@param output_pitches table<integer, integer> by General MIDI's pitch, the one to write
---@return neuraldrummer.song
---@package
function fixed_tempo.song(drums, bpm, length, output_pitches)
  local settings, voices, offsets = drums:settings(), drums:voices(), drums:packed_offsets()
  local pitches = pitches_of(settings, output_pitches)
  local step, notes = PPQ / settings.steps_per_beat, {}
  local duration = math.max(1, math.floor((length or 0.5) * step + 0.5))
  for i, hits in ipairs(drums:hits()) do
    for v, name in ipairs(voices) do
      if hits[name] then
        local offset = ("b"):unpack(offsets, (i - 1) * #voices + v) / 256
        notes[#notes + 1] = {
          tick = math.max(0, math.floor((i - 1 + offset) * step + 0.5)), duration = duration,
          pitch = pitches[name], velocity = math.max(1, math.floor(hits[name] * 127 + 0.5)),
          channel = 10,
        }
      end
    end
  end
  table.sort(notes, function(a, b)
    if a.tick ~= b.tick then return a.tick < b.tick end
    return a.pitch < b.pitch
  end)
  return nd.song.new {
    ppq = PPQ, notes = notes, tempos = { { tick = 0, bpm = bpm } },
    meters = { { tick = 0, numerator = 4, denominator = 4 } }, drum_channel = 10,
  }
end

return fixed_tempo
