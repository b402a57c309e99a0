--- A busted output handler: the plain one, and one character for each test
--- into the file named by SPEC_COUNTS as soon as it is known, so that the
--- counts are true even when a test takes the whole process down.
return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.plainTerminal"(options)
  local out = assert(io.open(assert(os.getenv "SPEC_COUNTS", "SPEC_COUNTS is not set"), "w"))
  out:setvbuf "no"

  local marks = { success = "+", failure = "-", error = "-", pending = "." }
  busted.subscribe({ "test", "end" }, function(_, _, status)
    out:write(marks[status] or "-")
    return nil, true
  end)
  -- outside of tests: a spec that does not load, a describe or setup that fails
  for _, kind in ipairs { "error", "failure" } do
    busted.subscribe({ kind }, function(element)
      if element.descriptor ~= "it" then out:write "-" end
      return nil, true
    end)
  end
  busted.subscribe({ "suite", "end" }, function()
    out:write "E"
    return nil, true
  end)
  return handler
end
