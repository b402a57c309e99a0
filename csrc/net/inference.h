/* inference.h - a streaming net over rows that are all known beforehand, in slices,
 * songs side by side: judging, and touch. */
#ifndef ND_NET_INFERENCE_H
#define ND_NET_INFERENCE_H

#include "playing.h"

typedef struct nd_inference {
  const nd_net *net;
  int32_t n, longest, at;
  const int32_t *steps;
  const float *const *x;
  float *const *logits;
  nd_encoder_run reading;
  float **encoding;         /* (n) of (steps, encoding), with an encoder */
  float *block;
  float *h, *c;             /* (layers, n, hidden) */
  float *in, *front;        /* of some steps: (…, n, inputs), (…, n, encoding) */
  float *z, *out;           /* (…, n, 4 hidden), (…, n, hidden) */
  float *scratch, *y;       /* of the head; (…, n, outputs) */
} nd_inference;

/* Song i has steps[i] rows of inputs at x[i], and logits[i] (steps, outputs) gets
 * what nd_net_logits() makes of them. All these are the caller's and stay. */
nd_status nd_inference_make(nd_inference *p, const nd_net *net, int32_t n, const int32_t *steps,
                       const float *const *x, float *const *logits, nd_error *err);

/* Goes on for about so many multiply-adds, and at least a few steps; what is
 * left of them, negative or 0 when it is not done. */
double nd_inference_advance(nd_inference *p, double products);
bool nd_inference_done(const nd_inference *p);
void nd_inference_clear(nd_inference *p);

#endif
