-- Sequences: hits in and out.
local core = require "neuraldrummer.core"
local made = require "spec.support.made_songs"

describe("sequence", function()
  local tok = core.tokeniser()
  local song = core.song(made.spec(1))
  local seq = assert(tok:encode(song, "rock.mid"))

  it("says what it is", function()
    assert.are.equal("rock.mid", seq:name())
    assert.are.equal("", assert(tok:encode(song)):name())
    assert.are.same(tok:voices(), seq:voices())
    assert.are.same(tok:settings(), seq:settings())
    local hits = 0
    for _, step in ipairs(seq:hits()) do
      for _ in pairs(step) do hits = hits + 1 end
    end
    assert.are.equal(("sequence: %d steps, 9 voices, %d hits"):format(#seq, hits), tostring(seq))
    assert.is_true(hits > 100)
  end)

  it("gives the same hits in all ways", function()
    local packed, voices, all = seq:packed_hits(), seq:voices(), seq:hits()
    assert.are.equal(#seq * #voices, #packed)
    for t = 1, #seq do
      local want = {}
      for v, voice in ipairs(voices) do
        local velocity = packed:byte((t - 1) * #voices + v)
        if velocity > 0 then want[voice] = velocity / 127 end
      end
      assert.are.same(want, seq:hits(t))
      assert.are.same(want, all[t])
    end
  end)

  it("takes other hits", function()
    local same = seq:with_hits(seq:packed_hits())
    assert.are.equal(seq:packed_hits(), same:packed_hits())
    same = seq:with_hits(seq:hits())
    assert.are.equal(seq:packed_hits(), same:packed_hits())
    assert.are.equal("rock.mid", same:name())
    assert.are.same(seq:bars(), same:bars())
    for t = 1, #seq do assert.are.same(seq:metrics(t), same:metrics(t)) end

    local hits = {}
    for t = 1, #seq do hits[t] = {} end
    hits[1] = { kick = true, snare = 0.5, ride = false, crash = 0 }
    hits[#seq] = { closed_hat = 0.001 }
    local other = seq:with_hits(hits)
    assert.are.same({ kick = 1, snare = 64 / 127 }, other:hits(1))
    assert.are.same({ closed_hat = 1 / 127 }, other:hits(#seq))
    assert.is_truthy(other:tokens():find "^36,38,i")
    assert.is_truthy(other:tokens():find "42,i[-.0-9]+,%-1$")
    assert.are_not.equal(seq:packed_hits(), other:packed_hits())
  end)

  it("refuses hits that cannot be", function()
    local function refused(hits, message)
      local ok, why = pcall(seq.with_hits, seq, hits)
      assert.is_false(ok)
      assert.is_truthy(why:find(message, 1, true), why)
    end
    local function with(step)
      local hits = {}
      for t = 1, #seq do hits[t] = {} end
      hits[2] = step
      return hits
    end
    refused("", "packed hits are #sequence * voices bytes")
    refused(("\128"):rep(#seq * 9), "packed velocities are 0..127")
    refused({}, "one table a step is needed")
    refused(3, "table expected")
    refused(with { cowbell = 1 }, "step 2: the kit has no voice 'cowbell'")
    refused(with { 1 }, "step 2: the kit has no voice 'number'")
    refused(with { kick = 1.1 }, "step 2: 'kick': a velocity 0..1 or a boolean is needed")
    refused(with { kick = 0 / 0 }, "step 2: 'kick': a velocity 0..1 or a boolean is needed")
    refused(with { kick = "loud" }, "step 2: 'kick': a velocity 0..1 or a boolean is needed")
    refused(with(7), "step 2: a table of hits is needed, got number")
    assert.has_error(function() seq:hits(0) end)
    assert.has_error(function() seq:hits(#seq + 1) end)
    assert.has_error(function() seq:hits(1.5) end)
  end)

  it("is refused when closed, and is no other type", function()
    local other = assert(tok:encode(song))
    other:close()
    other:close()
    assert.are.equal("sequence (closed)", tostring(other))
    local ok, why = pcall(other.tokens, other)
    assert.is_false(ok)
    assert.is_truthy(why:find("neuraldrummer.sequence is closed", 1, true))
    assert.has_error(function() seq.tokens(tok) end)
    assert.has_error(function() seq.close(tok) end)
    assert.has_error(function() tok:encode(seq) end)
    do
      local closing <close> = assert(tok:encode(song))
      other = closing
    end
    assert.are.equal("sequence (closed)", tostring(other))
  end)
end)
