--- Corpora made in parts: each part of a list of files, a shard, is
--- preprocessed by itself, on any machine; merged they are, byte for byte, what
--- one run would have made. Beside a shard lies what its run counted, as JSON:
--- "part.ndc" and "part.ndc.json".
local json = require "dkjson"
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local kits = require "neuraldrummer.kits"
local check = require "neuraldrummer.options".check
local safe_text = require "neuraldrummer.safe_text"

---@class neuraldrummer.modules.shards
local shards = {}

local VERSION <const> = 1

--- Shards of one whole.
shards.MOST = 65536

-- Each with what it must be; in words, for messages, in the order in which they
-- are compared.
local SETTINGS <const> = {
  { "original", "boolean", "kind" }, { "kit", "string" }, { "steps_per_beat", "integer" },
  { "beat", "string" }, { "include_drums", "boolean" }, { "max_steps", "integer" },
  { "min_steps", "integer" }, { "limits", "string" }, { "valid_every", "integer" },
  { "kit_in", "string" },
}

-- Of what a kit map reads, so that two of one name can be told apart.
local function map_text(map)
  if not map then return "general-midi" end
  local parts = {}
  for pitch = 0, 127 do parts[#parts + 1] = tostring(map.reads[pitch]) end
  return ("%s %016x"):format(map.name, core.hash(table.concat(parts, " ")))
end

-- What larger files are left out by.
local function limits_text(options)
  return ("%s bytes, %s events, %s tracks"):format(options.max_bytes or "default",
    options.max_events or "default", options.max_tracks or "default")
end

-- Of a tokeniser's settings, which a corpus has as well.
local function grid_of(settings)
  return {
    original = settings.original, kit = settings.kit_text,
    steps_per_beat = settings.steps_per_beat, beat = settings.beat,
    include_drums = settings.include_drums, max_steps = settings.max_steps,
  }
end

--- What is said of a shard beside what it counts, and its part of the list.
---@param options neuraldrummer.preprocess_options
---@param tokeniser neuraldrummer.tokeniser
---@param map? neuraldrummer.kit_map
---@param n integer files of the whole list
---@param row fun(i: integer): string, string, string? path, name and split of each
---@return table shard
---@return integer first
---@return integer last
---@package
function shards.describe(options, tokeniser, map, n, row)
  local k, of = table.unpack(options.shard)
  local list = 0
  for i = 1, n do
    local _, name, split = row(i)
    list = core.hash(("%016x%s\0%s"):format(list, name, split or ""))
  end
  local settings = grid_of(tokeniser:settings())
  settings.min_steps, settings.limits = options.min_steps or 32, limits_text(options)
  -- a manifest says it of every file
  settings.valid_every = not options.manifest and (options.valid_every or 10) or -1
  settings.kit_in = map_text(map)
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

--- Says beside a shard, before it takes its place, that there is no summary of it
--- yet: one of an earlier run would pass for its own, should this one be killed.
---@param path string the shard's
---@return function? undo to be called where the shard does not take its place after all
---@return string? message
---@package
function shards.unfinished(path)
  local beside = path .. ".json"
  local old = files.read(beside)
  local ok, message = files.write(beside, '{"unfinished":true}\n')
  if not ok then return nil, message end
  return function()
    if old then files.write(beside, old) else os.remove(beside) end
  end
end

--- Leaves the summary beside a shard that is written.
---@param path string the shard's
---@param shard table as described
---@param tally table
---@return boolean? ok
---@return string? message
---@package
function shards.note(path, shard, tally)
  local bytes, message = size_of(path)
  if not bytes then return nil, message end
  local note = {}
  for key, value in pairs(shard) do note[key] = value end
  for key, value in pairs(tally) do note[key] = value end
  note.bytes, note.unknown = bytes, kits.sort_counts(tally.unknown)
  note.reasons = {}
  for i, each in ipairs(tally.reasons) do
    note.reasons[i] = { path = safe_text.line(each.path), message = safe_text.line(each.message) }
  end
  return files.write(path .. ".json", safe_text.json(note, { "version", "shard", "of", "list",
    "list_files", "bytes", "settings", "files", "kept", "valid", "steps", "left_out", "seconds",
    "hits", "pitch", "unknown", "skipped", "reasons", "path", "message" }))
end

--- A tally as users see it.
---@param tally table
---@param voices string[]
---@return neuraldrummer.preprocess_summary
---@package
function shards.summary(tally, voices)
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
    files = tally.files, kept = tally.kept, valid = tally.valid, skipped = tally.skipped,
    reasons = tally.reasons, left_out = tally.left_out, steps = tally.steps, voices = list,
    unknown = kits.sort_counts(tally.unknown), seconds = tally.seconds,
  }
end

