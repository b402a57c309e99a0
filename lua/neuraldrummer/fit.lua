--- Whether a model and a corpus are made for each other: the same kit, on the
--- same grid.

--- What of a model keeps it from the songs of a corpus; nil: nothing.
---@param corpus neuraldrummer.corpus
---@param model neuraldrummer.model
---@param name string the model's, for the message
---@return string? message
local function misfit(corpus, model, name)
  local path, has, plays = corpus:path(), corpus:settings(), model:tokeniser():settings()
  if model:config().features == "raw" then
    return ("%s hears bare numbers, and no songs as those of %s"):format(name, path)
  elseif has.kit ~= plays.kit then
    return ("%s has kit %s, %s plays %s"):format(path, has.kit, name, plays.kit)
  elseif has.kit_text ~= plays.kit_text then
    return ("%s has another kit %s than %s plays"):format(path, has.kit, name)
  elseif has.original ~= plays.original then
    return ("%s is %s the system of 2023 has it, %s is %s"):format(path,
      has.original and "as" or "not as", name, plays.original and "so" or "not")
  elseif has.steps_per_beat ~= plays.steps_per_beat then
    return ("%s has %d steps a beat, %s plays %d"):format(path, has.steps_per_beat, name,
      plays.steps_per_beat)
  elseif has.beat ~= plays.beat then
    return ("%s counts beats by the %s, %s by the %s"):format(path, has.beat, name, plays.beat)
  end
  return nil
end

return misfit
