#include "blas_threads.h"

#include <pthread.h>

#include "blas.h"

/* The one place where the engine has process-wide state, as OpenBLAS has. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users, host_threads;

void nd_blas_begin(int threads) {
  (void)pthread_mutex_lock(&lock);
  const int now = nd_blas_threads(threads);
  if (users++ == 0) host_threads = now;
  (void)pthread_mutex_unlock(&lock);
}

void nd_blas_end(void) {
  (void)pthread_mutex_lock(&lock);
  if (--users == 0) (void)nd_blas_threads(host_threads);
  (void)pthread_mutex_unlock(&lock);
}
