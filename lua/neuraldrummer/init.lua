--- Neural Drummer: plays drums to a song in a MIDI file, or to a host's notes.
---
---     local nd = require "neuraldrummer"
---     local result = assert(nd.generate.drum("song.mid", { out = "combined.mid", seed = 7 }))
---
--- or step by step:
---
---     local song = assert(nd.song.load "song.mid")
---     local model = assert(nd.model.load(assert(nd.default_model())))
---     local seq = assert(model:tokeniser():encode(song))
---     local drums = nd.generator(model, { seed = 7 }):play(seq)
---     assert(song:with_drums(drums):save "combined.mid")
---
--- The other modules are fields of this one, such as nd.generate and nd.train, and are
--- loaded when they are first used. I/O failures return `nil, message`; misuse raises.

-- Before any C module: one that was built for another Lua would crash.
if _VERSION ~= "Lua 5.4" then
  error(("neuraldrummer needs Lua 5.4, and this is %s"):format(_VERSION), 2)
end

local _, here = ...
local core = require "neuraldrummer.core"

---@class neuraldrummer
---@field version string
---@field core neuraldrummer.core
---@field generate neuraldrummer.modules.generate
---@field sketch neuraldrummer.modules.sketch
---@field direction neuraldrummer.modules.direction
---@field sections neuraldrummer.modules.sections
---@field styles neuraldrummer.modules.styles
---@field swing neuraldrummer.modules.swing
---@field kits neuraldrummer.modules.kits
---@field score neuraldrummer.modules.score
---@field explain neuraldrummer.modules.explain
---@field plot neuraldrummer.modules.plot
---@field preprocess neuraldrummer.modules.preprocess
---@field shards neuraldrummer.modules.shards
---@field statistics neuraldrummer.modules.statistics
---@field train neuraldrummer.modules.train
---@field evaluate neuraldrummer.modules.evaluate
---@field progress neuraldrummer.modules.progress
local nd = {
  version = core.version,
  tokeniser = core.tokeniser,
  generator = core.generator,
  corpus = { create = core.create_corpus, open = core.open_corpus },
  model = { new = core.model, load = core.load_model },
  song = { new = core.song, load = core.load_song, parse = core.parse_song },
}

-- without <const>: Lua 5.3 has to parse this file, to be refused in words
local MODULES = { "core", "generate", "sketch", "direction", "sections", "styles", "swing",
  "kits", "score", "explain", "plot", "preprocess", "shards", "statistics", "train", "evaluate",
  "progress" }
local is_module = {}
for _, name in ipairs(MODULES) do is_module[name] = true end

setmetatable(nd, {
  __index = function(self, name)
    if not is_module[name] then return nil end
    local module = require("neuraldrummer." .. name)
    rawset(self, name, module)
    return module
  end,
  -- lists the modules as well; one that cannot be loaded here, because it needs a library
  -- that is missing, is left out
  __pairs = function(self)
    for _, name in ipairs(MODULES) do pcall(function() return self[name] end) end
    return next, self, nil
  end,
})

-- Why a module did not load: the message of the dynamic linker or of the module; nil if
-- there is no such module.
local function reason(why)
  why = tostring(why)
  if why:find "^module '[^']*' not found" then return nil end
  return why:match "error loading module [^\n]*\n%s*([^\n]+)" or why:match "[^\n]*"
end

--- Joins the processes that mpirun started together, to train one model. A process that
--- was started alone is a world of one. It may be called once in a process.
---@return neuraldrummer.world? world
---@return string? message
function nd.join()
  local ok, mpi = pcall(require, "neuraldrummer.mpi")
  if ok then return mpi.join() end
  return nil, "several processes cannot train together without the module neuraldrummer.mpi: "
    .. (reason(mpi)
      or "`make MPI=1` builds it, with Open MPI (packages openmpi-bin and libopenmpi-dev)")
end

--- The path of a bundled model: beside the installed Lua files, or in the folder
--- `models` of a checkout.
---@param name? string "drummer" (default); "drummer-live", a causal one for generator:step;
--- "touch" for velocities and timing
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
