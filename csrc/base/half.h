/* half.h - IEEE 754 half precision (binary16): 1 sign bit, 5 bits of exponent, 10 of
 * mantissa; two bytes a number on disk and in packed weights. Largest finite value
 * 65504, smallest normal 2^-14, smallest subnormal 2^-24.
 *
 * Every half is exactly a float, so only the way to halves rounds: to the nearest,
 * ties to even. Values of 65520 and more become infinite; NaN stays NaN. In plain
 * C, because not every CPU has F16C, and results must not depend on it. */
#ifndef ND_HALF_H
#define ND_HALF_H

#include <stddef.h>
#include <stdint.h>

uint16_t nd_half_from_float(float x);
float nd_half_to_float(uint16_t h);
float nd_half_round(float x);        /* to a half and back */

/* For arrays, by loops that the compiler vectorises. */
void nd_half_round_all(float *x, size_t n);                  /* in place */
/* To and from two bytes each, the low one first, at any address. */
void nd_half_pack(uint8_t *to, const float *x, size_t n);
void nd_halves_to_floats(size_t n, const void *halves, float *out);

#endif
