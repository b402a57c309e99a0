#include "kept.h"

#include <stdlib.h>
#include <string.h>

#include "../base/cpu.h"
#include "../base/half.h"
#include "blas.h"
#include "kernels.h"

/* The kernels of one instruction set. */
typedef struct kernels {
  int32_t width;   /* a panel's columns */
  void (*gemm)(const nd_kept *w, int32_t m, const float *a, bool add, float *c);
  /* z += x[i] times row at[i], one after the other */
  void (*sparse)(const nd_kept *w, int32_t many, const int32_t *at, const float *x, float *z);
  /* whether n values are halves exactly; they are stored when `to` is not NULL */
  bool (*narrow)(size_t n, const float *w, uint16_t *to);
} kernels;

enum { MOST_WIDE = 48 };

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define KEPT_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

typedef float kept_eight __attribute__((vector_size(32)));

/* Eight values of a panel, from the `at`-th on. */
__attribute__((target("avx2,fma,f16c"))) KEPT_INLINE kept_eight kept_load(const bool half,
                                                                         const void *panel,
                                                                         size_t at) {
  if (half) {
    const __m128i *halves = (const void *)((const uint16_t *)panel + at);
    return (kept_eight)_mm256_cvtph_ps(_mm_loadu_si128(halves));
  }
  kept_eight out;
  memcpy(&out, (const float *)panel + at, sizeof out);
  return out;
}

__attribute__((target("avx2,fma,f16c"))) static bool narrow(size_t n, const float *w,
                                                            uint16_t *to) {
  bool exact = true;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    __m256 x = _mm256_loadu_ps(w + i);
    __m128i halves = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 same = _mm256_cmp_ps(_mm256_cvtph_ps(halves), x, _CMP_EQ_OQ);
    exact = exact && _mm256_movemask_ps(same) == 255;
    if (to != NULL) _mm_storeu_si128((__m128i *)(void *)(to + i), halves);
    else if (!exact) return false;
  }
  for (; i < n; i++) {
    exact = exact && nd_half_round(w[i]) == w[i];
    if (to != NULL) to[i] = nd_half_from_float(w[i]);
  }
  return exact;
}

#define NAME(x) avx512_##x
#define ISA __attribute__((target("avx512f,avx2,fma,f16c")))
#define LANES 16
#define ROWS 8
#define VECTORS 3
#define ABREAST 2
#define WIDEN(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#include "kept_tile.h"

#define NAME(x) avx2_##x
#define ISA __attribute__((target("avx2,fma,f16c")))
#define LANES 8
#define ROWS 6
#define VECTORS 2
#define ABREAST 4
#define WIDEN(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#include "kept_tile.h"

static const kernels sets[] = {
  [ND_KERNELS_AVX2] = {avx2_WIDTH, avx2_gemm, avx2_sparse, narrow},
  [ND_KERNELS_AVX512] = {avx512_WIDTH, avx512_gemm, avx512_sparse, narrow},
};

#else

static const kernels sets[] = {{.width = 0}};

#endif

static const kernels *chosen(void) { return &sets[nd_cpu_kernels()]; }

nd_kept nd_keep(int32_t k, int32_t n, const float *w) {
  const kernels *kernel = chosen();
  nd_kept kept = {.w = w, .k = k, .n = n};
  size_t width = (size_t)kernel->width, high = (size_t)k, wide = (size_t)n;
  if (width == 0 || k < 1 || n < 1) return kept;
  /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): what has a width can narrow */
  kept.half = kernel->narrow(high * wide, w, NULL);
  size_t panels = (wide + width - 1) / width, row = width * (kept.half ? 2 : 4);
  kept.panels = aligned_alloc(64, (panels * high * row + 63) / 64 * 64);
  if (kept.panels == NULL) return kept;
  char *to = kept.panels;
  float edge[MOST_WIDE];
  for (size_t from = 0; from < wide; from += width)
    for (size_t j = 0; j < high; j++, to += row) {
      const float *x = w + j * wide + from;
      if (wide - from < width) {
        memset(edge, 0, sizeof edge);
        memcpy(edge, x, (wide - from) * sizeof *x);
        x = edge;
      }
      if (kept.half) (void)kernel->narrow(width, x, (uint16_t *)(void *)to);
      else memcpy(to, x, row);
    }
  return kept;
}

nd_kept nd_keep_not(int32_t k, int32_t n, const float *w) {
  return (nd_kept){.w = w, .k = k, .n = n};
}

void nd_kept_clear(nd_kept *kept) {
  free(kept->panels);
  *kept = (nd_kept){0};
}

size_t nd_kept_bytes(const nd_kept *w) {
  return (size_t)w->k * (size_t)w->n * (w->panels != NULL && w->half ? 2 : 4);
}

void nd_kept_gemm(const nd_kept *w, int32_t m, const float *a, bool add, float *c) {
  if (w->panels != NULL) chosen()->gemm(w, m, a, add, c);
  else nd_gemm(ND_N, ND_N, m, w->n, w->k, a, w->w, add ? 1.0f : 0.0f, c);
}

void nd_kept_sparse(const nd_kept *w, const float *x, float *z) {
  enum { MANY = 128 };
  if (w->panels == NULL) {
    for (int32_t i = 0; i < w->k; i++)
      if (x[i] != 0.0f) nd_axpy(w->n, x[i], w->w + (size_t)i * (size_t)w->n, z);
    return;
  }
  int32_t at[MANY];
  float some[MANY];
  for (int32_t i = 0; i < w->k;) {
    int32_t many = 0;
    for (; i < w->k && many < MANY; i++)
      if (x[i] != 0.0f) {
        at[many] = i;
        some[many++] = x[i];
      }
    if (many > 0) chosen()->sparse(w, many, at, some, z);
  }
}
