--- The picture of a song: its intensity, its sections, what the drummer was asked for, and
--- the drums.
local core = require "neuraldrummer.core"
local check = require "neuraldrummer.options".check
local format = require "neuraldrummer.decimal".format
local gnuplot = require "neuraldrummer.plot.gnuplot"
local sections = require "neuraldrummer.sections"

local LEFT <const>, RIGHT <const> = gnuplot.LEFT, gnuplot.RIGHT
local INK <const>, GREY <const> = gnuplot.INK, gnuplot.GREY
local ASKED <const>, PLAYED <const> = 0xf1d9ae, 0x9a4f0d   -- of fills
local FIXED <const> = 0xdfe9dc
local SECTIONS <const> = { 0xdbe4f0, 0xf3e6cd, 0xdcebe4, 0xeadfe9, 0xf0e0d8, 0xe3e3e3 }
-- Pixels: top and height of the intensity, height of a strip and of the drum roll, and of
-- the space below.
local TOP <const>, INTENSITY <const>, STRIP <const>, ROLL <const> = 90, 150, 22, 368
local FOOT <const> = 66

--- The name of a section: its own, or a letter for its kind.
---@param section neuraldrummer.section
---@return string
local function section_name(section)
  local kind = section.kind
  return section.name or kind <= 26 and string.char(64 + kind) or tostring(kind)
end

