#include "lstm.h"

#include <stdlib.h>
#include <string.h>

#include "blas.h"
#include "kernels.h"
#include "packed.h"
#include "../base/thread_pool.h"

nd_lstm_trace nd_lstm_trace_take(nd_arena *a, int32_t hidden, int32_t steps, int32_t streams) {
  size_t row = (size_t)hidden * (size_t)streams, T = (size_t)steps;
  return (nd_lstm_trace){.gates = nd_arena_floats(a, 4 * row * T), .h = nd_arena_floats(a, row * (T + 1)),
                         .c = nd_arena_floats(a, row * (T + 1)), .tc = nd_arena_floats(a, row * T)};
}

/* ------------------------------------------------------------- by the stream */

/* Rows of the trace's h and c: a step's state before it, and after. */
static size_t before(const nd_lstm_work *w, int32_t t) { return (size_t)t + (w->backwards ? 1 : 0); }
static size_t after(const nd_lstm_work *w, int32_t t) { return (size_t)t + (w->backwards ? 0 : 1); }

float *nd_lstm_outputs(const nd_lstm_work *w) {
  return w->trace.h + after(w, 0) * (size_t)w->streams * (size_t)w->layer.hidden;
}

/* Inputs' products of so many rows at once that each weight is worth the way
 * from memory, and no more, or what they are for leaves the cache. */
static int32_t steps_at_once(int32_t rows) {
  enum { ENOUGH = 128 };
  return rows >= ENOUGH ? 1 : (ENOUGH + rows - 1) / rows;
}

static bool by_packed(const nd_lstm_work *w) { return w->packed != NULL && nd_packed_width() > 0; }

static float *packed_wh(const nd_lstm_work *w) { return w->packed; }

static float *packed_wx(const nd_lstm_work *w, bool backward) {
  int32_t H = w->layer.hidden;
  return w->packed + (backward ? nd_packed_size(4 * H, H) : nd_packed_size(H, 4 * H));
}

size_t nd_lstm_packed_size(int32_t inputs, int32_t hidden) {
  size_t forward = nd_packed_size(hidden, 4 * hidden) + nd_packed_size(inputs, 4 * hidden);
  size_t backward = nd_packed_size(4 * hidden, hidden) + nd_packed_size(4 * hidden, inputs);
  return forward > backward ? forward : backward;
}

static void pack_part(nd_trans tb, int32_t k, int32_t n, const float *b, int part, int parts,
                      float *packed) {
  int32_t width = nd_packed_width();
  nd_pack(tb, k, n, b, nd_partition_begin(n, width, part, parts),
          nd_partition_begin(n, width, part + 1, parts), packed);
}

void nd_lstm_pack(const nd_lstm_work *w, bool backward, int part, int parts) {
  const nd_lstm *l = &w->layer;
  int32_t H = l->hidden;
  if (!by_packed(w)) return;
  if (!backward) {
    pack_part(ND_N, H, 4 * H, l->wh, part, parts, packed_wh(w));
    pack_part(ND_N, l->inputs, 4 * H, l->wx, part, parts, packed_wx(w, false));
  } else {
    pack_part(ND_T, 4 * H, H, l->wh, part, parts, packed_wh(w));
    if (w->dx != NULL)
      pack_part(ND_T, 4 * H, w->dx_width, l->wx, part, parts, packed_wx(w, true));
  }
}

/* Inputs' products of steps t..t+n-1. */
static void inputs_forward(const nd_lstm_work *w, int32_t t, int32_t n, int32_t from, int32_t to) {
  const nd_lstm *l = &w->layer;
  size_t streams = (size_t)w->streams, row = (size_t)t * streams + (size_t)from;
  size_t I = (size_t)l->inputs, wide = 4 * (size_t)l->hidden;
  const float *x = w->x + row * I;
  float *z = w->trace.gates + row * wide;
  if (by_packed(w))
    nd_packed_blocks(n, streams * I, streams * wide, to - from, 4 * l->hidden, l->inputs, x,
                     packed_wx(w, false), false, z);
  else
    nd_gemm(ND_N, ND_N, n * w->streams, 4 * l->hidden, l->inputs, x, l->wx, 0.0f, z);
}

void nd_lstm_forward_streams(const nd_lstm_work *w, int32_t from, int32_t to) {
  const nd_lstm *l = &w->layer;
  int32_t H = l->hidden, rows = to - from, T = w->steps;
  if (rows <= 0) return;
  int32_t chunk = by_packed(w) ? steps_at_once(rows) : T;
  size_t cells = (size_t)w->streams * (size_t)H, own = (size_t)from * (size_t)H;
  for (int32_t i = 0; i < T; i++) {
    int32_t t = w->backwards ? T - 1 - i : i;
    if (i % chunk == 0) {
      int32_t n = T - i < chunk ? T - i : chunk;
      inputs_forward(w, w->backwards ? t - n + 1 : t, n, from, to);
    }
    size_t old = before(w, t) * cells + own, new = after(w, t) * cells + own;
    size_t at = (size_t)t * cells + own;
    float *z = w->trace.gates + 4 * at;
    if (by_packed(w)) nd_packed_gemm(rows, 4 * H, H, w->trace.h + old, packed_wh(w), true, z);
    else nd_gemm(ND_N, ND_N, rows, 4 * H, H, w->trace.h + old, l->wh, 1.0f, z);
    nd_cell_forward(rows, H, z, l->b, w->trace.c + old, w->trace.c + new, w->trace.tc + at,
                    w->trace.h + new);
  }
}

