--- Pictures drawn by gnuplot, each with its numbers beside it in a TSV file. Without
--- gnuplot, the numbers and the script are written.
local judge = require "neuraldrummer.plot.judge"
local training = require "neuraldrummer.plot.training"

---@class neuraldrummer.plot
return {
  song = require "neuraldrummer.plot.song",
  corpus = require "neuraldrummer.plot.corpus",
  score = judge.score,
  explain = judge.explain,
  loss = training.loss,
  compare = training.compare,
  figures = require "neuraldrummer.plot.figures",
}
