--- From a song's file to the song with our drums in it.
local core = require "neuraldrummer.core"
local nd = require "neuraldrummer"
local direct = require "neuraldrummer.direct"
local files = require "neuraldrummer.files"
local kits = require "neuraldrummer.kits"
local score = require "neuraldrummer.score"
local swing = require "neuraldrummer.swing"
local option = require "neuraldrummer.options"
local check = option.check

local generate = {}

---@class neuraldrummer.generate_options
---@field out? string where to write the song with its drums; left out: nothing is written
---@field model? string|neuraldrummer.model default: the one that comes with the module
---@field original? boolean play as the 2023 system does; needs a model of its preset
---@field seed? integer default 1
---@field temperature? number
---@field variation? number 0..1, how much the temperature differs between steady and free bars
---@field cutoff? number
---@field forced? integer
---@field start? "blank"|"count-in"|"basic"|"random"
---@field prime? string path of a MIDI file whose drums come before
---@field velocity? number 0..1, of every hit; then `humanise` is 0 unless given
---@field humanise? number 0: on the grid and flat, 1 (default): as people played
---@field touch? string|neuraldrummer.model default: the touch model that comes with the module
---@field swing? number|string as swing.read takes it: 0 straight, 1 triplets; default: as the
--- touch model plays it
---@field drafts? integer so many are played, with this seed and those behind it; the one that
--- fits the song best is taken
---@field all_drafts? boolean write every draft: `out` with ".seed-N" before its extension
---@field on_progress? fun(done: integer, total: integer) of drafts
---@field kit_in? string|neuraldrummer.kit_map whose pitches the drums of the files have; default:
--- General MIDI's
---@field kit_out? string|neuraldrummer.kit_map whose pitches are written; default: General MIDI's
---@field length? number of a drum note, in steps
---@field rest? number beats that the drums' track goes on behind the song
---@field keep_drums? boolean leave the song's own drums in as well
---@field drums_alone? boolean
---@field tempo? number beats a minute: drums alone, in 4/4, at this tempo
---@field drum_channel? integer 1..16
---@field max_bytes? integer of the files (default 256 MiB)
---@field max_events? integer (default 8,000,000)
---@field max_tracks? integer (default 4,096)
---@field max_steps? integer (default 2^20)
---@field threads? integer
---@field style? string|integer|false|number[]|neuraldrummer.sequence as direct.style takes it
---@field style_of? string path of a MIDI file whose drums have the style
---@field energy? number|string|(number|false)[] as direct.energy takes it
---@field fills? string|integer|table<integer, boolean> as direct.fills takes it
---@field keep? string|string[] voices of the song's own drums that are kept
---@field bars? string|integer|integer[] bars that are played again, the others kept
---@field extend? integer so many bars at the start are kept, and gone on with
---@field loop? string path of a MIDI file whose drums stand at the start
---@field returns? boolean sections that return get their groove back (default true)
---@field vary? number 0..1, how much of it is played anew
---@field playable? boolean at most two hands and two feet at once (default true; the original:
--- false)
---@field enter? "band"|"always"
---@field pause? function called between slices of a few milliseconds of playing and judging; it
--- may yield

local KNOWN = {
  out = "string", model = "string|userdata|table", original = "boolean", seed = "integer",
  temperature = "number", variation = "number", cutoff = "number",
  forced = "integer", start = "string",
  prime = "string", velocity = "number", humanise = "number",
  touch = "string|userdata|table", length = "number", rest = "number", keep_drums = "boolean",
  drums_alone = "boolean", tempo = "number", drum_channel = "integer", threads = "integer",
  style = "integer|string|boolean|table|userdata", style_of = "string",
  energy = "number|string|table", fills = "string|integer|table", keep = "string|table",
  bars = "string|integer|table", extend = "integer", loop = "string", returns = "boolean",
  vary = "number", playable = "boolean", enter = "string", swing = "number|string",
  kit_in = "string|table", kit_out = "string|table", drafts = "integer",
  all_drafts = "boolean", on_progress = "function", pause = "function",
}
for name, kind in pairs(option.LIMITS) do KNOWN[name] = kind end
generate.KNOWN = KNOWN

