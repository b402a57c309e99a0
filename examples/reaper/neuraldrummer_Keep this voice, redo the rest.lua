-- Keeps voices of the drums (those of the notes selected) and plays the others again.
local here = debug.getinfo(1, "S").source:match [[^@?(.*[\/])[^\/]-$]] or ""
dofile(here .. "neuraldrummer.lua") "keep"
