--- score: songs written as text, and a plain MIDI writer.
---
--- A song is a list of parts and a row of sections. Times are in quarter notes,
--- pitches are names like `f#4` (c4 = 60), chords are names like `Am7` or `D/F#`.
---
---   chords   "Em | C | G D | Am7"     a bar each; several share their bar evenly
---   line     "mf e4:8 g4 a4:4. r:8 | b4:2+8>"   note:length, the length sticks;
---            1 2 4 8 16, `.` dotted, `t` triplet, `+` ties, `>` accent, `r` rest;
---            pp p mp mf f ff set the dynamics; `|` checks that the bar is full
---   cells    "x-..|x-x."              a bar is cut into as many cells as stand
---            there: `.` rest, `-` hold, `s` soft, `x` chord or stroke, `X` accent,
---            `g` ghost. In a bass part 1 3 5 6 7 8 are degrees of the chord, `a`
---            the half step under the next root; elsewhere digits are the chord's
---            tones from below (an arpeggio)
---
--- It shares no code with the product, so what it writes can test the reader.
local score = {}

local PPQ = 480
local DYNAMICS = { pp = 40, p = 52, mp = 64, mf = 77, f = 90, ff = 103 }
local CELLS = { g = 34, s = 62, x = 86, X = 110 }
local STEPS = { c = 0, d = 2, e = 4, f = 5, g = 7, a = 9, b = 11 }

-- Fixed order: the same song must give the same bytes in every run.
local DRUMS = {
  { "kick", 36 }, { "stick", 37 }, { "snare", 38 }, { "hat", 42 }, { "pedal", 44 },
  { "open", 46 }, { "low", 43 }, { "mid", 47 }, { "high", 50 }, { "ride", 51 },
  { "bell", 53 }, { "crash", 49 }, { "crash2", 57 },
}

local QUALITIES = {
  [""] = { 0, 4, 7 }, m = { 0, 3, 7 }, ["5"] = { 0, 7, 12 }, sus4 = { 0, 5, 7 },
  sus2 = { 0, 2, 7 }, ["7"] = { 0, 4, 7, 10 }, maj7 = { 0, 4, 7, 11 },
  m7 = { 0, 3, 7, 10 }, ["6"] = { 0, 4, 7, 9 }, m6 = { 0, 3, 7, 9 },
  ["9"] = { 0, 4, 10, 14 }, m9 = { 0, 3, 10, 14 }, maj9 = { 0, 4, 11, 14 },
  add9 = { 0, 4, 7, 14 }, dim = { 0, 3, 6 }, m7b5 = { 0, 3, 6, 10 },
  ["7sus4"] = { 0, 5, 7, 10 },
}

---------------------------------------------------------------- notation

local function pitch_class(name)
  local letter, sign = name:match "^(%a)([#b]?)$"
  local step = letter and STEPS[letter:lower()]
  if not step then error("not a pitch: " .. name) end
  return (step + (sign == "#" and 1 or sign == "b" and -1 or 0)) % 12
end

local function pitch(name)
  local letter, sign, octave = name:match "^(%l)([#b]?)(%d)$"
  if not letter or not STEPS[letter] then error("not a note: " .. name) end
  local shift = sign == "#" and 1 or sign == "b" and -1 or 0
  return 12 * (octave + 1) + STEPS[letter] + shift
end

local function length(text)
  local sum = 0
  for piece in text:gmatch "[^+]+" do
    local value, dot, triplet = piece:match "^(%d+)(%.?)(t?)$"
    if not value then error("not a length: " .. text) end
    sum = sum + 4 / value * (dot == "." and 1.5 or 1) * (triplet == "t" and 2 / 3 or 1)
  end
  return sum
end

local function chord(name)
  local root, quality, bass = name:match "^(%u[#b]?)([^/]*)/?(.*)$"
  local intervals = root and QUALITIES[quality]
  if not intervals then error("not a chord: " .. name) end
  root = pitch_class(root)
  return { root = root, intervals = intervals, bass = bass == "" and root or pitch_class(bass) }
end

