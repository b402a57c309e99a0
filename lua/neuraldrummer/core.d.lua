---@meta neuraldrummer.core
--- The C side, described for editors. World failures return `nil, message`;
--- misuse raises; option tables are strict. Indices of songs, steps, notes and
--- voices count from 1; channels are 1..16; velocities are 0..1 unless said.

---@class neuraldrummer.core
---@field version string
local core = {}

--------------------------------------------------------------------- Song

---@class neuraldrummer.note
---@field tick integer start, in ticks of the song's ppq
---@field duration integer ticks
---@field pitch integer 0..127
---@field velocity integer 1..127 (MIDI's own scale, as a host has it)
---@field channel? integer 1..16, default 1
---@field program? integer 0..127, default 0
---@field track? integer from 1, default 1

---@class neuraldrummer.song : userdata
local song = {}

--- A song from a host's notes. Meters have denominators that are powers of two
--- up to 128; what is wrong is named with its field and index.
---@param spec {ppq: integer, notes: neuraldrummer.note[], tempos?: {tick: integer, bpm: number}[], meters?: {tick: integer, numerator: integer, denominator: integer}[], drum_channel?: integer, name?: string}
---@return neuraldrummer.song
function core.song(spec) end

---@class neuraldrummer.load_options
---@field drum_channel? integer 1..16; default: 10 when it has notes, else by a track's name
---@field strict? boolean refuse files of which events would be lost (default false: repair, report)
---@field max_bytes? integer default 256 MiB
---@field max_events? integer default 8,000,000
---@field max_tracks? integer default 4,096

--- Reads the bytes of a MIDI file. `song:repairs()` lists what was repaired; bytes
--- that cannot be read are refused with "reason at byte N".
---@param bytes string
---@param options? neuraldrummer.load_options
---@return neuraldrummer.song? song
---@return string? message
function core.parse_song(bytes, options) end

--- Reads a MIDI file; a message begins with its path.
---@param path string
---@param options? neuraldrummer.load_options
---@return neuraldrummer.song? song
---@return string? message
function core.load_song(path, options) end

---@return integer ppq ticks a quarter note
function song:ppq() end
--- Notes as tables, in order of time. `which`: "all" (default), "drums", "others".
---@param which? "all"|"drums"|"others"
---@return neuraldrummer.note[]
function song:notes(which) end
--- How many drum notes there are of each pitch: {[36] = 212, [38] = 96}.
---@return table<integer, integer>
function song:pitches() end
--- A Song whose drum notes have other pitches, to be laid on a grid: what `map`
--- has no number for stays. It is no file any more, and has mended nothing.
---@param map table<integer, integer> by pitch, 0..127
---@return neuraldrummer.song
function song:with_pitches(map) end
---@return {tick: integer, bpm: number}[]
function song:tempos() end
---@return {tick: integer, numerator: integer, denominator: integer}[]
function song:meters() end
---@return string[] names of tracks, "" where none
function song:tracks() end
---@return {offset: integer, lossy: boolean, text: string}[] what the reader mended
function song:repairs() end
--- 1..16; nil when the song has no drums. Second: whether it was guessed from a
--- track's name (then notes of other tracks on that channel are none).
---@return integer? channel
---@return boolean guessed
function song:drum_channel() end
---@return number seconds
function song:seconds() end
---@return integer ticks
function song:length() end
--- The song's own drums taken out, `drums` put in as a track of their own, on
--- the song's drum channel, or 10 where it has none of its own. Of a song that
--- was read, every other track stays byte for byte. `length`: of a drum note, in
--- steps (default 0.5); `velocity`: a factor; `tail`: beats that the track goes on
--- behind the song; `pitches`: by a drum's pitch, the one to write, and under
--- (tick + 1) * 128 + pitch the one to write on that tick.
---@param drums neuraldrummer.sequence
---@param options? {keep_drums?: boolean, drums_alone?: boolean, length?: number, velocity?: number, track_name?: string, tail?: number, pitches?: table<integer, integer>}
---@return neuraldrummer.song
function song:with_drums(drums, options) end
--- The whole MIDI file as a string: the one that was read, or one written for
--- a host's notes.
---@return string bytes
function song:bytes() end
--- Written beside and renamed: never half a file.
---@param path string
---@return boolean? ok
---@return string? message
function song:save(path) end
function song:close() end

---------------------------------------------------------------- Tokeniser

---@class neuraldrummer.tokeniser : userdata
local tokeniser = {}

---@class neuraldrummer.tokeniser_options
---@field preset? "drummer"|"neuraldrummer2023"
---@field kit? string|{name: string, [integer]: {name: string, pitches: integer[]}} "gm9",
--- "basic6", "full17", a kit_text, or voices of one's own: the first pitch is the one written
---@field steps_per_beat? integer 2, 4, 6, 8 or 12
---@field beat? "quarter"|"meter" what a beat is
---@field include_drums? boolean drums count in the intensity
---@field max_steps? integer longer songs are refused (default 2^20), and songs of more bars
--- than an eighth of it, or than 2^17 where that is more

--- Two tokenisers of the same settings are equal (==).
---@param options? neuraldrummer.tokeniser_options
---@return neuraldrummer.tokeniser
function core.tokeniser(options) end

---@param s neuraldrummer.song
---@param name? string kept with the Sequence
---@param max_steps? integer for this song, instead of the tokeniser's own
---@return neuraldrummer.sequence? sequence
---@return string? message
function tokeniser:encode(s, name, max_steps) end
--- One line of token text; malformed, the message names the column.
---@param line string
---@return neuraldrummer.sequence? sequence
---@return string? message
function tokeniser:parse(line) end
---@return string[] names of the kit's voices
function tokeniser:voices() end
--- {preset-free description}: kit (name), kit_text, steps_per_beat,
--- beat, include_drums, original, max_steps
---@return table settings
function tokeniser:settings() end
function tokeniser:close() end

----------------------------------------------------------------- Sequence

---@class neuraldrummer.bar
---@field first integer number of its first step, from 1
---@field last integer number of its last step
---@field numerator integer of the meter
---@field denominator integer

---@class neuraldrummer.sequence : userdata
local sequence = {}

---@return string token text line, without newline
function sequence:tokens() end
--- Hits of step `i`, or of all when left out: {kick = 0.8, …} keyed by voice
--- name with velocities 0..1; struck voices only.
---@param i? integer
---@return table<string, number>|table<string, number>[]
function sequence:hits(i) end
--- Hits as one string of #seq * voices bytes (velocity 0..127), for fast work.
---@return string
function sequence:packed_hits() end
--- Offsets likewise: a signed byte each, in 1/256 of a step.
---@return string
function sequence:packed_offsets() end
---@param i integer
---@return table<string, number> metrics by name
function sequence:metrics(i) end
--- One metric over the whole song.
---@param name string
---@return number[]
function sequence:metric(name) end
--- The bars of the grid, in order: the numbers of their first and last steps, and the meter.
---@return neuraldrummer.bar[]
function sequence:bars() end
---@return string[] voice names
function sequence:voices() end
---@return string name
function sequence:name() end
---@return table settings as tokeniser:settings()
function sequence:settings() end
--- A new Sequence with the same grid and metrics and other hits: a list of one
--- table a step, keyed by voice name (velocity 0..1; true is 1), or packed bytes.
---@param hits table<string, number|boolean>[]|string
---@return neuraldrummer.sequence
function sequence:with_hits(hits) end
--- A new Sequence with the same grid and metrics, whose bar `b` has the drums of
--- bar `map[b]` of `from` (default: of itself), and none where there is no
--- number. Both bars have as many steps.
---@param map table<integer, integer|false>
---@param from? neuraldrummer.sequence of the same kit
---@return neuraldrummer.sequence
function sequence:with_bars(map, from) end
--- How its drums are played as a whole: for each voice the square root of its
--- rate a step; the shares of bars that repeat the one before, of hits off the
--- eighths, of snare hits on back-beats, of bars without hits, of fills among the
--- others; then the groove, for each of 24 sixteenths of a bar the square root of
--- each voice's rate there. All 0..1.
---@return number[]
function sequence:style() end
--- How alike bars are by what is heard in them beside the drums: 1 for the same,
--- about 0 for two of the song's bars taken by chance.
---@return fun(a: integer, b: integer): number
function sequence:self_similarity() end
function sequence:close() end

------------------------------------------------------------------- Corpus

---@class neuraldrummer.corpus : userdata
local corpus = {}

--- A new corpus file, to be filled by `add` and ended by `finish`; until then
--- the path is as it was. Sequences must have the tokeniser's settings.
---@param path string
---@param tok neuraldrummer.tokeniser
---@return neuraldrummer.corpus_writer? writer
---@return string? message
function core.create_corpus(path, tok) end

---@class neuraldrummer.corpus_writer : userdata
local writer = {}
---@param seq neuraldrummer.sequence
---@param split? "train"|"valid"
---@return boolean? ok
---@return string? message
function writer:add(seq, split) end
--- Songs of another corpus of the same settings, with their names and splits, as
--- they are: all of them, or from `first` to `last`.
---@param from neuraldrummer.corpus
---@param first? integer
---@param last? integer
---@return boolean? ok
---@return string? message
function writer:append(from, first, last) end
---@return boolean? ok
---@return string? message
function writer:finish() end
--- Without finish: the unfinished file is removed.
function writer:close() end

---@class neuraldrummer.ingest_options
---@field tokeniser neuraldrummer.tokeniser
---@field into? neuraldrummer.corpus_writer of the same settings; without one, token text is made
---@field pitches? table<integer, integer|false> a kit map's `reads`
---@field min_steps? integer songs of so many steps or fewer are not kept (default 0)
---@field valid_every? integer of files without a split one in so many is for validation, chosen by
--- content (default 0: none)
---@field threads? integer 1 to 64, default 1: the result is the same
---@field max_bytes? integer larger files are left out (default 256 MiB)
---@field max_events? integer ... with more events (default 8,000,000)
---@field max_tracks? integer ... with more tracks (default 4,096)

--- Reads MIDI files, lays them on the grid and adds the songs that have drums of
--- the kit to a corpus, in the order of the files. Of each file: what was made of
--- it, `hits` by voice, `unknown` drum notes by pitch; or why it was left out,
--- `unread` where the file itself could not be read.
---@param list {path: string, name: string, split?: "train"|"valid"}[]
---@param options neuraldrummer.ingest_options
---@return {steps?: integer, split?: string, hits?: integer[], unknown?: table<integer, integer>, tokens?: string, message?: string, unread?: boolean}[]? results
---@return string? message
---@package
function core.ingest(list, options) end

--- A corpus file, or token text (saved.txt), to read.
---@param path string
---@param tok? neuraldrummer.tokeniser settings of token text
---@return neuraldrummer.corpus? corpus
---@return string? message
function core.open_corpus(path, tok) end
--- `#corpus` songs.
---@param i integer
---@return neuraldrummer.sequence? sequence
---@return string? message
function corpus:song(i) end
---@param i integer
---@return {name: string, steps: integer, split: "train"|"valid"}
function corpus:info(i) end
---@return string path that it was opened by
function corpus:path() end
---@return table settings as tokeniser:settings()
function corpus:settings() end
---@return neuraldrummer.tokeniser
function corpus:tokeniser() end
function corpus:close() end

-------------------------------------------------------------------- Model

---@class neuraldrummer.model : userdata
local model = {}

---@class neuraldrummer.model_options
---@field preset? "drummer"|"neuraldrummer2023"|"touch"
---@field encoder? integer units that read the song each way; 0: it hears each step alone
---@field causal? boolean it hears no step to come
---@field inputs? integer of a raw net, fed by core.batch
---@field voices? integer of a raw net
---@field encoded? integer so many of a raw net's inputs are the encoder's
---@field tokeniser? neuraldrummer.tokeniser default: the preset's own
---@field layers? integer LSTM layers
---@field hidden? integer LSTM units a layer
---@field window? integer 0: streaming
---@field dropout? number
---@field seed? integer of the first weights
---@field encoder? integer units a direction of what hears the whole song first; 0: each step as it comes
---@field causal? boolean the encoder hears the past only, so that the model can play along
---@field inputs? integer a network by itself, of so many inputs, as tests want it
---@field voices? integer the same
---@field encoded? integer so many of these inputs are the encoder's

---@param options? neuraldrummer.model_options
---@return neuraldrummer.model
function core.model(options) end
---@param path string a .safetensors checkpoint
---@return neuraldrummer.model? model
---@return string? message
function core.load_model(path) end
--- Only the weights and settings, or (options.training) also what training
--- needs to go on: Adam's moments, the batches' place, and `extra` strings.
--- What could not be loaded again is not saved, and the message names it.
--- With batches that processes share, all of them call it, and the first writes.
---@param path string
---@param options? {half?: boolean, training?: boolean, batches?: neuraldrummer.batches, extra?: table<string, string>}
---@return boolean? ok
---@return string? message
function model:save(path, options) end
--- Whether its weights are finite, and such as can be saved; else which is not.
---@return boolean? finite
---@return string? message
function model:is_finite() end
--- Strings saved beside the weights.
---@return table<string, string>
function model:extra() end
---@return table config (preset, layers, hidden, window, inputs, voices, parameters, …)
function model:config() end
---@return neuraldrummer.tokeniser
function model:tokeniser() end
--- One step of training: forward, backward, clip, Adam. Returns the loss (mean
--- binary cross-entropy per grid cell, in nats) before the step, and the gradient's norm.
--- With batches that processes share, all of them call it and take the same step.
---@param batch neuraldrummer.batches after its `next`
---@param options? {rate?: number, clip?: number, beta1?: number, beta2?: number, epsilon?: number}
---@return number? loss nil where it is no number any more, or where the processes lost each
--- other: all is as before the step
---@return number|string norm or message
function model:train_step(batch, options) end
--- The loss of this process's streams without learning (no dropout), the
--- number of grid cells counted (a voice at a step), and of these how many have a
--- probability of at least 1/2, how many are hits, and how many are both.
---@param batch neuraldrummer.batches after its `next`
---@return number? loss
---@return integer|string count or message
---@return integer guessed
---@return integer struck
---@return integer both
function model:loss(batch) end
--- Bytes of memory that training takes at most: the weights, what learning them
--- adds, and a batch, by default of the model's own size.
---@param options? {batch?: integer, steps?: integer}
---@return integer bytes
function model:training_bytes(options) end
--- A tensor's values.
---@param name string
---@return number[] values
---@return integer[] shape
function model:tensor(name) end
--- Those of its gradient, after train_step.
---@param name string
---@return number[] values
function model:gradient(name) end
--- New values for it, as many.
---@param name string
---@param values number[]
function model:set_tensor(name, values) end
---@return string[] names of all tensors
function model:tensors() end
--- Gathers from a corpus how drum tracks are played as a whole, for the player
--- to draw from; takes the place of what was gathered before.
---@param c neuraldrummer.corpus of the model's kit
---@param split? "train"|"valid"|"all" default "train"
---@param most? integer of more songs, so many from all over the corpus (default 4096, the most)
---@return integer? styles how many
---@return string? message
function model:learn_styles(c, split, most) end
--- The styles in the model's order, with their weights for a song; without one, all alike.
---@param seq? neuraldrummer.sequence
---@return {index: integer, name: string, weight: number}[]
function model:styles(seq) end
--- Threads of this model's calls (default 1); losses don't depend on them.
---@param n integer
function model:threads(n) end
function model:close() end

------------------------------------------------------------------ Batches

---@class neuraldrummer.batches : userdata
local batches = {}

---@class neuraldrummer.batches_options
---@field model neuraldrummer.model whose inputs are to be filled
---@field split? "train"|"valid"|"all" default "train"
---@field batch? integer default: the preset's
---@field steps? integer stretch of truncated BPTT; default: the preset's
---@field seed? integer
---@field shuffle? boolean default true
---@field history_dropout? boolean default: as the preset says for train, false for valid
---@field resume? boolean go on at the place that the model's checkpoint holds
---@field world? neuraldrummer.world each process takes its share of the streams: see mpi.d.lua

--- Batches from a corpus. Keeps the corpus alive.
---@param options neuraldrummer.batches_options
---@return neuraldrummer.batches
function corpus:batches(options) end
--- Fills the next batch; false at the end of an epoch (call again for the next).
---@return boolean? more nil where a song cannot be read: the next call tries again
---@return string? message
function batches:next() end
---@return integer batches in an epoch
function batches:count() end
---@return integer epoch from 1
---@return integer batch within it, from 1
function batches:position() end
---@return integer steps
---@return integer streams
---@return integer inputs
---@return integer voices
function batches:shape() end
---@return integer songs of the split; 0 for a batch of one's own
function batches:songs() end
function batches:close() end

--- A batch of one's own numbers, for looking into a model: x (steps, batch,
--- inputs), y (steps, or one step with a window; batch, voices), mask (y's steps,
--- batch: 0 where no loss is counted; default all 1), reset (batch: whether a
--- stream starts from an empty state). All are flat lists, the last index fastest.
---@param m neuraldrummer.model
---@param spec {steps?: integer, batch?: integer, x: number[], y: number[], mask?: number[], reset?: boolean[]}
---@return neuraldrummer.batches
function core.batch(m, spec) end

