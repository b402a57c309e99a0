/* explain.h - why a drummer found a hit likely: what each input of the song and
 * each earlier hit contributed to the hit's log-odds, as gradient times input
 * (saliency.h). A first-order estimate: the parts do not add up to the
 * log-odds.
 */
#ifndef ND_PLAY_EXPLAIN_H
#define ND_PLAY_EXPLAIN_H

#include "../net/saliency.h"
#include "likelihood.h"

typedef struct nd_reasons {
  float logit;                      /* log-odds, given the voices before it on the step */
  float beside[ND_MAX_VOICES];      /* from the voices that sound on the same step */
  float style;                      /* from the style, when it is given */
  float *song;                      /* (steps, ND_N_METRICS) from each metric, by step */
  float *hits;                      /* (steps, voices) from each earlier hit, by its step */
} nd_reasons;

/* Explains `n` targets of a whole Sequence, whose own drums are the history.
 * `style` (nd_style_size) may be NULL. `song` and `hits` of out[0..n-1] are the
 * caller's memory, overwritten. ND_MISUSE as nd_likelihood_rows() and
 * nd_saliency(); ND_FORMAT when a log-odds value is not finite. */
nd_status nd_explain(const nd_drummer *d, const nd_sequence *seq, const float *style,
                     const nd_target *targets, int32_t n, nd_reasons *out, nd_error *err);

#endif
