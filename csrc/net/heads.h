/* heads.h - from a feature vector to struck voices: logits and their loss.
 *
 * logit = feature w + input skip + b + hits mix, where `mix` is strictly
 * upper triangular: a voice sees the voices before it in the kit, so that the
 * voices of one step are chosen together (p(hits) = prod p(v | hits before v),
 * as in NADE, Larochelle & Murray 2011).
 */
#ifndef ND_NET_HEADS_H
#define ND_NET_HEADS_H

#include "../nd.h"

typedef struct nd_hits_head {
  int32_t features, inputs, voices;  /* F, I, V */
  const float *w, *b;                /* (F, V), (V) */
  const float *skip;                 /* (I, V), or NULL */
  const float *mix;                  /* (V, V), row: the voice that is seen; or NULL */
} nd_hits_head;

/* logits (rows, V) of features (rows, F), inputs (rows, I), given hits (rows, V). */
void nd_hits_forward(const nd_hits_head *head, int32_t rows, const float *features,
                     const float *inputs, const float *hits, float *logits);

/* The hits that are counted: where mask (rows, V) is above 0. */
int64_t nd_hits_count(int32_t rows, int32_t voices, const float *mask);

/* Binary cross-entropy in nats, summed in double over the counted hits. When
 * `scale` is above 0, logits become the gradient of that sum times `scale`. */
double nd_hits_loss(int32_t rows, int32_t voices, const float *hits, const float *mask,
                    float *logits, float scale);

/* Touch: how a hit that is known is struck. out (rows, 4 V): the mean of its
 * velocity, the logarithm of that one's deviation, the same of its offset,
 * each for all voices. Negative log-likelihood under the two normals, summed
 * over counted hits (mask (rows, V)); y (rows, 2 V). When `scale` is above 0, out
 * becomes the gradient of that sum times `scale`. */
enum { ND_TOUCH_OUTPUTS = 4, ND_TOUCH_TARGETS = 2 };
double nd_touch_loss(int32_t rows, int32_t voices, const float *y, const float *mask, float *out,
                     float scale);

/* The deviation that a logarithm stands for, within what touch can need. */
float nd_touch_deviation(float logarithm);

/* dlogits as nd_hits_loss left them. Adds to dw, db, dskip, dmix; writes
 * dfeatures. */
void nd_hits_backward(const nd_hits_head *head, int32_t rows, const float *features,
                      const float *inputs, const float *hits, const float *dlogits, float *dw,
                      float *db, float *dskip, float *dmix, float *dfeatures);

#endif
