/* inference.c - the logits of known inputs for several songs at once.
 *
 * First the encoder runs over all songs (encoder.c), because its backward direction
 * needs their ends. Then chunks of steps go through the LSTM layers, the dense layers
 * and the output layer. Within a chunk, layers run one after another over all steps:
 * only the products with h depend on the step before, all others are one product of
 * steps x songs rows, for which each weight is read from memory once. */
#include "inference.h"

#include <string.h>

#include "kernels.h"

/* Layers and dense layers write in turn to `out` and `scratch`, so both have the size of
 * the widest. The encoder's outputs are the only array as long as the songs. */
static void lay_out(nd_inference *p, nd_arena *a) {
  const nd_net_config *c = &p->net->config;
  size_t H = (size_t)c->hidden, state = (size_t)c->layers * (size_t)p->n * H;
  size_t rows = (size_t)nd_chunk_steps(p->n) * (size_t)p->n;
  size_t scratch = nd_net_head_scratch(p->net, (int32_t)rows);  /* at least rows H */
  p->h = nd_arena_floats(a, state);
  p->c = nd_arena_floats(a, state);
  p->in = nd_arena_floats(a, rows * (size_t)c->inputs);
  p->encoder_out = nd_arena_floats(a, rows * (size_t)nd_net_encoding(c));
  p->z = nd_arena_floats(a, rows * 4 * H);
  p->out = nd_arena_floats(a, scratch);
  p->scratch = nd_arena_floats(a, scratch);
  p->y = nd_arena_floats(a, rows * (size_t)nd_net_outputs(c));
  p->encoding = nd_arena_take(a, (size_t)p->n, sizeof *p->encoding);
  for (int32_t i = 0; i < p->n && nd_net_encoding(c) > 0; i++) {
    float *rows_i = nd_arena_floats(a, (size_t)p->steps[i] * (size_t)nd_net_encoding(c));
    if (p->encoding != NULL) p->encoding[i] = rows_i;
  }
}

/* States start at 0, as the arena is zeroed. On failure nothing is left to clear. */
nd_status nd_inference_make(nd_inference *p, const nd_net *net, int32_t n, const int32_t *steps,
                            const float *const *x, float *const *logits, nd_error *err) {
  *p = (nd_inference){.net = net, .n = n, .steps = steps, .x = x, .logits = logits};
  for (int32_t i = 0; i < n; i++)
    if (steps[i] > p->longest) p->longest = steps[i];
  nd_arena counted = {0};
  lay_out(p, &counted);
  nd_status status = nd_arena_reserve(&p->arena, counted.used) ? ND_OK : nd_nomem(err);
  if (status == ND_OK) lay_out(p, &p->arena);
  if (status == ND_OK && net->config.encoder > 0)
    status = nd_encoder_run_make(&p->encoder, net, n, steps, x, (size_t)net->config.inputs,
                                 p->encoding, err);
  if (status != ND_OK) nd_inference_clear(p);
  return status;
}

void nd_inference_clear(nd_inference *p) {
  nd_encoder_run_clear(&p->encoder);
  nd_arena_clear(&p->arena);
  *p = (nd_inference){0};
}

bool nd_inference_done(const nd_inference *p) { return p->at >= p->longest; }

/* Inputs of the next `steps` steps, and the encoder's outputs there. A song that has
 * ended gets zeros, so that all songs stay in one product. */
static void fill_rows(nd_inference *p, int32_t steps) {
  const nd_net_config *c = &p->net->config;
  size_t n = (size_t)p->n, I = (size_t)c->inputs, encoding = (size_t)nd_net_encoding(c);
  for (size_t t = 0; t < (size_t)steps; t++)
    for (size_t i = 0; i < n; i++) {
      size_t row = t * n + i, at = (size_t)p->at + t;
      bool exists = at < (size_t)p->steps[i];
      if (exists) memcpy(p->in + row * I, p->x[i] + at * I, I * sizeof *p->in);
      else memset(p->in + row * I, 0, I * sizeof *p->in);
      if (exists && encoding > 0)
        memcpy(p->encoder_out + row * encoding, p->encoding[i] + at * encoding,
               encoding * sizeof *p->in);
      else memset(p->encoder_out + row * encoding, 0, encoding * sizeof *p->in);
    }
}

/* All layers over those rows, one after another; leaves the last layer's outputs in
 * `out`. As in encoder.c, input products of a chunk are one product. Of the first
 * layer's inputs most are 0 (hits that were not played), so its rows are multiplied
 * one by one, skipping zeros. */
static void run_layers(nd_inference *p, const nd_inference_weights *w, int32_t steps) {
  const nd_net_config *c = &p->net->config;
  /* rows are (step, song): those of one step are adjacent, as the product with h wants */
  size_t H = (size_t)c->hidden, state = (size_t)p->n * H;
  int32_t rows = steps * p->n, encoded = c->encoder > 0 ? c->encoded : 0;
  for (int32_t l = 0; l < c->layers; l++) {
    float *h = p->h + (size_t)l * state, *cell = p->c + (size_t)l * state;
    if (l > 0) {
      nd_matmul(&w->wx[l], rows, p->out, false, p->z);
    } else {
      if (c->encoder > 0) nd_matmul(&w->wx_encoder, rows, p->encoder_out, false, p->z);
      else memset(p->z, 0, (size_t)rows * 4 * H * sizeof *p->z);
      for (size_t r = 0; r < (size_t)rows; r++)
        nd_matmul_sparse(&w->wx_input, p->in + r * (size_t)c->inputs + encoded, p->z + r * 4 * H);
    }
    /* `out` is overwritten: its former content, the layer below, is in z by now */
    for (int32_t t = 0; t < steps; t++) {
      float *z = p->z + (size_t)t * 4 * state;
      nd_matmul(&w->wh[l], p->n, h, true, z);
      nd_cell_step(p->n, c->hidden, z, p->net->lstm[l].b, h, cell);
      memcpy(p->out + (size_t)t * state, h, state * sizeof *h);
    }
  }
}

/* Songs side by side make the products larger. With packed weights a song alone gives the
 * same logits, to the bit: the kernels' order of sums does not depend on the rows. */
double nd_inference_advance(nd_inference *p, const nd_inference_weights *w, double macs) {
  const nd_net_config *c = &p->net->config;
  if (c->encoder > 0 && !nd_encoder_run_done(&p->encoder))
    macs = nd_encoder_run_advance(&p->encoder, w, macs);
  size_t outputs = (size_t)nd_net_outputs(c);
  while (!nd_inference_done(p) && macs > 0) {
    int32_t left = p->longest - p->at, chunk = nd_chunk_steps(p->n);
    int32_t steps = left < chunk ? left : chunk;
    fill_rows(p, steps);
    run_layers(p, w, steps);
    /* all logits of the chunk, of which those past a song's end are not copied */
    const float *top = nd_net_head(p->net, steps * p->n, p->out, p->scratch);
    nd_inference_logits(p->net, w, steps * p->n, top, p->in, p->y);
    for (int32_t t = 0; t < steps; t++)
      for (int32_t i = 0; i < p->n; i++)
        if (p->at + t < p->steps[i])
          memcpy(p->logits[i] + (size_t)(p->at + t) * outputs,
                 p->y + (size_t)(t * p->n + i) * outputs, outputs * sizeof *p->y);
    p->at += steps;
    /* an estimate: skipped zeros make the first layer cheaper */
    macs -= nd_net_macs(p->net) * steps * p->n;
  }
  return macs;
}
