---@meta neuraldrummer.smf
--- The reader of MIDI files, a library of its own (it links libsmf and glib).
--- neuraldrummer.core must have been loaded before it.

---@class neuraldrummer.smf
---@field version string
---@field reader userdata for core.ingest
local smf = {}

---@class neuraldrummer.smf_options
---@field drum_channel? integer 1..16; default: 10 when it has notes, else by a track's name
---@field strict? boolean refuse files of which events would be lost (default false: repair, report)
---@field max_bytes? integer default 256 MiB
---@field max_events? integer default 8,000,000
---@field max_tracks? integer default 4,096

--- A Song from the bytes of a MIDI file. What had to be mended is told by its
--- `repairs()`; bytes that can't be read are refused with "reason at byte N".
---@param bytes string
---@param options? neuraldrummer.smf_options
---@return neuraldrummer.song? song
---@return string? message
function smf.parse(bytes, options) end

--- The same from a file; the message begins with its path.
---@param path string
---@param options? neuraldrummer.smf_options
---@return neuraldrummer.song? song
---@return string? message
function smf.load(path, options) end

return smf
