--- Builds a corpus from a folder of MIDI files. Each file is read, encoded on the step
--- grid and added to the corpus, or skipped with a reason. The result does not depend on
--- the number of threads; `shard` builds one part of it, for `shards.merge`.
local lfs = require "lfs"
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local csv = require "neuraldrummer.csv"
local files = require "neuraldrummer.files"
local kits = require "neuraldrummer.kits"
local option = require "neuraldrummer.options"
local shard_summary = require "neuraldrummer.shards.summary"

---@class neuraldrummer.modules.preprocess
local preprocess = {}

---@class neuraldrummer.preprocess_options
---@field original? boolean write token text, as the 2023 system does (saved.txt)
---@field kit? string|table kit of the tokeniser (default "gm9"; "basic6" for original)
---@field kit_in? string|neuraldrummer.kit_map kit map of the songs' drums (default: General MIDI)
---@field steps_per_beat? integer
---@field include_drums? boolean count the song's drums in its intensity
---@field min_steps? integer skip songs of this many steps or fewer (default 32)
---@field manifest? string a CSV file with the columns `file` (path, relative to the manifest's
--- folder) and `split`
---@field where? table<string, string> take only the rows of the manifest with these values, by
--- column
---@field valid_every? integer without a manifest, one song in this many is for validation, chosen
--- by a hash of its content (default 10; 0: none)
---@field max_bytes? integer skip files with more bytes (default 256 MiB)
---@field max_events? integer skip files with more events (default 8,000,000)
---@field max_tracks? integer skip files with more tracks (default 4,096)
---@field max_steps? integer skip songs with more steps (default 2^20)
---@field threads? integer 1 to 64 (default 1); the result is the same
---@field shard? {[1]: integer, [2]: integer} {k, n}: take only the k-th of n parts of the sorted
--- files (n at most 65,536), and write a summary to `out` .. ".json" for shards.merge; a shard
--- may be empty
---@field reasons? boolean list every skipped file in the summary (default true)
---@field on_progress? fun(done: integer, total: integer, accepted: integer, skipped: integer):
--- boolean? called after each file; return false to stop, and then no file is written

local KNOWN = {
  original = "boolean", kit = "string|table", kit_in = "string|table",
  steps_per_beat = "integer",
  include_drums = "boolean", min_steps = "integer", manifest = "string", where = "table",
  valid_every = "integer", threads = "integer", shard = "table", reasons = "boolean",
  on_progress = "function",
}
option.with_limits(KNOWN)

---@class neuraldrummer.preprocess_summary
---@field files integer files looked at
---@field accepted integer songs in the corpus
---@field valid integer of these, for validation
---@field skipped table<string, integer> number of skipped files by reason
---@field reasons {path: string, message: string}[] every skipped file
---@field left_out integer rows of the manifest that `where` excludes
---@field steps integer grid steps of all songs
---@field voices {name: string, hits: integer, rate: number, weight: number}[] rate: hits per step;
--- weight: balanced class weight, the mean rate of all voices divided by this voice's rate
---@field unknown neuraldrummer.pitch_count[] drum notes of accepted songs that no voice stands
--- for, by pitch, most frequent first; its field `hits` is their number
---@field seconds number

-- Errors that differ only in numbers count as one reason: "x at byte 17" and "x at byte 4",
-- or two files over the limit of bytes.
local function reason_of(message)
  message = message:gsub("^%d+ bytes, over", "bytes over")
  if not message:find " at byte %d" then return message end
  return (message:gsub(" at byte %d+", ""):gsub("%d+", "N"))
end

-- An absolute path without "." and "..", so that a prefix tells whether one path lies in
-- another.
local function normalise(path)
  if path:sub(1, 1) ~= "/" then path = lfs.currentdir() .. "/" .. path end
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return "/" .. table.concat(parts, "/")
end

-- Lists of input files -------------------------------------------------------
-- A list holds one string per file, because there may be millions of files. Both functions
-- return the list, the number of rows left out, and `row(i)`, which gives the path, the name
-- in the corpus and, with a manifest, the split; or nil and a message.

-- Opens a manifest: an iterator over its rows, or nil and a message.
local function open_manifest(path, where)
  local text, message = files.read(path)
  if not text then return nil, message end
  local columns, next_row = csv.rows(text)
  if not columns then return nil, ("%s: %s"):format(path, next_row) end
  local has = {}
  for _, name in ipairs(columns) do has[name] = true end
  for name in pairs(where) do
    if not has[name] then return nil, ("%s: no column '%s'"):format(path, name) end
  end
  for _, name in ipairs { "file", "split" } do
    if not has[name] then return nil, ("%s: no column '%s'"):format(path, name) end
  end
  return next_row
