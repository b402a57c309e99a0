--- 05 Listening.
---   lua5.4 examples/05_listen.lua [FOLDER [SONG…]]   (build/examples; rock funk ballad)
--- Drums songs of ours with the model that comes along, and renders each to
--- FOLDER/SONG.wav with fluidsynth and a free soundfont. What cannot be heard here
--- is measured: the peak, the loudness of every second, where it is silent,
--- and whether the end rings out or is cut off.

package.path = package.path .. ";lua/?.lua;lua/?/init.lua"
package.cpath = package.cpath .. ";build/lib/?.so"

local lfs = require "lfs"
local sparkline = require "neuraldrummer.sparkline"
local generate = require "neuraldrummer.generate"
local quote = require "neuraldrummer.shell".quote

local folder = arg[1] or "build/examples"
local names = #arg > 1 and table.move(arg, 2, #arg, 1, {}) or { "rock", "funk", "ballad" }
for path in (folder .. "/"):gmatch "()/" do lfs.mkdir((folder:sub(1, path - 1))) end

-- A soundfont of Debian's, or the one that SOUNDFONT names.
local function find_soundfont()
  for _, path in ipairs { os.getenv "SOUNDFONT" or "", "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/default-GM.sf2", "/usr/share/sounds/sf2/TimGM6mb.sf2",
    "/usr/share/soundfonts/default.sf2", "/usr/share/soundfonts/FluidR3_GM.sf2" } do
    if lfs.attributes(path, "mode") == "file" then return path end
  end
end

local soundfont = find_soundfont()
local player = os.execute "command -v fluidsynth >/dev/null 2>&1"
if not player then
  print "fluidsynth is not installed (Debian: fluidsynth); nothing is rendered"
elseif not soundfont then
  print("there is no soundfont (Debian: timgm6mb-soundfont or fluid-soundfont-gm; or name one "
    .. "in SOUNDFONT); nothing is rendered")
end

local function render(midi, wav)
  return os.execute(("fluidsynth -ni -q -g 0.5 -r 44100 -F %s %s %s >/dev/null 2>&1"):format(
    quote(wav), quote(soundfont), quote(midi)))
end

