/* cpu.h - which instruction sets the CPU has and the system supports, and which
 * kernels are used because of them. */
#ifndef ND_CPU_H
#define ND_CPU_H

#include "nd.h"

/* The n-th feature of this CPU among those that decide about kernels, from 0; NULL
 * after the last. */
const char *nd_cpu_feature(int n);

/* Which version of ND_CLONES loops (simd.h) runs: "x86-64-v4", "x86-64-v3" or
 * "default". */
const char *nd_cpu_level(void);

/* Which of our own matrix kernels are used: the best that the CPU can run (AVX-512;
 * or AVX2, FMA and F16C), or fewer if the environment variable
 * NEURALDRUMMER_KERNELS is avx2 or blas. Chosen once for the process. */
typedef enum nd_kernels { ND_KERNELS_NONE, ND_KERNELS_AVX2, ND_KERNELS_AVX512 } nd_kernels;

nd_kernels nd_cpu_kernels(void);
const char *nd_cpu_kernels_name(void);   /* "avx512", "avx2", or "blas": OpenBLAS alone */

#endif
