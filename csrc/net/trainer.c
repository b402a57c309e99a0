#include "trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "blas.h"
#include "dense.h"
#include "kernels.h"
#include "packed.h"
#include "train_ctx.h"

size_t nd_trainer_bytes(const nd_net *net, int32_t steps, int32_t streams) {
  train_ctx x = {0};
  nd_arena counted = {0};
  nd_train_ctx_lay_out(&x, net, steps, streams, true, &counted);
  return 3 * net->n_trained * sizeof(float) + nd_arena_bytes(counted.used);
}

nd_status nd_trainer_make(nd_trainer *t, nd_net *net, uint64_t seed, nd_error *err) {
  memset(t, 0, sizeof *t);
  t->net = net;
  t->threads = 1;
  t->rng = nd_rng_seed(seed, 2);
  t->gradient = nd_calloc(net->n_trained, sizeof *t->gradient);
  t->m = nd_calloc(net->n_trained, sizeof *t->m);
  t->v = nd_calloc(net->n_trained, sizeof *t->v);
  if (t->gradient == NULL || t->m == NULL || t->v == NULL) {
    nd_trainer_clear(t);
    return nd_nomem(err);
  }
  t->grad = nd_params_bind(net->tensors, net->n_tensors, t->gradient, net->n_trained);
  return ND_OK;
}

void nd_trainer_clear(nd_trainer *t) {
  free(t->gradient);
  free(t->m);
  free(t->v);
  nd_arena_clear(&t->arena);
  memset(t, 0, sizeof *t);
}

/* ------------------------------------------------------------------ preparation */

static nd_status check_batch(const nd_net_config *c, const nd_batch *b, nd_error *err) {
  if (b->inputs != c->inputs || b->voices != c->voices || b->y_width != nd_net_targets(c) ||
      b->carried != nd_net_carried(c))
    return nd_fail(err, ND_MISUSE, "the batch was made for another model");
  if (b->targets != (c->window > 0 ? 1 : b->steps) || (c->window > 0 && b->steps != c->window))
    return nd_fail(err, ND_MISUSE, "the batch has %d steps and %d targets, which this model does not use",
                   b->steps, b->targets);
  /* kernels count the values of a layer in 32 bits */
  if ((double)b->steps * b->streams * 4.0 * (nd_head_widest(c) + c->encoder) > (double)INT32_MAX)
    return nd_fail(err, ND_LIMIT, "a batch of %d x %d steps is too large", b->streams, b->steps);
  return ND_OK;
}

static nd_status prepare(nd_trainer *t, nd_batch *b, bool training, train_ctx *x, nd_error *err) {
  const nd_net *net = t->net;
  nd_status status = check_batch(&net->config, b, err);
  if (status != ND_OK) return status;
  nd_arena counted = {0};
  *x = (train_ctx){0};
  nd_train_ctx_lay_out(x, net, b->steps, b->streams, training, &counted);
  if (!nd_arena_reserve(&t->arena, counted.used)) return nd_nomem(err);
  *x = (train_ctx){.trainer = t, .batch = b};
  nd_train_ctx_lay_out(x, net, b->steps, b->streams, training, &t->arena);
  if (net->config.encoder == 0) x->layer[0].work.x = b->x;
  return ND_OK;
}

/* Threads that a batch is worth. Waking a thread takes about as long as 1.6e7
 * multiply-accumulates (0.2 ms); with less work for each, more threads are slower.
 * Without kernels of our own BLAS has the threads, and we use one. */
static int threads_for(const nd_trainer *t, const nd_batch *b) {
  const nd_net_config *c = &t->net->config;
  double rows = c->window > 0 ? b->streams : (double)b->steps * b->streams;
  double worth = nd_net_macs(t->net) * rows / 1.6e7;
  return nd_packed_width() == 0 || worth < 2 ? 1 : worth < t->threads ? (int)worth : t->threads;
}

/* Starts the threads; returns the former number of BLAS threads for end_threads(). */
static int begin_threads(train_ctx *x) {
  int threads = x->trainer->threads;
  x->pool = nd_thread_pool_make(threads_for(x->trainer, x->batch));
  return nd_blas_threads(nd_packed_width() > 0 || threads < 1 ? 1 : threads);
}

static void end_threads(train_ctx *x, int blas_threads) {
  (void)nd_blas_threads(blas_threads);
  nd_thread_pool_end(x->pool);
  x->pool = NULL;
}

/* -------------------------------------------------------------------- optimiser */

static size_t chunk_size(const nd_net *net, int32_t chunk) {
  size_t from = (size_t)chunk * TRAIN_CHUNK;
  return net->n_trained - from < TRAIN_CHUNK ? net->n_trained - from : TRAIN_CHUNK;
}