-- What only a model that hears the whole song takes.
local DIRECTION = { "style", "style_of", "energy", "fills", "keep", "bars", "extend", "loop" }

-- As the 2023 system plays, where the user says nothing else.
local ORIGINAL = {
  cutoff = 0.2, forced = 1, start = "basic", velocity = 1.0, length = 1.0, rest = 4,
}

---@class neuraldrummer.generate_result
---@field song neuraldrummer.song with the drums in it
---@field source neuraldrummer.song as it was read
---@field drums neuraldrummer.sequence
---@field model neuraldrummer.model
---@field steps integer
---@field hits integer
---@field voices {name: string, hits: integer}[]
---@field style? {index: integer, name: string} of the model's, that was drawn or asked for
---@field seed integer that it was played with
---@field direction? neuraldrummer.direction what was kept and asked
---@field fills? {asked: integer, played: integer} of the bars asked to end in one
---@field drafts? neuraldrummer.draft[]
---@field alike? boolean all drafts have the same hits
---@field unknown neuraldrummer.unknown_drums[] drum notes of the files that are no voice's
---@field missing? neuraldrummer.unknown_pitch[] General MIDI's pitches that kit_out has not

---@class neuraldrummer.unknown_drums
---@field path string
---@field pitches neuraldrummer.unknown_pitch[] the commonest first, with `hits` of all

