--- Pictures by gnuplot, each with its numbers beside it as tab-separated values;
--- where gnuplot isn't installed, the numbers and the script that draws them.
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
  figures = training.figures,
}
