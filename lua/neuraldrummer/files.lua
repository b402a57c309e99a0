--- Folders, whole files, CSV tables: what the tools need of the disk.
local found, lfs = pcall(require, "lfs")
if not found then lfs = nil end  -- a host without it reads and writes, but walks no folders

local files = {}

---@param path string
---@return string folder with a slash at its end; "" for a bare name
function files.folder(path)
  return path:match "^.*/" or ""
end

---@param path string
---@return string name without its folder
function files.name(path)
  return path:match "([^/]*)$"
end

--- "a.b.mid" with ".last" put in before the extension: "a.b.last.mid".
---@param path string
---@param infix string
---@return string
function files.infix(path, infix)
  local stem, extension = path:match "^(.*[^/])(%.[^./]+)$"
  if stem then return stem .. infix .. extension end
  return path .. infix
end

--- `path` with another ending: "a.b.png" as "a.b.tsv".
---@param path string
---@param ending string with its dot
---@return string
function files.ending(path, ending)
  return (path:match "^(.*[^/])%.[^./]+$" or path) .. ending
end

--- Opens a file for reading: what is none, such as a pipe, might keep us waiting.
---@param path string
---@return file*? file
---@return string? message
---@return integer? errno where the system refused
function files.open(path)
  local mode = lfs and lfs.attributes(path, "mode") or "file"
  if mode == "directory" then return nil, path .. ": is a folder" end
  if mode ~= "file" then return nil, path .. ": is not a regular file" end
  return io.open(path, "rb")
end

---@param path string
---@param most? integer only the first so many bytes
---@return string? bytes
---@return string? message
function files.read(path, most)
  local file, message = files.open(path)
  if not file then return nil, message end
  local bytes
  bytes, message = file:read(most or "a")
  file:close()
  if message then return nil, ("%s: %s"):format(path, message) end
  return bytes or ""  -- so many bytes of an empty file: none
end

-- Asked for when first used: files are read where core cannot be loaded, too.
local function core() return require "neuraldrummer.core" end

--- Opens a file that takes its place only when it is finished, in the place of a
--- regular file or of nothing.
---@param path string
---@return neuraldrummer.file_writer? writer
---@return string? message
function files.create(path) return core().create_file(path) end

---@param path string
---@param bytes string
---@return boolean? ok
---@return string? message
function files.write(path, bytes)
  local writer, message = files.create(path)
  if not writer then return nil, message end
  writer:write(bytes)
  return writer:finish()
end

--- Whether it can be opened as a file.
---@param path string
---@return boolean
function files.exists(path)
  local file = files.open(path)
  if file then file:close() end
  return file ~= nil
end

-- What a path leads to: a file's place on the disk; of one that is not there yet, its
-- folder's, and its name. Where disks have no such numbers (Windows), the path.
local function place_of(path)
  local function numbers(at)
    local is = lfs and lfs.attributes(at)
    return is and is.ino ~= 0 and ("%s:%s"):format(is.dev, is.ino) or nil
  end
  local file = numbers(path)
  if file then return file end
  local folder = numbers(files.folder(path) .. ".")
  return folder and ("%s/%s"):format(folder, files.name(path)) or path
end

--- Whether two paths lead to one file, be it there or not.
---@param a string
---@param b string
---@return boolean
function files.same(a, b)
  return a == b or place_of(a) == place_of(b)
end

--- Sorts names byte by byte: Lua's own order is that of the locale.
---@param names string[]
function files.sort(names) table.sort(names, core().byte_less) end

