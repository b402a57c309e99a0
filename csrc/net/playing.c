#include "playing.h"

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

/* ------------------------------------------------------------------- weights */

static void list(const nd_net *net, nd_kept (*keep)(int32_t k, int32_t n, const float *w),
                 nd_weights *out) {
  const nd_net_config *c = &net->config;
  *out = (nd_weights){0};
  for (int32_t k = 0; k < nd_net_readers(c); k++) {
    out->read_wx[k] = keep(c->encoded, 4 * c->encoder, net->reader[k].wx);
    out->read_wh[k] = keep(c->encoder, 4 * c->encoder, net->reader[k].wh);
  }
  int32_t encoding = nd_net_encoding(c), wide = 4 * c->hidden;
  const float *wx = net->lstm[0].wx;
  out->front = keep(encoding, wide, wx);
  out->rest = keep(nd_net_front(c) - encoding, wide, wx + (size_t)encoding * (size_t)wide);
  for (int32_t l = 0; l < c->layers; l++) {
    if (l > 0) out->wx[l] = keep(c->hidden, wide, net->lstm[l].wx);
    out->wh[l] = keep(c->hidden, wide, net->lstm[l].wh);
  }
  out->out = keep(net->hits.features, net->hits.voices, net->hits.w);
  if (net->hits.skip != NULL) out->skip = keep(net->hits.inputs, net->hits.voices, net->hits.skip);
}

void nd_net_keep(nd_net *net) {
  if (net->kept != NULL || net->config.window > 0) return;
  net->kept = nd_calloc(1, sizeof *net->kept);
  if (net->kept != NULL) list(net, nd_keep, net->kept);
}

void nd_net_forget(nd_net *net) {
  nd_weights *w = net->kept;
  net->kept = NULL;
  if (w == NULL) return;
  for (int k = 0; k < 2; k++) {
    nd_kept_clear(&w->read_wx[k]);
    nd_kept_clear(&w->read_wh[k]);
  }
  nd_kept_clear(&w->front);
  nd_kept_clear(&w->rest);
  for (int l = 0; l < ND_MAX_LAYERS; l++) {
    nd_kept_clear(&w->wx[l]);
    nd_kept_clear(&w->wh[l]);
  }
  nd_kept_clear(&w->out);
  nd_kept_clear(&w->skip);
  free(w);
}

const nd_weights *nd_net_weights(const nd_net *net, nd_weights *plain) {
  if (net->kept != NULL) return net->kept;
  list(net, nd_keep_not, plain);
  return plain;
}

size_t nd_net_step_bytes(const nd_net *net, bool live) {
  nd_weights plain;
  const nd_weights *w = nd_net_weights(net, &plain);
  size_t bytes = nd_kept_bytes(&w->out) + nd_kept_bytes(&w->skip);
  if (live) bytes += nd_kept_bytes(&w->front) + nd_kept_bytes(&w->read_wh[0]);
  for (int l = 0; l < net->config.layers; l++)
    bytes += nd_kept_bytes(&w->wx[l]) + nd_kept_bytes(&w->wh[l]);
  return bytes;
}

void nd_net_logits(const nd_net *net, const nd_weights *w, int32_t rows, const float *features,
                   const float *x, float *logits) {
  size_t n = (size_t)net->hits.voices;
  for (size_t r = 0; r < (size_t)rows; r++) memcpy(logits + r * n, net->hits.b, n * sizeof *logits);
  nd_kept_gemm(&w->out, rows, features, true, logits);
  if (net->hits.skip != NULL) nd_kept_gemm(&w->skip, rows, x, true, logits);
}

/* ------------------------------------------------------------------- reading */

enum { SOME = 64 };   /* rows of one product; and at least a step */

static int32_t some(const nd_encoder_run *r) { return r->n < SOME ? SOME / r->n : 1; }

nd_status nd_encoder_run_make(nd_encoder_run *r, const nd_net *net, int32_t n, const int32_t *steps,
                          const float *const *x, size_t apart, float *const *out, nd_error *err) {
  const nd_net_config *c = &net->config;
  *r = (nd_encoder_run){.net = net, .n = n, .steps = steps, .x = x, .apart = apart, .out = out};
  for (int32_t i = 0; i < n; i++)
    if (steps[i] > r->longest) r->longest = steps[i];
  size_t cells = (size_t)n * (size_t)c->encoder, rows = (size_t)some(r) * (size_t)n;
  r->block = nd_calloc(2 * cells + rows * ((size_t)c->encoded + 4 * (size_t)c->encoder),
                       sizeof *r->block);
  if (r->block == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  r->h = r->block;
  r->c = r->h + cells;
  r->z = r->c + cells;
  r->in = r->z + rows * 4 * (size_t)c->encoder;
  return ND_OK;
}

bool nd_encoder_run_done(const nd_encoder_run *r) { return r->reader >= nd_net_readers(&r->net->config); }

void nd_encoder_run_clear(nd_encoder_run *r) {
  free(r->block);
  r->block = NULL;
}

/* The step of song `i` that a reader comes to after `at` others; -1: none is left. */
static int32_t step_at(const nd_encoder_run *r, int32_t i, int32_t at) {
  if (at >= r->steps[i]) return -1;
  return r->reader == 0 ? at : r->steps[i] - 1 - at;
}

double nd_encoder_run_advance(nd_encoder_run *r, double products) {
  const nd_net_config *c = &r->net->config;
  nd_weights plain;
  const nd_weights *w = nd_net_weights(r->net, &plain);
  size_t E = (size_t)c->encoded, He = (size_t)c->encoder, n = (size_t)r->n;
  size_t encoding = (size_t)nd_net_encoding(c);
  double cost = 4.0 * (double)He * (double)(E + He) * r->n;
  while (!nd_encoder_run_done(r) && products > 0) {
    if (r->at == 0) memset(r->h, 0, 2 * n * He * sizeof *r->h);
    int32_t k = r->reader, left = r->longest - r->at, steps = left < some(r) ? left : some(r);
    for (int32_t t = 0; t < steps; t++)
      for (size_t i = 0; i < n; i++) {
        float *row = r->in + ((size_t)t * n + i) * E;
        int32_t at = step_at(r, (int32_t)i, r->at + t);
        if (at < 0) memset(row, 0, E * sizeof *row);
        else memcpy(row, r->x[i] + (size_t)at * r->apart, E * sizeof *row);
      }
    nd_kept_gemm(&w->read_wx[k], steps * r->n, r->in, false, r->z);
    for (int32_t t = 0; t < steps; t++) {
      float *z = r->z + (size_t)t * n * 4 * He;
      nd_kept_gemm(&w->read_wh[k], r->n, r->h, true, z);
      nd_cell_step(r->n, c->encoder, z, r->net->reader[k].b, r->h, r->c);
      for (size_t i = 0; i < n; i++) {
        int32_t at = step_at(r, (int32_t)i, r->at + t);
        if (at >= 0)
          memcpy(r->out[i] + (size_t)at * encoding + (size_t)k * He, r->h + i * He, He * sizeof *r->h);
      }
    }
    r->at += steps;
    products -= cost * steps;
    if (r->at >= r->longest) {
      r->at = 0;
      r->reader++;
    }
  }
  return products;
}
