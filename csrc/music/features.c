#include "features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "self_similarity.h"

const char *const nd_features_names[] = {
    [ND_FEATURES_DRUMMER] = "drummer", [ND_FEATURES_ORIGINAL] = "original",
    [ND_FEATURES_RAW] = "raw",         [ND_FEATURES_WHOLE] = "whole",
    [ND_FEATURES_TOUCH] = "touch",     [ND_FEATURES_TOUCH + 1] = NULL};

/* Metrics that follow from grid and tempo alone: a TOUCH net learns from people
 * who drum without a song, whose other metrics are all 0. */
static const int timing[] = {ND_M_TEMPO,    ND_M_BEAT_SIN,   ND_M_BEAT_COS, ND_M_BAR_SIN,
                             ND_M_BAR_COS,  ND_M_PHRASE_SIN, ND_M_PHRASE_COS,
                             ND_M_DOWNBEAT, ND_M_ON_BEAT,    ND_M_METER};
enum { TIMING = sizeof timing / sizeof *timing };

/* -------------------------------------------------------------------- layout */

static void append(nd_layout *l, nd_part part, int32_t size) {
  l->at[part] = l->inputs;
  l->size[part] = size;
  l->inputs += size;
}

/* The order of the calls is the order of the inputs, which trained weights
 * depend on. */
static void lay_whole(nd_layout *l, const nd_features *f, int32_t voices) {
  append(l, ND_PART_METRICS, ND_N_METRICS);
  append(l, ND_PART_FIXED_HITS, voices);
  append(l, ND_PART_FIXED_MASK, voices);
  append(l, ND_PART_DENSITY, 2);
  append(l, ND_PART_FILL, 2);
  l->encoded = l->inputs;
  append(l, ND_PART_HAS_HISTORY, 1);
  append(l, ND_PART_BEFORE, voices);
  append(l, ND_PART_BACK, voices * f->n_back);
  if (!f->causal) {
    append(l, ND_PART_RECURRENCE, voices);
    append(l, ND_PART_SIMILARITY, 1);
  }
  append(l, ND_PART_TRAITS, nd_style_traits(voices) + 1);
  append(l, ND_PART_GROOVE, voices + 1);
}

nd_layout nd_features_layout(const nd_features *f, int32_t voices) {
  nd_layout l = {.inputs = 0};
  switch (f->kind) {
    case ND_FEATURES_WHOLE: lay_whole(&l, f, voices); break;
    case ND_FEATURES_DRUMMER:
      append(&l, ND_PART_METRICS, ND_N_METRICS);
      append(&l, ND_PART_BEFORE, voices);
      append(&l, ND_PART_BACK, voices * f->n_back);
      break;
    case ND_FEATURES_ORIGINAL:
      append(&l, ND_PART_BEFORE, voices);
      append(&l, ND_PART_METRICS, 1);
      break;
    case ND_FEATURES_TOUCH:
      append(&l, ND_PART_METRICS, TIMING);
      append(&l, ND_PART_FIXED_HITS, voices);
      l.encoded = l.inputs;
      break;
    case ND_FEATURES_RAW: break;
  }
  return l;
}

int32_t nd_features_inputs(const nd_features *f, int32_t voices) {
  return nd_features_layout(f, voices).inputs;
}

int32_t nd_features_encoded(const nd_features *f, int32_t voices) {
  return nd_features_layout(f, voices).encoded;
}

/* ----------------------------------------------------------------------- rows */

static void put_metrics(float *to, const nd_features *f, const float *metrics) {
  switch (f->kind) {
    case ND_FEATURES_ORIGINAL: to[0] = metrics[ND_M_INTENSITY]; break;
    case ND_FEATURES_TOUCH:
      for (int k = 0; k < TIMING; k++) to[k] = metrics[timing[k]];
      break;
    case ND_FEATURES_WHOLE:
    case ND_FEATURES_DRUMMER:
      for (int k = 0; k < ND_N_METRICS; k++)
        to[k] = f->causal && nd_metric_needs_future(k) ? 0.0f : metrics[k];
      break;
    case ND_FEATURES_RAW: break;
  }
}

static void put_hits(float *to, const uint8_t *hits, int32_t voices) {
  for (int32_t v = 0; v < voices; v++) to[v] = hits != NULL && hits[v] > 0 ? 1.0f : 0.0f;
}

/* A control, then the flag: 0 would otherwise mean both "0" and "not given". */
static void put_control(float *to, float value) {
  bool given = !isnan(value);
  to[0] = given ? value : 0.0f;
  to[1] = given ? 1.0f : 0.0f;
}

