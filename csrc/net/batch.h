/* batch.h - what a network learns from at once: B stretches of T steps; or this
 * process's share of them. */
#ifndef ND_NET_BATCH_H
#define ND_NET_BATCH_H

#include "shard.h"

typedef struct nd_batch {
  int32_t steps, streams, inputs, voices;  /* T, B, I, V */
  int32_t targets;  /* T, or 1 for a network that is asked for the last step alone */
  float *x;         /* (T, B, I) */
  float *y;         /* (targets, B, y_width): hits 0 or 1; of a touch net, velocities
                     * 0..1 of all voices, then offsets in steps */
  int32_t y_width;  /* V, or 2 V */
  float *mask;      /* (targets, B, V): 1 where the hit counts, 0 where there is no step
                     * or the hit is given */
  uint8_t *reset_state;  /* (B): 1 where the stream starts from zero state */
  float *state;     /* (B, carried) by layer: h and c that each stream carries on */
  int32_t carried;  /* floats of state a stream */
  nd_shard shard;   /* `streams` of the whole batch's are here: all unless training is
                     * shared by several processes */
} nd_batch;

/* All zeroed, every stream starting from zero state, a whole batch. ND_LIMIT when the sizes overflow. */
nd_status nd_batch_make(nd_batch *batch, int32_t steps, int32_t streams, int32_t inputs,
                        int32_t voices, int32_t y_width, int32_t targets, int32_t carried,
                        nd_error *err);
void nd_batch_clear(nd_batch *batch);

/* Bytes that a batch takes. */
size_t nd_batch_bytes(const nd_batch *batch);

static inline size_t nd_batch_state_size(const nd_batch *b) {
  return (size_t)b->carried * (size_t)b->streams;
}

#endif
