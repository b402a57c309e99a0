/* inference_weights.h - the matrices of a streaming net, prepared for inference.
 *
 * Packed once, they are read sequentially at every step (gemm.h); borrowed, the
 * products read the net's own block. Both give the same sums up to rounding. The struct refers
 * to the net's block, which must outlive it, and must be freed before weights
 * change.
 */
#ifndef ND_NET_INFERENCE_WEIGHTS_H
#define ND_NET_INFERENCE_WEIGHTS_H

#include "gemm.h"
#include "net.h"

typedef struct nd_inference_weights {
  nd_matrix encoder_wx[2], encoder_wh[2];  /* forward, backward */
  /* the first layer's wx by rows: those that multiply the encoder's output (none
   * without an encoder), and those that multiply the other inputs */
  nd_matrix wx_encoder, wx_input;
  nd_matrix wx[ND_MAX_LAYERS], wh[ND_MAX_LAYERS];  /* wx[0] is empty */
  nd_matrix out, skip;                     /* the output layer's */
} nd_inference_weights;

/* Packed weights, freed by nd_inference_weights_free(); NULL when out of memory.
 * Window nets use none. */
nd_inference_weights *nd_inference_weights_pack(const nd_net *net);
void nd_inference_weights_free(nd_inference_weights *w);

/* Lists the net's own matrices, unpacked; owns nothing. */
void nd_inference_weights_borrow(const nd_net *net, nd_inference_weights *out);

/* Bytes of weights that one step reads, without the rows of zero inputs: of a
 * song whose encoder has run, or (`live`) with the encoder's forward step. */
size_t nd_inference_weights_bytes(const nd_inference_weights *w, bool live);

/* Logits (rows, outputs) without the mix between voices, from features (rows, F)
 * of nd_net_head() and x (rows, inputs). */
void nd_inference_logits(const nd_net *net, const nd_inference_weights *w, int32_t rows,
                         const float *features, const float *x, float *logits);

#endif
