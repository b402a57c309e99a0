--- What a checkpoint keeps of a training beside weights and batches, as texts: its
--- options, so that a resumed run need not be told again, and where it stands.
local format = require "neuraldrummer.decimal".format

local saved_state = {}

local WHOLE <const>, LONG <const> = math.maxinteger, (1 << 31) - 1

-- The least and the most that a number may be, as those who take it have it.
local RANGES <const> = {
  epochs = { 1, LONG }, rate = { 1e-30, 10 }, warmup = { 0, WHOLE }, floor = { 0, 1 },
  clip = { 0, 1e9 }, epsilon = { 1e-30, 1 }, batch = { 1, 65536 }, steps = { 1, 65536 },
  seed = { 0, WHOLE }, checkpoint_every = { 0, WHOLE }, threads = { 1, 256 },
}

-- The options that are kept, and their types.
local OPTIONS <const> = {
  epochs = "integer", rate = "number", warmup = "integer", cosine = "boolean", floor = "number",
  clip = "number", epsilon = "number", batch = "integer", steps = "integer", seed = "integer",
  history_dropout = "boolean", half = "boolean", keep_epochs = "boolean",
  checkpoint_every = "integer",
}

-- Where it stands: type, whether it may be missing, the least and the most.
local PLACE <const> = {
  songs = { "integer", false, 1, LONG }, epoch = { "integer", false, 1, LONG },
  batch = { "integer", false, 0, WHOLE }, sum = { "number", false, -1e300, 1e300 },
  seconds = { "number", false, 0, 1e300 }, loss = { "number", true, -1e300, 1e300 },
  valid_loss = { "number", true, -1e300, 1e300 }, best = { "number", true, -1e300, 1e300 },
  best_epoch = { "integer", true, 1, LONG },
}

--- Text and back without a loss; floats in hexadecimal.
---@param value number|boolean
---@return string
function saved_state.to_text(value)
  return math.type(value) == "float" and format("%a", value) or tostring(value)
end

--- Options as a checkpoint's strings.
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

local function within(value, least, most) return value >= least and value <= most end

--- What is wrong with a number among options; nil: nothing.
---@param options table
---@return string? message
function saved_state.wrong(options)
  for name, range in pairs(RANGES) do
    local value = options[name]
    if value and not within(value, range[1], range[2]) then  -- nor is NaN
      return ("option '%s': %s is not in %s..%s"):format(name, value, range[1], range[2])
    end
  end
  return nil
end

-- Rows of a log as they wait: in the last one the validation's loss is still to come.
local function are_rows(text)
  local waits = false
  for line in text:gmatch "([^\n]*)\n" do
    local valid = line:match "^%d+\t%d+\t[^\t]+\t([^\t]*)\t[^\t]+\t[^\t]+\t[^\t]+$"
    if waits or not valid then return false end
    waits = valid == "%s"
    if (waits and line:gsub("%%s", "", 1) or line):find "%%" then return false end
  end
  return text:find "\n$" ~= nil
end

--- What a checkpoint's strings say; nil where they are broken.
---@param extra table<string, string>
---@return table? place by name, and `options` among it
function saved_state.read(extra)
  local place = { options = {}, row = extra["train.row"], corpus = extra["train.corpus"] }
  for name, want in pairs(PLACE) do
    local kind, optional, least, most = table.unpack(want, 1, 4)
    local text = extra["train." .. name]
    local value = text and from_text(text, kind)
    if text and not (value and within(value, least, most)) or not text and not optional then
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
