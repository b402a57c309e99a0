--- `make demo`: drums one of our own songs, and shows what came out.
--- lua5.4 examples/demo.lua TOOL FOLDER
local tool, folder = arg[1], arg[2]

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function run(...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = quote(word) end
  if not os.execute(table.concat(words, " ") .. " >/dev/null") then os.exit(1) end
end

run("mkdir", "-p", folder)
local song, combined = folder .. "/song.mid", folder .. "/combined.mid"
local picture, data = folder .. "/drumroll.png", folder .. "/drumroll.tsv"
local rock = dofile "examples/songs/rock.lua"
assert(rock:save(song, { drums = false }))
run(tool, "drum", song, "-o", combined, "--seed", "7")
run(tool, "plot", combined, "-o", picture, "--tsv", data)

print(song .. "      a song of ours without drums")
print(combined .. "  the same with the drums that the model plays to it")
print(picture .. "  those drums under the song's intensity, step by step")
print(data .. "  what the picture shows, as a table: a row a step")
