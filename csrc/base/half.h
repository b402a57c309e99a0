/* half.h - IEEE 754 half precision: two bytes a number on disk. */
#ifndef ND_HALF_H
#define ND_HALF_H

#include <stddef.h>
#include <stdint.h>

uint16_t nd_half_from_float(float x);   /* to the nearest, ties to even */
float nd_half_to_float(uint16_t h);
float nd_half_round(float x);

/* The same of `n` numbers, some at a time: rounded where they are; as two
 * bytes each, the lower one first. */
void nd_half_round_all(float *x, size_t n);
void nd_half_pack(uint8_t *to, const float *x, size_t n);
/* `n` of them, two bytes each as above, at any address. */
void nd_halves_to_floats(size_t n, const void *halves, float *out);

#endif