-- Fields of a summary that was read, and what each must be.
local FIELDS <const> = {
  { "shard", "integer" }, { "of", "integer" }, { "list", "string" }, { "list_files", "integer" },
  { "bytes", "integer" }, { "settings", "table" }, { "files", "integer" }, { "kept", "integer" },
  { "valid", "integer" }, { "steps", "integer" }, { "left_out", "integer" },
  { "seconds", "number" }, { "hits", "table" }, { "unknown", "table" }, { "skipped", "table" },
  { "reasons", "table" },
}

-- Sums over all shards, and products with their number, are integers yet.
local function whole(x) return math.type(x) == "integer" and x >= 0 and x <= 1 << 46 end

-- The first of these fields that is not what it must be.
local function wrong_field(of, fields)
  for _, field in ipairs(fields) do
    local key, kind = field[1], field[2]
    local value = of[key]
    local right = type(value) == kind
    if kind == "integer" then right = whole(value) or key == "valid_every" and value == -1 end
    if not right then return key end
  end
end

-- Whether it is a list without holes, of what `fits`.
local function is_list(list, fits)
  local n = 0
  for _, value in pairs(list) do
    n = n + 1
    if list[n] == nil or not fits(value) then return false end
  end
  return true
end

local function is_counted(each)
  return type(each) == "table" and whole(each.pitch) and each.pitch < 128 and whole(each.hits)
end
local function is_reason(each)
  return type(each) == "table" and type(each.path) == "string" and type(each.message) == "string"
end

-- What in a summary cannot be, though the fields are of their kinds.
local function wrong_content(note)
  if note.shard < 1 or note.shard > note.of or note.of > shards.MOST then return "shard" end
  local wrong = wrong_field(note.settings, SETTINGS)
  if wrong then return "settings: " .. wrong end
  if note.files ~= note.shard * note.list_files // note.of
    - (note.shard - 1) * note.list_files // note.of then
    return "files"
  end
  if note.kept > note.files then return "kept" end
  if note.valid > note.kept then return "valid" end
  if note.seconds < 0 or note.seconds == math.huge then return "seconds" end
  if not is_list(note.hits, whole) then return "hits" end
  if not is_list(note.unknown, is_counted) then return "unknown" end
  if not is_list(note.reasons, is_reason) then return "reasons" end
  for reason, n in pairs(note.skipped) do
    if type(reason) ~= "string" or not whole(n) then return "skipped" end
  end
  -- what kit it is, and as many voices as were counted
  local known, tokeniser = pcall(nd.tokeniser, {
    preset = note.settings.original and "neuraldrummer2023" or "drummer",
    kit = note.settings.kit,
  })
  if not known then return "settings: kit" end
  if #tokeniser:voices() ~= #note.hits then return "hits" end
end

-- The summary beside a shard; nothing of it is taken on trust.
local function read_note(path)
  local beside = path .. ".json"
  local text, message = files.text(beside, 1 << 28)
  if not text then
    return nil, ("%s: no summary of a shard lies beside it (%s)"):format(path, message)
  end
  local function damaged(what)
    return nil, ("%s: is no summary of a shard: %s"):format(beside, what)
  end
  local read, note = pcall(json.decode, text)  -- it raises where it is too deep
  if not read or type(note) ~= "table" then return damaged "no JSON" end
  if note.unfinished then return damaged "the run did not come to its end" end
  if note.version ~= VERSION then return damaged "another version" end
  local wrong = wrong_field(note, FIELDS) or wrong_content(note)
  if wrong then return damaged(wrong) end
  local unknown = {}
  for _, each in ipairs(note.unknown) do
    unknown[each.pitch] = (unknown[each.pitch] or 0) + each.hits
  end
  local bytes, why = size_of(path)
  if not bytes then return nil, why end
  if bytes ~= note.bytes then
    return nil, ("%s: has %d bytes, and %d when it was written"):format(path, bytes, note.bytes)
  end
  note.unknown, note.path = unknown, path
  return note
end

-- Why two shards are not of one whole.
local function unlike(a, b)
  for _, pair in ipairs(SETTINGS) do
    local key, word = pair[1], pair[3] or pair[1]
    if a.settings[key] ~= b.settings[key] then
      return ("%s: is of another %s than %s"):format(b.path, word, a.path)
    end
  end
  if a.of ~= b.of then
    return ("%s: is shard %d of %d, and %s %d of %d"):format(b.path, b.shard, b.of, a.path,
      a.shard, a.of)
  end
  if a.list ~= b.list or a.list_files ~= b.list_files or a.left_out ~= b.left_out then
    return ("%s: is of another list of files than %s"):format(b.path, a.path)
  end
end

