--- Command lines for the system's shell.
local shell = {}

--- Quotes a word of a command line.
---@param word string
---@param windows? boolean for cmd.exe, where quotes within a word cannot be escaped; they are
--- removed
---@return string
function shell.quote(word, windows)
  if windows then return '"' .. word:gsub('["%%\r\n]', "") .. '"' end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

return shell
