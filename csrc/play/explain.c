#include "explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One run of the network forward over the whole song, then for each target one backward,
 * several targets at a time (saliency.h). Memory is (BATCH + 1, steps, inputs) floats.
 *
 * Gradient times input (Shrikumar et al. 2016): d logit / d x_i * x_i estimates by how
 * much input i raised the logit against being 0, which for hits means "no hit" and
 * for flags "not given". The gradient goes through all earlier steps, so that a hit
 * counts for every time that the network saw it: as the step before, a bar back and
 * as the repeated bar. The parts of the row say which inputs are which. */

/* Memory of one call, and what all targets share. */
typedef struct explanation {
  const nd_drummer *d;
  const nd_sequence *seq;
  float *x, *y, *gradients;    /* (steps, inputs), (steps, voices), (BATCH, steps, inputs) */
  nd_recurrence recurrence;
} explanation;

enum { BATCH = 8 };   /* targets whose gradients go through the network together */

/* Input rows as in nd_likelihood_rows(), with the song's own drums as history, and the
 * same recurrence, which says which bar's hits an input stood for. On failure
 * nd_explain() frees what was made. */
static nd_status prepare(explanation *e, const float *style, nd_error *err) {
  const nd_sequence *seq = e->seq;
  size_t steps = (size_t)nd_sequence_steps(seq), cells = steps * (size_t)nd_sequence_voices(seq);
  size_t inputs = steps * (size_t)e->d->net.config.inputs;
  nd_case all = {.drums = seq, .steps = (int32_t)steps, .style = style};
  e->x = nd_calloc(inputs, sizeof *e->x);
  e->y = nd_calloc(cells, sizeof *e->y);
  e->gradients = nd_calloc(inputs, BATCH * sizeof *e->gradients);
  if (e->x == NULL || e->y == NULL || e->gradients == NULL) return nd_nomem(err);
  nd_status status = nd_likelihood_rows(e->d, &all, e->x, err);
  if (status != ND_OK) return status;
  for (size_t i = 0; i < cells; i++) e->y[i] = seq->hits[i] > 0 ? 1.0f : 0.0f;
  return nd_recurrence_make(&e->recurrence, &e->d->features, seq->metrics, &seq->grid, err);
}

/* Adds what the hits (voices) of an earlier step contributed to `out`, whose values stand
 * as the hits do; nothing for NULL, a step that does not exist. One step may be several
 * inputs: the step before is in a song of very short bars also a bar back. */
static void add_hits(const float *contributions, int32_t voices, const uint8_t *earlier,
                     const uint8_t *hits, float *out) {
  for (int32_t v = 0; v < voices && earlier != NULL; v++)
    out[(earlier - hits) + v] += contributions[v];
}

/* Attributes `parts` (steps, inputs), the gradient, which becomes gradient times input, to
 * metrics, hits and style. Sums go on from step to step, in the order of the inputs. */
static void attribute(const explanation *e, float *parts, nd_reasons *out) {
  const nd_grid *grid = &e->seq->grid;
  const nd_features *f = &e->d->features;
  const uint8_t *hits = e->seq->hits;
  int32_t V = nd_sequence_voices(e->seq);
  nd_layout l = nd_features_layout(f, V);
  memset(out->song, 0, (size_t)grid->n_steps * ND_N_METRICS * sizeof *out->song);
  memset(out->hits, 0, (size_t)grid->n_steps * (size_t)V * sizeof *out->hits);
  out->style = 0.0f;
  for (size_t i = 0; i < (size_t)grid->n_steps * (size_t)l.inputs; i++) parts[i] *= e->x[i];
  for (int32_t t = 0; t < grid->n_steps; t++, parts += l.inputs) {
    float *song = out->song + (size_t)t * ND_N_METRICS;
    memcpy(song, parts + l.at[ND_PART_METRICS], (size_t)l.size[ND_PART_METRICS] * sizeof *song);
    /* the similarity of the bar that repeats is both a metric and an input of its own */
    if (l.size[ND_PART_SIMILARITY] > 0) song[ND_M_RECURRENCE] += parts[l.at[ND_PART_SIMILARITY]];
    for (nd_part part = ND_PART_TRAITS; part <= ND_PART_GROOVE; part++)
      for (int32_t k = 0; k < l.size[part]; k++) out->style += parts[l.at[part] + k];
    int32_t bar = nd_grid_bar(grid, t);
    nd_history h = nd_features_history(f, grid, V, hits, t, bar, e->recurrence.bar[bar]);
    add_hits(parts + l.at[ND_PART_BEFORE], V, h.before, hits, out->hits);
    for (int32_t k = 0; k * V < l.size[ND_PART_BACK]; k++)
      add_hits(parts + l.at[ND_PART_BACK] + k * V, V, h.back[k], hits, out->hits);
    add_hits(parts + l.at[ND_PART_RECURRENCE], V, h.recurrence, hits, out->hits);
  }
}

/* The contribution of voices of the same step, through the triangular matrix: exact,
 * because a logit is linear in these hits. */
static void explain_beside(const explanation *e, const nd_target *t, nd_reasons *out) {
  const nd_hits_head *head = &e->d->net.hits;
  int32_t V = head->voices;
  for (int32_t v = 0; v < V; v++)
    out->beside[v] = v < t->voice && head->mix != NULL
                         ? head->mix[v * V + t->voice] * e->y[t->step * V + v] : 0.0f;
}

/* Explains at most BATCH targets. A logit that is not finite has no meaningful gradient. */
static nd_status explain_batch(const explanation *e, const nd_target *targets, int32_t n,
                               nd_reasons *out, nd_error *err) {
  int32_t steps = nd_sequence_steps(e->seq);
  size_t values = (size_t)steps * (size_t)e->d->net.config.inputs;
  float logits[BATCH];
  nd_status status = nd_saliency(&e->d->net, steps, e->x, e->y, targets, n, logits, e->gradients,
                                 err);
  for (int32_t i = 0; i < n && status == ND_OK; i++) {
    if (!isfinite(logits[i])) return nd_drummer_is_corrupt(err);
    out[i].logit = logits[i];
    explain_beside(e, &targets[i], &out[i]);
    attribute(e, e->gradients + (size_t)i * values, &out[i]);
  }
  return status;
}

/* The last batch may be smaller. */
nd_status nd_explain(const nd_drummer *d, const nd_sequence *seq, const float *style,
                     const nd_target *targets, int32_t n, nd_reasons *out, nd_error *err) {
  explanation e = {.d = d, .seq = seq};
  nd_status status = prepare(&e, style, err);
  for (int32_t at = 0; at < n && status == ND_OK; at += BATCH)
    status = explain_batch(&e, targets + at, n - at < BATCH ? n - at : BATCH, out + at, err);
  nd_recurrence_clear(&e.recurrence);
  free(e.x);
  free(e.y);
  free(e.gradients);
  return status;
}
