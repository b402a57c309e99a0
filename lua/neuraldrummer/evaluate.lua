--- Evaluates models: their loss with the recorded hits as history (teacher forcing), and the
--- drums that they play freely, with their own hits as history. Free play is measured by the
--- same figures as baselines that need no network, and as the recorded drums.
--- `evaluate.legend` explains the figures.
local core = require "neuraldrummer.core"
local format = require "neuraldrummer.decimal".format
local check = require "neuraldrummer.options".check
local classifier = require "neuraldrummer.evaluate.classifier"
local figures = require "neuraldrummer.evaluate.figures"
local players = require "neuraldrummer.evaluate.players"
local evaluated = require "neuraldrummer.evaluate.songs"

---@class neuraldrummer.modules.evaluate
local evaluate = {}

-- Matching compares stretches of this many steps, in groups of this many songs.
local MATCHED_STEPS <const>, GROUP <const> = 256, 10

local KNOWN = {
  split = "string", songs = "integer", steps = "integer", seed = "integer",
  temperature = "number", variation = "number", cutoff = "number",
  forced = "integer", start = "string",
  threads = "integer", batch = "integer", name = "string", on_progress = "function",
  recorded_style = "boolean", given_bars = "integer", touch = "userdata",
}

-- A copy of a table with changes.
local function with(options, changes)
  local o = {}
  for key, value in pairs(options) do o[key] = value end
  for key, value in pairs(changes) do o[key] = value end
  return o
end

local function add_defaults(options)
  return with({ split = "valid", songs = 60, steps = 512, seed = 1,
    on_progress = function() end }, options)
end

---@class neuraldrummer.evaluate_options
---@field split? "valid"|"train"|"all" default "valid"
---@field songs? integer maximum number of songs, in the order of the corpus (default 60)
---@field steps? integer maximum number of steps of each song (default 512)
---@field seed? integer of the first song (default 1); each further song has the next seed
---@field temperature? number
---@field variation? number
---@field cutoff? number
---@field forced? integer
---@field start? string
---@field threads? integer
---@field name? string name of the row
---@field batch? integer number of songs at once in teacher forcing
---@field recorded_style? boolean give the style of each song's recorded drums to models that take
--- one
---@field given_bars? integer give this many bars of the recorded drums to models that take them;
--- the steps after them are measured
---@field touch? neuraldrummer.model touch model that gives the played hits velocities and offsets
---@field on_progress? fun(done: integer, total: integer)

local function recorded_stretches(songs)
  return classifier.stretches(songs, evaluated.recorded(songs))
end

--- Lets a model play the songs freely and measures its drums.
---@param model neuraldrummer.model
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options
---@return neuraldrummer.evaluate_row[]? rows one row
---@return string? message
function evaluate.free(model, corpus, options)
  local o = add_defaults(check(options, KNOWN))
  local songs, message = evaluated.load(corpus, o)
  if not songs then return nil, message end
  local played, seqs = players.model(model, songs, o)
  local name = o.name
    or o.temperature and ("model, temperature %g"):format(o.temperature) or "model"
  return { figures.measure(name, songs, played, recorded_stretches(songs), seqs) }
end

