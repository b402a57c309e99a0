-- What the tool says of itself to the shell, and its bar on a terminal.
local cli = require "neuraldrummer.cli"
local progress = require "neuraldrummer.progress"
local lfs = require "lfs"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local function output(...)
  local status, out, err = shell.run(shell.tool, ...)
  assert.equal("", err)
  assert.equal(0, status)
  return out
end

-- The long names of a command's options.
local function options(rows, list)
  list = list or {}
  for _, row in ipairs(rows) do
    if type(row[1]) == "table" then
      options(row, list)
    else
      for name in row[1]:gmatch "%-%-[%w-]+" do list[#list + 1] = name end
    end
  end
  return list
end

describe("completion", function()
  local folder
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  it("completes commands, options and choices in bash", function()
    local script = shell.write(folder .. "/complete.bash", output("completion", "bash"))
    local function completed(...)
      local words = { "neuraldrummer", ... }
      for i, word in ipairs(words) do words[i] = shell.quote(word) end
      local status, out, err = shell.sh(("bash -c %s"):format(shell.quote((
        "source %s; COMP_WORDS=(%s); COMP_CWORD=%d; _neuraldrummer; echo ${COMPREPLY[@]}"):format(
        script, table.concat(words, " "), #words - 1))))
      assert.same({ 0, "" }, { status, err })
      return out:gsub("\n$", "")
    end
    assert.equal("score", completed "sc")
    assert.equal("--fills", completed("drum", "--fi"))
    assert.equal("count-in", completed("drum", "--start", "c"))
    assert.equal("drummer neuraldrummer2023 touch", completed("train", "--preset", ""))
    -- values that are some among others
    assert.equal("ezdrummer", completed("drum", "--kit-out", "ez"))
    assert.equal("gm9", completed("tokens", "--kit", "g"))
  end)

  for name, check in pairs { bash = "bash -n", zsh = "zsh -n", fish = "fish -n" } do
    it("is a script that " .. name .. " reads", function()
      local script = output("completion", name)
      for _, command in ipairs(cli.commands()) do
        assert.truthy(script:find(command.name, 1, true))
        for _, option in ipairs(options(command.takes)) do
          local plain = name == "fish" and option:gsub("^%-%-", "-l ") or option
          assert.truthy(script:find(plain, 1, true), option)
        end
      end
      if shell.sh("command -v " .. name) == 0 then
        local path = shell.write(folder .. "/complete." .. name, script)
        assert.same({ 0, "", "" }, { shell.sh(check .. " " .. path) })
      end
    end)
  end
end)

describe("the manual page", function()
  it("has every command, argument and option", function()
    local text = output "man"
    local at = 1
    for _, command in ipairs(cli.commands()) do
      at = assert(text:find("\n.SS \"\\fB" .. command.name .. "\\fR", at, true), command.name)
      local ending = text:find("\n.S[SH]", at + 4)
      local section = text:sub(at, ending):gsub("\\%-", "-")
      for _, option in ipairs(options(command.takes)) do
        assert.truthy(section:find("\\fB" .. option .. "\\fR", 1, true), option)
      end
      assert.truthy(section:find(command.example, 1, true))
    end
    if shell.sh "command -v groff" == 0 then
      local path = shell.write(temporary.name(), text)
      local status, plain, err = shell.sh("groff -man -ww -Tutf8 " .. path)
      os.remove(path)
      assert.same({ 0, "" }, { status, err })
      assert.matches("neuraldrummer %- plays drums to a song", plain)
    end
  end)
end)

describe("kits", function()
  it("lists the maps, and says what is in one", function()
    local list = output "kits"
    assert.matches("roland%-td +Roland TD, 22 pitches", list)
    local one = output("kits", "roland-td")
    assert.matches("\n   48    50 %* tom 1, head\n", one)
    assert.matches("\nsource: ", one)
    local found = require "dkjson".decode(output("kits", "roland-td", "--json"))
    assert.equal(22, #found.pitches)
    local status, _, err = shell.run(shell.tool, "kits", "roland")
    assert.equal(1, status)
    assert.matches("^neuraldrummer: no kit map is named 'roland'; choose from ", err)
  end)
end)

describe("progress", function()
  it("says share, rate, time left and a word, in the columns there are", function()
    local line = progress.line(79, 30, 120, "files", 15, "loss 0.1234")
    assert.equal("[########......................] 30/120 files  15.0/s  0:06 left  loss 0.1234",
      line)
    assert.is_true(#progress.line(40, 30, 120, "files", 15, ("x"):rep(90)) <= 40)
    assert.matches("%-:%-%- left", progress.line(79, 0, 120, "files", 0))
    assert.same({ "0:07", "3:45", "1:02:03", "-:--" }, { progress.time(7), progress.time(225),
      progress.time(3723), progress.time(0 / 0) })
  end)

  -- Runs Lua with a terminal as its stderr; what came there.
  local function on_a_terminal(code, columns)
    local path = temporary.name()
    local inner = ("stty cols %d; lua5.4 -e %s"):format(columns or 80, shell.quote(code))
    local status = shell.sh(("LUA_PATH=%s LUA_CPATH=%s script -qec %s %s"):format(
      shell.quote(package.path), shell.quote(package.cpath), shell.quote(inner), path))
    local text = shell.read(path):gsub("^[^\n]*\n", "")  -- behind what `script` says itself
    os.remove(path)
    return status, text
  end

  local BAR <const> = [[
    local progress = require "neuraldrummer.progress"
    do
      local bar <close> = progress.new(4, "songs", { quiet = QUIET })
      for i = 1, 4 do bar:update(i, "loss 0.5") end
    end
    io.stderr:write "done\n"]]

  it("is drawn on a terminal, taken away, and nothing with quiet or elsewhere", function()
    if shell.sh "command -v script" ~= 0 then return pending "no script here" end
    local _, text = on_a_terminal((BAR:gsub("QUIET", "false")))
    assert.matches("4/4 songs", text)
    assert.matches("loss 0.5", text)
    assert.matches("\r\27%[Kdone", text)
    _, text = on_a_terminal((BAR:gsub("QUIET", "true")))
    assert.not_matches("songs", text)
    local _, _, err = shell.sh(("LUA_PATH=%s LUA_CPATH=%s lua5.4 -e %s"):format(
      shell.quote(package.path), shell.quote(package.cpath),
      shell.quote((BAR:gsub("QUIET", "false")))))
    assert.equal("done\n", err)
  end)

  it("is no wider than the terminal, however narrow: so are the blocks of score", function()
    if shell.sh "command -v script" ~= 0 then return pending "no script here" end
    local song = temporary.name()
    assert(dofile "examples/songs/waltz.lua":save(song))
    for _, columns in ipairs { "16", "3", "0", "-7" } do
      local status, out = shell.sh(("LC_ALL=C.UTF-8 COLUMNS=%s script -qec %s /dev/null"):format(
        columns, shell.quote(("%s score %s"):format(shell.tool, song))))
      assert.equal(0, status, out)
      assert.matches("its own song [^\n]", out)
      assert.matches("bar 1%-%d+ +%(%d+ bars a column%)", out)
    end
    os.remove(song)
  end)

  it("gives Ctrl-C back to the host when the last of those that caught it is closed", function()
    local status, out, err = shell.sh(("LUA_PATH=%s LUA_CPATH=%s lua5.4 -e %s"):format(
      shell.quote(package.path), shell.quote(package.cpath), shell.quote [[
        local core = require "neuraldrummer.core"
        local function interrupt() io.popen("kill -INT $PPID"):close() end
        local one, two = core.catch_interrupt(), core.catch_interrupt()
        one:close()
        interrupt()
        print(two:seen(), core.catch_interrupt():seen())
        two:close()
        collectgarbage()
        interrupt()
        print "still here"]]))
    assert.equal("true\tfalse\n", out)
    assert.matches("interrupted!", err)
    assert.equal(1, status)
  end)

  it("ends with Ctrl-C, and nothing half-written is left", function()
    local folder = shell.folder()
    local songs = folder .. "/songs"
    shell.run("mkdir", songs)
    assert(dofile "examples/songs/rock.lua":save(songs .. "/0.mid"))
    for i = 1, 12000 do assert(lfs.link(songs .. "/0.mid", ("%s/%d.mid"):format(songs, i))) end
    local corpus = folder .. "/a.ndc"
    local status, out, err = shell.signalled("INT", corpus, shell.tool, "preprocess", songs,
      "-o", corpus)
    local _, left = shell.sh("cd " .. folder .. " && ls")
    shell.remove(folder)
    assert.equal("", out)
    assert.matches("^neuraldrummer: stopped after %d+ of 12001 files; "
      .. corpus .. " was not written\n$", err)
    assert.equal("songs\n", left)
    assert.not_equal(0, status)
  end)
end)
