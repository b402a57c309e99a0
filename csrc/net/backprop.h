/* backprop.h - forward pass and back-propagation through time (Werbos 1990) over a
 * batch, with threads. For trainer.c only.
 *
 * The streams of a batch are independent of each other, so each thread takes some of
 * them through all layers and steps. The gradients of the weights are sums over all
 * streams: these are divided by columns. Every sum is formed by one thread in a fixed
 * order, so that results do not depend on the number of threads.
 */
#ifndef ND_NET_BACKPROP_H
#define ND_NET_BACKPROP_H

#include "train_ctx.h"

/* Fills x->logits and returns the sum of the local streams' loss in nats. *count: grid
 * cells that count (the whole batch's when training). When training, the logits then
 * become the gradient of the mean loss. */
double nd_forward(train_ctx *x, double *count);

/* From that gradient to those of all weights, in x->gradient. Sums over processes are
 * begun and not yet complete: nd_shard_wait(). */
void nd_backward(train_ctx *x);

#endif
