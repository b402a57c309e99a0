-- Where `require "imgui"` looks for ReaImGui: in the folder that REAPER names.
return require "spec.support.imgui".library
