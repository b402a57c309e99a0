/* batch.c - the arrays of a batch, in one block. lay_out() is the only place that knows
 * their sizes: it runs once to count the bytes and once to hand the arrays out, so that
 * nd_batch_bytes(), which a caller may ask before, cannot disagree. */
#include "batch.h"

#include <string.h>

/* Floats first; see the header for shapes. */
static void lay_out(nd_batch *b, nd_arena *a) {
  size_t streams = (size_t)b->streams, rows = (size_t)b->steps * streams;
  size_t target_rows = (size_t)b->targets * streams;
  b->x = nd_arena_floats(a, rows * (size_t)b->inputs);
  b->y = nd_arena_floats(a, target_rows * (size_t)b->y_width);
  b->mask = nd_arena_floats(a, target_rows * (size_t)b->voices);
  b->state = nd_arena_floats(a, nd_batch_state_size(b));
  b->reset_state = nd_arena_take(a, streams, sizeof *b->reset_state);
}

/* Only the copy's pointers are overwritten. */
size_t nd_batch_bytes(const nd_batch *b) {
  nd_batch sizes = *b;
  nd_arena counted = {0};
  lay_out(&sizes, &counted);
  return nd_arena_bytes(counted.used);
}

/* A window net has targets at the last step of each window only. */
nd_batch nd_batch_of(const nd_net_config *c, int32_t steps, int32_t streams) {
  return (nd_batch){.steps = steps, .streams = streams, .inputs = c->inputs, .voices = c->voices,
                    .targets = c->window > 0 ? 1 : steps, .y_width = nd_net_targets(c),
                    .carried = nd_net_carried(c), .shard = nd_shard_local(NULL, streams)};
}

/* The sampler overwrites everything but the state, which the trainer carries on. */
nd_status nd_batch_make(nd_batch *b, const nd_net_config *c, int32_t steps, int32_t streams,
                        nd_error *err) {
  *b = nd_batch_of(c, steps, streams);
  if (steps < 1 || streams < 1)
    return nd_fail(err, ND_MISUSE, "a batch needs at least one step and one stream");
  /* 4 GiB of inputs; rows first, so that the second product cannot overflow */
  size_t rows = (size_t)steps * (size_t)streams;
  if (rows > (size_t)1 << 26 || rows * (size_t)c->inputs > (size_t)1 << 30)
    return nd_fail(err, ND_LIMIT, "a batch of %d x %d steps is too large", streams, steps);
  nd_arena counted = {0};
  lay_out(b, &counted);
  if (!nd_arena_reserve(&b->arena, counted.used)) return nd_nomem(err);
  lay_out(b, &b->arena);
  memset(b->reset_state, 1, (size_t)streams);
  return ND_OK;
}

void nd_batch_clear(nd_batch *b) {
  nd_arena_clear(&b->arena);
  memset(b, 0, sizeof *b);
}
