#!/usr/bin/env python3
"""Reference runs of the networks in PyTorch, kept as fixtures:

    python3 spec/support/torch_fixtures.py spec/fixtures [RUN...]

writes torch_<run>.json: fifty losses of training (Adam), the loss after it,
and of the first step every tensor's gradient (norm and samples). Weights and
data follow the formula of formula.lua, so that nothing else is stored.
"""
import json
import math
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

STEPS, SAMPLES = 50, 16
RUNS = {
    # `batches` different batches are gone through in turn; `clip` is such that some of
    # the gradients are beyond it and some are not
    "drummer": dict(window=0, layers=2, hidden=256, inputs=96, voices=9, steps=32, batch=8,
                    batches=10, rate=1e-3, clip=0.1, epsilon=1e-8),
    "drummer_tiny": dict(window=0, layers=2, hidden=12, inputs=7, voices=4, steps=6, batch=5,
                         batches=10, rate=1e-2, clip=0.1, epsilon=1e-8, masked=True),
    "original": dict(window=8, layers=3, hidden=512, inputs=7, voices=6, steps=8, batch=50,
                     batches=10, rate=1e-3, clip=None, epsilon=1e-7),
    "original_tiny": dict(window=5, layers=3, hidden=10, inputs=4, voices=3, steps=5, batch=12,
                          batches=10, rate=1e-3, clip=None, epsilon=1e-7),
    # `encoded` of the inputs are read both ways by `encoder` units each
    "drummer_encoder": dict(window=0, layers=2, hidden=192, inputs=91, voices=9, encoder=128,
                            encoded=42, steps=32, batch=8, batches=10, rate=1e-3, clip=0.1,
                            epsilon=1e-8),
    "drummer_encoder_tiny": dict(window=0, layers=2, hidden=12, inputs=9, voices=4, encoder=7,
                                 encoded=5, steps=6, batch=5, batches=10, rate=1e-2, clip=0.1,
                                 epsilon=1e-8, masked=True),
    "drummer_causal_tiny": dict(window=0, layers=1, hidden=12, inputs=9, voices=4, encoder=16,
                                encoded=5, causal=True, steps=6, batch=5, batches=10, rate=1e-2,
                                clip=0.1, epsilon=1e-8),
    "touch_tiny": dict(window=0, layers=1, hidden=12, inputs=8, voices=4, encoder=9, encoded=8,
                       touch=True, steps=6, batch=5, batches=10, rate=1e-3, clip=1,
                       epsilon=1e-8, masked=True),
}


def uniform(name, n):
    s = 0
    for c in name.encode():
        s = (s * 31 + c) & 0xFFFFFFFF
    for _ in range(4):
        s = (s * 1664525 + 1013904223) & 0xFFFFFFFF
    # x_n = a^n x_0 + c (a^0 + … + a^(n-1)), all modulo 2^32
    powers = np.concatenate([np.ones(1, np.uint32), np.full(n, 1664525, np.uint32)])
    powers = np.multiply.accumulate(powers, dtype=np.uint32)
    sums = np.add.accumulate(powers[:-1], dtype=np.uint32)
    x = powers[1:] * np.uint32(s) + np.uint32(1013904223) * sums
    return (x >> np.uint32(8)) / 0x800000 - 1.0


def tensor(name, shape):
    centre = 1.0 if name.endswith((".gamma", ".var")) else 0.0
    k = 1 / math.sqrt(shape[0]) if len(shape) == 2 else 0.1
    if name.endswith((".mean", ".var")):
        k = 0.0
    values = centre + k * uniform(name, math.prod(shape))
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def batch(k, run):
    t, b, window = run["steps"], run["batch"], run["window"]
    x = uniform(f"x.{k}", t * b * run["inputs"]).astype(np.float32)
    y = (uniform(f"y.{k}", (1 if window else t) * b * run["voices"]) >= 0.5).astype(np.float32)
    if run.get("touch"):
        y = (uniform(f"y.{k}", t * b * 2 * run["voices"]) / 2).astype(np.float32)
    mask = uniform(f"mask.{k}", t * b) < 0.5 if run.get("masked") else np.ones(t * b)
    fresh = [k == 0 or (k + i) % 5 == 0 for i in range(b)]
    return (torch.from_numpy(x).reshape(t, b, -1),
            torch.from_numpy(y).reshape(1 if window else t, b, -1), torch.from_numpy(mask.astype(np.float32)).reshape(t, b, 1), torch.tensor(fresh))


