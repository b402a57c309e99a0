--- Tiny songs from patterns, and corpora of them.
local core = require "neuraldrummer.core"
local temporary = require "spec.support.temporary"

local tiny = {}

local PPQ <const> = 480
local pitches = { kick = 36, snare = 38, closed_hat = 42, open_hat = 46, crash = 49, ride = 51 }

--- A song whose bars go through `spec.patterns` in turn. A pattern is a table
--- of voice = "x..x…", a character a sixteenth; "bass" and "lead" are heard.
---@param spec table patterns, bars, numerator (of quarters, default 4), root (pitch), name
---@return neuraldrummer.song
function tiny.song(spec)
  local notes, numerator = {}, spec.numerator or 4
  for bar = 0, spec.bars - 1 do
    for voice, line in pairs(spec.patterns[bar % #spec.patterns + 1]) do
      assert(#line == numerator * 4, "a pattern is a bar of sixteenths")
      for place in line:gmatch "()x" do
        notes[#notes + 1] = {
          tick = (bar * numerator * 4 + place - 1) * PPQ // 4, duration = PPQ // 4,
          pitch = pitches[voice] or (voice == "bass" and 0 or 24) + (spec.root or 36),
          velocity = 100, channel = pitches[voice] and 10 or 1,
          program = not pitches[voice] and 33 or 0,
        }
      end
    end
  end
  table.sort(notes, function(a, b)
    if a.tick ~= b.tick then return a.tick < b.tick end
    return a.pitch < b.pitch
  end)
  return core.song { ppq = PPQ, notes = notes, tempos = { { tick = 0, bpm = 120 } },
    meters = { { tick = 0, numerator = numerator, denominator = 4 } }, name = spec.name }
end

--- A corpus in a temporary file; `songs` are {song, split} pairs.
---@param tok neuraldrummer.tokeniser
---@param songs table[] {song or sequence, "train" or "valid"} each
---@return neuraldrummer.corpus corpus
---@return string path for os.remove
function tiny.corpus(tok, songs)
  local path = temporary.name()
  local writer = assert(core.create_corpus(path, tok))
  for i, pair in ipairs(songs) do
    local seq = pair[1]
    if tostring(seq):find "^song" then seq = assert(tok:encode(seq, "song " .. i)) end
    assert(writer:add(seq, pair[2]))
  end
  assert(writer:finish())
  return assert(core.open_corpus(path)), path
end

return tiny
