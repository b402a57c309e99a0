-- Corpora and checkpoints of impossible sizes: refused before they are read.
local core = require "neuraldrummer.core"
local shell = require "spec.support.shell"
local tiny = require "spec.support.tiny"

describe("a file that says it is huge", function()
  local folder
  before_each(function() folder = shell.folder() end)
  after_each(function() shell.remove(folder) end)

  --- Refused, and before it is read.
  local function refused(load, path, message)
    local before = shell.bytes_read()
    local ok, why = load(path)
    assert.is_nil(ok)
    assert.matches(message, why, 1, true)
    assert.is_true(shell.bytes_read() - before < 4 << 20)
  end

  it("is refused as a checkpoint: metadata of 2 GB, there or not", function()
    for _, length in ipairs { 1 << 31, (1 << 31) - 9, 1 << 32, 1 << 40, math.maxinteger, -1,
      (16 << 20) + 1 } do
      local path = shell.write(folder .. "/m.safetensors", ("<i8"):pack(length) .. "{}")
      refused(core.load_model, path, path .. ": not a safetensors file")
      shell.sh(("truncate -s 2200M %s"):format(path))
      refused(core.load_model, path, path .. ": not a safetensors file")
    end
  end)

  it("is refused as a checkpoint over the limit", function()
    local path = shell.write(folder .. "/m.safetensors", ("<i8"):pack(20) .. "{}")
    shell.sh(("truncate -s 5G %s"):format(path))
    refused(core.load_model, path, "5368709120 bytes, over the limit of 4294967296")
  end)

  it("is refused as a corpus: sizes that are not the file's", function()
    local path = folder .. "/c.ndc"
    local tok = core.tokeniser()
    local writer = assert(core.create_corpus(path, tok))
    assert(writer:add(assert(tok:encode(tiny.song { bars = 2,
      patterns = { { kick = "x...............", bass = "x..............." } } }))))
    assert(writer:finish())
    local bytes = shell.read(path)
    for _, size in ipairs { "2200M", "1T" } do
      shell.write(path, bytes)
      shell.sh(("truncate -s %s %s"):format(size, path))
      refused(core.open_corpus, path, "bytes and should have " .. #bytes)
    end
    -- every field of the header with the largest values it can have
    for at = 8, 64, 4 do
      for _, value in ipairs { "\xFF\xFF\xFF\xFF", "\xFF\xFF\xFF\x7F", "\0\0\0\x80" } do
        shell.write(path, bytes:sub(1, at) .. value .. bytes:sub(at + 5))
        refused(core.open_corpus, path, path .. ": ")
      end
    end
  end)

  it("is refused as token text over the limit", function()
    local path = shell.write(folder .. "/saved.txt", "36,-1\n")
    shell.sh(("truncate -s 5G %s"):format(path))
    refused(core.open_corpus, path, "5368709120 bytes, over the limit of 4294967296")
  end)
end)
