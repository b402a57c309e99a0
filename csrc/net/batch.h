/* batch.h - the input of one training step: T steps of each of B streams. Or, when
 * several processes share a training, the streams of this one (shard.h).
 *
 * A stream walks through whole songs, batch after batch, and carries the state of the
 * LSTM layers along; a window net's streams are independent windows. The batch owns
 * its arrays; the sampler fills them, the trainer reads them and advances `state`.
 */
#ifndef ND_NET_BATCH_H
#define ND_NET_BATCH_H

#include "../base/arena.h"
#include "config.h"
#include "shard.h"

typedef struct nd_batch {
  int32_t steps, streams, inputs, voices;  /* T, B, I, V */
  int32_t targets;       /* steps with targets: T, or 1 (the last) of window nets */
  int32_t y_width;       /* V, or 2 V of touch nets */
  int32_t carried;       /* floats of state a stream: nd_net_carried() */
  float *x;              /* (T, B, I) */
  float *y;              /* (targets, B, y_width): hits 0 or 1; of touch nets, velocities
                          * 0..1 of all voices, then offsets in steps */
  float *mask;           /* (targets, B, V): 1 where the grid cell counts in the loss, 0
                          * past a song's end and where the hit is given as input */
  uint8_t *reset_state;  /* (B): 1 where the stream starts from zero state */
  float *state;          /* (B, carried) floats: h (B, H) and c (B, H) of each layer */
  nd_shard shard;        /* which of the whole batch's streams these are */
  nd_arena arena;
} nd_batch;

/* The sizes of a net's batches, without arrays, as of a single process. */
nd_batch nd_batch_of(const nd_net_config *c, int32_t steps, int32_t streams);

/* An empty batch of those sizes: arrays zeroed, every stream starting from zero state.
 * ND_MISUSE for sizes below 1, ND_LIMIT when they are too large, ND_NOMEM. */
nd_status nd_batch_make(nd_batch *batch, const nd_net_config *c, int32_t steps, int32_t streams,
                        nd_error *err);
void nd_batch_clear(nd_batch *batch);

/* Bytes of memory that a batch of these sizes (its int32_t fields) takes. */
size_t nd_batch_bytes(const nd_batch *batch);

static inline size_t nd_batch_state_size(const nd_batch *b) {  /* floats */
  return (size_t)b->carried * (size_t)b->streams;
}

#endif
