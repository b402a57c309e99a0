/* packed.h - matrix products whose right side is packed once and used often:
 * an LSTM's weights, at every step of a stretch. BLAS packs them anew for each
 * product, which takes longer than the product when the left side has few rows.
 *
 * Right sides are cut into panels of nd_packed_width() columns, each panel
 * (k, width), the last one filled up with zeros, so that the kernels read
 * memory in a straight line. The kernels are nd_cpu_kernels(); where there are none,
 * nd_gemm is to be used.
 *
 * Every element of a product is summed in the order of k whatever the number
 * of rows, so that rows may be shared out among threads without a change. */
#ifndef ND_NET_PACKED_H
#define ND_NET_PACKED_H

#include "blas.h"

int32_t nd_packed_width(void);  /* columns of a panel; 0: no kernels here */

/* Floats that b (k, n) takes when packed. */
size_t nd_packed_size(int32_t k, int32_t n);

/* Packs columns from..to-1 of b, (k, n), or stored as (n, k) when tb is ND_T;
 * `from` is a multiple of nd_packed_width(), `packed` the whole, 64-byte aligned. */
void nd_pack(nd_trans tb, int32_t k, int32_t n, const float *b, int32_t from, int32_t to,
             float *packed);

/* c (m, n) = a (m, k) b, or += with `add`; rows of c lie n apart, of a k. */
void nd_packed_gemm(int32_t m, int32_t n, int32_t k, const float *a, const float *packed,
                    bool add, float *c);

/* The same for `times` blocks of m rows that lie `a_next` and `c_next` floats
 * apart, b being read but once. */
void nd_packed_blocks(int32_t times, size_t a_next, size_t c_next, int32_t m, int32_t n, int32_t k,
                      const float *a, const float *packed, bool add, float *c);

/* Columns from..to-1 of the gradients of a pair of weights that share z:
 * dwx (i, n) = x (rows, i)^T dz,  dwh (h, n) = y (rows, h)^T dz,
 * db (n) = the sum of dz's rows, dz being (rows, n). `from` is a multiple of
 * nd_packed_width(). x with i 0: there is none. */
void nd_packed_gradient(int32_t rows, int32_t i, int32_t h, int32_t n, int32_t from, int32_t to,
                        const float *x, const float *y, const float *dz, float *dwx, float *dwh,
                        float *db);

#endif
