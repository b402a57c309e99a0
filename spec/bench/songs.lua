--- songs.lua - a corpus of the songs that come with the examples, over and over.
local nd = require "neuraldrummer"

local songs = {}

---@param path string
---@return integer bytes
function songs.size(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:seek "end"
end

--- Writes it to `path`, of `bytes` at least.
---@param path string
---@param preset string whose grid it has
---@param bytes number
function songs.corpus(path, preset, bytes)
  local tok, sequences = nd.tokeniser { preset = preset }, {}
  local all = dofile "examples/songs/all.lua"
  for i, name in ipairs(all.names) do
    sequences[i] = assert(tok:encode(assert(nd.song.parse(all.load(name):bytes()))))
  end
  local writer = assert(nd.corpus.create(path, tok))
  repeat
    for _, seq in ipairs(sequences) do assert(writer:add(seq)) end
  until songs.size(path .. ".nd-part") >= bytes  -- what it is written to
  assert(writer:finish())
end

return songs
