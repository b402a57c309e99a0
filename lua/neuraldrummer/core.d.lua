---@meta neuraldrummer.core
--- The C module: songs, corpora, models, training and playing.
---
--- I/O errors and malformed files return `nil, message`. Programming errors raise an
--- error that names the argument or option; so does an unknown option, with the
--- nearest known one. Songs, steps, bars, notes and voices are numbered from 1.
--- Velocities are 0..1 unless stated otherwise, channels 1..16.
---
--- Objects are closed by `close()`, at the end of a `<close>` variable's block, or by
--- the garbage collector. An object that another one uses, as a generator uses its
--- model, stays in memory until both are closed.

---@class neuraldrummer.core
---@field version string
local core = {}

--------------------------------------------------------------------- Song

---@class neuraldrummer.note
---@field tick integer start, in ticks
---@field duration integer in ticks
---@field pitch integer 0..127
---@field velocity integer 1..127, as in MIDI
---@field channel? integer 1..16 (default 1)
---@field program? integer 0..127 (default 0)
---@field track? integer from 1 (default 1)

---@class neuraldrummer.song : userdata
local song = {}

--- Makes a song of notes from a host. `ppq` is the number of ticks of a quarter note,
--- 1..32767. Denominators of meters are powers of two up to 128. Without
--- `drum_channel` the drums are found as in a file. Raises an error that names the
--- list, index and field for a value out of range.
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

--- Ticks of a quarter note.
---@return integer ppq
function song:ppq() end
--- Notes in order of time. `#song` is their number, and `pairs(song)` visits them.
---@param which? "all"|"drums"|"others" default "all"
---@return neuraldrummer.note[]
function song:notes(which) end
--- Number of drum notes of each pitch that has any: {[36] = 212, [38] = 96}.
---@return table<integer, integer>
function song:pitches() end
--- A copy whose drum notes have other pitches. Pitches that are not in `map` do not
--- change. The copy has no file bytes and no repairs.
---@param map table<integer, integer> new pitch by pitch, both 0..127
---@return neuraldrummer.song
function song:with_pitches(map) end
--- Tempo changes, in order of time.
---@return {tick: integer, bpm: number}[]
function song:tempos() end
--- Changes of meter, in order of time.
---@return {tick: integer, numerator: integer, denominator: integer}[]
function song:meters() end
--- Names of the tracks, "" for a track without one.
---@return string[]
function song:tracks() end
--- What was repaired when the file was read: the offset in the file, a description, and
--- whether events were lost.
---@return {offset: integer, lossy: boolean, text: string}[]
function song:repairs() end
--- The channel of the drums, nil when the song has none. It was guessed if it was
--- found by a track's name; then notes of other tracks on that channel are not drums.
---@return integer? channel 1..16
---@return boolean guessed
function song:drum_channel() end
--- Duration at the song's tempos.
---@return number seconds
function song:seconds() end
--- Duration.
---@return integer ticks
function song:length() end
--- A copy in which `drums` replace the song's own. They are a new track on the song's
--- drum channel, or on channel 10 when it has none. The other tracks of a song that was
--- read from a file do not change by a byte.
---
--- Options: `keep_drums` keeps the song's own drums as well; `drums_alone` drops all
--- other notes; `length` of a drum note, in steps (default 0.5); `velocity`, a factor
--- (default 1); `track_name` (default "Drums"); `tail`, beats by which the drum track is
--- longer than the song (default 0); `pitches`, the pitch to write by a drum's pitch, or by
--- (tick + 1) * 128 + pitch for the note at one tick only.
---@param drums neuraldrummer.sequence with the song's ppq
---@param options? {keep_drums?: boolean, drums_alone?: boolean, length?: number, velocity?: number, track_name?: string, tail?: number, pitches?: table<integer, integer>}
---@return neuraldrummer.song
function song:with_drums(drums, options) end
--- The bytes of the MIDI file that was read, or of a new one with a host's notes.
---@return string bytes
function song:bytes() end
--- Writes these bytes to a file. An existing file is replaced only when the new one is
--- complete.
---@param path string
---@return boolean? ok
---@return string? message
function song:save(path) end
function song:close() end

