#include "blas.h"

#include "kernels.h"

#ifdef ND_NO_OPENBLAS  /* nd_gemm is in gemm.c, and runs on the calling thread */

void nd_blas_begin(int threads) { (void)threads; }
void nd_blas_end(void) {}

const char *nd_blas_core(void) { return "own"; }

#else

#include <cblas.h>
#include <pthread.h>

/* The one place where the engine has process-wide state, because OpenBLAS has. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users, our_threads, host_threads;

void nd_blas_begin(int threads) {
  (void)pthread_mutex_lock(&lock);
  if (users++ == 0) host_threads = openblas_get_num_threads();
  our_threads = threads;
  if (threads != openblas_get_num_threads()) openblas_set_num_threads(threads);
  (void)pthread_mutex_unlock(&lock);
}

void nd_blas_end(void) {
  (void)pthread_mutex_lock(&lock);
  if (--users == 0 && our_threads != host_threads) openblas_set_num_threads(host_threads);
  (void)pthread_mutex_unlock(&lock);
}

/* After a product that ran with one thread: the count may have changed meanwhile. */
static void restore_threads(int threads) {
  (void)pthread_mutex_lock(&lock);
  openblas_set_num_threads(users > 0 ? our_threads : threads);
  (void)pthread_mutex_unlock(&lock);
}

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
  if (alone) restore_threads(threads);
}

const char *nd_blas_core(void) { return openblas_get_corename(); }

#endif
