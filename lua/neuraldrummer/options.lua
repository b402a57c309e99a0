--- Checks of option tables. They are strict: an unknown option raises an error that
--- names the nearest known one. (The C side does the same for its own.)
local options = {}

-- Levenshtein's distance.
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

--- Checks `given` against `known`, a table of name = type (several types are
--- separated by "|"; "integer" is a whole number). Raises at the caller's caller.
---@param given? table
---@param known table<string, string>
---@param level? integer that the error is raised at, as of `error`; default 3
---@return table given, or an empty table if it was nil
function options.check(given, known, level)
  level = level or 3
  if given == nil then return {} end
  if type(given) ~= "table" then
    error(("options: a table is needed, got %s"):format(type(given)), level)
  end
  for name, value in pairs(given) do
    local types = known[name]
    if not types then
      local nearest, best = nil, math.huge
      for other in pairs(known) do
        local d = distance(tostring(name), other)
        if d < best or (d == best and other < nearest) then nearest, best = other, d end
      end
      error(("unknown option '%s'; did you mean '%s'?"):format(tostring(name), nearest), level)
    end
    local fits = false
    for kind in types:gmatch "[^|]+" do
      fits = fits or type(value) == kind or (kind == "integer" and math.type(value) == kind)
    end
    if not fits then
      error(("option '%s': %s is needed, got %s"):format(name, types:gsub("|", " or "),
        type(value)), level)
    end
  end
  return given
end

--- Raises an error of misuse that names the option.
---@param name string
---@param format string
---@param ... any
function options.misuse(name, format, ...)
  error(("option '%s': " .. format):format(name, ...), 0)
end

--- What is wrong with a number that must lie in a range; nil: nothing.
---@param x number
---@param min? number
---@param max? number
---@return string? message
function options.out_of_range(x, min, max)
  if x >= (min or -math.huge) and x <= (max or math.huge) then return nil end
  if not max then return ("%.15g is not %.15g or more"):format(x, min) end
  return ("%.15g is not between %.15g and %.15g"):format(x, min, max)
end

--- Raises if an option's number is out of range.
---@param name string
---@param x number
---@param min? number
---@param max? number
function options.check_range(name, x, min, max)
  local message = options.out_of_range(x, min, max)
  if message then options.misuse(name, "%s", message) end
end

--- Limits on the MIDI files that are read, against broken and hostile ones. The first
--- three are the reader's, the last one is the tokeniser's.
---@type {name: string, flag: string, range: number[], text: string}[]
options.LIMITS = {
  { name = "max_bytes", flag = "--max-bytes", range = { 0 },
    text = "size limit of a file that is read (default 256 MiB)" },
  { name = "max_events", flag = "--max-events", range = { 0 },
    text = "limit on the events of a file (default 8,000,000)" },
  { name = "max_tracks", flag = "--max-tracks", range = { 0 },
    text = "limit on the tracks of a file (default 4096)" },
  { name = "max_steps", flag = "--max-steps", range = { 1, 1 << 24 },
    text = "limit on the steps of a song (default 2^20)" },
}

--- The limits as an option table's names and types.
---@param known table<string, string> names and types that they are added to
---@return table<string, string> known
function options.with_limits(known)
  for _, limit in ipairs(options.LIMITS) do known[limit.name] = "integer" end
  return known
end

--- The reader's options, from options that have its limits.
---@param given table
---@param drum_channel? integer
---@return neuraldrummer.load_options
function options.reading(given, drum_channel)
  return { drum_channel = drum_channel, max_bytes = given.max_bytes,
    max_events = given.max_events, max_tracks = given.max_tracks }
end

return options
