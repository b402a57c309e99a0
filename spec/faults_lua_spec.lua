-- What a Lua program can do to us, and hosts with several states.
local faulty = require "spec.support.faulty"
local shell = require "spec.support.shell"

describe("a Lua program does no harm", function()
  local folder
  before_each(function() folder = shell.folder() end)
  after_each(function() shell.remove(folder) end)

  for mode, what in pairs {
    swap = "by giving objects each other's metatables",
    replace = "by replacing what they stand on, what methods close over and what is registered",
    gc = "by calling __gc and __close itself",
    finalise = "by closing in a finaliser what a method works on",
    rob = "by emptying, in a finaliser, the tables that are being read",
    collect = "by collecting at every instruction",
    coroutines = "by yielding, raising and re-entering wherever it is called",
  } do
    it(what, function()
      local status, out, err = shell.sh(("env %s lua5.4 spec/support/hostile.lua %s %s%s"):format(
        faulty.paths(), folder, mode, faulty.sanitized and " briefly" or ""))
      assert.equal("", err)
      assert.equal(0, status)
      assert.matches("^%d+ deeds\n$", out)
    end)
  end
end)

describe("a host with Lua states", function()
  local program
  setup(function() program = faulty.program("spec/support/states.c", "states") end)
  local function run(...)
    local status, out, err = shell.sh(("env OPENBLAS_NUM_THREADS=1 %s %s %s %s"):format(
      faulty.paths(), program, "spec/support/errands.lua", table.concat({ ... }, " ")))
    assert.equal("", err)
    assert.equal(0, status)
    return out
  end

  it("gets the same from each, one after another and in threads", function()
    local digests = {}
    for _, how in ipairs { "turns 5", "threads 4", "passed 3", "turns 1" } do
      local digest = run(how):match "^%d states, the same: (%x+)\n$"
      digests[#digests + 1] = assert(digest)
    end
    for i = 2, #digests do assert.equal(digests[1], digests[i]) end
  end)

  it("that gives them little memory gets errors, and all of it back", function()
    local states, refused = run("starved", 500):match "^(%d+) states, (%d+) allocations refused\n$"
    assert.is_true(tonumber(states) > 60 and tonumber(refused) > 1000)
  end)
end)
