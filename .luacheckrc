std = "lua54"
max_line_length = 100
-- these describe the C side: their functions are empty on purpose
exclude_files = { "lua/neuraldrummer/*.d.lua", "build" }
include_files = { "**/*.lua", "*.rockspec", ".luacheckrc", "bin/*.in" }

files["spec/**/*_spec.lua"] = { std = "+busted" }
-- what REAPER gives a script
files["examples/reaper/*.lua"] = { read_globals = { "reaper", "gfx" } }
files["*.rockspec"] = { std = "rockspec" }
