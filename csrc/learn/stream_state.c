/* stream_state.c - converts carried state between the layout of one process and
 * those of several. Blocks are (streams, width), so a process's streams are a range
 * of rows in every block. */
#include "stream_state.h"

#include <stdlib.h>
#include <string.h>

/* h and c of each layer, and of the encoder, whose forward direction carries state. */
static int32_t count_blocks(const nd_net_config *c) {
  return 2 * c->layers + (c->encoder > 0 ? 2 : 0);
}

/* Floats per stream in a block. */
static int32_t block_width(const nd_net_config *c, int32_t block) {
  return block < 2 * c->layers ? c->hidden : c->encoder;
}

void nd_stream_state_take(nd_batch *b, const nd_net_config *c, const float *all) {
  float *local = b->state;
  for (int32_t k = 0; k < count_blocks(c); k++) {
    size_t width = (size_t)block_width(c, k), n = width * (size_t)b->streams;
    memcpy(local, all + width * (size_t)b->shard.first, n * sizeof *local);
    all += width * (size_t)b->shard.total;
    local += n;
  }
}

/* Copies one process's blocks, which begin at `local`, to their places in
 * `all`. Returns the end of its part. */
static const float *put(const nd_shard *s, const nd_net_config *c, const float *local,
                        float *all) {
  for (int32_t k = 0; k < count_blocks(c); k++) {
    size_t width = (size_t)block_width(c, k), n = width * (size_t)s->count;
    memcpy(all + width * (size_t)s->first, local, n * sizeof *local);
    all += width * (size_t)s->total;
    local += n;
  }
  return local;
}

nd_status nd_stream_state_gather(const nd_batch *b, const nd_net_config *c, float *all,
                                 nd_error *err) {
  const nd_allreduce *r = b->shard.comm;
  size_t size = nd_stream_state_size(b);
  if (r == NULL) {
    memcpy(all, b->state, size * sizeof *all);
    return ND_OK;
  }
  float *parts = NULL;  /* the processes' parts, one after the other */
  if (r->rank == 0 && (parts = nd_calloc(size, sizeof *parts)) == NULL) return nd_nomem(err);
  nd_status status = r->gather(r->self, b->state, nd_batch_state_size(b), parts, size, err);
  const float *at = parts;
  for (int32_t k = 0; status == ND_OK && r->rank == 0 && k < r->size; k++) {
    nd_shard shard = nd_shard_of(r, b->shard.total, k);
    at = put(&shard, c, at, all);
  }
  free(parts);
  return status;
}
