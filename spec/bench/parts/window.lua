--- Playing, against the original's way: the window run again for every step.
local bench = require "spec.bench.support"
local core = require "neuraldrummer.core"

local ORIGINAL <const> = { at_least = 200 }

--- Starts the peers' ways of playing with a net.
local function peers_of(model)
  local c = model:config()
  local words = ("preset=%s window=8 layers=%d hidden=%d encoder=0 encoded=0 inputs=%d voices=%d "
    .. "dropout=0.3 threads=1 seconds=%g"):format(c.preset, c.layers, c.hidden,
    c.preset == "drummer" and c.inputs - c.encoded + 2 * c.encoder or c.inputs, c.voices,
    bench.settings.SECONDS)
  local list = bench.networks("window " .. words)
  if c.preset == "neuraldrummer2023" and bench.version "keras" and bench.version "tensorflow" then
    list[#list + 1] = bench.peer("peer_keras.py", "predict " .. words)
  end
  return list
end

return function()
  local song = bench.song(bench.beats())
  local drummer = bench.drummer()
  local original = core.model { preset = "neuraldrummer2023",
    hidden = bench.settings.QUICK and 8 or nil }
  local function player(model, options)
    local seq = assert(model:tokeniser():encode(song))
    local gen = core.generator(model, options)
    return function()
      return bench.seconds(function()
        gen:reset()
        gen:play(seq)
      end) / #seq
    end
  end
  local ways = {
    { "drummer", player(drummer) },
    { "original", player(original, { cutoff = 0.2, forced = 1 }) },
  }
  local theirs, same = peers_of(original), peers_of(drummer)
  for _, list in ipairs { theirs, same } do
    for _, peer in ipairs(list) do
      ways[#ways + 1] = { peer, function()
        local us = peer.ask()
        return us and us * 1e-6
      end }
    end
  end
  local found = bench.in_turn(ways)
  bench.close(theirs)
  bench.close(same)

  local function rows(what, ours, list, limit)
    for _, peer in ipairs(list) do
      if found[peer] then
        bench.row(what, bench.us(ours), ("%s: %s"):format(peer.name, bench.us(found[peer][1])),
          found[peer][1] / ours, limit)
      end
    end
  end
  bench.title "playing, a step of a whole song, one thread"
  bench.row("drummer", bench.us(found.drummer[1]))
  rows("  against the 2023 net, its window run again", found.drummer[1], theirs, ORIGINAL)
  rows("  against its own playing layers, run so", found.drummer[1], same)
  bench.row("neuraldrummer2023", bench.us(found.original[1]))
  rows("  against the same net, its window run again", found.original[1], theirs)
end
