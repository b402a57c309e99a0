#include "judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/blas.h"

/* Rows of one product: enough to be fast, few enough to stay in the cache. */
enum { ROWS = 256 };

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

nd_status nd_judge_rows(const nd_drummer *d, const nd_case *c, float *x, nd_error *err) {
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
  nd_returns returns;
  status = nd_returns_make(&returns, &d->features, heard, grid, err);
  if (status != ND_OK) {
    free(heard);
    return status;
  }
  int32_t bar = nd_grid_bar(grid, c->from);
  for (int32_t t = c->from; t < c->from + c->steps; t++, x += inputs) {
    while (bar + 1 < grid->n_bars && grid->bars[bar + 1].step <= t) bar++;
    nd_heard h = {.metrics = heard + (size_t)t * M, .style = c->style,
                  .likeness = returns.how[bar], .into = t - grid->bars[bar].step,
                  .beat = drums->settings.steps_per_beat, .density = NAN, .fill = NAN};
    if (!c->no_history)
      h.past = nd_features_past(&d->features, grid, V, drums->hits, t, bar, returns.of[bar]);
    nd_features_row(&d->features, V, &h, x);
  }
  nd_returns_clear(&returns);
  free(heard);
  return ND_OK;
}

/* ------------------------------------------------------------------ likelihood */

/* ln p of hits (voices) by their logits. */
static float likelihood(int32_t voices, const uint8_t *hits, const float *logits) {
  double sum = 0;
  for (int32_t v = 0; v < voices; v++) {
    float z = hits[v] > 0 ? logits[v] : -logits[v];
    sum += z < 0.0f ? (double)(z - log1pf(expf(z))) : -(double)log1pf(expf(-z));
  }
  return (float)sum;
}

/* All that a run needs: B states side by side, and up to ROWS rows at once. */
typedef struct run {
  const nd_net *net;
  int32_t streams;
  float *x;                       /* (ROWS, inputs) */
  float *front;                   /* (ROWS, front), with an encoder */
  float *z;                       /* (ROWS, 4H) */
  float *out;                     /* (ROWS, H) of the layer below, then of the top */
  float *scratch;                 /* of the head */
  float *logits, *y;              /* (ROWS, V) */
  float *h, *c;                   /* (layers, streams, H) */
} run;

static void run_clear(run *r) {
  free(r->x);
  free(r->front);
  free(r->z);
  free(r->out);
  free(r->scratch);
  free(r->logits);
  free(r->y);
  free(r->h);
  free(r->c);
}

static nd_status run_make(run *r, const nd_net *net, int32_t streams, nd_error *err) {
  const nd_net_config *c = &net->config;
  size_t rows = ROWS, H = (size_t)c->hidden, cells = (size_t)c->layers * (size_t)streams * H;
  *r = (run){.net = net, .streams = streams};
  r->x = nd_calloc(rows * (size_t)c->inputs, sizeof(float));
  r->front = nd_calloc(c->encoder > 0 ? rows * (size_t)nd_net_front(c) : 0, sizeof(float));
  r->z = nd_calloc(rows * 4 * H, sizeof(float));
  r->out = nd_calloc(nd_net_head_scratch(net, ROWS) + rows * H, sizeof(float));
  r->scratch = nd_calloc(nd_net_head_scratch(net, ROWS), sizeof(float));
  r->logits = nd_calloc(rows * (size_t)c->voices, sizeof(float));
  r->y = nd_calloc(rows * (size_t)c->voices, sizeof(float));
  r->h = nd_calloc(cells, sizeof(float));
  r->c = nd_calloc(cells, sizeof(float));
  if (r->x && r->front && r->z && r->out && r->scratch && r->logits && r->y && r->h && r->c)
    return ND_OK;
  run_clear(r);
  return no_memory(err);
}

/* Layer after layer over `steps` steps of all streams; the top's outputs
 * (steps, streams, H) stay in r->out. */
