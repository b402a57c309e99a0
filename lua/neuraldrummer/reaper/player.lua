--- Plays what a project holds: with the C module where it loads, else with the
--- command-line tool in a process of its own. Both give the same notes.
local format = require "neuraldrummer.numbers".format
local kits = require "neuraldrummer.kits"
local midi = require "neuraldrummer.reaper.midi"

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

-- Errors that name an option, without the place in the code they came from.
local function plain(message)
  return (tostring(message):gsub("^[^\n]-:%d+: ", ""):gsub("\n.*", ""))
end

-- In this process --------------------------------------------------------------

-- The song as the C module has it, and its Sequence.
local function encode(nd, song, pause)
  local path, message = nd.default_model()
  if not path then return nil, message end
  local model
  model, message = nd.model.load(path)
  if not model then return nil, message end
  pause()
  local own = nd.song.new { ppq = song.ppq, notes = song.notes, tempos = song.tempos,
    meters = song.meters }
  pause()
  local seq
  seq, message = model:tokeniser():encode(own)
  if not seq then return nil, message end
  pause()
  return model, own, seq
end

-- What playing and judging take: they say how much they did.
local function between(pause)
  return function() pause() end
end

local here = {}

function here.play(song, o, pause)
  local nd = require "neuraldrummer"
  pause()  -- loading the module is the most that is done at once
  local model, own, seq = encode(nd, song, pause)
  if not model then return nil, own end
  local options = { pause = between(pause) }
  for name, value in pairs(o) do options[name] = value end
  local drums, why = require "neuraldrummer.generate".play(model, own, seq, options)
  if not drums then return nil, why end
  pause()
  return own:with_drums(drums):notes "drums"
end

function here.score(song, pause)
  local nd, score = require "neuraldrummer", require "neuraldrummer.score"
  pause()
  local model, own, seq = encode(nd, song, pause)
  if not model then return nil, own end
  local result, message = score.run(model, seq, { pause = between(pause) })
  if not result then return nil, message end
  local least = {}
  for i, bar in ipairs(score.least(result)) do least[i] = { bar = bar.bar, fit = bar.fit } end
  return least
end

-- In a process of its own --------------------------------------------------------

---@class neuraldrummer.reaper.outside
---@field run fun(line: string) starts a command line and does not wait
---@field tool string
---@field windows boolean
---@field folder string for files between the two
---@field clock fun(): number

local LONGEST <const> = 120      -- seconds that the tool may take
local made = 0                   -- files are numbered, one script run after another

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read "a"
  file:close()
  return bytes
end

-- A word of a command line. A quote of its own could end it early: it has none.
local function quote(word, windows)
  if windows then return '"' .. word:gsub('["%%\r\n]', "") .. '"' end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- Runs the tool on a song; what it wrote, or nil and its complaint.
local function run_tool(outside, song, words, pause)
  made = made + 1
  local stem = ("%sneuraldrummer-%d-%d"):format(outside.folder, os.time(), made)
  local input, output, told, done = stem .. ".mid", stem .. ".out", stem .. ".txt", stem .. ".done"
  local script = stem .. (outside.windows and ".bat" or ".sh")
  local function clean()
    for _, path in ipairs { input, output, told, done, script } do os.remove(path) end
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
  local said, mark = quote(told, outside.windows), quote(done, outside.windows)
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
  -- also when the user cancels, and the coroutine is closed
  local _ <close> = setmetatable({}, { __close = clean })
  outside.run((outside.windows and "cmd.exe /C " or "/bin/sh ") .. quote(script, outside.windows))
  local started, status = outside.clock(), read(done)
  while not status do
    if outside.clock() - started > LONGEST then
      return nil, ("%s did not answer within %d seconds"):format(outside.tool, LONGEST)
    end
    pause(true)
    status = read(done)
  end
  local answer = read(told) or ""
  if status:match "%-?%d+" ~= "0" then
    local said_why = answer:match "([^\n]*%S)%s*$" or ("ended with status " .. status)
    return nil, (said_why:gsub("^neuraldrummer: ", ""))
  end
  return read(output) or answer
