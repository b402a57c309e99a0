/* half.c - conversion between float and IEEE 754 binary16.
 *
 * Both conversions are free of branches and work on 32-bit lanes, so that
 * compilers turn the loops over arrays into vector code for any instruction set.
 * A half has 1 sign bit, 5 bits of exponent (bias 15) and 10 of mantissa; a float
 * has 8 (bias 127) and 23. The exponents of a normal number differ by 112.
 */
#include "half.h"

#include <string.h>

#include "bytes.h"

enum {
  MIN_NORMAL = 0x38800000,    /* 2^-14 as a float: smallest normal half */
  OVERFLOWS = 0x477FF000,     /* 65520: from here on a half is infinite */
  INFINITE = 0x7F800000
};

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

/* Rounds to nearest, ties to even. Magnitudes are converted and the sign is added
 * at the end. A subnormal half is a multiple of 2^-24: adding 0.5 makes that the
 * last place of the float, so the processor does the rounding. A normal one loses
 * 13 bits of mantissa; 0xFFF plus the last bit that remains rounds ties to even,
 * and a carry runs on into the exponent as it should. */
static inline uint32_t to_half(float x) {
  uint32_t u = bits_of(x), sign = u >> 16 & 0x8000u;
  u &= 0x7FFFFFFFu;
  uint32_t small = bits_of(float_of(u) + 0.5f) - bits_of(0.5f);
  uint32_t large = (u + 0xFFFu + (u >> 13 & 1u) - 0x38000000u) >> 13;
  large = u >= OVERFLOWS ? 0x7C00u : large;
  large = u > INFINITE ? 0x7E00u : large;  /* NaN, quiet */
  return sign | (u < MIN_NORMAL ? small : large);
}

/* Exact. A subnormal half is its mantissa times 2^-24, which is a normal float, so
 * hosts that flush subnormal floats to zero lose nothing. */
static inline float to_float(uint32_t h) {
  uint32_t sign = (h & 0x8000u) << 16, magnitude = h & 0x7FFFu;
  uint32_t small = bits_of((float)(int32_t)magnitude * 0x1p-24f);
  /* infinity and NaN keep the largest exponent: twice 112 more than zero */
  uint32_t large = (magnitude << 13) + (magnitude < 0x7C00u ? 0x38000000u : 0x70000000u);
  return float_of((magnitude < 0x0400u ? small : large) | sign);
}

uint16_t nd_half_from_float(float x) { return (uint16_t)to_half(x); }

float nd_half_to_float(uint16_t h) { return to_float(h); }

float nd_half_round(float x) { return to_float(to_half(x)); }

/* The same rounding without going through a half: every metric of every song is
 * rounded, and this takes a third of the instructions. */
void nd_half_round_all(float *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t u = bits_of(x[i]), sign = u & 0x80000000u;
    u ^= sign;
    uint32_t small = bits_of((float_of(u) + 0.5f) - 0.5f);
    uint32_t large = (u + 0xFFFu + (u >> 13 & 1u)) & ~(uint32_t)0x1FFF;
    large = u >= OVERFLOWS ? INFINITE : large;
    large = u > INFINITE ? 0x7FC00000u : large;
    x[i] = float_of(sign | (u < MIN_NORMAL ? small : large));
  }
}

void nd_half_pack(uint8_t *to, const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t h = to_half(x[i]);
    to[2 * i] = (uint8_t)h;
    to[2 * i + 1] = (uint8_t)(h >> 8);
  }
}

void nd_halves_to_floats(size_t n, const void *halves, float *out) {
  const uint8_t *from = halves;
  for (size_t i = 0; i < n; i++) out[i] = to_float(nd_get_le16(from + 2 * i));
}
