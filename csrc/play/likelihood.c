#include "likelihood.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/inference.h"

/* How probable recorded drums are: ln p(hits) = sum over steps and voices of ln p(hit |
 * song, earlier steps, earlier voices of the step). The network sees the recorded hits
 * as history, so that all steps are independent given the inputs, and run in parallel.
 *
 * Each case needs input rows, a run of the network over them, and the sum of
 * log-probabilities of its hits under the logits. Without history the rows do not
 * depend on the hits: then many cases (drafts of one song, or one take under songs
 * that are shifted) can share rows and run, and differ in the last part only. */

enum {
  BATCH = 16,     /* sets of input rows that go through a streaming net together */
  WINDOWS = 32    /* windows that go through a window net together */
};

/* Work that is no matrix product, as the multiply-accumulates that take equally
 * long, per step: input rows, and likelihoods of logits. */
static const double rows_cost = 1.5e4, likelihood_cost = 5e3;

/* The Sequence whose metrics the network sees. */
static const nd_sequence *song_of(const nd_case *c) { return c->song != NULL ? c->song : c->drums; }

/* ND_MISUSE, see nd_likelihood_make(). The order of subtraction avoids overflow. */
static nd_status check_case(const nd_drummer *d, const nd_case *c, nd_error *err) {
  nd_status status = nd_drummer_predicts_hits(d, err);
  if (status == ND_OK) status = nd_drummer_accepts(d, &c->drums->settings, "the sequence", err);
  if (status == ND_OK && c->song != NULL)
    status = nd_drummer_accepts(d, &c->song->settings, "the song", err);
  if (status != ND_OK) return status;
  int32_t length = nd_sequence_steps(c->drums);
  if (c->from < 0 || c->steps < 1 || c->steps > length - c->from)
    return nd_fail(err, ND_MISUSE, "%d steps from step %d on are not within the drums' %d steps",
                   c->steps, c->from + 1, length);
  return ND_OK;
}

/* ----------------------------------------------------------------------- rows */

/* The song's metrics on all steps of the drums (n_steps, ND_N_METRICS), also
 * those before the excerpt: recurrence compares whole bars. The song's own
 * position metrics would contradict the drums' grid, which the history follows.
 * malloc'd; NULL when out of memory. */
static float *metrics_on_grid(const nd_case *c) {
  const nd_sequence *song = song_of(c);
  const nd_grid *grid = &c->drums->grid;
  int32_t length = nd_sequence_steps(song), at = (c->at - c->from) % length;
  float *metrics = nd_calloc((size_t)grid->n_steps * ND_N_METRICS, sizeof *metrics);
  if (metrics == NULL) return NULL;
  if (at < 0) at += length;  /* the remainder has the sign of the dividend */
  for (int32_t t = 0; t < grid->n_steps; t++)
    memcpy(metrics + (size_t)t * ND_N_METRICS,
           song->metrics + (size_t)((at + t) % length) * ND_N_METRICS,
           ND_N_METRICS * sizeof *metrics);
  if (song != c->drums || at != 0) nd_metrics_position(metrics, grid);
  return metrics;
}

/* Fills x (steps, inputs) from the metrics on the drums' grid. No cell is fixed and no
 * control is given: the network is to judge what it would play by itself. */
static void fill_rows(const nd_drummer *d, const nd_case *c, const float *metrics,
                      const nd_recurrence *recurrence, float *x) {
  const nd_grid *grid = &c->drums->grid;
  int32_t V = nd_sequence_voices(c->drums);
  for (int32_t t = c->from; t < c->from + c->steps; t++, x += d->net.config.inputs) {
    int32_t bar = nd_grid_bar(grid, t);
    nd_step_context context = {.metrics = metrics + (size_t)t * ND_N_METRICS,
                               .style = c->style,
                               .similarity = recurrence->similarity[bar],
                               .step_in_bar = t - grid->bars[bar].step,
                               .steps_per_beat = c->drums->settings.steps_per_beat,
                               .density = NAN,
                               .fill = NAN};
    if (!c->no_history)
      context.history = nd_features_history(&d->features, grid, V, c->drums->hits, t, bar,
                                            recurrence->bar[bar]);
    nd_features_row(&d->features, V, &context, x);
  }
}

