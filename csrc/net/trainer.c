/* trainer.c - one training step, from the batch to the new weights.
 *
 *   prepare       memory for a batch of this size, reused from step to step
 *   nd_forward    loss of the batch; the logits become its gradient
 *   nd_backward   the weights' gradients, summed over processes meanwhile
 *   run_step      checks that all is finite, then Adam, then the norms' statistics
 *
 * A step that fails leaves weights, moments, random numbers and carried state as they
 * were, so that a caller can still save the model, or go on with other settings. */
#include "trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backprop.h"
#include "blas.h"
#include "dense.h"
#include "gemm.h"
#include "kernels.h"

/* ------------------------------------------------------------------------ memory */

/* Counted by the function that lays the memory out, so that it is exact. */
size_t nd_trainer_bytes(const nd_net *net, int32_t steps, int32_t streams) {
  train_ctx x = {.net = net, .training = true};
  nd_arena counted = {0};
  nd_train_ctx_lay_out(&x, steps, streams, &counted);
  return 3 * net->n_trained * sizeof(float) + nd_arena_bytes(counted.used);
}

/* Dropout has a stream of random numbers of its own (2); first weights have stream 1. */
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

/* The sampler makes batches from a drummer's configuration, but Lua programs may pass a
 * batch of one model to another. */
static nd_status check_batch(const nd_net_config *c, const nd_batch *b, nd_error *err) {
  if (b->inputs != c->inputs || b->voices != c->voices || b->y_width != nd_net_targets(c) ||
      b->carried != nd_net_carried(c))
    return nd_fail(err, ND_MISUSE, "the batch was made for another model");
  if (b->targets != (c->window > 0 ? 1 : b->steps) || (c->window > 0 && b->steps != c->window))
    return nd_fail(err, ND_MISUSE, "the batch has %d steps and %d targets, which do not suit "
                   "this model", b->steps, b->targets);
  /* kernels count the values of a layer in 32 bits */
  if ((double)b->steps * b->streams * 4.0 * (nd_head_widest(c) + c->encoder) > (double)INT32_MAX)
    return nd_fail(err, ND_LIMIT, "a batch of %d x %d steps is too large", b->streams, b->steps);
  return ND_OK;
}

/* Threads that a batch is worth: with less than 1.6e7 multiply-accumulates (0.2 ms) for
 * each, waking them takes longer than they save. Without kernels of our own BLAS has
 * the threads, and we use one. */
static int threads_for(const nd_trainer *t, const nd_batch *b) {
  const nd_net_config *c = &t->net->config;
  double rows = c->window > 0 ? b->streams : (double)b->steps * b->streams;
  double worth = nd_net_macs(t->net) * rows / 1.6e7;
  return !nd_gemm_has_kernels() || worth < 2 ? 1 : worth < t->threads ? (int)worth : t->threads;
}

/* Fills the context, allocating memory unless an earlier batch was as large. Nothing of
 * trainer or batch changes if it fails. Without an encoder, the first layer reads the
 * batch's inputs in place. */
static nd_status prepare(nd_trainer *t, nd_batch *b, bool training, train_ctx *x, nd_error *err) {
  nd_status status = check_batch(&t->net->config, b, err);
  if (status != ND_OK) return status;
  nd_arena counted = {0};
  *x = (train_ctx){.net = t->net, .batch = b, .training = training, .rng = &t->rng,
                   .gradient = t->gradient, .grad = t->grad};
  nd_train_ctx_lay_out(x, b->steps, b->streams, &counted);
  if (!nd_arena_reserve(&t->arena, counted.used)) return nd_nomem(err);
  nd_train_ctx_lay_out(x, b->steps, b->streams, &t->arena);
  if (t->net->config.encoder == 0) x->layer[0].work.x = b->x;
  x->pool = nd_thread_pool_make(threads_for(t, b));
  return ND_OK;
}

/* -------------------------------------------------------------------- optimiser
 * Adam (Kingma & Ba 2015) with the gradient clipped by its norm, so the norm comes
 * first; both are divided among the threads by chunks. */

typedef struct update {
  nd_trainer *trainer;
  double *sums;          /* (chunks) */
  bool step;             /* take the step of `plan`; else sum the squares */
  nd_adam_plan plan;
} update;

/* One thread's chunks. The last one may be shorter. */
static void update_chunks(void *job, int part, int parts) {
  const update *u = job;
  nd_trainer *t = u->trainer;
  int32_t n = nd_train_chunks(t->net), to = nd_partition_begin(n, 1, part + 1, parts);
  for (int32_t i = nd_partition_begin(n, 1, part, parts); i < to; i++) {
    size_t at = (size_t)i * ND_TRAIN_CHUNK, left = t->net->n_trained - at;
    size_t size = left < ND_TRAIN_CHUNK ? left : ND_TRAIN_CHUNK;
    const float *gradient = t->gradient + at;
    if (!u->step) u->sums[i] = nd_sum_squares(size, gradient);
    else nd_adam_apply(&u->plan, size, t->net->block + at, gradient, t->m + at, t->v + at);
  }
}

