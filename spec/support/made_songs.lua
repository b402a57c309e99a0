--- Small songs made by a formula, for comparison with the original system.
--- make_tokens.py makes the same notes: change both, then its fixture.
local made = {}

local PPQ <const>, SLOT <const> = 480, 240
-- Off the grid, but never midway between two steps of any meter below.
local JITTER <const> = { 0, 0, 30, 50, -40, 90 }

made.songs = {
  { name = "rock", slots = 96, meters = { { 0, 4, 4 } }, tempos = { { 0, 120 } } },
  { name = "waltz", slots = 90, meters = { { 0, 3, 4 } }, tempos = { { 0, 150 } } },
  { name = "jig", slots = 96, meters = { { 0, 6, 8 } }, tempos = { { 0, 100 } } },
  { name = "slow nine", slots = 90, meters = { { 0, 9, 8 } }, tempos = { { 0, 60 } } },
  { name = "seven", slots = 84, meters = { { 0, 7, 8 } }, tempos = { { 0, 140 } } },
  { name = "three eighths", slots = 60, meters = { { 0, 3, 8 } }, tempos = { { 0, 180 } } },
  { name = "changes", slots = 130, meters = { { 0, 4, 4 }, { 7680, 3, 4 }, { 12000, 6, 8 },
    { 19200, 5, 4 } }, tempos = { { 0, 96 } } },
  { name = "pickup", slots = 90, meters = { { 0, 1, 4 }, { 480, 4, 4 } }, tempos = { { 0, 110 } } },
  { name = "tempos", slots = 96, meters = { { 0, 4, 4 } },
    tempos = { { 0, 90 }, { 3840, 120 }, { 7680, 60 }, { 12480, 200 } } },
  { name = "crowd", slots = 96, meters = { { 0, 4, 4 } }, tempos = { { 0, 120 } }, crowd = 17 },
  { name = "two drummers", slots = 80, meters = { { 0, 4, 4 } }, tempos = { { 0, 120 } },
    second_drums = true },
  { name = "late drums", slots = 80, meters = { { 0, 4, 4 } }, tempos = { { 0, 120 } },
    drums_from = 48 },
}

--- The notes of song number `index`, as core.song takes them. Tracks: 1 meters
--- and tempos, 2 melody, 3 drums, 4 second drums.
function made.notes(index)
  local spec, notes, state = made.songs[index], {}, index
  local function random(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % n
  end
  for slot = 0, spec.slots - 1 do
    local tick = slot * SLOT
    local function add(pitch, channel, track)
      local jitter = JITTER[random(#JITTER) + 1]
      notes[#notes + 1] = {
        tick = math.max(tick + jitter, 0), duration = 100, pitch = pitch,
        velocity = 40 + random(80), channel = channel, track = track,
      }
    end
    local chord = random(4)
    if spec.crowd and slot % spec.crowd == 5 then chord = 12 end
    for i = 0, chord - 1 do add(36 + 5 * i + random(5), 1, 2) end
    if slot >= (spec.drums_from or 0) then
      if slot % 4 == 0 then add(36, 10, 3) end
      if slot % 4 == 2 then add(38, 10, 3) end
      if random(5) > 0 then add(42, 10, 3) end
      if random(9) == 0 then add(46 + random(8), 10, 3) end
    end
    if spec.second_drums and random(3) == 0 then add(60 + random(4), 10, 4) end
  end
  return notes
end

--- What core.song wants.
function made.spec(index)
  local from = made.songs[index]
  local spec = { ppq = PPQ, notes = made.notes(index), tempos = {}, meters = {}, name = from.name }
  for i, t in ipairs(from.tempos) do spec.tempos[i] = { tick = t[1], bpm = t[2] } end
  for i, m in ipairs(from.meters) do
    spec.meters[i] = { tick = m[1], numerator = m[2], denominator = m[3] }
  end
  return spec
end

return made
