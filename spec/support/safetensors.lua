--- safetensors files in plain Lua, to look into checkpoints and to spoil them.
local json = require "dkjson"

local safetensors = {}

---@param path string
---@return string bytes
function safetensors.bytes(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

--- Writes a file anew: one that is written over waits for the disk.
---@param path string
---@param bytes string
function safetensors.save(path, bytes)
  os.remove(path)
  local file = assert(io.open(path, "wb"))
  assert(file:write(bytes))
  assert(file:close())
end

--- A file's parts: `metadata`, `tensors` by name ({dtype, shape, data}) and
--- `order`, their names as the data has them.
---@param path string
---@return {metadata: table<string, string>, tensors: table<string, table>, order: string[]}
function safetensors.read(path)
  local bytes = safetensors.bytes(path)
  local length = ("<I8"):unpack(bytes)
  local header = assert(json.decode(bytes:sub(9, 8 + length)))
  local whole = { metadata = header.__metadata__, tensors = {}, order = {} }
  header.__metadata__ = nil
  for name, t in pairs(header) do
    local from, to = table.unpack(t.data_offsets)
    whole.order[#whole.order + 1] = name
    whole.tensors[name] = { dtype = t.dtype, shape = t.shape, from = from,
      data = bytes:sub(9 + length + from, 8 + length + to) }
  end
  table.sort(whole.order, function(a, b)
    return whole.tensors[a].from < whole.tensors[b].from
  end)
  return whole
end

--- Writes parts as `read` gives them; tensors that are gone are left out. A
--- tensor's own `data_offsets`, where it has any, are written as they are.
---@param path string
---@param whole table
function safetensors.write(path, whole)
  local header, data, at = { __metadata__ = whole.metadata }, {}, 0
  for _, name in ipairs(whole.order) do
    local t = whole.tensors[name]
    if t then
      header[name] = { dtype = t.dtype, shape = setmetatable(t.shape, { __jsontype = "array" }),
        data_offsets = t.data_offsets or { at, at + #t.data } }
      data[#data + 1], at = t.data, at + #t.data
    end
  end
  local text = json.encode(header)
  safetensors.save(path, ("<I8"):pack(#text) .. text .. table.concat(data))
end

return safetensors
