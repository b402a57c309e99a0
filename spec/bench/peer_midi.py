#!/usr/bin/env python3
"""Reading MIDI files with another library, for spec/bench/run.lua.

    peer_midi.py mido|pretty_midi|symusic LIST [each]

LIST names a file that holds one path a line. Answers as peer.py says: the
seconds that parsing took, from bytes in memory to the library's object, and how
many could be read; with `each`, the seconds of every file, of three the best, 0
where it can't be read. Nothing is laid on a grid: that work is ours alone.
"""
import importlib.metadata
import io
import sys
import time
import warnings

import peer

warnings.simplefilter("ignore")
library, paths = sys.argv[1], open(sys.argv[2]).read().splitlines()
if library == "mido":
    import mido

    def read(data):
        return mido.MidiFile(file=io.BytesIO(data))
elif library == "pretty_midi":
    import pretty_midi

    def read(data):
        return pretty_midi.PrettyMIDI(io.BytesIO(data))
else:
    import symusic

    def read(data):
        return symusic.Score.from_midi(data)

files = [open(path, "rb").read() for path in paths]


def attempt(data):
    """Seconds, or nothing for whatever a broken file makes them raise."""
    start = time.perf_counter()
    try:
        read(data)
    except Exception:
        return None
    return time.perf_counter() - start


def measure():
    done, start = 0, time.perf_counter()
    for data in files:
        done += attempt(data) is not None
    return "%.9g %d" % (time.perf_counter() - start, done)


def each():
    turns = [[attempt(data) or 0 for data in files] for _ in range(3)]
    return " ".join("%.9g" % min(times) for times in zip(*turns))


read_all = each if "each" in sys.argv[3:] else measure
peer.serve("%s %s" % (library, importlib.metadata.version(library)), read_all)
