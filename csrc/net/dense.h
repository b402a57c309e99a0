/* dense.h - the layers of a dense head, between the LSTM and the output layer: linear,
 * dropout, batch normalisation. The 2023 network has them. All work on `rows` rows,
 * row-major float32 in the caller's memory; nothing here fails or allocates. */
#ifndef ND_NET_DENSE_H
#define ND_NET_DENSE_H

#include "../base/nd.h"
#include "../base/rng.h"
#include "shard.h"

/* y (rows, out) = x (rows, in) w (in, out) + b (out) */
void nd_dense_forward(int32_t rows, int32_t in, int32_t out, const float *x, const float *w,
                      const float *b, float *y);
/* Adds to dw and db; writes dx unless it is NULL. */
void nd_dense_backward(int32_t rows, int32_t in, int32_t out, const float *x, const float *w,
                       const float *dy, float *dw, float *db, float *dx);

/* Inverted dropout (Srivastava et al. 2014): fills `mask` (rows, n) with 0 or
 * 1 / (1 - p) and multiplies x by it; the backward pass multiplies again. Each
 * row holds the shard's streams, n / count values a stream. rng advances as if
 * the rows held all streams of the batch: processes with different shards draw
 * the numbers that one process would. */
void nd_dropout(const nd_shard *shard, int32_t rows, int32_t n, float p, nd_rng *rng, float *mask,
                float *x);

/* Elements from..from+n-1 of the mask that nd_dropout would draw. rng does not advance:
 * threads draw their parts from copies, and the caller skips nd_dropout_draws(). */
void nd_dropout_mask(const nd_rng *rng, float p, size_t from, int32_t n, float *mask);
/* How many numbers of rng a mask of n elements takes. */
static inline uint64_t nd_dropout_draws(size_t n) { return ((uint64_t)n + 1) / 2; }

/* Batch normalisation (Ioffe and Szegedy 2015) over the rows of all processes, of which
 * `rows` are the shard's; with Keras's epsilon 1e-3 and momentum 0.99 and the biased
 * variance. In training, in place on x: `xhat` (rows, n) and `inverse` (n), one over
 * the standard deviation, are for the backward pass; `moments` (2, n), the batch's
 * mean and variance, are what nd_norm_move moves the running ones by. */
void nd_norm_train(const nd_shard *shard, int32_t rows, int32_t n,
                   const float *gamma, const float *beta, float *moments, float *x,
                   float *xhat, float *inverse);
void nd_norm_move(int32_t n, const float *moments, float *mean, float *var);
/* For evaluation and inference: by the running mean and variance. */
void nd_norm_apply(int32_t rows, int32_t n, const float *gamma, const float *beta,
                   const float *mean, const float *var, float *x);
/* In place on dy. Adds to dgamma and dbeta, of the shard's rows only. */
void nd_norm_backward(const nd_shard *shard, int32_t rows, int32_t n,
                      const float *gamma, const float *xhat, const float *inverse, float *dgamma,
                      float *dbeta, float *dy);

#endif
