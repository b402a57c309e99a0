/* adam.h - the optimiser: Adam (Kingma and Ba 2015, algorithm 1) with clipping of the
 * gradient's global norm (Pascanu et al. 2013).
 *
 * All arrays are the caller's: weights w, gradient g, and the moving averages m and v
 * of the gradient and of its square, which start at 0 and belong to the checkpoint. */
#ifndef ND_NET_ADAM_H
#define ND_NET_ADAM_H

#include "../base/nd.h"

typedef struct nd_adam_options {
  float rate, beta1, beta2, epsilon;
  float clip;   /* largest norm of the gradient; 0: no clipping */
} nd_adam_options;

/* rate 1e-3, betas .9 and .999, epsilon 1e-7 (Keras's defaults), no clipping */
extern const nd_adam_options nd_adam_defaults;

/* Step number `step` (from 1) on n weights. *norm gets the gradient's norm before
 * clipping. If it is not finite, nothing is changed and the result is false. */
bool nd_adam_step(const nd_adam_options *o, int64_t step, size_t n, float *w, const float *g,
                  float *m, float *v, double *norm);

/* The same in pieces, for threads: the plan of a step for a gradient of that norm
 * (finite), and its application to some of the weights. */
typedef struct nd_adam_plan { float rate, root, beta1, beta2, epsilon, scale; } nd_adam_plan;
nd_adam_plan nd_adam_begin(const nd_adam_options *o, int64_t step, double norm);
void nd_adam_apply(const nd_adam_plan *plan, size_t n, float *w, const float *g, float *m,
                   float *v);

#endif
