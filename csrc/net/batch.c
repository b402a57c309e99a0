#include "batch.h"

#include <stdlib.h>
#include <string.h>

nd_status nd_batch_make(nd_batch *b, int32_t steps, int32_t streams, int32_t inputs,
                        int32_t voices, int32_t y_width, int32_t targets, int32_t carried,
                        nd_error *err) {
  memset(b, 0, sizeof *b);
  if (steps < 1 || streams < 1 || inputs < 1 || voices < 1 || (targets != steps && targets != 1))
    return nd_fail(err, ND_MISUSE, "a batch needs at least one step, stream, input and voice");
  size_t rows = (size_t)steps * (size_t)streams, out = (size_t)targets * (size_t)streams;
  if (rows > (size_t)1 << 26 || rows * (size_t)inputs > (size_t)1 << 30)
    return nd_fail(err, ND_LIMIT, "a batch of %d x %d steps is too large", streams, steps);
  b->steps = steps;
  b->streams = streams;
  b->inputs = inputs;
  b->voices = voices;
  b->targets = targets;
  b->y_width = y_width;
  b->carried = carried;
  b->shard = nd_shard_local(NULL, streams);
  b->x = nd_calloc(rows * (size_t)inputs, sizeof *b->x);
  b->y = nd_calloc(out * (size_t)y_width, sizeof *b->y);
  b->mask = nd_calloc(out * (size_t)voices, sizeof *b->mask);
  b->reset_state = nd_calloc((size_t)streams, 1);
  b->state = nd_calloc(nd_batch_state_size(b), sizeof *b->state);
  if (!b->x || !b->y || !b->mask || !b->reset_state || !b->state) {
    nd_batch_clear(b);
    return nd_fail(err, ND_NOMEM, "out of memory");
  }
  memset(b->reset_state, 1, (size_t)streams);
  return ND_OK;
}

size_t nd_batch_bytes(const nd_batch *b) {
  size_t out = (size_t)b->targets * (size_t)b->streams;
  size_t floats = (size_t)b->steps * (size_t)b->streams * (size_t)b->inputs +
                  out * (size_t)(b->y_width + b->voices) + nd_batch_state_size(b);
  return floats * sizeof(float) + (size_t)b->streams;
}

void nd_batch_clear(nd_batch *b) {
  free(b->x);
  free(b->y);
  free(b->mask);
  free(b->reset_state);
  free(b->state);
  memset(b, 0, sizeof *b);
}
