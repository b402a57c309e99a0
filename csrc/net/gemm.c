/* gemm.c - packing, the division of a product into blocks, and the dispatch. The
 * arithmetic is in gemm_kernel.h.
 *
 *   for each panel of b                     one panel at a time is hot in the cache
 *     for each block of k (training only)   a part of it that fits in the first level
 *       for each block of rows of a         they stream past it
 *         kernel: tiles of c in registers
 */
#include "gemm.h"

#include <stdlib.h>
#include <string.h>

#include "../base/cpu.h"
#include "../base/half.h"
#include "../base/simd.h"
#include "../base/thread_pool.h"
#include "kernels.h"

/* ------------------------------------------------------------ kernels and CPUs */

/* Part of a product: c (m, columns) += a (m, k) times the first `columns` of a
 * panel's columns. The strides are floats from one row to the next. Where a is
 * stored transposed, it is (k, m). */
typedef struct block {
  int32_t m, columns, k;
  bool overwrite;      /* c is written and not read */
  const float *a;
  size_t a_stride;
  const void *panel;
  float *c;
  size_t c_stride;
} block;

/* The kernels of one instruction set. */
typedef struct kernels {
  int32_t width;       /* columns of a panel; 0: there are no kernels */
  int32_t row_width;   /* columns that `row` makes at once */
  void (*rows)(const block *x);
  void (*rows_transposed)(const block *x);
  void (*rows_half)(const block *x);
  /* c (row_width) = a (k) times the panels from column `from` on, or added to it */
  void (*row)(const nd_matrix *w, int32_t from, const float *a, bool add, float *c);
  void (*sparse)(const nd_matrix *w, int32_t count, const int32_t *index, const float *x, float *z);
  /* true if n values are exactly representable as halves; also stores them as such
   * unless `to` is NULL */
  bool (*to_half)(size_t n, const float *w, uint16_t *to);
} kernels;

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))

typedef float eight __attribute__((vector_size(32)));

/* Elements at..at+7 of panels, as floats. A half is exactly a float, so this adds no
 * rounding. */
AVX2 ND_INLINE eight load_eight(const bool half, const void *panels, size_t at) {
  if (half) {
    const __m128i *halves = (const void *)((const uint16_t *)panels + at);
    return (eight)_mm256_cvtph_ps(_mm_loadu_si128(halves));
  }
  eight out;
  memcpy(&out, (const float *)panels + at, sizeof out);
  return out;
}

