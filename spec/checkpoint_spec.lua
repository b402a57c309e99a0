-- Checkpoints: safetensors files that hold a drummer, and what is refused.
local core = require "neuraldrummer.core"
local formula = require "spec.support.formula"
local safetensors = require "spec.support.safetensors"
local temporary = require "spec.support.temporary"
local tiny = require "spec.support.tiny"

local path
before_each(function() path = temporary.name() end)
after_each(function() os.remove(path) end)

local function small(options)
  options = options or {}
  options.hidden, options.layers = options.hidden or 3, options.layers or 1
  if not options.preset then options.encoder = options.encoder or 2 end
  local model = core.model(options)
  formula.fill(model)
  return model
end

--- What loading a file says, without its path.
local function complaint(of)
  local model, message = core.load_model(of or path)
  if model then
    model:close()
    return nil
  end
  local own = (of or path) .. ": "
  assert.equal(own, message:sub(1, #own))
  return message:sub(#own + 1)
end

local files = setmetatable({}, { __mode = "k" })  -- by model: a save waits for the disk

--- What is said of `model`'s file after a change to its parts.
local function changed(model, change)
  if not files[model] then
    assert(model:save(path))
    files[model] = safetensors.bytes(path)
  end
  safetensors.save(path, files[model])
  local whole = safetensors.read(path)
  change(whole.tensors, whole.metadata, whole)
  safetensors.write(path, whole)
  return complaint()
end

local presets = {
  { name = "drummer", options = {} },
  { name = "causal", options = { causal = true, layers = 2 } },
  { name = "without encoder", options = { encoder = 0 } },
  { name = "original", options = { preset = "neuraldrummer2023", layers = 3 } },
  { name = "touch", options = { preset = "touch", encoder = 2 } },
}

describe("a checkpoint", function()
  for _, preset in ipairs(presets) do
    it("gives back every weight and setting: " .. preset.name, function()
      local model <close> = small(preset.options)
      assert(model:save(path, { extra = { note = "a \"b\" \\ \n é", empty = "" } }))
      local again <close> = assert(core.load_model(path))
      assert.same(model:config(), again:config())
      assert.same(model:tensors(), again:tensors())
      assert.is_true(model:tokeniser() == again:tokeniser())
      assert.same({ note = "a \"b\" \\ \n é", empty = "" }, again:extra())
      for _, name in ipairs(model:tensors()) do
        assert.same({ model:tensor(name) }, { again:tensor(name) })
      end
    end)
  end

  it("has the same bytes whatever order its strings came in", function()
    local model <close> = small()
    local written = {}
    for turn = 1, 2 do
      local extra = {}
      for k = 1, 20 do
        local n = turn == 1 and k or 21 - k
        extra["key " .. n] = "value " .. n
      end
      assert(model:save(path, { extra = extra }))
      written[turn] = safetensors.bytes(path)
    end
    assert.is_true(written[1] == written[2], "the bytes differ")
  end)

  it("is UTF-8 in its header, whatever its strings and songs' names are", function()
    local tok = core.tokeniser()
    local drums = tiny.song { bars = 2, patterns = {
      { kick = "x.......x.......", bass = "x...x...x...x..." } } }
    local corpus <close>, songs = tiny.corpus(tok, {
      { assert(tok:encode(drums, "folder/caf\xE9 \xFF\n\u{1F941}.mid")), "train" } })
    local model <close> = core.model { hidden = 2, layers = 1, encoder = 0, tokeniser = tok }
    assert(model:learn_styles(corpus))
    assert.equal("caf\u{FFFD} \u{FFFD} \u{1F941}.mid", model:styles()[1].name)
    assert(model:save(path, { extra = {
      ["odd \xC0\x80"] = "\xED\xA0\x80|\xF4\x90\x80\x80|\xE9" } }))
    local bytes = safetensors.bytes(path)
    assert.truthy(utf8.len(bytes:sub(9, 8 + ("<I8"):unpack(bytes))))
    local again <close> = assert(core.load_model(path))
    local unknown = "\u{FFFD}"
    assert.same({ ["odd " .. unknown:rep(2)] = unknown:rep(3) .. "|" .. unknown:rep(4) .. "|"
      .. unknown }, again:extra())
    assert.equal(model:styles()[1].name, again:styles()[1].name)
    -- and so it is read, escapes of half a pair among them
    safetensors.save(path, (bytes:gsub("\u{FFFD}|", "\xFF  |", 1)))
    local spoilt <close> = assert(core.load_model(path))
    assert.same({ ["odd " .. unknown:rep(2)] = unknown:rep(3) .. "  |" .. unknown:rep(4) .. "|"
      .. unknown }, spoilt:extra())
    os.remove(songs)
  end)

  it("is a safetensors file: sizes, types and places as the format has them", function()
    local model <close> = small()
    assert(model:save(path))
    local bytes, whole = safetensors.bytes(path), safetensors.read(path)
    local length = ("<I8"):unpack(bytes)
    assert.equal(0, length % 8)
    assert.equal("{", bytes:sub(9, 9))
    local at = 0
    assert.same(model:tensors(), whole.order)
    for _, name in ipairs(whole.order) do
      local t, values, shape = whole.tensors[name], model:tensor(name)
      assert.equal("F32", t.dtype)
      assert.equal(at, t.from)
      for k = 1, 2 do assert.equal(shape[k], t.shape[k]) end
      assert.equal(4 * #values, #t.data)
      at = at + #t.data
      for i, v in ipairs(values) do assert.equal(v, (("<f"):unpack(t.data, 4 * i - 3))) end
    end
    assert.equal(#bytes, 8 + length + at)
    assert.equal("neuraldrummer 2", whole.metadata.format)
  end)

  it("in half precision has the nearest half of every weight of a matrix", function()
    local model <close> = small()
    local shown = model:tensor "out.w"
    local last = 2 ^ -10
    local values = { 1, 1 + last, 1 + last / 2, 1 + 1.5 * last, 65504, 2 ^ -24, 2 ^ -26, -0.1, 0 }
    local halves = { 1, 1 + last, 1, 1 + 2 * last, 65504, 2 ^ -24, 0, -0.0999755859375, 0 }
    table.move(values, 1, #values, 1, shown)
    model:set_tensor("out.w", shown)
    assert(model:save(path, { half = true }))
    local whole = safetensors.read(path)
    local again <close> = assert(core.load_model(path))
    assert.same(halves, table.move(again:tensor "out.w", 1, #halves, 1, {}))
    for name, t in pairs(whole.tensors) do
      local was, is = model:tensor(name), again:tensor(name)
      assert.equal(t.shape[2] and "F16" or "F32", t.dtype)
      for i, v in ipairs(was) do
        -- half of the last of eleven bits, or of the least there is
        local off = t.shape[2] and math.max(math.abs(v) * 2 ^ -11, 2 ^ -25) or 0
        local close = math.abs(v - is[i]) <= off
        assert.is_true(close, ("%s[%d]: %g, %g"):format(name, i, v, is[i]))
      end
    end
    -- once rounded, nothing changes any more
    assert(again:save(path, { half = true }))
    local third <close> = assert(core.load_model(path))
    for _, name in ipairs(model:tensors()) do
      assert.same(again:tensor(name), (third:tensor(name)))
    end
  end)

  it("of a training goes on as if never stopped, for each kind of network", function()
    for _, preset in ipairs(presets) do
      local options = { dropout = 0.4, seed = 2 }
      for key, value in pairs(preset.options) do options[key] = value end
      local model <close> = small(options)
      local pattern = { kick = "x..x....x.......", snare = "....x.......x..x",
        bass = "x.x...x.x...x.x." }
      local corpus <close>, corpus_path = tiny.corpus(model:tokeniser(), {
        { tiny.song { patterns = { pattern }, bars = 9 }, "train" },
        { tiny.song { patterns = { pattern }, bars = 6, root = 41 }, "train" } })
      local batches <close> = corpus:batches { model = model, batch = 2, steps = 24 }
      local function learn(m, b, n)
        local list = {}
        for i = 1, n do
          if not b:next() then b:next() end
          list[i] = { m:train_step(b, { rate = 1e-2, clip = 0.5 }) }
        end
        return list
      end
      learn(model, batches, 4)
      assert(model:save(path, { training = true, batches = batches, extra = { epoch = "3" } }))
      local again <close> = assert(core.load_model(path))
      local resumed <close> = assert(corpus:batches { model = again, batch = 2, steps = 24,
        resume = true })
      assert.same({ epoch = "3" }, again:extra())
      assert.same(learn(model, batches, 2), learn(again, resumed, 2), preset.name)
      for _, name in ipairs(model:tensors()) do
        assert.same(model:tensor(name), (again:tensor(name)))
      end
      -- without Adam's moments it would go elsewhere
      assert(again:save(path))
      local fresh <close> = assert(core.load_model(path))
      local anew <close> = corpus:batches { model = fresh, batch = 2, steps = 24 }
      learn(fresh, anew, 1)
      learn(model, batches, 1)
      assert.are_not.same(model:tensor "out.w", (fresh:tensor "out.w"))
      corpus:close()
      os.remove(corpus_path)
    end
  end)

  it("holds the most dropout that a model may have", function()
    for _, options in ipairs { {}, { preset = "neuraldrummer2023" }, { preset = "touch" } } do
      options.dropout = 0.99
      local model <close> = small(options)
      assert(model:save(path))
      local again <close> = assert(core.load_model(path))
      assert.equal(model:config().dropout, again:config().dropout)
    end
  end)

  it("is not saved in ways that could not be gone on with", function()
    local model <close> = small()
    for _, extra in ipairs { { x = "a\0b" }, { ["a\0b"] = "x" } } do
      assert.has_error(function() model:save(path, { extra = extra }) end,
        "option 'extra': a key or value contains a zero byte")
    end
    assert.has_error(function() model:save(path, { training = true }) end,
      "option 'training': the model has not been trained yet")
    assert.has_error(function() model:save(path, { training = true, half = true }) end,
      "options 'half' and 'training': training resumes from full precision")
    local ok, message = model:save("/nonexistent/model")
    assert.is_nil(ok)
    assert.is_truthy(message:find("^/nonexistent/model: "))
  end)

  it("is not saved when it could not be loaded again, and the old file stays", function()
    local model <close> = small()
    assert(model:save(path))
    local old = safetensors.bytes(path)
    local function refused(says, options)
      local ok, message = model:save(path, options)
      assert.is_nil(ok)
      assert.equal(path .. ": " .. says, message)
      assert.equal(old, safetensors.bytes(path))
      assert.is_nil(io.open(path .. ".nd-part"))
    end
    for name, at in pairs { ["lstm.1.wx"] = 2, ["out.b"] = 1, ["encoder.2.wh"] = 7 } do
      local values = model:tensor(name)
      local former = values[at]
      for value, shown in pairs { [65505.5] = "65505.5", [-1e30] = "-1e+30" } do
        values[at] = value
        model:set_tensor(name, values)
        local says = ("tensor %s: value %s at index %d is out of range (max 65504)"):format(name,
          shown, at - 1)
        assert.same({ nil, says }, { model:is_finite() })
        refused(says)
        refused(says, { half = true })
      end
      values[at] = former
      model:set_tensor(name, values)
      assert.is_true(model:is_finite())
    end
    local many = {}
    for i = 1, 5000 do many["key " .. i] = "" end
    refused("more than 4096 tensors or strings", { extra = many })
    refused("the metadata is larger than 16 MiB",
      { extra = { long = ("x"):rep(17 << 20) } })
    assert(model:save(path, { extra = { long = ("x"):rep(15 << 20) } }))
    assert(core.load_model(path)):close()
  end)

  it("of a training is not saved with moments that are no numbers", function()
    local model <close> = core.model { inputs = 2, voices = 1, hidden = 2, layers = 1, encoder = 0 }
    assert(model:save(path))
    local old = safetensors.bytes(path)
    local batch <close> = core.batch(model, { x = { 1e25, -1e25 }, y = { 1 } })
    for _, name in ipairs(model:tensors()) do
      local values = model:tensor(name)
      for i = 1, #values do values[i] = 1e-26 end
      model:set_tensor(name, values)
    end
    -- the gradient is finite, and its square is not
    assert(model:train_step(batch, { rate = 0, clip = 0 }))
    assert.matches("^the gradient's mean square of weight %d+ is not finite$",
      select(2, model:is_finite()))
    local ok, message = model:save(path, { training = true })
    assert.is_nil(ok)
    assert.matches("tensor adam%.v: the value at index %d+ is not finite$", message)
    assert.equal(old, safetensors.bytes(path))
    assert(model:save(path))  -- the weights alone are sound
  end)
end)

describe("a checkpoint is refused", function()
  local model
  lazy_setup(function() model = small() end)
  lazy_teardown(function() model:close() end)

  it("when it is none", function()
    assert.equal("No such file or directory", complaint "/nonexistent/model")
    for _, bytes in ipairs { "", "x", "\0\0\0\0\0\0\0\0", "\2\0\0\0\0\0\0\0{", ("\255"):rep(30),
      "\1\0\0\0\0\0\0\0{}", "\3\0\0\0\0\0\0\0{}" } do
      safetensors.save(path, bytes)
      assert.equal("not a safetensors file", complaint())
    end
    safetensors.save(path, "\2\0\0\0\0\0\0\0{}")
    assert.equal("not a Neural Drummer model: its metadata has no such 'format'", complaint())
  end)

  it("when its format is not ours", function()
    local function format(value)
      return changed(model, function(_, metadata) metadata.format = value end)
    end
    assert.equal("not a Neural Drummer model: its metadata has no such 'format'", format(nil))
    assert.equal("not a Neural Drummer model: its metadata has no such 'format'", format "pt")
    for _, other in ipairs { "neuraldrummer 1", "neuraldrummer 3", "neuraldrummer 22" } do
      assert.equal(("format '%s' cannot be read: this version reads 'neuraldrummer 2'")
        :format(other), format(other))
    end
  end)

  it("when a setting is missing or out of its range", function()
    local UNLIKE <const> =
      "settings 'inputs', 'encoded' and 'voices' do not match 'kit' and 'features'"
    local function setting(key, value)
      return changed(model, function(_, metadata) metadata[key] = value end)
    end
    assert(model:save(path))
    local keys = 0
    for key in pairs(safetensors.read(path).metadata) do
      if key ~= "format" then
        keys = keys + 1
        assert.equal(("setting '%s' is missing"):format(key), setting(key))
      end
    end
    assert.equal(41, keys)
    assert.equal("setting 'hidden' is missing", setting "hidden")
    assert.equal("setting 'kit' is missing", setting "kit")
    assert.equal("setting 'hidden': '0' is not in 1..4096", setting("hidden", "0"))
    assert.equal("setting 'hidden': '4097' is not in 1..4096", setting("hidden", "4097"))
    assert.equal("setting 'layers': '1.5' is not in 1..8", setting("layers", "1.5"))
    assert.equal("setting 'layers': '1x' is not in 1..8", setting("layers", "1x"))
    assert.equal("setting 'layers': '' is not in 1..8", setting("layers", ""))
    assert.equal("setting 'dropout': 'nan' is not in 0..0.99", setting("dropout", "nan"))
    assert.equal("setting 'encoder': '-1' is not in 0..4096", setting("encoder", "-1"))
    assert.equal("setting 'fixed_given': '1.1' is not in 0..1", setting("fixed_given", "1.1"))
    assert.equal("setting 'causal': the value 'yes' is not valid", setting("causal", "yes"))
    assert.equal("setting 'features': the value 'ears' is not valid", setting("features", "ears"))
    assert.equal("setting 'beat': the value 'off' is not valid", setting("beat", "off"))
    assert.equal("setting 'look_back': the value '1,,2' is not valid", setting("look_back", "1,,2"))
    assert.equal("setting 'look_back': the value '1,2,3,4,5,6,7' is not valid",
      setting("look_back", "1,2,3,4,5,6,7"))
    assert.equal("setting 'dense': the value '0' is not valid", setting("dense", "0"))
    assert.equal(("setting 'preset': the value '%s' is not valid"):format(("x"):rep(100)),
      setting("preset", ("x"):rep(100)))
    assert.equal("the model was trained on other metrics than this version has",
      setting("metrics", "intensity"))
    assert.equal(UNLIKE, setting("look_back", "1,2,3,4,8"))
    assert.equal(UNLIKE, setting("inputs", "135"))
    assert.equal(UNLIKE, setting("encoded", "52"))
    assert.equal("a touch net cannot have a window or voices that see each other",
      setting("touch", "true"))
    assert.equal("a window net cannot have an encoder or skip connections",
      setting("window", "8"))
    assert.equal("setting 'kit': the value 'gm9|kick' is not valid", setting("kit", "gm9|kick"))
  end)

  it("when batches of it would not be as long as its window", function()
    local windows <close> = small { preset = "neuraldrummer2023" }
    for _, steps in ipairs { 1, 7, 9, 20, 65536 } do
      assert.equal(("setting 'steps': %d differs from setting 'window', 8"):format(steps),
        changed(windows, function(_, metadata) metadata.steps = tostring(steps) end))
    end
    assert.is_nil(changed(windows, function(_, metadata) metadata.steps = "8" end))
  end)

  it("when it is of an older drummer, which heard less", function()
    local older = { "intensity", "onsets_low", "onsets_mid", "onsets_high", "bass", "loudness",
      "sounding", "harmony", "tempo", "beat_sin", "beat_cos", "bar_sin", "bar_cos", "phrase_sin",
      "phrase_cos", "downbeat", "on_beat", "meter", "energy", "playing" }
    local function says(encoder, inputs)
      local file = temporary.name()
      local drummer <close> = core.model { hidden = 3, layers = 1, encoder = encoder }
      assert(drummer:save(file))
      local whole = safetensors.read(file)
      whole.metadata.metrics = table.concat(older, ",")
      whole.metadata.inputs, whole.metadata.look_back = inputs, "1,2,4"
      safetensors.write(file, whole)
      local loaded, message = core.load_model(file)
      os.remove(file)
      assert.is_nil(loaded)
      return message:sub(#file + 3)
    end
    assert.equal("the model was trained on other metrics than this version has", says(2, "91"))
    assert.equal("the model was trained on other metrics than this version has", says(0, "56"))
  end)

  it("when a tensor is not there, or not as its settings say", function()
    local function tensor(name, change)
      return changed(model, function(tensors) tensors[name] = change(tensors[name]) end)
    end
    local function none() return nil end
    local function other(t)
      t.shape = { t.shape[2], t.shape[1] }
      return t
    end
    local function flat(t)
      t.shape = { #t.data // 4 }
      return t
    end
    for _, name in ipairs { "encoder.1.wx", "encoder.2.b", "lstm.1.wh", "out.mix" } do
      assert.equal(("tensor %s is missing"):format(name), tensor(name, none))
    end
    for _, name in ipairs { "encoder.1.wx", "lstm.1.wx", "out.skip" } do
      local says = ("tensor %s does not have the shape that the settings give it"):format(name)
      assert.equal(says, tensor(name, other))
      assert.equal(says, tensor(name, flat))
    end
    assert.equal("tensor encoder.2.wx is missing", changed(model, function(tensors)
      tensors["encoder.2.wx"] = nil
      tensors["encoder.2.b"] = nil
      tensors["encoder.2.wh"] = nil
    end))
  end)

  it("when a weight is not finite", function()
    for _, value in ipairs { 0 / 0, math.huge, -math.huge } do
      for name, at in pairs { ["encoder.2.wh"] = 5, ["out.b"] = 0 } do
        local says = changed(model, function(tensors)
          local t = tensors[name]
          t.data = t.data:sub(1, 4 * at) .. ("<f"):pack(value) .. t.data:sub(4 * at + 5)
        end)
        assert.equal(("tensor %s: the value at index %d is not finite"):format(name, at), says)
      end
    end
    assert(model:save(path, { half = true }))
    local whole = safetensors.read(path)
    local t = whole.tensors["out.w"]
    t.data = "\0\x7c" .. t.data:sub(3)  -- infinity in half precision
    safetensors.write(path, whole)
    assert.equal("tensor out.w: the value at index 0 is not finite", complaint())
  end)

  it("when a weight is so large that it would play no numbers", function()
    for _, value in ipairs { 1e5, -1e30 } do
      local says = changed(model, function(tensors)
        local t = tensors["lstm.1.wx"]
        t.data = ("<f"):pack(value) .. t.data:sub(5)
      end)
      assert.equal(("tensor lstm.1.wx: value %s at index 0 is out of range (max 65504)")
        :format(value > 0 and "100000" or "-1e+30"), says)
    end
  end)

  it("when its tensors do not tile the data", function()
    local gap = "tensor %s: offsets leave a gap, overlap, or pass the end"
    local bytes = "tensor %s: the size of its data does not match its shape"
    local function says(text, name, change)
      assert.equal(text:format(name), changed(model, function(tensors, _, whole)
        change(tensors[name], whole.tensors[whole.order[1]], whole)
      end))
    end
    local function moved(from, to)
      return function(t, _, whole)
        local at = 0
        for _, name in ipairs(whole.order) do
          if whole.tensors[name] == t then break end
          at = at + #whole.tensors[name].data
        end
        t.data_offsets = { at + from, at + #t.data + to }
      end
    end
    says(gap, "encoder.1.wx", moved(4, 0))
    says(gap, "out.b", moved(-4, 0))
    says(gap, "out.b", moved(4, 4))
    says(bytes, "out.b", moved(0, -4))
    says(gap, "out.mix", moved(0, 4))
    says(gap, "out.b", function(t) t.data_offsets = { 36, 0 } end)
    says(gap, "out.mix", function(t) t.data_offsets = { 1 << 53, (1 << 53) + 324 } end)
    says(bytes, "out.b", function(t) t.shape = { 10 } end)
    says(bytes, "out.b", function(t) t.shape = {} end)
    says(bytes, "out.b", function(t) t.shape = { 0, 7 } end)
    local large = "tensor %s is larger than the file"
    says(large, "out.b", function(t) t.shape = { 1 << 32, 1 << 32 } end)
    says(large, "out.b", function(t) t.shape = { 1 << 16, 1 << 16, 1 << 16, 1 << 16 } end)
    assert.equal("4 bytes after the last tensor", changed(model, function(tensors, _, whole)
      whole.order[#whole.order + 1] = "more"
      tensors.more = { dtype = "F32", shape = {}, data = "abcdefgh" }
      tensors.more.data_offsets = { 0, 0 }
      local at = 0
      for _, name in ipairs(whole.order) do at = at + #tensors[name].data end
      tensors.more.data_offsets = { at - 8, at - 4 }
    end))
    assert(model:save(path))
    local text = safetensors.bytes(path)
    safetensors.save(path, (text:gsub('"out%.b":', '"out.w":', 1)))
    assert.equal("tensor out.w occurs twice", complaint())
  end)

  it("when its header is broken", function()
    local function header(text, data)
      safetensors.save(path, ("<I8"):pack(#text) .. text .. (data or ""))
      return complaint()
    end
    local at = "malformed header at byte %d: %s"
    for _, case in ipairs {
      { "[]", 8, "expected an object" },
      { '{"__metadata__":{}} x', 28, "unexpected text after the header" },
      { '{"a":1}', 13, "expected the description of a tensor" },
      { '{"a"}', 12, "expected ':'" },
      { '{"a":{"dtype":"F64"}}', 27, "unsupported dtype; F32 and F16 can be read" },
      { '{"a":{"size":1}}', 21, "unknown key" },
      { '{"a":{"dtype":"F32","shape":[]}}', 39, "incomplete description of a tensor" },
      { '{"a":{"shape":[1,2,3,4,5]}}', 31, "list too long" },
      { '{"a":{"shape":[-1]}}', 23, "expected a whole number" },
      { '{"a":{"shape":[1.5]}}', 24, "unterminated list" },
      { '{"a":{"data_offsets":[1]}}', 32, "expected two offsets" },
      { '{"__metadata__":[]}', 24, "expected an object of strings" },
      { '{"__metadata__":{"a":1}}', 29, "expected a string" },
      { '{"__metadata__":{"a":"b"', 32, "unterminated metadata" },
      { '{"__metadata__":{"a":"b', 31, "unterminated string" },
      { '{"__metadata__":{"a":"\\u00zz"}}', 36, "invalid escape sequence" },
      { '{"__metadata__":{"a":"\\u0000"}}', 36, "invalid escape sequence" },
      { '{"__metadata__":{"a":"\\x"}}', 32, "invalid escape sequence" },
    } do
      assert.equal(at:format(case[2], case[3]), header(case[1]), case[1])
    end
  end)

  it("when the state of its training is broken", function()
    local spec = formula.batch(0, { steps = 4, batch = 2, inputs = model:config().inputs,
      voices = model:config().voices })
    local batch <close> = core.batch(model, spec)
    model:train_step(batch)
    assert(model:save(path, { training = true }))
    local saved = safetensors.bytes(path)
    local function training(change)
      safetensors.save(path, saved)
      local whole = safetensors.read(path)
      change(whole.tensors, whole.metadata)
      safetensors.write(path, whole)
      return complaint()
    end
    assert.is_nil(training(function() end))
    local broken = "the saved state of the training is malformed"
    assert.equal(broken, training(function(t) t["adam.m"] = nil end))
    assert.equal(broken, training(function(t) t["adam.v"] = nil end))
    assert.equal(broken, training(function(t)
      t["adam.v"].shape[1], t["adam.v"].data = 1, "\0\0\0\0"
    end))
    assert.equal(broken, training(function(_, m) m.training = "1 2" end))
    assert.equal(broken, training(function(_, m) m.training = "-1 2 3" end))
    assert.equal(broken, training(function(_, m) m.training = "1 2 3 4" end))
    -- a step on would be beyond what can be counted
    for _, steps in ipairs { "9223372036854775807", "99999999999999999999" } do
      assert.equal(broken, training(function(_, m) m.training = steps .. " 2 3" end))
    end
    assert.equal(broken, training(function(_, m) m.training = "" end))
    -- moments that are no numbers would spoil every weight at the next step
    assert.equal(broken, training(function(t)
      t["adam.m"].data = ("<f"):pack(0 / 0) .. t["adam.m"].data:sub(5)
    end))
  end)
end)

describe("a spoilt checkpoint never does harm:", function()
  local song = tiny.song { bars = 1, patterns = { { bass = "x.x.x.x.x.x.x.x." } } }

  --- Refused, or a model that can be asked and plays.
  local function sound(file)
    local model, message = core.load_model(file)
    if not model then
      assert.is_string(message)
      return false
    end
    local config = model:config()
    local n = 0
    for _, name in ipairs(model:tensors()) do
      if not (name:find "%.mean$" or name:find "%.var$") then n = n + #model:tensor(name) end
    end
    assert.equal(config.parameters, n)
    local seq = model:tokeniser():encode(song)
    if seq and config.features ~= "touch" and config.features ~= "raw" then
      local gen <close> = core.generator(model)
      assert.equal(#seq, #gen:play(seq))
    end
    model:close()
    return true
  end

  local bytes, length
  lazy_setup(function()
    local file = temporary.name()
    local model <close> = core.model { hidden = 1, layers = 1, encoder = 1,
      tokeniser = core.tokeniser { kit = { name = "two", { name = "kick", pitches = { 36 } },
        { name = "snare", pitches = { 38 } } } } }
    formula.fill(model)
    assert(model:save(file))
    bytes = safetensors.bytes(file)
    length = 8 + ("<I8"):unpack(bytes)
    os.remove(file)
  end)

  it("cut off anywhere", function()
    for n = 0, #bytes - 1 do
      safetensors.save(path, bytes:sub(1, n))
      assert.is_false(sound(path), n)
    end
    safetensors.save(path, bytes)
    assert.is_true(sound(path))
    safetensors.save(path, bytes .. "\0")
    assert.is_false(sound(path))
  end)

  it("with any byte of its header changed", function()
    local loaded = 0
    for at = 1, length do
      for _, flip in ipairs { 0x01, 0x10, 0x80 } do
        safetensors.save(path, bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ flip)
          .. bytes:sub(at + 1))
        if sound(path) then loaded = loaded + 1 end
      end
    end
    -- names of presets and the like may change; the shape of the file may not
    assert.is_true(loaded > 0 and loaded < length)
  end)

  it("with any byte of its weights changed", function()
    for at = length + 1, #bytes do
      safetensors.save(path, bytes:sub(1, at - 1) .. "\255" .. bytes:sub(at + 1))
      sound(path)
    end
  end)
end)
