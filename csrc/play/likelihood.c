#include "likelihood.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/blas.h"
#include "../net/inference.h"

enum { SIDE = 16,    /* streams at once */
       ROWS = 256 }; /* of one product of a window net: enough to be fast, few enough to stay
                      * in the cache */

/* What is no product, in multiply-adds that take as long; a step. */
static const double rows_cost = 1.5e4, likelihood_cost = 5e3;

static nd_status no_memory(nd_error *err) { return nd_fail(err, ND_NOMEM, "out of memory"); }

static nd_status check_grid(const nd_drummer *d, const nd_sequence *s, const char *what,
                            nd_error *err) {
  const nd_tokeniser *a = &s->settings, *b = &d->tokeniser;
  if (!nd_kit_equal(&a->kit, &b->kit))
    return nd_fail(err, ND_MISUSE, "%s: kit '%s', and the model plays '%s'", what, a->kit.name, b->kit.name);
  if (a->steps_per_beat != b->steps_per_beat || a->beat != b->beat)
    return nd_fail(err, ND_MISUSE, "%s: another grid than the model's (%d and %d steps a beat)", what,
                   a->steps_per_beat, b->steps_per_beat);
  return ND_OK;
}

static nd_status check_case(const nd_drummer *d, const nd_case *c, nd_error *err) {
  if (d->features.kind == ND_FEATURES_RAW)
    return nd_fail(err, ND_MISUSE, "a raw model has no features to judge by");
  if (d->net.config.touch)
    return nd_fail(err, ND_MISUSE, "a touch model says how hits are struck, not which");
  nd_status status = check_grid(d, c->drums, "the drums", err);
  if (status == ND_OK && c->song != NULL) status = check_grid(d, c->song, "the song", err);
  if (status != ND_OK) return status;
  if (c->from < 0 || c->steps < 1 || c->steps > nd_sequence_steps(c->drums) - c->from)
    return nd_fail(err, ND_MISUSE, "the stretch is not within the drums");
  return ND_OK;
}

/* ----------------------------------------------------------------------- rows */

nd_status nd_likelihood_rows(const nd_drummer *d, const nd_case *c, float *x, nd_error *err) {
  nd_status status = check_case(d, c, err);
  if (status != ND_OK) return status;
  const nd_sequence *drums = c->drums, *song = c->song != NULL ? c->song : drums;
  const nd_grid *grid = &drums->grid;
  int32_t V = nd_sequence_voices(drums), length = nd_sequence_steps(song);
  size_t M = ND_N_METRICS, inputs = (size_t)d->net.config.inputs;
  /* the song's metrics on the drums' steps, those before the stretch too,
   * then the drums' places */
  float *heard = nd_calloc((size_t)grid->n_steps * M, sizeof *heard);
  if (heard == NULL) return no_memory(err);
  int32_t at = (c->at - c->from) % length;
  if (at < 0) at += length;
  for (int32_t t = 0; t < grid->n_steps; t++)
    memcpy(heard + (size_t)t * M, song->metrics + (size_t)((at + t) % length) * M, M * sizeof *heard);
  if (song != drums || at != 0) nd_metrics_place(heard, grid);
  nd_recurrence returns;
  status = nd_recurrence_make(&returns, &d->features, heard, grid, err);
  if (status != ND_OK) {
    free(heard);
    return status;
  }
  int32_t bar = nd_grid_bar(grid, c->from);
  for (int32_t t = c->from; t < c->from + c->steps; t++, x += inputs) {
    while (bar + 1 < grid->n_bars && grid->bars[bar + 1].step <= t) bar++;
    nd_step_context h = {.metrics = heard + (size_t)t * M, .style = c->style,
                  .likeness = returns.how[bar], .into = t - grid->bars[bar].step,
                  .beat = drums->settings.steps_per_beat, .density = NAN, .fill = NAN};
    if (!c->no_history)
      h.past = nd_features_history(&d->features, grid, V, drums->hits, t, bar, returns.of[bar]);
    nd_features_row(&d->features, V, &h, x);
  }
  nd_recurrence_clear(&returns);
  free(heard);
  return ND_OK;
}

