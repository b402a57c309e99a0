#include "encoder.h"

#include <string.h>

#include "kernels.h"

/* Steps of one matrix product over the inputs: enough for 64 rows, at least one. */
static int32_t chunk(const nd_encoder_run *r) { return r->n < 64 ? 64 / r->n : 1; }

static void lay_out(nd_encoder_run *r, nd_arena *a) {
  size_t E = (size_t)r->net->config.encoded, He = (size_t)r->net->config.encoder;
  size_t n = (size_t)r->n, rows = n * (size_t)chunk(r);
  r->h = nd_arena_floats(a, n * He);
  r->c = nd_arena_floats(a, n * He);
  r->z = nd_arena_floats(a, rows * 4 * He);
  r->in = nd_arena_floats(a, rows * E);
}

nd_status nd_encoder_run_make(nd_encoder_run *r, const nd_net *net, int32_t n, const int32_t *steps,
                              const float *const *x, size_t stride, float *const *out,
                              nd_error *err) {
  *r = (nd_encoder_run){.net = net, .n = n, .steps = steps, .x = x, .stride = stride, .out = out};
  for (int32_t i = 0; i < n; i++)
    if (steps[i] > r->longest) r->longest = steps[i];
  nd_arena counted = {0};
  lay_out(r, &counted);
  if (!nd_arena_reserve(&r->arena, counted.used)) return nd_nomem(err);
  lay_out(r, &r->arena);
  return ND_OK;
}

bool nd_encoder_run_done(const nd_encoder_run *r) {
  return r->direction >= nd_net_directions(&r->net->config);
}

void nd_encoder_run_clear(nd_encoder_run *r) { nd_arena_clear(&r->arena); }

/* The step of song `i` that comes after `at` others in the direction of the run;
 * -1 past the end of the song. */
static int32_t step_at(const nd_encoder_run *r, int32_t i, int32_t at) {
  if (at >= r->steps[i]) return -1;
  return r->direction == 0 ? at : r->steps[i] - 1 - at;
}

double nd_encoder_run_advance(nd_encoder_run *r, const nd_inference_weights *w, double macs) {
  const nd_net_config *c = &r->net->config;
  size_t E = (size_t)c->encoded, He = (size_t)c->encoder, n = (size_t)r->n;
  size_t encoding = (size_t)nd_net_encoding(c);
  double cost = 4.0 * (double)He * (double)(E + He) * r->n;
  while (!nd_encoder_run_done(r) && macs > 0) {
    if (r->at == 0) {
      memset(r->h, 0, n * He * sizeof *r->h);
      memset(r->c, 0, n * He * sizeof *r->c);
    }
    int32_t k = r->direction, left = r->longest - r->at, steps = left < chunk(r) ? left : chunk(r);
    for (int32_t t = 0; t < steps; t++)
      for (size_t i = 0; i < n; i++) {
        float *row = r->in + ((size_t)t * n + i) * E;
        int32_t at = step_at(r, (int32_t)i, r->at + t);
        if (at < 0) memset(row, 0, E * sizeof *row);
        else memcpy(row, r->x[i] + (size_t)at * r->stride, E * sizeof *row);
      }
    nd_kept_gemm(&w->encoder_wx[k], steps * r->n, r->in, false, r->z);
    for (int32_t t = 0; t < steps; t++) {
      float *z = r->z + (size_t)t * n * 4 * He;
      nd_kept_gemm(&w->encoder_wh[k], r->n, r->h, true, z);
      nd_cell_step(r->n, c->encoder, z, r->net->encoder[k].b, r->h, r->c);
      for (size_t i = 0; i < n; i++) {
        int32_t at = step_at(r, (int32_t)i, r->at + t);
        if (at >= 0)
          memcpy(r->out[i] + (size_t)at * encoding + (size_t)k * He, r->h + i * He, He * sizeof *r->h);
      }
    }
    r->at += steps;
    macs -= cost * steps;
    if (r->at >= r->longest) {
      r->at = 0;
      r->direction++;
    }
  }
  return macs;
}
