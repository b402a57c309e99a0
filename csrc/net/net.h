/* net.h - the network: a stack of LSTM layers, an optional head of dense
 * layers, and the hits. One configuration covers
 *   streaming nets (window 0): logits at every step, state carried on;
 *   window nets: every window starts from zero state, logits at its last step.
 *
 * With an encoder, the first `encoded` inputs of a step go through a layer of
 * its own that reads the stretch forwards and (unless `causal`) one that reads
 * it backwards (Graves & Schmidhuber 2005); their outputs take those inputs'
 * place in front of the others. Such a net hears what is to come.
 *
 * Parameters stand in one block, so that the optimiser, the checkpoint and
 * the gradient check are one loop each. An nd_net is read-only while it plays;
 * everything that changes in training is the nd_trainer's.
 *
 * Head (when n_dense > 0), as the 2023 system has it:
 *   dropout, [norm], (dense, dropout) x n_dense, [norm], hits.
 */
#ifndef ND_NET_NET_H
#define ND_NET_NET_H

#include "../base/nd.h"
#include "../base/rng.h"
#include "output.h"
#include "lstm.h"

enum { ND_MAX_LAYERS = 8, ND_MAX_DENSE = 4, ND_MAX_TENSORS = 64, ND_MAX_UNITS = 4096,
       ND_MAX_INPUTS = 4096, ND_MAX_WINDOW = 256 };

typedef struct nd_net_config {
  int32_t inputs, voices;      /* I, V */
  int32_t layers, hidden;      /* L, H */
  int32_t window;              /* 0: streaming */
  int32_t encoder, encoded;    /* units a direction, inputs that it reads; 0: none */
  bool causal;                 /* the encoder reads forwards only */
  int32_t n_dense, dense[ND_MAX_DENSE];
  bool norm;                   /* batch normalisation in the head */
  bool skip;                   /* the inputs wired straight to the logits */
  bool mix;                    /* a voice sees the voices before it */
  bool touch;                  /* velocities and offsets of known hits, not hits */
  float dropout;               /* on each LSTM layer's output, the encoder's too */
  float head_dropout;
} nd_net_config;

typedef struct nd_tensor {
  char name[24];
  int32_t rank, shape[2];
  size_t offset, size;         /* in floats, within the block */
  bool trained;                /* false: running statistics */
} nd_tensor;

typedef struct nd_net {
  nd_net_config config;
  float *block;                /* trained tensors first */
  size_t size, n_trained;      /* floats */
  nd_tensor tensors[ND_MAX_TENSORS];
  int32_t n_tensors;
  /* views into the block */
  nd_lstm lstm[ND_MAX_LAYERS];
  nd_lstm encoder[2];          /* forward, backward */
  nd_hits_head hits;
} nd_net;

/* Lists the tensors of a configuration, ND_MISUSE when it is out of range;
 * takes memory for them, zeroed; gives them first weights as Keras does:
 * Glorot-uniform kernels, orthogonal recurrent kernels, forget-gate bias 1. */
nd_status nd_net_declare(nd_net *net, const nd_net_config *config, nd_error *err);
nd_status nd_net_allocate(nd_net *net, nd_error *err);
void nd_net_first_weights(nd_net *net, uint64_t seed);
void nd_net_clear(nd_net *net);
const nd_tensor *nd_net_tensor(const nd_net *net, const char *name);  /* NULL: none */

/* Whether all are finite and none is beyond the largest half. What is learnt comes to
 * a thousandth of it; beyond it, products run out of the floats. */
bool nd_all_usual(size_t n, const float *values);

/* ND_FORMAT, naming the tensor, when a value is not finite, or so large or so
 * far below zero that what is computed with it would not be. */
nd_status nd_net_check(const nd_net *net, nd_error *err);

/* Readers of the encoder (0, 1, 2), width of what they give together, width of
 * what the first LSTM layer takes, and floats of state that a stream carries. */
int32_t nd_net_directions(const nd_net_config *c);
int32_t nd_net_encoding(const nd_net_config *c);
int32_t nd_net_decoder_inputs(const nd_net_config *c);
int32_t nd_net_carried(const nd_net_config *c);

/* Outputs of the head, and targets of a batch, a step. */
int32_t nd_net_outputs(const nd_net_config *c);
int32_t nd_net_targets(const nd_net_config *c);

/* The head on `rows` feature vectors x (rows, H) without dropout, for playing:
 * returns the features of the hits, in x or in scratch (rows, widest dense). */
const float *nd_net_head(const nd_net *net, int32_t rows, float *x, float *scratch);
size_t nd_net_head_scratch(const nd_net *net, int32_t rows);

/* Multiply-adds of one step of one stream (window nets: of one window),
 * forward pass, matrix products alone. Training costs three times that. */
double nd_net_macs(const nd_net *net);

/* A tensor's values in `block`, the net's or one laid out alike: "lstm", 2, "wx"; layers
 * that there is one of have number 0. NULL when the net has no such tensor. */
float *nd_net_part(const nd_net *net, float *block, const char *kind, int32_t number,
                   const char *which);

#endif
