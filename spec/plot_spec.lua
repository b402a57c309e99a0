local core = require "neuraldrummer.core"
local plot = require "neuraldrummer.plot"
local shell = require "spec.support.shell"
local statistics = require "neuraldrummer.statistics"
local tiny = require "spec.support.tiny"

local bar <const> = { kick = "x.......x.......", snare = "....x.......x...",
  closed_hat = "x.x.x.x.x.x.x.x.", bass = "x..x..x...x....." }
local fill <const> = { kick = "x.......x.......", snare = "....x..xxxxxxxxx",
  closed_hat = "x.x.x.x.........", bass = "x..x..x...x....." }
local rest <const> = { bass = "................", lead = "x..............." }

local function sequence(name, patterns)
  patterns = patterns or { bar, bar, bar, fill, bar, bar }
  return assert(core.tokeniser():encode(tiny.song { patterns = patterns, bars = #patterns },
    name or "six bars"))
end

local function size(path)
  local bytes = shell.read(path)
  assert.equal("\x89PNG\r\n\26\n", bytes:sub(1, 8))
  local width, height = string.unpack(">I4I4", bytes, 17)
  return width, height
end

-- Rows of a TSV file, keyed by its names.
local function rows_of(path)
  local names, rows = nil, {}
  for line in io.lines(path) do
    local cells = {}
    for cell in (line .. "\t"):gmatch "([^\t]*)\t" do cells[#cells + 1] = cell end
    if names then
      local row = {}
      for i, name in ipairs(names) do row[name] = cells[i] end
      rows[#rows + 1] = row
    else
      names = cells
    end
  end
  return rows, table.concat(names, " ")
end

local installed = os.execute "command -v gnuplot >/dev/null 2>&1"

-- Runs Lua where PATH has nothing but this folder.
local function without_gnuplot(folder, chunk, fake)
  local bin = folder .. "/bin"
  require "lfs".mkdir(bin)
  shell.write(folder .. "/alone.lua", chunk)
  os.remove(bin .. "/gnuplot")
  if fake then
    shell.write(bin .. "/gnuplot", fake)
    os.execute("chmod +x " .. shell.quote(bin .. "/gnuplot"))
  end
  local lua = assert(io.popen "command -v lua5.4"):read "l"
  local run = assert(io.popen(("PATH=%s LUA_PATH=%s LUA_CPATH=%s %s %s %s 2>&1"):format(
    shell.quote(bin), shell.quote(package.path), shell.quote(package.cpath), lua,
    shell.quote(folder .. "/alone.lua"), shell.quote(folder))))
  local said = run:read "a"
  run:close()
  return said
end

describe("plot", function()
  local folder

  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  describe("song", function()
    it("writes a row a step", function()
      local tsv = folder .. "/a.tsv"
      assert.is_true(plot.song(sequence(), { tsv = tsv }))
      local rows, names = rows_of(tsv)
      assert.equal(6 * 16, #rows)
      assert.equal("step bar beat intensity kick snare closed_hat open_hat low_tom mid_tom "
        .. "high_tom crash ride section fill asked_fill asked_energy fixed", names)
      assert.equal("100", rows[1].kick)
      assert.equal("0", rows[1].snare)
      assert.equal("2", rows[22].bar)
      assert.equal("2.25", rows[22].beat)
      assert.equal("A", rows[1].section)
      for b = 1, 6 do assert.equal(b == 4 and "1" or "0", rows[16 * b].fill) end
      assert.equal("", rows[1].asked_fill)
      assert.equal("", rows[1].fixed)
    end)

    it("tells what was asked and kept", function()
      local known = (("\1" .. ("\0"):rep(8)):rep(32)) .. ("\1"):rep(9 * 64)
      local tsv = folder .. "/asked.tsv"
      assert.is_true(plot.song(sequence(), { tsv = tsv, direction = { mask = known,
        fills = { [2] = true, [3] = false }, density = { 1.5, false, -1 } },
        sections = { { first = 1, last = 2, kind = 1 }, { first = 3, last = 6, kind = 2,
          name = "verse" } } }))
      local rows = rows_of(tsv)
      assert.equal("kick", rows[1].fixed)
      assert.equal("kick+snare+closed_hat+open_hat+low_tom+mid_tom+high_tom+crash+ride",
        rows[33].fixed)
      assert.equal("1.5", rows[16].asked_energy)
      assert.equal("", rows[17].asked_energy)
      assert.equal("-1", rows[33].asked_energy)
      assert.equal("1", rows[17].asked_fill)
      assert.equal("0", rows[33].asked_fill)
      assert.equal("", rows[1].asked_fill)
      assert.equal("A", rows[32].section)
      assert.equal("verse", rows[33].section)
    end)

    it("needs a path, and knows its options", function()
      assert.error_matches(function() plot.song(sequence(), {}) end,
        "options 'out' and 'tsv' are missing")
      assert.error_matches(function() plot.song(sequence(), { otu = "x" }) end,
        "did you mean 'out'")
      assert.same({ nil, folder .. "/a.gif: a picture's name must end in .png, .svg or .pdf" },
        { plot.song(sequence(), { out = folder .. "/a.gif" }) })
    end)

    it("says which file cannot be written", function()
      local ok, message = plot.song(sequence(), { tsv = folder .. "/none/a.tsv" })
      assert.is_nil(ok)
      assert.equal(folder .. "/none/a.tsv: No such file or directory", message)
      ok, message = plot.song(sequence(), { out = folder .. "/none/a.png" })
      assert.is_nil(ok)
      assert.equal(folder .. "/none/a.tsv: No such file or directory", message)
      if installed then
        ok, message = plot.song(sequence(), { out = folder .. "/none/a.png",
          tsv = folder .. "/a.tsv" })
        assert.is_nil(ok)
        assert.equal(folder .. "/none/a.png: No such file or directory", message)
      end
    end)

    if installed then
      it("draws a picture, with its numbers beside it", function()
        local png = folder .. "/b.png"
        assert.is_true(plot.song(sequence(), { out = png }))
        assert.equal(1600, (size(png)))
        assert.is_false(shell.exists(png .. ".nd-part"))
        assert.equal(96, #rows_of(folder .. "/b.tsv"))
        for ending, start in pairs { svg = "^<%?xml.*<svg", pdf = "^%%PDF%-" } do
          assert.is_true(plot.song(sequence(), { out = folder .. "/b." .. ending }))
          assert.matches(start, shell.read(folder .. "/b." .. ending))
        end
      end)

      it("draws the hits that are there, and what was asked", function()
        local pictures = {}
        local function draw(seq, direction)
          local png = folder .. "/c.png"
          assert.is_true(plot.song(seq, { out = png, title = "t", direction = direction }))
          pictures[#pictures + 1] = shell.read(png)
        end
        local seq = sequence()
        draw(seq)
        draw(sequence())
        draw(seq:with_hits(("\0"):rep(#seq * 9)))
        draw(seq, { fills = { [2] = true } })
        draw(seq, { fills = { [3] = true } })
        draw(seq, { density = { 1 } })
        draw(seq, { mask = ("\1"):rep(#seq * 9) })
        draw(seq, { mask = ("\1"):rep(#seq * 9 - 16 * 9) .. ("\0"):rep(16 * 9) })
        assert.equal(pictures[1], pictures[2])
        for i = 2, #pictures do
          for k = i + 1, #pictures do assert.not_equal(pictures[i], pictures[k]) end
        end
      end)

      it("is the same whenever and by whomever it is drawn", function()
        local home = folder .. "/home"
        shell.run("mkdir", home)
        local song = folder .. "/song.mid"
        assert(tiny.song { patterns = { bar, fill }, bars = 4 }:save(song))
        shell.write(home .. "/.gnuplot",
          "set datafile separator ','\nset logscale y\nset multiplot\n")
        local function drawn(name, by)
          local pictures = {}
          for _, ending in ipairs { "png", "svg", "pdf" } do
            local path = ("%s/%s.%s"):format(folder, name, ending)
            local status, _, err = shell.sh(("%s %s plot %s -o %s"):format(by, shell.tool, song,
              path))
            assert.equal(0, status, err)
            pictures[ending] = shell.read(path)
          end
          return pictures
        end
        local first = drawn("one", "TZ=Asia/Tokyo")
        shell.sh "sleep 1"
        for ending, picture in pairs(drawn("two", "HOME=" .. home)) do
          assert.is_true(first[ending] == picture, ending)
        end
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
          assert.is_true(plot.song(sequence(name), { out = png, sections = {
            { first = 1, last = 6, kind = 1, name = name } } }))
          assert.equal(1600, (size(png)))
        end
        assert.is_false(shell.exists(trap))
        assert.is_false(shell.exists "trap")
      end)

      it("writes a bare name that begins with a bar into this folder", function()
        assert.is_true(plot.song(sequence(), { out = "|cat.png" }))
        assert.equal(1600, (size "|cat.png"))
        assert.is_true(os.remove "|cat.png")
        assert.is_true(os.remove "|cat.tsv")
      end)
    end

    local chunk <const> = [[
      local core = require "neuraldrummer.core"
      local song = core.song { ppq = 480, notes = {
        { tick = 0, duration = 480, pitch = 36, velocity = 100, channel = 10 } } }
      print(require "neuraldrummer.plot".song(core.tokeniser():encode(song, "x"),
        { out = arg[1] .. "/x.png" }))
    ]]

    it("leaves the picture before it when gnuplot fails", function()
      shell.write(folder .. "/x.png", "before")
      local said = without_gnuplot(folder, chunk,
        "#!/bin/sh\necho 'line 7: no such thing' >&2\nexit 1\n")
      assert.equal(("nil\t%s/x.png: gnuplot: no such thing\n"):format(folder), said)
      assert.equal("before", shell.read(folder .. "/x.png"))
      assert.is_false(shell.exists(folder .. "/x.png.nd-part"))
      os.remove(folder .. "/x.png")
    end)

    if installed then
      it("leaves the picture before it when the disk is full", function()
        -- gnuplot itself says nothing then
        local real = assert(io.popen "command -v gnuplot"):read "l"
        for _, ending in ipairs { "png", "svg", "pdf" } do
          local path = ("%s/x.%s"):format(folder, ending)
          assert.is_true(plot.song(sequence(), { out = path }))
          local before = shell.read(path)
          local said = without_gnuplot(folder, chunk:gsub("x%.png", "x." .. ending),
            ("#!/bin/sh\ntrap '' XFSZ\nulimit -f 1\nexec %s \"$@\"\n"):format(real))
          assert.equal(("nil\t%s: gnuplot could not write the whole picture\n"):format(path), said)
          assert.equal(before, shell.read(path))
          assert.is_false(shell.exists(path .. ".nd-part"))
          os.remove(path)
        end
        os.remove(folder .. "/x.tsv")
      end)
    end

    it("says when there is no place for temporary files", function()
      shell.write(folder .. "/x.png", "before")
      local said = without_gnuplot(folder, "os.tmpname = function() error('no name', 0) end\n"
        .. chunk, "#!/bin/sh\n")
      assert.equal(("nil\t%s/x.png: no name\n"):format(folder), said)
      assert.equal("before", shell.read(folder .. "/x.png"))
      assert.is_false(shell.exists(folder .. "/x.png.nd-part"))
      os.remove(folder .. "/x.png")
    end)

    it("leaves numbers and script where there is no gnuplot", function()
      local said = without_gnuplot(folder, chunk)
      assert.equal(("nil\tgnuplot is not installed (Debian: gnuplot-nox); %s/x.tsv has the numbers,"
        .. " %s/x.gp has the script; draw it with: gnuplot -d %s/x.gp >%s/x.png\n"):format(folder,
        folder, folder, folder), said)
      assert.is_false(shell.exists(folder .. "/x.png"))
      assert.equal("100", rows_of(folder .. "/x.tsv")[1].kick)
      assert.matches("^set terminal pngcairo", shell.read(folder .. "/x.gp"))
      if installed then
        assert.equal(0, (shell.sh(("cd %s && gnuplot -d x.gp >x.png"):format(folder))))
        assert.equal(1600, (size(folder .. "/x.png")))
      end
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
      assert.same({ nil, folder .. "/none.tsv: No such file or directory" },
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

  describe("several trainings", function()
    local function log(name, text) return shell.write(folder .. "/" .. name, text) end

    it("are compared by their validation losses", function()
      local first = log("first.tsv", "epoch\tbatch\tloss\tvalid\n1\t1\t0.9\t0.8\n2\t1\t0.7\t0.6\n")
      local second = log("second.tsv", "epoch\tbatch\tloss\tvalid\n1\t1\t0.9\t\n1\t2\t0.5\t\n")
      local ok, message = plot.compare({ first, second }, folder .. "/both.png")
      if installed then
        assert.is_true(ok, message)
        assert.same({ 1200, 700 }, { size(folder .. "/both.png") })
      end
      local rows = rows_of(folder .. "/both.tsv")
      assert.equal(4, #rows)
      assert.same({ model = "first", epoch = "2", loss = "0.6" }, rows[2])
      assert.same({ model = "second", epoch = "1", loss = "0.5" }, rows[4])
      -- the title says which losses are drawn
      local third = log("third.tsv", "epoch\tbatch\tloss\tvalid\n1\t1\t0.9\t\n1\t2\t0.5\t\n")
      for title, logs in pairs { ["Loss on the validation songs (nats)"] = { first, first },
        ["Loss on the training songs, running mean (nats)"] = { second, third },
        ["Loss on the validation songs, or on the training songs where marked (nats)"] =
          { first, second } } do
        if installed then
          assert(plot.compare(logs, folder .. "/both.svg"))
          local svg = shell.read(folder .. "/both.svg")
          assert.truthy(svg:find(title, 1, true), title)
          assert.equal(title:find("marked", 1, true) ~= nil, svg:find("(training)", 1, true) ~= nil)
        end
      end
      assert.same({ nil, folder .. "/first.png: its data would overwrite " .. first },
        { plot.compare({ first, second }, folder .. "/first.png") })
      assert.same({ nil, folder .. "/none.tsv: No such file or directory" },
        { plot.compare({ folder .. "/none.tsv" }, folder .. "/both.png") })
    end)
  end)

  describe("figures", function()
    it("are a panel each", function()
      local rows = {
        { name = "stock beat", f1 = 0.36, auc = 1, silent = 0, songs = 4 },
        { name = "model's own", f1 = 0.32, auc = 0.8, silent = 0, bits = 1.1, songs = 4 },
        { name = "recorded drums", silent = 1, songs = 4 },
      }
      local ok, message = plot.figures(rows, folder .. "/figures.png")
      if installed then
        assert.is_true(ok, message)
        assert.equal(1600, (size(folder .. "/figures.png")))
      end
      local data, names = rows_of(folder .. "/figures.tsv")
      assert.equal("name bits f1 silent auc", names)
      assert.same({ name = "model's own", bits = "1.1", f1 = "0.32", silent = "0", auc = "0.8" },
        data[2])
      assert.same({ nil, "there are no figures to draw" }, { plot.figures({}, folder .. "/x.png") })
    end)
  end)

  describe("corpus", function()
    it("has voices by place, tempo and density", function()
      local tok = core.tokeniser()
      local corpus <close>, path = tiny.corpus(tok, {
        { sequence(), "train" },
        { sequence("quiet", { rest, rest, bar, rest }), "train" },
        { assert(tok:encode(tiny.song { patterns = { { kick = "x...........",
          bass = "x..........." } }, bars = 3, numerator = 3 })), "valid" } })
      os.remove(path)
      local found = assert(statistics.run(corpus))
      assert.equal(7, found.bars)
      assert.equal(1, found.rates[1][1])
      assert.equal(1, found.rates[2][5])
      assert.near(1 / 7, found.rates[2][8], 1e-9)
      assert.equal(0, found.rates[1][2])
      assert.same({ [120] = 3 }, found.tempo)
      assert.equal("4/4", found.meters[1].meter)
      assert.equal(10, found.meters[1].bars)
      assert.equal(3, found.meters[2].bars)
      local songs = 0
      for _, class in ipairs(statistics.classes(found.density, statistics.DENSITY)) do
        songs = songs + class[2]
      end
      assert.equal(3, songs)
      local ok, message = plot.corpus(found, { out = folder .. "/corpus.png" })
      if installed then
        assert.is_true(ok, message)
        assert.equal(1600, (size(folder .. "/corpus.png")))
      end
      local rows = rows_of(folder .. "/corpus.tsv")
      assert.same({ what = "kick", at = "1", value = "1" }, rows[1])
      assert.same({ what = "songs by tempo", at = "120", value = "3" }, rows[9 * 16 + 1])
    end)
  end)
end)

describe("a picture", function()
  local folder
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  local LOSSES <const> = "epoch\tloss\tvalid\n1\t0.5\t0.6\n2\t0.4\t0.5\n"
  local PLAYERS <const> = { { name = "a", f1 = 0.3 } }

  local function stays(text, path, why, ok, message)
    assert.is_nil(ok)
    assert.equal(why, message)
    assert.equal(text, shell.read(path))
  end

  it("and its data take the place of nothing that it is drawn from, by whatever path", function()
    local log = shell.write(folder .. "/small.tsv", LOSSES)
    local other = shell.write(folder .. "/large.tsv", LOSSES)
    shell.sh(("ln -s . %s/here; ln %s %s/same.tsv"):format(folder, log, folder))
    local spelt = folder .. "/./small.tsv"
    for out, path in pairs { ["/small.png"] = spelt, ["/here/small.png"] = log,
      ["/same.png"] = log } do
      out = folder .. out
      local why = ("%s: its data would overwrite %s"):format(out, path)
      stays(LOSSES, log, why, plot.compare({ path, other }, out))
      stays(LOSSES, log, why, plot.figures(PLAYERS, out, { path }))
      stays(LOSSES, log, why, plot.song(sequence(), { out = out, from = { path } }))
    end
    stays(LOSSES, log, ("%s: its data would overwrite %s"):format(spelt, log),
      plot.song(sequence(), { tsv = spelt, from = { log } }))
    -- nor does the picture itself
    local odd = shell.write(folder .. "/odd.png", LOSSES)
    local why = odd .. ": would overwrite the file that it is drawn from"
    stays(LOSSES, odd, why, plot.loss(odd, odd))
    stays(LOSSES, odd, why, plot.compare({ odd, other }, odd))
    assert.same({ nil, why }, { plot.song(sequence(), { out = odd, tsv = odd }) })
  end)

  it("is drawn over no log of a training", function()
    local path, out = folder .. "/run.tsv", folder .. "/run.png"
    local written <close> = assert(require "neuraldrummer.train.log".open(path))
    written:add { epoch = 1, batch = 1, last_loss = 0.5, rate = 1, norm = 1, seconds = 1 }
    written:settle()
    assert(written:flush())
    local text = shell.read(path)
    local why = ("%s: its data would overwrite %s, a training log"):format(out, path)
    local seq = sequence()
    local other = shell.write(folder .. "/other.tsv", LOSSES)
    stays(text, path, why, plot.figures(PLAYERS, out))
    stays(text, path, why, plot.compare({ other }, out))
    stays(text, path, why, plot.song(seq, { out = out }))
    stays(text, path, why, plot.score(seq, { bars = {} }, { out = out }))
    stays(text, path, why, plot.explain(seq, { reasons = {} }, { out = out }))
    stays(text, path, why, plot.corpus({}, { out = out }))
  end)

  it("of the tool leaves what it was drawn from", function()
    local song, png = folder .. "/odd.tsv", folder .. "/odd.png"
    assert(tiny.song { patterns = { bar, fill }, bars = 16 }:save(song))
    local bytes = shell.read(song)
    local players = shell.write(folder .. "/players.tsv", '[{"name":"a","f1":0.3}]')
    for _, words in ipairs {
      { "plot", song, "-o", png }, { "plot", song, "--tsv", song, "-o", folder .. "/b.png" },
      { "info", song, "--plot", png }, { "score", song, "--plot", png },
      { "explain", song, "--bar", "2", "--plot", png },
      { "drum", song, "-o", folder .. "/c.mid", "--plot", png },
      { "plot", players, "-o", folder .. "/players.svg" },
    } do
      local status, _, err = shell.run(shell.tool, table.unpack(words))
      assert.equal(2, status, table.concat(words, " "))
      assert.matches("choose another file for [^\n]+\n", err)
    end
    assert.equal(bytes, shell.read(song))
    assert.equal('[{"name":"a","f1":0.3}]', shell.read(players))
  end)
end)

describe("sparkline", function()
  local sparkline = require "neuraldrummer.sparkline"

  it("draws columns, shades, and signed values on two lines", function()
    assert.equal(" ▄█", sparkline.bars { 0, 1, 2 })
    assert.equal("▁█", sparkline.bars({ 0.01, 8 }, 0))
    assert.equal("  ", sparkline.bars { 3, 3 })
    assert.equal(" ░▒█", sparkline.shades { 0, 1, 2, 4 })
    local above, below = sparkline.signed { 1, -1, 0.5, 0 }
    assert.equal("█ ▄ ", above)
    assert.equal(" █  ", below)
  end)

  it("reduces values to the width of the terminal", function()
    assert.same({ 1.5, 3.5, 5 }, sparkline.downsample({ 1, 2, 3, 4, 5 }, 3))
    assert.same({ 1, 2 }, sparkline.downsample({ 1, 2 }, 80))
    assert.same({}, sparkline.downsample({}, 80))
  end)

  it("is drawn only on a terminal", function()
    local folder = shell.folder()
    local song = folder .. "/song.mid"
    assert(tiny.song { patterns = { bar, fill }, bars = 4 }:save(song))
    local _, plain = shell.run(shell.tool, "info", song)
    assert.not_matches("█", plain)
    if os.execute "command -v script >/dev/null 2>&1" then
      local function shown(charset)
        local _, out = shell.sh(("LC_ALL=%s COLUMNS=80 script -qec %s /dev/null"):format(charset,
          shell.quote(("%s info %s"):format(shell.tool, song))))
        return out
      end
      assert.matches("drums +[▁▂▃▄▅▆▇█]+", shown "C.UTF-8")
      assert.matches("bar 1%-4", shown "C.UTF-8")
      assert.not_matches("bar 1%-4", shown "C")
    end
    shell.remove(folder)
  end)
end)
