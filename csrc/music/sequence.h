/* sequence.h - a song on a grid: its drums and its metrics at each step.
 *
 * A tokeniser makes one from a Song; it is also read from token text or from a
 * corpus, and made by a generator, which plays a song. */
#ifndef ND_MUSIC_SEQUENCE_H
#define ND_MUSIC_SEQUENCE_H

#include "grid.h"
#include "kit.h"
#include "metrics.h"

/* Settings that determine how a Sequence is made from a Song. */
typedef struct nd_tokeniser {
  nd_kit kit;
  int32_t steps_per_beat;   /* 2, 4 (default), 6, 8, 12 */
  nd_beat beat;
  bool include_drums;       /* intensity counts drums too */
  bool original;            /* length and intensity as in the 2023 system */
  int32_t max_steps;
} nd_tokeniser;

/* "drummer": kit gm9, 4 steps a beat. "neuraldrummer2023": kit basic6, 2 steps to
 * the meter's beat, include_drums, original. ND_MISUSE for another name. */
nd_status nd_tokeniser_preset(nd_tokeniser *tok, const char *preset, nd_error *err);

/* Whether two tokenisers make the same Sequences: max_steps does not count. */
bool nd_tokeniser_equal(const nd_tokeniser *a, const nd_tokeniser *b);

/* One drum note on its step: pitch 0..127, velocity 1..127, offset in 1/256 of a
 * step (-128..127). */
typedef struct nd_strike { uint8_t pitch, velocity; int8_t offset; } nd_strike;

typedef struct nd_sequence {
  nd_tokeniser settings;
  nd_grid grid;
  uint8_t *hits;        /* (n_steps, voices) velocity 1..127; 0: no hit */
  int8_t *offsets;      /* (n_steps, voices) in 1/256 of a step */
  float *metrics;       /* (n_steps, ND_N_METRICS) */
  int32_t *first;       /* (n_steps + 1) step t has strikes first[t]..first[t+1]-1 */
  nd_strike *strikes;   /* every drum note, also outside the kit and doubled */
  bool has_metrics;     /* false: only intensity is known, as in token text */
  char *name;           /* the song's name or path; "" if unknown */
} nd_sequence;

/* Puts a song on the grid. The Sequence ends with the bar in which the last note
 * ends (drums left out; in a song of drums alone, with the bar of the last drum).
 * With `original` it ends four steps after the song's last onset, uses only the
 * last of several drum instruments, and ignores notes without duration. Fails
 * with ND_FORMAT when the song has no notes, ND_LIMIT when it is too long. */
nd_status nd_sequence_encode(nd_sequence **out, const nd_tokeniser *tok,
                             const nd_song *song, nd_error *err);

/* A silent Sequence on `grid`, whose arrays it takes over (also when it fails),
 * with space for n_strikes. The caller fills `strikes` and `first`, then calls
 * nd_sequence_derive_hits, which computes hits and offsets: where several
 * strikes of a voice share a step, the loudest counts, the first of equals. */
nd_status nd_sequence_new(nd_sequence **out, const nd_tokeniser *tok, nd_grid *grid,
                          size_t n_strikes, nd_error *err);
void nd_sequence_derive_hits(nd_sequence *seq);
nd_status nd_sequence_set_name(nd_sequence *seq, const char *name);  /* copied */
size_t nd_sequence_bytes(const nd_sequence *seq);  /* of memory that it occupies */

/* A copy without drums: same grid, metrics, settings and name. */
nd_status nd_sequence_blank(nd_sequence **out, const nd_sequence *like);

/* Replaces the drums by hits and offsets, both (n_steps, voices); offsets may be
 * NULL. The strikes get the kit's pitches. ND_MISUSE for a velocity above 127,
 * ND_NOMEM. */
nd_status nd_sequence_set_hits(nd_sequence *seq, const uint8_t *hits, const int8_t *offsets);

/* Like nd_sequence_set_hits, but grid cells where `mask` (n_steps, voices) is not
 * 0 are copied from `fixed` (same length and kit) unchanged, including doubled
 * strikes. Strikes outside the kit are copied on steps that are masked whole. */
nd_status nd_sequence_set_masked(nd_sequence *seq, const uint8_t *hits, const int8_t *offsets,
                                 const nd_sequence *fixed, const uint8_t *mask);

/* A copy of `like`, whose bar b gets the strikes of bar bars[b] of `from`, or none
 * where bars[b] is negative. ND_MISUSE when the kits differ, or when a bar does
 * not exist or has another length. */
nd_status nd_sequence_bars(nd_sequence **out, const nd_sequence *like, const nd_sequence *from,
                           const int32_t *bars, nd_error *err);
void nd_sequence_free(nd_sequence *seq);

static inline int32_t nd_sequence_steps(const nd_sequence *s) { return s->grid.n_steps; }
static inline int32_t nd_sequence_voices(const nd_sequence *s) { return s->settings.kit.n_voices; }

/* Appends the drum notes to `song`, which must have the grid's ppq (ND_MISUSE), on
 * MIDI channel `channel` (0..15). Each is `length` steps long. */
nd_status nd_sequence_notes(const nd_sequence *seq, nd_song *song, int channel,
                            double length, nd_error *err);

#endif
