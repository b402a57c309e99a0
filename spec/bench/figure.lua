--- A picture of panels side by side, each with curves and the limits of these.
local gnuplot = require "neuraldrummer.plot.gnuplot"

local HEIGHT <const>, TOP <const>, FOOT <const> = 640, 150, 560
-- Shapes of points: curves are told apart without their colours as well.
local SHAPES <const> = { 7, 5, 9, 13, 11, 7 }

---@class bench.curve
---@field name? string nil: not in the key
---@field points number[][] x, y; nothing is drawn when there are none
---@field colour integer of gnuplot.SERIES, from 1
---@field limit? boolean drawn as one: dashed, without points
---@field dots? boolean points alone

---@class bench.panel
---@field title string
---@field x string what lies along it, with its unit
---@field y string
---@field curves bench.curve[]
---@field log? string the axes that are logarithmic: "xy", "x" or "y"; default "xy"
---@field xtics? number[] where the marks stand
---@field xlow? number
---@field xhigh? number
---@field ylow? number

-- 200, 1024, 50k, 2M
local function short(value)
  if value < 1e4 then return ("%g"):format(value) end
  for _, unit in ipairs { { 1e6, "M" }, { 1e3, "k" } } do
    if value >= unit[1] then return ("%g%s"):format(value / unit[1], unit[2]) end
  end
  return ("%g"):format(value)
end

-- Marks of a logarithmic axis at 1, 2 and 5 of each power of ten, when it spans few.
local function marks(low, high)
  local steps, list = high / low > 300 and { 1 } or { 1, 2, 5 }, {}
  for power = math.floor(math.log(low, 10)), math.ceil(math.log(high, 10)) do
    for _, step in ipairs(steps) do
      local at = step * 10.0 ^ power
      if at >= low / 1.001 and at <= high * 1.001 then list[#list + 1] = at end
    end
  end
  return list
end

local function tics(axis, list)
  local words = {}
  for i, at in ipairs(list) do words[i] = ("'%s' %.8g"):format(short(at), at) end
  return ("set %stics (%s) scale 0 font 'sans,11' tc rgb '%s'%s"):format(axis,
    table.concat(words, ", "), gnuplot.INK, axis == "x" and " offset 0,0.3" or " offset 0.4,0")
end

local function range(panel, column)
  local low, high = math.huge, -math.huge
  for _, curve in ipairs(panel.curves) do
    for _, point in ipairs(curve.points) do
      if point[column] > 0 then
        low, high = math.min(low, point[column]), math.max(high, point[column])
      end
    end
  end
  if low > high then return 1, 10 end
  return low, high
end

local function add_panel(add, index, panel, left, right)
  local log = panel.log or "xy"
  for k, curve in ipairs(panel.curves) do
    add("$p%d_%d << END", index, k)
    for _, point in ipairs(curve.points) do add("%.8g %.8g", point[1], point[2]) end
    add("END")
  end
  add("set lmargin at screen %g\nset rmargin at screen %g", left, right)
  gnuplot.place(add, HEIGHT, TOP, FOOT)
  add("unset logscale\nset autoscale")
  if log ~= "" then add("set logscale %s", log) end
  local x_low, x_high = range(panel, 1)
  local y_low, y_high = range(panel, 2)
  if log:find "x" then
    add("set xrange [%.8g:%.8g]", panel.xlow or x_low / 1.15, panel.xhigh or x_high * 1.15)
  else
    add("set xrange [%.8g:%.8g]", panel.xlow or 0, panel.xhigh or x_high * 1.05)
  end
  if log:find "y" then
    y_low, y_high = panel.ylow or y_low / 1.3, y_high * 1.3
    add("set yrange [%.8g:%.8g]", y_low, y_high)
    add(tics("y", marks(y_low, y_high)))
  else
    add("set yrange [%.8g:%.8g]", panel.ylow or 0, y_high * 1.08)
    add("set ytics autofreq scale 0 font 'sans,11' tc rgb '%s' offset 0.4,0", gnuplot.INK)
    add "set format y '%.0s%c'"
  end
  add(tics("x", panel.xtics or marks(panel.xlow or x_low, panel.xhigh or x_high)))
  add("set grid xtics ytics lc rgb '#e6e8eb' lt 1 lw 1")
  add("set label 3 %s at graph 0,1.06 left noenhanced font 'sans Bold,13' tc rgb '%s'",
    gnuplot.label(panel.title), gnuplot.INK)
  add("set xlabel %s noenhanced font 'sans,12' tc rgb '%s' offset 0,0.1", gnuplot.label(panel.x),
    gnuplot.INK)
  add("set ylabel %s noenhanced font 'sans,12' tc rgb '%s' offset -0.6,0", gnuplot.label(panel.y),
    gnuplot.INK)
  local drawn = {}
  for k, curve in ipairs(panel.curves) do
    if #curve.points > 0 then
      local look = curve.limit and "lines dt (12,7) lw 1.8"
        or curve.dots and ("points pt %d ps 0.8"):format(SHAPES[curve.colour])
        or ("linespoints lw 2.4 pt %d ps 1.3"):format(SHAPES[curve.colour])
      drawn[#drawn + 1] = ("$p%d_%d using 1:2 with %s lc rgb '%s' %s"):format(index, k, look,
        gnuplot.colour(gnuplot.SERIES[curve.colour]),
        curve.name and "title " .. gnuplot.label(curve.name) or "notitle")
    end
  end
  add("plot %s", table.concat(drawn, ", "))
  add("unset label")
end

---@class bench.figure
---@field title string
---@field facts string
---@field panels bench.panel[]
---@field key? string where each panel's key stands: gnuplot's words

--- Draws `out`.
---@param out string
---@param figure bench.figure
---@param tsv string where its numbers are
---@return boolean? ok
---@return string? message
return function(out, figure, tsv)
  local lines, add = gnuplot.script()
  local n = #figure.panels
  local wide = (gnuplot.RIGHT - gnuplot.LEFT + 0.065) / n
  add("set multiplot")
  gnuplot.head(add, HEIGHT, figure.title, figure.facts)
  for i, panel in ipairs(figure.panels) do
    local left = gnuplot.LEFT + (i - 1) * wide
    add("set key %s reverse Left noenhanced samplen 2.6 spacing 1.15 font 'sans,11.5' tc rgb '%s'",
      panel.key or "inside left bottom", gnuplot.INK)
    add_panel(add, i, panel, left, left + wide - 0.065)
  end
  add("unset multiplot")
  return gnuplot.draw(out, gnuplot.WIDTH, HEIGHT, lines, tsv)
end
