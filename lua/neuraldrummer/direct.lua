--- Direction: from what a user says to what a generator's `play` takes, and the
--- sections of a song, which say what comes back. Misuse raises, beginning with
--- "option '…'"; bars count from 1.
local core = require "neuraldrummer.core"
local files = require "neuraldrummer.files"
local as_text = require "neuraldrummer.numbers".text
local check = require "neuraldrummer.options".check
local printable = require "neuraldrummer.printable"

local direct = {}

local function fail(option, format, ...)
  error(("option '%s': " .. format):format(option, ...), 0)
end

-- What the user says --------------------------------------------------------

-- The items of a list, blanks around them dropped; an empty one is refused.
local function items(option, text)
  local list = {}
  for item in (text .. ","):gmatch "%s*(.-)%s*," do
    if item == "" then fail(option, "an empty item in '%s'", text) end
    list[#list + 1] = item
  end
  return list
end

local function bar_number(option, text, n_bars)
  local bar = math.tointeger(tonumber(text))
  if not bar or bar < 1 then fail(option, "'%s' is not a bar's number", text) end
  if bar > n_bars then fail(option, "there is no bar %d: the last is %d", bar, n_bars) end
  return bar
end

-- "9", "9-12" or "9-" (to the end): the first and last of a range.
local function range(option, text, n_bars)
  local from, to = text:match "^(%d+)%s*%-%s*(%d*)$"
  if not from then
    local bar = bar_number(option, text, n_bars)
    return bar, bar
  end
  from = bar_number(option, from, n_bars)
  to = to == "" and n_bars or bar_number(option, to, n_bars)
  if to < from then fail(option, "'%s' goes backwards", text) end
  return from, to
end

--- Bars as a set: "9-12,17", "33-", a number, or a list of numbers.
---@param option string its name, for messages
---@param value string|integer|integer[]
---@param n_bars integer
---@return table<integer, boolean> set true for each bar
function direct.bars(option, value, n_bars)
  local set = {}
  if type(value) == "table" then
    for _, bar in ipairs(value) do set[bar_number(option, tostring(bar), n_bars)] = true end
    return set
  end
  for _, item in ipairs(items(option, as_text(value))) do
    local from, to = range(option, item, n_bars)
    for bar = from, to do set[bar] = true end
  end
  return set
end

-- Several voices under one name, where the kit has them.
local GROUPS <const> = {
  hats = { "_hat$" }, toms = { "_tom$" }, cymbals = { "^crash$", "^ride$", "^splash$", "^bell$" },
}

-- Indices of the voices that a name stands for; none for an unknown one.
local function members(name, voices)
  local found = {}
  for i, voice in ipairs(voices) do
    if voice == name then return { i } end
    for _, pattern in ipairs(GROUPS[name] or {}) do
      if voice:find(pattern) then found[#found + 1] = i end
    end
  end
  return found
end

--- Voices as a set of indices: "kick,snare", "hats", or a list of names.
---@param option string
---@param value string|string[]
---@param voices string[] of the kit
---@return table<integer, boolean>
function direct.voices(option, value, voices)
  local set = {}
  for _, name in ipairs(type(value) == "table" and value or items(option, value)) do
    local found = members(name, voices)
    if #found == 0 then
      fail(option, "the kit has no voice '%s'; there are %s, hats, toms and cymbals", name,
        table.concat(voices, ", "))
    end
    for _, i in ipairs(found) do set[i] = true end
  end
  return set
end

local function energy_number(text)
  local x = tonumber(text)
  if not x or not (x >= -3 and x <= 3) then
    fail("energy", "'%s' is not in -3 to 3 (0: the song's mean, 1: twice its hits)", text)
  end
  return x + 0.0
end

--- Energy by bar, log2 of a bar's hits over the song's mean: a number for all,
--- "1-8:-1,9-16:1", "9-16:-1>1" (rising), or a list with false where the
--- drummer decides.
---@param value number|string|(number|false)[]
---@param n_bars integer
---@return (number|false)[]
function direct.energy(value, n_bars)
  local list = {}
  for bar = 1, n_bars do list[bar] = false end
  if type(value) == "table" then
    for bar = 1, n_bars do list[bar] = value[bar] and energy_number(value[bar]) or false end
    return list
  end
  local text = as_text(value)
  if not text:find ":" then
    local x = energy_number(text)
    for bar = 1, n_bars do list[bar] = x end
    return list
  end
  for _, item in ipairs(items("energy", text)) do
    local bars, x = item:match "^([^:]+):(.+)$"
    if not bars then fail("energy", "'%s' is not BARS:ENERGY", item) end
    local from, to = range("energy", bars, n_bars)
    local first, last = x:match "^(.-)>(.+)$"
    first, last = energy_number(first or x), energy_number(last or x)
    for bar = from, to do
      list[bar] = to > from and first + (last - first) * (bar - from) / (to - from) or first
    end
  end
  return list
end

-- 1 where the song's first bar is a pickup, shorter than the second.
local function pickup(seq)
  local bars = seq:bars()
  return #bars > 2 and bars[1].last - bars[1].first < bars[2].last - bars[2].first and 1 or 0
end

--- Fills by bar: "none", "sections" (the last bar of each), "every 8" (or 8),
--- "9,17-18" (there and nowhere else), or a list of booleans with nil where the
--- drummer decides.
---@param value string|integer|table<integer, boolean>
---@param seq neuraldrummer.sequence
---@param sections? neuraldrummer.section[] default: those of the song
---@return table<integer, boolean?>
function direct.fills(value, seq, sections)
  local n_bars = #seq:bars()
  local list = {}
  if type(value) == "table" then
    for bar = 1, n_bars do
      if value[bar] ~= nil and type(value[bar]) ~= "boolean" then
        fail("fills", "bar %d: a boolean is needed", bar)
      end
      list[bar] = value[bar]
    end
    return list
  end
  local text = as_text(value)
  for bar = 1, n_bars do list[bar] = false end
  local every = text:match "^every%s+(%d+)$" or text:match "^%d+$"
  if text == "sections" then
    for _, section in ipairs(sections or direct.sections(seq)) do
      if section.last < n_bars then list[section.last] = true end
    end
  elseif every then
    every = math.tointeger(tonumber(every))
    if not every or every < 1 then fail("fills", "every %s bars is no distance", text) end
    for bar = every + pickup(seq), n_bars, every do list[bar] = true end
  elseif text ~= "none" then
    if not text:find "^[%d%s,-]+$" then
      fail("fills", "'%s' is neither none, sections, every N nor bars like 9,17", text)
    end
    for bar in pairs(direct.bars("fills", text, n_bars)) do list[bar] = true end
  end
  return list
end

-- Styles --------------------------------------------------------------------

local TRAITS <const> = { "repeats", "off_eighths", "back_beats", "rests", "fills" }
local SIXTEENTHS <const> = 24  -- places of a groove
local FORMAT <const> = "neuraldrummer style 1"

local function style_names(voices)
  local names = table.move(voices, 1, #voices, 1, {})
  return table.move(TRAITS, 1, #TRAITS, #names + 1, names)
end

--- A style as it is kept in a file: JSON, its numbers by name, its groove a row of
--- voices for each sixteenth of a bar.
---@param name string
---@param seq neuraldrummer.sequence whose drums have it
---@return string json
function direct.style_text(name, seq)
  local order, numbers, groove = { "format", "name", "kit", "numbers", "groove" }, {}, {}
  local measured, voices = seq:style(), seq:voices()
  local names = style_names(voices)
  local function short(x) return tonumber(("%.6f"):format(x)) end
  for i, key in ipairs(names) do
    numbers[key] = short(measured[i])
    order[#order + 1] = key
  end
  for place = 1, SIXTEENTHS do
    local row, at = {}, #names + (place - 1) * #voices
    for v = 1, #voices do row[v] = short(measured[at + v]) end
    groove[place] = row
  end
  return require "dkjson".encode({
    format = FORMAT, name = printable.utf8(name), kit = seq:settings().kit_text,
    numbers = numbers, groove = groove,
  }, { indent = true, keyorder = order }) .. "\n"
end

local function is_share(x) return type(x) == "number" and x >= 0 and x <= 1 end

--- The numbers of a style's file; those of the groove behind the others, where it has one.
---@param path string
---@param settings table of the model's tokeniser
---@param voices string[]
---@return number[]? numbers
---@return string? message
function direct.load_style(path, settings, voices)
  local text, message = files.text(path, 1 << 20)
  if not text then return nil, message end
  local ok, style = pcall(require "dkjson".decode, text)  -- it raises where it is too deep
  if not ok or type(style) ~= "table" or style.format ~= FORMAT
    or type(style.numbers) ~= "table" then
    return nil, path .. ": is not a style (neuraldrummer style SONG.mid makes one)"
  elseif style.kit ~= settings.kit_text then
    return nil, ("%s: the style is of another kit than the model's, %s"):format(path, settings.kit)
  end
  local numbers = {}
  for i, name in ipairs(style_names(voices)) do
    local x = style.numbers[name]
    if not is_share(x) then return nil, ("%s: '%s' is not a number in 0-1"):format(path, name) end
    numbers[i] = x
  end
  if not style.groove then return numbers end
  if type(style.groove) ~= "table" or #style.groove ~= SIXTEENTHS then
    return nil, ("%s: the groove has not %d places"):format(path, SIXTEENTHS)
  end
  for place, row in ipairs(style.groove) do
    for v = 1, #voices do
      if type(row) ~= "table" or #row ~= #voices or not is_share(row[v]) then
        return nil, ("%s: the groove's place %d is not %d numbers in 0-1"):format(path, place,
          #voices)
      end
      numbers[#numbers + 1] = row[v]
    end
  end
  return numbers
end

-- Changes `numbers` by "ride=0.6": of a group, the members keep their shares.
local function change(numbers, item, voices)
  local name, text = item:match "^(.-)%s*=%s*(.+)$"
  local x = tonumber(text)
  if not x or not (x >= 0 and x <= 1) then fail("style", "'%s': a number 0-1 is needed", item) end
  for i, trait in ipairs(TRAITS) do
    if name == trait then
      numbers[#voices + i] = x
      return
    end
  end
  local found, sum = members(name, voices), 0
  if #found == 0 then
    fail("style", "no '%s'; there are %s, hats, toms and cymbals", name,
      table.concat(style_names(voices), ", "))
  end
  -- a style's numbers are square roots of rates
  for _, i in ipairs(found) do sum = sum + numbers[i] ^ 2 end
  local factor = sum > 0 and x / sum ^ 0.5
  local names = #voices + #TRAITS
  for _, i in ipairs(found) do
    numbers[i] = math.min(factor and numbers[i] * factor or x / (#found) ^ 0.5, 1.0)
    -- a voice that the groove has not falls on its eighths
    for at = names + i, #numbers, #voices do
      local eighth = (at - names - 1) // #voices % 2 == 0
      numbers[at] = factor and math.min(numbers[at] * factor, 1.0) or eighth and numbers[i] or 0.0
    end
  end
end

local function find_style(name, model)
  local near, last = 0, nil
  for _, style in ipairs(model:styles()) do
    if style.name == name then return style.index end
    if style.name:lower():find(name:lower(), 1, true) then near, last = near + 1, style end
  end
  if near == 1 then return last.index end
  if near > 1 then fail("style", "%d styles have '%s' in their names: say more", near, name) end
  fail("style", "no style is named '%s' (--styles lists them)", name)
end

--- What `play` takes for a style: false for none, an index, a name or a part of
--- it that is one style's alone, a file (NAME.style), changes to any of these or
--- to the one that would be drawn ("ride=0.6,toms=0.2", each the square root of
--- hits a step), a Sequence whose drums have it, or its numbers.
---@param value any
---@param seq neuraldrummer.sequence the song to be played
---@param model neuraldrummer.model
---@param generator neuraldrummer.generator
---@return any? style
---@return string? message
function direct.style(value, seq, model, generator)
  if type(value) ~= "string" then return value end
  local base, changes = value, {}
  -- the name of a file may look like a change
  while base and not (base:find "%.style$" and files.exists(base)) do
    local before, item = base:match "^(.*),%s*([%w_]+%s*=[^,=]*)$"
    if not before then before, item = nil, base:match "^[%w_]+%s*=[^,=]*$" end
    if not item then break end
    table.insert(changes, 1, item)
    base = before
  end
  local voices = seq:voices()
  local style
  if base == "" then
    fail("style", "'%s' names none", value)
  elseif base and base:find "^%d+$" then
    style = math.tointeger(tonumber(base)) or fail("style", "'%s' is no index", base)
  elseif base and base:find "%.style$" then
    local message
    style, message = direct.load_style(base, seq:settings(), voices)
    if not style then return nil, message end
  elseif base then
    style = find_style(base, model)
  end
  if #changes == 0 then return style end
  local numbers = generator:choose(seq, style)
  if not numbers then fail("style", "the model has no styles to change") end
  for _, item in ipairs(changes) do change(numbers, item, voices) end
  return numbers
end

-- Sections ------------------------------------------------------------------

local NOVEL <const> = 0.3       -- least novelty of a boundary
local ALIKE <const> = 0.6       -- least likeness of a section that returns
local KINDS <const> = 64        -- so many different sections are remembered

---@class neuraldrummer.section
---@field first integer bar
---@field last integer bar
---@field kind integer the same for sections that are alike
---@field of? integer index of the first section of its kind, when it returns

-- Bars at which sections begin, by peaks of novelty.
local function boundaries(seq, bars)
  local n, novel, novelty = #bars, {}, seq:metric "novelty"
  local shift = pickup(seq)
  for b = 2, n do
    local x = novelty[bars[b].first]
    -- phrases are of four bars as a rule
    novel[b] = (b - 1 - shift) % 4 == 0 and x * 1.25 or x
  end
  local starts = { 1 }
  for b = 2, n do
    local peak = novel[b] >= NOVEL
    for other = math.max(2, b - 3), math.min(n, b + 3) do
      peak = peak and (novel[other] < novel[b] or (novel[other] == novel[b] and other >= b))
    end
    if peak then starts[#starts + 1] = b end
  end
  return starts
end

--- The sections of a song, by what is heard in it (not its drums): where it
--- changes, and which come back.
---@param seq neuraldrummer.sequence
---@return neuraldrummer.section[]
function direct.sections(seq)
  local bars = seq:bars()
  local alike = seq:self_similarity()
  local starts = boundaries(seq, bars)
  local sections, firsts = {}, {}
  for i, start in ipairs(starts) do
    local section = { first = start, last = (starts[i + 1] or #bars + 1) - 1 }
    local best, most = nil, ALIKE
    for kind, index in ipairs(firsts) do
      local other = sections[index]
      local n = math.min(section.last - section.first, other.last - other.first) + 1
      local sum = 0
      for k = 0, n - 1 do sum = sum + alike(section.first + k, other.first + k) end
      if n >= 2 and sum / n > most then best, most = kind, sum / n end
    end
    if best then
      section.kind, section.of = best, firsts[best]
    elseif #firsts < KINDS then
      firsts[#firsts + 1] = i
      section.kind = #firsts
    else
      section.kind = KINDS + 1
    end
    sections[i] = section
  end
  return sections
end

-- What is kept --------------------------------------------------------------

-- A byte for every cell: `cell(bar, voice)` says whether it is kept.
local function mask(seq, cell)
  local bars, n_voices, parts = seq:bars(), #seq:voices(), {}
  for b, bar in ipairs(bars) do
    local step = {}
    for voice = 1, n_voices do step[voice] = cell(b, voice) and "\1" or "\0" end
    parts[b] = table.concat(step):rep(bar.last - bar.first + 1)
  end
  return table.concat(parts)
end

---@class neuraldrummer.kept
---@field keep? string|string[] voices that are kept everywhere
---@field bars? string|integer|integer[] bars that are played again: all others are kept
---@field extend? integer so many bars at the start are kept (of a loop: all of it)
---@field loop? neuraldrummer.sequence whose drums stand at the start, in place of the song's own

--- What is kept of a song's own drums, or of a loop's. A cell (step and voice) is
--- kept when its voice is in `keep`, when `bars` is given and its bar is not among
--- them, or when it lies in the first `extend` bars. So `keep` with `bars` plays
--- again the other voices of those bars alone.
---@param seq neuraldrummer.sequence
---@param options neuraldrummer.kept
---@return neuraldrummer.sequence? fixed nil: nothing is kept
---@return string? mask
function direct.kept(seq, options)
  check(options, { keep = "string|table", bars = "string|integer|table", extend = "integer",
    loop = "userdata" })
  local keep, redo, extend, loop = options.keep, options.bars, options.extend, options.loop
  if not (keep or redo or extend or loop) then return nil end
  local n_bars = #seq:bars()
  if loop and (keep or redo) then
    fail("loop", "its drums take the place of the song's own: nothing to '%s'",
      keep and "keep" or "bars")
  elseif redo and extend then
    fail("extend", "with 'bars', all that is not played again is kept already")
  elseif extend and extend < 1 then
    fail("extend", "%d is not 1 or more", extend)
  end
  local voices = keep and direct.voices("keep", keep, seq:voices()) or {}
  local again = redo and direct.bars("bars", redo, n_bars)
  local first, last = 1, extend or 0
  local given = seq
  if loop then
    -- a loop starts with the first whole bar
    local skipped, map = pickup(seq), {}
    local n = extend or #loop:bars()
    if n > #loop:bars() then
      fail("extend", "the loop has %d bars, not %d", #loop:bars(), n)
    end
    first, last = 1 + skipped, math.min(n + skipped, n_bars)
    for bar = first, last do map[bar] = bar - skipped end
    local ok, message = pcall(seq.with_bars, seq, map, loop)
    if not ok then fail("loop", "its bars are not the song's: %s", message) end
    given = message
  elseif not seq:packed_hits():find "[^\0]" then
    fail(keep and "keep" or redo and "bars" or "extend", "the song has no drums of its own to keep")
  elseif last > n_bars then
    fail("extend", "the song has %d bars, not %d", n_bars, last)
  end
  return given, mask(seq, function(bar, voice)
    return voices[voice] or (again and not again[bar]) or (bar >= first and bar <= last)
  end)
end

-- Playing -------------------------------------------------------------------

--- A stream of numbers in [0, 1), by the seed (xorshift64*).
---@param seed integer
---@return fun(): number
function direct.lots(seed)
  local state = (seed + 1) * 0x9E3779B97F4A7C15 | 1
  return function()
    state = state ~ state >> 12
    state = state ~ state << 25
    state = state ~ state >> 27
    return (state * 0x2545F4914F6CDD1D >> 11) / (1 << 53)
  end
end

-- For each bar the one whose groove it takes up: itself, unless its section
-- returns. The last bar of a section leads to what comes then, and stays; so
-- does a bar of which something is kept, or is asked that is not asked there.
local function returning(seq, sections, direction)
  local bars, map, any = seq:bars(), {}, false
  local n_voices = #seq:voices()
  local function steps(b) return bars[b].last - bars[b].first + 1 end
  local function free(b)
    if not direction.mask then return true end
    return not direction.mask:sub((bars[b].first - 1) * n_voices + 1,
      bars[b].last * n_voices):find "[^\0]"
  end
  local density, fills = direction.density or {}, direction.fills or {}
  for b = 1, #bars do map[b] = b end
  for _, section in ipairs(sections) do
    local first = section.of and sections[section.of]
    for bar = section.first, first and section.last - 1 or 0 do
      local source = first.first + bar - section.first
      if source < first.last and steps(source) == steps(bar) and free(bar)
        and (density[source] or false) == (density[bar] or false)
        and fills[source] == fills[bar] then
        map[bar], any = source, true
      end
    end
  end
  return any and map or nil
end

---@class neuraldrummer.returns
---@field sections? neuraldrummer.section[] default: those of the song
---@field vary? number 0-1, share of a returning bar that is played anew (default 0.75)
---@field seed? integer
---@field pause? function as generator:play takes it

--- The direction under which drums are played again, so that each section that
--- returns has the groove that it had when it came first, some cells of it left
--- open; nil where none does.
---@param seq neuraldrummer.sequence
---@param drums neuraldrummer.sequence
---@param direction neuraldrummer.direction that they were played under
---@param options neuraldrummer.returns
---@return neuraldrummer.direction?
function direct.returning(seq, drums, direction, options)
  check(options, { sections = "table", vary = "number", seed = "integer", pause = "function" })
  local vary = options.vary or 0.75
  if not (vary >= 0 and vary <= 1) then fail("vary", "%g is not in 0-1", vary) end
  local map = returning(seq, options.sections or direct.sections(seq), direction)
  if not map then return nil end
  local draw = direct.lots(options.seed or 1)
  local n_voices, bars, parts = #seq:voices(), seq:bars(), {}
  for b, bar in ipairs(bars) do
    local cells = (bar.last - bar.first + 1) * n_voices
    if map[b] == b then
      parts[b] = ("\1"):rep(cells)
    else
      local open = {}
      for i = 1, cells do open[i] = draw() < vary and "\0" or "\1" end
      parts[b] = table.concat(open)
      if options.pause then options.pause() end
    end
  end
  local again = { fixed = drums:with_bars(map), mask = table.concat(parts) }
  for _, name in ipairs { "style", "density", "fills" } do again[name] = direction[name] end
  return again
end

--- Plays a song under direction, then gives each section that returns the groove
--- that it had when it came first, some cells of it left open and played anew.
---@param generator neuraldrummer.generator
---@param seq neuraldrummer.sequence
---@param direction table as generator:play takes it
---@param options neuraldrummer.returns
---@return neuraldrummer.sequence drums
function direct.play_returning(generator, seq, direction, options)
  local drums = generator:play(seq, direction, options.pause)
  local again = direct.returning(seq, drums, direction, options)
  return again and generator:play(seq, again, options.pause) or drums
end

local TRIES <const> = 16
local LIVELY <const>, LIVELIER <const> = 0.5, 0.1   -- energy of a try for a fill, and each more

-- The bars that don't end as they were asked to, and of these the cells that may
-- be played again: their second halves, but for what is kept. A first and a last
-- bar stand between no two others that they could depart from.
local function unheeded(drums, direction)
  local bars, styles, wrong, parts = drums:bars(), core.bar_styles(drums), {}, {}
  local n_voices, any = #drums:voices(), false
  for b, bar in ipairs(bars) do
    local steps = bar.last - bar.first + 1
    local asked = direction.fills[b]
    parts[b] = ("\1"):rep(steps * n_voices)
    if asked ~= nil and asked ~= styles[b].fill and b > 1 and b < #bars then
      local half = steps // 2 * n_voices
      local from = (bar.first - 1) * n_voices
      local rest = direction.mask and direction.mask:sub(from + half + 1,
        from + steps * n_voices) or ("\0"):rep(steps * n_voices - half)
      if rest:find "\0" then
        parts[b], wrong[b], any = ("\1"):rep(half) .. rest, true, true
      end
    end
  end
  return any and wrong, table.concat(parts)
end

--- Drums in which the bars end in fills as they were asked to. A drummer may not
--- heed it at once: the second halves of bars that are otherwise are played
--- again, by other seeds and, for a fill, with more and more energy, so many times
--- at most.
---@param generator fun(try: integer): neuraldrummer.generator one of its own for each try
---@param seq neuraldrummer.sequence
---@param drums neuraldrummer.sequence as played under this direction
---@param direction neuraldrummer.direction with fills, and the style that was played in
---@param pause? function as generator:play takes it
---@return neuraldrummer.sequence drums
function direct.insist(generator, seq, drums, direction, pause)
  for try = 1, TRIES do
    local wrong, closed = unheeded(drums, direction)
    if not wrong then break end
    local density = {}
    for b in pairs(wrong) do
      density[b] = direction.fills[b] and math.min(3, (direction.density
        and direction.density[b] or 0) + LIVELY + LIVELIER * try) or nil
    end
    local player <close> = generator(try)
    drums = player:play(seq, { fixed = drums, mask = closed, style = direction.style,
      density = density, fills = direction.fills }, pause)
  end
  return drums
end

--- How many bars were asked to end in a fill, and how many of these do.
---@param drums neuraldrummer.sequence
---@param fills table<integer, boolean?>
---@return integer asked
---@return integer played
function direct.count_fills(drums, fills)
  local asked, played = 0, 0
  for b, style in ipairs(core.bar_styles(drums)) do
    if fills[b] then asked, played = asked + 1, played + (style.fill and 1 or 0) end
  end
  return asked, played
end

return direct
