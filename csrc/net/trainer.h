/* trainer.h - teaches a net: forward, backward, Adam. Everything that changes in
 * training is the trainer's, but for the weights. */
#ifndef ND_NET_TRAINER_H
#define ND_NET_TRAINER_H

#include "adam.h"
#include "batch.h"
#include "net.h"

typedef struct nd_trainer {
  nd_net *net;
  int threads;                 /* of a step; what comes out does not depend on it */
  float *gradient, *m, *v;     /* (n_trained) each */
  int64_t step;                /* Adam steps taken */
  nd_rng rng;                  /* of dropout */
  float *work;                 /* activations, sized for the largest batch seen */
  size_t work_size;
} nd_trainer;

/* Bytes of memory that training adds to a net, for batches of T x B: of floats,
 *   3 P                       gradient and Adam's moments of P trained weights
 *   P'                        the layers' and the hits' weights once more, as panels
 *                             (see gemm.h), the last one filled up; nothing where
 *                             there are no kernels
 *   T B (L (7 + 2 d) H + H    per layer gates 4 H, h, c, tanh c, and with dropout
 *                             (d = 1) outputs and mask; gradient of the outputs
 *      + R (8 + d) He + He    the same for R readers, whose gradient is apart
 *      + E + front)           inputs of readers and of the first layer, with an encoder
 *   B (2 (L H + R He) + H + He    the states before; the cells' gradients;
 *      + 2 (L H + He))            the state carried, should a step fail (He: of a reader)
 *   rows (outputs + 2)        logits, losses as doubles; rows = T B, or B of windows
 *   rows (2 (sum of widths of the head's operations) + 3 widest)   with a dense head;
 *                             of its norms, a few rows' more,
 * each piece rounded up to a cache line. T B counts by far the most. */
size_t nd_trainer_bytes(const nd_net *net, int32_t steps, int32_t streams);

nd_status nd_trainer_make(nd_trainer *t, nd_net *net, uint64_t seed, nd_error *err);
void nd_trainer_clear(nd_trainer *t);

/* Forward, backward, Adam. *loss: mean over the counted hits, nats, before the
 * step. The batch's carried state moves on. A loss or gradient that is not
 * finite is ND_FORMAT, and a step that fails leaves net, trainer and batch as
 * they were. With a batch that is shared
 * out, all processes take the one step that the whole batch asks for, and what
 * went wrong between them is ND_IO. */
nd_status nd_trainer_step(nd_trainer *t, nd_batch *batch, const nd_adam_options *adam,
                          double *loss, double *norm, nd_error *err);

/* No dropout, no learning: *sum of the loss in nats over *count hits, of the
 * streams that are here. The batch's carried state moves on. When `logits` is
 * not NULL, they are copied there: (targets, B, outputs). */
nd_status nd_trainer_loss(nd_trainer *t, nd_batch *batch, double *sum, int64_t *count,
                          float *logits, nd_error *err);

#endif
