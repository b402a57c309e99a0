local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local train = require "neuraldrummer.train"
local shell = require "spec.support.shell"

describe("train", function()
  local folder, corpus
  setup(function()
    folder = shell.folder()
    local all = dofile "examples/songs/all.lua"
    local tokeniser = nd.tokeniser {}
    local writer = assert(nd.corpus.create(folder .. "/songs.ndc", tokeniser))
    for i, name in ipairs { "ballad", "rock", "waltz", "seven" } do
      local song = assert(nd.song.parse(all.load(name):bytes()))
      assert(writer:add(assert(tokeniser:encode(song, name)), i == 4 and "valid" or "train"))
    end
    assert(writer:finish())
    corpus = assert(nd.corpus.open(folder .. "/songs.ndc"))
  end)
  teardown(function()
    corpus:close()
    shell.remove(folder)
  end)

  -- A small net, so that a training takes a blink.
  local function options(name, more)
    local stem = folder .. "/" .. name
    local o = { out = stem .. ".safetensors", log = stem .. ".tsv",
      hidden = 12, layers = 1, epochs = 3, batch = 2, steps = 64, warmup = 4 }
    for key, value in pairs(more or {}) do o[key] = value end
    return o
  end

  -- The log without its seconds, which are of the day.
  local function losses(path)
    return (shell.read(path):gsub("\t[%d.]+\n", "\n"))
  end

  it("has a rate that warms up and falls as a cosine", function()
    local o = { rate = 1.0, warmup = 4, cosine = true, floor = 0.1 }
    assert.equal(0.25, train.rate(o, 1, 104))
    assert.equal(1.0, train.rate(o, 4, 104))
    assert.near(0.55, train.rate(o, 54, 104), 1e-12)
    assert.near(0.1, train.rate(o, 104, 104), 1e-12)
    assert.equal(1.0, train.rate({ rate = 1.0, warmup = 0, cosine = false, floor = 1 }, 77, 104))
    assert.equal(1.0, train.rate({ rate = 1.0, warmup = 500, cosine = false, floor = 1 }, 1, 4))
  end)

  it("teaches a model further, softly, with the styles of the new songs", function()
    local first, second = options "first", { out = folder .. "/second.safetensors" }
    assert(train.run(corpus, first))
    local before = assert(core.load_model(first.out))
    local writer = assert(nd.corpus.create(folder .. "/two.ndc", corpus:tokeniser()))
    for i = 1, 2 do assert(writer:add(corpus:song(i))) end
    assert(writer:finish())
    local two <close> = assert(nd.corpus.open(folder .. "/two.ndc"))
    second.from, second.epochs = first.out, 4
    local rates = {}
    second.on_progress = function(now) rates[#rates + 1] = now.rate end
    local state = assert(train.run(two, second))
    assert.near(2e-4, math.max(table.unpack(rates)), 1e-4)
    local after = assert(core.load_model(second.out))
    assert.equal(2, #after:styles())
    assert.equal(before:config().hidden, after:config().hidden)
    local batches <close> = two:batches { model = before, split = "train", shuffle = false,
      history_dropout = false }
    assert.is_true(batches:next())
    assert.is_true(after:loss(batches) < before:loss(batches))
    assert.equal(4, state.epochs)
  end)

  it("teaches further no model that plays another kit, nor changes its shape", function()
    local first = options "kit"
    assert(train.run(corpus, first))
    local tokeniser = nd.tokeniser { kit = "basic6" }
    local writer = assert(nd.corpus.create(folder .. "/basic.ndc", tokeniser))
    local all = dofile "examples/songs/all.lua"
    assert(writer:add(assert(tokeniser:encode(assert(nd.song.parse(all.load "rock":bytes()))))))
    assert(writer:finish())
    local basic <close> = assert(nd.corpus.open(folder .. "/basic.ndc"))
    local state, message = train.run(basic, { out = folder .. "/no.safetensors", from = first.out })
    assert.is_nil(state)
    assert.equal(first.out .. ": plays the kit gm9, and the corpus has basic6", message)
    assert.is_nil(io.open(folder .. "/no.safetensors"))
    state, message = train.run(corpus, { out = folder .. "/no.safetensors",
      from = folder .. "/none" })
    assert.is_nil(state)
    assert.matches("/none: ", message)
    assert.error_matches(function()
      train.run(corpus, { out = folder .. "/no.safetensors", from = first.out, hidden = 3 })
    end, "option 'hidden': the model of 'from' is what it is")
  end)

  it("learns, logs each batch and keeps the best", function()
    local o = options "plain"
    local calls = 0
    o.on_progress = function() calls = calls + 1 end
    local state = assert(train.run(corpus, o))
    assert.is_false(state.interrupted)
    assert.is_false(state.diverged)
    local rows, valids = {}, {}
    for line in shell.read(o.log):gmatch "[^\n]+" do
      local row = {}
      for value in (line .. "\t"):gmatch "([^\t]*)\t" do row[#row + 1] = value end
      assert.equal(7, #row)
      rows[#rows + 1] = row
      if tonumber(row[4]) then valids[#valids + 1] = tonumber(row[4]) end
    end
    assert.same({ "epoch", "batch", "loss", "valid", "rate", "norm", "seconds" }, rows[1])
    assert.equal(3 * state.batches, #rows - 1)
    assert.equal(3 * state.batches + 3, calls)
    assert.equal(3, #valids)
    assert.near(state.best, math.min(table.unpack(valids)), 1e-6)
    assert.is_true(tonumber(rows[#rows][3]) < 0.8 * tonumber(rows[2][3]))

    local best = assert(nd.model.load(o.out))
    assert.equal(tostring(state.best_epoch), best:extra()["train.best_epoch"])
    local valid = corpus:batches { model = best, split = "valid", shuffle = false, batch = 2,
      steps = 64 }
    local sum, count = 0, 0
    while valid:next() do
      local loss, n = best:loss(valid)
      sum, count = sum + loss * n, count + n
    end
    assert.near(state.best, sum / count, 1e-6)
  end)

  it("goes on after a kill to the very same losses and weights", function()
    local whole = options "whole"
    assert(train.run(corpus, whole))
    for _, place in ipairs { { 1, 3 }, { 2, 1 }, { 3, 2 } } do
      local o = options("killed", { checkpoint_every = 2 })
      o.on_progress = function(state)
        if state.epoch == place[1] and state.batch == place[2] then error "killed" end
      end
      assert.error_matches(function() train.run(corpus, o) end, "killed")
      -- all that decides the losses is in the checkpoint
      assert(train.run(corpus, { out = o.out, log = o.log, resume = true }))
      assert.equal(losses(whole.log), losses(o.log))
      local a, b = assert(nd.model.load(whole.out)), assert(nd.model.load(o.out))
      for _, name in ipairs(a:tensors()) do assert.same(a:tensor(name), b:tensor(name)) end
    end
  end)

  it("goes on for more epochs than it was begun for", function()
    local o = options("more", { epochs = 1, cosine = false })
    assert(train.run(corpus, o))
    local state = assert(train.run(corpus, options("more", { epochs = 2, resume = true })))
    local at_once = options("at_once", { epochs = 2, cosine = false })
    assert(train.run(corpus, at_once))
    assert.equal(losses(at_once.log), losses(o.log))
    assert.equal(3, state.epoch)
  end)

  it("saves and stops when Ctrl-C is pressed, and goes on", function()
    local whole = options "uninterrupted"
    assert(train.run(corpus, whole))
    local o = options "interrupted"
    o.on_progress = function(state)
      -- not os.execute: it would keep the signal from us
      if state.epoch == 2 and state.batch == 1 then io.popen "kill -INT $PPID":close() end
    end
    local state = assert(train.run(corpus, o))
    assert.is_true(state.interrupted)
    assert.equal(2, state.epoch)
    assert.equal(1, state.batch)
    state = assert(train.run(corpus, options("interrupted", { resume = true })))
    assert.is_false(state.interrupted)
    assert.equal(losses(whole.log), losses(o.log))
  end)

  it("gives Ctrl-C back", function()
    local status = shell.sh(([[LUA_CPATH=%s lua5.4 -e '
      local core = require "neuraldrummer.core"
      do
        local interrupt <close> = core.catch_interrupt()
        assert(not interrupt:seen())
        io.popen "kill -INT $PPID":close()
        assert(interrupt:seen())
      end
      assert(not core.catch_interrupt():seen())
      collectgarbage()
      io.popen "kill -INT $PPID":close()
      for i = 1, 1e9 do end']]):format(shell.quote(shell.build .. "/lib/?.so;;")))
    assert.is_true(status == 130 or status == 1)  -- lua5.4's own: "interrupted!"
  end)

  it("stops when the loss is no number, with what it last saved", function()
    local o = options "diverged"
    local model = core.model { tokeniser = corpus:tokeniser(), hidden = 12, layers = 1 }
    o.model, o.hidden, o.layers = model, nil, nil
    o.on_progress = function(state)
      if state.epoch == 2 and state.batch == 2 then
        for _, name in ipairs(model:tensors()) do
          local values = model:tensor(name)
          for i = 1, #values do values[i] = 3e38 * (-1) ^ i end
          model:set_tensor(name, values)
        end
      end
    end
    local state = assert(train.run(corpus, o))
    assert.is_true(state.diverged)
    assert.matches("^training diverged: ", state.why)
    assert.equal(2, state.epoch)
    assert.equal("1", assert(nd.model.load(o.out)):extra()["train.best_epoch"])
  end)

  it("stops when a weight is none that can be saved, with what it last saved", function()
    for _, every in ipairs { 0, 2 } do
      local o = options("absurd" .. every, { checkpoint_every = every, keep_epochs = true })
      local model = core.model { tokeniser = corpus:tokeniser(), hidden = 12, layers = 1 }
      o.model, o.hidden, o.layers = model, nil, nil
      o.on_progress = function(state)
        if state.epoch == 2 and state.batch == 1 then
          local values = model:tensor "out.b"
          values[1] = 1e9  -- finite, and so is the loss
          model:set_tensor("out.b", values)
        end
      end
      local state = assert(train.run(corpus, o))
      assert.is_true(state.diverged)
      assert.matches("^weight 0 of tensor out%.b, 1e%+09, is none that training gives$", state.why)
      assert.equal(2, state.epoch)
      assert.equal(every > 0 and every or state.batches, state.batch)
      assert.equal("1", assert(nd.model.load(o.out)):extra()["train.best_epoch"])
      assert.equal("2", assert(nd.model.load(state.last)):extra()["train.epoch"])
      assert.is_false(shell.exists(("%s/absurd%d.epoch-2.safetensors"):format(folder, every)))
      o.model, o.on_progress, o.resume = nil, nil, true
      assert.is_false(assert(train.run(corpus, o)).diverged)
    end
  end)

  it("outlives callbacks that close what it works on, or work on it again", function()
    local ends = {}
    for name, deed in pairs {
      ["the model"] = function(own, _, state) own.closed = true state.model:close() end,
      ["the corpus"] = function(own) own.closed = true own.corpus:close() end,
      ["another training, of the same model to the same files"] = function(own, o)
        local again = { out = o.out, log = o.log, epochs = 1, batch = 2, steps = 64,
          model = own.model }
        assert(train.run(own.corpus, again))
      end,
      ["a collection, and a load of what is being written"] = function(_, o, state)
        collectgarbage()
        if shell.exists(o.out) then assert(core.load_model(o.out)):close() end
        state.epochs, state.loss, state.model = nil, nil, nil
      end,
      ["an error"] = function() error({}) end,
    } do
      for _, place in ipairs { { 1, 1 }, { 2, 2 }, { 3, 0 } } do
        local own = { corpus = assert(nd.corpus.open(folder .. "/songs.ndc")),
          model = core.model { tokeniser = corpus:tokeniser(), hidden = 4, layers = 1 } }
        local o = options("deeds", { model = own.model, epochs = 3, checkpoint_every = 2 })
        o.hidden, o.layers = nil, nil
        o.on_progress = function(state)
          if state.epoch == place[1] and state.batch == place[2] then
            place[1] = 0
            deed(own, o, state)
          end
        end
        local ok, state, message = pcall(train.run, own.corpus, o)
        ends[#ends + 1] = ok
        -- an end in words, or in a training that is done
        if name ~= "an error" then
          assert(ok and (state or type(message) == "string") or type(state) == "string", name)
        end
        if own.closed then assert.matches("closed", ok and message or state) end
        own.corpus:close()
        if shell.exists(o.out) then assert(core.load_model(o.out)):close() end
        assert.equal("", select(2, shell.sh("ls " .. folder .. " | grep part")))
      end
    end
    assert.equal(15, #ends)
  end)

  it("keeps the weights of each epoch when asked", function()
    local o = options("each", { epochs = 2, keep_epochs = true })
    assert(train.run(corpus, o))
    for epoch = 1, 2 do
      assert(nd.model.load(("%s/each.epoch-%d.safetensors"):format(folder, epoch)))
    end
  end)

  it("says what is in the way", function()
    assert.error_matches(function() train.run(corpus, { epoch = 1 }) end,
      "unknown option 'epoch'; did you mean 'epochs'%?")
    assert.error_matches(function() train.run(corpus, {}) end, "option 'out' is needed")
    assert.matches("none.last.safetensors",
      select(2, train.run(corpus, options("none", { resume = true }))))
    assert.matches("none/log.tsv", select(2, train.run(corpus, options("x",
      { log = folder .. "/none/log.tsv" }))))
    assert.matches("none/m", select(2, train.run(corpus, options("x",
      { out = folder .. "/none/m.safetensors", epochs = 1 }))))
    -- another corpus
    local o = options("other", { epochs = 1 })
    assert(train.run(corpus, o))
    local tokeniser = corpus:tokeniser()
    local writer = assert(nd.corpus.create(folder .. "/other.ndc", tokeniser))
    assert(writer:add(assert(corpus:song(1)), "train"))
    assert(writer:finish())
    local other <close> = assert(nd.corpus.open(folder .. "/other.ndc"))
    o.resume = true
    assert.matches("was trained on a corpus of 4 songs, and this one has 1",
      select(2, train.run(other, o)))
    -- without valid songs, the training's own loss decides
    local state = assert(train.run(other, options("novalid", { epochs = 2 })))
    assert.is_nil(state.valid_loss)
    assert.equal(2, state.best_epoch)
  end)
end)
