#include "trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "blas.h"
#include "dense.h"
#include "head_plan.h"
#include "kernels.h"
#include "packed.h"
#include "../base/thread_pool.h"

/* ------------------------------------------------------------------- training
 * The streams of a batch don't know of each other: each thread takes some of
 * them through all layers, forwards and then backwards. The weights' gradients,
 * which need all streams, are shared out by columns, and the optimiser by
 * ranges. Nothing that comes out depends on the number of threads. */

/* One pass: where everything of it lies in the trainer's work block. */
typedef struct pass {
  nd_trainer *t;
  nd_batch *b;
  nd_thread_pool *crew;
  float *heard;                 /* (T, B, encoded): what the encoder reads */
  float *front;                 /* (T, B, front): what the first layer takes */
  float *dfront;                /* (T, B, encoding) */
  nd_lstm_work read[2];         /* the encoder; the second backwards */
  nd_lstm_work layer[ND_MAX_LAYERS];
  float *out[ND_MAX_LAYERS];    /* (T, B, H): outputs as the next layer sees them */
  /* dropout masks, NULL without dropout, and where its numbers begin */
  float *read_keep[2], *keep[ND_MAX_LAYERS];
  nd_rng read_drawn[2], drawn[ND_MAX_LAYERS];
  float *hits_packed;
  float *head[ND_MAX_HEAD_OPS + 1];     /* head[k]: input of op k; head[n_ops]: the features */
  float *head_keep[ND_MAX_HEAD_OPS];    /* mask, or xhat of a norm */
  float *inverse[ND_MAX_HEAD_OPS];
  float *moments[ND_MAX_HEAD_OPS];      /* a norm's, of this batch */
  float *before;                /* (B, carried): the batch's state, should the step fail */
  const float *features;        /* (rows, F): what the hits are made of */
  float *logits, *dhead, *dhead2;
  double *sums;                 /* (rows): the loss by rows; (chunks): the gradient's squares */
  int32_t rows;                 /* of the head: T B, or B */
  nd_head_op ops[ND_MAX_HEAD_OPS];
  int32_t n_ops;
  float scale;                  /* of the loss in the gradient; 0: no gradient */
  bool backward;                /* which weights are packed */
  int32_t gradient_from, gradient_to;  /* whose gradients are being found */
  nd_adam_plan plan;
} pass;

/* Weights whose squares are added up, or that Adam moves, at a time. */
enum { CHUNK = 1 << 14 };

static int32_t chunks(const nd_net *net) { return (int32_t)((net->n_trained + CHUNK - 1) / CHUNK); }

/* Lays the pass into `block`, 64-byte aligned; with block NULL, only counts.
 * nd_trainer_bytes says what it comes to. */
