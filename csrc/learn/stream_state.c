#include "stream_state.h"

#include <stdlib.h>
#include <string.h>

/* The state is blocks, h and c of each layer, each (streams, width). */
static int32_t block_width(const nd_net_config *c, int32_t block) {
  return block < 2 * c->layers ? c->hidden : c->encoder;
}

static int32_t blocks(const nd_net_config *c) { return 2 * c->layers + (c->encoder > 0 ? 2 : 0); }

void nd_stream_state_take(nd_batch *b, const nd_net_config *c, const float *whole) {
  float *share = b->state;
  for (int32_t k = 0; k < blocks(c); k++) {
    size_t width = (size_t)block_width(c, k), n = width * (size_t)b->streams;
    memcpy(share, whole + width * (size_t)b->shard.first, n * sizeof *share);
    whole += width * (size_t)b->shard.total;
    share += n;
  }
}

/* Puts the state of a shard back; returns its end. */
static const float *put(const nd_shard *s, const nd_net_config *c, const float *share,
                        float *whole) {
  for (int32_t k = 0; k < blocks(c); k++) {
    size_t width = (size_t)block_width(c, k), n = width * (size_t)s->count;
    memcpy(whole + width * (size_t)s->first, share, n * sizeof *share);
    whole += width * (size_t)s->total;
    share += n;
  }
  return share;
}

nd_status nd_stream_state_gather(const nd_batch *b, const nd_net_config *c, float *whole,
                            nd_error *err) {
  const nd_allreduce *r = b->shard.comm;
  size_t size = nd_stream_state_size(b);
  if (r == NULL) {
    memcpy(whole, b->state, size * sizeof *whole);
    return ND_OK;
  }
  float *shares = NULL;
  if (r->rank == 0 && (shares = nd_calloc(size, sizeof *shares)) == NULL)
    return nd_fail(err, ND_NOMEM, "out of memory");
  nd_status status = r->gather(r->self, b->state, nd_batch_state_size(b), shares, size, err);
  const float *at = shares;
  for (int32_t k = 0; status == ND_OK && r->rank == 0 && k < r->size; k++) {
    nd_shard shard = nd_shard_of(r, b->shard.total, k);
    at = put(&shard, c, at, whole);
  }
  free(shares);
  return status;
}
