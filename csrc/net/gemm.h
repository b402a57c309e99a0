/* gemm.h - matrix products c = a b with weights b prepared for them.
 *
 * An nd_matrix either borrows the caller's row-major weights, or has a copy of
 * them packed into panels of `width` columns (48 with AVX-512, 16 with AVX2):
 *
 *          b (k, n), row-major                  panels
 *         <-width-> <-width-> <->          panel 0, then panel 1, then panel 2
 *       | 0 0 0 0 | 1 1 1 1 | 2 2 |        each (k, width), row-major, the last
 *     k | 0 0 0 0 | 1 1 1 1 | 2 2 |   ->   one filled up with zeros: a kernel
 *       | 0 0 0 0 | 1 1 1 1 | 2 2 |        reads memory from front to back
 *
 * BLAS packs b anew for every product, which costs more than the product when a
 * has few rows; an LSTM multiplies by the same weights at every step.
 *
 * The kernels are those of nd_cpu_kernels(). Without any (an old or another CPU,
 * or NEURALDRUMMER_KERNELS=blas) every matrix is borrowed, and nd_gemm of blas.h
 * multiplies. Method: Goto and van de Geijn, "Anatomy of High-Performance Matrix
 * Multiplication" (2008); terms (panel, micro-kernel) as in BLIS.
 *
 * Order of sums: each element of c is summed in the order of k by fused
 * multiply-adds, whatever the number of rows of a; with one matrix for inference, as
 * nd_gemv does it. So rows can be divided among threads, and songs played together or
 * alone, without changing a bit. Nothing here fails; a product with panels, or with
 * one row, neither allocates nor locks. */
#ifndef ND_NET_GEMM_H
#define ND_NET_GEMM_H

#include "blas.h"

typedef struct nd_matrix {
  int32_t k, n;        /* shape of b */
  const float *w;      /* the caller's weights: (k, n), or (n, k) with ND_T */
  nd_trans trans;
  bool half;           /* the panels hold half-precision numbers */
  int32_t k_block;     /* b is multiplied in blocks of at most so many rows */
  void *panels;        /* 64-byte aligned; NULL: borrowed */
} nd_matrix;

/* True if this CPU has kernels. Otherwise products are BLAS's, which has threads
 * of its own, and the caller should use one thread only. */
bool nd_gemm_has_kernels(void);

/* For inference: packs w (k, n) into memory of its own, to be freed by
 * nd_matrix_free. If every weight is exactly representable in half precision (a
 * model saved with `half`), the panels are in halves: a product with one row is
 * limited by memory bandwidth, so this halves its time, and the result is the
 * same. Borrows w, which must stay in any case, if memory is short. */
nd_matrix nd_matrix_pack(int32_t k, int32_t n, const float *w);
nd_matrix nd_matrix_borrow(int32_t k, int32_t n, const float *w);
void nd_matrix_free(nd_matrix *b);
size_t nd_matrix_bytes(const nd_matrix *b);   /* of weights that one product reads */

/* For training, where weights change at every step: a view of w with panels in
 * the caller's memory, nd_panels_size() floats (0 without kernels), 64-byte
 * aligned; NULL: borrowed. nd_matrix_fill packs the columns of one of `parts`
 * threads; all parts must be done before the first product. */
size_t nd_panels_size(int32_t k, int32_t n);
nd_matrix nd_matrix_view(nd_trans trans, int32_t k, int32_t n, const float *w, float *panels);
void nd_matrix_fill(const nd_matrix *b, int part, int parts);

/* c (m, n) = a (m, k) b, or c += a b if `add`. */
void nd_matmul(const nd_matrix *b, int32_t m, const float *a, bool add, float *c);

/* The same for `count` blocks of m rows whose first elements lie a_stride and
 * c_stride floats apart; b is read once for all of them. */
void nd_matmul_blocks(const nd_matrix *b, int32_t count, size_t a_stride, size_t c_stride,
                      int32_t m, const float *a, bool add, float *c);

/* z (n) += x (k) b, skipping elements of x that are 0: inputs are mostly zeros.
 * Unlike above, each product is added to z at once. */
void nd_matmul_sparse(const nd_matrix *b, const float *x, float *z);

/* The gradients of two weight matrices and a bias that share z, given dz (rows, n):
 *   dwx (inputs, n) = x (rows, inputs)^T dz,  dwh (hidden, n) = h (rows, hidden)^T dz,
 *   db (n) = the sum of the rows of dz.
 * Writes the columns of one of `parts` threads. With `inputs` 0, x and dwx are not
 * touched. */
void nd_matmul_gradient(int32_t rows, int32_t inputs, int32_t hidden, int32_t n, int part,
                        int parts, const float *x, const float *h, const float *dz, float *dwx,
                        float *dwh, float *db);

#endif
