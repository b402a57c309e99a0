/* encoder.c - the encoder's LSTM layers over whole songs.
 *
 * The forward direction runs over all songs first, then the backward one. Each song
 * has its own length: a direction runs until the longest song has ended, so songs of
 * similar length waste least. In the backward direction every song starts at its own
 * last step. Work is done in chunks of steps, so that a caller can stop between any two. */
#include "encoder.h"

#include <string.h>

#include "kernels.h"

/* h and c are carried from chunk to chunk; in and z hold one chunk only. */
static void lay_out(nd_encoder_run *r, nd_arena *a) {
  size_t E = (size_t)r->net->config.encoded, He = (size_t)r->net->config.encoder;
  size_t n = (size_t)r->n, rows = n * (size_t)nd_chunk_steps(r->n);
  r->h = nd_arena_floats(a, n * He);
  r->c = nd_arena_floats(a, n * He);
  r->z = nd_arena_floats(a, rows * 4 * He);
  r->in = nd_arena_floats(a, rows * E);
}

/* Allocates only; all computation is in nd_encoder_run_advance(), in slices. */
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

/* Inputs of the next `steps` steps, in the order of the run. A song that has ended gets
 * zeros, so that all songs stay in one product; nothing reads the results. */
static void fill_inputs(nd_encoder_run *r, int32_t steps) {
  size_t E = (size_t)r->net->config.encoded, n = (size_t)r->n;
  for (int32_t t = 0; t < steps; t++)
    for (size_t i = 0; i < n; i++) {
      float *row = r->in + ((size_t)t * n + i) * E;
      int32_t at = step_at(r, (int32_t)i, r->at + t);
      if (at < 0) memset(row, 0, E * sizeof *row);
      else memcpy(row, r->x[i] + (size_t)at * r->stride, E * sizeof *row);
    }
}

/* The outputs of one step, to the songs that have it. */
static void store_outputs(const nd_encoder_run *r, int32_t step) {
  size_t He = (size_t)r->net->config.encoder, encoding = (size_t)nd_net_encoding(&r->net->config);
  for (size_t i = 0; i < (size_t)r->n; i++) {
    int32_t at = step_at(r, (int32_t)i, step);
    float *out = r->out[i] + (size_t)(at < 0 ? 0 : at) * encoding + (size_t)r->direction * He;
    if (at >= 0) memcpy(out, r->h + i * He, He * sizeof *out);
  }
}

/* z = x wx for all steps of a chunk in one product; then, step after step, z += h wh and
 * the cell, because each h depends on the one before. */
static void run_chunk(nd_encoder_run *r, const nd_inference_weights *w, int32_t steps) {
  /* rows are (step, song); z has the same order */
  int32_t k = r->direction, He = r->net->config.encoder;
  fill_inputs(r, steps);
  nd_matmul(&w->encoder_wx[k], steps * r->n, r->in, false, r->z);
  for (int32_t t = 0; t < steps; t++) {
    float *z = r->z + (size_t)t * (size_t)r->n * 4 * (size_t)He;
    nd_matmul(&w->encoder_wh[k], r->n, r->h, true, z);
    nd_cell_step(r->n, He, z, r->net->encoder[k].b, r->h, r->c);
    store_outputs(r, r->at + t);
  }
}

/* The cost of a step: 4 gates, each with a product of the inputs and of the state, for n
 * songs. It is counted for songs that have ended too, because they are multiplied. */
double nd_encoder_run_advance(nd_encoder_run *r, const nd_inference_weights *w, double macs) {
  const nd_net_config *c = &r->net->config;
  double cost = 4.0 * c->encoder * (double)(c->encoded + c->encoder) * r->n;  /* a step */
  while (!nd_encoder_run_done(r) && macs > 0) {
    size_t state_bytes = (size_t)r->n * (size_t)c->encoder * sizeof *r->h;
    int32_t left = r->longest - r->at, chunk = nd_chunk_steps(r->n);
    int32_t steps = left < chunk ? left : chunk;
    if (r->at == 0) {  /* each direction starts from zero state */
      memset(r->h, 0, state_bytes);
      memset(r->c, 0, state_bytes);
    }
    run_chunk(r, w, steps);
    macs -= cost * steps;
    r->at += steps;
    /* the direction is complete: the next one starts over all songs */
    if (r->at < r->longest) continue;
    r->at = 0;
    r->direction++;
  }
  return macs;
}
