--- A folder of songs to a corpus: on one core and on all, and whether the bytes
--- are the same.
local lfs = require "lfs"
local bench = require "spec.bench.support"
local files = require "neuraldrummer.files"

--- The command's option for the number of threads, nil when it has none.
local function option()
  local help = bench.output(bench.quote(bench.settings.TOOL) .. " preprocess --help") or ""
  return help:match "%-%-threads" or help:match "%-%-jobs"
end

--- A folder of `n` links to the files, over and over, with names that say nothing.
local function gather(folder, list, n)
  local at = ("%s/songs-%d"):format(folder, n)
  assert(lfs.mkdir(at))
  for i = 1, n do
    local path = list[(i - 1) % #list + 1]
    if path:sub(1, 1) ~= "/" then path = lfs.currentdir() .. "/" .. path end
    assert(lfs.link(path, ("%s/%d.mid"):format(at, i), true))
  end
  return at
end

return function()
  local folder = bench.folder()
  local list, kind = bench.files(bench.settings.FILES, folder)
  local songs, threads = gather(folder, list, #list), option()
  local function command(out, n)
    return ("%s preprocess %s -o %s/%s.ndc %s"):format(bench.quote(bench.settings.TOOL), songs,
      folder, out, threads and ("%s %d"):format(threads, n) or "")
  end
  local function run(out, n)
    local line = command(out, n) .. " >/dev/null 2>&1"
    return function() return bench.seconds(function() assert(os.execute(line), line) end) end
  end
  local cores = bench.cores()
  local several = threads and cores > 1
  local found = bench.in_turn {
    { "one", run("one", 1) }, several and { "two", run("two", 2) } or nil,
    several and cores > 2 and { "all", run("all", cores) } or nil,
  }
  local function rate_of(seconds) return ("%.0f files/s"):format(#list / seconds) end
  bench.title(("preprocess, %d files %s, the command from its start"):format(#list, kind))
  bench.row("one thread", rate_of(found.one[1]))
  if several then
    bench.row("two threads", rate_of(found.two[1]), "one thread: " .. rate_of(found.one[1]),
      found.one[1] / found.two[1], { at_least = 1.8 })
    if found.all then
      bench.row(("%d threads"):format(cores), rate_of(found.all[1]),
        "one thread: " .. rate_of(found.one[1]), found.one[1] / found.all[1])
    end
    local same = files.read(folder .. "/one.ndc") == files.read(folder .. "/two.ndc")
    bench.row("  the same bytes whatever their number", same and "yes" or "NO", nil,
      same and 1 or 0, { at_least = 1 })
  else
    bench.note(threads and "one core: threads are not compared"
      or "preprocess has no option for threads: one was measured")
  end

  -- Memory against the number of files.
  local few = bench.peak(command("few", 1))
  local n = bench.settings.MANY or 4 * #list
  songs = gather(folder, list, n)
  local many = bench.peak(command("many", 1))
  bench.row(("memory at most, %d files"):format(n), bench.mb(many),
    ("%d files: %s"):format(#list, bench.mb(few)), many / few, { at_most = 1.1 })
  bench.remove(folder)
end
