#include "likelihood.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/blas.h"
#include "../net/inference.h"

/* Each case needs input rows, a run of the network over them, and the sum of
 * log-probabilities of its hits under the logits. Without history the rows do not
 * depend on the hits: then many cases (drafts of one song, or one take under songs
 * that are shifted) can share rows and run, and differ in the last part only. */

enum {
  BATCH = 16,         /* cases that go through a streaming net together */
  WINDOW_ROWS = 256   /* of one matrix product of a window net: enough to be fast, few
                       * enough to stay in the cache */
};

/* Work that is no matrix product, as the multiply-accumulates that take equally
 * long, per step: input rows, and likelihoods of logits. */
static const double rows_cost = 1.5e4, likelihood_cost = 5e3;

static const nd_sequence *song_of(const nd_case *c) { return c->song != NULL ? c->song : c->drums; }

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
  if (at < 0) at += length;
  for (int32_t t = 0; t < grid->n_steps; t++)
    memcpy(metrics + (size_t)t * ND_N_METRICS,
           song->metrics + (size_t)((at + t) % length) * ND_N_METRICS,
           ND_N_METRICS * sizeof *metrics);
  if (song != c->drums || at != 0) nd_metrics_position(metrics, grid);
  return metrics;
}

nd_status nd_likelihood_rows(const nd_drummer *d, const nd_case *c, float *x, nd_error *err) {
  nd_status status = check_case(d, c, err);
  if (status != ND_OK) return status;
  const nd_grid *grid = &c->drums->grid;
  int32_t V = nd_sequence_voices(c->drums);
  float *metrics = metrics_on_grid(c);
  if (metrics == NULL) return nd_nomem(err);
  nd_recurrence recurrence;
  status = nd_recurrence_make(&recurrence, &d->features, metrics, grid, err);
  if (status != ND_OK) {
    free(metrics);
    return status;
  }
  int32_t bar = nd_grid_bar(grid, c->from);
  for (int32_t t = c->from; t < c->from + c->steps; t++, x += d->net.config.inputs) {
    while (bar + 1 < grid->n_bars && grid->bars[bar + 1].step <= t) bar++;
    nd_step_context context = {.metrics = metrics + (size_t)t * ND_N_METRICS,
                               .style = c->style,
                               .similarity = recurrence.similarity[bar],
                               .step_in_bar = t - grid->bars[bar].step,
                               .steps_per_beat = c->drums->settings.steps_per_beat,
                               .density = NAN,
                               .fill = NAN};
    if (!c->no_history)
      context.history = nd_features_history(&d->features, grid, V, c->drums->hits, t, bar,
                                            recurrence.bar[bar]);
    nd_features_row(&d->features, V, &context, x);
  }
  nd_recurrence_clear(&recurrence);
  free(metrics);
  return ND_OK;
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

static bool equal_bars(const nd_grid *a, const nd_grid *b) {
  if (a->n_steps != b->n_steps || a->n_bars != b->n_bars || a->steps_per_beat != b->steps_per_beat)
    return false;
  for (int32_t i = 0; i < a->n_bars && a != b; i++)
    if (memcmp(&a->bars[i], &b->bars[i], sizeof *a->bars) != 0) return false;
  return true;
}

/* Whether two cases have equal input rows, because no row depends on the drums. */
static bool same_rows(const nd_case *a, const nd_case *b) {
  return a->no_history && b->no_history && song_of(a) == song_of(b) && a->at == b->at &&
         a->from == b->from && a->steps == b->steps && a->style == b->style &&
         equal_bars(&a->drums->grid, &b->drums->grid);
}

/* ------------------------------------------------------------------ window nets */

/* A window net starts every window from zero state, so the windows that end on
 * neighbouring steps are independent streams: WINDOW_ROWS rows go through each
 * layer as one product. Playing uses another arrangement (step.c), because there a
 * step's hits are known only after the step before. */

/* Windows side by side, each a stream of `window` steps, and the rows of their
 * matrix products. */
typedef struct window_run {
  int32_t streams;
  float *block, *x, *z, *out, *scratch, *logits, *h, *c;
} window_run;

static nd_status window_run_make(window_run *r, const nd_net *net, nd_error *err) {
  const nd_net_config *c = &net->config;
  *r = (window_run){.streams = WINDOW_ROWS / c->window};
  size_t rows = WINDOW_ROWS, H = (size_t)c->hidden, V = (size_t)c->voices, I = (size_t)c->inputs;
  size_t states = (size_t)c->layers * (size_t)r->streams * H;
  size_t head = nd_net_head_scratch(net, WINDOW_ROWS);
  r->block = nd_calloc(rows * (I + 5 * H + V) + 2 * head + 2 * states, sizeof *r->block);
  if (r->block == NULL) return nd_nomem(err);
  r->x = r->block;
  r->z = r->x + rows * I;
  r->out = r->z + rows * 4 * H;
  r->scratch = r->out + rows * H + head;
  r->logits = r->scratch + head;
  r->h = r->logits + rows * V;
  r->c = r->h + states;
  return ND_OK;
}

/* All layers over `steps` steps of all windows. The top layer's outputs (steps,
 * streams, H) are left in r->out. */
static void run_layers(window_run *r, const nd_net *net, int32_t steps) {
  const nd_net_config *c = &net->config;
  int32_t H = c->hidden, B = r->streams;
  size_t states = (size_t)B * (size_t)H;
  for (int32_t l = 0; l < c->layers; l++) {
    const nd_lstm *lstm = &net->lstm[l];
    float *h = r->h + (size_t)l * states, *cell = r->c + (size_t)l * states;
    nd_gemm(ND_N, ND_N, steps * B, 4 * H, lstm->inputs, l == 0 ? r->x : r->out, lstm->wx, 0.0f,
            r->z);
    for (int32_t t = 0; t < steps; t++) {
      nd_lstm_step(lstm, B, r->z + (size_t)t * 4 * states, h, cell);
      memcpy(r->out + (size_t)t * states, h, states * sizeof *h);
    }
  }
}

/* Lays out the windows that end on steps from, from + 1, …; rows before the
 * excerpt are zeros. */
static void lay_windows(window_run *r, const nd_net *net, int32_t steps, const float *rows,
                        int32_t from) {
  int32_t W = net->config.window, B = r->streams;
  size_t I = (size_t)net->config.inputs;
  for (int32_t t = 0; t < W; t++)
    for (int32_t b = 0; b < B; b++) {
      int32_t at = from + b - (W - 1) + t;
      float *x = r->x + (size_t)(t * B + b) * I;
      if (at < 0 || at >= steps) memset(x, 0, I * sizeof *x);
      else memcpy(x, rows + (size_t)at * I, I * sizeof *x);
    }
}

/* Log-likelihoods of the steps from `from` on, as many as there are streams. */
static void window_likelihoods(window_run *r, const nd_net *net, const nd_case *one,
                               const float *rows, int32_t from, float *values) {
  const nd_net_config *c = &net->config;
  int32_t W = c->window, B = r->streams;
  size_t V = (size_t)c->voices, H = (size_t)c->hidden;
  const uint8_t *hits = one->drums->hits + (size_t)one->from * V;
  int32_t count = one->steps - from < B ? one->steps - from : B;
  lay_windows(r, net, one->steps, rows, from);
  memset(r->h, 0, (size_t)c->layers * (size_t)B * H * sizeof *r->h);
  memset(r->c, 0, (size_t)c->layers * (size_t)B * H * sizeof *r->c);
  run_layers(r, net, W);
  const float *top = nd_net_head(net, count, r->out + (size_t)(W - 1) * (size_t)B * H, r->scratch);
  nd_hits_head head = net->hits;
  head.mix = NULL;  /* log_likelihood() mixes voices itself */
  nd_hits_forward(&head, NULL, 1, count, count, top, r->x, NULL, r->logits);
  for (int32_t b = 0; b < count; b++)
    values[from + b] =
        log_likelihood(&net->hits, hits + (size_t)(from + b) * V, r->logits + (size_t)b * V);
}

/* ------------------------------------------------------------------- in slices */

/* Distinct sets of input rows ("inputs") are processed in batches: the rows of
 * each are made, all go through the network together, and each case then takes
 * its likelihoods from the logits of its inputs. */
struct nd_likelihood {
  const nd_drummer *d;
  const nd_case *cases;
  float *const *values;
  int32_t n;
  int32_t *input_of;             /* (n) the case's inputs */
  int32_t *leader, n_inputs;     /* (n_inputs) a case that has them */
  int32_t first, count;          /* the batch: inputs first..first+count-1 */
  int32_t n_rows;                /* inputs of the batch whose rows are made */
  int32_t at;                    /* progress in the batch: steps, or cases */
  float *x[BATCH], *logits[BATCH];
  int32_t steps[BATCH];
  nd_inference inference;
  window_run windows;
};

static void clear_batch(nd_likelihood *l) {
  for (int32_t i = 0; i < BATCH; i++) {
    free(l->x[i]);
    free(l->logits[i]);
    l->x[i] = l->logits[i] = NULL;
  }
  nd_inference_clear(&l->inference);
  l->n_rows = l->at = 0;
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

nd_status nd_likelihood_make(nd_likelihood **out, const nd_drummer *d, const nd_case *cases,
                             int32_t n, float *const *values, nd_error *err) {
  nd_status status = ND_OK;
  for (int32_t i = 0; i < n && status == ND_OK; i++) status = check_case(d, &cases[i], err);
  if (status != ND_OK) return status;
  nd_likelihood *l = nd_calloc(1, sizeof *l);
  if (l == NULL) return nd_nomem(err);
  *l = (nd_likelihood){.d = d, .cases = cases, .values = values, .n = n};
  l->input_of = nd_calloc((size_t)n, sizeof *l->input_of);
  l->leader = nd_calloc((size_t)n, sizeof *l->leader);
  status = l->input_of && l->leader ? ND_OK : nd_nomem(err);
  if (status == ND_OK && d->net.config.window > 0)
    status = window_run_make(&l->windows, &d->net, err);
  if (status != ND_OK) {
    nd_likelihood_free(l);
    return status;
  }
  group_cases(l);
  *out = l;
  return ND_OK;
}

void nd_likelihood_free(nd_likelihood *l) {
  if (l == NULL) return;
  clear_batch(l);
  free(l->windows.block);
  free(l->input_of);
  free(l->leader);
  free(l);
}

/* Makes the rows of one more of the batch's inputs. After the last of them a
 * streaming net starts its inference. */
static nd_status make_rows(nd_likelihood *l, nd_error *err) {
  const nd_net_config *c = &l->d->net.config;
  int32_t i = l->n_rows;
  const nd_case *one = &l->cases[l->leader[l->first + i]];
  l->steps[i] = one->steps;
  l->x[i] = nd_calloc((size_t)one->steps * (size_t)c->inputs, sizeof **l->x);
  if (l->x[i] == NULL) return nd_nomem(err);
  nd_status status = nd_likelihood_rows(l->d, one, l->x[i], err);
  if (status != ND_OK) return status;
  l->n_rows++;
  if (c->window > 0) return ND_OK;
  l->logits[i] = nd_calloc((size_t)one->steps * (size_t)c->voices, sizeof **l->logits);
  if (l->logits[i] == NULL) return nd_nomem(err);
  if (l->n_rows < l->count) return ND_OK;
  return nd_inference_make(&l->inference, &l->d->net, l->count, l->steps,
                           (const float *const *)l->x, l->logits, err);
}

/* The next windows of one set of inputs. Cases that share it differ in their
 * hits, so each takes its likelihoods now: no logits are stored. */
static double advance_windows(nd_likelihood *l) {
  const nd_net *net = &l->d->net;
  int32_t steps = l->cases[l->leader[l->first]].steps;
  for (int32_t i = 0; i < l->n; i++)
    if (l->input_of[i] == l->first)
      window_likelihoods(&l->windows, net, &l->cases[i], l->x[0], l->at, l->values[i]);
  l->at += l->windows.streams;
  if (l->at >= steps) {
    clear_batch(l);
    l->first++;
  }
  return nd_net_macs(net) * l->windows.streams;
}

/* Takes the likelihoods of the next case, if its inputs are in the batch. */
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

/* One NaN or infinite logit makes a sum useless. Reported at the end, because the
 * caller gets values by then or not at all. */
static nd_status check_finite(const nd_likelihood *l, nd_error *err) {
  for (int32_t i = 0; i < l->n; i++)
    for (int32_t t = 0; t < l->cases[i].steps; t++)
      if (!isfinite(l->values[i][t])) return nd_drummer_is_corrupt(err);
  return ND_OK;
}

/* Each turn does one unit: the rows of one input, some windows, a part of the
 * inference, or one case. */
nd_status nd_likelihood_advance(nd_likelihood *l, double *macs, bool *more, nd_error *err) {
  bool windows = l->d->net.config.window > 0;
  nd_inference_weights borrowed;
  const nd_inference_weights *weights = nd_drummer_weights(l->d, &borrowed);
  while (l->first < l->n_inputs && *macs > 0) {
    int32_t left = l->n_inputs - l->first, max = windows ? 1 : BATCH;
    l->count = left < max ? left : max;
    if (l->n_rows < l->count) {
      nd_status status = make_rows(l, err);
      if (status != ND_OK) return status;
      *macs -= rows_cost * l->cases[l->leader[l->first + l->n_rows - 1]].steps;
    } else if (windows) {
      *macs -= advance_windows(l);
    } else if (!nd_inference_done(&l->inference)) {
      *macs = nd_inference_advance(&l->inference, weights, *macs);
    } else if (l->at < l->n) {
      *macs -= advance_case(l);
    } else {
      l->first += l->count;
      clear_batch(l);
    }
  }
  *more = l->first < l->n_inputs;
  return *more ? ND_OK : check_finite(l, err);
}

ND_DEFINE_JOB(nd_likelihood)
