--- 02 A small drummer, trained.
---   lua5.4 examples/02_train.lua [FOLDER [EPOCHS]]   (build/examples, 40)
--- Needs what 01_preprocess.lua made. Trains a small network of ours, and one as
--- the original system had it, smaller too; some seconds each. To train in
--- earnest, on songs of one's own: `neuraldrummer preprocess`, `neuraldrummer train`.

package.path = package.path .. ";lua/?.lua;lua/?/init.lua"
package.cpath = package.cpath .. ";build/lib/?.so"

local nd = require "neuraldrummer"
local train = require "neuraldrummer.train"

local folder = arg[1] or "build/examples"
local epochs = math.tointeger(arg[2] or 40)

-- Ours reads whole stretches of a song, step by step, and keeps its state. Being
-- causal, it hears no step to come, and can play along live as well (see 04).
local corpus = assert(nd.corpus.open(folder .. "/songs.ndc"))
local model = nd.model.new { preset = "drummer", tokeniser = corpus:tokeniser(), hidden = 128,
  layers = 1, causal = true, seed = 1 }
print(("drummer: %d parameters, %d songs"):format(model:config().parameters, #corpus))
print "epoch    loss  valid"
local shown = 0
local state = assert(train.run(corpus, {
  model = model, out = folder .. "/drummer.safetensors", log = folder .. "/drummer.tsv",
  epochs = epochs, batch = 8, steps = 64, rate = 4e-3, warmup = 20,
  on_progress = function(s)
    if s.batch == 0 and s.epoch - 1 > shown then
      shown = s.epoch - 1
      if shown % 10 == 0 or shown == epochs then
        print(("%5d  %.4f  %.4f"):format(shown, s.loss, s.valid_loss))
      end
    end
  end,
}))
print(("best validation loss %.4f, of epoch %d"):format(state.best, state.best_epoch))

-- A checkpoint holds all that playing needs: weights, settings, tokeniser.
local again = assert(nd.model.load(folder .. "/drummer.safetensors"))
print(("saved and read again: %s, %d tensors, kit %s"):format(again:config().preset,
  #again:tensors(), again:tokeniser():settings().kit))

-- The original's network sees windows of eight steps, each from an empty state.
-- An epoch is a batch of 50 for every 50 songs, so here it takes many (and four
-- times its rate, to be done in seconds).
local saved = assert(nd.corpus.open(folder .. "/saved.txt"))
local original = nd.model.new { preset = "neuraldrummer2023", hidden = 64, seed = 1 }
print(("\nneuraldrummer2023: %d parameters"):format(original:config().parameters))
state = assert(train.run(saved, {
  model = original, out = folder .. "/original.safetensors", log = folder .. "/original.tsv",
  epochs = 20 * epochs, rate = 4e-3, keep_epochs = false,
}))
print(("loss %.4f after %d batches"):format(state.loss, state.epochs * state.batches))

--[[ printed:
drummer: 263478 parameters, 9 songs
epoch    loss  valid
   10  0.1315  0.1932
   20  0.1082  0.1776
   30  0.0912  0.1755
   40  0.0896  0.1726
best validation loss 0.1690, of epoch 25
saved and read again: drummer, 10 tensors, kit gm9

neuraldrummer2023: 135174 parameters
loss 0.1080 after 800 batches
]]
