--- Merges shards. A shard is a corpus (or token text) made by `preprocess` from one part
--- of a list of files, on any machine; the merged file is, byte for byte, the one that a
--- single run over the whole list would have written.
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local check = require "neuraldrummer.options".check
local summary = require "neuraldrummer.shards.summary"

---@class neuraldrummer.modules.shards
local shards = {}

-- Songs copied between two calls of on_progress.
local SONGS_AT_ONCE <const> = 64

-- Shards that are missing, as a message; nil if none is.
local function missing_shards(by_number, n)
  local missing = {}
  for k = 1, n do
    if not by_number[k] then missing[#missing + 1] = tostring(k) end
  end
  if #missing == 0 then return nil end
  if #missing > 20 then return ("%d of %d shards are missing"):format(#missing, n) end
  return ("shard%s %s of %d %s missing"):format(#missing == 1 and "" or "s",
    table.concat(missing, ", "), n, #missing == 1 and "is" or "are")
end

-- Reads the summaries of all shards, sorted by number. Each number must occur once.
local function read_summaries(paths)
  local list, by_number = {}, {}
  for i, path in ipairs(paths) do
    local shard, message = summary.read(path)
    if not shard then return nil, message end
    local why = i > 1 and summary.mismatch(list[1], shard)
    if why then return nil, why end
    local other = by_number[shard.shard]
    if other then
      return nil, ("%s and %s are both shard %d of %d"):format(other.path, path, shard.shard,
        shard.of)
    end
    list[i], by_number[shard.shard] = shard, shard
  end
  local message = missing_shards(by_number, list[1].of)
  if message then return nil, message end
  table.sort(list, function(a, b) return a.shard < b.shard end)
  return list
end

local function differs_from_summary(shard)
  return nil, ("%s: does not match its summary"):format(shard.path)
end

-- Appends a shard's songs to a corpus. `copied(n)` reports progress; false stops.
local function append_corpus(writer, tokeniser, shard, copied)
  local opened, message = core.open_corpus(shard.path)
  if not opened then return nil, message end
  local corpus <close> = opened
  if corpus:tokeniser() ~= tokeniser or #corpus ~= shard.accepted then
    return differs_from_summary(shard)
  end
  for key, value in pairs(summary.grid_settings(corpus:settings())) do
    if shard.settings[key] ~= value then return differs_from_summary(shard) end
  end
  for first = 1, #corpus, SONGS_AT_ONCE do
    local last = math.min(#corpus, first + SONGS_AT_ONCE - 1)
    local ok, why = writer:append(corpus, first, last)
    if ok then ok, why = copied(last - first + 1) end
    if not ok then return nil, why end
  end
  return true
end

-- Appends a shard's lines of token text.
local function append_text(writer, shard, copied)
  local file <close>, message = files.open(shard.path)
  if not file then return nil, message end
  local lines = 0
  while true do
    local bytes, why = file:read(1 << 20)
    if why then return nil, ("%s: %s"):format(shard.path, why) end
    if not bytes then
      if lines ~= shard.accepted then return differs_from_summary(shard) end
      return copied(shard.accepted)
    end
    -- characters of no token: the file is a corpus, whatever its summary says
    if bytes:find "[^%d,i.\n-]" then return differs_from_summary(shard) end
    lines = lines + select(2, bytes:gsub("\n", ""))
    local ok
    ok, why = writer:write(bytes)
    if ok then ok, why = copied(0) end
    if not ok then return nil, why end
  end
end

-- Opens the output: a writer, and the tokeniser of the shards.
local function open_output(list, out)
  local settings = list[1].settings
  if settings.original then
    local writer, message = files.create(out)
    if not writer then return nil, message end
    return writer, nd.tokeniser { preset = "neuraldrummer2023", kit = settings.kit }
  end
  local first, message = core.open_corpus(list[1].path)
  if not first then return nil, message end
  local tokeniser = first:tokeniser()
  first:close()
  local writer
  writer, message = core.create_corpus(out, tokeniser)
  if not writer then return nil, message end
  return writer, tokeniser
end

---@class neuraldrummer.merge_options
---@field on_progress? fun(done: integer, total: integer): boolean? called with the number of
--- songs; return false to stop, and then no file is written

--- Merges shards, given in any order, into one corpus (or token text). The file and the
--- summary equal those of a single run, except for `seconds`.
---@param paths string[] of the shards
---@param out string path of the merged file; not one of the shards
---@param options? neuraldrummer.merge_options
---@return neuraldrummer.preprocess_summary? summary its `seconds` are the sum over the shards
---@return string? message when a shard is missing, damaged or does not belong to the others
function shards.merge(paths, out, options)
  options = check(options, { on_progress = "function" })
  if type(paths) ~= "table" or #paths == 0 then error("a list of shards is needed", 2) end
  for _, path in ipairs(paths) do
    if files.same(path, out) then
      return nil, ("%s: is one of the shards; choose another output file"):format(out)
    end
  end
  local list, message = read_summaries(paths)
  if not list then return nil, message end
  local tally = summary.total(list)
  if tally.accepted == 0 then return nil, ("no usable song in %d files"):format(tally.files) end

  local opened, tokeniser = open_output(list, out)
  if not opened then return nil, tokeniser end
  local writer <close> = opened
  local done, on_progress = 0, options.on_progress or function() end
  local function copied(songs)
    done = done + songs
    if on_progress(done, tally.accepted) ~= false then return true end
    return nil, ("stopped after %d of %d songs; %s was not written"):format(done, tally.accepted,
      out)
  end
  for _, shard in ipairs(list) do
    local ok
    if shard.settings.original then
      ok, message = append_text(writer, shard, copied)
    else
      ok, message = append_corpus(writer, tokeniser, shard, copied)
    end
    if not ok then return nil, message end
  end
  local merged = summary.public(tally, tokeniser:voices())
  local ok
  ok, message = writer:finish()
  if not ok then return nil, message end
  return merged
end

return shards
