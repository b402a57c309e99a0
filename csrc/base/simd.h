/* simd.h - macros for loops that are compiled once for each generation of x86-64.
 *
 * ND_CLONES before a function: the compiler makes a version for AVX-512, one for
 * AVX2 and one for every CPU, and the dynamic linker binds the best one when the
 * module is loaded; nd_cpu_level() tells which. This is an ifunc, so it needs glibc.
 * It needs gcc, too: clang 14 gives the function another symbol (name.ifunc), which
 * callers in other files do not find. A module built by clang has the version for
 * every CPU only (4 floats at a time); the products of gemm.c are as fast as gcc's.
 * The sanitizers are not initialised yet when an ifunc is resolved: no clones. */
#ifndef ND_SIMD_H
#define ND_SIMD_H

#include <stdint.h>  /* defines __GLIBC__ where there is one */

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ND_HAS_CLONES 1
#define ND_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ND_CLONES
#endif

/* An ordinary inline function is not inlined into clones or into functions with
 * a target attribute; always_inline is. */
#define ND_INLINE static inline __attribute__((always_inline))

/* Before a loop with at most 8 turns: its counter becomes a constant, so that
 * arrays of vectors indexed by it live in registers. */
#if defined(__clang__)
#define ND_UNROLL _Pragma("unroll")
#else
#define ND_UNROLL _Pragma("GCC unroll 8")
#endif

#endif
