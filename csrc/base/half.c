/* half.c - conversions by integer operations on the bits of floats (binary32: exponent
 * bias 127, 23 bits of mantissa) and halves (bias 15, 10 bits). Bits of magnitudes,
 * compared as integers, are in the order of the numbers. */
#include "half.h"

#include <stdbool.h>
#include <string.h>

uint16_t nd_half_from_float(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  uint16_t sign = (uint16_t)(u >> 16 & 0x8000u);
  u &= 0x7FFFFFFFu;
  if (u > 0x7F800000u) return sign | 0x7E00u;             /* NaN, quiet */
  if (u >= 0x477FF000u) return sign | 0x7C00u;            /* rounds past 65504 */
  if (u < 0x33000001u) return sign;                       /* rounds to 0: at most 2^-25 */
  uint32_t mantissa, shift;
  if (u < 0x38800000u) {                                  /* subnormal as a half */
    mantissa = (u & 0x7FFFFFu) | 0x800000u;              /* with its implicit bit */
    shift = 126u - (u >> 23);                             /* 14..24 */
  } else {
    mantissa = u - 0x38000000u;                           /* exponent 127 -> 15 */
    shift = 13;
  }
  uint32_t bits = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u);
  uint32_t half = 1u << (shift - 1u);
  /* a carry out of the mantissa correctly increments the exponent */
  if (rest > half || (rest == half && (bits & 1u))) bits++;
  return (uint16_t)(sign | bits);
}

float nd_half_to_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, mantissa = h & 1023u;
  uint32_t u;
  if (exponent == 31) {  /* infinity or NaN */
    u = 0x7F800000u | mantissa << 13;
  } else if (exponent > 0) {
    u = (exponent + 112u) << 23 | mantissa << 13;
  } else {  /* a subnormal is mantissa * 2^-24, exactly */
    float f = (float)mantissa * 0x1p-24f;
    memcpy(&u, &f, sizeof u);
  }
  u |= sign;
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

static bool big_endian(void) {
  const uint16_t one = 1;
  uint8_t first;
  memcpy(&first, &one, 1);
  return first == 0;
}

/* Without branches, so that compilers vectorise it. No float on the way is subnormal:
 * hosts for audio often make the CPU flush subnormal numbers to zero. The halves are
 * copied in blocks because they need not be aligned. */
void nd_halves_to_floats(size_t n, const void *halves, float *out) {
  enum { BLOCK = 256 };
  uint16_t h[BLOCK];
  const char *from = halves;
  for (size_t count; n > 0; n -= count, from += 2 * count, out += count) {
    count = n < BLOCK ? n : BLOCK;
    memcpy(h, from, count * sizeof *h);
    if (big_endian())
      for (size_t i = 0; i < count; i++) h[i] = (uint16_t)(h[i] << 8 | h[i] >> 8);
    for (size_t i = 0; i < count; i++) {
      uint32_t sign = (uint32_t)(h[i] & 0x8000u) << 16, rest = h[i] & 0x7FFFu, subnormal;
      float small = (float)(int32_t)rest * 0x1p-24f;  /* the value of a subnormal half */
      memcpy(&subnormal, &small, sizeof subnormal);
      /* the exponent moves from bias 15 to 127, of infinity and NaN from 31 to 255 */
      uint32_t u = (rest << 13) + (rest < 0x7C00u ? 0x38000000u : 0x70000000u);
      u = (rest < 0x0400u ? subnormal : u) | sign;
      memcpy(out + i, &u, sizeof u);
    }
  }
}

float nd_half_round(float x) { return nd_half_to_float(nd_half_from_float(x)); }

/* The array versions compute both cases and select, so that compilers vectorise
 * them. They work on magnitudes. For subnormal halves, adding 0.5 makes one ulp of
 * the float equal to the smallest half (2^-24), so that the FPU does the rounding. */

/* Bits of floats: 2^-14; 65520, from which on values round to infinity; infinity. */
enum { MIN_NORMAL = 0x38800000, OVERFLOWS = 0x477FF000, INFINITE = 0x7F800000 };

/* The 13 bits of mantissa that a half lacks are rounded away, ties to even. */
static inline uint32_t rounded_normal(uint32_t u) {
  return (u + 0xFFFu + (u >> 13 & 1u)) & ~(uint32_t)0x1FFF;
}

static inline uint32_t bits_of(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

static inline float float_of(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

void nd_half_round_all(float *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t u = bits_of(x[i]), sign = u & 0x80000000u;
    u ^= sign;
    uint32_t small = bits_of((float_of(u) + 0.5f) - 0.5f), large = rounded_normal(u);
    large = u >= OVERFLOWS ? INFINITE : large;
    large = u > INFINITE ? 0x7FC00000u : large;
    x[i] = float_of(sign | (u < MIN_NORMAL ? small : large));
  }
}

void nd_half_pack(uint8_t *to, const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t u = bits_of(x[i]), sign = u >> 16 & 0x8000u;
    u &= 0x7FFFFFFFu;
    uint32_t small = bits_of(float_of(u) + 0.5f) - bits_of(0.5f);
    uint32_t large = (rounded_normal(u) - 0x38000000u) >> 13;
    large = u >= OVERFLOWS ? 0x7C00u : large;
    large = u > INFINITE ? 0x7E00u : large;
    uint32_t h = sign | (u < MIN_NORMAL ? small : large);
    to[2 * i] = (uint8_t)h;
    to[2 * i + 1] = (uint8_t)(h >> 8);
  }
}
