/* blas.h - plain matrix products. All matrices are row-major float32. blas.c hands
 * them to OpenBLAS, and is the only file that includes its header. In a module
 * that depends on no library, compiled with ND_NO_OPENBLAS, the kernels of gemm.c
 * do them instead. */
#ifndef ND_NET_BLAS_H
#define ND_NET_BLAS_H

#include "../base/nd.h"

typedef enum nd_trans { ND_N = 0, ND_T = 1 } nd_trans;

/* c (m, n) = a (m, k) b (k, n) + beta c, where `ta`/`tb` say that a/b is
 * stored transposed. Rows are contiguous (leading dimension = row length). With beta 0,
 * c need not be initialised. A product of one row and of b as it is neither allocates
 * nor locks: it is nd_gemv of kernels.h. */
void nd_gemm(nd_trans ta, nd_trans tb, int32_t m, int32_t n, int32_t k, const float *a,
             const float *b, float beta, float *c);

/* How many threads OpenBLAS may use, from 1, until the matching nd_blas_end().
 *
 * OpenBLAS has one count for the whole process, which a host may have set for its
 * own work. The last end puts back what the first begin found. The calls nest,
 * and several host threads may make them at a time: the users are counted under a
 * lock. While calls overlap, the count of the latest begin is in force for all,
 * which changes how fast products are and not whether they are right. A host that
 * sets the count itself between begin and end loses that setting. */
void nd_blas_begin(int threads);
void nd_blas_end(void);

/* The kernels that the library chose for this CPU, e.g. "SkylakeX". */
const char *nd_blas_core(void);

#endif
