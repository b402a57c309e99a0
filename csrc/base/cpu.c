/* cpu.c - chooses the kernels for this CPU, by feature bits and never by model or
 * family, so that CPUs newer than this source get the best that they can run. */
#include "cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "simd.h"

static const char *const kernel_names[] = {"blas", "avx2", "avx512"};

#if defined(__x86_64__) && defined(__GNUC__)

/* Every feature that decides about kernels: its bit, and the compiler's name for
 * it. The builtin wants a literal, hence a macro and not a table. */
#define FEATURES(X)                                                                  \
  X(SSE42, "sse4.2") X(AVX, "avx") X(AVX2, "avx2") X(FMA, "fma") X(F, "avx512f")     \
  X(CD, "avx512cd") X(DQ, "avx512dq") X(BW, "avx512bw") X(VL, "avx512vl")
#define AS_BIT(bit, name) bit,
#define AS_NAME(bit, name) name,
#define TEST(bit, name) bits |= __builtin_cpu_supports(name) ? 1u << (bit) : 0;

enum { FEATURES(AS_BIT) N_FEATURES };
static const char *const names[N_FEATURES] = {FEATURES(AS_NAME)};

/* A bit for each feature that the CPU has. For AVX and AVX-512 the builtin also
 * asks whether the system saves their registers. */
static unsigned detect(void) {
  unsigned bits = 0;
  __builtin_cpu_init();
  FEATURES(TEST)
  return bits;
}

/* The features that code for x86-64-v3, and below for x86-64-v4, may use. */
static bool has_avx2(unsigned bits) { return (bits >> AVX2 & 1u) != 0 && (bits >> FMA & 1u) != 0; }

const char *nd_cpu_feature(int n) {
  unsigned bits = detect();
  for (int i = 0; i < N_FEATURES; i++)
    if ((bits >> i & 1u) != 0 && n-- == 0) return names[i];
  return NULL;
}

#ifdef ND_HAS_CLONES
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

/* The best kernels that run here. They also need F16C, which not every compiler can
 * be asked about; every CPU with AVX2 has it. */
static nd_kernels best_kernels(void) {
  unsigned bits = detect();
  return !has_avx2(bits) ? ND_KERNELS_NONE : (bits >> F & 1u) != 0 ? ND_KERNELS_AVX512
                                                                    : ND_KERNELS_AVX2;
}

#else

static nd_kernels best_kernels(void) { return ND_KERNELS_NONE; }

const char *nd_cpu_feature(int n) {
  (void)n;
  return NULL;
}

const char *nd_cpu_level(void) { return "default"; }

#endif

/* The best kernels, or what NEURALDRUMMER_KERNELS names if that is less. */
static nd_kernels choose(void) {
  const char *asked = getenv("NEURALDRUMMER_KERNELS");
  nd_kernels set = best_kernels();
  if (asked == NULL) return set;
  for (nd_kernels less = ND_KERNELS_NONE; less < set; less++)
    if (strcmp(asked, kernel_names[less]) == 0) return less;
  return set;
}

/* The first call chooses. Two threads may do so at once: they choose the same. */
nd_kernels nd_cpu_kernels(void) {
  static _Atomic(int) chosen = -1;
  int set = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (set < 0) {
    set = (int)choose();
    atomic_store_explicit(&chosen, set, memory_order_relaxed);
  }
  return (nd_kernels)set;
}

const char *nd_cpu_kernels_name(void) { return kernel_names[nd_cpu_kernels()]; }
