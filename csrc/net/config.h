/* config.h - the settings of a network, the sizes that follow from them, and the
 * list of layers between the LSTM and the output.
 *
 * One configuration covers
 *   streaming nets (window 0): logits at every step, state carried from step to step;
 *   window nets: every window starts from zero state, logits at its last step.
 *
 * With an encoder, the first `encoded` inputs of a step go through an LSTM layer of
 * their own that runs forward over the song and (unless `causal`) another one that
 * runs backward (Graves & Schmidhuber 2005). Their outputs, followed by the other
 * inputs, are the inputs of the first layer. A net that is not causal thus sees
 * later steps of the song.
 *
 * Between the last LSTM layer and the output, when n_dense > 0, as in the 2023 system:
 *   dropout, [norm], (dense, dropout) x n_dense, [norm].
 */
#ifndef ND_NET_CONFIG_H
#define ND_NET_CONFIG_H

#include "../base/nd.h"

enum { ND_MAX_LAYERS = 8, ND_MAX_DENSE = 4, ND_MAX_UNITS = 4096, ND_MAX_INPUTS = 4096,
       ND_MAX_WINDOW = 256 };

typedef struct nd_net_config {
  int32_t inputs, voices;      /* I, V */
  int32_t layers, hidden;      /* L, H */
  int32_t window;              /* 0: streaming */
  int32_t encoder, encoded;    /* units a direction (0: no encoder), inputs that it reads */
  bool causal;                 /* the encoder runs forward only */
  int32_t n_dense, dense[ND_MAX_DENSE];
  bool norm;                   /* batch normalisation among the dense layers */
  bool skip;                   /* direct connections from the inputs to the logits */
  bool mix;                    /* a voice sees the voices before it: output.h */
  bool touch;                  /* velocities and offsets of known hits, not hits */
  float dropout;               /* on each LSTM layer's output, the encoder's too */
  float head_dropout;          /* among the dense layers */
} nd_net_config;

/* ND_MISUSE, naming the setting, when one is out of range or two contradict. */
nd_status nd_net_config_check(const nd_net_config *c, nd_error *err);

/* Directions of the encoder (0, 1, 2); width of their outputs side by side; inputs
 * of the first LSTM layer. */
int32_t nd_net_directions(const nd_net_config *c);
int32_t nd_net_encoding(const nd_net_config *c);
int32_t nd_net_decoder_inputs(const nd_net_config *c);

/* Floats of state that a stream carries from batch to batch: h and c of each layer,
 * then of the encoder's forward direction. */
int32_t nd_net_carried(const nd_net_config *c);

/* Inputs of the output layer (F), its outputs, and the targets of a step. */
int32_t nd_net_features(const nd_net_config *c);
int32_t nd_net_outputs(const nd_net_config *c);
int32_t nd_net_targets(const nd_net_config *c);

typedef enum nd_head_kind { ND_HEAD_DROPOUT, ND_HEAD_NORM, ND_HEAD_DENSE } nd_head_kind;

typedef struct nd_head_op {
  nd_head_kind kind;
  int32_t in, out;   /* widths; equal except for ND_HEAD_DENSE */
  int32_t index;     /* among the layers of its kind, from 0 */
} nd_head_op;

/* Up to two operations a dense layer, one dropout and two norms. */
enum { ND_MAX_HEAD_OPS = 2 * ND_MAX_DENSE + 3 };

/* Fills ops (ND_MAX_HEAD_OPS) and returns their count; and the widest layer. */
int32_t nd_head_ops(const nd_net_config *c, nd_head_op *ops);
int32_t nd_head_widest(const nd_net_config *c);

#endif
