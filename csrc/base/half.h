/* half.h - IEEE 754 half precision (binary16), in which corpora and models are
 * stored. Values up to 65504 with 11 significant bits; larger ones become
 * infinite, NaN stays NaN. Rounding is to nearest, ties to even. */
#ifndef ND_BASE_HALF_H
#define ND_BASE_HALF_H

#include <stddef.h>
#include <stdint.h>

uint16_t nd_half_from_float(float x);
float nd_half_to_float(uint16_t h);   /* exact */
float nd_half_round(float x);         /* there and back */

/* The same for n numbers: rounded in place; and to or from two bytes each, little-
 * endian whatever the host, at any address. */
void nd_half_round_all(float *x, size_t n);
void nd_half_pack(uint8_t *to, const float *x, size_t n);
void nd_halves_to_floats(size_t n, const void *halves, float *out);

#endif