/* Metrics and recurrence are those of the whole Sequence, even for a short excerpt: what a
 * bar repeats may lie before it. */
nd_status nd_likelihood_rows(const nd_drummer *d, const nd_case *c, float *x, nd_error *err) {
  nd_status status = check_case(d, c, err);
  if (status != ND_OK) return status;
  nd_recurrence recurrence = {.bar = NULL};
  float *metrics = metrics_on_grid(c);
  status = metrics != NULL ? nd_recurrence_make(&recurrence, &d->features, metrics,
                                                &c->drums->grid, err) : nd_nomem(err);
  if (status == ND_OK) fill_rows(d, c, metrics, &recurrence, x);
  nd_recurrence_clear(&recurrence);
  free(metrics);
  return status;
}

/* ----------------------------------------------------------------- likelihoods */

/* ln p of a step's hits (voices). `logits` (voices) are those before any voice
 * of the step is known; each hit then changes the logits of the voices after
 * it. ln sigmoid(z) is computed without overflow for either sign of z. */
static float log_likelihood(const nd_hits_head *head, const uint8_t *hits, const float *logits) {
  double sum = 0;
  int32_t voices = head->voices;
  float mixed[ND_MAX_VOICES];
  memcpy(mixed, logits, (size_t)voices * sizeof *mixed);
  for (int32_t u = 0; u < voices && head->mix != NULL; u++)
    if (hits[u] > 0)
      for (int32_t v = u + 1; v < voices; v++) mixed[v] += head->mix[u * voices + v];
  for (int32_t v = 0; v < voices; v++) {
    float z = hits[v] > 0 ? mixed[v] : -mixed[v];
    sum += z < 0.0f ? (double)(z - log1pf(expf(z))) : -(double)log1pf(expf(-z));
  }
  return (float)sum;
}

/* Whether two grids have the same bars and steps. Tempo does not matter: it is a metric
 * of the song. */
static bool equal_bars(const nd_grid *a, const nd_grid *b) {
  return a->n_steps == b->n_steps && a->n_bars == b->n_bars &&
         a->steps_per_beat == b->steps_per_beat &&
         memcmp(a->bars, b->bars, (size_t)a->n_bars * sizeof *a->bars) == 0;
}

/* Whether two cases have equal input rows. Pointers are compared, not contents: callers
 * that want to share a run pass the same song and style. Rows can only be equal when no
 * row depends on the drums. */
static bool same_rows(const nd_case *a, const nd_case *b) {
  return a->no_history && b->no_history && song_of(a) == song_of(b) && a->at == b->at &&
         a->from == b->from && a->steps == b->steps && a->style == b->style &&
         equal_bars(&a->drums->grid, &b->drums->grid);
}

/* ------------------------------------------------------------------- in slices */

/* The memory of a job is that of one batch: rows and logits of at most BATCH inputs,
 * however many cases there are.
 *
 * Distinct sets of input rows ("inputs") are processed in batches: the rows of each are
 * made, all go through the network together, and each case then takes its likelihoods
 * from the logits of its inputs. */
struct nd_likelihood {
  const nd_drummer *d;
  const nd_case *cases;
  float *const *values;
  int32_t n;
  int32_t *input_of;             /* (n) the case's inputs */
  int32_t *leader, n_inputs;     /* (n_inputs) a case that has them */
  int32_t first, count;          /* the batch: inputs first..first+count-1; count 0: none */
  int32_t n_rows, step, at;      /* progress in it: inputs with rows, steps of windows, cases */
  nd_arena arena;                /* of x and logits */
  int32_t steps[BATCH];
  float *x[BATCH];               /* (padding + steps, inputs) */
  float *logits[BATCH];          /* (steps, voices) */
  float *window_logits;          /* (WINDOWS, window, voices) of a window net */
  nd_inference inference;        /* of a streaming net */
};

