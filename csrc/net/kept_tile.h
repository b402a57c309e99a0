/* kept_tile.h - the innermost loops of kept.c, included by it once for each
 * instruction set, with
 *   NAME(x)   x with the set's name            ISA      function attribute
 *   LANES     floats of a vector register      ROWS, VECTORS  of a tile
 *   ABREAST   panels that one row goes along at a time: enough sums to hide
 *             what a multiply-add takes
 *   WIDEN(p)  LANES halves at p as floats
 * No guard: it is meant to be included more than once. */

typedef float NAME(vector) __attribute__((vector_size(4 * LANES)));

enum { NAME(WIDTH) = LANES * VECTORS };

/* Vector `v` of row `j` of a panel. */
ISA KEPT_INLINE NAME(vector) NAME(load)(const bool half, const void *panel, size_t j, int v) {
  size_t at = j * NAME(WIDTH) + (size_t)v * LANES;
  if (half) return (NAME(vector))WIDEN((const uint16_t *)panel + at);
  NAME(vector) out;
  memcpy(&out, (const float *)panel + at, sizeof out);
  return out;
}

/* The first `columns` of some sums go to c, or are added to it. */
ISA KEPT_INLINE void NAME(store)(const int n, int32_t columns, bool add, const NAME(vector) *sum,
                                 float *c) {
  if (columns >= n * LANES) {
    UNROLL for (int v = 0; v < n; v++) {
      NAME(vector) old = {0};
      if (add) memcpy(&old, c + v * LANES, sizeof old);
      old += sum[v];
      memcpy(c + v * LANES, &old, sizeof old);
    }
    return;
  }
  float part[LANES * VECTORS];
  UNROLL for (int v = 0; v < n; v++) memcpy(part + v * LANES, &sum[v], sizeof sum[v]);
  for (int32_t j = 0; j < columns; j++) c[j] = (add ? c[j] : 0.0f) + part[j];
}

/* One tile: `m` rows of a times n vectors of a panel. */
ISA KEPT_INLINE void NAME(tile)(const int m, const int n, const bool half, int32_t columns,
                                int32_t k, const float *a, const void *panel, bool add, float *c,
                                size_t c_step) {
  NAME(vector) sum[ROWS][VECTORS];
  UNROLL for (int i = 0; i < m; i++)
    UNROLL for (int v = 0; v < n; v++) sum[i][v] = (NAME(vector)){0};
  for (size_t j = 0; j < (size_t)k; j++) {
    NAME(vector) b[VECTORS];
    UNROLL for (int v = 0; v < n; v++) b[v] = NAME(load)(half, panel, j, v);
    UNROLL for (int i = 0; i < m; i++) {
      float x = a[(size_t)i * (size_t)k + j];
      UNROLL for (int v = 0; v < n; v++) sum[i][v] += x * b[v];
    }
  }
  UNROLL for (int i = 0; i < m; i++) NAME(store)(n, columns, add, sum[i], c + (size_t)i * c_step);
}

#define TILE(M, N) \
  case M: NAME(tile)(M, N, half, columns, k, a, panel, add, c, c_step); break;
#if ROWS == 8
#define TILES(N) TILE(1, N) TILE(2, N) TILE(3, N) TILE(4, N) TILE(5, N) TILE(6, N) TILE(7, N) TILE(8, N)
#else
#define TILES(N) TILE(1, N) TILE(2, N) TILE(3, N) TILE(4, N) TILE(5, N) TILE(6, N)
#endif

/* One panel for m rows, in tiles of nearly equal height. */
ISA KEPT_INLINE void NAME(rows)(const bool half, int32_t m, int32_t columns, int32_t k,
                                const float *a, const void *panel, bool add, float *c,
                                size_t c_step) {
  for (int32_t tiles = (m + ROWS - 1) / ROWS; tiles > 0; tiles--) {
    int32_t high = (m + tiles - 1) / tiles;
    if (columns > LANES * (VECTORS - 1)) switch (high) { TILES(VECTORS) default: break; }
#if VECTORS == 3
    else if (columns > LANES) switch (high) { TILES(2) default: break; }
#endif
    else switch (high) { TILES(1) default: break; }
    m -= high;
    a += (size_t)high * (size_t)k;
    c += (size_t)high * c_step;
  }
}