/* Computes the gradient's norm and takes Adam's step; false when the norm is not finite,
 * because the step would make all weights and moments NaN. */
static bool update_weights(nd_trainer *t, const train_ctx *x, const nd_adam_options *adam,
                           double *norm) {
  update u = {.trainer = t, .sums = x->sums};
  double squares = 0;
  nd_thread_pool_run(x->pool, update_chunks, &u);
  for (int32_t i = 0; i < nd_train_chunks(t->net); i++) squares += u.sums[i];
  *norm = sqrt(squares);
  if (!isfinite(*norm)) return false;
  u.step = true;
  u.plan = nd_adam_begin(adam, t->step + 1, *norm);
  nd_thread_pool_run(x->pool, update_chunks, &u);
  t->step++;
  return true;
}

/* Running statistics would stay NaN for good; the loss can be finite all the same when
 * the batch's variance overflows. */
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
    const nd_norm_params *p = &x->net->params.norm[h->op.index];
    if (h->moments != NULL) nd_norm_move(h->op.in, h->moments, p->mean, p->var);
  }
}

/* ------------------------------------------------------------------------- steps */

/* OpenBLAS gets the threads that our own kernels do not use. */
static int blas_threads(const nd_trainer *t) {
  return nd_gemm_has_kernels() || t->threads < 1 ? 1 : t->threads;
}

/* Everything that can fail is checked before a weight changes. With several processes
 * the checks have the same result everywhere, because loss, gradient and moments are
 * sums over all of them: all take the step or none does. */
static nd_status run_step(nd_trainer *t, train_ctx *x, const nd_adam_options *adam, double *loss,
                          double *norm, nd_error *err) {
  const nd_shard *shard = &x->batch->shard;
  double count = 0, sum = nd_forward(x, &count);
  if (count > 0) nd_backward(x);
  nd_shard_sum(shard, &sum, 1);
  nd_status status = nd_shard_wait(shard, err);
  if (status != ND_OK) return status;
  *loss = count > 0 ? sum / count : 0.0;
  *norm = 0.0;
  if (!isfinite(*loss)) return nd_fail(err, ND_FORMAT, "training diverged: the loss is not finite");
  if (!norms_finite(x))
    return nd_fail(err, ND_FORMAT, "training diverged: the input of a norm is not finite");
  if (count > 0 && !update_weights(t, x, adam, norm))  /* count 0: nothing to learn from */
    return nd_fail(err, ND_FORMAT, "training diverged: the gradient is not finite");
  update_norms(x);
  return ND_OK;
}

/* What a failed step must restore is saved before it: the random numbers, and the batch's
 * carried state, which the forward pass overwrites. */
nd_status nd_trainer_step(nd_trainer *t, nd_batch *batch, const nd_adam_options *adam,
                          double *loss, double *norm, nd_error *err) {
  train_ctx x;
  nd_status status = prepare(t, batch, true, &x, err);
  if (status != ND_OK) return status;
  const nd_rng rng = t->rng;  /* with the state, all that a failed step must restore */
  size_t state_bytes = nd_batch_state_size(batch) * sizeof *batch->state;
  memcpy(x.saved_state, batch->state, state_bytes);
  nd_blas_begin(blas_threads(t));
  status = run_step(t, &x, adam, loss, norm, err);
  nd_blas_end();
  nd_thread_pool_end(x.pool);
  if (status != ND_OK) {
    t->rng = rng;
    memcpy(batch->state, x.saved_state, state_bytes);
  }
  return status;
}

/* The same forward pass without dropout; norms use their running statistics. The sums of
 * all batches, and of all processes, are added up by the caller. */
nd_status nd_trainer_loss(nd_trainer *t, nd_batch *batch, double *sum, int64_t *count,
                          float *logits, nd_error *err) {
  train_ctx x;
  nd_status status = prepare(t, batch, false, &x, err);
  if (status != ND_OK) return status;
  nd_blas_begin(blas_threads(t));
  double counted = 0;
  *sum = nd_forward(&x, &counted);
  *count = (int64_t)counted;
  nd_blas_end();
  nd_thread_pool_end(x.pool);
  if (logits != NULL)
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): prepare() reserved it */
    memcpy(logits, x.logits,
           (size_t)x.rows * (size_t)nd_net_outputs(&t->net->config) * sizeof *logits);
  return ND_OK;
}
