/* saliency.h - what a network's answers rest on: the gradient of single
 * logits by every input of a stretch, exact, through the whole of it (Simonyan
 * et al. 2014; times the input: Shrikumar et al. 2016). For streaming nets
 * whose hits follow the LSTM at once. */
#ifndef ND_NET_SALIENCY_H
#define ND_NET_SALIENCY_H

#include "net.h"

typedef struct nd_target { int32_t step, voice; } nd_target;

/* x (steps, inputs) from an empty state; y (steps, voices) the hits that voices
 * of one step see of each other. For each of `n` targets: its logit, and the
 * gradient (n, steps, inputs) of it by x. ND_MISUSE for a net with windows or
 * dense layers. Besides the result it takes about 4 steps (7 hidden + n
 * encoding) bytes a layer. */
nd_status nd_saliency(const nd_net *net, int32_t steps, const float *x, const float *y,
                       const nd_target *targets, int32_t n, float *logits, float *gradients,
                       nd_error *err);

#endif
