--- Pictures, drawn by gnuplot. The numbers of each picture are written beside it as
--- tab-separated values. Without gnuplot, only the numbers and the script are written.
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
