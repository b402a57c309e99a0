--- How drums come about, stage by stage; `generate`, `sketch` and `drafts` call these
--- stages:
---
---     file ─ encode ─► song, sequence ─ play ─► takes ─ humanise ─► drums ─ write ─► result
---
--- `play` finds the direction that the options ask for, plays, plays returning
--- sections again with the groove of their first occurrence, and retries fills. A take
--- is still on the grid, with flat velocities; `humanise` gives it velocities, timing
--- and swing; `write` puts the drums into their song. Options are those of
--- generate.drum, already checked. I/O failures return nil and a message; misuse raises.
local core = require "neuraldrummer.core"
local nd = require "neuraldrummer"
local direction = require "neuraldrummer.direction"
local files = require "neuraldrummer.files"
local fixed_tempo = require "neuraldrummer.fixed_tempo"
local kits = require "neuraldrummer.kits"
local option = require "neuraldrummer.options"
local sections = require "neuraldrummer.sections"
local styles = require "neuraldrummer.styles"
local swing = require "neuraldrummer.swing"

local pipeline = {}

---@class neuraldrummer.take
---@field drums neuraldrummer.sequence
---@field style? {index: integer, name: string} the model's style that was drawn or asked for
---@field direction neuraldrummer.direction

--- Opens the model that an option names.
---@param given? string|neuraldrummer.model a model, its path, or nil for the bundled one
---@param kind? "touch" a model of velocities and timing; default: a model that plays
---@return neuraldrummer.model? model
---@return string? message
function pipeline.open_model(given, kind)
  if given ~= nil and type(given) ~= "string" then return given end
  local path, model, message = given
  if not path then path, message = nd.default_model(kind) end
  if not path then return nil, message end
  model, message = nd.model.load(path)
  if not model then return nil, message end
  local preset = model:config().preset
  if kind == "touch" and preset ~= "touch" then
    return nil, ("%s: a model of preset 'touch' is needed, this one is of preset '%s'"):format(
      path, preset)
  elseif kind ~= "touch" and preset == "touch" then
    return nil, path .. ": is a touch model, which gives velocities and timing to hits but plays "
      .. "none; give a model of preset 'drummer'"
  end
  return model
end

-- Encoding ------------------------------------------------------------------

--- Opens the kit maps of the options, as `o.kits`.
---@param o table
---@return boolean? ok
---@return string? message
function pipeline.open_kits(o)
  local message
  o.kits, message = kits.conversion(o.kit_in, o.kit_out)
  return o.kits ~= nil, message
end

--- Reads a MIDI file and lays it on a tokeniser's grid.
---@param tokeniser neuraldrummer.tokeniser
---@param path string
---@param o table
---@param drum_channel? integer
---@return neuraldrummer.sequence? seq
---@return neuraldrummer.song|string song as the file has it, or message
function pipeline.encode(tokeniser, path, o, drum_channel)
  local song, message = nd.song.load(path, option.reading(o, drum_channel))
  if not song then return nil, message end
  local seq
  seq, message = tokeniser:encode(o.kits and o.kits:read(song, path, tokeniser) or song,
    files.name(path), o.max_steps)
  if not seq then return nil, ("%s: %s"):format(path, message) end
  return seq, song
end

-- Reads a file for its drums.
local function encode_drums(tokeniser, path, o)
  local seq, message = pipeline.encode(tokeniser, path, o)
  if not seq then return nil, message end
  if not seq:packed_hits():find "[^\0]" then return nil, path .. ": has no drums" end
  return seq
end

-- Playing -------------------------------------------------------------------

-- Options that need a model whose encoder reads the whole song.
local DIRECTING <const> = { "style", "style_of", "energy", "fills", "keep", "bars", "extend",
  "loop" }

