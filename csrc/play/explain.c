#include "explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = -1, WIDTH = 1024 };

/* Where in an input row each thing stands, found by asking for rows that
 * differ in it alone: how rows are laid out is features.c's affair. */
typedef struct places {
  int32_t metric[ND_N_METRICS];
  int32_t before[ND_MAX_VOICES], back[ND_MAX_BACK][ND_MAX_VOICES], alike[ND_MAX_VOICES];
  int32_t likeness;
  int32_t style[2 * ND_MAX_VOICES + ND_STYLE_TRAITS + 2], n_style;   /* and what of it is given */
} places;

/* The n-th input, from 0, in which the row of `heard` differs from the empty one. */
static int32_t place_of(const nd_drummer *d, const nd_step_context *heard, int32_t n) {
  static const float silence[ND_N_METRICS] = {0};
  float row[WIDTH], empty[WIDTH];
  nd_step_context nothing = {.metrics = silence, .beat = 1, .density = NAN, .fill = NAN};
  nd_features_row(&d->features, d->net.config.voices, &nothing, empty);
  nd_features_row(&d->features, d->net.config.voices, heard, row);
  for (int32_t i = 0; i < d->net.config.inputs; i++)
    if (row[i] != empty[i] && n-- == 0) return i;
  return NONE;
}

static void find_places(const nd_drummer *d, places *p) {
  float metrics[ND_N_METRICS] = {0}, style[ND_MAX_STYLE_SIZE];
  uint8_t hits[ND_MAX_VOICES] = {0};
  nd_step_context heard = {.metrics = metrics, .beat = 1, .density = NAN, .fill = NAN};
  for (int32_t m = 0; m < ND_N_METRICS; m++) {
    metrics[m] = 1.0f;
    p->metric[m] = place_of(d, &heard, 0);
    metrics[m] = 0.0f;
  }
  for (int32_t v = 0; v < d->net.config.voices; v++) {
    hits[v] = 1;
    heard.past.before = hits;
    p->before[v] = place_of(d, &heard, 0);
    heard.past.before = NULL;
    for (int32_t k = 0; k < d->features.n_back; k++) {
      heard.past.back[k] = hits;
      p->back[k][v] = place_of(d, &heard, 0);
      heard.past.back[k] = NULL;
    }
    heard.past.alike = hits;
    p->alike[v] = place_of(d, &heard, 0);
    heard.past.alike = NULL;
    hits[v] = 0;
  }
  heard.past.alike = hits;
  heard.likeness = 1.0f;
  p->likeness = place_of(d, &heard, 0);
  heard.past.alike = NULL;
  for (size_t i = 0; i < sizeof style / sizeof *style; i++) style[i] = 1.0f;
  heard.style = style;
  p->n_style = 0;
  for (int32_t n = 0; n < (int32_t)(sizeof p->style / sizeof *p->style); n++) {
    int32_t at = place_of(d, &heard, n);
    if (at != NONE) p->style[p->n_style++] = at;
  }
}

/* Gradient times input, each sent to where it came from. */
static void gather(const nd_drummer *d, const nd_sequence *seq, const places *p,
                   const nd_recurrence *returns, const float *x, const float *gradient,
                   nd_reasons *out) {
  const nd_grid *grid = &seq->grid;
  size_t V = (size_t)nd_sequence_voices(seq), I = (size_t)d->net.config.inputs;
  size_t T = (size_t)grid->n_steps;
  memset(out->song, 0, T * ND_N_METRICS * sizeof *out->song);
  memset(out->hits, 0, T * V * sizeof *out->hits);
  out->style = 0.0f;
  int32_t bar = 0;
  for (size_t t = 0; t < T; t++, x += I, gradient += I) {
    while (bar + 1 < grid->n_bars && grid->bars[bar + 1].step <= (int32_t)t) bar++;
    for (size_t m = 0; m < ND_N_METRICS; m++)
      if (p->metric[m] != NONE)
        out->song[t * ND_N_METRICS + m] = x[p->metric[m]] * gradient[p->metric[m]];
    for (int32_t i = 0; i < p->n_style; i++) out->style += x[p->style[i]] * gradient[p->style[i]];
    nd_history past = nd_features_history(&d->features, grid, (int32_t)V, seq->hits, (int32_t)t, bar,
                                    returns->of[bar]);
    for (size_t v = 0; v < V; v++) {
      if (past.before != NULL && p->before[v] != NONE)
        out->hits[(size_t)(past.before - seq->hits) + v] += x[p->before[v]] * gradient[p->before[v]];
      for (int32_t k = 0; k < d->features.n_back; k++)
        if (past.back[k] != NULL && p->back[k][v] != NONE)
          out->hits[(size_t)(past.back[k] - seq->hits) + v] += x[p->back[k][v]] * gradient[p->back[k][v]];
      if (past.alike != NULL && p->alike[v] != NONE)
        out->hits[(size_t)(past.alike - seq->hits) + v] += x[p->alike[v]] * gradient[p->alike[v]];
    }
    if (p->likeness != NONE)
      out->song[t * ND_N_METRICS + ND_M_RETURN] += x[p->likeness] * gradient[p->likeness];
  }
}

nd_status nd_explain(const nd_drummer *d, const nd_sequence *seq, const float *style,
                     const nd_target *targets, int32_t n, nd_reasons *out, nd_error *err) {
  enum { SIDE = 8 };   /* targets at once */
  int32_t steps = nd_sequence_steps(seq), V = nd_sequence_voices(seq), I = d->net.config.inputs;
  nd_case all = {.drums = seq, .steps = steps, .style = style};
  if (I > WIDTH) return nd_fail(err, ND_LIMIT, "a model of %d inputs is too wide", I);
  size_t cells = (size_t)steps * (size_t)I;
  float *x = nd_calloc(cells, sizeof *x), *y = nd_calloc((size_t)steps * (size_t)V, sizeof *y);
  float *gradients = nd_calloc(cells, SIDE * sizeof *gradients);
  nd_status status = x && y && gradients ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  if (status == ND_OK) status = nd_likelihood_rows(d, &all, x, err);
  places p;
  nd_recurrence returns = {NULL, NULL};
  if (status == ND_OK) {
    find_places(d, &p);
    status = nd_recurrence_make(&returns, &d->features, seq->metrics, &seq->grid, err);
  }
  for (size_t i = 0; status == ND_OK && i < (size_t)steps * (size_t)V; i++)
    y[i] = seq->hits[i] > 0 ? 1.0f : 0.0f;
  for (int32_t from = 0; from < n && status == ND_OK; from += SIDE) {
    int32_t many = n - from < SIDE ? n - from : SIDE;
    float logits[SIDE];
    status = nd_saliency(&d->net, steps, x, y, targets + from, many, logits, gradients, err);
    for (int32_t i = 0; i < many && status == ND_OK; i++)
      if (!isfinite(logits[i]))
        status = nd_fail(err, ND_FORMAT, "the model produced NaN probabilities; its weights are corrupt");
    for (int32_t i = 0; i < many && status == ND_OK; i++) {
      const nd_target *t = &targets[from + i];
      nd_reasons *r = &out[from + i];
      r->logit = logits[i];
      for (int32_t v = 0; v < V; v++)
        r->beside[v] = v < t->voice && d->net.hits.mix != NULL
                           ? d->net.hits.mix[v * V + t->voice] * y[t->step * V + v] : 0.0f;
      gather(d, seq, &p, &returns, x, gradients + (size_t)i * cells, r);
    }
  }
  nd_recurrence_clear(&returns);
  free(x);
  free(y);
  free(gradients);
  return status;
}
