-- What files call themselves, on the way to a terminal and into JSON.
local json = require "dkjson"
local midi = require "spec.support.midi"
local safe_text = require "neuraldrummer.safe_text"
local shell = require "spec.support.shell"

describe("text that is shown", function()
  it("stays as it is where it is harmless", function()
    for _, text in ipairs { "", "Bass (DI), 2nd take", "Schlagzeug für Anfänger", "ドラム", "🥁" } do
      assert.equal(text, safe_text.line(text))
      assert.equal(text, safe_text.utf8(text))
    end
  end)

  it("has no character that a terminal obeys", function()
    assert.equal([[\x1B[31mred\x0A\x00\x7F]], safe_text.line "\27[31mred\n\0\127")
    assert.equal([[\xC2\x9B1m]], safe_text.line "\u{9B}1m")
    assert.equal([[caf\xE9, \xFF\xFE]], safe_text.line "caf\xE9, \xFF\xFE")
    assert.equal([[é\xC3]], safe_text.line "é\xC3")
    assert.equal([[\xED\xA0\x80]], safe_text.line "\xED\xA0\x80")  -- half of a pair
  end)

  it("is UTF-8 in JSON", function()
    assert.equal("caf\u{FFFD}, \u{FFFD}\u{FFFD}x", safe_text.utf8 "caf\xE9, \xFF\xFEx")
    assert.equal("\u{FFFD}", safe_text.utf8 "\xC3")
  end)
end)

describe("JSON", function()
  it("has its fields in the order asked for, then by name", function()
    local value, names = { { last = 1, first = 2, at = { z = 1, a = 2 } } }, {}
    for i = 10, 60 do value[1]["x" .. i], names[i - 9] = i, "x" .. i end
    local found = {}
    local text = safe_text.json(value, { "last", "none", "first" })
    for name in text:gmatch '"(%w+)":' do found[#found + 1] = name end
    assert.same({ "last", "first", "at", "a", "z", table.unpack(names) }, found)
    assert.same(value, json.decode(text))
    assert.equal("\n", text:sub(-1))
    local odd = safe_text.json({ "caf\xE9", 0 / 0 }, {})
    assert.equal('["caf\u{FFFD}",null]', (odd:gsub("\n *", "")))
  end)
end)

describe("the tool", function()
  local folder, tool
  setup(function()
    folder, tool = shell.folder(), shell.build .. "/bin/neuraldrummer"
    shell.write(folder .. "/evil.mid", midi.file(1, 96, { midi.track {
      0, midi.meta(3, "\27[31mred\n\xE9\u{9B}1m"), 0, "\x90\x24\x50", 96, "\x80\x24\0" } }))
  end)
  teardown(function() shell.remove(folder) end)

  it("shows a track's name without obeying it", function()
    local status, out, err = shell.run(tool, "info", folder .. "/evil.mid")
    assert.same({ 0, "" }, { status, err })
    assert.matches([[track 1: \x1B[31mred\x0A\xE9\xC2\x9B1m]], out, 1, true)
    assert.not_matches("[\27\x80-\xFF]", out)
  end)

  it("gives valid JSON of it", function()
    local status, out = shell.run(tool, "info", "--json", folder .. "/evil.mid")
    assert.equal(0, status)
    assert.truthy(utf8.len(out))
    assert.equal("\27[31mred\n\u{FFFD}\u{9B}1m", json.decode(out).tracks[1])
  end)

  it("gives its JSON in one order", function()
    local function names_of(text)
      local found = {}
      for name in text:gmatch '\n  "([%w_]+)":' do found[#found + 1] = name end
      return found
    end
    local status, out = shell.run(tool, "info", "--json", folder .. "/evil.mid")
    assert.equal(0, status)
    local names = names_of(out)
    assert.is_true(#names > 8)
    assert.equal("kind", table.remove(names, 1))
    local sorted = table.move(names, 1, #names, 1, {})
    table.sort(sorted)
    assert.same(sorted, names)
  end)

  it("names a file in a complaint without obeying it", function()
    local status, _, err = shell.run(tool, "info", folder .. "/\27[2Jno\xFF.mid")
    assert.equal(1, status)
    assert.equal(("neuraldrummer: %s%s: No such file or directory\n"):format(folder,
      [[/\x1B[2Jno\xFF.mid]]), err)
  end)
end)
