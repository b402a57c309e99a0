/* inference_weights.c - lists a net's matrices for inference, packed or borrowed, and the
 * output layer's product, which every kind of inference shares. */
#include "inference_weights.h"

#include <stdlib.h>
#include <string.h>

/* Lists every matrix of the net, each packed or borrowed by `prepare`. The rows of wx[0]
 * are split: the encoder's outputs are dense, and for a song that is known their
 * products are made in advance; the other inputs are mostly 0. */
static void list(const nd_net *net, nd_matrix (*prepare)(int32_t k, int32_t n, const float *w),
                 nd_inference_weights *out) {
  const nd_net_config *c = &net->config;
  *out = (nd_inference_weights){0};
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    out->encoder_wx[k] = prepare(c->encoded, 4 * c->encoder, net->encoder[k].wx);
    out->encoder_wh[k] = prepare(c->encoder, 4 * c->encoder, net->encoder[k].wh);
  }
  int32_t encoding = nd_net_encoding(c), gates = 4 * c->hidden;
  const float *wx = net->lstm[0].wx;
  out->wx_encoder = prepare(encoding, gates, wx);
  out->wx_input = prepare(nd_net_decoder_inputs(c) - encoding, gates,
                          wx + (size_t)encoding * (size_t)gates);
  for (int32_t l = 0; l < c->layers; l++) {
    if (l > 0) out->wx[l] = prepare(c->hidden, gates, net->lstm[l].wx);
    out->wh[l] = prepare(c->hidden, gates, net->lstm[l].wh);
  }
  /* `hits.voices` is the count of outputs, four a voice for touch nets */
  out->out = prepare(net->hits.features, net->hits.voices, net->hits.w);
  if (net->hits.skip != NULL)
    out->skip = prepare(net->hits.inputs, net->hits.voices, net->hits.skip);
}

void nd_inference_weights_borrow(const nd_net *net, nd_inference_weights *out) {
  list(net, nd_matrix_borrow, out);
}

/* A matrix for which nd_matrix_pack() finds no memory stays borrowed: slower, not wrong. */
nd_inference_weights *nd_inference_weights_pack(const nd_net *net) {
  nd_inference_weights *w = nd_calloc(1, sizeof *w);
  if (w != NULL) list(net, nd_matrix_pack, w);
  return w;
}

/* Matrices that a net does not have are zero, and freeing them does nothing. */
void nd_inference_weights_free(nd_inference_weights *w) {
  if (w == NULL) return;
  nd_matrix *single[] = {&w->encoder_wx[0], &w->encoder_wx[1], &w->encoder_wh[0],
                         &w->encoder_wh[1], &w->wx_encoder, &w->wx_input, &w->out, &w->skip};
  for (size_t i = 0; i < sizeof single / sizeof *single; i++) nd_matrix_free(single[i]);
  for (int l = 0; l < ND_MAX_LAYERS; l++) {
    nd_matrix_free(&w->wx[l]);
    nd_matrix_free(&w->wh[l]);
  }
  free(w);
}

/* wx_input and encoder_wx are left out, because only the rows of non-zero inputs are
 * read: a few of them. */
size_t nd_inference_weights_bytes(const nd_inference_weights *w, bool live) {
  size_t bytes = nd_matrix_bytes(&w->out) + nd_matrix_bytes(&w->skip);
  if (live) bytes += nd_matrix_bytes(&w->wx_encoder) + nd_matrix_bytes(&w->encoder_wh[0]);
  for (int l = 0; l < ND_MAX_LAYERS; l++)
    bytes += nd_matrix_bytes(&w->wx[l]) + nd_matrix_bytes(&w->wh[l]);
  return bytes;
}

/* The mix is left to the caller: hits are not known before they are drawn, voice by
 * voice, unless they are given. */
void nd_inference_logits(const nd_net *net, const nd_inference_weights *w, int32_t rows,
                         const float *features, const float *x, float *logits) {
  size_t n = (size_t)net->hits.voices;
  /* the bias first, then products are added to it */
  for (size_t r = 0; r < (size_t)rows; r++) memcpy(logits + r * n, net->hits.b, n * sizeof *logits);
  nd_matmul(&w->out, rows, features, true, logits);
  if (net->hits.skip != NULL) nd_matmul(&w->skip, rows, x, true, logits);
}