static void put_style(float *to, const float *numbers, int32_t n) {
  for (int32_t i = 0; i < n; i++) to[i] = numbers != NULL ? numbers[i] : 0.0f;
  to[n] = numbers != NULL ? 1.0f : 0.0f;
}

static void put_whole(float *row, const nd_layout *l, int32_t voices, const nd_step_context *c) {
  const float *groove = NULL;
  if (c->style != NULL)
    groove = nd_style_groove(c->style, voices, c->step_in_bar, c->steps_per_beat);
  put_hits(row + l->at[ND_PART_FIXED_HITS], c->fixed_hits, voices);
  put_hits(row + l->at[ND_PART_FIXED_MASK], c->fixed_mask, voices);
  put_control(row + l->at[ND_PART_DENSITY], c->density);
  put_control(row + l->at[ND_PART_FILL], c->fill);
  row[l->at[ND_PART_HAS_HISTORY]] = c->history.available ? 1.0f : 0.0f;
  if (l->size[ND_PART_RECURRENCE] > 0) {
    const uint8_t *recurrence = c->history.recurrence;
    put_hits(row + l->at[ND_PART_RECURRENCE], recurrence, voices);
    row[l->at[ND_PART_SIMILARITY]] = recurrence != NULL ? c->similarity : 0.0f;
  }
  put_style(row + l->at[ND_PART_TRAITS], c->style, nd_style_traits(voices));
  put_style(row + l->at[ND_PART_GROOVE], groove, voices);
}

void nd_features_row(const nd_features *f, int32_t voices, const nd_step_context *c, float *row) {
  nd_layout l = nd_features_layout(f, voices);
  put_metrics(row + l.at[ND_PART_METRICS], f, c->metrics);
  if (f->kind == ND_FEATURES_TOUCH) {
    put_hits(row + l.at[ND_PART_FIXED_HITS], c->fixed_hits, voices);
    return;
  }
  put_hits(row + l.at[ND_PART_BEFORE], c->history.before, voices);
  if (f->kind == ND_FEATURES_ORIGINAL) return;
  for (int32_t k = 0; k < f->n_back; k++)
    put_hits(row + l.at[ND_PART_BACK] + k * voices, c->history.back[k], voices);
  if (f->kind == ND_FEATURES_WHOLE) put_whole(row, &l, voices, c);
}

/* -------------------------------------------------------------------- history */

/* The row of hits at a step of a bar; NULL where the bar is shorter. */
static const uint8_t *row_at(const nd_grid *grid, const uint8_t *hits, int32_t voices, int32_t bar,
                             int32_t step_in_bar) {
  int32_t step = grid->bars[bar].step + step_in_bar;
  return step < grid->bars[bar + 1].step ? hits + (size_t)step * (size_t)voices : NULL;
}

nd_history nd_features_history(const nd_features *f, const nd_grid *grid, int32_t voices,
                               const uint8_t *hits, int32_t step, int32_t bar, int32_t repeats) {
  nd_history h = {.available = true};
  if (step > 0) h.before = hits + (size_t)(step - 1) * (size_t)voices;
  int32_t step_in_bar = step - grid->bars[bar].step;
  for (int32_t k = 0; k < f->n_back && f->back[k] <= bar; k++)
    h.back[k] = row_at(grid, hits, voices, bar - f->back[k], step_in_bar);
  if (repeats >= 0 && !f->causal) h.recurrence = row_at(grid, hits, voices, repeats, step_in_bar);
  return h;
}

/* ----------------------------------------------------------------- recurrence */

nd_status nd_recurrence_make(nd_recurrence *r, const nd_features *f, const float *metrics,
                             const nd_grid *grid, nd_error *err) {
  nd_similarity s;
  size_t n = (size_t)grid->n_bars;
  r->bar = nd_calloc(n, sizeof *r->bar);
  r->similarity = nd_calloc(n, sizeof *r->similarity);
  nd_status status = r->bar && r->similarity ? ND_OK : nd_nomem(err);
  for (size_t b = 0; status == ND_OK && b < n; b++) r->bar[b] = -1;
  if (status == ND_OK && f->kind == ND_FEATURES_WHOLE && !f->causal) {
    status = nd_similarity_make(&s, metrics, grid, err);
    if (status == ND_OK) {
      nd_similarity_recurrence(&s, grid, r->bar, r->similarity);
      nd_similarity_clear(&s);
    }
  }
  if (status != ND_OK) nd_recurrence_clear(r);
  return status;
}

void nd_recurrence_clear(nd_recurrence *r) {
  free(r->bar);
  free(r->similarity);
  *r = (nd_recurrence){.bar = NULL};
}
