--- What a preprocessing run counts, and the JSON file in which a shard's run leaves
--- its counts: "part.ndc" has "part.ndc.json" beside it. A run's counts are in a tally:
---
---   files, accepted, valid   files looked at; songs taken; of these, for validation
---   left_out                 rows of the manifest that `where` excludes
---   steps                    grid steps of all accepted songs
---   hits                     a list: hits of each voice of the kit
---   unknown                  hits by pitch of drum notes that no voice stands for
---   skipped                  number of files by reason
---   reasons                  a list of {path, message}, where it was asked for
---   seconds                  wall-clock time
---
--- A summary that was read is checked field by field, because it may have been edited,
--- truncated or copied beside another shard. `nil, message` where it is not valid.
local json = require "dkjson"
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local kits = require "neuraldrummer.kits"
local safe_text = require "neuraldrummer.safe_text"

local summary = {}

local VERSION <const> = 2

--- The largest number of shards.
summary.MAX_SHARDS = 65536

-- Settings that all shards of a corpus share: name, type and, for messages, another name.
-- They are compared in this order.
local SETTINGS <const> = {
  { "original", "boolean", "format" }, { "kit", "string" }, { "steps_per_beat", "integer" },
  { "beat", "string" }, { "include_drums", "boolean" }, { "max_steps", "integer" },
  { "min_steps", "integer" }, { "limits", "string" }, { "valid_every", "integer" },
  { "kit_in", "string" },
}

-- The fields of a file and their types.
local FIELDS <const> = {
  { "shard", "integer" }, { "of", "integer" }, { "list", "string" }, { "list_files", "integer" },
  { "bytes", "integer" }, { "settings", "table" }, { "files", "integer" },
  { "accepted", "integer" }, { "valid", "integer" }, { "steps", "integer" },
  { "left_out", "integer" }, { "seconds", "number" }, { "hits", "table" },
  { "unknown", "table" }, { "skipped", "table" }, { "reasons", "table" },
}

-- Order of the fields in the file.
local ORDER <const> = { "version", "shard", "of", "list", "list_files", "bytes", "settings",
  "files", "accepted", "valid", "steps", "left_out", "seconds", "hits", "pitch", "unknown",
  "skipped", "reasons", "path", "message" }

-- The tally -----------------------------------------------------------------

--- A tally of nothing yet.
---@param n_files integer
---@param left_out integer
---@param n_voices integer
---@return table tally
---@package
function summary.tally(n_files, left_out, n_voices)
  local tally = { files = n_files, accepted = 0, valid = 0, steps = 0, left_out = left_out,
    skipped = {}, reasons = {}, hits = {}, unknown = {}, seconds = 0 }
  for i = 1, n_voices do tally.hits[i] = 0 end
  return tally
end