/* ------------------------------------------------------------------ likelihood */

/* ln p of hits (voices) by logits that voices of the step have no part in yet. */
static float likelihood(const nd_hits_head *head, const uint8_t *hits, const float *alone) {
  double sum = 0;
  int32_t voices = head->voices;
  float logits[ND_MAX_VOICES];
  memcpy(logits, alone, (size_t)voices * sizeof *logits);
  for (int32_t u = 0; u < voices && head->mix != NULL; u++)
    if (hits[u] > 0)
      for (int32_t v = u + 1; v < voices; v++) logits[v] += head->mix[u * voices + v];
  for (int32_t v = 0; v < voices; v++) {
    float z = hits[v] > 0 ? logits[v] : -logits[v];
    sum += z < 0.0f ? (double)(z - log1pf(expf(z))) : -(double)log1pf(expf(-z));
  }
  return (float)sum;
}

/* What a case's hits are not heard by: other drums may have the same. */
static bool same_hearing(const nd_case *a, const nd_case *b) {
  const nd_grid *x = &a->drums->grid, *y = &b->drums->grid;
  const nd_sequence *song_a = a->song != NULL ? a->song : a->drums;
  const nd_sequence *song_b = b->song != NULL ? b->song : b->drums;
  if (!a->no_history || !b->no_history || song_a != song_b || a->at != b->at ||
      a->from != b->from || a->steps != b->steps || a->style != b->style ||
      x->n_steps != y->n_steps || x->n_bars != y->n_bars || x->steps_per_beat != y->steps_per_beat)
    return false;
  for (int32_t i = 0; i < x->n_bars && x != y; i++)
    if (memcmp(&x->bars[i], &y->bars[i], sizeof *x->bars) != 0) return false;
  return true;
}

/* ------------------------------------------------------------- a window net's */

/* B windows side by side, and the rows of their products. */
typedef struct run {
  int32_t streams;
  float *block, *x, *z, *out, *scratch, *logits, *h, *c;
} run;

static nd_status run_make(run *r, const nd_net *net, nd_error *err) {
  const nd_net_config *c = &net->config;
  *r = (run){.streams = ROWS / c->window};
  size_t rows = ROWS, H = (size_t)c->hidden, V = (size_t)c->voices, I = (size_t)c->inputs;
  size_t cells = (size_t)c->layers * (size_t)r->streams * H, wide = nd_net_head_scratch(net, ROWS);
  r->block = nd_calloc(rows * (I + 5 * H + V) + 2 * wide + 2 * cells, sizeof *r->block);
  if (r->block == NULL) return no_memory(err);
  r->x = r->block;
  r->z = r->x + rows * I;
  r->out = r->z + rows * 4 * H;
  r->scratch = r->out + rows * H + wide;
  r->logits = r->scratch + wide;
  r->h = r->logits + rows * V;
  r->c = r->h + cells;
  return ND_OK;
}

/* Layer after layer over `steps` steps of all windows; the top's outputs
 * (steps, streams, H) stay in r->out. */
static void run_layers(run *r, const nd_net *net, int32_t steps) {
  const nd_net_config *c = &net->config;
  int32_t H = c->hidden, B = r->streams;
  size_t cells = (size_t)B * (size_t)H;
  for (int32_t l = 0; l < c->layers; l++) {
    const nd_lstm *k = &net->lstm[l];
    float *h = r->h + (size_t)l * cells, *cell = r->c + (size_t)l * cells;
    nd_gemm(ND_N, ND_N, steps * B, 4 * H, k->inputs, l == 0 ? r->x : r->out, k->wx, 0.0f, r->z);
    for (int32_t t = 0; t < steps; t++) {
      nd_lstm_step(k, B, r->z + (size_t)t * 4 * cells, h, cell);
      memcpy(r->out + (size_t)t * cells, h, cells * sizeof *h);
    }
  }
}

