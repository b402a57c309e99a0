#include "saliency.h"

#include <string.h>

#include "blas.h"
#include "kernels.h"

/* One forward pass serves all targets. Each target is then one row of a batched
 * backward pass: the gates, cells and weights are the same for all rows, only the
 * gradients differ. */
typedef struct saliency_ctx {
  const nd_net *net;
  int32_t steps, n;                  /* T, targets */
  nd_arena arena;                    /* all of the below */
  nd_lstm_trace encoder[2], layer[ND_MAX_LAYERS];
  float *encoder_in[2];              /* (T, encoded), the second in reverse order */
  float *decoder_in;                 /* (T, decoder inputs) */
  float *d_encoder;                  /* (T, n, encoding) */
  float *dh[ND_MAX_LAYERS], *dc[ND_MAX_LAYERS];   /* (n, widest layer) */
  float *gates, *c, *tc;             /* (n, 4H), (n, H), (n, H): one step, once a row */
  float *dx;                         /* (n, widest input), or the logits of a step */
} saliency_ctx;

/* Memory is dominated by the traces, 7 H floats a step and layer, and by d_encoder. The
 * arrays of one step are shared by all layers, so they are as wide as the widest. */
static void lay_out(saliency_ctx *s, nd_arena *a) {
  const nd_net_config *c = &s->net->config;
  size_t T = (size_t)s->steps, n = (size_t)s->n, H = (size_t)c->hidden;
  size_t decoder_inputs = (size_t)nd_net_decoder_inputs(c);
  size_t units = c->encoder > c->hidden ? (size_t)c->encoder : H;
  size_t inputs = decoder_inputs > H ? decoder_inputs : H;
  if ((size_t)c->encoded > inputs) inputs = (size_t)c->encoded;
  if ((size_t)c->voices > inputs) inputs = (size_t)c->voices;
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    s->encoder[k] = nd_lstm_trace_take(a, c->encoder, s->steps, 1);
    s->encoder_in[k] = nd_arena_floats(a, T * (size_t)c->encoded);
  }
  s->decoder_in = nd_arena_floats(a, T * decoder_inputs);
  s->d_encoder = nd_arena_floats(a, T * n * (size_t)nd_net_encoding(c));
  for (int32_t l = 0; l < c->layers; l++) {
    s->layer[l] = nd_lstm_trace_take(a, c->hidden, s->steps, 1);
    s->dh[l] = nd_arena_floats(a, n * units);
    s->dc[l] = nd_arena_floats(a, n * units);
  }
  s->gates = nd_arena_floats(a, n * 4 * units);
  s->c = nd_arena_floats(a, n * units);
  s->tc = nd_arena_floats(a, n * units);
  s->dx = nd_arena_floats(a, n * inputs);
}

/* The forward pass of nd_trainer_loss(), one stream, with everything that the backward
 * pass needs in traces. The encoder's second direction reads a reversed copy of its
 * inputs; its outputs are put back in the song's order. */
static void forward(saliency_ctx *s, const float *x) {
  const nd_net_config *c = &s->net->config;
  size_t T = (size_t)s->steps, I = (size_t)c->inputs, E = c->encoder > 0 ? (size_t)c->encoded : 0;
  size_t He = (size_t)c->encoder, D = (size_t)nd_net_decoder_inputs(c);
  size_t encoding = (size_t)nd_net_encoding(c);
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    for (size_t i = 0; i < T; i++)
      /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): lay_out took it */
      memcpy(s->encoder_in[k] + i * E, x + (k == 0 ? i : T - 1 - i) * I, E * sizeof *x);
    nd_lstm_forward(&s->net->encoder[k], s->steps, 1, s->encoder_in[k], &s->encoder[k]);
    for (size_t i = 0; i < T; i++)
      memcpy(s->decoder_in + (k == 0 ? i : T - 1 - i) * D + (size_t)k * He,
             s->encoder[k].h + (i + 1) * He, He * sizeof *x);
  }
  for (size_t t = 0; t < T; t++)
    memcpy(s->decoder_in + t * D + encoding, x + t * I + E, (I - E) * sizeof *x);
  for (int32_t l = 0; l < c->layers; l++)
    nd_lstm_forward(&s->net->lstm[l], s->steps, 1,
                    l == 0 ? s->decoder_in : s->layer[l - 1].h + c->hidden, &s->layer[l]);
}

