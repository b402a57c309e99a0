--- A folder of MIDI files to a corpus: one pass, each file read, laid on the
--- grid and added, or skipped with its reason.
local lfs = require "lfs"
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local kits = require "neuraldrummer.kits"
local count = require "neuraldrummer.generate".count
local option = require "neuraldrummer.options"

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
---@field on_progress? fun(done: integer, total: integer, kept: integer, skipped: integer):
--- boolean? false stops, and nothing is written

local KNOWN = {
  original = "boolean", kit = "string|table", kit_in = "string|table",
  steps_per_beat = "integer",
  include_drums = "boolean", min_steps = "integer", manifest = "string", where = "table",
  valid_every = "integer", on_progress = "function",
}
for name, kind in pairs(option.LIMITS) do KNOWN[name] = kind end

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
---@field unknown neuraldrummer.unknown_pitch[] of kept songs: drum notes that are no voice's, the
--- commonest first, with `hits` of all
---@field seconds number

-- "file: x at byte 17" and "file: x at byte 4" are the same reason.
local function reason_of(message, path)
  if message:sub(1, #path + 2) == path .. ": " then message = message:sub(#path + 3) end
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

-- The manifest's files below `folder`: path, name and split of each.
local function from_manifest(folder, options)
  local manifest = options.manifest
  local text, rows, columns, message
  text, message = files.read(manifest)
  if not text then return nil, message end
  rows, columns = files.csv(text)
  if not rows then return nil, ("%s: %s"):format(manifest, columns) end
  local has = {}
  for _, name in ipairs(columns) do has[name] = true end
  for name in pairs(options.where or {}) do
    if not has[name] then return nil, ("%s: no column '%s'"):format(manifest, name) end
  end
  for _, name in ipairs { "file", "split" } do
    if not has[name] then return nil, ("%s: no column '%s'"):format(manifest, name) end
  end

  local root, base = plain(folder), plain(files.folder(manifest) .. ".")
  if root ~= "/" then root = root .. "/" end
  local list, left_out = {}, 0
  for _, row in ipairs(rows) do
    local path = plain(base .. "/" .. row.file)
    if path:sub(1, #root) == root then
      local wanted = true
      for name, value in pairs(options.where or {}) do
        wanted = wanted and row[name] == tostring(value)
      end
      if wanted then
        list[#list + 1] = { path = path, name = row.file, split = row.split }
      else
        left_out = left_out + 1
      end
    end
  end
  table.sort(list, function(a, b) return a.path < b.path end)
  return list, left_out
end

local function from_folder(folder)
  local paths, message = files.walk(folder, { "mid", "midi", "kar" })
  if not paths then return nil, message end
  local start = #folder:gsub("(.)/+$", "%1") + 2
  local list = {}
  for i, path in ipairs(paths) do list[i] = { path = path, name = path:sub(start) } end
  return list, 0
end

-- Where the songs go: a corpus, or a text of token lines.
local function open_output(out, tokeniser, original)
  if not original then return core.create_corpus(out, tokeniser) end
  local writer, message = files.create(out)
  if not writer then return nil, message end
  return setmetatable({
    add = function(_, seq) return writer:write(seq:tokens(), "\n") end,
    finish = function() return writer:finish() end,
  }, { __close = writer.abandon })
end

-- One file: a Sequence, its split and the pitches that nothing is known of, or
-- nil and the reason for which it is skipped.
local function read(file, tokeniser, options, map)
  local split = file.split
  if split and split ~= "train" and split ~= "valid" then
    return nil, ("split '%s' is neither train nor valid"):format(split)
  end
  local bytes, song, seq, message
  -- one more than the reader takes, which then says so of a larger one
  bytes, message = files.read(file.path, (options.max_bytes or 256 << 20) + 1)
  if not bytes then return nil, message end
  if not split then
    local every = options.valid_every or 10
    local chosen = every > 0 and (files.hash(bytes) >> 8) % every == 0
    split = chosen and "valid" or "train"
  end
  song, message = nd.song.parse(bytes, option.reading(options))
  if not song then return nil, message end
  if not song:drum_channel() then
    song:close()
    return nil, "no drums"
  end
  local heard, unknown
  if map then
    heard, unknown = kits.read(song, map)
  else
    heard, unknown = song, kits.unknown(song, tokeniser)
  end
  seq, message = tokeniser:encode(heard, file.name)
  song:close()
  heard:close()
  if not seq then return nil, message end
  local least = options.min_steps or 32
  if #seq <= least then
    seq:close()
    return nil, ("%d steps or fewer"):format(least)
  end
  return seq, split, unknown
end

--- Writes `out` when all is done; a run that is killed leaves nothing there.
---@param folder string
---@param out string a corpus (.ndc), or token text when `options.original`
---@param options? neuraldrummer.preprocess_options
---@return neuraldrummer.preprocess_summary? summary
---@return string? message
function preprocess.run(folder, out, options)
  options = option.check(options, KNOWN)
  if options.where and not options.manifest then
    error("option 'where' needs option 'manifest'", 2)
  end
  local started = core.clock()
  local original = options.original or false
  local tokeniser = nd.tokeniser {
    preset = original and "neuraldrummer2023" or "drummer",
    kit = options.kit, steps_per_beat = options.steps_per_beat,
    include_drums = options.include_drums, max_steps = options.max_steps,
  }
  if (options.max_bytes or 0) < 0 then error("option 'max_bytes': at least 0 is needed", 2) end
  local voices = tokeniser:voices()
  local map, why_not = kits.open(options.kit_in)
  if why_not then return nil, why_not end

  local list, left_out
  if options.manifest then
    list, left_out = from_manifest(folder, options)
  else
    list, left_out = from_folder(folder)
  end
  if not list then return nil, left_out end

  local opened, message = open_output(out, tokeniser, original)
  if not opened then return nil, message end
  local writer <close> = opened

  local summary = {
    files = #list, kept = 0, valid = 0, skipped = {}, reasons = {}, left_out = left_out,
    steps = 0, voices = {}, seconds = 0,
  }
  local counts, unknown = {}, {}
  for i = 1, #voices do counts[i] = 0 end
  local on_progress = options.on_progress or function() end

  for i, file in ipairs(list) do
    local seq, split, pitches = read(file, tokeniser, options, map)
    local skip = not seq and split
    if seq then
      local struck, hits = count(seq)
      for v, voice in ipairs(struck) do counts[v] = counts[v] + voice.hits end
      -- pitches outside the kit are in token text, so there they count as drums
      if hits == 0 and not original then
        skip = "no drums of the kit"
      else
        local ok, why = writer:add(seq, split)
        if not ok then return nil, why end
        summary.kept = summary.kept + 1
        for _, each in ipairs(pitches) do
          unknown[each.pitch] = (unknown[each.pitch] or 0) + each.hits
        end
        -- token text has no place for the split
        summary.valid = summary.valid + (split == "valid" and not original and 1 or 0)
        summary.steps = summary.steps + #seq
      end
      seq:close()
    end
    if skip then
      local reason = reason_of(skip, file.path)
      summary.skipped[reason] = (summary.skipped[reason] or 0) + 1
      table.insert(summary.reasons, { path = file.path, message = skip })
    end
    if on_progress(i, #list, summary.kept, i - summary.kept) == false then
      return nil, ("stopped after %d of %d files; %s is not written"):format(i, #list, out)
    end
  end
  if summary.kept == 0 then
    return nil, ("%s: no song to keep in %d files"):format(folder, #list)
  end
  local ok
  ok, message = writer:finish()
  if not ok then return nil, message end

  local sum = 0
  for _, n in ipairs(counts) do sum = sum + n end
  for i, name in ipairs(voices) do
    summary.voices[i] = {
      name = name, hits = counts[i], rate = counts[i] / summary.steps,
      weight = counts[i] > 0 and sum / #voices / counts[i] or math.huge,
    }
  end
  summary.unknown = kits.listed(unknown)
  summary.seconds = core.clock() - started
  return summary
end

return preprocess
