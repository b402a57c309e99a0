/* lstm.c - training by streams. Arrays are by steps, then streams, so that one step of
 * the streams of a thread is a matrix of adjacent rows: one product by wh for each
 * step, and products by wx for several steps at once, because they do not depend on
 * the state. */
#include "lstm.h"

#include <stdlib.h>
#include <string.h>

#include "gemm.h"
#include "kernels.h"

nd_lstm_trace nd_lstm_trace_take(nd_arena *a, int32_t hidden, int32_t steps, int32_t streams) {
  size_t row = (size_t)hidden * (size_t)streams, T = (size_t)steps;
  return (nd_lstm_trace){.gates = nd_arena_floats(a, 4 * row * T),
                         .h = nd_arena_floats(a, row * (T + 1)),
                         .c = nd_arena_floats(a, row * (T + 1)),
                         .tc = nd_arena_floats(a, row * T)};
}

/* ------------------------------------------------------------------- training */

/* Rows of the trace's h and c: the state before step t, and after it. */
static size_t before(const nd_lstm_work *w, int32_t t) { return (size_t)(t + w->backwards); }
static size_t after(const nd_lstm_work *w, int32_t t) { return (size_t)(t + !w->backwards); }

float *nd_lstm_outputs(const nd_lstm_work *w) {
  return w->trace.h + after(w, 0) * (size_t)w->streams * (size_t)w->layer.hidden;
}

/* Steps whose products by wx are made at once: about 128 rows, so that a weight is used
 * often for each time that it is loaded. With more, the results would leave the cache
 * before they are used. BLAS chooses its own blocks, and gets all steps. */
static int32_t steps_at_once(const nd_matrix *wx, int32_t rows, int32_t steps) {
  enum { MIN_ROWS = 128 };
  return wx->panels == NULL ? steps : rows >= MIN_ROWS ? 1 : (MIN_ROWS + rows - 1) / rows;
}

/* The matrices that a pass multiplies by: weights forward, their transposes backward.
 * In the panels' memory those of the state come first, then those of the inputs. */

static nd_matrix state_weights(const nd_lstm_work *w, bool backward) {
  int32_t H = w->layer.hidden;
  return backward ? nd_matrix_view(ND_T, 4 * H, H, w->layer.wh, w->panels)
                  : nd_matrix_view(ND_N, H, 4 * H, w->layer.wh, w->panels);
}

static nd_matrix input_weights(const nd_lstm_work *w, bool backward) {
  int32_t H = w->layer.hidden;
  float *panels = w->panels;
  if (panels != NULL) panels += backward ? nd_panels_size(4 * H, H) : nd_panels_size(H, 4 * H);
  return backward ? nd_matrix_view(ND_T, 4 * H, w->dx_width, w->layer.wx, panels)
                  : nd_matrix_view(ND_N, w->layer.inputs, 4 * H, w->layer.wx, panels);
}

size_t nd_lstm_panels_size(int32_t inputs, int32_t hidden) {
  size_t forward = nd_panels_size(hidden, 4 * hidden) + nd_panels_size(inputs, 4 * hidden);
  size_t backward = nd_panels_size(4 * hidden, hidden) + nd_panels_size(4 * hidden, inputs);
  return forward > backward ? forward : backward;
}

void nd_lstm_pack(const nd_lstm_work *w, bool backward, int part, int parts) {
  nd_matrix wh = state_weights(w, backward), wx = input_weights(w, backward);
  nd_matrix_fill(&wh, part, parts);
  if (!backward || w->dx != NULL) nd_matrix_fill(&wx, part, parts);
}

/* i counts steps in the layer's order, t is the step in time. A chunk of n steps begins
 * at t and goes on in the layer's direction: in time it is t..t+n-1, or t-n+1..t if the
 * layer reads backwards. `s` is the first of them in time. */
