/* simd.h - macros for loops that are compiled once for each generation of x86-64.
 *
 * ND_CLONES before a function: the compiler makes a version for AVX-512, one for
 * AVX2 and one for every CPU, and the dynamic linker binds the best one when the
 * module is loaded (an ifunc, so glibc only; nd_cpu_level() tells which). clang
 * takes single features instead of levels, so its AVX2 version has no fused
 * multiply-add, and its sums may differ from gcc's in the last place. The
 * sanitizers are not yet initialised when an ifunc is resolved: no clones there. */
#ifndef ND_SIMD_H
#define ND_SIMD_H

#include <stdint.h>  /* defines __GLIBC__ where there is one */

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#if !defined(__clang__)
#define ND_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#endif

#ifdef ND_CLONES
#define ND_HAS_CLONES 1
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
