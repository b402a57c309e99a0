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
  nd_sum_rows(rows, out, dy, db);
  if (dx != NULL) nd_gemm(ND_N, ND_T, rows, in, out, dy, w, 0.0f, dx);
}

void nd_dropout(int32_t n, float p, nd_rng *rng, float *mask, float *x) {
  float keep = 1.0f / (1.0f - p);
  /* 16 random bits an element are plenty, and half the draws */
  uint32_t cut = (uint32_t)(p * 65536.0f);
  nd_rng own = *rng;  /* in registers: the mask's floats might be its state */
  for (int32_t i = 0; i < n; i += 2) {
    uint32_t bits = nd_rng_u32(&own);
    mask[i] = (bits & 0xffffu) < cut ? 0.0f : keep;
    if (i + 1 < n) mask[i + 1] = (bits >> 16) < cut ? 0.0f : keep;
  }
  *rng = own;
  nd_multiply(n, mask, x);
}

void nd_norm_train(int32_t rows, int32_t n, const float *gamma, const float *beta, float *mean,
                   float *var, float *x, float *xhat, float *inverse) {
  for (int32_t j = 0; j < n; j++) {
    double sum = 0, squares = 0;
    for (int32_t r = 0; r < rows; r++) sum += (double)x[(size_t)r * (size_t)n + (size_t)j];
    double mu = sum / rows;
    for (int32_t r = 0; r < rows; r++) {
      double d = (double)x[(size_t)r * (size_t)n + (size_t)j] - mu;
      squares += d * d;
    }
    float sigma2 = (float)(squares / rows);
    inverse[j] = 1.0f / sqrtf(sigma2 + norm_epsilon);
    mean[j] = norm_momentum * mean[j] + (1.0f - norm_momentum) * (float)mu;
    var[j] = norm_momentum * var[j] + (1.0f - norm_momentum) * sigma2;
    for (int32_t r = 0; r < rows; r++) {
      size_t k = (size_t)r * (size_t)n + (size_t)j;
      xhat[k] = (x[k] - (float)mu) * inverse[j];
      x[k] = gamma[j] * xhat[k] + beta[j];
    }
  }
}

void nd_norm_apply(int32_t rows, int32_t n, const float *gamma, const float *beta,
                   const float *mean, const float *var, float *x) {
  for (int32_t r = 0; r < rows; r++, x += n)
    for (int32_t j = 0; j < n; j++)
      x[j] = gamma[j] * (x[j] - mean[j]) / sqrtf(var[j] + norm_epsilon) + beta[j];
}

void nd_norm_backward(int32_t rows, int32_t n, const float *gamma, const float *xhat,
                      const float *inverse, float *dgamma, float *dbeta, float *dy) {
  for (int32_t j = 0; j < n; j++) {
    double sum = 0, along = 0;
    for (int32_t r = 0; r < rows; r++) {
      size_t k = (size_t)r * (size_t)n + (size_t)j;
      sum += (double)dy[k];
      along += (double)dy[k] * (double)xhat[k];
    }
    dbeta[j] += (float)sum;
    dgamma[j] += (float)along;
    float mean_dy = (float)(sum / rows), mean_along = (float)(along / rows);
    for (int32_t r = 0; r < rows; r++) {
      size_t k = (size_t)r * (size_t)n + (size_t)j;
      dy[k] = gamma[j] * inverse[j] * (dy[k] - mean_dy - xhat[k] * mean_along);
    }
  }
}
