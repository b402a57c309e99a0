-- Each harness, linked without libFuzzer, is given the inputs in the repository,
-- see spec/fuzz/fuzz.h. `make test` builds the harnesses and unpacks the inputs.
local lfs = require "lfs"
local shell = require "spec.support.shell"

describe("the inputs that fuzzing found", function()
  local regressions = { chunks = "smf" }  -- both read MIDI files

  -- The inputs that an archive holds.
  local function packed(target)
    local status, out = shell.run("tar", "-tzf", ("spec/fuzz/%s.tar.gz"):format(target))
    assert.equal(0, status)
    return select(2, out:gsub("[^/\n]\n", ""))
  end

  for _, target in ipairs { "chunks", "smf", "tokens", "corpus", "checkpoint", "lua" } do
    it(("break no promise of %s.c"):format(target), function()
      local named = "spec/fuzz/regressions/" .. (regressions[target] or target)
      local count = packed(target)
      if shell.exists(named) then
        for name in lfs.dir(named) do count = count + (name:find "^%.%.?$" and 0 or 1) end
      else
        named = ""
      end
      local status, out, err = shell.sh(("%s/fuzz/replay-%s $(find %s %s/fuzz/corpus/%s "
        .. "-type f | sort)"):format(shell.quote(shell.build), target, named,
        shell.quote(shell.build), target))
      assert(status == 0, ("status %d\n%s"):format(status, err:sub(-2000)))
      assert.equal(count, tonumber(out:match "^(%d+) files\n$"))
    end)
  end
end)
