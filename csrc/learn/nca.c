#include "nca.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/adam.h"
#include "../net/blas.h"

enum { STEPS = 400, ROWS = 512, FEWEST = 8, K = ND_STYLES_PROJECTED, T = ND_SONG_TRAITS };

static const float pull = 8.0f;       /* how much agreement counts */
static const float left_out = 0.7f;   /* share of the traits */
static const float decay = 3e-3f;     /* of the weights, as a gradient */
static const float twin = 0.97f;      /* agreement of versions of one song */

typedef struct school {
  int32_t n, rows;        /* songs; those that look for their groove at a step */
  float *x;               /* (n, T) traits, each of mean 0 and deviation 1 */
  float *seen;            /* (n, T) with some left out */
  float *agree;           /* (n, n); negative: no lesson */
  float *z, *dz;          /* (n, K) */
  float *w, *dw, *m, *v;  /* (T, K) */
  float *p;               /* (n) */
  int32_t *order;         /* (n) */
  float mean[T], scale[T];
} school;

static void clear(school *s) {
  free(s->x);
  free(s->seen);
  free(s->agree);
  free(s->z);
  free(s->dz);
  free(s->w);
  free(s->p);
  free(s->order);
}

static nd_status make(school *s, const nd_styles *styles, nd_error *err) {
  size_t n = (size_t)styles->n;
  *s = (school){.n = styles->n, .rows = styles->n < ROWS ? styles->n : ROWS};
  s->x = nd_calloc(n * T, sizeof(float));
  s->seen = nd_calloc(n * T, sizeof(float));
  s->agree = nd_calloc(n * n, sizeof(float));
  s->z = nd_calloc(n * K, sizeof(float));
  s->dz = nd_calloc(n * K, sizeof(float));
  s->w = nd_calloc(4 * T * K, sizeof(float));
  s->p = nd_calloc(n, sizeof(float));
  s->order = nd_calloc(n, sizeof(int32_t));
  if (!s->x || !s->seen || !s->agree || !s->z || !s->dz || !s->w || !s->p || !s->order) {
    clear(s);
    return nd_fail(err, ND_NOMEM, "out of memory");
  }
  s->dw = s->w + T * K;
  s->m = s->dw + T * K;
  s->v = s->m + T * K;
  return ND_OK;
}

static void standardise(school *s, const nd_styles *styles) {
  for (int k = 0; k < T; k++) {
    double sum = 0, squares = 0;
    for (int32_t i = 0; i < s->n; i++) {
      double x = (double)styles->song[(size_t)i * T + (size_t)k];
      sum += x;
      squares += x * x;
    }
    double mean = sum / s->n, var = squares / s->n - mean * mean;
    s->mean[k] = (float)mean;
    /* where in its bars a song plays is no trait of it; but its meter is */
    bool place = k < 2 * ND_N_METRICS && nd_metric_is_place(k / 2) && k / 2 != ND_M_METER;
    /* nor is what half precision, in which a model may be kept, hardly tells apart */
    s->scale[k] = var > 1e-6 && !place ? (float)(1 / sqrt(var)) : 0.0f;
    for (int32_t i = 0; i < s->n; i++) {
      size_t at = (size_t)i * T + (size_t)k;
      s->x[at] = (styles->song[at] - s->mean[k]) * s->scale[k];
    }
  }
}

static void compare(school *s, const nd_styles *styles) {
  for (int32_t i = 0; i < s->n; i++)
    for (int32_t j = 0; j <= i; j++) {
      float a = i == j ? 1.0f : nd_styles_agree(styles, i, j);
      if (a > twin) a = -1.0f;
      s->agree[(size_t)i * (size_t)s->n + (size_t)j] = a;
      s->agree[(size_t)j * (size_t)s->n + (size_t)i] = a;
    }
}

static void leave_out(school *s, nd_rng *rng) {
  float kept = 1.0f / (1.0f - left_out);
  for (size_t i = 0; i < (size_t)s->n * T; i++)
    s->seen[i] = nd_rng_float(rng) < left_out ? 0.0f : s->x[i] * kept;
}

/* One song's look at all others: adds to dz the gradient of -log sum p e^(8a). */
static void look(school *s, int32_t i) {
  const float *zi = s->z + (size_t)i * K, *agree = s->agree + (size_t)i * (size_t)s->n;
  float least = INFINITY;
  double total = 0, pulled = 0;
  for (int32_t j = 0; j < s->n; j++) {
    const float *zj = s->z + (size_t)j * K;
    float d = 0;
    for (int k = 0; k < K; k++) d += (zi[k] - zj[k]) * (zi[k] - zj[k]);
    s->p[j] = d;
    if (agree[j] >= 0.0f && d < least) least = d;
  }
  if (least == INFINITY) return;
  for (int32_t j = 0; j < s->n; j++) {
    s->p[j] = agree[j] >= 0.0f ? expf(least - s->p[j]) : 0.0f;
    total += (double)s->p[j];
    if (agree[j] >= 0.0f) pulled += (double)(s->p[j] * expf(pull * agree[j]));
  }
  for (int32_t j = 0; j < s->n; j++) {
    if (s->p[j] == 0.0f) continue;
    float p = (float)((double)s->p[j] / total);
    float q = (float)((double)(s->p[j] * expf(pull * agree[j])) / pulled);
    float g = 2.0f * (q - p) / (pull * (float)s->rows);
    const float *zj = s->z + (size_t)j * K;
    for (int k = 0; k < K; k++) {
      float change = g * (zi[k] - zj[k]);
      s->dz[(size_t)i * K + (size_t)k] += change;
      s->dz[(size_t)j * K + (size_t)k] -= change;
    }
  }
}

static bool step(school *s, int64_t number, nd_rng *rng) {
  nd_adam_options adam = nd_adam_defaults;
  double norm;
  adam.rate = 3e-3f;
  adam.epsilon = 1e-8f;
  leave_out(s, rng);
  nd_gemm(ND_N, ND_N, s->n, K, T, s->seen, s->w, 0.0f, s->z);
  memset(s->dz, 0, (size_t)s->n * K * sizeof *s->dz);
  for (int32_t i = 0; i < s->n; i++) s->order[i] = i;
  if (s->rows < s->n) nd_rng_shuffle(rng, s->order, (size_t)s->n);
  for (int32_t i = 0; i < s->rows; i++) look(s, s->order[i]);
  memcpy(s->dw, s->w, T * K * sizeof *s->dw);
  nd_gemm(ND_T, ND_N, T, K, s->n, s->seen, s->dz, decay, s->dw);
  return nd_adam_step(&adam, number, T * K, s->w, s->dw, s->m, s->v, &norm);
}

nd_status nd_nca_learn(nd_styles *styles, uint64_t seed, nd_error *err) {
  school s;
  if (styles->n < FEWEST) return ND_OK;
  nd_status status = make(&s, styles, err);
  if (status != ND_OK) return status;
  nd_rng rng = nd_rng_seed(seed, 6);
  standardise(&s, styles);
  compare(&s, styles);
  for (size_t i = 0; i < T * K; i++) s.w[i] = 0.03f * nd_rng_normal(&rng);
  bool sound = true;
  for (int64_t k = 1; k <= STEPS && sound; k++) sound = step(&s, k, &rng);
  for (size_t k = 0; k < T && sound; k++)
    for (size_t i = 0; i < K; i++) styles->projection[k * K + i] = s.w[k * K + i] * s.scale[k];
  clear(&s);
  return ND_OK;
}
