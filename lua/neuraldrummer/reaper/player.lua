--- Plays drums to the music of a project: with the C module if it can be loaded, else
--- with the command-line tool in a separate process. Both give the same notes.
local format = require "neuraldrummer.decimal".format
local kits = require "neuraldrummer.kits"
local midi = require "neuraldrummer.reaper.midi"
local playing = require "neuraldrummer.options.playing"
local quote = require "neuraldrummer.shell".quote

local player = {}

---@class neuraldrummer.reaper.played
---@field notes {tick: integer, duration: integer, pitch: integer, velocity: integer}[]

---@class neuraldrummer.reaper.options
---@field seed? integer
---@field energy? number|string
---@field fills? string
---@field style? string|false
---@field swing? string
---@field humanise? number
---@field keep? string
---@field bars? string
---@field extend? integer

-- The first line of an error, without the position in the code that raised it.
local function plain(message)
  return (tostring(message):gsub("^[^\n]-:%d+: ", ""):gsub("\n.*", ""))
end

-- In this process --------------------------------------------------------------

-- The bundled model, the song as an object of the C module, and its Sequence.
local function encode(nd, song, pause)
  local path, message = nd.default_model()
  if not path then return nil, message end
  local model
  model, message = nd.model.load(path)
  if not model then return nil, message end
  pause()
  local object = nd.song.new { ppq = song.ppq, notes = song.notes, tempos = song.tempos,
    meters = song.meters }
  pause()
  local seq
  seq, message = model:tokeniser():encode(object)
  if not seq then return nil, message end
  pause()
  return model, object, seq
end

-- `pause` for the C module, which calls it with an argument of its own.
local function without_arguments(pause)
  return function() pause() end
end

local in_module = {}

function in_module.play(song, o, pause)
  local nd = require "neuraldrummer"
  pause()  -- loading the module takes longer than any later step
  local model, object, seq = encode(nd, song, pause)
  if not model then return nil, object end
  local options = { pause = without_arguments(pause) }
  for name, value in pairs(o) do options[name] = value end
  local drums, why = nd.generate.play(model, object, seq, options)
  if not drums then return nil, why end
  pause()
  return object:with_drums(drums):notes "drums"
end

function in_module.score(song, pause)
  local nd = require "neuraldrummer"
  pause()
  local model, object, seq = encode(nd, song, pause)
  if not model then return nil, object end
  local result, message = nd.score.run(model, seq, { pause = without_arguments(pause) })
  if not result then return nil, message end
  local worst = {}
  for i, bar in ipairs(nd.score.worst_bars(result)) do
    worst[i] = { bar = bar.bar, fit = bar.fit }
  end
  return worst
end

-- In a separate process ----------------------------------------------------------

---@class neuraldrummer.reaper.outside
---@field run fun(line: string) starts a command line without waiting for it
---@field tool string
---@field windows boolean
---@field folder string for files that the two processes exchange
---@field clock fun(): number

local TIMEOUT <const> = 120      -- seconds that the tool may take
local runs = 0                   -- its files are numbered

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read "a"
  file:close()
  return bytes
end

-- Runs the tool on a song; returns what it wrote, or nil and its message.
local function run_tool(outside, song, words, pause)
  runs = runs + 1
  local stem = ("%sneuraldrummer-%d-%d"):format(outside.folder, os.time(), runs)
  local input, output, printed, done = stem .. ".mid", stem .. ".out", stem .. ".txt",
    stem .. ".done"
  local script = stem .. (outside.windows and ".bat" or ".sh")
  local function clean()
    for _, path in ipairs { input, output, printed, done, script } do os.remove(path) end
  end
  local function write(path, bytes)
    local file, message = io.open(path, "wb")
    if not file then return nil, message end
    local ok, why = file:write(bytes)
    local closed, other = file:close()
    return ok and closed, why or other
  end
  local line = {}
  for i, word in ipairs(words) do
    line[i] = quote(word == "IN" and input or word == "OUT" and output or word, outside.windows)
  end
  local command = table.concat(line, " ")
  local said, mark = quote(printed, outside.windows), quote(done, outside.windows)
  local text
  if outside.windows then
    text = ("@echo off\r\nchcp 65001 >nul\r\ncall %s >%s 2>&1\r\necho %%errorlevel%% >%s.part\r\n"
      .. "move %s.part %s >nul\r\n"):format(command, said, mark, mark, mark)
  else
    text = ("%s >%s 2>&1\necho $? >%s.part\nmv %s.part %s\n")
      :format(command, said, mark, mark, mark)
  end
  local ok, message = write(input, midi.bytes(song))
  if ok then ok, message = write(script, text) end
  if not ok then
    clean()
    return nil, message
  end
  -- called as well if the user cancels, which closes the coroutine
  local _ <close> = setmetatable({}, { __close = clean })
  outside.run((outside.windows and "cmd.exe /C " or "/bin/sh ") .. quote(script, outside.windows))
  local started, status = outside.clock(), read(done)
  while not status do
    if outside.clock() - started > TIMEOUT then
      return nil, ("%s did not answer within %d seconds"):format(outside.tool, TIMEOUT)
    end
    pause(true)
    status = read(done)
  end
  local answer = read(printed) or ""
  if status:match "%-?%d+" ~= "0" then
    local said_why = answer:match "([^\n]*%S)%s*$" or ("ended with status " .. status)
    return nil, (said_why:gsub("^neuraldrummer: ", ""))
  end
  return read(output) or answer
