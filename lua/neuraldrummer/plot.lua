--- Pictures by gnuplot, and the numbers behind them as tab-separated values.
--- The numbers are written also where gnuplot isn't installed.
local files = require "neuraldrummer.files"
local check = require "neuraldrummer.options".check

local plot = {}

local WIDTH <const>, HEIGHT <const> = 1600, 700
local LEFT <const>, RIGHT <const> = 0.075, 0.985   -- of the width: where the axes lie
local INK <const>, GREY <const> = "#2b2f36", "#8a9099"
-- Soft and hard strokes: skins in blue, metal in amber.
local SKIN <const> = { { 0xbd, 0xcd, 0xe2 }, { 0x12, 0x31, 0x5c } }
local METAL <const> = { { 0xf1, 0xd9, 0xae }, { 0x9a, 0x4f, 0x0d } }

---------------------------------------------------------------- gnuplot

-- A string for gnuplot, all but the plainest characters by their numbers: it
-- would look for commands (`…`) and macros (@name) within quotes as well.
-- A digit behind a number would be read as part of it.
local function quote(text)
  local function numbered(c) return ("\\%03o"):format(c:byte()) end
  return '"' .. text:gsub("([^%w ,./_-]+)(%d*)", function(odd, digits)
    return (odd .. digits):gsub(".", numbered)
  end) .. '"'
end

-- A label: one line of valid UTF-8.
local function label(text)
  text = text:gsub("[%c]+", " ")
  if not utf8.len(text) then text = text:gsub("[\x80-\xff]+", "?") end
  return quote(text)
end

local function shell_quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- Runs a script that draws `path`, `width` pixels wide. The script is a file:
-- writing to a pipe would end the host (SIGPIPE) should gnuplot stop reading.
-- The picture is gnuplot's output: in a file name of its own it would look for
-- commands and page numbers.
local function draw(path, width, lines)
  if not os.execute "command -v gnuplot >/dev/null 2>&1" then
    return nil, "gnuplot is not installed (Debian: gnuplot-nox); no picture was drawn"
  end
  local part = path .. ".part"
  local file, message = io.open(part, "wb")
  if not file then return nil, (message:gsub("%.part: ", ": ", 1)) end
  file:close()
  local script, complaints = os.tmpname(), os.tmpname()
  local ok, why = files.write(script, ([[
set terminal pngcairo size %d,%d font 'sans,12' background '#ffffff'
set encoding utf8
set border 0
set key off
set style fill solid 1 noborder
%s
]]):format(width, HEIGHT, table.concat(lines, "\n")))
  if ok then
    ok = os.execute(("gnuplot %s >%s 2>%s"):format(shell_quote(script), shell_quote(part),
      shell_quote(complaints)))
    if not ok then
      local said = files.read(complaints) or ""
      why = "gnuplot: " .. (said:match "line %d+: ([^\n]+)" or said:match "([^\n]+)%s*$"
        or "failed")
    end
  end
  os.remove(script)
  os.remove(complaints)
  if ok then ok, why = os.rename(part, path) end
  if not ok then
    os.remove(part)
    return nil, ("%s: %s"):format(path, why)
  end
  return true
end

