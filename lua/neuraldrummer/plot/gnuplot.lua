--- What all pictures share: gnuplot, its scripts, colours, the drum roll, and
--- the numbers beside a picture as tab-separated values.
local files = require "neuraldrummer.files"
local log = require "neuraldrummer.train.log"
local decimal = require "neuraldrummer.decimal"
local shell = require "neuraldrummer.shell"

local gnuplot = {}

-- Pixels of a PNG; SVG and PDF have the same proportions, 96 of these an inch.
gnuplot.WIDTH, gnuplot.HEIGHT = 1600, 700
gnuplot.LEFT, gnuplot.RIGHT = 0.075, 0.985   -- of the width: where the axes lie
gnuplot.INK, gnuplot.GREY, gnuplot.PALE = "#2b2f36", "#8a9099", "#f5f6f8"
-- Soft and hard strokes: skins in blue, metal in amber. These, and all pairs of
-- colours below, differ to eyes that cannot tell red from green, and in print.
gnuplot.SKIN = { { 0xbd, 0xcd, 0xe2 }, { 0x12, 0x31, 0x5c } }
gnuplot.METAL = { { 0xf1, 0xd9, 0xae }, { 0x9a, 0x4f, 0x0d } }
gnuplot.FOR, gnuplot.AGAINST = 0x1f4679, 0xd9730d
gnuplot.SONG = 0x2a7567
-- Okabe and Ito's, for curves and rows side by side.
gnuplot.SERIES = { 0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7, 0xe69f00, 0x56b4e9, 0x2b2f36, 0x8a9099 }

--- A string for gnuplot, all but the plainest characters by their numbers: it
--- would look for commands (`…`) and macros (@name) within quotes as well.
--- A digit behind a number would be read as part of it.
---@param text string
---@return string
function gnuplot.quote(text)
  local function numbered(c) return ("\\%03o"):format(c:byte()) end
  return '"' .. text:gsub("([^%w ,./_-]+)(%d*)", function(odd, digits)
    return (odd .. digits):gsub(".", numbered)
  end) .. '"'
end

--- A label: one line of valid UTF-8.
---@param text string
---@return string
function gnuplot.label(text)
  text = text:gsub("[%c]+", " ")
  if not utf8.len(text) then text = text:gsub("[\x80-\xff]+", "?") end
  return gnuplot.quote(text)
end

---@param rgb integer
---@return string
function gnuplot.colour(rgb) return ("#%06x"):format(rgb) end

--- Between two colours, `share` (0..1) of the way.
---@param from integer[]
---@param to integer[]
---@param share number
---@return integer rgb
function gnuplot.blend(from, to, share)
  local rgb = 0
  share = math.min(1, math.max(0, share))
  for i = 1, 3 do rgb = rgb << 8 | math.floor(from[i] + (to[i] - from[i]) * share + 0.5) end
  return rgb
end

