/* output.h - the output layer: from features to logits of the voices, and the losses.
 *
 *   logit = features w + inputs skip + b + hits mix
 *
 * `mix` is strictly upper triangular: a voice sees the hits of the voices before it in
 * the kit. The voices of a step are thus drawn together, p(hits) = prod p(v | hits
 * before v), as in NADE (Larochelle & Murray 2011). In training the recorded hits
 * stand in for the drawn ones (teacher forcing).
 *
 * A touch net has the same layer with four outputs a voice, and neither skips nor mix
 * across them: nd_touch_loss().
 */
#ifndef ND_NET_OUTPUT_H
#define ND_NET_OUTPUT_H

#include "../base/nd.h"

/* Borrowed views into the net's block. */
typedef struct nd_hits_head {
  int32_t features, inputs, voices;  /* F, I, V: outputs, four times the voices for touch */
  const float *w, *b;                /* (F, V), (V) */
  const float *skip;                 /* (I, V), or NULL */
  const float *mix;                  /* (V, V), or NULL: row u multiplies the hit of voice u */
} nd_hits_head;

/* Grid cells that count: where mask (rows, V) is above 0. */
int64_t nd_hits_count(int32_t rows, int32_t voices, const float *mask);

/* Binary cross-entropy over the grid cells that count, in nats: the sum of each row to
 * sums (rows). With `scale` above 0, logits are replaced by the gradient of the total
 * sum times `scale` (0 where a cell does not count). */
void nd_hits_loss(int32_t rows, int32_t voices, const float *hits, const float *mask,
                  float *logits, float scale, double *sums);

/* Outputs of a touch net: for every voice the mean of its velocity (0..1), the
 * logarithm of its standard deviation, and the same of its offset (in steps). out
 * (rows, 4 V): all means of velocity, all its logarithms, and so on. y (rows, 2 V):
 * velocities, then offsets. The loss is the negative log-likelihood under these
 * normal distributions, of the hits that count (mask (rows, V)); else as above. */
enum { ND_TOUCH_OUTPUTS = 4, ND_TOUCH_TARGETS = 2 };
void nd_touch_loss(int32_t rows, int32_t voices, const float *y, const float *mask, float *out,
                   float scale, double *sums);

/* The standard deviation for such an output, clamped to 0.0067..2.7. */
float nd_touch_deviation(float logarithm);

/* In training several threads share the rows. The weights are then packed once per
 * step, into `panels` (nd_hits_panels_size() floats, 64-byte aligned; see gemm.h). */
size_t nd_hits_panels_size(const nd_hits_head *head);
void nd_hits_pack(const nd_hits_head *head, float *panels);

/* logits (rows, V) from features (rows, F), inputs (rows, I) and hits (rows, V), which
 * may be NULL without `mix`; and the gradient of the features from that of the logits.
 * For `times` blocks of `rows` rows each, one a step; the first rows of two blocks are
 * `next` rows apart. Without panels (NULL) the products read the weights themselves. */
void nd_hits_forward(const nd_hits_head *head, float *panels, int32_t times, int32_t next,
                     int32_t rows, const float *features, const float *inputs, const float *hits,
                     float *logits);
void nd_hits_backward(const nd_hits_head *head, float *panels, int32_t times, int32_t next,
                      int32_t rows, const float *dlogits, float *dfeatures);

/* The gradients of the weights over all rows: writes dw, db and dskip, adds to dmix. */
void nd_hits_gradient(const nd_hits_head *head, int32_t rows, const float *features,
                      const float *inputs, const float *hits, const float *dlogits, float *dw,
                      float *db, float *dskip, float *dmix);

#endif
