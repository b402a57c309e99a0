/* smf.h - the bytes of a MIDI file to a Song: checked and repaired, then parsed by
 * libsmf in its sandbox. */
#ifndef ND_MIDI_SMF_H
#define ND_MIDI_SMF_H

#include "guard.h"

/* `drum_channel` 0..15, or -1 to decide: channel 10 when it has notes, else
 * the channel of a track that is drums by its name. The Song keeps a copy of
 * the bytes. */
nd_status nd_smf_parse(nd_song **out, const uint8_t *bytes, size_t n, int drum_channel,
                       const nd_midi_limits *limits, nd_error *err);

#endif
