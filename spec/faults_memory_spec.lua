-- Memory that runs out: an error, nothing lost, nothing leaked.
local faulty = require "spec.support.faulty"
local shell = require "spec.support.shell"

describe("when memory runs out", function()
  local folder
  -- a song of 200,000 events
  local events = ("\1\x90\x3c\x40\1\x80\x3c\x40"):rep(100000) .. "\0\xff\x2f\0"
  setup(function()
    folder = shell.folder()
    shell.write(folder .. "/long.mid", "MThd\0\0\0\6\0\1\0\1\0\x60MTrk" .. (">s4"):pack(events))
  end)
  teardown(function() shell.remove(folder) end)
  if faulty.sanitized then
    pending "the sanitizers' allocator does not fail"
    return
  end

  for who, least in pairs { engine = 3000, lua = 5000 } do
    it("at any allocation of " .. who .. ", all that allocates ends in an error", function()
      local status, out, err = faulty.run(("starve.lua %s %s"):format(folder, who))
      assert.equal("", err)
      assert.equal(0, status)
      local cases, failed = out:match "(%d+) cases, (%d+) allocations failed\n$"
      assert.equal("", (out:gsub("%d+ cases, %d+ allocations failed\n$", "")))
      assert.is_true(tonumber(cases) >= 39 and tonumber(failed) > least)
    end)
  end

  it("a song is refused, under any limit of memory", function()
    local path = folder .. "/long.mid"
    local function reads(kib)
      local _, out, err = shell.sh(([[ulimit -v %d
        OPENBLAS_NUM_THREADS=1 %s lua5.4 -e '
          io.write(pcall(function()
            return #require "neuraldrummer.core".load_song("%s"):notes "drums"
          end) and "read" or "refused")']]):format(kib, faulty.paths(), path))
      if out == "read" or out == "refused" then return out == "read" end
      error(("at %d KiB: %s%s"):format(kib, out, err))
    end
    -- between what Lua begins with and what is always enough
    local little, enough = 10000, 1000000
    assert.is_false(reads(little))
    assert.is_true(reads(enough))
    while enough - little > 300 do
      local kib = (little + enough) // 2
      if reads(kib) then enough = kib else little = kib end
    end
    local refused, read = 0, 0
    for kib = enough - 9000, enough + 3000, 300 do
      if reads(kib) then read = read + 1 else refused = refused + 1 end
    end
    assert.is_true(refused > 5 and read > 5, ("%d refused, %d read"):format(refused, read))
  end)

  it("as another thread takes it, reading ends in errors", function()
    local program = faulty.program("spec/support/squeeze.c", "squeeze")
    local script = shell.write(folder .. "/squeeze.lua", [[
      local load = require "neuraldrummer.core".load_song
      return function() assert(load(path)):close() end]])
    local status, out, err = shell.sh(("env OPENBLAS_NUM_THREADS=1 %s %s %s %s/long.mid"):format(
      faulty.paths(), program, script, folder))
    assert.equal("", err)
    assert.equal(0, status)
    -- races end either way; with all taken nothing is read, and all is well after it
    assert.matches("^%d+ of 300, 30 of 30, 0 of 30\n$", out)
  end)
end)
