local json = require "dkjson"
local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local safetensors = require "spec.support.safetensors"
local shell = require "spec.support.shell"
local tiny = require "spec.support.tiny"

describe("the command-line tool", function()
  local folder, song, model, original, corpus
  setup(function()
    folder = shell.folder()
    local all = dofile "examples/songs/all.lua"
    shell.run("mkdir", folder .. "/songs")
    assert(all.write(folder .. "/songs"))
    song = folder .. "/song.mid"
    assert(all.load "waltz":save(song))
    model = folder .. "/tiny.safetensors"
    assert(core.model { hidden = 8, layers = 1, seed = 3 }:save(model))
    original = folder .. "/tiny2023.safetensors"
    assert(core.model { preset = "neuraldrummer2023", hidden = 8, layers = 1 }:save(original))
    corpus = folder .. "/songs.ndc"
  end)
  teardown(function() shell.remove(folder) end)

  local function tool(...) return shell.run(shell.tool, ...) end

  -- The tool must end so, with nothing on stdout and one line on stderr.
  local function fails(status, pattern, ...)
    local got, out, err = tool(...)
    assert.equal(status, got)
    assert.equal("", out)
    assert.matches("^neuraldrummer: [^\n]*\n$", err)
    assert.matches(pattern, err)
  end

  local function works(...)
    local status, out, err = tool(...)
    assert.equal("", err)
    assert.equal(0, status)
    return out
  end

  it("helps", function()
    assert.matches("drum.*tokens.*preprocess.*train.*evaluate.*plot.*info", works "--help")
    for _, name in ipairs { "drum", "continue", "sketch", "style", "tokens", "preprocess", "train",
      "evaluate", "plot", "info" } do
      local help = works(name, "--help")
      assert.matches("Usage: neuraldrummer " .. name, help)
      for line in help:gmatch "[^\n]+" do assert.is_true(#line <= 80) end
    end
    assert.equal(("neuraldrummer %s\n"):format(nd.version), works "--version")
  end)

  -- Ctrl-C: lua5.4 raises this wherever it is.
  it("says so in one line when it is interrupted, and leaves nothing behind", function()
    local out = folder .. "/stopped.mid"
    local script = shell.write(folder .. "/stop.lua", [[
      local cli, count = require "neuraldrummer.cli", 0
      debug.sethook(function()
        count = count + 1
        if count == tonumber(arg[1]) then
          debug.sethook()
          error "interrupted!"
        end
      end, "", 1000)
      os.exit(cli.main(table.move(arg, 2, #arg, 1, {})), true)]])
    for _, thousands in ipairs { 10, 50, 100, 200 } do
      local status, said, err = shell.sh(("LUA_PATH=%s LUA_CPATH=%s lua5.4 %s %d drum %s -o %s "
        .. "--drafts 9"):format(shell.quote(package.path), shell.quote(package.cpath), script,
        thousands, song, out))
      assert.same({ 1, "", "neuraldrummer: interrupted\n" }, { status, said, err })
      assert.is_false(shell.exists(out) or shell.exists(out .. ".part"))
    end
  end)

  -- The tool's own Lua in a process, where `code` has been at it first.
  local function changed(code, ...)
    local script = shell.write(folder .. "/changed.lua", code .. [[
      os.exit(require "neuraldrummer.cli".main(arg), true)]])
    return shell.run("env", "LUA_PATH=" .. package.path, "LUA_CPATH=" .. package.cpath, "lua5.4",
      script, ...)
  end

  it("says that memory ran out, whoever ran out of it", function()
    -- Lua's own error for that comes past the handler, as this text
    local STARVED <const> = [[xpcall = function() return false, "not enough memory" end ]]
    assert.same({ 1, "", "neuraldrummer: not enough memory\n" },
      { changed(STARVED, "info", song) })
    assert.same({ 1, "", "neuraldrummer: not enough memory\n" }, { changed(
      [[require "neuraldrummer.cli.info".info.run = function() error "not enough memory" end]],
      "info", song) })
    -- the others of a training by several processes hear of it
    local status, out, err = changed(STARVED .. [[
      require "neuraldrummer.cli.common".world = { rank = function() return 2 end,
        size = function() return 3 end, abort = function(_, with) print("all end", with) end }]],
      "info", song)
    assert.same({ 1, "all end\t1\n", "neuraldrummer: process 2 of 3: not enough memory\n" },
      { status, out, err })
  end)

  it("tells misuse from a fault wherever it lies", function()
    local colons = folder .. "/a:1: b"
    shell.run("mkdir", colons)
    shell.run("ln", "-s", shell.root .. "/lua", colons .. "/lua")
    local lua = colons .. "/lua/"
    local function there(...)
      return shell.run("env", ("LUA_PATH=%s?.lua;%s?/init.lua;;"):format(lua, lua), "LUA_CPATH="
        .. package.cpath, "lua5.4", "-e", [[os.exit(require "neuraldrummer.cli".main(arg), true)]],
        "-", ...)
    end
    for _, words in ipairs { { "drum", song, "--model", model, "--cutoff", ".5", "--temperature",
      ".5" }, { "tokens", song, "--kit", "rock" }, { "drum", song, "--fills", "often" } } do
      local status, out, err = there(table.unpack(words))
      assert.same({ 2, "" }, { status, out })
      assert.matches("^neuraldrummer: [on][^\n]*\n$", err)
    end
  end)

  it("says when its help and its version cannot be written", function()
    local function to(where, ...)
      local status, out, err = shell.sh(("%s %s %s"):format(shell.tool, table.concat({ ... }, " "),
        where))
      assert.same({ 1, "" }, { status, out })
      assert.matches("^neuraldrummer: cannot write the result: [^\n]+\n$", err)
    end
    for _, words in ipairs { "--help", "drum --help", "--version" } do
      to(">&-", words)
      if shell.exists "/dev/full" then to(">/dev/full", words) end
    end
  end)

  it("writes into no file of its own what was for a closed stream", function()
    local small = folder .. "/small.ndc"
    works("preprocess", folder .. "/songs", "-o", small, "-q")
    for _, closed in ipairs { ">&- 2>&-", "2>&-", "<&- >&- 2>&-" } do
      local status = shell.sh(("%s train %s -o %s/closed.safetensors --hidden 8 --layers 1 "
        .. "--epochs 2 --batch 8 %s"):format(shell.tool, small, folder, closed))
      -- what it has to say cannot be written
      assert.equal(closed:find ">&%- 2" and 1 or 0, status)
      local log = shell.read(folder .. "/closed.tsv")
      assert.matches("^epoch\tbatch\t[^\n]*\n1\t1\t", log)
      assert.not_matches("epoch %d", log)
      assert.matches("^model: ", works("info", folder .. "/closed.safetensors"))
    end
  end)

  it("refuses misuse with status 2", function()
    fails(2, "a command is required")
    fails(2, "unknown command 'drumm'.*drum", "drumm")
    fails(2, "missing argument 'song' %(see neuraldrummer drum %-%-help%)", "drum")
    fails(2, "unknown option '%-%-sead'.*%-%-seed", "drum", song, "--sead", "1")
    fails(2, "'x' is not a whole number", "drum", song, "--seed", "x")
    fails(2, "'1.5' is not a whole number", "drum", song, "--seed", "1.5")
    fails(2, "'nan' is not a number", "drum", song, "--temperature", "nan")
    fails(2, "0 is not 1 or more", "train", corpus, "-o", "x", "--epochs", "0")
    fails(2, "option 'seed': %-8 is not in", "drum", song, "--model", model, "--seed", "-8")
    fails(2, "options 'cutoff' and 'temperature'", "drum", song, "--model", model, "--cutoff",
      ".5", "--temperature", ".5")
    fails(2, "option 'cutoff'", "drum", song, "--model", model, "--cutoff", "1.5")
    fails(2, "option 'drum_channel'", "info", song, "--drum-channel", "17")
    fails(2, "'%-%-tempo': 0 is not between 4 and 1000", "drum", song, "--tempo", "0")
    fails(2, "no kit is named 'rock'", "tokens", song, "--kit", "rock")
    fails(2, "'%-%-where' needs '%-%-manifest'", "preprocess", folder, "-o", "x", "--where", "a=b")
    fails(2, "COLUMN=VALUE", "preprocess", folder, "-o", "x", "--where", "a")
    fails(2, "option '%-%-where': column 'a' is given twice", "preprocess", folder, "-o", "x",
      "--manifest", "m.csv", "--where", "a=b", "--where", "c=d", "--where", "a=e")
    fails(2, "option '%-%-seed': 'nan' is not a whole number", "drum", song, "--seed", "nan")
    fails(2, "option '%-%-shard': '1/99999999999999999999' is not K/N", "preprocess", folder, "-o",
      "x", "--shard", "1/99999999999999999999")
  end)

  it("refuses numbers that are out of range, by the option's name", function()
    for _, words in ipairs { { "drum", song }, { "continue", song }, { "tokens", song },
      { "style", song, "-o", "x.style" }, { "plot", song, "-o", "x.png" }, { "score", song },
      { "explain", song, "--bar", "1" }, { "info", song, "--plot", "x.png" },
      { "preprocess", folder, "-o", "x" } } do
      table.move({ "--max-steps", "16777217" }, 1, 2, #words + 1, words)
      fails(2, "option '%-%-max%-steps': 16777217 is not between 1 and 16777216",
        table.unpack(words))
    end
    for _, words in ipairs { { "drum", song }, { "train", corpus, "-o", "x" },
      { "evaluate", model, corpus } } do
      table.move({ "--threads", "9999" }, 1, 2, #words + 1, words)
      fails(2, "option '%-%-threads': 9999 is not between 1 and 256", table.unpack(words))
    end
    local out = folder .. "/ranges.mid"
    for _, words in ipairs { { "drum", song }, { "drum", song, "--tempo", "120" },
      { "continue", song }, { "sketch" } } do
      local function with(name, value)
        local all = table.move(words, 1, #words, 1, {})
        table.move({ "-o", out, "--model", model, name, value }, 1, 6, #all + 1, all)
        return table.unpack(all)
      end
      fails(2, "option '%-%-length': 1e%+308 is not between 0.001 and 1024",
        with("--length", "1e308"))
      fails(2, "option '%-%-length': %-5 is not between 0.001 and 1024", with("--length", "-5"))
      fails(2, "option '%-%-humanise': 2 is not between 0 and 1", with("--humanise", "2"))
    end
    assert.is_false(shell.exists(out))
  end)

  it("refuses what cannot be asked for together", function()
    for option, name in pairs { ["--drums-alone"] = "drums_alone", ["--tempo=100"] = "tempo" } do
      fails(2, ("option 'keep_drums': '%s' leaves out the song's own drums"):format(name), "drum",
        song, "--model", model, "--keep-drums", option)
    end
    for _, words in ipairs { { "sketch" }, { "continue", song }, { "drum", song } } do
      table.move({ "--model", model, "--vary", "0.2", "--no-return" }, 1, 5, #words + 1, words)
      fails(2, "option 'vary': it varies the grooves of sections that return", table.unpack(words))
    end
  end)

  it("tells a model that plays from one that says how hits are struck", function()
    local touch = assert(nd.default_model "touch")
    local small = folder .. "/for-touch.ndc"
    works("preprocess", folder .. "/songs", "-o", small, "-q")
    for _, words in ipairs { { "drum", song }, { "drum", song, "--drafts", "2" },
      { "drum", song, "--styles" }, { "continue", song }, { "sketch" }, { "score", song },
      { "explain", song, "--bar", "2" } } do
      table.move({ "--model", touch }, 1, 2, #words + 1, words)
      fails(1, "neuraldrummer: [^\n]*touch.safetensors: is a touch model, which gives velocities",
        table.unpack(words))
    end
    fails(1, "touch.safetensors: is a touch model, which gives", "evaluate", touch, small)
    fails(1, "neuraldrummer: [^:]*touch.safetensors: is a touch model, which gives", "evaluate",
      model, small,
      "--free", "--also", touch)
    fails(1, "neuraldrummer: [^:]*tiny.safetensors: a model of preset 'touch' is needed, this one "
      .. "is of preset 'drummer'",
      "evaluate", model, small, "--free", "--touch", model)
  end)

  it("takes models whose names hold an equals sign, and labels behind one", function()
    local small = folder .. "/few.ndc"
    works("preprocess", folder .. "/songs", "-o", small, "-q")
    shell.run("mkdir", folder .. "/lr=0.1")
    for _, name in ipairs { "=m.safetensors", "lr=0.1/my.safetensors", "ends=", "a=b" } do
      shell.run("cp", model, folder .. "/" .. name)
    end
    local function players(first, ...)
      local words = { "evaluate", first, small, "--free", "--songs", "1", "--steps", "32", "-q",
        "--json" }
      for _, other in ipairs { ... } do
        words[#words + 1], words[#words + 2] = "--also", other
      end
      local names = {}
      for i, row in ipairs(json.decode(works(table.unpack(words)))) do names[i] = row.name end
      return table.move(names, #names - 1 - select("#", ...), #names - 1, 1, {})
    end
    local function at(name) return folder .. "/" .. name end
    assert.same({ "=m" }, players(at "=m.safetensors"))
    assert.same({ "tiny", "my", "ends=", "a=b", "told", "label" }, players(model,
      at "lr=0.1/my.safetensors", at "ends=", at "a=b", at "a=b=told",
      at "lr=0.1/my.safetensors=label"))
    assert.same({ "ends=" }, players(at "ends="))
    fails(2, "option '%-%-corpus%-of': no model has the label 'x'", "evaluate", model, small,
      "--free",
      "--corpus-of", "x=" .. small)

    -- a label, and a file's name, that a terminal would obey
    local said = works("evaluate", model, small, "--free", "--songs", "1", "--steps", "32", "-q",
      "--also", model .. "=\27]0;\u{9B}1m\a")
    assert.truthy(said:find([[\x1B]0;\xC2\x9B1m\x07 ]], 1, true))
    assert.not_matches("[\0-\9\11-\31\127-\255]", said)
  end)

  it("tells what the world did with status 1", function()
    fails(1, "nowhere.mid: [Nn]o such file", "drum", folder .. "/nowhere.mid", "--model", model)
    fails(1, "is a folder", "info", folder)
    fails(1, "tiny.safetensors: ", "drum", model, "--model", model)
    fails(1, "song.mid: ", "drum", song, "--model", song)
    fails(1, "none/out.mid: ", "drum", song, "--model", model, "-o", folder .. "/none/out.mid")
    fails(1, "tiny.safetensors: option 'original' needs a model of preset neuraldrummer2023, this "
      .. "one is of preset 'drummer'", "drum", song,
      "--original", "--model", model)
    fails(1, "no such folder", "preprocess", folder .. "/none", "-o", corpus)
    if shell.exists "/dev/full" then
      local status, _, err = shell.sh(("%s tokens %s >/dev/full"):format(shell.tool, song))
      assert.equal(1, status)
      assert.matches("^neuraldrummer: cannot write the result: [^\n]+\n$", err)
    end
  end)

  it("drums: the same bytes for the same seed, others for another", function()
    local function drum(name, ...)
      local out = folder .. "/" .. name
      assert.matches("^" .. out:gsub("%p", "%%%0") .. ": %d:%d%d of song, %d+ hits on %d+ steps",
        works("drum", song, "--model", model, "-o", out, ...))
      return shell.read(out)
    end
    local first = drum("1.mid", "--seed", "7")
    assert.equal(first, drum("2.mid", "--seed", "7"))
    assert.not_equal(first, drum("3.mid", "--seed=8"))
    local combined = assert(nd.song.parse(first))
    assert.equal("Drums", combined:tracks()[#combined:tracks()])
    assert.is_true(#combined:notes "drums" > 0)
  end)

  it("drums with all that can be asked", function()
    local out = folder .. "/all.mid"
    local report = json.decode(works("drum", song, "--model", model, "-o", out,
      "--cutoff", "0.3", "--forced", "1", "--start", "count-in", "--prime", song,
      "--velocity", "0.5", "--length", "1", "--keep-drums", "--drum-channel", "10", "--threads",
      "1", "--json"))
    assert.equal(out, report.output)
    assert.is_true(report.hits >= report.steps)
    assert.equal(1, report.seed)
    local sum = 0
    for _, n in pairs(report.voices) do sum = sum + n end
    assert.equal(report.hits, sum)

    works("drum", song, "--model", model, "-o", out, "--drums-alone")
    assert.equal(0, #assert(nd.song.load(out)):notes "others")
    works("drum", song, "--model", model, "-o", out, "--tempo", "97.5", "--forced", "1")
    local alone = assert(nd.song.load(out))
    assert.equal(320, alone:ppq())
    assert.near(97.5, alone:tempos()[1].bpm, 1e-3)
    assert.equal(0, #alone:notes "others")
    assert.is_true(#alone:notes "drums" >= report.steps)
  end)

  -- A model with the styles of two songs, and what `seq` of a file holds.
  local function styled()
    local made = core.model { hidden = 8, layers = 1, encoder = 4, seed = 3 }
    local corpus_of_two, path = tiny.corpus(made:tokeniser(), {
      { tiny.song { patterns = { { kick = "x...x...x...x...", bass = "x...x...x...x..." } },
        bars = 4 }, "train" },
      { tiny.song { patterns = { { ride = "x.x.x.x.x.x.x.x.", bass = "x...x...x...x..." } },
        bars = 4 }, "train" },
    })
    assert(made:learn_styles(corpus_of_two))
    os.remove(path)
    local to = folder .. "/styled.safetensors"
    assert(made:save(to))
    return to
  end

  local function drum_notes(path)
    local list = {}
    for i, n in ipairs(assert(nd.song.load(path)):notes "drums") do
      list[i] = ("%d %d %d"):format(n.tick, n.pitch, n.velocity)
    end
    return list
  end

  it("takes direction", function()
    local with_styles, out = styled(), folder .. "/directed.mid"
    local function drum(...) return works("drum", song, "--model", with_styles, "-o", out, ...) end
    assert.matches("\nstyle [12], song [12]\n$", drum())
    assert.matches("\nstyle 2, song 2\n$", drum("--style", "2"))
    assert.equal("song 1", json.decode(drum("--style", "song 1", "--json")).style.name)
    assert.matches("^ +[12] +[%d.]+ %%  song [12]\n +[12] +[%d.]+ %%  song [12]\n$",
      drum "--styles")
    assert.is_true(json.decode(drum("--styles", "--json"))[1].weight >= 0.5)
    assert.not_matches("\nstyle", drum "--no-style")
    assert.not_matches("\nstyle", drum("--style-of", song))
    drum("--energy", "-1", "--fills", "sections", "--no-return", "--allow-unplayable",
      "--enter", "always")
    drum("--energy", "1-4:-1>1,5:0", "--fills", "4", "--vary", "0.5", "--style",
      "ride=0.6,toms=0.2")

    local own = drum_notes(song)
    drum("--bars", "1", "--keep", "kick,snare,hats,toms,cymbals")
    assert.same(own, drum_notes(out))
    drum("--redo-bars", "3-4")
    local again = drum_notes(out)
    assert.equal(own[1], again[1])
    assert.equal(own[#own], again[#again])
    drum("--extend", "2")
    assert.equal(own[1], drum_notes(out)[1])
    drum("--loop", song, "--extend", "2")
    assert.equal(own[1], drum_notes(out)[1])

    local style = folder .. "/mine.style"
    assert.equal(("%s: the style of %s\n"):format(style, song), works("style", song, "-o", style))
    drum("--style", style)
    -- a file whose name looks like a change
    shell.run("cp", style, folder .. "/a=0.5.style")
    local status, _, err = shell.sh(("cd %s && %s drum %s --model %s -o %s --style a=0.5.style")
      :format(folder, shell.tool, song, with_styles, out))
    assert.same({ 0, "" }, { status, err })
    fails(2, "option 'style'", "drum", song, "--model", with_styles, "--style", "b=0.5.style")

    local none = folder .. "/none.mid"
    assert(dofile "examples/songs/waltz.lua":save(none, { drums = false }))
    local function refused(wanted, pattern, ...)
      fails(wanted, pattern, "drum", song, "--model", with_styles, ...)
    end
    refused(2, "option 'bars': there is no bar 900", "--bars", "900")
    refused(2, "option 'keep': the kit has no voice 'cowbell'", "--keep", "cowbell")
    refused(2, "option 'fills'", "--fills", "often")
    refused(2, "option 'energy'", "--energy", "4")
    refused(2, "option 'style': there is no style 3: the model has 2", "--style", "3")
    refused(2, "options 'style' and 'style_of'", "--style", "1", "--style-of", song)
    refused(2, "options '%-%-style' and '%-%-no%-style': give one of them", "--style", "1",
      "--no-style")
    refused(2, "option 'vary'", "--vary", "2")
    refused(1, "none.mid: has no drums", "--style-of", none)
    refused(1, "none.mid: has no drums", "--loop", none)
    refused(1, "nowhere.style: ", "--style", folder .. "/nowhere.style")
    fails(2, "option 'keep': the song has no drums", "drum", none, "--model", with_styles, "--keep",
      "kick")
    fails(2, "does not end in .style", "style", song, "-o", folder .. "/x.json")
    fails(1, "none.mid: has no drums", "style", none, "-o", style)
    local plain = folder .. "/plain.safetensors"
    assert(core.model { hidden = 8, layers = 1, encoder = 0 }:save(plain))
    fails(1, "option 'fills': this model takes no direction", "drum", song, "--model", plain,
      "--fills", "none")
  end)

  it("takes nothing endless, huge or bottomless for a kit map, a style or figures", function()
    local function file(name, bytes) return shell.write(folder .. "/" .. name, bytes) end
    shell.run("mkfifo", folder .. "/fifo.kit", folder .. "/fifo.style")
    for _, each in ipairs { "kit", "style" } do
      shell.run("truncate", "-s", "5G", folder .. "/huge." .. each)
      shell.run("ln", "-s", "/dev/zero", folder .. "/endless." .. each)
    end
    local out = folder .. "/untouched.mid"
    for name, message in pairs { fifo = "not a regular file", endless = "not a regular file",
      huge = "is larger than the limit of 1048576 bytes" } do
      fails(1, message, "drum", song, "-o", out, "--kit-in", ("%s/%s.kit"):format(folder, name))
      fails(1, message, "drum", song, "-o", out, "--kit-out", ("%s/%s.kit"):format(folder, name))
      fails(1, message, "drum", song, "-o", out, "--style", ("%s/%s.style"):format(folder, name))
    end
    fails(1, "is not a style", "drum", song, "-o", out, "--style",
      file("deep.style", ("["):rep(300000)))
    fails(1, "is not a style", "drum", song, "-o", out, "--style", file("odd.style", "\xFF\0"))
    fails(1, "is not a result of evaluate %-%-json", "plot", "-o", folder .. "/x.png",
      file("deep.json", ("["):rep(300000)))
    assert.is_false(shell.exists(out))
  end)

  it("has limits for the songs that it reads, in all that reads them", function()
    local out = folder .. "/limited"
    for _, command in ipairs { { "info", song }, { "tokens", song }, { "score", song },
      { "explain", song, "--bar", "1" }, { "plot", song, "-o", out .. ".png" },
      { "style", song, "-o", out .. ".style" }, { "drum", song, "-o", out .. ".mid" },
      { "drum", song, "--styles" }, { "continue", song, "-o", out .. ".mid" } } do
      local function limited(message, ...)
        local words = table.move(command, 1, #command, 1, {})
        table.move({ ... }, 1, select("#", ...), #words + 1, words)
        fails(1, message, table.unpack(words))
      end
      limited("%.mid: %d+ bytes, over the limit of 100 %(max_bytes%)\n", "--max-bytes", "100")
      limited("%.mid: more than 9 events %(max_events%) at byte %d+\n", "--max-events", "9")
      limited("%.mid: more than 1 tracks %(max_tracks%) at byte %d+\n", "--max-tracks", "1")
      if command[1] ~= "info" then
        limited("%.mid: the song is longer than 20 steps %(max_steps%)\n", "--max-steps", "20")
      end
    end
    -- when there is none to keep, it says why
    local none = folder .. "/none"
    shell.run("mkdir", none)
    for name, bytes in pairs { a = "no", b = "none", c = "MThd" } do
      shell.write(("%s/%s.mid"):format(none, name), bytes)
    end
    local status, said, err = tool("preprocess", none, "-o", out .. ".ndc", "-q", "--list-skipped")
    assert.equal(1, status)
    assert.matches("none: no usable song in 3 files %(3 skipped: too short for a MIDI file", err)
    assert.equal(3, select(2, said:gsub("/none/[abc].mid: too short", "")))
    fails(1, "%(3 skipped: too short", "preprocess", none, "-o", out .. ".ndc", "-q")
    -- a song that is small enough, and one that is not
    local two = folder .. "/two"
    shell.run("mkdir", two)
    shell.run("cp", song, two .. "/large.mid")
    assert(tiny.song { bars = 4, patterns = { { kick = "x...x...x...x..." } } }
      :save(two .. "/small.mid"))
    for option, limit in pairs { ["--max-bytes"] = { 500, "500 %(max_bytes%)" },
      ["--max-events"] = { 60, "60 events %(max_events%)" },
      ["--max-tracks"] = { 2, "2 tracks %(max_tracks%)" },
      ["--max-steps"] = { 64, "64 steps %(max_steps%)" } } do
      said = works("preprocess", two, "-o", out .. ".ndc", "-q", "--list-skipped", option,
        tostring(limit[1]))
      assert.matches("1 of 2 songs", said)
      assert.matches("/large%.mid: [^\n]*" .. limit[2], said)
    end
    fails(2, "%-1 is not 0 or more", "info", song, "--max-bytes", "-1")
    fails(2, "option 'max_bytes'", "info", song, "--max-bytes", "99999999999")
    assert.error_matches(function() require "neuraldrummer.sketch".play { max_steps = 4 } end,
      "option 'max_steps': there is no song that it could apply to")
  end)

  it("goes on from a groove, and sketches", function()
    local out = folder .. "/alone.mid"
    assert.matches("alone.mid: %d:%d%d of drums, %d+ hits on %d+ steps: ", works("continue", song,
      "--model", model, "-o", out, "--bars", "2", "--seed", "4"))
    assert.same(drum_notes(song)[1], drum_notes(out)[1])
    local function sketch(...)
      local report = json.decode(works("sketch", "--model", model, "-o", out, "--json", ...))
      return report, shell.read(out)
    end
    local report, first = sketch("--seed", "7", "--form", "intro2,verse4,verse4", "--bpm", "97")
    assert.equal(160, report.steps)
    local _, second = sketch("--seed", "7", "--form", "intro2,verse4,verse4", "--bpm", "97")
    assert.equal(first, second)
    fails(2, "option 'form': 'verse' is not", "sketch", "--model", model, "--form", "verse")
    fails(2, "option '%-%-bpm': 0 is not between 4 and 1000", "sketch", "--model", model,
      "--bpm", "0")
    fails(2, "0 is not between 1 and 4096", "continue", song, "--bars", "0")
  end)

  it("drums as the original does", function()
    local out = folder .. "/original.mid"
    works("drum", song, "--original", "--model", original, "-o", out)
    local combined = assert(nd.song.load(out))
    local drums = combined:notes "drums"
    for _, note in ipairs(drums) do
      assert.equal(127, note.velocity)
      assert.equal(combined:ppq() // 2, note.duration)
    end
    local bytes = shell.read(out)
    for _, start in ipairs { "blank", "count-in", "basic", "random" } do
      works("drum", song, "--original", "--model", original, "-o", out, "--start", start)
      if start == "basic" then assert.equal(bytes, shell.read(out)) end
    end
  end)

  it("prints tokens", function()
    local seq = assert(nd.tokeniser {}:encode(assert(nd.song.load(song))))
    assert.equal(seq:tokens() .. "\n", works("tokens", song))
    seq = assert(nd.tokeniser { preset = "neuraldrummer2023" }:encode(assert(nd.song.load(song))))
    assert.equal(seq:tokens() .. "\n", works("tokens", song, "--original"))
    assert.not_equal(works("tokens", song), works("tokens", song, "--steps-per-beat", "8"))
  end)

  it("preprocesses, trains, resumes and evaluates", function()
    shell.write(folder .. "/songs/broken.mid", "no song")
    local out = works("preprocess", folder .. "/songs", "-o", corpus, "--valid-every", "3",
      "--list-skipped")
    assert.matches("songs.ndc: 9 of 10 songs %(%d for validation%), %d+ steps; ", out)
    assert.matches("\n     1 skipped: [^\n]+\n", out)
    assert.matches("\nkick +%d+ +[%d.]+ +[%d.]+\n", out)
    assert.matches("\n[^\n]*songs/broken.mid: [^\n]+\n$", out)
    local summary = json.decode(works("preprocess", folder .. "/songs", "-o", corpus, "--json",
      "--valid-every", "3"))
    assert.equal(9, summary.accepted)
    assert.equal("kick", summary.voices[1].name)

    local trained = folder .. "/trained.safetensors"
    out = works("train", corpus, "-o", trained, "--hidden", "8", "--layers", "1", "--epochs", "2",
      "--batch", "4", "--rate", "1e-2", "--quiet")
    assert.matches("trained.safetensors: the model after epoch %d of 2, loss 0%.%d+", out)
    assert.matches("\n[^\n]*trained.last.safetensors: checkpoint, for %-%-resume\n", out)
    assert.equal("\x89PNG", shell.read(folder .. "/trained.loss.png"):sub(1, 4))
    local report = json.decode(works("train", corpus, "-o", trained, "--epochs", "3", "--resume",
      "--quiet", "--json"))
    assert.equal(3, report.epochs)
    assert.is_true(report.best_loss < 0.7)
    assert.matches("%d+ hits", works("drum", song, "--model", trained, "-o", folder .. "/t.mid",
      "--temperature", "0.8"))
    local _, rows = shell.read(folder .. "/trained.tsv"):gsub("\n3\t", "")
    assert.is_true(rows > 0)

    out = works("evaluate", trained, corpus, "--songs", "2", "--steps", "64", "--quiet")
    assert.matches("teacher forcing", out)
    assert.matches("stock beat", out)
    local figures = json.decode(works("evaluate", trained, corpus, "--songs", "2", "--steps", "64",
      "--json"))
    assert.equal("teacher forcing", figures[1].name)

    out = works("info", corpus)
    assert.matches("^corpus: 9 songs %(%d for validation%), %d+ steps\n", out)
    out = works("info", trained)
    assert.matches("^model: preset drummer, %d+ parameters\n", out)
    assert.matches("\nnetwork: .*hidden 8, .*\nsaved with it: .*train.best 0%.%d+", out)
    assert.equal("model", json.decode(works("info", trained, "--json")).kind)
    works("plot", folder .. "/trained.tsv", "-o", folder .. "/losses.png")
    assert.equal("\x89PNG", shell.read(folder .. "/losses.png"):sub(1, 4))
  end)

  it("trains, goes on and evaluates on a corpus of the model's kit and grid alone", function()
    local list = { { tiny.song { bars = 4, patterns = { { kick = "x...x...x...x...",
      bass = "x...x...x...x..." } } }, "train" } }
    local path, elsewhere = select(2, tiny.corpus(core.tokeniser(), list)),
      select(2, tiny.corpus(core.tokeniser { kit = "basic6" }, list))
    local out = folder .. "/fits.safetensors"
    works("train", path, "-o", out, "--hidden", "2", "--layers", "1", "--epochs", "1", "-q")
    local last, log = folder .. "/fits.last.safetensors", shell.read(folder .. "/fits.tsv")
    local differs = (elsewhere .. " has kit basic6, but "):gsub("%p", "%%%0")
    fails(1, differs .. last .. " plays kit gm9\n$", "train", elsewhere, "-o", out, "--resume",
      "-q")
    fails(1, differs .. out .. " plays kit gm9\n$", "train", elsewhere, "-o", folder .. "/x",
      "--from",
      out, "-q")
    fails(1, differs .. out .. " plays kit gm9\n$", "evaluate", out, elsewhere, "-q")
    fails(1, differs .. out .. " plays kit gm9\n$", "evaluate", out, elsewhere, "-q", "--free")
    fails(1, path .. " has kit gm9, but " .. original .. " plays kit basic6\n$", "evaluate",
      original, path,
      "-q")
    local raw = folder .. "/raw.safetensors"
    assert(core.model { inputs = 4, voices = 9, hidden = 2 }:save(raw))
    fails(1, raw .. " takes plain numbers as inputs", "evaluate", raw, path, "-q")
    fails(1, raw .. " takes plain numbers as inputs", "train", path, "-o", folder .. "/x",
      "--from", raw, "-q")
    -- nor with other options than they were made with, or out of their range
    fails(1, last .. ": option 'hidden' was 2 and cannot become 3\n$", "train", path,
      "-o", out, "--resume",
      "--hidden", "3", "-q")
    fails(1, last .. ": option 'batch' was 32 and cannot become 3\n$", "train", path,
      "-o", out, "--resume",
      "--batch", "3", "-q")
    fails(2, "option 'clip': %-1", "train", path, "-o", out, "--clip", "-1", "-q")
    fails(2, "option 'rate': 20", "train", path, "-o", out, "--rate", "20", "--warmup", "9", "-q")
    assert.equal(log, shell.read(folder .. "/fits.tsv"))
    -- an old one that knows of no best model is done all the same
    local whole = safetensors.read(last)
    whole.metadata["extra.train.best"], whole.metadata["extra.train.best_epoch"] = nil, nil
    safetensors.write(last, whole)
    assert.matches("^[^\n]*fits.last.safetensors: checkpoint, for %-%-resume\n",
      works("train", path, "-o", out, "--resume", "-q"))
    os.remove(path)
    os.remove(elsewhere)
  end)

  it("preprocesses and trains as the original does", function()
    local saved, trained = folder .. "/saved.txt", folder .. "/2023.safetensors"
    assert.matches("saved.txt: 9 of %d+ songs, %d+ steps; ",
      works("preprocess", folder .. "/songs", "-o", saved, "--original"))
    assert.matches("^corpus: 9 songs.*for the system of 2023\n$", works("info", saved))
    works("train", saved, "-o", trained, "--hidden", "8", "--layers", "1", "--epochs", "2",
      "--batch", "3", "--quiet")
    assert.matches("^model: preset neuraldrummer2023", works("info", trained))
    assert.is_true(shell.exists(folder .. "/2023.epoch-2.safetensors"))
    works("drum", song, "--original", "--model", trained, "-o", folder .. "/2023.mid")
  end)

  it("draws a song", function()
    local png, tsv = folder .. "/roll.png", folder .. "/roll.tsv"
    assert.matches("roll.png: the drums of .*\n.*roll.tsv: ", works("plot", song, "-o", png,
      "--tsv", tsv))
    assert.equal("\x89PNG", shell.read(png):sub(1, 4))
    assert.matches("^step\t", shell.read(tsv))
    local asked = folder .. "/asked.png"
    assert.matches("\n" .. asked:gsub("%p", "%%%0") .. ": picture of the drums\n$",
      works("drum", song, "--model", styled(), "-o", folder .. "/asked.mid", "--fills", "2",
        "--energy", "1:1", "--plot", asked))
    local numbers = shell.read(folder .. "/asked.tsv")
    assert.truthy(numbers:find "\t[01]\t0\t1\t\n", "energy asked of bar 1")
    assert.truthy(numbers:find "\t[01]\t1\t\t\n", "a fill asked of bar 2")
    works("info", song, "--plot", folder .. "/info.svg")
    works("info", corpus, "--plot", folder .. "/corpus.pdf")
    assert.matches("^what\tat\tvalue\nkick\t1\t", shell.read(folder .. "/corpus.tsv"))
    fails(2, "there is no picture of a model", "info", model, "--plot", png)
    fails(2, "several files can be drawn together", "plot", song, song, "-o", png)
    fails(2, "roll.gif: a picture's name must end in", "plot", song, "-o", folder .. "/roll.gif")
    local log = folder .. "/one.tsv"
    shell.write(log, "epoch\tloss\tvalid\n1\t0.5\t0.6\n2\t0.4\t0.5\n")
    works("plot", log, log, "-o", folder .. "/two.png")
    fails(2, "option '%-%-tsv'", "plot", log, "-o", png, "--tsv", tsv)
    local figures = folder .. "/figures.json"
    shell.write(figures, '[{"name":"a","f1":0.3,"auc":0.8},{"name":"b","f1":0.4,"auc":0.9}]')
    assert.matches("figures.png: figures of 2 players", works("plot", figures, "-o",
      folder .. "/figures.png"))
    -- of two runs: players of both once, models by their files, the recorded drums last
    local more = folder .. "/more.json"
    shell.write(figures, '[{"name":"teacher forcing","f1":0.7},{"name":"model","f1":0.3},'
      .. '{"name":"silence","f1":0},{"name":"recorded drums","f1":1}]')
    shell.write(more, '[{"name":"model","f1":0.4},{"name":"silence","f1":0},'
      .. '{"name":"recorded drums","f1":1},{"name":"model, temperature 2","f1":0.2}]')
    works("plot", figures, more, "-o", folder .. "/both.png")
    assert.equal("name\tf1\nfigures, teacher forcing\t0.7\nfigures\t0.3\nsilence\t0\nmore\t0.4\n"
      .. "more, temperature 2\t0.2\nrecorded drums\t1\n", shell.read(folder .. "/both.tsv"))
    fails(2, "several files can be drawn together", "plot", figures, song, "-o", png)
    fails(1, "is not a result of evaluate %-%-json", "plot", shell.write(figures, "[1]"), "-o", png)
  end)

  it("tells songs, corpora and models apart by what is in them", function()
    local disguised = folder .. "/model.mid"
    shell.run("cp", model, disguised)
    assert.matches("^model: ", works("info", disguised))
    local out = works("info", song)
    assert.matches("^song: %d:%d%d, %d+ notes %(%d+ of drums%)", out)
    assert.matches("\nmeter: 3/4", out)
    assert.matches("\ndrums: channel 10\n", out)
    local info = json.decode(works("info", song, "--json"))
    assert.equal("song", info.kind)
    assert.equal(3, info.meters[1].numerator)
    assert.equal(0, #info.repairs)
    -- without its last event, an end of track
    local bytes = shell.read(song)
    shell.write(folder .. "/cut.mid", bytes:sub(1, #bytes - 4))
    assert.matches("\nrepaired at byte %d+: ", works("info", folder .. "/cut.mid"))
    shell.write(folder .. "/nothing", "hello")
    fails(1, "nothing: ", "info", folder .. "/nothing")
  end)

  it("runs from another folder, and through links", function()
    shell.run("ln", "-s", shell.tool, folder .. "/nd")
    shell.run("ln", "-s", "nd", folder .. "/nd2")
    local status, out = shell.sh(("cd %s && ./nd2 --version"):format(folder))
    assert.equal(0, status)
    assert.equal(("neuraldrummer %s\n"):format(nd.version), out)
  end)
end)

describe("progress", function()
  local progress = require "neuraldrummer.progress"

  it("is a line with all that counts", function()
    assert.equal("[#####...............] 25/100 files  10.0/s  0:08 left  3 kept",
      progress.line(63, 25, 100, "files", 10, "3 kept"))
    assert.equal("[##############################] 9/9 steps  0.5/s  0:00 left",
      progress.line(100, 9, 9, "steps", 0.5))
    assert.equal("0/9 steps  0.0/s  -:--", progress.line(23, 0, 9, "steps", 0))
    assert.equal("0:07", progress.time(7.4))
    assert.equal("1:02:03", progress.time(3723))
    assert.equal("-:--", progress.time(0 / 0))
  end)

  it("is silent where stderr is no terminal", function()
    local status, _, err = shell.sh(("LUA_PATH=%s LUA_CPATH=%s lua5.4 -e %s"):format(
      shell.quote(shell.root .. "/lua/?.lua;;"), shell.quote(shell.build .. "/lib/?.so;;"),
      shell.quote [[local bar = require "neuraldrummer.progress".new(10, "files")
        for i = 1, 10 do bar:update(i) end bar:finish()]]))
    assert.equal(0, status)
    assert.equal("", err)
  end)
end)