end

local tool = {}

function tool.play(song, o, pause, outside)
  local words = { outside.tool, "drum", "IN", "-o", "OUT", "--drums-alone" }
  local function add(flag, value)
    if value ~= nil then
      words[#words + 1] = flag .. "=" .. (type(value) == "number" and math.type(value) == "float"
        and format("%.14g", value) or tostring(value))
    end
  end
  add("--seed", o.seed)
  add("--energy", o.energy)
  add("--fills", o.fills)
  add("--swing", o.swing)
  add("--humanise", o.humanise)
  add("--keep", o.keep)
  add("--bars", o.bars)
  add("--extend", o.extend)
  if o.style == false then words[#words + 1] = "--no-style" else add("--style", o.style) end
  local bytes, message = run_tool(outside, song, words, pause)
  if not bytes then return nil, message end
  local notes
  notes, message = midi.notes(bytes)
  if not notes then return nil, "what the tool wrote " .. message end
  return notes
end

function tool.score(song, pause, outside)
  local answer, message = run_tool(outside, song, { outside.tool, "score", "IN", "--json" }, pause)
  if not answer then return nil, message end
  local fits, least = {}, {}
  for bar in (answer:match '"bars"%s*:%s*(%b[])' or ""):gmatch "%b{}" do
    local n, fit = bar:match '"bar"%s*:%s*(%d+)', bar:match '"fit"%s*:%s*([%-%d.eE]+)'
    if n and fit then fits[math.tointeger(tonumber(n))] = tonumber(fit) end
  end
  for n in (answer:match '"least"%s*:%s*(%b[])' or ""):gmatch "%d+" do
    local bar = math.tointeger(tonumber(n))
    least[#least + 1] = { bar = bar, fit = fits[bar] or 0 }
  end
  return least
end

-- Either --------------------------------------------------------------------------

--- Whether the C module loads here; the reason when it does not.
---@return boolean
---@return string? reason
function player.in_process()
  local ok, why = pcall(require, "neuraldrummer")
  return ok, not ok and plain(why) or nil
end

-- The own drums of a song in General MIDI's pitches, and the way back.
local function read_kit(song, map)
  if not map then return song, {} end
  local heard, back = {}, {}
  for name, value in pairs(song) do heard[name] = value end
  heard.notes = {}
  for _, note in ipairs(song.notes) do
    local own = note
    if note.channel == 10 then
      local pitch = map.reads[note.pitch]
      own = nil
      if pitch then
        own = {}
        for name, value in pairs(note) do own[name] = value end
        own.pitch = pitch
        back[note.tick << 7 | pitch] = note.pitch
      end
    end
    heard.notes[#heard.notes + 1] = own
  end
  return heard, back
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

--- Drum notes for a song, in order of time.
---@param song neuraldrummer.reaper.song with `ppq`
---@param o neuraldrummer.reaper.options
---@param kit? string the kit map that the drums are read and written in
---@param pause fun(wait?: boolean)
---@param outside? neuraldrummer.reaper.outside given: the tool is used
---@return {tick: integer, duration: integer, pitch: integer, velocity: integer}[]? notes
---@return string? message
function player.play(song, o, kit, pause, outside)
  local map, message = open_kit(kit)
  if message then return nil, message end
  local heard, back = read_kit(song, map)
  local notes
  notes, message = call((outside and tool or here).play, heard, o, pause, outside)
  if not notes then return nil, message end
  local writes = map and map.writes or {}
  for _, note in ipairs(notes) do
    note.pitch = back[note.tick << 7 | note.pitch] or writes[note.pitch] or note.pitch
  end
  return notes
end

--- The bars whose drums fit least, the worst first.
---@return {bar: integer, fit: number}[]? bars
---@return string? message
function player.score(song, kit, pause, outside)
  local map, message = open_kit(kit)
  if message then return nil, message end
  return call((outside and tool or here).score, (read_kit(song, map)), pause, outside)
end

return player