/* Rows of zeros before the first: what the first windows of a window net see. */
static int32_t padding(const nd_likelihood *l) {
  return l->d->net.config.window > 0 ? l->d->net.config.window - 1 : 0;
}

/* Of one batch; runs twice, see arena.h. The arena is used again for the next batch. */
static void lay_out(nd_likelihood *l, nd_arena *a) {
  const nd_net_config *c = &l->d->net.config;
  for (int32_t i = 0; i < l->count; i++) {
    l->x[i] = nd_arena_floats(a, (size_t)(padding(l) + l->steps[i]) * (size_t)c->inputs);
    l->logits[i] = nd_arena_floats(a, (size_t)l->steps[i] * (size_t)c->voices);
  }
  l->window_logits = nd_arena_floats(a, WINDOWS * (size_t)c->window * (size_t)c->voices);
}

/* Quadratic in the number of distinct inputs, but a comparison is a few pointers
 * unless cases really share a song. */
static void group_cases(nd_likelihood *l) {
  for (int32_t i = 0; i < l->n; i++) {
    int32_t k = 0;
    while (k < l->n_inputs && !same_rows(&l->cases[l->leader[k]], &l->cases[i])) k++;
    if (k == l->n_inputs) l->leader[l->n_inputs++] = i;
    l->input_of[i] = k;
  }
}

/* At any time: a part that was not made yet is zero. */
static void discard(void *self) {
  nd_likelihood *l = self;
  if (l == NULL) return;
  nd_inference_clear(&l->inference);
  nd_arena_clear(&l->arena);
  free(l->input_of);
  free(l);
}

/* Every case is checked before the first is computed, so that misuse is reported at once.
 * Memory for rows is taken batch by batch. */
nd_status nd_likelihood_make(nd_likelihood **out, const nd_drummer *d, const nd_case *cases,
                             int32_t n, float *const *values, nd_error *err) {
  for (int32_t i = 0; i < n; i++) {
    nd_status status = check_case(d, &cases[i], err);
    if (status != ND_OK) return status;
  }
  nd_likelihood *l = nd_calloc(1, sizeof *l);
  if (l == NULL) return nd_nomem(err);
  *l = (nd_likelihood){.d = d, .cases = cases, .values = values, .n = n};
  l->input_of = nd_calloc(2 * (size_t)n, sizeof *l->input_of);
  if (l->input_of == NULL) {
    discard(l);
    return nd_nomem(err);
  }
  l->leader = l->input_of + n;
  group_cases(l);
  *out = l;
  return ND_OK;
}

/* Memory for the next inputs, whose rows are not made yet. A window net takes one at a
 * time: it has many windows. */
static nd_status begin_batch(nd_likelihood *l, nd_error *err) {
  const nd_net_config *c = &l->d->net.config;
  int32_t left = l->n_inputs - l->first, max = c->window > 0 ? 1 : BATCH;
  nd_arena counted = {0};
  l->count = left < max ? left : max;
  l->n_rows = l->step = l->at = 0;
  for (int32_t i = 0; i < l->count; i++)
    l->steps[i] = l->cases[l->leader[l->first + i]].steps;
  lay_out(l, &counted);
  if (!nd_arena_reserve(&l->arena, counted.used)) return nd_nomem(err);
  lay_out(l, &l->arena);
  /* the arena may hold the last batch's rows */
  memset(l->x[0], 0, (size_t)padding(l) * (size_t)c->inputs * sizeof **l->x);
  nd_inference_clear(&l->inference);
  if (c->window > 0) return ND_OK;
  return nd_inference_make(&l->inference, &l->d->net, l->count, l->steps,
                           (const float *const *)l->x, l->logits, err);
}

/* ------------------------------------------------------------------------ units */

/* The next input's rows, one unit of work. A song whose rows cannot be made fails the
 * whole job: its values would be missing. */
static nd_status make_rows(nd_likelihood *l, double *macs, nd_error *err) {
  int32_t i = l->n_rows++;
  *macs -= rows_cost * l->steps[i];
  return nd_likelihood_rows(l->d, &l->cases[l->leader[l->first + i]],
                            l->x[i] + padding(l) * l->d->net.config.inputs, err);
}

