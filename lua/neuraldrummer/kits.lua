--- Kit maps: which pitch plays which drum of a plug-in, a drum module or a sampler.
--- A map is a text file, bundled or your own:
---
---     title My kit
---     source manual, page 12
---     like roland-td
---     # its pitch, the drum's pitch in General MIDI, its name
---      36  36  kick
---      60  46  hi-hat, wide open
---      61   -  crash, choke
---
--- A line "pitch drum name" describes a pitch of the instrument; `-` means that it is
--- not a drum. If several pitches play the same drum, the first one is written. `like`
--- starts from the lines of another map, which the lines of this one replace; a
--- relative path after `like` starts at the map's own folder.

local files = require "neuraldrummer.files"

---@class neuraldrummer.modules.kits
local kits = {}

local _, here = ...
local FOLDER <const> = ((here or debug.getinfo(1, "S").source:gsub("^@", ""))
  :match "^.*[/\\]" or "") .. "kits/"

-- Names of the bundled maps; a spec compares them with the folder.
local BUNDLED <const> = { "addictive-drums-2", "battery", "ezdrummer", "general-midi",
  "mt-power-drum-kit", "roland-td", "superior-drummer-3" }

-- By General MIDI's pitch, drums that may replace one that an instrument lacks, the most
-- similar first.
local RELATIVES <const> = {
  [35] = { 36 }, [36] = { 35 }, [37] = { 38, 40 }, [38] = { 40 }, [39] = { 38, 40 },
  [40] = { 38 }, [41] = { 43, 45 }, [43] = { 41, 45 }, [45] = { 43, 41, 47 }, [47] = { 48, 45 },
  [48] = { 47, 45, 50 }, [50] = { 48, 47 }, [42] = { 44 }, [44] = { 42 }, [49] = { 57 },
  [57] = { 49 }, [52] = { 57, 49 }, [55] = { 57, 49 }, [51] = { 59 }, [59] = { 51 },
  [53] = { 51, 59 },
}

---@class neuraldrummer.kit_map
---@field name string
---@field title string
---@field sources string[] documents that its pitches were taken from
---@field path? string
---@field reads table<integer, integer|false> by its pitch, that of General MIDI; false: not a drum
---@field writes table<integer, integer> by General MIDI's pitch, its own
---@field words table<integer, string> by its pitch, the name of what it plays
local kit_map = {}
kit_map.__index = kit_map
kit_map.__name = "neuraldrummer.kit_map"

function kit_map:__tostring()
  local n = 0
  for _ in pairs(self.reads) do n = n + 1 end
  return ("kit map: %s, %d pitches"):format(self.title, n)
end

