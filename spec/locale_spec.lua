-- A host's locale changes nothing of what is read and written; of numbers,
-- decimal_spec says so.
local core = require "neuraldrummer.core"
local log = require "neuraldrummer.train.log"
local shell = require "spec.support.shell"

describe("the order of names", function()
  -- A locale of our own, in which the alphabet begins with z and ends with A.
  local PARTS <const> = { "CTYPE", "NUMERIC", "MONETARY", "TIME", "MESSAGES" }
  local folder, there
  setup(function()
    folder = shell.folder()
    local lines = {}
    for _, part in ipairs(PARTS) do
      lines[#lines + 1] = ('LC_%s\ncopy "POSIX"\nEND LC_%s'):format(part, part)
    end
    lines[#lines + 1] = "LC_COLLATE\norder_start forward\n<U007A>\n<U0062>\n<U0061>\n<U0042>\n"
      .. "<U0041>\norder_end\nEND LC_COLLATE\n"
    shell.write(folder .. "/definition", table.concat(lines, "\n"))
    shell.sh(("localedef -c -i %s/definition %s/back_XX"):format(folder, folder))
    there = shell.sh(("LOCPATH=%s lua5.4 -e 'os.exit(os.setlocale \"back_XX\" and \"b\" < \"a\")'")
      :format(folder)) == 0
  end)
  teardown(function() shell.remove(folder) end)

  it("is that of their bytes", function()
    local names = { "b", "a\0b", "", "Z", "a", "\xFF", "a\0", "\x7F", "aa" }
    table.sort(names, core.byte_less)
    assert.same({ "", "Z", "a", "a\0", "a\0b", "aa", "b", "\x7F", "\xFF" }, names)
    assert.is_false(core.byte_less("a", "a"))
  end)

  it("is the same in every locale, and so is what is made of them", function()
    if not there then return pending "no localedef that makes one" end
    local songs = folder .. "/songs"
    shell.run("mkdir", songs)
    local all = dofile "examples/songs/all.lua"
    for name, song in pairs { a = "rock", b = "waltz", z = "ballad", B = "seven", A = "funk" } do
      assert(all.load(song):save(("%s/%s.mid"):format(songs, name)))
    end
    shell.write(songs .. "/list.csv",
      "file,split\nz.mid,train\na.mid,valid\nB.mid,train\nA.mid,train\n")
    local script = shell.write(folder .. "/make.lua", [[
      local songs, out, locale = table.unpack(arg)
      if locale then assert(os.setlocale(locale)) end
      local preprocess = require "neuraldrummer.preprocess"
      assert(preprocess.run(songs, out .. ".ndc"))
      assert(preprocess.run(songs, out .. ".txt", { original = true }))
      assert(preprocess.run(songs, out .. ".list.ndc", { manifest = songs .. "/list.csv" }))]])
    for name, locale in pairs { plain = "", back = "back_XX" } do
      local status, _, err = shell.sh(("LOCPATH=%s LUA_PATH=%s LUA_CPATH=%s lua5.4 %s %s %s/%s %s")
        :format(folder, shell.quote(package.path), shell.quote(package.cpath), script, songs,
          folder, name, locale))
      assert.same({ 0, "" }, { status, err })
    end
    for _, ending in ipairs { ".ndc", ".txt", ".list.ndc" } do
      assert.is_true(shell.read(folder .. "/plain" .. ending) == shell.read(folder .. "/back"
        .. ending), ending)
    end
    local corpus <close> = assert(core.open_corpus(folder .. "/back.ndc"))
    assert.equal("A.mid", corpus:info(1).name)
  end)
end)

describe("what the system says", function()
  it("is not looked for in English: a log that is gone is begun", function()
    local folder = shell.folder()
    local path = folder .. "/log.tsv"
    local open = io.open
    finally(function()
      rawset(io, "open", open)
      shell.remove(folder)
    end)
    rawset(io, "open", function(...)
      local file, message, errno = open(...)
      return file, message and "Datei oder Verzeichnis nicht gefunden", errno
    end)
    local rows <close> = assert(log.open(path, { epoch = 2, batch = 1 }))
    assert.is_truthy(rows)
    assert.matches("^epoch\tbatch\t", shell.read(path))
    assert.is_nil((log.open(folder .. "/none/log.tsv", { epoch = 2, batch = 1 })))
  end)
end)