static size_t lay_out(const nd_net *net, int32_t T, int32_t B, float *block, bool training,
                      pass *p) {
  const nd_net_config *c = &net->config;
  size_t used = 0;
  /* each on a cache line of its own */
#define TAKE(n) (used += ((n) + 15) / 16 * 16, block != NULL ? block + (used - ((n) + 15) / 16 * 16) : NULL)
#define TAKE_PACKED(n) (nd_packed_width() > 0 ? TAKE(n) : NULL)
  size_t all = (size_t)T * (size_t)B, cells = all * (size_t)c->hidden;
  bool drops = training && c->dropout > 0.0f;
  int32_t He = c->encoder, H = c->hidden;
  /* the layers' apart from the readers': a thread may be with these, another with those */
  float *d = NULL, *dc = NULL, *dread = NULL, *dcread = NULL;
  if (training) {
    d = TAKE(cells);
    dc = TAKE((size_t)B * (size_t)H);
    dread = TAKE(all * (size_t)He);
    dcread = TAKE((size_t)B * (size_t)He);
    p->before = TAKE((size_t)B * (size_t)nd_net_carried(c));
  }
  if (He > 0) {
    p->heard = TAKE(all * (size_t)c->encoded);
    p->front = TAKE(all * (size_t)nd_net_decoder_inputs(c));
    if (training) p->dfront = TAKE(all * (size_t)nd_net_encoding(c));
  }
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    float *at = TAKE(nd_lstm_trace_size(He, T, B));
    p->read[k] = (nd_lstm_work){.layer = net->encoder[k], .steps = T, .streams = B,
                                .backwards = k == 1, .x = p->heard, .dh = dread, .dc = dcread};
    if (at != NULL) p->read[k].trace = nd_lstm_trace_at(at, He, T, B);
    p->read[k].packed = TAKE_PACKED(nd_lstm_packed_size(c->encoded, He));
    if (drops) p->read_keep[k] = TAKE(all * (size_t)He);
  }
  for (int32_t l = 0; l < c->layers; l++) {
    int32_t inputs = l == 0 ? nd_net_decoder_inputs(c) : H;
    float *at = TAKE(nd_lstm_trace_size(H, T, B));
    nd_lstm_work *w = &p->layer[l];
    *w = (nd_lstm_work){.layer = net->lstm[l], .steps = T, .streams = B,
                        .x = l == 0 ? p->front : p->out[l - 1], .dh = d, .dc = dc,
                        .dx = l == 0 ? p->dfront : d, .dx_width = l == 0 ? nd_net_encoding(c) : H};
    if (at != NULL) {
      w->trace = nd_lstm_trace_at(at, H, T, B);
      p->out[l] = nd_lstm_outputs(w);
    }
    w->packed = TAKE_PACKED(nd_lstm_packed_size(inputs, H));
    if (drops) {
      p->out[l] = TAKE(cells);
      p->keep[l] = TAKE(cells);
    }
  }
  size_t rows = c->window > 0 ? (size_t)B : all, wide = rows * (size_t)nd_head_widest(c);
  p->rows = (int32_t)rows;  /* too many to be run are only counted here */
  p->n_ops = nd_head_plan(c, p->ops);
  for (int32_t k = 0; k < p->n_ops; k++) {
    p->head[k] = TAKE(rows * (size_t)p->ops[k].in);
    p->head_keep[k] = TAKE(rows * (size_t)p->ops[k].in);
    p->inverse[k] = TAKE((size_t)p->ops[k].in);
    if (training && p->ops[k].kind == ND_HEAD_NORM)
      p->moments[k] = TAKE(2 * (size_t)p->ops[k].in);
  }
  if (p->n_ops > 0) {
    p->head[p->n_ops] = TAKE(wide);
    if (training) {
      p->dhead = TAKE(wide);
      p->dhead2 = TAKE(wide);
    }
  }
  p->hits_packed = TAKE_PACKED(nd_hits_packed_size(&net->hits));
  p->logits = TAKE(rows * (size_t)nd_net_outputs(c));
  size_t doubles = rows > (size_t)chunks(net) ? rows : (size_t)chunks(net);
  float *sums = TAKE(doubles * sizeof(double) / sizeof(float));
  p->sums = (double *)(void *)sums;
#undef TAKE_PACKED
#undef TAKE
  return used;
}

size_t nd_trainer_bytes(const nd_net *net, int32_t steps, int32_t streams) {
  pass p;
  memset(&p, 0, sizeof p);
  return sizeof(float) * (3 * net->n_trained + lay_out(net, steps, streams, NULL, true, &p) + 16);
}