AVX2 static bool to_half(size_t n, const float *w, uint16_t *to) {
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
#define PANELS 2
#define WIDEN(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#include "gemm_kernel.h"

#define NAME(x) avx2_##x
#define ISA AVX2
#define LANES 8
#define ROWS 6
#define VECTORS 2
#define PANELS 4
#define WIDEN(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#include "gemm_kernel.h"

/* The dispatch table, by nd_kernels; ND_KERNELS_NONE has width 0. */
static const kernels sets[] = {
  [ND_KERNELS_AVX2] = {avx2_WIDTH, 4 * avx2_WIDTH, avx2_rows, avx2_rows_transposed,
                       avx2_rows_half, avx2_row, avx2_sparse, to_half},
  [ND_KERNELS_AVX512] = {avx512_WIDTH, 2 * avx512_WIDTH, avx512_rows, avx512_rows_transposed,
                         avx512_rows_half, avx512_row, avx512_sparse, to_half},
};

#else

static const kernels sets[] = {{.width = 0}};

#endif

/* MAX_WIDTH: columns of the widest panel. K_BLOCK: rows of b that training works on
 * at a time, so that their part of a panel (36 KiB with AVX-512, 12 KiB with AVX2)
 * stays in the first-level cache while all rows of a are multiplied by it. */
enum { MAX_WIDTH = 48, K_BLOCK = 192 };

static const kernels *chosen(void) { return &sets[nd_cpu_kernels()]; }

bool nd_gemm_has_kernels(void) { return chosen()->width > 0; }

/* --------------------------------------------------------------------- packing */

size_t nd_panels_size(int32_t k, int32_t n) {
  size_t width = (size_t)chosen()->width;
  return width > 0 ? ((size_t)n + width - 1) / width * width * (size_t)k : 0;
}

static int32_t min(int32_t a, int32_t b) { return a < b ? a : b; }

/* Packs rows row..row+k-1 and up to `width` columns from `column` on of b (k_all, n),
 * stored as (n, k_all) with ND_T, into a panel (k, width). */
static void pack_panel(nd_trans tb, int32_t k_all, int32_t n, const float *b, int32_t row,
                       int32_t column, int32_t k, int32_t width, float *panel) {
  size_t stride = (size_t)(tb == ND_T ? k_all : n), rows = (size_t)k, pitch = (size_t)width;
  size_t columns = (size_t)min(n - column, width);
  if (columns < pitch) memset(panel, 0, rows * pitch * sizeof *panel);
  if (tb == ND_N) {
    b += (size_t)row * stride + (size_t)column;
    for (size_t j = 0; j < rows; j++, b += stride)
      memcpy(panel + j * pitch, b, columns * sizeof *b);
    return;
  }
  /* in squares of 16, so that neither side leaves the cache */
  b += (size_t)column * stride + (size_t)row;
  for (size_t j = 0; j < rows; j += 16)
    for (size_t i = 0; i < columns; i++)
      for (size_t q = j; q < j + 16 && q < rows; q++) panel[q * pitch + i] = b[i * stride + q];
}

nd_matrix nd_matrix_borrow(int32_t k, int32_t n, const float *w) {
  return (nd_matrix){.k = k, .n = n, .w = w, .trans = ND_N, .k_block = k};
}

/* Without kernels nobody else could read panels, so the caller's memory is not used. */
nd_matrix nd_matrix_view(nd_trans trans, int32_t k, int32_t n, const float *w, float *panels) {
  return (nd_matrix){.k = k, .n = n, .w = w, .trans = trans, .k_block = K_BLOCK,
                     .panels = nd_gemm_has_kernels() ? panels : NULL};
}

void nd_matrix_fill(const nd_matrix *b, int part, int parts) {
  int32_t width = chosen()->width;
  if (b->panels == NULL) return;
  int32_t to = nd_partition_begin(b->n, width, part + 1, parts);
  for (int32_t j = nd_partition_begin(b->n, width, part, parts); j < to; j += width)
    pack_panel(b->trans, b->k, b->n, b->w, 0, j, b->k, width,
               (float *)b->panels + (size_t)b->k * (size_t)j);
}

/* Row by row, through a padded copy as floats. */
static void fill_halves(const kernels *kernel, const nd_matrix *b) {
  size_t width = (size_t)kernel->width;
  uint16_t *to = b->panels;
  float row[MAX_WIDTH];
  for (int32_t j = 0; j < b->n; j += kernel->width)
    for (int32_t i = 0; i < b->k; i++, to += width) {
      pack_panel(ND_N, b->k, b->n, b->w, i, j, 1, kernel->width, row);
      (void)kernel->to_half(width, row, to);
    }
}

nd_matrix nd_matrix_pack(int32_t k, int32_t n, const float *w) {
  const kernels *kernel = chosen();
  nd_matrix b = nd_matrix_borrow(k, n, w);
  if (kernel->width == 0 || k < 1 || n < 1) return b;
  /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): a set with a width has all kernels */
  b.half = kernel->to_half((size_t)k * (size_t)n, w, NULL);
  size_t bytes = nd_panels_size(k, n) * (b.half ? sizeof(uint16_t) : sizeof(float));
  b.panels = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (b.panels != NULL && b.half) fill_halves(kernel, &b);
  else nd_matrix_fill(&b, 0, 1);
  return b;
}

void nd_matrix_free(nd_matrix *b) {
  free(b->panels);
  *b = (nd_matrix){0};
}

