-- Disks that are full, shut, slow to say so, or gone: the old file is whole.
local core = require "neuraldrummer.core"
local faulty = require "spec.support.faulty"
local files = require "neuraldrummer.files"
local shell = require "spec.support.shell"
local tiny = require "spec.support.tiny"

describe("when the disk fails", function()
  local folder
  before_each(function() folder = shell.folder() end)
  after_each(function() shell.remove(folder) end)

  it("at any call, it is said and the old file stays", function()
    local status, out, err = faulty.run("spoil.lua " .. folder ..
      (faulty.sanitized and " briefly" or ""))
    assert.equal("", err)
    assert.equal(0, status)
    local cases, failed = out:match "(%d+) cases, (%d+) calls failed\n$"
    assert.equal("", (out:gsub("%d+ cases, %d+ calls failed\n$", "")))
    assert.is_true(tonumber(cases) == 15 and tonumber(failed) > 600, out)
  end)

  local function writers()
    local tok = core.tokeniser()
    local song = tiny.song { bars = 64,
      patterns = { { kick = "x...x...x...x...", bass = "x.x.x.x.x.x.x.x." } } }
    local seq = assert(tok:encode(song))
    local model = core.model { hidden = 16, layers = 1, encoder = 0 }
    return {
      ["x.mid"] = function(path) return song:save(path) end,
      ["x.safetensors"] = function(path) return model:save(path) end,
      ["x.tsv"] = function(path) return files.write(path, ("1\t2\n"):rep(20000)) end,
      ["x.ndc"] = function(path)
        local writer, message = core.create_corpus(path, tok)
        if not writer then return nil, message end
        local left <close> = writer
        local ok
        for _ = 1, 5 do
          ok, message = left:add(seq)
          if not ok then return nil, message end
        end
        return left:finish()
      end,
    }
  end

  -- The kernel's own limit, at every size: a write in the middle is cut short.
  it("as it fills up, at every size, the old file stays", function()
    local script = shell.write(folder .. "/fill.lua", [[
      local core = require "neuraldrummer.core"
      local files = require "neuraldrummer.files"
      local tiny = require "spec.support.tiny"
      local song = tiny.song { bars = 64, patterns = { { kick = "x...x...x...x...",
        bass = "x.x.x.x.x.x.x.x." } } }
      local tok = core.tokeniser()
      local seq = assert(tok:encode(song))
      local path, kind = arg[1], arg[2]
      local ok, message
      if kind == "mid" then ok, message = song:save(path)
      elseif kind == "tsv" then ok, message = files.write(path, ("1\t2\n"):rep(4000))
      elseif kind == "safetensors" then
        ok, message = core.model { hidden = 8, layers = 1, encoder = 0 }:save(path)
      else
        local writer <close> = assert(core.create_corpus(path, tok))
        ok, message = writer:add(seq)
        if ok then ok, message = writer:finish() end
      end
      io.write(ok and "written" or message)]])
    for _, kind in ipairs { "mid", "tsv", "safetensors", "ndc" } do
      local path, refused = folder .. "/x." .. kind, 0
      for size = 0, 200, kind == "ndc" and 24 or 4 do
        shell.write(path, "old")
        local _, out = shell.sh(("(trap '' XFSZ; ulimit -f %d; env %s lua5.4 %s %s %s) | cat")
          :format(size, faulty.paths(), script, path, kind))
        if out == "written" then break end
        refused = refused + 1
        assert.equal(path .. ": File too large", out)
        assert.equal("old", shell.read(path))
        assert.equal("", select(2, shell.sh("ls " .. folder .. " | grep part")))
      end
      assert.is_true(refused > 0, kind)
      assert.not_equal("old", shell.read(path))
    end
  end)

  it("because the folder is gone or shut, it is said", function()
    for name, write in pairs(writers()) do
      local path = folder .. "/none/" .. name
      local ok, message = write(path)
      assert.is_nil(ok)
      assert.equal(path .. ": No such file or directory", message)
      -- a file where a folder should be; a folder where the file should be
      path = shell.write(folder .. "/file", "") .. "/" .. name
      assert.same({ nil, path .. ": Not a directory" }, { write(path) })
      path = folder .. "/" .. name
      shell.run("mkdir", path)
      assert.same({ nil, path .. ": Is a directory" }, { write(path) })
      assert.equal("", select(2, shell.sh("ls " .. folder .. " | grep part")))
      shell.run("rmdir", path)
    end
    -- even root writes nothing here
    if shell.exists "/proc/self" then
      for name, write in pairs(writers()) do
        assert.is_nil((write("/proc/" .. name)))
      end
    end
  end)

  it("because what was read from vanishes, what is open stays open", function()
    for name, write in pairs(writers()) do
      local path = folder .. "/" .. name
      assert(write(path))
      if name == "x.ndc" then
        local corpus <close> = assert(core.open_corpus(path))
        os.remove(path)
        assert.is_truthy(corpus:song(5))
      end
      os.remove(path)
    end
    local tok = core.tokeniser()
    local path = folder .. "/x.ndc"
    local writer <close> = assert(core.create_corpus(path, tok))
    assert.equal(0, (shell.sh(("rm %s/*"):format(folder))))
    assert(writer:add(assert(tok:parse "36,i0.0,-1")))
    local ok, message = writer:finish()
    assert.is_nil(ok)
    assert.equal(path .. ": No such file or directory", message)
  end)

  it("of a writer that was killed, what it left is taken over", function()
    for name, write in pairs(writers()) do
      local path = folder .. "/" .. name
      local part = path .. (name == "x.tsv" and ".part" or ".nd-part")
      shell.write(part, ("rest"):rep(100000))
      assert(write(path))
      assert.is_false(shell.exists(part))
      assert.is_nil(shell.read(path):find("restrest", 1, true))
    end
  end)

  it("no link is followed to what is another's", function()
    local other = shell.write(folder .. "/other", "precious")
    local write = writers()
    for _, name in ipairs { "x.mid", "x.safetensors", "x.ndc" } do
      local path = folder .. "/" .. name
      shell.run("ln", "-s", other, path .. ".nd-part")
      assert.is_nil((write[name](path)))
      assert.equal("precious", shell.read(other))
    end
  end)
end)
