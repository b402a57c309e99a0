"""What another MIDI library gets from 200 files, to be compared with ours.

    python3 midi_oracle.py FOLDER >oracle.tsv        (needs mido)
    lua5.4 midi_oracle.lua FOLDER oracle.tsv

Picks the files by the MD5 of their paths, so that the same folder gives the
same files, reads them with mido, and prints a line each: path, number of
notes, tempos and meters, and a digest of each list. Time, running status and
messages are mido's; the rules of pairing are ours, written down here a second
time: a note ends at the first end of its pitch, channel and track that no
earlier note took, or with its track; velocity 0 is an end; of tempos (and
meters) on one tick the last counts; 120 bpm and 4/4 stand where tick 0 has
none.
"""
import hashlib
import os
import sys
from collections import deque

import mido


def files(folder, wanted):
    found = []
    for where, _, names in os.walk(folder):
        for name in names:
            if name.lower().endswith((".mid", ".midi", ".kar", ".rmi")):
                found.append(os.path.relpath(os.path.join(where, name), folder))
    found.sort(key=lambda path: hashlib.md5(os.fsencode(path)).digest())
    return found[:wanted]


def digest(rows):
    """Of a list of tuples of integers, 64 bits, easy to write in any language."""
    h = 0
    for row in rows:
        for value in row:
            h = (h * 6364136223846793005 + value + 1442695040888963407) & (2**64 - 1)
    return "%016x" % h


def last_of_each_tick(events, default):
    table = {0: default}
    table.update((event[0], event) for event in events)  # in order: the last stays
    return [table[tick] for tick in sorted(table)]


def read(path):
    song = mido.MidiFile(path, clip=True)
    if song.type == 2 and len(song.tracks) > 1:
        raise ValueError("format 2")
    notes, tempos, meters = [], [], []
    for number, track in enumerate(song.tracks):
        tick, open_notes = 0, {}
        for message in track:
            tick += message.time
            if message.type == "set_tempo":
                tempos.append((tick, number, message.tempo))
            elif message.type == "time_signature":
                meters.append((tick, number, message.numerator, message.denominator))
            elif message.type == "note_on" and message.velocity > 0:
                start = (tick, message.channel, message.note, message.velocity)
                open_notes.setdefault(start[1:3], deque()).append(start)
            elif message.type in ("note_on", "note_off"):
                waiting = open_notes.get((message.channel, message.note))
                if waiting:
                    start = waiting.popleft()
                    notes.append(start + (tick - start[0],))
        for waiting in open_notes.values():
            notes.extend(start + (tick - start[0],) for start in waiting)
    tempos = [(t, us) for t, _, us in sorted(tempos, key=lambda e: e[:2])]
    meters = [(t, n, d) for t, _, n, d in sorted(meters, key=lambda e: e[:2])]
    return (sorted(notes), last_of_each_tick(tempos, (0, 500000)),
            last_of_each_tick(meters, (0, 4, 4)))


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: midi_oracle.py FOLDER >oracle.tsv")
    print("file\tnotes\ttempos\tmeters\tnotes_digest\ttempos_digest\tmeters_digest")
    for path in files(sys.argv[1], 200):
        try:
            lists = read(os.path.join(sys.argv[1], path))
            cells = [str(len(rows)) for rows in lists] + [digest(rows) for rows in lists]
        except Exception as error:  # whatever it says: this file it can't read
            cells = ["error", " ".join(("%s: %s" % (type(error).__name__, error)).split())]
        print("\t".join([path] + cells))


main()
