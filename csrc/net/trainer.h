/* trainer.h - trains a net: forward pass, back-propagation through time truncated to
 * the batch's steps, Adam.
 *
 * The trainer owns everything that changes in training except the weights, which
 * are the net's. One thread at a time may use it; it starts its own for a step.
 * Results do not depend on the number of threads; on how processes share the streams
 * they depend by rounding only.
 */
#ifndef ND_NET_TRAINER_H
#define ND_NET_TRAINER_H

#include "../base/arena.h"
#include "../base/rng.h"
#include "adam.h"
#include "batch.h"
#include "net.h"

typedef struct nd_trainer {
  nd_net *net;                 /* borrowed */
  int threads;                 /* for a step, from 1 */
  float *gradient, *m, *v;     /* (n_trained) each: m and v are Adam's moments */
  nd_params grad;              /* views into `gradient` */
  int64_t step;                /* Adam steps taken */
  nd_rng rng;                  /* dropout's */
  nd_arena arena;              /* activations, of the largest batch so far */
} nd_trainer;

/* Bytes of memory that training adds to a net, for batches of T x B. In floats:
 *   3 P                       gradient and Adam's moments of P trained weights
 *   P'                        the LSTM's and the output layer's weights once more, in
 *                             panels (see gemm.h), the last panel of a matrix
 *                             padded; none where there are no kernels
 *   T B (L (7 + 2 d) H + H    per layer: gates 4 H, h, c, tanh c, and with dropout
 *                             (d = 1) outputs and mask; gradient of the outputs
 *      + R (8 + d) He + He    the same for R encoder directions, with a gradient of
 *                             their own
 *      + E + D)               inputs of the encoder and of the first layer
 *   B (2 (L H + R He) + H + He    states before the first step; the cells' gradients
 *      + 2 (L H + He))            the carried state, in case the step fails
 *   rows (outputs + 2)        logits, losses as doubles; rows = T B, or B of windows
 *   rows (2 (sum of widths) + 3 widest)   at most, with dense layers
 * each array rounded up to a cache line. T B counts by far the most. */
size_t nd_trainer_bytes(const nd_net *net, int32_t steps, int32_t streams);

/* A trainer at step 0, whose dropout is seeded by `seed`. ND_NOMEM. */
nd_status nd_trainer_make(nd_trainer *t, nd_net *net, uint64_t seed, nd_error *err);
void nd_trainer_clear(nd_trainer *t);

/* One training step. *loss: mean over the grid cells that count, in nats, before the
 * step; *norm: the gradient's. The batch's carried state advances. The weights of
 * the net change: packed copies of them must be dropped first.
 *
 * ND_FORMAT when the loss or the gradient is not finite; ND_MISUSE when the batch
 * was made for another net; ND_LIMIT, ND_NOMEM. On failure net, trainer and batch
 * are unchanged. With a shared batch all processes call this together and take the
 * same step; ND_IO when communication fails. */
nd_status nd_trainer_step(nd_trainer *t, nd_batch *batch, const nd_adam_options *adam,
                          double *loss, double *norm, nd_error *err);

/* Evaluates without dropout or learning: *sum of the loss in nats over *count grid
 * cells, of the local streams. The batch's carried state advances. Unless NULL,
 * `logits` gets (targets, B, outputs). Errors as above. */
nd_status nd_trainer_loss(nd_trainer *t, nd_batch *batch, double *sum, int64_t *count,
                          float *logits, nd_error *err);

#endif