static nd_status prepare(nd_trainer *t, nd_batch *b, bool training, pass *p, nd_error *err) {
  const nd_net_config *c = &t->net->config;
  memset(p, 0, sizeof *p);
  if (b->inputs != c->inputs || b->voices != c->voices ||
      b->y_width != nd_net_targets(c) || b->carried != nd_net_carried(c))
    return nd_fail(err, ND_MISUSE, "the batch was made for another model");
  if (b->targets != (c->window > 0 ? 1 : b->steps) || (c->window > 0 && b->steps != c->window))
    return nd_fail(err, ND_MISUSE, "the batch has %d steps and %d targets, which this model has not",
                   b->steps, b->targets);
  if ((double)b->steps * b->streams * 4.0 * (nd_head_widest(c) + c->encoder) > (double)INT32_MAX)
    return nd_fail(err, ND_LIMIT, "a batch of %d x %d steps is too large", b->streams, b->steps);
  size_t need = lay_out(t->net, b->steps, b->streams, NULL, training, p) + 16;
  if (need > t->work_size) {
    free(t->work);
    t->work_size = 0;
    t->work = nd_calloc(need, sizeof *t->work);
    if (t->work == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
    t->work_size = need;
  }
  float *aligned = t->work + (64 - (uintptr_t)t->work % 64) / sizeof *aligned;
  memset(p, 0, sizeof *p);
  (void)lay_out(t->net, b->steps, b->streams, aligned, training, p);
  p->t = t;
  p->b = b;
  if (c->encoder == 0) p->layer[0].x = b->x;
  return ND_OK;
}

/* Threads that a batch is worth: below a fifth of a millisecond's products
 * for each, waking them takes longer than they save. Without kernels of our own
 * there is but one, and BLAS has the others. */
static int threads_for(const nd_trainer *t, const nd_batch *b) {
  const nd_net_config *c = &t->net->config;
  double rows = c->window > 0 ? b->streams : (double)b->steps * b->streams;
  double worth = nd_net_macs(t->net) * rows / 1.6e7;
  return nd_packed_width() == 0 || worth < 2 ? 1 : worth < t->threads ? (int)worth : t->threads;
}

/* Sets up who works on a pass, and gives it back. */
static int assemble(pass *p) {
  p->crew = nd_thread_pool_make(threads_for(p->t, p->b));
  return nd_blas_threads(nd_packed_width() > 0 || p->t->threads < 1 ? 1 : p->t->threads);
}

static void dismiss(pass *p, int blas_threads) {
  (void)nd_blas_threads(blas_threads);
  nd_thread_pool_end(p->crew);
  p->crew = NULL;
}

/* The carried state of one layer lies at `at` floats into the batch's: h of
 * all streams, then c. Of streams from..to-1. */
static void load_state(const nd_batch *b, size_t at, bool none, const nd_lstm_work *w,
                       int32_t from, int32_t to) {
  size_t H = (size_t)w->layer.hidden, cells = H * (size_t)b->streams;
  size_t row = w->backwards ? cells * (size_t)b->steps : 0;
  for (int32_t s = from; s < to; s++) {
    float *h = w->trace.h + row + (size_t)s * H, *c = w->trace.c + row + (size_t)s * H;
    if (b->fresh[s] || none) {
      memset(h, 0, H * sizeof *h);
      memset(c, 0, H * sizeof *c);
    } else {
      memcpy(h, b->state + at + (size_t)s * H, H * sizeof *h);
      memcpy(c, b->state + at + cells + (size_t)s * H, H * sizeof *c);
    }
  }
}

static void store_state(nd_batch *b, size_t at, const nd_lstm_work *w, int32_t from, int32_t to) {
  size_t H = (size_t)w->layer.hidden, cells = H * (size_t)b->streams;
  size_t last = cells * (size_t)b->steps, own = (size_t)from * H, n = (size_t)(to - from) * H;
  memcpy(b->state + at + own, w->trace.h + last + own, n * sizeof *b->state);
  memcpy(b->state + at + cells + own, w->trace.c + last + own, n * sizeof *b->state);
}

/* Copies `n` columns of each of `rows` rows. */
static void copy_columns(int32_t rows, int32_t n, const float *from, int32_t from_width, float *to,
                         int32_t to_width) {
  for (int32_t r = 0; r < rows; r++, from += from_width, to += to_width)
    memcpy(to, from, (size_t)n * sizeof *to);
}

/* A layer's outputs, streams from..to-1, to rows of `to_width`; with dropout,
 * whose mask is drawn in the order in which the layer reads. */
static void pass_on(const pass *p, const nd_lstm_work *w, const nd_rng *drawn, float *keep,
                    int32_t from, int32_t to, float *out, int32_t to_width) {
  size_t B = (size_t)w->streams, n = (size_t)w->layer.hidden;
  int32_t own = (to - from) * (int32_t)n;
  const float *h = nd_lstm_outputs(w);
  for (int32_t t = 0; t < w->steps; t++) {
    size_t row = (size_t)t * B + (size_t)from;
    const float *in = h + row * n;
    float *o = out + row * (size_t)to_width;
    if (keep == NULL) {
      copy_columns(to - from, (int32_t)n, in, (int32_t)n, o, to_width);
      continue;
    }
    float *mask = keep + row * n;
    /* of the whole batch, whoever has its other streams */
    size_t i = (size_t)(w->backwards ? w->steps - 1 - t : t) * (size_t)p->b->shard.total +
               (size_t)(p->b->shard.first + from);
    nd_dropout_mask(drawn, p->t->net->config.dropout, i * n, own, mask);
    for (int32_t r = from; r < to; r++, in += n, mask += n, o += to_width)
      nd_product((int32_t)n, in, mask, o);
  }
}

/* The encoder over a stretch: the forward reader carries its state on, the
 * backward one starts at the stretch's end. */
static void encode(pass *p, int32_t from, int32_t to) {
  const nd_net_config *c = &p->t->net->config;
  nd_batch *b = p->b;
  int32_t E = c->encoded, I = c->inputs, F = nd_net_decoder_inputs(c), encoding = nd_net_encoding(c);
  size_t at = 2 * (size_t)c->layers * (size_t)c->hidden * (size_t)b->streams;
  for (int32_t t = 0; t < b->steps; t++) {
    size_t row = (size_t)t * (size_t)b->streams + (size_t)from;
    const float *x = b->x + row * (size_t)I;
    copy_columns(to - from, E, x, I, p->heard + row * (size_t)E, E);
    copy_columns(to - from, I - E, x + E, I, p->front + row * (size_t)F + encoding, F);
  }
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    load_state(b, at, k == 1, &p->read[k], from, to);
    nd_lstm_forward_streams(&p->read[k], from, to);
    if (k == 0) store_state(b, at, &p->read[k], from, to);
    pass_on(p, &p->read[k], &p->read_drawn[k], p->read_keep[k], from, to,
            p->front + (size_t)k * (size_t)c->encoder, F);
  }
}

