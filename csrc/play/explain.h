/* explain.h - why a drummer found a hit likely: what each thing that it heard,
 * and each hit before, added to the hit's log-odds (gradient times input). To
 * first order: the parts don't add up to the log-odds. */
#ifndef ND_PLAY_EXPLAIN_H
#define ND_PLAY_EXPLAIN_H

#include "../net/saliency.h"
#include "likelihood.h"

typedef struct nd_reasons {
  float logit;                      /* log-odds, the voices before it being known */
  float beside[ND_MAX_VOICES];      /* of the voices struck at the same step */
  float style;                      /* of the style, when it is given */
  float *song;                      /* (steps, ND_N_METRICS), by when it is heard */
  float *hits;                      /* (steps, voices), by when they were struck */
} nd_reasons;

/* Of each of the targets in a whole Sequence, its own drums being the history.
 * `out` (n): `song` and `hits` are the caller's memory, overwritten. */
nd_status nd_explain(const nd_drummer *d, const nd_sequence *seq, const float *style,
                     const nd_target *targets, int32_t n, nd_reasons *out, nd_error *err);

#endif
