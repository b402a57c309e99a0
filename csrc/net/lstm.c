#include "lstm.h"

#include <stdlib.h>
#include <string.h>

#include "blas.h"
#include "kernels.h"
#include "packed.h"
#include "share.h"

size_t nd_lstm_trace_size(int32_t hidden, int32_t steps, int32_t streams) {
  size_t cells = (size_t)hidden * (size_t)streams;
  return cells * (4 * (size_t)steps + 2 * ((size_t)steps + 1) + (size_t)steps);
}

nd_lstm_trace nd_lstm_trace_at(float *block, int32_t hidden, int32_t steps, int32_t streams) {
  size_t cells = (size_t)hidden * (size_t)streams;
  nd_lstm_trace t;
  t.gates = block;
  t.h = t.gates + 4 * cells * (size_t)steps;
  t.c = t.h + cells * ((size_t)steps + 1);
  t.tc = t.c + cells * ((size_t)steps + 1);
  return t;
}

/* ------------------------------------------------------- by whole products */

static void forward_plain(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
                          nd_lstm_trace *trace) {
  int32_t H = l->hidden;
  size_t cells = (size_t)streams * (size_t)H;
  /* the inputs of all steps are known: one large product */
  nd_gemm(ND_N, ND_N, steps * streams, 4 * H, l->inputs, x, l->wx, 0.0f, trace->gates);
  for (int32_t t = 0; t < steps; t++) {
    float *z = trace->gates + (size_t)t * 4 * cells;
    float *h = trace->h + (size_t)t * cells, *c = trace->c + (size_t)t * cells;
    nd_gemm(ND_N, ND_N, streams, 4 * H, H, h, l->wh, 1.0f, z);
    nd_cell_forward(streams, H, z, l->b, c, c + cells, trace->tc + (size_t)t * cells, h + cells);
  }
}

static void backward_plain(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
                           const nd_lstm_trace *trace, float *dh, float *dc, float *dwx,
                           float *dwh, float *db, float *dx) {
  int32_t H = l->hidden;
  float *dz = trace->gates;
  size_t cells = (size_t)streams * (size_t)H;
  for (int32_t t = steps - 1; t >= 0; t--) {
    size_t at = (size_t)t * cells;
    nd_cell_backward(streams, H, dz + 4 * at, trace->c + at, trace->tc + at, dh + at, dc);
    if (t > 0)  /* the gradient of h joins that of the step before's output */
      nd_gemm(ND_N, ND_T, streams, H, 4 * H, dz + 4 * at, l->wh, 1.0f, dh + at - cells);
  }
  int32_t rows = steps * streams;
  nd_gemm(ND_T, ND_N, l->inputs, 4 * H, rows, x, dz, 1.0f, dwx);
  nd_gemm(ND_T, ND_N, H, 4 * H, rows, trace->h, dz, 1.0f, dwh);
  nd_sum_rows(rows, 4 * H, dz, db);
  if (dx != NULL) nd_gemm(ND_N, ND_T, rows, l->inputs, 4 * H, dz, l->wx, 0.0f, dx);
}

/* -------------------------------------------------- by packed weights, shared
 * The streams of a batch don't know of each other, so each thread takes some
 * of them through all steps; the weights' gradients are shared out by columns. */

typedef struct stretch {
  const nd_lstm *l;
  int32_t steps, streams;
  const float *x;
  const nd_lstm_trace *trace;
  float *dh, *dc, *dwx, *dwh, *db, *dx;
  float *wx, *wh;          /* packed; the backward pass's are transposed */
  float *scratch;          /* of nd_packed_gradient, for each thread */
  size_t scratch_size;
} stretch;

static void forward_streams(void *job, int part, int parts) {
  const stretch *s = job;
  const nd_lstm *l = s->l;
  int32_t H = l->hidden, from = nd_share_from(s->streams, 1, part, parts);
  int32_t rows = nd_share_from(s->streams, 1, part + 1, parts) - from;
  size_t cells = (size_t)s->streams * (size_t)H;
  for (int32_t t = 0; t < s->steps; t++) {
    size_t row = (size_t)t * (size_t)s->streams + (size_t)from, at = row * (size_t)H;
    float *z = s->trace->gates + 4 * at, *h = s->trace->h + at, *c = s->trace->c + at;
    nd_packed_gemm(rows, 4 * H, l->inputs, s->x + row * (size_t)l->inputs, s->wx, false, z);
    nd_packed_gemm(rows, 4 * H, H, h, s->wh, true, z);
    nd_cell_forward(rows, H, z, l->b, c, c + cells, s->trace->tc + at, h + cells);
  }
}

static void backward_streams(void *job, int part, int parts) {
  const stretch *s = job;
  const nd_lstm *l = s->l;
  int32_t H = l->hidden, from = nd_share_from(s->streams, 1, part, parts);
  int32_t rows = nd_share_from(s->streams, 1, part + 1, parts) - from;
  size_t cells = (size_t)s->streams * (size_t)H;
  for (int32_t t = s->steps - 1; t >= 0; t--) {
    size_t row = (size_t)t * (size_t)s->streams + (size_t)from, at = row * (size_t)H;
    float *dz = s->trace->gates + 4 * at;
    nd_cell_backward(rows, H, dz, s->trace->c + at, s->trace->tc + at, s->dh + at,
                     s->dc + (size_t)from * (size_t)H);
    if (t > 0) nd_packed_gemm(rows, H, 4 * H, dz, s->wh, true, s->dh + at - cells);
    if (s->dx != NULL)
      nd_packed_gemm(rows, l->inputs, 4 * H, dz, s->wx, false, s->dx + row * (size_t)l->inputs);
  }
}

