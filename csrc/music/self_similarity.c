/* self_similarity.c - distances between bars.
 *
 * Vectors are stored position by position, all bars side by side, so that one bar
 * is compared with many others by vector instructions. Only the last 64 lags are
 * computed for every bar: O(64 n) instead of O(n^2) for a song of n bars. */
#include "self_similarity.h"

#include <math.h>
#include <stdlib.h>

#include "../base/simd.h"

enum {
  POSITIONS = 16,         /* parts of a bar: sixteenths in 4/4 */
  NOVELTY_BARS = 4,       /* bars on each side that novelty compares */
  MAX_LAG = ND_SIMILARITY_MAX_LAG,
  LANES = 16              /* partial sums of a distance; part of the result */
};

static const int compared[] = {ND_M_ONSETS_LOW, ND_M_ONSETS_MID, ND_M_ONSETS_HIGH, ND_M_BASS,
                            ND_M_SOUNDING, ND_M_LOUDNESS, ND_M_HARMONY};
enum { N_COMPARED = sizeof compared / sizeof *compared };

/* One metric of one bar, resampled to 16 positions that lie `stride` apart: the
 * maximum of the steps in a position, or the step that a position lies in where
 * the bar has fewer steps. */
static void resample(float *to, size_t stride, const float *metric, int32_t from, int32_t steps) {
  for (int64_t position = 0; position < POSITIONS; position++, to += stride) {
    int32_t first = from + (int32_t)(position * steps / POSITIONS);
    int32_t stop = from + (int32_t)((position + 1) * steps / POSITIONS);
    float max = metric[(size_t)first * ND_N_METRICS];
    for (int32_t t = first + 1; t < stop; t++)
      if (metric[(size_t)t * ND_N_METRICS] > max) max = metric[(size_t)t * ND_N_METRICS];
    *to = max;
  }
}

/* Scales one metric of all vectors, (POSITIONS, stride), so that its variance over
 * the n bars, summed over positions, is 1: each metric then has the same say.
 * false when it does not vary; it is 0 then. */
static bool standardise(float *metric, size_t n, size_t stride) {
  double variance = 0;
  for (size_t p = 0; p < POSITIONS; p++) {
    double sum = 0, squares = 0;
    for (size_t b = 0; b < n; b++) {
      double v = (double)metric[p * stride + b];
      sum += v;
      squares += v * v;
    }
    variance += fmax(squares / (double)n - sum / (double)n * (sum / (double)n), 0);
  }
  bool varies = variance > 1e-9;
  float scale = varies ? (float)(1 / sqrt(variance)) : 0.0f;
  for (size_t i = 0; i < POSITIONS * stride; i++) metric[i] *= scale;
  return varies;
}

/* Squared distances of one bar to BLOCK bars that lie side by side. Each sum is
 * made in the same order for any vector width, and without fused multiply-adds,
 * which round differently (so AVX2 is enabled without FMA): results do not depend
 * on the machine. A CPU without AVX2 does a vector of eight in two halves. */
enum { BLOCK = 16 };
typedef void distances(const float *bar, const float *bars, size_t stride, float *to);
typedef float eight __attribute__((vector_size(32), aligned(4), may_alias));

ND_INLINE void distances_inline(const float *bar, const float *bars, size_t stride, float *to) {
  for (size_t at = 0; at < BLOCK; at += 8) {
    eight distance = {0};
    for (size_t lane = 0; lane < LANES; lane++) {
      eight sum = {0};
      for (size_t i = lane; i < N_COMPARED * POSITIONS; i += LANES) {
        eight difference = bar[i * stride] - *(const eight *)(bars + i * stride + at);
        sum += difference * difference;
      }
      distance += sum;
    }
    *(eight *)(to + at) = distance;
  }
}