-- By bar, the share of its grid cells that are not fixed.
local function open_shares(seq, bars, mask)
  local shares, n_voices = {}, #seq:voices()
  for b, bar in ipairs(bars) do
    local cells = mask:sub((bar.first - 1) * n_voices + 1, bar.last * n_voices)
    shares[b] = select(2, cells:gsub("\0", "")) / math.max(1, #cells)
  end
  return shares
end

-- The facts that the picture shows by bar.
local function by_bar(seq, options)
  local bars, direction = seq:bars(), options.direction or {}
  local facts = { bars = bars, sections = options.sections or sections.find(seq),
    styles = core.bar_styles(seq), asked = direction.fills, energy = direction.density,
    mask = direction.mask, fills = 0 }
  facts.open = facts.mask and open_shares(seq, bars, facts.mask)
  for _, style in ipairs(facts.styles) do facts.fills = facts.fills + (style.fill and 1 or 0) end
  return facts
end

local function write_tsv(path, seq, intensity, facts)
  local names = { "step", "bar", "beat", "intensity" }
  local voices, bars, hits = seq:voices(), facts.bars, seq:packed_hits()
  table.move(voices, 1, #voices, 5, names)
  table.move({ "section", "fill", "asked_fill", "asked_energy", "fixed" }, 1, 5, #names + 1, names)
  local per_beat, step, bar, section = seq:settings().steps_per_beat, 0, 1, 1
  return gnuplot.write_tsv(path, names, function()
    step = step + 1
    if step > #seq then return nil end
    while bars[bar + 1] and bars[bar + 1].first <= step do bar = bar + 1 end
    while facts.sections[section + 1] and facts.sections[section + 1].first <= bar do
      section = section + 1
    end
    local row = { step, bar, format("%g", 1 + (step - bars[bar].first) / per_beat),
      format("%.4g", intensity[step]) }
    local start = (step - 1) * #voices
    for v = 1, #voices do row[4 + v] = hits:byte(start + v) end
    local asked, fixed = facts.asked and facts.asked[bar], {}
    for v = 1, facts.mask and #voices or 0 do
      if facts.mask:byte(start + v) > 0 then fixed[#fixed + 1] = voices[v] end
    end
    row[#row + 1] = section_name(facts.sections[section])
    row[#row + 1] = facts.styles[bar].fill and 1 or 0
    row[#row + 1] = asked == nil and "" or asked and 1 or 0
    row[#row + 1] = facts.energy and facts.energy[bar] or ""
    row[#row + 1] = table.concat(fixed, "+")
    return row
  end)
end

-- Labels where the meter changes: {step, text}. A label without space is joined to the one
-- before it.
local function meter_labels(bars, n)
  local meters, before = {}, nil
  for _, bar in ipairs(bars) do
    local meter = bar.numerator .. "/" .. bar.denominator
    if meter ~= before and #meters < 40 then
      local last = meters[#meters]
      if last and bar.first - 1 - last[1] < 0.022 * n * #last[2] / 3 then
        last[2] = last[2] .. "  " .. meter
      else
        meters[#meters + 1] = { bar.first - 1, meter }
      end
      before = meter
    end
  end
  return meters
end

-- The intensity of the song: of each step as a hairline, its mean over a bar as a curve.
local function add_intensity(add, seq, bars, intensity)
  local n, lengths, at = #seq, {}, 1
  for step = 1, n do
    if bars[at + 1] and bars[at + 1].first <= step then at = at + 1 end
    lengths[step] = bars[at].last - bars[at].first + 1
  end
  local curve = gnuplot.smooth(intensity, function(step) return lengths[step] end)
  add("$intensity << END")
  for i, value in ipairs(curve) do add("%g %.4g %.4g", i - 0.5, intensity[i], value) end
  add("END")
  -- the highest lines are cut off, because a few large chords would flatten all others
  local sorted = table.move(intensity, 1, n, 1, {})
  table.sort(sorted)
  local bottom, top = math.min(sorted[1], -0.4), math.max(sorted[math.ceil(n * 0.93)], 0.5)
  for _, value in ipairs(curve) do top = math.max(top, value) end
  top = top + 0.1
  add("set yrange [%.4g:%.4g]", bottom, top)
  add("set ytics scale 0 font 'sans,10' tc rgb '%s' offset 0.6,0", GREY)
  add("set ylabel 'intensity of the song' font 'sans,11.5' tc rgb '%s' offset -1.2,0", INK)
  local song = gnuplot.colour(gnuplot.SONG)
  add("plot $bars using 1:(%.4g):(0):(%.4g):5 with vectors nohead lw 1 lc rgb variable,"
    .. " $intensity using 1:(%.4g):(0):($2-(%.4g)) with vectors nohead lw %.2f lc rgb '#bdd1cb',"
    .. " $intensity using 1:3 with filledcurves y=%.4g fc rgb '%s' fs transparent solid 0.14,"
    .. " $intensity using 1:3 with lines lw 2.4 lc rgb '%s'",
    bottom, top - bottom, bottom, bottom, math.max(0.8, math.min(4, 1400 / n)), bottom, song, song)
  add("unset object\nunset label\nset ylabel")
end

-- The strips of facts by bar, one below the other: their boxes, the names in these, and
-- the names at the left. Heights are in units of a strip.
local function strips(seq, facts)
  local bars, boxes, texts, names, y = facts.bars, {}, {}, {}, 0
  local function box(first, last, low, high, rgb)
    local from, to = bars[first].first - 1, bars[last].last
    boxes[#boxes + 1] = format("%g %g %g %g %g %g %d", (from + to) / 2, low, from, to, low, high,
      rgb)
  end
  local function strip(name, height)
    names[#names + 1] = format("'%s' %g", name, y - height / 2)
    y = y - height
    return y, y + height
  end

  local low, high = strip("section", 1)
  for _, section in ipairs(facts.sections) do
    box(section.first, section.last, low + 0.1, high - 0.1,
      SECTIONS[(section.kind - 1) % #SECTIONS + 1])
    local from, to = bars[section.first].first - 1, bars[section.last].last
    local name = section_name(section)
    if (to - from) / #seq * gnuplot.WIDTH > 9 * #name then
      texts[#texts + 1] = format("%g %g %s", (from + to) / 2, (low + high) / 2, gnuplot.quote(name))
    end
  end
  low, high = strip("fills", 1)
  for b in ipairs(bars) do
    if facts.asked and facts.asked[b] then box(b, b, low + 0.08, high - 0.08, ASKED) end
    if facts.styles[b].fill then box(b, b, low + 0.32, high - 0.32, PLAYED) end
  end
  if facts.energy then
    low, high = strip("energy asked", 2)
    local middle = (low + high) / 2
    for b in ipairs(bars) do
      local x = facts.energy[b]
      if x then
        box(b, b, middle, middle + x / 3 * 0.95, x < 0 and gnuplot.AGAINST or gnuplot.FOR)
        box(b, b, middle - 0.02, middle + 0.02, 0x8a9099)
      end
    end
  end
  if facts.open then
    low, high = strip("played anew", 1)
    for b, share in ipairs(facts.open) do
      if share > 0 then
        box(b, b, low + 0.3, high - 0.3,
          gnuplot.blend({ 0xd5, 0xd8, 0xdd }, { 0x2b, 0x2f, 0x36 }, share))
      end
    end
  end
  return boxes, texts, names, -y
end

local function add_strips(add, boxes, texts, names, height)
  add("$strips << END\n%s\nEND", table.concat(boxes, "\n"))
  add("$names << END\n%s\nEND", table.concat(texts, "\n"))
  add("set yrange [%g:0]", -height)
  add("set ytics (%s) scale 0 font 'sans,11' tc rgb '%s' offset 0.4,0", table.concat(names, ", "),
    INK)
  add("plot $strips using 1:2:3:4:5:6:7 with boxxyerror lc rgb variable,"
    .. " $names using 1:2:3 with labels font 'sans,11' tc rgb '%s'", INK)
end

-- The fixed cells, as boxes under the hits, one for each run of steps.
local function add_fixed(add, seq, mask)
  local rows = #seq:voices()
  add("$fixed << END")
  for voice = 1, rows do
    local from
    for step = 0, #seq do
      local fixed = step < #seq and mask:byte(step * rows + voice) > 0
      if fixed and not from then from = step end
      if from and not fixed then
        add("%g %d %d %d %g %g", from, voice, from, step, voice - 0.5, voice + 0.5)
        from = nil
      end
    end
  end
  add("%d 0 %d %d 0 0\nEND", -#seq, -#seq, -#seq)
  return ("$fixed using 1:2:3:4:5:6 with boxxyerror lc rgb '%s'"):format(gnuplot.colour(FIXED))
end

-- The legend of the hits, from right to left, and of fixed cells.
local function add_legend(add, height, has_fixed)
  local x, count = RIGHT, 2
  local function at(pixels) return 1 - pixels / height end
  local function text(what, right)
    count = count + 1
    add("set label %d '%s' at screen %g,%g right font 'sans,11' tc rgb '%s'", count, what, right,
      at(44), GREY)
  end
  local function swatch(left, right, rgb)
    count = count + 1
    add("set object %d rectangle from screen %g,%g to screen %g,%g fc rgb %d fs solid noborder",
      count, left, at(53), right, at(35), rgb)
  end
  for _, family in ipairs { { "cymbals", "ride" }, { "drums", "kick" } } do
    text("loud", x)
    for i = 0, 4 do
      local left = x - 0.026 - (5 - i) * 0.013
      swatch(left, left + 0.0115, gnuplot.hit_colour(family[2], 20 + i * 25))
    end
    text("soft", x - 0.096)
    text(family[1], x - 0.124)
    x = x - 0.19
  end
  if has_fixed then
    swatch(x - 0.018, x, FIXED)
    text("fixed", x - 0.024)
  end
end

local function facts_line(facts, meters, n, drawn)
  local parts = { ("%d bars%s, %d steps, %d hits"):format(#facts.bars,
    #meters == 1 and " of " .. meters[1][2] or "", n, drawn) }
  local asked = 0
  for b in ipairs(facts.bars) do asked = asked + (facts.asked and facts.asked[b] and 1 or 0) end
  if facts.fills > 0 then
    parts[#parts + 1] = ("%d fill%s"):format(facts.fills, facts.fills == 1 and "" or "s")
  end
  if asked > 0 then parts[#parts + 1] = ("%d asked for (pale)"):format(asked) end
  return table.concat(parts, ", ")
end

---@class neuraldrummer.plot_options
---@field out? string path of the picture; its ending chooses PNG, SVG or PDF
---@field tsv? string path of its numbers, one row for each step; default: beside the picture
---@field title? string default: the Sequence's name
---@field sections? neuraldrummer.section[] default: those of the song
---@field direction? neuraldrummer.direction under which the drums were played
---@field from? string[] paths of input files, which are not overwritten

--- Draws a Sequence: the song's intensity, its sections, the bars that end in a fill, what
--- was fixed and asked for, and the drum roll. The numbers are written first, so that they
--- exist even if the picture cannot be drawn.
---@param seq neuraldrummer.sequence
---@param options neuraldrummer.plot_options
---@return boolean? ok
---@return string? message
return function(seq, options)
  options = check(options, { out = "string", tsv = "string", title = "string",
    sections = "table", direction = "table", from = "table" })
  if not options.out and not options.tsv then
    error("options 'out' and 'tsv' are missing: give one of them", 2)
  end
  local tsv, why = gnuplot.data_path(options.out, options.tsv, options.from)
  if not tsv then return nil, why end
  local intensity, facts = seq:metric "intensity", by_bar(seq, options)
  local ok, message = write_tsv(tsv, seq, intensity, facts)
  if not ok then return nil, message end
  if not options.out then return true end

  local lines, add = gnuplot.script()
  local drawn = gnuplot.add_roll(add, seq)
  local meters = meter_labels(facts.bars, #seq)
  local boxes, texts, names, high = strips(seq, facts)
  local strips_at = TOP + INTENSITY + (#meters > 1 and 24 or 8)
  local roll_at = strips_at + high * STRIP + 6
  local height = math.floor(roll_at + ROLL + FOOT)
  local title = options.title or seq:name()
  add("set lmargin at screen %g\nset rmargin at screen %g", LEFT, RIGHT)
  add("set multiplot\nset xrange [0:%d]\nunset xtics", #seq)
  gnuplot.head(add, height, title == "" and "drum roll" or title,
    facts_line(facts, meters, #seq, drawn))
  add_legend(add, height, facts.mask)
  for i = 1, #meters > 1 and #meters or 0 do
    add("set label %d '%s' at first %d, screen %g left font 'sans Bold,11' tc rgb '%s'",
      100 + i, meters[i][2], meters[i][1], 1 - (TOP + INTENSITY + 12) / height, INK)
  end
  gnuplot.place(add, height, TOP, TOP + INTENSITY)
  add_intensity(add, seq, facts.bars, intensity)
  gnuplot.place(add, height, strips_at, strips_at + high * STRIP)
  add_strips(add, boxes, texts, names, high)
  local below = facts.mask and add_fixed(add, seq, facts.mask)
  gnuplot.place(add, height, roll_at, roll_at + ROLL)
  gnuplot.add_roll_panel(add, seq, nil, below)
  add("unset multiplot")
  return gnuplot.draw(options.out, gnuplot.WIDTH, height, lines, tsv)
end