---------------------------------------------------------------- Generator

---@class neuraldrummer.generator : userdata
local generator = {}

---@class neuraldrummer.generator_options
---@field seed? integer default 1
---@field temperature? number default: the model's own (1 for the original: no sampling)
---@field variation? number 0-1, default the model's own: how much the temperature differs between
--- bars. A bar is steady, at temperature * (1 - variation), or free, at temperature *
--- (1 + 0.75 variation); the last bar of a phrase is free more often
---@field cutoff? number strike where probability >= cutoff, instead of drawing
---@field forced? integer the n most likely voices are struck as well
---@field start? "blank"|"count-in"|"basic"|"random"
---@field prime? neuraldrummer.sequence hits to start from
---@field velocity? number 0..1
---@field threads? integer
---@field playable? boolean at most two hands and two feet strike at once, kept hits aside
--- (default true; the original: false)
---@field enter? "band"|"always" "band": nothing before the song's first note and after its last,
--- kept hits aside (default; the original: "always"). Steps played one by one know no band.

---@param m neuraldrummer.model
---@param options? neuraldrummer.generator_options
---@return neuraldrummer.generator
function core.generator(m, options) end
---@class neuraldrummer.direction
---@field fixed? neuraldrummer.sequence of the song's length and kit, whose drums are kept as they
--- are: pitch, velocity, offset, doubled notes
---@field mask? string a byte a step and voice, not 0 where `fixed` is kept, struck or not;
--- default: everywhere
---@field style? false|integer|neuraldrummer.sequence|number[] none; a model's by its index; that of
--- a Sequence's drums; its numbers. Default: one is drawn by the seed
---@field density? table<integer, number|false> by bar, -3..3: hits, as a power of two of the usual
---@field fills? table<integer, boolean> by bar: whether it ends in a fill

