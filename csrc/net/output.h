/* output.h - from a feature vector to struck voices: logits and their loss.
 *
 * logit = feature w + input skip + b + hits mix, where `mix` is strictly
 * upper triangular: a voice sees the voices before it in the kit, so that the
 * voices of one step are chosen together (p(hits) = prod p(v | hits before v),
 * as in NADE, Larochelle & Murray 2011).
 */
#ifndef ND_NET_OUTPUT_H
#define ND_NET_OUTPUT_H

#include "../base/nd.h"

typedef struct nd_hits_head {
  int32_t features, inputs, voices;  /* F, I, V */
  const float *w, *b;                /* (F, V), (V) */
  const float *skip;                 /* (I, V), or NULL */
  const float *mix;                  /* (V, V), row: the voice that is seen; or NULL */
} nd_hits_head;

/* logits (rows, V) of features (rows, F), inputs (rows, I), given hits (rows, V). */
void nd_hits_forward(const nd_hits_head *head, int32_t rows, const float *features,
                     const float *inputs, const float *hits, float *logits);

/* Hits of mask (rows, V) that count: where it is above 0. */
int64_t nd_hits_count(int32_t rows, int32_t voices, const float *mask);

/* Binary cross-entropy in nats over the counted hits: of each row to sums
 * (rows). With `scale` above 0, logits become the gradient of the sum, times
 * that. */
void nd_hits_loss(int32_t rows, int32_t voices, const float *hits, const float *mask,
                  float *logits, float scale, double *sums);

/* Touch: how a hit that is known is struck. out (rows, 4 V): the mean of its
 * velocity, the logarithm of that one's deviation, the same of its offset,
 * each for all voices. Negative log-likelihood under the two normals, of
 * counted hits (mask (rows, V)); y (rows, 2 V). Else as nd_hits_loss. */
enum { ND_TOUCH_OUTPUTS = 4, ND_TOUCH_TARGETS = 2 };
void nd_touch_loss(int32_t rows, int32_t voices, const float *y, const float *mask, float *out,
                   float scale, double *sums);

/* The deviation that a logarithm stands for, within what touch can need. */
float nd_touch_deviation(float logarithm);

/* The head in training, where threads each take some of the rows. Weights packed
 * once: floats, and where they then lie, 64-byte aligned. Without kernels for
 * them (nd_packed_width() is 0) nothing is. */
size_t nd_hits_packed_size(const nd_hits_head *head);
void nd_hits_pack(const nd_hits_head *head, float *packed);

/* Of `times` blocks of `rows` rows each, whose first rows lie `next` rows apart:
 * logits, as above; dfeatures from the logits' gradient. Where nothing is packed
 * the blocks are all rows, one after another. */
void nd_hits_forward_blocks(const nd_hits_head *head, const float *packed, int32_t times,
                            int32_t next, int32_t rows, const float *features,
                            const float *inputs, const float *hits, float *logits);
void nd_hits_backward_blocks(const nd_hits_head *head, const float *packed, int32_t times,
                             int32_t next, int32_t rows, const float *dlogits, float *dfeatures);

/* The weights' gradients, when all rows are done: writes dw, db and dskip, adds to dmix. */
void nd_hits_gradient(const nd_hits_head *head, int32_t rows, const float *features,
                      const float *inputs, const float *hits, const float *dlogits, float *dw,
                      float *db, float *dskip, float *dmix);

#endif
