--- The Lua reference, from the annotations (LuaCATS) and examples/reference.lua.
---   lua5.4 .ci/reference.lua reference.html
--- Loaded by another script, it returns functions that read the reference.
local reference = {}

-- Public modules in the order of the page, and the files that describe their functions.
-- All other modules in lua/neuraldrummer are internal.
local MODULES <const> = {
  { "neuraldrummer", "init.lua" },
  { "generate", "generate.d.lua", "drafts.lua", "generate.lua" }, { "sketch" },
  { "core", "core.d.lua" },
  { "direction", "direction/parse.lua", "direction.lua" }, { "sections" }, { "styles" },
  { "swing" }, { "kits" }, { "score" }, { "explain" },
  { "plot", "plot/song.lua", "plot/corpus.lua", "plot/analysis.lua", "plot/training.lua",
    "plot/figures.lua",
    "plot.lua" },
  { "preprocess" }, { "statistics" }, { "train" }, { "evaluate" },
  { "progress" }, { "shards" }, { "mpi", "mpi.d.lua" },
}

---@class reference.entry
---@field name string as "song:ppq" or "kits.load"
---@field arguments string
---@field text string
---@field params {name: string, optional: boolean, type: string, text: string}[]
---@field returns string[]
---@field path string
---@field package boolean not for users

-- Splits a text that begins with a type, which ends at a blank outside all brackets.
local function split_type(text)
  local depth = 0
  for at, char in text:gmatch "()(.)" do
    if char:find "[{<(]" then depth = depth + 1 end
    if char:find "[}>)]" then depth = depth - 1 end
    if char == " " and depth == 0 and not text:sub(at - 1, at - 1):find "[:|,]" then
      return text:sub(1, at - 1), text:sub(at + 1)
    end
  end
  return text, ""
end

