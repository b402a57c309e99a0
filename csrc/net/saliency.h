/* saliency.h - which inputs a logit depends on: the exact gradient of single logits
 * with respect to every input of a song (Simonyan et al. 2014), which explain.c
 * multiplies by the input (Shrikumar et al. 2016). For streaming nets without
 * dense layers.
 */
#ifndef ND_NET_SALIENCY_H
#define ND_NET_SALIENCY_H

#include "net.h"

typedef struct nd_target { int32_t step, voice; } nd_target;

/* x (steps, inputs): the song's inputs, from zero state. y (steps, voices): hits,
 * 0 or 1, through which the voices of one step see each other. For each of n
 * targets: its logit (n), and that logit's gradient by x (n, steps, inputs).
 *
 * ND_MISUSE for nets with windows, dense layers or a touch output, and for targets
 * outside the song; ND_NOMEM: besides the result about 4 steps (7 hidden + n
 * encoding) bytes a layer are needed. */
nd_status nd_saliency(const nd_net *net, int32_t steps, const float *x, const float *y,
                      const nd_target *targets, int32_t n, float *logits, float *gradients,
                      nd_error *err);

#endif
