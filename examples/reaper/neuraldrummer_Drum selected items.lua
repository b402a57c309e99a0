-- Plays drums to the selected MIDI items, or to all tracks in the time selection.
local here = debug.getinfo(1, "S").source:match [[^@?(.*[\/])[^\/]-$]] or ""
dofile(here .. "neuraldrummer.lua") "drum"
