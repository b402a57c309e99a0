-- No file that is read, no log of a training and nothing else that is written is lost to
-- what a command writes.
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local generate = require "neuraldrummer.generate"
local shell = require "spec.support.shell"

describe("two paths", function()
  local folder
  setup(function()
    folder = shell.folder()
    shell.write(folder .. "/a", "")
    shell.run("mkdir", folder .. "/sub")
    shell.run("ln", "-s", "a", folder .. "/link")
    shell.run("ln", "-s", "sub", folder .. "/other")
  end)
  teardown(function() shell.remove(folder) end)

  local function same(a, b) return files.same(folder .. "/" .. a, folder .. "/" .. b) end

  it("lead to one file, whatever they look like", function()
    assert.is_true(same("a", "a"))
    assert.is_true(same("a", "sub/../a"))
    assert.is_true(same("a", "link"))
    assert.is_false(same("a", "b"))
    assert.is_false(same("a", "sub/a"))
  end)

  it("lead to one that is not there yet", function()
    assert.is_true(same("new", "sub/../new"))
    assert.is_true(same("sub/new", "other/new"))
    assert.is_false(same("new", "sub/new"))
    assert.is_false(same("new", "newer"))
    assert.is_true(files.same("./nothing.here", "nothing.here"))
    assert.is_false(same("none/new", "none/newer"))
  end)
end)

