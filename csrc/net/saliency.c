#include "saliency.h"

#include <stdlib.h>
#include <string.h>

#include "blas.h"
#include "kernels.h"

/* One forward pass serves all targets; then each target is a row of one
 * backward pass, whose cells are the same for all rows. */
typedef struct pass {
  const nd_net *net;
  int32_t steps, n;
  float *block;                      /* all of the below */
  nd_lstm_trace read[2], trace[ND_MAX_LAYERS];
  float *heard[2];                   /* (T, encoded), the second backwards */
  float *front;                      /* (T, front) */
  float *dread;                      /* (T, n, encoding) */
  float *dh[ND_MAX_LAYERS], *dc[ND_MAX_LAYERS];   /* (n, H) */
  float *gates, *c, *tc;             /* (n, 4H), (n, H), (n, H): cells, row by row */
  float *dx;                         /* (n, widest input) */
} pass;

static float *take(float **at, size_t n) {
  float *here = *at;
  if (here != NULL) *at += n;
  return here;
}

/* Lays the pass into `at` (NULL: only counts). */
static size_t lay_out(pass *p, float *at) {
  const nd_net_config *c = &p->net->config;
  size_t T = (size_t)p->steps, n = (size_t)p->n, H = (size_t)c->hidden, He = (size_t)c->encoder;
  size_t most = H > He ? H : He, front = (size_t)nd_net_decoder_inputs(c), used = 0;
  size_t input = front > H ? front : H;
  if ((size_t)c->encoded > input) input = (size_t)c->encoded;
#define TAKE(size) (used += (size), take(&at, (size)))
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    float *trace = TAKE(nd_lstm_trace_size(c->encoder, p->steps, 1));
    if (trace != NULL) p->read[k] = nd_lstm_trace_at(trace, c->encoder, p->steps, 1);
    p->heard[k] = TAKE(T * (size_t)c->encoded);
  }
  p->front = TAKE(T * front);
  p->dread = TAKE(T * n * (size_t)nd_net_encoding(c));
  for (int32_t l = 0; l < c->layers; l++) {
    float *trace = TAKE(nd_lstm_trace_size(c->hidden, p->steps, 1));
    if (trace != NULL) p->trace[l] = nd_lstm_trace_at(trace, c->hidden, p->steps, 1);
    p->dh[l] = TAKE(n * most);
    p->dc[l] = TAKE(n * most);
  }
  p->gates = TAKE(n * 4 * most);
  p->c = TAKE(n * most);
  p->tc = TAKE(n * most);
  p->dx = TAKE(n * input);
#undef TAKE
  return used;
}

static void forward(pass *p, const float *x) {
  const nd_net_config *c = &p->net->config;
  size_t T = (size_t)p->steps, I = (size_t)c->inputs, E = (size_t)c->encoded;
  size_t He = (size_t)c->encoder, F = (size_t)nd_net_decoder_inputs(c), encoding = (size_t)nd_net_encoding(c);
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    for (size_t i = 0; i < T; i++)
      /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): lay_out took it */
      memcpy(p->heard[k] + i * E, x + (k == 0 ? i : T - 1 - i) * I, E * sizeof *x);
    nd_lstm_forward(&p->net->encoder[k], p->steps, 1, p->heard[k], &p->read[k]);
    for (size_t i = 0; i < T; i++)
      memcpy(p->front + (k == 0 ? i : T - 1 - i) * F + (size_t)k * He, p->read[k].h + (i + 1) * He,
             He * sizeof *x);
  }
  if (c->encoder == 0) E = 0;
  for (size_t t = 0; t < T; t++)
    memcpy(p->front + t * F + encoding, x + t * I + E, (I - E) * sizeof *x);
  for (int32_t l = 0; l < c->layers; l++)
    nd_lstm_forward(&p->net->lstm[l], p->steps, 1, l == 0 ? p->front : p->trace[l - 1].h + c->hidden,
                    &p->trace[l]);
}

/* One step back of all rows: dh (n, H), the gradient of the cell's output,
 * becomes that of the output before; dx (n, inputs). */
static void step_back(pass *p, const nd_lstm *l, const nd_lstm_trace *trace, int32_t t, float *dh,
                      float *dc, float *dx) {
  size_t H = (size_t)l->hidden, at = (size_t)t * H;
  for (size_t r = 0; r < (size_t)p->n; r++) {
    memcpy(p->gates + r * 4 * H, trace->gates + 4 * at, 4 * H * sizeof *dh);
    memcpy(p->c + r * H, trace->c + at, H * sizeof *dh);
    memcpy(p->tc + r * H, trace->tc + at, H * sizeof *dh);
  }
  nd_cell_backward(p->n, l->hidden, p->gates, p->c, p->tc, dh, dc);
  nd_gemm(ND_N, ND_T, p->n, l->hidden, 4 * l->hidden, p->gates, l->wh, 0.0f, dh);
  nd_gemm(ND_N, ND_T, p->n, l->inputs, 4 * l->hidden, p->gates, l->wx, 0.0f, dx);
}

