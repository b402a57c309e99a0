--- A picture of a corpus: how often its voices play at each place in the bar, and its songs
--- by tempo and by density.
local check = require "neuraldrummer.options".check
local format = require "neuraldrummer.decimal".format
local gnuplot = require "neuraldrummer.plot.gnuplot"
local statistics = require "neuraldrummer.statistics"

local HEIGHT <const> = 560
local NEVER <const> = { 0xf5, 0xf6, 0xf8 }  -- colour of a place without hits

-- A histogram of songs with a bar per class.
local function add_histogram(add, name, classes, width)
  add("$%s << END", name)
  local max = 1
  for _, class in ipairs(classes) do
    add("%g 0 %g %g 0 %d", class[1], class[1] + width * 0.06, class[1] + width * 0.94, class[2])
    max = math.max(max, class[2])
  end
  add("END")
  add("set yrange [0:%g]", max * 1.08)
  add("set xrange [%g:%g]", classes[1][1] - width / 2, classes[#classes][1] + width * 1.5)
  -- with few songs, gnuplot's own tics would be at fractions of a song
  add("set ytics %s scale 0 font 'sans,10' tc rgb '%s' offset 0.4,0",
    max < 5 and "1" or "autofreq", gnuplot.GREY)
  add("set xtics autofreq scale 0 font 'sans,11' tc rgb '%s' offset 0,0.3", gnuplot.GREY)
  add("plot $%s using 1:2:3:4:5:6 with boxxyerror lc rgb '%s'", name, gnuplot.colour(gnuplot.SONG))
end

-- The rows of the TSV file.
local function rows_of(found, tempo, density)
  local rows = {}
  for v, voice in ipairs(found.voices) do
    for k, rate in ipairs(found.rates[v]) do rows[#rows + 1] = { voice, k, rate } end
  end
  for _, class in ipairs(tempo) do rows[#rows + 1] = { "songs by tempo", class[1], class[2] } end
  for _, class in ipairs(density) do
    rows[#rows + 1] = { "songs by hits a step", format("%.1f", class[1]), class[2] }
  end
  return rows
end

-- The head, and the panel of voices by place: the darker, the more bars have a hit there.
local function add_places(add, found, songs, title)
  local n, max, names = #found.voices, 0, {}
  for v, voice in ipairs(found.voices) do
    names[v] = ("%s %d"):format(gnuplot.label((voice:gsub("_", " "))), v)
    max = math.max(max, table.unpack(found.rates[v]))
  end
  add("$rates << END")
  for v, voice in ipairs(found.voices) do
    local ramp = gnuplot.is_metal(voice) and gnuplot.METAL or gnuplot.SKIN
    for k, rate in ipairs(found.rates[v]) do
      add("%g %d %g %g %g %g %d", k, v, k - 0.47, k + 0.47, v - 0.45, v + 0.45,
        gnuplot.blend(NEVER, ramp[2], max > 0 and (rate / max) ^ 0.7 or 0))
    end
  end
  add("END")
  add("set multiplot")
  add("set lmargin at screen %g\nset rmargin at screen 0.53", gnuplot.LEFT)
  gnuplot.head(add, HEIGHT, title, format("%d songs; %d bars of 4/4, darkest: a hit in %.0f %% "
    .. "of them", songs, found.bars, 100 * max))
  gnuplot.place(add, HEIGHT, 92, 490)
  add("set xrange [0.4:%g]\nset yrange [0.5:%g]", statistics.PLACES + 0.6, n + 0.5)
  add("set ytics (%s) scale 0 noenhanced font 'sans,12' tc rgb '%s' offset 0.4,0",
    table.concat(names, ", "), gnuplot.INK)
  add("set xtics ('1' 1, '2' 5, '3' 9, '4' 13) scale 0 font 'sans,11' tc rgb '%s' offset 0,0.3",
    gnuplot.GREY)
  add("set xlabel 'beat of the bar' font 'sans,11.5' tc rgb '%s' offset 0,0.4", gnuplot.GREY)
  add("plot $rates using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable")
  add("unset label")
end

---@class neuraldrummer.plot_corpus_options
---@field out string path of the picture (PNG, SVG, PDF)
---@field tsv? string path of its data; default: the picture's name with .tsv
---@field title? string
---@field from? string[] paths of the files that it was read from; they are never overwritten

--- Draws the statistics of a corpus.
---@param found neuraldrummer.statistics
---@param options neuraldrummer.plot_corpus_options
---@return boolean? ok
---@return string? message
return function(found, options)
  options = check(options, { out = "string", tsv = "string", title = "string", from = "table" })
  if not options.out then error("option 'out' is needed", 2) end
  local tsv, why = gnuplot.data_path(options.out, options.tsv, options.from)
  if not tsv then return nil, why end
  local tempo = statistics.classes(found.tempo, statistics.TEMPO)
  local density = statistics.classes(found.density, statistics.DENSITY)
  if #tempo == 0 then return nil, "there are no songs to draw" end
  local ok, message = gnuplot.write_tsv(tsv, { "what", "at", "value" },
    rows_of(found, tempo, density))
  if not ok then return nil, message end
  local songs = 0
  for _, class in ipairs(tempo) do songs = songs + class[2] end

  local lines, add = gnuplot.script()
  add_places(add, found, songs, options.title or "corpus")
  add("set lmargin at screen 0.6\nset rmargin at screen %g", gnuplot.RIGHT)
  add("set ylabel 'songs' font 'sans,11.5' tc rgb '%s' offset 0.6,0", gnuplot.INK)
  gnuplot.place(add, HEIGHT, 50, 230)
  add("set xlabel 'beats per minute%s' font 'sans,11.5' tc rgb '%s' offset 0,0.4",
    found.tempo[statistics.FAST] and (" (%d: and more)"):format(statistics.FAST) or "",
    gnuplot.GREY)
  add_histogram(add, "tempo", tempo, statistics.TEMPO)
  gnuplot.place(add, HEIGHT, 310, 490)
  add("set xlabel 'hits per step' font 'sans,11.5' tc rgb '%s' offset 0,0.4", gnuplot.GREY)
  add_histogram(add, "density", density, statistics.DENSITY)
  add("unset multiplot")
  return gnuplot.draw(options.out, gnuplot.WIDTH, HEIGHT, lines, tsv)
end