---@class neuraldrummer.draft
---@field seed integer
---@field hits integer
---@field worth? number bits a hit, as score.worth has it; nil where there was nothing to judge
---@field style? {index: integer, name: string}
---@field out? string where it was written

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
  local own = kits.writing(options.maps and options.maps.out)
  local step = PPQ / settings.steps_per_beat
  local length = math.max(1, math.floor((options.length or 0.5) * step + 0.5))
  local voices, offsets, notes = drums:voices(), drums:packed_offsets(), {}
  for i, hits in ipairs(drums:hits()) do
    for v, name in ipairs(voices) do
      if hits[name] then
        local late = ("b"):unpack(offsets, (i - 1) * #voices + v) / 256
        notes[#notes + 1] = {
          tick = math.max(0, math.floor((i - 1 + late) * step + 0.5)), duration = length,
          pitch = own[pitches[name]] or pitches[name],
          velocity = math.max(1, math.floor(hits[name] * 127 + 0.5)), channel = 10,
        }
      end
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

--- The model of an option: itself, of a file, or the one that comes along.
---@param given? string|neuraldrummer.model
---@param kind? "touch" one that says how hits are struck; default: one that says which
---@return neuraldrummer.model? model
---@return string? message
function generate.open_model(given, kind)
  if given ~= nil and type(given) ~= "string" then return given end
  local path, model, message = given
  if not path then path, message = nd.default_model(kind) end
  if not path then return nil, message end
  model, message = nd.model.load(path)
  if not model then return nil, message end
  local preset = model:config().preset
  if kind == "touch" and preset ~= "touch" then
    return nil, ("%s: is no touch model, but of preset '%s'"):format(path, preset)
  elseif kind ~= "touch" and preset == "touch" then
    return nil, path .. ": is a touch model, which says how hits are struck, not which"
  end
  return model
end

--- Opens the kit maps of the options: `o.maps` holds them from then on, and what
--- was heard through them.
---@param o neuraldrummer.generate_options
---@return boolean? ok
---@return string? message
---@package
function generate.open_maps(o)
  local into, out, message
  into, message = kits.open(o.kit_in)
  if message then return nil, message end
  out, message = kits.open(o.kit_out)
  if message then return nil, message end
  o.maps = { into = into, out = out, aliases = {}, unknown = {} }
  return true
end

--- A song with General MIDI's drums, as the kit map has it; what is unknown is
--- counted.
---@param song neuraldrummer.song
---@param path string
---@param tokeniser neuraldrummer.tokeniser
---@param maps? table of generate.open_maps
---@return neuraldrummer.song
---@package
function generate.heard(song, path, tokeniser, maps)
  if not maps then return song end
  local pitches
  if maps.into then
    song, pitches = kits.read(song, maps.into, maps.aliases)
  else
    pitches = kits.unknown(song, tokeniser)
  end
  for _, each in ipairs(maps.unknown) do
    if each.path == path then return song end  -- of another draft
  end
  if pitches.hits > 0 then table.insert(maps.unknown, { path = path, pitches = pitches }) end
  return song
end

local function encode(tokeniser, path, o, drum_channel)
  local song, message = nd.song.load(path, option.reading(o, drum_channel))
  if not song then return nil, message end
  local seq
  seq, message = tokeniser:encode(generate.heard(song, path, tokeniser, o.maps),
    path:match "[^/]*$", o.max_steps)
  if not seq then return nil, ("%s: %s"):format(path, message) end
  return seq, song
end

local function has_drums(seq) return seq:packed_hits():find "[^\0]" ~= nil end

-- A file's drums, for a loop or a style.
local function encode_drums(tokeniser, path, o)
  local seq, message = encode(tokeniser, path, o)
  if not seq then return nil, message end
  if not has_drums(seq) then return nil, path .. ": has no drums" end
  return seq
end

-- What `play` takes, from the options.
local function direction_of(model, seq, generator, o)
  local d = {}
  local message, loop
  if o.loop then
    loop, message = encode_drums(model:tokeniser(), o.loop, o)
    if not loop then return nil, message end
  end
  d.fixed, d.mask = direct.kept(seq, {
    keep = o.keep, bars = o.bars, extend = o.extend, loop = loop,
  })
  if o.style_of then
    if o.style ~= nil then error("options 'style' and 'style_of' are two styles: give one", 0) end
    d.style, message = encode_drums(model:tokeniser(), o.style_of, o)
    if not d.style then return nil, message end
  elseif o.style ~= nil then
    d.style, message = direct.style(o.style, seq, model, generator)
    if d.style == nil then return nil, message end
  end
  if o.energy then d.density = direct.energy(o.energy, #seq:bars()) end
  if o.fills then d.fills = direct.fills(o.fills, seq, o.sections) end
  return d
end

--- Velocities and timing for what was played, where a touch model fits the
--- kit and grid; what was kept stays as it was.
local function humanise(model, drums, o, mask)
  local amount = o.humanise or ((o.velocity or o.original) and 0 or 1)
  if amount == 0 then return drums end
  local touch, message = generate.open_model(o.touch, "touch")
  if not touch then return nil, message end
  local own, other = model:tokeniser():settings(), touch:tokeniser():settings()
  local fits = own.kit_text == other.kit_text and own.steps_per_beat == other.steps_per_beat
    and own.beat == other.beat
  if not fits then
    if not o.humanise then return drums end
    return nil, "option 'humanise': the touch model knows another kit or grid"
  end
  return core.humanise(touch, drums, { amount = amount, seed = o.seed, mask = mask }, o.pause)
end

-- The generator of one take: its own, or one that draws other lots.
local function new_generator(model, o, prime, try)
  return nd.generator(model, {
    seed = try and (o.seed or 1) ~ try << 40 or o.seed, temperature = o.temperature,
    variation = o.variation, cutoff = o.cutoff, forced = o.forced, start = o.start, prime = prime,
    velocity = o.velocity, threads = o.threads, playable = o.playable, enter = o.enter,
  })
end

-- Plays a Sequence as each of some options have it, which differ in their seeds
-- alone, flat and on the grid: a take each, with its drums, the style {index, name}
-- and the direction.
local function strike_all(model, seq, all)
  local o = all[1]
  local prime, message
  if o.prime then
    prime, message = encode(model:tokeniser(), o.prime, o)
    if not prime then return nil, message end
  end
  local whole = model:config().features == "whole"
  for _, name in ipairs(DIRECTION) do
    if o[name] ~= nil and not whole then
      return nil, ("option '%s': the model takes no direction (one of preset drummer does)")
        :format(name)
    end
  end
  local generators, directions, takes = {}, {}, {}
  local _ <close> = setmetatable({}, { __close = function()
    for _, generator in ipairs(generators) do generator:close() end
  end })
  for k, own in ipairs(all) do
    generators[k] = new_generator(model, own, prime)
    directions[k] = {}
    if whole then
      directions[k], message = direction_of(model, seq, generators[k], own)
      if not directions[k] then return nil, message end
    end
  end
  local played = core.play(generators, seq, directions, o.pause)
  if whole and o.returns ~= false then
    local first, again, sections = {}, {}, o.sections or direct.sections(seq)
    for k, drums in ipairs(played) do
      -- whether sections return is the same for all
      again[k] = direct.returning(seq, drums, directions[k], { sections = sections,
        vary = o.vary, seed = all[k].seed, pause = o.pause })
      first[k] = drums
    end
    if #again > 0 then
      played = core.play(generators, seq, again, o.pause)
      for _, drums in ipairs(first) do drums:close() end
    end
  end
  for k, drums in ipairs(played) do
    local index, name = generators[k]:style()
    local direction = directions[k]
    if direction.fills then
      local styled = { style = direction.style == nil and index or direction.style }
      for _, key in ipairs { "mask", "density", "fills" } do styled[key] = direction[key] end
      drums = direct.insist(function(try) return new_generator(model, all[k], prime, try) end,
        seq, drums, styled, o.pause)
    end
    takes[k] = { drums = drums, direction = direction,
      style = index and { index = index, name = name } or nil }
  end
  return takes
end

-- One take: the drums; the style, or a message; and the direction.
local function strike(model, seq, o)
  local takes, message = strike_all(model, seq, { o })
  if not takes then return nil, message end
  return takes[1].drums, takes[1].style, takes[1].direction
end

-- How hard and when: a person's touch, and swing where it is asked.
local function touched(model, song, drums, o, direction)
  local message
  drums, message = humanise(model, drums, o, direction.mask)
  if not drums then return nil, message end
  if o.swing == nil then return drums end
  local amount, unit, swung = swing.read(o.swing, song)
  return swing.apply(drums, amount, unit, { swung = swung, mask = direction.mask })
end

--- Plays a Sequence as the options have it.
---@param model neuraldrummer.model
---@param song neuraldrummer.song whose Sequence it is
---@param seq neuraldrummer.sequence
---@param o neuraldrummer.generate_options with `sections`, where they are not the song's
---@return neuraldrummer.sequence? drums
---@return table|string? style {index, name}, or message
---@return table? direction what was kept and asked
---@package
function generate.play(model, song, seq, o)
  local drums, style, direction = strike(model, seq, o)
  if not drums then return nil, style end
  local message
  drums, message = touched(model, song, drums, o, direction)
  if not drums then return nil, message end
  return drums, style, direction
end

--- Puts drums into their song, and writes it where `o.out` says.
---@param model neuraldrummer.model
---@param song neuraldrummer.song
---@param drums neuraldrummer.sequence
---@param o neuraldrummer.generate_options
---@return neuraldrummer.generate_result? result
---@return string? message
---@package
function generate.finish(model, song, drums, o)
  local combined, missing
  local maps = o.maps or { unknown = {} }
  if o.tempo then
    combined = alone_at(drums, o)
  else
    combined = song:with_drums(drums, {
      keep_drums = o.keep_drums, drums_alone = o.drums_alone, length = o.length, tail = o.rest,
      pitches = kits.writing(maps.out, maps.into and
        { song = maps.source or song, map = maps.into, aliases = maps.aliases }),
    })
  end
  if maps.out then
    missing = kits.missing(song:with_drums(drums, { drums_alone = true }), maps.out, maps.aliases)
  end
  if o.out then
    local ok, message = combined:save(o.out)
    if not ok then return nil, message end
  end
  local voices, hits = generate.count(drums)
  return {
    song = combined, source = song, drums = drums, model = model, steps = #drums,
    hits = hits, voices = voices, seed = o.seed or 1, unknown = maps.unknown, missing = missing,
  }
end

local function note_direction(result, direction)
  result.direction = direction
  if direction.fills then
    local asked, played = direct.count_fills(result.drums, direction.fills)
    result.fills = { asked = asked, played = played }
  end
end

--- Plays, and finishes what was played.
---@param model neuraldrummer.model
---@param song neuraldrummer.song
---@param seq neuraldrummer.sequence
---@param o neuraldrummer.generate_options
---@return neuraldrummer.generate_result? result
---@return string? message
---@package
function generate.perform(model, song, seq, o)
  local drums, style, direction = generate.play(model, song, seq, o)
  if not drums then return nil, style end
  local result, message = generate.finish(model, song, drums, o)
  if not result then return nil, message end
  result.style = style
  note_direction(result, direction)
  return result
end

-- The same options with another seed, and another place to write to.
local function with_seed(o, seed, out)
  local copy = {}
  for name, value in pairs(o) do copy[name] = value end
  copy.seed, copy.out = seed, out
  return copy
end

-- Where a draft is written.
local function draft_path(o, seed) return files.infix(o.out, ".seed-" .. seed) end

local ABREAST <const> = 8    -- drafts that are played and judged side by side

-- Plays drafts, one seed after another, and finishes the one that fits the song
-- best, of equals the first; before it, when all are wanted, the others.
local function play_drafts(model, song, seq, o)
  local first, taken, hits, alike = o.seed or 1, nil, nil, true
  local drafts, played = {}, {}
  while #drafts < o.drafts do
    local all, sequences = {}, {}
    for i = 1, math.min(ABREAST, o.drafts - #drafts) do
      all[i] = with_seed(o, first + #drafts + i - 1)
    end
    local takes, message = strike_all(model, seq, all)
    if not takes then return nil, message end
    for i, take in ipairs(takes) do sequences[i] = take.drums end
    local worths = score.worths(model, sequences, o.pause)
    for i, take in ipairs(takes) do
      local k = #drafts + 1
      local draft = { seed = all[i].seed, worth = worths[i] or nil, style = take.style }
      draft.hits = select(2, generate.count(take.drums))
      drafts[k], played[k] = draft, take
      hits = hits or take.drums:packed_hits()
      alike = alike and hits == take.drums:packed_hits()
      if not taken or (draft.worth or -math.huge) > (drafts[taken].worth or -math.huge) then
        taken = k
      end
      if not o.all_drafts then
        -- a draft is as large as its song: only the best so far stays
        for other in pairs(played) do if other ~= taken then played[other] = nil end end
      end
      if o.on_progress then o.on_progress(k, o.drafts) end
    end
  end

  local function finish(k, out)
    local own = with_seed(o, drafts[k].seed, out)
    local drums, message = touched(model, song, played[k].drums, own, played[k].direction)
    if not drums then return nil, message end
    return generate.finish(model, song, drums, own)
  end
  for k, draft in ipairs(o.all_drafts and drafts or {}) do
    draft.out = draft_path(o, draft.seed)
    local ok, message = finish(k, draft.out)
    if not ok then return nil, message end
  end
  local result, message = finish(taken, o.out)
  if not result then return nil, message end
  result.style, result.drafts = drafts[taken].style, drafts
  result.alike = #drafts > 1 and alike
  note_direction(result, played[taken].direction)
  return result
end

local MOST_DRAFTS <const> = 256
-- Of what is made use of when all is played already.
local RANGES <const> = { { "humanise", 0, 1 }, { "length", 1e-3, 1024 } }

--- Raises for what is out of range, or makes no sense together.
---@param o neuraldrummer.generate_options
---@package
function generate.check(o)
  local function refuse(format, ...) error(format:format(...), 0) end
  if o.drafts and not (o.drafts >= 1 and o.drafts <= MOST_DRAFTS) then
    refuse("option 'drafts': %d is not in 1-%d", o.drafts, MOST_DRAFTS)
  elseif o.all_drafts and not (o.drafts and o.out) then
    refuse "option 'all_drafts': needs 'drafts', and a file to be named after"
  elseif o.vary and o.returns == false then
    refuse "option 'vary': no section gets its groove back that it could vary"
  elseif o.keep_drums and (o.drums_alone or o.tempo) then
    refuse("option 'keep_drums': with '%s' the song's own are left out",
      o.tempo and "tempo" or "drums_alone")
  end
  for _, range in ipairs(RANGES) do
    local name, least, most = table.unpack(range)
    local x = o[name]
    if x and not (x >= least and x <= most) then
      refuse("option '%s': %g is not in %g-%g", name, x, least, most)
    end
  end
  for _, name in ipairs { "keep", "bars", "extend" } do
    if o[name] ~= nil and o.keep_drums and not o.loop then
      refuse("option 'keep_drums': what '%s' keeps would be there twice", name)
    end
  end
end

-- Raises where a draft would take the place of a file that is read.
local function check_drafts(o, song)
  for k = 0, o.drafts - 1 do
    local draft = draft_path(o, (o.seed or 1) + k)
    for _, read in ipairs { song, o.loop or song, o.prime or song, o.style_of or song } do
      if files.same(draft, read) then
        error(("option 'all_drafts': %s is read, and would be a draft"):format(draft), 0)
      end
    end
  end
end

--- Drums a song. Same song, model, options and seed: the same bytes.
---@param path string a MIDI file
---@param options? neuraldrummer.generate_options
---@return neuraldrummer.generate_result? result
---@return string? message
function generate.drum(path, options)
  local o = {}
  for name, value in pairs(check(options, KNOWN)) do o[name] = value end
  generate.check(o)
  if o.all_drafts then check_drafts(o, path) end
  if o.original then
    for name, value in pairs(ORIGINAL) do
      -- a temperature is another way of choosing than a cut-off
      if o[name] == nil and not (name == "cutoff" and o.temperature) then o[name] = value end
    end
  end

  local model, message = generate.open_model(o.model)
  if not model then return nil, message end
  if o.original and model:config().preset ~= "neuraldrummer2023" then
    return nil, ("%s: is of preset '%s'; to play as the original does, a model trained with "
      .. "preset neuraldrummer2023 is needed"):format(
      type(o.model) == "string" and o.model or "the model", model:config().preset)
  end
  local ok
  ok, message = generate.open_maps(o)
  if not ok then return nil, message end
  local seq, song = encode(model:tokeniser(), path, o, o.drum_channel)
  if not seq then return nil, song end
  if o.drafts then return play_drafts(model, song, seq, o) end
  return generate.perform(model, song, seq, o)
end

--- The styles that a model would choose among for a song, the likeliest first.
---@param path string a MIDI file
---@param options? neuraldrummer.generate_options model, drum_channel, kit_in and limits count
---@return {index: integer, name: string, weight: number}[]? styles
---@return string? message
function generate.styles(path, options)
  local given, o = check(options, KNOWN), {}
  for name in pairs(option.LIMITS) do o[name] = given[name] end
  o.model, o.drum_channel, o.kit_in = given.model, given.drum_channel, given.kit_in
  local model, message = generate.open_model(o.model)
  if not model then return nil, message end
  local ok
  ok, message = generate.open_maps(o)
  if not ok then return nil, message end
  local seq, song = encode(model:tokeniser(), path, o, o.drum_channel)
  if not seq then return nil, song end
  local styles = model:styles(seq)
  table.sort(styles, function(a, b)
    if a.weight ~= b.weight then return a.weight > b.weight end
    return a.index < b.index
  end)
  return styles
end

return generate