class Net:
    def __init__(self, run):
        self.run, self.p, self.running = run, {}, {}
        h, i, v, layers = run["hidden"], run["inputs"], run["voices"], run["layers"]
        he, ways = run.get("encoder", 0), 1 if run.get("causal") else 2
        front = i - run["encoded"] + ways * he if he else i
        shapes = {}
        for k in range(1, ways + 1 if he else 1):
            shapes[f"encoder.{k}.wx"] = (run["encoded"], 4 * he)
            shapes[f"encoder.{k}.wh"] = (he, 4 * he)
            shapes[f"encoder.{k}.b"] = (4 * he,)
        for l in range(1, layers + 1):
            shapes[f"lstm.{l}.wx"] = (front if l == 1 else h, 4 * h)
            shapes[f"lstm.{l}.wh"] = (h, 4 * h)
            shapes[f"lstm.{l}.b"] = (4 * h,)
        if run["window"]:
            for k, n in ((1, h), (2, 128)):
                for part in ("gamma", "beta"):
                    shapes[f"norm.{k}.{part}"] = (n,)
                for part in ("mean", "var"):
                    self.running[f"norm.{k}.{part}"] = tensor(f"norm.{k}.{part}", (n,))
            shapes.update({"dense.1.w": (h, 256), "dense.1.b": (256,), "dense.2.w": (256, 128),
                           "dense.2.b": (128,), "out.w": (128, v), "out.b": (v,)})
        elif run.get("touch"):
            shapes.update({"out.w": (h, 4 * v), "out.b": (4 * v,), "out.skip": (i, 4 * v)})
        else:
            shapes.update({"out.w": (h, v), "out.b": (v,), "out.skip": (i, v), "out.mix": (v, v)})
        for name, shape in shapes.items():
            self.p[name] = tensor(name, shape).requires_grad_()
        self.lstm = torch.nn.LSTM(front, h, layers)
        # each batch carries the state of its own streams on
        self.states = torch.zeros(run["batches"], 2, layers, run["batch"], h)
        self.encoder = torch.nn.LSTM(run["encoded"], he, bidirectional=ways == 2) if he else None
        self.read = torch.zeros(run["batches"], 2, 1, run["batch"], he)

    def call(self, lstm, names, x, h0, c0):
        """torch.nn.LSTM itself, on our tensors: its gates too stand in the order i, f, g, o."""
        weights = {}
        for suffix, name in names.items():
            weights[f"weight_ih_{suffix}"] = self.p[f"{name}.wx"].t()
            weights[f"weight_hh_{suffix}"] = self.p[f"{name}.wh"].t()
            weights[f"bias_ih_{suffix}"] = self.p[f"{name}.b"]
            weights[f"bias_hh_{suffix}"] = torch.zeros_like(self.p[f"{name}.b"])
        return torch.func.functional_call(lstm, weights, (x, (h0, c0)))

    def recur(self, x, h0, c0):
        names = {f"l{l}": f"lstm.{l + 1}" for l in range(self.run["layers"])}
        return self.call(self.lstm, names, x, h0, c0)

    def encode(self, x, k, keep, training):
        """The first inputs read by the encoder; its backward half starts at the end from zero."""
        if self.encoder is None:
            return x
        e, (h0, c0) = self.run["encoded"], self.read[k] * keep
        names = {"l0": "encoder.1"}
        if self.encoder.bidirectional:
            names["l0_reverse"] = "encoder.2"
            h0, c0 = (torch.cat([s, torch.zeros_like(s)]) for s in (h0, c0))
        out, state = self.call(self.encoder, names, x[..., :e], h0, c0)
        if training:
            self.read[k] = torch.stack([s[:1] for s in state]).detach()
        return torch.cat([out, x[..., e:]], -1)

    def norm(self, x, k, training):
        p, mean, var = self.p, self.running[f"norm.{k}.mean"], self.running[f"norm.{k}.var"]
        if training:
            with torch.no_grad():  # Keras keeps the biased variance, torch the unbiased
                mean.mul_(.99).add_(x.mean(0), alpha=.01)
                var.mul_(.99).add_(x.var(0, unbiased=False), alpha=.01)
            mean = var = None
        return F.batch_norm(x, mean, var, p[f"norm.{k}.gamma"], p[f"norm.{k}.beta"], training, 0, 1e-3)

    def loss(self, data, k, training):
        x, y, mask, fresh = data[k]
        p = self.p
        if self.run["window"]:
            zero = torch.zeros_like(self.states[k, 0])
            h = self.recur(x, zero, zero)[0][-1]
            h = self.norm(h, 1, training) @ p["dense.1.w"] + p["dense.1.b"]
            h = self.norm(h @ p["dense.2.w"] + p["dense.2.b"], 2, training)
            return F.binary_cross_entropy_with_logits(h @ p["out.w"] + p["out.b"], y[0])
        keep = (~fresh).float().reshape(1, -1, 1)
        front = self.encode(x, k, keep, training)
        out, state = self.recur(front, self.states[k, 0] * keep, self.states[k, 1] * keep)
        if training:
            self.states[k] = torch.stack(state).detach()
        z = out @ p["out.w"] + x @ p["out.skip"] + p["out.b"]
        if self.run.get("touch"):
            velocity, hard, offset, late = z.chunk(4, -1)
            means, logs = torch.cat([velocity, offset], -1), torch.cat([hard, late], -1)
            each = F.gaussian_nll_loss(means, y, torch.exp(2 * logs.clamp(-5, 1)), full=True,
                                       reduction="none")
        else:
            z = z + y @ torch.triu(p["out.mix"], diagonal=1)
            each = F.binary_cross_entropy_with_logits(z, y, reduction="none")
        return (each * mask).sum() / (mask.sum() * self.run["voices"])


