--- Reads what the `.d.lua` files say of the C side: classes with their fields,
--- functions with their parameters.
local annotations = {}

-- The type that `text` begins with: it ends at a space outside all brackets.
local function leading_type(text)
  local depth = 0
  for at, char in text:gmatch "()(.)" do
    if char:find "[{<(]" then depth = depth + 1 end
    if char:find "[}>)]" then depth = depth - 1 end
    if char == " " and depth == 0 then return text:sub(1, at - 1) end
  end
  return text
end

-- Parts of `text` between separators that stand outside all brackets.
local function split(text, separator)
  local parts, depth, from = {}, 0, 1
  for at, char in (text .. separator):gmatch "()(.)" do
    if char:find "[{<(]" then depth = depth + 1 end
    if char:find "[}>)]" then depth = depth - 1 end
    if char == separator and depth == 0 then
      parts[#parts + 1] = text:sub(from, at - 1)
      from = at + 1
    end
  end
  return parts
end

--- The alternatives of a type, such as "string" and '"drums"'.
---@param kind string
---@return string[]
function annotations.alternatives(kind)
  return split(kind, "|")
end

--- The classes and functions of a file.
---@param path string
---@return table classes by name: {userdata: boolean, fields: {name, kind, optional}[]}
---@return table[] functions {owner: class, name, kind: ":" or ".", params: {name, kind,
--- optional}[]}
function annotations.read(path)
  local classes, functions, class_of = {}, {}, {}
  local class, params
  for line in io.lines(path) do
    local name, base = line:match "^%-%-%-@class ([%w_.]+)(.*)"
    if name then
      classes[name] = { userdata = base:find "userdata" ~= nil, fields = {} }
      class = name
    end
    local field, optional, rest = line:match "^%-%-%-@field (%w+[%w_]*)(%??) (.*)"
    if field then
      table.insert(classes[class].fields,
        { name = field, kind = leading_type(rest), optional = optional == "?" })
    end
    local variable = line:match "^local ([%w_]+) = {}"
    if variable then class_of[variable] = class end
    field, optional, rest = line:match "^%-%-%-@param ([%w_]+)(%??) (.*)"
    if field then
      params = params or {}
      params[field] = { name = field, kind = leading_type(rest), optional = optional == "?" }
    end
    local owner, colon, method, arguments =
      line:match "^function ([%w_]+)([:.])([%w_]+)%((.*)%) end"
    if owner then
      local list = {}
      for argument in arguments:gmatch "[%w_]+" do
        list[#list + 1] = params and params[argument]
          or error(("%s: %s of %s.%s has no @param"):format(path, argument, owner, method))
        params[argument] = nil
      end
      for left in pairs(params or {}) do
        error(("%s: %s.%s has no argument %s"):format(path, owner, method, left))
      end
      functions[#functions + 1] = { owner = class_of[owner], name = method, kind = colon,
        params = list }
      params = nil
    end
  end
  return classes, functions
end

--- The classes and functions of several modules of the package, together.
---@param ... string their names
---@return table classes
---@return table[] functions
function annotations.modules(...)
  local classes, functions = {}, {}
  for _, name in ipairs { ... } do
    local more, list = annotations.read("lua/neuraldrummer/" .. name .. ".d.lua")
    for class, of in pairs(more) do classes[class] = of end
    table.move(list, 1, #list, #functions + 1, functions)
  end
  return classes, functions
end

--- The fields of a type that is a table of named values; nil for others.
---@param kind string
---@param classes table as read
---@return {name: string, kind: string, optional: boolean}[]?
function annotations.fields(kind, classes)
  local class = classes[kind]
  if class then return not class.userdata and class.fields or nil end
  local inner = kind:match "^{(.*)}$"
  if not inner then return nil end
  local fields = {}
  for _, part in ipairs(split(inner, ",")) do
    local name, optional, rest = part:match "^%s*([%w_]+)(%??): (.*)"
    if not name then return nil end
    fields[#fields + 1] = { name = name, kind = rest, optional = optional == "?" }
  end
  return fields
end

return annotations
