-- Energy, fills, style, swing, humanise, seed, kit map.
local here = debug.getinfo(1, "S").source:match [[^@?(.*[\/])[^\/]-$]] or ""
dofile(here .. "neuraldrummer.lua") "settings"
