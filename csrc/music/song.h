/* song.h - a song as notes in time: what the MIDI parser and hosts produce, and what
 * the grid reads.
 *
 * A Song owns everything it points to. It comes from a MIDI file (then it has the
 * file's bytes, for lossless writing) or from a host's notes. Times are ticks, ppq
 * of them a quarter note; 0..ND_MAX_TICK.
 */
#ifndef ND_MUSIC_SONG_H
#define ND_MUSIC_SONG_H

#include "../base/nd.h"

typedef struct nd_note {
  int32_t tick;       /* start */
  int32_t duration;   /* ticks, >= 0 */
  uint16_t track;     /* index in the file, 0 for a host's notes */
  uint8_t pitch;      /* 0..127 */
  uint8_t velocity;   /* 1..127 */
  uint8_t channel;    /* 0..15 */
  uint8_t program;    /* 0..127, in force on the channel at its start */
} nd_note;

typedef struct nd_tempo { int32_t tick; int32_t us_per_quarter; } nd_tempo;
typedef struct nd_meter { int32_t tick; int16_t numerator, denominator; } nd_meter;

enum { ND_MAX_DENOMINATOR = 128 };  /* of a meter, a power of two */

/* Something that was repaired at byte `offset`; `lossy`: events were lost. */
typedef struct nd_repair { size_t offset; bool lossy; char text[112]; } nd_repair;

typedef struct nd_song {
  int32_t ppq;
  nd_note *notes;     size_t n_notes;    /* by tick; equal ticks in file order */
  nd_tempo *tempos;   size_t n_tempos;   /* by tick, one a tick; [0] at 0 */
  double *tempo_seconds;                 /* (n_tempos): start of each; by nd_song_finish */
  nd_meter *meters;   size_t n_meters;   /* by tick, one a tick; [0] at 0 */
  char **track_names; size_t n_tracks;   /* "" without a name; bytes as found */
  int32_t end_tick;                      /* of a file's last event, or the last note's end */
  bool hosted;                           /* from a host's notes: track_names[0] is the
                                            song's name */
  int drum_channel;                      /* 0..15, or -1: the song has none */
  bool drum_channel_guessed;             /* found by a track's name */
  bool *drum_tracks;                     /* (n_tracks): whose notes on the drum channel are
                                            drums; NULL: all are */
  uint8_t *bytes;     size_t n_bytes;    /* the file as read; NULL without one */
  nd_repair *repairs; size_t n_repairs;
  size_t notes_capacity, tempos_capacity, meters_capacity, tracks_capacity, repairs_capacity;
} nd_song;

/* A new song at 120 bpm in 4/4 without notes; NULL when out of memory. `ppq` is
 * 1..32767. */
nd_song *nd_song_new(int32_t ppq);
void nd_song_free(nd_song *song);  /* NULL is fine */

/* These append. ND_MISUSE: a value is out of range; ND_LIMIT: more than 65536
 * tracks. A name may contain any bytes. add_repair takes no nd_error and returns
 * ND_OK or ND_NOMEM; longer texts are cut. */
nd_status nd_song_add_note(nd_song *song, nd_note note, nd_error *err);
nd_status nd_song_add_tempo(nd_song *song, nd_tempo tempo, nd_error *err);
nd_status nd_song_add_meter(nd_song *song, nd_meter meter, nd_error *err);
nd_status nd_song_add_track(nd_song *song, const char *name, size_t len, nd_error *err);
nd_status nd_song_add_repair(nd_song *song, size_t offset, bool lossy, const char *text);

/* To be called after the last addition: sorts (stably), removes all but the last
 * tempo and meter of each tick, computes tempo_seconds, and raises end_tick to the
 * last note's end. */
nd_status nd_song_finish(nd_song *song, nd_error *err);

/* Allocates space for `n` notes of a song without notes, which the caller then
 * writes itself, in the ranges above. false: out of memory. */
bool nd_song_reserve_notes(nd_song *song, size_t n);

/* Decides which notes are drums: those on `channel` (0..15); or, with -1, those on
 * channel 10 when it has notes, else those of tracks whose names say so ("Drums",
 * "Percussion", "Schlagzeug", "Batterie", ...). */
nd_status nd_song_find_drums(nd_song *song, int channel, nd_error *err);

static inline bool nd_song_is_drum(const nd_song *song, const nd_note *note) {
  return note->channel == song->drum_channel &&
         (song->drum_tracks == NULL ||
          (note->track < song->n_tracks && song->drum_tracks[note->track]));
}

/* The channel for new drums: the song's own unless other instruments share it, else
 * channel 10. */
static inline int nd_song_channel_for_drums(const nd_song *song) {
  return song->drum_channel >= 0 && song->drum_tracks == NULL ? song->drum_channel
                                                              : ND_DRUM_CHANNEL;
}

/* Seconds from the start of a finished song to `tick`, by its tempos. */
double nd_song_seconds(const nd_song *song, double tick);

/* Sorts items that begin with an int32_t tick, stably. false: out of memory. Fast
 * for a few sorted runs one after another, such as tracks. */
bool nd_sort_by_tick(void *items, size_t n, size_t size);

#endif
