--- Kit maps: which pitch strikes which drum in a plug-in, a drum module, a
--- sampler. A map is a text file, for its maker's instrument or one's own:
---
---     title My kit
---     source its manual, page 12
---     like roland-td
---     # its pitch, the drum's in General MIDI, what it is
---      36  36  kick
---      60  46  hi-hat, wide open
---      61   -  crash, choke
---
--- A line "pitch drum words" says what a pitch strikes; `-`: no drum. Of several
--- pitches of one drum the first is the one that is written. `like` begins with
--- all lines of another map, which one's own take the place of; a path there is
--- from the map's own folder.

local files = require "neuraldrummer.files"

local kits = {}

local _, here = ...
local FOLDER <const> = ((here or debug.getinfo(1, "S").source:gsub("^@", ""))
  :match "^.*[/\\]" or "") .. "kits/"

-- Of those that come along; a spec holds them against the folder.
local BUNDLED <const> = { "addictive-drums-2", "battery", "ezdrummer", "general-midi",
  "mt-power-drum-kit", "roland-td", "superior-drummer-3" }

-- Drums of General MIDI that may stand for one that an instrument has not, the
-- nearest first.
local KIN <const> = {
  [35] = { 36 }, [36] = { 35 }, [37] = { 38, 40 }, [38] = { 40 }, [39] = { 38, 40 },
  [40] = { 38 }, [41] = { 43, 45 }, [43] = { 41, 45 }, [45] = { 43, 41, 47 }, [47] = { 48, 45 },
  [48] = { 47, 45, 50 }, [50] = { 48, 47 }, [42] = { 44 }, [44] = { 42 }, [49] = { 57 },
  [57] = { 49 }, [52] = { 57, 49 }, [55] = { 57, 49 }, [51] = { 59 }, [59] = { 51 },
  [53] = { 51, 59 },
}

---@class neuraldrummer.kit_map
---@field name string
---@field title string
---@field sources string[] where its numbers are from
---@field path? string
---@field reads table<integer, integer|false> by its pitch: General MIDI's; false: no drum
---@field writes table<integer, integer> by General MIDI's pitch: its own
---@field words table<integer, string> by its pitch: what it strikes
local kit_map = {}
kit_map.__index = kit_map
kit_map.__name = "neuraldrummer.kit_map"

function kit_map:__tostring()
  local n = 0
  for _ in pairs(self.reads) do n = n + 1 end
  return ("kit map: %s, %d pitches"):format(self.title, n)
end