local function measure_baselines(songs, o)
  local real, real_rows, recorded = evaluated.recorded(songs), recorded_stretches(songs), {}
  for s, song in ipairs(songs) do recorded[s] = song.seq end
  local rows = { figures.measure("recorded drums", songs, real, nil, recorded) }
  local list = players.simple(o)
  for i, player in ipairs(list) do
    local played = {}
    for s, song in ipairs(songs) do played[s] = player.play(song) end
    rows[i + 1] = figures.measure(player.name, songs, played, real_rows)
    o.on_progress(i, #list)
  end
  return rows
end

--- Measures the recorded drums and the baselines.
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options
---@return neuraldrummer.evaluate_row[]? rows
---@return string? message
function evaluate.baselines(corpus, options)
  local o = add_defaults(check(options, KNOWN))
  local songs, message = evaluated.load(corpus, o)
  if not songs then return nil, message end
  return measure_baselines(songs, o)
end

-- Songs of at least MATCHED_STEPS steps, and the first step of the stretch in the middle of each:
-- the start of every fourth bar is a candidate.
local function load_stretches(corpus, o)
  local seqs, starts = {}, {}
  for i = 1, #corpus do
    local info = corpus:info(i)
    if #seqs == o.songs then break end
    if (o.split == "all" or info.split == o.split) and info.steps >= MATCHED_STEPS then
      local seq, message = corpus:song(i)
      if not seq then return nil, message end
      local start, middle = 1, (#seq - MATCHED_STEPS) // 2
      for b, bar in ipairs(seq:bars()) do
        if b % 4 == 1 and bar.first <= middle then start = bar.first end
      end
      seqs[#seqs + 1], starts[#starts + 1] = seq, start
    end
  end
  return seqs, starts
end

-- The number of songs of a group whose drums are likeliest with their own song.
local function count_matches(model, songs, starts)
  local right = 0
  for k, song in ipairs(songs) do
    local best, best_sum = nil, -math.huge
    local likelihoods = core.log_likelihood(model, song, { song = songs, song_step = starts,
      from = starts[k], steps = MATCHED_STEPS })
    for other, list in ipairs(likelihoods) do
      local sum = 0
      for _, x in ipairs(list) do sum = sum + x end
      if sum > best_sum then best, best_sum = other, sum end
    end
    if best == k then right = right + 1 end
  end
  return right
end

--- Measures whether a model recognises which drums belong to which song: the fraction of
--- stretches of recorded drums, from the middle of a song, that the model finds likelier with
--- their own song than with any of nine other songs.
---@param model neuraldrummer.model
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options the options of sampling have no effect
---@return table[]? rows one row: name, matching, songs; nil if there are fewer than ten songs
---@return string? message
function evaluate.matching(model, corpus, options)
  local o = add_defaults(check(options, KNOWN))
  local seqs, starts = load_stretches(corpus, o)
  if not seqs then return nil, starts end
  local groups = #seqs // GROUP
  if groups == 0 then
    return nil, ("matching needs %d songs of %d steps"):format(GROUP, MATCHED_STEPS)
  end
  -- neighbours in a corpus may be by one band, so a group takes every groups-th song
  local right = 0
  for g = 1, groups do
    local songs, from = {}, {}
    for k = 1, GROUP do
      local i = g + (k - 1) * groups
      songs[k], from[k] = seqs[i], starts[i]
    end
    right = right + count_matches(model, songs, from)
    o.on_progress(g, groups)
  end
  return { { name = "matching", matching = right / (groups * GROUP), songs = groups * GROUP } }
end

--- Measures a model's loss on a split, with the recorded hits as history.
---@param model neuraldrummer.model
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options `songs`, `steps` and the options of sampling have
--- no effect
---@return table[]? rows one row: name, loss (nats per grid cell), bits (per step, over all voices),
--- f1 and hits (per step) of voices with a probability of at least 1/2, and steps
---@return string? message
function evaluate.teacher(model, corpus, options)
  local o = add_defaults(check(options, KNOWN))
  local batches <close>, message = corpus:batches { model = model, split = o.split,
    batch = o.batch, shuffle = false, history_dropout = false, seed = o.seed }
  if not batches then return nil, message end
  -- the loss and grid cells; cells that are guessed as hits, that are hits, and that are both
  local sum, cells, guessed, hits, both = 0, 0, 0, 0, 0
  local done, total = 0, batches:count()
  while true do
    local more
    more, message = batches:next()
    if more == nil then return nil, message end
    if not more then break end
    local loss, n, guesses, real, right = model:loss(batches)
    if not loss then return nil, n end
    sum, cells = sum + loss * n, cells + n
    guessed, hits, both = guessed + guesses, hits + real, both + right
    done = done + 1
    o.on_progress(done, total)
  end
  local voices = #model:tokeniser():voices()
  local loss = sum / math.max(1, cells)
  return { { name = "teacher forcing", loss = loss, bits = loss * voices / math.log(2),
    f1 = guessed + hits > 0 and 2 * both / (guessed + hits) or nil,
    hits = guessed / math.max(1, cells // voices), steps = cells // voices } }
end

-- One table -----------------------------------------------------------------

local ALL_SONGS <const> = 1 << 40

---@class neuraldrummer.evaluate_entry
---@field model neuraldrummer.model
---@field label string
---@field corpus? neuraldrummer.corpus the same songs on this model's grid and kit, if they differ
--- from those of the other models

-- The rows of one model, one per temperature.
local function measure_model(entry, corpus, songs, real_rows, o)
  local model, label = entry.model, entry.label
  local encoded = entry.corpus or corpus
  local message
  local plain = { split = o.split, songs = o.songs, seed = o.seed, batch = o.batch,
    threads = o.threads, on_progress = o.on_progress }
  o.on_model(label, "teacher forcing")
  local teacher, matching
  teacher, message = evaluate.teacher(model, encoded, plain)
  if not teacher then return nil, message end
  o.on_model(label, "matching")
  matching = evaluate.matching(model, encoded, plain)  -- nil if there are too few songs
  if entry.corpus then
    songs, message = evaluated.load(encoded, o)
    if not songs then return nil, message end
    real_rows = recorded_stretches(songs)
  end
  local rows = {}
  local temperatures = #o.temperatures > 0 and o.temperatures or { o.temperature or false }
  for _, temperature in ipairs(temperatures) do
    o.on_model(label, "free play")
    local played, seqs = players.model(model, songs, with(o, { temperature = temperature or nil }))
    local name = label
    if temperature then name = ("%s, %g"):format(name, temperature) end
    if (o.recorded_style or o.given_bars) and not players.takes_direction(model) then
      name = name .. " (takes no direction)"
    end
    local row = figures.measure(name, songs, played, real_rows, seqs)
    row.bits, row.forced_f1 = teacher[1].bits, teacher[1].f1
    row.matching = matching and matching[1].matching
    rows[#rows + 1] = row
  end
  return rows
end

--- Measures everything in one table: the baselines, each model at each temperature, and the
--- recorded drums. The loss is measured on whole songs, free play on `steps` steps of each.
---@param entries neuraldrummer.evaluate_entry[]
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options `songs` defaults to all; two more options:
--- temperatures, a list, and on_model: fun(label, part), called before each part of the work
---@return neuraldrummer.evaluate_row[]? rows
---@return string? message
function evaluate.table(entries, corpus, options)
  local o = with({ songs = ALL_SONGS, temperatures = {}, on_model = function() end },
    check(options, with(KNOWN, { temperatures = "table", on_model = "function" })))
  o = add_defaults(o)
  local songs, message = evaluated.load(corpus, o)
  if not songs then return nil, message end
  o.on_model("recorded drums", "without a network")
  local rows = measure_baselines(songs, o)
  local recorded = table.remove(rows, 1)
  local real_rows = recorded_stretches(songs)
  for _, entry in ipairs(entries) do
    local more
    more, message = measure_model(entry, corpus, songs, real_rows, o)
    if not more then return nil, message end
    table.move(more, 1, #more, #rows + 1, rows)
  end
  rows[#rows + 1] = recorded
  return rows
end

-- The columns that at least one of the rows has.
local function columns_of(rows)
  local list = {}
  for _, column in ipairs(figures.COLUMNS) do
    local found = false
    for _, row in ipairs(rows) do found = found or row[column.key] ~= nil end
    if found then list[#list + 1] = column end
  end
  return list
end

--- Formats rows as a table. Columns without values are left out.
---@param rows table[]
---@return string
function evaluate.format(rows)
  local lines, width = {}, 0
  for _, row in ipairs(rows) do width = math.max(width, #row.name) end
  lines[1] = (" "):rep(width)
  for i, row in ipairs(rows) do lines[i + 1] = row.name .. (" "):rep(width - #row.name) end
  for _, column in ipairs(columns_of(rows)) do
    local cells = { column.title }
    local column_width = #column.title
    for i, row in ipairs(rows) do
      local value = row[column.key]
      cells[i + 1] = value and format(column.format, value * (column.factor or 1)) or "-"
      column_width = math.max(column_width, #cells[i + 1])
    end
    for i, cell in ipairs(cells) do
      lines[i] = lines[i] .. "  " .. (" "):rep(column_width - #cell) .. cell
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

--- Explains the columns of `evaluate.format`, one per line.
---@param rows table[]
---@return string
function evaluate.legend(rows)
  local lines = {}
  for i, column in ipairs(columns_of(rows)) do
    lines[i] = ("%-11s  %s\n"):format(column.title, column.text)
  end
  return table.concat(lines)
end

return evaluate
