--- A song of a host's notes drummed where the module is a stranger:
--- elsewhere.lua LUA_FOLDER MODULE_PATTERN OUT.mid
package.path = arg[1] .. "/?.lua;" .. arg[1] .. "/?/init.lua"
package.cpath = arg[2]
local nd = require "neuraldrummer"
local generate = require "neuraldrummer.generate"
local notes = {}
for beat = 0, 127 do
  notes[#notes + 1] = { tick = beat * 96, duration = 90, pitch = 40 + beat % 5, velocity = 90 }
end
local song = nd.song.new { ppq = 96, notes = notes }
local model = assert(generate.open_model())
local seq = assert(model:tokeniser():encode(song))
local drums = assert(generate.play(model, song, seq, { seed = 7 }))
assert(song:with_drums(drums):save(arg[3]))
assert(song:with_drums(drums):save(arg[3]))  -- over itself
local nothing, message = nd.model.load "no/such/file"
assert(not nothing and message == "no/such/file: No such file or directory", message)
print(("%s: %d steps"):format(_VERSION, #drums))
