/* cpu.c - detection by the compiler's __builtin_cpu_supports(), which executes CPUID
 * and XGETBV. */
#include "cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "simd.h"

/* By nd_kernels. */
static const char *const kernel_names[] = {"blas", "avx2", "avx512"};

#if defined(__x86_64__) && defined(__GNUC__)

enum { SSE42, AVX, AVX2, FMA, F, CD, DQ, BW, VL, N_FEATURES };
static const char *const names[N_FEATURES] = {"sse4.2", "avx", "avx2", "fma", "avx512f",
                                              "avx512cd", "avx512dq", "avx512bw", "avx512vl"};

/* A bit for each feature that this CPU has. The builtin takes literal names only, so
 * there is no loop. */
static unsigned detect(void) {
  unsigned bits = 0;
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2")) bits |= 1u << SSE42;
  if (__builtin_cpu_supports("avx")) bits |= 1u << AVX;
  if (__builtin_cpu_supports("avx2")) bits |= 1u << AVX2;
  if (__builtin_cpu_supports("fma")) bits |= 1u << FMA;
  if (__builtin_cpu_supports("avx512f")) bits |= 1u << F;
  if (__builtin_cpu_supports("avx512cd")) bits |= 1u << CD;
  if (__builtin_cpu_supports("avx512dq")) bits |= 1u << DQ;
  if (__builtin_cpu_supports("avx512bw")) bits |= 1u << BW;
  if (__builtin_cpu_supports("avx512vl")) bits |= 1u << VL;
  return bits;
}

/* The features that the compiler may use in code for x86-64-v3. */
static bool has_avx2(unsigned bits) { return (bits >> AVX2 & 1u) != 0 && (bits >> FMA & 1u) != 0; }

const char *nd_cpu_feature(int n) {
  unsigned bits = detect();
  for (int i = 0; i < N_FEATURES; i++)
    if ((bits >> i & 1u) != 0 && n-- == 0) return names[i];
  return NULL;
}

#ifdef ND_HAS_CLONES
/* ... and for x86-64-v4. */
static bool has_avx512(unsigned bits) {
  unsigned all = 1u << F | 1u << CD | 1u << DQ | 1u << BW | 1u << VL;
  return has_avx2(bits) && (bits & all) == all;
}

const char *nd_cpu_level(void) {
  unsigned bits = detect();
  return has_avx512(bits) ? "x86-64-v4" : has_avx2(bits) ? "x86-64-v3" : "default";
}
#else
const char *nd_cpu_level(void) { return "default"; }
#endif

/* The best kernels for this CPU. F16C is not asked for, because some compilers cannot:
 * every CPU with AVX2 has it. */
static nd_kernels best(void) {
  unsigned bits = detect();
  if (!has_avx2(bits)) return ND_KERNELS_NONE;
  return (bits >> F & 1u) != 0 ? ND_KERNELS_AVX512 : ND_KERNELS_AVX2;
}

#else

static nd_kernels best(void) { return ND_KERNELS_NONE; }

const char *nd_cpu_feature(int n) {
  (void)n;
  return NULL;
}

const char *nd_cpu_level(void) { return "default"; }

#endif

/* The environment can ask for lesser kernels, not for ones that would crash here. An
 * unknown name is ignored. */
static nd_kernels choose(void) {
  const char *asked = getenv("NEURALDRUMMER_KERNELS");
  nd_kernels set = best();
  if (asked == NULL) return set;
  for (nd_kernels lesser = ND_KERNELS_NONE; lesser < set; lesser++)
    if (strcmp(asked, kernel_names[lesser]) == 0) return lesser;
  return set;
}

/* The first caller chooses. Two threads that call at the same time choose the same,
 * so relaxed order is enough. */
nd_kernels nd_cpu_kernels(void) {
  static _Atomic(int) known = -1;
  int set = atomic_load_explicit(&known, memory_order_relaxed);
  if (set < 0) {
    set = (int)choose();
    atomic_store_explicit(&known, set, memory_order_relaxed);
  }
  return (nd_kernels)set;
}

const char *nd_cpu_kernels_name(void) { return kernel_names[nd_cpu_kernels()]; }
