local core = require "neuraldrummer.core"
local csv = require "neuraldrummer.csv"
local files = require "neuraldrummer.files"
local shell = require "spec.support.shell"

describe("files", function()
  local folder
  before_each(function() folder = shell.folder() end)
  after_each(function() shell.remove(folder) end)

  it("are walked in order, whatever the case of their names, and loops of links end", function()
    shell.sh(("cd %s && mkdir -p b/c a && touch b/2.MID b/c/1.midi a/3.kar x.mid y.txt mid"
      .. " && ln -s .. b/loop && ln -s nowhere broken.mid"):format(folder))
    local paths = assert(files.walk(folder .. "/", { "mid", "midi", "kar" }))
    for i, path in ipairs(paths) do paths[i] = path:sub(#folder + 2) end
    assert.same({ "a/3.kar", "b/2.MID", "b/c/1.midi", "x.mid" }, paths)
    assert.same({ nil, folder .. "/none: no such folder" }, { files.walk(folder .. "/none", {}) })
    assert.same({ nil, folder .. "/x.mid: is not a folder" },
      { files.walk(folder .. "/x.mid", {}) })
  end)

  it("are read whole, or not", function()
    local path = shell.write(folder .. "/x", "a\0b")
    assert.equal("a\0b", files.read(path))
    assert.same({ nil, folder .. "/y: No such file or directory" }, { files.read(folder .. "/y") })
    assert.same({ nil, folder .. ": is a folder" }, { files.read(folder) })
  end)

  it("take their place only when finished", function()
    local path = shell.write(folder .. "/x", "old")
    local writer = assert(files.create(path))
    writer:write("new", " one")
    assert.equal("old", shell.read(path))
    assert(writer:finish())
    assert.equal("new one", shell.read(path))
    do
      local abandoned <close> = assert(files.create(path))
      abandoned:write "worse"
    end
    assert.equal("new one", shell.read(path))
    assert.is_false(shell.exists(path .. ".nd-part"))
    assert.matches("/none/x: ", select(2, files.create(folder .. "/none/x")))
  end)

  it("say when the disk is full", function()
    local path = folder .. "/x"
    local script = shell.write(folder .. "/write.lua", [[
      local writer = assert(require "neuraldrummer.files".create(arg[1]))
      print(writer:write("small", 1, 0.5))
      print(writer:write(("x"):rep(1 << 17)))
      print(writer:write "more")
      print(writer:finish())]])
    -- what counts covered lines meets the limit too, and is not meant
    local _, out, err = shell.sh(("(trap '' XFSZ; ulimit -f 1; GCOV_ERROR_FILE=/dev/null "
      .. "LUA_PATH=%s LUA_CPATH=%s lua5.4 %s %s) | cat"):format(
      shell.quote(package.path), shell.quote(package.cpath), script, path))
    local full = ("nil\t%s: File too large\n"):format(path)
    assert.same({ "true\n" .. full:rep(3), "" }, { out, err })
    assert.is_false(shell.exists(path) or shell.exists(path .. ".nd-part"))
  end)

  it("have names with infixes", function()
    assert.equal("a/b.c/m.last.safetensors", files.infix("a/b.c/m.safetensors", ".last"))
    assert.equal("a.b/m.last", files.infix("a.b/m", ".last"))
    assert.equal("a/.m.last", files.infix("a/.m", ".last"))
  end)

  it("have a fingerprint that any byte changes", function()
    local seen = {}
    local text = ("x"):rep(70)
    for i = 1, #text do
      local hash = core.hash(text:sub(1, i - 1) .. "y" .. text:sub(i + 1))
      assert.is_nil(seen[hash])
      seen[hash] = true
    end
    assert.is_nil(seen[core.hash(text)])
    assert.not_equal(core.hash "a", core.hash "a\0")
    assert.equal(core.hash(text), core.hash(text))
    -- one in ten, and not by the size
    local chosen = 0
    for i = 1, 5000 do
      if (core.hash(("%08d"):format(i)) >> 8) % 10 == 0 then chosen = chosen + 1 end
    end
    assert.is_true(chosen > 430 and chosen < 570)
  end)

  it("hold tables", function()
    local rows, columns = csv.parse(
      '\xEF\xBB\xBFfile,split\r\n"a ""b"", c",train\n"two\nlines",\n\nx,y')
    assert.same({ "file", "split" }, columns)
    assert.same({ { file = 'a "b", c', split = "train" }, { file = "two\nlines", split = "" },
      { file = "x", split = "y" } }, rows)
    assert.same({ nil, "line 3: 1 values, but 2 columns" }, { csv.parse "a,b\n1,2\n3\n" })
    assert.same({ nil, "line 2: a quote is not closed" }, { csv.parse 'a,b\n"1,2\n' })
    assert.same({ nil, "line 2: text after a closing quote" }, { csv.parse 'a,b\n"1"2,3\n' })
    assert.same({ nil, "no header line" }, { csv.parse "" })
    assert.same({ nil, "line 3: a zero byte" }, { csv.parse "a\nb\n\0c\n" })
  end)
end)

describe("preprocess", function()
  local nd = require "neuraldrummer"
  local preprocess = require "neuraldrummer.preprocess"
  local folder, songs
  setup(function()
    folder = shell.folder()
    songs = folder .. "/songs"
    shell.run("mkdir", "-p", songs .. "/more")
    local all = dofile "examples/songs/all.lua"
    assert(all.write(songs .. "/more"))
    assert(all.load "rock":save(songs .. "/drumless.mid", { drums = false }))
    shell.write(songs .. "/broken.mid", "MThd nothing of the kind")
    shell.write(songs .. "/empty.mid", "")
    shell.write(songs .. "/short.mid", assert(nd.song.new {
      ppq = 96, drum_channel = 10,
      notes = { { tick = 0, duration = 48, pitch = 36, velocity = 90, channel = 10 } },
    }:bytes()))
    shell.write(songs .. "/readme.txt", "no song")
  end)
  teardown(function() shell.remove(folder) end)

  it("keeps what can be learnt from, and counts the rest with its reasons", function()
    local seen = {}
    local out = folder .. "/a.ndc"
    local summary = assert(preprocess.run(songs, out, {
      on_progress = function(done, total, kept, skipped)
        seen[#seen + 1] = done
        assert.equal(13, total)
        assert.equal(done, kept + skipped)
        assert.is_false(shell.exists(out))
      end,
    }))
    assert.equal(13, #seen)
    assert.equal(13, summary.files)
    assert.equal(9, summary.accepted)
    assert.equal(4, #summary.reasons)
    assert.equal(1, summary.skipped["no drums"])
    assert.equal(1, summary.skipped["no longer than 32 steps"])
    local total = 0
    for _, n in pairs(summary.skipped) do total = total + n end
    assert.equal(4, total)

    local corpus <close> = assert(nd.corpus.open(out))
    assert.equal(9, #corpus)
    local steps, valid, kicks = 0, 0, 0
    for i = 1, #corpus do
      local info = corpus:info(i)
      steps = steps + info.steps
      valid = valid + (info.split == "valid" and 1 or 0)
      assert.matches("^more/%a+%.mid$", info.name)
      for _, hits in ipairs(assert(corpus:song(i)):hits()) do
        kicks = kicks + (hits.kick and 1 or 0)
      end
    end
    assert.equal(summary.steps, steps)
    assert.equal(summary.valid, valid)
    assert.equal("kick", summary.voices[1].name)
    assert.equal(kicks, summary.voices[1].hits)
    assert.equal(kicks / steps, summary.voices[1].rate)
    local hits, voices = 0, #summary.voices
    for _, voice in ipairs(summary.voices) do hits = hits + voice.hits end
    assert.near(hits / voices / kicks, summary.voices[1].weight, 1e-12)
  end)

  it("writes the same corpus again", function()
    assert(preprocess.run(songs, folder .. "/b1.ndc"))
    assert(preprocess.run(songs, folder .. "/b2.ndc"))
    assert.equal(shell.read(folder .. "/b1.ndc"), shell.read(folder .. "/b2.ndc"))
  end)

  it("puts the same content on the same side, whatever its name", function()
    local twice = folder .. "/twice"
    shell.sh(("mkdir %s && cp %s/more/*.mid %s && cd %s && for f in *.mid; do cp $f copy-$f; done")
      :format(twice, songs, twice, twice))
    local summary = assert(preprocess.run(twice, folder .. "/c.ndc", { valid_every = 2 }))
    assert.is_true(summary.valid > 0 and summary.valid < summary.accepted)
    local corpus <close> = assert(nd.corpus.open(folder .. "/c.ndc"))
    local splits = {}
    for i = 1, #corpus do
      local info = corpus:info(i)
      local name = info.name:gsub("^copy%-", "")
      assert.equal(splits[name] or info.split, info.split)
      splits[name] = info.split
    end
    summary = assert(preprocess.run(twice, folder .. "/c.ndc", { valid_every = 0 }))
    assert.equal(0, summary.valid)
  end)

  it("follows a manifest", function()
    local manifest = shell.write(folder .. "/songs/list.csv",
      'licence,file,split,ok\nA,more/rock.mid,train,1\nA,"more/waltz.mid",valid,1\n'
      .. 'B,more/funk.mid,train,1\nA,more/seven.mid,train,0\nA,more/five.mid,test,1\n'
      .. 'A,more/missing.mid,train,1\nA,../elsewhere.mid,train,1\n')
    local out = folder .. "/d.ndc"
    local summary = assert(preprocess.run(songs, out,
      { manifest = manifest, where = { licence = "A", ok = "1" } }))
    assert.equal(4, summary.files)
    assert.equal(2, summary.accepted)
    assert.equal(1, summary.valid)
    assert.equal(2, summary.left_out)
    assert.same({ ["split 'test' is neither train nor valid"] = 1,
      ["No such file or directory"] = 1 }, summary.skipped)
    local corpus <close> = assert(nd.corpus.open(out))
    assert.same({ "more/rock.mid", "train" }, { corpus:info(1).name, corpus:info(1).split })
    assert.same({ "more/waltz.mid", "valid" }, { corpus:info(2).name, corpus:info(2).split })

    assert.same({ nil, manifest .. ": no column 'colour'" },
      { preprocess.run(songs, out, { manifest = manifest, where = { colour = "red" } }) })
    shell.write(manifest, "file,split\nmore/rock.mid,train\nmore/wal\0tz.mid,train\n")
    assert.same({ nil, manifest .. ": line 3: a zero byte" },
      { preprocess.run(songs, out, { manifest = manifest }) })
    assert.error_matches(function() preprocess.run(songs, out, { where = {} }) end,
      "option 'where' needs option 'manifest'")
  end)

  it("writes token text as the original system does, and it loads again", function()
    local out = folder .. "/saved.txt"
    local summary = assert(preprocess.run(songs, out, { original = true }))
    assert.equal(9, summary.accepted)
    local lines = {}
    for line in shell.read(out):gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
    assert.equal(9, #lines)
    local tokeniser = nd.tokeniser { preset = "neuraldrummer2023" }
    local seq = assert(tokeniser:encode(assert(nd.song.load(songs .. "/more/ballad.mid"))))
    assert.equal(seq:tokens(), lines[1])
    local corpus <close> = assert(nd.corpus.open(out))
    assert.equal(9, #corpus)
    assert.equal(lines[9], assert(corpus:song(9)):tokens())
  end)

  it("leaves nothing when it fails", function()
    local none = folder .. "/none"
    shell.run("mkdir", none)
    for _, original in ipairs { true, false } do
      assert.same({ nil, none .. ": no usable song in 0 files" },
        { preprocess.run(none, folder .. "/e", { original = original }) })
    end
    assert.has_error(function()
      preprocess.run(songs, folder .. "/e", { on_progress = function() error "stop" end })
    end)
    local status, out = shell.run("find", folder, "-maxdepth", "1", "-name", "*e.*part*")
    assert.equal(0, status)
    assert.equal("", out)
    assert.is_false(shell.exists(folder .. "/e"))
    assert.matches("no such folder", select(2, preprocess.run(folder .. "/none/x", folder .. "/e")))
    assert.matches("/none/y/e: ", select(2, preprocess.run(songs, folder .. "/none/y/e")))
  end)
end)