--- Plays the whole song; a new Sequence with the drummer's hits.
---@param seq neuraldrummer.sequence
---@param direction? neuraldrummer.direction what is kept, and what is asked for
---@param pause? function called between slices of a few milliseconds, with the multiply-adds that
--- one took; it may yield. An error when the model learns other styles meanwhile
---@return neuraldrummer.sequence
function generator:play(seq, direction, pause) end
--- The style that the last song was played in, nil when there was none, and when the
--- model has learnt others since.
---@return integer? index
---@return string? name
function generator:style() end
--- The style that `play` would play a song in, when given this one for `style`
--- (nil: one is drawn by the seed). Forgets what was played.
---@param seq neuraldrummer.sequence
---@param style? false|integer|neuraldrummer.sequence|number[]
---@return number[]? numbers nil: none
---@return integer? index nil when it is none of the model's own
---@return string? name
function generator:choose(seq, style) end
--- Plays one step, given what is heard there (names as sequence:metrics, `bar`
--- = true where a bar starts): not with a model whose encoder wants the whole
--- song first. No allocation in the engine. Let it `choose` a style before the first:
--- a drummer who has none, and hears no drums, may rest for long.
---@param metrics table<string, number|boolean>
---@return table<string, number> hits by voice name, velocities 0..1
function generator:step(metrics) end
--- Probabilities of the last step, by voice name.
---@return table<string, number>
function generator:probabilities() end
--- Back to the start: same seed, empty history.
function generator:reset() end
function generator:close() end

