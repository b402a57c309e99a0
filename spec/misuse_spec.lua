local shell = require "spec.support.shell"
local annotations = require "spec.support.annotations"

-- In a process of its own: what crashes there is a test that fails here.
describe("every function of the C side", function()
  local folder, status, out, err
  setup(function()
    folder = shell.folder()
    status, out, err = shell.sh(("LUA_CPATH=%s lua5.4 spec/support/misuse.lua %s"):format(
      shell.quote(shell.build .. "/lib/?.so;;"), folder))
  end)
  teardown(function() shell.remove(folder) end)

  it("outlives wrong arguments of all kinds", function()
    local last = shell.exists(folder .. "/last-call") and shell.read(folder .. "/last-call") or ""
    assert.is_true(status == 0 and err == "",
      ("status %d in the call %s\n%s"):format(status, last:gsub("%s+$", ""), err))
  end)

  it("refuses what its annotation does not allow", function()
    assert.equal("", (out:gsub("%d+ functions, %d+ calls\n$", "")))
  end)

  it("was called", function()
    local all = #select(2, annotations.modules "core")
    local functions, calls = out:match "(%d+) functions, (%d+) calls\n$"
    assert.equal(all, math.tointeger(functions))
    assert.is_true(math.tointeger(calls) > 100 * all)
  end)
end)
