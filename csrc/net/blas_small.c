/* blas_small.c - products without a library behind them. Those of one row are
 * always done here: memory sets their pace, not arithmetic, and OpenBLAS takes
 * a lock for them, which a step that is played live must not. The others, with
 * ND_SMALL_BLAS, are for modules that are to depend on nothing: slower than
 * OpenBLAS where matrices are large; most of them the packed kernels do. */
#include "blas.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

/* The products are added up in the order of k and y last, as matrices of more
 * rows have it: one song judged alone gets what it gets among others. */
CLONES void nd_gemv(int32_t k, int32_t n, const float *x, const float *w, float *y) {
  enum { WIDE = 1024 };
  float sum[WIDE];
  for (int32_t from = 0; from < n; from += WIDE, y += WIDE, w += WIDE) {
    int32_t p = 0, wide = n - from < WIDE ? n - from : WIDE;
    const float *v = w;
    for (int32_t j = 0; j < wide; j++) sum[j] = 0.0f;
    for (; p + 8 <= k; p += 8, v += 8 * (size_t)n) {
      float x0 = x[p], x1 = x[p + 1], x2 = x[p + 2], x3 = x[p + 3];
      float x4 = x[p + 4], x5 = x[p + 5], x6 = x[p + 6], x7 = x[p + 7];
      const float *v1 = v + n, *v2 = v1 + n, *v3 = v2 + n;
      const float *v4 = v3 + n, *v5 = v4 + n, *v6 = v5 + n, *v7 = v6 + n;
      for (int32_t j = 0; j < wide; j++) {
        float s = sum[j];
        s += x0 * v[j];
        s += x1 * v1[j];
        s += x2 * v2[j];
        s += x3 * v3[j];
        s += x4 * v4[j];
        s += x5 * v5[j];
        s += x6 * v6[j];
        sum[j] = s + x7 * v7[j];
      }
    }
    for (; p < k; p++, v += n)
      for (int32_t j = 0; j < wide; j++) sum[j] += x[p] * v[j];
    for (int32_t j = 0; j < wide; j++) y[j] += sum[j];
  }
}

#ifdef ND_SMALL_BLAS

/* A tile of c stays in registers over DEPTH products; the strip of b that it
 * needs is copied together first, so that it is read in a straight line
 * however b is stored. */
enum { ROWS = 6, COLUMNS = 16, DEPTH = 256 };

typedef float lanes __attribute__((vector_size(COLUMNS * 4)));

/* c (m, columns) += a (m, depth) strip (depth, COLUMNS); a's rows lie `across`
 * apart, its columns `along`. */
CLONES static void add_strip(int32_t m, int32_t columns, int32_t depth, const float *a,
                             size_t across, size_t along, const float *strip, float *c,
                             size_t c_across) {
  for (int32_t i = 0; i < m; i += ROWS) {
    int32_t rows = m - i < ROWS ? m - i : ROWS;
    const float *at[ROWS];
    lanes sum[ROWS] = {{0}};
    /* rows past the end repeat the last one, and are not stored */
    for (int32_t r = 0; r < ROWS; r++) at[r] = a + (size_t)(i + (r < rows ? r : rows - 1)) * across;
    for (int32_t p = 0; p < depth; p++) {
      lanes b;
      memcpy(&b, strip + (size_t)p * COLUMNS, sizeof b);
      for (int32_t r = 0; r < ROWS; r++) sum[r] += at[r][(size_t)p * along] * b;
    }
    for (int32_t r = 0; r < rows; r++) {
      float *row = c + (size_t)(i + r) * c_across, one[COLUMNS];
      memcpy(one, &sum[r], sizeof one);
      for (int32_t j = 0; j < columns; j++) row[j] += one[j];
    }
  }
}

void nd_gemm(nd_trans ta, nd_trans tb, int32_t m, int32_t n, int32_t k, const float *a,
             const float *b, float beta, float *c) {
  size_t N = (size_t)n, K = (size_t)k;
  size_t a_across = ta == ND_T ? 1 : K, a_along = ta == ND_T ? (size_t)m : 1;
  size_t b_across = tb == ND_T ? 1 : N, b_along = tb == ND_T ? K : 1;
  for (size_t i = 0; i < (size_t)m * N; i++) c[i] = beta == 0.0f ? 0.0f : beta * c[i];
  if (m == 1 && tb == ND_N) {  /* each weight is used once: no copy pays */
    nd_gemv(k, n, a, b, c);
    return;
  }
  float strip[DEPTH * COLUMNS];
  for (int32_t j = 0; j < n; j += COLUMNS) {
    int32_t columns = n - j < COLUMNS ? n - j : COLUMNS;
    for (int32_t p = 0; p < k; p += DEPTH) {
      int32_t depth = k - p < DEPTH ? k - p : DEPTH;
      for (int32_t q = 0; q < depth; q++) {
        const float *row = b + (size_t)(p + q) * b_across + (size_t)j * b_along;
        float *to = strip + q * COLUMNS;
        memset(to, 0, COLUMNS * sizeof *to);
        for (int32_t x = 0; x < columns; x++) to[x] = row[(size_t)x * b_along];
      }
      add_strip(m, columns, depth, a + (size_t)p * a_along, a_across, a_along, strip, c + j, N);
    }
  }
}

int nd_blas_threads(int n) {
  (void)n;  /* the caller's thread does it all */
  return 1;
}

int nd_blas_threads_now(void) { return 1; }

const char *nd_blas_core(void) { return "own"; }

#endif
