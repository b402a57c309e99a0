#include "explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Gradient times input (Shrikumar et al. 2016): d logit / d x_i * x_i estimates by how
 * much input i raised the logit against being 0, which for hits means "no hit" and
 * for flags "not given". The gradient goes through all earlier steps, so that a hit
 * counts for every time that the network saw it: as the step before, a bar back and
 * as the repeated bar. The parts of the row say which inputs are which. */

/* Inputs and gradient of one step, and where the parts of a row stand. */
typedef struct step_gradient {
  const nd_layout *layout;
  const float *x, *gradient;   /* (inputs) */
  int32_t voices;
} step_gradient;

/* What input `k` of a part contributed. */
static float contribution(const step_gradient *s, nd_part part, int32_t k) {
  int32_t i = s->layout->at[part] + k;
  return s->x[i] * s->gradient[i];
}

/* `sum` goes on: the order of additions is that of the inputs. */
static float sum_part(const step_gradient *s, nd_part part, float sum) {
  for (int32_t k = 0; k < s->layout->size[part]; k++) sum += contribution(s, part, k);
  return sum;
}

/* Adds what voice `v` of an earlier row of hits contributed to where that row
 * stands among all hits. One row may be several inputs: the step before is in
 * a song of very short bars also a bar back. */
static void add_hit(const step_gradient *s, nd_part part, int32_t row, const uint8_t *earlier,
                    const uint8_t *hits, int32_t v, float *out) {
  if (earlier != NULL && s->layout->size[part] > 0)
    out[(earlier - hits) + v] += contribution(s, part, row * s->voices + v);
}

static void add_history(const step_gradient *s, const nd_features *f, const nd_history *h,
                        const uint8_t *hits, float *out) {
  for (int32_t v = 0; v < s->voices; v++) {
    add_hit(s, ND_PART_BEFORE, 0, h->before, hits, v, out);
    for (int32_t k = 0; k < f->n_back; k++)
      add_hit(s, ND_PART_BACK, k, h->back[k], hits, v, out);
    add_hit(s, ND_PART_RECURRENCE, 0, h->recurrence, hits, v, out);
  }
}

/* Attributes the gradient (steps, inputs) times x to metrics, hits and style. */
static void attribute(const nd_drummer *d, const nd_sequence *seq, const nd_recurrence *recurrence,
                      const float *x, const float *gradient, nd_reasons *out) {
  const nd_grid *grid = &seq->grid;
  int32_t V = nd_sequence_voices(seq), I = d->net.config.inputs, bar = 0;
  size_t T = (size_t)grid->n_steps;
  nd_layout layout = nd_features_layout(&d->features, V);
  memset(out->song, 0, T * ND_N_METRICS * sizeof *out->song);
  memset(out->hits, 0, T * (size_t)V * sizeof *out->hits);
  out->style = 0.0f;
  for (int32_t t = 0; t < grid->n_steps; t++, x += I, gradient += I) {
    step_gradient s = {.layout = &layout, .x = x, .gradient = gradient, .voices = V};
    float *song = out->song + (size_t)t * ND_N_METRICS;
    while (bar + 1 < grid->n_bars && grid->bars[bar + 1].step <= t) bar++;
    for (int32_t m = 0; m < layout.size[ND_PART_METRICS]; m++)
      song[m] = contribution(&s, ND_PART_METRICS, m);
    /* the similarity of the bar that repeats is both a metric and an input of its own */
    if (layout.size[ND_PART_SIMILARITY] > 0)
      song[ND_M_RECURRENCE] += contribution(&s, ND_PART_SIMILARITY, 0);
    out->style = sum_part(&s, ND_PART_TRAITS, out->style);
    out->style = sum_part(&s, ND_PART_GROOVE, out->style);
    nd_history history =
        nd_features_history(&d->features, grid, V, seq->hits, t, bar, recurrence->bar[bar]);
    add_history(&s, &d->features, &history, seq->hits, out->hits);
  }
}

/* The contribution of voices of the same step, through the triangular matrix. */
static void explain_beside(const nd_hits_head *head, const nd_target *t, const float *y,
                           nd_reasons *out) {
  int32_t V = head->voices;
  for (int32_t v = 0; v < V; v++)
    out->beside[v] = v < t->voice && head->mix != NULL
                         ? head->mix[v * V + t->voice] * y[t->step * V + v] : 0.0f;
}

/* Memory of one call, and what all targets share. */
typedef struct explain_state {
  float *x, *y, *gradients;    /* (steps, inputs), (steps, voices), (BATCH, steps, inputs) */
  nd_recurrence recurrence;
} explain_state;

enum { BATCH = 8 };   /* targets whose gradients go through the network together */

static nd_status prepare(explain_state *s, const nd_drummer *d, const nd_sequence *seq,
                         const float *style, nd_error *err) {
  size_t steps = (size_t)nd_sequence_steps(seq), V = (size_t)nd_sequence_voices(seq);
  size_t values = steps * (size_t)d->net.config.inputs;
  nd_case all = {.drums = seq, .steps = (int32_t)steps, .style = style};
  s->x = nd_calloc(values, sizeof *s->x);
  s->y = nd_calloc(steps * V, sizeof *s->y);
  s->gradients = nd_calloc(values, BATCH * sizeof *s->gradients);
  if (s->x == NULL || s->y == NULL || s->gradients == NULL)
    return nd_nomem(err);
  nd_status status = nd_likelihood_rows(d, &all, s->x, err);
  if (status != ND_OK) return status;
  for (size_t i = 0; i < steps * V; i++) s->y[i] = seq->hits[i] > 0 ? 1.0f : 0.0f;
  return nd_recurrence_make(&s->recurrence, &d->features, seq->metrics, &seq->grid, err);
}

/* Explains at most BATCH targets. */
static nd_status explain_batch(const explain_state *s, const nd_drummer *d, const nd_sequence *seq,
                               const nd_target *targets, int32_t n, nd_reasons *out,
                               nd_error *err) {
  int32_t steps = nd_sequence_steps(seq);
  size_t values = (size_t)steps * (size_t)d->net.config.inputs;
  float logits[BATCH];
  nd_status status = nd_saliency(&d->net, steps, s->x, s->y, targets, n, logits, s->gradients, err);
  if (status != ND_OK) return status;
  for (int32_t i = 0; i < n; i++)
    if (!isfinite(logits[i])) return nd_drummer_is_corrupt(err);
  for (int32_t i = 0; i < n; i++) {
    out[i].logit = logits[i];
    explain_beside(&d->net.hits, &targets[i], s->y, &out[i]);
    attribute(d, seq, &s->recurrence, s->x, s->gradients + (size_t)i * values, &out[i]);
  }
  return ND_OK;
}

nd_status nd_explain(const nd_drummer *d, const nd_sequence *seq, const float *style,
                     const nd_target *targets, int32_t n, nd_reasons *out, nd_error *err) {
  explain_state s = {.x = NULL};
  nd_status status = prepare(&s, d, seq, style, err);
  for (int32_t at = 0; at < n && status == ND_OK; at += BATCH)
    status = explain_batch(&s, d, seq, targets + at, n - at < BATCH ? n - at : BATCH, out + at,
                           err);
  nd_recurrence_clear(&s.recurrence);
  free(s.x);
  free(s.y);
  free(s.gradients);
  return status;
}
