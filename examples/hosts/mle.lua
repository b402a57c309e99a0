-- The text editor mle with a drummer in it: cmd_drum takes each line of the text
-- for the path of a song, drums it, and puts what came of it behind the line.
--   mle -N -x mle.lua -K drums,,1 -k cmd_drum,f8, -n drums songs.txt    (then F8)
--   ls *.mid | mle -N -x mle.lua -K drums,,1 -k cmd_drum,f8, -n drums \
--     -M 'all f8' -p all                                                (a filter)
-- luacheck: globals mle
local generate = require "neuraldrummer.generate"

mle.editor_register_cmd("cmd_drum", function(context)
  local text = mle.buffer_get(context.buffer).ret_data
  local lines = {}
  for path in text:gmatch "[^\n]+" do
    local out = path:gsub("%.midi?$", "") .. ".drums.mid"
    local result, message = generate.drum(path, { out = out, seed = 7 })
    lines[#lines + 1] = result and ("%s: %s, %d hits"):format(path, out, result.hits) or message
  end
  text = table.concat(lines, "\n")
  mle.buffer_set(context.buffer, text, #text)
end)