static void run_layers(run *r, int32_t steps, const float *in) {
  const nd_net_config *c = &r->net->config;
  int32_t H = c->hidden, B = r->streams;
  size_t cells = (size_t)B * (size_t)H;
  for (int32_t l = 0; l < c->layers; l++) {
    const nd_lstm *k = &r->net->lstm[l];
    float *h = r->h + (size_t)l * cells, *cell = r->c + (size_t)l * cells;
    nd_gemm(ND_N, ND_N, steps * B, 4 * H, k->inputs, l == 0 ? in : r->out, k->wx, 0.0f, r->z);
    for (int32_t t = 0; t < steps; t++) {
      nd_lstm_step(k, B, r->z + (size_t)t * 4 * cells, h, cell);
      memcpy(r->out + (size_t)t * cells, h, cells * sizeof *h);
    }
  }
}

/* One case's rows, read once by the encoder where there is one. */
typedef struct reading { float *x, *encoding; } reading;

static void reading_clear(reading *read, int32_t n) {
  for (int32_t i = 0; i < n; i++) {
    free(read[i].x);
    free(read[i].encoding);
  }
}

static nd_status read_case(const nd_drummer *d, const nd_case *c, reading *r, nd_error *err) {
  const nd_net_config *net = &d->net.config;
  size_t steps = (size_t)c->steps, E = (size_t)net->encoded;
  nd_status status = check_case(d, c, err);
  if (status != ND_OK) return status;
  r->x = nd_calloc(steps * (size_t)net->inputs, sizeof *r->x);
  if (r->x == NULL) return no_memory(err);
  status = nd_judge_rows(d, c, r->x, err);
  if (status != ND_OK || net->encoder == 0) return status;
  float *in = nd_calloc(steps * E, sizeof *in);
  r->encoding = nd_calloc(steps * (size_t)nd_net_encoding(net), sizeof *r->encoding);
  if (in == NULL || r->encoding == NULL) {
    free(in);
    return no_memory(err);
  }
  for (size_t t = 0; t < steps; t++)
    memcpy(in + t * E, r->x + t * (size_t)net->inputs, E * sizeof *in);
  status = nd_net_encode(&d->net, c->steps, in, r->encoding, err);
  free(in);
  return status;
}

/* Rows of step t of every stream, silence past a stream's end. */
static void lay_step(run *r, const nd_case *cases, const reading *read, int32_t t, size_t row) {
  const nd_net_config *c = &r->net->config;
  size_t I = (size_t)c->inputs, E = (size_t)c->encoded, V = (size_t)c->voices;
  size_t front = (size_t)nd_net_front(c), encoding = (size_t)nd_net_encoding(c);
  for (int32_t b = 0; b < r->streams; b++, row++) {
    float *x = r->x + row * I, *y = r->y + row * V;
    bool any = t < cases[b].steps;
    if (any) memcpy(x, read[b].x + (size_t)t * I, I * sizeof *x);
    else memset(x, 0, I * sizeof *x);
    const uint8_t *hits = any ? cases[b].drums->hits + (size_t)(cases[b].from + t) * V : NULL;
    for (size_t v = 0; v < V; v++) y[v] = any && hits[v] > 0 ? 1.0f : 0.0f;
    if (c->encoder == 0) continue;
    float *to = r->front + row * front;
    if (any) memcpy(to, read[b].encoding + (size_t)t * encoding, encoding * sizeof *to);
    else memset(to, 0, encoding * sizeof *to);
    memcpy(to + encoding, x + E, (I - E) * sizeof *to);
  }
}

static void weigh(run *r, int32_t rows, float *features) {
  const float *top = nd_net_head(r->net, rows, features, r->scratch);
  nd_hits_forward(&r->net->hits, rows, top, r->x, r->y, r->logits);
}

