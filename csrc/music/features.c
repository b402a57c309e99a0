#include "features.h"

#include <math.h>
#include <string.h>

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
      return nd_features_encoded(f, voices) + history + nd_style_size(voices) + 1;
    default: return ND_N_METRICS + history;
  }
}

static float *put_hits(float *to, const uint8_t *hits, int32_t voices) {
  for (int32_t v = 0; v < voices; v++) to[v] = hits != NULL && hits[v] > 0 ? 1.0f : 0.0f;
  return to + voices;
}

static float *put_history(float *to, const nd_features *f, const nd_past *past, int32_t voices) {
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

void nd_features_row(const nd_features *f, int32_t voices, const nd_heard *heard, float *row) {
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
  memcpy(row, heard->metrics, ND_N_METRICS * sizeof *row);
  row += ND_N_METRICS;
  if (f->kind == ND_FEATURES_WHOLE) {
    row = put_hits(row, heard->given, voices);
    row = put_hits(row, heard->known, voices);
    row = put_control(row, heard->density);
    row = put_control(row, heard->fill);
  }
  row = put_history(row, f, &heard->past, voices);
  if (f->kind != ND_FEATURES_WHOLE) return;
  int32_t n = nd_style_size(voices);
  for (int32_t i = 0; i < n; i++) row[i] = heard->style != NULL ? heard->style[i] : 0.0f;
  row[n] = heard->style != NULL ? 1.0f : 0.0f;
}

nd_past nd_features_past(const nd_features *f, const nd_grid *grid, int32_t voices,
                         const uint8_t *hits, int32_t step, int32_t bar) {
  nd_past past = {0};
  if (step > 0) past.before = hits + (size_t)(step - 1) * (size_t)voices;
  int32_t place = step - grid->bars[bar].step;
  for (int32_t k = 0; k < f->n_back; k++) {
    int32_t b = bar - f->back[k];
    if (b < 0) break;
    int32_t at = grid->bars[b].step + place;
    if (at < grid->bars[b + 1].step) past.back[k] = hits + (size_t)at * (size_t)voices;
  }
  return past;
}
