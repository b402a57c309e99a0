--- A picture of evaluations: the figures of several players in one panel per figure.
local columns = require "neuraldrummer.evaluate.figures".COLUMNS
local format = require "neuraldrummer.decimal".format
local gnuplot = require "neuraldrummer.plot.gnuplot"

local INK <const>, GREY <const> = gnuplot.INK, gnuplot.GREY
local TOP <const> = 118    -- of the first panel, in pixels
local ROW <const> = 22     -- height of a player's row
local LEFT <const>, ACROSS <const> = 0.165, 0.825  -- the panels, of the width

-- Tics at round numbers between two, at most six, as gnuplot writes them.
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

-- The columns that are drawn and that at least one row has.
local function columns_of(rows)
  local shown = {}
  for _, column in ipairs(columns) do
    local found = false
    for _, row in ipairs(rows) do found = found or tonumber(row[column.key]) ~= nil end
    if found and column.label then shown[#shown + 1] = column end
  end
  return shown
end

-- Writes the values that are drawn as a TSV file.
local function write_values(tsv, rows, shown)
  local names, data = { "name" }, {}
  for k, column in ipairs(shown) do names[k + 1] = column.key end
  for i, row in ipairs(rows) do
    data[i] = { row.name }
    for k, column in ipairs(shown) do data[i][k + 1] = tonumber(row[column.key]) end
  end
  return gnuplot.write_tsv(tsv, names, data)
end

-- What all panels share: the row of the recorded drums, if any, and the names of the players
-- as tics, with and without text.
local function prepare(rows)
  local labels, blanks, recorded = {}, {}, nil
  for i, row in ipairs(rows) do
    labels[i] = ("%s %d"):format(gnuplot.label(tostring(row.name)), -i)
    blanks[i] = ("'' %d"):format(-i)
    if row.name == "recorded drums" then recorded = row end
  end
  return recorded, table.concat(labels, ", "), table.concat(blanks, ", ")
end

-- The data of a panel, $figure<k>: value, row and colour. Its range, with a margin.
local function add_values(add, k, rows, column)
  local low, high = math.huge, -math.huge
  add("$figure%d << END", k)
  for i, row in ipairs(rows) do
    local value = tonumber(row[column.key])
    if value then
      value = value * (column.factor or 1)
      low, high = math.min(low, value), math.max(high, value)
      add("%.8g %d %d", value, -i, gnuplot.SERIES[(i - 1) % #gnuplot.SERIES + 1])
    end
  end
  add("END")
  local margin = high > low and (high - low) * 0.12 or math.max(math.abs(high) * 0.1, 0.1)
  return low - margin, high + margin
end

-- One panel: a dot per player, and a dashed line at the value of the recorded drums.
local function add_panel(add, k, rows, column, recorded, names)
  local low, high = add_values(add, k, rows, column)
  add("set xrange [%.8g:%.8g]\nset yrange [%g:-0.4]", low, high, -#rows - 0.6)
  add("set title %s font 'sans,11.5' tc rgb '%s' offset 0,-0.6", gnuplot.label(column.label), INK)
  add("set ytics (%s) scale 0 noenhanced font 'sans,11' tc rgb '%s'", names, INK)
  add("set xtics (%s) scale 0 font 'sans,10' tc rgb '%s' offset 0,0.5", round_tics(low, high),
    GREY)
  add("unset arrow")
  local value = recorded and tonumber(recorded[column.key])
  if value then
    value = value * (column.factor or 1)
    add("set arrow 1 from %.8g, graph 0 to %.8g, graph 1 nohead lw 1.4 dt 2 lc rgb '%s' back",
      value, value, GREY)
  end
  add("set grid ytics lc rgb '%s' lt 1", gnuplot.GRID)
  add("plot $figure%d using 1:2:3 with points pt 7 ps 1.6 lc rgb variable", k)
end

-- The line below the title.
local function describe(row, recorded)
  local facts = {}
  if row.songs then facts[1] = ("%d songs"):format(row.songs) end
  if row.steps then facts[#facts + 1] = ("%d steps"):format(row.steps) end
  if recorded then facts[#facts + 1] = "dashed: the recorded drums" end
  return table.concat(facts, ", ")
end

--- Draws the rows of evaluations: a panel per figure with a dot per player, and a dashed line
--- at the value of the recorded drums.
---@param rows neuraldrummer.evaluate_row[]
---@param out string path of the picture (PNG, SVG, PDF); its data is written beside it
---@param from? string[] paths of the files that the rows were read from; they are never
--- overwritten
---@return boolean? ok
---@return string? message
return function(rows, out, from)
  local shown = columns_of(rows)
  if #shown == 0 then return nil, "there are no figures to draw" end
  local tsv, why = gnuplot.data_path(out, nil, from)
  if not tsv then return nil, why end
  local ok, message = write_values(tsv, rows, shown)
  if not ok then return nil, message end

  local lines, add = gnuplot.script()
  local across = math.min(4, #shown)
  local down = (#shown + across - 1) // across
  local panel = 54 + ROW * #rows
  local height = TOP - 10 + down * panel
  local recorded, labels, blanks = prepare(rows)
  gnuplot.head(add, height, "Evaluation", describe(recorded or rows[1], recorded), 0.02)
  add("set multiplot")
  for k, column in ipairs(shown) do
    local x, y = (k - 1) % across, (k - 1) // across
    local left = LEFT + x * ACROSS / across
    add("set lmargin at screen %g\nset rmargin at screen %g", left, left + ACROSS / across - 0.025)
    gnuplot.place(add, height, TOP + y * panel, TOP + y * panel + ROW * #rows)
    add_panel(add, k, rows, column, recorded, x == 0 and labels or blanks)
    if k == 1 then add("unset label") end  -- the head is drawn once
  end
  add("unset multiplot")
  return gnuplot.draw(out, gnuplot.WIDTH, height, lines, tsv)
end
