/* encoder.h - runs a net's encoder over whole songs before they are played, a
 * slice of work at a time, several songs side by side.
 */
#ifndef ND_NET_ENCODER_H
#define ND_NET_ENCODER_H

#include "../base/arena.h"
#include "inference_weights.h"

/* Song i has steps[i] rows of inputs at x[i], `stride` floats from one row to the
 * next, of which the first `encoded` are read; out[i] gets (steps, encoding):
 * forward outputs, then backward ones. The caller owns all of these until the
 * run is cleared. */
typedef struct nd_encoder_run {
  const nd_net *net;
  int32_t n, longest;
  const int32_t *steps;
  const float *const *x;
  size_t stride;
  float *const *out;
  int32_t direction, at;    /* progress: at == longest moves to the next direction */
  nd_arena arena;
  float *h, *c;             /* (n, encoder) */
  float *in, *z;            /* of a chunk of steps: (…, n, encoded), (…, n, 4 encoder) */
} nd_encoder_run;

/* Steps that are run at once for n songs side by side: enough for a matrix product of
 * 64 rows, in which each weight that is read from memory is used 64 times. */
static inline int32_t nd_chunk_steps(int32_t n) { return n < 64 ? 64 / n : 1; }

/* ND_NOMEM. */
nd_status nd_encoder_run_make(nd_encoder_run *r, const nd_net *net, int32_t n, const int32_t *steps,
                              const float *const *x, size_t stride, float *const *out,
                              nd_error *err);

/* Runs until about `macs` multiply-accumulates are spent, at least a few steps.
 * Returns what is left of them: 0 or less when the run is not done. `w` may
 * differ from call to call (packed or borrowed), not its values. */
double nd_encoder_run_advance(nd_encoder_run *r, const nd_inference_weights *w, double macs);
bool nd_encoder_run_done(const nd_encoder_run *r);
void nd_encoder_run_clear(nd_encoder_run *r);

#endif