static void gradient_columns(void *job, int part, int parts) {
  const stretch *s = job;
  int32_t n = 4 * s->l->hidden, unit = nd_packed_width();
  nd_packed_gradient(s->steps * s->streams, s->l->inputs, s->l->hidden, n,
                     nd_share_from(n, unit, part, parts), nd_share_from(n, unit, part + 1, parts),
                     s->x, s->trace->h, s->trace->gates,
                     s->scratch + (size_t)part * s->scratch_size, s->dwx, s->dwh, s->db);
}

/* Threads that `n` things are worth, each at least a fifth of a millisecond. */
static int threads_for(const stretch *s, int32_t n) {
  double work = (double)s->steps * s->streams * 4.0 * s->l->hidden * (s->l->hidden + s->l->inputs);
  int parts = nd_blas_threads_now();
  if (parts > work / 1.6e7) parts = (int)(work / 1.6e7);
  if (parts > n) parts = n;
  if (parts > ND_MAX_PARTS) parts = ND_MAX_PARTS;
  return parts < 1 ? 1 : parts;
}

/* Lays packed weights and `more` floats into `room` where they fit, else into
 * memory of their own, which *block then is. False when there is none, or no
 * kernels, or when packing is more work than it spares. */
static bool lay_out(stretch *s, size_t wx, size_t wh, size_t more, float *room, size_t size,
                    float **block) {
  *block = NULL;
  if (nd_packed_width() == 0 || s->steps < 2) return false;
  /* weights beyond the second-level cache, in a few steps: BLAS is as fast */
  if (wx + wh > (size_t)1 << 20 && s->steps < 16) return false;
  wx = (wx + 15) / 16 * 16;
  wh = (wh + 15) / 16 * 16;
  more = (more + 15) / 16 * 16;
  if (wx + wh + more + 16 <= size) {
    s->wx = room + (64 - (uintptr_t)room % 64) / sizeof *room;
  } else {
    s->wx = *block = aligned_alloc(64, (wx + wh + more) * sizeof **block);
    if (*block == NULL) return false;
  }
  s->wh = s->wx + wx;
  s->scratch = s->wh + wh;
  return true;
}

void nd_lstm_forward(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
                     nd_lstm_trace *trace) {
  int32_t H = l->hidden, I = l->inputs;
  stretch s = {.l = l, .steps = steps, .streams = streams, .x = x, .trace = trace};
  float *block;
  if (!lay_out(&s, nd_packed_size(I, 4 * H), nd_packed_size(H, 4 * H), 0, NULL, 0, &block)) {
    forward_plain(l, steps, streams, x, trace);
    return;
  }
  nd_pack(ND_N, I, 4 * H, l->wx, s.wx);
  nd_pack(ND_N, H, 4 * H, l->wh, s.wh);
  nd_share(threads_for(&s, streams), forward_streams, &s);
  free(block);
}

void nd_lstm_backward(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
                      const nd_lstm_trace *trace, float *dh, float *scratch, float *dc,
                      float *dwx, float *dwh, float *db, float *dx) {
  int32_t H = l->hidden, I = l->inputs;
  memset(dc, 0, (size_t)streams * (size_t)H * sizeof *dc);
  stretch s = {.l = l, .steps = steps, .streams = streams, .x = x, .trace = trace, .dh = dh,
               .dc = dc, .dwx = dwx, .dwh = dwh, .db = db, .dx = dx};
  int32_t width = nd_packed_width();
  int threads = threads_for(&s, width > 0 ? (4 * H + width - 1) / width : 1);
  s.scratch_size = nd_packed_gradient_size(I, H);
  float *block;
  if (!lay_out(&s, dx != NULL ? nd_packed_size(4 * H, I) : 0, nd_packed_size(4 * H, H),
               s.scratch_size * (size_t)threads, scratch,
               (size_t)steps * (size_t)streams * 4 * (size_t)H, &block)) {
    backward_plain(l, steps, streams, x, trace, dh, dc, dwx, dwh, db, dx);
    return;
  }
  if (dx != NULL) nd_pack(ND_T, 4 * H, I, l->wx, s.wx);
  nd_pack(ND_T, 4 * H, H, l->wh, s.wh);
  nd_share(threads_for(&s, streams), backward_streams, &s);
  nd_share(threads, gradient_columns, &s);
  free(block);
}

void nd_lstm_step(const nd_lstm *l, int32_t rows, float *z, float *h, float *c) {
  if (rows == 1) nd_gemv(l->hidden, 4 * l->hidden, h, l->wh, z);
  else nd_gemm(ND_N, ND_N, rows, 4 * l->hidden, l->hidden, h, l->wh, 1.0f, z);
  nd_cell_step(rows, l->hidden, z, l->b, h, c);
}
