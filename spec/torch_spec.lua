-- Training against PyTorch's: same weights, data and optimiser, fifty losses
-- and the first gradients (spec/support/torch_fixtures.py made the fixtures).
local core = require "neuraldrummer.core"
local json = require "dkjson"
local formula = require "spec.support.formula"

local presets = { drummer = "drummer", original = "neuraldrummer2023", touch = "touch" }

local function fixture(name)
  local file = assert(io.open("spec/fixtures/torch_" .. name .. ".json"))
  local text = file:read "a"
  file:close()
  return assert(json.decode(text))
end

local function model_of(name, run)
  local model = core.model {
    preset = presets[name:match "^%a+"], layers = run.layers, hidden = run.hidden,
    window = run.window > 0 and run.window or nil, dropout = 0,
    inputs = run.inputs, voices = run.voices,
    encoder = run.encoder, encoded = run.encoded, causal = run.causal,
  }
  formula.fill(model)
  return model
end

local function batch_of(model, run, k)
  local batch = core.batch(model, formula.batch(k, {
    steps = run.steps, batch = run.batch, inputs = run.inputs, voices = run.voices,
    window = run.window > 0, masked = run.masked, touch = run.touch,
  }))
  batch:next()
  return batch
end

local function near(want, got, tolerance, what)
  local close = math.abs(got - want) <= tolerance * math.abs(want)
  if not close then  -- not a number is not close
    error(("%s: %.9g, PyTorch %.9g"):format(what, got, want), 2)
  end
end

--- Norm and samples of a tensor; `noise` is what counts as zero.
local function alike(want, values, tolerance, noise, what)
  local sum = 0
  for _, v in ipairs(values) do sum = sum + v * v end
  local norm = math.sqrt(sum)
  local close = math.abs(norm - want.norm) <= tolerance * want.norm + noise
  if not close then
    error(("%s: norm %.9g, PyTorch %.9g"):format(what, norm, want.norm), 2)
  end
  for k, v in ipairs(want.samples) do
    local i = (k - 1) * 2654435761 % #values + 1
    -- against the entry itself or the usual size of an entry, the larger
    local scale = math.max(math.abs(v), want.norm / math.sqrt(#values))
    close = math.abs(values[i] - v) <= tolerance * scale + noise
    if not close then
      error(("%s[%d]: %.9g, PyTorch %.9g"):format(what, i, values[i], v), 2)
    end
  end
end

for _, name in ipairs {
  "drummer_tiny", "original_tiny", "drummer_encoder_tiny", "drummer_causal_tiny", "touch_tiny",
  "drummer", "original", "drummer_encoder",
} do
  describe("training like PyTorch: " .. name, function()
    local want = fixture(name)
    local run = want.run

    it("has the first step's gradients of every tensor", function()
      local model <close> = model_of(name, run)
      local batch <close> = batch_of(model, run, 0)
      local loss = model:train_step(batch, { rate = 0 })
      near(want.losses[1], loss, 1e-5, "loss")
      for tensor, sampled in pairs(want.gradients) do
        alike(sampled, model:gradient(tensor), 1e-4, 1e-6, tensor)
      end
      for _, tensor in ipairs(model:tensors()) do
        local learnt = not (tensor:find "%.mean$" or tensor:find "%.var$")
        assert.equal(learnt, want.gradients[tensor] ~= nil, tensor)
      end
    end)

    it("has its fifty losses", function()
      local model <close> = model_of(name, run)
      local batches = {}
      for k = 0, run.batches - 1 do batches[k] = batch_of(model, run, k) end
      local options = { rate = run.rate, clip = run.clip, epsilon = run.epsilon }
      for step, loss in ipairs(want.losses) do
        near(loss, model:train_step(batches[(step - 1) % run.batches], options), 1e-4,
          "loss " .. step)
      end
      -- the biases before a batch norm have no gradient but rounding, which
      -- Adam makes steps of; the second norm's running mean follows those
      near(want.after, model:loss(batches[0]), run.window > 0 and 2e-3 or 1e-4, "loss after")
      for tensor, sampled in pairs(want.running) do
        if tensor ~= "norm.2.mean" then
          alike(sampled, model:tensor(tensor), 1e-3, 1e-5, tensor)
        end
      end
      for _, batch in pairs(batches) do batch:close() end
    end)
  end)
end