-- The shards' summaries in order, each there once.
local function gather(paths)
  local notes, by_number = {}, {}
  for i, path in ipairs(paths) do
    local note, message = read_note(path)
    if not note then return nil, message end
    local why = i > 1 and unlike(notes[1], note)
    if why then return nil, why end
    local other = by_number[note.shard]
    if other then
      return nil, ("%s and %s are both shard %d of %d"):format(other.path, path, note.shard,
        note.of)
    end
    notes[i], by_number[note.shard] = note, note
  end
  local missing = {}
  for k = 1, notes[1].of do
    if not by_number[k] then missing[#missing + 1] = tostring(k) end
  end
  if #missing > 20 then
    return nil, ("%d of %d shards are missing"):format(#missing, notes[1].of)
  elseif #missing > 0 then
    return nil, ("shard%s %s of %d %s missing"):format(#missing == 1 and "" or "s",
      table.concat(missing, ", "), notes[1].of, #missing == 1 and "is" or "are")
  end
  table.sort(notes, function(a, b) return a.shard < b.shard end)
  return notes
end

local function total_of(notes)
  local sum = { files = 0, kept = 0, valid = 0, steps = 0, left_out = notes[1].left_out,
    skipped = {}, reasons = {}, hits = {}, unknown = {}, seconds = 0 }
  for _, note in ipairs(notes) do
    for _, key in ipairs { "files", "kept", "valid", "steps", "seconds" } do
      sum[key] = sum[key] + note[key]
    end
    for _, key in ipairs { "skipped", "hits", "unknown" } do
      for k, n in pairs(note[key]) do sum[key][k] = (sum[key][k] or 0) + n end
    end
    table.move(note.reasons, 1, #note.reasons, #sum.reasons + 1, sum.reasons)
  end
  return sum
end

-- Songs that are copied between two looks at whether to go on.
local AT_ONCE <const> = 64

local function not_as_said(note)
  return nil, ("%s: is not what its summary says"):format(note.path)
end

local function append_corpus(writer, tokeniser, note, copied)
  local opened, message = core.open_corpus(note.path)
  if not opened then return nil, message end
  local corpus <close> = opened
  if corpus:tokeniser() ~= tokeniser or #corpus ~= note.kept then return not_as_said(note) end
  for key, value in pairs(grid_of(corpus:settings())) do
    if note.settings[key] ~= value then return not_as_said(note) end
  end
  for first = 1, #corpus, AT_ONCE do
    local last = math.min(#corpus, first + AT_ONCE - 1)
    local ok, why = writer:append(corpus, first, last)
    if ok then ok, why = copied(last - first + 1) end
    if not ok then return nil, why end
  end
  return true
end

local function append_text(writer, note, copied)
  local file <close>, message = files.open(note.path)
  if not file then return nil, message end
  local lines = 0
  while true do
    local bytes, why = file:read(1 << 20)
    if why then return nil, ("%s: %s"):format(note.path, why) end
    if not bytes then
      if lines ~= note.kept then return not_as_said(note) end
      return copied(note.kept)
    end
    -- a corpus is no text, whatever its summary says
    if bytes:find "[^%d,i.\n-]" then return not_as_said(note) end
    lines = lines + select(2, bytes:gsub("\n", ""))
    local ok
    ok, why = writer:write(bytes)
    if ok then ok, why = copied(0) end
    if not ok then return nil, why end
  end
end

---@class neuraldrummer.merge_options
---@field on_progress? fun(done: integer, total: integer): boolean? songs; false stops, and nothing
--- is written

--- Makes one corpus (or token text) of shards, in whatever order they are named:
--- the bytes, and the summary but for its seconds, are those of one run.
---@param paths string[]
---@param out string
---@param options? neuraldrummer.merge_options
---@return neuraldrummer.preprocess_summary? summary its seconds: of all shards' runs
---@return string? message
function shards.merge(paths, out, options)
  options = check(options, { on_progress = "function" })
  if type(paths) ~= "table" or #paths == 0 then error("a list of shards is needed", 2) end
  for _, path in ipairs(paths) do
    if files.same(path, out) then return nil, ("%s: is one of the shards"):format(out) end
  end
  local notes, message = gather(paths)
  if not notes then return nil, message end
  local total, original = total_of(notes), notes[1].settings.original
  if total.kept == 0 then return nil, ("no song to keep in %d files"):format(total.files) end

  local tokeniser, opened
  if original then
    tokeniser = nd.tokeniser { preset = "neuraldrummer2023", kit = notes[1].settings.kit }
    opened, message = files.create(out)
  else
    local first
    first, message = core.open_corpus(notes[1].path)
    if not first then return nil, message end
    tokeniser = first:tokeniser()
    first:close()
    opened, message = core.create_corpus(out, tokeniser)
  end
  if not opened then return nil, message end
  local writer <close> = opened

  local done, on_progress = 0, options.on_progress or function() end
  local function copied(songs)
    done = done + songs
    if on_progress(done, total.kept) ~= false then return true end
    return nil, ("stopped after %d of %d songs; %s is not written"):format(done, total.kept, out)
  end
  for _, note in ipairs(notes) do
    local ok
    if original then
      ok, message = append_text(writer, note, copied)
    else
      ok, message = append_corpus(writer, tokeniser, note, copied)
    end
    if not ok then return nil, message end
  end
  local summary = shards.summary(total, tokeniser:voices())
  local ok
  ok, message = writer:finish()
  if not ok then return nil, message end
  return summary
end

return shards
