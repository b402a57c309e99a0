#include "dense.h"

#include <math.h>
#include <string.h>

#include "blas.h"
#include "kernels.h"

static const float norm_epsilon = 1e-3f, norm_momentum = 0.99f;

void nd_dense_forward(int32_t rows, int32_t in, int32_t out, const float *x, const float *w,
                      const float *b, float *y) {
  for (int32_t r = 0; r < rows; r++)
    memcpy(y + (size_t)r * (size_t)out, b, (size_t)out * sizeof *y);
  nd_gemm(ND_N, ND_N, rows, out, in, x, w, 1.0f, y);
}

void nd_dense_backward(int32_t rows, int32_t in, int32_t out, const float *x, const float *w,
                       const float *dy, float *dw, float *db, float *dx) {
  nd_gemm(ND_T, ND_N, in, out, rows, x, dy, 1.0f, dw);
  nd_sum_rows(rows, out, (size_t)out, dy, db);
  if (dx != NULL) nd_gemm(ND_N, ND_T, rows, in, out, dy, w, 0.0f, dx);
}

void nd_dropout_mask(const nd_rng *rng, float p, size_t from, int32_t n, float *mask) {
  float keep = 1.0f / (1.0f - p), two[2];
  /* 16 random bits an element are plenty, and half the draws */
  uint32_t cut = (uint32_t)(p * 65536.0f);
  nd_rng own = *rng;
  nd_rng_skip(&own, from / 2);
  if (from % 2 == 1 && n > 0) {
    nd_draw_mask(2, cut, keep, own, two);
    *mask++ = two[1];
    n--;
    (void)nd_rng_u32(&own);
  }
  nd_draw_mask(n / 2 * 2, cut, keep, own, mask);
  if (n % 2 == 0) return;
  nd_rng_skip(&own, (uint64_t)(n / 2));
  nd_draw_mask(2, cut, keep, own, two);
  mask[n - 1] = two[0];
}

void nd_dropout(const nd_shard *shard, int32_t rows, int32_t n, float p, nd_rng *rng, float *mask,
                float *x) {
  size_t width = (size_t)(n / shard->count), first = width * (size_t)shard->first;
  size_t whole_row = width * (size_t)shard->total;
  if (shard->count == shard->total) nd_dropout_mask(rng, p, 0, rows * n, mask);
  else
    for (size_t r = 0; r < (size_t)rows; r++)
      nd_dropout_mask(rng, p, r * whole_row + first, n, mask + r * (size_t)n);
  nd_rng_skip(rng, nd_dropout_draws((size_t)rows * whole_row));
  nd_multiply(rows * n, mask, x);
}

/* Columns whose sums are added up at once. */
enum { COLUMNS = 512 };

/* Rows of all processes, when the shard has `rows`. */
static int32_t total_rows(const nd_shard *s, int32_t rows) { return rows / s->count * s->total; }

void nd_norm_train(const nd_shard *shard, int32_t rows, int32_t n,
                   const float *gamma, const float *beta, float *moments, float *x,
                   float *xhat, float *inverse) {
  int32_t total = total_rows(shard, rows);
  double mu[COLUMNS], squares[COLUMNS];
  for (int32_t from = 0; from < n; from += COLUMNS) {
    int32_t columns = n - from < COLUMNS ? n - from : COLUMNS;
    for (int32_t j = 0; j < columns; j++) {
      mu[j] = 0;
      for (int32_t r = 0; r < rows; r++) mu[j] += (double)x[(size_t)r * (size_t)n + (size_t)(from + j)];
    }
    nd_shard_sum(shard, mu, columns);
    for (int32_t j = 0; j < columns; j++) {
      mu[j] /= total;
      squares[j] = 0;
      for (int32_t r = 0; r < rows; r++) {
        double d = (double)x[(size_t)r * (size_t)n + (size_t)(from + j)] - mu[j];
        squares[j] += d * d;
      }
    }
    nd_shard_sum(shard, squares, columns);
    for (int32_t j = from; j < from + columns; j++) {
      float middle = (float)mu[j - from], sigma2 = (float)(squares[j - from] / total);
      inverse[j] = 1.0f / sqrtf(sigma2 + norm_epsilon);
      moments[j] = middle;
      moments[n + j] = sigma2;
      for (int32_t r = 0; r < rows; r++) {
        size_t k = (size_t)r * (size_t)n + (size_t)j;
        xhat[k] = (x[k] - middle) * inverse[j];
        x[k] = gamma[j] * xhat[k] + beta[j];
      }
    }
  }
}

void nd_norm_move(int32_t n, const float *moments, float *mean, float *var) {
  for (int32_t j = 0; j < n; j++) {
    mean[j] = norm_momentum * mean[j] + (1.0f - norm_momentum) * moments[j];
    var[j] = norm_momentum * var[j] + (1.0f - norm_momentum) * moments[n + j];
  }
}

void nd_norm_apply(int32_t rows, int32_t n, const float *gamma, const float *beta,
                   const float *mean, const float *var, float *x) {
  for (int32_t r = 0; r < rows; r++, x += n)
    for (int32_t j = 0; j < n; j++)
      x[j] = gamma[j] * (x[j] - mean[j]) / sqrtf(var[j] + norm_epsilon) + beta[j];
}

void nd_norm_backward(const nd_shard *shard, int32_t rows, int32_t n,
                      const float *gamma, const float *xhat, const float *inverse, float *dgamma,
                      float *dbeta, float *dy) {
  int32_t total = total_rows(shard, rows);
  double sums[2 * COLUMNS];  /* of dy, then of dy along xhat */
  for (int32_t from = 0; from < n; from += COLUMNS) {
    int32_t columns = n - from < COLUMNS ? n - from : COLUMNS;
    double *along = sums + columns;
    for (int32_t j = 0; j < columns; j++) {
      sums[j] = along[j] = 0;
      for (int32_t r = 0; r < rows; r++) {
        size_t k = (size_t)r * (size_t)n + (size_t)(from + j);
        sums[j] += (double)dy[k];
        along[j] += (double)dy[k] * (double)xhat[k];
      }
      dbeta[from + j] += (float)sums[j];
      dgamma[from + j] += (float)along[j];
    }
    nd_shard_sum(shard, sums, 2 * columns);
    for (int32_t j = from; j < from + columns; j++) {
      float mean_dy = (float)(sums[j - from] / total), mean_along = (float)(along[j - from] / total);
      for (int32_t r = 0; r < rows; r++) {
        size_t k = (size_t)r * (size_t)n + (size_t)j;
        dy[k] = gamma[j] * inverse[j] * (dy[k] - mean_dy - xhat[k] * mean_along);
      }
    }
  }
}
