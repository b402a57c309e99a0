--- How well a model drums: with the recorded hits as its history (teacher
--- forcing), and playing freely, with its own hits as its history; the latter
--- beside what needs no network.
---
--- What the figures of free play mean stands in evaluate/figures.lua. Of a model
--- besides:
---   bits         a step over all voices, the recorded hits being its history
---   forced_f1    of the voices with a probability of at least 1/2, likewise
---   matching     share of stretches of MATCHED steps of recorded drums that are likelier
---                with their own song than with any of nine others
local core = require "neuraldrummer.core"
local format = require "neuraldrummer.decimal".format
local check = require "neuraldrummer.options".check
local classifier = require "neuraldrummer.evaluate.classifier"
local figures = require "neuraldrummer.evaluate.figures"
local players = require "neuraldrummer.evaluate.players"
local evaluated = require "neuraldrummer.evaluate.songs"

---@class neuraldrummer.modules.evaluate
local evaluate = {}

local MATCHED <const>, AMONG <const> = 256, 10

local KNOWN = {
  split = "string", songs = "integer", steps = "integer", seed = "integer",
  temperature = "number", variation = "number", cutoff = "number",
  forced = "integer", start = "string",
  threads = "integer", batch = "integer", name = "string", on_progress = "function",
  style_of_own = "boolean", given_bars = "integer", touch = "userdata",
}

-- A copy of a table, with changes.
local function with(options, changes)
  local o = {}
  for key, value in pairs(options) do o[key] = value end
  for key, value in pairs(changes) do o[key] = value end
  return o
end

local function settle(options)
  return with({ split = "valid", songs = 60, steps = 512, seed = 1,
    on_progress = function() end }, options)
end

---@class neuraldrummer.evaluate_options
---@field split? "valid"|"train"|"all" default "valid"
---@field songs? integer at most so many, in the corpus' order; default 60
---@field steps? integer of each at most; default 512
---@field seed? integer of the first song; the next ones' follow
---@field temperature? number
---@field variation? number
---@field cutoff? number
---@field forced? integer
---@field start? string
---@field threads? integer
---@field name? string of the row
---@field batch? integer streams at once when teacher-forced
---@field style_of_own? boolean the style of each song's own drums is given, to models that
--- take one
---@field given_bars? integer so many bars of a song's own drums are given, likewise; what
--- follows is measured
---@field touch? neuraldrummer.model gives what is played velocities and offsets
---@field on_progress? fun(done: integer, total: integer)

local function recorded_stretches(songs)
  return classifier.stretches(songs, evaluated.recorded(songs))
end

--- Lets the model play the songs.
---@param model neuraldrummer.model
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options
---@return neuraldrummer.evaluate_row[]? rows one
---@return string? message
function evaluate.free(model, corpus, options)
  local o = settle(check(options, KNOWN))
  local songs, message = evaluated.load(corpus, o)
  if not songs then return nil, message end
  local played, seqs = players.model(model, songs, o)
  local name = o.name
    or o.temperature and ("model, temperature %g"):format(o.temperature) or "model"
  return { figures.measure(name, songs, played, recorded_stretches(songs), seqs) }
end

local function baselines_of(songs, o)
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

--- The same figures of what needs no network, and of the recorded drums.
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options
---@return neuraldrummer.evaluate_row[]? rows
---@return string? message
function evaluate.baselines(corpus, options)
  local o = settle(check(options, KNOWN))
  local songs, message = evaluated.load(corpus, o)
  if not songs then return nil, message end
  return baselines_of(songs, o)
end

