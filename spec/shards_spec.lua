-- Preprocessing in parts: on threads, and in shards that are merged.
local lfs = require "lfs"
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local json = require "dkjson"
local preprocess = require "neuraldrummer.preprocess"
local shards = require "neuraldrummer.shards"
local summaries = require "neuraldrummer.shards.summary"
local shell = require "spec.support.shell"

-- All of a summary but what depends on the clock.
local function counted(summary)
  local copy = {}
  for key, value in pairs(summary) do copy[key] = value end
  copy.seconds = nil
  return copy
end

describe("preprocessing in parts", function()
  local folder, songs, whole, whole_text, summary, text_summary
  setup(function()
    folder = shell.folder()
    songs = folder .. "/songs"
    shell.run("mkdir", "-p", songs .. "/more")
    local all = dofile "examples/songs/all.lua"
    assert(all.write(songs .. "/more"))
    for _, name in ipairs(all.names) do
      local song = assert(nd.song.load(("%s/more/%s.mid"):format(songs, name)))
      for k, map in ipairs { { [42] = 44 }, { [36] = 91 } } do
        assert(song:with_pitches(map):save(("%s/%s-%d.mid"):format(songs, name, k)))
      end
    end
    assert(all.load "rock":save(songs .. "/drumless.mid", { drums = false }))
    shell.write(songs .. "/broken.mid", "MThd nothing of the kind")
    shell.write(songs .. "/more/zbroken.mid", "MThd nothing of the kind")
    shell.write(songs .. "/empty.mid", "")
    whole, whole_text = folder .. "/whole.ndc", folder .. "/whole.txt"
    summary = assert(preprocess.run(songs, whole, { valid_every = 3 }))
    text_summary = assert(preprocess.run(songs, whole_text, { original = true }))
  end)
  teardown(function() shell.remove(folder) end)

  -- The shards' paths, made one by one.
  local function make(n, options, ending)
    local paths = {}
    for k = 1, n do
      paths[k] = ("%s/%d-of-%d%s"):format(folder, k, n, ending or ".ndc")
      local each = { shard = { k, n }, valid_every = 3 }
      for key, value in pairs(options or {}) do each[key] = value end
      assert(preprocess.run(songs, paths[k], each))
    end
    return paths
  end

  local function refused(message, paths)
    local out = folder .. "/refused.ndc"
    local merged, why = shards.merge(paths, out)
    assert.is_nil(merged)
    assert.equal(message, why)
    assert.is_false(shell.exists(out))
    local _, left = shell.sh("ls " .. folder .. " | grep part")
    assert.equal("", left)
  end

  it("writes the same on any number of threads", function()
    for _, threads in ipairs { 2, 3, 64 } do
      local out = folder .. "/threads.ndc"
      assert.same(counted(summary),
        counted(assert(preprocess.run(songs, out, { valid_every = 3, threads = threads }))))
      assert.is_true(shell.read(whole) == shell.read(out))
      assert.same(counted(text_summary), counted(assert(preprocess.run(songs, out,
        { original = true, threads = threads }))))
      assert.is_true(shell.read(whole_text) == shell.read(out))
    end
  end)

  it("goes through the same kit map on threads", function()
    local song = assert(nd.song.load(songs .. "/more/rock.mid"))
    local there = folder .. "/mapped"
    shell.run("mkdir", there)
    assert(song:with_pitches { [38] = 40, [42] = 22, [36] = 92 }:save(there .. "/a.mid"))
    local map = assert(require "neuraldrummer.kits".load "roland-td")
    local seen
    for threads = 1, 2 do
      local found = assert(preprocess.run(there, folder .. "/mapped.ndc",
        { kit_in = map, threads = threads }))
      assert.is_true(#found.unknown == 1 and found.unknown[1].pitch == 92)
      local corpus <close> = assert(nd.corpus.open(folder .. "/mapped.ndc"))
      local kits = require "neuraldrummer.kits"
      local heard = kits.to_general_midi(assert(nd.song.load(there .. "/a.mid")), map)
      local seq = assert(corpus:tokeniser():encode(heard))
      assert.equal(seq:tokens(), assert(corpus:song(1)):tokens())
      seen = seen or shell.read(folder .. "/mapped.ndc")
      assert.equal(seen, shell.read(folder .. "/mapped.ndc"))
    end
  end)

  it("is, merged, what one run makes: two, three, seven shards, and more than songs", function()
    for _, n in ipairs { 1, 2, 3, 7, 50 } do
      local paths = make(n)
      table.sort(paths, function(a, b) return a:reverse() < b:reverse() end)  -- in any order
      local out, seen = folder .. "/merged.ndc", 0
      local merged = assert(shards.merge(paths, out, { on_progress = function(done, total)
        assert.is_true(done > seen and total == summary.accepted)
        assert.is_false(shell.exists(out))
        seen = done
      end }))
      assert.equal(summary.accepted, seen)
      assert.is_true(shell.read(whole) == shell.read(out))
      assert.same(counted(summary), counted(merged))
      os.remove(out)
    end
  end)

  it("is so for token text", function()
    for _, n in ipairs { 2, 7, 50 } do
      local out = folder .. "/merged.txt"
      local merged = assert(shards.merge(make(n, { original = true }, ".txt"), out))
      assert.is_true(shell.read(whole_text) == shell.read(out))
      assert.same(counted(text_summary), counted(merged))
    end
  end)

  it("is so with a manifest", function()
    local rows = { "file,split,ok" }
    for i, name in ipairs { "rock", "waltz", "funk", "seven", "five", "ballad" } do
      rows[#rows + 1] = ("more/%s.mid,%s,%d"):format(name, i == 2 and "valid" or i == 5 and "odd"
        or "train", i == 1 and 0 or 1)
    end
    local manifest = shell.write(songs .. "/list.csv", table.concat(rows, "\n") .. "\n")
    local options = { manifest = manifest, where = { ok = "1" } }
    local one = assert(preprocess.run(songs, folder .. "/m.ndc", options))
    assert.same({ ["split 'odd' is neither train nor valid"] = 1 }, one.skipped)
    local merged = assert(shards.merge(make(3, options), folder .. "/merged.ndc"))
    assert.is_true(shell.read(folder .. "/m.ndc") == shell.read(folder .. "/merged.ndc"))
    assert.same(counted(one), counted(merged))
  end)

  it("leaves its summary with a shard, and an empty shard is one", function()
    local paths = make(50)
    local kept, empty = 0, 0
    for _, path in ipairs(paths) do
      local text = shell.read(path .. ".json")
      local note = assert(json.decode(text))
      -- no field is where it happens to be
      local settings, names = text:match '"settings":(%b{})', {}
      for name in settings:gmatch '"([%w_]+)":' do names[#names + 1] = name end
      local sorted = table.move(names, 1, #names, 1, {})
      table.sort(sorted)
      assert.same(sorted, names)
      local corpus <close> = assert(nd.corpus.open(path))
      assert.equal(note.accepted, #corpus)
      kept, empty = kept + note.accepted, empty + (note.accepted == 0 and 1 or 0)
    end
    assert.equal(summary.accepted, kept)
    assert.is_true(empty > 10)
    local none = folder .. "/none"
    shell.run("mkdir", none)
    assert(preprocess.run(none, folder .. "/none.ndc", { shard = { 1, 1 } }))
    refused("no usable song in 0 files", { folder .. "/none.ndc" })
  end)

  it("refuses shards that are missing, there twice, or of another whole", function()
    local two, three = make(2), make(3)
    refused("shard 2 of 2 is missing", { two[1] })
    refused("shards 1, 3 of 3 are missing", { three[2] })
    local copy = folder .. "/copy.ndc"
    shell.run("cp", two[1], copy)
    shell.run("cp", two[1] .. ".json", copy .. ".json")
    refused(("%s and %s are both shard 1 of 2"):format(two[1], copy), { two[1], copy, two[2] })
    refused(("%s: is shard 2 of 3, but %s is shard 1 of 2"):format(three[2], two[1]),
      { two[1], three[2] })
    local path = shell.write(songs .. "/new.mid", "no song")
    assert(preprocess.run(songs, copy, { shard = { 2, 2 }, valid_every = 3 }))
    os.remove(path)
    refused(("%s: was made from another list of files than %s"):format(copy, two[1]),
      { two[1], copy })
    refused(("%s: its summary cannot be read (%s.json: No such file or directory)")
      :format(whole, whole), { two[1], whole })
  end)

  it("refuses shards of another kit, grid or other settings", function()
    local one, copy = make(2)[1], folder .. "/other.ndc"
    for word, options in pairs {
      kit = { kit = "full17" }, steps_per_beat = { steps_per_beat = 8 },
      include_drums = { include_drums = true }, min_steps = { min_steps = 40 },
      valid_every = { valid_every = 4 }, kit_in = { kit_in = "roland-td" },
      format = { original = true },
    } do
      local all = { shard = { 2, 2 }, valid_every = 3 }
      for key, value in pairs(options) do all[key] = value end
      assert(preprocess.run(songs, copy, all))
      refused(("%s: was made with another %s than %s"):format(copy, word, one), { one, copy })
    end
  end)

  it("refuses shards that are cut short, or damaged", function()
    local paths = make(2)
    local bytes, note = shell.read(paths[2]), shell.read(paths[2] .. ".json")
    shell.write(paths[2], bytes:sub(1, -2))
    refused(("%s: has %d bytes, but its summary says %d"):format(paths[2], #bytes - 1, #bytes),
      paths)
    -- as large as it was, but not what it was
    local at = #bytes // 2
    shell.write(paths[2], bytes:sub(1, at) .. string.char(bytes:byte(at + 1) ~ 1)
      .. bytes:sub(at + 2))
    local merged, why = shards.merge(paths, folder .. "/refused.ndc")
    assert.is_nil(merged)
    assert.matches("2%-of%-2.ndc: song %d+: the corpus is damaged: checksum of a song", why)
    assert.is_false(shell.exists(folder .. "/refused.ndc"))
    shell.write(paths[2], bytes)
    for _, spoilt in ipairs { "", "[]", "{", "null", (note:gsub('"accepted":%d+', '"accepted":-1')),
      (note:gsub('"version":%d+', '"version":99')), (note:gsub('"shard":%d+', '"shard":3')),
      (note:gsub('"hits":%[%d+', '"hits":["x"')) } do
      shell.write(paths[2] .. ".json", spoilt)
      merged, why = shards.merge(paths, folder .. "/refused.ndc")
      assert.is_nil(merged)
      assert.equal(1, (why:find(paths[2] .. ".json: not a valid shard summary: ", 1, true)))
    end
    shell.write(paths[2] .. ".json", (note:gsub('"accepted":(%d+)', function(n)
      return '"accepted":' .. n + 1
    end)))
    refused(paths[2] .. ": does not match its summary", paths)
    merged, why = shards.merge(paths, paths[2])
    assert.same({ nil, paths[2] .. ": is one of the shards; choose another output file" },
      { merged, why })
    local text = make(2, { original = true }, ".txt")
    shell.write(text[1], shell.read(text[1]):sub(1, -9))
    assert.matches("1%-of%-2.txt: has %d+ bytes, but its summary says", select(2, shards.merge(text,
      folder .. "/refused.ndc")))
    -- which would wait for somebody to write into it
    os.remove(text[1])
    shell.run("mkfifo", text[1])
    refused(text[1] .. ": is not a regular file", text)
    os.remove(text[1])
  end)

  it("refuses to write over one of them, however it is spelt", function()
    local paths = make(2)
    local bytes = shell.read(paths[1])
    shell.run("ln", "-s", paths[1], folder .. "/link.ndc")
    for _, out in ipairs { paths[1], (paths[1]:gsub("/([^/]*)$", "/./%1")),
      (paths[1]:gsub("/([^/]*)$", "/songs/../%1")), folder .. "/link.ndc" } do
      assert.same({ nil, out .. ": is one of the shards; choose another output file" },
        { shards.merge(paths, out) })
      assert.is_true(bytes == shell.read(paths[1]))
    end
    local there = lfs.currentdir()
    assert(lfs.chdir(folder))
    finally(function() assert(lfs.chdir(there)) end)
    assert.same({ nil, "./1-of-2.ndc: is one of the shards; choose another output file" },
      { shards.merge({ "1-of-2.ndc", "2-of-2.ndc" }, "./1-of-2.ndc") })
    assert.is_true(bytes == shell.read "1-of-2.ndc")
  end)

  it("takes no earlier run's summary for that of a shard", function()
    local paths = make(2)
    local beside = paths[1] .. ".json"
    local function without()
      refused(beside .. ": not a valid shard summary: the run was interrupted", paths)
    end
    -- killed between the two, or no room for the summary alone
    local note = summaries.write
    finally(function() summaries.write = note end)
    summaries.write = function() error "killed" end
    assert.has_error(function()
      preprocess.run(songs, paths[1], { shard = { 1, 2 }, valid_every = 1 })
    end)
    without()
    summaries.write = function() return nil, "no room" end
    assert.same({ nil, "no room" },
      { preprocess.run(songs, paths[1], { shard = { 1, 2 }, valid_every = 1 }) })
    without()
    summaries.write = note
    assert(preprocess.run(songs, paths[1], { shard = { 1, 2 }, valid_every = 3 }))
    assert(shards.merge(paths, folder .. "/whole-again.ndc"))
    assert.is_true(shell.read(whole) == shell.read(folder .. "/whole-again.ndc"))
    -- where none can be written, the shard is as it was
    local bytes = shell.read(paths[1])
    os.remove(beside)
    shell.run("mkdir", beside)
    assert.same({ nil, beside .. ": is a folder" },
      { preprocess.run(songs, paths[1], { shard = { 1, 2 }, valid_every = 1 }) })
    assert.is_true(bytes == shell.read(paths[1]))
    shell.run("rmdir", beside)
  end)

  it("leaves the summary of the shard before it where a shard cannot take its place", function()
    local paths = make(2)
    local beside = paths[1] .. ".json"
    local function fail()
      local ok, why = preprocess.run(songs, paths[1], { shard = { 1, 2 }, valid_every = 1,
        on_progress = function() os.remove(paths[1] .. ".nd-part") end })
      assert.same({ nil, paths[1] .. ": No such file or directory" }, { ok, why })
    end
    local note = shell.read(beside)
    fail()
    assert.equal(note, shell.read(beside))
    assert(shards.merge(paths, folder .. "/whole-again.ndc"))
    os.remove(paths[1])
    os.remove(beside)
    fail()
    assert.is_false(shell.exists(beside) or shell.exists(paths[1]))
  end)

  it("takes nothing of a summary on trust", function()
    for _, original in ipairs { false, true } do
      local paths = make(2, { original = original }, original and ".txt" or ".ndc")
      local texts = { shell.read(paths[1] .. ".json"), shell.read(paths[2] .. ".json") }
      -- the same said by both
      local function spoilt(what, spoil)
        for i, path in ipairs(paths) do
          local note = assert(json.decode(texts[i]))
          spoil(note)
          shell.write(path .. ".json", json.encode(note))
        end
        local merged, why = shards.merge(paths, folder .. "/refused.ndc")
        assert.is_nil(merged)
        assert.equal(("%s.json: not a valid shard summary: wrong field '%s'"):format(paths[1],
          what), why)
        assert.is_false(shell.exists(folder .. "/refused.ndc"))
      end
      for _, value in ipairs { "x", {}, -1, 0.5, true, json.null, 2 ^ 70, { x = "y" } } do
        for _, key in ipairs { "shard", "of", "list_files", "bytes", "files", "accepted", "valid",
          "steps", "left_out" } do
          spoilt(key, function(note) note[key] = value end)
        end
        for _, key in ipairs { "steps_per_beat", "max_steps", "min_steps" } do
          spoilt("settings." .. key, function(note) note.settings[key] = value end)
        end
        if type(value) ~= "string" then
          spoilt("list", function(note) note.list = value end)
          for _, key in ipairs { "kit", "beat", "limits", "kit_in" } do
            spoilt("settings." .. key, function(note) note.settings[key] = value end)
          end
        end
        if type(value) ~= "boolean" then
          for _, key in ipairs { "original", "include_drums" } do
            spoilt("settings." .. key, function(note) note.settings[key] = value end)
          end
        end
        if type(value) ~= "table" or value == json.null then
          for _, key in ipairs { "settings", "hits", "unknown", "skipped", "reasons" } do
            spoilt(key, function(note) note[key] = value end)
          end
        end
        if value ~= -1 then
          spoilt("settings.valid_every", function(note) note.settings.valid_every = value end)
        end
        if type(value) ~= "table" or value.x then
          spoilt("unknown", function(note) note.unknown = { value } end)
          spoilt("reasons", function(note) note.reasons = { value } end)
        end
        spoilt("hits", function(note) note.hits[1] = value end)
        if value ~= json.null then
          spoilt("skipped", function(note) note.skipped.why = value end)
        end
      end
      spoilt("seconds", function(note) note.seconds = "1" end)
      spoilt("seconds", function(note) note.seconds = -1 end)
      spoilt("shard", function(note) note.shard = 0 end)
      spoilt("shard", function(note) note.shard = 3 end)
      spoilt("shard", function(note) note.of = 2000000000 end)
      spoilt("files", function(note) note.files = note.files + 1 end)
      spoilt("accepted", function(note) note.accepted = note.files + 1 end)
      spoilt("valid", function(note) note.valid = note.accepted + 1 end)
      spoilt("hits", function(note) note.hits = {} end)
      spoilt("hits", function(note) note.hits = { a = "b" } end)
      spoilt("hits", function(note) note.hits.a = 1 end)
      spoilt("hits", function(note) note.hits[#note.hits + 1] = 1 end)
      spoilt("skipped", function(note) note.skipped = { 1 } end)
      spoilt("unknown", function(note) note.unknown = { { pitch = 128, hits = 1 } } end)
      spoilt("reasons", function(note) note.reasons = { { path = "x" } } end)
      spoilt("settings.kit", function(note) note.settings.kit = "nonsense" end)
      spoilt("settings.original", function(note) note.settings.original = "yes" end)
      for _, deep in ipairs { "[", '{"a":', '{"settings":[' } do
        shell.write(paths[1] .. ".json", deep:rep(200000))
        assert.same({ nil, paths[1] .. ".json: not a valid shard summary: not JSON" },
          { shards.merge(paths, folder .. "/refused.ndc") })
      end
      -- what it says of the shard itself
      for i, path in ipairs(paths) do
        local note = assert(json.decode(texts[i]))
        note.settings.original = not original
        shell.write(path .. ".json", json.encode(note))
      end
      local merged, why = shards.merge(paths, folder .. "/refused.ndc")
      assert.is_nil(merged)
      assert.equal(1, (why:find(paths[1], 1, true)))
      assert.is_false(shell.exists(folder .. "/refused.ndc"))
    end
  end)

  it("names few of many shards that are missing", function()
    local path = folder .. "/one.ndc"
    assert(preprocess.run(songs, path, { shard = { 1, 65536 } }))
    refused("65535 of 65536 shards are missing", { path })
  end)

  it("stops a merge that is told to, and leaves nothing", function()
    local paths = make(3)
    local out = folder .. "/refused.ndc"
    local merged, why = shards.merge(paths, out, { on_progress = function() return false end })
    assert.is_nil(merged)
    assert.matches("^stopped after %d+ of %d+ songs; .*/refused.ndc was not written$", why)
    assert.has_error(function()
      shards.merge(paths, out, { on_progress = function() error "stop" end })
    end)
    assert.is_false(shell.exists(out))
    collectgarbage()
    local _, left = shell.sh("ls " .. folder .. " | grep part")
    assert.equal("", left)
  end)

  it("raises for options that cannot be", function()
    local function raises(message, options)
      assert.error_matches(function() preprocess.run(songs, folder .. "/x", options) end, message)
    end
    for _, shard in ipairs { {}, { 0, 2 }, { 3, 2 }, { 1.5, 2 }, { "1", 2 }, { 1 }, { 1, 65537 },
      { 1 << 62, math.maxinteger } } do
      raises("option 'shard': must be {k, n}", { shard = shard })
    end
    raises("option 'threads': 0 is not in 1..64", { threads = 0 })
    raises("option 'threads': 65 is not in 1..64", { threads = 65 })
    raises("option 'min_steps': %-1 is not in", { min_steps = -1 })
    raises("option 'valid_every': %-1 is not in", { valid_every = -1 })
    assert.error_matches(function() shards.merge({}, folder .. "/x") end, "list of shards")
    assert.error_matches(function() shards.merge({ "a" }, "x", { progress = 1 }) end,
      "unknown option 'progress'")
  end)

  it("says what is wrong on the command line", function()
    local function tool(...)
      local status, out, err = shell.run(shell.tool, ...)
      return status, err, out
    end
    for _, text in ipairs { "0/2", "3/2", "1", "1/0", "a/b", "1/2/3" } do
      local status, err = tool("preprocess", songs, "-o", folder .. "/x", "--shard", text)
      assert.equal(2, status)
      assert.matches("is not K/N", err)
    end
    local status, err = tool("preprocess", songs, "-o", folder .. "/x", "--threads", "1000")
    assert.same({ 2, "neuraldrummer: option 'threads': 1000 is not in 1..64\n" }, { status, err })
    status, err = tool("preprocess", songs, "-o", folder .. "/x", "--shard",
      "4611686018427387904/9223372036854775807")
    assert.same({ 2, "neuraldrummer: option 'shard': must be {k, n} with k in 1..n and n in "
      .. "1..65536\n" }, { status, err })
    assert.is_false(shell.exists(folder .. "/x"))
    local paths = make(2)
    status, err = tool("merge", paths[1], "-o", folder .. "/x")
    assert.same({ 1, "neuraldrummer: shard 2 of 2 is missing\n" }, { status, err })
    local out, _
    status, err, out = tool("merge", paths[2], paths[1], "-o", folder .. "/x.ndc", "--json")
    assert.same({ 0, "" }, { status, err })
    local report = json.decode(out)
    assert.same({ summary.accepted, summary.files, nil },
      { report.accepted, report.files, report.reasons })
    _, _, out = tool("merge", paths[2], paths[1], "-o", folder .. "/x.ndc", "--list-skipped")
    for _, each in ipairs(summary.reasons) do
      assert.truthy(out:find(("%s: %s\n"):format(each.path, each.message), 1, true), each.path)
    end
    assert.is_true(shell.read(whole) == shell.read(folder .. "/x.ndc"))
  end)

  it("keeps no list of what is skipped where nobody wants it", function()
    local some = assert(preprocess.run(songs, folder .. "/x.ndc", { reasons = false }))
    assert.same({}, some.reasons)
    assert.same(summary.skipped, some.skipped)
  end)

  it("leaves nothing when it is killed at work, whatever the number of threads", function()
    local many = folder .. "/many"
    shell.run("mkdir", many)
    for i = 1, 4000 do
      assert(lfs.link(songs .. "/more/rock.mid", ("%s/%d.mid"):format(many, i)))
    end
    local corpus = folder .. "/killed.ndc"
    local status = shell.signalled("KILL", corpus, shell.tool, "preprocess", many, "-o", corpus,
      "--threads", "4", "-q")
    assert.equal(137, status)
    assert.is_false(shell.exists(corpus))
    -- what it left is taken over by the next
    assert(preprocess.run(songs, corpus, { valid_every = 3, threads = 2 }))
    assert.is_true(shell.read(whole) == shell.read(corpus))
    local _, left = shell.sh("ls " .. folder .. " | grep part")
    assert.equal("", left)
  end)
end)

describe("core.ingest", function()
  local folder
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  it("raises for what it cannot be given", function()
    local tok = core.tokeniser()
    local function raises(message, ...)
      local given = table.pack(...)
      assert.error_matches(function() core.ingest(table.unpack(given, 1, given.n)) end, message,
        1, true)
    end
    raises("option 'tokeniser' is missing", {}, {})
    raises("neuraldrummer.tokeniser expected", {}, { tokeniser = io.stdout })
    raises("unknown option 'thread'; did you mean 'threads'?", {}, { thread = 1 })
    raises("option 'threads': 0 is not in 1..64", {}, { tokeniser = tok, threads = 0 })
    local good = { tokeniser = tok }
    raises("files[1]: a table is needed, got string", { "a" }, good)
    raises("files[1].name: a string is needed, got nil", { { path = "a" } }, good)
    raises("files[1].split: 'test' is neither 'train' nor 'valid'",
      { { path = "a", name = "a", split = "test" } }, good)
    raises("option 'pitches': [36] is neither a pitch, 0 to 127, nor false", {},
      { tokeniser = tok, pitches = { [36] = 128 } })
    local writer <close> = assert(core.create_corpus(folder .. "/a.ndc",
      core.tokeniser { steps_per_beat = 8 }))
    assert(dofile "examples/songs/rock.lua":save(folder .. "/a.mid"))
    raises("other tokeniser settings", { { path = folder .. "/a.mid", name = "a" } },
      { tokeniser = tok, into = writer })
  end)

  it("says what is wrong with files", function()
    local results = assert(core.ingest({
      { path = folder .. "/none.mid", name = "none" }, { path = folder, name = "folder" },
      { path = shell.write(folder .. "/x.mid", "x"), name = "x" },
    }, { tokeniser = core.tokeniser(), threads = 3 }))
    assert.same({
      { message = "No such file or directory", unread = true },
      { message = "is a folder", unread = true },
      { message = "too short for a MIDI file: ends at byte 1", unread = false },
    }, results)
  end)

  -- libsmf logs what it refuses; its sandbox is one for each thread
  it("prints nothing on any thread", function()
    local path = folder .. "/tiny.mid"
    assert(core.song { ppq = 96, notes = { { tick = 0, duration = 1, pitch = 36, velocity = 1 } } }
      :save(path))
    for _ = 1, 4 do
      local status, _, err = shell.sh(("LUA_PATH=%s LUA_CPATH=%s lua5.4 -e %s %s"):format(
        shell.quote(package.path), shell.quote(package.cpath), shell.quote [[
          local core = require "neuraldrummer.core"
          local list = {}
          for i = 1, 20000 do list[i] = { path = arg[0], name = "tiny" } end
          assert(core.ingest(list, { tokeniser = core.tokeniser(), threads = 8 }))
          os.exit(true)]], path))
      assert.same({ 0, "" }, { status, err })
    end
  end)
end)
