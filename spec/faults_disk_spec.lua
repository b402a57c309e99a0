-- Disks that are full, shut, slow to say so, or gone: the old file is whole.
local lfs = require "lfs"
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
      assert.same({ nil, path .. ": is a folder" }, { write(path) })
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
      local part = path .. ".nd-part"
      shell.write(part, ("rest"):rep(100000))
      assert(write(path))
      assert.is_false(shell.exists(part))
      assert.is_nil(shell.read(path):find("restrest", 1, true))
    end
  end)

  it("no link is followed to what is another's", function()
    local other = shell.write(folder .. "/other", "precious")
    for name, write in pairs(writers()) do
      local path = folder .. "/" .. name
      shell.run("ln", "-s", other, path .. ".nd-part")
      assert.is_nil((write(path)))
      assert.equal("precious", shell.read(other))
    end
  end)

  it("what is no file is not replaced by one", function()
    for name, write in pairs(writers()) do
      local path = folder .. "/" .. name
      shell.run("mkfifo", path)
      assert.same({ nil, path .. ": is not a regular file" }, { write(path) })
      assert.equal("named pipe", lfs.attributes(path, "mode"))
      -- one of our own: that of the machine would be lost where this fails; root alone makes one
      local device = folder .. "/null"
      if shell.run("mknod", device, "c", "1", "3") == 0 then
        assert.same({ nil, device .. ": is not a regular file" }, { write(device) })
        assert.equal("char device", lfs.attributes(device, "mode"))
        os.remove(device)
      end
      -- nor through a link
      local link = folder .. "/link-" .. name
      shell.run("ln", "-s", path, link)
      assert.same({ nil, link .. ": is not a regular file" }, { write(link) })
      assert.equal("", select(2, shell.sh("ls " .. folder .. " | grep part")))
    end
  end)

  it("a link is followed, and stays one; one to nothing is refused", function()
    shell.run("mkdir", folder .. "/far")
    for name, write in pairs(writers()) do
      local far, link = folder .. "/far/" .. name, folder .. "/" .. name
      shell.run("ln", "-s", "far/" .. name, link)
      assert.same({ nil, link .. ": is a dangling symbolic link" }, { write(link) })
      assert.is_false(shell.exists(far))
      shell.write(far, "old")
      assert(write(link))
      assert.equal("link", lfs.symlinkattributes(link, "mode"))
      assert.equal("file", lfs.symlinkattributes(far, "mode"))
      assert.not_equal("old", shell.read(far))
      assert.equal("", select(2, shell.sh("ls -R " .. folder .. " | grep part")))
      os.remove(link)
      shell.run("ln", "-s", name, link)
      assert.same({ nil, link .. ": Too many levels of symbolic links" }, { write(link) })
    end
  end)

  it("a file is as open to others as the one that it replaces", function()
    for name, write in pairs(writers()) do
      local path = folder .. "/" .. name
      for _, mode in ipairs { "rw-------", "r--r--r--", "rwxrw-rw-" } do
        shell.write(path, "old")
        shell.run("chmod", ("u=%s,g=%s,o=%s"):format(mode:sub(1, 3):gsub("-", ""),
          mode:sub(4, 6):gsub("-", ""), mode:sub(7, 9):gsub("-", "")), path)
        assert(write(path))
        assert.equal(mode, lfs.attributes(path, "permissions"))
        os.remove(path)
      end
    end
  end)

  it("no one else can read what is begun in the place of a secret", function()
    local path = shell.write(folder .. "/x.ndc", "old")
    shell.run("chmod", "600", path)
    local writer <close> = assert(core.create_corpus(path, core.tokeniser()))
    assert.equal("rw-------", lfs.attributes(path .. ".nd-part", "permissions"))
    assert(writer:finish())
  end)

  it("a name may be as long as a folder takes it", function()
    for _, n in ipairs { 100, 101, 223, 224, 240, 255 } do
      for name, write in pairs(writers()) do
        local path = ("%s/%s%s"):format(folder, ("n"):rep(n - #name), name)
        assert(write(path))
        assert.is_true(lfs.attributes(path, "size") > 0)
        assert.equal("", select(2, shell.sh("ls " .. folder .. " | grep part")))
        os.remove(path)
      end
    end
    local path = ("%s/%s"):format(folder, ("n"):rep(255))
    local writer <close> = assert(core.create_corpus(path, core.tokeniser()))
    assert.same({ nil, path .. ": is being written by another writer" }, { files.create(path) })
    assert(files.write(path:sub(1, -2) .. "m", "another name"))
    assert(writer:finish())
  end)

  it("of two writers of a path the second is refused", function()
    for _, name in ipairs { "x.ndc", "x.tsv" } do
      local path = folder .. "/" .. name
      local first <close> = assert(files.create(path))
      first:write(("a"):rep(1 << 17))
      assert.same({ nil, path .. ": is being written by another writer" },
        { writers()[name](path) })
      first:write "b"
      assert(first:finish())
      assert.equal(("a"):rep(1 << 17) .. "b", shell.read(path))
      assert(writers()[name](path))
    end
  end)

  it("what is written at once is written by any number", function()
    local path = folder .. "/x.mid"
    local first <close> = assert(core.create_corpus(path, core.tokeniser()))
    -- two more of this process: one that is at work, and one that was killed
    local own = ("%s.%d"):format(path, tonumber(io.open "/proc/self/stat":read "n"))
    local status = shell.sh(("flock -F %s.nd-part sleep 60 >/dev/null 2>&1 & echo $! >%s/pid\n"
      .. "for try in $(seq 3000); do flock -n %s.nd-part true || exit 0; sleep 0.01; done; exit 1")
      :format(own, folder, own))
    assert.equal(0, status)
    finally(function() shell.sh(("kill $(cat %s/pid)"):format(folder)) end)
    shell.write(own .. ".1.nd-part", "")
    assert(writers()["x.mid"](path))
    assert(writers()["x.safetensors"](path))
    assert(first:finish())
    assert.is_truthy(core.open_corpus(path))
  end)

  it("a disk without locks is written to, and nothing is left on it", function()
    local status, out, err = faulty.run("unlocked.lua " .. folder)
    assert.same({ 0, "", "" }, { status, err, out })
  end)
end)
