/* cpu.h - which instructions this CPU has, and which kernels are chosen by them.
 * Decisions are by feature bits, never by family, so that a CPU newer than this
 * source is recognised. A feature counts only if the operating system saves its
 * registers, too. Nothing here fails; on other than x86-64 there are no features. */
#ifndef ND_CPU_H
#define ND_CPU_H

#include "nd.h"

/* The name of the n-th feature of this CPU, from 0, of those that matter to our
 * kernels; NULL when there are no more. */
const char *nd_cpu_feature(int n);

/* Which version of the ND_CLONES functions (simd.h) the linker has bound:
 * "x86-64-v4", "x86-64-v3" or "default". */
const char *nd_cpu_level(void);

/* The kernels for matrix products (gemm.h): ND_KERNELS_AVX512 needs AVX-512F,
 * ND_KERNELS_AVX2 needs AVX2, FMA and F16C. The environment variable
 * NEURALDRUMMER_KERNELS = avx512, avx2 or blas asks for lesser ones: for tests and
 * comparisons. Chosen at the first call, for the life of the process. */
typedef enum nd_kernels { ND_KERNELS_NONE, ND_KERNELS_AVX2, ND_KERNELS_AVX512 } nd_kernels;

nd_kernels nd_cpu_kernels(void);
const char *nd_cpu_kernels_name(void);   /* "avx512", "avx2"; "blas" for none */

#endif
