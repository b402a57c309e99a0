-- The reference: all that is public is annotated and has an example that runs
-- and prints what it says.
local shell = require "spec.support.shell"
local reference = dofile ".ci/reference.lua"

local sections, examples = reference.read(), reference.examples()

-- Public functions by name.
local function public()
  local names = {}
  for _, section in ipairs(sections) do
    for _, f in ipairs(section.functions) do
      if not f.package then names[f.name] = f end
    end
  end
  return names
end

describe("the reference", function()
  local folder
  setup(function() folder = shell.folder() end)
  teardown(function() shell.remove(folder) end)

  it("has examples that print what stands behind their arrows", function()
    local status, out, err = shell.sh(("LUA_PATH=%s LUA_CPATH=%s lua5.4 examples/reference.lua %s")
      :format(shell.quote(package.path), shell.quote(package.cpath), folder))
    assert.same({ 0, "" }, { status, err })
    local wanted = {}
    for line in io.lines "examples/reference.lua" do
      wanted[#wanted + 1] = line:match "%-%-> (.*)$"
    end
    local printed = {}
    for line in out:gmatch "[^\n]+" do printed[#printed + 1] = line end
    assert.same(wanted, printed)
  end)

  it("names above each example what it uses", function()
    for _, example in ipairs(examples) do
      for _, name in ipairs(example.names) do
        local owner, method = name:match "^(.-)[.:]([%w_]+)$"
        local code = example.code
        -- core's constructors go by the names that nd has for them
        local known = owner == "core" or owner == "mpi" or name:find "^neuraldrummer"
        assert.truthy(known or code:find("[.:]" .. method .. "%f[%W]"),
          name .. " is not in its example")
      end
    end
  end)

  it("has an example of every public function, and of nothing else", function()
    local names, without, gone = public(), {}, {}
    -- those of the module itself
    local function walk(prefix, at)
      for key, value in pairs(at) do
        if type(value) == "function" then names[prefix .. "." .. key] = true end
        local is_module = value == package.loaded["neuraldrummer." .. key]
        if type(value) == "table" and not is_module then walk(prefix .. "." .. key, value) end
      end
    end
    walk("neuraldrummer", require "neuraldrummer")
    local shown = {}
    for _, example in ipairs(examples) do
      for _, name in ipairs(example.names) do
        shown[name] = true
        if not names[name] then gone[#gone + 1] = name end
      end
    end
    for name in pairs(names) do
      if not shown[name] then without[#without + 1] = name end
    end
    table.sort(without)
    assert.same({}, without)
    assert.same({}, gone)
  end)

  it("knows every function that a public module has", function()
    local names = public()
    for _, section in ipairs(sections) do
      if section.name ~= "neuraldrummer" and section.name ~= "core"
        and section.name ~= "mpi" then
        for key, value in pairs(require("neuraldrummer." .. section.name)) do
          local name = section.name .. "." .. key
          local hidden = false
          for _, f in ipairs(section.functions) do
            hidden = hidden or f.name == name and f.package
          end
          if type(value) == "function" and not hidden then
            assert.truthy(names[name], name .. " is not described")
          end
        end
      end
    end
  end)

  it("describes each with its parameters, and says what comes back", function()
    for name, f in pairs(public()) do
      local given, described = {}, {}
      for argument in f.arguments:gmatch "[%w_]+" do given[#given + 1] = argument end
      for i, param in ipairs(f.params) do
        described[i] = param.name
        assert.truthy(param.type ~= "", name .. ": " .. param.name .. " has no type")
      end
      assert.same(given, described, name)
      assert.is_true(f.text ~= "" or #f.returns > 0 or name:find ":close$" ~= nil,
        name .. " has not a word")
    end
  end)

  it("is written as a page", function()
    local html = reference.html()
    for name, f in pairs(public()) do
      assert.truthy(html:find(('<h3 id="%s">'):format(name), 1, true), name .. f.path)
    end
    assert.truthy(html:find("seq:with_hits(hits)", 1, true))
    assert.not_matches("neuraldrummer.generate_options</h3>.*generate%.perform", html)
  end)

  it("is a page whose links lead somewhere", function()
    local page, ids, links = reference.html(), {}, 0
    for id in page:gmatch ' id="([^"]+)"' do
      assert.is_nil(ids[id], id .. " twice")
      ids[id] = true
    end
    for target in page:gmatch 'href="#([^"]+)"' do
      links = links + 1
      assert.is_true(ids[target], target)
    end
    assert.is_true(links > 300)
    assert.truthy(page:find('<a href="#neuraldrummer.load_options">', 1, true))
    assert.truthy(page:find('<a href="#song:ppq">neuraldrummer.song</a>', 1, true))
  end)
end)
