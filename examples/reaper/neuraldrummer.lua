-- @description Neural Drummer: plays drums to MIDI items
-- @version 0.1.0
-- @author Neural Drummer
-- @metapackage
-- @provides
--   [main] neuraldrummer_*.lua
--   [nomain] neuraldrummer.lua
--   README.md
--   lua/**/*
--   [linux64] lib/neuraldrummer/core.so
--   [win64] lib/neuraldrummer/core.dll
-- @about
--   # Neural Drummer
--   Listens to the MIDI items of a project and plays drums to them, as a new
--   item on the Drums track. Bars can be played again, voices kept, a loop
--   extended over the song, drums scored. REAPER 7 or newer.

-- Loads what all actions share, from where this file lies; each action is a
-- script of two lines. Written so that older Luas read it, and say what is wrong.
local here = debug.getinfo(1, "S").source:match [[^@?(.*[\/])[^\/]-$]] or ""

return function(action)
  -- luacheck: globals reaper gfx
  if _VERSION ~= "Lua 5.4" then
    reaper.MB("Neural Drummer needs REAPER 7 or newer, whose scripts are in Lua 5.4. (This is "
      .. _VERSION .. ".)", "Neural Drummer", 0)
    return
  end
  package.path = here .. "lua/?.lua;" .. here .. "lua/?/init.lua;" .. package.path
  package.cpath = here .. "lib/?.so;" .. here .. "lib/?.dll;" .. package.cpath
  require "neuraldrummer.reaper".run(action, reaper, gfx)
end