static void square_chunks(void *job, int part, int parts) {
  const train_ctx *x = job;
  const nd_net *net = x->trainer->net;
  int32_t n = nd_train_chunks(net), to = nd_partition_begin(n, 1, part + 1, parts);
  for (int32_t i = nd_partition_begin(n, 1, part, parts); i < to; i++)
    x->sums[i] = nd_sum_squares(chunk_size(net, i), x->trainer->gradient + (size_t)i * TRAIN_CHUNK);
}

static void update_chunks(void *job, int part, int parts) {
  const train_ctx *x = job;
  nd_trainer *t = x->trainer;
  int32_t n = nd_train_chunks(t->net), to = nd_partition_begin(n, 1, part + 1, parts);
  for (int32_t i = nd_partition_begin(n, 1, part, parts); i < to; i++) {
    size_t at = (size_t)i * TRAIN_CHUNK;
    nd_adam_apply(&x->plan, chunk_size(t->net, i), t->net->block + at, t->gradient + at, t->m + at,
                  t->v + at);
  }
}

/* Computes the gradient's norm and, if it is finite, takes Adam's step; else false. */
static bool update_weights(train_ctx *x, const nd_adam_options *adam, double *norm) {
  nd_trainer *t = x->trainer;
  double squares = 0;
  nd_thread_pool_run(x->pool, square_chunks, x);
  for (int32_t i = 0; i < nd_train_chunks(t->net); i++) squares += x->sums[i];
  *norm = sqrt(squares);
  if (!isfinite(*norm)) return false;
  x->plan = nd_adam_begin(adam, t->step + 1, *norm);
  nd_thread_pool_run(x->pool, update_chunks, x);
  t->step++;
  return true;
}

static bool norms_finite(const train_ctx *x) {
  for (int32_t k = 0; k < x->n_ops; k++)
    for (int32_t j = 0; x->head[k].moments != NULL && j < 2 * x->head[k].op.in; j++)
      if (!isfinite(x->head[k].moments[j])) return false;
  return true;
}

/* Moves the running statistics of the norms towards the batch's. */
static void update_norms(const train_ctx *x) {
  for (int32_t k = 0; k < x->n_ops; k++) {
    const train_head_op *h = &x->head[k];
    const nd_norm_params *p = &x->trainer->net->params.norm[h->op.index];
    if (h->moments != NULL) nd_norm_move(h->op.in, h->moments, p->mean, p->var);
  }
}

/* ------------------------------------------------------------------------- steps */

/* Everything that can fail is checked before a weight changes. */
static nd_status run_step(train_ctx *x, const nd_adam_options *adam, double *loss, double *norm,
                          nd_error *err) {
  const nd_shard *shard = &x->batch->shard;
  double count = 0, sum = nd_train_forward(x, true, &count);
  if (count > 0) nd_train_backward(x);
  nd_shard_sum(shard, &sum, 1);
  nd_status status = nd_shard_wait(shard, err);
  if (status != ND_OK) return status;
  *loss = count > 0 ? sum / count : 0.0;
  *norm = 0.0;
  if (!isfinite(*loss)) return nd_fail(err, ND_FORMAT, "training diverged: the loss is not finite");
  if (!norms_finite(x))
    return nd_fail(err, ND_FORMAT, "training diverged: the input of a norm is not finite");
  if (count > 0 && !update_weights(x, adam, norm))  /* count 0: nothing to learn from */
    return nd_fail(err, ND_FORMAT, "training diverged: the gradient is not finite");
  update_norms(x);
  return ND_OK;
}

nd_status nd_trainer_step(nd_trainer *t, nd_batch *batch, const nd_adam_options *adam,
                          double *loss, double *norm, nd_error *err) {
  train_ctx x;
  nd_status status = prepare(t, batch, true, &x, err);
  if (status != ND_OK) return status;
  const nd_rng rng = t->rng;
  size_t state_bytes = nd_batch_state_size(batch) * sizeof *batch->state;
  memcpy(x.saved_state, batch->state, state_bytes);
  int blas_threads = begin_threads(&x);
  status = run_step(&x, adam, loss, norm, err);
  end_threads(&x, blas_threads);
  if (status != ND_OK) {
    t->rng = rng;
    memcpy(batch->state, x.saved_state, state_bytes);
  }
  return status;
}

nd_status nd_trainer_loss(nd_trainer *t, nd_batch *batch, double *sum, int64_t *count,
                          float *logits, nd_error *err) {
  train_ctx x;
  nd_status status = prepare(t, batch, false, &x, err);
  if (status != ND_OK) return status;
  int blas_threads = begin_threads(&x);
  double counted = 0;
  *sum = nd_train_forward(&x, false, &counted);
  *count = (int64_t)counted;
  end_threads(&x, blas_threads);
  if (logits != NULL)
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): prepare() reserved it */
    memcpy(logits, x.logits, (size_t)x.rows * (size_t)nd_net_outputs(&t->net->config) * sizeof *logits);
  return ND_OK;
}
