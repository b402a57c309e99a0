"""What mido reads in each N.before and N.after of a folder must agree, but for
the notes of the drums: tempo, meter, markers, lyrics, text, sysex, controllers,
notes. Run by songs.lua.

    python3 songs.py FOLDER          (needs mido)
"""
import os
import sys

import mido


def score(path):
    song = mido.MidiFile(path, clip=True)
    events, channels = [], set()
    for track in song.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type in ("end_of_track", "track_name"):
                continue
            if message.type in ("note_on", "note_off"):
                channels.add(message.channel)
            events.append((tick, message))
    return song.ticks_per_beat, events, channels


def without(events, drums):
    return sorted(
        "%09d %r" % (tick, message.copy(time=0))
        for tick, message in events
        if not (message.type in ("note_on", "note_off") and message.channel in drums)
    )


def main():
    folder, compared, bad = sys.argv[1], 0, 0
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".before"):
            continue
        path = os.path.join(folder, name[: -len(".before")])
        try:
            ppq, before, channels = score(path + ".before")
        except Exception:  # whatever it says: this file it can't read
            continue
        try:
            ppq_after, after, _ = score(path + ".after")
        except Exception as error:
            bad += 1
            print("%s: mido can't read it any more: %s" % (path, error))
            continue
        # the drums' channel is 10, or the one whose notes changed in a song without it
        drums = {9}
        if 9 not in channels:
            for channel in range(16):
                if without(before, set(range(16)) - {channel}) != without(
                    after, set(range(16)) - {channel}
                ):
                    drums.add(channel)
        compared += 1
        if ppq != ppq_after or len(drums) > 2 or without(before, drums) != without(after, drums):
            bad += 1
            print("%s: mido reads another score" % path)
    print("= mido %d" % compared)
    print("= bad %d" % bad)


main()
