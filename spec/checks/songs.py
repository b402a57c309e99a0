"""What mido reads in each N.before and N.after of a folder must agree, but for
the notes of the drums: tempo, meter, key, markers, lyrics, text, sysex,
controllers, notes. The drums' channels, 0-15, stand in N.drums, and in N.mended what the
file had to be mended of: what mido does not read in such a file is there
afterwards. Run by songs.lua.

    python3 songs.py FOLDER          (needs mido)
"""
import collections
import os
import sys

import mido

# counted one by one; all else is "others"
KINDS = {
    "set_tempo": "tempos",
    "time_signature": "meters",
    "marker": "markers",
    "lyrics": "lyrics",
    "text": "texts",
    "sysex": "sysex",
    "note_on": "notes",
    "note_off": "notes",
}


def score(path, drums):
    """Events by kind, in order of time, without the drums' notes."""
    song = mido.MidiFile(path, clip=True)
    kinds = collections.defaultdict(list)
    for track in song.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type in ("end_of_track", "track_name"):
                continue
            kind = KINDS.get(message.type, "others")
            if kind == "notes" and message.channel in drums:
                continue
            kinds[kind].append((tick, bytes(message.bytes())))
    for events in kinds.values():
        events.sort()
    return song.ticks_per_beat, kinds


def missing(before, after):
    """Whether `after` lacks an event of `before`."""
    return bool(collections.Counter(before) - collections.Counter(after))


def main():
    folder, bad, count = sys.argv[1], 0, collections.Counter()
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".before"):
            continue
        path = os.path.join(folder, name[: -len(".before")])
        with open(path + ".drums") as file:
            drums = {int(channel) for channel in file.read().split()}
        try:
            ppq, before = score(path + ".before", drums)
        except Exception as error:  # whatever it says: this file it can't read
            count["mido-refused"] += 1
            print("! %s: %s: %s" % (name, type(error).__name__, error))
            continue
        try:
            ppq_after, after = score(path + ".after", drums)
        except Exception as error:
            bad += 1
            print("%s: mido can't read it any more: %s" % (name, error))
            continue
        count["mido"] += 1
        others = ["ppq"] if ppq != ppq_after else []
        for kind in sorted(set(before) | set(after)):
            count[kind] += len(before[kind])
            if before[kind] != after[kind]:
                others.append(kind)
        with open(path + ".mended") as file:
            mended = file.read()
        # mended or not, nothing that mido read may be missing
        gone = [kind for kind in others if kind != "ppq" and missing(before[kind], after[kind])]
        if others and (not mended or gone or "ppq" in others):
            bad += 1
            print("%s: mido reads other %s" % (name, ", ".join(others)))
        elif others:
            count["mido-mended"] += 1
            print("! %s: mido reads more %s; mended: %s" % (name, ", ".join(others), mended))
    for kind in count:
        print("= %s %d" % (kind, count[kind]))
    print("= bad %d" % bad)


main()
