--- Checks that a model and a corpus go together: the same kit on the same grid.
local compatible = {}

--- Checks that a model can be trained or evaluated on a corpus.
---@param corpus neuraldrummer.corpus
---@param model neuraldrummer.model
---@param name string of the model, for the message
---@return boolean? ok
---@return string? message what differs
function compatible.check(corpus, model, name)
  local path, of_corpus, of_model = corpus:path(), corpus:settings(), model:tokeniser():settings()
  local function differ(format, ...) return nil, format:format(...) end
  if model:config().features == "raw" then
    return differ("%s takes plain numbers as inputs, not the songs of %s", name, path)
  elseif of_corpus.kit ~= of_model.kit then
    return differ("%s has kit %s, but %s plays kit %s", path, of_corpus.kit, name, of_model.kit)
  elseif of_corpus.kit_text ~= of_model.kit_text then
    return differ("%s and %s have different kits named %s", path, name, of_corpus.kit)
  elseif of_corpus.original ~= of_model.original then
    return differ("%s is %sfor the system of 2023, but %s is%s", path,
      of_corpus.original and "" or "not ", name, of_model.original and "" or " not")
  elseif of_corpus.steps_per_beat ~= of_model.steps_per_beat then
    return differ("%s has %d steps a beat, but %s plays %d", path, of_corpus.steps_per_beat, name,
      of_model.steps_per_beat)
  elseif of_corpus.beat ~= of_model.beat then
    return differ("%s takes beats from the %s, but %s from the %s", path, of_corpus.beat, name,
      of_model.beat)
  end
  return true
end

return compatible