void nd_lstm_forward_streams(const nd_lstm_work *w, int32_t from, int32_t to) {
  const nd_lstm *l = &w->layer;
  int32_t H = l->hidden, rows = to - from, T = w->steps;
  if (rows <= 0) return;
  nd_matrix wx = input_weights(w, false), wh = state_weights(w, false);
  int32_t chunk = steps_at_once(&wx, rows, T);
  size_t streams = (size_t)w->streams, I = (size_t)l->inputs;
  size_t state = streams * (size_t)H, first = (size_t)from * (size_t)H;
  for (int32_t i = 0; i < T; i++) {
    int32_t t = w->backwards ? T - 1 - i : i;
    if (i % chunk == 0) {  /* z = x wx of the whole chunk */
      int32_t n = T - i < chunk ? T - i : chunk, s = w->backwards ? t - n + 1 : t;
      nd_matmul_blocks(&wx, n, streams * I, 4 * state, rows,
                       w->x + ((size_t)s * streams + (size_t)from) * I, false,
                       w->trace.gates + 4 * ((size_t)s * state + first));
    }
    size_t old = before(w, t) * state + first, new = after(w, t) * state + first;
    size_t at = (size_t)t * state + first;
    float *z = w->trace.gates + 4 * at;
    nd_matmul(&wh, rows, w->trace.h + old, true, z);  /* z += h wh */
    nd_cell_forward(rows, H, z, l->b, w->trace.c + old, w->trace.c + new, w->trace.tc + at,
                    w->trace.h + new);
  }
}

/* The same steps in reverse. A chunk is complete at its first step, i % chunk == 0, when
 * all later ones are done; only the last chunk can be shorter, and it is done first. */
void nd_lstm_backward_streams(const nd_lstm_work *w, int32_t from, int32_t to) {
  int32_t H = w->layer.hidden, rows = to - from, T = w->steps;
  if (rows <= 0) return;
  nd_matrix wx = input_weights(w, true), wh = state_weights(w, true);
  int32_t chunk = steps_at_once(&wx, rows, T);
  size_t streams = (size_t)w->streams, D = (size_t)w->dx_width;
  size_t state = streams * (size_t)H, first = (size_t)from * (size_t)H;
  memset(w->dc + first, 0, (size_t)rows * (size_t)H * sizeof *w->dc);
  for (int32_t i = T - 1; i >= 0; i--) {
    int32_t t = w->backwards ? T - 1 - i : i;
    size_t at = (size_t)t * state + first;
    float *dz = w->trace.gates + 4 * at;
    nd_cell_backward(rows, H, dz, w->trace.c + before(w, t) * state + first, w->trace.tc + at,
                     w->dh + at, w->dc + first);
    if (i > 0)  /* dh of the previous step += dz wh^T, to what its output got */
      nd_matmul(&wh, rows, dz, true, w->backwards ? w->dh + at + state : w->dh + at - state);
    if (w->dx != NULL && i % chunk == 0) {  /* dx = dz wx^T of the chunk */
      int32_t n = T - i < chunk ? T - i : chunk, s = w->backwards ? t - n + 1 : t;
      nd_matmul_blocks(&wx, n, 4 * state, streams * D, rows,
                       w->trace.gates + 4 * ((size_t)s * state + first), false,
                       w->dx + ((size_t)s * streams + (size_t)from) * D);
    }
  }
}

void nd_lstm_gradient(const nd_lstm_work *w, int part, int parts, float *dwx, float *dwh,
                      float *db) {
  int32_t H = w->layer.hidden;
  const float *h = w->trace.h + before(w, 0) * (size_t)w->streams * (size_t)H;
  nd_matmul_gradient(w->steps * w->streams, w->layer.inputs, H, 4 * H, part, parts, w->x, h,
                     w->trace.gates, dwx, dwh, db);
}

/* ---------------------------------------------------------- the forward pass alone */

void nd_lstm_forward(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
                     nd_lstm_trace *trace) {
  nd_lstm_work w = {.layer = *l, .steps = steps, .streams = streams, .x = x, .trace = *trace};
  size_t size = (nd_lstm_panels_size(l->inputs, l->hidden) * sizeof *w.panels + 63) / 64 * 64;
  /* for a single step packing takes longer than it saves; without memory, nothing is */
  if (size > 0 && steps > 1) w.panels = aligned_alloc(64, size);
  nd_lstm_pack(&w, false, 0, 1);
  nd_lstm_forward_streams(&w, 0, streams);
  free(w.panels);
}
