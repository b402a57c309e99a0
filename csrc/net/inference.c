#include "inference.h"

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

enum { SOME = 64 };   /* rows of one product; and at least a step */

static int32_t some(const nd_inference *p) { return p->n < SOME ? SOME / p->n : 1; }

nd_status nd_inference_make(nd_inference *p, const nd_net *net, int32_t n, const int32_t *steps,
                       const float *const *x, float *const *logits, nd_error *err) {
  const nd_net_config *c = &net->config;
  *p = (nd_inference){.net = net, .n = n, .steps = steps, .x = x, .logits = logits};
  for (int32_t i = 0; i < n; i++)
    if (steps[i] > p->longest) p->longest = steps[i];
  size_t H = (size_t)c->hidden, rows = (size_t)some(p) * (size_t)n;
  size_t cells = (size_t)c->layers * (size_t)n * H, encoding = (size_t)nd_net_encoding(c);
  size_t scratch = nd_net_head_scratch(net, (int32_t)rows), wide = scratch > rows * H ? scratch : rows * H;
  p->block = nd_calloc(2 * cells + rows * ((size_t)c->inputs + encoding + 4 * H) + 2 * wide +
                           rows * (size_t)nd_net_outputs(c), sizeof *p->block);
  p->encoding = nd_calloc((size_t)n, sizeof *p->encoding);
  nd_status status = p->block && p->encoding ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  for (int32_t i = 0; i < n && status == ND_OK && encoding > 0; i++) {
    p->encoding[i] = nd_calloc((size_t)steps[i] * encoding, sizeof **p->encoding);
    if (p->encoding[i] == NULL) status = nd_fail(err, ND_NOMEM, "out of memory");
  }
  if (status == ND_OK && encoding > 0)
    status = nd_encoder_run_make(&p->reading, net, n, steps, x, (size_t)c->inputs, p->encoding, err);
  if (status != ND_OK) {
    nd_inference_clear(p);
    return status;
  }
  p->h = p->block;
  p->c = p->h + cells;
  p->in = p->c + cells;
  p->front = p->in + rows * (size_t)c->inputs;
  p->z = p->front + rows * encoding;
  p->out = p->z + rows * 4 * H;
  p->scratch = p->out + wide;
  p->y = p->scratch + wide;
  return ND_OK;
}

void nd_inference_clear(nd_inference *p) {
  nd_encoder_run_clear(&p->reading);
  for (int32_t i = 0; i < p->n && p->encoding != NULL; i++) free(p->encoding[i]);
  free(p->encoding);
  free(p->block);
  *p = (nd_inference){0};
}

bool nd_inference_done(const nd_inference *p) { return p->at >= p->longest; }

/* Rows of `steps` steps of every song, silence past a song's end. */
static void lay(nd_inference *p, int32_t steps) {
  const nd_net_config *c = &p->net->config;
  size_t n = (size_t)p->n, I = (size_t)c->inputs, encoding = (size_t)nd_net_encoding(c);
  for (size_t t = 0; t < (size_t)steps; t++)
    for (size_t i = 0; i < n; i++) {
      size_t row = t * n + i, at = (size_t)p->at + t;
      bool any = at < (size_t)p->steps[i];
      if (any) memcpy(p->in + row * I, p->x[i] + at * I, I * sizeof *p->in);
      else memset(p->in + row * I, 0, I * sizeof *p->in);
      if (any && encoding > 0)
        memcpy(p->front + row * encoding, p->encoding[i] + at * encoding, encoding * sizeof *p->in);
      else memset(p->front + row * encoding, 0, encoding * sizeof *p->in);
    }
}

/* All layers over the rows that are laid. */
static void layers(nd_inference *p, const nd_weights *w, int32_t steps) {
  const nd_net_config *c = &p->net->config;
  size_t H = (size_t)c->hidden, cells = (size_t)p->n * H;
  int32_t rows = steps * p->n, encoded = c->encoder > 0 ? c->encoded : 0;
  for (int32_t l = 0; l < c->layers; l++) {
    float *h = p->h + (size_t)l * cells, *cell = p->c + (size_t)l * cells;
    if (l > 0) {
      nd_kept_gemm(&w->wx[l], rows, p->out, false, p->z);
    } else {
      if (c->encoder > 0) nd_kept_gemm(&w->front, rows, p->front, false, p->z);
      else memset(p->z, 0, (size_t)rows * 4 * H * sizeof *p->z);
      for (size_t r = 0; r < (size_t)rows; r++)
        nd_kept_sparse(&w->rest, p->in + r * (size_t)c->inputs + encoded, p->z + r * 4 * H);
    }
    for (int32_t t = 0; t < steps; t++) {
      float *z = p->z + (size_t)t * 4 * cells;
      nd_kept_gemm(&w->wh[l], p->n, h, true, z);
      nd_cell_step(p->n, c->hidden, z, p->net->lstm[l].b, h, cell);
      memcpy(p->out + (size_t)t * cells, h, cells * sizeof *h);
    }
  }
}

double nd_inference_advance(nd_inference *p, double products) {
  const nd_net_config *c = &p->net->config;
  if (c->encoder > 0 && !nd_encoder_run_done(&p->reading)) products = nd_encoder_run_advance(&p->reading, products);
  nd_weights plain;
  const nd_weights *w = nd_net_weights(p->net, &plain);
  size_t outputs = (size_t)nd_net_outputs(c);
  while (!nd_inference_done(p) && products > 0) {
    int32_t left = p->longest - p->at, steps = left < some(p) ? left : some(p);
    lay(p, steps);
    layers(p, w, steps);
    const float *top = nd_net_head(p->net, steps * p->n, p->out, p->scratch);
    nd_net_logits(p->net, w, steps * p->n, top, p->in, p->y);
    for (int32_t t = 0; t < steps; t++)
      for (int32_t i = 0; i < p->n; i++)
        if (p->at + t < p->steps[i])
          memcpy(p->logits[i] + (size_t)(p->at + t) * outputs,
                 p->y + (size_t)(t * p->n + i) * outputs, outputs * sizeof *p->y);
    p->at += steps;
    products -= nd_net_macs(p->net) * steps * p->n;
  }
  return products;
}
