--- The state of a training in a checkpoint, besides the weights and the batches: its options
--- and its position, as strings. Reading checks every value, because a file may be damaged.
local format = require "neuraldrummer.decimal".format

local saved_state = {}

local MAX <const>, MAX_INT32 <const> = math.maxinteger, (1 << 31) - 1

-- Ranges of the options, as the functions that take them have it.
local RANGES <const> = {
  epochs = { 1, MAX_INT32 }, rate = { 1e-30, 10 }, warmup = { 0, MAX }, floor = { 0, 1 },
  clip = { 0, 1e9 }, epsilon = { 1e-30, 1 }, batch = { 1, 65536 }, steps = { 1, 65536 },
  seed = { 0, MAX }, checkpoint_every = { 0, MAX }, threads = { 1, 256 },
}

-- The options that are stored, and their types.
local OPTIONS <const> = {
  epochs = "integer", rate = "number", warmup = "integer", cosine = "boolean", floor = "number",
  clip = "number", epsilon = "number", batch = "integer", steps = "integer", seed = "integer",
  history_dropout = "boolean", half = "boolean", keep_epochs = "boolean",
  checkpoint_every = "integer",
}

-- The position: type, whether it may be missing, minimum and maximum.
local PLACE <const> = {
  songs = { "integer", false, 1, MAX_INT32 }, epoch = { "integer", false, 1, MAX_INT32 },
  batch = { "integer", false, 0, MAX }, sum = { "number", false, -1e300, 1e300 },
  seconds = { "number", false, 0, 1e300 }, loss = { "number", true, -1e300, 1e300 },
  valid_loss = { "number", true, -1e300, 1e300 }, best = { "number", true, -1e300, 1e300 },
  best_epoch = { "integer", true, 1, MAX_INT32 },
}

--- A value as text that reads back exactly; floats are hexadecimal.
---@param value number|boolean
---@return string
function saved_state.to_text(value)
  return math.type(value) == "float" and format("%a", value) or tostring(value)
end

--- The options as the strings of a checkpoint.
---@param options table
---@return table<string, string> extra
function saved_state.write(options)
  local extra = {}
  for name in pairs(OPTIONS) do
    if options[name] ~= nil then extra["option." .. name] = saved_state.to_text(options[name]) end
  end
  return extra
end

local function from_text(text, kind)
  if kind == "boolean" then
    if text ~= "true" and text ~= "false" then return nil end
    return text == "true"
  end
  return math.tointeger(text) or kind == "number" and tonumber(text) or nil
end

local function within(value, min, max) return value >= min and value <= max end

--- Why an option is out of range; nil if all are in range.
---@param options table
---@return string? message
function saved_state.wrong(options)
  for name, range in pairs(RANGES) do
    local value = options[name]
    if value and not within(value, range[1], range[2]) then  -- also if it is NaN
      return ("option '%s': %s is not in %s..%s"):format(name, value, range[1], range[2])
    end
  end
  return nil
end

-- Whether a text is rows of a log that were not written yet. Only the last of them may have
-- "%s" for the validation loss, which log:settle fills in by string.format.
local function are_rows(text)
  local is_last = false
  for line in text:gmatch "([^\n]*)\n" do
    local valid = line:match "^%d+\t%d+\t[^\t]+\t([^\t]*)\t[^\t]+\t[^\t]+\t[^\t]+$"
    if is_last or not valid then return false end
    is_last = valid == "%s"
    if (is_last and line:gsub("%%s", "", 1) or line):find "%%" then return false end
  end
  return text:find "\n$" ~= nil
end

--- Reads the strings of a checkpoint; nil if they are damaged.
---@param extra table<string, string>
---@return table? place the position by name, and `options`, a table
function saved_state.read(extra)
  local place = { options = {}, row = extra["train.row"], corpus = extra["train.corpus"] }
  for name, want in pairs(PLACE) do
    local kind, optional, min, max = table.unpack(want, 1, 4)
    local text = extra["train." .. name]
    local value = text and from_text(text, kind)
    if text and not (value and within(value, min, max)) or not text and not optional then
      return nil
    end
    place[name] = value
  end
  for name, kind in pairs(OPTIONS) do
    local text = extra["option." .. name]
    if text then place.options[name] = from_text(text, kind) end
    if text and place.options[name] == nil then return nil end
  end
  if saved_state.wrong(place.options) or place.row and not are_rows(place.row) then return nil end
  return place
end

return saved_state