/* The loss of logits, by rows; they become its gradient where that is asked for. */
static void loss_of(const pass *p, int32_t row, int32_t rows) {
  const nd_net_config *c = &p->t->net->config;
  size_t at = (size_t)row;
  const float *y = p->b->y + at * (size_t)p->b->y_width, *mask = p->b->mask + at * (size_t)c->voices;
  (c->touch ? nd_touch_loss : nd_hits_loss)(rows, c->voices, y, mask,
                                            p->logits + at * (size_t)nd_net_outputs(c), p->scale,
                                            p->sums + row);
}

/* Blocks of the head's rows that belong to some streams. */
static int32_t head_blocks(const pass *p) { return p->rows / p->b->streams; }

static void forward_streams(void *job, int part, int parts) {
  pass *p = job;
  const nd_net *net = p->t->net;
  const nd_net_config *c = &net->config;
  nd_batch *b = p->b;
  int32_t from = nd_partition_begin(b->streams, 1, part, parts);
  int32_t to = nd_partition_begin(b->streams, 1, part + 1, parts);
  if (from == to) return;
  if (c->encoder > 0) encode(p, from, to);
  for (int32_t l = 0; l < c->layers; l++) {
    size_t at = 2 * (size_t)l * (size_t)c->hidden * (size_t)b->streams;
    load_state(b, at, c->window > 0, &p->layer[l], from, to);
    nd_lstm_forward_streams(&p->layer[l], from, to);
    store_state(b, at, &p->layer[l], from, to);
    if (p->keep[l] != NULL)
      pass_on(p, &p->layer[l], &p->drawn[l], p->keep[l], from, to, p->out[l], c->hidden);
  }
  if (p->n_ops > 0) return;  /* a head that may mix the streams */
  size_t own = (size_t)from, outputs = (size_t)nd_net_outputs(c);
  nd_hits_forward_blocks(&net->hits, p->hits_packed, head_blocks(p), b->streams, to - from,
                         p->features + own * (size_t)c->hidden, b->x + own * (size_t)c->inputs,
                         b->y + own * (size_t)b->y_width, p->logits + own * outputs);
  for (int32_t t = 0; t < head_blocks(p); t++) loss_of(p, t * b->streams + from, to - from);
}

