/* blas.h - plain matrix products. All matrices are row-major float32. blas.c hands
 * them to OpenBLAS, and is the only file that includes its header. In a module
 * that depends on no library, compiled with ND_NO_OPENBLAS, the kernels of gemm.c
 * do them instead. */
#ifndef ND_NET_BLAS_H
#define ND_NET_BLAS_H

#include "../base/nd.h"

typedef enum nd_trans { ND_N = 0, ND_T = 1 } nd_trans;

/* c (m, n) = a (m, k) b (k, n) + beta c, where `ta`/`tb` say that a/b is
 * stored transposed. Rows are contiguous (leading dimension = row length). */
void nd_gemm(nd_trans ta, nd_trans tb, int32_t m, int32_t n, int32_t k, const float *a,
             const float *b, float beta, float *c);

/* Sets the number of BLAS threads of the process and returns the former one,
 * which the caller puts back: a host's own setting survives our calls. */
int nd_blas_threads(int n);
int nd_blas_threads_now(void);

/* The kernels that the library chose for this CPU, e.g. "SkylakeX". */
const char *nd_blas_core(void);

#endif