size_t nd_matrix_bytes(const nd_matrix *b) {
  return (size_t)b->k * (size_t)b->n * (b->panels != NULL && b->half ? 2 : 4);
}

/* -------------------------------------------------------------------- products */

/* By BLAS. With adjacent blocks it sees one large matrix, which it multiplies faster. */
static void multiply_borrowed(const nd_matrix *b, int32_t count, size_t a_stride, size_t c_stride,
                              int32_t m, const float *a, bool add, float *c) {
  size_t a_size = (size_t)m * (size_t)b->k, c_size = (size_t)m * (size_t)b->n;
  if (a_stride == a_size && c_stride == c_size) {
    m *= count;
    count = 1;
  }
  for (; count > 0; count--, a += a_stride, c += c_stride)
    nd_gemm(ND_N, b->trans, m, b->n, b->k, a, b->w, add ? 1.0f : 0.0f, c);
}

void nd_matmul_blocks(const nd_matrix *b, int32_t count, size_t a_stride, size_t c_stride,
                      int32_t m, const float *a, bool add, float *c) {
  if (b->panels == NULL) {
    multiply_borrowed(b, count, a_stride, c_stride, m, a, add, c);
    return;
  }
  const kernels *kernel = chosen();
  int32_t n = b->n, k_blocks = (b->k + b->k_block - 1) / b->k_block, from = 0;
  if (count == 1 && m == 1 && k_blocks == 1)  /* a step of one song; the rest as below */
    for (; from + kernel->row_width <= n; from += kernel->row_width)
      kernel->row(b, from, a, add, c + from);
  for (; from < n; from += kernel->width) {
    block x = {.m = m, .columns = min(n - from, kernel->width), .a_stride = (size_t)b->k,
               .c_stride = (size_t)n};
    for (int32_t p = 0, row = 0; p < k_blocks; p++, row += x.k) {
      size_t first = (size_t)from * (size_t)b->k + (size_t)row * (size_t)kernel->width;
      x.k = (b->k - row + k_blocks - p - 1) / (k_blocks - p);  /* nearly equal blocks */
      x.panel = (const char *)b->panels + first * (b->half ? sizeof(uint16_t) : sizeof(float));
      x.overwrite = !add && p == 0;
      for (size_t i = 0; i < (size_t)count; i++) {
        x.a = a + i * a_stride + row;
        x.c = c + i * c_stride + from;
        (b->half ? kernel->rows_half : kernel->rows)(&x);
      }
    }
  }
}

void nd_matmul(const nd_matrix *b, int32_t m, const float *a, bool add, float *c) {
  nd_matmul_blocks(b, 1, 0, 0, m, a, add, c);
}

void nd_matmul_sparse(const nd_matrix *b, const float *x, float *z) {
  enum { BATCH = 128 };  /* non-zero elements that are gathered before they are used */
  int32_t index[BATCH];
  float values[BATCH];
  for (int32_t i = 0; i < b->k;) {
    int32_t count = 0;
    for (; i < b->k && count < BATCH; i++)
      if (x[i] != 0.0f) {
        index[count] = i;
        values[count++] = x[i];
      }
    if (b->panels != NULL && count > 0) chosen()->sparse(b, count, index, values, z);
    else
      for (int32_t j = 0; j < count; j++)
        nd_axpy(b->n, values[j], b->w + (size_t)index[j] * (size_t)b->n, z);
  }
}

static void gradient_borrowed(int32_t rows, int32_t inputs, int32_t hidden, int32_t n,
                              const float *x, const float *h, const float *dz, float *dwx,
                              float *dwh, float *db) {
  if (inputs > 0) nd_gemm(ND_T, ND_N, inputs, n, rows, x, dz, 0.0f, dwx);
  nd_gemm(ND_T, ND_N, hidden, n, rows, h, dz, 0.0f, dwh);
  memset(db, 0, (size_t)n * sizeof *db);
  nd_sum_rows(rows, n, (size_t)n, dz, db);
}

