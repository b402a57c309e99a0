/* kernels.h - the network's element-wise loops, written so that the compiler
 * vectorises them, in one version for each generation of x86-64 (see simd.h). exp
 * is a polynomial, accurate to 2 ulp: libm's exp is called element by element and
 * took a third of a training step.
 *
 * Arrays are row-major float32 and do not overlap. Nothing here fails, allocates or
 * locks. NaN and infinity pass through, and are noticed in the loss. */
#ifndef ND_NET_KERNELS_H
#define ND_NET_KERNELS_H

#include "../base/nd.h"
#include "../base/rng.h"

/* The gates of one LSTM step, for `rows` rows of `hidden` units.
 * z (rows, 4H): pre-activations in, without the bias (4H), which is added here;
 * activated gates i, f, g, o out. c' = f c + i g; tc = tanh c'; h = o tc. */
void nd_cell_forward(int32_t rows, int32_t hidden, float *restrict z, const float *restrict bias,
                     const float *restrict c_before, float *restrict c, float *restrict tc,
                     float *restrict h);

/* The same with h and c in place, and without a trace: for inference. */
void nd_cell_step(int32_t rows, int32_t hidden, const float *restrict z,
                  const float *restrict bias, float *restrict h, float *restrict c);

/* gates (rows, 4H): as left by the forward pass in, the gradient of z out. dh: the
 * gradient of h. dc: the gradient of c' that comes from the next step in, of c out. */
void nd_cell_backward(int32_t rows, int32_t hidden, float *restrict gates,
                      const float *restrict c_before, const float *restrict tc,
                      const float *restrict dh, float *restrict dc);

void nd_axpy(int32_t n, float a, const float *restrict x, float *restrict y);  /* y += a x */
void nd_multiply(int32_t n, const float *restrict a, float *restrict x);       /* x *= a */
void nd_product(int32_t n, const float *restrict a, const float *restrict b,
                float *restrict y);                                            /* y = a b */

/* Dropout mask of n elements, n even: `scale`, or 0 where a number below `cut` was
 * drawn, 0..65536. Each number of rng gives two 16-bit draws, the low half first;
 * the caller's rng does not advance. */
void nd_draw_mask(int32_t n, uint32_t cut, float scale, nd_rng rng, float *restrict mask);

/* y (n) += x (k) w (k, n). Neither allocates nor locks: OpenBLAS takes a lock for
 * a product of one row, which a step that is played live must not. */
void nd_gemv(int32_t k, int32_t n, const float *x, const float *w, float *y);

/* out (n) += the sum of the first n elements of the rows of x, `stride` floats apart. */
void nd_sum_rows(int32_t rows, int32_t n, size_t stride, const float *restrict x,
                 float *restrict out);
double nd_sum_squares(size_t n, const float *x);

/* Adam's update (see adam.h), epsilon outside the root. `rate` includes the first
 * moment's bias correction; `root` is the square root of the second's. `scale`
 * multiplies the gradient. */
void nd_adam_update(size_t n, float *restrict w, const float *restrict g, float *restrict m,
                    float *restrict v, float rate, float root, float beta1, float beta2,
                    float epsilon, float scale);

#endif
