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

describe("the annotations of the options that play", function()
  local playing = require "neuraldrummer.options.playing"

  it("are made from their table", function()
    local file <close> = assert(io.open "lua/neuraldrummer/generate.d.lua")
    assert.equal(dofile ".ci/options.lua"(), (file:read "a"),
      "run: lua5.4 .ci/options.lua lua/neuraldrummer/generate.d.lua")
  end)

  it("come from rows that are whole", function()
    for _, option in ipairs(playing.LIST) do
      assert.is_string(option.name)
      assert.matches("^[%a|]+$", option.type)
      assert.is_true(#option.text > 10 and not option.text:find "%.$", option.name)
      assert.is_string(option.group)
      -- a flag that sets something to false says what it does, not what the option is
      assert.is_true(option.sets ~= false or option.flag ~= nil, option.name)
      assert.is_true(option.value == nil or option.flag ~= nil, option.name)
    end
  end)

  it("are those of a checked table", function()
    assert.same({ seed = 3, tail = 4 }, playing.check("drum", { seed = 3, tail = 4 }))
    assert.error_matches(function() playing.check("drum", { humanise = 2 }) end,
      "^option 'humanise': 2 is not between 0 and 1$")
    assert.error_matches(function() playing.check("drum", { humanise = 0 / 0 }) end,
      "^option 'humanise': %-?nan is not between 0 and 1$")
    assert.error_matches(function() playing.check("drum", { extend = 0 }) end,
      "^option 'extend': 0 is not 1 or more$")
    assert.error_matches(function() playing.check("drum", { form = "a4" }) end,
      "unknown option 'form'")
    assert.error_matches(function() playing.check("sketch", { keep = "kick" }) end,
      "option 'keep': there is no song that it could apply to")
    assert.same({ bars = 2 }, playing.check("continue", { bars = 2 }))
    assert.error_matches(function() playing.check("continue", { bars = "1-2" }) end,
      "option 'bars': integer is needed, got string")
  end)
end)

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
