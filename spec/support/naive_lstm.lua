--- The networks once more, in plain Lua and double precision, written for
--- plainness: what the engine's float32 code is compared with.
local naive = {}

local exp, log, sqrt = math.exp, math.log, math.sqrt

local function sigmoid(x)
  if x >= 0 then return 1 / (1 + exp(-x)) end
  local e = exp(x)
  return e / (1 + e)
end

local function tanh(x) return 2 * sigmoid(2 * x) - 1 end

--- A model's tensors, by name: flat values (row-major) with `rows`, `cols`.
---@param model neuraldrummer.model
---@return table net {config, tensors}
function naive.net(model)
  local net = { config = model:config(), tensors = {} }
  for _, name in ipairs(model:tensors()) do
    local values, shape = model:tensor(name)
    values.rows, values.cols = shape[1], shape[2] or 1
    net.tensors[name] = values
  end
  net.layers = 0
  while net.tensors["lstm." .. net.layers + 1 .. ".wx"] do net.layers = net.layers + 1 end
  net.hidden = net.tensors["lstm.1.wh"].rows
  net.inputs = net.tensors["lstm.1.wx"].rows
  net.voices = net.tensors["out.w"].cols
  net.window = net.tensors["norm.1.gamma"] ~= nil
  return net
end

--- y + x w, with x of w.rows numbers and y of w.cols; changes y.
local function product(y, x, w)
  local cols = w.cols
  for r = 1, w.rows do
    local xr, at = x[r], (r - 1) * cols
    if xr ~= 0 then
      for c = 1, cols do y[c] = y[c] + xr * w[at + c] end
    end
  end
  return y
end

local function copy(x) return table.move(x, 1, #x, 1, {}) end

local function zeros(n)
  local z = {}
  for i = 1, n do z[i] = 0.0 end
  return z
end

--- A state of zeros: per layer h and c.
function naive.state(net)
  local state = {}
  for l = 1, net.layers do state[l] = { h = zeros(net.hidden), c = zeros(net.hidden) } end
  return state
end

--- One step of all layers, from input `x`; changes `state`, returns the top's h.
function naive.step(net, state, x)
  local H, tensors = net.hidden, net.tensors
  for l = 1, net.layers do
    local s = state[l]
    local name = "lstm." .. l .. "."
    local z = copy(tensors[name .. "b"])
    product(z, x, tensors[name .. "wx"])
    product(z, s.h, tensors[name .. "wh"])
    local h, c = {}, {}
    for j = 1, H do
      local i, f = sigmoid(z[j]), sigmoid(z[H + j])
      local g, o = tanh(z[2 * H + j]), sigmoid(z[3 * H + j])
      c[j] = f * s.c[j] + i * g
      h[j] = o * tanh(c[j])
    end
    s.h, s.c, x = h, c, h
  end
  return x
end

--- Batch norm of a batch of rows: by the batch's own mean and (biased)
--- variance, or by the running ones.
local function norm(net, rows, k, training)
  local t, out, n = net.tensors, {}, #rows
  local name = "norm." .. k .. "."
  for b = 1, n do out[b] = {} end
  for j = 1, #rows[1] do
    local mean, var = t[name .. "mean"][j], t[name .. "var"][j]
    if training then
      mean, var = 0, 0
      for b = 1, n do mean = mean + rows[b][j] / n end
      for b = 1, n do var = var + (rows[b][j] - mean) ^ 2 / n end
    end
    local scale = t[name .. "gamma"][j] / sqrt(var + 1e-3)
    for b = 1, n do out[b][j] = (rows[b][j] - mean) * scale + t[name .. "beta"][j] end
  end
  return out
end

local function dense(net, rows, name)
  local out = {}
  for b, x in ipairs(rows) do
    out[b] = product(copy(net.tensors[name .. ".b"]), x, net.tensors[name .. ".w"])
  end
  return out
end

--- Logits of a batch of last hidden rows, by the window network's head.
function naive.head(net, rows, training)
  rows = dense(net, norm(net, rows, 1, training), "dense.1")
  rows = norm(net, dense(net, rows, "dense.2"), 2, training)
  return dense(net, rows, "out")
end

--- Logits of one step of the streaming network. `hits` are the step's own:
--- those of lower voices bear on the higher ones.
function naive.logits(net, h, x, hits)
  local t, V = net.tensors, net.voices
  local z = product(copy(t["out.b"]), h, t["out.w"])
  product(z, x, t["out.skip"])
  for v = 2, V do
    for u = 1, v - 1 do z[v] = z[v] + hits[u] * t["out.mix"][(u - 1) * V + v] end
  end
  return z
end

local function slice(t, from, n) return table.move(t, from, from + n - 1, 1, {}) end

--- Logits of a batch (as core.batch takes it): a list of rows, by step and
--- stream. `states`, one a stream, go on from call to call where not fresh.
function naive.forward(net, batch, training, states)
  local T, B, I, V = batch.steps, batch.batch, net.inputs, net.voices
  local out, last = {}, {}
  for b = 1, B do
    if not states or not states[b] or not batch.fresh or batch.fresh[b] then
      states = states or {}
      states[b] = naive.state(net)
    end
    for t = 1, T do
      local row = (t - 1) * B + b
      local x = slice(batch.x, (row - 1) * I + 1, I)
      local h = naive.step(net, states[b], x)
      if net.window then
        last[b] = h
      else
        out[row] = naive.logits(net, h, x, slice(batch.y, (row - 1) * V + 1, V))
      end
    end
  end
  if net.window then return naive.head(net, last, training) end
  return out
end

--- Mean binary cross-entropy a counted hit, in nats; and how many were counted.
function naive.loss(net, batch, training, states)
  local V, sum, count = net.voices, 0, 0
  for row, z in ipairs(naive.forward(net, batch, training, states)) do
    if not batch.mask or batch.mask[row] ~= 0 then
      for v = 1, V do
        local a = z[v]
        sum = sum + (a > 0 and a or 0) - a * batch.y[(row - 1) * V + v] + log(1 + exp(-math.abs(a)))
        count = count + 1
      end
    end
  end
  return sum / count, count
end

naive.sigmoid = sigmoid
return naive
