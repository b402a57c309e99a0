--- Pictures of training logs: the losses of one training, and those of several trainings.
local files = require "neuraldrummer.files"
local format = require "neuraldrummer.decimal".format
local gnuplot = require "neuraldrummer.plot.gnuplot"

local training = {}

local WIDTH <const>, HEIGHT <const> = 1200, gnuplot.HEIGHT
local LEFT <const>, RIGHT <const> = 0.085, 0.975  -- of the panels

-- Rows of a training log by the names of its columns. Values that are no finite numbers are
-- left out.
local function read_rows(path)
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

-- Adds to each row `at`, its place in epochs. Batches are evenly spaced by the number of
-- batches in the longest epoch, because the last epoch may be unfinished.
local function place_rows(rows)
  local batches = 0
  for _, row in ipairs(rows) do batches = math.max(batches, row.batch or 0) end
  for i, row in ipairs(rows) do
    if row.epoch and row.batch and batches > 0 then
      row.at = row.epoch - 1 + row.batch / batches
    else
      row.at = row.epoch or i
    end
  end
end

-- The running mean of points over a fiftieth of them.
local function smooth(points)
  local values, means = {}, {}
  local width = math.max(1, #points // 50)
  for i, point in ipairs(points) do values[i] = point[2] end
  for i, mean in ipairs(gnuplot.smooth(values, function() return width end)) do
    means[i] = { points[i][1], mean }
  end
  return means
end

-- The curves of a log, each a list of {epoch, value}: losses of batches, their running means,
-- validation losses and learning rates; and the range of epochs.
local function read_curves(path)
  local rows, message = read_rows(path)
  if not rows then return nil, message end
  place_rows(rows)
  local losses, valids, rates = {}, {}, {}
  for _, row in ipairs(rows) do
    if row.loss then losses[#losses + 1] = { row.at, row.loss } end
    local valid = row.valid_loss or row.valid
    if valid then valids[#valids + 1] = { row.at, valid } end
    if row.rate then rates[#rates + 1] = { row.at, row.rate } end
  end
  if #losses + #valids == 0 then return nil, path .. ": no losses in it" end
  local last = rows[#rows].at
  return { losses = losses, means = smooth(losses), valids = valids, rates = rates, last = last,
    first = rows[1].batch and 0 or math.min(rows[1].at, last - 1) }
end

-- The smallest or largest value of a curve.
local function extreme(points, choose, value)
  for _, point in ipairs(points) do value = choose(value, point[2]) end
  return value
end

local function add_rates(add, curves)
  add("$rates << END")
  for _, point in ipairs(curves.rates) do add("%.8g %.8g", point[1], point[2]) end
  add("END")
  add("unset label\nset key off\nset format x")
  add("set xlabel 'epoch' tc rgb '%s' offset 0,0.3", gnuplot.GREY)
  gnuplot.place(add, HEIGHT, 511, 630)
  add("set label 1 'learning rate' at graph 0.995,0.88 right front font 'sans,11.5' tc rgb '%s'",
    gnuplot.INK)
  local top = extreme(curves.rates, math.max, 0)
  add("set yrange [0:%.4g]\nset ytics ('0' 0, '%.2g' %.4g)\nunset grid",
    top > 0 and top * 1.08 or 1, top, top)
  add("plot $rates using 1:2 with filledcurves y1=0 fc rgb '#dfe3e8',"
    .. " $rates using 1:2 with lines lw 1.6 lc rgb '%s'", gnuplot.GREY)
end

--- Draws a training log: the loss of every batch and its running mean, the validation loss,
--- and below them the learning rate. The log is a TSV file; of its columns, epoch, batch,
--- loss, valid_loss (or valid) and rate are used, where they exist.
---@param log string path of the log
---@param out string path of the picture (PNG, SVG, PDF)
---@return boolean? ok
---@return string? message
function training.loss(log, out)
  local curves, message = read_curves(log)
  if not curves then return nil, message end
  local losses, means, valids = curves.losses, curves.means, curves.valids
  local shown, facts = {}, {}
  if #losses > 0 then
    shown[1] = { points = losses, style = "lines lw 1.2", colour = "#a9bddb",
      title = "each batch" }
    shown[2] = { points = means, style = "lines lw 2.4", colour = "#1f4679",
      title = "running mean" }
    facts[1] = format("%d batches, last %.4f", #losses, means[#means][2])
  end
  if #valids > 0 then
    shown[#shown + 1] = { points = valids, style = "linespoints lw 2.4 pt 7 ps 1.1",
      colour = "#b4600f", title = "validation" }
    facts[#facts + 1] = format("best validation loss %.4f", extreme(valids, math.min, math.huge))
  else
    facts[#facts + 1] = "no validation"
  end

  local lines, add = gnuplot.script()
  local has_rates = #curves.rates > 1
  add("set lmargin at screen %g\nset rmargin at screen %g", LEFT, RIGHT)
  add("set multiplot")
  gnuplot.head(add, HEIGHT, "Loss (nats)", table.concat(facts, ", "), LEFT)
  gnuplot.lines(add, HEIGHT, { curves = shown, top = 98, bottom = has_rates and 483 or 630,
    first = curves.first, last = curves.last, no_xlabel = has_rates,
    key = "at screen 0.975,0.95 right top horizontal" })
  if has_rates then add_rates(add, curves) end
  add("unset multiplot")
  return gnuplot.draw(out, WIDTH, HEIGHT, lines, log)
end

-- Names for the curves of a comparison: those of the logs, with their folders where two logs
-- have the same name.
local function name_logs(paths)
  local names, counts = {}, {}
  for i, path in ipairs(paths) do
    names[i] = files.name(path):gsub("%.tsv$", "")
    counts[names[i]] = (counts[names[i]] or 0) + 1
  end
  for i, path in ipairs(paths) do
    if counts[names[i]] > 1 then names[i] = path:gsub("%.tsv$", "") end
  end
  return names
end

-- The title of a comparison where `n` of `total` logs have validation losses.
local function title_of(n, total)
  if n == total then return "Loss on the validation songs (nats)" end
  if n == 0 then return "Loss on the training songs, running mean (nats)" end
  return "Loss on the validation songs, or on the training songs where marked (nats)"
end

--- Draws several training logs in one picture: the validation loss of each or, for a log
--- without validation, the running mean of its training loss.
---@param logs string[] paths
---@param out string path of the picture (PNG, SVG, PDF); its data is written beside it
---@return boolean? ok
---@return string? message
function training.compare(logs, out)
  local names, shown, rows, best, last, validated = name_logs(logs), {}, {}, {}, 0, 0
  for i, path in ipairs(logs) do
    local curves, message = read_curves(path)
    if not curves then return nil, message end
    local is_valid = #curves.valids > 0
    local points = is_valid and curves.valids or curves.means
    if is_valid then validated = validated + 1 end
    for _, point in ipairs(points) do rows[#rows + 1] = { names[i], point[1], point[2] } end
    best[i] = format("%s %.4f", names[i], extreme(points, math.min, math.huge))
    last = math.max(last, points[#points][1])
    shown[i] = { points = points, title = names[i], is_valid = is_valid }
    shown[i].style, shown[i].colour = gnuplot.series(i)
  end
  if validated > 0 then
    for _, curve in ipairs(shown) do
      if not curve.is_valid then curve.title = curve.title .. " (training)" end
    end
  end
  local tsv, why = gnuplot.data_path(out, nil, logs)
  if not tsv then return nil, why end
  local ok, message = gnuplot.write_tsv(tsv, { "model", "epoch", "loss" }, rows)
  if not ok then return nil, message end

  local lines, add = gnuplot.script()
  add("set lmargin at screen %g\nset rmargin at screen %g", LEFT, RIGHT)
  gnuplot.head(add, HEIGHT, title_of(validated, #logs), "best: " .. table.concat(best, ", "), LEFT)
  gnuplot.lines(add, HEIGHT, { curves = shown, top = 98, bottom = 630, first = 0, last = last,
    key = "inside right top" })
  return gnuplot.draw(out, WIDTH, HEIGHT, lines, tsv)
end

return training
