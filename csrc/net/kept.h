/* kept.h - a matrix as a player keeps it: packed once into panels of columns,
 * read in a straight line at every step, and in half precision where every one
 * of its values is a half exactly, as those of a model saved so are. What is
 * read is what such a product costs, and that is half of it then.
 *
 * The kernels are nd_cpu_kernels(); where there are none, nothing is kept, and the
 * matrix itself is multiplied.
 *
 * Every element of a product is summed in the order of k by fused multiply-adds,
 * as nd_gemv does it where it is compiled for this CPU, whatever the number of
 * rows and whatever is kept: a take comes out the same alone and among others. */
#ifndef ND_NET_KEPT_H
#define ND_NET_KEPT_H

#include "../base/nd.h"

typedef struct nd_kept {
  const float *w;   /* (k, n), the caller's */
  int32_t k, n;
  bool half;
  void *panels;     /* NULL: nothing is kept */
} nd_kept;

/* Of w (k, n), which stays where it is. Where no memory is to be had, or there
 * are no kernels, the product is made of w itself. */
nd_kept nd_keep(int32_t k, int32_t n, const float *w);
nd_kept nd_keep_not(int32_t k, int32_t n, const float *w);   /* just w itself */
void nd_kept_clear(nd_kept *kept);
size_t nd_kept_bytes(const nd_kept *kept);   /* that a product reads */

/* c (m, n) = a (m, k) w, or += with `add`. Neither allocates nor locks where
 * something is kept, or m is 1. */
void nd_kept_gemm(const nd_kept *w, int32_t m, const float *a, bool add, float *c);

/* z (n) += x (k) w, one product after the other, skipping the x that are 0. */
void nd_kept_sparse(const nd_kept *w, const float *x, float *z);

#endif
