/* gemm_kernel.h - the micro-kernels of gemm.c, which includes this file once for
 * each instruction set, with
 *   NAME(x)         x with the set's name
 *   ISA             the function attribute that enables the set
 *   LANES           floats in one vector register
 *   ROWS, VECTORS   a tile of c: rows, and vector registers in a row
 *   PANELS          panels that the single-row kernel works on at once
 *   WIDEN(p)        LANES halves at p as floats; undefined: no halves and no
 *                   kernels but NAME(rows) and NAME(rows_transposed)
 * No guard: it is meant to be included more than once.
 *
 * While k advances, a tile of c stays in registers: ROWS x VECTORS sums, and
 * registers for VECTORS vectors of b and one element of a. That is 8 x 3 + 4 = 28
 * of AVX-512's 32 and 6 x 2 + 3 = 15 of AVX2's 16: a larger tile would spill, a
 * smaller one would wait for loads or for the multiply-adds' latency. */

typedef float NAME(vector) __attribute__((vector_size(4 * LANES)));

enum { NAME(WIDTH) = LANES * VECTORS };

/* Vector `v` of row `j` of a panel. */
ISA ND_INLINE NAME(vector) NAME(load)(const bool half, const void *panel, size_t j, int v) {
  size_t at = j * NAME(WIDTH) + (size_t)v * LANES;
#ifdef WIDEN
  if (half) return (NAME(vector))WIDEN((const uint16_t *)panel + at);
#else
  (void)half;
#endif
  NAME(vector) out;
  memcpy(&out, (const float *)panel + at, sizeof out);
  return out;
}

/* Stores the first `columns` of n vectors of sums in c, or adds them to it. */
ISA ND_INLINE void NAME(store)(const int n, int32_t columns, bool overwrite,
                               const NAME(vector) *sum, float *c) {
  if (columns >= n * LANES) {
    ND_UNROLL for (int v = 0; v < n; v++) {
      NAME(vector) old = {0};
      if (!overwrite) memcpy(&old, c + v * LANES, sizeof old);
      old += sum[v];
      memcpy(c + v * LANES, &old, sizeof old);
    }
    return;
  }
  float part[NAME(WIDTH)];
  ND_UNROLL for (int v = 0; v < n; v++) memcpy(part + v * LANES, &sum[v], sizeof sum[v]);
  for (int32_t j = 0; j < columns; j++) c[j] = (overwrite ? 0.0f : c[j]) + part[j];
}

/* One tile: the first m rows of a block times n vectors of its panel. m, n and the
 * flags are constants wherever this is inlined. */
ISA ND_INLINE void NAME(tile)(const int m, const int n, const bool half, const bool transposed,
                              block x) {
  NAME(vector) sum[ROWS][VECTORS];
  ND_UNROLL for (int i = 0; i < m; i++)
    ND_UNROLL for (int v = 0; v < n; v++) sum[i][v] = (NAME(vector)){0};
  for (size_t j = 0; j < (size_t)x.k; j++, x.a += transposed ? x.a_stride : 1) {
    NAME(vector) b[VECTORS];
    ND_UNROLL for (int v = 0; v < n; v++) b[v] = NAME(load)(half, x.panel, j, v);
    ND_UNROLL for (int i = 0; i < m; i++) {
      float a = x.a[transposed ? (size_t)i : (size_t)i * x.a_stride];
      ND_UNROLL for (int v = 0; v < n; v++) sum[i][v] += a * b[v];
    }
  }
  ND_UNROLL for (int i = 0; i < m; i++)
    NAME(store)(n, x.columns, x.overwrite, sum[i], x.c + (size_t)i * x.c_stride);
}

/* Tiles that are larger than this set's are never chosen; the compiler sees that. */
#define TILE(M, N) \
  case M: NAME(tile)(M <= ROWS ? M : 1, N <= VECTORS ? N : 1, half, transposed, x); break;
#define TILES(N)                                                                          \
  switch (rows) {                                                                         \
    TILE(1, N) TILE(2, N) TILE(3, N) TILE(4, N) TILE(5, N) TILE(6, N) TILE(7, N) TILE(8, N) \
    default: break;                                                                       \
  }

/* A whole block, in tiles of nearly equal height: 33 rows are 7 + 7 + 7 + 6 + 6,
 * because a tile with a single row does little for each vector of b that it loads. */