-- Parses a block of comment lines.
local function read_block(lines)
  local entry = { params = {}, returns = {}, fields = {}, package = false }
  local text, last = {}, nil
  for _, line in ipairs(lines) do
    local tag, rest = line:match "^@(%a+)%s*(.*)"
    if tag == "param" or tag == "field" then
      local name, optional, after = rest:match "^(%S-)(%??)%s+(.*)"
      local kind, words = split_type(after)
      last = { name = name, optional = optional == "?", type = kind, text = words }
      table.insert(tag == "param" and entry.params or entry.fields, last)
    elseif tag == "return" then
      last = { text = rest }
      table.insert(entry.returns, last)
    elseif tag == "class" then
      entry.class = rest
    elseif tag == "package" then
      entry.package = true
    elseif last and not tag then
      last.text = last.text .. " " .. line
    elseif not tag then
      text[#text + 1] = line
    end
  end
  entry.text = table.concat(text, "\n")
  for i, each in ipairs(entry.returns) do entry.returns[i] = each.text end
  return entry
end

-- The functions and classes of a file, and its first comment. Functions of the table that a
-- file returns belong to `owner`; with `merged`, those of all its tables that are no classes.
local function read_file(path, owner, merged)
  local functions, classes, about, block, class = {}, {}, nil, {}, nil
  local owners = {}
  for line in io.lines(path) do
    local comment = line:match "^%-%-%- ?(.*)"
    if comment then
      block[#block + 1] = comment
    else
      local entry = #block > 0 and read_block(block) or nil
      if not about then about = entry and entry.text or "" end
      local variable = line:match "^local ([%w_]+)[^=]*= {"
      if entry and entry.class then
        entry.name = entry.class:match "^[%w_.]+"
        class = entry.name:gsub("^neuraldrummer%.", ""):gsub("^modules%.", "")
        if #entry.fields > 0 then classes[#classes + 1] = entry end
      end
      if variable then owners[variable] = entry and entry.class and class or owner end
      local object, kind, name, arguments = line:match "^function ([%w_.]-)([.:])([%w_]+)(%b())"
      if not object then
        arguments = line:match "^return function(%b())"
        object, kind, name = arguments and owner, ".", path:match "([%w_]+)%.lua$"
      end
      if object then
        entry = entry or read_block {}
        object = object:gsub("^nd%f[%W]", "neuraldrummer")
        if owners[object] then object = owners[object] end
        if merged then object = owner end
        entry.package = entry.package or name:find "^__" ~= nil
        entry.name = object .. kind .. name
        entry.arguments, entry.path = arguments:sub(2, -2), path
        functions[#functions + 1] = entry
      end
      block = {}
    end
  end
  return functions, classes, about
end

--- Reads all that is public.
---@return {name: string, about: string, functions: reference.entry[], classes: table[]}[]
function reference.read()
  local sections = {}
  for i, module in ipairs(MODULES) do
    local name = module[1]
    local section = { name = name, about = "", functions = {}, classes = {} }
    for k = 2, math.max(#module, 2) do
      local functions, classes, about = read_file("lua/neuraldrummer/" ..
        (module[k] or name .. ".lua"), name, name == "plot" or name == "direction")
      table.move(functions, 1, #functions, #section.functions + 1, section.functions)
      table.move(classes, 1, #classes, #section.classes + 1, section.classes)
      section.about = about
    end
    sections[i] = section
  end
  return sections
end

--- Reads the examples: blocks of code, in order, each with the names that it shows.
---@return {names: string[], code: string}[]
function reference.examples()
  local list, current = {}, nil
  for line in io.lines "examples/reference.lua" do
    local names = line:match "^%-%-: (.*)"
    if names then
      if not current or #current.code > 0 then
        current = { names = {}, code = "" }
        list[#list + 1] = current
      end
      for name in names:gmatch "%S+" do table.insert(current.names, name) end
    elseif line:find "^%-%-%-%-" then
      current = nil
    elseif current then
      current.code = current.code .. line .. "\n"
    end
  end
  for _, each in ipairs(list) do each.code = each.code:gsub("%s+$", "") .. "\n" end
  return list
end

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

-- Paragraphs, with indented ones as code.
local function prose(text)
  local out = {}
  for paragraph in (text .. "\n\n"):gmatch "(.-)\n%s*\n+" do
    if paragraph:find "^    " then
      out[#out + 1] = "<pre>" .. escape((paragraph:gsub("^    ", ""):gsub("\n    ", "\n"))) ..
        "</pre>"
    elseif paragraph:find "%S" then
      out[#out + 1] = "<p>" .. escape(paragraph):gsub("`([^`]+)`", "<code>%1</code>") .. "</p>"
    end
  end
  return table.concat(out, "\n")
end

local STYLE <const> = [[
body { font: 16px/1.5 sans-serif; max-width: 52em; margin: 2em auto; padding: 0 1em; color: #222 }
code, pre { font: 14px/1.4 monospace; background: #f4f4f2 }
pre { padding: .7em 1em; overflow-x: auto }
h2 { border-bottom: 1px solid #bbb; margin-top: 2.5em }
h3 { font: bold 15px monospace; margin: 2em 0 .3em }
dt { font: 14px monospace } dd { margin: 0 0 .3em 2em } nav a { margin-right: .8em }]]

-- The anchor of each type: its fields, or the first of its methods.
local function places(sections)
  local place = {}
  for _, section in ipairs(sections) do
    for _, f in ipairs(section.functions) do
      local object = not f.package and f.name:match "^([%w_]+):"
      if object then
        place["neuraldrummer." .. object] = place["neuraldrummer." .. object] or f.name
      end
    end
    for _, class in ipairs(section.classes) do place[class.name] = class.name end
  end
  return place
end

-- A type as HTML, with links.
local function linked(text, place)
  return (escape(text):gsub("neuraldrummer%.[%w_]+", function(name)
    return place[name] and ('<a href="#%s">%s</a>'):format(place[name], name)
  end))
end

local function put_rows(put, rows, place)
  if #rows == 0 then return end
  put "<dl>"
  for _, row in ipairs(rows) do
    put("<dt>%s%s: %s</dt><dd>%s</dd>", escape(row.name), row.optional and "?" or "",
      linked(row.type, place), escape(row.text))
  end
  put "</dl>"
end

--- Makes the page.
---@return string html
function reference.html()
  local lines = {}
  local function put(format, ...) lines[#lines + 1] = format:format(...) end
  local sections, code_of = reference.read(), {}
  local place = places(sections)
  for _, example in ipairs(reference.examples()) do
    for _, name in ipairs(example.names) do code_of[name] = example.code end
  end
  put '<!doctype html><html lang="en"><head><meta charset="utf-8">'
  put("<title>Neural Drummer: Lua reference</title><style>%s</style></head><body>", STYLE)
  put "<h1>Neural Drummer: Lua reference</h1>"
  lines[#lines + 1] = prose [[
I/O failures return `nil, message`; misuse raises. Options are strict: an unknown one is
refused, and the message names the nearest known one. Every object has the method `close`, is
closed by `<close>`, and describes itself to `tostring`. All modules are fields of
`neuraldrummer`, as `nd.generate`, and are loaded when they are first used; `require
"neuraldrummer.generate"` gives the same table. The constructors of `core` are in `neuraldrummer`
as well. The examples come from one script, `examples/reference.lua`; a comment with an arrow
shows what a line prints.]]
  put "<nav>"
  for _, section in ipairs(sections) do
    put('<a href="#module-%s">%s</a>', section.name, section.name)
  end
  put "</nav>"
  for _, section in ipairs(sections) do
    put('<h2 id="module-%s">%s</h2>', section.name, section.name)
    lines[#lines + 1] = prose(section.about)
    put "<nav>"
    for _, f in ipairs(section.functions) do
      if not f.package then put('<a href="#%s">%s</a>', escape(f.name), escape(f.name)) end
    end
    put "</nav>"
    local shown
    for _, f in ipairs(section.functions) do
      if not f.package then
        put('<h3 id="%s">%s (%s)</h3>', escape(f.name), escape(f.name), escape(f.arguments))
        lines[#lines + 1] = prose(f.text)
        put_rows(put, f.params, place)
        for _, text in ipairs(f.returns) do
          put("<p>Returns <code>%s</code></p>", linked(text, place))
        end
        local code = code_of[f.name]
        if code and code ~= shown then put("<pre>%s</pre>", escape(code)) end
        shown = code or shown
      end
    end
    for _, class in ipairs(section.classes) do
      put('<h3 id="%s">%s</h3>', escape(class.name), escape(class.class))
      lines[#lines + 1] = prose(class.text)
      put_rows(put, class.fields, place)
    end
  end
  put "</body></html>"
  return table.concat(lines, "\n") .. "\n"
end

if arg and arg[0] and debug.getinfo(1, "S").source == "@" .. arg[0] then
  local file = assert(io.open(assert(arg[1], "usage: lua5.4 .ci/reference.lua FILE.html"), "w"))
  assert(file:write(reference.html()))
  assert(file:close())
end

return reference