/* The windows that end on neighbouring steps, from `from` on, are streams, which
 * start from nothing; rows before the stretch are silence. */
static void judge_windows(run *r, const nd_net *net, const nd_case *one, const float *rows,
                          int32_t from, float *out) {
  const nd_net_config *c = &net->config;
  int32_t W = c->window, B = r->streams;
  size_t I = (size_t)c->inputs, V = (size_t)c->voices, H = (size_t)c->hidden;
  const uint8_t *hits = one->drums->hits + (size_t)one->from * V;
  int32_t here = one->steps - from < B ? one->steps - from : B;
  for (int32_t t = 0; t < W; t++)
    for (int32_t b = 0; b < B; b++) {
      int32_t at = from + b - (W - 1) + t;
      float *x = r->x + (size_t)(t * B + b) * I;
      if (at < 0 || at >= one->steps) memset(x, 0, I * sizeof *x);
      else memcpy(x, rows + (size_t)at * I, I * sizeof *x);
    }
  memset(r->h, 0, (size_t)c->layers * (size_t)B * H * sizeof *r->h);
  memset(r->c, 0, (size_t)c->layers * (size_t)B * H * sizeof *r->c);
  run_layers(r, net, W);
  const float *top = nd_net_head(net, here, r->out + (size_t)(W - 1) * (size_t)B * H, r->scratch);
  nd_hits_head head = net->hits;
  head.mix = NULL;
  nd_hits_forward(&head, here, top, r->x, NULL, r->logits);
  for (int32_t b = 0; b < here; b++)
    out[from + b] = likelihood(&net->hits, hits + (size_t)(from + b) * V, r->logits + (size_t)b * V);
}

/* ------------------------------------------------------------------- in slices */

/* Hearings are judged in groups: the rows of each are made, then all go through
 * the net side by side, then each case takes its likelihoods from its hearing. */
struct nd_likelihood {
  const nd_drummer *d;
  const nd_case *cases;
  float *const *out;
  int32_t n;
  int32_t *hearing;            /* (n): which of the different ones it is */
  int32_t *lead, n_hearings;   /* a case of each */
  int32_t first, many;         /* the group */
  int32_t rows, at;            /* rows made in it; steps, then cases, seen to */
  float *x[SIDE], *logits[SIDE];
  int32_t steps[SIDE];
  nd_inference pass;
  run run;
};

static void clear_group(nd_likelihood *j) {
  for (int32_t i = 0; i < SIDE; i++) {
    free(j->x[i]);
    free(j->logits[i]);
    j->x[i] = j->logits[i] = NULL;
  }
  nd_inference_clear(&j->pass);
  j->rows = j->at = 0;
}

nd_status nd_likelihood_make(nd_likelihood **out, const nd_drummer *d, const nd_case *cases, int32_t n,
                          float *const *values, nd_error *err) {
  nd_status status = ND_OK;
  for (int32_t i = 0; i < n && status == ND_OK; i++) status = check_case(d, &cases[i], err);
  if (status != ND_OK) return status;
  nd_likelihood *j = nd_calloc(1, sizeof *j);
  if (j == NULL) return no_memory(err);
  *j = (nd_likelihood){.d = d, .cases = cases, .out = values, .n = n};
  j->hearing = nd_calloc((size_t)n, sizeof *j->hearing);
  j->lead = nd_calloc((size_t)n, sizeof *j->lead);
  status = j->hearing && j->lead ? ND_OK : no_memory(err);
  if (status == ND_OK && d->net.config.window > 0) status = run_make(&j->run, &d->net, err);
  if (status != ND_OK) {
    nd_likelihood_free(j);
    return status;
  }
  for (int32_t i = 0; i < n; i++) {
    int32_t h = 0;
    while (h < j->n_hearings && !same_hearing(&cases[j->lead[h]], &cases[i])) h++;
    if (h == j->n_hearings) j->lead[j->n_hearings++] = i;
    j->hearing[i] = h;
  }
  *out = j;
  return ND_OK;
}