end

local tool = {}

function tool.play(song, o, pause, outside)
  local words = { outside.tool, "drum", "IN", "-o", "OUT", "--drums-alone" }
  for _, option in ipairs(playing.of "drum") do
    local value = o[option.name]
    local flag = option.flag and option.flag:match "%-%-[%w-]+"
    if flag and option.value and value then
      words[#words + 1] = flag .. "=" .. (math.type(value) == "float" and format("%.14g", value)
        or tostring(value))
    elseif flag and not option.value and value == (option.sets ~= false) then
      words[#words + 1] = flag
    end
  end
  local bytes, message = run_tool(outside, song, words, pause)
  if not bytes then return nil, message end
  local notes
  notes, message = midi.notes(bytes)
  if not notes then return nil, "the file that the tool wrote " .. message end
  return notes
end

function tool.score(song, pause, outside)
  local answer, message = run_tool(outside, song, { outside.tool, "score", "IN", "--json" }, pause)
  if not answer then return nil, message end
  local fits, worst = {}, {}
  for bar in (answer:match '"bars"%s*:%s*(%b[])' or ""):gmatch "%b{}" do
    local n, fit = bar:match '"bar"%s*:%s*(%d+)', bar:match '"fit"%s*:%s*([%-%d.eE]+)'
    if n and fit then fits[math.tointeger(tonumber(n))] = tonumber(fit) end
  end
  for n in (answer:match '"worst"%s*:%s*(%b[])' or ""):gmatch "%d+" do
    local bar = math.tointeger(tonumber(n))
    worst[#worst + 1] = { bar = bar, fit = fits[bar] or 0 }
  end
  return worst
end

-- Either --------------------------------------------------------------------------

--- Whether the C module can be loaded; the reason if not.
---@return boolean
---@return string? reason
function player.in_process()
  local ok, why = pcall(require, "neuraldrummer")
  return ok, not ok and plain(why) or nil
end

-- A song with its drums converted to General MIDI; and by tick and new pitch, the original
-- pitch of each. Notes that the map does not know are left out.
local function to_general_midi(song, map)
  if not map then return song, {} end
  local converted, original = {}, {}
  for name, value in pairs(song) do converted[name] = value end
  converted.notes = {}
  for _, note in ipairs(song.notes) do
    local copy = note
    if note.channel == 10 then
      local pitch = map.reads[note.pitch]
      copy = nil
      if pitch then
        copy = {}
        for name, value in pairs(note) do copy[name] = value end
        copy.pitch = pitch
        original[note.tick << 7 | pitch] = note.pitch
      end
    end
    converted.notes[#converted.notes + 1] = copy
  end
  return converted, original
end

local function call(f, ...)
  local ok, result, message = pcall(f, ...)
  if not ok then return nil, plain(result) end
  return result, message and plain(message)
end

---@param given? string
---@return neuraldrummer.kit_map? map
---@return string? message
local function open_kit(given)
  if not given then return nil end
  return kits.load(given)
end

--- Plays drums to a song: their notes in order of time.
---@param song neuraldrummer.reaper.song with `ppq`
---@param o neuraldrummer.reaper.options
---@param kit? string the kit map that the drums are read and written in
---@param pause fun(wait?: boolean)
---@param outside? neuraldrummer.reaper.outside if given, the tool plays
---@return {tick: integer, duration: integer, pitch: integer, velocity: integer}[]? notes
---@return string? message
function player.play(song, o, kit, pause, outside)
  local map, message = open_kit(kit)
  if message then return nil, message end
  local converted, original = to_general_midi(song, map)
  local notes
  notes, message = call((outside and tool or in_module).play, converted, o, pause, outside)
  if not notes then return nil, message end
  local writes = map and map.writes or {}
  for _, note in ipairs(notes) do
    note.pitch = original[note.tick << 7 | note.pitch] or writes[note.pitch] or note.pitch
  end
  return notes
end

--- The bars whose drums fit worst, the worst first.
---@return {bar: integer, fit: number}[]? bars
---@return string? message
function player.score(song, kit, pause, outside)
  local map, message = open_kit(kit)
  if message then return nil, message end
  return call((outside and tool or in_module).score, (to_general_midi(song, map)), pause, outside)
end

return player
