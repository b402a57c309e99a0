/* splice.h - original bytes + drum notes -> bytes. No libsmf: other tracks
 * are copied byte for byte from the file as it came (format 0 becomes format
 * 1 with the same events). A song without bytes (a host's notes) is written
 * afresh.
 *
 * What goes is the drums' notes. What else stands on their channel (programs,
 * controllers) and in their tracks (tempos, markers, text) stays, and a track
 * is dropped only when nothing but its name is left of it. Tracks that had to
 * be repaired to be read are written repaired; junk before the header and
 * between chunks goes, unknown chunks and trailing bytes stay.
 *
 * The division stays as it is, SMPTE ones too: a Song counts their ticks, and
 * the drums are written in the same ticks.
 */
#ifndef ND_MIDI_SPLICE_H
#define ND_MIDI_SPLICE_H

#include "../music/song.h"

typedef struct nd_splice_options {
  bool keep_drums;      /* leave the song's own drum notes in as well */
  bool drums_alone;     /* tempo, meter and our drums, nothing else */
  const char *track_name;   /* "Drums" */
  int32_t rest;         /* ticks that the drums' track goes on behind the song */
} nd_splice_options;

/* `drums` has its notes in `song`'s ppq, on the channel to be written; NULL:
 * no track is added. `options` may be NULL. The result is a whole, valid file;
 * malloc'd. */
nd_status nd_splice(uint8_t **bytes, size_t *n, const nd_song *song, const nd_song *drums,
                    const nd_splice_options *options, nd_error *err);

/* The same as a Song: those bytes and what a reader would find in them. */
nd_status nd_splice_song(nd_song **out, const nd_song *song, const nd_song *drums,
                         const nd_splice_options *options, nd_error *err);

#endif