void nd_likelihood_free(nd_likelihood *j) {
  if (j == NULL) return;
  clear_group(j);
  free(j->run.block);
  free(j->hearing);
  free(j->lead);
  free(j);
}

/* One hearing's rows more; the last of a group starts the pass. */
static nd_status make_rows(nd_likelihood *j, nd_error *err) {
  const nd_net_config *c = &j->d->net.config;
  int32_t i = j->rows;
  const nd_case *one = &j->cases[j->lead[j->first + i]];
  j->steps[i] = one->steps;
  j->x[i] = nd_calloc((size_t)one->steps * (size_t)c->inputs, sizeof **j->x);
  if (j->x[i] == NULL) return no_memory(err);
  nd_status status = nd_likelihood_rows(j->d, one, j->x[i], err);
  if (status == ND_OK && c->window == 0) {
    j->logits[i] = nd_calloc((size_t)one->steps * (size_t)c->voices, sizeof **j->logits);
    if (j->logits[i] == NULL) return no_memory(err);
  }
  if (status == ND_OK) j->rows++;
  if (status == ND_OK && j->rows == j->many && c->window == 0)
    status = nd_inference_make(&j->pass, &j->d->net, j->many, j->steps, (const float *const *)j->x,
                          j->logits, err);
  return status;
}

static bool sound(const nd_likelihood *j, int32_t i) {
  for (int32_t t = 0; t < j->cases[i].steps; t++)
    if (!isfinite(j->out[i][t])) return false;
  return true;
}

/* The likelihoods of one case of a streaming net, where its hearing is in the group. */
static void weigh(nd_likelihood *j, int32_t i) {
  int32_t h = j->hearing[i] - j->first;
  if (h < 0 || h >= j->many) return;
  const nd_case *one = &j->cases[i];
  size_t V = (size_t)j->d->net.config.voices;
  const uint8_t *hits = one->drums->hits + (size_t)one->from * V;
  for (int32_t t = 0; t < one->steps; t++)
    j->out[i][t] = likelihood(&j->d->net.hits, hits + (size_t)t * V, j->logits[h] + (size_t)t * V);
}

nd_status nd_likelihood_advance(nd_likelihood *j, double *left, bool *more, nd_error *err) {
  double products = *left;
  const nd_net *net = &j->d->net;
  bool windows = net->config.window > 0;
  *more = false;
  while (j->first < j->n_hearings) {
    int32_t rest = j->n_hearings - j->first, side = windows ? 1 : SIDE;
    j->many = rest < side ? rest : side;
    if (products <= 0) {
      *more = true;
      *left = products;
      return ND_OK;
    }
    if (j->rows < j->many) {
      nd_status status = make_rows(j, err);
      if (status != ND_OK) return status;
      products -= rows_cost * j->cases[j->lead[j->first + j->rows - 1]].steps;
    } else if (windows) {
      /* cases that share a hearing differ in their hits, which windows hear at once */
      const nd_case *lead = &j->cases[j->lead[j->first]];
      for (int32_t i = 0; i < j->n; i++)
        if (j->hearing[i] == j->first)
          judge_windows(&j->run, net, &j->cases[i], j->x[0], j->at, j->out[i]);
      j->at += j->run.streams;
      products -= nd_net_macs(net) * j->run.streams;
      if (j->at >= lead->steps) {
        clear_group(j);
        j->first++;
      }
    } else if (!nd_inference_done(&j->pass)) {
      nd_inference_weights borrowed;
      products = nd_inference_advance(&j->pass, nd_drummer_weights(j->d, &borrowed), products);
    } else if (j->at < j->n) {
      weigh(j, j->at);
      if (j->hearing[j->at] >= j->first && j->hearing[j->at] < j->first + j->many)
        products -= likelihood_cost * j->cases[j->at].steps;
      j->at++;
    } else {
      j->first += j->many;
      clear_group(j);
    }
  }
  for (int32_t i = 0; i < j->n; i++)
    if (!sound(j, i))
      return nd_fail(err, ND_FORMAT, "the model produced NaN probabilities; its weights are corrupt");
  return ND_OK;
}