--- A script, and a function that appends formatted lines to it.
---@return string[] lines
---@return fun(format: string, ...) add
function gnuplot.script()
  local lines = {}
  return lines, function(format, ...)
    lines[#lines + 1] = select("#", ...) > 0 and decimal.format(format, ...) or format
  end
end

--- Where the numbers of a picture go: beside it, unless `tsv` says where. Nil and
--- why, where a file would be lost: one that it is drawn from, or a training's log.
---@param out? string path of the picture
---@param tsv? string
---@param from? string[] paths of what it is drawn from
---@return string? tsv
---@return string? message
function gnuplot.data_path(out, tsv, from)
  tsv = tsv or files.ending(out, ".tsv")
  for _, path in ipairs(from or {}) do
    if out and files.same(out, path) then
      return nil, ("%s: would take the place of what is drawn"):format(out)
    end
    if files.same(tsv, path) then
      return nil, ("%s: its data would take the place of %s"):format(out or tsv, path)
    end
  end
  if log.is_log(tsv) and not (out and files.same(out, tsv)) then
    return nil, ("%s: its data would take the place of %s, a training's log"):format(out or tsv,
      tsv)
  end
  return tsv
end

--- Writes rows as tab-separated values; numbers as short as they can be.
---@param path string
---@param names string[]
---@param rows any[][]|fun(): any[]? rows, or what gives one after another
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

-- The kind of picture that a path names.
local function terminal_of(path)
  local ending = (path:match "%.([^./]+)$" or ""):lower()
  return TERMINALS[ending], ending
end

--- Whether a path names a kind of picture that there is.
---@param path string
---@return boolean? ok
---@return string? message
function gnuplot.is_picture(path)
  if terminal_of(path) then return true end
  return nil, ("%s: a picture's name ends in .png, .svg or .pdf"):format(path)
end


local function installed() return os.execute "command -v gnuplot >/dev/null 2>&1" end

-- What a whole picture ends in: gnuplot does not say when it cannot write all.
local ENDINGS <const> = {
  png = "IEND\xAEB`\x82$", svg = "</svg>%s*$", pdf = "%%%%EOF%s*$",
}

-- A PDF says when it was made: the one thing that would be another in each run.
-- Of the same length, for the file says where what follows lies.
local function undated(bytes)
  return (bytes:gsub("(/CreationDate %(D:)" .. ("%d"):rep(14), "%119700101000000", 1))
end

-- Why gnuplot failed, from what it said.
local function complaint(path)
  local said = files.read(path) or ""
  return "gnuplot: " .. (said:match "line %d+: ([^\n]+)" or said:match "([^\n]+)%s*$" or "failed")
end

--- Runs a script that draws `path`, a PNG, SVG or PDF by its name. Where gnuplot
--- is not installed, the script is left beside it, and that is the message.
---@param path string
---@param width integer
---@param height integer
---@param lines string[]
---@param data? string where its numbers are
---@return boolean? ok
---@return string? message
function gnuplot.draw(path, width, height, lines, data)
  local terminal, ending = terminal_of(path)
  if not terminal then return gnuplot.is_picture(path) end
  if data and files.same(path, data) then
    return nil, ("%s: would take the place of what is drawn"):format(path)
  end
  local script = ([[
set terminal %s
set encoding utf8
set border 0
set key off
set style fill solid 1 noborder
%s
]]):format(terminal:format(width, height), table.concat(lines, "\n"))
  if not installed() then
    local left = files.ending(path, ".gp")
    local ok, message = files.write(left, script)
    if not ok then return nil, message end
    return nil, ("gnuplot is not installed (Debian: gnuplot-nox); %s%s is what draws it: "
      .. "gnuplot -d %s >%s"):format(data and data .. " has the numbers, " or "", left, left, path)
  end
  local opened, message = files.create(path)
  if not opened then return nil, message end
  local picture <close> = opened
  -- Not through a pipe: writing to one would end the host (SIGPIPE) should
  -- gnuplot stop reading. What it draws is its output: in a file name of its own
  -- it would look for commands and page numbers.
  local left <close> = setmetatable({}, { __close = function(temporary)
    for _, each in ipairs(temporary) do os.remove(each) end
  end })
  for i = 1, 3 do
    local named, name = pcall(os.tmpname)
    -- no room, or no folder, for temporary files
    if not named then return nil, ("%s: %s"):format(path, name) end
    left[i] = name
  end
  local source, drawn, complaints = table.unpack(left)
  local ok, why = files.write(source, script)
  if not ok then return nil, ("%s: %s"):format(path, why) end
  -- -d: nobody's start file changes the picture
  if not os.execute(("TZ=UTC0 gnuplot -d %s >%s 2>%s"):format(shell.quote(source),
    shell.quote(drawn), shell.quote(complaints))) then
    return nil, ("%s: %s"):format(path, complaint(complaints))
  end
  local bytes = files.read(drawn)
  if not bytes or not bytes:find(ENDINGS[ending], -16) then
    return nil, path .. ": gnuplot could not write all of it"
  end
  picture:write(ending == "pdf" and undated(bytes) or bytes)
  return picture:finish()
end

--- The head of a picture: its title and a line below it, in pixels from the top.
---@param add fun(format: string, ...)
---@param height integer
---@param title string
---@param facts string
---@param left? number of the width
function gnuplot.head(add, height, title, facts, left)
  left = left or gnuplot.LEFT
  add("set label 1 %s at screen %g,%g left noenhanced font 'sans Bold,17' tc rgb '%s'",
    gnuplot.label(title), left, 1 - 32 / height, gnuplot.INK)
  add("set label 2 %s at screen %g,%g left noenhanced font 'sans,11.5' tc rgb '%s'",
    gnuplot.label(facts), left, 1 - 66 / height, gnuplot.GREY)
end

--- Top and bottom of the next plot, in pixels from the top of the picture.
---@param add fun(format: string, ...)
---@param height integer
---@param top number
---@param bottom number
function gnuplot.place(add, height, top, bottom)
  add("set tmargin at screen %g\nset bmargin at screen %g", 1 - top / height, 1 - bottom / height)
end

--- The moving mean over `width(i)` values, centred (an even width takes halves of
--- two at its ends, so that a bar's window sees every beat alike).
---@param values number[]
---@param width fun(i: integer): integer
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

--- Whether a voice is metal: hats and cymbals.
---@param voice string
---@return boolean
function gnuplot.is_metal(voice)
  voice = voice:lower()
  for _, word in ipairs { "hat", "crash", "ride", "cymbal", "bell", "splash", "china", "tamb" } do
    if voice:find(word, 1, true) then return true end
  end
  return false
end

--- A stroke's colour by its voice and velocity (1..127).
---@param voice string
---@param velocity number
---@return integer rgb
function gnuplot.stroke(voice, velocity)
  local ramp = gnuplot.is_metal(voice) and gnuplot.METAL or gnuplot.SKIN
  return gnuplot.blend(ramp[1], ramp[2], (velocity - 20) / 100)
end

--- Bars between labels, so that some twenty fit.
---@param n integer
---@return integer
function gnuplot.bar_stride(n)
  for _, stride in ipairs { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024 } do
    if n / stride <= 24 then return stride end
  end
  return n // 20
end

--- The drum roll's data, $bars and $hits. Steps are those of `seq`, from 0.
---@param add fun(format: string, ...)
---@param seq neuraldrummer.sequence
---@param paint? fun(step: integer, voice: integer, velocity: integer): integer a stroke's colour
---@param shown? integer so many bars, when not all of them
---@param wide? number ... of so many steps
---@return integer drawn
function gnuplot.add_roll(add, seq, paint, shown, wide)
  local voices, bars, hits, n = seq:voices(), seq:bars(), seq:packed_hits(), #seq
  local rows = #voices
  local stride = gnuplot.bar_stride(shown or #bars)
  paint = paint or function(_, voice, velocity) return gnuplot.stroke(voices[voice], velocity) end
  -- bar lines: of two kinds of weight, drawn as vectors (x, y, dx, dy, colour)
  add("$bars << END")
  for i, bar in ipairs(bars) do
    local every = (i - 1) % stride == 0
    if every or (shown or #bars) <= 200 or (i - 1) % (stride // 4) == 0 then
      add("%d 0.5 0 %d %d", bar.first - 1, rows, every and 0xb9bec6 or 0xe6e8eb)
    end
  end
  add("%d 0.5 0 %d %d\nEND", n, rows, 0xb9bec6)

  -- a stroke is seen even where a step is thinner than a pixel
  local least = 2.4 * (wide or n) / (gnuplot.WIDTH * (gnuplot.RIGHT - gnuplot.LEFT))
  local mark = math.max(0.86, least)
  add("$hits << END")
  local drawn, at = 0, hits:find "[^\0]"
  while at do
    local step, voice = (at - 1) // rows, (at - 1) % rows + 1
    add("%.2f %d %.2f %.2f %.2f %.2f %d", step, voice, step, step + mark, voice - 0.38,
      voice + 0.38, paint(step, voice, hits:byte(at)))
    drawn = drawn + 1
    at = hits:find("[^\0]", at + 1)
  end
  add("%d 0 %d %d 0 0 %d\nEND", -n, -n, -n, 0xffffff)   -- never an empty plot
  return drawn
end

--- The drum roll's panel; `below`: a plot element that lies under the strokes.
---@param add fun(format: string, ...)
---@param seq neuraldrummer.sequence
---@param shown? integer as of add_roll
---@param below? string
function gnuplot.add_roll_panel(add, seq, shown, below)
  local voices, bars = seq:voices(), seq:bars()
  local rows, stride, marks, names = #voices, gnuplot.bar_stride(shown or #bars), {}, {}
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
