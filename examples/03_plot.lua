--- 03 Pictures.
---   lua5.4 examples/03_plot.lua [FOLDER]   (build/examples)
--- Needs what 02_train.lua made. Draws how the loss fell, what is in the corpus,
--- and what a drummer played to a song, with the numbers beside each as
--- tab-separated values.

package.path = package.path .. ";lua/?.lua;lua/?/init.lua"
package.cpath = package.cpath .. ";build/lib/?.so"

local nd = require "neuraldrummer"
local plot = require "neuraldrummer.plot"
local statistics = require "neuraldrummer.statistics"

local folder = arg[1] or "build/examples"

-- Without gnuplot the pictures are left out, and the reason is said.
local function drawn(path, ok, message) print(ok and path or message) end

-- The training: each batch, its running mean, the songs held out.
drawn("loss.png", plot.loss(folder .. "/drummer.tsv", folder .. "/loss.png"))

-- The corpus: where in the bar each voice is struck, how fast and how full songs are.
local corpus = assert(nd.corpus.open(folder .. "/songs.ndc"))
drawn("corpus.png", plot.corpus(assert(statistics.run(corpus)), { title = "Nine songs of our own",
  out = folder .. "/corpus.png" }))

-- A song out of it, with the drums that it was written with.
for i = 1, #corpus do
  local info = corpus:info(i)
  if info.name:find "funk" or info.name:find "journey" then
    local name = info.name:match "(%a+)%.mid"
    local ok, message = plot.song(assert(corpus:song(i)), { title = name,
      out = ("%s/%s.png"):format(folder, name) })
    drawn(name .. ".png", ok, message)
  end
end

-- The numbers are there in any case, for a spreadsheet or a plot of one's own.
local file = assert(io.open(folder .. "/funk.tsv"))
for _ = 1, 4 do print((file:read "l":gsub("\t+$", ""):gsub("\t", "  "):sub(1, 70))) end
file:close()

--[[ printed:
loss.png
corpus.png
funk.png
journey.png
step  bar  beat  intensity  kick  snare  closed_hat  open_hat  low_tom
1  1  1  -0.7061  92  0  99  0  0  0  0  0  0  A  0
2  1  1.25  -1.15  0  30  0  0  0  0  0  0  0  A  0
3  1  1.5  -1.15  0  0  54  0  0  0  0  0  0  A  0
]]