/* Back-propagates all rows through one step of a layer. dh (n, H) and dc (n, H): on
 * entry the gradients of the cell's output and state after the step, on return those
 * before it. dx (n, inputs): the gradient of its inputs. With dz the gradient of the
 * gates (nd_cell_backward), dh = dz wh^T and dx = dz wx^T. */
static void step_back(saliency_ctx *s, const nd_lstm *l, const nd_lstm_trace *trace, int32_t t,
                      float *dh, float *dc, float *dx) {
  size_t H = (size_t)l->hidden, at = (size_t)t * H;
  /* copies, because nd_cell_backward() overwrites the gates, which all targets share */
  for (size_t r = 0; r < (size_t)s->n; r++) {
    memcpy(s->gates + r * 4 * H, trace->gates + 4 * at, 4 * H * sizeof *dh);
    memcpy(s->c + r * H, trace->c + at, H * sizeof *dh);
    memcpy(s->tc + r * H, trace->tc + at, H * sizeof *dh);
  }
  nd_cell_backward(s->n, l->hidden, s->gates, s->c, s->tc, dh, dc);
  nd_gemm(ND_N, ND_T, s->n, l->hidden, 4 * l->hidden, s->gates, l->wh, 0.0f, dh);
  nd_gemm(ND_N, ND_T, s->n, l->inputs, 4 * l->hidden, s->gates, l->wx, 0.0f, dx);
}

/* to += from; gradients of several paths to the same value add up. */
static void add_row(size_t n, const float *from, float *to) {
  /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): lay_out took it */
  for (size_t i = 0; i < n; i++) to[i] += from[i];
}

/* The decoder, from the last target's step to the first step, all layers of a step
 * before the next. Fills d_encoder and the gradients of the inputs that the encoder
 * does not read. */
static void backward_layers(saliency_ctx *s, const nd_target *targets, int32_t last,
                            float *gradients) {
  const nd_net_config *c = &s->net->config;
  size_t T = (size_t)s->steps, n = (size_t)s->n, H = (size_t)c->hidden, I = (size_t)c->inputs;
  size_t D = (size_t)nd_net_decoder_inputs(c), encoding = (size_t)nd_net_encoding(c);
  size_t V = (size_t)c->voices, E = c->encoder > 0 ? (size_t)c->encoded : 0;
  /* dh and dc start at 0: nothing after the last target's step matters to any */
  int32_t top = c->layers - 1;
  for (int32_t t = last; t >= 0; t--) {
    /* a target's gradient enters at its step: dlogit / dh is its column of w */
    for (size_t r = 0; r < n; r++)
      for (size_t j = 0; j < H && targets[r].step == t; j++)
        s->dh[top][r * H + j] += s->net->hits.w[j * V + (size_t)targets[r].voice];
    for (int32_t l = top; l >= 0; l--) {
      step_back(s, &s->net->lstm[l], &s->layer[l], t, s->dh[l], s->dc[l], s->dx);
      if (l > 0) add_row(n * H, s->dx, s->dh[l - 1]);
    }
    for (size_t r = 0; r < n; r++) {
      if (encoding > 0)
        memcpy(s->d_encoder + ((size_t)t * n + r) * encoding, s->dx + r * D,
               encoding * sizeof *s->dx);
      add_row(I - E, s->dx + r * D + encoding, gradients + (r * T + (size_t)t) * I + E);
    }
  }
}

/* One direction of the encoder, against the order in which it runs. The forward one
 * cannot depend on steps after `last`; the backward one starts at the song's end,
 * and its outputs count up to `last`. */
