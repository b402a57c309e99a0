"""Token lines of the original system for the songs of made_songs.lua.

    python3 spec/support/make_tokens.py > spec/fixtures/tokens.tsv

Needs mido and pretty_midi (0.2.11). The songs go to pretty_midi as MIDI files;
beats, downbeats and instruments are its own. What is done with them follows
the description of the 2023 system's tokeniser.
"""
import io

import mido
import numpy as np
import pretty_midi

PPQ, SLOT = 480, 240
JITTER = [0, 0, 30, 50, -40, 90]

SONGS = [
    dict(name="rock", slots=96, meters=[(0, 4, 4)], tempos=[(0, 120)]),
    dict(name="waltz", slots=90, meters=[(0, 3, 4)], tempos=[(0, 150)]),
    dict(name="jig", slots=96, meters=[(0, 6, 8)], tempos=[(0, 100)]),
    dict(name="slow nine", slots=90, meters=[(0, 9, 8)], tempos=[(0, 60)]),
    dict(name="seven", slots=84, meters=[(0, 7, 8)], tempos=[(0, 140)]),
    dict(name="three eighths", slots=60, meters=[(0, 3, 8)], tempos=[(0, 180)]),
    dict(name="changes", slots=130,
         meters=[(0, 4, 4), (7680, 3, 4), (12000, 6, 8), (19200, 5, 4)], tempos=[(0, 96)]),
    dict(name="pickup", slots=90, meters=[(0, 1, 4), (480, 4, 4)], tempos=[(0, 110)]),
    dict(name="tempos", slots=96, meters=[(0, 4, 4)],
         tempos=[(0, 90), (3840, 120), (7680, 60), (12480, 200)]),
    dict(name="crowd", slots=96, meters=[(0, 4, 4)], tempos=[(0, 120)], crowd=17),
    dict(name="two drummers", slots=80, meters=[(0, 4, 4)], tempos=[(0, 120)],
         second_drums=True),
    dict(name="late drums", slots=80, meters=[(0, 4, 4)], tempos=[(0, 120)], drums_from=48),
]


def notes_of(index):
    """(tick, pitch, velocity, channel from 0, track from 0), as in made_songs.lua."""
    spec, notes, state = SONGS[index - 1], [], index

    def random(n):
        nonlocal state
        state = (state * 1103515245 + 12345) % 2147483648
        return state // 65536 % n

    for slot in range(spec["slots"]):
        def add(pitch, channel, track):
            jitter = JITTER[random(len(JITTER))]
            velocity = 40 + random(80)
            notes.append((max(slot * SLOT + jitter, 0), pitch, velocity, channel, track))

        chord = random(4)
        if "crowd" in spec and slot % spec["crowd"] == 5:
            chord = 12
        for i in range(chord):
            add(36 + 5 * i + random(5), 0, 1)
        if slot >= spec.get("drums_from", 0):
            if slot % 4 == 0:
                add(36, 9, 2)
            if slot % 4 == 2:
                add(38, 9, 2)
            if random(5) > 0:
                add(42, 9, 2)
            if random(9) == 0:
                add(46 + random(8), 9, 2)
        if spec.get("second_drums") and random(3) == 0:
            add(60 + random(4), 9, 3)
    return notes


def midi_of(index):
    spec, file = SONGS[index - 1], mido.MidiFile(ticks_per_beat=PPQ)
    tracks = [[], [], [], []]
    for tick, numerator, denominator in spec["meters"]:
        tracks[0].append((tick, mido.MetaMessage(
            "time_signature", numerator=numerator, denominator=denominator)))
    for tick, bpm in spec["tempos"]:
        tracks[0].append((tick, mido.MetaMessage("set_tempo", tempo=round(6e7 / bpm))))
    for tick, pitch, velocity, channel, track in notes_of(index):
        message = dict(channel=channel, note=pitch)
        tracks[track].append((tick, mido.Message("note_on", velocity=velocity, **message)))
        tracks[track].append((tick + 100, mido.Message("note_off", **message)))
    for events in tracks:
        track, now = mido.MidiTrack(), 0
        for tick, message in sorted(events, key=lambda e: (e[0], e[1].type != "note_off")):
            track.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(track)
    data = io.BytesIO()
    file.save(file=data)
    data.seek(0)
    return pretty_midi.PrettyMIDI(data)


def line_of(midi):
    beats = midi.get_beats()
    steps = []
    for here, there in zip(beats[:-1], beats[1:]):
        steps += [here, here + (there - here) / 2]
    step = (beats[-1] - beats[-2]) / 2
    for _ in range(32):
        steps.append(steps[-1] + step)
    steps = np.array(steps)

    def nearest(time):
        return int(np.abs(steps - time).argmin())

    def lay(instrument):
        return [(nearest(n.start), n.pitch) for n in sorted(instrument.notes, key=lambda n: n.start)]

    laid = [lay(i) for i in midi.instruments]
    drums = [lay(i) for i in midi.instruments if i.is_drum][-1]
    onsets = np.zeros(len(steps))
    for notes in laid:
        for at, _ in notes:
            onsets[at] += 1
    last_onset = max(at for notes in laid for at, _ in notes)
    downbeats = midi.get_downbeats()
    beyond = nearest(downbeats[-1] + 4 * (downbeats[-1] - downbeats[-2]))
    counted = min(beyond - 1, last_onset + 1)

    # one step early; the last one once more and four times again
    x = np.append(onsets[1:counted], [onsets[counted - 1]] * 5)
    mean, sd = x.mean(), x.std()
    inlier = np.flatnonzero((x > mean - 2 * sd) & (x < mean + 2 * sd))
    mended = x.copy()
    for t in set(range(len(x))) - set(inlier):
        before, after = inlier[inlier < t], inlier[inlier > t]
        left = x[before[-1]] if len(before) else x[after[0]]
        mended[t] = (left + (x[after[0]] if len(after) else left)) / 2
    z = (mended - mended.mean()) / mended.std()

    words = []
    for t in range(max(len(z), drums[-1][0] + 1)):
        words += [str(pitch) for at, pitch in drums if at == t]
        if t < len(z):
            words.append("i" + str(np.round(z[t], 1)))
        words.append("-1")
    return ",".join(words)


for number in range(1, len(SONGS) + 1):
    print(SONGS[number - 1]["name"], line_of(midi_of(number)), sep="\t")
