/* rng.h - the seeded random number generator: PCG32 (O'Neill 2014, "PCG: A Family of
 * Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
 * Generation", XSH-RR). The caller holds the state, so that two generators never
 * influence each other and a state can be saved and restored.
 */
#ifndef ND_RNG_H
#define ND_RNG_H

#include "nd.h"

typedef struct nd_rng { uint64_t state, stream; } nd_rng;

/* Different streams of one seed are independent. */
nd_rng nd_rng_seed(uint64_t seed, uint64_t stream);

/* 32 random bits. */
static inline uint32_t nd_rng_u32(nd_rng *rng) {
  uint64_t old = rng->state;
  rng->state = old * 6364136223846793005u + rng->stream;
  uint32_t shifted = (uint32_t)(((old >> 18) ^ old) >> 27);
  uint32_t rot = (uint32_t)(old >> 59);
  return (shifted >> rot) | (shifted << ((32u - rot) & 31u));
}

uint32_t nd_rng_below(nd_rng *rng, uint32_t bound);  /* 0..bound-1, unbiased; bound >= 1 */
float nd_rng_float(nd_rng *rng);                     /* [0, 1), 24 bits */
float nd_rng_normal(nd_rng *rng);                    /* mean 0, sd 1 (Box-Muller) */

/* Advances as if `n` numbers had been drawn, in O(log n) time. */
void nd_rng_skip(nd_rng *rng, uint64_t n);

/* Fisher-Yates. */
void nd_rng_shuffle(nd_rng *rng, int32_t *items, size_t n);

#endif
