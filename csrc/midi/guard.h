/* guard.h - reads the layout of a MIDI file and stands in front of libsmf: any
 * bytes in, checked and repaired bytes out, or a reason. What comes out cannot
 * trip libsmf 1.3: see guard.c for the rules. Work and memory are bounded by
 * the bytes that came in.
 *
 * The reader and the splice share the one scanner of events below, so that
 * both see the same events in the same bytes.
 */
#ifndef ND_MIDI_GUARD_H
#define ND_MIDI_GUARD_H

#include "../music/song.h"
#include "smf_sandbox.h"

typedef struct nd_midi_limits {
  size_t max_bytes;     /* ND_MAX_FILE_BYTES */
  size_t max_events;    /* ND_MAX_EVENTS */
  int32_t max_tracks;   /* ND_MAX_TRACKS */
  bool strict;          /* refuse where events would be lost */
} nd_midi_limits;

extern const nd_midi_limits nd_midi_default_limits;

/* One event of a track, where it lies in the file's bytes:
 *   at: delta time · body: status (left out when `running`) · data..end: the
 *   data bytes, or what a meta or sysex event holds. */
typedef struct nd_midi_event {
  size_t at, body, data, end;
  uint32_t delta;
  int32_t tick;         /* from the track's start */
  uint8_t status;       /* 0x80..0xFF, the one in force where `running` */
  uint8_t type;         /* of a meta (status 0xFF) */
  bool running;
  bool bad_data;        /* a channel event with a data byte above 0x7F */
} nd_midi_event;

typedef struct nd_midi_scan {
  const uint8_t *bytes;
  size_t at, end;       /* of the next event; of the bytes to be scanned */
  int32_t tick;
  uint8_t running;      /* the last channel status; survives metas and sysex */
} nd_midi_scan;

/* The next event; call only while scan->at < scan->end. NULL: it was read.
 * Else the reason why the bytes from scan->at on can't be. */
const char *nd_midi_next(nd_midi_scan *scan, nd_midi_event *event);

static inline bool nd_midi_is_end(const nd_midi_event *e) {
  return e->status == 0xFF && e->type == 0x2F;
}
static inline bool nd_midi_is_note(const nd_midi_event *e) {
  return (e->status & 0xE0) == 0x80;  /* on or off, with bad data too */
}

/* What a tempo or a time signature says; false where it says nothing valid. */
bool nd_midi_tempo(const uint8_t *bytes, const nd_midi_event *event, int32_t *us_per_quarter);
bool nd_midi_meter(const uint8_t *bytes, const nd_midi_event *event, nd_meter *meter);

typedef enum nd_midi_kind { ND_MIDI_TRACK, ND_MIDI_OTHER, ND_MIDI_JUNK } nd_midi_kind;

/* A chunk, or junk between chunks. A track's events lie in body..stop. */
typedef struct nd_midi_chunk {
  size_t at, body, end;   /* of its head; of its body; one past it */
  size_t stop;            /* one past the end-of-track, or where the track had to be cut */
  nd_midi_kind kind;
  bool ended;             /* has its end-of-track */
  bool sound;             /* length right and ended: fit to be copied as it is */
} nd_midi_chunk;

typedef struct nd_midi_file {
  const uint8_t *bytes;   /* the caller's */
  size_t start;           /* of the header chunk */
  size_t header_end;
  size_t end;             /* of the file, or of what its RIFF wrapper holds */
  size_t tail;            /* one past the last chunk */
  int format;
  uint16_t division;      /* as it stands there */
  int32_t ppq;            /* of SMPTE divisions: ticks a second (see fixed_tempo) */
  int32_t fixed_tempo;    /* of SMPTE divisions, us a "quarter"; else 0 */
  nd_midi_chunk *chunks;
  size_t n_chunks, n_tracks, n_events;
  size_t n_strikes;       /* note-ons, at most so many of them notes */
} nd_midi_file;

/* A file's bytes, malloc'd. ND_LIMIT when there are more than limits->max_bytes. */
nd_status nd_midi_read(const char *path, const nd_midi_limits *limits, uint8_t **bytes, size_t *n,
                       nd_error *err);

/* The layout of `bytes`, which must outlive it. `report` (may be NULL) is told
 * of the repairs. ND_FORMAT or ND_LIMIT with "reason at byte N". */
nd_status nd_midi_open(nd_midi_file *file, const uint8_t *bytes, size_t n,
                       const nd_midi_limits *limits, nd_song *report, nd_error *err);
void nd_midi_close(nd_midi_file *file);

/* What libsmf is given: the notes and programs of a track, some at a time, each
 * slice a file of its own with one track. So libsmf holds a few kilobytes,
 * however long the song is, and gets them from where malloc is fast; glib's
 * array of so many events stays below a kilobyte. */
enum { ND_MIDI_SLICE = ND_SANDBOX_EVENTS };

typedef struct nd_midi_guard {
  const nd_midi_file *file;
  nd_midi_scan scan;      /* of the track; its tick, when all is done, is the track's last */
  int32_t base;           /* where the slice's time begins, from the track's start */
  int32_t last;           /* of the slice's events so far */
  size_t n, n_events;     /* bytes of the slice; events beside its end of track */
  bool given, ended;      /* the slice is with the caller; the track is at its end */
  uint8_t bytes[14 + 8 + 7 * ND_MIDI_SLICE + 4];
} nd_midi_guard;

typedef enum nd_midi_found { ND_MIDI_DONE, ND_MIDI_NOTES, ND_MIDI_PARKED } nd_midi_found;

/* Begins a track of the file. */
void nd_midi_guard_begin(nd_midi_guard *guard, const nd_midi_file *file,
                         const nd_midi_chunk *track);

/* What comes next: a slice in guard->bytes, good until the next call; a name, a
 * tempo or a time signature, which libsmf does not see; or nothing more. */
nd_midi_found nd_midi_guard_next(nd_midi_guard *guard, nd_midi_event *parked);

/* Bytes being written, by the splice. The first failure sticks. */
typedef struct nd_midi_out {
  uint8_t *bytes;
  size_t n, capacity;
  bool failed;          /* out of memory */
} nd_midi_out;

void nd_midi_put(nd_midi_out *out, const void *bytes, size_t n);
void nd_midi_put_int(nd_midi_out *out, uint32_t value, int bytes);  /* big-endian */
void nd_midi_put_vlq(nd_midi_out *out, uint32_t value);             /* up to 28 bits */
void nd_midi_set_int(nd_midi_out *out, size_t at, uint32_t value, int bytes);

#endif
