-- Token text: the original system's lines, and round trips.
local core = require "neuraldrummer.core"
local made = require "spec.support.made_songs"

local function steps_of(line)
  local steps, step = {}, { pitches = {} }
  for token in line:gmatch "[^,]+" do
    if token == "-1" then
      table.sort(step.pitches)
      steps[#steps + 1] = table.concat(step.pitches, " ")
      steps[-#steps] = step.intensity
      step = { pitches = {} }
    elseif token:sub(1, 1) == "i" then
      step.intensity = tonumber(token:sub(2))
    else
      step.pitches[#step.pitches + 1] = token
    end
  end
  return steps
end

local function golden()
  local lines = {}
  for row in io.lines "spec/fixtures/tokens.tsv" do
    local name, line = row:match "^([^\t]+)\t(.*)$"
    lines[#lines + 1] = { name = name, line = line }
  end
  return lines
end

describe("tokens", function()
  local original = core.tokeniser { preset = "neuraldrummer2023" }

  for i, want in ipairs(golden()) do
    it("are the original's: " .. want.name, function()
      assert.are.equal(want.name, made.songs[i].name)
      local seq = assert(original:encode(core.song(made.spec(i))))
      local ours, theirs = steps_of(seq:tokens()), steps_of(want.line)
      assert.are.equal(#theirs, #seq)
      for t = 1, #theirs do
        assert.are.equal(theirs[t], ours[t], "step " .. t)
        -- beside the last bit of a half, they are the same
        assert.is_true(math.abs(ours[-t] - theirs[-t]) < 0.1001,
          ("step %d: %s, not %s"):format(t, ours[-t], theirs[-t]))
      end
    end)

    it("read and written are the same: " .. want.name, function()
      local seq = assert(original:parse(want.line))
      assert.are.equal(want.line, seq:tokens())
    end)

    it("written, read and written are the same: " .. want.name, function()
      for _, tok in ipairs { original, core.tokeniser(), core.tokeniser { steps_per_beat = 12 } } do
        local line = assert(tok:encode(core.song(made.spec(i)))):tokens()
        assert.are.equal(line, assert(tok:parse(line)):tokens())
      end
    end)
  end

  it("are read a step late", function()
    local seq = assert(original:parse "42,36,i0.5,-1,38,i-1.5,-1,i0.3,-1")
    assert.are.equal(3, #seq)
    local intensity = seq:metric "intensity"
    assert.are.equal(0.5, intensity[1])
    assert.are.equal(0.5, intensity[2])
    assert.are.equal(-1.5, intensity[3])
    assert.are.same({ kick = 1, closed_hat = 1 }, seq:hits(1))
    assert.are.same({ snare = 1 }, seq:hits(2))
    assert.are.same({}, seq:hits(3))
    assert.are.equal(0, seq:metrics(2).energy)
    assert.are.equal(0, seq:metrics(2).on_beat)
    assert.are.equal(1, seq:metrics(3).on_beat)
  end)

  it("keep pitches outside the kit, and doubled ones", function()
    local line = "42,42,99,36,i0.0,-1,127,0,i0.0,-1"
    local seq = assert(original:parse(line))
    assert.are.equal(line, seq:tokens())
    assert.are.same({ kick = 1, closed_hat = 1 }, seq:hits(1))
  end)

  it("tolerate spaces, line ends, a missing end and missing intensities", function()
    local want = "36,i0.5,-1,i0.0,-1,i0.0,-1"
    for _, line in ipairs {
      "36,i0.5,-1,i0.0,-1,i0.0,-1\r\n", " 36 , i0.5 , -1 , -1,-1 ", "36,i0.5,-1,i0,-1,i0",
      "i0.5,36,-1,inan,-1,inan,-1,",
    } do
      assert.are.equal(want, assert(original:parse(line)):tokens())
    end
  end)

  it("refuse what is malformed, with its column", function()
    local bad = "expected a pitch 0..127, an intensity (i0.5) or -1"
    for line, message in pairs {
      [""] = "the line has no steps",
      [" \n"] = "the line has no steps",
      ["36,x,-1"] = "column 4: " .. bad,
      ["36,,-1"] = "column 4: " .. bad,
      ["128,-1"] = "column 1: " .. bad,
      ["-2,-1"] = "column 1: " .. bad,
      ["36,-1,i"] = "column 7: " .. bad,
      ["i1.,-1"] = "column 1: " .. bad,
      ["i1.5.2,-1"] = "column 1: " .. bad,
      ["3 6,-1"] = "column 1: " .. bad,
      ["i99999,-1"] = "column 1: " .. bad,
      ["36\0,-1"] = "column 1: " .. bad,
      ["i0.1,36,i0.2,-1"] = "column 9: a second intensity in one step",
    } do
      local seq, why = original:parse(line)
      assert.is_nil(seq)
      assert.are.equal(message, why)
    end
    local short = core.tokeniser { preset = "neuraldrummer2023", max_steps = 2 }
    assert.are.equal(2, #assert(short:parse "-1,-1"))
    local seq, why = short:parse "-1,-1,-1"
    assert.is_nil(seq)
    assert.are.equal("the line has more than 2 steps (max_steps)", why)
  end)

  it("survive any bytes", function()
    local state = 7
    local alphabet = "0123456789,,,--i. n\n"
    for _ = 1, 2000 do
      local bytes = {}
      for k = 1, 24 do
        state = (state * 1103515245 + 12345) % 2147483648
        local at = state // 65536 % #alphabet + 1
        bytes[k] = alphabet:sub(at, at)
      end
      local seq, why = original:parse(table.concat(bytes))
      if seq then
        assert.are.equal(seq:tokens(), assert(original:parse(seq:tokens())):tokens())
      else
        assert.are.equal("string", type(why))
      end
    end
  end)
end)