/* The dense head, all rows at once. */
static void forward_head(pass *p, bool training) {
  nd_trainer *t = p->t;
  nd_net *net = t->net;
  int32_t rows = p->rows;
  memcpy(p->head[0], p->features, (size_t)rows * (size_t)net->config.hidden * sizeof(float));
  for (int32_t k = 0; k < p->n_ops; k++) {
    const nd_head_op *o = &p->ops[k];
    size_t n = (size_t)rows * (size_t)o->in;
    float *in = p->head[k], *out = p->head[k + 1];
    if (o->kind == ND_HEAD_DENSE) {
      nd_dense_forward(rows, o->in, o->out, in, nd_net_part(net, net->block, "dense", o->number, "w"),
                       nd_net_part(net, net->block, "dense", o->number, "b"), out);
      continue;
    }
    memcpy(out, in, n * sizeof *in);
    if (o->kind == ND_HEAD_DROP) {
      if (training && net->config.head_dropout > 0.0f)
        nd_dropout(&p->b->shard, head_blocks(p), p->b->streams * o->in, net->config.head_dropout,
                   &t->rng, p->head_keep[k], out);
    } else {
      const float *gamma = nd_net_part(net, net->block, "norm", o->number, "gamma");
      const float *beta = nd_net_part(net, net->block, "norm", o->number, "beta");
      if (training)
        nd_norm_train(&p->b->shard, rows, o->in, gamma, beta, p->moments[k], out,
                      p->head_keep[k], p->inverse[k]);
      else
        nd_norm_apply(rows, o->in, gamma, beta,
                      nd_net_part(net, net->block, "norm", o->number, "mean"),
                      nd_net_part(net, net->block, "norm", o->number, "var"), out);
    }
  }
  p->features = p->head[p->n_ops];
  nd_hits_forward(&net->hits, rows, p->features, p->b->x, p->b->y, p->logits);
  loss_of(p, 0, rows);
}

static void pack_weights(void *job, int part, int parts) {
  pass *p = job;
  const nd_net_config *c = &p->t->net->config;
  for (int32_t k = 0; k < nd_net_directions(c); k++)
    nd_lstm_pack(&p->read[k], p->backward, part, parts);
  for (int32_t l = 0; l < c->layers; l++) nd_lstm_pack(&p->layer[l], p->backward, part, parts);
  if (part == parts - 1 && !p->backward)
    nd_hits_pack(&p->t->net->hits, p->hits_packed);
}

/* Where the numbers of each mask begin. */
static void draw(pass *p) {
  const nd_net_config *c = &p->t->net->config;
  uint64_t all = (uint64_t)p->b->steps * (uint64_t)p->b->shard.total;
  if (p->keep[0] == NULL) return;
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    p->read_drawn[k] = p->t->rng;
    nd_rng_skip(&p->t->rng, nd_dropout_draws(all * (uint64_t)c->encoder));
  }
  for (int32_t l = 0; l < c->layers; l++) {
    p->drawn[l] = p->t->rng;
    nd_rng_skip(&p->t->rng, nd_dropout_draws(all * (uint64_t)c->hidden));
  }
}

/* Logits and the sum of their loss, of the streams that are here. Training, over
 * *count hits of the whole batch, they become the gradient of its mean. */
static double forward(pass *p, bool training, double *count) {
  const nd_net_config *c = &p->t->net->config;
  size_t H = (size_t)c->hidden, B = (size_t)p->b->streams;
  *count = (double)nd_hits_count(p->rows, c->voices, p->b->mask);
  if (training) nd_shard_sum(&p->b->shard, count, 1);
  p->scale = training && *count > 0 ? 1.0f / (float)*count : 0.0f;
  p->features = p->out[c->layers - 1];
  if (c->window > 0) p->features += (size_t)(p->b->steps - 1) * B * H;
  draw(p);
  p->backward = false;
  nd_thread_pool_run(p->crew, pack_weights, p);
  nd_thread_pool_run(p->crew, forward_streams, p);
  if (p->n_ops > 0) forward_head(p, training);
  double sum = 0;
  for (int32_t r = 0; r < p->rows; r++) sum += p->sums[r];
  return sum;
}

/* The dense head and the hits, all rows at once: returns the gradient of what
 * the layers gave. */
