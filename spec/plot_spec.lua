local plot = require "neuraldrummer.plot"
local shell = require "spec.support.shell"

-- What plot needs of a Sequence: two bars of 4/4 and one of 3/4, four steps a beat.
local function sequence(name)
  local steps, voices = 44, { "kick", "snare", "closed_hat" }
  local hits, intensity = {}, {}
  for step = 1, steps do
    hits[step] = string.char(step % 8 == 1 and 100 or 0, step % 8 == 5 and 127 or 0,
      step % 2 == 1 and 64 or 0)
    intensity[step] = step % 4 - 1.5
  end
  return setmetatable({
    voices = function() return voices end,
    packed_hits = function() return table.concat(hits) end,
    metric = function(_, metric)
      assert(metric == "intensity")
      return intensity
    end,
    bars = function()
      return { { step = 1, numerator = 4, denominator = 4 },
        { step = 17, numerator = 4, denominator = 4 },
        { step = 33, numerator = 3, denominator = 4 } }
    end,
    settings = function() return { steps_per_beat = 4 } end,
    name = function() return name or "three bars" end,
  }, { __len = function() return steps end })
end

local function size(path)
  local bytes = shell.read(path)
  assert.equal("\x89PNG\r\n\26\n", bytes:sub(1, 8))
  local width, height = string.unpack(">I4I4", bytes, 17)
  return width, height
end

local installed = os.execute "command -v gnuplot >/dev/null 2>&1"

