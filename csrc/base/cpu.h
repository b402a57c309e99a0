/* cpu.h - what the CPU has, and the system lets programs use. By feature bits,
 * never by family: a CPU that is newer than this source is known all the same. */
#ifndef ND_CPU_H
#define ND_CPU_H

#include "nd.h"

/* The n-th feature that it has, of those that decide about kernels, from 0;
 * NULL: no more. */
const char *nd_cpu_feature(int n);

/* Of the loops that are compiled for several generations of x86-64, the one
 * that is taken: "x86-64-v4", "x86-64-v3"; else "default". */
const char *nd_cpu_level(void);

/* Of the products' kernels of our own, those that are taken: by what the CPU has
 * (AVX-512; AVX2, FMA and F16C), or less where the environment variable
 * NEURALDRUMMER_KERNELS = avx512, avx2 or blas asks for less. Chosen once. */
typedef enum nd_kernels { ND_KERNELS_NONE, ND_KERNELS_AVX2, ND_KERNELS_AVX512 } nd_kernels;

nd_kernels nd_cpu_kernels(void);
const char *nd_cpu_kernels_name(void);   /* "avx512", "avx2"; "blas": none, BLAS's */

#endif
