--- Uses every function of the library once.
---   lua5.4 examples/reference.lua [FOLDER]   (build/examples)
--- Files are left in FOLDER. `make doc` puts each block beside the functions that
--- are named above it, between `--:` and the code; what a line prints stands behind
--- its arrow.

package.path = package.path .. ";lua/?.lua;lua/?/init.lua"
package.cpath = package.cpath .. ";build/lib/?.so"

local folder = arg and arg[1] or "build/examples"
os.execute("mkdir -p '" .. folder .. "'")

local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"

-------------------------------------------------------------------- Songs

--: neuraldrummer.song.new core.song
-- a host's notes: 16 bars of bass and drums, 480 ticks a quarter note
local notes = {}
local function note(tick, pitch, velocity, channel)
  notes[#notes + 1] = { tick = tick, duration = 240, pitch = pitch, velocity = velocity,
    channel = channel }
end
for beat = 0, 63 do
  note(beat * 480, beat % 4 == 0 and 36 or 40 + beat // 16, 90, 2)
  note(beat * 480, beat % 2 == 0 and 36 or 38, 100, 10)
  note(beat * 480, 42, 70, 10)
  note(beat * 480 + 240, 42, 50, 10)
end
local song = nd.song.new { ppq = 480, notes = notes, tempos = { { tick = 0, bpm = 100 } } }
print(song)
  --> song: 1 track, 256 notes, 0:38, drums on channel 10

--: song:save song:bytes song:close
local path = folder .. "/reference.mid"
assert(song:save(path))
print(#song:bytes() > 1000)                   --> true
song:close()
print(song)                                   --> song (closed)

--: neuraldrummer.song.load core.load_song
song = assert(nd.song.load(path))
print(nd.song.load "nowhere.mid")             --> nil	nowhere.mid: No such file or directory

--: neuraldrummer.song.parse core.parse_song
local file <close> = assert(io.open(path, "rb"))
local same = assert(nd.song.parse(file:read "a", { strict = true }))
print(same:bytes() == song:bytes())           --> true

--: song:ppq song:length song:seconds
print(song:ppq(), song:length())              --> 480	30720
print(("%.1f s"):format(song:seconds()))      --> 38.4 s

--: song:notes
print(#song:notes(), #song:notes "drums", #song:notes "others")  --> 256	192	64
for i, each in pairs(song) do                 -- the same, one after another
  if i == 2 then print(each.tick, each.pitch, each.channel) end  --> 0	36	10
end

--: song:tempos song:meters song:tracks
print(song:tempos()[1].bpm, song:meters()[1].numerator)  --> 100.0	4
print(#song:tracks())                         --> 3

--: song:drum_channel song:repairs
print(song:drum_channel())                    --> 10	false
print(#song:repairs())                        --> 0

--: song:pitches song:with_pitches
print(song:pitches()[42])                     --> 128
print(song:with_pitches({ [42] = 44 }):pitches()[44])  --> 128

------------------------------------------------------------- The grid, corpora

--: neuraldrummer.tokeniser core.tokeniser tokeniser:voices tokeniser:settings
local tokeniser = nd.tokeniser { kit = "gm9", steps_per_beat = 4 }
print(tokeniser)                              --> tokeniser: gm9, 4 steps a beat
print(tokeniser:voices()[1], tokeniser:settings().steps_per_beat)  --> kick	4

--: tokeniser:encode sequence:name
local seq = assert(tokeniser:encode(song, "reference"))
print(seq, seq:name())                        --> sequence: 256 steps, 9 voices, 192 hits	reference

--: tokeniser:parse sequence:tokens
local line = seq:tokens()
print(line:sub(1, 16))                        --> 36,42,i-0.6,-1,i
print(#assert(tokeniser:parse(line)) == #seq) --> true

--: tokeniser:close
local other = nd.tokeniser { preset = "neuraldrummer2023" }
other:close()                                 -- `local x <close> = …` does it by itself
print(other)                                  --> tokeniser (closed)

--: sequence:hits sequence:voices
print(("%.2f"):format(seq:hits(1).kick))      --> 0.79
for step, hits in pairs(seq) do
  if step == 5 then print(hits.snare ~= nil, hits.kick) end  --> true	nil
end
print(#seq:hits(), #seq:voices())             --> 256	9

--: sequence:packed_hits sequence:packed_offsets
print(seq:packed_hits():byte(1), #seq:packed_offsets())  --> 100	2304

--: sequence:metric sequence:metrics
print(#seq:metric "intensity", seq:metrics(1).bass)  --> 256	1.0

--: sequence:bars sequence:settings
print(#seq:bars(), seq:bars()[2].first, seq:settings().kit)  --> 16	17	gm9

--: sequence:with_hits
local hits = {}
for step = 1, #seq do hits[step] = { kick = step % 8 == 1 and 0.8 or nil } end
print(seq:with_hits(hits))                    --> sequence: 256 steps, 9 voices, 32 hits

--: sequence:with_bars
print(seq:with_bars { 1, false, 1 })          -- bars 1 and 3 as bar 1, silence elsewhere
  --> sequence: 256 steps, 9 voices, 24 hits

--: sequence:style
print(("%.2f"):format(seq:style()[1] ^ 2))    -- kicks a step
  --> 0.12

--: sequence:self_similarity
print(seq:self_similarity()(1, 1))                    --> 1.0

--: sequence:close
local spare = assert(tokeniser:encode(song))
spare:close()

--: song:with_drums
local combined = song:with_drums(seq:with_hits(hits), { track_name = "Kicks" })
print(#combined:notes "drums", #combined:notes "others")  --> 32	64

--: neuraldrummer.corpus.create core.create_corpus corpus_writer:add corpus_writer:finish
local corpus_path = folder .. "/reference.ndc"
do
  local writer <close> = assert(nd.corpus.create(corpus_path, tokeniser))
  for i = 1, 12 do assert(writer:add(seq, i > 8 and "valid" or "train")) end
  assert(writer:finish())
end

--: corpus_writer:append
do
  local from <close> = assert(nd.corpus.open(corpus_path))
  local writer <close> = assert(nd.corpus.create(folder .. "/half.ndc", tokeniser))
  assert(writer:append(from, 1, 6) and writer:finish())
end

--: corpus_writer:close
local unwanted = assert(nd.corpus.create(folder .. "/unwanted.ndc", tokeniser))
unwanted:close()                              -- not finished: nothing is left of it

--: neuraldrummer.corpus.open core.open_corpus corpus:song corpus:info
local corpus = assert(nd.corpus.open(corpus_path))
print(corpus)                                 --> corpus: 12 songs, 3072 steps, gm9
print(assert(corpus:song(1)):name(), corpus:info(12).split)  --> reference	valid
for i, each, message in pairs(corpus) do      -- `each` is nil where a song is broken
  if i == 12 then print(#assert(each, message)) end  --> 256
end

--: corpus:path corpus:settings corpus:tokeniser
print(corpus:path() == corpus_path)           --> true
print(corpus:settings().kit, corpus:tokeniser() == tokeniser)  --> gm9	true

--: corpus:close
local again = assert(nd.corpus.open(corpus_path))
again:close()

--: preprocess.run
local preprocess = nd.preprocess
os.execute(("mkdir -p '%s/songs' && cp '%s' '%s/songs'"):format(folder, path, folder))
local summary = assert(preprocess.run(folder .. "/songs", folder .. "/songs.ndc",
  { valid_every = 0, on_progress = function(done, total) assert(done <= total) end }))
print(summary.accepted > 0, summary.voices[1].name)  --> true	kick

--: shards.merge
local shards, parts = nd.shards, {}
for k = 1, 2 do
  parts[k] = ("%s/part-%d.ndc"):format(folder, k)
  assert(preprocess.run(folder .. "/songs", parts[k], { shard = { k, 2 }, valid_every = 0 }))
end
local merged = assert(shards.merge(parts, folder .. "/merged.ndc"))
print(merged.accepted == summary.accepted)            --> true

--: statistics.run statistics.classes
local statistics = nd.statistics
local found = assert(statistics.run(corpus))
print(found.bars, statistics.classes(found.tempo, statistics.TEMPO)[1][1])  --> 192	100

-------------------------------------------------------------------- Models

--: neuraldrummer.model.new core.model model:config model:tokeniser
local model = nd.model.new { preset = "drummer", hidden = 8, layers = 1, encoder = 4, seed = 1 }
print(model:config().preset, model:tokeniser() == tokeniser)  --> drummer	true

--: model:tensors model:tensor model:set_tensor
local name = model:tensors()[1]
local values, shape = model:tensor(name)
print(#values == shape[1] * (shape[2] or 1))  --> true
model:set_tensor(name, values)

--: corpus:batches batches:next batches:count batches:position batches:shape batches:songs
local batches = corpus:batches { model = model, batch = 4, steps = 16, seed = 1 }
assert(batches:next())
print(batches:count() > 1, batches:songs())   --> true	8
print(batches:position())                        --> 1	1
print((batches:shape()))                      --> 16

--: model:train_step model:gradient
local loss, norm = assert(model:train_step(batches, { rate = 1e-3, clip = 1 }))
print(loss > 0, norm > 0, #model:gradient(name) == #values)  --> true	true	true

--: model:training_bytes
print(model:training_bytes() > model:training_bytes { batch = 4, steps = 16 })  --> true

--: model:loss
local mean, count = model:loss(batches)
print(mean < 1, count)                        --> true	576

--: batches:close
batches:close()

--: core.batch
local shape_of = model:config()
local x, y = {}, {}
for i = 1, 2 * shape_of.inputs do x[i] = 0.5 end
for i = 1, 2 * shape_of.voices do y[i] = i % 2 end
local own = core.batch(model, { steps = 2, batch = 1, x = x, y = y })
print(model:loss(own) > 0)                    --> true

--: model:learn_styles model:styles
print(model:learn_styles(corpus))             --> 8
print(#model:styles(seq), model:styles()[1].name)  --> 8	reference

--: model:save model:is_finite model:extra neuraldrummer.model.load core.load_model
local model_path = folder .. "/reference.safetensors"
print(model:is_finite())                          --> true
assert(model:save(model_path, { extra = { band = "ours" } }))
model = assert(nd.model.load(model_path))
print(model:extra().band)                     --> ours

--: model:threads model:close
model:threads(1)
local second = assert(nd.model.load(model_path))
second:close()

--: neuraldrummer.default_model
print(nd.default_model():match "[^/]*$")      --> drummer.safetensors

--: train.run
local train = nd.train
local state = assert(train.run(corpus, { model = nd.model.new { hidden = 8, layers = 1,
  encoder = 0 }, out = folder .. "/small.safetensors", log = folder .. "/small.tsv", epochs = 1,
  on_progress = function(now) assert(now.loss == now.loss) end }))
print(state.epochs, state.interrupted)        --> 1	false

--: neuraldrummer.join mpi.join world:rank world:size world:any world:leave world:close
-- the same, as one of the processes of `mpirun -n 4 lua5.4 …`, with `make MPI=1`
local function train_together()
  local world = assert(nd.join())
  local ended = assert(train.run(corpus, { out = "m.safetensors", distributed = world }))
  if world:rank() == 1 then print(ended.best, "by", world:size()) end
  if not world:any(ended.diverged) then world:leave() end
  world:close()                               -- without leaving, it ends the others too
end

--: world:sum world:same world:abort
-- by hand: all processes make the same calls in the same order
local function learn_together(world)
  local shared = corpus:batches { model = model, world = world }
  if not world:same(tostring(corpus)) then world:abort(2) end
  while shared:next() do model:train_step(shared) end
  local tally, n = model:loss(shared)         -- of the streams that are here
  return world:sum { tally * n, n }
end
print(type(train_together), type(learn_together))  --> function	function

--: train.rate
print(train.rate({ rate = 1, warmup = 10, cosine = false, floor = 0 }, 5, 100))  --> 0.5

--: evaluate.teacher evaluate.free evaluate.baselines evaluate.matching
local evaluate = nd.evaluate
local few = { songs = 2, steps = 64 }
print(assert(evaluate.teacher(model, corpus, few))[1].bits > 0)  --> true
print(assert(evaluate.free(model, corpus, few))[1].density >= 0) --> true
print(#assert(evaluate.baselines(corpus, few)) > 2)              --> true
print(#assert(evaluate.matching(model, corpus, { split = "all" })))  --> 1

--: evaluate.table evaluate.format evaluate.legend
local rows = assert(evaluate.table({ { model = model, label = "mine" } }, corpus, few))
print(evaluate.format(rows):match "mine")     --> mine
print(evaluate.legend(rows):match "free F1 +([^:]*)")  --> F1 of the hits

------------------------------------------------------------------- Playing

--: neuraldrummer.generator core.generator generator:play generator:style
local generator = nd.generator(model, { seed = 7, temperature = 0.9 })
local drums = generator:play(seq)
print(#drums == #seq, (generator:style()) ~= nil)  --> true	true

--: generator:choose
print(#generator:choose(seq, 1))              --> 230

--: generator:step generator:probabilities generator:reset
-- along with a host, one step after another: a model that hears no step to come
local live = nd.model.new { hidden = 8, layers = 1, encoder = 0, seed = 1 }
local along = nd.generator(live, { seed = 7 })
print(type(along:step(seq:metrics(1))))       --> table
print(along:probabilities().kick > 0)                  --> true
along:reset()

--: generator:close
along:close()

--: generate.drum generate.count
local generate = nd.generate                  -- loaded when it is first used
local result = assert(generate.drum(path, { out = folder .. "/drummed.mid", seed = 7,
  energy = "1-8:-0.5", fills = "sections", keep = "kick", kit_out = "roland-td" }))
local voices, total = generate.count(result.drums)
print(voices[1].name, total == result.hits)   --> kick	true

--: generate.open_model generate.styles
print(assert(generate.open_model(model_path)):config().preset)  --> drummer
print(#assert(generate.styles(path, { model = model })))        --> 8

--: generate.play
print(#assert(generate.play(model, song, seq, { seed = 7, humanise = 0 })))  --> 256

--: sketch.play sketch.form
local sketch = nd.sketch
print(#assert(sketch.play { form = "verse2,chorus2", model = model }).sections)  --> 2
print(sketch.form("intro4,verse8")[2].first)  --> 5

--: sketch.continue
print(assert(sketch.continue(path, { bars = 2, model = model })).steps)  --> 288

--: direction.bars direction.voices
local direction = nd.direction
print(direction.bars("bars", "9-12", 16)[9])  --> true
print(direction.voices("keep", "hats", seq:voices())[3])  --> true

--: direction.energy direction.fills
print(direction.energy("1-8:-1>1", 16)[8])    --> 1.0
print(direction.fills("every 8", seq)[8])     --> true

--: direction.fixed_hits
local fixed, mask = direction.fixed_hits(seq, { keep = "kick" })
print(#generator:play(seq, { fixed = fixed, mask = mask }), #mask)  --> 256	2304

--: styles.resolve styles.encode styles.load
local styles = nd.styles
print(styles.resolve("ride=0.6", seq, model, generator)[9])  --> 0.6
local style_path = folder .. "/mine.style"
local style_file <close> = assert(io.open(style_path, "w"))
style_file:write(styles.encode("mine", seq)):flush()
print(#assert(styles.load(style_path, seq)))  --> 230

--: sections.find sections.reuse
local sections = nd.sections
print(sections.find(seq)[1].first)            --> 1
print(sections.reuse(seq, drums, {}, { vary = 0.5 }))  --> nil

--: swing.feel swing.read swing.apply
local swing = nd.swing
print(swing.feel(song).amount)                --> 0
local amount, unit = swing.read("0.5/8", song)
print(#swing.apply(seq, amount, unit))        --> 256

--: core.humanise core.retime
local touch = assert(nd.model.load(assert(nd.default_model "touch")))
print(#core.humanise(touch, seq, { amount = 1, seed = 1 }))  --> 256
local later = {}
for step = 1, #seq do later[step] = step + 1 end
print(core.retime(seq, later):hits(2).kick ~= nil)  --> true

--: core.bar_styles
print(#core.bar_styles(seq))                  --> 16

--: core.play
local takes = core.play({ nd.generator(model), nd.generator(model, { seed = 2 }) }, seq, {},
  function(products) assert(products > 0) end)
print(#takes, takes[1]:packed_hits() == nd.generator(model):play(seq):packed_hits())  --> 2	true

--: score.run score.worst_bars score.rank core.log_likelihood
local score = nd.score
local fit = assert(score.run(model, seq, { others = 2 }))
print(fit.of, #score.worst_bars(fit, 3) <= 3) --> 2	true
print(score.rank(model, { seq })[1] < 0)      --> true
print(#core.log_likelihood(model, seq))                --> 256

--: explain.run explain.words explain.format core.explain
local explain = nd.explain
local why = assert(explain.run(model, seq, { bar = 2 }))
print(type(explain.words(why.reasons[1])), #explain.format(why) > 0)  --> string	true
print(#core.explain(model, seq, 17, 17))      --> 2

---------------------------------------------------------------- Kits, pictures

--: kits.names kits.load kits.open
local kits = nd.kits
print(kits.names()[1])                        --> addictive-drums-2
local roland = assert(kits.load "roland-td")
print(roland, kits.open(roland) == roland)    --> kit map: Roland TD, 22 pitches	true

--: kits.parse
print(kits.parse("like roland-td\n60 46 wide open", "mine").writes[46])  --> 60

--: kits.to_general_midi kits.output_pitches kits.unknown_pitches kits.missing_pitches
local heard, unknown = kits.to_general_midi(song, roland)
print(#heard, unknown.hits)                   --> 256	0
print(kits.output_pitches(roland)[50])               --> 48
print(kits.unknown_pitches(song, tokeniser).hits, kits.missing_pitches(song, roland).hits)  --> 0	0

--: kits.describe
print(kits.describe { { pitch = 91, hits = 12 }, { pitch = 95, hits = 1 } })
  --> 91 (12 hits), 95 (1)

--: plot.song plot.corpus plot.score plot.explain plot.loss plot.compare plot.figures
-- without gnuplot they give nil and the reason, and leave the numbers and a script
local plot = nd.plot
local function drawn(ok, message) return ok or message:find "gnuplot" ~= nil end
print(drawn(plot.song(seq, { out = folder .. "/roll.svg" })))            --> true
print(drawn(plot.corpus(found, { out = folder .. "/corpus.svg" })))     --> true
print(drawn(plot.score(seq, fit, { out = folder .. "/fit.svg" })))       --> true
print(drawn(plot.explain(seq, why, { out = folder .. "/why.svg" })))     --> true
print(drawn(plot.loss(folder .. "/small.tsv", folder .. "/loss.svg")))   --> true
print(drawn(plot.compare({ folder .. "/small.tsv", folder .. "/small.tsv" },
  folder .. "/losses.svg")))                                             --> true
print(drawn(plot.figures(rows, folder .. "/figures.svg")))               --> true

--: progress.new progress:update progress:clear progress:finish progress.line progress.time
local progress = nd.progress
do
  local bar <close> = progress.new(2, "songs")  -- drawn on a terminal alone
  for i = 1, 2 do bar:update(i, "loss 0.5") end
  bar:clear()                                 -- to print a line; the next update draws it again
  bar:finish()                                -- for good; `<close>` does it as well
end
print(progress.line(60, 1, 2, "songs", 10))
  --> [##############..............] 1/2 songs  10.0/s  0:00 left
print(progress.time(225))                     --> 3:45

------------------------------------------------------------------- The machine

--: core.catch_interrupt interrupt:seen interrupt:close
do
  local interrupt <close> = core.catch_interrupt()
  print(interrupt:seen())                     --> false
  interrupt:close()                           -- as its end does
end

--: core.cpu
local machine = core.cpu()
print(type(machine.blas), machine.packed ~= nil)  --> string	true
