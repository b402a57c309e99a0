/* song.h - a song as notes in time: what the readers make and the grid reads.
 *
 * A Song owns everything it points to. It may come from a MIDI file (then it
 * keeps the file's bytes, for lossless write-back) or from a host's notes.
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
  uint8_t program;    /* 0..127, in force on the channel when it starts */
} nd_note;

typedef struct nd_tempo { int32_t tick; int32_t us_per_quarter; } nd_tempo;
typedef struct nd_meter { int32_t tick; int16_t numerator, denominator; } nd_meter;

enum { ND_MAX_DENOMINATOR = 128 };  /* of a meter, a power of two */

/* Something that the reader mended; `lossy` when events were given up. */
typedef struct nd_repair { size_t offset; bool lossy; char text[112]; } nd_repair;

typedef struct nd_song {
  int32_t ppq;
  nd_note *notes;     size_t n_notes;    /* by tick, ties in file order */
  nd_tempo *tempos;   size_t n_tempos;   /* by tick, one a tick; [0] at 0 */
  double *tempo_seconds;                 /* (n_tempos): when each starts; by finish */
  nd_meter *meters;   size_t n_meters;   /* by tick, one a tick; [0] at 0 */
  char **track_names; size_t n_tracks;   /* "" where none; bytes as found */
  int32_t end_tick;                      /* a file's last event, or last note end */
  bool hosted;                           /* of a host's notes: a name names the song */
  int drum_channel;                      /* 0..15, or -1: the song has none */
  bool drum_channel_guessed;             /* taken from a track's name */
  bool *drum_tracks;                     /* (n_tracks) when other instruments share the
                                            guessed channel: where its notes are drums;
                                            else NULL */
  uint8_t *bytes;     size_t n_bytes;    /* the file as read; NULL if none */
  nd_repair *repairs; size_t n_repairs;
  size_t notes_capacity, tempos_capacity, meters_capacity, tracks_capacity, repairs_capacity;
} nd_song;

/* An empty song at 120 bpm in 4/4, or NULL. `ppq` is 1..32767. */
nd_song *nd_song_new(int32_t ppq);
void nd_song_free(nd_song *song);  /* NULL is fine */

/* Adding appends; nd_song_finish then sorts (stably), drops double tempos
 * and meters of one tick (the last wins), puts the defaults at tick 0 where
 * the first stands later, and computes end_tick (which it never lowers).
 * Range errors are ND_MISUSE. */
nd_status nd_song_add_note(nd_song *song, nd_note note, nd_error *err);
nd_status nd_song_add_tempo(nd_song *song, nd_tempo tempo, nd_error *err);
nd_status nd_song_add_meter(nd_song *song, nd_meter meter, nd_error *err);
nd_status nd_song_add_track(nd_song *song, const char *name, size_t len, nd_error *err);
nd_status nd_song_add_repair(nd_song *song, size_t offset, bool lossy, const char *text);
nd_status nd_song_finish(nd_song *song, nd_error *err);

/* Makes room for `n` notes of a song that has none, to be put there by hand:
 * what nd_song_add_note would refuse must not be. false: out of memory. */
bool nd_song_reserve_notes(nd_song *song, size_t n);

/* Says which notes are drums: those on `channel` (0..15), or with -1 those on
 * channel 10 when it has notes, else those of the tracks that are drums by
 * their names ("Drums", "Percussion", "Schlagzeug", "Batterie", …). */
nd_status nd_song_find_drums(nd_song *song, int channel, nd_error *err);

static inline bool nd_song_is_drum(const nd_song *song, const nd_note *note) {
  return note->channel == song->drum_channel &&
         (song->drum_tracks == NULL ||
          (note->track < song->n_tracks && song->drum_tracks[note->track]));
}

/* The channel that new drums are for: the song's own when nothing else plays
 * there, else channel 10. */
static inline int nd_song_channel_for_drums(const nd_song *song) {
  return song->drum_channel >= 0 && song->drum_tracks == NULL ? song->drum_channel
                                                              : ND_DRUM_CHANNEL;
}

/* Seconds from the song's start to `tick`, by the tempo map of a finished
 * song. */
double nd_song_seconds(const nd_song *song, double tick);

/* Sorts items that begin with an int32_t tick, stably. false: out of memory.
 * Fast where a few sorted runs lie one after another, as tracks do. */
bool nd_sort_by_tick(void *items, size_t n, size_t size);

#endif
