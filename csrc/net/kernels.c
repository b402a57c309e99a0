/* kernels.c - plain loops over restrict pointers: gcc's vectoriser needs no more, with
 * -fno-math-errno and -fno-trapping-math (for sqrtf and the selections). Comparisons
 * are written as selections, because a branch would prevent vectors. */
#include "kernels.h"

#include <math.h>
#include <string.h>

#include "../base/simd.h"

/* e^x as 2^n e^r, |r| <= ln 2 / 2, with a polynomial for e^r (the coefficients of
 * expf in Cephes). Saturates instead of overflowing; NaN stays NaN. */
ND_INLINE float fast_exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  /* adding 1.5 * 2^23 rounds to an integer: n is in the lowest bits of `shifted` */
  float shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
  float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  /* x - n ln 2, ln 2 in two parts */
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + 0x3f800000u;  /* 2^n; unsigned, as x may be NaN */
  float scale;
  memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

ND_INLINE float logistic(float x) { return 1.0f / (1.0f + fast_exp(-x)); }

/* 1 - 2 / (1 + e^2x) loses small x to cancellation, so |x| < 0.15 takes the odd
 * series instead (relative error below 1e-6). */
ND_INLINE float fast_tanh(float x) {
  float big = 1.0f - 2.0f / (1.0f + fast_exp(2.0f * x));
  float s = x * x;
  float small = x * (1.0f + s * (-0.333333333f + s * (0.133333333f + s * -0.053968254f)));
  return s < 0.0225f ? small : big;
}

/* One pass over the four gates of a unit, so that every value is loaded and stored once;
 * gates lie `hidden` floats apart, so that neighbouring units fill a vector. */
ND_CLONES void nd_cell_forward(int32_t rows, int32_t hidden, float *restrict z,
                               const float *restrict bias, const float *restrict c_before,
                               float *restrict c, float *restrict tc, float *restrict h) {
  const float *restrict bi = bias, *restrict bf = bias + hidden;
  const float *restrict bg = bias + 2 * hidden, *restrict bo = bias + 3 * hidden;
  for (int32_t r = 0; r < rows; r++) {
    float *restrict zi = z + (size_t)r * 4 * (size_t)hidden, *restrict zf = zi + hidden;
    float *restrict zg = zf + hidden, *restrict zo = zg + hidden;
    size_t row = (size_t)r * (size_t)hidden;
    for (int32_t j = 0; j < hidden; j++) {
      float i = logistic(zi[j] + bi[j]);
      float f = logistic(zf[j] + bf[j]);
      float g = fast_tanh(zg[j] + bg[j]);
      float o = logistic(zo[j] + bo[j]);
      float cell = f * c_before[row + (size_t)j] + i * g;
      float t = fast_tanh(cell);
      zi[j] = i;
      zf[j] = f;
      zg[j] = g;
      zo[j] = o;
      c[row + (size_t)j] = cell;
      tc[row + (size_t)j] = t;
      h[row + (size_t)j] = o * t;
    }
  }
}

/* As above, without what only the backward pass reads: half the stores. */
ND_CLONES void nd_cell_step(int32_t rows, int32_t hidden, const float *restrict z,
                            const float *restrict bias, float *restrict h, float *restrict c) {
  const float *restrict bi = bias, *restrict bf = bias + hidden;
  const float *restrict bg = bias + 2 * hidden, *restrict bo = bias + 3 * hidden;
  for (int32_t r = 0; r < rows; r++, z += 4 * (size_t)hidden, h += hidden, c += hidden) {
    for (int32_t j = 0; j < hidden; j++) {
      float i = logistic(z[j] + bi[j]);
      float f = logistic(z[hidden + j] + bf[j]);
      float g = fast_tanh(z[2 * hidden + j] + bg[j]);
      float o = logistic(z[3 * hidden + j] + bo[j]);
      c[j] = f * c[j] + i * g;
      h[j] = o * fast_tanh(c[j]);
    }
  }
}

/* The chain rule through h = o tc, tc = tanh c', c' = f c + i g. The derivatives are in
 * terms of the activated values: sigma' = s (1 - s), tanh' = 1 - t^2. */
ND_CLONES void nd_cell_backward(int32_t rows, int32_t hidden, float *restrict gates,
                                const float *restrict c_before, const float *restrict tc,
                                const float *restrict dh, float *restrict dc) {
  for (int32_t r = 0; r < rows; r++) {
    size_t row = (size_t)r * (size_t)hidden;
    float *restrict gi = gates + 4 * row, *restrict gf = gi + hidden;
    float *restrict gg = gf + hidden, *restrict go = gg + hidden;
    for (int32_t j = 0; j < hidden; j++) {
      size_t k = row + (size_t)j;
      float t = tc[k], o = go[j], d = dh[k];
      float cell = dc[k] + d * o * (1.0f - t * t);
      float i = gi[j], f = gf[j], g = gg[j];
      gi[j] = cell * g * i * (1.0f - i);
      gf[j] = cell * c_before[k] * f * (1.0f - f);
      gg[j] = cell * i * (1.0f - g * g);
      go[j] = d * t * o * (1.0f - o);
      dc[k] = cell * f;  /* for the previous step */
    }
  }
}

ND_CLONES void nd_axpy(int32_t n, float a, const float *restrict x, float *restrict y) {
  for (int32_t i = 0; i < n; i++) y[i] += a * x[i];
}

ND_CLONES void nd_multiply(int32_t n, const float *restrict a, float *restrict x) {
  for (int32_t i = 0; i < n; i++) x[i] *= a[i];
}

