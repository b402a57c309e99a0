--- Option tables are strict: an unknown key is refused, and the nearest known
--- one is named. (The C side does the same for its own.)
local options = {}

local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local best = diagonal + (a:byte(i) == b:byte(j) and 0 or 1)
      diagonal = row[j]
      row[j] = math.min(best, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

--- Checks `given` against `known`, a table of name = type (several types apart
--- by "|"; "integer" is a number that is whole). Raises at the caller's caller.
---@param given? table
---@param known table<string, string>
---@return table given an empty one when it was nil
function options.check(given, known)
  if given == nil then return {} end
  if type(given) ~= "table" then
    error(("options: a table is needed, got %s"):format(type(given)), 3)
  end
  for name, value in pairs(given) do
    local types = known[name]
    if not types then
      local nearest, best = nil, math.huge
      for other in pairs(known) do
        local d = distance(tostring(name), other)
        if d < best or (d == best and other < nearest) then nearest, best = other, d end
      end
      error(("unknown option '%s'; did you mean '%s'?"):format(tostring(name), nearest), 3)
    end
    local fits = false
    for kind in types:gmatch "[^|]+" do
      fits = fits or type(value) == kind or (kind == "integer" and math.type(value) == kind)
    end
    if not fits then
      error(("option '%s': %s is needed, got %s"):format(name, types:gsub("|", " or "),
        type(value)), 3)
    end
  end
  return given
end

--- What a MIDI file may have at most, of all that reads songs: the reader's
--- limits and the tokeniser's.
options.LIMITS = {
  max_bytes = "integer", max_events = "integer", max_tracks = "integer", max_steps = "integer",
}

--- The reader's options, of `given` that may have these limits.
---@param given table
---@param drum_channel? integer
---@return neuraldrummer.load_options
function options.reading(given, drum_channel)
  return { drum_channel = drum_channel, max_bytes = given.max_bytes,
    max_events = given.max_events, max_tracks = given.max_tracks }
end

return options
