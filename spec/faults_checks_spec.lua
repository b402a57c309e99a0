-- The long checks, made short: `make check-corpus`, `check-commands`,
-- `check-kill`, `check-long`, `check-same`.
local lfs = require "lfs"
local faulty = require "spec.support.faulty"
local shell = require "spec.support.shell"

local function check(words)
  local status, out, err = shell.sh(("env %s lua5.4 spec/checks/%s"):format(faulty.paths(), words))
  assert.equal("", err)
  assert.equal(0, status, out)
  return out
end

describe("a check of minutes, made short:", function()
  local folder
  setup(function()
    folder = shell.folder()
    assert(dofile "examples/songs/all.lua".write(folder))
    shell.sh(("cp spec/fuzz/regressions/smf/*.mid %s"):format(folder))
  end)
  teardown(function() shell.remove(folder) end)

  it("songs there and back, and spoilt", function()
    local out = check(("songs.lua %s 40"):format(folder))
    local files, refused, there = out:match(
      "^(%d+) files, of which (%d+) were refused with a reason and (%d+) round%-tripped")
    assert.equal(tonumber(files), refused + there)
    assert.is_true(tonumber(files) > 30 and tonumber(there) > 15)
    assert.matches("%d+ mutants, %d+ bytes mutated", out)
    assert.matches("\n0 ended badly\n$", out)
  end)

  it("what ends a process badly is found", function()
    shell.write(folder .. "/bad.lua", [[
      local core = require "neuraldrummer.core"
      local parse, n = core.parse_song, 0
      function core.parse_song(...)
        n = n + 1
        if n == 100 then os.exit(139) end
        return parse(...)
      end]])
    local status, out = shell.sh(("env %s LUA_INIT=@%s/bad.lua lua5.4 spec/checks/songs.lua %s 5")
      :format(faulty.paths(), folder, folder))
    assert.equal(1, status)
    assert.matches("ended the process %(exit 139%)", out)
  end)

  it("commands whose files are spoilt", function()
    local out = check(("commands.lua %s 40 1"):format(shell.quote(shell.tool)))
    assert.matches("^40 commands with %d+ files spoilt: %d+ refused, 0 ended badly\n$", out)
  end)

  it("commands that end badly are found", function()
    local tool = shell.write(folder .. "/tool", ([[#!/bin/sh
      case $1 in
        info) echo "stack traceback:" >&2; exit 1 ;;
        plot) kill -SEGV $$ ;;
        tokens) [ "$3" ] && { printf '\033[31m'; exit 0; } ;;
        kits) exit 1 ;;
        style) [ -f model.safetensors ] && { echo >out.part; exit 0; } ;;
      esac
      exec %s "$@"]]):format(shell.quote(shell.tool)))
    os.execute("chmod 755 " .. tool)
    local status, out = shell.sh(("env %s lua5.4 spec/checks/commands.lua %s 100 1"):format(
      faulty.paths(), tool))
    assert.equal(1, status)
    for _, what in ipairs { "info .*: an error of ours", "plot .*: status 139",
      "tokens .*: what a terminal would obey", "kits .*: not a line of what is wrong",
      "style .*: left behind: %./out%.part" } do
      assert.matches(what, out)
    end
  end)

  it("kills at random moments", function()
    local out = check(("kill.lua %s 4"):format(shell.quote(shell.tool)))
    assert.matches("^4 kills survived: 2 of preprocess, 2 of %d+ trainings; 0 ended badly\n$", out)
  end)

  it("memory over many songs and steps", function()
    if faulty.sanitized then return pending "a sanitizer keeps what was freed" end
    assert.matches("\n0 grew by more than 8 MiB\n$", check "long.lua 2000 5000")
  end)

  it("a build compared with itself", function()
    local out = check(("same.lua %s %s %s --songs 2 --seeds 1"):format(shell.quote(shell.build),
      shell.quote(shell.build), folder))
    local compared, differ = out:match "\nsame: (%d+) compared, (%d+) differ\n$"
    assert.is_true(tonumber(compared) > 20)
    assert.equal("0", differ)
  end)

  it("a build that behaves otherwise is found", function()
    assert(lfs.mkdir(folder .. "/other"))
    assert(lfs.mkdir(folder .. "/other/bin"))
    local tool = shell.write(folder .. "/other/bin/neuraldrummer", ([[#!/bin/sh
      case $1 in
        sketch) set -- "$@" --temperature 0.9 ;;
        train) set -- "$@" --rate 0.0011 ;;
        preprocess) set -- "$@" --min-steps 99999 ;;
        tokens) echo otherwise ;;
        continue) exit 3 ;;
      esac
      exec %s "$@"]]):format(shell.quote(shell.tool)))
    os.execute("chmod 755 " .. tool)
    local status, out = shell.sh(("env %s lua5.4 spec/checks/same.lua %s %s/other %s --songs 2")
      :format(faulty.paths(), shell.quote(shell.build), folder, folder))
    assert.equal(1, status)
    for _, group in ipairs { "sketch", "train drummer", "train causal", "train touch",
      "train neuraldrummer2023", "train fine%-tuned", "corpus", "token text", "tokens",
      "continue SONG %-%-bars 8" } do
      local compared, differ = out:match("\n" .. group .. ": (%d+) compared[^\n]*, (%d+) differ\n")
      assert.equal(compared, differ, group)
    end
    assert.matches("\ndrum: 6 compared[^\n]*, 0 differ\n", out)
  end)
end)
