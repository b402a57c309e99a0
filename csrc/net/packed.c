#include "packed.h"

#include <string.h>

#include "../base/cpu.h"

/* The kernels of one instruction set. All work on one panel, of which the first
 * `columns` columns count; rows of c lie `c_step` apart. */
typedef struct kernels {
  int32_t width;         /* columns of a panel */
  /* c (m, columns) += a (m, k) times the panel, rows of a lying `step` apart;
   * with `fresh`, c is written and not read */
  void (*row)(int32_t m, int32_t columns, int32_t k, const float *a, size_t step,
              const float *panel, bool fresh, float *c, size_t c_step);
  /* the same with a as its transpose, (k, m), whose rows lie `step` apart */
  void (*across)(int32_t m, int32_t columns, int32_t k, const float *a, size_t step,
                 const float *panel, bool fresh, float *c, size_t c_step);
  /* packs columns of b, whose rows lie `step` apart, and adds its rows to `sum` */
  void (*panel)(int32_t k, int32_t columns, const float *b, size_t step, float *panel, float *sum);
} kernels;

#if defined(__x86_64__) && defined(__GNUC__)

#define TILE_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

#define NAME(x) avx512_##x
#define ISA __attribute__((target("avx512f,fma")))
#define LANES 16
#define ROWS 8
#define VECTORS 3
#include "tile.h"

#define NAME(x) avx2_##x
#define ISA __attribute__((target("avx2,fma")))
#define LANES 8
#define ROWS 6
#define VECTORS 2
#include "tile.h"

static const kernels sets[] = {
  [ND_KERNELS_AVX2] = {16, avx2_row, avx2_across, avx2_panel},
  [ND_KERNELS_AVX512] = {48, avx512_row, avx512_across, avx512_panel},
};

#else

static const kernels sets[] = {{.width = 0}};

#endif

static const kernels *chosen(void) { return &sets[nd_cpu_kernels()]; }

/* Steps of k that are worked on at a time, so that a panel of that height
 * stays in the first-level cache while the rows pass by. */
enum { HEIGHT = 192, MAX_WIDTH = 48 };

int32_t nd_packed_width(void) { return chosen()->width; }

size_t nd_packed_size(int32_t k, int32_t n) {
  size_t width = (size_t)chosen()->width;
  return width > 0 ? ((size_t)n + width - 1) / width * width * (size_t)k : 0;
}

void nd_pack(nd_trans tb, int32_t k, int32_t n, const float *b, int32_t from, int32_t to,
             float *packed) {
  int32_t width = chosen()->width;
  size_t high = (size_t)k, wide = (size_t)n;
  packed += high * (size_t)from;
  for (; from < to; from += width, packed += high * (size_t)width) {
    int32_t columns = n - from < width ? n - from : width;
    if (columns < width) memset(packed, 0, high * (size_t)width * sizeof *packed);
    if (tb == ND_N) {
      for (size_t j = 0; j < high; j++)
        memcpy(packed + j * (size_t)width, b + j * wide + (size_t)from,
               (size_t)columns * sizeof *packed);
    } else {
      /* by squares, so that neither side leaves the cache */
      for (size_t j = 0; j < high; j += 16)
        for (size_t i = 0; i < (size_t)columns; i++)
          for (size_t q = j; q < j + 16 && q < high; q++)
            packed[q * (size_t)width + i] = b[((size_t)from + i) * high + q];
    }
  }
}

void nd_packed_blocks(int32_t times, size_t a_next, size_t c_next, int32_t m, int32_t n, int32_t k,
                      const float *a, const float *packed, bool add, float *c) {
  const kernels *kernel = chosen();
  int32_t pieces = (k + HEIGHT - 1) / HEIGHT;
  for (int32_t from = 0; from < n; from += kernel->width) {
    int32_t columns = n - from < kernel->width ? n - from : kernel->width;
    for (int32_t p = 0, at = 0; p < pieces; p++) {
      int32_t high = (k - at + pieces - p - 1) / (pieces - p);
      for (int32_t t = 0; t < times; t++)
        /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): packing has a width */
        kernel->row(m, columns, high, a + (size_t)t * a_next + at, (size_t)k, packed,
                    !add && p == 0, c + (size_t)t * c_next + from, (size_t)n);
      packed += (size_t)high * (size_t)kernel->width;
      at += high;
    }
  }
}

void nd_packed_gemm(int32_t m, int32_t n, int32_t k, const float *a, const float *packed,
                    bool add, float *c) {
  nd_packed_blocks(1, 0, 0, m, n, k, a, packed, add, c);
}

void nd_packed_gradient(int32_t rows, int32_t i, int32_t h, int32_t n, int32_t from, int32_t to,
                        const float *x, const float *y, const float *dz, float *dwx, float *dwh,
                        float *db) {
  const kernels *kernel = chosen();
  size_t wide = (size_t)n;
  _Alignas(64) float panel[HEIGHT * MAX_WIDTH];
  int32_t pieces = (rows + HEIGHT - 1) / HEIGHT;
  if (from < to) memset(db + from, 0, (size_t)(to - from) * sizeof *db);
  for (int32_t p = 0, at = 0; p < pieces; p++) {
    int32_t high = (rows - at + pieces - p - 1) / (pieces - p);
    for (int32_t j = from; j < to; j += kernel->width) {
      int32_t columns = to - j < kernel->width ? to - j : kernel->width;
      kernel->panel(high, columns, dz + (size_t)at * wide + (size_t)j, wide, panel, db + j);
      if (i > 0)
        kernel->across(i, columns, high, x + (size_t)at * (size_t)i, (size_t)i, panel, p == 0,
                       dwx + j, wide);
      kernel->across(h, columns, high, y + (size_t)at * (size_t)h, (size_t)h, panel, p == 0,
                     dwh + j, wide);
    }
    at += high;
  }
}
