std = "lua54"
color = false
max_line_length = 100
-- these describe the C side: their functions are empty on purpose
exclude_files = { "lua/neuraldrummer/*.d.lua", "build" }
include_files = { "**/*.lua", "*.rockspec", ".luacheckrc", "lua/*.in" }

files["spec/**/*_spec.lua"] = { std = "+busted" }
files["*.rockspec"] = { std = "rockspec" }
