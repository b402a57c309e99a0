#include "features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "self_similarity.h"

/* What does not depend on the song's notes: people who drum alone have it too. */
static const int places[] = {ND_M_TEMPO,    ND_M_BEAT_SIN,   ND_M_BEAT_COS, ND_M_BAR_SIN,
                             ND_M_BAR_COS,  ND_M_PHRASE_SIN, ND_M_PHRASE_COS,
                             ND_M_DOWNBEAT, ND_M_ON_BEAT,    ND_M_METER};
enum { PLACES = sizeof places / sizeof *places };

int32_t nd_features_encoded(const nd_features *f, int32_t voices) {
  if (f->kind == ND_FEATURES_TOUCH) return PLACES + voices;
  return f->kind == ND_FEATURES_WHOLE ? ND_N_METRICS + 2 * voices + 4 : 0;
}

int32_t nd_features_inputs(const nd_features *f, int32_t voices) {
  int32_t history = voices * (1 + f->n_back);
  switch (f->kind) {
    case ND_FEATURES_ORIGINAL: return voices + 1;
    case ND_FEATURES_TOUCH: return nd_features_encoded(f, voices);
    case ND_FEATURES_WHOLE:
      return nd_features_encoded(f, voices) + 1 + history + (f->causal ? 0 : voices + 1) +
             nd_style_traits(voices) + 1 + voices + 1;
    default: return ND_N_METRICS + history;
  }
}

static float *put_hits(float *to, const uint8_t *hits, int32_t voices) {
  for (int32_t v = 0; v < voices; v++) to[v] = hits != NULL && hits[v] > 0 ? 1.0f : 0.0f;
  return to + voices;
}

static float *put_history(float *to, const nd_features *f, const nd_history *past, int32_t voices) {
  to = put_hits(to, past->before, voices);
  for (int32_t k = 0; k < f->n_back; k++) to = put_hits(to, past->back[k], voices);
  return to;
}

/* A control and whether it is given. */
static float *put_control(float *to, float value) {
  bool given = !isnan(value);
  to[0] = given ? value : 0.0f;
  to[1] = given ? 1.0f : 0.0f;
  return to + 2;
}

/* Numbers of a style, and whether they are given. */
static float *put_style(float *to, const float *style, int32_t n) {
  for (int32_t i = 0; i < n; i++) to[i] = style != NULL ? style[i] : 0.0f;
  to[n] = style != NULL ? 1.0f : 0.0f;
  return to + n + 1;
}

void nd_features_row(const nd_features *f, int32_t voices, const nd_step_context *heard, float *row) {
  if (f->kind == ND_FEATURES_ORIGINAL) {
    row = put_hits(row, heard->past.before, voices);
    *row = heard->metrics[ND_M_INTENSITY];
    return;
  }
  if (f->kind == ND_FEATURES_TOUCH) {
    for (int k = 0; k < PLACES; k++) row[k] = heard->metrics[places[k]];
    (void)put_hits(row + PLACES, heard->given, voices);
    return;
  }
  for (int k = 0; k < ND_N_METRICS; k++)
    row[k] = f->causal && nd_metric_is_ahead(k) ? 0.0f : heard->metrics[k];
  row += ND_N_METRICS;
  if (f->kind == ND_FEATURES_WHOLE) {
    row = put_hits(row, heard->given, voices);
    row = put_hits(row, heard->known, voices);
    row = put_control(row, heard->density);
    row = put_control(row, heard->fill);
    *row++ = heard->past.told ? 1.0f : 0.0f;
  }
  row = put_history(row, f, &heard->past, voices);
  if (f->kind != ND_FEATURES_WHOLE) return;
  if (!f->causal) {
    row = put_hits(row, heard->past.alike, voices);
    *row++ = heard->past.alike != NULL ? heard->likeness : 0.0f;
  }
  row = put_style(row, heard->style, nd_style_traits(voices));
  (void)put_style(row, heard->style != NULL
                           ? nd_style_groove(heard->style, voices, heard->into, heard->beat) : NULL,
                  voices);
}

/* The row of hits at `place` of a bar; NULL where that bar is shorter. */
static const uint8_t *row_at(const nd_grid *grid, const uint8_t *hits, int32_t voices, int32_t bar,
                             int32_t place) {
  int32_t at = grid->bars[bar].step + place;
  return at < grid->bars[bar + 1].step ? hits + (size_t)at * (size_t)voices : NULL;
}

nd_history nd_features_history(const nd_features *f, const nd_grid *grid, int32_t voices,
                         const uint8_t *hits, int32_t step, int32_t bar, int32_t alike) {
  nd_history past = {.told = true};
  if (step > 0) past.before = hits + (size_t)(step - 1) * (size_t)voices;
  int32_t place = step - grid->bars[bar].step;
  for (int32_t k = 0; k < f->n_back && f->back[k] <= bar; k++)
    past.back[k] = row_at(grid, hits, voices, bar - f->back[k], place);
  if (alike >= 0 && !f->causal) past.alike = row_at(grid, hits, voices, alike, place);
  return past;
}

nd_status nd_recurrence_make(nd_recurrence *r, const nd_features *f, const float *metrics,
                          const nd_grid *grid, nd_error *err) {
  nd_similarity l;
  size_t n = (size_t)grid->n_bars;
  r->of = nd_calloc(n, sizeof *r->of);
  r->how = nd_calloc(n, sizeof *r->how);
  nd_status status = r->of && r->how ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  for (size_t b = 0; status == ND_OK && b < n; b++) r->of[b] = -1;
  if (status == ND_OK && f->kind == ND_FEATURES_WHOLE && !f->causal) {
    status = nd_similarity_make(&l, metrics, grid, err);
    if (status == ND_OK) {
      nd_similarity_recurrence(&l, grid, r->of, r->how);
      nd_similarity_clear(&l);
    }
  }
  if (status != ND_OK) nd_recurrence_clear(r);
  return status;
}

void nd_recurrence_clear(nd_recurrence *r) {
  free(r->of);
  free(r->how);
  *r = (nd_recurrence){NULL, NULL};
}
