/* splice.h - writes a Song as a MIDI file, with a drum track added. libsmf is not
 * used: the other tracks are copied byte for byte from the file as it was read
 * (format 0 becomes format 1 with the same events). A song without bytes (from a
 * host's notes) is written from its notes.
 *
 * Removed are the drums' notes. Other events of their channel (programs,
 * controllers) and of their tracks (tempos, markers, text) stay; a track is dropped
 * only when nothing but its name is left. Tracks that were repaired are written
 * repaired. Junk before the header and between chunks is dropped; unknown chunks
 * and bytes after the last chunk stay. The division stays as it is, SMPTE too: the
 * Song counts in its ticks, and so do the new drums.
 */
#ifndef ND_MIDI_SPLICE_H
#define ND_MIDI_SPLICE_H

#include "../music/song.h"

typedef struct nd_splice_options {
  bool retain_drums;      /* do not remove the song's own drum notes */
  bool drums_alone;       /* write tempos, meters and the new drums only */
  const char *track_name; /* of the new track; NULL: "Drums" */
  int32_t tail_ticks;     /* >= 0: how long the new track continues after the song */
} nd_splice_options;

/* The song as it is written, with the bytes of a complete valid file and the notes
 * that a parser finds in them. The notes of `drums` are in the ppq of `song`, in
 * track 0 and on the one channel to write; NULL adds no track. `options` may be
 * NULL: all zero. ND_LIMIT: more than 65535 tracks, or a track above 4 GiB. */
nd_status nd_splice_song(nd_song **out, const nd_song *song, const nd_song *drums,
                         const nd_splice_options *options, nd_error *err);

#endif
