#!/usr/bin/env python3
"""The same networks in PyTorch on the CPU, for spec/bench/run.lua.

    peer_torch.py train  KEY=VALUE…   prints training steps a second
    peer_torch.py window KEY=VALUE…   prints microseconds a generated step, the
                                      window being run again for each, as the
                                      2023 system plays
    peer_torch.py version

Keys: preset, window, layers, hidden, encoder, encoded, inputs, voices, steps,
batch, dropout, threads, seconds.
"""
import sys
import time

import torch
from torch import nn


class Drummer(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.encoded, front = o["encoded"], o["inputs"]
        if o["encoder"]:
            self.encoder = nn.LSTM(self.encoded, o["encoder"], bidirectional=True)
            front += 2 * o["encoder"] - self.encoded
        self.lstm = nn.LSTM(front, o["hidden"], o["layers"],
                            dropout=o["dropout"] if o["layers"] > 1 else 0)
        self.drop = nn.Dropout(o["dropout"])
        self.out = nn.Linear(o["hidden"], o["voices"])
        self.skip = nn.Linear(o["inputs"], o["voices"], bias=False)
        self.mix = nn.Parameter(torch.zeros(o["voices"], o["voices"]))

    def forward(self, x, hits, state=None):
        front = x
        if self.encoded:
            read, _ = self.encoder(x[..., :self.encoded])
            front = torch.cat((self.drop(read), x[..., self.encoded:]), -1)
        h, state = self.lstm(front, state)
        logits = self.out(self.drop(h)) + self.skip(x) + hits @ torch.triu(self.mix, 1)
        return logits, state


class Original(nn.Module):
    def __init__(self, o):
        super().__init__()
        p, h = o["dropout"], o["hidden"]
        self.lstm = nn.LSTM(o["inputs"], h, o["layers"])
        self.head = nn.Sequential(
            nn.Dropout(p), nn.BatchNorm1d(h, eps=1e-3, momentum=.01), nn.Linear(h, 256),
            nn.Dropout(p), nn.Linear(256, 128), nn.Dropout(p),
            nn.BatchNorm1d(128, eps=1e-3, momentum=.01), nn.Linear(128, o["voices"]))

    def forward(self, x, hits=None, state=None):
        h, _ = self.lstm(x)
        return self.head(h[-1]), None


def train(net, o):
    """Steps a second of training; of several rounds, the best."""
    original = o["preset"] == "neuraldrummer2023"
    t, b = o["steps"], o["batch"]
    x = torch.rand(t, b, o["inputs"])
    y = (torch.rand(*(() if original else (t,)), b, o["voices"]) < .1).float()
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    loss_of = nn.BCEWithLogitsLoss()
    net.train()
    state = None

    def step():
        nonlocal state
        adam.zero_grad(set_to_none=True)
        logits, state = net(x, y, state)
        if state is not None:
            state = tuple(s.detach() for s in state)
        loss = loss_of(logits, y)
        loss.backward()
        if not original:
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        return loss.item()

    for _ in range(3):
        step()
    best, end = 0.0, time.perf_counter() + o["seconds"]
    while True:
        n, start = 0, time.perf_counter()
        while time.perf_counter() - start < o["seconds"] / 4:
            step()
            n += 1
        now = time.perf_counter()
        best = max(best, n / (now - start))
        if now >= end:
            return best


@torch.no_grad()
def window(net, o):
    """Microseconds a step, the window slid on by the step that was played. Of a
    net with an encoder the playing layers alone, a song being read but once."""
    original = o["preset"] == "neuraldrummer2023"
    x = torch.rand(o["window"], 1, o["inputs"])
    hits = torch.zeros(1, o["voices"])
    net.eval()
    best, end = 1e9, time.perf_counter() + o["seconds"]
    while time.perf_counter() < end:
        n, start = 0, time.perf_counter()
        while time.perf_counter() - start < o["seconds"] / 4:
            if original:
                odds = torch.sigmoid(net(x)[0])
            else:
                h, _ = net.lstm(x)
                odds = torch.sigmoid(net.out(h[-1]) + net.skip(x[-1]) + hits @ torch.triu(net.mix, 1))
            hits = (odds >= .2).float()
            x = torch.roll(x, -1, 0)
            x[-1, 0, :o["voices"]] = hits[0]
            n += 1
        best = min(best, (time.perf_counter() - start) / n * 1e6)
    return best


def main():
    what = sys.argv[1]
    if what == "version":
        print(torch.__version__)
        return
    o = {}
    for word in sys.argv[2:]:
        key, value = word.split("=")
        o[key] = value if key == "preset" else float(value) if key in ("dropout", "seconds") else int(value)
    torch.set_num_threads(o["threads"])
    torch.set_num_interop_threads(1)
    torch.manual_seed(1)
    if what == "window":
        o["encoder"] = o["encoded"] = 0
    net = Original(o) if o["preset"] == "neuraldrummer2023" else Drummer(o)
    print({"train": train, "window": window}[what](net, o))


main()
