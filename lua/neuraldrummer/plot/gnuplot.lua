--- What all pictures share: gnuplot and its scripts, colours, panels of curves, the drum
--- roll, and the TSV file with a picture's numbers. A script is a list of lines; the
--- functions here append to it by `add`, which `script` returns. Heights and places from
--- the top are in pixels, widths and places from the left are fractions of the width.
local files = require "neuraldrummer.files"
local log = require "neuraldrummer.train.log"
local decimal = require "neuraldrummer.decimal"
local shell = require "neuraldrummer.shell"

local gnuplot = {}

-- Pixels of a PNG. SVG and PDF have the same proportions, at 96 pixels per inch.
gnuplot.WIDTH, gnuplot.HEIGHT = 1600, 700
gnuplot.LEFT, gnuplot.RIGHT = 0.075, 0.985   -- sides of the axes
gnuplot.INK, gnuplot.GREY, gnuplot.PALE = "#2b2f36", "#8a9099", "#f5f6f8"
gnuplot.GRID = "#e6e8eb"
-- Colours of soft and of hard hits: drums are blue, hats and cymbals amber. These and the
-- other pairs of colours here stay distinct with red-green colour blindness and in greyscale.
gnuplot.SKIN = { { 0xbd, 0xcd, 0xe2 }, { 0x12, 0x31, 0x5c } }
gnuplot.METAL = { { 0xf1, 0xd9, 0xae }, { 0x9a, 0x4f, 0x0d } }
gnuplot.FOR, gnuplot.AGAINST = 0x1f4679, 0xd9730d
gnuplot.SONG = 0x2a7567
-- For curves and rows side by side: the palette of Okabe and Ito.
gnuplot.SERIES = { 0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9, 0x2b2f36, 0x8a9099 }
-- Shapes of points, so that curves can be told apart without colour.
local POINTS <const> = { 7, 5, 9, 13, 6, 4, 8, 12 }

--- Quotes a string for gnuplot. All but the plainest characters are written as octal
--- escapes, because gnuplot expands commands (`…`) and macros (@name) even within quotes.
--- Digits after an escape are escaped too, or they would be read as part of it.
---@param text string
---@return string
function gnuplot.quote(text)
  local function octal(c) return ("\\%03o"):format(c:byte()) end
  return '"' .. text:gsub("([^%w ,./_-]+)(%d*)", function(odd, digits)
    return (odd .. digits):gsub(".", octal)
  end) .. '"'
end

--- Quotes a label as one line of valid UTF-8.
---@param text string
---@return string
function gnuplot.label(text)
  text = text:gsub("[%c]+", " ")
  if not utf8.len(text) then text = text:gsub("[\x80-\xff]+", "?") end
  return gnuplot.quote(text)
end

--- A colour as gnuplot writes it.
---@param rgb integer
---@return string
function gnuplot.colour(rgb) return ("#%06x"):format(rgb) end

--- Interpolates between two colours.
---@param from integer[]
---@param to integer[]
---@param fraction number 0 gives `from`, 1 gives `to`
---@return integer rgb
function gnuplot.blend(from, to, fraction)
  local rgb = 0
  fraction = math.min(1, math.max(0, fraction))
  for i = 1, 3 do rgb = rgb << 8 | math.floor(from[i] + (to[i] - from[i]) * fraction + 0.5) end
  return rgb
end