--- All files below a folder whose names end in one of `extensions` (lower
--- case, without the dot), sorted by path. Links are followed, but no folder
--- is entered twice, so that a loop of links ends.
---@param folder string
---@param extensions string[]
---@return string[]? paths
---@return string? message
function files.walk(folder, extensions)
  local wanted = {}
  for _, extension in ipairs(extensions) do wanted[extension] = true end
  local paths, seen = {}, {}
  if not lfs then return nil, folder .. ": folders need LuaFileSystem" end

  local function enter(at)
    local attributes, message = lfs.attributes(at)
    if not attributes then return nil, message end
    local identity = ("%s:%s"):format(attributes.dev, attributes.ino)
    if seen[identity] then return true end
    seen[identity] = true
    local ok, iterator, state, rest, closing = pcall(lfs.dir, at)
    if not ok then return nil, (iterator:gsub("^cannot open ", "")) end
    for name in iterator, state, rest, closing do
      if name ~= "." and name ~= ".." then
        local path = at .. "/" .. name
        local mode = lfs.attributes(path, "mode")
        if mode == "directory" then
          enter(path)  -- one that cannot be opened is passed over
        elseif mode == "file" then
          local extension = name:match "%.([^.]+)$"
          if extension and wanted[extension:lower()] then paths[#paths + 1] = path end
        end
      end
    end
    return true
  end

  folder = folder:gsub("(.)/+$", "%1")
  local mode = lfs.attributes(folder, "mode")
  if mode == nil then return nil, folder .. ": no such folder" end
  if mode ~= "directory" then return nil, folder .. ": is not a folder" end
  local ok, message = enter(folder)
  if not ok then return nil, message end
  files.sort(paths)
  return paths
end

--- A whole file that is no larger than it should be.
---@param path string
---@param most integer bytes
---@return string? bytes
---@return string? message
function files.text(path, most)
  local bytes, message = files.read(path, most + 1)
  if bytes and #bytes > most then
    return nil, ("%s: is larger than %d bytes, and should not be"):format(path, most)
  end
  return bytes, message
end

--- FNV-1a over little-endian words of eight bytes (the last one padded with
--- zeros) and the length: a fingerprint of content, not for secrets.
---@param bytes string
---@return integer hash 64 bits
function files.hash(bytes)
  local unpack <const>, prime <const> = string.unpack, 0x100000001b3
  local hash = 0xcbf29ce484222325 ~ #bytes
  local whole = #bytes // 32 * 32
  for i = 1, whole, 32 do
    local a, b, c, d = unpack("<i8i8i8i8", bytes, i)
    hash = (((hash ~ a) * prime ~ b) * prime ~ c) * prime ~ d
    hash = hash * prime
    hash = hash ~ hash >> 29  -- a product moves bits only upwards
  end
  local rest = bytes:sub(whole + 1) .. ("\0"):rep(whole + 32 - #bytes)
  for i = 1, 32, 8 do
    hash = (hash ~ unpack("<i8", rest, i)) * prime
    hash = hash ~ hash >> 29
  end
  return hash
end

--- Rows of comma-separated values (RFC 4180: quotes, doubled quotes, line ends
--- within quotes), one after another, the first line the names of the columns. Text
--- has no zero bytes.
---@param text string
---@return string[]? columns
---@return (fun(): table<string, string>?, string?)|string rows the next one keyed by column, or nil
--- and what is wrong with it; or message
function files.rows(text)
  local zero = text:find("\0", 1, true)
  if zero then
    return nil, ("line %d: a zero byte"):format(select(2, text:sub(1, zero):gsub("\n", "")) + 1)
  end
  local at, line = text:find("^\xEF\xBB\xBF") and 4 or 1, 1

  local function next_record()
    local record = {}
    while at <= #text do
      local value
      if text:byte(at) == 34 then
        local from, parts = at + 1, {}
        while true do
          local quote = text:find('"', from, true)
          if not quote then return nil, ("line %d: a quote is not closed"):format(line) end
          parts[#parts + 1] = text:sub(from, quote - 1)
          from = quote + 1
          if text:byte(from) ~= 34 then break end
          parts[#parts + 1] = '"'
          from = from + 1
        end
        value = table.concat(parts)
        at = from
        if at <= #text and not text:find("^[,\r\n]", at) then
          return nil, ("line %d: text after a closing quote"):format(line)
        end
      else
        local ending = text:find("[,\r\n]", at) or #text + 1
        value = text:sub(at, ending - 1)
        at = ending
      end
      line = line + select(2, value:gsub("\n", ""))
      record[#record + 1] = value
      local separator = text:match("^\r?\n", at) or text:match("^[,\r]", at) or ""
      at = at + #separator
      if separator == "," and at > #text then record[#record + 1] = "" end
      if separator ~= "," or at > #text then
        record.line = line
        line = line + 1
        if #record > 1 or record[1] ~= "" then return record end
        record = {}
      end
    end
    return nil
  end

  local columns, message = next_record()
  if not columns then return nil, message or "no header line" end
  columns.line = nil
  return columns, function()
    local values, why = next_record()
    if not values then return nil, why end
    if #values ~= #columns then
      return nil, ("line %d: %d values, but %d columns"):format(values.line, #values, #columns)
    end
    local row = {}
    for j, name in ipairs(columns) do row[name] = values[j] end
    return row
  end
end

--- All of them at once.
---@param text string
---@return table<string, string>[]? rows each keyed by column
---@return string[]|string columns or message
function files.csv(text)
  local columns, next_row = files.rows(text)
  if not columns then return nil, next_row end
  local rows = {}
  while true do
    local row, message = next_row()
    if message then return nil, message end
    if not row then return rows, columns end
    rows[#rows + 1] = row
  end
end

return files
