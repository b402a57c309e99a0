/* guard.h - stands in front of libsmf: any bytes in, checked and repaired
 * bytes out, or a reason. What comes out cannot trip libsmf 1.3: see guard.c
 * for the rules. Work and memory are bounded by the bytes that came in.
 *
 * Events that libsmf would misread are parked: replaced by a text meta of
 * known size in the safe bytes, with the original kept in `bytes` of the
 * caller.
 */
#ifndef ND_MIDI_GUARD_H
#define ND_MIDI_GUARD_H

#include "../music/song.h"

typedef struct nd_midi_limits {
  size_t max_bytes;     /* ND_MAX_FILE_BYTES */
  size_t max_events;    /* ND_MAX_EVENTS */
  int32_t max_tracks;   /* ND_MAX_TRACKS */
  bool strict;          /* refuse where events would be lost */
} nd_midi_limits;

extern const nd_midi_limits nd_midi_default_limits;

#endif
