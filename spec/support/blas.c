/* blas.c - compares the products of gemm.c and kernels.c, compiled for a module
 * without OpenBLAS, with OpenBLAS's: random matrices of many shapes, stored both
 * ways, beta 0 and not. Prints each product that differs by more than rounding,
 * and how many products were compared. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/blas.h"
#include "net/kernels.h"

static uint64_t state = 88172645463325252u;

static float draw(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (float)(state >> 40) / (float)(1 << 24) - 0.5f;
}

static float *matrix(size_t n) {
  float *m = malloc((n + 1) * sizeof *m);
  if (m == NULL) exit(3);
  for (size_t i = 0; i < n; i++) m[i] = draw();
  m[n] = 12345.0f;  /* must not be overwritten */
  return m;
}

static int compare(const char *what, int m, int n, int k, const float *ours, const float *theirs) {
  size_t size = (size_t)m * (size_t)n;
  for (size_t i = 0; i < size; i++)
    if (!(fabsf(ours[i] - theirs[i]) <= 1e-5f * sqrtf((float)k + 1.0f))) {
      printf("%s %d x %d x %d: cell %zu is %g, not %g\n", what, m, n, k, i, (double)ours[i],
             (double)theirs[i]);
      return 1;
    }
  if (ours[size] == 12345.0f) return 0;
  printf("%s %d x %d x %d: writes past its end\n", what, m, n, k);
  return 1;
}

int main(void) {
  static const int sizes[] = {1, 2, 3, 5, 6, 7, 9, 15, 16, 17, 33, 64, 100, 257, 300};
  enum { N = sizeof sizes / sizeof *sizes };
  int failed = 0, done = 0;
  openblas_set_num_threads(1);
  for (int round = 0; round < 600; round++) {
    int m = sizes[(unsigned)(draw() * 1e6f + 5e5f) % N], n = sizes[(unsigned)(draw() * 1e6f + 5e5f) % N];
    int k = sizes[(unsigned)(draw() * 1e6f + 5e5f) % N];
    nd_trans ta = round & 1 ? ND_T : ND_N, tb = round & 2 ? ND_T : ND_N;
    float beta = round & 4 ? 0.0f : round & 8 ? 1.0f : -0.5f;
    float *a = matrix((size_t)m * (size_t)k), *b = matrix((size_t)k * (size_t)n);
    float *ours = matrix((size_t)m * (size_t)n), *theirs = matrix((size_t)m * (size_t)n);
    for (int i = 0; i < m * n; i++) ours[i] = theirs[i] = beta == 0.0f ? NAN : draw();
    nd_gemm(ta, tb, m, n, k, a, b, beta, ours);
    cblas_sgemm(CblasRowMajor, ta == ND_T ? CblasTrans : CblasNoTrans,
                tb == ND_T ? CblasTrans : CblasNoTrans, m, n, k, 1.0f, a, ta == ND_T ? m : k, b,
                tb == ND_T ? k : n, beta, theirs, n);
    failed += compare("gemm", m, n, k, ours, theirs);
    free(ours);
    free(theirs);
    ours = matrix((size_t)n);
    theirs = matrix((size_t)n);
    for (int i = 0; i < n; i++) theirs[i] = ours[i];
    nd_gemv(k, n, a, b, ours);
    cblas_sgemv(CblasRowMajor, CblasTrans, k, n, 1.0f, b, n, a, 1, 1.0f, theirs, 1);
    failed += compare("gemv", 1, n, k, ours, theirs);
    done += 2;
    free(a);
    free(b);
    free(ours);
    free(theirs);
  }
  printf("%d products, %d differ\n", done, failed);
  return failed > 0;
}
