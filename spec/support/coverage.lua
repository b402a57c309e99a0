--- Which lines of csrc ran: a table by file and in all, from what gcov says of
--- a build with --coverage. Fails below the least percentage.
---
---     lua5.4 spec/support/coverage.lua BUILD LEAST
---
--- BUILD/missed lists the lines that did not run.
local build, least = arg[1], tonumber(arg[2])

-- by file, by line: whether it ran in any object that was compiled from it
local files, names = {}, {}
local list = assert(io.popen(("find %s/obj -name '*.gcno' | sort"):format(build)))
for object in list:lines() do
  local gcov = assert(io.popen(("gcov --stdout %s 2>/dev/null"):format(object)))
  local lines
  for line in gcov:lines() do
    local count, number, text = line:match "^ *([^:]+): *(%d+):(.*)"
    local source = number == "0" and text:match "^Source:(.*)"
    if source then
      lines = nil
      if source:find "^csrc/" then
        if not files[source] then
          files[source] = {}
          names[#names + 1] = source
        end
        lines = files[source]
      end
    elseif lines and number and count ~= "-" then
      number = tonumber(number)
      lines[number] = lines[number] or { text = text, ran = false }
      lines[number].ran = lines[number].ran or not count:find "^[#=]"
    end
  end
  gcov:close()
end
list:close()

local missed = assert(io.open(build .. "/missed", "w"))
local function row(name, ran, all)
  print(("%-28s %6d of %6d  %5.1f %%"):format(name, ran, all, 100 * ran / all))
end
local ran, all = 0, 0
table.sort(names)
for _, name in ipairs(names) do
  local numbers, of_file = {}, 0
  for number in pairs(files[name]) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  for _, number in ipairs(numbers) do
    local line = files[name][number]
    if line.ran then
      of_file = of_file + 1
    else
      missed:write(("%s:%d:%s\n"):format(name, number, line.text))
    end
  end
  row(name, of_file, #numbers)
  ran, all = ran + of_file, all + #numbers
end
missed:close()
if all == 0 then
  print "gcov says nothing"
  os.exit(false)
end
row("all", ran, all)
if 100 * ran / all < least then
  print(("less than %g %%"):format(least))
  os.exit(false)
end
