--- From a song's file to the song with our drums in it.
local nd = require "neuraldrummer"
local check = require "neuraldrummer.options".check

local generate = {}

---@class neuraldrummer.generate_options
---@field out? string where to write the song with its drums; left out: nothing is written
---@field model? string|neuraldrummer.model default: the one that comes with the module
---@field original? boolean play as the 2023 system does; needs a model of its preset
---@field seed? integer default 1
---@field temperature? number
---@field cutoff? number
---@field forced? integer
---@field start? "blank"|"count-in"|"basic"|"random"
---@field prime? string path of a MIDI file whose drums come before
---@field velocity? number 0..1
---@field length? number of a drum note, in steps
---@field keep_drums? boolean leave the song's own drums in as well
---@field drums_alone? boolean
---@field tempo? number beats a minute: drums alone, in 4/4, at this tempo
---@field drum_channel? integer 1..16
---@field threads? integer

local KNOWN = {
  out = "string", model = "string|userdata|table", original = "boolean", seed = "integer",
  temperature = "number", cutoff = "number", forced = "integer", start = "string",
  prime = "string", velocity = "number", length = "number", keep_drums = "boolean",
  drums_alone = "boolean", tempo = "number", drum_channel = "integer", threads = "integer",
}

-- As the 2023 system plays, where the user says nothing else.
local ORIGINAL = { cutoff = 0.2, forced = 1, start = "basic", velocity = 1.0, length = 1.0 }

---@class neuraldrummer.generate_result
---@field song neuraldrummer.song with the drums in it
---@field source neuraldrummer.song as it was read
---@field drums neuraldrummer.sequence
---@field model neuraldrummer.model
---@field steps integer
---@field hits integer
---@field voices {name: string, hits: integer}[]

--- Hits of each voice, in the kit's order.
---@param seq neuraldrummer.sequence
---@return {name: string, hits: integer}[] voices
---@return integer total
function generate.count(seq)
  local voices, total = {}, 0
  for i, name in ipairs(seq:voices()) do voices[i] = { name = name, hits = 0 } end
  local hits = seq:packed_hits()
  local at = hits:find "[^\0]"
  while at do
    local voice = voices[(at - 1) % #voices + 1]
    voice.hits, total = voice.hits + 1, total + 1
    at = hits:find("[^\0]", at + 1)
  end
  return voices, total
end

-- The drums by themselves, beat for beat, at a tempo of the user's: the grid's
-- beats become quarters of 320 ticks, as the 2023 system writes them.
local function alone_at(drums, options)
  local PPQ <const> = 320
  local settings = drums:settings()
  local pitches = {}
  for voice in settings.kit_text:gmatch "|([^|]+)" do
    local name, pitch = voice:match "^(.-):(%d+)"
    pitches[name] = math.tointeger(pitch)
  end
  local step = PPQ / settings.steps_per_beat
  local length = math.max(1, math.floor((options.length or 0.5) * step + 0.5))
  local notes = {}
  for i, hits in ipairs(drums:hits()) do
    for name, velocity in pairs(hits) do
      notes[#notes + 1] = {
        tick = math.floor((i - 1) * step + 0.5), duration = length, pitch = pitches[name],
        velocity = math.max(1, math.floor(velocity * 127 + 0.5)), channel = 10,
      }
    end
  end
  table.sort(notes, function(a, b)
    if a.tick ~= b.tick then return a.tick < b.tick end
    return a.pitch < b.pitch
  end)
  return nd.song.new {
    ppq = PPQ, notes = notes, tempos = { { tick = 0, bpm = options.tempo } },
    meters = { { tick = 0, numerator = 4, denominator = 4 } }, drum_channel = 10,
  }
end

local function open_model(given)
  if given ~= nil and type(given) ~= "string" then return given end
  if given then return nd.model.load(given) end
  local path, message = nd.default_model()
  if not path then return nil, message end
  return nd.model.load(path)
end

--- Drums a song. Same song, model, options and seed: the same bytes.
---@param path string a MIDI file
---@param options? neuraldrummer.generate_options
---@return neuraldrummer.generate_result? result
---@return string? message
function generate.drum(path, options)
  local o = {}
  for name, value in pairs(check(options, KNOWN)) do o[name] = value end
  if o.original then
    for name, value in pairs(ORIGINAL) do
      -- a temperature is another way of choosing than a cut-off
      if o[name] == nil and not (name == "cutoff" and o.temperature) then o[name] = value end
    end
  end

  local model, message = open_model(o.model)
  if not model then return nil, message end
  if o.original and model:config().preset ~= "neuraldrummer2023" then
    return nil, ("%s: is of preset '%s'; to play as the original does, a model trained with "
      .. "preset neuraldrummer2023 is needed"):format(
      type(o.model) == "string" and o.model or "the model", model:config().preset)
  end
  local song, seq, prime
  song, message = nd.song.load(path, { drum_channel = o.drum_channel })
  if not song then return nil, message end
  local tokeniser = model:tokeniser()
  seq, message = tokeniser:encode(song, path:match "[^/]*$")
  if not seq then return nil, ("%s: %s"):format(path, message) end
  if o.prime then
    local source
    source, message = nd.song.load(o.prime)
    if not source then return nil, message end
    prime, message = tokeniser:encode(source)
    source:close()
    if not prime then return nil, ("%s: %s"):format(o.prime, message) end
  end

  local generator = nd.generator(model, {
    seed = o.seed, temperature = o.temperature, cutoff = o.cutoff, forced = o.forced,
    start = o.start, prime = prime, velocity = o.velocity, threads = o.threads,
  })
  local drums = generator:play(seq)
  generator:close()
  seq:close()

  local combined
  if o.tempo then
    combined = alone_at(drums, o)
  else
    combined = song:with_drums(drums, {
      keep_drums = o.keep_drums, drums_alone = o.drums_alone, length = o.length,
    })
  end
  if o.out then
    local ok
    ok, message = combined:save(o.out)
    if not ok then return nil, message end
  end
  local voices, hits = generate.count(drums)
  return {
    song = combined, source = song, drums = drums, model = model, steps = #drums,
    hits = hits, voices = voices,
  }
end

return generate
