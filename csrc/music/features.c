#include "features.h"

#include <string.h>

int32_t nd_features_inputs(const nd_features *f, int32_t voices) {
  if (f->kind == ND_FEATURES_ORIGINAL) return voices + 1;
  return ND_N_METRICS + voices * (1 + f->n_back);
}

static float *put_hits(float *to, const uint8_t *hits, int32_t voices) {
  for (int32_t v = 0; v < voices; v++) to[v] = hits != NULL && hits[v] > 0 ? 1.0f : 0.0f;
  return to + voices;
}

void nd_features_row(const nd_features *f, int32_t voices, const float *metrics,
                     const nd_past *past, float *row) {
  if (f->kind == ND_FEATURES_ORIGINAL) {
    row = put_hits(row, past->before, voices);
    *row = metrics[ND_M_INTENSITY];
    return;
  }
  memcpy(row, metrics, ND_N_METRICS * sizeof *row);
  row = put_hits(row + ND_N_METRICS, past->before, voices);
  for (int32_t k = 0; k < f->n_back; k++) row = put_hits(row, past->back[k], voices);
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
