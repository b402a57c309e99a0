#include "adam.h"

#include <math.h>

#include "kernels.h"

const nd_adam_options nd_adam_defaults = {1e-3f, 0.9f, 0.999f, 1e-7f, 0.0f};

bool nd_adam_step(const nd_adam_options *o, int64_t step, size_t n, float *w, const float *g,
                  float *m, float *v, double *norm) {
  *norm = sqrt(nd_sum_squares(n, g));
  if (!isfinite(*norm)) return false;
  float scale = o->clip > 0.0f && *norm > (double)o->clip ? (float)((double)o->clip / *norm) : 1.0f;
  double t = (double)step;
  float rate = (float)((double)o->rate / (1.0 - pow((double)o->beta1, t)));
  float root = (float)sqrt(1.0 - pow((double)o->beta2, t));
  nd_adam_update(n, w, g, m, v, rate, root, o->beta1, o->beta2, o->epsilon, scale);
  return true;
}