--- Plays a song with several generators of one model side by side: what each of
--- them plays alone, at less cost than one after another.
---@param generators neuraldrummer.generator[]
---@param seq neuraldrummer.sequence
---@param directions? neuraldrummer.direction|neuraldrummer.direction[] one for all, or each its own
---@param pause? function as generator:play takes it
---@return neuraldrummer.sequence[]
function core.play(generators, seq, directions, pause) end

------------------------------------------------------------------- Judge

---@class neuraldrummer.likelihood_options
---@field song? neuraldrummer.sequence|neuraldrummer.sequence[] whose music is heard; default: `seq`'s own
---@field song_step? integer|integer[] its step heard with the first step judged (default: that step's
--- number); the song goes round at its end
---@field from? integer first step judged
---@field steps? integer how many; default: to the end
---@field style? neuraldrummer.sequence|integer|number[]|false as of generator:play; default: not given
---@field history? boolean false: what was played before is not told

--- Log-likelihood, in nats, of every step's drums under what is heard: the hits
--- that were played are the history, voices of one step are judged one after
--- another. A list of numbers; of such lists when `song` or `at` is a list. For a
--- list of Sequences, a list of that: without history, and with a song that is
--- given, drums on the same grid cost hardly more than one of them.
---@param m neuraldrummer.model
---@param seq neuraldrummer.sequence|neuraldrummer.sequence[] whose drums are judged
---@param options? neuraldrummer.likelihood_options
---@param pause? function as generator:play takes it
---@return number[]|number[][]|number[][][]
function core.log_likelihood(m, seq, options, pause) end

