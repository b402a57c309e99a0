--- Pictures by gnuplot, each with its numbers beside it as tab-separated values;
--- where gnuplot isn't installed, the numbers and the script that draws them.
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
  figures = training.figures,
}
