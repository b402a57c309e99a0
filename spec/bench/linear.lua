--- Time to read songs that other readers take a square of their size for: it
--- must grow as the bytes do. Each kind of song is made in sizes 1, 2, 4 … up to
--- its largest, and read to a Sequence, the best of three times.
---
---     lua5.4 spec/bench/linear.lua [PICTURE.png [ONLY]]
---
--- Prints a table, tab-separated, and draws it, with the same beside it. ONLY: the
--- kinds whose name holds the word. Exit status 1 where time is not in proportion.
local core = require "neuraldrummer.core"
local nd = require "neuraldrummer"
local gnuplot = require "neuraldrummer.plot.gnuplot"

local picture, only = arg[1] or "linear.png", arg[2] or ""
local ROUNDS <const> = 3
-- Nanoseconds a byte, of the largest over the least of the larger ones.
local MOST <const> = 2.5

local function vlq(n)
  local bytes = string.char(n & 0x7f)
  while n > 0x7f do
    n = n >> 7
    bytes = string.char(n & 0x7f | 0x80) .. bytes
  end
  return bytes
end

local END <const> = "\0\xff\x2f\0"

local function file(tracks)
  local chunks = {}
  for i, track in ipairs(tracks) do
    chunks[i] = "MTrk" .. string.pack(">s4", track .. END)
  end
  return ("MThd" .. string.pack(">I4I2I2I2", 6, 1, #tracks, 480)) .. table.concat(chunks)
end

-- `n` notes, one after another, of sixteen pitches in turn; half a step each.
local function notes(n, channel)
  local bar = {}
  for i = 1, 16 do
    local pitch = 40 + i * 5 % 36
    bar[i] = string.char(0, 0x90 | channel, pitch, 90, 60, 0x80 | channel, pitch, 0)
  end
  return table.concat(bar):rep((n + 15) // 16)
end

-- What there is of each kind, at most, and a song with so many.
local KINDS <const> = {
  { "events in one track", 1000000, function(n) return file { notes(n // 2, 0) } end },
  { "tracks", 1000, function(n)
    local tracks = {}
    for i = 1, n do tracks[i] = notes(96, i % 16) end
    return file(tracks)
  end },
  { "tempos, in the last track", 100000, function(n)
    local two = "\30\xff\x51\3\7\xa1\x20" .. "\30\xff\x51\3\6\x1a\x80"
    return file { notes(n // 2, 0), two:rep(n // 2) }
  end },
  { "meters", 65536, function(n)
    local two = "\0\xff\x58\4\2\2\x18\8" .. "\0\x90\x3c\x50" .. vlq(960) .. "\x80\x3c\0"
      .. "\0\xff\x58\4\3\2\x18\8" .. "\0\x90\x40\x50" .. vlq(1440) .. "\x80\x40\0"
    return file { two:rep(n // 2) }
  end },
  { "notes of one pitch at once", 500000, function(n)
    return file { ("\1\x90\x3c\x50"):rep(n) .. ("\1\x80\x3c\0"):rep(n) }
  end },
  { "sysex events", 250000, function(n)
    return file { ("\60\xf0\5\x7e\x7f\9\1\xf7" .. "\0\x90\x3c\x50" .. "\60\x80\x3c\0")
      :rep(n) }
  end },
  { "controllers", 1000000, function(n)
    return file { notes(64, 0) .. ("\1\xb0\7\x40\1\xe0\0\x40"):rep(n // 2) }
  end },
}

local function seconds_of(bytes, tok)
  local best = math.huge
  for _ = 1, ROUNDS do
    collectgarbage()
    local start = os.clock()  -- of the processor: others' work does not count
    local song <close> = assert(nd.song.parse(bytes))
    local seq <close> = assert(tok:encode(song))  -- luacheck: ignore seq
    best = math.min(best, os.clock() - start)
  end
  return best
end

local tok = core.tokeniser()
local rows, bad, bytes_most, bytes_least = {}, 0, 0, math.huge
print("kind\tsize\tbytes\tseconds\tns_a_byte")
for number, kind in ipairs(KINDS) do
  local name, most, make = table.unpack(kind)
  if name:find(only, 1, true) then
    local least, last = math.huge, nil
    local size = most
    local sizes = {}
    while size >= math.max(1, most // 256) do
      table.insert(sizes, 1, size)
      size = size // 2
    end
    for i, n in ipairs(sizes) do
      local bytes = make(n)
      local seconds = seconds_of(bytes, tok)
      local each = seconds / #bytes * 1e9
      -- the smallest are all beginning and end
      if i > #sizes // 2 then least = math.min(least, each) end
      last = each
      rows[#rows + 1] = { name, n, #bytes, seconds, each, number }
      bytes_most, bytes_least = math.max(bytes_most, #bytes), math.min(bytes_least, #bytes)
      print(("%s\t%d\t%d\t%.6f\t%.2f"):format(name, n, #bytes, seconds, each))
      io.flush()
    end
    local held = last <= MOST * least
    bad = bad + (held and 0 or 1)
    io.stderr:write(("%-28s %7d: %8.1f ms, %5.1f ns a byte, %.2f times the least "):format(name,
      most, rows[#rows][4] * 1e3, last, last / least),
      ("(at most %g: %s)\n"):format(MOST, held and "held" or "MISSED"))
  end
end
if #rows == 0 then error(("no kind is named like '%s'"):format(only)) end

local tsv = require "neuraldrummer.files".ending(picture, ".tsv")
assert(gnuplot.write_tsv(tsv, { "kind", "size", "bytes", "seconds", "ns_a_byte" }, rows))
local HEIGHT <const> = 900
local lines, add = gnuplot.script()
local plots = {}
for number, kind in ipairs(KINDS) do
  add("$k%d << END", number)
  local any = false
  for _, row in ipairs(rows) do
    if row[6] == number then
      add("%d %.9g", row[3], row[4])
      any = true
    end
  end
  add("END")
  if any then
    plots[#plots + 1] = ("$k%d using 1:2 with linespoints pt 7 ps 0.9 lw 2 lc rgb '%s' title %s")
      :format(number, gnuplot.colour(gnuplot.SERIES[(number - 1) % #gnuplot.SERIES + 1]),
        gnuplot.label(("%s, up to %d"):format(kind[1], kind[2])))
  end
end
plots[#plots + 1] = ("1e-8*x with lines dt 2 lw 1.5 lc rgb '%s' title 'ten nanoseconds a byte'")
  :format(gnuplot.GREY)
gnuplot.head(add, HEIGHT, "Time to read a song, by its bytes",
  "from the file's bytes to a Sequence: lines as steep as the dashed one are in proportion", 0.09)
gnuplot.place(add, HEIGHT, 100, HEIGHT - 80)
add("set lmargin at screen 0.09\nset rmargin at screen %g", gnuplot.RIGHT)
add("set logscale xy\nset xrange [%d:%d]\nset key top left noenhanced font 'sans,12'",
  bytes_least // 2 + 1, bytes_most * 2)
add("set border 3 lc rgb '%s'\nset grid lc rgb '#e6e8eb'", gnuplot.GREY)
for _, axis in ipairs { "x", "y" } do
  add("set %stics nomirror format '10^{%%L}' tc rgb '%s'", axis, gnuplot.GREY)
end
add("set xlabel 'bytes' tc rgb '%s'\nset ylabel 'seconds' tc rgb '%s'", gnuplot.GREY, gnuplot.GREY)
add("plot %s", table.concat(plots, ", \\\n  "))
assert(gnuplot.draw(picture, gnuplot.WIDTH, HEIGHT, lines, tsv))
io.stderr:write(("%s: drawn; %s: the numbers\n"):format(picture, tsv))
os.exit(bad == 0, true)
