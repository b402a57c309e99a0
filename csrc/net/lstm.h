/* lstm.h - one LSTM layer over a stretch of T steps of B streams.
 *
 * z = x wx + h wh + b, gates in the order i, f, g, o:
 *   c' = sigma(f) c + sigma(i) tanh(g),  h' = sigma(o) tanh(c')
 * (Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000.)
 * Gradients by back-propagation through the whole stretch (Werbos 1990).
 */
#ifndef ND_NET_LSTM_H
#define ND_NET_LSTM_H

#include "../nd.h"

typedef struct nd_lstm {
  int32_t inputs, hidden;
  const float *wx;   /* (I, 4H) */
  const float *wh;   /* (H, 4H) */
  const float *b;    /* (4H) */
} nd_lstm;

/* What the forward pass leaves for the backward pass. */
typedef struct nd_lstm_trace {
  float *gates;      /* (T, B, 4H) */
  float *h;          /* (T + 1, B, H); row 0 is the state before */
  float *c;          /* (T + 1, B, H) */
  float *tc;         /* (T, B, H): tanh of c */
} nd_lstm_trace;

/* Floats that a trace of T x B needs; nd_lstm_trace_at lays it into `block`. */
size_t nd_lstm_trace_size(int32_t hidden, int32_t steps, int32_t streams);
nd_lstm_trace nd_lstm_trace_at(float *block, int32_t hidden, int32_t steps, int32_t streams);

/* x: (T, B, I). The state before must stand in trace->h[0] and ->c[0]. */
void nd_lstm_forward(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
                     nd_lstm_trace *trace);

/* dh: (T, B, H), gradient of the outputs, destroyed; of the trace, the gates
 * become the gradient of z. Scratch: (T, B, 4H), dc (B, H). Adds to dwx, dwh, db; writes dx (T, B, I) unless
 * it is NULL. Nothing flows past the stretch (truncated BPTT). */
void nd_lstm_backward(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
                      const nd_lstm_trace *trace, float *dh, float *scratch, float *dc,
                      float *dwx, float *dwh, float *db, float *dx);

/* One step for playing: `rows` states side by side. z: (rows, 4H), on entry
 * x wx of each row, destroyed. h, c: (rows, H), updated in place. */
void nd_lstm_step(const nd_lstm *l, int32_t rows, float *z, float *h, float *c);

#endif