--- Whose song? In how many cases a stretch of recorded drums, from the middle of a song,
--- is likelier with its own song than with those of nine others.
---@param model neuraldrummer.model
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options `songs`: at most so many; sampling has no say here
---@return table[]? rows one: name, matching, songs; nil where there are fewer than ten
---@return string? message
function evaluate.matching(model, corpus, options)
  local o = settle(check(options, KNOWN))
  local seqs, at = {}, {}
  for i = 1, #corpus do
    local info = corpus:info(i)
    if #seqs == o.songs then break end
    if (o.split == "all" or info.split == o.split) and info.steps >= MATCHED then
      local seq, message = corpus:song(i)
      if not seq then return nil, message end
      local start, middle = 1, (#seq - MATCHED) // 2
      for b, bar in ipairs(seq:bars()) do
        if b % 4 == 1 and bar.first <= middle then start = bar.first end
      end
      seqs[#seqs + 1], at[#at + 1] = seq, start
    end
  end
  local groups = #seqs // AMONG
  if groups == 0 then
    return nil, ("matching needs %d songs of %d steps"):format(AMONG, MATCHED)
  end
  -- neighbours in a corpus may be of one band: group g takes every groups-th song
  local right = 0
  for g = 1, groups do
    local song, from = {}, {}
    for k = 1, AMONG do song[k], from[k] = seqs[g + (k - 1) * groups], at[g + (k - 1) * groups] end
    for k = 1, AMONG do
      local best, most = nil, -math.huge
      local judged = core.log_likelihood(model, song[k], { song = song, song_step = from,
        from = from[k], steps = MATCHED })
      for other, list in ipairs(judged) do
        local sum = 0
        for _, x in ipairs(list) do sum = sum + x end
        if sum > most then best, most = other, sum end
      end
      if best == k then right = right + 1 end
    end
    o.on_progress(g, groups)
  end
  return { { name = "matching", matching = right / (groups * AMONG), songs = groups * AMONG } }
end

--- The model's loss on a split with the recorded hits as history.
---@param model neuraldrummer.model
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options `songs`, `steps` and sampling have no say here
---@return table[]? rows one: name, loss (nats a grid cell), bits (a step, over all voices), f1
--- and hits (a step) of the voices with a probability of at least 1/2, steps
---@return string? message
function evaluate.teacher(model, corpus, options)
  local o = settle(check(options, KNOWN))
  local batches <close>, message = corpus:batches { model = model, split = o.split,
    batch = o.batch, shuffle = false, history_dropout = false, seed = o.seed }
  if not batches then return nil, message end
  local sum, count, guessed, struck, both = 0, 0, 0, 0, 0
  local done, total = 0, batches:count()
  while true do
    local more
    more, message = batches:next()
    if more == nil then return nil, message end
    if not more then break end
    local loss, n, guesses, hits, right = model:loss(batches)
    if not loss then return nil, n end
    sum, count = sum + loss * n, count + n
    guessed, struck, both = guessed + guesses, struck + hits, both + right
    done = done + 1
    o.on_progress(done, total)
  end
  local voices = #model:tokeniser():voices()
  local loss = sum / math.max(1, count)
  return { { name = "teacher forcing", loss = loss, bits = loss * voices / math.log(2),
    f1 = guessed + struck > 0 and 2 * both / (guessed + struck) or nil,
    hits = guessed / math.max(1, count // voices), steps = count // voices } }
end

-- One table ----------------------------------------------------------------

local MUCH <const> = 1 << 40

---@class neuraldrummer.evaluate_entry
---@field model neuraldrummer.model
---@field label string
---@field corpus? neuraldrummer.corpus the same songs as the model hears them, where that is
--- another grid or kit than the others'

--- One table: what needs no network, each model playing the songs freely, at
--- each temperature, and the recorded drums. Whole songs are counted for bits
--- and forced_f1, `steps` of each for the rest.
---@param entries neuraldrummer.evaluate_entry[]
---@param corpus neuraldrummer.corpus
---@param options? neuraldrummer.evaluate_options songs: default all; besides, temperatures:
--- number[], and on_model: fun(label, what), called before each part
---@return neuraldrummer.evaluate_row[]? rows
---@return string? message
function evaluate.table(entries, corpus, options)
  local o = with({ songs = MUCH, temperatures = {}, on_model = function() end },
    check(options, with(KNOWN, { temperatures = "table", on_model = "function" })))
  o = settle(o)
  local songs, message = evaluated.load(corpus, o)
  if not songs then return nil, message end
  o.on_model("recorded drums", "without a network")
  local rows = baselines_of(songs, o)
  local recorded = table.remove(rows, 1)
  local real_rows = recorded_stretches(songs)
  local plain = { split = o.split, songs = o.songs, seed = o.seed, batch = o.batch,
    threads = o.threads, on_progress = o.on_progress }
  for _, entry in ipairs(entries) do
    local model, label = entry.model, entry.label
    local heard = entry.corpus or corpus
    o.on_model(label, "teacher forcing")
    local teacher, matching
    teacher, message = evaluate.teacher(model, heard, plain)
    if not teacher then return nil, message end
    o.on_model(label, "matching")
    matching = evaluate.matching(model, heard, plain)  -- nil where songs are few
    local here, real_here = songs, real_rows
    if entry.corpus then
      here, message = evaluated.load(heard, o)
      if not here then return nil, message end
      real_here = recorded_stretches(here)
    end
    local temperatures = #o.temperatures > 0 and o.temperatures or { o.temperature or false }
    for _, temperature in ipairs(temperatures) do
      o.on_model(label, "free play")
      local played, seqs = players.model(model, here, with(o, { temperature = temperature or nil }))
      local name = label
      if temperature then name = ("%s, %g"):format(name, temperature) end
      if (o.style_of_own or o.given_bars) and not players.takes_direction(model) then
        name = name .. " (takes no direction)"
      end
      local row = figures.measure(name, here, played, real_here, seqs)
      row.bits, row.forced_f1 = teacher[1].bits, teacher[1].f1
      row.matching = matching and matching[1].matching
      rows[#rows + 1] = row
    end
  end
  rows[#rows + 1] = recorded
  return rows
end

local columns = {
  { "loss", "loss", "%.4f" }, { "bits", "bits/step", "%.3f" },
  { "forced_f1", "forced F1", "%.3f" },
  { "f1", "F1", "%.3f" }, { "near", "F1 near", "%.3f" },
  { "hits", "hits/step", "%.2f" }, { "density", "of real", "%.2f" },
  { "repeats", "repeats", "%.0f%%", 100 }, { "silent", "silent", "%d" },
  { "groove", "groove", "%.3f" }, { "consistency", "consistency", "%.3f" },
  { "pattern", "pattern", "%.3f" },
  { "back_beat", "back-beat", "%.0f%%", 100 }, { "kick_bass", "kick+bass", "%.0f%%", 100 },
  { "fills", "fills", "%.2f" }, { "intervals", "intervals", "%.2f" },
  { "velocity", "velocity", "%.2f" }, { "offset", "offset", "%.2f" },
  { "matching", "matching", "%.0f%%", 100 }, { "auc", "AUC", "%.2f" },
  { "songs", "songs", "%d" }, { "steps", "steps", "%d" },
}

--- Rows as a printable table; columns that no row has are left out.
---@param rows table[]
---@return string
function evaluate.format(rows)
  local lines, width = { "" }, 0
  for _, row in ipairs(rows) do width = math.max(width, #row.name) end
  lines[1] = (" "):rep(width)
  for i, row in ipairs(rows) do lines[i + 1] = row.name .. (" "):rep(width - #row.name) end
  for _, column in ipairs(columns) do
    local key, title, pattern, factor = table.unpack(column)
    local cells, wide, any = { title }, #title, false
    for i, row in ipairs(rows) do
      local value = row[key]
      any = any or value ~= nil
      cells[i + 1] = value and format(pattern, factor and value * factor or value) or "-"
      wide = math.max(wide, #cells[i + 1])
    end
    if any then
      for i, cell in ipairs(cells) do
        lines[i] = lines[i] .. "  " .. (" "):rep(wide - #cell) .. cell
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

return evaluate