--- A new script, and a function that appends formatted lines to it.
---@return string[] lines
---@return fun(format: string, ...) add
function gnuplot.script()
  local lines = {}
  return lines, function(format, ...)
    lines[#lines + 1] = select("#", ...) > 0 and decimal.format(format, ...) or format
  end
end

--- The path of the TSV file with a picture's numbers. Refuses a path where a file would
--- be overwritten that the picture is drawn from, or a training log.
---@param out? string path of the picture
---@param tsv? string path that the user chose; default: the picture's name with .tsv
---@param from? string[] paths of the files that the picture is drawn from
---@return string? tsv
---@return string? message
function gnuplot.data_path(out, tsv, from)
  tsv = tsv or files.ending(out, ".tsv")
  for _, path in ipairs(from or {}) do
    if out and files.same(out, path) then
      return nil, ("%s: would overwrite the file that it is drawn from"):format(out)
    end
    if files.same(tsv, path) then
      return nil, ("%s: its data would overwrite %s"):format(out or tsv, path)
    end
  end
  if log.is_log(tsv) and not (out and files.same(out, tsv)) then
    return nil, ("%s: its data would overwrite %s, a training log"):format(out or tsv, tsv)
  end
  return tsv
end

--- Writes rows as tab-separated values, with floats to six digits.
---@param path string
---@param names string[] of the columns
---@param rows any[][]|fun(): any[]? rows, or an iterator over them
---@return boolean? ok
---@return string? message
function gnuplot.write_tsv(path, names, rows)
  local opened, message = files.create(path)
  if not opened then return nil, message end
  local writer <close> = opened
  writer:write(table.concat(names, "\t"), "\n")
  local i = 0
  local next_row = type(rows) == "function" and rows or function()
    i = i + 1
    return rows[i]
  end
  for row in next_row do
    local cells = {}
    for k = 1, #names do
      local value = row[k]
      cells[k] = math.type(value) == "float" and decimal.format("%.6g", value)
        or value ~= nil and tostring(value):gsub("[%c]+", " ") or ""
    end
    writer:write(table.concat(cells, "\t"), "\n")
  end
  return writer:finish()
end

local TERMINALS <const> = {
  png = "pngcairo size %d,%d font 'sans,12' background '#ffffff'",
  svg = "svg size %d,%d font 'sans,12' fontscale 1.333 background '#ffffff'",
  pdf = "pdfcairo size %d/96.0 in,%d/96.0 in font 'sans,12' fontscale 0.75 linewidth 1.5"
    .. " background '#ffffff'",
}

-- The terminal for a picture, by its name.
local function terminal_of(path)
  local ending = (path:match "%.([^./]+)$" or ""):lower()
  return TERMINALS[ending], ending
end

--- Whether a path names a picture in a supported format.
---@param path string
---@return boolean? ok
---@return string? message
function gnuplot.is_picture(path)
  if terminal_of(path) then return true end
  return nil, ("%s: a picture's name must end in .png, .svg or .pdf"):format(path)
end

local function installed() return os.execute "command -v gnuplot >/dev/null 2>&1" end

-- How a complete picture ends. gnuplot does not report a failed write.
local ENDINGS <const> = {
  png = "IEND\xAEB`\x82$", svg = "</svg>%s*$", pdf = "%%%%EOF%s*$",
}

-- Replaces the creation date of a PDF, so that the same picture has the same bytes. The
-- length must not change, because the file holds byte offsets.
local function undated(bytes)
  return (bytes:gsub("(/CreationDate %(D:)" .. ("%d"):rep(14), "%119700101000000", 1))
end

-- Why gnuplot failed, from its output on stderr.
local function error_of(path)
  local text = files.read(path) or ""
  return "gnuplot: " .. (text:match "line %d+: ([^\n]+)" or text:match "([^\n]+)%s*$" or "failed")
end

-- Writes the script beside the picture, for a machine with gnuplot: nil and a message.
local function save_script(path, script, data)
  local saved = files.ending(path, ".gp")
  local ok, message = files.write(saved, script)
  if not ok then return nil, message end
  return nil, ("gnuplot is not installed (Debian: gnuplot-nox); %s%s has the script; draw it with: "
    .. "gnuplot -d %s >%s"):format(data and data .. " has the numbers, " or "", saved, saved, path)
end

-- Names of temporary files, removed when the variable is closed. Nil and a message where none
-- can be made.
local function temporary_files(n)
  local names = setmetatable({}, { __close = function(list)
    for _, name in ipairs(list) do os.remove(name) end
  end })
  for i = 1, n do
    local made, name = pcall(os.tmpname)  -- it raises where there is no temporary folder
    if not made then
      getmetatable(names).__close(names)
      return nil, name
    end
    names[i] = name
  end
  return names
end

--- Draws a picture by running a script in gnuplot. Where gnuplot is not installed, it
--- writes the script beside the picture instead and returns nil and a message about it.
---@param path string of the picture: a PNG, SVG or PDF by its name
---@param width integer pixels
---@param height integer pixels
---@param lines string[]
---@param data? string path of the TSV file with its numbers
---@return boolean? ok
---@return string? message
function gnuplot.draw(path, width, height, lines, data)
  local terminal, ending = terminal_of(path)
  if not terminal then return gnuplot.is_picture(path) end
  if data and files.same(path, data) then
    return nil, ("%s: would overwrite the file that it is drawn from"):format(path)
  end
  local script = ([[
set terminal %s
set encoding utf8
set border 0
set key off
set style fill solid 1 noborder
%s
]]):format(terminal:format(width, height), table.concat(lines, "\n"))
  if not installed() then return save_script(path, script, data) end
  local opened, message = files.create(path)
  if not opened then return nil, message end
  local picture <close> = opened
  -- Not through a pipe: if gnuplot stopped reading, SIGPIPE would end this process. The
  -- picture comes from gnuplot's stdout, because gnuplot expands commands and page numbers
  -- in the name of an output file.
  local names <close>, why = temporary_files(3)
  if not names then return nil, ("%s: %s"):format(path, why) end
  local source, drawn, errors = table.unpack(names)
  local ok
  ok, why = files.write(source, script)
  if not ok then return nil, ("%s: %s"):format(path, why) end
  -- -d: ignore the user's start-up file
  if not os.execute(("TZ=UTC0 gnuplot -d %s >%s 2>%s"):format(shell.quote(source),
    shell.quote(drawn), shell.quote(errors))) then
    return nil, ("%s: %s"):format(path, error_of(errors))
  end
  local bytes = files.read(drawn)
  if not bytes or not bytes:find(ENDINGS[ending], -16) then
    return nil, path .. ": gnuplot could not write the whole picture"
  end
  picture:write(ending == "pdf" and undated(bytes) or bytes)
  return picture:finish()
end

--- Adds the head of a picture: its title, and a line of facts below.
---@param add fun(format: string, ...)
---@param height integer of the picture
---@param title string
---@param facts string
---@param left? number
function gnuplot.head(add, height, title, facts, left)
  left = left or gnuplot.LEFT
  add("set label 1 %s at screen %g,%g left noenhanced font 'sans Bold,17' tc rgb '%s'",
    gnuplot.label(title), left, 1 - 32 / height, gnuplot.INK)
  add("set label 2 %s at screen %g,%g left noenhanced font 'sans,11.5' tc rgb '%s'",
    gnuplot.label(facts), left, 1 - 66 / height, gnuplot.GREY)
end

--- Places the next panel vertically.
---@param add fun(format: string, ...)
---@param height integer
---@param top number
---@param bottom number
function gnuplot.place(add, height, top, bottom)
  add("set tmargin at screen %g\nset bmargin at screen %g", 1 - top / height, 1 - bottom / height)
end

---@class neuraldrummer.plot_curve
---@field points number[][] {x, y} each
---@field style string how gnuplot draws it: "lines lw 2"
---@field colour string
---@field title string

--- Adds a panel of curves over epochs, with grid, axes and key.
---@param add fun(format: string, ...)
---@param height integer of the picture
---@param panel {curves: neuraldrummer.plot_curve[], top: number, bottom: number, first: number,
--- last: number, key: string, no_xlabel: boolean?} first, last: range of x; key: its place
function gnuplot.lines(add, height, panel)
  local parts = {}
  for i, curve in ipairs(panel.curves) do
    add("$curve%d << END", i)
    for _, point in ipairs(curve.points) do add("%.8g %.8g", point[1], point[2]) end
    add("END")
    parts[i] = ("$curve%d using 1:2 with %s lc rgb '%s' title %s"):format(i, curve.style,
      curve.colour, gnuplot.label(curve.title))
  end
  gnuplot.place(add, height, panel.top, panel.bottom)
  add("set xrange [%.8g:%.8g]", panel.first, panel.last)
  add("set grid ytics lc rgb '%s' lt 1", gnuplot.GRID)
  add("set ytics scale 0 font 'sans,11' tc rgb '%s'", gnuplot.GREY)
  add("set xtics scale 0 font 'sans,11' tc rgb '%s'", gnuplot.GREY)
  if panel.no_xlabel then
    add("set format x ''")
  else
    add("set xlabel 'epoch' tc rgb '%s'", gnuplot.GREY)
  end
  add("set key %s noenhanced samplen 2 font 'sans,12' tc rgb '%s'", panel.key, gnuplot.INK)
  add("plot %s", table.concat(parts, ", "))
end

--- The style and colour of the i-th of several curves.
---@param i integer
---@return string style
---@return string colour
function gnuplot.series(i)
  return ("linespoints lw 2.4 pt %d ps 1.1"):format(POINTS[(i - 1) % #POINTS + 1]),
    gnuplot.colour(gnuplot.SERIES[(i - 1) % #gnuplot.SERIES + 1])
end

--- Centred moving mean. A window of even width counts its two end values half, so that
--- every beat of a bar has the same weight.
---@param values number[]
---@param width fun(i: integer): integer width of the window around the i-th value
---@return number[]
function gnuplot.smooth(values, width)
  local n, sums = #values, { [0] = 0 }
  for i = 1, n do sums[i] = sums[i - 1] + values[i] end
  local function mean(from, to)
    from, to = math.max(1, from), math.min(n, to)
    return (sums[to] - sums[from - 1]) / (to - from + 1)
  end
  local out = {}
  for i = 1, n do
    local half = width(i) // 2
    if width(i) % 2 == 1 then
      out[i] = mean(i - half, i + half)
    else
      out[i] = (mean(i - half, i + half - 1) + mean(i - half + 1, i + half)) / 2
    end
  end
  return out
end

---------------------------------------------------------------- the drum roll

--- Whether a voice is a hat or a cymbal.
---@param voice string
---@return boolean
function gnuplot.is_metal(voice)
  voice = voice:lower()
  for _, word in ipairs { "hat", "crash", "ride", "cymbal", "bell", "splash", "china", "tamb" } do
    if voice:find(word, 1, true) then return true end
  end
  return false
end

--- The colour of a hit by its voice and velocity.
---@param voice string
---@param velocity number 1 to 127
---@return integer rgb
function gnuplot.hit_colour(voice, velocity)
  local ramp = gnuplot.is_metal(voice) and gnuplot.METAL or gnuplot.SKIN
  return gnuplot.blend(ramp[1], ramp[2], (velocity - 20) / 100)
end

--- Number of bars between labels, so that at most 24 are drawn.
---@param n integer bars
---@return integer
function gnuplot.bar_stride(n)
  for _, stride in ipairs { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024 } do
    if n / stride <= 24 then return stride end
  end
  return n // 20
end

--- Adds the drum roll's data, $bars and $hits. Steps are counted from 0, from the start
--- of `seq`.
---@param add fun(format: string, ...)
---@param seq neuraldrummer.sequence
---@param paint? fun(step: integer, voice: integer, velocity: integer): integer colour of a hit
---@param n_bars? integer number of bars shown, if not all
---@param n_steps? number number of steps shown, if not all
---@return integer drawn number of hits
function gnuplot.add_roll(add, seq, paint, n_bars, n_steps)
  local voices, bars, hits, n = seq:voices(), seq:bars(), seq:packed_hits(), #seq
  local rows = #voices
  local stride = gnuplot.bar_stride(n_bars or #bars)
  paint = paint or function(_, voice, velocity)
    return gnuplot.hit_colour(voices[voice], velocity)
  end
  -- bar lines, darker where labelled, as vectors: x, y, dx, dy, colour
  add("$bars << END")
  for i, bar in ipairs(bars) do
    local labelled = (i - 1) % stride == 0
    if labelled or (n_bars or #bars) <= 200 or (i - 1) % (stride // 4) == 0 then
      add("%d 0.5 0 %d %d", bar.first - 1, rows, labelled and 0xb9bec6 or 0xe6e8eb)
    end
  end
  add("%d 0.5 0 %d %d\nEND", n, rows, 0xb9bec6)

  -- in a long song a hit is at least 2.4 pixels wide, however narrow its step is
  local min_width = 2.4 * (n_steps or n) / (gnuplot.WIDTH * (gnuplot.RIGHT - gnuplot.LEFT))
  local width = math.max(0.86, min_width)
  add("$hits << END")
  local drawn, at = 0, hits:find "[^\0]"
  while at do
    local step, voice = (at - 1) // rows, (at - 1) % rows + 1
    add("%.2f %d %.2f %.2f %.2f %.2f %d", step, voice, step, step + width, voice - 0.38,
      voice + 0.38, paint(step, voice, hits:byte(at)))
    drawn = drawn + 1
    at = hits:find("[^\0]", at + 1)
  end
  -- a point outside the picture, because gnuplot fails on an empty plot
  add("%d 0 %d %d 0 0 %d\nEND", -n, -n, -n, 0xffffff)
  return drawn
end

--- Adds the drum roll's panel.
---@param add fun(format: string, ...)
---@param seq neuraldrummer.sequence
---@param n_bars? integer number of bars shown, if not all
---@param below? string a plot element to draw under the hits
function gnuplot.add_roll_panel(add, seq, n_bars, below)
  local voices, bars = seq:voices(), seq:bars()
  local rows, stride, marks, names = #voices, gnuplot.bar_stride(n_bars or #bars), {}, {}
  for i, bar in ipairs(bars) do
    if (i - 1) % stride == 0 then marks[#marks + 1] = ("'%d' %d"):format(i, bar.first - 1) end
  end
  for i, name in ipairs(voices) do
    names[i] = ("%s %d"):format(gnuplot.label((name:gsub("_", " "))), i)
  end
  add("set yrange [0.5:%g]", rows + 0.5)
  add("set ytics (%s) scale 0 noenhanced font 'sans,12' tc rgb '%s' offset 0.4,0",
    table.concat(names, ", "), gnuplot.INK)
  add("set xtics (%s) scale 0 font 'sans,11' tc rgb '%s' offset 0,0.3",
    table.concat(marks, ", "), gnuplot.GREY)
  add("set xlabel 'bar' font 'sans,11.5' tc rgb '%s' offset 0,0.4", gnuplot.GREY)
  for row = 1, rows, 2 do
    add("set object %d rectangle from graph 0, first %g to graph 1, first %g"
      .. " fc rgb '%s' fs solid noborder behind", row, row - 0.5, row + 0.5, gnuplot.PALE)
  end
  add("plot %s$bars using 1:2:3:4:5 with vectors nohead lw 1 lc rgb variable,"
    .. " $hits using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable", below and below .. ", " or "")
end

return gnuplot