static const float *backward_head(pass *p) {
  nd_net *net = p->t->net;
  float *g = p->t->gradient, *d = p->dhead, *other = p->dhead2;
  nd_hits_backward_blocks(&net->hits, p->hits_packed, 1, p->rows, p->rows, p->logits, d);
  for (int32_t k = p->n_ops - 1; k >= 0; k--) {
    const nd_head_op *o = &p->ops[k];
    if (o->kind == ND_HEAD_DENSE) {
      nd_dense_backward(p->rows, o->in, o->out, p->head[k],
                        nd_net_part(net, net->block, "dense", o->number, "w"), d,
                        nd_net_part(net, g, "dense", o->number, "w"),
                        nd_net_part(net, g, "dense", o->number, "b"), other);
      float *swap = d;
      d = other;
      other = swap;
    } else if (o->kind == ND_HEAD_DROP) {
      if (net->config.head_dropout > 0.0f) nd_multiply(p->rows * o->in, p->head_keep[k], d);
    } else {
      nd_norm_backward(&p->b->shard, p->rows, o->in,
                       nd_net_part(net, net->block, "norm", o->number, "gamma"),
                       p->head_keep[k], p->inverse[k], nd_net_part(net, g, "norm", o->number, "gamma"),
                       nd_net_part(net, g, "norm", o->number, "beta"), d);
    }
  }
  return d;
}

static void backward_streams(void *job, int part, int parts) {
  pass *p = job;
  const nd_net *net = p->t->net;
  const nd_net_config *c = &net->config;
  int32_t B = p->b->streams, T = p->b->steps;
  int32_t from = nd_partition_begin(B, 1, part, parts), rows = nd_partition_begin(B, 1, part + 1, parts) - from;
  if (rows == 0) return;
  size_t H = (size_t)c->hidden, own = (size_t)from * H, n = (size_t)rows * H, cells = (size_t)B * H;
  float *d = p->layer[0].dh, *last = d + (size_t)(T - 1) * cells;
  if (c->window > 0)
    for (int32_t t = 0; t < T - 1; t++) memset(d + (size_t)t * cells + own, 0, n * sizeof *d);
  if (p->n_ops > 0)
    for (int32_t t = 0; t < head_blocks(p); t++) {
      size_t at = (size_t)t * cells + own;
      memcpy((c->window > 0 ? last : d) + at, p->dhead + at, n * sizeof *d);
    }
  else
    nd_hits_backward_blocks(&net->hits, p->hits_packed, head_blocks(p), B, rows,
                            p->logits + (size_t)from * (size_t)nd_net_outputs(c),
                            (c->window > 0 ? last : d) + own);
  for (int32_t l = c->layers - 1; l >= 0; l--) {
    if (p->keep[l] != NULL)
      for (int32_t t = 0; t < T; t++)
        nd_multiply((int32_t)n, p->keep[l] + (size_t)t * cells + own, d + (size_t)t * cells + own);
    nd_lstm_backward_streams(&p->layer[l], from, from + rows);
  }
  int32_t He = c->encoder, encoding = nd_net_encoding(c);
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    for (int32_t t = 0; t < T; t++) {
      size_t row = (size_t)t * (size_t)B + (size_t)from;
      float *dh = p->read[k].dh + row * (size_t)He;
      copy_columns(rows, He, p->dfront + row * (size_t)encoding + (size_t)k * (size_t)He, encoding,
                   dh, He);
      if (p->read_keep[k] != NULL)
        nd_multiply(rows * He, p->read_keep[k] + row * (size_t)He, dh);
    }
    nd_lstm_backward_streams(&p->read[k], from, from + rows);
  }
}

/* The weights' gradients by layer: the readers, the layers, the hits. */
static int32_t gradients(const nd_net *net) {
  return nd_net_directions(&net->config) + net->config.layers + 1;
}

static void gradient_columns(void *job, int part_number, int parts) {
  const pass *p = job;
  const nd_net *net = p->t->net;
  float *g = p->t->gradient;
  int32_t readers = nd_net_directions(&net->config);
  for (int32_t i = p->gradient_from; i < p->gradient_to; i++) {
    int32_t l = i - readers;
    if (i < readers)
      /* columns that no whole share comes out of go to the first for one, the last for the other */
      nd_lstm_gradient(&p->read[i], i == 0 ? parts - 1 - part_number : part_number, parts,
                       nd_net_part(net, g, "encoder", i + 1, "wx"), nd_net_part(net, g, "encoder", i + 1, "wh"),
                       nd_net_part(net, g, "encoder", i + 1, "b"));
    else if (l < net->config.layers)
      nd_lstm_gradient(&p->layer[l], part_number, parts, nd_net_part(net, g, "lstm", l + 1, "wx"),
                       nd_net_part(net, g, "lstm", l + 1, "wh"), nd_net_part(net, g, "lstm", l + 1, "b"));
    else if (part_number == 0)
      nd_hits_gradient(&net->hits, p->rows, p->features, p->b->x, p->b->y, p->logits,
                       nd_net_part(net, g, "out", 0, "w"), nd_net_part(net, g, "out", 0, "b"),
                       nd_net_part(net, g, "out", 0, "skip"), nd_net_part(net, g, "out", 0, "mix"));
  }
}

