#!/usr/bin/env python3
"""The same networks in PyTorch on the CPU, for spec/bench/run.lua.

    peer_torch.py train  KEY=VALUE…   training steps a second
    peer_torch.py window KEY=VALUE…   microseconds a generated step, the window
                                      being run again for each, as the 2023
                                      system plays

Keys: preset, window, layers, hidden, encoder, encoded, inputs, voices, steps,
batch, dropout, threads, seconds. Answers as peer.py says. Each is tried with
oneDNN and without (playing also as a traced graph), and done in the way that is
the fastest.
"""
import sys

import torch
from torch import nn

import peer


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


class Playing(nn.Module):
    """One step of a window (W, 1, I), and of the hits before it; a net with an encoder
    has its playing layers alone, a song being read but once."""

    def __init__(self, net, original):
        super().__init__()
        self.net, self.original = net, original

    def forward(self, x, hits):
        net = self.net
        if self.original:
            logits = net(x)[0]
        else:
            h, _ = net.lstm(x)
            logits = net.out(h[-1]) + net.skip(x[-1]) + hits @ torch.triu(net.mix, 1)
        return (torch.sigmoid(logits) >= .2).float()


def one_dnn(on, call):
    """The same call with oneDNN or without."""
    def switched():
        torch.backends.mkldnn.set_flags(on)
        return call()
    return switched


def train(net, o):
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

    return [("oneDNN", lambda: one_dnn(True, step)), ("no oneDNN", lambda: one_dnn(False, step))]


def window(net, o):
    """The window slid on by the step that was played."""
    original, voices = o["preset"] == "neuraldrummer2023", o["voices"]
    x = torch.rand(o["window"], 1, o["inputs"])
    hits = torch.zeros(1, voices)
    playing = Playing(net, original).eval()

    def player(play):
        def step():
            nonlocal hits
            with torch.inference_mode():
                hits = play(x, hits)
                x[:-1] = x[1:].clone()
                x[-1, 0, :voices] = hits[0]
        return step

    def traced():
        with torch.inference_mode():
            return player(torch.jit.trace(playing, (x, hits)))

    return [("oneDNN", lambda: one_dnn(True, player(playing))),
            ("no oneDNN", lambda: one_dnn(False, player(playing))),
            ("traced, oneDNN", lambda: one_dnn(True, traced())),
            ("traced, no oneDNN", lambda: one_dnn(False, traced()))]


def main():
    what, o = sys.argv[1], peer.options(sys.argv[2:])
    torch.set_num_threads(o["threads"])
    torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    if what == "window":
        o["encoder"] = o["encoded"] = 0
    net = Original(o) if o["preset"] == "neuraldrummer2023" else Drummer(o)
    way, call = peer.fastest({"train": train, "window": window}[what](net, o), o["seconds"])
    seconds = o["seconds"]
    measure = {"train": lambda: peer.rate(call, seconds),
               "window": lambda: 1e6 / peer.rate(call, seconds)}[what]
    peer.serve("PyTorch %s (%s)" % (torch.__version__.split("+")[0], way), measure)


main()
