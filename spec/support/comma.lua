--- All that writes numbers, in the locale that is named; run by decimal_spec:
---     lua5.4 spec/support/comma.lua FOLDER [LOCALE]
local folder, locale = arg[1], arg[2]
if locale and not os.setlocale(locale) then os.exit(3) end
local nd = require "neuraldrummer"
local evaluate = require "neuraldrummer.evaluate"
local explain = require "neuraldrummer.explain"
local files = require "neuraldrummer.files"
local generate = require "neuraldrummer.generate"
local plot = require "neuraldrummer.plot"
local preprocess = require "neuraldrummer.preprocess"
local statistics = require "neuraldrummer.statistics"
local styles = require "neuraldrummer.styles"
local train = require "neuraldrummer.train"

local function path(name) return folder .. "/" .. name end
local function keep(name, text) assert(files.write(path(name), text)) end

assert(require "lfs".mkdir(path "songs"))
assert(dofile "examples/songs/all.lua".write(path "songs"))
local song = path "songs/rock.mid"
local seq = assert(nd.tokeniser():encode(assert(nd.song.load(song))))
keep("tokens.txt", seq:tokens())
keep("own.style", styles.encode("rock", seq))
local model = assert(nd.model.load(assert(nd.default_model())))
keep("explain.txt", explain.format(assert(explain.run(model, seq, { bar = 3 }))))
assert(generate.drum(song, { out = path "drums.mid", style = path "own.style", humanise = 0.5,
  energy = 0.5 }))
assert(plot.song(assert(nd.tokeniser():encode(assert(nd.song.load(path "drums.mid")))),
  { out = path "drums.svg" }))
assert(preprocess.run(path "songs", path "songs.ndc"))
local corpus = assert(nd.corpus.open(path "songs.ndc"))
local options = { out = path "model.safetensors", log = path "model.tsv", hidden = 4, layers = 1,
  encoder = 2, epochs = 1, batch = 2, steps = 32, rate = 0.0015, dropout = 0.125 }
assert(train.run(corpus, options))
-- what was written is read again, and goes on
assert(train.run(corpus, { out = options.out, log = options.log, resume = true, epochs = 2 }))
local small = assert(nd.model.load(options.out))
keep("evaluate.txt", evaluate.format(assert(evaluate.free(small, corpus, { songs = 1,
  split = "all" }))))
assert(plot.loss(options.log, path "loss.svg"))
assert(plot.corpus(assert(statistics.run(corpus)), { out = path "corpus.svg" }))
