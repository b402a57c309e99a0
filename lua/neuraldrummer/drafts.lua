--- Drafts: several takes of a song, one seed after another, of which the one that
--- fits the song best is written (score.rank says what that means).
local files = require "neuraldrummer.files"
local pipeline = require "neuraldrummer.pipeline"
local score = require "neuraldrummer.score"

local drafts = {}

local SIDE_BY_SIDE <const> = 8    -- drafts that are played and ranked in one go

---@class neuraldrummer.draft
---@field seed integer
---@field hits integer
---@field rank? number bits a hit, by score.rank; nil if it could not be ranked
---@field style? {index: integer, name: string}
---@field out? string path that it was written to

-- A copy of the options with another seed and output.
local function with_seed(o, seed, out)
  local copy = {}
  for name, value in pairs(o) do copy[name] = value end
  copy.seed, copy.out = seed, out
  return copy
end

--- The path of a draft when all are written.
---@param o table options
---@param seed integer
---@return string
local function path_of(o, seed) return files.infix(o.out, ".seed-" .. seed) end

--- Raises if writing all drafts would overwrite a file that is read.
---@param o table
---@param song string path
---@package
function drafts.check_paths(o, song)
  for k = 0, o.drafts - 1 do
    local draft = path_of(o, (o.seed or 1) + k)
    for _, input in ipairs { song, o.loop or song, o.prime or song, o.style_of or song } do
      if files.same(draft, input) then
        error(("option 'all_drafts': a draft would overwrite %s, which is an input; choose another "
          .. "output name"):format(draft), 0)
      end
    end
  end
end

-- Plays and ranks all drafts: the drafts, the takes by draft (all, or only the best
-- one), the best draft, and whether all have the same hits; nil and a message.
local function play_all(model, seq, o)
  local first, best, hits, identical = o.seed or 1, nil, nil, true
  local list, takes_by_draft = {}, {}
  while #list < o.drafts do
    local all, sequences = {}, {}
    for i = 1, math.min(SIDE_BY_SIDE, o.drafts - #list) do
      all[i] = with_seed(o, first + #list + i - 1)
    end
    local takes, message = pipeline.play(model, seq, all)
    if not takes then return nil, message end
    for i, take in ipairs(takes) do sequences[i] = take.drums end
    local ranks = score.rank(model, sequences, o.pause)
    for i, take in ipairs(takes) do
      local k = #list + 1
      list[k] = { seed = all[i].seed, rank = ranks[i] or nil, style = take.style,
        hits = select(2, pipeline.count(take.drums)) }
      takes_by_draft[k] = take
      hits = hits or take.drums:packed_hits()
      identical = identical and hits == take.drums:packed_hits()
      if not best or (list[k].rank or -math.huge) > (list[best].rank or -math.huge) then
        best = k
      end
      if not o.all_drafts then
        -- a take is as large as its song: only the best one so far stays in memory
        for other in pairs(takes_by_draft) do
          if other ~= best then takes_by_draft[other] = nil end
        end
      end
      if o.on_progress then o.on_progress(k, o.drafts) end
    end
  end
  return list, takes_by_draft, best, identical
end

--- Plays drafts and writes the one that fits the song best, of equal ones the first;
--- with `o.all_drafts` the others as well.
---@param model neuraldrummer.model
---@param song neuraldrummer.song
---@param seq neuraldrummer.sequence
---@param o table options with `drafts`
---@return neuraldrummer.generate_result? result
---@return string? message
---@package
function drafts.run(model, song, seq, o)
  local list, takes, best, identical = play_all(model, seq, o)
  if not list then return nil, takes end
  local function finish(k, out)
    return pipeline.finish(model, song, takes[k], with_seed(o, list[k].seed, out))
  end
  for k, draft in ipairs(o.all_drafts and list or {}) do
    draft.out = path_of(o, draft.seed)
    local ok, message = finish(k, draft.out)
    if not ok then return nil, message end
  end
  local result, message = finish(best, o.out)
  if not result then return nil, message end
  result.drafts, result.identical = list, #list > 1 and identical
  return result
end

return drafts