-- Levels of a WAV file with two channels of 16 bits, by pieces of a tenth of a second.
local function measure(path)
  local file <close> = assert(io.open(path, "rb"))
  assert(file:read(12):find "^RIFF....WAVE", path .. ": is no WAV file")
  local rate
  while true do
    local kind, size = ("<c4I4"):unpack((assert(file:read(8), path .. ": no sound in it")))
    if kind == "data" then break end
    local body = file:read(size + size % 2)
    if kind == "fmt " then
      local format, channels, hz, _, _, bits = ("<I2I2I4I4I2I2"):unpack(body)
      assert(format == 1 and channels == 2 and bits == 16, path .. ": not 16 bits in two channels")
      rate = hz
    end
  end
  local frames, peak, clipped, pieces = rate // 10, 0, 0, {}
  local format = "<" .. ("h"):rep(2 * 441)
  while true do
    local sum, n = 0, 0
    for _ = 1, frames // 441 do
      local bytes = file:read(4 * 441)
      if not bytes or #bytes < 4 * 441 then break end
      local samples = { format:unpack(bytes) }
      for i = 1, 2 * 441 do
        local x = samples[i]
        if x < 0 then x = -x end
        if x > peak then peak = x end
        if x >= 32767 then clipped = clipped + 1 end
        sum = sum + x * x
      end
      n = n + 2 * 441
    end
    if n == 0 then break end
    pieces[#pieces + 1] = (sum / n) ^ 0.5 / 32768
  end
  return { peak = peak / 32768, clipped = clipped, pieces = pieces }
end

-- When a tick is, in seconds.
local function seconds_at(song, tick)
  local seconds, before, rate = 0, 0, 0.5 / song:ppq()
  for _, tempo in ipairs(song:tempos()) do
    if tempo.tick >= tick then break end
    seconds = seconds + (tempo.tick - before) * rate
    before, rate = tempo.tick, 60 / tempo.bpm / song:ppq()
  end
  return seconds + (tick - before) * rate
end

local function decibels(x) return x > 0 and 20 * math.log(x, 10) or -96 end

local QUIET <const> = -60    -- dB of full scale: below it, silence

local function report(name, result, wav)
  local levels = measure(wav)
  local seconds = {}
  for i = 1, #levels.pieces, 10 do
    local sum, n = 0, 0
    for k = i, math.min(i + 9, #levels.pieces) do sum, n = sum + levels.pieces[k] ^ 2, n + 1 end
    seconds[#seconds + 1] = decibels((sum / n) ^ 0.5)
  end
  local loudest, all = -96, 0
  for _, x in ipairs(levels.pieces) do all = all + x * x end
  for _, db in ipairs(seconds) do loudest = math.max(loudest, db) end
  -- the song's last note, and silence before it
  local ending, silent, longest = 0, 0, 0
  for _, note in ipairs(result.song:notes()) do
    ending = math.max(ending, note.tick + note.duration)
  end
  local last = seconds_at(result.song, ending)
  for i = 1, math.min(#levels.pieces, math.floor(last * 10)) do
    silent = decibels(levels.pieces[i]) < QUIET and silent + 1 or 0
    longest = math.max(longest, silent)
  end
  local tail = decibels(levels.pieces[#levels.pieces])
  print(("%s.wav: %.0f s, peak %.1f dB, %.1f dB RMS (loudest second %.1f), %s"):format(name,
    #levels.pieces / 10, decibels(levels.peak), decibels((all / #levels.pieces) ^ 0.5), loudest,
    levels.clipped > 0 and levels.clipped .. " samples clipped" or "nothing clipped"))
  print(("  longest silence in it %.1f s; its end %s (%.0f dB, %.1f s after the last note)"):format(
    longest / 10, tail < QUIET and "rings out" or "is cut off", tail, #levels.pieces / 10 - last))
  for i, db in ipairs(seconds) do seconds[i] = math.max(db + 48, 0) end
  print("  " .. sparkline.bars(sparkline.downsample(seconds, 72), 0, 48))
end

for _, name in ipairs(names) do
  local midi, wav = ("%s/%s-song.mid"):format(folder, name), ("%s/%s.wav"):format(folder, name)
  assert(dofile(("examples/songs/%s.lua"):format(name)):save(midi, { drums = false }))
  local result = assert(generate.drum(midi, { out = ("%s/%s-drums.mid"):format(folder, name),
    seed = 7 }))
  print(("%s-drums.mid: %d hits"):format(name, result.hits))
  if player and soundfont and render(("%s/%s-drums.mid"):format(folder, name), wav) then
    report(name, result, wav)
  end
end

--[[ printed:
rock-drums.mid: 814 hits
rock.wav: 126 s, peak -6.4 dB, -25.4 dB RMS (loudest second -20.9), nothing clipped
  longest silence in it 0.0 s; its end rings out (-90 dB, 5.6 s after the last note)
  ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▅▄▄▄▅▅▄▄▄▄▄▄▄▄▄▄▄▄▅▄▅▄▄▅▄▄▄▄▃▄▄▄▄▅▅▄▅▅▅▅▅▄▄▄▅▅
funk-drums.mid: 707 hits
funk.wav: 120 s, peak -7.5 dB, -26.7 dB RMS (loudest second -22.8), nothing clipped
  longest silence in it 0.2 s; its end rings out (-90 dB, 2.3 s after the last note)
  ▃▃▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▃▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▅▄
ballad-drums.mid: 952 hits
ballad.wav: 159 s, peak -5.9 dB, -24.7 dB RMS (loudest second -19.0), nothing clipped
  longest silence in it 0.0 s; its end rings out (-90 dB, 11.5 s after the last note)
  ▁▁▁▂▂▃▃▃▃▃▃▃▄▄▄▄▄▄▄▃▅▅▅▅▅▅▅▅▄▄▄▄▅▄▄▄▅▅▅▅▅▅▅▅▃▃▃▄▃▁
]]