---@class neuraldrummer.raw_reasons
---@field step integer
---@field voice string
---@field logit number log-odds of the hit, the voices before it in the kit being known
---@field probability number the same, 0..1
---@field metrics table<string, number> weight of each metric, over all steps
---@field song number[] weight of all metrics, by the step where they are heard
---@field voices table<string, number> weight of each voice's hits before
---@field earlier {step: integer, voice: string, weight: number}[] single hits before, of those
--- that weigh 0.01 or more
---@field simultaneous table<string, number> weight of the voices struck with it
---@field style number weight of the style

--- Why the model found the hits of steps `from` to `to` likely: a weight is
--- gradient times input of the hit's log-odds. For streaming models without
--- dense layers.
---@param m neuraldrummer.model
---@param seq neuraldrummer.sequence whose drums are explained
---@param from integer
---@param to integer at most 255 more
---@param style? boolean whether the model is told the style of these drums
---@return neuraldrummer.raw_reasons[]
function core.explain(m, seq, from, to, style) end

----------------------------------------------------------------- the rest

--- Velocities and offsets for hits that are known, drawn as a touch model
--- learnt them from people. `amount` 0: as they are, 1: as learnt (default).
--- Cells with a byte above 0 in `mask` (one a step and voice) stay as they are.
---@param m neuraldrummer.model of preset "touch"
---@param seq neuraldrummer.sequence
---@param options? {amount?: number, seed?: integer, mask?: string}
---@param pause? function as generator:play takes it
---@return neuraldrummer.sequence
function core.humanise(m, seq, options, pause) end