-- A script, and a function that appends formatted lines to it.
local function new_script()
  local lines = {}
  return lines, function(format, ...)
    lines[#lines + 1] = select("#", ...) > 0 and format:format(...) or format
  end
end

------------------------------------------------------------------- songs

local function is_metal(voice)
  voice = voice:lower()
  for _, word in ipairs { "hat", "crash", "ride", "cymbal", "bell", "splash", "china", "tamb" } do
    if voice:find(word, 1, true) then return true end
  end
  return false
end

local function colour(ramp, velocity)
  local share = math.min(1, math.max(0, (velocity - 20) / 100))
  local rgb = 0
  for i = 1, 3 do
    rgb = rgb << 8 | math.floor(ramp[1][i] + (ramp[2][i] - ramp[1][i]) * share + 0.5)
  end
  return rgb
end

-- The moving mean over `width(i)` values, centred (an even width takes halves of
-- two at its ends, so that a bar's window sees every beat alike).
local function smooth(values, width)
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

local function write_song_tsv(path, seq, intensity)
  local writer, message = files.create(path)
  if not writer then return nil, message end
  local voices, bars, hits = seq:voices(), seq:bars(), seq:packed_hits()
  local per_beat = seq:settings().steps_per_beat
  writer:write("step\tbar\tbeat\tintensity\t", table.concat(voices, "\t"), "\n")
  local bar = 1
  for step = 1, #seq do
    while bars[bar + 1] and bars[bar + 1].step <= step do bar = bar + 1 end
    local row = { step, bar, ("%g"):format(1 + (step - bars[bar].step) / per_beat),
      ("%.4g"):format(intensity[step]) }
    local start = (step - 1) * #voices
    for v = 1, #voices do row[4 + v] = hits:byte(start + v) end
    writer:write(table.concat(row, "\t"), "\n")
  end
  return writer:finish()
end

-- Bars between labels, so that some twenty fit.
local function bar_stride(n)
  for _, stride in ipairs { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024 } do
    if n / stride <= 24 then return stride end
  end
  return n // 20
end

-- The drum roll: its data ($bars and $hits) and its panel, of all songs'
-- pictures. Steps are those of `seq`, from 0. `paint(step, voice, velocity)` gives a
-- stroke its colour. `shown`: so many bars of `wide` steps, when not all of them.
local function add_roll(add, seq, paint, shown, wide)
  local voices, bars, hits, n = seq:voices(), seq:bars(), seq:packed_hits(), #seq
  local rows = #voices
  local stride = bar_stride(shown or #bars)
  -- bar lines: of four kinds of weight, drawn as vectors (x, y, dx, dy, colour)
  add("$bars << END")
  for i, bar in ipairs(bars) do
    local every = (i - 1) % stride == 0
    if every or (shown or #bars) <= 200 or (i - 1) % (stride // 4) == 0 then
      add("%d 0.5 0 %d %d", bar.step - 1, rows, every and 0xb9bec6 or 0xe6e8eb)
    end
  end
  add("%d 0.5 0 %d %d\nEND", n, rows, 0xb9bec6)

  -- a stroke is seen even where a step is thinner than a pixel
  local least = 2.4 * (wide or n) / (WIDTH * (RIGHT - LEFT))
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

local function by_velocity(seq)
  local voices = seq:voices()
  return function(_, voice, velocity)
    return colour(is_metal(voices[voice]) and METAL or SKIN, velocity)
  end
end

local function add_roll_panel(add, seq, top, bottom, shown)
  local voices, bars = seq:voices(), seq:bars()
  local rows, stride, marks, names = #voices, bar_stride(shown or #bars), {}, {}
  for i, bar in ipairs(bars) do
    if (i - 1) % stride == 0 then marks[#marks + 1] = ("'%d' %d"):format(i, bar.step - 1) end
  end
  for i, name in ipairs(voices) do
    names[i] = ("%s %d"):format(label((name:gsub("_", " "))), i)
  end
  add("set tmargin at screen %g\nset bmargin at screen %g", top, bottom)
  add("set yrange [0.5:%g]", rows + 0.5)
  add("set ytics (%s) scale 0 noenhanced font 'sans,12' tc rgb '%s' offset 0.4,0",
    table.concat(names, ", "), INK)
  add("set xtics (%s) scale 0 font 'sans,11' tc rgb '%s' offset 0,0.3",
    table.concat(marks, ", "), GREY)
  add("set xlabel 'bar' font 'sans,11.5' tc rgb '%s' offset 0,0.4", GREY)
  for row = 1, rows, 2 do
    add("set object %d rectangle from graph 0, first %g to graph 1, first %g"
      .. " fc rgb '#f5f6f8' fs solid noborder behind", row, row - 0.5, row + 0.5)
  end
  add("plot $bars using 1:2:3:4:5 with vectors nohead lw 1 lc rgb variable,"
    .. " $hits using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable")
end

local function song_script(seq, title, intensity)
  local bars, n = seq:bars(), #seq
  local lines, add = new_script()

  add("$intensity << END")
  local lengths, at_bar = {}, 1
  for step = 1, n do
    if bars[at_bar + 1] and bars[at_bar + 1].step <= step then at_bar = at_bar + 1 end
    lengths[step] = (bars[at_bar + 1] and bars[at_bar + 1].step or n + 1) - bars[at_bar].step
  end
  local curve = smooth(intensity, function(step) return lengths[step] end)
  for i, value in ipairs(curve) do
    add("%g %.4g %.4g", i - 0.5, intensity[i], value)
  end
  add("END")

  local drawn = add_roll(add, seq, by_velocity(seq))
  local meters, before = {}, nil
  for _, bar in ipairs(bars) do
    local meter = bar.numerator .. "/" .. bar.denominator
    if meter ~= before and #meters < 40 then
      local last = meters[#meters]
      if last and bar.step - 1 - last[1] < 0.022 * n * #last[2] / 3 then
        last[2] = last[2] .. "  " .. meter      -- no room for a label of its own
      else
        meters[#meters + 1] = { bar.step - 1, meter }
      end
      before = meter
    end
  end

  add("set lmargin at screen %g\nset rmargin at screen %g", LEFT, RIGHT)
  add("set multiplot")
  add("set xrange [0:%d]", n)
  add("unset xtics")
  add("set label 1 %s at screen %g,0.955 left noenhanced font 'sans Bold,17' tc rgb '%s'",
    label(title), LEFT, INK)
  add("set label 2 '%d bars%s, %d steps, %d hits' at screen %g,0.905 left font 'sans,11.5'"
    .. " tc rgb '%s'", #bars, #meters == 1 and " of " .. meters[1][2] or "", n, drawn, LEFT, GREY)
  -- the legend, from right to left
  local x, count = RIGHT, 2
  local function text(what, right)
    count = count + 1
    add("set label %d '%s' at screen %g,0.937 right font 'sans,11' tc rgb '%s'", count, what,
      right, GREY)
  end
  for _, family in ipairs { { "cymbals", METAL }, { "drums", SKIN } } do
    text("loud", x)
    for i = 0, 4 do
      local left = x - 0.026 - (5 - i) * 0.013
      count = count + 1
      add("set object %d rectangle from screen %g,0.924 to screen %g,0.95 fc rgb %d fs solid"
        .. " noborder", count, left, left + 0.0115, colour(family[2], 20 + i * 25))
    end
    text("soft", x - 0.096)
    text(family[1], x - 0.124)
    x = x - 0.19
  end

  -- the song: onsets a step as hair lines, their mean over a bar as a curve
  add("set tmargin at screen 0.87\nset bmargin at screen 0.655")
  -- a few great chords would flatten all else: the highest strokes are cut off
  local sorted = table.move(intensity, 1, n, 1, {})
  table.sort(sorted)
  local bottom, top = math.min(sorted[1], -0.4), math.max(sorted[math.ceil(n * 0.93)], 0.5)
  for _, value in ipairs(curve) do top = math.max(top, value) end
  top = top + 0.1
  add("set yrange [%.4g:%.4g]", bottom, top)
  add("set ytics scale 0 font 'sans,10' tc rgb '%s' offset 0.6,0", GREY)
  add("set ylabel 'intensity of the song' font 'sans,11.5' tc rgb '%s' offset -1.2,0", INK)
  for i = 1, #meters > 1 and #meters or 0 do
    add("set label %d '%s' at first %d, screen 0.637 left font 'sans Bold,11' tc rgb '%s'",
      100 + i, meters[i][2], meters[i][1], INK)
  end
  add("plot $bars using 1:(%.4g):(0):(%.4g):5 with vectors nohead lw 1 lc rgb variable,"
    .. " $intensity using 1:(%.4g):(0):($2-(%.4g)) with vectors nohead lw %.2f lc rgb '#bdd1cb',"
    .. " $intensity using 1:3 with filledcurves y=%.4g fc rgb '#2a7567'"
    .. " fs transparent solid 0.14,"
    .. " $intensity using 1:3 with lines lw 2.4 lc rgb '#2a7567'",
    bottom, top - bottom, bottom, bottom, math.max(0.8, math.min(4, 1400 / n)), bottom)
  add("unset object\nunset label\nset ylabel")

  add_roll_panel(add, seq, 0.62, 0.095)
  add("unset multiplot")
  return lines
end

---@class neuraldrummer.plot_options
---@field png? string path of the picture: the drum roll under the song's intensity
---@field tsv? string path of its data: a row a step with bar, beat (from 1), intensity and each
--- voice's velocity (0..127)
---@field title? string default: the Sequence's name

--- Draws a Sequence. The data is written first, so that it is there even when
--- the picture cannot be drawn.
---@param seq neuraldrummer.sequence
---@param options neuraldrummer.plot_options
---@return boolean? ok
---@return string? message
function plot.song(seq, options)
  options = check(options, { png = "string", tsv = "string", title = "string" })
  if not options.png and not options.tsv then error("options: png or tsv is needed", 2) end
  local intensity = seq:metric "intensity"
  if options.tsv then
    local ok, message = write_song_tsv(options.tsv, seq, intensity)
    if not ok then return nil, message end
  end
  if not options.png then return true end
  local title = options.title or seq:name()
  return draw(options.png, WIDTH, song_script(seq, title == "" and "drum roll" or title, intensity))
end

------------------------------------------------------------------- score

local FITS <const>, FAILS <const> = 0x2a7567, 0xc0392b

---@class neuraldrummer.plot_score_options
---@field png string path of the picture: the fit of each bar above the drum roll
---@field title? string default: the Sequence's name

--- Draws what score.run found of a Sequence.
---@param seq neuraldrummer.sequence
---@param result neuraldrummer.score
---@param options neuraldrummer.plot_score_options
---@return boolean? ok
---@return string? message
function plot.score(seq, result, options)
  options = check(options, { png = "string", title = "string" })
  if not options.png then error("options: png is needed", 2) end
  local lines, add = new_script()
  add_roll(add, seq, by_velocity(seq))
  add("$fit << END")
  local low, high = -0.1, 0.1
  for _, bar in ipairs(result.bars) do
    local x, fit = bar.step - 1, bar.fit
    low, high = math.min(low, fit), math.max(high, fit)
    add("%.2f 0 %.2f %.2f %.4g %.4g %d", x, x, x + bar.steps - math.min(0.5, bar.steps * 0.1),
      math.min(0, fit), math.max(0, fit), fit < 0 and FAILS or FITS)
  end
  add("END")
  local title = options.title or seq:name()
  add("set lmargin at screen %g\nset rmargin at screen %g", LEFT, RIGHT)
  add("set multiplot\nset xrange [0:%d]\nunset xtics", #seq)
  add("set label 1 %s at screen %g,0.955 left noenhanced font 'sans Bold,17' tc rgb '%s'",
    label(title == "" and "score" or title), LEFT, INK)
  add("set label 2 %s at screen %g,0.905 left noenhanced font 'sans,11.5' tc rgb '%s'",
    label(("%.3f bits a step; under other songs %.3f: %+.3f for its own, better than %d of %d")
      :format(result.likelihood, result.others, result.fit, result.better, result.of)),
    LEFT, GREY)
  add("set tmargin at screen 0.87\nset bmargin at screen 0.655")
  add("set yrange [%.4g:%.4g]", low * 1.08, high * 1.08)
  add("set ytics scale 0 font 'sans,10' tc rgb '%s' offset 0.6,0", GREY)
  add("set ylabel 'fit, bits a step' font 'sans,11.5' tc rgb '%s' offset -1.2,0", INK)
  add("plot $fit using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable,"
    .. " 0 with lines lw 1 lc rgb '%s'", GREY)
  add("unset label\nset ylabel")
  add_roll_panel(add, seq, 0.62, 0.095)
  add("unset multiplot")
  return draw(options.png, WIDTH, lines)
end

----------------------------------------------------------------- explain

local SPLIT <const>, CHART <const> = 0.68, 0.83  -- of the width: the roll's end, the chart's axis

-- Soft for little weight, full for `most`; towards and against in two colours.
local function weight_colour(weight, most)
  local full = weight < 0 and FAILS or FITS
  local share, rgb = math.min(1, math.abs(weight) / most) ^ 0.6, 0
  for shift = 16, 0, -8 do
    rgb = rgb << 8 | math.floor(0xe2 + ((full >> shift & 255) - 0xe2) * share + 0.5)
  end
  return rgb
end

---@class neuraldrummer.plot_explain_options
---@field png string path of the picture
---@field title? string default: the Sequence's name
---@field before? integer bars shown before the one explained; default 4

--- Draws what explain.run found: what the song's steps, and the hits before,
--- did to the hits of a bar, and what they were, in order of weight.
---@param seq neuraldrummer.sequence
---@param result neuraldrummer.explanation
---@param options neuraldrummer.plot_explain_options
---@return boolean? ok
---@return string? message
function plot.explain(seq, result, options)
  options = check(options, { png = "string", title = "string", before = "integer" })
  if not options.png then error("options: png is needed", 2) end
  local words = require "neuraldrummer.explain".words
  local bars = seq:bars()
  local from = math.max(1, result.bar - (options.before or 4))
  local to = math.min(#bars, result.bar + 1)
  local first = bars[from].step - 1
  local last = bars[to + 1] and bars[to + 1].step - 1 or #seq
  local voice_of, weights, most = {}, {}, 1e-9
  for i, name in ipairs(seq:voices()) do voice_of[name] = i end
  for _, each in ipairs(result.earlier) do
    weights[(each.step - 1) << 8 | voice_of[each.voice]] = each.weight
    most = math.max(most, math.abs(each.weight))
  end
  local explained = {}
  for _, hit in ipairs(result.hits) do
    explained[(hit.step - 1) << 8 | voice_of[hit.voice]] = true
  end

  local lines, add = new_script()
  add_roll(add, seq, function(step, voice)
    local key = step << 8 | voice
    if explained[key] then return tonumber(INK:sub(2), 16) end
    return weight_colour(weights[key] or 0, most)
  end, to - from + 1, (last - first) / (SPLIT - LEFT))
  add("$song << END")
  local low, high = -1e-3, 1e-3
  for t = first + 1, last do
    local w = result.song[t]
    low, high = math.min(low, w), math.max(high, w)
    add("%d 0 %d %.2f %.4g %.4g %d", t - 1, t - 1, t - 0.14, math.min(0, w), math.max(0, w),
      w < 0 and FAILS or FITS)
  end
  add("END\n$reasons << END")
  local names, far = {}, 1e-3
  local many = math.min(18, #result.reasons)
  for i = 1, many do
    local reason = result.reasons[i]
    far = math.max(far, math.abs(reason.weight))
    names[i] = ("%s %d"):format(label(words(reason)), -i)
    add("0 %d %.4g %.4g %.2f %.2f %d", -i, math.min(0, reason.weight),
      math.max(0, reason.weight), -i - 0.36, -i + 0.36, reason.weight < 0 and FAILS or FITS)
  end
  add("END")

  local title = options.title or seq:name()
  add("set lmargin at screen %g\nset rmargin at screen %g", LEFT, SPLIT)
  add("set multiplot\nset xrange [%d:%d]\nunset xtics", first, last)
  add("set label 1 %s at screen %g,0.955 left noenhanced font 'sans Bold,17' tc rgb '%s'",
    label(title == "" and "reasons" or title), LEFT, INK)
  add("set label 2 %s at screen %g,0.905 left noenhanced font 'sans,11.5' tc rgb '%s'",
    label(("what made the %d hits of bar %d likely (green) or unlikely (red), in log-odds a hit")
      :format(#result.hits, result.bar)), LEFT, GREY)
  add("set tmargin at screen 0.87\nset bmargin at screen 0.655")
  add("set yrange [%.4g:%.4g]", low * 1.08, high * 1.08)
  add("set ytics scale 0 font 'sans,10' tc rgb '%s' offset 0.6,0", GREY)
  add("set ylabel 'heard in the song' font 'sans,11.5' tc rgb '%s' offset -1.2,0", INK)
  add("set object 1 rectangle from first %d, graph 0 to first %d, graph 1 fc rgb '#f5f6f8'"
    .. " fs solid noborder behind", result.step - 1, result.step - 1 + result.steps)
  add("plot $song using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable,"
    .. " 0 with lines lw 1 lc rgb '%s'", GREY)
  add("unset object\nunset label\nset ylabel")
  add_roll_panel(add, seq, 0.62, 0.095, to - from + 1)
  add("unset object\nunset xlabel")
  add("set lmargin at screen %g\nset rmargin at screen %g", CHART, RIGHT)
  add("set tmargin at screen 0.87\nset bmargin at screen 0.095")
  add("set xrange [%.4g:%.4g]\nset yrange [%g:-0.4]", -far * 1.05, far * 1.05,
    -math.max(many, 8) - 0.6)
  add("set ytics (%s) scale 0 noenhanced font 'sans,11' tc rgb '%s' offset 0.4,0",
    table.concat(names, ", "), INK)
  add("set xtics autofreq scale 0 font 'sans,10' tc rgb '%s' offset 0,0.3", GREY)
  add("set arrow 1 from first 0, graph 0 to first 0, graph 1 nohead lc rgb '%s'", GREY)
  add("plot $reasons using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable")
  add("unset multiplot")
  return draw(options.png, WIDTH, lines)
end

---------------------------------------------------------------- training

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
---@param png string path of the picture
---@return boolean? ok
---@return string? message
function plot.loss(log, png)
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

  local lines, add = new_script()
  local function block(name, list)
    add("$%s << END", name)
    for _, point in ipairs(list) do add("%.8g %.8g", point[1], point[2]) end
    add("END")
  end
  local plain = {}
  for i, point in ipairs(losses) do plain[i] = point[2] end
  local means = {}
  local width = math.max(1, #plain // 50)
  for i, mean in ipairs(smooth(plain, function() return width end)) do
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
    label(("%s, best validation %s"):format(#losses > 0 and ("%d batches, last %.4f"):format(
      #losses, means[#means][2]) or "no batches",
      best < math.huge and ("%.4f"):format(best) or "none")), GREY)
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
  return draw(png, 1200, lines)
end

return plot
