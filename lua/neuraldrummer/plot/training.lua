--- Pictures of training and its outcome: a training's losses, those of several
--- trainings side by side, and the figures of several players.
local files = require "neuraldrummer.files"
local format = require "neuraldrummer.decimal".format
local gnuplot = require "neuraldrummer.plot.gnuplot"

local training = {}

local INK <const>, GREY <const> = gnuplot.INK, gnuplot.GREY
local WIDTH <const>, HEIGHT <const> = 1200, gnuplot.HEIGHT

-- Columns of a training log as numbers; what isn't one is left out.
local function read_log(path)
  local text, message = files.read(path)
  if not text then return nil, message end
  local names, rows = nil, {}
  for line in text:gmatch "[^\r\n]+" do
    local row, i = {}, 0
    for value in (line .. "\t"):gmatch "([^\t]*)\t" do
      i = i + 1
      local number = tonumber(value)
      if not names then
        row[i] = value
      elseif names[i] and number and number == number and math.abs(number) ~= math.huge then
        row[names[i]] = number
      end
    end
    if not names then names = row else rows[#rows + 1] = row end
  end
  if not names then return nil, path .. ": empty" end
  return rows
end

-- Where a row stands in epochs: its batch's share of the longest epoch, or its number.
local function place_rows(rows)
  local longest = 0
  for _, row in ipairs(rows) do longest = math.max(longest, row.batch or 0) end
  for i, row in ipairs(rows) do
    if row.epoch and row.batch and longest > 0 then
      row.at = row.epoch - 1 + row.batch / longest
    else
      row.at = row.epoch or i
    end
  end
end

--- Draws a training log: the loss of every batch and its running mean, the
--- validation loss, and below them the learning rate. The log is tab-separated
--- with a line of names first; epoch, batch, loss, valid_loss (or valid) and
--- rate are used where they are there.
---@param log string path of the log
---@param out string path of the picture (PNG, SVG, PDF)
---@return boolean? ok
---@return string? message
function training.loss(log, out)
  local rows, message = read_log(log)
  if not rows then return nil, message end
  place_rows(rows)
  local losses, valids, rates = {}, {}, {}
  for _, row in ipairs(rows) do
    if row.loss then losses[#losses + 1] = { row.at, row.loss } end
    local valid = row.valid_loss or row.valid
    if valid then valids[#valids + 1] = { row.at, valid } end
    if row.rate then rates[#rates + 1] = { row.at, row.rate } end
  end
  if #losses + #valids == 0 then return nil, log .. ": no losses in it" end

  local lines, add = gnuplot.script()
  local function block(name, list)
    add("$%s << END", name)
    for _, point in ipairs(list) do add("%.8g %.8g", point[1], point[2]) end
    add("END")
  end
  local plain = {}
  for i, point in ipairs(losses) do plain[i] = point[2] end
  local means = {}
  local width = math.max(1, #plain // 50)
  for i, mean in ipairs(gnuplot.smooth(plain, function() return width end)) do
    means[i] = { losses[i][1], mean }
  end
  block("losses", losses)
  block("means", means)
  block("valids", valids)
  block("rates", rates)

  local last = rows[#rows].at
  local first = math.min(rows[1].at, last - 1)
  add("set lmargin at screen 0.085\nset rmargin at screen 0.975")
  add("set multiplot")
  add("set xrange [%.8g:%.8g]", rows[1].batch and 0 or first, last)
  add("set grid ytics lc rgb '#e6e8eb' lt 1")
  add("set label 1 'Loss' at screen 0.085,0.95 left font 'sans Bold,17' tc rgb '%s'", INK)
  local best = math.huge
  for _, point in ipairs(valids) do best = math.min(best, point[2]) end
  add("set label 2 %s at screen 0.085,0.9 left noenhanced font 'sans,11.5' tc rgb '%s'",
    gnuplot.label(("%s, best validation %s"):format(#losses > 0 and format("%d batches, last %.4f",
      #losses, means[#means][2]) or "no batches",
      best < math.huge and format("%.4f", best) or "none")), GREY)
  add("set tmargin at screen 0.86\nset bmargin at screen %g", #rates > 1 and 0.31 or 0.1)
  add("set ytics scale 0 font 'sans,11' tc rgb '%s'", GREY)
  add("set xtics scale 0 font 'sans,11' tc rgb '%s'", GREY)
  add("set key at screen 0.975,0.95 right top horizontal samplen 2 font 'sans,11.5'"
    .. " tc rgb '%s'", INK)
  if #rates > 1 then add("set format x ''") else add("set xlabel 'epoch' tc rgb '%s'", GREY) end
  local curves = {}
  if #losses > 0 then
    curves[1] = "$losses using 1:2 with lines lw 1.2 lc rgb '#a9bddb' title 'each batch'"
    curves[2] = "$means using 1:2 with lines lw 2.4 lc rgb '#1f4679' title 'running mean'"
  end
  if #valids > 0 then
    curves[#curves + 1] = "$valids using 1:2 with linespoints lw 2.4 pt 7 ps 1.1 lc rgb '#b4600f'"
      .. " title 'validation'"
  end
  add("plot %s", table.concat(curves, ", "))
  if #rates > 1 then
    add("unset label\nset key off\nset format x")
    add("set xlabel 'epoch' tc rgb '%s' offset 0,0.3", GREY)
    add("set tmargin at screen 0.27\nset bmargin at screen 0.1")
    add("set label 1 'learning rate' at graph 0.995,0.88 right font 'sans,11.5' tc rgb '%s'", INK)
    local top = 0
    for _, point in ipairs(rates) do top = math.max(top, point[2]) end
    add("set yrange [0:%.4g]\nset ytics ('0' 0, '%.2g' %.4g)\nunset grid", top > 0 and top * 1.08
      or 1, top, top)
    add("plot $rates using 1:2 with filledcurves y1=0 fc rgb '#dfe3e8',"
      .. " $rates using 1:2 with lines lw 1.6 lc rgb '%s'", GREY)
  end
  add("unset multiplot")
  return gnuplot.draw(out, WIDTH, HEIGHT, lines, log)
end

-- Shapes of points: curves are told apart without their colours as well.
local POINTS <const> = { 7, 5, 9, 13, 6, 4, 8, 12 }

-- What the curves of a comparison are called: the logs' names, and their
-- folders where those are the same.
local function log_names(paths)
  local names, seen = {}, {}
  for i, path in ipairs(paths) do
    names[i] = files.name(path):gsub("%.tsv$", "")
    seen[names[i]] = (seen[names[i]] or 0) + 1
  end
  for i, path in ipairs(paths) do
    if seen[names[i]] > 1 then names[i] = path:gsub("%.tsv$", "") end
  end
  return names
end

--- Draws several training logs side by side: the validation loss of each, or
--- where a log has none, its losses' running mean.
---@param logs string[] paths
---@param out string path of the picture (PNG, SVG, PDF); its data lies beside it
---@return boolean? ok
---@return string? message
function training.compare(logs, out)
  local names, curves, table_rows = log_names(logs), {}, {}
  for i, path in ipairs(logs) do
    local rows, message = read_log(path)
    if not rows then return nil, message end
    place_rows(rows)
    local valids, at, plain = {}, {}, {}
    for _, row in ipairs(rows) do
      local valid = row.valid_loss or row.valid
      if valid then valids[#valids + 1] = { row.at, valid } end
      if row.loss then at[#at + 1], plain[#plain + 1] = row.at, row.loss end
    end
    if #valids == 0 then
      local width = math.max(1, #plain // 50)
      for k, mean in ipairs(gnuplot.smooth(plain, function() return width end)) do
        valids[k] = { at[k], mean }
      end
    end
    if #valids == 0 then return nil, path .. ": no losses in it" end
    for _, point in ipairs(valids) do
      table_rows[#table_rows + 1] = { names[i], point[1], point[2] }
    end
    curves[i] = valids
  end
  local tsv, why = gnuplot.data_path(out, nil, logs)
  if not tsv then return nil, why end
  local ok, message = gnuplot.write_tsv(tsv, { "model", "epoch", "loss" }, table_rows)
  if not ok then return nil, message end

  local lines, add = gnuplot.script()
  local parts, best, last = {}, {}, 0
  for i, curve in ipairs(curves) do
    local least = math.huge
    add("$c%d << END", i)
    for _, point in ipairs(curve) do
      add("%.8g %.8g", point[1], point[2])
      least, last = math.min(least, point[2]), math.max(last, point[1])
    end
    add("END")
    best[i] = format("%s %.4f", names[i], least)
    parts[i] = ("$c%d using 1:2 with linespoints lw 2.4 pt %d ps 1.1 lc rgb '%s' title %s"):format(
      i, POINTS[(i - 1) % #POINTS + 1],
      gnuplot.colour(gnuplot.SERIES[(i - 1) % #gnuplot.SERIES + 1]), gnuplot.label(names[i]))
  end
  add("set lmargin at screen 0.085\nset rmargin at screen 0.975")
  gnuplot.head(add, HEIGHT, "Loss on the validation songs", "best: " .. table.concat(best, ", "),
    0.085)
  gnuplot.place(add, HEIGHT, 98, 630)
  add("set xrange [0:%.8g]", last)
  add("set grid ytics lc rgb '#e6e8eb' lt 1")
  add("set ytics scale 0 font 'sans,11' tc rgb '%s'\nset xtics scale 0 font 'sans,11' tc rgb '%s'",
    GREY, GREY)
  add("set xlabel 'epoch' tc rgb '%s'", GREY)
  add("set key inside right top noenhanced samplen 2 font 'sans,12' tc rgb '%s'", INK)
  add("plot %s", table.concat(parts, ", "))
  return gnuplot.draw(out, WIDTH, HEIGHT, lines, tsv)
end

-- Figures of evaluate's rows that are drawn, with their titles; percentages as such.
local FIGURES <const> = {
  { "bits", "bits a step, history given" }, { "forced_f1", "F1, history given" },
  { "f1", "F1, playing freely" }, { "near", "F1 within a step" },
  { "density", "hits, of the recorded" }, { "repeats", "bars repeated, %", 100 },
  { "silent", "near-silent songs" }, { "groove", "groove consistency" },
  { "back_beat", "snares on back-beats, %", 100 }, { "kick_bass", "kicks with the bass, %", 100 },
  { "fills", "F1 of fill places" }, { "intervals", "intervals' overlap" },
  { "velocity", "velocities' overlap" }, { "offset", "offsets' overlap" },
  { "matching", "songs matched, %", 100 }, { "auc", "told from recorded, AUC" },
}

-- Some three round numbers between two, as gnuplot's tics.
local function round_tics(low, high)
  local step = 10 ^ math.floor(math.log(high - low, 10))
  for _, part in ipairs { 0.2, 0.5, 1, 2, 5 } do
    if (high - low) / (step * part) <= 5 then
      step = step * part
      break
    end
  end
  local tics = {}
  for i = math.ceil(low / step), math.floor(high / step) do
    tics[#tics + 1] = format("'%.6g' %.8g", i * step, i * step)
  end
  return table.concat(tics, ", ")
end

--- Draws the rows of an evaluation side by side: a panel a figure, a dot a
--- player; a line stands where the recorded drums are.
---@param rows table[] as evaluate gives them
---@param out string path of the picture (PNG, SVG, PDF); its data lies beside it
---@param from? string[] paths of the files that they were read from, which stay
---@return boolean? ok
---@return string? message
function training.figures(rows, out, from)
  local shown, names, data = {}, { "name" }, {}
  for _, figure in ipairs(FIGURES) do
    local n = 0
    for _, row in ipairs(rows) do n = n + (tonumber(row[figure[1]]) and 1 or 0) end
    if n > 0 then
      shown[#shown + 1] = figure
      names[#names + 1] = figure[1]
    end
  end
  if #shown == 0 then return nil, "there are no figures to draw" end
  for i, row in ipairs(rows) do
    data[i] = { row.name }
    for k, figure in ipairs(shown) do data[i][k + 1] = tonumber(row[figure[1]]) end
  end
  local tsv, why = gnuplot.data_path(out, nil, from)
  if not tsv then return nil, why end
  local ok, message = gnuplot.write_tsv(tsv, names, data)
  if not ok then return nil, message end

  local lines, add = gnuplot.script()
  local across = math.min(4, #shown)
  local down = (#shown + across - 1) // across
  local panel = 54 + 22 * #rows
  local top = 118
  local height = top - 10 + down * panel
  local facts, labels, places, recorded_row = {}, {}, {}, nil
  for i, row in ipairs(rows) do
    labels[i] = ("%s %d"):format(gnuplot.label(tostring(row.name)), -i)
    places[i] = ("'' %d"):format(-i)
    if row.name == "recorded drums" then recorded_row = row end
  end
  local of = recorded_row or rows[1]
  if of.songs then facts[1] = ("%d songs"):format(of.songs) end
  if of.steps then facts[#facts + 1] = ("%d steps"):format(of.steps) end
  if recorded_row then facts[#facts + 1] = "dashed: the recorded drums" end
  gnuplot.head(add, height, "Players side by side", table.concat(facts, ", "), 0.02)
  add("set multiplot")
  for k, figure in ipairs(shown) do
    local key, title, factor = table.unpack(figure)
    local column, line = (k - 1) % across, (k - 1) // across
    local left = 0.165 + column * 0.825 / across
    local low, high, recorded = math.huge, -math.huge, nil
    add("$f%d << END", k)
    for i, row in ipairs(rows) do
      local value = tonumber(row[key])
      if value then
        value = value * (factor or 1)
        low, high = math.min(low, value), math.max(high, value)
        if row.name == "recorded drums" then recorded = value end
        add("%.8g %d %d", value, -i, gnuplot.SERIES[(i - 1) % #gnuplot.SERIES + 1])
      end
    end
    add("END")
    local room = high > low and (high - low) * 0.12 or math.max(math.abs(high) * 0.1, 0.1)
    add("set lmargin at screen %g\nset rmargin at screen %g", left,
      left + 0.825 / across - 0.025)
    gnuplot.place(add, height, top + line * panel, top + line * panel + 22 * #rows)
    add("set xrange [%.8g:%.8g]\nset yrange [%g:-0.4]", low - room, high + room, -#rows - 0.6)
    add("set title %s font 'sans,11.5' tc rgb '%s' offset 0,-0.6", gnuplot.label(title), INK)
    add("set ytics (%s) scale 0 noenhanced font 'sans,11' tc rgb '%s'",
      table.concat(column == 0 and labels or places, ", "), INK)
    add("set xtics (%s) scale 0 font 'sans,10' tc rgb '%s' offset 0,0.5",
      round_tics(low - room, high + room), GREY)
    add("unset arrow")
    if recorded then
      add("set arrow 1 from %.8g, graph 0 to %.8g, graph 1 nohead lw 1.4 dt 2 lc rgb '%s' back",
        recorded, recorded, GREY)
    end
    add("set grid ytics lc rgb '#e6e8eb' lt 1")
    add("plot $f%d using 1:2:3 with points pt 7 ps 1.6 lc rgb variable", k)
    if k == 1 then add("unset label") end  -- the head, once
  end
  add("unset multiplot")
  return gnuplot.draw(out, gnuplot.WIDTH, height, lines, tsv)
end

return training