static void find_gradients(pass *p, int32_t from, int32_t to) {
  p->gradient_from = from;
  p->gradient_to = to;
  nd_thread_pool_run(p->crew, gradient_columns, p);
}

/* The same from the end of the gradient to its start, each layer's handed over
 * to be added up with other processes' while the next one's is found. */
static void find_shared_gradients(pass *p) {
  const nd_net *net = p->t->net;
  const nd_allreduce *comm = p->b->shard.comm;
  int32_t readers = nd_net_directions(&net->config), layers = net->config.layers;
  size_t done = net->n_trained;
  for (int32_t i = gradients(net) - 1; i >= 0; i--) {
    int32_t l = i - readers;
    find_gradients(p, i, i + 1);
    const float *first = i < readers  ? nd_net_part(net, p->t->gradient, "encoder", i + 1, "wx")
                         : l < layers ? nd_net_part(net, p->t->gradient, "lstm", l + 1, "wx")
                                      : nd_net_part(net, p->t->gradient, "out", 0, "w");
    size_t at = (size_t)(first - p->t->gradient);
    comm->begin(comm->self, p->t->gradient + at, done - at);
    done = at;
  }
}

/* From the gradient of the logits to that of every weight. */
static void backward(pass *p) {
  const nd_net *net = p->t->net;
  /* the layers' are written, the head's added to */
  size_t head = (size_t)(nd_net_part(net, p->t->gradient, "lstm", net->config.layers, "b") - p->t->gradient);
  memset(p->t->gradient + head, 0, (net->n_trained - head) * sizeof(float));
  p->backward = true;
  nd_thread_pool_run(p->crew, pack_weights, p);
  if (p->n_ops > 0) {
    const float *d = backward_head(p);
    if (d != p->dhead)
      memcpy(p->dhead, d, (size_t)p->rows * (size_t)net->config.hidden * sizeof *d);
  }
  nd_thread_pool_run(p->crew, backward_streams, p);
  if (p->b->shard.comm != NULL) find_shared_gradients(p);
  else find_gradients(p, 0, gradients(net));
}

static size_t chunk_size(const nd_net *net, int32_t chunk) {
  size_t from = (size_t)chunk * CHUNK;
  return net->n_trained - from < CHUNK ? net->n_trained - from : CHUNK;
}

static void square_chunks(void *job, int part, int parts) {
  const pass *p = job;
  int32_t n = chunks(p->t->net), to = nd_partition_begin(n, 1, part + 1, parts);
  for (int32_t i = nd_partition_begin(n, 1, part, parts); i < to; i++)
    p->sums[i] = nd_sum_squares(chunk_size(p->t->net, i), p->t->gradient + (size_t)i * CHUNK);
}

static void move_chunks(void *job, int part, int parts) {
  const pass *p = job;
  nd_trainer *t = p->t;
  int32_t n = chunks(t->net), to = nd_partition_begin(n, 1, part + 1, parts);
  for (int32_t i = nd_partition_begin(n, 1, part, parts); i < to; i++) {
    size_t at = (size_t)i * CHUNK;
    nd_adam_apply(&p->plan, chunk_size(t->net, i), t->net->block + at, t->gradient + at, t->m + at,
                  t->v + at);
  }
}

/* The gradient's norm, and unless that is not finite, Adam's step: else false. */
static bool apply(pass *p, const nd_adam_options *adam, double *norm) {
  double squares = 0;
  nd_thread_pool_run(p->crew, square_chunks, p);
  for (int32_t i = 0; i < chunks(p->t->net); i++) squares += p->sums[i];
  *norm = sqrt(squares);
  if (!isfinite(*norm)) return false;
  p->plan = nd_adam_begin(adam, p->t->step + 1, *norm);
  nd_thread_pool_run(p->crew, move_chunks, p);
  p->t->step++;
  return true;
}

