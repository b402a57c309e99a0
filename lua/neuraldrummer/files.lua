--- Paths, whole files, and the files below a folder.
local found, lfs = pcall(require, "lfs")
if not found then lfs = nil end  -- only `walk` needs it

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

--- Inserts `infix` before the extension: "a.b.mid" and ".last" give "a.b.last.mid".
---@param path string
---@param infix string
---@return string
function files.infix(path, infix)
  local stem, extension = path:match "^(.*[^/])(%.[^./]+)$"
  if stem then return stem .. infix .. extension end
  return path .. infix
end

--- Replaces the extension: "a.b.png" and ".tsv" give "a.b.tsv".
---@param path string
---@param ending string with a dot
---@return string
function files.ending(path, ending)
  return (path:match "^(.*[^/])%.[^./]+$" or path) .. ending
end

--- Opens a regular file for reading. Others are refused, because reading from a pipe,
--- for example, might never end.
---@param path string
---@return file*? file
---@return string? message
---@return integer? errno if the system refused to open it
function files.open(path)
  local mode = lfs and lfs.attributes(path, "mode") or "file"
  if mode == "directory" then return nil, path .. ": is a folder" end
  if mode ~= "file" then return nil, path .. ": is not a regular file" end
  return io.open(path, "rb")
end

--- Reads a whole file, or its beginning.
---@param path string
---@param max? integer number of bytes to read at most
---@return string? bytes
---@return string? message
function files.read(path, max)
  local file, message = files.open(path)
  if not file then return nil, message end
  local bytes
  bytes, message = file:read(max or "a")
  file:close()
  if message then return nil, ("%s: %s"):format(path, message) end
  return bytes or ""  -- reading a number of bytes from an empty file gives nil
end

-- Loaded when it is first used: files can be read even if core cannot be loaded.
local function core() return require "neuraldrummer.core" end

--- Opens a file for writing that appears under its path only when it is finished. The
--- path may be that of a regular file, which is then replaced.
---@param path string
---@return neuraldrummer.file_writer? writer
---@return string? message
function files.create(path) return core().create_file(path) end

--- Writes a whole file; it is never left half written.
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

--- Whether a path can be opened as a file.
---@param path string
---@return boolean
function files.exists(path)
  local file = files.open(path)
  if file then file:close() end
  return file ~= nil
end

-- Identifies the file that a path leads to, by device and inode; a file that does not
-- exist yet, by its folder and name. On systems without inodes (Windows), by the path.
local function identity_of(path)
  local function inode(at)
    local is = lfs and lfs.attributes(at)
    return is and is.ino ~= 0 and ("%s:%s"):format(is.dev, is.ino) or nil
  end
  local file = inode(path)
  if file then return file end
  local folder = inode(files.folder(path) .. ".")
  return folder and ("%s/%s"):format(folder, files.name(path)) or path
end

--- Whether two paths lead to the same file, whether it exists or not.
---@param a string
---@param b string
---@return boolean
function files.same(a, b)
  return a == b or identity_of(a) == identity_of(b)
end

--- Sorts names byte by byte; Lua's own order depends on the locale.
---@param names string[]
function files.sort(names) table.sort(names, core().byte_less) end

--- Lists all files below a folder that have one of some extensions (in lower case,
--- without the dot), sorted by path. Links are followed, but no folder is entered twice,
--- so that loops of links end.
---@param folder string
---@param extensions string[]
---@return string[]? paths
---@return string? message
function files.walk(folder, extensions)
  local wanted = {}
  for _, extension in ipairs(extensions) do wanted[extension] = true end
  local paths, seen = {}, {}
  if not lfs then return nil, folder .. ": searching folders needs LuaFileSystem" end

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
          enter(path)  -- a folder that cannot be opened is skipped
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

--- Reads a whole file of limited size.
---@param path string
---@param max integer bytes
---@return string? bytes
---@return string? message
function files.text(path, max)
  local bytes, message = files.read(path, max + 1)
  if bytes and #bytes > max then
    return nil, ("%s: is larger than the limit of %d bytes"):format(path, max)
  end
  return bytes, message
end

return files