end

local function matches(row, where)
  for name, value in pairs(where) do
    if row[name] ~= tostring(value) then return false end
  end
  return true
end

-- The files of a manifest that lie in `folder`.
local function list_manifest(folder, options)
  local manifest, where = options.manifest, options.where or {}
  local next_row, message = open_manifest(manifest, where)
  if not next_row then return nil, message end
  local root, base = normalise(folder), normalise(files.folder(manifest) .. ".")
  if root ~= "/" then root = root .. "/" end
  local list, left_out = {}, 0
  while true do
    local row
    row, message = next_row()
    if message then return nil, ("%s: %s"):format(manifest, message) end
    if not row then break end
    local path = normalise(base .. "/" .. row.file)
    if path:sub(1, #root) == root then
      if matches(row, where) then
        list[#list + 1] = ("%s\0%s\0%s"):format(path, row.file, row.split)
      else
        left_out = left_out + 1
      end
    end
  end
  files.sort(list)
  return list, left_out, function(i) return list[i]:match "^(%Z*)%z(%Z*)%z(%Z*)$" end
end

-- All MIDI files in `folder` and its subfolders.
local function list_folder(folder)
  local list, message = files.walk(folder, { "mid", "midi", "kar" })
  if not list then return nil, message end
  local start = #folder:gsub("(.)/+$", "%1") + 2
  return list, 0, function(i) return list[i], list[i]:sub(start) end
end

-- The work --------------------------------------------------------------------

-- Files per thread in one call of core.ingest: some hundredths of a second, during which
-- the work cannot be interrupted.
local FILES_AT_ONCE <const> = 24

local function check_ranges(options)
  local shard, max = options.shard, shard_summary.MAX_SHARDS
  local function is_integer(n) return math.type(n) == "integer" end
  if shard and not (is_integer(shard[1]) and is_integer(shard[2]) and shard[1] >= 1
    and shard[1] <= shard[2] and shard[2] <= max) then
    error(("option 'shard': must be {k, n} with k in 1..n and n in 1..%d"):format(max), 3)
  end
  for name, range in pairs { threads = { 1, 64 }, min_steps = { 0, 0x7fffffff },
    valid_every = { 0, 0x7fffffff } } do
    local n = options[name]
    if n and (n < range[1] or n > range[2]) then
      error(("option '%s': %d is not in %d..%d"):format(name, n, range[1], range[2]), 3)
    end
  end
end

-- Counts a skipped file, and lists it if asked to.
local function count_skipped(run, path, message)
  local tally, reason = run.tally, reason_of(message)
  tally.skipped[reason] = (tally.skipped[reason] or 0) + 1
  if run.listed then table.insert(tally.reasons, { path = path, message = message }) end
end

-- Counts an accepted song. Token text does not store the split, so it has no `valid`.
local function count_accepted(run, result)
  local tally = run.tally
  for v, hits in ipairs(result.hits) do tally.hits[v] = tally.hits[v] + hits end
  for pitch, hits in pairs(result.unknown) do
    tally.unknown[pitch] = (tally.unknown[pitch] or 0) + hits
  end
  tally.accepted, tally.steps = tally.accepted + 1, tally.steps + result.steps
  if result.split == "valid" and not run.original then tally.valid = tally.valid + 1 end
end

-- What core.ingest needs, apart from the files.
local function ingest_options(options, tokeniser, map)
  return {
    tokeniser = tokeniser, pitches = map and map.reads,
    min_steps = options.min_steps or 32, valid_every = options.valid_every or 10,
    threads = options.threads or 1, max_bytes = options.max_bytes,
    max_events = options.max_events, max_tracks = options.max_tracks,
  }
end

-- Finds the input and loads what is needed, before any file is written: the state of a run.
local function prepare(folder, out, options)
  local original = options.original or false
  local tokeniser = nd.tokeniser {
    preset = original and "neuraldrummer2023" or "drummer",
    kit = options.kit, steps_per_beat = options.steps_per_beat,
    include_drums = options.include_drums, max_steps = options.max_steps,
  }
  local map, message = kits.open(options.kit_in)
  if message then return nil, message end
  local list, left_out, row
  if options.manifest then
    list, left_out, row = list_manifest(folder, options)
  else
    list, left_out, row = list_folder(folder)
  end
  if not list then return nil, left_out end
  local run = { out = out, original = original, tokeniser = tokeniser, row = row, first = 1,
    last = #list, listed = options.reasons ~= false,
    on_progress = options.on_progress or function() end,
    ingest = ingest_options(options, tokeniser, map) }
  if options.shard then
    run.shard, run.first, run.last = shard_summary.describe(options, tokeniser, map, #list, row)
  end
  run.total = run.last - run.first + 1
  run.tally = shard_summary.tally(run.total, left_out, #tokeniser:voices())
  return run
end

-- Files `from` to `to` as core.ingest takes them; all paths; and for each of those with an
-- unknown split, by its place among the paths, a message.
local function make_batch(run, from, to)
  local batch, paths, refused = {}, {}, {}
  for i = from, to do
    local path, name, split = run.row(i)
    paths[#paths + 1] = path
    if split == nil or split == "train" or split == "valid" then
      batch[#batch + 1] = { path = path, name = name, split = split }
    else
      refused[#paths] = ("split '%s' is neither train nor valid"):format(split)
    end
  end
  return batch, paths, refused
end

-- Reads files `from` to `to`: adds them to the output and the tally.
local function ingest_batch(run, from, to)
  local batch, paths, refused = make_batch(run, from, to)
  local results, why = core.ingest(batch, run.ingest)
  if not results then return nil, why end
  local tally, at = run.tally, 0
  for i, path in ipairs(paths) do
    local result
    if not refused[i] then
      at = at + 1
      result = results[at]
    end
    local message = refused[i] or result.message
    if message then
      count_skipped(run, path, message)
    else
      count_accepted(run, result)
      local ok = true
      if run.original then ok, why = run.writer:write(result.tokens, "\n") end
      if not ok then return nil, why end
    end
    local done = from - run.first + i
    if run.on_progress(done, run.total, tally.accepted, done - tally.accepted) == false then
      return nil, ("stopped after %d of %d files; %s was not written"):format(done, run.total,
        run.out)
    end
  end
  return true
end

local function ingest_all(run)
  local size = FILES_AT_ONCE * run.ingest.threads
  for from = run.first, run.last, size do
    local ok, message = ingest_batch(run, from, math.min(run.last, from + size - 1))
    if not ok then return nil, message end
  end
  return true
end

-- Renames the output into place, a shard's between two states of its summary.
local function finish(run, started)
  local undo, ok, message
  if run.shard then
    undo, message = shard_summary.mark_unfinished(run.out)
    if not undo then return nil, message end
  end
  ok, message = run.writer:finish()
  if not ok then
    if undo then undo() end
    return nil, message
  end
  run.tally.seconds = core.clock() - started
  if run.shard then return shard_summary.write(run.out, run.shard, run.tally) end
  return true
end

--- Builds a corpus, or token text. The file is written under a temporary name and renamed
--- at the end, so a run that fails or is killed leaves nothing at `out`.
---@param folder string
---@param out string path of the corpus (.ndc), or of the text with `options.original`
---@param options? neuraldrummer.preprocess_options
---@return neuraldrummer.preprocess_summary? summary
---@return string? message
---@return {skipped: table<string, integer>, reasons: {path: string, message: string}[]}? skipped
--- where every file was skipped: why
function preprocess.run(folder, out, options)
  options = option.check(options, KNOWN)
  if options.where and not options.manifest then
    error("option 'where' needs option 'manifest'", 2)
  end
  check_ranges(options)
  local started = core.clock()
  local run, message = prepare(folder, out, options)
  if not run then return nil, message end
  local opened
  if run.original then
    opened, message = files.create(out)
  else
    opened, message = core.create_corpus(out, run.tokeniser)
  end
  if not opened then return nil, message end
  local writer <close> = opened
  run.writer, run.ingest.into = writer, not run.original and writer or nil

  local ok
  ok, message = ingest_all(run)
  if not ok then return nil, message end
  local tally = run.tally
  if tally.accepted == 0 and not run.shard then
    return nil, ("%s: no usable song in %d files"):format(folder, run.total),
      next(tally.skipped) and tally or nil
  end
  ok, message = finish(run, started)
  if not ok then return nil, message end
  return shard_summary.public(tally, run.tokeniser:voices())
end

return preprocess