--- The tally of all shards together.
---@param shards table[] as `read` returns them
---@return table tally
---@package
function summary.total(shards)
  local sum = summary.tally(0, shards[1].left_out, #shards[1].hits)
  for _, shard in ipairs(shards) do
    for _, key in ipairs { "files", "accepted", "valid", "steps", "seconds" } do
      sum[key] = sum[key] + shard[key]
    end
    for _, key in ipairs { "skipped", "hits", "unknown" } do
      for k, n in pairs(shard[key]) do sum[key][k] = (sum[key][k] or 0) + n end
    end
    table.move(shard.reasons, 1, #shard.reasons, #sum.reasons + 1, sum.reasons)
  end
  return sum
end

--- A tally as it is returned to users.
---@param tally table
---@param voices string[]
---@return neuraldrummer.preprocess_summary
---@package
function summary.public(tally, voices)
  local sum, list = 0, {}
  for _, n in ipairs(tally.hits) do sum = sum + n end
  for i, name in ipairs(voices) do
    local hits = tally.hits[i]
    list[i] = {
      name = name, hits = hits, rate = tally.steps > 0 and hits / tally.steps or 0.0,
      weight = hits > 0 and sum / #voices / hits or math.huge,
    }
  end
  return {
    files = tally.files, accepted = tally.accepted, valid = tally.valid, skipped = tally.skipped,
    reasons = tally.reasons, left_out = tally.left_out, steps = tally.steps, voices = list,
    unknown = kits.sort_counts(tally.unknown), seconds = tally.seconds,
  }
end

-- Writing -------------------------------------------------------------------

-- The name of a kit map and a hash of its pitches, because two maps may share a name.
local function describe_map(map)
  if not map then return "general-midi" end
  local parts = {}
  for pitch = 0, 127 do parts[#parts + 1] = tostring(map.reads[pitch]) end
  return ("%s %016x"):format(map.name, core.hash(table.concat(parts, " ")))
end

local function describe_limits(options)
  return ("%s bytes, %s events, %s tracks"):format(options.max_bytes or "default",
    options.max_events or "default", options.max_tracks or "default")
end

--- The settings of a tokeniser that a corpus stores as well.
---@param settings table of a tokeniser or of a corpus
---@return table
---@package
function summary.grid_settings(settings)
  return {
    original = settings.original, kit = settings.kit_text,
    steps_per_beat = settings.steps_per_beat, beat = settings.beat,
    include_drums = settings.include_drums, max_steps = settings.max_steps,
  }
end

--- Describes a shard before it is made: its number, the settings, and a hash of the whole
--- list of files, by which shards of different lists are told apart.
---@param options neuraldrummer.preprocess_options
---@param tokeniser neuraldrummer.tokeniser
---@param map? neuraldrummer.kit_map
---@param n integer files in the whole list
---@param row fun(i: integer): string, string, string? path, name and split of each
---@return table shard
---@return integer first the shard's part of the list
---@return integer last
---@package
function summary.describe(options, tokeniser, map, n, row)
  local k, of = table.unpack(options.shard)
  local list = 0
  for i = 1, n do
    local _, name, split = row(i)
    list = core.hash(("%016x%s\0%s"):format(list, name, split or ""))
  end
  local settings = summary.grid_settings(tokeniser:settings())
  settings.min_steps, settings.limits = options.min_steps or 32, describe_limits(options)
  -- with a manifest, which names the split of every file, the option has no effect
  settings.valid_every = not options.manifest and (options.valid_every or 10) or -1
  settings.kit_in = describe_map(map)
  return {
    version = VERSION, shard = k, of = of, list = ("%016x"):format(list), list_files = n,
    settings = settings,
  }, (k - 1) * n // of + 1, k * n // of
end

local function size_of(path)
  local file <close>, message = files.open(path)
  if not file then return nil, message end
  local size, why = file:seek "end"
  return size, why and ("%s: %s"):format(path, why)
end

--- Marks a shard as unfinished before it is renamed into place: if the process is killed
--- between the two steps, the summary of an earlier run must not pass for the new shard's.
---@param path string of the shard
---@return function? undo restores the earlier summary; call it if the shard is not written
---@return string? message
---@package
function summary.mark_unfinished(path)
  local json_path = path .. ".json"
  local old = files.read(json_path)
  local ok, message = files.write(json_path, '{"unfinished":true}\n')
  if not ok then return nil, message end
  return function()
    if old then files.write(json_path, old) else os.remove(json_path) end
  end
end

--- Writes the summary of a shard that is in place.
---@param path string of the shard
---@param shard table as `describe` returned it
---@param tally table
---@return boolean? ok
---@return string? message
---@package
function summary.write(path, shard, tally)
  local bytes, message = size_of(path)
  if not bytes then return nil, message end
  local fields = {}
  for key, value in pairs(shard) do fields[key] = value end
  for key, value in pairs(tally) do fields[key] = value end
  fields.bytes, fields.unknown, fields.reasons = bytes, kits.sort_counts(tally.unknown), {}
  for i, skip in ipairs(tally.reasons) do
    fields.reasons[i] = { path = safe_text.line(skip.path),
      message = safe_text.line(skip.message) }
  end
  return files.write(path .. ".json", safe_text.json(fields, ORDER))
end

-- Reading -------------------------------------------------------------------

-- A count. The upper bound keeps sums over all shards below 2^63: 2^46 * 65536 = 2^62.
local function is_count(x) return math.type(x) == "integer" and x >= 0 and x <= 1 << 46 end

-- The name of the first field with a value of the wrong type.
local function wrong_type(object, fields)
  for _, field in ipairs(fields) do
    local key, kind = field[1], field[2]
    local value = object[key]
    local right = type(value) == kind
    if kind == "integer" then right = is_count(value) or key == "valid_every" and value == -1 end
    if not right then return key end
  end
end

-- Whether it is a list without holes whose values all pass `check`.
local function is_list(list, check)
  local n = 0
  for _, value in pairs(list) do
    n = n + 1
    if list[n] == nil or not check(value) then return false end
  end
  return true
end

local function is_pitch_count(x)
  return type(x) == "table" and is_count(x.pitch) and x.pitch < 128 and is_count(x.hits)
end
local function is_reason(x)
  return type(x) == "table" and type(x.path) == "string" and type(x.message) == "string"
end

-- The kit must be one that can be built, with as many voices as were counted.
local function wrong_kit(fields)
  local known, tokeniser = pcall(nd.tokeniser, {
    preset = fields.settings.original and "neuraldrummer2023" or "drummer",
    kit = fields.settings.kit,
  })
  if not known then return "settings.kit" end
  if #tokeniser:voices() ~= #fields.hits then return "hits" end
end

-- The name of the first field whose value contradicts the others.
local function wrong_value(fields)
  if fields.shard < 1 or fields.shard > fields.of or fields.of > summary.MAX_SHARDS then
    return "shard"
  end
  local wrong = wrong_type(fields.settings, SETTINGS)
  if wrong then return "settings." .. wrong end
  if fields.files ~= fields.shard * fields.list_files // fields.of
    - (fields.shard - 1) * fields.list_files // fields.of then
    return "files"
  end
  if fields.accepted > fields.files then return "accepted" end
  if fields.valid > fields.accepted then return "valid" end
  if fields.seconds < 0 or fields.seconds == math.huge then return "seconds" end
  if not is_list(fields.hits, is_count) then return "hits" end
  if not is_list(fields.unknown, is_pitch_count) then return "unknown" end
  if not is_list(fields.reasons, is_reason) then return "reasons" end
  for reason, n in pairs(fields.skipped) do
    if type(reason) ~= "string" or not is_count(n) then return "skipped" end
  end
  return wrong_kit(fields)
end

--- Reads the summary of a shard: the fields of its file, `unknown` as hits by pitch, and
--- `path`, the shard's.
---@param path string of the shard
---@return table? shard
---@return string? message
---@package
function summary.read(path)
  local json_path = path .. ".json"
  local text, message = files.text(json_path, 1 << 28)
  if not text then return nil, ("%s: its summary cannot be read (%s)"):format(path, message) end
  local function invalid(why)
    return nil, ("%s: not a valid shard summary: %s"):format(json_path, why)
  end
  local read, fields = pcall(json.decode, text)  -- deep nesting makes it raise
  if not read or type(fields) ~= "table" then return invalid "not JSON" end
  if fields.unfinished then return invalid "the run was interrupted" end
  if fields.version ~= VERSION then return invalid "written by another version" end
  local wrong = wrong_type(fields, FIELDS) or wrong_value(fields)
  if wrong then return invalid(("wrong field '%s'"):format(wrong)) end
  local unknown = {}
  for _, count in ipairs(fields.unknown) do
    unknown[count.pitch] = (unknown[count.pitch] or 0) + count.hits
  end
  local bytes, why = size_of(path)
  if not bytes then return nil, why end
  if bytes ~= fields.bytes then
    return nil, ("%s: has %d bytes, but its summary says %d"):format(path, bytes, fields.bytes)
  end
  fields.unknown, fields.path = unknown, path
  return fields
end

--- Why two shards cannot be parts of one corpus; nil if they can.
---@param a table as `read` returns it
---@param b table
---@return string? message
---@package
function summary.mismatch(a, b)
  for _, setting in ipairs(SETTINGS) do
    local key, name = setting[1], setting[3] or setting[1]
    if a.settings[key] ~= b.settings[key] then
      return ("%s: was made with another %s than %s"):format(b.path, name, a.path)
    end
  end
  if a.of ~= b.of then
    return ("%s: is shard %d of %d, but %s is shard %d of %d"):format(b.path, b.shard, b.of,
      a.path, a.shard, a.of)
  end
  if a.list ~= b.list or a.list_files ~= b.list_files or a.left_out ~= b.left_out then
    return ("%s: was made from another list of files than %s"):format(b.path, a.path)
  end
end

return summary
