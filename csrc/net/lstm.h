/* lstm.h - one LSTM layer over a stretch of T steps of B streams.
 *
 * z = x wx + h wh + b, gates in the order i, f, g, o:
 *   c' = sigma(f) c + sigma(i) tanh(g),  h' = sigma(o) tanh(c')
 * (Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000.)
 * Gradients by back-propagation through the whole stretch (Werbos 1990).
 */
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
  float *gates;      /* (T, B, 4H) */
  float *h;          /* (T + 1, B, H); row 0 is the state before */
  float *c;          /* (T + 1, B, H) */
  float *tc;         /* (T, B, H): tanh of c */
} nd_lstm_trace;

/* A trace of T x B in an arena. */
nd_lstm_trace nd_lstm_trace_take(nd_arena *a, int32_t hidden, int32_t steps, int32_t streams);

/* A layer at work on a stretch. The streams of a batch don't know of each
 * other, so threads may each take some of them through all steps. */
typedef struct nd_lstm_work {
  nd_lstm layer;
  int32_t steps, streams;
  bool backwards;        /* reads from the last step to the first; of the trace, the
                          * state before is row T then, and row t that of step t */
  const float *x;        /* (T, B, I) */
  nd_lstm_trace trace;
  float *panels;         /* nd_lstm_panels_size() floats, 64-byte aligned; or NULL:
                          * the products are made of the weights themselves */
  /* of the backward pass */
  float *dh;             /* (T, B, H), gradient of the outputs; destroyed */
  float *dc;             /* (B, H), scratch */
  float *dx;             /* (T, B, dx_width), of the first inputs; or NULL. May be dh */
  int32_t dx_width;
} nd_lstm_work;

/* (T, B, H): the outputs, by steps. */
float *nd_lstm_outputs(const nd_lstm_work *w);

/* The weights as the forward pass needs them, then as the backward pass does:
 * each before any stream, shared out in `parts`. */
size_t nd_lstm_panels_size(int32_t inputs, int32_t hidden);
void nd_lstm_pack(const nd_lstm_work *w, bool backward, int part, int parts);

/* Streams from..to-1; all of them where nothing is packed. The state before must
 * stand in the trace. Backwards: the gates become the gradient of z. Nothing
 * flows past the stretch (truncated BPTT). */
void nd_lstm_forward_streams(const nd_lstm_work *w, int32_t from, int32_t to);
void nd_lstm_backward_streams(const nd_lstm_work *w, int32_t from, int32_t to);

/* When all streams are done: writes a part's columns of the weights' gradients. */
void nd_lstm_gradient(const nd_lstm_work *w, int part, int parts, float *dwx, float *dwh,
                      float *db);

/* The forward pass alone, on the calling thread. x: (T, B, I). The state before
 * must stand in trace->h[0] and ->c[0]. */
void nd_lstm_forward(const nd_lstm *l, int32_t steps, int32_t streams, const float *x,
                     nd_lstm_trace *trace);

/* One step for playing: `rows` states side by side. z: (rows, 4H), on entry
 * x wx of each row, destroyed. h, c: (rows, H), updated in place. */
void nd_lstm_step(const nd_lstm *l, int32_t rows, float *z, float *h, float *c);

#endif