/* Streaming nets: cases are streams, states go on from chunk to chunk. */
static void judge_streams(run *r, const nd_case *cases, const reading *read, float *const *out) {
  const nd_net_config *c = &r->net->config;
  int32_t B = r->streams, chunk = ROWS / B, longest = 0;
  size_t V = (size_t)c->voices;
  for (int32_t b = 0; b < B; b++)
    if (cases[b].steps > longest) longest = cases[b].steps;
  for (int32_t from = 0; from < longest; from += chunk) {
    int32_t steps = longest - from < chunk ? longest - from : chunk;
    for (int32_t t = 0; t < steps; t++) lay_step(r, cases, read, from + t, (size_t)t * (size_t)B);
    run_layers(r, steps, c->encoder > 0 ? r->front : r->x);
    weigh(r, steps * B, r->out);
    for (int32_t t = 0; t < steps; t++)
      for (int32_t b = 0; b < B; b++)
        if (from + t < cases[b].steps) {
          const uint8_t *hits = cases[b].drums->hits + (size_t)(cases[b].from + from + t) * V;
          out[b][from + t] = likelihood(c->voices, hits, r->logits + (size_t)(t * B + b) * V);
        }
  }
}

/* Window nets: the windows that end on neighbouring steps are streams, which
 * start from nothing; rows before the stretch are silence. */
static void judge_windows(run *r, const nd_case *one, const reading *read, float *out) {
  const nd_net_config *c = &r->net->config;
  int32_t W = c->window, B = r->streams;
  size_t I = (size_t)c->inputs, V = (size_t)c->voices, H = (size_t)c->hidden;
  const uint8_t *hits = one->drums->hits + (size_t)one->from * V;
  for (int32_t from = 0; from < one->steps; from += B) {
    int32_t here = one->steps - from < B ? one->steps - from : B;
    for (int32_t t = 0; t < W; t++)
      for (int32_t b = 0; b < B; b++) {
        int32_t at = from + b - (W - 1) + t;
        float *x = r->x + (size_t)(t * B + b) * I;
        if (at < 0 || at >= one->steps) memset(x, 0, I * sizeof *x);
        else memcpy(x, read->x + (size_t)at * I, I * sizeof *x);
      }
    memset(r->h, 0, (size_t)c->layers * (size_t)B * H * sizeof *r->h);
    memset(r->c, 0, (size_t)c->layers * (size_t)B * H * sizeof *r->c);
    run_layers(r, W, r->x);
    for (size_t i = 0; i < (size_t)here * V; i++) r->y[i] = hits[(size_t)from * V + i] > 0 ? 1.0f : 0.0f;
    weigh(r, here, r->out + (size_t)(W - 1) * (size_t)B * H);
    for (int32_t b = 0; b < here; b++)
      out[from + b] = likelihood(c->voices, hits + (size_t)(from + b) * V, r->logits + (size_t)b * V);
  }
}

nd_status nd_judge(const nd_drummer *d, const nd_case *cases, int32_t n, float *const *out,
                   nd_error *err) {
  enum { SIDE = 16 };   /* streams at once */
  int32_t W = d->net.config.window;
  nd_status status = ND_OK;
  for (int32_t i = 0; i < n && status == ND_OK; i++) status = check_case(d, &cases[i], err);
  if (status != ND_OK) return status;
  int32_t step = W > 0 ? 1 : SIDE;
  for (int32_t from = 0; from < n && status == ND_OK; from += step) {
    int32_t many = n - from < step ? n - from : step;
    reading read[SIDE] = {{NULL, NULL}};
    run r;
    for (int32_t i = 0; i < many && status == ND_OK; i++)
      status = read_case(d, &cases[from + i], &read[i], err);
    if (status == ND_OK) status = run_make(&r, &d->net, W > 0 ? ROWS / W : many, err);
    if (status == ND_OK) {
      if (W > 0) judge_windows(&r, &cases[from], &read[0], out[from]);
      else judge_streams(&r, &cases[from], read, out + from);
      run_clear(&r);
    }
    reading_clear(read, many);
  }
  for (int32_t i = 0; i < n && status == ND_OK; i++)
    for (int32_t t = 0; t < cases[i].steps && status == ND_OK; t++)
      if (!isfinite(out[i][t]))
        status = nd_fail(err, ND_FORMAT, "the model's weights are spoilt: its odds are no numbers");
  return status;
}
