/* adam.c - what is the same for all weights is computed once per step, in double. */
#include "adam.h"

#include <math.h>

#include "kernels.h"

const nd_adam_options nd_adam_defaults = {.rate = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f,
                                          .epsilon = 1e-7f, .clip = 0.0f};

nd_adam_plan nd_adam_begin(const nd_adam_options *o, int64_t step, double norm) {
  double t = (double)step;
  nd_adam_plan p = {.beta1 = o->beta1, .beta2 = o->beta2, .epsilon = o->epsilon, .scale = 1.0f};
  if (o->clip > 0.0f && norm > (double)o->clip) p.scale = (float)((double)o->clip / norm);
  /* m and v start at 0: these divisions remove that bias */
  p.rate = (float)((double)o->rate / (1.0 - pow((double)o->beta1, t)));
  p.root = (float)sqrt(1.0 - pow((double)o->beta2, t));
  return p;
}

void nd_adam_apply(const nd_adam_plan *p, size_t n, float *w, const float *g, float *m, float *v) {
  nd_adam_update(n, w, g, m, v, p->rate, p->root, p->beta1, p->beta2, p->epsilon, p->scale);
}

bool nd_adam_step(const nd_adam_options *o, int64_t step, size_t n, float *w, const float *g,
                  float *m, float *v, double *norm) {
  *norm = sqrt(nd_sum_squares(n, g));
  if (!isfinite(*norm)) return false;
  nd_adam_plan plan = nd_adam_begin(o, step, *norm);
  nd_adam_apply(&plan, n, w, g, m, v);
  return true;
}