def samples(values, n=SAMPLES):
    flat = values.detach().reshape(-1).double()
    places = [k * 2654435761 % flat.numel() for k in range(n)]
    return {"norm": flat.norm().item(), "samples": [float(f"{flat[i]:.8g}") for i in places]}


def main():
    folder = sys.argv[1]
    torch.set_num_threads(1)
    for name in sys.argv[2:] or RUNS:
        run = RUNS[name]
        net = Net(run)
        data = [batch(k, run) for k in range(run["batches"])]
        adam = torch.optim.Adam(net.p.values(), lr=run["rate"], eps=run["epsilon"])
        result = {"command": "python3 spec/support/torch_fixtures.py spec/fixtures",
                  "torch": torch.__version__, "run": run, "losses": [], "gradients": {}}
        for step in range(STEPS):
            adam.zero_grad()
            loss = net.loss(data, step % len(data), True)
            loss.backward()
            if step == 0:
                result["gradients"] = {n: samples(t.grad) for n, t in net.p.items()}
            if run["clip"]:
                torch.nn.utils.clip_grad_norm_(net.p.values(), run["clip"])
            adam.step()
            result["losses"].append(float(f"{loss.item():.8g}"))
        with torch.no_grad():
            result["after"] = float(f"{net.loss(data, 0, False).item():.8g}")
        result["running"] = {n: samples(t) for n, t in net.running.items()}
        with open(os.path.join(folder, f"torch_{name}.json"), "w") as f:
            json.dump(result, f, separators=(",", ":"))
            f.write("\n")
        print(name, result["losses"][0], result["losses"][-1], result["after"])


main()