/* Here dz is the matrix b, and `rows` (steps x streams) takes the part of k. dz is used
 * once, so each block of it is packed on the stack: for both x and h, read transposed
 * where they are. */
void nd_matmul_gradient(int32_t rows, int32_t inputs, int32_t hidden, int32_t n, int part,
                        int parts, const float *x, const float *h, const float *dz, float *dwx,
                        float *dwh, float *db) {
  const kernels *kernel = chosen();
  if (kernel->width == 0) {
    gradient_borrowed(rows, inputs, hidden, n, x, h, dz, dwx, dwh, db);
    return;
  }
  _Alignas(64) float panel[K_BLOCK * MAX_WIDTH];
  int32_t to = nd_partition_begin(n, kernel->width, part + 1, parts);
  int32_t from = nd_partition_begin(n, kernel->width, part, parts);
  int32_t k_blocks = (rows + K_BLOCK - 1) / K_BLOCK;
  if (from < to) memset(db + from, 0, (size_t)(to - from) * sizeof *db);
  for (int32_t p = 0, row = 0; p < k_blocks; p++) {
    int32_t k = (rows - row + k_blocks - p - 1) / (k_blocks - p);
    nd_sum_rows(k, to - from, (size_t)n, dz + (size_t)row * (size_t)n + (size_t)from, db + from);
    for (int32_t j = from; j < to; j += kernel->width) {
      block b = {.columns = min(n - j, kernel->width), .k = k, .panel = panel, .overwrite = p == 0,
                 .c_stride = (size_t)n};
      pack_panel(ND_N, rows, n, dz, row, j, k, kernel->width, panel);
      b.m = inputs, b.a_stride = (size_t)inputs;
      b.a = x + (size_t)row * b.a_stride, b.c = dwx + j;
      if (inputs > 0) kernel->rows_transposed(&b);
      b.m = hidden, b.a_stride = (size_t)hidden;
      b.a = h + (size_t)row * b.a_stride, b.c = dwh + j;
      kernel->rows_transposed(&b);
    }
    row += k;
  }
}

#ifdef ND_NO_OPENBLAS

/* ------------------------------------------------------------- without OpenBLAS */

/* For every CPU: vectors of 4 floats, 6 x 2 sums in 16 registers. */
#define NAME(x) portable_##x
#define ISA
#define LANES 4
#define ROWS 6
#define VECTORS 2
#include "gemm_kernel.h"

/* Packs one panel of b at a time on the stack. */
void nd_gemm(nd_trans ta, nd_trans tb, int32_t m, int32_t n, int32_t k, const float *a,
             const float *b, float beta, float *c) {
  static const kernels portable = {.width = portable_WIDTH, .rows = portable_rows,
                                   .rows_transposed = portable_rows_transposed};
  const kernels *kernel = nd_gemm_has_kernels() ? chosen() : &portable;
  _Alignas(64) float panel[K_BLOCK * MAX_WIDTH];
  for (size_t i = 0; i < (size_t)m * (size_t)n; i++) c[i] = beta == 0.0f ? 0.0f : beta * c[i];
  if (m == 1 && tb == ND_N) {  /* every weight is used once: packing would not pay */
    nd_gemv(k, n, a, b, c);
    return;
  }
  for (int32_t j = 0; j < n; j += kernel->width)
    for (int32_t row = 0; row < k; row += K_BLOCK) {
      block x = {.m = m, .columns = min(n - j, kernel->width), .k = min(k - row, K_BLOCK),
                 .a = a + (size_t)row * (size_t)(ta == ND_T ? m : 1),
                 .a_stride = (size_t)(ta == ND_T ? m : k), .panel = panel, .c = c + j,
                 .c_stride = (size_t)n};
      pack_panel(tb, k, n, b, row, j, x.k, kernel->width, panel);
      (ta == ND_T ? kernel->rows_transposed : kernel->rows)(&x);
    }
}

#endif
