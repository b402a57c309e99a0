/* chunks.h - the layout of a MIDI file: its header and chunks, checked and repaired.
 * Any bytes are accepted as input; the result is either a layout whose tracks can
 * be read safely, or an error that names the byte. Time and memory are linear in
 * the number of bytes. The rules stand in chunks.c.
 */
#ifndef ND_MIDI_CHUNKS_H
#define ND_MIDI_CHUNKS_H

#include "events.h"

/* What a file may have before it is refused with ND_LIMIT: hostile files must not
 * exhaust the host's memory. */
typedef struct nd_midi_limits {
  size_t max_bytes;     /* ND_MAX_FILE_BYTES */
  size_t max_events;    /* ND_MAX_EVENTS */
  int32_t max_tracks;   /* ND_MAX_TRACKS */
  bool strict;          /* refuse a file of which events would be lost */
} nd_midi_limits;

extern const nd_midi_limits nd_midi_default_limits;

/* JUNK is listed like a chunk, so that the chunks cover the file without gaps. */
typedef enum nd_midi_kind { ND_MIDI_TRACK, ND_MIDI_OTHER, ND_MIDI_JUNK } nd_midi_kind;

/* A chunk, or junk between chunks. The events of a track are body..stop. */
typedef struct nd_midi_chunk {
  size_t at, body, end;   /* offsets of its header, of its body, of what follows it */
  size_t stop;            /* one past the end-of-track, or where the track is cut */
  nd_midi_kind kind;
  bool has_end;           /* there is an end-of-track */
  bool intact;            /* length and end-of-track are right: can be copied unchanged */
} nd_midi_chunk;

/* The layout of a file. Owns `chunks` only. */
typedef struct nd_midi_file {
  const uint8_t *bytes;   /* the caller's */
  size_t start;           /* of the header chunk */
  size_t header_end;
  size_t end;             /* of the file, or of the contents of its RIFF wrapper */
  size_t tail;            /* one past the last chunk */
  int format;
  uint16_t division;      /* as in the header */
  int32_t ppq;            /* with a SMPTE division: ticks of fixed_tempo */
  int32_t fixed_tempo;    /* with a SMPTE division: us a "quarter" of ppq ticks; else 0 */
  nd_midi_chunk *chunks;
  size_t n_chunks, n_tracks, n_events;
  size_t n_note_ons;      /* an upper bound of its notes */
} nd_midi_file;

/* Reads a file; *bytes is malloc'd. ND_LIMIT when it exceeds limits->max_bytes. */
nd_status nd_midi_read(const char *path, const nd_midi_limits *limits, uint8_t **bytes, size_t *n,
                       nd_error *err);

/* Finds the layout of `bytes`, which must outlive `file`. Repairs are added to
 * `report` (may be NULL). ND_FORMAT or ND_LIMIT: "reason at byte N". On success,
 * end it with nd_midi_close. */
nd_status nd_midi_open(nd_midi_file *file, const uint8_t *bytes, size_t n,
                       const nd_midi_limits *limits, nd_song *report, nd_error *err);
void nd_midi_close(nd_midi_file *file);

#endif
