/* inference.h - a streaming net over inputs that are all known beforehand (teacher
 * forcing), a slice of work at a time, several songs side by side. For
 * likelihoods and for humanising.
 */
#ifndef ND_NET_INFERENCE_H
#define ND_NET_INFERENCE_H

#include "encoder.h"

typedef struct nd_inference {
  const nd_net *net;
  int32_t n, longest, at;
  const int32_t *steps;
  const float *const *x;
  float *const *logits;
  nd_encoder_run encoder;
  nd_arena arena;           /* all of the below */
  float **encoding;         /* (n) of (steps, encoding), with an encoder */
  float *h, *c;             /* (layers, n, hidden) */
  float *in, *encoder_out;  /* of a chunk of steps: (…, n, inputs), (…, n, encoding) */
  float *z, *out;           /* (…, n, 4 hidden), (…, n, hidden) */
  float *scratch, *y;       /* of the head; (…, n, outputs) */
} nd_inference;

/* Song i has steps[i] rows of inputs at x[i]; logits[i] (steps, outputs) gets
 * nd_inference_logits() of each. The caller owns all of these until the run is
 * cleared. ND_NOMEM. */
nd_status nd_inference_make(nd_inference *p, const nd_net *net, int32_t n, const int32_t *steps,
                            const float *const *x, float *const *logits, nd_error *err);

/* Runs until about `macs` multiply-accumulates are spent, at least a few steps.
 * Returns what is left of them: 0 or less when the run is not done. */
double nd_inference_advance(nd_inference *p, const nd_inference_weights *w, double macs);
bool nd_inference_done(const nd_inference *p);
void nd_inference_clear(nd_inference *p);

#endif