/* One row along ABREAST whole panels, `apart` bytes apart. By eights: AVX-512's
 * widening of halves is the slower where each is used once. */
ISA KEPT_INLINE void NAME(along)(const bool half, int32_t k, const float *a, const char *panel,
                                 size_t apart, bool add, float *c) {
  enum { EIGHTS = NAME(WIDTH) / 8 };
  kept_eight sum[ABREAST][EIGHTS];
  UNROLL for (int p = 0; p < ABREAST; p++)
    UNROLL for (int v = 0; v < EIGHTS; v++) sum[p][v] = (kept_eight){0};
  for (size_t j = 0; j < (size_t)k; j++) {
    UNROLL for (int p = 0; p < ABREAST; p++)
      UNROLL for (int v = 0; v < EIGHTS; v++)
        sum[p][v] += a[j] * kept_load(half, panel + (size_t)p * apart, j * NAME(WIDTH) + 8 * (size_t)v);
  }
  UNROLL for (int p = 0; p < ABREAST; p++)
    UNROLL for (int v = 0; v < EIGHTS; v++, c += 8) {
      kept_eight old = {0};
      if (add) memcpy(&old, c, sizeof old);
      old += sum[p][v];
      memcpy(c, &old, sizeof old);
    }
}

ISA KEPT_INLINE void NAME(product)(const bool half, const nd_kept *w, int32_t m, const float *a,
                                   bool add, float *c) {
  const int32_t k = w->k, n = w->n;
  const size_t apart = (size_t)k * NAME(WIDTH) * (half ? 2 : 4);
  const char *panel = w->panels;
  int32_t from = 0;
  if (m == 1)
    for (; from + ABREAST * NAME(WIDTH) <= n; from += ABREAST * NAME(WIDTH), panel += ABREAST * apart)
      NAME(along)(half, k, a, panel, apart, add, c + from);
  for (; from < n; from += NAME(WIDTH), panel += apart)
    NAME(rows)(half, m, n - from < NAME(WIDTH) ? n - from : NAME(WIDTH), k, a, panel, add, c + from,
               (size_t)n);
}

ISA static void NAME(gemm)(const nd_kept *w, int32_t m, const float *a, bool add, float *c) {
  if (w->half) NAME(product)(true, w, m, a, add, c);
  else NAME(product)(false, w, m, a, add, c);
}

ISA KEPT_INLINE void NAME(list)(const bool half, const nd_kept *w, int32_t many,
                                const int32_t *at, const float *x, float *z) {
  enum { EIGHTS = NAME(WIDTH) / 8 };
  const size_t apart = (size_t)w->k * NAME(WIDTH) * (half ? 2 : 4);
  const char *panel = w->panels;
  for (int32_t from = 0; from < w->n; from += NAME(WIDTH), panel += apart) {
    int32_t columns = w->n - from;
    kept_eight sum[EIGHTS];
    float part[NAME(WIDTH)] = {0};
    float *to = columns >= NAME(WIDTH) ? z + from : part;
    if (to == part) memcpy(part, z + from, (size_t)columns * sizeof *z);
    UNROLL for (int v = 0; v < EIGHTS; v++) memcpy(&sum[v], to + 8 * v, sizeof sum[v]);
    for (int32_t i = 0; i < many; i++)
      UNROLL for (int v = 0; v < EIGHTS; v++)
        sum[v] += x[i] * kept_load(half, panel, (size_t)at[i] * NAME(WIDTH) + 8 * (size_t)v);
    UNROLL for (int v = 0; v < EIGHTS; v++) memcpy(to + 8 * v, &sum[v], sizeof sum[v]);
    if (to == part) memcpy(z + from, part, (size_t)columns * sizeof *z);
  }
}

ISA static void NAME(sparse)(const nd_kept *w, int32_t many, const int32_t *at, const float *x,
                             float *z) {
  if (w->half) NAME(list)(true, w, many, at, x, z);
  else NAME(list)(false, w, many, at, x, z);
}

#undef TILES
#undef TILE
#undef NAME
#undef ISA
#undef LANES
#undef ROWS
#undef VECTORS
#undef ABREAST
#undef WIDEN
