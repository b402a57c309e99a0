/* dense.c - dense layers, dropout and batch normalisation, forward and backward.
 *
 * They run over all rows of a batch on the calling thread. Where processes share a
 * batch, dropout draws the numbers that one process would draw, and norms sum their
 * statistics over all processes, so that the split changes results by rounding only. */
#include "dense.h"

#include <math.h>
#include <string.h>

#include "blas.h"
#include "config.h"
#include "kernels.h"

/* Keras's defaults, because models of the 2023 system were trained with them. */
static const float norm_epsilon = 1e-3f, norm_momentum = 0.99f;

/* The bias is copied to each row first; the product is then added to it. */
void nd_dense_forward(int32_t rows, int32_t in, int32_t out, const float *x, const float *w,
                      const float *b, float *y) {
  for (int32_t r = 0; r < rows; r++)
    memcpy(y + (size_t)r * (size_t)out, b, (size_t)out * sizeof *y);
  nd_gemm(ND_N, ND_N, rows, out, in, x, w, 1.0f, y);
}

/* y = x w + b:  dw = x^T dy,  db = the sum of the rows of dy,  dx = dy w^T. */
void nd_dense_backward(int32_t rows, int32_t in, int32_t out, const float *x, const float *w,
                       const float *dy, float *dw, float *db, float *dx) {
  nd_gemm(ND_T, ND_N, in, out, rows, x, dy, 1.0f, dw);
  nd_sum_rows(rows, out, (size_t)out, dy, db);
  if (dx != NULL) nd_gemm(ND_N, ND_T, rows, in, out, dy, w, 0.0f, dx);
}

/* Element i of the mask takes 16 bits of random number i / 2, the lower half first. A mask
 * that begins or ends in the middle of a number draws both halves and drops one, so that
 * each part of a mask is the same whoever draws it. */
void nd_dropout_mask(const nd_rng *rng, float p, size_t from, int32_t n, float *mask) {
  float scale = 1.0f / (1.0f - p), two[2];
  /* 16 random bits an element are plenty, and half the draws */
  uint32_t cut = (uint32_t)(p * 65536.0f);
  nd_rng local = *rng;
  nd_rng_skip(&local, from / 2);
  if (from % 2 == 1 && n > 0) {
    nd_draw_mask(2, cut, scale, local, two);
    *mask++ = two[1];
    n--;
    (void)nd_rng_u32(&local);
  }
  nd_draw_mask(n / 2 * 2, cut, scale, local, mask);
  if (n % 2 == 0) return;
  nd_rng_skip(&local, (uint64_t)(n / 2));
  nd_draw_mask(2, cut, scale, local, two);
  mask[n - 1] = two[0];
}

/* Rows of the whole batch are `row_width` values apart in the sequence of random numbers,
 * the shard's part of each begins at `first`. With all streams here it is one sequence. */
void nd_dropout(const nd_shard *shard, int32_t rows, int32_t n, float p, nd_rng *rng, float *mask,
                float *x) {
  size_t width = (size_t)(n / shard->count), first = width * (size_t)shard->first;
  size_t row_width = width * (size_t)shard->total;
  if (shard->count == shard->total) nd_dropout_mask(rng, p, 0, rows * n, mask);
  else
    for (size_t r = 0; r < (size_t)rows; r++)
      nd_dropout_mask(rng, p, r * row_width + first, n, mask + r * (size_t)n);
  /* as if all streams were here, so that all processes stay at the same number */
  nd_rng_skip(rng, nd_dropout_draws((size_t)rows * row_width));
  nd_multiply(rows * n, mask, x);
}

/* Rows of all processes, when the shard has `rows`. */
static int32_t total_rows(const nd_shard *s, int32_t rows) { return rows / s->count * s->total; }

/* Two passes, because the mean of squares less the square of the mean would lose most
 * digits where the mean is large. Sums are in double precision and in the order of the
 * rows, so that sharing the rows changes them by rounding only. */
