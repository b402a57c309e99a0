--- The actions of the scripts in examples/reaper. Each one reads the project through the
--- API, plays, and writes its result as one undo step.
local format = require "neuraldrummer.decimal".format
local imgui = require "neuraldrummer.reaper.imgui"
local kits = require "neuraldrummer.kits"
local player = require "neuraldrummer.reaper.player"
local project = require "neuraldrummer.reaper.project"
local settings = require "neuraldrummer.reaper.settings"
local window = require "neuraldrummer.reaper.window"
local work = require "neuraldrummer.reaper.work"

local reaper_actions = {}

local TITLE <const> = "Neural Drummer"

-- Start of the first item and end of the last.
local function span_of(r, items)
  local from, to = math.huge, -math.huge
  for _, item in ipairs(items) do
    local first, last = project.span(r, item)
    from, to = math.min(from, first), math.max(to, last)
  end
  return from, to
end

-- A record of how an item was made, from which it can be made again.
local function record(r, job)
  local lines = { "action=" .. job.action, "items=" .. project.names_of(r, job.items) }
  if job.drums then lines[#lines + 1] = "drums=" .. project.names_of(r, { job.drums }) end
  if job.shift then lines[#lines + 1] = format("shift=%.17g", job.shift) end
  for _, name in ipairs { "bars", "keep", "extend", "seed" } do
    local value = job.options[name]
    if value ~= nil then lines[#lines + 1] = ("%s=%s"):format(name, value) end
  end
  return table.concat(lines, "\n")
end

-- Functions that make the job of an action, from the project and the settings. Without a
-- job and a message, the user cancelled.

local prepare = {}

function prepare.drum(r)
  local items = project.selected(r)
  if #items > 0 then
    local from, to = span_of(r, items)
    return { items = items, from = from, to = to }
  end
  local from, to = project.time_selection(r)
  if not from then
    return nil, "Select MIDI items to play drums to, or a time range."
  end
  items = project.items_between(r, from, to)
  if #items == 0 then return nil, "The time range has no MIDI items other than drums." end
  return { items = items, from = from, to = to }
end

-- The existing drums, and the items that play with them.
local function with_drums(r)
  local drums, message = project.find_drums(r)
  if not drums then return nil, message end
  local from, to = project.span(r, drums)
  local items = project.items_between(r, from, to)
  if #items == 0 then return nil, "There is no MIDI item at the time of these drums." end
  return { items = items, drums = drums, from = from, to = to }
end

function prepare.redo(r)
  local from, to = project.time_selection(r)
  if not from then return nil, "Select the time range of the bars to play again." end
  local job, message = with_drums(r)
  if not job then return nil, message end
  if from >= job.to or to <= job.from then
    return nil, "The time selection does not touch the drum item."
  end
  job.again = { from, to }
  return job
end

-- By General MIDI's pitch, the voice of the model's kit.
local VOICES <const> = { [35] = "kick", [36] = "kick", [38] = "snare", [40] = "snare",
  [42] = "closed_hat", [44] = "closed_hat", [46] = "open_hat", [41] = "low_tom", [43] = "low_tom",
  [45] = "mid_tom", [47] = "mid_tom", [48] = "high_tom", [50] = "high_tom", [49] = "crash",
  [57] = "crash", [51] = "ride", [59] = "ride" }

function prepare.keep(r, options)
  local map, message = kits.open(options.kit)
  if message then return nil, message end
  local job
  job, message = with_drums(r)
  if not job then return nil, message end
  local names, seen = {}, {}
  for pitch in pairs(project.selected_pitches(r, job.drums)) do
    if map then pitch = map.reads[pitch] end
    local name = VOICES[pitch]
    if name and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  table.sort(names)
  local ok, text = r.GetUserInputs(TITLE, 1,
    "Voices to keep (kick snare hats …),separator=\n,extrawidth=160",
    #names > 0 and table.concat(names, ",") or "kick,snare")
  if not ok then return nil end
  job.options = { keep = text:gsub("^%s+", ""):gsub("%s+$", ""):gsub("[%s,]+", ",") }
  return job
end

function prepare.extend(r)
  local drums, message = project.find_drums(r)
  if not drums then return nil, message end
  local from, to = project.span(r, drums)
  local bars = project.measures(r, from, to)
  local items = project.selected(r)
  local start
  if #items > 0 then
    start, to = span_of(r, items)
  else
    items = project.items_between(r, from, math.huge)
    start = from
    local _, last = span_of(r, items)
    to = math.max(to, last)
  end
  if #items == 0 then return nil, "There is no music after the start of this loop." end
  local first = project.measures(r, start, start + 1e-3)[1]
  return { items = items, drums = drums, from = first.from, to = to,
    shift = first.from - bars[1].from, options = { extend = #bars } }
end

prepare.score = with_drums

function prepare.another(r)
  local item, message = project.find_drums(r)
  if not item then return nil, message end
  local _, text = r.GetSetMediaItemInfo_String(item, "P_EXT:neuraldrummer", "", false)
  local made = {}
  for name, value in text:gmatch "(%w+)=([^\n]*)" do made[name] = value end
  if not (made.action and prepare[made.action]) then
    return nil, "This drum item was not made by " .. TITLE .. "."
  end
  local from, to = project.span(r, item)
  local job = { action = made.action, items = project.items_named(r, made.items or ""), from = from,
    to = to, shift = tonumber(made.shift), options = { bars = made.bars, keep = made.keep,
      extend = math.tointeger(tonumber(made.extend)),
      seed = (math.tointeger(tonumber(made.seed)) or 0) + 1 } }
  if made.drums then
    job.drums = project.items_named(r, made.drums)[1]
    if not job.drums then return nil, "The drums that this take was made from no longer exist." end
  end
  if #job.items == 0 then return nil, "The items of these drums no longer exist." end
  return job
end

-- Running ------------------------------------------------------------------------

local LABELS <const> = {
  drum = "drum items", redo = "redo bars", keep = "keep voices, redo the rest",
  extend = "extend loop", score = "score drums",
}

-- How to run the tool, if the module cannot be loaded.
local function outside_of(r, tool)
  local windows = r.GetOS():find "^Win" ~= nil
  -- a folder of the user: in a shared one, somebody else could prepare a link
  local folder = windows and os.getenv "TEMP" or r.GetResourcePath()
  return {
    tool = tool or "neuraldrummer", windows = windows, clock = r.time_precise,
    folder = folder .. (windows and "\\" or "/"),
    run = function(line) r.ExecProcess(line, -1) end,
  }
end

local function played(r, job, song, kit, pause, outside)
  if job.again then job.options.bars = project.bar_range(song, job.again[1], job.again[2]) end
  local notes, message = player.play(song, job.options, kit, pause, outside)
  if not notes then return nil, message end
  local list = {}
  for _, note in ipairs(notes) do
    local from = song.base + note.tick / project.PPQ
    local to = from + math.max(note.duration, 1) / project.PPQ
    if to > job.from and from < job.to then
      list[#list + 1] = { from = from, to = to, pitch = note.pitch, velocity = note.velocity }
    end
    pause()
  end
  if #list == 0 then return nil, "The drummer played no hits in this range." end
  local name = ("Drums, seed %d"):format(job.options.seed)
  return function() project.write(r, job, list, name, record(r, job)) end
end

local function scored(r, job, song, kit, pause, outside)
  local bars, message = player.score(song, kit, pause, outside)
  if not bars then return nil, message end
  for _, bar in ipairs(bars) do bar.from = math.max(job.from, song.measures[bar.bar].from) end
  return function() project.mark(r, job.drums, bars) end
end

--- Runs an action: drum, redo, keep, extend, score, another or settings.
---@param action string
---@param r table the `reaper` table
---@param gfx table
function reaper_actions.run(action, r, gfx)
  local function leave(message)
    if message then r.MB(message, TITLE, 0) end
    r.defer(function() end)      -- otherwise REAPER makes an empty undo point
  end
  if action == "settings" then
    if not imgui.open(r) then window.open(r, gfx) end
    return
  end
  local options, job, message
  options, message = settings.options(r)
  if not options then return leave(message) end
  job, message = prepare[action](r, options)
  if not job then return leave(message) end
  job.action = job.action or action
  local kit, tool = options.kit, options.tool
  options.kit, options.tool = nil, nil
  for name, value in pairs(job.options or {}) do options[name] = value end
  options.seed = options.seed or 1
  job.options = options

  local loads, why = player.in_process()
  local outside = not loads and outside_of(r, tool) or nil
  local function task(pause, say)
    say("Reading the project …", 0.1)
    local song, problem = project.read(r, job, pause)
    if not song then return nil, problem end
    if song.n_music == 0 then return nil, "The items have no notes to play to." end
    song.ppq = project.PPQ
    say(job.action == "score" and "Scoring …" or "Playing …", 0.4)
    pause(true)
    return (job.action == "score" and scored or played)(r, job, song, kit, pause, outside)
  end
  work.run(r, gfx, TITLE, task, function(write, problem)
    if not write then
      if problem and outside then
        problem = ("%s\n\n(The module could not be loaded: %s)"):format(problem, why)
      end
      return leave(problem)
    end
    local ok
    ok, problem = project.change(r, ("%s: %s"):format(TITLE, LABELS[job.action]), write)
    if not ok then leave("Nothing was changed: " .. problem) end
  end)
end

return reaper_actions