--- Names of the maps that come along.
---@return string[]
function kits.names() return table.move(BUNDLED, 1, #BUNDLED, 1, {}) end

-- By the system's number: its words are in the user's language.
local ENOENT <const>, ENOTDIR <const> = 2, 20

-- A map's text; nil and why not, and whether there is no such file.
local function read_all(path)
  local file, message, errno = files.open(path)
  if not file then return nil, message, errno == ENOENT or errno == ENOTDIR end
  file:close()
  return files.text(path, 1 << 20)
end

-- Where a user's own maps lie, and those that come along.
local function folders()
  local config = os.getenv "XDG_CONFIG_HOME"
  local home = os.getenv "HOME"
  if (not config or config == "") and home then config = home .. "/.config" end
  return config and { config .. "/neuraldrummer/kits/", FOLDER } or { FOLDER }
end

local function is_path(name) return name:find "[/\\]" or name:find "%.kit$" end

-- Where a map may lie, by its name or path. A path in the map `of` is beside that
-- one, or else from the current folder on.
local function places(name, of)
  if is_path(name) then
    local whole = name:find "^[/\\]" or name:find "^%a:"
    local beside = of and not whole and of:match "^.*[/\\]"
    return beside and { beside .. name, name } or { name }
  end
  local list = {}
  for i, folder in ipairs(folders()) do list[i] = ("%s%s.kit"):format(folder, name) end
  return list
end

local function pitch_of(text)
  local pitch = math.tointeger(tonumber(text))
  return pitch and pitch >= 0 and pitch <= 127 and pitch or nil
end

local load_below, load_map

--- A map from its text.
---@param text string
---@param name string
---@return neuraldrummer.kit_map? map
---@return string? message with the line's number
function kits.parse(text, name)
  return load_below(text, name, name, 0)
end

-- `what`: the map's path, or what else its messages begin with; `depth`: how many maps
-- are like one another so far.
function load_below(text, name, what, depth)
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
      if base then return fail "a second 'like'" end
      if depth == 8 then return fail "like itself, or eight maps deep" end
      local message
      base, message = load_map(rest, depth + 1, what)
      if not base then return fail("%s", message) end
    else
      local drum, words = rest:match "^(%S+)%s*(.*)$"
      local pitch, gm = pitch_of(word), drum and pitch_of(drum)
      if not pitch or not (gm or drum == "-") then
        return fail("'%s' is not a pitch, a drum's pitch in General MIDI or -, and words",
          line:sub(1, 60))
      elseif own[pitch] then
        return fail("pitch %d stands in line %d", pitch, own[pitch])
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
  if not next(map.reads) then return nil, what .. ": no pitches in it" end
  return map
end

-- `of`: the path of the map that is like this one.
function load_map(name, depth, of)
  local missing
  for _, path in ipairs(places(name, of)) do
    local text, message, none = read_all(path)
    if text then
      local map
      map, message = load_below(text, path:match "([^/\\]*)$":gsub("%.kit$", ""), path, depth)
      if map then map.path = path end
      return map, message
    end
    if not none then return nil, message end
    missing = message
  end
  if is_path(name) then return nil, missing end
  return nil, ("no kit map is named '%s'; there are %s, and files of one's own (mine.kit)")
    :format(name, table.concat(BUNDLED, ", "))
end

--- A map by its name, or from a file: one of those that come along, of
--- `~/.config/neuraldrummer/kits/NAME.kit`, or a path (with a slash, or ending in .kit).
---@param name string
---@return neuraldrummer.kit_map? map
---@return string? message
function kits.load(name) return load_map(name, 0) end

--- A map as options give it: itself, or by its name or path.
---@param given? string|neuraldrummer.kit_map
---@return neuraldrummer.kit_map? map nil as well when none is given
---@return string? message
function kits.open(given)
  if given == nil then return nil end
  if type(given) == "string" then return kits.load(given) end
  if getmetatable(given) ~= kit_map then
    error("a kit map is needed: a name, a path, or of kits.load", 0)
  end
  return given
end

---@class neuraldrummer.unknown_pitch
---@field pitch integer
---@field hits integer

--- Counts by pitch as a list, the commonest first, with `hits` of all.
---@param counts table<integer, integer>
---@return neuraldrummer.unknown_pitch[]
function kits.listed(counts)
  local list, hits = {}, 0
  for pitch, n in pairs(counts) do
    list[#list + 1] = { pitch = pitch, hits = n }
    hits = hits + n
  end
  table.sort(list, function(a, b)
    if a.hits ~= b.hits then return a.hits > b.hits end
    return a.pitch < b.pitch
  end)
  -- no key of the list's own, which would be no list any more in JSON
  return setmetatable(list, { __index = { hits = hits } })
end

--- The drum notes of a song that a tokeniser's kit has no voice for.
---@param song neuraldrummer.song
---@param tokeniser neuraldrummer.tokeniser
---@return neuraldrummer.unknown_pitch[] unknown the commonest first, with `hits` of all
function kits.unknown(song, tokeniser)
  local known = {}
  for pitches in tokeniser:settings().kit_text:gmatch ":([%d,]+)" do
    for pitch in pitches:gmatch "%d+" do known[math.tointeger(tonumber(pitch))] = true end
  end
  local counts = {}
  for pitch, n in pairs(song:pitches()) do
    if not known[pitch] then counts[pitch] = n end
  end
  return kits.listed(counts)
end

-- Pitches that are no drum in General MIDI: what a map does not know goes under
-- them, so that it is taken for no other drum, and comes back as it was.
local SPARE <const> = {}
for pitch = 127, 88, -1 do SPARE[#SPARE + 1] = pitch end
for pitch = 0, 20 do SPARE[#SPARE + 1] = pitch end

--- A song whose drums were written for a map's instrument, with General MIDI's
--- pitches.
---@param song neuraldrummer.song
---@param map neuraldrummer.kit_map
---@param aliases? table<integer, integer> of another song, to be gone on with
---@return neuraldrummer.song heard
---@return neuraldrummer.unknown_pitch[] unknown pitches that the map has not, with `hits` of all
---@return table<integer, integer> aliases what is no drum: by its pitch in `heard`, the song's own
function kits.read(song, map, aliases)
  aliases = aliases or {}
  local counts = song:pitches()
  local to, unknown, spare = {}, {}, 1
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
  return song:with_pitches(to), kits.listed(unknown), aliases
end

-- The map's pitch of a drum, or of its nearest relative; nil: it has neither.
local function nearest(map, gm)
  if map.writes[gm] then return map.writes[gm] end
  for _, other in ipairs(KIN[gm] or {}) do
    if map.writes[other] then return map.writes[other] end
  end
end

--- What `song:with_drums` takes as `pitches`, to write drums for a map's
--- instrument. Where `source` is the song that the drums were kept from, and its
--- note says the same drum to the instrument, it stays the pitch it was.
---@param map? neuraldrummer.kit_map nil: General MIDI, as it is
---@param source? {song: neuraldrummer.song, map: neuraldrummer.kit_map, aliases: table}
---@return table<integer, integer>
function kits.writing(map, source)
  local pitches = {}
  if map then
    for gm = 0, 127 do pitches[gm] = nearest(map, gm) end
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

--- The drum notes of a song in General MIDI's pitches that a map's instrument
--- does not have: written at a relative's pitch where there is one, else at
--- their own.
---@param song neuraldrummer.song
---@param map neuraldrummer.kit_map
---@param aliases? table<integer, integer> of kits.read: these are none of General MIDI's
---@return neuraldrummer.unknown_pitch[] missing the commonest first, with `hits` of all
function kits.missing(song, map, aliases)
  local counts = {}
  for gm, n in pairs(song:pitches()) do
    if not nearest(map, gm) and not (aliases and aliases[gm]) then counts[gm] = n end
  end
  return kits.listed(counts)
end

--- Pitches and their hits in words: "91 (12 hits), 95 (1)".
---@param unknown neuraldrummer.unknown_pitch[]
---@return string
function kits.text(unknown)
  local parts = {}
  for i, each in ipairs(unknown) do
    if i > 12 then
      parts[i] = "…"
      break
    end
    parts[i] = ("%d (%d%s)"):format(each.pitch, each.hits,
      i > 1 and "" or each.hits == 1 and " hit" or " hits")
  end
  return table.concat(parts, ", ")
end

return kits
