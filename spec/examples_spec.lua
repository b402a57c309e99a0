-- The numbered examples, run one after another as a person would, in a folder
-- of their own and with a few epochs only; what they print must have the shape
-- of what stands at their ends.
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

-- Lines without their numbers, spaces and paths: what is left is the shape.
local function shape(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do
    list[#list + 1] = line:gsub("%s+", " "):gsub("[%w./_-]*/", ""):gsub("%-?%d+%.?%d*", "N")
      :gsub("^ ", ""):gsub("%(?N%)?", "N")
  end
  return list
end

describe("examples", function()
  local folder

  local function run(name, ...)
    local words = { "lua5.4", "examples/" .. name .. ".lua", folder, ... }
    for i, word in ipairs(words) do words[i] = shell.quote(word) end
    local pipe = assert(io.popen(("LUA_PATH=%s LUA_CPATH=%s %s 2>&1"):format(
      shell.quote(package.path), shell.quote(package.cpath), table.concat(words, " "))))
    local text = pipe:read "a"
    local ok = pipe:close()
    assert(ok, text)
    return text
  end

  -- What stands in the comment at the end of the script.
  local function promised(name)
    local text = shell.read("examples/" .. name .. ".lua"):match "%-%-%[%[ printed:\n(.*)\n%]%]\n$"
    return assert(text, name .. ": no output at its end")
  end

  setup(function() folder = temporary.name() end)
  teardown(function() temporary.remove(folder) end)

  it("01 makes the songs and the corpus, and prints just what it says", function()
    local text = run "01_preprocess"
    text = text:gsub(folder, "build/examples"):gsub("\n$", "")
    assert.equal(promised "01_preprocess", text)
    assert.is_true(#shell.read(folder .. "/songs.ndc") > 10000)
    local lines = select(2, shell.read(folder .. "/saved.txt"):gsub("\n", ""))
    assert.equal(8, lines)
  end)

  it("02 trains, and the loss falls", function()
    local text = run("02_train", "5")
    local losses = {}
    for line in shell.read(folder .. "/drummer.tsv"):gmatch "[^\n]+" do
      losses[#losses + 1] = tonumber(line:match "^%d+\t%d+\t([%d.]+)")
    end
    assert.is_true(losses[#losses] < 0.7 * losses[1])
    assert.equal(promised "02_train":match "[^\n]+", text:match "[^\n]+")
    local given, wanted = shape(text), shape(promised "02_train")
    assert.equal(wanted[1], given[1])
    assert.equal(wanted[2], given[2])
    for i = 0, 3 do assert.equal(wanted[#wanted - i], given[#given - i]) end
    assert.truthy(shell.read(folder .. "/drummer.safetensors"))
    assert.truthy(shell.read(folder .. "/original.safetensors"))
  end)

  it("03 draws", function()
    local text = run "03_plot"
    for _, name in ipairs { "funk", "journey" } do
      assert.matches("^step\tbar\tbeat\tintensity\tkick",
        shell.read(("%s/%s.tsv"):format(folder, name)))
    end
    if os.execute "command -v gnuplot >/dev/null 2>&1" then
      assert.same(shape(promised "03_plot"), shape(text))
      for _, name in ipairs { "loss", "corpus", "funk", "journey" } do
        assert.equal("\x89PNG", shell.read(folder .. "/" .. name .. ".png"):sub(1, 4))
      end
    end
  end)

  it("04 drums a song with each model", function()
    local text = run "04_generate"
    for _, name in ipairs { "trained", "original-basic", "original-count-in" } do
      assert.matches("\n" .. name:gsub("%-", "%%-") .. "%.mid: %d+%.%d+ hits a step\n", text)
      assert.equal("MThd", shell.read(folder .. "/" .. name .. ".mid"):sub(1, 4))
    end
    assert.matches("same seed, same drums: true; another seed: false", text, 1, true)
    assert.equal(shape(promised "04_generate")[1], shape(text)[1])
    local nd = require "neuraldrummer"
    local song, bare = nd.song.load(folder .. "/trained.mid"), nd.song.load(folder .. "/song.mid")
    assert.is_nil((bare:drum_channel()))
    assert.same(bare:notes(), song:notes "others")
  end)

  it("05 renders and measures, or says what is missing", function()
    -- with a fluidsynth that writes a second of a beep and a second of silence
    local bin, font = folder .. "/bin", folder .. "/font.sf2"
    require "lfs".mkdir(bin)
    local second = {}
    for i = 0, 44099 do
      local x = math.floor(16384 * math.sin(i / 10))
      second[i + 1] = ("<i2i2"):pack(x, x)
    end
    local sound = table.concat(second) .. ("\0"):rep(4 * 44100)
    shell.write(folder .. "/beep.wav", ("<c4I4c4c4I4I2I2I4I4I2I2c4I4"):pack("RIFF", 36 + #sound,
      "WAVE", "fmt ", 16, 1, 2, 44100, 176400, 4, 16, "data", #sound) .. sound)
    shell.write(font, "")
    shell.write(bin .. "/fluidsynth", ("#!/bin/sh\ncp %s \"$8\"\n"):format(
      shell.quote(folder .. "/beep.wav")))
    assert(os.execute("chmod +x " .. shell.quote(bin .. "/fluidsynth")))
    local lua = select(2, shell.sh "command -v lua5.4"):match "%S+"
    local function listen(path)
      local status, out, err = shell.sh(("PATH=%s SOUNDFONT=%s LUA_PATH=%s LUA_CPATH=%s %s "
        .. "examples/05_listen.lua %s seven"):format(path, shell.quote(font),
        shell.quote(package.path), shell.quote(package.cpath), lua, shell.quote(folder)))
      assert.equal("", err)
      assert.equal(0, status)
      return out
    end
    local out = listen(shell.quote(bin) .. ":$PATH")
    assert.matches("^seven%-drums.mid: %d+ hits\nseven.wav: 2 s, peak %-6.0 dB, %-12.0 dB RMS "
      .. "%(loudest second %-9.0%), nothing clipped\n  longest silence in it 1.0 s; its end "
      .. "rings out %(%-96 dB, ", out)
    os.remove(bin .. "/fluidsynth")
    assert.equal("fluidsynth is not installed (Debian: fluidsynth); nothing is rendered\n"
      .. out:match "^[^\n]+\n", listen(shell.quote(bin)))
  end)
end)