static void add_row(size_t n, const float *from, float *to) {
  /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): lay_out took it */
  for (size_t i = 0; i < n; i++) to[i] += from[i];
}

/* The decoder: from the last target's step to the first step, all layers of a
 * step one after another. Leaves dread and the gradients of what the encoder
 * does not read. */
static void backward_layers(pass *p, const nd_target *targets, int32_t last, float *gradients) {
  const nd_net_config *c = &p->net->config;
  size_t T = (size_t)p->steps, n = (size_t)p->n, H = (size_t)c->hidden, I = (size_t)c->inputs;
  size_t F = (size_t)nd_net_decoder_inputs(c), encoding = (size_t)nd_net_encoding(c), V = (size_t)c->voices;
  size_t E = c->encoder > 0 ? (size_t)c->encoded : 0;
  for (int32_t t = last; t >= 0; t--) {
    int32_t top = c->layers - 1;
    for (size_t r = 0; r < n; r++)
      for (size_t j = 0; j < H && targets[r].step == t; j++)
        p->dh[top][r * H + j] += p->net->hits.w[j * V + (size_t)targets[r].voice];
    for (int32_t l = top; l >= 0; l--) {
      step_back(p, &p->net->lstm[l], &p->trace[l], t, p->dh[l], p->dc[l], p->dx);
      if (l > 0) add_row(n * H, p->dx, p->dh[l - 1]);
    }
    for (size_t r = 0; r < n; r++) {
      if (encoding > 0)
        memcpy(p->dread + ((size_t)t * n + r) * encoding, p->dx + r * F, encoding * sizeof *p->dx);
      add_row(I - E, p->dx + r * F + encoding, gradients + (r * T + (size_t)t) * I + E);
    }
  }
}

/* One reader, from the end of its own time, through all steps of it that lead
 * to what was read up to `last`. */
static void backward_reader(pass *p, int32_t k, int32_t last, float *gradients) {
  const nd_net_config *c = &p->net->config;
  size_t T = (size_t)p->steps, n = (size_t)p->n, He = (size_t)c->encoder, I = (size_t)c->inputs;
  size_t E = (size_t)c->encoded, encoding = (size_t)nd_net_encoding(c);
  float *dh = p->dh[0], *dc = p->dc[0];
  /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): lay_out took it */
  memset(dh, 0, n * He * sizeof *dh);
  memset(dc, 0, n * He * sizeof *dc);
  for (int32_t i = k == 0 ? last : p->steps - 1; i >= 0; i--) {
    int32_t t = k == 0 ? i : p->steps - 1 - i;
    for (size_t r = 0; r < n && t <= last; r++)
      add_row(He, p->dread + ((size_t)t * n + r) * encoding + (size_t)k * He, dh + r * He);
    step_back(p, &p->net->encoder[k], &p->read[k], i, dh, dc, p->dx);
    for (size_t r = 0; r < n; r++)
      add_row(E, p->dx + r * E, gradients + (r * T + (size_t)t) * I);
  }
}

nd_status nd_saliency(const nd_net *net, int32_t steps, const float *x, const float *y,
                       const nd_target *targets, int32_t n, float *logits, float *gradients,
                       nd_error *err) {
  const nd_net_config *c = &net->config;
  size_t T = (size_t)steps, I = (size_t)c->inputs, V = (size_t)c->voices, H = (size_t)c->hidden;
  if (c->window > 0 || c->n_dense > 0 || c->touch)
    return nd_fail(err, ND_MISUSE, "only streaming nets whose hits follow the LSTM at once can be "
                   "explained");
  int32_t last = 0;
  for (int32_t r = 0; r < n; r++) {
    if (targets[r].step < 0 || targets[r].step >= steps || targets[r].voice < 0 ||
        targets[r].voice >= c->voices)
      return nd_fail(err, ND_MISUSE, "a target is not within the stretch");
    if (targets[r].step > last) last = targets[r].step;
  }
  pass p = {.net = net, .steps = steps, .n = n};
  p.block = nd_calloc(lay_out(&p, NULL), sizeof *p.block);
  if (p.block == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  (void)lay_out(&p, p.block);
  forward(&p, x);
  memset(gradients, 0, (size_t)n * T * I * sizeof *gradients);
  for (size_t r = 0; r < (size_t)n; r++) {
    size_t t = (size_t)targets[r].step;
    nd_hits_forward(&net->hits, 1, p.trace[c->layers - 1].h + (t + 1) * H, x + t * I, y + t * V, p.dx);
    logits[r] = p.dx[targets[r].voice];
    for (size_t j = 0; j < I && net->hits.skip != NULL; j++)
      gradients[(r * T + t) * I + j] = net->hits.skip[j * V + (size_t)targets[r].voice];
  }
  backward_layers(&p, targets, last, gradients);
  for (int32_t k = 0; k < nd_net_directions(c); k++) backward_reader(&p, k, last, gradients);
  free(p.block);
  return ND_OK;
}