--- Drums moved in time: what is struck at step `i` comes at `times[i]` (in
--- steps, from 1, in between as well), each hit as early or late as it was. Of
--- hits that meet in pitch and time one stays, the loudest. Cells with a byte
--- above 0 in `mask` (one a step and voice) stay where they are.
---@param seq neuraldrummer.sequence
---@param times number[] one a step
---@param mask? string
---@return neuraldrummer.sequence
function core.retime(seq, times, mask) end

--- Of every bar: its density, log2 of its hits (plus one) over the mean of the
--- bars with hits (plus one), within -3..3; and whether it ends in a fill, its
--- second half departing from the groove to which the next bar returns.
---@param seq neuraldrummer.sequence
---@return {density: number, fill: boolean}[]
function core.bar_styles(seq) end

--- A file that takes its place only when it is whole: written beside it, flushed
--- to disk and renamed. A link is followed, an old file's mode is kept; what is no
--- regular file is refused, and of two writers of one path the second.
---@param path string
---@return neuraldrummer.file_writer? writer
---@return string? message
---@package
function core.create_file(path) end

---@class neuraldrummer.file_writer : userdata
local file_writer = {}
--- Writes strings and numbers, as Lua's own files do. After a failure nothing more is
--- written, and `finish` fails as well.
---@return boolean? ok
---@return string? message
---@package
function file_writer:write(...) end
---@return boolean? ok
---@return string? message
---@package
function file_writer:finish() end
--- Without finish: nothing is left of it.
---@package
function file_writer:close() end

