/* params.h - the tensors of a network: their names, shapes and places in one block
 * of floats, and views into such a block.
 *
 * All parameters stand in one block, as in llm.c, so that the optimiser, the
 * checkpoint and the gradient check are one loop each. Every block with this layout
 * (the weights; a gradient; Adam's moments) can be seen through nd_params.
 */
#ifndef ND_NET_PARAMS_H
#define ND_NET_PARAMS_H

#include "config.h"

enum { ND_MAX_TENSORS = 64 };

/* What a tensor is for; this decides its first values (Keras's, nd_net_initialise). */
typedef enum nd_tensor_kind {
  ND_KERNEL,      /* (inputs, outputs): Glorot-uniform */
  ND_RECURRENT,   /* (H, 4H): orthogonal rows */
  ND_LSTM_BIAS,   /* (4H): 1 for the forget gate, else 0 */
  ND_ZERO,        /* biases, and connections that are absent at first */
  ND_GAMMA,       /* a norm's gain: 1 */
  ND_MEAN,        /* a norm's running statistics, which are not trained: 0 ... */
  ND_VARIANCE     /* ... and 1 */
} nd_tensor_kind;

typedef struct nd_tensor {
  char name[24];               /* "lstm.2.wx" */
  nd_tensor_kind kind;
  int32_t rank, shape[2];
  size_t offset, size;         /* in floats, within the block */
  bool trained;                /* false: running statistics */
  size_t view;                 /* offset of its pointer in nd_params, in bytes */
} nd_tensor;

typedef struct nd_lstm_params { float *wx, *wh, *b; } nd_lstm_params;   /* (I, 4H), (H, 4H), (4H) */
typedef struct nd_dense_params { float *w, *b; } nd_dense_params;      /* (in, out), (out) */
typedef struct nd_norm_params { float *gamma, *beta, *mean, *var; } nd_norm_params;  /* (n) each */
/* (F, outputs), (outputs), (I, outputs), (V, V): output.h */
typedef struct nd_output_params { float *w, *b, *skip, *mix; } nd_output_params;

/* NULL where the net has no such tensor. */
typedef struct nd_params {
  nd_lstm_params encoder[2];   /* forward, backward */
  nd_lstm_params lstm[ND_MAX_LAYERS];
  nd_norm_params norm[2];
  nd_dense_params dense[ND_MAX_DENSE];
  nd_output_params out;
} nd_params;

/* Lists the tensors (ND_MAX_TENSORS) of a configuration that was checked, in the
 * order of the block: encoder, LSTM, dense layers, output, and after all that are
 * trained the running statistics. Returns their count. */
int32_t nd_params_list(const nd_net_config *c, nd_tensor *tensors);

/* Views of the tensors that lie within the first `size` floats of `block`. */
nd_params nd_params_bind(const nd_tensor *tensors, int32_t n, float *block, size_t size);

#endif
