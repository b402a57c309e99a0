--- Plays drums to songs: from a MIDI file to the same file with a drum track.
---
---     local generate = require "neuraldrummer.generate"
---     local result = assert(generate.drum("song.mid", { out = "drummed.mid", seed = 7 }))
---     print(result.hits, result.style and result.style.name)
---
--- The same song, model, options and seed give the same bytes. I/O failures return
--- `nil, message`; misuse of options raises.
local drafts = require "neuraldrummer.drafts"
local option = require "neuraldrummer.options"
local pipeline = require "neuraldrummer.pipeline"
local playing = require "neuraldrummer.options.playing"
local misuse = option.misuse

---@class neuraldrummer.modules.generate
local generate = {}

-- Defaults of the 2023 system.
local ORIGINAL <const> = {
  cutoff = 0.2, forced = 1, start = "basic", velocity = 1.0, length = 1.0, tail = 4,
}

---@class neuraldrummer.generate_result
---@field song neuraldrummer.song with the drums in it
---@field source neuraldrummer.song as it was read
---@field drums neuraldrummer.sequence
---@field model neuraldrummer.model
---@field steps integer
---@field hits integer
---@field voices {name: string, hits: integer}[]
---@field style? {index: integer, name: string} the model's style that was drawn or asked for
---@field seed integer
---@field direction neuraldrummer.direction the fixed hits, energy, fills and style asked for
---@field fills? {asked: integer, played: integer} bars that were asked to end in a fill
---@field drafts? neuraldrummer.draft[]
---@field identical? boolean whether all drafts have the same hits
---@field sections? neuraldrummer.section[] of a sketch
---@field unknown neuraldrummer.unknown_drums[] drum notes of the files that no voice stands for
---@field missing? neuraldrummer.pitch_count[] pitches of General MIDI that kit_out lacks

---@class neuraldrummer.unknown_drums
---@field path string
---@field pitches neuraldrummer.pitch_count[] the most frequent first; `hits`: their sum

--- Counts the hits of each voice, in the kit's order.
---@param seq neuraldrummer.sequence
---@return {name: string, hits: integer}[] voices
---@return integer total
function generate.count(seq) return pipeline.count(seq) end

--- Opens the model that an option names.
---@param given? string|neuraldrummer.model a model, its path, or nil for the bundled one
---@param kind? "touch" a model of velocities and timing; default: a model that plays
---@return neuraldrummer.model? model
---@return string? message
function generate.open_model(given, kind) return pipeline.open_model(given, kind) end

--- Raises if options contradict each other.
---@param o neuraldrummer.generate_options
---@package
function generate.check_combinations(o)
  if o.all_drafts and not (o.drafts and o.out) then
    misuse("all_drafts", "needs the option 'drafts', and an output file to name the drafts after")
  elseif o.vary and o.returns == false then
    misuse("vary", "it varies the grooves of sections that return, but these are played anew")
  elseif o.keep_drums and (o.drums_alone or o.tempo) then
    misuse("keep_drums", "'%s' leaves out the song's own drums; give one of the two",
      o.tempo and "tempo" or "drums_alone")
  end
  for _, name in ipairs { "keep", "bars", "extend" } do
    if o[name] ~= nil and o.keep_drums and not o.loop then
      misuse("keep_drums", "the hits that '%s' keeps would be there twice; leave it out", name)
    end
  end
end

-- Options with the defaults of the 2023 system, where it is asked for.
local function with_defaults(o)
  for name, value in pairs(o.original and ORIGINAL or {}) do
    -- a temperature takes the place of the cutoff
    if o[name] == nil and not (name == "cutoff" and o.temperature) then o[name] = value end
  end
  return o
end

--- Plays drums to a Sequence, for hosts that hold the song themselves. Options that
--- read or write the song's file have no effect.
---@param model neuraldrummer.model
---@param song neuraldrummer.song
---@param seq neuraldrummer.sequence the song on the grid of the model's tokeniser
---@param options? neuraldrummer.generate_options
---@return neuraldrummer.sequence? drums
---@return string? message
function generate.play(model, song, seq, options)
  local o = playing.check("drum", options)
  local takes, message = pipeline.play(model, seq, { o })
  if not takes then return nil, message end
  return pipeline.humanise(model, song, takes[1], o)
end

-- The model that the options ask for, and the song on its grid.
local function open(path, o)
  local model, message = pipeline.open_model(o.model)
  if not model then return nil, message end
  if o.original and model:config().preset ~= "neuraldrummer2023" then
    return nil, ("%s: option 'original' needs a model of preset neuraldrummer2023, this one is of "
      .. "preset '%s'"):format(type(o.model) == "string" and o.model or "the model",
      model:config().preset)
  end
  local ok, seq, song
  ok, message = pipeline.open_kits(o)
  if not ok then return nil, message end
  seq, song = pipeline.encode(model:tokeniser(), path, o, o.drum_channel)
  if not seq then return nil, song end
  return model, song, seq
end

--- Plays drums to a song. The same song, model, options and seed give the same bytes.
---@param path string a MIDI file
---@param options? neuraldrummer.generate_options
---@return neuraldrummer.generate_result? result
---@return string? message
function generate.drum(path, options)
  local o = with_defaults(playing.check("drum", options))
  generate.check_combinations(o)
  if o.all_drafts then drafts.check_paths(o, path) end
  local model, song, seq = open(path, o)
  if not model then return nil, song end
  return (o.drafts and drafts.run or pipeline.run)(model, song, seq, o)
end

--- Lists the styles that a model would choose among for a song, the most probable
--- ones first.
---@param path string a MIDI file
---@param options? neuraldrummer.generate_options `model`, `drum_channel`, `kit_in` and limits
---@return {index: integer, name: string, weight: number}[]? styles
---@return string? message
function generate.styles(path, options)
  local o = playing.check("drum", options)
  o.original = nil
  local model, song, seq = open(path, o)
  if not model then return nil, song end
  local styles = model:styles(seq)
  table.sort(styles, function(a, b)
    if a.weight ~= b.weight then return a.weight > b.weight end
    return a.index < b.index
  end)
  return styles
end

return generate