nd_status nd_trainer_make(nd_trainer *t, nd_net *net, uint64_t seed, nd_error *err) {
  memset(t, 0, sizeof *t);
  t->net = net;
  t->threads = 1;
  t->rng = nd_rng_seed(seed, 2);
  t->gradient = nd_calloc(net->n_trained, sizeof *t->gradient);
  t->m = nd_calloc(net->n_trained, sizeof *t->m);
  t->v = nd_calloc(net->n_trained, sizeof *t->v);
  if (t->gradient && t->m && t->v) return ND_OK;
  nd_trainer_clear(t);
  return nd_fail(err, ND_NOMEM, "out of memory");
}

void nd_trainer_clear(nd_trainer *t) {
  free(t->gradient);
  free(t->m);
  free(t->v);
  free(t->work);
  memset(t, 0, sizeof *t);
}

/* Whether the norms' running statistics can move by those of the batch. */
static bool norms_finite(const pass *p) {
  for (int32_t k = 0; k < p->n_ops; k++)
    for (int32_t j = 0; p->moments[k] != NULL && j < 2 * p->ops[k].in; j++)
      if (!isfinite(p->moments[k][j])) return false;
  return true;
}

static void move_norms(const pass *p) {
  nd_net *net = p->t->net;
  for (int32_t k = 0; k < p->n_ops; k++)
    if (p->moments[k] != NULL)
      nd_norm_move(p->ops[k].in, p->moments[k],
                   nd_net_part(net, net->block, "norm", p->ops[k].number, "mean"),
                   nd_net_part(net, net->block, "norm", p->ops[k].number, "var"));
}

/* A step by a crew that is there. */
static nd_status step(pass *p, const nd_adam_options *adam, double *loss, double *norm,
                      nd_error *err) {
  double count = 0, sum = forward(p, true, &count);
  if (count > 0) backward(p);
  nd_shard_sum(&p->b->shard, &sum, 1);
  nd_status status = nd_shard_wait(&p->b->shard, err);
  if (status != ND_OK) return status;
  *loss = count > 0 ? sum / count : 0.0;
  *norm = 0.0;
  if (!isfinite(*loss)) return nd_fail(err, ND_FORMAT, "training diverged: the loss is not finite");
  if (!norms_finite(p))
    return nd_fail(err, ND_FORMAT, "training diverged: what is normalised is not finite");
  if (count > 0 && !apply(p, adam, norm))  /* else there is nothing to learn from */
    return nd_fail(err, ND_FORMAT, "training diverged: the gradient is not finite");
  move_norms(p);
  return ND_OK;
}

nd_status nd_trainer_step(nd_trainer *t, nd_batch *batch, const nd_adam_options *adam,
                          double *loss, double *norm, nd_error *err) {
  pass p;
  nd_status status = prepare(t, batch, true, &p, err);
  if (status != ND_OK) return status;
  const nd_rng rng = t->rng;
  memcpy(p.before, batch->state, nd_batch_state_size(batch) * sizeof *p.before);
  int blas_threads = assemble(&p);
  status = step(&p, adam, loss, norm, err);
  dismiss(&p, blas_threads);
  if (status != ND_OK) {
    t->rng = rng;
    memcpy(batch->state, p.before, nd_batch_state_size(batch) * sizeof *p.before);
  }
  return status;
}

nd_status nd_trainer_loss(nd_trainer *t, nd_batch *batch, double *sum, int64_t *count,
                          float *logits, nd_error *err) {
  pass p;
  nd_status status = prepare(t, batch, false, &p, err);
  if (status != ND_OK) return status;
  int blas_threads = assemble(&p);
  double counted = 0;
  *sum = forward(&p, false, &counted);
  *count = (int64_t)counted;
  dismiss(&p, blas_threads);
  if (logits != NULL)
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): prepare took it */
    memcpy(logits, p.logits,
           (size_t)p.rows * (size_t)nd_net_outputs(&t->net->config) * sizeof *logits);
  return ND_OK;
}