static void backward_encoder(saliency_ctx *s, int32_t k, int32_t last, float *gradients) {
  const nd_net_config *c = &s->net->config;
  size_t T = (size_t)s->steps, n = (size_t)s->n, He = (size_t)c->encoder, I = (size_t)c->inputs;
  size_t E = (size_t)c->encoded, encoding = (size_t)nd_net_encoding(c);
  float *dh = s->dh[0], *dc = s->dc[0];  /* the layers are done with them */
  /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): lay_out took it */
  memset(dh, 0, n * He * sizeof *dh);
  memset(dc, 0, n * He * sizeof *dc);
  for (int32_t i = k == 0 ? last : s->steps - 1; i >= 0; i--) {
    int32_t t = k == 0 ? i : s->steps - 1 - i;
    for (size_t r = 0; r < n && t <= last; r++)
      add_row(He, s->d_encoder + ((size_t)t * n + r) * encoding + (size_t)k * He, dh + r * He);
    step_back(s, &s->net->encoder[k], &s->encoder[k], i, dh, dc, s->dx);
    for (size_t r = 0; r < n; r++) add_row(E, s->dx + r * E, gradients + (r * T + (size_t)t) * I);
  }
}

/* Dense layers are not implemented, windows have no song-long gradient, and a touch net's
 * outputs are not logits. *last: the last step of any target. */
static nd_status check(const nd_net_config *c, int32_t steps, const nd_target *targets, int32_t n,
                       int32_t *last, nd_error *err) {
  if (c->window > 0 || c->n_dense > 0 || c->touch)
    return nd_fail(err, ND_MISUSE, "explanations need a streaming model without dense layers");
  for (int32_t r = 0; r < n; r++) {
    const nd_target *t = &targets[r];
    if (t->step < 0 || t->step >= steps || t->voice < 0 || t->voice >= c->voices)
      return nd_fail(err, ND_MISUSE, "step %d, voice %d is outside the song", t->step, t->voice);
    if (t->step > *last) *last = t->step;
  }
  return ND_OK;
}

/* Order: forward pass; for each target its logit and the direct connections' gradient;
 * the layers from the last target's step down to the first step; then the encoder, whose
 * outputs' gradients are complete only after that. */
nd_status nd_saliency(const nd_net *net, int32_t steps, const float *x, const float *y,
                      const nd_target *targets, int32_t n, float *logits, float *gradients,
                      nd_error *err) {
  const nd_net_config *c = &net->config;
  size_t T = (size_t)steps, I = (size_t)c->inputs, V = (size_t)c->voices, H = (size_t)c->hidden;
  int32_t last = 0;
  nd_status status = check(c, steps, targets, n, &last, err);
  if (status != ND_OK) return status;
  saliency_ctx s = {.net = net, .steps = steps, .n = n};
  nd_arena counted = {0};
  lay_out(&s, &counted);
  if (!nd_arena_reserve(&s.arena, counted.used)) return nd_nomem(err);
  lay_out(&s, &s.arena);
  /* lay_out() took every array, and the arena zeroed dh and dc */
  forward(&s, x);
  memset(gradients, 0, (size_t)n * T * I * sizeof *gradients);
  for (size_t r = 0; r < (size_t)n; r++) {
    size_t t = (size_t)targets[r].step;
    const float *features = s.layer[c->layers - 1].h + (t + 1) * H;
    nd_hits_forward(&net->hits, NULL, 1, 1, 1, features, x + t * I, y + t * V, s.dx);
    logits[r] = s.dx[targets[r].voice];
    /* the direct connection from this step's inputs; the rest comes through the LSTM */
    for (size_t j = 0; j < I && net->hits.skip != NULL; j++)
      gradients[(r * T + t) * I + j] = net->hits.skip[j * V + (size_t)targets[r].voice];
  }
  backward_layers(&s, targets, last, gradients);
  for (int32_t k = 0; k < nd_net_directions(c); k++) backward_encoder(&s, k, last, gradients);
  nd_arena_clear(&s.arena);
  return ND_OK;
}
