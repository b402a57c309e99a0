#include "half.h"

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

float nd_half_round(float x) { return nd_half_to_float(nd_half_from_float(x)); }
