-- A terminal for gnuplot that draws nothing and plays drums:
--   gnuplot -e "set terminal lua 'gnuplot.lua' 'song.mid' 'drummed.mid'"
-- gnuplot reads this file into the Lua that it has inside for terminals, and
-- calls term.options with what stands behind the file's name.
-- luacheck: globals term gp

function term.options(text, _, _)
  local song, out = text:match "'([^']+)'%s+'([^']+)'"
  if not song then error "set terminal lua 'gnuplot.lua' 'song.mid' 'drummed.mid'" end
  local result = assert(require "neuraldrummer.generate".drum(song, { out = out, seed = 7 }))
  gp.int_warn(0, ("%s: %d hits"):format(out, result.hits))
  return true
end

-- What any terminal must have.
for _, name in ipairs { "init", "graphics", "text", "move", "vector", "linetype", "put_text",
  "point", "arrow", "reset", "text_angle", "justify_text", "linewidth", "pointsize", "set_font",
  "set_color", "fillbox", "filled_polygon", "boxed_text", "make_palette", "previous_palette" } do
  term[name] = function() return 1 end
end
