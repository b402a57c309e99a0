--- A folder of MIDI files to a corpus: one pass, each file read, laid on the
--- grid and added, or skipped with its reason. The work is done on as many
--- threads as are asked for; or in shards, anywhere, that are merged afterwards.
local lfs = require "lfs"
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local csv = require "neuraldrummer.csv"
local files = require "neuraldrummer.files"
local kits = require "neuraldrummer.kits"
local option = require "neuraldrummer.options"
local shards = require "neuraldrummer.shards"

---@class neuraldrummer.modules.preprocess
local preprocess = {}

---@class neuraldrummer.preprocess_options
---@field original? boolean token text (saved.txt) as the 2023 system writes it
---@field kit? string|table of the tokeniser, default "gm9" ("basic6" for original)
---@field kit_in? string|neuraldrummer.kit_map whose pitches the songs' drums have; default: General
--- MIDI's
---@field steps_per_beat? integer
---@field include_drums? boolean
---@field min_steps? integer songs must be longer than this (default 32)
---@field manifest? string a CSV file with columns `file` (below the manifest's folder) and `split`
---@field where? table<string, string> columns of the manifest and the values wanted there
---@field valid_every? integer without a manifest: one song in so many is for validation (default
--- 10; 0: none), chosen by its content
---@field max_bytes? integer larger files are skipped (default 256 MiB)
---@field max_events? integer ... with more events (default 8,000,000)
---@field max_tracks? integer ... with more tracks (default 4,096)
---@field max_steps? integer ... with more steps (default 2^20)
---@field threads? integer 1 to 64, default 1: what is written is the same
---@field shard? {[1]: integer, [2]: integer} {k, n}: of the sorted files the k-th of n parts alone
--- (65,536 at most), with a summary beside it (`out` .. ".json"), for shards.merge; a shard may
--- have no songs
---@field reasons? boolean whether the summary lists every skipped file (default true)
---@field on_progress? fun(done: integer, total: integer, kept: integer, skipped: integer):
--- boolean? false stops, and nothing is written

local KNOWN = {
  original = "boolean", kit = "string|table", kit_in = "string|table",
  steps_per_beat = "integer",
  include_drums = "boolean", min_steps = "integer", manifest = "string", where = "table",
  valid_every = "integer", threads = "integer", shard = "table", reasons = "boolean",
  on_progress = "function",
}
option.with_limits(KNOWN)

---@class neuraldrummer.preprocess_summary
---@field files integer looked at
---@field kept integer
---@field valid integer of these, for validation
---@field skipped table<string, integer> how many for each reason
---@field reasons {path: string, message: string}[] every skipped file
---@field left_out integer rows of the manifest that `where` does not want
---@field steps integer
---@field voices {name: string, hits: integer, rate: number, weight: number}[] rate: hits a step;
--- weight: mean rate of all voices over this one's, the balanced class weight
---@field unknown neuraldrummer.pitch_count[] of kept songs: drum notes that are no voice's, the
--- commonest first, with `hits` of all
---@field seconds number

-- "x at byte 17" and "x at byte 4" are the same reason, as are too many bytes and more of them.
local function reason_of(message)
  message = message:gsub("^%d+ bytes, over", "bytes over")
  if not message:find " at byte %d" then return message end
  return (message:gsub(" at byte %d+", ""):gsub("%d+", "N"))
end

-- An absolute path without "." and "..", to tell whether one lies in another.
local function plain(path)
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

-- The files to be read, in their order: nothing but a string for each, since
-- there may be millions. `row(i)`: path, name in the corpus, split where it is
-- known.

-- The manifest's files below `folder`.
local function from_manifest(folder, options)
  local manifest, where = options.manifest, options.where or {}
  local text, message = files.read(manifest)
  if not text then return nil, message end
  local columns, next_row = csv.rows(text)
  if not columns then return nil, ("%s: %s"):format(manifest, next_row) end
  local has = {}
  for _, name in ipairs(columns) do has[name] = true end
  for name in pairs(where) do
    if not has[name] then return nil, ("%s: no column '%s'"):format(manifest, name) end
  end
  for _, name in ipairs { "file", "split" } do
    if not has[name] then return nil, ("%s: no column '%s'"):format(manifest, name) end
  end

  local root, base = plain(folder), plain(files.folder(manifest) .. ".")
  if root ~= "/" then root = root .. "/" end
  local list, left_out = {}, 0
  while true do
    local row
    row, message = next_row()
    if message then return nil, ("%s: %s"):format(manifest, message) end
    if not row then break end
    local path = plain(base .. "/" .. row.file)
    if path:sub(1, #root) == root then
      local wanted = true
      for name, value in pairs(where) do wanted = wanted and row[name] == tostring(value) end
      if wanted then
        list[#list + 1] = ("%s\0%s\0%s"):format(path, row.file, row.split)
      else
        left_out = left_out + 1
      end
    end
  end
  files.sort(list)
  return list, left_out, function(i) return list[i]:match "^(%Z*)%z(%Z*)%z(%Z*)$" end
end

local function from_folder(folder)
  local list, message = files.walk(folder, { "mid", "midi", "kar" })
  if not list then return nil, message end
  local start = #folder:gsub("(.)/+$", "%1") + 2
  return list, 0, function(i) return list[i], list[i]:sub(start) end
end

-- Where the songs go: a corpus, or a text of token lines.
local function open_output(out, tokeniser, original)
  if not original then return core.create_corpus(out, tokeniser) end
  return files.create(out)
end

-- Files a call of core.ingest, for each of its threads: some hundredths of a
-- second, in which nobody can interrupt it.
local AT_ONCE <const> = 24

local function check_numbers(options)
  local shard = options.shard
  local function whole(n) return math.type(n) == "integer" end
  if shard and not (whole(shard[1]) and whole(shard[2]) and shard[1] >= 1
    and shard[1] <= shard[2] and shard[2] <= shards.MOST) then
    error(("option 'shard': {k, n} is needed, the k-th of n, of %d at most"):format(shards.MOST), 3)
  end
  for name, range in pairs { threads = { 1, 64 }, min_steps = { 0, 0x7fffffff },
    valid_every = { 0, 0x7fffffff } } do
    local n = options[name]
    if n and (n < range[1] or n > range[2]) then
      error(("option '%s': %d is not in %d..%d"):format(name, n, range[1], range[2]), 3)
    end
  end
end

-- What is counted, of a whole list of files or of a shard.
local function new_tally(n_files, left_out, n_voices)
  local tally = { files = n_files, kept = 0, valid = 0, steps = 0, left_out = left_out,
    skipped = {}, reasons = {}, hits = {}, unknown = {}, seconds = 0 }
  for i = 1, n_voices do tally.hits[i] = 0 end
  return tally
end

local function skip(tally, path, message, listed)
  local reason = reason_of(message)
  tally.skipped[reason] = (tally.skipped[reason] or 0) + 1
  if listed then table.insert(tally.reasons, { path = path, message = message }) end
end

local function add(tally, result, original)
  for v, hits in ipairs(result.hits) do tally.hits[v] = tally.hits[v] + hits end
  for pitch, hits in pairs(result.unknown) do
    tally.unknown[pitch] = (tally.unknown[pitch] or 0) + hits
  end
  tally.kept, tally.steps = tally.kept + 1, tally.steps + result.steps
  -- token text has no place for the split
  if result.split == "valid" and not original then tally.valid = tally.valid + 1 end
end

--- Writes `out` when all is done; a run that is killed leaves nothing there.
---@param folder string
---@param out string a corpus (.ndc), or token text when `options.original`
---@param options? neuraldrummer.preprocess_options
---@return neuraldrummer.preprocess_summary? summary
---@return string? message
---@return {skipped: table<string, integer>, reasons: {path: string, message: string}[]}? why where
--- all files were skipped
function preprocess.run(folder, out, options)
  options = option.check(options, KNOWN)
  if options.where and not options.manifest then
    error("option 'where' needs option 'manifest'", 2)
  end
  check_numbers(options)
  local started = core.clock()
  local original, listed = options.original or false, options.reasons ~= false
  local tokeniser = nd.tokeniser {
    preset = original and "neuraldrummer2023" or "drummer",
    kit = options.kit, steps_per_beat = options.steps_per_beat,
    include_drums = options.include_drums, max_steps = options.max_steps,
  }
  local map, why_not = kits.open(options.kit_in)
  if why_not then return nil, why_not end

  local list, left_out, row
  if options.manifest then
    list, left_out, row = from_manifest(folder, options)
  else
    list, left_out, row = from_folder(folder)
  end
  if not list then return nil, left_out end
  local first, last, shard = 1, #list, nil
  if options.shard then
    shard, first, last = shards.describe(options, tokeniser, map, #list, row)
  end

  local opened, message = open_output(out, tokeniser, original)
  if not opened then return nil, message end
  local writer <close> = opened

  local total = last - first + 1
  local tally = new_tally(total, left_out, #tokeniser:voices())
  local on_progress = options.on_progress or function() end
  local ingest = {
    tokeniser = tokeniser, into = not original and writer or nil,
    pitches = map and map.reads, min_steps = options.min_steps or 32,
    valid_every = options.valid_every or 10, threads = options.threads or 1,
    max_bytes = options.max_bytes, max_events = options.max_events,
    max_tracks = options.max_tracks,
  }
  local done, size = 0, AT_ONCE * ingest.threads
  for from = first, last, size do
    local batch, paths, wrong = {}, {}, {}
    for i = from, math.min(last, from + size - 1) do
      local path, name, split = row(i)
      paths[#paths + 1] = path
      if split == nil or split == "train" or split == "valid" then
        batch[#batch + 1] = { path = path, name = name, split = split }
      else
        wrong[#paths] = ("split '%s' is neither train nor valid"):format(split)
      end
    end
    local results, why = core.ingest(batch, ingest)
    if not results then return nil, why end
    local at = 0
    for i, path in ipairs(paths) do
      if wrong[i] then
        skip(tally, path, wrong[i], listed)
      else
        at = at + 1
        local result = results[at]
        if result.message then
          skip(tally, path, result.message, listed)
        else
          add(tally, result, original)
          local ok = true
          if original then ok, why = writer:write(result.tokens, "\n") end
          if not ok then return nil, why end
        end
      end
      done = done + 1
      if on_progress(done, total, tally.kept, done - tally.kept) == false then
        return nil, ("stopped after %d of %d files; %s is not written"):format(done, total, out)
      end
    end
  end
  if tally.kept == 0 and not shard then
    return nil, ("%s: no song to keep in %d files"):format(folder, #list),
      next(tally.skipped) and tally or nil
  end
  local ok, undo
  if shard then
    undo, message = shards.unfinished(out)
    if not undo then return nil, message end
  end
  ok, message = writer:finish()
  if not ok then
    if undo then undo() end
    return nil, message
  end
  tally.seconds = core.clock() - started
  if shard then
    ok, message = shards.note(out, shard, tally)
    if not ok then return nil, message end
  end
  return shards.summary(tally, tokeniser:voices())
end

return preprocess