ISA ND_INLINE void NAME(tiles)(const bool half, const bool transposed, block x) {
  for (int32_t tiles = (x.m + ROWS - 1) / ROWS; tiles > 0; tiles--) {
    int32_t rows = (x.m + tiles - 1) / tiles;
    if (VECTORS > 2 && x.columns > 2 * LANES) TILES(3)
    else if (x.columns > LANES) TILES(2)
    else TILES(1)
    x.m -= rows;
    x.a += (size_t)rows * (transposed ? 1 : x.a_stride);
    x.c += (size_t)rows * x.c_stride;
  }
}

ISA static void NAME(rows)(const block *x) { NAME(tiles)(false, false, *x); }
ISA static void NAME(rows_transposed)(const block *x) { NAME(tiles)(false, true, *x); }

#ifdef WIDEN

ISA static void NAME(rows_half)(const block *x) { NAME(tiles)(true, false, *x); }

/* One row of a times PANELS whole panels: with one row, one panel has too few
 * independent sums to hide the latency of a multiply-add. In vectors of eight,
 * also with AVX-512: its conversion of halves is slower if each is used once. */
ISA ND_INLINE void NAME(single)(const bool half, const nd_matrix *w, int32_t from, const float *a,
                                bool add, float *c) {
  enum { EIGHTS = NAME(WIDTH) / 8 };
  const size_t k = (size_t)w->k, panel_size = k * NAME(WIDTH);
  const size_t first = k * (size_t)from;
  eight sum[PANELS][EIGHTS];
  ND_UNROLL for (int p = 0; p < PANELS; p++)
    ND_UNROLL for (int v = 0; v < EIGHTS; v++) sum[p][v] = (eight){0};
  for (size_t j = 0; j < k; j++)
    ND_UNROLL for (int p = 0; p < PANELS; p++)
      ND_UNROLL for (int v = 0; v < EIGHTS; v++)
        sum[p][v] += a[j] * load_eight(half, w->panels, first + (size_t)p * panel_size +
                                                            j * NAME(WIDTH) + 8 * (size_t)v);
  ND_UNROLL for (int p = 0; p < PANELS; p++)
    ND_UNROLL for (int v = 0; v < EIGHTS; v++, c += 8) {
      eight old = {0};
      if (add) memcpy(&old, c, sizeof old);
      old += sum[p][v];
      memcpy(c, &old, sizeof old);
    }
}

ISA static void NAME(row)(const nd_matrix *w, int32_t from, const float *a, bool add, float *c) {
  if (w->half) NAME(single)(true, w, from, a, add, c);
  else NAME(single)(false, w, from, a, add, c);
}

/* z += x[i] times row index[i] of the matrix, one after the other. */
ISA ND_INLINE void NAME(sum_rows)(const bool half, const nd_matrix *w, int32_t count,
                                  const int32_t *index, const float *x, float *z) {
  enum { EIGHTS = NAME(WIDTH) / 8 };
  for (int32_t from = 0; from < w->n; from += NAME(WIDTH)) {
    const size_t first = (size_t)w->k * (size_t)from;
    int32_t columns = w->n - from;
    eight sum[EIGHTS];
    float part[NAME(WIDTH)] = {0};
    float *to = columns >= NAME(WIDTH) ? z + from : part;
    if (to == part) memcpy(part, z + from, (size_t)columns * sizeof *z);
    ND_UNROLL for (int v = 0; v < EIGHTS; v++) memcpy(&sum[v], to + 8 * v, sizeof sum[v]);
    for (int32_t i = 0; i < count; i++)
      ND_UNROLL for (int v = 0; v < EIGHTS; v++)
        sum[v] += x[i] * load_eight(half, w->panels,
                                    first + (size_t)index[i] * NAME(WIDTH) + 8 * (size_t)v);
    ND_UNROLL for (int v = 0; v < EIGHTS; v++) memcpy(to + 8 * v, &sum[v], sizeof sum[v]);
    if (to == part) memcpy(z + from, part, (size_t)columns * sizeof *z);
  }
}

ISA static void NAME(sparse)(const nd_matrix *w, int32_t count, const int32_t *index,
                             const float *x, float *z) {
  if (w->half) NAME(sum_rows)(true, w, count, index, x, z);
  else NAME(sum_rows)(false, w, count, index, x, z);
}

#endif

#undef TILES
#undef TILE
#undef NAME
#undef ISA
#undef LANES
#undef ROWS
#undef VECTORS
#undef PANELS
#undef WIDEN
