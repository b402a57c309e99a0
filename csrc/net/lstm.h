/* lstm.h - one LSTM layer over T steps of B streams.
 *
 * z = x wx + h wh + b, gates in the order i, f, g, o:
 *   c' = sigma(f) c + sigma(i) tanh(g),  h' = sigma(o) tanh(c')
 * (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000.)
 * Gradients by back-propagation through all T steps (Werbos 1990); nothing flows
 * beyond them (truncated BPTT).
 *
 * All memory is the caller's; sizes are I inputs, H hidden units. A layer's state is
 * h and c. Nothing here fails. */
#ifndef ND_NET_LSTM_H
#define ND_NET_LSTM_H

#include "../base/arena.h"

typedef struct nd_lstm {
  int32_t inputs, hidden;
  const float *wx;   /* (I, 4H) */
  const float *wh;   /* (H, 4H) */
  const float *b;    /* (4H) */
} nd_lstm;

/* What the forward pass leaves for the backward pass. */
typedef struct nd_lstm_trace {
  float *gates;      /* (T, B, 4H): activated; the backward pass makes them dz */
  float *h;          /* (T + 1, B, H); row 0 is the initial state */
  float *c;          /* (T + 1, B, H) */
  float *tc;         /* (T, B, H): tanh of c */
} nd_lstm_trace;

/* A trace of T x B in an arena. */
nd_lstm_trace nd_lstm_trace_take(nd_arena *a, int32_t hidden, int32_t steps, int32_t streams);

/* One training pass of a layer. The streams of a batch are independent of each other,
 * so each thread may take some of them through all steps. */
typedef struct nd_lstm_work {
  nd_lstm layer;
  int32_t steps, streams;
  bool backwards;        /* the layer reads from the last step to the first: then row T
                          * of the trace is the initial state, and row t is the state
                          * after step t */
  const float *x;        /* (T, B, I) */
  nd_lstm_trace trace;
  float *panels;         /* nd_lstm_panels_size() floats, 64-byte aligned; or NULL,
                          * which borrows the weights (see gemm.h) */
  /* of the backward pass */
  float *dh;             /* (T, B, H), gradient of the outputs; destroyed */
  float *dc;             /* (B, H), scratch */
  float *dx;             /* (T, B, dx_width), gradient of the first inputs; or NULL if
                          * nothing needs it. May be dh */
  int32_t dx_width;
} nd_lstm_work;

/* (T, B, H): the outputs, by steps. */
float *nd_lstm_outputs(const nd_lstm_work *w);

/* Packs the weights for the forward pass, or for the backward pass, which takes the same
 * memory. Each of `parts` threads packs its part; all must be done before a stream
 * starts. */
size_t nd_lstm_panels_size(int32_t inputs, int32_t hidden);
void nd_lstm_pack(const nd_lstm_work *w, bool backward, int part, int parts);

/* The passes over streams from..to-1; over all of them where the weights are borrowed.
 * The caller sets the initial state in the trace, and dh before the backward pass. */
void nd_lstm_forward_streams(const nd_lstm_work *w, int32_t from, int32_t to);
void nd_lstm_backward_streams(const nd_lstm_work *w, int32_t from, int32_t to);

/* After the backward pass of all streams: writes the columns of one of `parts` threads of
 * the weights' gradients. */
void nd_lstm_gradient(const nd_lstm_work *w, int part, int parts, float *dwx, float *dwh,
                      float *db);

/* The forward pass alone, on the calling thread. x: (T, B, I). The caller sets the initial
 * state in trace->h[0] and ->c[0]. */
void nd_lstm_forward(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
                     nd_lstm_trace *trace);

#endif
