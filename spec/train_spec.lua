local nd = require "neuraldrummer"
local core = require "neuraldrummer.core"
local train = require "neuraldrummer.train"
local safetensors = require "spec.support.safetensors"
local shell = require "spec.support.shell"
local tiny = require "spec.support.tiny"

-- Weights whose products are no numbers any more.
local function overflow(model)
  for _, name in ipairs(model:tensors()) do
    local values = model:tensor(name)
    for i = 1, #values do values[i] = 3e38 * (-1) ^ i end
    model:set_tensor(name, values)
  end
end

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
    assert.equal(("%s/basic.ndc has kit basic6, but %s plays kit gm9"):format(folder, first.out),
      message)
    assert.is_nil(io.open(folder .. "/no.safetensors"))
    state, message = train.run(corpus, { out = folder .. "/no.safetensors",
      from = folder .. "/none" })
    assert.is_nil(state)
    assert.matches("/none: ", message)
    assert.error_matches(function()
      train.run(corpus, { out = folder .. "/no.safetensors", from = first.out, hidden = 3 })
    end, "option 'hidden': has no effect with 'from', whose model decides it")
  end)

  it("learns, logs each batch and keeps the best", function()
    local o = options "plain"
    local calls = 0
    o.on_progress = function() calls = calls + 1 end
    local starts, epochs = 0, {}
    o.on_start = function(now)
      starts = starts + 1
      assert.same({ 1, 0, 3 }, { now.epoch, now.batch, now.epochs })
    end
    o.on_epoch = function(now, epoch) epochs[epoch] = now.valid_loss end
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
    assert.equal(1, starts)
    for epoch, valid in ipairs(valids) do assert.near(valid, epochs[epoch], 1e-6) end
    assert.equal(3, #epochs)
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
        overflow(model)
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
      assert.matches("^tensor out%.b: value 1e%+09 at index 0 is out of range %(max 65504%)$",
        state.why)
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
      -- the batches keep it open
      ["the corpus"] = function(own) own.corpus:close() end,
      ["another training, of the same model, to the same files and to others"] = function(own, o)
        local again = { out = o.out, log = o.log, epochs = 1, batch = 2, steps = 64,
          model = own.model }
        assert.is_nil((train.run(own.corpus, again)))
        again.out, again.log = folder .. "/others.safetensors", folder .. "/others.tsv"
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

  it("has said all of itself once it is over, and goes on from there", function()
    local o = options "over"
    local state = assert(train.run(corpus, o))
    local again = assert(train.run(corpus, { out = o.out, log = o.log, resume = true }))
    assert.equal(state.loss, again.loss)
    assert.equal(state.valid_loss, again.valid_loss)
    assert.is_true(again.seconds > 0 and again.seconds >= state.seconds)
    assert.is_nil(again.last_loss)
  end)

  it("goes on with all of its options", function()
    local o = options("kept", { epochs = 1, half = true, keep_epochs = true,
      checkpoint_every = 1 })
    assert(train.run(corpus, o))
    local _, message = train.run(corpus, options("kept", { epochs = 2, resume = true,
      hidden = 8 }))
    assert.equal(folder .. "/kept.last.safetensors: option 'hidden' was 12 and cannot become 8",
      message)
    for name, value in pairs { layers = 2, dropout = 0.4, encoder = 7, causal = true, batch = 3,
      steps = 32, seed = 9, preset = "touch" } do
      _, message = train.run(corpus, options("kept", { resume = true, [name] = value }))
      assert.matches(("kept.last.safetensors: option '%s' was [%%w.]+ and cannot become %s$")
        :format(name, value), message)
    end
    assert.has_error(function()
      train.run(corpus, { out = o.out, resume = true, model = core.model { hidden = 2 } })
    end, "option 'model': has no effect with 'resume', which loads the last checkpoint")
    local saved = 0
    local state = assert(train.run(corpus, { out = o.out, log = o.log, epochs = 2, resume = true,
      dropout = core.load_model(o.out):config().dropout, on_progress = function(now)
        if now.batch == 2 and assert(core.load_model(now.last)):extra()["train.batch"] == "1" then
          saved = saved + 1
        end
      end }))
    assert.equal(1, saved)
    assert.equal(2, state.best_epoch)
    assert.equal("F16", safetensors.read(o.out).tensors["out.w"].dtype)
    assert.is_true(shell.exists(folder .. "/kept.epoch-2.safetensors"))
  end)

  it("is not taken for an older one of its name before it has a checkpoint", function()
    local o = options "twice"
    assert(train.run(corpus, o))
    local again = options("twice", { seed = 2 })
    again.on_progress = function(state) if state.batch == 2 then error "killed" end end
    assert.error_matches(function() train.run(corpus, again) end, "killed")
    local state, message = train.run(corpus, options("twice", { resume = true }))
    assert.is_nil(state)
    assert.matches("/twice.last.safetensors: No such file", message)
  end)

  it("is one alone on its files", function()
    local o, said = options "alone", nil
    local whole = options "unshared"
    assert(train.run(corpus, whole))
    o.on_progress = function()
      if not said then said = { train.run(corpus, options("alone", { seed = 3 })) } end
    end
    assert(train.run(corpus, o))
    assert.same({ nil, o.out .. ": another process is training this model" }, said)
    assert.equal(losses(whole.log), losses(o.log))
    assert.is_false(shell.exists(o.out .. ".training"))
    -- one that was killed holds nothing
    assert.equal(137, shell.sh(([[LUA_CPATH=%s exec lua5.4 -e '
      lock = assert(require "neuraldrummer.core".lock(%q))
      io.popen "kill -9 $PPID":close()']]):format(shell.quote(shell.build .. "/lib/?.so;;"),
      o.out .. ".training")))
    assert.is_true(shell.exists(o.out .. ".training"))
    assert(train.run(corpus, options "alone"))
    assert.is_false(shell.exists(o.out .. ".training"))
  end)

  it("does not touch what is there when an option is out of its range", function()
    local o = options("ranges", { epochs = 1 })
    assert(train.run(corpus, o))
    local log = shell.read(o.log)
    for name, values in pairs {
      epochs = { 0, -1, math.maxinteger }, rate = { 0.0, -1.0, 20.0, 0 / 0, math.huge },
      warmup = { -1 }, floor = { -1.0, 1.5, 0 / 0 }, clip = { -1.0, 0 / 0, 1e10 },
      epsilon = { 0.0, 2.0, 0 / 0 }, batch = { 0, 65537 }, steps = { 0, 65537 }, seed = { -1 },
      checkpoint_every = { -1 }, threads = { 0, 257 }, hidden = { 0 }, dropout = { 1.0 },
    } do
      for _, value in ipairs(values) do
        assert.error_matches(function()
          train.run(corpus, options("ranges", { [name] = value }))
        end, "option '" .. name .. "': ")
      end
    end
    assert.equal(log, shell.read(o.log))
    assert.is_true(shell.exists(folder .. "/ranges.last.safetensors"))
    assert.is_false(shell.exists(o.out .. ".training"))
  end)

  it("goes on from no checkpoint whose training is broken", function()
    local o = options("broken", { epochs = 2, checkpoint_every = 2 })
    o.on_progress = function(state) if state.epoch == 2 and state.batch == 3 then error "" end end
    assert.is_false((pcall(train.run, corpus, o)))
    local last = folder .. "/broken.last.safetensors"
    local bytes, log = shell.read(last), shell.read(o.log)
    local function refused(key, value)
      shell.write(last, bytes)
      local whole = safetensors.read(last)
      assert.is_string(whole.metadata[key])
      whole.metadata[key] = value
      safetensors.write(last, whole)
      local state, message = train.run(corpus, { out = o.out, log = o.log, resume = true })
      assert.is_nil(state)
      assert.equal(log, shell.read(o.log))
      return message
    end
    for key, values in pairs {
      ["option.epochs"] = { "x", "0", "1.5", "" }, ["option.rate"] = { "true", "20", "nan", "0" },
      ["option.floor"] = { "x", "-1" }, ["option.batch"] = { "1.5", "-2" },
      ["option.clip"] = { "-0x1p+0", "1e999" }, ["option.cosine"] = { "1", "yes" },
      ["train.epoch"] = { "-5", "1", "x", "3" }, ["train.batch"] = { "-1", "1", "99" },
      ["train.sum"] = { "nan", "x" }, ["train.seconds"] = { "-1", "inf" },
      ["train.best"] = { "-nan" }, ["train.valid_loss"] = { "-nan" },
      ["train.best_epoch"] = { "0" }, ["train.songs"] = { "four" },
      ["train.row"] = { "%d %s %s", "x", "2\t2\t1\t%d\t1\t1\t1\n", "2\t2\t1\t%s\t1\t1\t1",
        "2\t2\t1\t%s\t1\t1\t1\n2\t2\t1\t%s\t1\t1\t1\n" },
    } do
      for _, value in ipairs(values) do
        assert.equal(last .. ": the saved state of the training is malformed",
          refused("extra." .. key, value), key .. " " .. value)
      end
    end
    assert.equal(last .. ": has no saved training to resume", refused("training", nil))
    assert.equal(last .. ": has no saved training to resume", refused("extra.train.epoch", nil))
    shell.write(last, bytes)
    assert(train.run(corpus, { out = o.out, log = o.log, resume = true }))
  end)

  -- A corpus of `name` with songs from bars of patterns, {song, split} each.
  local function corpus_of(name, tokeniser, songs)
    local writer = assert(nd.corpus.create(("%s/%s.ndc"):format(folder, name), tokeniser))
    for i, song in ipairs(songs) do
      assert(writer:add(assert(tokeniser:encode(tiny.song { patterns = { song[1] },
        bars = song[2] }, "song " .. i)), song[3]))
    end
    assert(writer:finish())
    return assert(nd.corpus.open(("%s/%s.ndc"):format(folder, name)))
  end
  local BEAT <const> = { kick = "x.......x.......", snare = "....x.......x...",
    bass = "x...x...x...x..." }
  local BASS <const> = { bass = "x...x...x...x..." }

  it("goes on with the songs that it was begun with, and no others", function()
    local own = { { BEAT, 5, "train" }, { BEAT, 7, "train" }, { BEAT, 4, "valid" } }
    local first <close> = corpus_of("begun", nd.tokeniser(), own)
    local o = options("begun", { epochs = 1 })
    assert(train.run(first, o))
    for i, change in ipairs { { BEAT, 6, "train" }, { BEAT, 5, "valid" } } do
      local other <close> = corpus_of("other" .. i, nd.tokeniser(), { change, own[2], own[3] })
      local state, message = train.run(other, options("begun", { epochs = 2, resume = true }))
      assert.is_nil(state)
      assert.equal(("%s/begun.last.safetensors: was trained on other songs than those of "
        .. "%s/other%d.ndc"):format(folder, folder, i), message)
    end
    -- the same ones under another name are; and older checkpoints do not tell
    local same <close> = corpus_of("same", nd.tokeniser(), own)
    assert(train.run(same, options("begun", { epochs = 2, resume = true })))
    local last = folder .. "/begun.last.safetensors"
    local whole = safetensors.read(last)
    assert.matches("^%x+$", whole.metadata["extra.train.corpus"])
    for key in pairs(whole.metadata) do
      if key:find "^extra%.train%.corpus" or key:find "^extra%.train%.loss"
        or key:find "^extra%.option%.k" or key:find "^extra%.option%.ch" then
        whole.metadata[key] = nil
      end
    end
    safetensors.write(last, whole)
    assert(train.run(first, options("begun", { epochs = 3, resume = true })))
  end)

  it("goes on with a corpus of its kit and grid, and says which is of another", function()
    local own = { { BEAT, 5, "train" }, { BEAT, 4, "valid" } }
    local first <close> = corpus_of("grid", nd.tokeniser(), own)
    local o = options("grid", { epochs = 1 })
    assert(train.run(first, o))
    local last = folder .. "/grid.last.safetensors"
    for _, case in ipairs {
      { { kit = "basic6" }, "has kit basic6, but %s plays kit gm9" },
      { { kit = { name = "gm9", { name = "kick", pitches = { 36 } } } },
        "and %s have different kits named gm9" },
      { { steps_per_beat = 6 }, "has 6 steps a beat, but %s plays 4" },
      { { beat = "meter" }, "takes beats from the meter, but %s from the quarter" },
      { { preset = "neuraldrummer2023", kit = "gm9" },
        "is for the system of 2023, but %s is not" },
    } do
      local other <close> = corpus_of("other_grid", nd.tokeniser(case[1]), own)
      local path = folder .. "/other_grid.ndc "
      assert.equal(path .. case[2]:format(last),
        select(2, train.run(other, options("grid", { resume = true }))))
      assert.equal(path .. case[2]:format(o.out), select(2, train.run(other,
        { out = folder .. "/no.safetensors", from = o.out })))
    end
  end)

  it("without a hit to count in validation has none", function()
    local silent <close> = corpus_of("silent", nd.tokeniser(), { { BEAT, 5, "train" },
      { BEAT, 6, "train" }, { BASS, 4, "valid" } })
    local o = options("silent", { preset = "touch", encoder = 3, epochs = 2, layers = 1 })
    local state = assert(train.run(silent, o))
    assert.is_nil(state.valid_loss)
    assert.is_number(state.best)
    assert.is_false(state.diverged)
    assert.equal(tostring(state.best_epoch),
      assert(core.load_model(o.out)):extra()["train.best_epoch"])
    assert.is_nil(shell.read(o.log):find "nan")
    assert.is_nil(assert(core.load_model(state.last)):extra()["train.valid_loss"])
  end)

  it("stops when the validation's loss is no number, and saves none", function()
    local o = options "odd_valid"
    local model = core.model { tokeniser = corpus:tokeniser(), hidden = 12, layers = 1 }
    o.model, o.hidden, o.layers = model, nil, nil
    o.on_progress = function(state)
      if state.epoch == 2 and state.batch == state.batches then
        overflow(model)
      end
    end
    local state = assert(train.run(corpus, o))
    assert.is_true(state.diverged)
    assert.equal("training diverged: the validation loss is not finite", state.why)
    assert.equal(state.valid_loss, state.valid_loss)
    assert.is_nil(shell.read(o.log):find "nan")
    assert.equal("1", assert(core.load_model(o.out)):extra()["train.best_epoch"])
  end)

  it("does without valid songs that are shorter than a window, and not without others", function()
    local tokeniser = nd.tokeniser { preset = "neuraldrummer2023" }
    local function songs(name, train_bars, valid_bars)
      local writer = assert(nd.corpus.create(("%s/%s.ndc"):format(folder, name), tokeniser))
      for split, bars in pairs { train = train_bars, valid = valid_bars } do
        assert(writer:add(assert(tokeniser:parse(("36,i0.1,-1,"):rep(bars * 16):sub(1, -2))),
          split))
      end
      assert(writer:finish())
      return assert(nd.corpus.open(("%s/%s.ndc"):format(folder, name)))
    end
    local o = options("short", { hidden = 4, epochs = 1 })
    o.steps = nil
    local short <close> = songs("short_valid", 4, 0.5)
    local state = assert(train.run(short, o))
    assert.is_nil(state.valid_loss)
    assert.equal(1, state.best_epoch)
    local none <close> = songs("short_train", 0.5, 4)
    assert.equal(folder .. "/short_train.ndc: no song of the split 'train' is longer than 8 steps",
      select(2, train.run(none, o)))
  end)

  it("keeps the weights of each epoch when asked", function()
    local o = options("each", { epochs = 2, keep_epochs = true })
    assert(train.run(corpus, o))
    for epoch = 1, 2 do
      assert(nd.model.load(("%s/each.epoch-%d.safetensors"):format(folder, epoch)))
    end
  end)

  it("says what is in the way", function()
    assert.error_matches(function()
      train.run(corpus, options("x", { preset = "neuraldrummer2023", encoder = 4 }))
    end, "option 'encoder': the preset neuraldrummer2023 has no encoder")
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
    assert.equal(("%s/other.last.safetensors: was trained on a corpus of 4 songs, but "
      .. "%s/other.ndc has 1"):format(folder, folder), select(2, train.run(other, o)))
    -- without valid songs, the training's own loss decides
    local state = assert(train.run(other, options("novalid", { epochs = 2 })))
    assert.is_nil(state.valid_loss)
    assert.equal(2, state.best_epoch)
  end)
end)