---------------------------------------------------------------- Tokeniser

---@class neuraldrummer.tokeniser : userdata
local tokeniser = {}

---@class neuraldrummer.tokeniser_options
---@field preset? "drummer"|"neuraldrummer2023" default "drummer"
---@field kit? string|{name: string, [integer]: {name: string, pitches: integer[]}} "gm9",
--- "basic6", "full17", a kit_text, or voices with their pitches; the first pitch of a voice
--- is the one that is written
---@field steps_per_beat? integer 2, 4, 6, 8 or 12
---@field beat? "quarter"|"meter" a beat is a quarter note, or the meter's denominator
---@field include_drums? boolean whether the intensity counts drum notes
---@field max_steps? integer the longest song that is accepted (default 2^20 steps). The
--- number of bars is limited to an eighth of it, or to 2^17 if that is more

--- A tokeniser lays songs on a grid of steps and tells which notes are which voice.
--- Two tokenisers with the same settings are equal (==).
---@param options? neuraldrummer.tokeniser_options
---@return neuraldrummer.tokeniser
function core.tokeniser(options) end

--- Lays a song on the grid.
---@param s neuraldrummer.song
---@param name? string the Sequence's name; messages begin with it
---@param max_steps? integer instead of the tokeniser's
---@return neuraldrummer.sequence? sequence
---@return string? message when the song is too long
function tokeniser:encode(s, name, max_steps) end
--- Reads one line of token text. The message names the column of an error.
---@param line string
---@return neuraldrummer.sequence? sequence
---@return string? message
function tokeniser:parse(line) end
--- Names of the kit's voices.
---@return string[]
function tokeniser:voices() end
--- The settings: kit (its name), kit_text, steps_per_beat, beat, include_drums, original
--- (whether it is the 2023 system's), max_steps.
---@return table settings
function tokeniser:settings() end
function tokeniser:close() end

----------------------------------------------------------------- Sequence

---@class neuraldrummer.bar
---@field first integer number of its first step, from 1
---@field last integer number of its last step
---@field numerator integer of the meter
---@field denominator integer

--- A song on its grid: `#seq` steps with drum hits and metrics of the accompaniment.
--- `pairs(seq)` visits the hits of each step.
---@class neuraldrummer.sequence : userdata
local sequence = {}

--- The line of token text, without a newline.
---@return string
function sequence:tokens() end
--- The hits of step `i`, or of every step: {kick = 0.8, …}, velocities by voice. Voices
--- without a hit are left out.
---@param i? integer
---@return table<string, number>|table<string, number>[]
function sequence:hits(i) end
--- All hits as a string of #seq * #voices bytes, velocities 0..127, step by step.
---@return string
function sequence:packed_hits() end
--- Offsets from the grid in the same layout: signed bytes, 1/256 of a step.
---@return string
function sequence:packed_offsets() end
--- All metrics of step `i`, by name.
---@param i integer
---@return table<string, number>
function sequence:metrics(i) end
--- One metric of every step.
---@param name string
---@return number[]
function sequence:metric(name) end
--- The bars, in order.
---@return neuraldrummer.bar[]
function sequence:bars() end
--- Names of the kit's voices.
---@return string[]
function sequence:voices() end
--- The name that `encode` or the corpus gave it.
---@return string name
function sequence:name() end
--- The tokeniser's settings.
---@return table settings
function sequence:settings() end
--- A copy with the same grid and metrics and other hits: a table for each step, velocities
--- by voice (`true` is 1), or a string as packed_hits() returns it.
---@param hits table<string, number|boolean>[]|string
---@return neuraldrummer.sequence
function sequence:with_hits(hits) end
--- A copy with the same grid and metrics whose bar `b` has the drums of bar `map[b]` of
--- `from`; without a number it has no drums. Both bars must have the same number of steps.
---@param map table<integer, integer|false>
---@param from? neuraldrummer.sequence of the same kit (default: itself)
---@return neuraldrummer.sequence
function sequence:with_bars(map, from) end
--- The style of its drums, numbers in 0..1: for each voice the square root of its hits a
--- step; the share of bars that repeat the bar before, of hits off the eighths, of snare
--- hits on back-beats, of bars without hits, of fills among the others; then the groove,
--- for each of 24 sixteenths of a bar the square root of each voice's hits there.
---@return number[]
function sequence:style() end
--- Compares bars by their accompaniment, without the drums. The function returns 1 for
--- identical bars and about 0 for two random bars of the song.
---@return fun(a: integer, b: integer): number
function sequence:self_similarity() end
function sequence:close() end

--- A copy whose drums are moved in time: the hits of step `i` move to `times[i]`, in steps
--- from 1, fractions allowed, and keep their offsets. Of hits that collide the loudest
--- stays. Grid cells with a byte above 0 in `mask` do not move.
---@param seq neuraldrummer.sequence
---@param times number[] one for each step
---@param mask? string #seq * #voices bytes
---@return neuraldrummer.sequence
function core.retime(seq, times, mask) end

--- For each bar its density, log2 of (its hits + 1) / (mean hits of the bars with hits + 1),
--- in -3..3; and whether it ends in a fill: its second half departs from the groove and the
--- next bar returns to it.
---@param seq neuraldrummer.sequence
---@return {density: number, fill: boolean}[]
function core.bar_styles(seq) end

------------------------------------------------------------------- Corpus

---@class neuraldrummer.corpus : userdata
local corpus = {}

--- Creates a corpus file. The path is created, or replaced, only by `finish`.
---@param path string
---@param tok neuraldrummer.tokeniser settings of all its songs
---@return neuraldrummer.corpus_writer? writer
---@return string? message
function core.create_corpus(path, tok) end

---@class neuraldrummer.corpus_writer : userdata
local writer = {}
--- Adds a song.
---@param seq neuraldrummer.sequence with the corpus' settings
---@param split? "train"|"valid" default "train"
---@return boolean? ok
---@return string? message
function writer:add(seq, split) end
--- Copies songs from another corpus with the same settings, with their names and splits.
---@param from neuraldrummer.corpus
---@param first? integer default 1
---@param last? integer default: its last song
---@return boolean? ok
---@return string? message
function writer:append(from, first, last) end
--- Writes the index and renames the file to its path.
---@return boolean? ok
---@return string? message
function writer:finish() end
--- Before `finish` it removes the incomplete file.
function writer:close() end

---@class neuraldrummer.ingest_options
---@field tokeniser neuraldrummer.tokeniser
---@field into? neuraldrummer.corpus_writer with its settings; without it token text is made
---@field pitches? table<integer, integer|false> the `reads` of a kit map
---@field min_steps? integer songs of this many steps or fewer are left out (default 0)
---@field valid_every? integer of the files without a split, one in this many is for validation,
--- chosen by content (default 0: none)
---@field threads? integer 1..64 (default 1); the result does not depend on it
---@field max_bytes? integer larger files are left out (default 256 MiB)
---@field max_events? integer files with more events are left out (default 8,000,000)
---@field max_tracks? integer files with more tracks are left out (default 4,096)

--- Reads MIDI files, encodes them and adds the songs with drums of the kit to a corpus, in
--- the order of the list. For each file the result has `steps`, `split`, `hits` by voice
--- and `unknown` drum notes by pitch; or a `message` why it was left out, and `unread` if
--- the file could not be read at all.
---@package
---@param list {path: string, name: string, split?: "train"|"valid"}[]
---@param options neuraldrummer.ingest_options
---@return {steps?: integer, split?: string, hits?: integer[], unknown?: table<integer, integer>, tokens?: string, message?: string, unread?: boolean}[]? results
---@return string? message
function core.ingest(list, options) end

--- Opens a corpus file, or a file of token text such as the 2023 system's saved.txt.
--- `#corpus` is its number of songs, and `pairs(corpus)` visits them.
---@param path string
---@param tok? neuraldrummer.tokeniser settings of token text (default: the 2023 system's)
---@return neuraldrummer.corpus? corpus
---@return string? message
function core.open_corpus(path, tok) end
--- Reads a song.
---@param i integer
---@return neuraldrummer.sequence? sequence
---@return string? message
function corpus:song(i) end
--- What the index has of a song.
---@param i integer
---@return {name: string, steps: integer, split: "train"|"valid"}
function corpus:info(i) end
--- The path that it was opened by.
---@return string path
function corpus:path() end
--- The tokeniser's settings.
---@return table settings
function corpus:settings() end
--- A tokeniser with these settings.
---@return neuraldrummer.tokeniser
function corpus:tokeniser() end
function corpus:close() end

-------------------------------------------------------------------- Model

---@class neuraldrummer.model : userdata
local model = {}

---@class neuraldrummer.model_options
---@field preset? "drummer"|"neuraldrummer2023"|"touch" default "drummer"; "touch" predicts
--- velocities and offsets
---@field tokeniser? neuraldrummer.tokeniser default: the preset's
---@field layers? integer LSTM layers
---@field hidden? integer LSTM units of a layer
---@field encoder? integer units of each direction of the encoder, which reads the whole song
--- first; 0: no encoder
---@field causal? boolean the encoder reads forwards only, so that the model can play live
---@field window? integer steps of a window network; 0: a streaming network
---@field dropout? number 0..0.99
---@field seed? integer of the initial weights (default 1)
---@field inputs? integer for tests: a network without features, of this many inputs
---@field voices? integer for tests: its outputs
---@field encoded? integer for tests: the number of its inputs that the encoder reads

--- A model with random weights. Options that are left out are the preset's.
---@param options? neuraldrummer.model_options
---@return neuraldrummer.model
function core.model(options) end
--- Loads a checkpoint, and the state of its training if it has one.
---@param path string a .safetensors file
---@return neuraldrummer.model? model
---@return string? message
function core.load_model(path) end
--- Saves a checkpoint, with `half` in half precision. With `training` it has Adam's
--- state, so that training can resume; with `batches` also their position; `extra` are
--- strings of the caller's. A model that could not be loaded again is not saved. With
--- batches that processes share, every process calls this and the first one writes.
---@param path string
---@param options? {half?: boolean, training?: boolean, batches?: neuraldrummer.batches, extra?: table<string, string>}
---@return boolean? ok
---@return string? message
function model:save(path, options) end
--- Whether all weights, and Adam's moments, are finite and can be saved.
---@return boolean? finite
---@return string? message the first value that is not
function model:is_finite() end
--- The `extra` strings of the checkpoint that it was loaded from.
---@return table<string, string>
function model:extra() end
--- The settings: preset, features, inputs, voices, layers, hidden, window, encoder, encoded,
--- causal, dropout; styles, steps and batch (of training), temperature, cutoff, forced;
--- parameters (trained weights), macs (multiply-accumulates of a step), step_bytes (weights
--- that a step reads), look_back (bars).
---@return table config
function model:config() end
--- The tokeniser of its songs.
---@return neuraldrummer.tokeniser
function model:tokeniser() end
--- One step of training: forward pass, back-propagation, clipping, Adam. With batches
--- that processes share, every process calls it and all take the same step.
---@param batch neuraldrummer.batches after next()
---@param options? {rate?: number, clip?: number, beta1?: number, beta2?: number, epsilon?: number}
---@return number? loss before the step: mean binary cross-entropy in nats per grid cell. Nil,
--- with nothing changed, when the loss is not finite or the processes lost contact
---@return number|string norm the gradient's, before clipping; or the message
function model:train_step(batch, options) end
--- The loss on this process's streams, without dropout or learning; and the number of
--- grid cells that count, of those predicted as hits (probability at least 1/2), of
--- actual hits, and of cells that are both.
---@param batch neuraldrummer.batches after next()
---@return number? loss in nats per grid cell
---@return integer|string count or message
---@return integer predicted
---@return integer hits
---@return integer both
function model:loss(batch) end
--- An upper bound of the memory that training takes: weights, gradient, Adam's moments,
--- activations and a batch.
---@param options? {batch?: integer, steps?: integer} default: the model's
---@return integer bytes
function model:training_bytes(options) end
--- A tensor of the network.
---@param name string
---@return number[] values in row-major order
---@return integer[] shape
function model:tensor(name) end
--- A tensor's gradient in the last train_step.
---@param name string
---@return number[] values
function model:gradient(name) end
--- Replaces the values of a tensor.
---@param name string
---@param values number[] as many as it has
function model:set_tensor(name, values) end
--- Names of all tensors.
---@return string[]
function model:tensors() end
--- Replaces the model's styles by those of a corpus' songs, and learns which songs have
--- similar grooves. The styles of the training songs are what the model chooses from.
---@param c neuraldrummer.corpus of the model's kit
---@param split? "train"|"valid"|"all" default "train"
---@param most? integer of more songs, this many from all over the corpus (default and limit: 4096)
---@return integer? styles their number
---@return string? message
function model:learn_styles(c, split, most) end
--- The model's styles and how likely each is chosen for a song. Weights add up to 1;
--- without a song all are equal.
---@param seq? neuraldrummer.sequence
---@return {index: integer, name: string, weight: number}[]
function model:styles(seq) end
--- Sets the number of threads that training uses (default 1). Losses do not depend on it.
---@param n integer 1..256
function model:threads(n) end
function model:close() end

------------------------------------------------------------------ Batches

---@class neuraldrummer.batches : userdata
local batches = {}

---@class neuraldrummer.batches_options
---@field model neuraldrummer.model that is trained
---@field split? "train"|"valid"|"all" default "train"
---@field batch? integer streams, or windows (default: the model's)
---@field steps? integer of back-propagation through time (default: the model's)
---@field seed? integer default 1
---@field shuffle? boolean default true, false for "valid"
---@field history_dropout? boolean the preset's augmentation (default true, false for "valid")
---@field resume? boolean continue from the position in the checkpoint that the model was loaded from
---@field world? neuraldrummer.world processes that share the batches: see mpi.d.lua

--- Batches of a corpus for a model.
---@param options neuraldrummer.batches_options
---@return neuraldrummer.batches
function corpus:batches(options) end
--- Fills the next batch. False at the end of an epoch; the next call starts another one.
---@return boolean? more nil when a song cannot be read; the next call tries again
---@return string? message
function batches:next() end
--- Batches of an epoch.
---@return integer
function batches:count() end
--- The position in training.
---@return integer epoch from 1
---@return integer batch within it, from 1
function batches:position() end
--- The sizes of a batch, those of this process's streams.
---@return integer steps
---@return integer streams
---@return integer inputs
---@return integer voices
function batches:shape() end
--- Songs of the split; 0 for core.batch().
---@return integer
function batches:songs() end
function batches:close() end

--- A batch of the caller's numbers, to examine a network: x (steps, batch, inputs);
--- y (steps, batch, voices), one step for a window network; mask (y's steps, batch), 0
--- where no loss is counted (default 1); reset (batch), whether a stream starts from
--- zero state. All are flat lists in row-major order.
---@param m neuraldrummer.model
---@param spec {steps?: integer, batch?: integer, x: number[], y: number[], mask?: number[], reset?: boolean[]}
---@return neuraldrummer.batches
function core.batch(m, spec) end

---------------------------------------------------------------- Generator

---@class neuraldrummer.generator : userdata
local generator = {}

---@class neuraldrummer.generator_options
---@field seed? integer default 1
---@field temperature? number 0..100, of sampling; 0: hits are chosen by `cutoff` (default: the
--- model's)
---@field variation? number 0..1, how much the temperature differs between bars (default: the
--- model's). A bar is steady, at temperature * (1 - variation), or free, at temperature *
--- (1 + 0.75 variation); the last bar of a phrase is free more often
---@field cutoff? number 0..1: a voice is hit if its probability is at least this; excludes
--- `temperature`
---@field forced? integer the number of most probable voices that are always hit
---@field start? "blank"|"count-in"|"basic"|"random" the history before the first step
---@field prime? neuraldrummer.sequence drums that are the history instead
---@field velocity? number of every hit, 0..1
---@field threads? integer 1..256 (default 1)
---@field playable? boolean at most two hands and two feet strike at once, apart from fixed hits
--- (default true; false for neuraldrummer2023)
---@field enter? "band"|"always" "band": no hits before the song's first note or after its last,
--- apart from fixed hits (default; "always" for neuraldrummer2023). It does not apply to step()

--- A generator plays drums with a model.
---@param m neuraldrummer.model
---@param options? neuraldrummer.generator_options
---@return neuraldrummer.generator
function core.generator(m, options) end

---@class neuraldrummer.direction
---@field fixed? neuraldrummer.sequence of the song's length and kit, whose drums are copied unchanged:
--- pitch, velocity, offset, doubled notes
---@field mask? string #seq * #voices bytes, not 0 where `fixed` applies, hit or not (default:
--- everywhere)
---@field style? false|integer|neuraldrummer.sequence|number[] no style; one of the model's, by index;
--- that of a Sequence's drums; or its numbers. Default: one is sampled
---@field density? table<integer, number|false> by bar, -3..3: log2 of hits over the usual number
---@field fills? table<integer, boolean> by bar: whether it ends in a fill

--- Plays a whole song.
---@param seq neuraldrummer.sequence
---@param direction? neuraldrummer.direction
---@param pause? function called every few milliseconds with the number of multiply-accumulates
--- since the last call. It may yield, and may close any object. Raises an error if the model's
--- styles were replaced meanwhile
---@return neuraldrummer.sequence drums on the song's grid
function generator:play(seq, direction, pause) end
--- The style of the last song, nil if it had none or the model's styles were replaced since.
---@return integer? index
---@return string? name
function generator:style() end
--- Chooses a style for a song without playing it, or sets the given one, and resets the
--- generator. step() then plays in it.
---@param seq neuraldrummer.sequence
---@param style? false|integer|neuraldrummer.sequence|number[] as in a direction
---@return number[]? numbers nil: no style
---@return integer? index nil when it is not one of the model's
---@return string? name
function generator:choose(seq, style) end
--- Plays one step live, in the engine without memory allocation. Needs a model without an
--- encoder or with a causal one. Call choose() first: without a style the model may stay
--- silent for a long time.
---@param metrics table<string, number|boolean> of the step, as sequence:metrics(); `bar` is true
--- on the first step of a bar
---@return table<string, number> hits velocities by voice
function generator:step(metrics) end
--- Probabilities of the last step's hits, by voice.
---@return table<string, number>
function generator:probabilities() end
--- Starts again: the same seed, no history.
function generator:reset() end
function generator:close() end

--- Plays a song with several generators of one model. Each result is that of the generator
--- alone, but the network's products are computed together, which costs less.
---@param generators neuraldrummer.generator[] 1 to 256
---@param seq neuraldrummer.sequence
---@param directions? neuraldrummer.direction|neuraldrummer.direction[] one for all, or one for each
---@param pause? function as for generator:play
---@return neuraldrummer.sequence[]
function core.play(generators, seq, directions, pause) end

--- New velocities and offsets for a Sequence's hits, sampled from what a touch model
--- predicts. `amount` interpolates from the present ones (0) to the predicted ones (1, the
--- default). Grid cells with a byte above 0 in `mask` do not change.
---@param m neuraldrummer.model of the preset "touch"
---@param seq neuraldrummer.sequence
---@param options? {amount?: number, seed?: integer, mask?: string}
---@param pause? function as for generator:play
---@return neuraldrummer.sequence
function core.humanise(m, seq, options, pause) end

--------------------------------------------------------------- Likelihood

---@class neuraldrummer.likelihood_options
---@field song? neuraldrummer.sequence|neuraldrummer.sequence[] whose metrics are used (default: `seq`'s)
---@field song_step? integer|integer[] the song's step that goes with `from` (default: `from`); the song
--- is repeated from its beginning
---@field from? integer first step (default 1)
---@field steps? integer their number (default: to the end)
---@field style? neuraldrummer.sequence|integer|number[]|false as in a direction (default: none)
---@field history? boolean false: earlier hits are hidden from the model (default true)

--- Log-likelihood in nats of each step's drums, with teacher forcing: the drums
--- themselves are the history, and each voice of a step is predicted given those before
--- it. The result is a list of numbers; a list of such lists when `song` or `song_step` is a
--- list; one more list around when `seq` is a list. Several Sequences on one grid without
--- history, for one song, cost little more than one.
---@param m neuraldrummer.model
---@param seq neuraldrummer.sequence|neuraldrummer.sequence[] the drums
---@param options? neuraldrummer.likelihood_options
---@param pause? function as for generator:play
---@return number[]|number[][]|number[][][]
function core.log_likelihood(m, seq, options, pause) end

---@class neuraldrummer.raw_reasons
---@field step integer
---@field voice string
---@field logit number log-odds of the hit, given the voices of the step that precede it in the kit
---@field probability number the same as a probability
---@field metrics table<string, number> weight of each metric, over all steps
---@field song number[] weight of all metrics, by step
---@field voices table<string, number> weight of each voice's earlier hits
---@field earlier {step: integer, voice: string, weight: number}[] earlier hits with a weight of at least
--- 0.01 in absolute value
---@field simultaneous table<string, number> weight of the voices that sound on the same step
---@field style number weight of the style

--- Explains the hits of some steps: a weight is gradient times input, a first-order
--- estimate of what an input contributed to the hit's log-odds. Needs a streaming model
--- without dense layers.
---@param m neuraldrummer.model
---@param seq neuraldrummer.sequence the drums
---@param from integer first step
---@param to integer last step, at most 255 after the first
---@param style? boolean whether the model is given the style of these drums
---@return neuraldrummer.raw_reasons[] one for each hit
function core.explain(m, seq, from, to, style) end

------------------------------------------------------------------- Process

--- Creates a file that appears under its path only when it is complete: it is written
--- to a temporary file beside it, flushed to disk and renamed. A symbolic link is followed,
--- and an existing file's mode is kept. A path that is not a regular file is refused, and
--- so is a second writer of one path.
---@package
---@param path string
---@return neuraldrummer.file_writer? writer
---@return string? message
function core.create_file(path) end

---@class neuraldrummer.file_writer : userdata
local file_writer = {}
--- Writes strings and numbers, like Lua's own files. After an error nothing more is
--- written, and `finish` fails too.
---@package
---@return boolean? ok
---@return string? message
function file_writer:write(...) end
--- Completes the file.
---@package
---@return boolean? ok
---@return string? message
function file_writer:finish() end
--- Before `finish` it discards the file.
---@package
function file_writer:close() end

--- Whether `a` precedes `b` in the order of their bytes, whatever the locale.
---@package
---@param a string
---@param b string
---@return boolean
function core.byte_less(a, b) end

--- A hash of a string: FNV-1a, 64 bits. It is not cryptographic.
---@package
---@param bytes string
---@return integer
function core.hash(bytes) end

--- Seconds of a monotonic clock.
---@package
---@return number
function core.clock() end

--- The number of processors that this process may run on.
---@package
---@return integer
function core.processors() end

--- The width of the terminal that a stream writes to; nil when it is not a terminal.
---@package
---@param stream? "stderr"|"stdout" default "stderr"
---@return integer? columns
function core.terminal(stream) end

---@class neuraldrummer.interrupt : userdata
local interrupt = {}
--- Until the result is closed, Ctrl-C only sets a flag; a second Ctrl-C ends the process.
---@param terminate? boolean whether SIGTERM, which job launchers send, sets it too
---@return neuraldrummer.interrupt
function core.catch_interrupt(terminate) end
--- Whether Ctrl-C was pressed since it was made.
---@return boolean
function interrupt:seen() end
function interrupt:close() end

---@class neuraldrummer.lock : userdata
local lock = {}
--- Takes a lock that one process or Lua state can have at a time. It is released when it is
--- closed or the process ends. Until then a file of this name exists.
---@package
---@param path string
---@return neuraldrummer.lock|false|nil lock false when another has it
---@return string? message
function core.lock(path) end
---@package
function lock:close() end

--- What the CPU supports that decides about kernels, and what is used: OpenBLAS's kernels
--- ("own" in a build without OpenBLAS), the kernels of packed products ("blas" if OpenBLAS
--- does them), and the version of the element-wise loops.
---@return {features: string[], blas: string, packed: "avx512"|"avx2"|"blas", loops: "x86-64-v4"|"x86-64-v3"|"default"}
function core.cpu() end

return core
