/* stream_state.h - the state that a batch's streams carry on, of the whole batch:
 * as one process has it in nd_batch.state, and as a checkpoint holds it,
 * however many processes have shares of it. */
#ifndef ND_LEARN_STREAM_STATE_H
#define ND_LEARN_STREAM_STATE_H

#include "../net/batch.h"
#include "../net/net.h"

static inline size_t nd_stream_state_size(const nd_batch *b) {  /* floats */
  return (size_t)b->carried * (size_t)b->shard.total;
}

/* Takes this process's share of `whole` (nd_stream_state_size). */
void nd_stream_state_take(nd_batch *b, const nd_net_config *c, const float *whole);

/* Brings all shares to the first process's `whole`, which is NULL elsewhere.
 * All processes call it. ND_NOMEM, ND_IO. */
nd_status nd_stream_state_gather(const nd_batch *b, const nd_net_config *c, float *whole,
                            nd_error *err);

#endif