void nd_norm_train(const nd_shard *shard, int32_t rows, int32_t n,
                   const float *gamma, const float *beta, float *moments, float *x,
                   float *xhat, float *inverse) {
  double mean[ND_MAX_UNITS] = {0}, squares[ND_MAX_UNITS] = {0};
  int32_t total = total_rows(shard, rows);
  size_t N = (size_t)n, R = (size_t)rows;
  for (size_t r = 0; r < R; r++)
    for (size_t j = 0; j < N; j++) mean[j] += (double)x[r * N + j];
  nd_shard_sum(shard, mean, n);
  for (size_t j = 0; j < N; j++) mean[j] /= total;
  for (size_t r = 0; r < R; r++)
    for (size_t j = 0; j < N; j++) {
      double d = (double)x[r * N + j] - mean[j];
      squares[j] += d * d;
    }
  nd_shard_sum(shard, squares, n);
  for (size_t j = 0; j < N; j++) {
    moments[j] = (float)mean[j];
    moments[N + j] = (float)(squares[j] / total);
    inverse[j] = 1.0f / sqrtf(moments[N + j] + norm_epsilon);
  }
  for (size_t r = 0; r < R; r++, x += N, xhat += N)
    for (size_t j = 0; j < N; j++) {
      xhat[j] = (x[j] - moments[j]) * inverse[j];
      x[j] = gamma[j] * xhat[j] + beta[j];
    }
}

/* Exponential moving averages, which evaluation uses in place of a batch's statistics. */
void nd_norm_move(int32_t n, const float *moments, float *mean, float *var) {
  for (int32_t j = 0; j < n; j++) {
    mean[j] = norm_momentum * mean[j] + (1.0f - norm_momentum) * moments[j];
    var[j] = norm_momentum * var[j] + (1.0f - norm_momentum) * moments[n + j];
  }
}

/* A fixed linear map of each column: the running statistics are constants here. */
void nd_norm_apply(int32_t rows, int32_t n, const float *gamma, const float *beta,
                   const float *mean, const float *var, float *x) {
  for (int32_t r = 0; r < rows; r++, x += n)
    for (int32_t j = 0; j < n; j++)
      x[j] = gamma[j] * (x[j] - mean[j]) / sqrtf(var[j] + norm_epsilon) + beta[j];
}

/* With xhat = (x - mean) / sigma and y = gamma xhat + beta, where mean and sigma depend on
 * every x (Ioffe & Szegedy 2015, section 3):
 *   dx = gamma / sigma (dy - mean(dy) - xhat mean(dy xhat))
 * dgamma and dbeta are sums over the local rows; the gradient is summed over processes
 * later, as a whole. */
void nd_norm_backward(const nd_shard *shard, int32_t rows, int32_t n,
                      const float *gamma, const float *xhat, const float *inverse, float *dgamma,
                      float *dbeta, float *dy) {
  double sums[2 * ND_MAX_UNITS] = {0}, *along = sums + n;  /* of dy, then of dy xhat */
  int32_t total = total_rows(shard, rows);
  size_t N = (size_t)n, R = (size_t)rows;
  for (size_t r = 0; r < R; r++)
    for (size_t j = 0; j < N; j++) {
      sums[j] += (double)dy[r * N + j];
      along[j] += (double)dy[r * N + j] * (double)xhat[r * N + j];
    }
  for (size_t j = 0; j < N; j++) {
    dbeta[j] += (float)sums[j];
    dgamma[j] += (float)along[j];
  }
  /* dx needs the means over all rows; dgamma and dbeta above are those of the local rows */
  nd_shard_sum(shard, sums, 2 * n);
  for (size_t j = 0; j < N; j++) {
    float mean_dy = (float)(sums[j] / total), mean_along = (float)(along[j] / total);
    for (size_t k = j; k < R * N; k += N)
      dy[k] = gamma[j] * inverse[j] * (dy[k] - mean_dy - xhat[k] * mean_along);
  }
}
