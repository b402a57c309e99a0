/* rates.c - how fast this machine is, for our figures to be compared with: the Lua
 * module `rates`, which the benchmarks load. It uses nothing of csrc, so that a
 * change there cannot change the yardstick. */
#define _GNU_SOURCE  /* clock_gettime */
#include <cblas.h>
#include <lauxlib.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

int luaopen_rates(lua_State *L);

static double seconds(void) {
  struct timespec t = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* rates.sgemm(n, threads) -> flop/s of an n-cube product, best of three */
static int sgemm(lua_State *L) {
  const lua_Integer n = luaL_checkinteger(L, 1), threads = luaL_optinteger(L, 2, 1);
  luaL_argcheck(L, n >= 1 && n <= 8192, 1, "n is in 1..8192");
  luaL_argcheck(L, threads >= 1 && threads <= 256, 2, "threads are in 1..256");
  const size_t size = (size_t)n * (size_t)n;
  float *a = lua_newuserdatauv(L, 3 * size * sizeof *a, 0), *b = a + size, *c = b + size;
  for (size_t i = 0; i < 2 * size; i++) a[i] = (float)(i % 17) * 0.01f;
  const double flops = 2.0 * (double)n * (double)n * (double)n;
  const int former = openblas_get_num_threads();
  double best = 0;
  openblas_set_num_threads((int)threads);
  for (int k = 0; k < 3; k++) {
    const double start = seconds();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)n, (int)n, 1.0f, a, (int)n,
                b, (int)n, 0.0f, c, (int)n);
    const double taken = seconds() - start;
    if (taken > 0 && flops / taken > best) best = flops / taken;
  }
  openblas_set_num_threads(former);
  lua_pushnumber(L, best);
  return 1;
}

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
static uint64_t read_words(size_t n, const uint64_t *x) {
  uint64_t all = 0;
  for (size_t i = 0; i < n; i++) all ^= x[i];
  return all;
}

/* rates.memory(bytes) -> bytes/s of reading a block over and over, and of copying it,
 * best of five: the rates of the cache that the block fits into */
static int memory(lua_State *L) {
  const lua_Integer bytes = luaL_checkinteger(L, 1);
  luaL_argcheck(L, bytes >= 64 && bytes <= (lua_Integer)1 << 30, 1, "bytes are in 64..2^30");
  const size_t line = 64, size = ((size_t)bytes + line - 1) / line * line;
  const size_t rounds = ((size_t)1 << 26) / size + 1;
  char *block = lua_newuserdatauv(L, 2 * size + line, 0);
  block += (line - (uintptr_t)block % line) % line;
  memset(block, 1, 2 * size);
  const double all = (double)size * (double)rounds;
  double read = 0, copied = 0;
  for (int k = 0; k < 5; k++) {
    uint64_t sum = 0;
    const double start = seconds();
    for (size_t i = 0; i < rounds; i++)
      sum ^= read_words(size / 8, (const uint64_t *)(void *)block);
    const double middle = seconds();
    for (size_t i = 0; i < rounds; i++) {
      block[i % size] = (char)sum;  /* so that no copy is the same as the last */
      memcpy(block + size, block, size);
    }
    const double end = seconds();
    if (middle > start && all / (middle - start) > read) read = all / (middle - start);
    if (end > middle && all / (end - middle) > copied) copied = all / (end - middle);
  }
  lua_pushnumber(L, read);
  lua_pushnumber(L, copied);
  return 2;
}

int luaopen_rates(lua_State *L) {
  static const luaL_Reg functions[] = {{"sgemm", sgemm}, {"memory", memory}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
