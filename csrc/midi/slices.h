/* slices.h - what libsmf is given of a track: its notes and program changes only,
 * ND_SANDBOX_EVENTS at a time, each slice a complete MIDI file of one track. So
 * libsmf needs a few KiB however long the song is.
 *
 * libsmf 1.3 misreads meta events above 127 bytes, aborts on F7, keeps data bytes
 * above 0x7F and takes quadratic time for tempos. The slices contain none of these:
 * names, tempos and time signatures are returned to the caller instead, and
 * everything else is left out.
 */
#ifndef ND_MIDI_SLICES_H
#define ND_MIDI_SLICES_H

#include "chunks.h"
#include "smf_sandbox.h"

typedef struct nd_midi_slicer {
  const nd_midi_file *file;
  nd_midi_scan scan;      /* of the track; at the end, its tick is the track's last */
  int32_t base;           /* tick of the track at which the slice's time begins */
  int32_t last;           /* tick of the slice's last event so far */
  size_t n, n_events;     /* bytes of the slice; its events, without the end-of-track */
  bool returned;          /* the slice was returned: the next call begins another */
  uint8_t bytes[14 + 8 + 7 * ND_SANDBOX_EVENTS + 4];  /* headers, events, end-of-track */
} nd_midi_slicer;

typedef enum nd_midi_part { ND_MIDI_DONE, ND_MIDI_SLICE, ND_MIDI_META } nd_midi_part;

/* Begins a track of the file. */
void nd_midi_slicer_begin(nd_midi_slicer *slicer, const nd_midi_file *file,
                          const nd_midi_chunk *track);

/* The next part of the track: a slice in slicer->bytes, valid until the next call;
 * a track name, tempo or time signature in *meta; or nothing more. */
nd_midi_part nd_midi_slicer_next(nd_midi_slicer *slicer, nd_midi_event *meta);

#endif
