/* sequence.h - a song on a grid: the drums struck at each step, and what the
 * drummer hears there. Made by a tokeniser's settings from a Song, from token
 * text, or out of a corpus; made by a generator when it plays. */
#ifndef ND_MUSIC_SEQUENCE_H
#define ND_MUSIC_SEQUENCE_H

#include "grid.h"
#include "kit.h"
#include "metrics.h"

/* The tokeniser: how songs are laid on a grid. */
typedef struct nd_tokeniser {
  nd_kit kit;
  int32_t steps_per_beat;   /* 2, 4 (default), 6, 8, 12 */
  nd_beat beat;
  bool include_drums;       /* drums count in the intensity */
  bool original;            /* lengths and intensity as the 2023 system has them */
  int32_t max_steps;
} nd_tokeniser;

/* "drummer": gm9, 4 a beat. "neuraldrummer2023": basic6, 2 a beat, meter's
 * beats, drums counted, original. ND_MISUSE for another name. */
nd_status nd_tokeniser_preset(nd_tokeniser *tok, const char *preset, nd_error *err);

/* The same but for max_steps, which changes no Sequence. */
bool nd_tokeniser_equal(const nd_tokeniser *a, const nd_tokeniser *b);

/* A raw drum note on its step, for token text. */
typedef struct nd_strike { uint8_t pitch, velocity; int8_t offset; } nd_strike;

typedef struct nd_sequence {
  nd_tokeniser settings;
  nd_grid grid;
  uint8_t *hits;        /* (n_steps, n_voices): velocity 1..127, 0 = not struck */
  int8_t *offsets;      /* (n_steps, n_voices): microtiming in 1/256 step */
  float *metrics;       /* (n_steps, ND_N_METRICS) */
  int32_t *first;       /* (n_steps + 1): strikes of step t are first[t]..first[t+1]-1 */
  nd_strike *strikes;   /* in order of time; doubled notes stay doubled */
  bool has_metrics;     /* false when read from token text: intensity alone */
  char *name;           /* the song's name or path, "" when unknown */
} nd_sequence;

/* Ours: as long as the bar in which the last note beside the drums ends; a
 * song of drums alone, as the bar of its last one. Original: as facts of the
 * 2023 system have it, up to the song's last onset and four steps more, with
 * the last of several drum instruments, without notes of no length. ND_FORMAT
 * when there are no notes. */
nd_status nd_sequence_encode(nd_sequence **out, const nd_tokeniser *tok,
                             const nd_song *song, nd_error *err);

/* For makers of Sequences: one of silence on `grid`, which it takes over (also
 * when it fails), with room for `n_strikes`. The maker fills strikes and
 * first, then calls settle, which derives hits and offsets from them: of the
 * strikes of one voice on a step the loudest counts, of equals the first. */
nd_status nd_sequence_new(nd_sequence **out, const nd_tokeniser *tok, nd_grid *grid,
                          size_t n_strikes, nd_error *err);
void nd_sequence_settle(nd_sequence *seq);
nd_status nd_sequence_set_name(nd_sequence *seq, const char *name);
size_t nd_sequence_bytes(const nd_sequence *seq);  /* of memory */

/* A silent copy: same grid, metrics and settings, no hits. */
nd_status nd_sequence_blank(nd_sequence **out, const nd_sequence *like);

/* Same length and grid, hits (n_steps, n_voices) and offsets (may be NULL)
 * copied; strikes follow from them, by the kit's pitches. ND_MISUSE for a
 * velocity above 127. */
nd_status nd_sequence_set_hits(nd_sequence *seq, const uint8_t *hits, const int8_t *offsets);

/* The same, but where a cell of `known` (n_steps, n_voices) is not 0 with what
 * `given`, of the same length and kit, has there: its strikes as they are, by
 * pitch, velocity and offset, doubled ones too. Strikes beside the kit are
 * taken where all of a step is known. */
nd_status nd_sequence_set_masked(nd_sequence *seq, const uint8_t *hits, const int8_t *offsets,
                               const nd_sequence *given, const uint8_t *known);

/* A copy of `like`'s grid and metrics in which bar `b` has the strikes of
 * `from`'s bar `bars[b]`; silent where that is negative. ND_MISUSE for another
 * kit, a bar that is not there, or one of another length. */
nd_status nd_sequence_bars(nd_sequence **out, const nd_sequence *like, const nd_sequence *from,
                           const int32_t *bars, nd_error *err);
void nd_sequence_free(nd_sequence *seq);

static inline int32_t nd_sequence_steps(const nd_sequence *s) { return s->grid.n_steps; }
static inline int32_t nd_sequence_voices(const nd_sequence *s) { return s->settings.kit.n_voices; }

/* The drum notes, in ticks of the grid's ppq, each `length` steps long (the
 * original writes whole steps), on channel `channel`, appended to `song`, whose
 * ppq must be the grid's (ND_MISUSE). */
nd_status nd_sequence_notes(const nd_sequence *seq, nd_song *song, int channel,
                            double length, nd_error *err);

#endif