describe("plot", function()
  local folder

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(require "lfs".mkdir(folder))
  end)
  teardown(function() os.execute("rm -rf '" .. folder .. "'") end)

  describe("song", function()
    it("writes a row a step", function()
      local tsv = folder .. "/a.tsv"
      assert.is_true(plot.song(sequence(), { tsv = tsv }))
      local rows = {}
      for line in io.lines(tsv) do rows[#rows + 1] = line end
      assert.equal(45, #rows)
      assert.equal("step\tbar\tbeat\tintensity\tkick\tsnare\tclosed_hat", rows[1])
      assert.equal("1\t1\t1\t-0.5\t100\t0\t64", rows[2])
      assert.equal("6\t1\t2.25\t0.5\t0\t0\t0", rows[7])
      assert.equal("37\t3\t2\t-0.5\t0\t127\t64", rows[38])
    end)

    it("needs a path, and knows its options", function()
      assert.error_matches(function() plot.song(sequence(), {}) end, "png or tsv is needed")
      assert.error_matches(function() plot.song(sequence(), { pgn = "x" }) end,
        "did you mean 'png'")
    end)

    it("says which file cannot be written", function()
      local ok, message = plot.song(sequence(), { tsv = folder .. "/none/a.tsv" })
      assert.is_nil(ok)
      assert.equal(folder .. "/none/a.tsv: No such file or directory", message)
    end)

    if installed then
      it("draws a picture", function()
        local png = folder .. "/a.png"
        assert.is_true(plot.song(sequence(), { png = png }))
        assert.same({ 1600, 700 }, { size(png) })
        assert.is_false(shell.exists(png .. ".part"))
      end)

      it("draws the hits that are there", function()
        local silent = sequence()
        silent.packed_hits = function() return ("\0"):rep(44 * 3) end
        assert.is_true(plot.song(sequence(), { png = folder .. "/b.png", title = "t" }))
        assert.is_true(plot.song(silent, { png = folder .. "/c.png", title = "t" }))
        assert.is_true(plot.song(sequence(), { png = folder .. "/d.png", title = "t" }))
        assert.equal(shell.read(folder .. "/b.png"), shell.read(folder .. "/d.png"))
        assert.not_equal(shell.read(folder .. "/b.png"), shell.read(folder .. "/c.png"))
      end)

      it("takes names as they are", function()
        local trap = folder .. "/trap"
        local names = {
          "it's; touch " .. "trap", "$(touch trap)", "`touch trap`", '"a" \\ %d %s @OUTPUT@',
          "|touch trap", "-e", "@GPVAL_TERM @x", "a\255b\nc",
          "{/Symbol a}_b", "d\xc3\xa9j\xc3\xa0 vu", "'' . system('touch trap') . ''",
        }
        for i, name in ipairs(names) do
          local safe = name:gsub("/", " ")
          local png = folder .. "/" .. safe .. i .. ".png"
          assert.is_true(plot.song(sequence(name), { png = png }))
          assert.same({ 1600, 700 }, { size(png) })
        end
        assert.is_false(shell.exists(trap))
        assert.is_false(shell.exists "trap")
      end)

      it("writes a bare name that begins with a bar into this folder", function()
        assert.is_true(plot.song(sequence(), { png = "|cat" }))
        assert.same({ 1600, 700 }, { size "|cat" })
        assert.is_true(os.remove "|cat")
      end)

      it("leaves the picture before it when it cannot draw", function()
        local ok, message = plot.song(sequence(), { png = folder .. "/none/a.png" })
        assert.is_nil(ok)
        assert.equal(folder .. "/none/a.png: No such file or directory", message)
        local png = folder .. "/kept.png"
        assert.is_true(plot.song(sequence(), { png = png }))
        local before, broken = shell.read(png), sequence()
        broken.metric = function()
          local values = {}
          for i = 1, 44 do values[i] = 0 / 0 end
          return values
        end
        ok, message = plot.song(broken, { png = png })
        assert.is_nil(ok)
        assert.matches("kept.png: gnuplot: ", message, 1, true)
        assert.equal(before, shell.read(png))
        assert.is_false(shell.exists(png .. ".part"))
      end)
    end

    it("writes the data where there is no gnuplot", function()
      local script = folder .. "/alone.lua"
      local file = assert(io.open(script, "w"))
      file:write([[
        local plot = require "neuraldrummer.plot"
        local seq = setmetatable({ voices = function() return { "kick" } end,
          packed_hits = function() return "\0\100" end, metric = function() return { 0, 1 } end,
          bars = function() return { { step = 1, numerator = 4, denominator = 4 } } end,
          settings = function() return { steps_per_beat = 4 } end, name = function() return "x" end,
        }, { __len = function() return 2 end })
        print(plot.song(seq, { png = arg[1] .. "/x.png", tsv = arg[1] .. "/x.tsv" }))
      ]])
      file:close()
      local lua = assert(io.popen "command -v lua5.4"):read "l"
      local run = assert(io.popen(("PATH=%s LUA_PATH=%q LUA_CPATH=%q %s %s %s 2>&1"):format(
        folder, package.path, package.cpath, lua, script, folder)))
      local said = run:read "a"
      run:close()
      assert.equal("nil\tgnuplot is not installed (Debian: gnuplot-nox);"
        .. " no picture was drawn\n", said)
      assert.is_false(shell.exists(folder .. "/x.png"))
      assert.equal("step\tbar\tbeat\tintensity\tkick\n1\t1\t1\t0\t0\n2\t1\t1.25\t1\t100\n",
        shell.read(folder .. "/x.tsv"))
    end)
  end)

  describe("loss", function()
    local function log(text)
      local path = folder .. "/log.tsv"
      local file = assert(io.open(path, "w"))
      file:write(text)
      file:close()
      return path
    end

    it("says what is wrong with a log", function()
      local png = folder .. "/loss.png"
      assert.same({ nil, folder .. "/none.tsv: no such file" },
        { plot.loss(folder .. "/none.tsv", png) })
      assert.same({ nil, folder .. "/log.tsv: empty" }, { plot.loss(log "", png) })
      assert.same({ nil, folder .. "/log.tsv: no losses in it" },
        { plot.loss(log "epoch\tloss\n1\tnan\n2\t-\n", png) })
      assert.is_false(shell.exists(png))
    end)

    if installed then
      it("draws whichever columns are there", function()
        local png = folder .. "/loss.png"
        for _, text in ipairs {
          "epoch\tbatch\tloss\tvalid_loss\trate\tnorm\tseconds\n1\t1\t0.7\t\t1e-3\t1\t1\n"
            .. "1\t2\t0.6\t0.65\t2e-3\t1\t2\n2\t1\t0.5\t\t1e-3\t1\t3\n2\t2\tnan\t0.5\t1e-3\t1\t4\n",
          "epoch\tloss\tvalid\n1\t0.5\t0.6\n2\t0.4\t0.5\n",
          "loss\n0.5\n",
          "epoch\tvalid\n1\t0.6\n",
        } do
          os.remove(png)
          assert.is_true(plot.loss(log(text), png))
          assert.same({ 1200, 700 }, { size(png) })
        end
      end)
    end
  end)
end)
