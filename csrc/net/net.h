/* net.h - a network: its settings, its parameters in one block, and the layers as
 * views into that block. See config.h for what it consists of.
 *
 * The net owns the block. It is read-only while it plays, so that any number of
 * threads may use it; what changes in training belongs to the nd_trainer.
 */
#ifndef ND_NET_NET_H
#define ND_NET_NET_H

#include "lstm.h"
#include "output.h"
#include "params.h"

typedef struct nd_net {
  nd_net_config config;
  float *block;                /* trained tensors first */
  size_t size, n_trained;      /* floats */
  nd_tensor tensors[ND_MAX_TENSORS];
  int32_t n_tensors;
  nd_params params;            /* views into the block */
  nd_lstm lstm[ND_MAX_LAYERS]; /* layers: sizes and views */
  nd_lstm encoder[2];          /* forward, backward */
  nd_hits_head hits;
} nd_net;

/* Checks the settings (ND_MISUSE) and lists the tensors, without memory for them:
 * a file's tensors can be compared with the list before anything is allocated. */
nd_status nd_net_declare(nd_net *net, const nd_net_config *config, nd_error *err);

/* Allocates the block, zeroed. ND_NOMEM. */
nd_status nd_net_allocate(nd_net *net, nd_error *err);

/* Random first weights as Keras draws them: Glorot-uniform kernels (Glorot & Bengio
 * 2010), orthogonal recurrent kernels (Saxe et al. 2014), biases 0, and 1 for the
 * forget gate (Jozefowicz et al. 2015). */
void nd_net_initialise(nd_net *net, uint64_t seed);
void nd_net_clear(nd_net *net);
const nd_tensor *nd_net_tensor(const nd_net *net, const char *name);  /* NULL: none */

/* Whether all values are finite and within the range of half precision (65504).
 * Weights of trained nets are a thousandth of that; far larger ones overflow in
 * products. */
bool nd_all_in_range(size_t n, const float *values);

/* ND_FORMAT, naming the tensor, when a value is not finite or out of range, or a
 * variance is negative. */
nd_status nd_net_check(const nd_net *net, nd_error *err);

/* The dense layers for inference (no dropout) on x (rows, H): returns the features
 * (rows, F), in x or in scratch (nd_net_head_scratch() floats); both are
 * overwritten. */
const float *nd_net_head(const nd_net *net, int32_t rows, float *x, float *scratch);
size_t nd_net_head_scratch(const nd_net *net, int32_t rows);

/* Multiply-accumulates of one step of one stream (window nets: of one window):
 * forward pass, matrix products only. Training costs three times as many. */
double nd_net_macs(const nd_net *net);

#endif
