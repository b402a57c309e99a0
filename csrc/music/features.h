/* features.h - from what is heard and what was played to one input row of a
 * network: the same function for training and for playing.
 *
 *   ND_FEATURES_WHOLE     for a net with an encoder. Encoded: all metrics of
 *                         the step, the hits that are given there and which of
 *                         its cells are given, the density and fill asked of
 *                         its bar. Behind them: whether the past is told; the hits one step before and
 *                         those one bar back, two, four …; those of the bar
 *                         that this one is the return of, and how like it is;
 *                         the style's traits, and its groove at this place.
 *   ND_FEATURES_DRUMMER   all metrics of the step to be played, the hits one
 *                         step before, and those one bar back, two, four …
 *   ND_FEATURES_ORIGINAL  the hits one step before, and the intensity of the
 *                         step to be played (stored one step early, this is
 *                         one row of the 2023 system's window)
 *   ND_FEATURES_TOUCH     for a net that says how known hits are struck: the
 *                         place in beat, bar and phrase, the tempo, and the
 *                         hits of the step; all encoded
 *   ND_FEATURES_RAW       none of ours: rows come from the caller
 *
 * "A bar back" is by bars of the meter: the same place in a bar of another
 * length, nothing where that bar is shorter.
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

enum { ND_MAX_BACK = 6 };

typedef struct nd_features {
  nd_features_kind kind;
  int32_t n_back;
  int32_t back[ND_MAX_BACK];   /* bars, ascending */
  bool causal;                 /* nothing that lies ahead is heard: no metric of the whole
                                * song, no return */
} nd_features;

/* Rows of hits (voices) that lie behind a step; NULL where there is none. */
typedef struct nd_history {
  bool told;                           /* whether there may be any: no hits are rests then */
  const uint8_t *before;               /* the step before */
  const uint8_t *back[ND_MAX_BACK];    /* the same place so many bars ago */
  const uint8_t *alike;                /* ... in the bar that this one is the return of */
} nd_history;

/* All that a step's row is made of. */
typedef struct nd_step_context {
  const float *metrics;     /* (ND_N_METRICS) */
  nd_history past;
  const uint8_t *given;     /* (voices) hits that are given; NULL: none */
  const uint8_t *known;     /* (voices) 1 where a cell is given, hit or not */
  float likeness;           /* of this bar to the one that it is the return of */
  const float *style;       /* (nd_style_size); NULL: not given */
  int32_t into, beat;       /* steps since the bar began; steps a beat */
  float density;            /* of the bar, log2 of its share of the mean; NAN: not given */
  float fill;               /* 1: the bar is to be a fill, 0: not; NAN: not given */
} nd_step_context;

int32_t nd_features_inputs(const nd_features *f, int32_t voices);
int32_t nd_features_encoded(const nd_features *f, int32_t voices);

/* Fills `row` (inputs). */
void nd_features_row(const nd_features *f, int32_t voices, const nd_step_context *heard, float *row);

/* The past of `step` in hits (n_steps, voices) on a grid; `bar` is the index
 * of the step's bar, `alike` that of the bar that it is the return of, or
 * negative. */
nd_history nd_features_history(const nd_features *f, const nd_grid *grid, int32_t voices,
                         const uint8_t *hits, int32_t step, int32_t bar, int32_t alike);

/* The returns of a song's bars, where the features hear them: of which bar
 * each is the return, and how like it is. */
typedef struct nd_recurrence { int32_t *of; float *how; } nd_recurrence;

nd_status nd_recurrence_make(nd_recurrence *r, const nd_features *f, const float *metrics,
                          const nd_grid *grid, nd_error *err);
void nd_recurrence_clear(nd_recurrence *r);

#endif
