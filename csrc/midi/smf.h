/* smf.h - the bytes of a MIDI file to a Song: the layout is checked and repaired
 * (chunks.h), libsmf parses the notes in its sandbox (slices.h), and names, tempos
 * and time signatures are read here. Deterministic: the same bytes and arguments give
 * the same Song. Reentrant: threads may parse different files at the same time.
 */
#ifndef ND_MIDI_SMF_H
#define ND_MIDI_SMF_H

#include "chunks.h"

/* `drum_channel` is 0..15, or -1 to find it (see nd_song_find_drums). `limits` may
 * be NULL for the defaults. The Song keeps a copy of the bytes; its repairs are
 * listed in it. ND_FORMAT and ND_LIMIT: "reason at byte N". */
nd_status nd_smf_parse(nd_song **out, const uint8_t *bytes, size_t n, int drum_channel,
                       const nd_midi_limits *limits, nd_error *err);

#endif
