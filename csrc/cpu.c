#include "cpu.h"

#if defined(__x86_64__) && defined(__GNUC__)

enum { SSE42, AVX, AVX2, FMA, F, CD, DQ, BW, VL, N_FEATURES };
static const char *const names[N_FEATURES] = {"sse4.2", "avx", "avx2", "fma", "avx512f",
                                              "avx512cd", "avx512dq", "avx512bw", "avx512vl"};

/* A bit for each; of AVX and AVX-512 also that the system keeps their registers. */
static unsigned found(void) {
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

/* What its kernels for Haswell and for Skylake-X are compiled with. */
static bool has_avx2(unsigned bits) { return (bits >> AVX2 & 1u) != 0 && (bits >> FMA & 1u) != 0; }

static bool has_avx512(unsigned bits) {
  unsigned all = 1u << F | 1u << CD | 1u << DQ | 1u << BW | 1u << VL;
  return has_avx2(bits) && (bits & all) == all;
}

const char *nd_cpu_feature(int n) {
  unsigned bits = found();
  for (int i = 0; i < N_FEATURES; i++)
    if ((bits >> i & 1u) != 0 && n-- == 0) return names[i];
  return NULL;
}

/* Names that every OpenBLAS since 2018 knows: one that was built without these
 * kernels takes the next lower ones under the same name. */
const char *nd_cpu_coretype(void) {
  unsigned bits = found();
  return has_avx512(bits) ? "SkylakeX" : has_avx2(bits) ? "Haswell" : NULL;
}

#if defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
const char *nd_cpu_level(void) {
  unsigned bits = found();
  return has_avx512(bits) ? "x86-64-v4" : has_avx2(bits) ? "x86-64-v3" : "default";
}
#else
const char *nd_cpu_level(void) { return "default"; }
#endif

#else

const char *nd_cpu_feature(int n) {
  (void)n;
  return NULL;
}

const char *nd_cpu_coretype(void) { return NULL; }

const char *nd_cpu_level(void) { return "default"; }

#endif
