#include "self_similarity.h"

#include <math.h>
#include <stdlib.h>

enum { PLACES = 16, AROUND = 4, REACH = ND_SIMILARITY_MAX_LAG, LANES = 16 };

static const int heard[] = {ND_M_ONSETS_LOW, ND_M_ONSETS_MID, ND_M_ONSETS_HIGH, ND_M_BASS,
                            ND_M_SOUNDING, ND_M_LOUDNESS, ND_M_HARMONY};
enum { HEARD = sizeof heard / sizeof *heard };

static int32_t bar_end(const nd_grid *grid, int32_t bar) {
  return bar + 1 < grid->n_bars ? grid->bars[bar + 1].step : grid->n_steps;
}

/* One metric of one bar: the most of the steps that fall on a place, or the
 * one it falls in. Places lie `stride` apart. */
static void fill_places(float *to, size_t stride, const float *metric, int32_t from, int32_t steps) {
  for (int64_t place = 0; place < PLACES; place++, to += stride) {
    int32_t first = from + (int32_t)(place * steps / PLACES);
    int32_t stop = from + (int32_t)((place + 1) * steps / PLACES);
    float most = metric[(size_t)first * ND_N_METRICS];
    for (int32_t t = first + 1; t < stop; t++)
      if (metric[(size_t)t * ND_N_METRICS] > most) most = metric[(size_t)t * ND_N_METRICS];
    *to = most;
  }
}

/* Gives a metric of every vector, (PLACES, stride), a variance of 1 over the n bars. */
static bool even_out(float *metric, size_t n, size_t stride) {
  double variance = 0;
  for (size_t place = 0; place < PLACES; place++) {
    double sum = 0, squares = 0;
    for (size_t b = 0; b < n; b++) {
      double v = (double)metric[place * stride + b];
      sum += v;
      squares += v * v;
    }
    variance += fmax(squares / (double)n - sum / (double)n * (sum / (double)n), 0);
  }
  bool varies = variance > 1e-9;
  float scale = varies ? (float)(1 / sqrt(variance)) : 0.0f;
  for (size_t i = 0; i < PLACES * stride; i++) metric[i] *= scale;
  return varies;
}

/* Square distances of one bar to AT_ONCE bars that lie side by side. Each sum
 * has the order that it would have alone, so that results are the same whatever
 * the machine has; and no fused multiply-adds, which round otherwise. */
enum { AT_ONCE = 16 };
typedef void distances(const float *bar, const float *bars, size_t stride, float *to);

typedef float quartet __attribute__((vector_size(16), aligned(4), may_alias));
#define DISTANCES(name, isa, vector, lanes)                                            \
  isa static void name(const float *bar, const float *bars, size_t stride, float *to) { \
    for (size_t at = 0; at < AT_ONCE; at += (lanes)) {                                  \
      vector distance = {0};                                                            \
      for (size_t lane = 0; lane < LANES; lane++) {                                     \
        vector sum = {0};                                                               \
        for (size_t i = lane; i < HEARD * PLACES; i += LANES) {                         \
          vector apart = bar[i * stride] - *(const vector *)(bars + i * stride + at);   \
          sum += apart * apart;                                                         \
        }                                                                               \
        distance += sum;                                                                \
      }                                                                                 \
      *(vector *)(to + at) = distance;                                                  \
    }                                                                                   \
  }

DISTANCES(distances_of_four, , quartet, 4)

#if defined(__x86_64__)
typedef float octet __attribute__((vector_size(32), aligned(4), may_alias));
DISTANCES(distances_of_eight, __attribute__((target("avx2"))), octet, 8)

static distances *choose(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") ? distances_of_eight : distances_of_four;
}
#else
static distances *choose(void) { return distances_of_four; }
#endif

/* Of bar b to the `count` bars from `from` on. */
static void compare(const nd_similarity *l, distances *measure, int32_t b, int32_t from,
                    int32_t count, float *to) {
  for (int32_t at = 0; at < count; at += AT_ONCE) {
    float distance[AT_ONCE];
    measure(l->vectors + b, l->vectors + from + at, l->stride, distance);
    for (int32_t k = 0; k < AT_ONCE && at + k < count; k++)
      to[at + k] = l->total > 0 ? 1.0f - distance[k] / l->total : 1.0f;
  }
}

