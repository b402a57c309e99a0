-- A web server that drums: mod_magnet runs this for every request, in a Lua of
-- its own for each worker. POST a MIDI file to /drum?seed=7, get it back drummed.
--   lighttpd -D -f lighttpd.conf
--   curl --data-binary @song.mid 'http://localhost:8060/drum?seed=7' >drummed.mid
-- luacheck: globals lighty
local nd = require "neuraldrummer"
local generate = require "neuraldrummer.generate"

local r = lighty.r
if r.req_attr["uri.path"] ~= "/drum" then return 404 end
if not r.req_body.collect then return 0 end  -- asked again when all of it is there

local function refuse(message)
  r.resp_body.set(message .. "\n")
  return 400
end

local song, message = nd.song.parse(r.req_body.get or "")
if not song then return refuse(message) end
local model = assert(generate.open_model())
local seq
seq, message = model:tokeniser():encode(song)
if not seq then return refuse(message) end
local seed = math.tointeger(tonumber((r.req_attr["uri.query"] or ""):match "seed=(%d+)")) or 1
local drums = assert(generate.play(model, song, seq, { seed = seed }))
r.resp_header["Content-Type"] = "audio/midi"
r.resp_body.set(song:with_drums(drums):bytes())
return 200
