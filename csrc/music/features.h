/* features.h - from what is heard and what was played to one input row of a
 * network: the same function for training and for playing.
 *
 *   ND_FEATURES_DRUMMER   all metrics of the step to be played, the hits one
 *                         step before, and those one bar back, two, four …
 *                         (bars of the meter: the same place in a bar of
 *                         another length, nothing where that bar is shorter)
 *   ND_FEATURES_ORIGINAL  the hits one step before, and the intensity of the
 *                         step to be played (stored one step early, this is
 *                         one row of the 2023 system's window)
 *   ND_FEATURES_RAW       none of ours: rows come from the caller
 */
#ifndef ND_MUSIC_FEATURES_H
#define ND_MUSIC_FEATURES_H

#include "grid.h"
#include "metrics.h"

typedef enum nd_features_kind {
  ND_FEATURES_DRUMMER, ND_FEATURES_ORIGINAL, ND_FEATURES_RAW
} nd_features_kind;

enum { ND_MAX_BACK = 4 };

typedef struct nd_features {
  nd_features_kind kind;
  int32_t n_back;
  int32_t back[ND_MAX_BACK];   /* bars, ascending */
} nd_features;

/* Rows of hits (voices) that lie behind a step; NULL where there is none. */
typedef struct nd_past {
  const uint8_t *before;               /* the step before */
  const uint8_t *back[ND_MAX_BACK];    /* the same place so many bars ago */
} nd_past;

int32_t nd_features_inputs(const nd_features *f, int32_t voices);

/* Fills `row` (inputs) for a step with the given metrics (ND_N_METRICS). */
void nd_features_row(const nd_features *f, int32_t voices, const float *metrics,
                     const nd_past *past, float *row);

/* The past of `step` in hits (n_steps, voices) on a grid; `bar` is the index
 * of the step's bar. */
nd_past nd_features_past(const nd_features *f, const nd_grid *grid, int32_t voices,
                         const uint8_t *hits, int32_t step, int32_t bar);

#endif
