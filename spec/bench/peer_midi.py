#!/usr/bin/env python3
"""Reading MIDI files with mido or pretty_midi, for spec/bench/run.lua.

    peer_midi.py mido|pretty_midi LIST

LIST names a file that holds one path a line. Prints the seconds that parsing
took, from bytes in memory to the library's object, and how many could be read.
Nothing is laid on a grid: that work is ours alone.
"""
import io
import sys
import time
import warnings

warnings.simplefilter("ignore")
library, paths = sys.argv[1], open(sys.argv[2]).read().splitlines()
if library == "mido":
    import mido

    def read(data):
        return mido.MidiFile(file=io.BytesIO(data))
else:
    import pretty_midi

    def read(data):
        return pretty_midi.PrettyMIDI(io.BytesIO(data))

files = [open(path, "rb").read() for path in paths]
done, start = 0, time.perf_counter()
for data in files:
    try:
        read(data)
        done += 1
    except Exception:  # whatever a broken file makes them raise
        pass
print(time.perf_counter() - start, done)