static void inputs_backward(const nd_lstm_work *w, int32_t t, int32_t n, int32_t from, int32_t to) {
  const nd_lstm *l = &w->layer;
  size_t streams = (size_t)w->streams, row = (size_t)t * streams + (size_t)from;
  size_t D = (size_t)w->dx_width, wide = 4 * (size_t)l->hidden;
  const float *dz = w->trace.gates + row * wide;
  float *dx = w->dx + row * D;
  if (by_packed(w))
    nd_packed_blocks(n, streams * wide, streams * D, to - from, w->dx_width, 4 * l->hidden, dz,
                     packed_wx(w, true), false, dx);
  else  /* the first rows of wx are one matrix */
    nd_gemm(ND_N, ND_T, n * w->streams, w->dx_width, 4 * l->hidden, dz, l->wx, 0.0f, dx);
}

void nd_lstm_backward_streams(const nd_lstm_work *w, int32_t from, int32_t to) {
  const nd_lstm *l = &w->layer;
  int32_t H = l->hidden, rows = to - from, T = w->steps;
  if (rows <= 0) return;
  int32_t chunk = by_packed(w) ? steps_at_once(rows) : T;
  size_t cells = (size_t)w->streams * (size_t)H, own = (size_t)from * (size_t)H;
  memset(w->dc + own, 0, (size_t)rows * (size_t)H * sizeof *w->dc);
  for (int32_t i = T - 1; i >= 0; i--) {
    int32_t t = w->backwards ? T - 1 - i : i;
    size_t at = (size_t)t * cells + own;
    float *dz = w->trace.gates + 4 * at;
    nd_cell_backward(rows, H, dz, w->trace.c + before(w, t) * cells + own, w->trace.tc + at,
                     w->dh + at, w->dc + own);
    if (i > 0) {  /* the gradient of h joins that of the step before's output */
      float *dh = w->backwards ? w->dh + at + cells : w->dh + at - cells;
      if (by_packed(w)) nd_packed_gemm(rows, H, 4 * H, dz, packed_wh(w), true, dh);
      else nd_gemm(ND_N, ND_T, rows, H, 4 * H, dz, l->wh, 1.0f, dh);
    }
    if (w->dx != NULL && i % chunk == 0) {
      int32_t n = T - i < chunk ? T - i : chunk;
      inputs_backward(w, w->backwards ? t - n + 1 : t, n, from, to);
    }
  }
}

void nd_lstm_gradient(const nd_lstm_work *w, int part, int parts, float *dwx, float *dwh,
                      float *db) {
  const nd_lstm *l = &w->layer;
  int32_t H = l->hidden, n = 4 * H, rows = w->steps * w->streams, width = nd_packed_width();
  const float *h = w->trace.h + before(w, 0) * (size_t)w->streams * (size_t)H;
  if (by_packed(w)) {
    nd_packed_gradient(rows, l->inputs, H, n, nd_partition_begin(n, width, part, parts),
                       nd_partition_begin(n, width, part + 1, parts), w->x, h, w->trace.gates, dwx, dwh,
                       db);
    return;
  }
  nd_gemm(ND_T, ND_N, l->inputs, n, rows, w->x, w->trace.gates, 0.0f, dwx);
  nd_gemm(ND_T, ND_N, H, n, rows, h, w->trace.gates, 0.0f, dwh);
  memset(db, 0, (size_t)n * sizeof *db);
  nd_sum_rows(rows, n, w->trace.gates, db);
}

/* ------------------------------------------------------------------- playing */

void nd_lstm_forward(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
                     nd_lstm_trace *trace) {
  nd_lstm_work w = {.layer = *l, .steps = steps, .streams = streams, .x = x, .trace = *trace};
  size_t size = (nd_lstm_packed_size(l->inputs, l->hidden) * sizeof *w.packed + 63) / 64 * 64;
  /* packing takes longer than it spares in a single step */
  if (size > 0 && steps > 1) w.packed = aligned_alloc(64, size);
  nd_lstm_pack(&w, false, 0, 1);
  nd_lstm_forward_streams(&w, 0, streams);
  free(w.packed);
}

void nd_lstm_step(const nd_lstm *l, int32_t rows, float *z, float *h, float *c) {
  if (rows == 1) nd_gemv(l->hidden, 4 * l->hidden, h, l->wh, z);
  else nd_gemm(ND_N, ND_N, rows, 4 * l->hidden, l->hidden, h, l->wh, 1.0f, z);
  nd_cell_step(rows, l->hidden, z, l->b, h, c);
}