--- Names of the bundled maps.
---@return string[]
function kits.names() return table.move(BUNDLED, 1, #BUNDLED, 1, {}) end

-- Errors by number, because their texts are in the user's language.
local ENOENT <const>, ENOTDIR <const> = 2, 20

-- A map's text; or nil, a message, and whether the file does not exist.
local function read_text(path)
  local file, message, errno = files.open(path)
  if not file then return nil, message, errno == ENOENT or errno == ENOTDIR end
  file:close()
  return files.text(path, 1 << 20)
end

-- The folders of maps: the user's, then the bundled ones.
local function folders()
  local config = os.getenv "XDG_CONFIG_HOME"
  local home = os.getenv "HOME"
  if (not config or config == "") and home then config = home .. "/.config" end
  return config and { config .. "/neuraldrummer/kits/", FOLDER } or { FOLDER }
end

local function is_path(name) return name:find "[/\\]" or name:find "%.kit$" end

-- The paths to try for a name or path. A relative path in the map `of` starts at the
-- folder of that map, or else at the current folder.
local function candidates(name, of)
  if is_path(name) then
    local absolute = name:find "^[/\\]" or name:find "^%a:"
    local folder = of and not absolute and of:match "^.*[/\\]"
    return folder and { folder .. name, name } or { name }
  end
  local list = {}
  for i, folder in ipairs(folders()) do list[i] = ("%s%s.kit"):format(folder, name) end
  return list
end

local function pitch_of(text)
  local pitch = math.tointeger(tonumber(text))
  return pitch and pitch >= 0 and pitch <= 127 and pitch or nil
end

local parse_map, load_map

--- Parses the text of a map.
---@param text string
---@param name string
---@return neuraldrummer.kit_map? map
---@return string? message with the line number
function kits.parse(text, name)
  return parse_map(text, name, name, 0)
end

local MAX_DEPTH <const> = 8    -- maps that are `like` one another in a chain

-- `what`: the map's path, or another name that messages begin with; `depth`: length of
-- the chain of `like` so far.
function parse_map(text, name, what, depth)
  local map = setmetatable({ name = name, title = name, sources = {}, reads = {}, writes = {},
    words = {} }, kit_map)
  local number, order, own, base = 0, {}, {}, nil
  local function fail(format, ...)
    return nil, ("%s: line %d: %s"):format(what, number, format:format(...))
  end
  for line in (text:gsub("^\xEF\xBB\xBF", "") .. "\n"):gmatch "(.-)\r?\n" do
    number = number + 1
    local word, rest = line:match "^%s*(%S+)%s*(.-)%s*$"
    if not word or word:find "^#" then
      goto continue
    elseif word == "title" then
      map.title = rest
    elseif word == "source" then
      table.insert(map.sources, rest)
    elseif word == "like" then
      if base then return fail "there is a second 'like' line" end
      if depth == MAX_DEPTH then
        return fail("more than %d maps are 'like' one another, or a map is like itself", MAX_DEPTH)
      end
      local message
      base, message = load_map(rest, depth + 1, what)
      if not base then return fail("%s", message) end
    else
      local drum, words = rest:match "^(%S+)%s*(.*)$"
      local pitch, gm = pitch_of(word), drum and pitch_of(drum)
      if not pitch or not (gm or drum == "-") then
        return fail("'%s' is not a pitch, a drum's pitch in General MIDI (or -), and a name",
          line:sub(1, 60))
      elseif own[pitch] then
        return fail("pitch %d is already in line %d", pitch, own[pitch])
      end
      own[pitch] = number
      order[#order + 1] = pitch
      map.reads[pitch], map.words[pitch] = gm or false, words
    end
    ::continue::
  end
  for _, pitch in ipairs(order) do
    local gm = map.reads[pitch]
    if gm and not map.writes[gm] then map.writes[gm] = pitch end
  end
  if base then
    for pitch, gm in pairs(base.reads) do
      if not own[pitch] then map.reads[pitch], map.words[pitch] = gm, base.words[pitch] end
    end
    for gm, pitch in pairs(base.writes) do
      if not map.writes[gm] and not own[pitch] then map.writes[gm] = pitch end
    end
    if #map.sources == 0 then map.sources = base.sources end
  end
  if not next(map.reads) then return nil, what .. ": the map has no pitches" end
  return map
end

-- `of`: the path of the map whose `like` line asks for this one.
function load_map(name, depth, of)
  local missing
  for _, path in ipairs(candidates(name, of)) do
    local text, message, absent = read_text(path)
    if text then
      local map
      map, message = parse_map(text, path:match "([^/\\]*)$":gsub("%.kit$", ""), path, depth)
      if map then map.path = path end
      return map, message
    end
    if not absent then return nil, message end
    missing = message
  end
  if is_path(name) then return nil, missing end
  return nil, ("no kit map is named '%s'; choose from %s, or give a file (mine.kit)")
    :format(name, table.concat(BUNDLED, ", "))
end

--- Loads a map: by the name of a bundled one or of a file
--- `~/.config/neuraldrummer/kits/NAME.kit`, or by a path (with a slash, or ending in .kit).
---@param name string
---@return neuraldrummer.kit_map? map
---@return string? message
function kits.load(name) return load_map(name, 0) end

--- Opens the map that an option names.
---@param given? string|neuraldrummer.kit_map a map, its name or path, or nil
---@return neuraldrummer.kit_map? map nil without a message if none is given
---@return string? message
function kits.open(given)
  if given == nil then return nil end
  if type(given) == "string" then return kits.load(given) end
  if getmetatable(given) ~= kit_map then
    error("a kit map is needed: a name, a path, or a map that kits.load returned", 0)
  end
  return given
end

---@class neuraldrummer.pitch_count
---@field pitch integer
---@field hits integer

--- Sorts counts by pitch into a list, the most frequent pitch first. Its field `hits`
--- is the sum.
---@param counts table<integer, integer>
---@return neuraldrummer.pitch_count[]
---@package
function kits.sort_counts(counts)
  local list, hits = {}, 0
  for pitch, n in pairs(counts) do
    list[#list + 1] = { pitch = pitch, hits = n }
    hits = hits + n
  end
  table.sort(list, function(a, b)
    if a.hits ~= b.hits then return a.hits > b.hits end
    return a.pitch < b.pitch
  end)
  -- not a key of the list itself, which JSON would then write as an object
  return setmetatable(list, { __index = { hits = hits } })
end

--- Counts the drum notes of a song that no voice of a tokeniser's kit stands for.
---@param song neuraldrummer.song
---@param tokeniser neuraldrummer.tokeniser
---@return neuraldrummer.pitch_count[] unknown the most frequent first; `hits`: their sum
function kits.unknown_pitches(song, tokeniser)
  local known = {}
  for pitches in tokeniser:settings().kit_text:gmatch ":([%d,]+)" do
    for pitch in pitches:gmatch "%d+" do known[math.tointeger(tonumber(pitch))] = true end
  end
  local counts = {}
  for pitch, n in pairs(song:pitches()) do
    if not known[pitch] then counts[pitch] = n end
  end
  return kits.sort_counts(counts)
end

-- Pitches without a drum in General MIDI. Notes that a map does not know are moved to
-- them, so that they are not mistaken for other drums and can be written back.
local SPARE <const> = {}
for pitch = 127, 88, -1 do SPARE[#SPARE + 1] = pitch end
for pitch = 0, 20 do SPARE[#SPARE + 1] = pitch end

--- Converts the drums of a song, written for a map's instrument, to General MIDI.
---@param song neuraldrummer.song
---@param map neuraldrummer.kit_map
---@param aliases? table<integer, integer> from another song, to be added to
---@return neuraldrummer.song converted
---@return neuraldrummer.pitch_count[] unknown pitches that the map lacks; `hits`: their sum
---@return table<integer, integer> aliases by pitch in the converted song, the original pitch of
--- notes that are not drums
function kits.to_general_midi(song, map, aliases)
  aliases = aliases or {}
  local counts = song:pitches()
  local to, unknown, spare = {}, {}, 1   -- to: by pitch of the instrument, the new one
  for alias, pitch in pairs(aliases) do to[pitch] = alias end
  for pitch = 0, 127 do
    local gm = map.reads[pitch]
    if gm then
      to[pitch] = gm
    elseif counts[pitch] then
      while not to[pitch] and spare < #SPARE and aliases[SPARE[spare]] do spare = spare + 1 end
      to[pitch] = to[pitch] or SPARE[spare]
      aliases[to[pitch]] = pitch
      if gm == nil then unknown[pitch] = counts[pitch] end
    end
  end
  return song:with_pitches(to), kits.sort_counts(unknown), aliases
end

-- The map's pitch of a drum, or of the most similar drum; nil if it has neither.
local function pitch_for(map, gm)
  if map.writes[gm] then return map.writes[gm] end
  for _, other in ipairs(RELATIVES[gm] or {}) do
    if map.writes[other] then return map.writes[other] end
  end
end

--- The pitches to write for a map's instrument, as `song:with_drums` takes them. With
--- `source`, the song whose hits are fixed, a note of it keeps its own pitch if that
--- plays the same drum of the instrument.
---@param map? neuraldrummer.kit_map nil: General MIDI
---@param source? {song: neuraldrummer.song, map: neuraldrummer.kit_map, aliases: table}
---@return table<integer, integer>
function kits.output_pitches(map, source)
  local pitches = {}
  if map then
    for gm = 0, 127 do pitches[gm] = pitch_for(map, gm) end
  end
  if source then
    for alias, pitch in pairs(source.aliases) do pitches[alias] = pitch end
    if map then
      for _, note in ipairs(source.song:notes "drums") do
        local gm = source.map.reads[note.pitch]
        if gm and map.reads[note.pitch] == gm then
          pitches[(note.tick + 1) * 128 + gm] = note.pitch
        end
      end
    end
  end
  return pitches
end

--- Counts the drum notes of a song, in General MIDI's pitches, that a map's
--- instrument has no pitch for, nor one of a similar drum.
---@param song neuraldrummer.song
---@param map neuraldrummer.kit_map
---@param aliases? table<integer, integer> of kits.to_general_midi: notes that are not drums
---@return neuraldrummer.pitch_count[] missing the most frequent first; `hits`: their sum
function kits.missing_pitches(song, map, aliases)
  local counts = {}
  for gm, n in pairs(song:pitches()) do
    if not pitch_for(map, gm) and not (aliases and aliases[gm]) then counts[gm] = n end
  end
  return kits.sort_counts(counts)
end

--- Describes counts of pitches in words: "91 (12 hits), 95 (1)".
---@param counts neuraldrummer.pitch_count[]
---@return string
function kits.describe(counts)
  local parts = {}
  for i, each in ipairs(counts) do
    if i > 12 then
      parts[i] = "…"
      break
    end
    parts[i] = ("%d (%d%s)"):format(each.pitch, each.hits,
      i > 1 and "" or each.hits == 1 and " hit" or " hits")
  end
  return table.concat(parts, ", ")
end

-- Conversion ------------------------------------------------------------------

---@class neuraldrummer.kit_conversion
---@field map_in? neuraldrummer.kit_map of the instrument that the files read were written for
---@field map_out? neuraldrummer.kit_map of the instrument that the result is written for
---@field aliases table<integer, integer> of kits.to_general_midi, over all files
---@field unknown neuraldrummer.unknown_drums[] drum notes that were not understood, by file
---@field source? neuraldrummer.song whose hits are fixed; default: the song that is drummed
local conversion = {}
conversion.__index = conversion

--- A conversion between the instruments that files are read and written for.
---@param given_in? string|neuraldrummer.kit_map
---@param given_out? string|neuraldrummer.kit_map
---@return neuraldrummer.kit_conversion? conversion
---@return string? message
---@package
function kits.conversion(given_in, given_out)
  local map_in, map_out, message
  map_in, message = kits.open(given_in)
  if message then return nil, message end
  map_out, message = kits.open(given_out)
  if message then return nil, message end
  return setmetatable({ map_in = map_in, map_out = map_out, aliases = {}, unknown = {} },
    conversion)
end

--- Converts a file's song to General MIDI, and notes the drums that are not understood.
---@param song neuraldrummer.song
---@param path string
---@param tokeniser neuraldrummer.tokeniser
---@return neuraldrummer.song
---@package
function conversion:read(song, path, tokeniser)
  local pitches
  if self.map_in then
    song, pitches = kits.to_general_midi(song, self.map_in, self.aliases)
  else
    pitches = kits.unknown_pitches(song, tokeniser)
  end
  for _, each in ipairs(self.unknown) do
    if each.path == path then return song end  -- read before, for another draft
  end
  if pitches.hits > 0 then table.insert(self.unknown, { path = path, pitches = pitches }) end
  return song
end

--- The pitches to write, as `song:with_drums` takes them.
---@param song neuraldrummer.song as it was read
---@return table<integer, integer>
---@package
function conversion:output_pitches(song)
  return kits.output_pitches(self.map_out, self.map_in and { song = self.source or song,
    map = self.map_in, aliases = self.aliases })
end

--- The drums that the instrument of the result lacks; nil without a map for it.
---@param song neuraldrummer.song
---@param drums neuraldrummer.sequence
---@return neuraldrummer.pitch_count[]?
---@package
function conversion:missing_pitches(song, drums)
  if not self.map_out then return nil end
  return kits.missing_pitches(song:with_drums(drums, { drums_alone = true }), self.map_out,
    self.aliases)
end

return kits
