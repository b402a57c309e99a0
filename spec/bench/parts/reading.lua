--- Reading MIDI files: bytes to Sequences, against libraries that parse alone.
local bench = require "spec.bench.support"
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local nd = require "neuraldrummer"

-- None is wanted of symusic: it is the mark to reach.
local LIBRARIES <const> = { { "pretty_midi", { at_least = 50 } }, { "mido", { at_least = 10 } },
  { "symusic" } }

return function()
  local folder = bench.folder()
  local list, kind = bench.files(bench.settings.FILES, folder)
  local all, size = {}, 0
  for i, path in ipairs(list) do
    all[i] = assert(files.read(path))
    size = size + #all[i]
  end
  local tok = core.tokeniser()
  local done, parsed
  local function to_sequences()
    done = 0
    for _, bytes in ipairs(all) do
      local song <close> = nd.song.parse(bytes)
      local seq <close> = song and tok:encode(song)
      done = done + (seq and 1 or 0)
    end
  end
  local function parse()
    parsed = 0
    for _, bytes in ipairs(all) do
      local song <close> = nd.song.parse(bytes)
      parsed = parsed + (song and 1 or 0)
    end
  end
  local listed = folder .. "/list"
  assert(files.write(listed, table.concat(list, "\n") .. "\n"))
  local ways, peers = {
    { "ours", function() return bench.seconds(to_sequences) end },
    { "parsing", function() return bench.seconds(parse) end },
  }, {}
  for _, library in ipairs(LIBRARIES) do
    local peer = bench.version(library[1])
      and bench.peer("peer_midi.py", ("%s %s"):format(library[1], listed))
    if peer then
      peers[#peers + 1] = { peer = peer, limit = library[2] }
      ways[#ways + 1] = { peer, function()
        local seconds, n = peer.ask()
        peers[peer] = n
        return seconds
      end }
    end
  end
  local found = bench.in_turn(ways)

  local function rate_of(seconds) return ("%.0f files/s"):format(#all / seconds) end
  bench.title(("reading %d files %s, %s, one core"):format(#all, kind, bench.mb(size)))
  bench.row(("bytes to Sequences, %d done"):format(done), rate_of(found.ours[1]))
  for _, each in ipairs(peers) do
    local peer, times = each.peer, found[each.peer]
    if times then
      bench.row(("  against %s alone, which parses %d"):format(peer.name:match "^%S+", peers[peer]),
        rate_of(found.ours[1]), ("%s: %s"):format(peer.name, rate_of(times[1])),
        times[1] / found.ours[1], each.limit)
    end
  end
  bench.row(("parsing alone, %d done"):format(parsed), rate_of(found.parsing[1]),
    ("of the time that Sequences take: %.0f %%"):format(found.parsing[1] / found.ours[1] * 100))
  for _, each in ipairs(peers) do each.peer.close() end
  bench.remove(folder)
end
