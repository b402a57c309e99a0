/* rng.c - PCG32: a linear congruential generator of 64 bits, whose output is permuted
 * (see rng.h). Integer arithmetic only, so that a seed gives the same numbers on every
 * machine; the order of draws is part of every result that depends on a seed. */
#include "rng.h"

#include <math.h>

/* As pcg32_srandom_r does: the two draws mix seed and stream, so that similar seeds do
 * not begin with similar numbers. */
nd_rng nd_rng_seed(uint64_t seed, uint64_t stream) {
  nd_rng rng = {0, (stream << 1) | 1u};  /* the increment has to be odd */
  (void)nd_rng_u32(&rng);
  rng.state += seed;
  (void)nd_rng_u32(&rng);
  return rng;
}

void nd_rng_skip(nd_rng *rng, uint64_t n) {
  /* Brown 1994, "Random Number Generation with Arbitrary Strides": one step is
   * x -> a x + c. Composed with itself it gives the map of 2, 4, 8 ... steps, and the
   * bits of n choose among these. */
  uint64_t a = 6364136223846793005u, c = rng->stream;
  for (; n > 0; n >>= 1) {
    if (n & 1u) rng->state = a * rng->state + c;
    c *= a + 1;
    a *= a;
  }
}

/* PCG's own method. Lemire's needs one division less, but would change the numbers that
 * a seed gives. Expected draws: below 2. */
uint32_t nd_rng_below(nd_rng *rng, uint32_t bound) {
  /* reject the lowest 2^32 mod bound values, so that each remainder is as likely */
  uint32_t threshold = (0u - bound) % bound;
  for (;;) {
    uint32_t r = nd_rng_u32(rng);
    if (r >= threshold) return r % bound;
  }
}

/* 24 bits, because a float has no more: all values are exact, and 1 is not reached. */
float nd_rng_float(nd_rng *rng) {
  return (float)(nd_rng_u32(rng) >> 8) * 0x1p-24f;
}

/* Box and Muller 1958. The second normal of the pair is not stored: the state would
 * need another field. Always two draws, which nd_rng_skip's callers rely on. */
float nd_rng_normal(nd_rng *rng) {
  double u = 1.0 - (double)nd_rng_float(rng);  /* (0, 1], for the logarithm */
  double v = (double)nd_rng_float(rng);
  return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

/* Each order of the items is as likely; n - 1 draws and more after rejections. */
void nd_rng_shuffle(nd_rng *rng, int32_t *items, size_t n) {
  for (size_t i = n; i > 1; i--) {
    size_t j = nd_rng_below(rng, (uint32_t)i);
    int32_t t = items[i - 1];
    items[i - 1] = items[j];
    items[j] = t;
  }
}