describe("what a command writes", function()
  local folder, song, model
  setup(function()
    folder = shell.folder()
    song = dofile "examples/songs/all.lua".load "waltz":bytes()
    model = folder .. "/tiny.safetensors"
    assert(core.model { hidden = 8, layers = 1, encoder = 4, seed = 3 }:save(model))
  end)
  teardown(function() shell.remove(folder) end)

  -- The tool in the folder, on files of it.
  local function tool(...)
    local words = { ... }
    for i, word in ipairs(words) do words[i] = shell.quote(word) end
    return shell.sh(("cd %s && %s %s"):format(folder, shell.tool, table.concat(words, " ")))
  end

  -- These bytes as a file of the folder, which none of the commands may touch.
  local kept = {}
  local function keep(name, bytes)
    kept[name] = bytes
    shell.write(folder .. "/" .. name, bytes)
  end

  local function refused(message, ...)
    local status, out, err = tool(...)
    assert.same({ 2, "", "neuraldrummer: " .. message .. "\n" }, { status, out, err })
    for name, bytes in pairs(kept) do assert.equal(bytes, shell.read(folder .. "/" .. name)) end
  end

  local function works(...)
    local status, _, err = tool(...)
    assert.same({ 0, "" }, { status, err })
  end

  it("is not the song, by the default's name", function()
    keep("combined.mid", song)
    keep("continued.mid", song)
    keep("sketch.mid", song)
    refused("combined.mid: is the song; choose another file for the result (-o)",
      "drum", "combined.mid", "--model", model)
    refused("combined.mid: is the song; choose another file for the result (-o)",
      "drum", "./combined.mid", "--model", model)
    refused("continued.mid: is the song; choose another file for the result (-o)",
      "continue", "continued.mid", "--model", model)
    refused("sketch.mid: is the option --style-of; choose another file for the result (-o)",
      "sketch", "--style-of", "sketch.mid", "--model", model)
  end)

  it("is the song where -o names it, and no other file that is read", function()
    keep("loop.mid", song)
    keep("song.mid", song)
    refused("loop.mid: is the loop; choose another file for the result (-o)", "drum", "song.mid",
      "--loop", "loop.mid", "-o", "loop.mid", "--model", model)
    refused("loop.mid: is the option --prime; choose another file for the result (-o)", "drum",
      "song.mid",
      "--prime", "loop.mid", "-o", "loop.mid", "--model", model)
    keep("own.style", song)
    refused("own.style: is the song; choose another file for the style", "style", "own.style", "-o",
      "own.style")
    shell.write(folder .. "/in-place.mid", song)
    works("drum", "in-place.mid", "-o", "in-place.mid", "--model", model)
    assert.not_equal(song, shell.read(folder .. "/in-place.mid"))
  end)

  it("is no draft in the place of what is read", function()
    keep("take.seed-2.mid", song)
    keep("song.mid", song)
    local message = "option 'all_drafts': a draft would overwrite take.seed-2.mid, which is an "
      .. "input; choose another output name"
    local function drafts(...)
      refused(message, "drum", "-o", "take.mid", "--drafts", "2", "--all-drafts", "--model", model,
        ...)
    end
    drafts("take.seed-2.mid")
    for _, option in ipairs { "--loop", "--prime", "--style-of" } do
      drafts("song.mid", option, "take.seed-2.mid")
    end
    local ok, said = pcall(generate.drum, folder .. "/take.seed-2.mid", { model = model,
      out = folder .. "/take.mid", drafts = 2, all_drafts = true })
    assert.is_false(ok)
    assert.matches("^option 'all_drafts': ", said)
    assert.is_false(shell.exists(folder .. "/take.mid"))
  end)

  it("is neither a training's corpus nor another of its files", function()
    shell.run("mkdir", folder .. "/songs")
    assert(dofile "examples/songs/all.lua".write(folder .. "/songs"))
    works("preprocess", "songs", "-o", "c.ndc", "-q")
    works("preprocess", "songs", "-o", "saved.tsv", "-q", "--original")
    keep("c.ndc", shell.read(folder .. "/c.ndc"))
    keep("saved.tsv", shell.read(folder .. "/saved.tsv"))
    refused("saved.tsv: is the corpus; choose another file for the log (--log)", "train",
      "saved.tsv",
      "-o", "saved.safetensors")
    refused("c.ndc: is the corpus; choose another file for the log (--log)", "train", "c.ndc", "-o",
      "new.safetensors", "--log", "c.ndc")
    refused("c.ndc: is the corpus; choose another file for the model", "train", "c.ndc", "-o",
      "c.ndc")
    refused("x: is the model; choose another file for the log (--log)", "train", "c.ndc", "-o", "x",
      "--log", "x")
    refused("x.last: is the checkpoint; choose another file for the log (--log)", "train",
      "c.ndc", "-o", "x", "--log", "x.last")
    refused("x.loss.png: is the log (--log); choose another file for the picture of the losses",
      "train",
      "c.ndc", "-o", "x", "--log", "x.loss.png")
    keep("from.tsv", shell.read(model))
    refused("from.tsv: is the model to begin with; choose another file for the log (--log)",
      "train",
      "c.ndc", "-o", "from.safetensors", "--from", "from.tsv")
    keep("list.csv", "file,split\nsongs/rock.mid,train\n")
    refused("list.csv: is the manifest; choose another file for the corpus", "preprocess", "songs",
      "-o",
      "list.csv", "--manifest", "list.csv")
  end)

  it("is no picture, and no numbers of one, in the place of something else", function()
    keep("rock.tsv", song)
    keep("rock.mid", song)
    local numbers = "rock.tsv: is the song; choose another file for the picture's numbers"
    refused(numbers, "drum", "rock.tsv", "-o", "o.mid", "--plot", "rock.png", "--model", model)
    refused(numbers, "score", "rock.tsv", "--plot", "rock.png", "--model", model)
    refused(numbers, "explain", "rock.tsv", "--bar", "1", "--plot", "rock.png", "--model", model)
    refused("rock.tsv: is the input; choose another file for the picture's numbers", "info",
      "rock.tsv",
      "--plot", "rock.png")
    refused("rock.mid: is the input; choose another file for the picture's numbers", "plot",
      "rock.mid",
      "-o", "p.png", "--tsv", "rock.mid")
    refused("q.png: is the picture; choose another file for the picture's numbers", "plot",
      "rock.mid",
      "-o", "q.png", "--tsv", "q.png")
    refused("q.png: is the result (-o); choose another file for the picture", "drum", "rock.mid",
      "-o",
      "q.png", "--plot", "q.png", "--model", model)
    keep("pic.svg", song)
    refused("pic.svg: is the input; choose another file for the picture", "plot", "pic.svg", "-o",
      "pic.svg")
    assert.is_false(shell.exists(folder .. "/o.mid") or shell.exists(folder .. "/q.png"))
  end)

  it("is no numbers of a picture in the place of a training's log", function()
    keep("run.tsv", "epoch\tbatch\tloss\tvalid\trate\tnorm\tseconds\n1\t1\t0.5\t\t0.1\t1\t1\n"
      .. "1\t2\t0.4\t\t0.1\t1\t1\n")
    keep("rock.mid", song)
    local message = "run.tsv: is the log of a training; choose another file for the picture's "
      .. "numbers"
    refused(message, "info", "rock.mid", "--plot", "run.png")
    refused(message, "plot", "rock.mid", "-o", "run.png")
    refused(message, "plot", "rock.mid", "-o", "other.png", "--tsv", "run.tsv")
    refused(message, "drum", "rock.mid", "-o", "o.mid", "--plot", "run.png", "--model", model)
    refused(message, "sketch", "-o", "o.mid", "--plot", "run.png", "--model", model)
    refused(message, "plot", "run.tsv", "run.tsv", "-o", "run.png")
    -- a log alone has its numbers already
    works("plot", "run.tsv", "-o", "run.png")
    assert.equal(kept["run.tsv"], shell.read(folder .. "/run.tsv"))
  end)

  it("is nothing where a picture's name is none", function()
    keep("rock.mid", song)
    local message = "x.gif: a picture's name must end in .png, .svg or .pdf"
    for _, words in ipairs { { "drum", "rock.mid", "-o", "x.mid", "--model", model },
      { "continue", "rock.mid", "-o", "x.mid", "--model", model },
      { "sketch", "-o", "x.mid", "--model", model }, { "info", "rock.mid" },
      { "score", "rock.mid", "--model", model },
      { "explain", "rock.mid", "--bar", "1", "--model", model } } do
      table.move({ "--plot", "x.gif" }, 1, 2, #words + 1, words)
      refused(message, table.unpack(words))
    end
    refused(message, "plot", "rock.mid", "-o", "x.gif")
    assert.is_false(shell.exists(folder .. "/x.mid") or shell.exists(folder .. "/x.tsv"))
  end)
end)
