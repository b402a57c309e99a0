/* nca.c - trains the projection: 400 Adam steps; each compares up to 512 songs with
 * all others, so a step costs O(min(n, 512) n K). */
#include "nca.h"

#include <math.h>
#include <string.h>

#include "../base/arena.h"
#include "../net/adam.h"
#include "../net/blas.h"

enum {
  TRAIN_STEPS = 400,
  MAX_QUERIES = 512,          /* songs that look for neighbours in one step */
  MIN_SONGS = 8,
  K = ND_STYLES_PROJECTED,    /* dimensions after the projection */
  T = ND_SONG_TRAITS          /* dimensions before it */
};

static const float agreement_gain = 8.0f;
static const float drop_rate = 0.7f;            /* share of traits dropped */
static const float weight_decay = 3e-3f;        /* L2, added to the gradient */
static const float duplicate_threshold = 0.97f; /* agreement of two versions */

typedef struct nca_state {
  int32_t n, n_queries;
  float *traits;          /* (n, T) standardised: mean 0, deviation 1 */
  float *dropped_traits;  /* (n, T) the same after dropout */
  float *agreement;       /* (n, n) 0..1; negative: the pair is left out */
  float *z, *dz;          /* (n, K) projected songs, and their gradient */
  float *w, *dw, *m, *v;  /* (T, K) projection, gradient, Adam's moments */
  float *p;               /* (n) neighbour probabilities of one song */
  int32_t *order;         /* (n) shuffled to choose a step's queries */
  float mean[T], scale[T];
  nd_arena arena;         /* owns all of the above */
} nca_state;

/* All arrays in one block; the arena counts first, then hands them out. */
static void lay_out(nca_state *s, nd_arena *a) {
  size_t n = (size_t)s->n;
  s->traits = nd_arena_floats(a, n * T);
  s->dropped_traits = nd_arena_floats(a, n * T);
  s->agreement = nd_arena_floats(a, n * n);
  s->z = nd_arena_floats(a, n * K);
  s->dz = nd_arena_floats(a, n * K);
  s->w = nd_arena_floats(a, T * K);
  s->dw = nd_arena_floats(a, T * K);
  s->m = nd_arena_floats(a, T * K);
  s->v = nd_arena_floats(a, T * K);
  s->p = nd_arena_floats(a, n);
  s->order = nd_arena_take(a, n, sizeof *s->order);
}

/* Metrics that give a position in the bar say nothing about the song as a
 * whole; the meter does, although it is one of them. */
static bool is_position(int trait) {
  int metric = trait / 2;  /* two traits a metric: mean and deviation */
  return trait < 2 * ND_N_METRICS && nd_metric_is_position(metric) && metric != ND_M_METER;
}

/* Mean 0 and deviation 1 for each trait, so that none dominates by its unit. */
static void standardise(nca_state *s, const nd_styles *styles) {
  for (int k = 0; k < T; k++) {
    double sum = 0, squares = 0;
    for (int32_t i = 0; i < s->n; i++) {
      double x = (double)styles->song[(size_t)i * T + (size_t)k];
      sum += x;
      squares += x * x;
    }
    double mean = sum / s->n, var = squares / s->n - mean * mean;
    s->mean[k] = (float)mean;
    /* A trait that hardly varies is ignored: a model saved in half precision
     * could not tell its values apart, and 1 / sd would blow the error up. */
    s->scale[k] = var > 1e-6 && !is_position(k) ? (float)(1 / sqrt(var)) : 0.0f;
    for (int32_t i = 0; i < s->n; i++) {
      size_t at = (size_t)i * T + (size_t)k;
      s->traits[at] = (styles->song[at] - s->mean[k]) * s->scale[k];
    }
  }
}

/* Fills the symmetric matrix of groove agreements. A song agrees with itself
 * (1 > duplicate_threshold) and is therefore never its own neighbour. */
static void compare_grooves(nca_state *s, const nd_styles *styles) {
  for (int32_t i = 0; i < s->n; i++)
    for (int32_t j = 0; j <= i; j++) {
      float a = i == j ? 1.0f : nd_styles_agree(styles, i, j);
      if (a > duplicate_threshold) a = -1.0f;
      s->agreement[(size_t)i * (size_t)s->n + (size_t)j] = a;
      s->agreement[(size_t)j * (size_t)s->n + (size_t)i] = a;
    }
}

/* Inverted dropout: the remaining traits are scaled up, so that distances have
 * the same expectation with and without it. */
static void drop_traits(nca_state *s, nd_rng *rng) {
  float gain = 1.0f / (1.0f - drop_rate);
  for (size_t i = 0; i < (size_t)s->n * T; i++)
    s->dropped_traits[i] = nd_rng_float(rng) < drop_rate ? 0.0f : s->traits[i] * gain;
}

