#include "blas.h"

#include "kernels.h"

#ifdef ND_NO_OPENBLAS  /* nd_gemm is in gemm.c, and runs on the calling thread */

int nd_blas_threads(int n) {
  (void)n;
  return 1;
}

int nd_blas_threads_now(void) { return 1; }

const char *nd_blas_core(void) { return "own"; }

#else

#include <cblas.h>

/* Waking threads costs more than they do for a smaller product, and OpenBLAS's
 * then spin for a while in the way of others. */
static const double worth_threads = 1.6e7;

void nd_gemm(nd_trans ta, nd_trans tb, int32_t m, int32_t n, int32_t k, const float *a,
             const float *b, float beta, float *c) {
  if (m == 1 && tb == ND_N) {
    for (int32_t j = 0; j < n; j++) c[j] = beta == 0.0f ? 0.0f : beta * c[j];
    nd_gemv(k, n, a, b, c);
    return;
  }
  int threads = openblas_get_num_threads();
  bool alone = threads > 1 && (double)m * n * k < worth_threads;
  if (alone) openblas_set_num_threads(1);
  cblas_sgemm(CblasRowMajor, ta == ND_T ? CblasTrans : CblasNoTrans,
              tb == ND_T ? CblasTrans : CblasNoTrans, m, n, k, 1.0f, a, ta == ND_T ? m : k, b,
              tb == ND_T ? k : n, beta, c, n);
  if (alone) openblas_set_num_threads(threads);
}

int nd_blas_threads(int n) {
  int former = openblas_get_num_threads();
  if (n != former) openblas_set_num_threads(n);
  return former;
}

int nd_blas_threads_now(void) { return openblas_get_num_threads(); }

const char *nd_blas_core(void) { return openblas_get_corename(); }

#endif
