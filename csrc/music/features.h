/* features.h - turns what a network may know at a step into one input row. The
 * same function serves training and playing, so that they cannot differ.
 *
 *   ND_FEATURES_WHOLE     for a net with an encoder, which reads the whole
 *                         song before it plays
 *   ND_FEATURES_DRUMMER   for a net without one: metrics of the step to be
 *                         played, and history
 *   ND_FEATURES_ORIGINAL  the hits of the step before and the intensity of the
 *                         step to be played (stored one step early, this is
 *                         one row of the 2023 system's window)
 *   ND_FEATURES_TOUCH     for a net that predicts velocities and offsets of
 *                         known hits: position, tempo and the hits of the step
 *   ND_FEATURES_RAW       no features: rows come from the caller
 *
 * A row is made of parts (nd_part); nd_features_layout says which parts a kind
 * has, and where. "A bar back" is counted in bars of the meter: the same step
 * of an earlier bar, or nothing where that bar is shorter.
 */
#ifndef ND_MUSIC_FEATURES_H
#define ND_MUSIC_FEATURES_H

#include "grid.h"
#include "metrics.h"
#include "style.h"

typedef enum nd_features_kind {
  ND_FEATURES_DRUMMER, ND_FEATURES_ORIGINAL, ND_FEATURES_RAW, ND_FEATURES_WHOLE,
  ND_FEATURES_TOUCH
} nd_features_kind;

/* By kind, ended by NULL: "drummer", "original", … as checkpoints have them. */
extern const char *const nd_features_names[];

enum { ND_MAX_BACK = 6 };

typedef struct nd_features {
  nd_features_kind kind;
  int32_t n_back;
  int32_t back[ND_MAX_BACK];   /* look-back, in bars, ascending */
  bool causal;                 /* nothing later than the step is used: metrics that need
                                * the whole song are 0, and there is no recurrence */
} nd_features;

/* Parts of a row. Controls and styles end in a flag: 1 where they are given. */
typedef enum nd_part {
  ND_PART_METRICS,         /* (ND_N_METRICS); fewer for ORIGINAL and TOUCH */
  ND_PART_FIXED_HITS,      /* (voices) 1 where a fixed hit stands */
  ND_PART_FIXED_MASK,      /* (voices) 1 where the cell is fixed, hit or not */
  ND_PART_DENSITY,         /* (2) of the bar */
  ND_PART_FILL,            /* (2) of the bar */
  ND_PART_HAS_HISTORY,     /* (1) 0: the hits below are unknown, not silent */
  ND_PART_BEFORE,          /* (voices) hits one step before */
  ND_PART_BACK,            /* (n_back, voices) hits `back` bars ago */
  ND_PART_RECURRENCE,      /* (voices) hits in the bar that this one repeats */
  ND_PART_SIMILARITY,      /* (1) of the two bars */
  ND_PART_TRAITS,          /* (nd_style_traits + 1) */
  ND_PART_GROOVE,          /* (voices + 1) of the style, at this sixteenth of the bar */
  ND_N_PARTS
} nd_part;

/* Where each part stands in a row. The encoder takes the first `encoded`. */
typedef struct nd_layout {
  int32_t at[ND_N_PARTS], size[ND_N_PARTS];   /* size 0: the row has no such part */
  int32_t inputs, encoded;
} nd_layout;

nd_layout nd_features_layout(const nd_features *f, int32_t voices);

/* Earlier rows of hits (voices); NULL where there is none. */
typedef struct nd_history {
  bool available;                      /* no hits are then silence, else unknown */
  const uint8_t *before;               /* one step before */
  const uint8_t *back[ND_MAX_BACK];    /* the same step, `back` bars ago */
  const uint8_t *recurrence;           /* ... of the bar that this one repeats */
} nd_history;

/* Everything that the row of one step is computed from. */
typedef struct nd_step_context {
  const float *metrics;       /* (ND_N_METRICS) */
  nd_history history;
  const uint8_t *fixed_hits;  /* (voices) velocities; NULL: none are fixed. Where a row has
                               * the mask, hits in cells that are not fixed do not count */
  const uint8_t *fixed_mask;  /* (voices) 1 where a cell is fixed, hit or not; or NULL */
  float similarity;           /* of this bar to the one that it repeats, 0..1 */
  const float *style;         /* (nd_style_size); NULL: not given */
  int32_t step_in_bar, steps_per_beat;
  float density;              /* of the bar, log2 of its hits over the mean; NAN: not given */
  float fill;                 /* 1: the bar is to be a fill, 0: not; NAN: not given */
} nd_step_context;

/* Fills `row` (inputs). Not for ND_FEATURES_RAW. */
void nd_features_row(const nd_features *f, int32_t voices, const nd_step_context *context,
                     float *row);

/* The history of `step`, as pointers into `hits` (n_steps, voices). `bar` is
 * the index of the step's bar, `repeats` that of the bar that it repeats, or
 * negative. */
nd_history nd_features_history(const nd_features *f, const nd_grid *grid, int32_t voices,
                               const uint8_t *hits, int32_t step, int32_t bar, int32_t repeats);

/* For each bar of a song (n_bars): the earlier bar that it repeats, or -1, and
 * how similar the two are (self_similarity.h). All -1 where the features have
 * no such part. nd_recurrence_clear() may be called twice. */
typedef struct nd_recurrence {
  int32_t *bar;        /* owns the block of both */
  float *similarity;
} nd_recurrence;

nd_status nd_recurrence_make(nd_recurrence *r, const nd_features *f, const float *metrics,
                             const nd_grid *grid, nd_error *err);
void nd_recurrence_clear(nd_recurrence *r);

#endif
