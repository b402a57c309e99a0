--- Neural Drummer: listens to a song as MIDI and plays drums to it.
---
---     local nd = require "neuraldrummer"
---     local song = assert(nd.song.load "song.mid")
---     local model = assert(nd.model.load(assert(nd.default_model())))
---     local seq = assert(model:tokeniser():encode(song))
---     local drums = nd.generator(model, { seed = 7 }):play(seq)
---     assert(song:with_drums(drums):save "combined.mid")
---
--- What the world does wrong is returned as `nil, message`; misuse raises.

-- Before any C module: one of another Lua's would crash rather than complain.
if _VERSION ~= "Lua 5.4" then
  error(("neuraldrummer needs Lua 5.4, and this is %s"):format(_VERSION), 2)
end

local _, here = ...
local core = require "neuraldrummer.core"

---@class neuraldrummer
---@field version string
local nd = {
  version = core.version,
  tokeniser = core.tokeniser,
  generator = core.generator,
  corpus = { create = core.create_corpus, open = core.open_corpus },
  model = { new = core.model, load = core.load_model },
  song = { new = core.song },
}

-- Why a module of ours did not load: the dynamic linker's words, or the module's
-- own; nil where there is none.
local function reason(why)
  why = tostring(why)
  if why:find "^module '[^']*' not found" then return nil end
  return why:match "error loading module [^\n]*\n%s*([^\n]+)" or why:match "[^\n]*"
end

-- libsmf and glib come with a module of their own, loaded only when a MIDI
-- file is read: a host that hands over notes does without.
local function reader()
  local ok, smf = pcall(require, "neuraldrummer.smf")
  if ok then return smf end
  return nil, "MIDI files cannot be read, for want of libsmf or glib: " .. (reason(smf)
    or "the module neuraldrummer.smf is not installed beside neuraldrummer.core")
end

---@class neuraldrummer.song_options
---@field drum_channel? integer 1..16: where the drums are, if not on channel 10
---@field strict? boolean refuse where something would be lost

--- Reads a MIDI file.
---@param path string
---@param options? neuraldrummer.song_options
---@return neuraldrummer.song? song
---@return string? message
function nd.song.load(path, options)
  local smf, message = reader()
  if not smf then return nil, message end
  return smf.load(path, options)
end

--- The bytes of a MIDI file.
---@param bytes string
---@param options? neuraldrummer.song_options
---@return neuraldrummer.song? song
---@return string? message
function nd.song.parse(bytes, options)
  local smf, message = reader()
  if not smf then return nil, message end
  return smf.parse(bytes, options)
end

--- Joins the processes that mpirun started together, for a training that they
--- share; one that was started alone is a world of one. Once a process.
---@return neuraldrummer.world? world
---@return string? message
function nd.join()
  local ok, mpi = pcall(require, "neuraldrummer.mpi")
  if ok then return mpi.join() end
  return nil, "several processes cannot train together without the module neuraldrummer.mpi: "
    .. (reason(mpi)
      or "`make MPI=1` builds it, with Open MPI (packages openmpi-bin and libopenmpi-dev)")
end

--- The path of a model that comes with the module: beside the installed Lua
--- files, or in the models folder of a checkout.
---@param name? string "drummer" (default); "drummer-live": hears no step to come, for
--- generator:step; "touch": velocities and offsets
---@return string? path
---@return string? message
function nd.default_model(name)
  name = name or "drummer"
  local folder = (here or debug.getinfo(1, "S").source:gsub("^@", "")):match "^.*[/\\]" or ""
  for _, models in ipairs { "models/", "../../models/" } do
    local path = ("%s%s%s.safetensors"):format(folder, models, name)
    local file = io.open(path, "rb")
    if file then
      file:close()
      return path
    end
  end
  return nil, ("no model: models/%s.safetensors is not in %s"):format(name, folder)
end

return nd
