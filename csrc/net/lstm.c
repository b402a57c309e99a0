#include "lstm.h"

#include <string.h>

#include "blas.h"
#include "kernels.h"

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

void nd_lstm_forward(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
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

void nd_lstm_backward(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
                      const nd_lstm_trace *trace, float *dh, float *dz, float *dc, float *dwx,
                      float *dwh, float *db, float *dx) {
  int32_t H = l->hidden;
  size_t cells = (size_t)streams * (size_t)H;
  memset(dc, 0, cells * sizeof *dc);
  for (int32_t t = steps - 1; t >= 0; t--) {
    size_t at = (size_t)t * cells;
    nd_cell_backward(streams, H, trace->gates + 4 * at, trace->c + at, trace->tc + at, dh + at,
                     dc, dz + 4 * at);
    if (t > 0)  /* the gradient of h joins that of the step before's output */
      nd_gemm(ND_N, ND_T, streams, H, 4 * H, dz + 4 * at, l->wh, 1.0f, dh + at - cells);
  }
  int32_t rows = steps * streams;
  nd_gemm(ND_T, ND_N, l->inputs, 4 * H, rows, x, dz, 1.0f, dwx);
  nd_gemm(ND_T, ND_N, H, 4 * H, rows, trace->h, dz, 1.0f, dwh);
  nd_sum_rows(rows, 4 * H, dz, db);
  if (dx != NULL) nd_gemm(ND_N, ND_T, rows, l->inputs, 4 * H, dz, l->wx, 0.0f, dx);
}

void nd_lstm_step(const nd_lstm *l, int32_t rows, float *z, float *h, float *c) {
  if (rows == 1) nd_gemv(l->hidden, 4 * l->hidden, h, l->wh, z);
  else nd_gemm(ND_N, ND_N, rows, 4 * l->hidden, l->hidden, h, l->wh, 1.0f, z);
  nd_cell_step(rows, l->hidden, z, l->b, h, c);
}
