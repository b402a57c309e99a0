-- Goes on from a drum loop, to the end of the music.
local here = debug.getinfo(1, "S").source:match [[^@?(.*[\/])[^\/]-$]] or ""
dofile(here .. "neuraldrummer.lua") "extend"
