local annotations = require "spec.support.annotations"

-- What is registered: functions of the modules, methods of the userdata types.
local function registered(modules)
  local names = {}
  for name, module in pairs(modules) do
    for key, value in pairs(module) do
      if type(value) == "function" then names[name .. "." .. key] = true end
    end
  end
  for name, metatable in pairs(debug.getregistry()) do
    if type(name) == "string" and name:find "^neuraldrummer%." and type(metatable) == "table"
      and metatable.__name == name then
      -- a type with an __index function keeps its methods beside it
      local methods = metatable.methods or metatable.__index
      for method in pairs(type(methods) == "table" and methods or {}) do
        names[name .. ":" .. method] = true
      end
    end
  end
  return names
end

local function annotated(paths)
  local names = {}
  for _, path in ipairs(paths) do
    local _, functions = annotations.read(path)
    for _, f in ipairs(functions) do names[f.owner .. f.kind .. f.name] = true end
  end
  return names
end

local function missing(from, within)
  local list = {}
  for name in pairs(from) do
    if not within[name] then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

describe("the annotations of the C side", function()
  local there = registered { ["neuraldrummer.core"] = require "neuraldrummer.core" }
  local described = annotated { "lua/neuraldrummer/core.d.lua" }

  it("are read", function()
    assert.is_true(described["neuraldrummer.core.song"])
    assert.is_true(described["neuraldrummer.song:notes"])
    assert.is_true(there["neuraldrummer.core.song"])
    assert.is_true(there["neuraldrummer.song:notes"])
  end)

  it("describe every function that is registered", function()
    assert.same({}, missing(there, described))
  end)

  it("describe nothing that is gone", function()
    assert.same({}, missing(described, there))
  end)
end)
