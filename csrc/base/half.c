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
  if (u < 0x33000001u) return sign;                       /* at most half the least */
  uint32_t mantissa, shift;
  if (u < 0x38800000u) {                                  /* subnormal as a half */
    mantissa = (u & 0x7FFFFFu) | 0x800000u;
    shift = 126u - (u >> 23);                             /* 14..24 */
  } else {
    mantissa = u - 0x38000000u;                           /* exponent 127 -> 15 */
    shift = 13;
  }
  uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u);
  uint32_t half = 1u << (shift - 1u);
  if (rest > half || (rest == half && (kept & 1u))) kept++;
  return (uint16_t)(sign | kept);
}

float nd_half_to_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, mantissa = h & 1023u;
  uint32_t u;
  if (exponent == 31) {
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

/* Without a branch, so that compilers make vectors of it. Nor is a float made on
 * the way that a host which flushes the smallest to zero would lose. */
void nd_halves_to_floats(size_t n, const void *halves, float *out) {
  enum { SOME = 256 };
  uint16_t h[SOME];
  const char *from = halves;
  for (size_t some; n > 0; n -= some, from += 2 * some, out += some) {
    some = n < SOME ? n : SOME;
    memcpy(h, from, some * sizeof *h);
    if (big_endian())
      for (size_t i = 0; i < some; i++) h[i] = (uint16_t)(h[i] << 8 | h[i] >> 8);
    for (size_t i = 0; i < some; i++) {
      uint32_t sign = (uint32_t)(h[i] & 0x8000u) << 16, rest = h[i] & 0x7FFFu, least;
      float small = (float)(int32_t)rest * 0x1p-24f;
      memcpy(&least, &small, sizeof least);
      uint32_t u = (rest << 13) + (rest < 0x7C00u ? 0x38000000u : 0x70000000u);
      u = (rest < 0x0400u ? least : u) | sign;
      memcpy(out + i, &u, sizeof u);
    }
  }
}

float nd_half_round(float x) { return nd_half_to_float(nd_half_from_float(x)); }

/* Without branches, so that compilers make vectors of them. The sign is taken
 * off; what is a subnormal half is rounded by a sum of which the last place is
 * that of the least half. */
enum { LEAST_NORMAL = 0x38800000, PAST_LARGEST = 0x477FF000, INFINITE = 0x7F800000 };

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
    large = u >= PAST_LARGEST ? INFINITE : large;
    large = u > INFINITE ? 0x7FC00000u : large;
    x[i] = float_of(sign | (u < LEAST_NORMAL ? small : large));
  }
}

void nd_half_pack(uint8_t *to, const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint32_t u = bits_of(x[i]), sign = u >> 16 & 0x8000u;
    u &= 0x7FFFFFFFu;
    uint32_t small = bits_of(float_of(u) + 0.5f) - bits_of(0.5f);
    uint32_t large = (rounded_normal(u) - 0x38000000u) >> 13;
    large = u >= PAST_LARGEST ? 0x7C00u : large;
    large = u > INFINITE ? 0x7E00u : large;
    uint32_t h = sign | (u < LEAST_NORMAL ? small : large);
    to[2 * i] = (uint8_t)h;
    to[2 * i + 1] = (uint8_t)(h >> 8);
  }
}