-- The direction that the options ask for.
local function direct(model, seq, generator, o)
  local d, loop, message = {}
  if o.loop then
    loop, message = encode_drums(model:tokeniser(), o.loop, o)
    if not loop then return nil, message end
  end
  d.fixed, d.mask = direction.fixed_hits(seq, {
    keep = o.keep, bars = o.bars, extend = o.extend, loop = loop,
  })
  if o.style_of then
    if o.style ~= nil then error("options 'style' and 'style_of': give one of them", 0) end
    d.style, message = encode_drums(model:tokeniser(), o.style_of, o)
    if not d.style then return nil, message end
  elseif o.style ~= nil then
    d.style, message = styles.resolve(o.style, seq, model, generator)
    if d.style == nil then return nil, message end
  end
  if o.energy then d.density = direction.energy(o.energy, #seq:bars()) end
  if o.fills then d.fills = direction.fills(o.fills, seq, o.sections) end
  return d
end

-- A generator for one take, or for a further try of it, with another seed.
local function new_generator(model, o, prime, try)
  return nd.generator(model, {
    seed = try and (o.seed or 1) ~ try << 40 or o.seed, temperature = o.temperature,
    variation = o.variation, cutoff = o.cutoff, forced = o.forced, start = o.start,
    prime = prime, velocity = o.velocity, threads = o.threads, playable = o.playable,
    enter = o.enter,
  })
end

-- Generators and directions of several takes; nil and a message. The generators are
-- put into a list of the caller's, which closes them.
local function prepare(model, seq, all, generators, prime)
  local whole, directions = model:config().features == "whole", {}
  for _, name in ipairs(DIRECTING) do
    if all[1][name] ~= nil and not whole then
      return nil, ("option '%s': this model takes no direction; use one of preset drummer")
        :format(name)
    end
  end
  for k, o in ipairs(all) do
    generators[k] = new_generator(model, o, prime)
    local message
    directions[k] = {}
    if whole then
      directions[k], message = direct(model, seq, generators[k], o)
      if not directions[k] then return nil, message end
    end
  end
  return directions
end

-- Plays again, so that sections that return take up their groove; the drums as they
-- are if none returns.
local function reuse_grooves(generators, seq, drums, directions, all)
  local o, again = all[1], {}
  local list = o.sections or sections.find(seq)
  for k, each in ipairs(drums) do
    -- whether sections return is the same for all takes
    again[k] = sections.reuse(seq, each, directions[k], { sections = list, vary = o.vary,
      seed = all[k].seed, pause = o.pause })
  end
  if #again == 0 then return drums end
  local played = core.play(generators, seq, again, o.pause)
  for _, each in ipairs(drums) do each:close() end
  return played
end

--- Plays a Sequence several times, by options that differ in their seeds alone. The
--- takes have flat velocities and lie on the grid, apart from fixed hits.
---@param model neuraldrummer.model
---@param seq neuraldrummer.sequence
---@param all table[] options of each take; `sections`: default: those of the song
---@return neuraldrummer.take[]? takes
---@return string? message
function pipeline.play(model, seq, all)
  local o, prime, message = all[1]
  if o.prime then
    prime, message = pipeline.encode(model:tokeniser(), o.prime, o)
    if not prime then return nil, message end
  end
  local generators = {}
  local _ <close> = setmetatable({}, { __close = function()
    for _, generator in ipairs(generators) do generator:close() end
  end })
  local directions
  directions, message = prepare(model, seq, all, generators, prime)
  if not directions then return nil, message end
  local drums, takes = core.play(generators, seq, directions, o.pause), {}
  for k, generator in ipairs(generators) do
    local index, name = generator:style()
    takes[k] = { direction = directions[k], style = index and { index = index, name = name } }
  end
  if o.returns ~= false and model:config().features == "whole" then
    drums = reuse_grooves(generators, seq, drums, directions, all)
  end
  for k, take in ipairs(takes) do
    take.drums = drums[k]
    local asked = take.direction
    if asked.fills then
      local retry = { style = asked.style }
      if retry.style == nil then retry.style = generators[k]:style() end
      for _, key in ipairs { "mask", "density", "fills" } do retry[key] = asked[key] end
      take.drums = direction.retry_fills(function(try)
        return new_generator(model, all[k], prime, try)
      end, seq, take.drums, retry, o.pause)
    end
  end
  return takes
end

-- Velocities, timing and swing ------------------------------------------------

-- Velocities and timing by a touch model. Without the option `humanise`, drums of a
-- kit or grid that the touch model does not know stay as they are.
local function add_touch(model, drums, o, mask)
  local amount = o.humanise or ((o.velocity or o.original) and 0 or 1)
  if amount == 0 then return drums end
  local touch, message = pipeline.open_model(o.touch, "touch")
  if not touch then return nil, message end
  local ours, its = model:tokeniser():settings(), touch:tokeniser():settings()
  if ours.kit_text ~= its.kit_text or ours.steps_per_beat ~= its.steps_per_beat
    or ours.beat ~= its.beat then
    if not o.humanise then return drums end
    return nil, "option 'humanise': the touch model was trained for another kit or grid than the "
      .. "model; give it as option 'touch', or leave 'humanise' out"
  end
  return core.humanise(touch, drums, { amount = amount, seed = o.seed, mask = mask }, o.pause)
end

--- Gives a take velocities, timing and swing. Fixed hits stay as they are.
---@param model neuraldrummer.model
---@param song neuraldrummer.song
---@param take neuraldrummer.take
---@param o table
---@return neuraldrummer.sequence? drums
---@return string? message
function pipeline.humanise(model, song, take, o)
  local mask = take.direction.mask
  local drums, message = add_touch(model, take.drums, o, mask)
  if not drums then return nil, message end
  if o.swing == nil then return drums end
  local amount, unit, swung = swing.read(o.swing, song)
  return swing.apply(drums, amount, unit, { swung = swung, mask = mask })
end

-- Writing -------------------------------------------------------------------

--- Counts the hits of each voice, in the kit's order.
---@param seq neuraldrummer.sequence
---@return {name: string, hits: integer}[] voices
---@return integer total
function pipeline.count(seq)
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

--- Humanises a take, puts it into its song, and writes that as `o.out`, if given.
---@param model neuraldrummer.model
---@param song neuraldrummer.song
---@param take neuraldrummer.take
---@param o table
---@return neuraldrummer.generate_result? result
---@return string? message
function pipeline.finish(model, song, take, o)
  local drums, message = pipeline.humanise(model, song, take, o)
  if not drums then return nil, message end
  local conversion, combined = o.kits
  if o.tempo then
    combined = fixed_tempo.song(drums, o.tempo, o.length, kits.output_pitches(conversion.map_out))
  else
    combined = song:with_drums(drums, {
      keep_drums = o.keep_drums, drums_alone = o.drums_alone, length = o.length, tail = o.tail,
      pitches = conversion:output_pitches(song),
    })
  end
  if o.out then
    local ok
    ok, message = combined:save(o.out)
    if not ok then return nil, message end
  end
  local voices, hits = pipeline.count(drums)
  local result = {
    song = combined, source = song, drums = drums, model = model, steps = #drums, hits = hits,
    voices = voices, style = take.style, seed = o.seed or 1, direction = take.direction,
    unknown = conversion.unknown, missing = conversion:missing_pitches(song, drums),
  }
  if take.direction.fills then
    local asked, played = direction.count_fills(drums, take.direction.fills)
    result.fills = { asked = asked, played = played }
  end
  return result
end

--- The whole way of one take.
---@param model neuraldrummer.model
---@param song neuraldrummer.song
---@param seq neuraldrummer.sequence
---@param o table
---@return neuraldrummer.generate_result? result
---@return string? message
function pipeline.run(model, song, seq, o)
  local takes, message = pipeline.play(model, seq, { o })
  if not takes then return nil, message end
  return pipeline.finish(model, song, takes[1], o)
end

return pipeline