/* Adds to dz the gradient of -log sum_j p_ij exp(gain a_ij) / (gain n_queries)
 * for query i. With q_ij = p_ij exp(gain a_ij) / sum, the posterior of the
 * neighbour given agreement, the derivative by the squared distance d_ij is
 * q_ij - p_ij: pairs that agree more than expected attract each other. */
static void accumulate_gradient(nca_state *s, int32_t i) {
  const float *zi = s->z + (size_t)i * K;
  const float *agreement = s->agreement + (size_t)i * (size_t)s->n;
  float nearest = INFINITY;
  double total = 0, weighted = 0;
  for (int32_t j = 0; j < s->n; j++) {
    const float *zj = s->z + (size_t)j * K;
    float d = 0;
    for (int k = 0; k < K; k++) d += (zi[k] - zj[k]) * (zi[k] - zj[k]);
    s->p[j] = d;
    if (agreement[j] >= 0.0f && d < nearest) nearest = d;
  }
  if (nearest == INFINITY) return;  /* every other song is a version of this one */
  for (int32_t j = 0; j < s->n; j++) {
    /* softmax with the largest exponent taken off, so that none overflows */
    s->p[j] = agreement[j] >= 0.0f ? expf(nearest - s->p[j]) : 0.0f;
    total += (double)s->p[j];
    if (agreement[j] >= 0.0f) weighted += (double)(s->p[j] * expf(agreement_gain * agreement[j]));
  }
  for (int32_t j = 0; j < s->n; j++) {
    if (s->p[j] == 0.0f) continue;
    float p = (float)((double)s->p[j] / total);
    float q = (float)((double)(s->p[j] * expf(agreement_gain * agreement[j])) / weighted);
    float g = 2.0f * (q - p) / (agreement_gain * (float)s->n_queries);
    const float *zj = s->z + (size_t)j * K;
    for (int k = 0; k < K; k++) {
      float change = g * (zi[k] - zj[k]);
      s->dz[(size_t)i * K + (size_t)k] += change;
      s->dz[(size_t)j * K + (size_t)k] -= change;
    }
  }
}

/* One Adam step over a random choice of queries; false if it diverged. */
static bool train_step(nca_state *s, int64_t index, nd_rng *rng) {
  nd_adam_options adam = nd_adam_defaults;
  double norm;
  adam.rate = 3e-3f;
  adam.epsilon = 1e-8f;
  drop_traits(s, rng);
  nd_gemm(ND_N, ND_N, s->n, K, T, s->dropped_traits, s->w, 0.0f, s->z);
  memset(s->dz, 0, (size_t)s->n * K * sizeof *s->dz);
  for (int32_t i = 0; i < s->n; i++) s->order[i] = i;
  if (s->n_queries < s->n) nd_rng_shuffle(rng, s->order, (size_t)s->n);
  for (int32_t i = 0; i < s->n_queries; i++) accumulate_gradient(s, s->order[i]);
  /* dw = traits^T dz + decay w, by the product's own "beta c" term */
  memcpy(s->dw, s->w, T * K * sizeof *s->dw);
  nd_gemm(ND_T, ND_N, T, K, s->n, s->dropped_traits, s->dz, weight_decay, s->dw);
  return nd_adam_step(&adam, index, T * K, s->w, s->dw, s->m, s->v, &norm);
}

/* Adam refuses a step whose gradient is not finite; training stops there and the
 * old projection stays. */
nd_status nd_nca_learn(nd_styles *styles, uint64_t seed, nd_error *err) {
  nca_state s = {.n = styles->n, .n_queries = styles->n < MAX_QUERIES ? styles->n : MAX_QUERIES};
  nd_arena counted = {0};
  if (styles->n < MIN_SONGS) return ND_OK;
  lay_out(&s, &counted);
  if (!nd_arena_reserve(&s.arena, counted.used)) return nd_nomem(err);
  lay_out(&s, &s.arena);
  nd_rng rng = nd_rng_seed(seed, 6);
  standardise(&s, styles);
  compare_grooves(&s, styles);
  for (size_t i = 0; i < T * K; i++) s.w[i] = 0.03f * nd_rng_normal(&rng);
  bool finite = true;
  for (int64_t k = 1; k <= TRAIN_STEPS && finite; k++) finite = train_step(&s, k, &rng);
  /* The scale is folded in, so that the projection applies to raw traits. The
   * mean is not needed: it cancels in the difference of two songs. */
  for (size_t k = 0; k < T && finite; k++)
    for (size_t i = 0; i < K; i++) styles->projection[k * K + i] = s.w[k * K + i] * s.scale[k];
  nd_arena_clear(&s.arena);
  return ND_OK;
}
