-- Every command of the documentation, run; every link, followed.
local lfs = require "lfs"
local nd = require "neuraldrummer"
local cli = require "neuraldrummer.cli"
local files = require "neuraldrummer.files"
local preprocess = require "neuraldrummer.preprocess"
local shell = require "spec.support.shell"

local function pages()
  local list = { "README.md", "models/README.md" }
  for _, path in ipairs(assert(files.walk("examples", { "md" }))) do list[#list + 1] = path end
  return list
end

-- The command lines of a page: of its blocks of sh, long ones joined.
local function commands(text)
  local list = {}
  for block in text:gmatch "\n```sh\n(.-)\n```" do
    for line in (block:gsub("\\\n%s*", "") .. "\n"):gmatch "([^\n]+)\n" do
      line = line:gsub("%s+#.*$", ""):gsub("^%s+", "")
      if line ~= "" and not line:find "^#" then list[#list + 1] = line end
    end
  end
  return list
end

-- Whether one of the makefiles has such a target.
local function is_target(target)
  for _, makefile in ipairs { "Makefile", "spec/tools.mk", "spec/checks/all.mk" } do
    for targets in ("\n" .. shell.read(makefile)):gmatch "\n([%l -]+):" do
      if (" " .. targets .. " "):find(" " .. target .. " ", 1, true) then return true end
    end
  end
  return false
end

-- What stands in a folder that a page begins with: song.mid, other.mid,
-- groove.mid, my-songs, its two shards part-1.ndc and part-2.ndc, and the tool.
local function furnish(folder)
  local all = dofile "examples/songs/all.lua"
  assert(all.load "shuffle":save(folder .. "/song.mid"))
  assert(all.load "funk":save(folder .. "/other.mid"))
  local funk = assert(nd.song.load(folder .. "/other.mid"))
  local notes = {}
  for _, note in ipairs(funk:notes "drums") do
    note.track = nil
    if note.tick < 16 * funk:ppq() then notes[#notes + 1] = note end
  end
  assert(nd.song.new { ppq = funk:ppq(), notes = notes, tempos = funk:tempos() }
    :save(folder .. "/groove.mid"))
  -- songs enough that some are for validation
  local songs = folder .. "/my-songs"
  assert(lfs.mkdir(songs))
  assert(all.write(songs))
  for _, name in ipairs(all.names) do
    local song = assert(nd.song.load(("%s/%s.mid"):format(songs, name)))
    for k, map in ipairs { { [42] = 44 }, { [36] = 35 } } do
      assert(song:with_pitches(map):save(("%s/%s-%d.mid"):format(songs, name, k)))
    end
  end
  for k = 1, 2 do
    assert(preprocess.run(songs, ("%s/part-%d.ndc"):format(folder, k), { shard = { k, 2 } }))
  end
  assert(lfs.mkdir(folder .. "/build"))
  assert(os.execute(("ln -s %s/bin %s/build/bin"):format(shell.quote(shell.build), folder)))
end

-- In training, for a command's sake alone.
local QUICK <const> = " --epochs 1 --batch 8 --quiet"

local function run(folder, line)
  if line:find "neuraldrummer train" then
    line = line:gsub(" %-%-hidden %d+", "") .. QUICK .. (line:find " %-%-from " and ""
      or " --hidden 8")
  end
  if line:find " evaluate " then line = line .. " --steps 64 --quiet" end
  local status, out, err = shell.sh(("cd %s && PATH=%s:$PATH && %s"):format(folder,
    shell.quote(shell.build .. "/bin"), line))
  assert.equal(0, status, line .. "\n" .. out .. err)
end

-- Words of a shell's line, quotes taken off.
local function words(line)
  local list = {}
  for word in line:gsub('"', ""):gmatch "%S+" do list[#list + 1] = word end
  return list
end

describe("the documentation", function()
  local folders = {}
  teardown(function()
    for _, folder in ipairs(folders) do shell.remove(folder) end
  end)

  for _, page in ipairs(pages()) do
    local text = shell.read(page)
    -- the models' need songs that are not here: they must be well-formed
    local runs = page ~= "models/README.md"

    it("has commands that do what they say: " .. page, function()
      local folder
      for _, line in ipairs(commands(text)) do
        local first = line:match "^[%w%._/]+"
        local name = first and files.name(first)
        if name == "neuraldrummer" and runs then
          if not folder then
            folder = shell.folder()
            folders[#folders + 1] = folder
            furnish(folder)
          end
          run(folder, line)
        elseif name == "neuraldrummer" then
          local given = words(line:gsub("[<>|].*", ""))
          table.remove(given, 1)
          local ok, message = cli.parse(given)
          assert.is_true(ok, line .. ": " .. tostring(message))
        elseif name == "mpirun" then  -- run by mpi_spec, where there is one
          local given = words(line:match "neuraldrummer (.*)")
          assert.is_true(cli.parse(given), line)
        elseif name == "make" then
          -- of targets and variables that the Makefile has; specs make and install
          local target = line:match "^make ([%l-]+)" or "all"
          assert.is_true(is_target(target), line)
          if target == "demo" then
            assert.equal(0, (shell.sh(("env -u MAKEFLAGS -u MAKELEVEL make -s demo BUILD=%s")
              :format(shell.quote(shell.build)))))
          end
        elseif name == "lua5.4" or name == "luarocks" then
          -- run by the specs of the examples and the rocks
          local file = line:match "%f[%w][%w_/.]+%.lua" or line:match "[%w.-]+%.rockspec"
          assert.truthy(file and shell.exists(file), line)
          local stem = files.name(file):gsub("%.lua$", "")
          local _, found = shell.run("grep", "-l", "-r", stem, "spec")
          assert.matches("_spec%.lua", found, line)
        elseif runs then
          assert.truthy(shell.sh("command -v " .. tostring(first)) == 0, line)
        end
      end
    end)

    it("names commands that there are: " .. page, function()
      for code in text:gsub("\n```.-\n```", ""):gmatch "`([^`\n]+)`" do
        local given = words(code)
        local name = table.remove(given, 1)
        if name == "neuraldrummer" and #given > 0 then
          local ok, message = cli.parse(given)
          assert.is_true(ok, code .. ": " .. tostring(message))
        elseif name == "make" and #given > 0 then
          -- a variable alone: of the first target
          assert.is_true(given[1]:find "^%u+=" ~= nil or is_target(given[1]), code)
        elseif name == "lua5.4" then
          assert.is_true(shell.exists(given[1]), code)
        end
      end
    end)

    it("has links that lead somewhere: " .. page, function()
      for target in text:gmatch "%]%(([^)%s]+)%)" do
        if not target:find "^https?:" then
          local path = files.folder(page) .. target:gsub("#.*", "")
          if target:find "^#" then path = page end
          assert.truthy(shell.exists(path), target)
          local anchor = target:match "#(.*)"
          if anchor then
            local found = false
            for title in shell.read(path):gmatch "\n#+ ([^\n]+)" do
              local slug = title:lower():gsub("[^%w%- ]", ""):gsub(" ", "-")
              found = found or slug == anchor
            end
            assert.is_true(found, target)
          end
        end
      end
    end)
  end

  it("has an example for every command's help, and each runs", function()
    local folder = shell.folder()
    folders[#folders + 1] = folder
    furnish(folder)
    for _, command in ipairs(cli.commands()) do
      assert.matches("^neuraldrummer " .. command.name .. "%f[%W]", command.example)
      run(folder, command.example)
    end
  end)

  it("names every command and, for drum, every option that asks for something", function()
    local text = shell.read "examples/command-line.md"
    for _, command in ipairs(cli.commands()) do
      assert.truthy(text:find(("| `%s`"):format(command.name), 1, true) or
        text:find(("`%s`"):format(command.name), 1, true), command.name)
    end
    for option in text:gmatch "`(%-%-[%l-]+)" do
      local found = option == "--help"
      for _, command in ipairs(cli.commands()) do
        local function look(rows)
          for _, row in ipairs(rows) do
            if type(row[1]) == "table" then
              look(row)
            elseif (" " .. row[1] .. " "):find(" " .. option .. " ", 1, true) then
              found = true
            end
          end
        end
        look(command.takes)
      end
      assert.is_true(found, option .. " is no option")
    end
  end)

  it("shows Lua that is Lua", function()
    for _, page in ipairs(pages()) do
      for code in shell.read(page):gmatch "\n```lua\n(.-)\n```" do
        assert(load(code, page))
      end
    end
  end)
end)
