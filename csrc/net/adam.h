/* adam.h - the optimiser: Adam with clipping of the gradient's global norm. */
#ifndef ND_NET_ADAM_H
#define ND_NET_ADAM_H

#include "../nd.h"

typedef struct nd_adam_options {
  float rate, beta1, beta2, epsilon;
  float clip;   /* largest norm of the gradient; 0: as it is */
} nd_adam_options;

/* rate 1e-3, betas .9 and .999, epsilon 1e-7, no clipping */
extern const nd_adam_options nd_adam_defaults;

/* Step number `step` (from 1) on n weights. The gradient's norm before
 * clipping goes to *norm; when it is not finite nothing is changed and the
 * result is false. */
bool nd_adam_step(const nd_adam_options *o, int64_t step, size_t n, float *w, const float *g,
                  float *m, float *v, double *norm);

#endif
