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
  net.inputs, net.voices = net.config.inputs, net.config.voices
  net.window = net.tensors["norm.1.gamma"] ~= nil
  net.touch = net.tensors["out.w"].cols == 4 * net.voices
  net.readers = net.tensors["encoder.2.wx"] and 2 or net.tensors["encoder.1.wx"] and 1 or 0
  net.encoded = net.readers > 0 and net.tensors["encoder.1.wx"].rows or 0
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

local function resting(n) return { h = zeros(n), c = zeros(n) } end

--- A state of zeros: per layer h and c, and those of the forward reader.
function naive.state(net)
  local state = {}
  for l = 1, net.layers do state[l] = resting(net.hidden) end
  if net.readers > 0 then state.reader = resting(net.tensors["encoder.1.wh"].rows) end
  return state
end

--- One step of the layer `name`: changes `state`, returns its h.
local function lstm(net, name, state, x)
  local tensors, H = net.tensors, #state.h
  local z = copy(tensors[name .. ".b"])
  product(z, x, tensors[name .. ".wx"])
  product(z, state.h, tensors[name .. ".wh"])
  local h, c = {}, {}
  for j = 1, H do
    local i, f = sigmoid(z[j]), sigmoid(z[H + j])
    local g, o = tanh(z[2 * H + j]), sigmoid(z[3 * H + j])
    c[j] = f * state.c[j] + i * g
    h[j] = o * tanh(c[j])
  end
  state.h, state.c = h, c
  return h
end

--- One step of all layers, from what the first takes; changes `state`, returns
--- the top's h.
function naive.step(net, state, x)
  for l = 1, net.layers do x = lstm(net, "lstm." .. l, state[l], x) end
  return x
end

--- What the first layer takes at each of the steps `xs` of one stream: the
--- inputs, or what the encoder reads in the first of them and then the others.
--- The forward reader goes on from `state`, the backward one begins at the end.
function naive.front(net, state, xs)
  if net.readers == 0 then return xs end
  local rows = {}
  for t, x in ipairs(xs) do
    local heard = table.move(x, 1, net.encoded, 1, {})
    rows[t] = { heard = heard, copy(lstm(net, "encoder.1", state.reader, heard)) }
  end
  if net.readers == 2 then
    local back = resting(#state.reader.h)
    for t = #xs, 1, -1 do rows[t][2] = lstm(net, "encoder.2", back, rows[t].heard) end
  end
  for t, x in ipairs(xs) do
    local row = {}
    for _, read in ipairs(rows[t]) do table.move(read, 1, #read, #row + 1, row) end
    rows[t] = table.move(x, net.encoded + 1, #x, #row + 1, row)
  end
  return rows
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

--- Outputs of one step of the streaming network, `x` being its raw inputs.
--- `hits` are the step's own: those of lower voices bear on the higher ones.
function naive.logits(net, h, x, hits)
  local t, V = net.tensors, net.voices
  local z = product(copy(t["out.b"]), h, t["out.w"])
  product(z, x, t["out.skip"])
  if net.touch then return z end
  for v = 2, V do
    for u = 1, v - 1 do z[v] = z[v] + hits[u] * t["out.mix"][(u - 1) * V + v] end
  end
  return z
end

local function slice(t, from, n) return table.move(t, from, from + n - 1, 1, {}) end

--- Outputs of a batch (as core.batch takes it): a list of rows, by step and
--- stream. `states`, one a stream, go on from call to call where not reset.
function naive.forward(net, batch, training, states)
  local T, B, I, V = batch.steps, batch.batch, net.inputs, net.voices
  local out, last = {}, {}
  states = states or {}
  for b = 1, B do
    if not states[b] or not batch.reset or batch.reset[b] then states[b] = naive.state(net) end
    local xs = {}
    for t = 1, T do xs[t] = slice(batch.x, ((t - 1) * B + b - 1) * I + 1, I) end
    for t, front in ipairs(naive.front(net, states[b], xs)) do
      local row = (t - 1) * B + b
      local h = naive.step(net, states[b], front)
      if net.window then
        last[b] = h
      else
        out[row] = naive.logits(net, h, xs[t],
          not net.touch and slice(batch.y, (row - 1) * V + 1, V))
      end
    end
  end
  if net.window then return naive.head(net, last, training) end
  return out
end

--- Binary cross-entropy of one logit.
local function hit_loss(a, y) return (a > 0 and a or 0) - a * y + log(1 + exp(-math.abs(a))) end

--- -log of the density at `y` of the normal with this mean and log-deviation,
--- the latter held within -5..1.
local function normal_loss(mean, deviation, y)
  local s = math.max(-5, math.min(1, deviation))
  return s + ((y - mean) / exp(s)) ^ 2 / 2 + log(2 * math.pi) / 2
end

--- Mean loss a counted hit, in nats (binary cross-entropy, or of a touch net
--- the negative log-likelihood of velocity and offset together), and how many
--- were counted.
function naive.loss(net, batch, training, states)
  local V, sum, count = net.voices, 0, 0
  for row, z in ipairs(naive.forward(net, batch, training, states)) do
    if not batch.mask or batch.mask[row] ~= 0 then
      for v = 1, V do
        if net.touch then
          local y = (row - 1) * 2 * V + v
          sum = sum + normal_loss(z[v], z[V + v], batch.y[y])
            + normal_loss(z[2 * V + v], z[3 * V + v], batch.y[y + V])
        else
          sum = sum + hit_loss(z[v], batch.y[(row - 1) * V + v])
        end
        count = count + 1
      end
    end
  end
  return sum / count, count
end

naive.sigmoid = sigmoid
return naive
