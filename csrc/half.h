/* half.h - IEEE 754 half precision: two bytes a number on disk. */
#ifndef ND_HALF_H
#define ND_HALF_H

#include <stdint.h>

uint16_t nd_half_from_float(float x);   /* to the nearest, ties to even */
float nd_half_to_float(uint16_t h);
float nd_half_round(float x);

#endif
