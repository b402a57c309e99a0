--- Pictures of the analysis of drums by a model: how well they fit, and why they are likely.
local check = require "neuraldrummer.options".check
local format = require "neuraldrummer.decimal".format
local gnuplot = require "neuraldrummer.plot.gnuplot"

local analysis = {}

local LEFT <const>, RIGHT <const> = gnuplot.LEFT, gnuplot.RIGHT
local INK <const>, GREY <const> = gnuplot.INK, gnuplot.GREY
local HEIGHT <const> = gnuplot.HEIGHT
-- Pixels: top and bottom of the upper panel, and of the drum roll.
local TOP <const>, BOTTOM <const>, ROLL <const>, FOOT <const> = 90, 242, 266, 634

local function side_of(x) return x < 0 and gnuplot.AGAINST or gnuplot.FOR end

---@class neuraldrummer.plot_score_options
---@field out string path of the picture (PNG, SVG or PDF)
---@field tsv? string path of its numbers, one row for each bar; default: beside the picture
---@field title? string default: the Sequence's name
---@field from? string[] paths of input files, which are not overwritten

--- Draws a score: the fit of each bar above the drum roll.
---@param seq neuraldrummer.sequence
---@param result neuraldrummer.score
---@param options neuraldrummer.plot_score_options
---@return boolean? ok
---@return string? message
function analysis.score(seq, result, options)
  options = check(options, { out = "string", tsv = "string", title = "string", from = "table" })
  if not options.out then error("option 'out' is missing", 2) end
  local tsv, why = gnuplot.data_path(options.out, options.tsv, options.from)
  if not tsv then return nil, why end
  local rows = {}
  for i, bar in ipairs(result.bars) do
    rows[i] = { bar.bar, bar.step, bar.steps, bar.hits, bar.likelihood, bar.others, bar.fit }
  end
  local ok, message = gnuplot.write_tsv(tsv,
    { "bar", "step", "steps", "hits", "likelihood", "others",
    "fit" }, rows)
  if not ok then return nil, message end
  local lines, add = gnuplot.script()
  gnuplot.add_roll(add, seq)
  add("$fit << END")
  local low, high = -0.1, 0.1
  for _, bar in ipairs(result.bars) do
    local x, fit = bar.step - 1, bar.fit
    low, high = math.min(low, fit), math.max(high, fit)
    add("%.2f 0 %.2f %.2f %.4g %.4g %d", x, x, x + bar.steps - math.min(0.5, bar.steps * 0.1),
      math.min(0, fit), math.max(0, fit), side_of(fit))
  end
  add("END")
  local title = options.title or seq:name()
  add("set lmargin at screen %g\nset rmargin at screen %g", LEFT, RIGHT)
  add("set multiplot\nset xrange [0:%d]\nunset xtics", #seq)
  gnuplot.head(add, HEIGHT, title == "" and "score" or title,
    format("log-likelihood %.3f bits a step, %.3f under other songs: fit %+.3f, better than "
      .. "%d of %d", result.likelihood, result.others, result.fit, result.better, result.of))
  gnuplot.place(add, HEIGHT, TOP, BOTTOM)
  add("set yrange [%.4g:%.4g]", low * 1.08, high * 1.08)
  add("set ytics scale 0 font 'sans,10' tc rgb '%s' offset 0.6,0", GREY)
  add("set ylabel 'fit, bits a step' font 'sans,11.5' tc rgb '%s' offset -1.2,0", INK)
  add("plot $fit using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable,"
    .. " 0 with lines lw 1 lc rgb '%s'", GREY)
  add("unset label\nset ylabel")
  gnuplot.place(add, HEIGHT, ROLL, FOOT)
  gnuplot.add_roll_panel(add, seq)
  add("unset multiplot")
  return gnuplot.draw(options.out, gnuplot.WIDTH, HEIGHT, lines, tsv)
end

-- Shares of the width: right end of the drum roll, left end of the chart of reasons.
local SPLIT <const>, CHART <const> = 0.68, 0.83
local MAX_REASONS <const> = 18

-- A colour for a weight: pale for small ones, full for `max`; one hue for each sign.
local function weight_colour(weight, max)
  local full = side_of(weight)
  local share, rgb = math.min(1, math.abs(weight) / max) ^ 0.6, 0
  for shift = 16, 0, -8 do
    rgb = rgb << 8 | math.floor(0xe2 + ((full >> shift & 255) - 0xe2) * share + 0.5)
  end
  return rgb
end

---@class neuraldrummer.plot_explain_options
---@field out string path of the picture (PNG, SVG or PDF)
---@field tsv? string path of its numbers, one row for each reason; default: beside the picture
---@field title? string default: the Sequence's name
---@field from? string[] paths of input files, which are not overwritten
---@field before? integer bars shown before the explained one (default 4)

--- Draws an explanation: the weights of the song's steps and of earlier hits for the
--- hits of a bar, and the reasons in order of weight.
---@param seq neuraldrummer.sequence
---@param result neuraldrummer.explanation
---@param options neuraldrummer.plot_explain_options
---@return boolean? ok
---@return string? message
function analysis.explain(seq, result, options)
  options = check(options, { out = "string", tsv = "string", title = "string",
    before = "integer", from = "table" })
  if not options.out then error("option 'out' is missing", 2) end
  local words = require "neuraldrummer.explain".words
  local tsv, why = gnuplot.data_path(options.out, options.tsv, options.from)
  if not tsv then return nil, why end
  local rows = {}
  for i, reason in ipairs(result.reasons) do
    rows[i] = { reason.kind, reason.name, reason.weight }
  end
  local ok, message = gnuplot.write_tsv(tsv, { "kind", "name", "weight" }, rows)
  if not ok then return nil, message end
  local bars = seq:bars()
  local from = math.max(1, result.bar - (options.before or 4))
  local to = math.min(#bars, result.bar + 1)
  local first = bars[from].first - 1
  local last = bars[to].last
  local voice_of, weights, max_weight = {}, {}, 1e-9
  for i, name in ipairs(seq:voices()) do voice_of[name] = i end
  for _, each in ipairs(result.earlier) do
    weights[(each.step - 1) << 8 | voice_of[each.voice]] = each.weight
    max_weight = math.max(max_weight, math.abs(each.weight))
  end
  local explained = {}
  for _, hit in ipairs(result.hits) do
    explained[(hit.step - 1) << 8 | voice_of[hit.voice]] = true
  end

  local lines, add = gnuplot.script()
  gnuplot.add_roll(add, seq, function(step, voice)
    local key = step << 8 | voice
    if explained[key] then return tonumber(INK:sub(2), 16) end
    return weight_colour(weights[key] or 0, max_weight)
  end, to - from + 1, (last - first) / (SPLIT - LEFT))
  add("$song << END")
  local low, high = -1e-3, 1e-3
  for t = first + 1, last do
    local w = result.song[t]
    low, high = math.min(low, w), math.max(high, w)
    add("%d 0 %d %.2f %.4g %.4g %d", t - 1, t - 1, t - 0.14, math.min(0, w), math.max(0, w),
      side_of(w))
  end
  add("END\n$reasons << END")
  local names, far = {}, 1e-3
  local count = math.min(MAX_REASONS, #result.reasons)
  for i = 1, count do
    local reason = result.reasons[i]
    far = math.max(far, math.abs(reason.weight))
    names[i] = ("%s %d"):format(gnuplot.label(words(reason)), -i)
    add("0 %d %.4g %.4g %.2f %.2f %d", -i, math.min(0, reason.weight),
      math.max(0, reason.weight), -i - 0.36, -i + 0.36, side_of(reason.weight))
  end
  add("END")

  local title = options.title or seq:name()
  add("set lmargin at screen %g\nset rmargin at screen %g", LEFT, SPLIT)
  add("set multiplot\nset xrange [%d:%d]\nunset xtics", first, last)
  gnuplot.head(add, HEIGHT, title == "" and "reasons" or title,
    ("what makes the %d hits of bar %d likely (blue) or unlikely (orange), mean log-odds")
      :format(#result.hits, result.bar))
  gnuplot.place(add, HEIGHT, TOP, BOTTOM)
  add("set yrange [%.4g:%.4g]", low * 1.08, high * 1.08)
  add("set ytics scale 0 font 'sans,10' tc rgb '%s' offset 0.6,0", GREY)
  add("set ylabel 'weight of the song' font 'sans,11.5' tc rgb '%s' offset -1.2,0", INK)
  add("set object 1 rectangle from first %d, graph 0 to first %d, graph 1 fc rgb '#f5f6f8'"
    .. " fs solid noborder behind", result.step - 1, result.step - 1 + result.steps)
  add("plot $song using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable,"
    .. " 0 with lines lw 1 lc rgb '%s'", GREY)
  add("unset object\nunset label\nset ylabel")
  gnuplot.place(add, HEIGHT, ROLL, FOOT)
  gnuplot.add_roll_panel(add, seq, to - from + 1)
  add("unset object\nunset xlabel")
  add("set lmargin at screen %g\nset rmargin at screen %g", CHART, RIGHT)
  gnuplot.place(add, HEIGHT, TOP, FOOT)
  add("set xrange [%.4g:%.4g]\nset yrange [%g:-0.4]", -far * 1.05, far * 1.05,
    -math.max(count, 8) - 0.6)
  add("set ytics (%s) scale 0 noenhanced font 'sans,11' tc rgb '%s' offset 0.4,0",
    table.concat(names, ", "), INK)
  add("set xtics autofreq scale 0 font 'sans,10' tc rgb '%s' offset 0,0.3", GREY)
  add("set arrow 1 from first 0, graph 0 to first 0, graph 1 nohead lc rgb '%s'", GREY)
  add("plot $reasons using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable")
  add("unset multiplot")
  return gnuplot.draw(options.out, gnuplot.WIDTH, HEIGHT, lines, tsv)
end

return analysis
