/* cpu.h - what the CPU has, and the system lets programs use. By feature bits,
 * never by family: a CPU that is newer than this source is known all the same. */
#ifndef ND_CPU_H
#define ND_CPU_H

#include "nd.h"

/* The n-th feature that it has, of those that decide about kernels, from 0;
 * NULL: no more. */
const char *nd_cpu_feature(int n);

/* The kernels of OpenBLAS that are the fastest for it, by the name that
 * OPENBLAS_CORETYPE takes; NULL: leave it to OpenBLAS. */
const char *nd_cpu_coretype(void);

/* Of the loops that are compiled for several generations of x86-64, the one
 * that is taken: "x86-64-v4", "x86-64-v3"; else "default". */
const char *nd_cpu_level(void);

#endif
