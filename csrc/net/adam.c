/* adam.c - one step of Adam (Kingma & Ba 2015, algorithm 1):
 *
 *   m = beta1 m + (1 - beta1) g       v = beta2 v + (1 - beta2) g^2
 *   w = w - rate m' / (sqrt(v') + epsilon)
 *   with m' = m / (1 - beta1^t),  v' = v / (1 - beta2^t)
 *
 * The loop itself is nd_adam_update() in kernels.c; here its constants are computed.
 */
#include "adam.h"

#include <math.h>

#include "kernels.h"

const nd_adam_options nd_adam_defaults = {.rate = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f,
                                          .epsilon = 1e-7f, .clip = 0.0f};

/* Clipping scales the whole gradient, so that its direction stays (Pascanu et al. 2013).
 * The corrections of m and v are the same for all weights, so they are computed once, in
 * double precision because beta2^t is close to 1 in the first steps. */
nd_adam_plan nd_adam_begin(const nd_adam_options *o, int64_t step, double norm) {
  double t = (double)step;
  nd_adam_plan p = {.beta1 = o->beta1, .beta2 = o->beta2, .epsilon = o->epsilon, .scale = 1.0f};
  if (o->clip > 0.0f && norm > (double)o->clip) p.scale = (float)((double)o->clip / norm);
  p.rate = (float)((double)o->rate / (1.0 - pow((double)o->beta1, t)));
  p.root = (float)sqrt(1.0 - pow((double)o->beta2, t));
  return p;
}

void nd_adam_apply(const nd_adam_plan *p, size_t n, float *w, const float *g, float *m, float *v) {
  nd_adam_update(n, w, g, m, v, p->rate, p->root, p->beta1, p->beta2, p->epsilon, p->scale);
}

/* A NaN or an infinity anywhere in the gradient makes the norm not finite, and would stay
 * in the moments for good; the caller learns of it before anything has changed. */
bool nd_adam_step(const nd_adam_options *o, int64_t step, size_t n, float *w, const float *g,
                  float *m, float *v, double *norm) {
  *norm = sqrt(nd_sum_squares(n, g));
  if (!isfinite(*norm)) return false;
  nd_adam_plan plan = nd_adam_begin(o, step, *norm);
  nd_adam_apply(&plan, n, w, g, m, v);
  return true;
}