local function split(text, pattern)
  local list = {}
  for piece in text:gmatch(pattern) do list[#list + 1] = piece end
  return list
end

local function bars_of(text) return split(text:gsub("%s", ""), "[^|]+") end

-- The lowest pitch of a class at or above `low`.
local function above(low, class) return low + (class - low) % 12 end

-- All tones within an octave from `low`: chords then move by small steps.
local function voicing(c, low)
  local tones = {}
  if c.intervals[3] == 12 then                      -- a power chord stays root-down
    local root = above(low, c.root)
    return { root, root + 7, root + 12 }
  end
  for i, interval in ipairs(c.intervals) do tones[i] = above(low, (c.root + interval) % 12) end
  table.sort(tones)
  return tones
end

local function degree(c, digit, low)
  local root = above(low, c.root)
  local third, fifth = c.intervals[2], c.intervals[3]
  if digit == "1" then return above(low, c.bass)
  elseif digit == "8" then return above(low, c.bass) + 12
  elseif digit == "3" then return root + (third == 7 and 12 or third)
  elseif digit == "5" then return root + ((fifth >= 6 and fifth <= 8) and fifth or 7)
  elseif digit == "6" then return root + 9
  elseif digit == "7" then return root + (c.intervals[4] == 11 and 11 or 10)
  end
  error("not a degree: " .. digit)
end

------------------------------------------------------------------- songs

local Song = {}
Song.__index = Song

--- A new song. `parts`: list of {name, kind = "chords"|"bass"|"line"|"drums",
--- program = GM program from 0, low = lowest pitch of chords and bass, pan, volume}.
--- `swing`: where the second eighth of a beat falls (2/3: triplets).
function score.song(options)
  local self = setmetatable({
    title = options.title, tempo = options.tempo, meter = options.meter or "4/4",
    swing = options.swing, parts = options.parts,
    start = 0, meta = {}, sections = {}, random = 1,
  }, Song)
  for i = 1, #self.title do self.random = (self.random * 31 + self.title:byte(i)) % 2147483647 end
  local channel = 0
  for _, part in ipairs(self.parts) do
    part.name, part.kind = part[1], part.kind or "line"
    channel = channel + (channel == 8 and 2 or 1)   -- channel 10 is the drums'
    part.channel = part.kind == "drums" and 9 or channel - 1
    part.notes = {}
  end
  return self
end

-- A hand's small unevenness, the same in every run: -range..range.
function Song:uneven(range)
  self.random = self.random * 48271 % 2147483647
  return self.random % (2 * range + 1) - range
end

-- Ticks of a place in the section. Swing moves what isn't a triplet already.
function Song:ticks(place)
  local swing = self.swing
  local beat = math.floor(place + 1e-9)
  local rest = place - beat
  local thirds = rest * 3
  if swing and math.abs(thirds - math.floor(thirds + 0.5)) > 1e-6 then
    rest = rest < 0.5 and rest * 2 * swing or swing + (rest - 0.5) * 2 * (1 - swing)
  end
  return self.start + math.floor((beat + rest) * PPQ + 0.5)
end

function Song:note(part, from, to, key, velocity, tight)
  local tick = self:ticks(from)
  if not tight and tick > 0 then tick = math.max(0, tick + self:uneven(4)) end
  local stop = tick + math.max(30, math.floor((self:ticks(to) - tick) * 0.94))
  velocity = math.floor(velocity + self:uneven(4) + 0.5)
  part.notes[#part.notes + 1] =
    { tick = tick, stop = stop, key = key, velocity = math.max(1, math.min(127, velocity)) }
end

local function play_line(song, part, text, section)
  local place, value, dynamic = 0, 1, DYNAMICS.mf
  for token in text:gsub("|", " | "):gmatch "%S+" do
    if token == "|" then
      local bars = place / section.bar
      if math.abs(bars - math.floor(bars + 0.5)) > 1e-6 or place == 0 then
        error(("%s, %s, %s: bar %d has %g beats too many or few"):format(song.title,
          section.name, part.name, math.ceil(bars), place % section.bar))
      end
    elseif DYNAMICS[token] then
      dynamic = DYNAMICS[token]
    else
      local names, lengths, accent = token:match "^([%l%d#,]+):?([%d.t+]*)(>?)$"
      if not names then error(("%s: cannot read %q"):format(part.name, token)) end
      if lengths ~= "" then value = length(lengths) end
      if names ~= "r" then
        for name in names:gmatch "[^,]+" do
          local key = pitch(name)
          local shape = (key - 69) / 3 + (place % 1 == 0 and 4 or 0) + (accent == ">" and 16 or 0)
          song:note(part, place, place + value, key, (dynamic + shape) * section.level)
        end
      end
      place = place + value
    end
  end
  if math.abs(place - section.length) > 1e-6 then
    error(("%s, %s, %s: %g beats written, %g wanted"):format(song.title, section.name,
      part.name, place, section.length))
  end
end

-- Calls `strike(sign, from, to, bar)` for every stroke of cells, cycled over the bars.
local function walk_cells(cells, section, last, strike)
  for bar = 1, section.bars do
    local row = (bar == section.bars and last) or cells[(bar - 1) % #cells + 1]
    local size, i = section.bar / #row, 1
    while i <= #row do
      local sign, stop = row:sub(i, i), i + 1
      while row:sub(stop, stop) == "-" do stop = stop + 1 end
      if sign ~= "." and sign ~= "-" then
        local start = (bar - 1) * section.bar
        strike(sign, start + (i - 1) * size, start + (stop - 1) * size, bar)
      end
      i = stop
    end
  end
end

local function play_cells(song, part, play, section)
  local spans = section.spans
  if not spans then error(section.name .. ": chords wanted") end
  local at = 1
  local last = play.last and bars_of(play.last)[1]
  walk_cells(bars_of(play[1]), section, last, function(sign, from, to)
    if from < spans[at].from then at = 1 end
    while from >= spans[at].to - 1e-9 do at = at + 1 end
    local now = spans[at].chord
    local after = (spans[at + 1] or spans[1]).chord
    local velocity = (CELLS[sign] or 84) + (from % section.bar == 0 and 6 or 0)
    velocity = velocity * section.level * (play.level or 1)
    to = math.min(to, spans[at].to)
    if part.kind == "bass" then
      local key = sign == "a" and above(part.low, after.bass) - 1
        or degree(now, CELLS[sign] and "1" or sign, part.low)
      song:note(part, from, to, key, velocity)
    else
      local tones = voicing(now, part.low)
      local index = tonumber(sign)
      if index then
        local octave = (index - 1) // #tones
        song:note(part, from, to, tones[(index - 1) % #tones + 1] + 12 * octave, velocity - 8)
      else
        for _, key in ipairs(tones) do song:note(part, from, to, key, velocity - 10) end
      end
    end
  end)
end

-- The groove, with `fill` in every `every`-th bar (and the last), a crash first.
local function play_drums(song, part, play, section)
  local groove, fill, every = play[1], play.fill, play.every or section.bars
  for _, drum in ipairs(DRUMS) do
    local name, key = drum[1], drum[2]
    local rows = groove[name] and bars_of(groove[name])
    for bar = 1, section.bars do
      local filled = fill and (bar % every == 0 or bar == section.bars)
      local which = filled and (fill[1] and fill[(bar // every - 1) % #fill + 1] or fill)
      local row
      if filled then
        row = which[name] and bars_of(which[name])[1]
      else
        row = rows and rows[(bar - 1) % #rows + 1]
      end
      local crash = play.crash and bar == 1
      if crash and name == "crash" then row = "X" .. (row and row:sub(2) or "") end
      local one = { bar = section.bar, bars = 1 }
      walk_cells({ row or "." }, one, nil, function(sign, from)
        local hidden = crash and from == 0 and (name == "hat" or name == "ride" or name == "open")
        if not hidden then
          local place = (bar - 1) * section.bar + from
          local velocity = CELLS[sign] * section.level * (play.level or 1)
          song:note(part, place, place + 1 / 8, key, velocity, name == "kick" or crash)
        end
      end)
    end
  end
end

--- Appends a section: {chords = …, bars = …, meter = …, tempo = …, rit = …,
--- level = …, [part's name] = what it plays}. A line plays a string, the others
--- {cells, last = cells of the last bar, level = …}, drums {groove, fill = …,
--- every = …, crash = true}. `rit`: the tempo that the last bar slows down to.
function Song:section(name, options)
  local section = { name = name, level = options.level or 1, meter = options.meter or self.meter }
  local numerator, denominator = section.meter:match "^(%d+)/(%d+)$"
  section.bar = 4 * numerator / denominator
  local names = options.chords and split(options.chords, "[^|]+")
  section.bars = options.bars or #names
  section.length = section.bars * section.bar
  if names then
    section.spans = {}
    for bar = 1, section.bars do
      local row = split(names[(bar - 1) % #names + 1], "%S+")
      for i, text in ipairs(row) do
        local from = (bar - 1) * section.bar
        section.spans[#section.spans + 1] = { chord = chord(text),
          from = from + (i - 1) * section.bar / #row, to = from + i * section.bar / #row }
      end
    end
  end
  local tempo = options.tempo or self.tempo
  if self.start == 0 or section.meter ~= self.meter then
    self.meta[#self.meta + 1] = { self.start, "meter", tonumber(numerator),
    tonumber(denominator) }
  end
  if self.start == 0 or tempo ~= self.tempo then
    self.meta[#self.meta + 1] = { self.start, "tempo", tempo }
  end
  self.meta[#self.meta + 1] = { self.start, "marker", name }
  self.meter, self.tempo = section.meter, tempo
  for _, part in ipairs(self.parts) do
    local play = options[part.name]
    if play and part.kind == "line" then play_line(self, part, play, section)
    elseif play and part.kind == "drums" then play_drums(self, part, play, section)
    elseif play then play_cells(self, part, play, section)
    end
  end
  if options.rit then
    local steps = math.floor(section.bar)
    for i = 1, steps do
      local place = section.length - section.bar + (i - 1)
      self.meta[#self.meta + 1] = { self.start + math.floor(place * PPQ), "tempo",
        tempo + (options.rit - tempo) * i / steps }
    end
    self.tempo = options.rit
  end
  self.sections[#self.sections + 1] = { name = name, tick = self.start, bars = section.bars }
  self.start = self.start + math.floor(section.length * PPQ + 0.5)
  return self
end

-------------------------------------------------------------------- MIDI

local function variable_length(n)
  local bytes = string.char(n & 0x7F)
  while n > 0x7F do
    n = n >> 7
    bytes = string.char(n & 0x7F | 0x80) .. bytes
  end
  return bytes
end

local function meta_event(kind, data)
  return "\xFF" .. string.char(kind) .. variable_length(#data) .. data
end

-- `events`: {tick, rank, bytes}; equal ticks by rank, then as they were added.
local function track_chunk(events, stop)
  for i, event in ipairs(events) do event.order = i end
  table.sort(events, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a.order < b.order
  end)
  local bytes, tick = {}, 0
  for _, event in ipairs(events) do
    bytes[#bytes + 1] = variable_length(event[1] - tick) .. event[3]
    tick = event[1]
  end
  bytes[#bytes + 1] = variable_length(stop - tick) .. meta_event(0x2F, "")
  return "MTrk" .. string.pack(">s4", table.concat(bytes))
end

local function conductor_chunk(song)
  local events = { { 0, 0, meta_event(3, song.title) } }
  for _, m in ipairs(song.meta) do
    local tick, kind = m[1], m[2]
    local bytes
    if kind == "meter" then
      local power = 0
      while 1 << power < m[4] do power = power + 1 end
      local clicks = m[4] == 8 and m[3] % 3 == 0 and 36 or 96 // m[4]
      bytes = meta_event(0x58, string.char(m[3], power, clicks, 8))
    elseif kind == "tempo" then
      bytes = meta_event(0x51, string.pack(">I3", math.floor(60000000 / m[3] + 0.5)))
    else
      bytes = meta_event(6, m[3])
    end
    events[#events + 1] = { tick, 1, bytes }
  end
  return track_chunk(events, song.start)
end

local function part_chunk(part, stop)
  local c = part.channel
  local events = { { 0, 0, meta_event(3, part.name) },
    { 0, 1, string.char(0xC0 | c, part.program or 0) },
    { 0, 1, string.char(0xB0 | c, 7, part.volume or 100) },
    { 0, 1, string.char(0xB0 | c, 10, part.pan or 64) } }
  local notes, sounding = {}, {}
  for i, note in ipairs(part.notes) do
    notes[i] = { tick = note.tick, stop = math.min(note.stop, stop), key = note.key,
      velocity = note.velocity, order = i }
  end
  table.sort(notes, function(a, b)
    if a.tick ~= b.tick then return a.tick < b.tick end
    return a.order < b.order
  end)
  for _, note in ipairs(notes) do          -- a key is released before it is struck again
    local before = sounding[note.key]
    if before and before.tick == note.tick then
      note.doubled = true
    else
      if before and before.stop > note.tick then before.stop = note.tick end
      sounding[note.key] = note
    end
  end
  for _, note in ipairs(notes) do
    if not note.doubled then
      events[#events + 1] = { note.tick, 3, string.char(0x90 | c, note.key, note.velocity) }
      events[#events + 1] = { note.stop, 2, string.char(0x80 | c, note.key, 64) }
    end
  end
  return track_chunk(events, stop)
end

--- The song as a MIDI file (format 1). `options.drums == false` leaves them out.
function Song:bytes(options)
  local chunks = { conductor_chunk(self) }
  for _, part in ipairs(self.parts) do
    if part.kind ~= "drums" or not (options and options.drums == false) then
      chunks[#chunks + 1] = part_chunk(part, self.start)
    end
  end
  return "MThd" .. string.pack(">I4I2I2I2", 6, 1, #chunks, PPQ) .. table.concat(chunks)
end

---@return boolean? ok, string? message
function Song:save(path, options)
  local file, message = io.open(path, "wb")
  if not file then return nil, message end
  local ok, why = file:write(self:bytes(options))
  local closed, reason = file:close()
  if not ok or not closed then return nil, why or reason end
  return true
end

--- Writes the song when its script is run from the command line, and does
--- nothing when the script is loaded by another.
function score.run(song)
  local script = debug.getinfo(2, "S").source
  if not arg or script ~= "@" .. tostring(arg[0]) then return end
  local path, options = nil, {}
  for _, word in ipairs(arg) do
    if word == "--no-drums" then options.drums = false
    elseif word:sub(1, 1) == "-" or path then path = nil break
    else path = word
    end
  end
  if not path then
    io.stderr:write("usage: lua5.4 ", arg[0], " [--no-drums] OUT.mid\n")
    os.exit(2)
  end
  local ok, message = song:save(path, options)
  if not ok then
    io.stderr:write(message, "\n")
    os.exit(1)
  end
end

return score