nd_status nd_similarity_make(nd_similarity *l, const float *metrics, const nd_grid *grid, nd_error *err) {
  const size_t n = (size_t)grid->n_bars;
  *l = (nd_similarity){.n_bars = grid->n_bars, .width = HEARD * PLACES};
  /* compared AT_ONCE at a time, be there so many left or not; an odd number of
   * cache lines */
  l->stride = (n / AT_ONCE + 2) / 2 * 2 * AT_ONCE + AT_ONCE;
  l->vectors = nd_calloc(l->stride, HEARD * PLACES * sizeof *l->vectors);
  l->near = nd_calloc(n, REACH * sizeof *l->near);
  if (l->vectors == NULL || l->near == NULL) {
    nd_similarity_clear(l);
    return nd_fail(err, ND_NOMEM, "out of memory");
  }
  for (size_t k = 0; k < HEARD; k++) {
    float *metric = l->vectors + k * PLACES * l->stride;
    for (int32_t b = 0; b < grid->n_bars; b++) {
      int32_t from = grid->bars[b].step, steps = bar_end(grid, b) - from;
      if (steps > 0) fill_places(metric + b, l->stride, metrics + heard[k], from, steps);
    }
    if (even_out(metric, n, l->stride)) l->total += 2.0f;
  }
  distances *measure = choose();
  for (int32_t b = 0; b < grid->n_bars; b++) {
    int32_t back = b < REACH ? b : REACH;
    compare(l, measure, b, b - back, back, l->near + (size_t)b * REACH + REACH - back);
  }
  return ND_OK;
}

void nd_similarity_clear(nd_similarity *l) {
  free(l->vectors);
  free(l->near);
  l->vectors = l->near = NULL;
}

float nd_similarity_at(const nd_similarity *l, int32_t a, int32_t b) {
  int32_t later = a > b ? a : b, back = a > b ? a - b : b - a;
  float likeness = 1.0f;
  if (back > REACH) compare(l, choose(), a, b, 1, &likeness);
  else if (back > 0) likeness = l->near[(size_t)later * REACH + (size_t)(REACH - back)];
  return likeness;
}

float nd_similarity_novelty(const nd_similarity *l, int32_t bar) {
  int32_t reach = AROUND;
  if (bar < reach) reach = bar;
  if (l->n_bars - bar < reach) reach = l->n_bars - bar;
  if (reach < 2) return 0.0f;
  float within = 0, across = 0;
  for (int32_t i = 0; i < reach; i++)
    for (int32_t j = 0; j < reach; j++) {
      across += nd_similarity_at(l, bar - 1 - i, bar + j);
      if (i < j)
        within += nd_similarity_at(l, bar - 1 - i, bar - 1 - j) + nd_similarity_at(l, bar + i, bar + j);
    }
  return within / (float)(reach * (reach - 1)) - across / (float)(reach * reach);
}

void nd_similarity_recurrence(const nd_similarity *l, const nd_grid *grid, int32_t *of, float *how) {
  const float neighbour = 0.25f, phrase = 0.05f, age = 0.001f;
  for (int32_t b = 0; b < l->n_bars; b++) {
    /* of the bar before, this one, the next: likeness by distance, from the end */
    const float *here = l->near + (size_t)(b + 1) * REACH;
    const float *before = here - REACH, *after = here + REACH;
    int32_t steps = bar_end(grid, b) - grid->bars[b].step;
    float most = -INFINITY;
    of[b] = -1;
    how[b] = 0.0f;
    for (int32_t d = 1; d <= REACH && d <= b; d++) {
      int32_t c = b - d;
      if (bar_end(grid, c) - grid->bars[c].step != steps) continue;
      /* neighbours, or the bars themselves at the song's ends */
      float sides = (c > 0 ? before[-d] : here[-d]) + (b + 1 < l->n_bars ? after[-d] : here[-d]);
      float all = here[-d] + neighbour * sides + (d % 4 == 0 ? phrase : 0.0f) - age * (float)d;
      if (all <= most) continue;
      most = all;
      of[b] = c;
      how[b] = fmaxf(here[-d], -1.0f);
    }
  }
}
