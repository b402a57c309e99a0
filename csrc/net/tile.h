/* tile.h - the innermost loops of packed.c, included by it once for each
 * instruction set, with
 *   NAME(x)   x with the set's name            ISA      function attribute
 *   LANES     floats of a vector register      ROWS, VECTORS  of a tile
 * A tile of ROWS x VECTORS sums fills the registers, and leaves as many as the
 * operands need. No guard: it is meant to be included more than once. */

typedef float NAME(vector) __attribute__((vector_size(4 * LANES)));

/* One tile: adds a panel (k, LANES * VECTORS) times `m` rows to c. `m`, `n`
 * and `across` are constants where this is called; of the n vectors, `columns`
 * columns are c's. */
ISA TILE_INLINE void NAME(tile)(const int m, const int n, const bool across, int32_t columns,
                                int32_t k, const float *a, size_t step, const float *panel,
                                bool fresh, float *c, size_t c_step) {
  NAME(vector) sum[ROWS][VECTORS];
  UNROLL for (int i = 0; i < m; i++)
    UNROLL for (int v = 0; v < n; v++) sum[i][v] = (NAME(vector)){0};
  for (int32_t j = 0; j < k; j++, panel += LANES * VECTORS, a += across ? step : 1) {
    NAME(vector) b[VECTORS];
    UNROLL for (int v = 0; v < n; v++) memcpy(&b[v], panel + v * LANES, sizeof b[v]);
    UNROLL for (int i = 0; i < m; i++) {
      float x = a[across ? (size_t)i : (size_t)i * step];
      UNROLL for (int v = 0; v < n; v++) sum[i][v] += x * b[v];
    }
  }
  UNROLL for (int i = 0; i < m; i++, c += c_step) {
    if (columns == n * LANES) {
      UNROLL for (int v = 0; v < n; v++) {
        NAME(vector) old = {0};
        if (!fresh) memcpy(&old, c + v * LANES, sizeof old);
        old += sum[i][v];
        memcpy(c + v * LANES, &old, sizeof old);
      }
    } else {
      float part[LANES * VECTORS];
      UNROLL for (int v = 0; v < n; v++) memcpy(part + v * LANES, &sum[i][v], sizeof sum[i][v]);
      for (int32_t j = 0; j < columns; j++) c[j] = (fresh ? 0.0f : c[j]) + part[j];
    }
  }
}

#define TILE(M, N) \
  case M: NAME(tile)(M, N, across, columns, k, a, step, panel, fresh, c, c_step); break;
#if ROWS == 8
#define TILES(N) TILE(1, N) TILE(2, N) TILE(3, N) TILE(4, N) TILE(5, N) TILE(6, N) TILE(7, N) TILE(8, N)
#else
#define TILES(N) TILE(1, N) TILE(2, N) TILE(3, N) TILE(4, N) TILE(5, N) TILE(6, N)
#endif

ISA TILE_INLINE void NAME(pick)(const bool across, int32_t m, int32_t columns, int32_t k,
                                const float *a, size_t step, const float *panel, bool fresh,
                                float *c, size_t c_step) {
  if (columns > LANES * (VECTORS - 1)) switch (m) { TILES(VECTORS) default: break; }
#if VECTORS == 3
  else if (columns > LANES) switch (m) { TILES(2) default: break; }
#endif
  else switch (m) { TILES(1) default: break; }
}

ISA static void NAME(row)(int32_t m, int32_t columns, int32_t k, const float *a, size_t step,
                          const float *panel, bool fresh, float *c, size_t c_step) {
  /* tiles of nearly equal height: 33 rows are 7 + 7 + 7 + 6 + 6 */
  for (int32_t tiles = (m + ROWS - 1) / ROWS; tiles > 0; tiles--) {
    int32_t high = (m + tiles - 1) / tiles;
    NAME(pick)(false, high, columns, k, a, step, panel, fresh, c, c_step);
    m -= high;
    a += (size_t)high * step;
    c += (size_t)high * c_step;
  }
}

ISA static void NAME(across)(int32_t m, int32_t columns, int32_t k, const float *a, size_t step,
                             const float *panel, bool fresh, float *c, size_t c_step) {
  for (; m > 0; m -= ROWS, a += ROWS, c += ROWS * c_step)
    NAME(pick)(true, m < ROWS ? m : ROWS, columns, k, a, step, panel, fresh, c, c_step);
}

ISA static void NAME(panel)(int32_t k, int32_t columns, const float *restrict b, size_t step,
                            float *restrict panel, float *restrict sum) {
  if (columns < LANES * VECTORS) memset(panel, 0, (size_t)k * LANES * VECTORS * sizeof *panel);
  for (int32_t j = 0; j < k; j++, b += step, panel += LANES * VECTORS)
    for (int32_t q = 0; q < columns; q++) {
      panel[q] = b[q];
      sum[q] += b[q];
    }
}

#undef TILES
#undef TILE
#undef NAME
#undef ISA
#undef LANES
#undef ROWS
#undef VECTORS