--- Whether `a` comes before `b` byte by byte: an order that no locale changes.
---@param a string
---@param b string
---@return boolean
---@package
function core.byte_less(a, b) end

--- A fingerprint of a string: FNV-1a, 64 bits. Not for secrets.
---@param bytes string
---@return integer
---@package
function core.hash(bytes) end

--- Seconds of a monotonic clock.
---@return number
---@package
function core.clock() end

--- Processors that this process may run on.
---@return integer
---@package
function core.processors() end

--- Width of the terminal that a stream writes to; nil where it writes to none.
---@param stream? "stderr"|"stdout" default "stderr"
---@return integer? columns
---@package
function core.terminal(stream) end

---@class neuraldrummer.interrupt : userdata
local interrupt = {}
--- From now on, Ctrl-C only sets a flag (a second one ends the process), until
--- the result is closed. A flag set before is forgotten.
---@param terminate? boolean SIGTERM sets it too, by which job launchers ask
---@return neuraldrummer.interrupt
---@package
function core.catch_interrupt(terminate) end
---@return boolean whether Ctrl-C was pressed
---@package
function interrupt:seen() end
---@package
function interrupt:close() end

---@class neuraldrummer.lock : userdata
local lock = {}
--- Work that one alone shall do: the lock is held until it is closed, or the process
--- ends. Meanwhile there is a file of that name, which is gone when it is closed.
---@param path string
---@return neuraldrummer.lock|false|nil lock false when another holds it
---@return string? message
---@package
function core.lock(path) end
---@package
function lock:close() end

--- What the CPU has that decides about kernels, and what is used of it: OpenBLAS's
--- kernels ("own": there is no OpenBLAS here), those of the products by packed
--- weights ("blas": none), and the version of the element-wise loops.
---@return {features: string[], blas: string, packed: "avx512"|"avx2"|"blas", loops: "x86-64-v4"|"x86-64-v3"|"default"}
function core.cpu() end

return core
