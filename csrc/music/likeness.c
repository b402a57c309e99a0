#include "likeness.h"

#include <math.h>
#include <stdlib.h>

enum { PLACES = 16, AROUND = 4, REACH = 64, LANES = 16 };

static const int heard[] = {ND_M_ONSETS_LOW, ND_M_ONSETS_MID, ND_M_ONSETS_HIGH, ND_M_BASS,
                            ND_M_SOUNDING, ND_M_LOUDNESS, ND_M_HARMONY};
enum { HEARD = sizeof heard / sizeof *heard };

static int32_t bar_end(const nd_grid *grid, int32_t bar) {
  return bar + 1 < grid->n_bars ? grid->bars[bar + 1].step : grid->n_steps;
}

/* One metric of one bar: the most of the steps that fall on a place, or the
 * one it falls in. */
static void fill_places(float *to, const float *metric, int32_t from, int32_t steps) {
  for (int64_t place = 0; place < PLACES; place++) {
    int32_t first = from + (int32_t)(place * steps / PLACES);
    int32_t stop = from + (int32_t)((place + 1) * steps / PLACES);
    float most = metric[(size_t)first * ND_N_METRICS];
    for (int32_t t = first + 1; t < stop; t++)
      if (metric[(size_t)t * ND_N_METRICS] > most) most = metric[(size_t)t * ND_N_METRICS];
    to[place] = most;
  }
}

/* Gives the metric at `at` of every vector a variance of 1 over the bars. */
static bool even_out(nd_likeness *l, size_t at) {
  double variance = 0;
  size_t n = (size_t)l->n_bars, width = (size_t)l->width;
  for (size_t place = at; place < at + PLACES; place++) {
    double sum = 0, squares = 0;
    for (size_t b = 0; b < n; b++) {
      double v = (double)l->vectors[b * width + place];
      sum += v;
      squares += v * v;
    }
    variance += fmax(squares / (double)n - sum / (double)n * (sum / (double)n), 0);
  }
  bool varies = variance > 1e-9;
  float scale = varies ? (float)(1 / sqrt(variance)) : 0.0f;
  for (size_t b = 0; b < n; b++)
    for (size_t place = at; place < at + PLACES; place++) l->vectors[b * width + place] *= scale;
  return varies;
}

nd_status nd_likeness_make(nd_likeness *l, const float *metrics, const nd_grid *grid, nd_error *err) {
  *l = (nd_likeness){.n_bars = grid->n_bars, .width = HEARD * PLACES};
  l->vectors = nd_calloc((size_t)grid->n_bars, HEARD * PLACES * sizeof *l->vectors);
  if (l->vectors == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  for (size_t k = 0; k < HEARD; k++) {
    for (int32_t b = 0; b < grid->n_bars; b++) {
      int32_t from = grid->bars[b].step, steps = bar_end(grid, b) - from;
      if (steps > 0)
        fill_places(l->vectors + (size_t)b * HEARD * PLACES + k * PLACES, metrics + heard[k], from, steps);
    }
    if (even_out(l, k * PLACES)) l->total += 2.0f;
  }
  return ND_OK;
}

void nd_likeness_clear(nd_likeness *l) {
  free(l->vectors);
  l->vectors = NULL;
}

float nd_likeness_of(const nd_likeness *l, int32_t a, int32_t b) {
  const float *x = l->vectors + (size_t)a * (size_t)l->width;
  const float *y = l->vectors + (size_t)b * (size_t)l->width;
  float lanes[LANES] = {0}, distance = 0;  /* several sums: one alone is not made a vector */
  for (int32_t i = 0; i < l->width; i += LANES)
    for (int32_t k = 0; k < LANES; k++) lanes[k] += (x[i + k] - y[i + k]) * (x[i + k] - y[i + k]);
  for (int32_t k = 0; k < LANES; k++) distance += lanes[k];
  return l->total > 0 ? 1.0f - distance / l->total : 1.0f;
}

float nd_likeness_turn(const nd_likeness *l, int32_t bar) {
  int32_t reach = AROUND;
  if (bar < reach) reach = bar;
  if (l->n_bars - bar < reach) reach = l->n_bars - bar;
  if (reach < 2) return 0.0f;
  float within = 0, across = 0;
  for (int32_t i = 0; i < reach; i++)
    for (int32_t j = 0; j < reach; j++) {
      across += nd_likeness_of(l, bar - 1 - i, bar + j);
      if (i < j)
        within += nd_likeness_of(l, bar - 1 - i, bar - 1 - j) + nd_likeness_of(l, bar + i, bar + j);
    }
  return within / (float)(reach * (reach - 1)) - across / (float)(reach * reach);
}

/* Likeness of bar b to those before it, by distance. */
static void look_back(const nd_likeness *l, int32_t b, float *row) {
  for (int32_t d = 1; d <= REACH && d <= b; d++) row[d] = nd_likeness_of(l, b, b - d);
}

void nd_likeness_returns(const nd_likeness *l, const nd_grid *grid, int32_t *of, float *how) {
  const float neighbour = 0.25f, phrase = 0.05f, age = 0.001f;
  float rows[3][REACH + 1] = {{0}};  /* of the bar before, this one, the next: by turns */
  for (int32_t b = 0; b < l->n_bars; b++) {
    const float *before = rows[(b + 2) % 3], *here = rows[b % 3], *after = rows[(b + 1) % 3];
    if (b + 1 < l->n_bars) look_back(l, b + 1, rows[(b + 1) % 3]);
    int32_t steps = bar_end(grid, b) - grid->bars[b].step;
    float most = -INFINITY;
    of[b] = -1;
    how[b] = 0.0f;
    for (int32_t d = 1; d <= REACH && d <= b; d++) {
      int32_t c = b - d;
      if (bar_end(grid, c) - grid->bars[c].step != steps) continue;
      /* neighbours, or the bars themselves at the song's ends */
      float sides = (c > 0 ? before[d] : here[d]) + (b + 1 < l->n_bars ? after[d] : here[d]);
      float all = here[d] + neighbour * sides + (d % 4 == 0 ? phrase : 0.0f) - age * (float)d;
      if (all <= most) continue;
      most = all;
      of[b] = c;
      how[b] = fmaxf(here[d], -1.0f);
    }
  }
}
