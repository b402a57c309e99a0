/* stream_state.h - the recurrent state that a batch's streams carry from
 * stretch to stretch, for the whole batch.
 *
 * A checkpoint holds it in the layout of one process, nd_batch.state: blocks of
 * (streams, width), h and c for each layer and then for the encoder. With
 * several processes each has some streams of every block; these functions
 * convert, so that a training can resume with another number of processes.
 */
#ifndef ND_LEARN_STREAM_STATE_H
#define ND_LEARN_STREAM_STATE_H

#include "../net/batch.h"
#include "../net/net.h"

static inline size_t nd_stream_state_size(const nd_batch *b) {  /* floats */
  return (size_t)b->carried * (size_t)b->shard.total;
}

/* Copies this process's streams out of `all` (nd_stream_state_size). */
void nd_stream_state_take(nd_batch *b, const nd_net_config *c, const float *all);

/* Collects the streams of all processes in the first one's `all`, which is
 * NULL in the others. Every process calls it. Fails with ND_NOMEM or ND_IO. */
nd_status nd_stream_state_gather(const nd_batch *b, const nd_net_config *c, float *all,
                                 nd_error *err);

#endif