static void distances_portable(const float *bar, const float *bars, size_t stride, float *to) {
  distances_inline(bar, bars, stride, to);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void distances_avx2(const float *bar, const float *bars,
                                                           size_t stride, float *to) {
  distances_inline(bar, bars, stride, to);
}

static distances *choose(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") ? distances_avx2 : distances_portable;
}
#else
static distances *choose(void) { return distances_portable; }
#endif

/* Similarity of bar b to the bars from..from+count-1. The mean squared distance
 * of two random bars, total, gives 0. */
static void compare(const nd_similarity *l, distances *measure, int32_t b, int32_t from,
                    int32_t count, float *to) {
  for (int32_t at = 0; at < count; at += BLOCK) {
    float distance[BLOCK];
    measure(l->vectors + b, l->vectors + from + at, l->stride, distance);
    for (int32_t k = 0; k < BLOCK && at + k < count; k++)
      to[at + k] = l->total > 0 ? 1.0f - distance[k] / l->total : 1.0f;
  }
}

/* Each metric that varies contributes a variance of 1, hence a mean squared
 * distance of 2 between two random bars: the sum is `total`. */
nd_status nd_similarity_make(nd_similarity *l, const float *metrics, const nd_grid *grid,
                             nd_error *err) {
  const size_t n = (size_t)grid->n_bars;
  *l = (nd_similarity){.n_bars = grid->n_bars, .width = N_COMPARED * POSITIONS};
  /* Bars are compared in whole blocks, so the arrays extend beyond the last bar.
   * An odd number of cache lines spreads the positions over the cache's sets. */
  l->stride = (n / BLOCK + 2) / 2 * 2 * BLOCK + BLOCK;
  l->vectors = nd_calloc(l->stride, N_COMPARED * POSITIONS * sizeof *l->vectors);
  l->by_lag = nd_calloc(n, MAX_LAG * sizeof *l->by_lag);
  if (l->vectors == NULL || l->by_lag == NULL) {
    nd_similarity_clear(l);
    return nd_nomem(err);
  }
  for (size_t k = 0; k < N_COMPARED; k++) {
    float *metric = l->vectors + k * POSITIONS * l->stride;
    for (int32_t b = 0; b < grid->n_bars; b++) {
      int32_t from = grid->bars[b].step, steps = nd_grid_bar_end(grid, b) - from;
      if (steps > 0) resample(metric + b, l->stride, metrics + compared[k], from, steps);
    }
    if (standardise(metric, n, l->stride)) l->total += 2.0f;
  }
  distances *measure = choose();
  for (int32_t b = 0; b < grid->n_bars; b++) {
    int32_t back = b < MAX_LAG ? b : MAX_LAG;
    compare(l, measure, b, b - back, back, l->by_lag + (size_t)b * MAX_LAG + MAX_LAG - back);
  }
  return ND_OK;
}

void nd_similarity_clear(nd_similarity *l) {
  free(l->vectors);
  free(l->by_lag);
  l->vectors = l->by_lag = NULL;
}

/* From the table, or computed when the bars are further apart than it reaches. */
float nd_similarity_at(const nd_similarity *l, int32_t a, int32_t b) {
  int32_t later = a > b ? a : b, back = a > b ? a - b : b - a;
  float similarity = 1.0f;
  if (back > MAX_LAG) compare(l, choose(), a, b, 1, &similarity);
  else if (back > 0) similarity = l->by_lag[(size_t)later * MAX_LAG + (size_t)(MAX_LAG - back)];
  return similarity;
}

/* Foote's checkerboard kernel without the Gaussian taper: mean similarity within
 * both sides minus mean similarity across. */
float nd_similarity_novelty(const nd_similarity *l, int32_t bar) {
  int32_t reach = NOVELTY_BARS;  /* fewer near the song's ends */
  if (bar < reach) reach = bar;
  if (l->n_bars - bar < reach) reach = l->n_bars - bar;
  if (reach < 2) return 0.0f;
  float within = 0, across = 0;
  for (int32_t i = 0; i < reach; i++)
    for (int32_t j = 0; j < reach; j++) {
      across += nd_similarity_at(l, bar - 1 - i, bar + j);
      if (i < j)
        within += nd_similarity_at(l, bar - 1 - i, bar - 1 - j) +
                  nd_similarity_at(l, bar + i, bar + j);
    }
  return within / (float)(reach * (reach - 1)) - across / (float)(reach * reach);
}

void nd_similarity_recurrence(const nd_similarity *l, const nd_grid *grid, int32_t *source,
                              float *similarity) {
  /* Weights found on the training songs: of the bars on both sides, of lags that
   * are whole phrases of four, and against older bars when all else is equal. */
  const float neighbour = 0.25f, phrase = 0.05f, age = 0.001f;
  for (int32_t b = 0; b < l->n_bars; b++) {
    /* rows of the bar before, this one and the next, indexed by -lag */
    const float *here = l->by_lag + (size_t)(b + 1) * MAX_LAG;
    const float *before = here - MAX_LAG, *after = here + MAX_LAG;
    int32_t steps = nd_grid_bar_end(grid, b) - grid->bars[b].step;
    float best = -INFINITY;
    source[b] = -1;
    similarity[b] = 0.0f;
    for (int32_t d = 1; d <= MAX_LAG && d <= b; d++) {
      int32_t c = b - d;
      if (nd_grid_bar_end(grid, c) - grid->bars[c].step != steps) continue;
      /* the bars before and after; at the song's ends the bar itself */
      float sides = (c > 0 ? before[-d] : here[-d]) + (b + 1 < l->n_bars ? after[-d] : here[-d]);
      float score = here[-d] + neighbour * sides + (d % 4 == 0 ? phrase : 0.0f) - age * (float)d;
      if (score <= best) continue;
      best = score;
      source[b] = c;
      similarity[b] = fmaxf(here[-d], -1.0f);
    }
  }
}

/* Values are limited to -4..4, as all metrics are, and rounded to half precision. */
nd_status nd_similarity_metrics(float *metrics, const nd_grid *grid, nd_error *err) {
  nd_similarity l;
  int32_t *source = nd_calloc((size_t)grid->n_bars, sizeof *source);
  float *similarity = nd_calloc((size_t)grid->n_bars, sizeof *similarity);
  nd_status status = source && similarity ? ND_OK : nd_nomem(err);
  if (status == ND_OK) status = nd_similarity_make(&l, metrics, grid, err);
  if (status == ND_OK) {
    nd_similarity_recurrence(&l, grid, source, similarity);
    for (int32_t b = 0; b < grid->n_bars; b++) {
      int32_t stop = nd_grid_bar_end(grid, b);
      float bar[3] = {b > 0 ? 1.0f - nd_similarity_at(&l, b, b - 1) : 0.0f, similarity[b],
                      nd_similarity_novelty(&l, b)};
      for (int k = 0; k < 3; k++) bar[k] = nd_half_round(fminf(fmaxf(bar[k], -4.0f), 4.0f));
      for (int32_t t = grid->bars[b].step; t < stop; t++) {
        float *m = metrics + (size_t)t * ND_N_METRICS;
        m[ND_M_CONTRAST] = bar[0];
        m[ND_M_RECURRENCE] = bar[1];
        m[ND_M_NOVELTY] = bar[2];
      }
    }
    nd_similarity_clear(&l);
  }
  free(source);
  free(similarity);
  return status;
}
