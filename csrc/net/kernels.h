/* kernels.h - the element-wise loops, written so that the compiler makes
 * vectors of them, in one version for each generation of x86-64 (chosen when
 * the library is loaded). exp is a polynomial, accurate to 2 ulp: libm's is
 * called element by element and took a third of a training step. */
#ifndef ND_NET_KERNELS_H
#define ND_NET_KERNELS_H

#include "../base/nd.h"
#include "../base/rng.h"

/* Gates of one step, for `rows` rows of `hidden` units.
 * z: (rows, 4H) pre-activations in, activated gates i, f, g, o out
 * (the bias is added here); c' = f c + i g; tc = tanh c'; h = o tc. */
void nd_cell_forward(int32_t rows, int32_t hidden, float *restrict z, const float *restrict bias,
                     const float *restrict c_before, float *restrict c, float *restrict tc,
                     float *restrict h);

/* The same in place and without a trace, for playing. */
void nd_cell_step(int32_t rows, int32_t hidden, const float *restrict z,
                  const float *restrict bias, float *restrict h, float *restrict c);

/* gates: (rows, 4H) in, as left by the forward pass; out, the gradient of z.
 * dh: gradient of h. dc: in, gradient of c' from the step after; out, of c. */
void nd_cell_backward(int32_t rows, int32_t hidden, float *restrict gates,
                      const float *restrict c_before, const float *restrict tc,
                      const float *restrict dh, float *restrict dc);

void nd_axpy(int32_t n, float a, const float *restrict x, float *restrict y);  /* y += a x */
void nd_multiply(int32_t n, const float *restrict a, float *restrict x);       /* x *= a */
void nd_product(int32_t n, const float *restrict a, const float *restrict b,
                float *restrict y);                                            /* y = a b */

/* mask (n): `keep`, or 0 where one of the 16-bit halves of the numbers that rng
 * gives, low half first, is below `cut`. n is even. */
void nd_draw_mask(int32_t n, uint32_t cut, float keep, nd_rng rng, float *restrict mask);

/* y (n) += x (k) w (k, n). Neither allocates nor locks: OpenBLAS takes a lock for
 * a product of one row, which a step that is played live must not. */
void nd_gemv(int32_t k, int32_t n, const float *x, const float *w, float *y);

/* out (n) += the sum of the first n elements of the rows of x, `stride` floats apart. */
void nd_sum_rows(int32_t rows, int32_t n, size_t stride, const float *restrict x,
                 float *restrict out);
double nd_sum_squares(size_t n, const float *x);

/* Adam (Kingma & Ba 2015, algorithm 1, bias-corrected, epsilon outside the
 * root). `rate` has the first moment's correction in it already;
 * `root` is the square root of the second's. `scale` multiplies the gradient. */
void nd_adam_update(size_t n, float *restrict w, const float *restrict g, float *restrict m,
                    float *restrict v, float rate, float root, float beta1, float beta2,
                    float epsilon, float scale);

#endif
