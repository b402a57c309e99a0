/* machine.c - the machine around us: what its CPU has, what is used of it, and how
 * fast it is, for figures of ours to be held against.
 */
#define _GNU_SOURCE  /* clock_gettime */
#include <string.h>
#include <time.h>

#include "../base/cpu.h"
#include "../net/blas.h"
#include "../net/blas_threads.h"
#include "../net/kernels.h"
#include "lnd.h"

static double seconds(void) {
  struct timespec t = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* core.cpu() -> {features, blas, packed, loops} */
static int core_cpu(lua_State *L) {
  lua_newtable(L);
  lua_newtable(L);                                    /* cpu,features */
  const char *name;
  for (int i = 0; (name = nd_cpu_feature(i)) != NULL; i++) {
    lua_pushstring(L, name);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "features");
  lua_pushstring(L, nd_blas_core());
  lua_setfield(L, -2, "blas");
  lua_pushstring(L, nd_cpu_kernels_name());
  lua_setfield(L, -2, "packed");
  lua_pushstring(L, nd_cpu_level());
  lua_setfield(L, -2, "loops");
  return 1;
}

/* The machine's own rate of matrix products: n cubed, best of three. */
static int core_sgemm_rate(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1), threads = luaL_optinteger(L, 2, 1);
  luaL_argcheck(L, n >= 1 && n <= 8192, 1, "n is in 1..8192");
  luaL_argcheck(L, threads >= 1 && threads <= 256, 2, "threads are in 1..256");
  size_t size = (size_t)n * (size_t)n;
  float *a = lua_newuserdatauv(L, 3 * size * sizeof *a, 0), *b = a + size, *c = b + size;
  for (size_t i = 0; i < 2 * size; i++) a[i] = (float)(i % 17) * 0.01f;
  double best = 0;
  nd_blas_begin((int)threads);
  for (int k = 0; k < 3; k++) {
    double start = seconds();
    nd_gemm(ND_N, ND_N, (int32_t)n, (int32_t)n, (int32_t)n, a, b, 0.0f, c);
    double taken = seconds() - start, cube = (double)n * (double)n * (double)n;
    if (taken > 0 && 2.0 * cube / taken > best) best = 2.0 * cube / taken;
  }
  nd_blas_end();
  lua_pushnumber(L, best);
  lua_pushstring(L, nd_blas_core());
  return 2;
}

/* The machine's own rates of reading and of copying a block of so many bytes over
 * and over, best of five: which cache gives it depends on its size. */
static int core_memory_rate(lua_State *L) {
  lua_Integer bytes = luaL_checkinteger(L, 1);
  luaL_argcheck(L, bytes >= 64 && bytes <= (lua_Integer)1 << 30, 1, "bytes are in 64..2^30");
  size_t line = 64, size = ((size_t)bytes + line - 1) / line * line, words = size / 8;
  size_t turns = ((size_t)1 << 26) / size + 1;
  char *block = lua_newuserdatauv(L, 2 * size + line, 0);
  block += (line - (uintptr_t)block % line) % line;
  memset(block, 1, 2 * size);
  double read = 0, copied = 0, all = (double)size * (double)turns;
  for (int k = 0; k < 5; k++) {
    uint64_t odd = 0;
    double start = seconds();
    for (size_t i = 0; i < turns; i++) odd ^= nd_read_words(words, (const uint64_t *)(void *)block);
    double middle = seconds();
    for (size_t i = 0; i < turns; i++) {
      block[i % size] = (char)odd;  /* another copy than the last */
      memcpy(block + size, block, size);
    }
    double end = seconds();
    if (middle > start && all / (middle - start) > read) read = all / (middle - start);
    if (end > middle && all / (end - middle) > copied) copied = all / (end - middle);
  }
  lua_pushnumber(L, read);
  lua_pushnumber(L, copied);
  return 2;
}

void lnd_open_machine(lua_State *L) {
  static const luaL_Reg functions[] = {{"cpu", core_cpu}, {"sgemm_rate", core_sgemm_rate},
                                       {"memory_rate", core_memory_rate}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);  /* core */
}
