--- The index.xml of a ReaPack repository, from the headers of a folder that
--- `make reaper` made: lua5.4 index.lua FOLDER URL >index.xml
--- URL is where the folder's files will lie for everybody.
local lfs = require "lfs"

local folder, url = arg[1], arg[2]
if not url then
  io.stderr:write "usage: lua5.4 index.lua FOLDER URL\n"
  os.exit(2)
end

local ENTITIES <const> = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function escape(text) return (text:gsub("[&<>\"]", ENTITIES)) end

local function encode(path)
  return (path:gsub("[^%w%-._~/]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- All files of the folder, by their paths within it.
local paths = {}
local function enter(at)
  for name in lfs.dir(folder .. "/" .. at) do
    local path = at .. name
    if name:sub(1, 1) ~= "." then
      local mode = lfs.attributes(folder .. "/" .. path, "mode")
      if mode == "directory" then enter(path .. "/") else paths[#paths + 1] = path end
    end
  end
end
enter ""
table.sort(paths)

-- A header: "@name value", or lines that are set in behind "@name".
local function header_of(path)
  local header, last = {}, nil
  for text in io.lines(path) do
    local body = text:match "^%-%-(.*)$"
    if not body then break end
    local name, value = body:match "^ @(%w+)%s*(.*)$"
    if name then
      last = {}
      header[name] = last
      if value ~= "" then last[1] = value end
    elseif last then
      last[#last + 1] = body:match "^ ? ? ?(.*)$"
    end
  end
  return header
end

-- A pattern of file names, as reapack-index reads it: `**/` stands for folders,
-- `*` for none.
local function matcher(glob)
  local pattern = glob:gsub("[%-%.%+%[%]%(%)%$%^%%%?]", "%%%0"):gsub("%*%*/", "\0")
    :gsub("%*", "[^/]*"):gsub("\0", ".*")
  return "^" .. pattern .. "$"
end

-- What ReaPack shows of the package is rich text: a heading, and a paragraph.
local function rich_text(lines)
  local parts, paragraph = {}, {}
  local function put(format, text)
    text = text:gsub("[\\{}]", "\\%0"):gsub(utf8.charpattern, function(char)
      local code = utf8.codepoint(char)
      return code > 127 and ("\\u%d?"):format(code) or nil
    end)
    parts[#parts + 1] = format:format(text)
  end
  local function ended()
    if #paragraph > 0 then put("{\\pard \\sa180 %s\\par}", table.concat(paragraph, " ")) end
    paragraph = {}
  end
  for _, line in ipairs(lines) do
    local heading = line:match "^#+ (.*)"
    if heading or line == "" then ended() end
    if heading then
      put("{\\pard \\sa180 \\b \\fs36 %s\\par}", heading)
    elseif line ~= "" then
      paragraph[#paragraph + 1] = line
    end
  end
  ended()
  return ("{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 \\fswiss Helvetica;}}\n%s\n}"):format(
    table.concat(parts, "\n"))
end

local header = header_of(folder .. "/neuraldrummer.lua")
local sources, missing = {}, {}
for _, line in ipairs(header.provides) do
  local options, glob = line:match "^%[([^%]]*)%]%s*(.+)$"
  options, glob = options or "", glob or line
  local pattern, any = matcher(glob), false
  for _, path in ipairs(paths) do
    if path:find(pattern) then
      any = true
      local attributes = ' file="' .. escape(path) .. '"'
      if options == "main" then
        attributes = attributes .. ' main="main"'
      elseif options ~= "" and options ~= "nomain" then
        attributes = (' platform="%s"'):format(options) .. attributes
      end
      sources[#sources + 1] = ("        <source%s>%s</source>"):format(attributes,
        escape(url:gsub("/$", "") .. "/" .. encode(path)))
    end
  end
  if not any then missing[#missing + 1] = glob end
end
for _, glob in ipairs(missing) do
  io.stderr:write("not in the folder, and so not in the index: ", glob, "\n")
end

local name, title = "Neural Drummer", header.description[1]
print '<?xml version="1.0" encoding="utf-8"?>'
print(('<index version="1" name="%s">'):format(name))
print '  <category name="MIDI">'
print(('    <reapack name="neuraldrummer.lua" type="script" desc="%s">'):format(escape(title)))
print(('      <version name="%s" author="%s">'):format(escape(header.version[1]),
  escape(header.author[1])))
print(table.concat(sources, "\n"))
print '      </version>'
print '      <metadata>'
print(("        <description><![CDATA[%s]]></description>")
  :format(rich_text(header.about)))
print '      </metadata>'
print '    </reapack>'
print '  </category>'
print '</index>'
