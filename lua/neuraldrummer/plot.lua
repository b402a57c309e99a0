--- Pictures drawn by gnuplot, each with its numbers beside it in a TSV file. Without
--- gnuplot, the numbers and the script are written.
local analysis = require "neuraldrummer.plot.analysis"
local training = require "neuraldrummer.plot.training"

---@class neuraldrummer.modules.plot
return {
  song = require "neuraldrummer.plot.song",
  corpus = require "neuraldrummer.plot.corpus",
  score = analysis.score,
  explain = analysis.explain,
  loss = training.loss,
  compare = training.compare,
  figures = require "neuraldrummer.plot.figures",
}