ND_CLONES void nd_product(int32_t n, const float *restrict a, const float *restrict b,
                       float *restrict y) {
  for (int32_t i = 0; i < n; i++) y[i] = a[i] * b[i];
}

/* PCG (rng.h) in 16 lanes: lane j makes the numbers j, j + 16, j + 32, ... Sixteen
 * steps of a linear congruential generator are one step of another, with multiplier
 * a^16 and increment c (1 + a + ... + a^15) (Brown 1994), so that all lanes advance
 * at once. The numbers are those that nd_rng_u32 would give one by one. */
enum { LANES = 16 };
typedef uint64_t words64 __attribute__((vector_size(LANES * sizeof(uint64_t))));
typedef uint32_t words32 __attribute__((vector_size(LANES * sizeof(uint32_t))));

ND_CLONES void nd_draw_mask(int32_t n, uint32_t cut, float scale, nd_rng rng,
                            float *restrict mask) {
  uint64_t a = 1, c = 0, first[LANES];
  for (int j = 0; j < LANES; j++) {  /* a and c of j + 1 steps; lane j starts after j */
    first[j] = rng.state;
    (void)nd_rng_u32(&rng);
    c = c * 6364136223846793005u + rng.stream;
    a *= 6364136223846793005u;
  }
  words64 state;
  memcpy(&state, first, sizeof state);
  uint32_t one;
  memcpy(&one, &scale, sizeof one);
  for (int32_t i = 0; i < n; i += 2 * LANES) {
    words64 old = state;
    state = old * a + c;
    words32 shifted = __builtin_convertvector(((old >> 18) ^ old) >> 27, words32);
    words32 rot = __builtin_convertvector(old >> 59, words32);
    words32 bits = (shifted >> rot) | (shifted << ((32u - rot) & 31u));
    /* a comparison gives all ones or zero; `and` selects the bits of scale or of 0.0f.
     * The low half's mask element goes first in memory */
    words32 low = one & (words32)((bits & 0xffffu) >= cut);
    words32 high = one & (words32)((bits >> 16) >= cut);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    words64 both = __builtin_convertvector(high, words64);
    both |= __builtin_convertvector(low, words64) << 32;
#else
    words64 both = __builtin_convertvector(low, words64);
    both |= __builtin_convertvector(high, words64) << 32;
#endif
    size_t left = (size_t)(n - i) * sizeof *mask;  /* n need not fill the last vector */
    memcpy(mask + i, &both, left < sizeof both ? left : sizeof both);
  }
}

/* Sums are in the order of k, and y is added last, as in products of more rows: a song
 * scored alone gets the same result as among others. Eight rows of w at a time: one
 * load and one store of a sum for eight multiply-adds. Strips of 1024 columns keep the
 * sums in the first-level cache. */
ND_CLONES void nd_gemv(int32_t k, int32_t n, const float *x, const float *w, float *y) {
  enum { STRIP = 1024 };
  float sum[STRIP];
  for (int32_t from = 0; from < n; from += STRIP, y += STRIP, w += STRIP) {
    int32_t p = 0, columns = n - from < STRIP ? n - from : STRIP;
    const float *v = w;
    for (int32_t j = 0; j < columns; j++) sum[j] = 0.0f;
    for (; p + 8 <= k; p += 8, v += 8 * (size_t)n) {
      float x0 = x[p], x1 = x[p + 1], x2 = x[p + 2], x3 = x[p + 3];
      float x4 = x[p + 4], x5 = x[p + 5], x6 = x[p + 6], x7 = x[p + 7];
      const float *v1 = v + n, *v2 = v1 + n, *v3 = v2 + n;
      const float *v4 = v3 + n, *v5 = v4 + n, *v6 = v5 + n, *v7 = v6 + n;
      for (int32_t j = 0; j < columns; j++) {
        float s = sum[j];
        s += x0 * v[j];
        s += x1 * v1[j];
        s += x2 * v2[j];
        s += x3 * v3[j];
        s += x4 * v4[j];
        s += x5 * v5[j];
        s += x6 * v6[j];
        sum[j] = s + x7 * v7[j];
      }
    }
    for (; p < k; p++, v += n)
      for (int32_t j = 0; j < columns; j++) sum[j] += x[p] * v[j];
    for (int32_t j = 0; j < columns; j++) y[j] += sum[j];
  }
}

ND_CLONES void nd_sum_rows(int32_t rows, int32_t n, size_t stride, const float *restrict x,
                           float *restrict out) {
  for (int32_t r = 0; r < rows; r++, x += stride)
    for (int32_t i = 0; i < n; i++) out[i] += x[i];
}

/* In double: the sum of some million squares of floats would lose digits. */
double nd_sum_squares(size_t n, const float *x) {
  /* eight independent sums hide the latency of additions; the order is fixed */
  double sum[8] = {0};
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (size_t k = 0; k < 8; k++) sum[k] += (double)x[i + k] * (double)x[i + k];
  for (; i < n; i++) sum[0] += (double)x[i] * (double)x[i];
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* Division and root are vector instructions here, and cheaper than they look: the loop
 * is limited by memory, with five arrays of floats going past. */
ND_CLONES void nd_adam_update(size_t n, float *restrict w, const float *restrict g,
                              float *restrict m, float *restrict v, float rate, float root,
                              float beta1, float beta2, float epsilon, float scale) {
  for (size_t i = 0; i < n; i++) {
    float d = g[i] * scale;
    m[i] = beta1 * m[i] + (1.0f - beta1) * d;
    v[i] = beta2 * v[i] + (1.0f - beta2) * d * d;
    w[i] -= rate * m[i] / (sqrtf(v[i]) / root + epsilon);
  }
}
