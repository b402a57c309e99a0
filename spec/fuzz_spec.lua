local shell = require "spec.support.shell"

-- Each harness, linked without libFuzzer, is given what fuzzing found worth
-- keeping. `make test` builds them into BUILD/fuzz.
describe("what fuzzing found", function()
  local seeds = { guard = "smf" }  -- the guard's files are the reader's

  for _, target in ipairs { "guard", "smf", "tokens", "corpus", "checkpoint", "lua" } do
    it(("keeps the promises of %s.c"):format(target), function()
      local status, out, err = shell.sh(("%s/fuzz/replay-%s $(find spec/fuzz/seeds/%s "
        .. "spec/fuzz/regressions/%s -type f | sort)"):format(shell.quote(shell.build), target,
        seeds[target] or target, target))
      assert(status == 0, ("status %d\n%s"):format(status, err:sub(-2000)))
      assert.is_true(tonumber(out:match "^(%d+) files\n$") > 0)
    end)
  end
end)