/* Logits of the next steps of a window net. Every window starts from zero state, so the
 * windows that end on neighbouring steps are independent streams, which overlap in x.
 * Playing uses another arrangement (step.c), because there a step's hits are known only
 * after the step before. */
static nd_status predict_windows(nd_likelihood *l, double *macs, nd_error *err) {
  const nd_net_config *c = &l->d->net.config;
  size_t V = (size_t)c->voices, W = (size_t)c->window;  /* a window's last logits count */
  int32_t left = l->steps[0] - l->step, n = left < WINDOWS ? left : WINDOWS, steps[WINDOWS];
  const float *x[WINDOWS];
  float *logits[WINDOWS];
  nd_inference run;
  for (int32_t i = 0; i < n; i++) {
    steps[i] = c->window;
    x[i] = l->x[0] + (size_t)(l->step + i) * (size_t)c->inputs;
    logits[i] = l->window_logits + (size_t)i * W * V;
  }
  nd_status status = nd_inference_make(&run, &l->d->net, n, steps, x, logits, err);
  if (status != ND_OK) return status;
  /* without a limit: this is one unit, as long as a few hundred steps of playing */
  (void)nd_inference_advance(&run, nd_drummer_weights(l->d), INFINITY);
  nd_inference_clear(&run);
  for (int32_t i = 0; i < n; i++, l->step++)
    memcpy(l->logits[0] + (size_t)l->step * V, logits[i] + (W - 1) * V, V * sizeof **logits);
  *macs -= nd_net_macs(&l->d->net) * n;
  return ND_OK;
}

/* Takes the likelihoods of the next case, for each step of its excerpt, if its inputs are
 * in the batch. Returns the work as multiply-accumulates. */
static double advance_case(nd_likelihood *l) {
  int32_t i = l->at++, k = l->input_of[i] - l->first;
  if (k < 0 || k >= l->count) return 0.0;
  const nd_case *one = &l->cases[i];
  size_t V = (size_t)l->d->net.config.voices;
  const uint8_t *hits = one->drums->hits + (size_t)one->from * V;
  for (int32_t t = 0; t < one->steps; t++)
    l->values[i][t] = log_likelihood(&l->d->net.hits, hits + (size_t)t * V,
                                     l->logits[k] + (size_t)t * V);
  return likelihood_cost * one->steps;
}

/* All values of all cases, after the last slice. One NaN or infinite logit makes a sum
 * useless. Reported at the end, because the caller gets values by then or not at all. */
static nd_status check_finite(const nd_likelihood *l, nd_error *err) {
  for (int32_t i = 0; i < l->n; i++)
    for (int32_t t = 0; t < l->cases[i].steps; t++)
      if (!isfinite(l->values[i][t])) return nd_drummer_is_corrupt(err);
  return ND_OK;
}

/* Each turn does one unit: the memory of a batch, the rows of one input, some windows, a
 * part of the inference, or one case. All cases are looked through for each batch,
 * which costs nothing against the network. */
static nd_status advance(void *self, double *macs, bool *more, nd_error *err) {
  nd_likelihood *l = self;
  bool windows = l->d->net.config.window > 0;
  nd_status status = ND_OK;
  while (l->first < l->n_inputs && *macs > 0 && status == ND_OK) {
    if (l->count == 0) {
      status = begin_batch(l, err);
    } else if (l->n_rows < l->count) {
      status = make_rows(l, macs, err);
    } else if (windows && l->step < l->steps[0]) {
      status = predict_windows(l, macs, err);
    } else if (!windows && !nd_inference_done(&l->inference)) {
      *macs = nd_inference_advance(&l->inference, nd_drummer_weights(l->d), *macs);
    } else if (l->at < l->n) {
      *macs -= advance_case(l);
    } else {  /* the batch is done; its memory stays for the next */
      l->first += l->count;
      l->count = 0;
    }
  }
  *more = l->first < l->n_inputs;
  return status == ND_OK && !*more ? check_finite(l, err) : status;
}

nd_job nd_likelihood_job(nd_likelihood *l) { return (nd_job){l, advance, discard}; }
