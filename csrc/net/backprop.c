/* backprop.c - the passes of one training step.
 *
 *   forward    pack weights | encoder, LSTM layers by streams | dense layers, output
 *   backward   pack transposes | output, dense layers | LSTM layers, encoder by streams
 *              | gradients of the weights by columns
 *
 * Each part between bars is divided among the threads and finished by all of them
 * before the next begins. Dense layers run on the calling thread; without any, the
 * output layer and the loss are part of the work by streams. No two threads write
 * to the same array element in one part, so there are no locks. */
#include "backprop.h"

#include <string.h>

#include "dense.h"
#include "kernels.h"

/* Copies the first `n` columns of each row. */
static void copy_columns(int32_t rows, int32_t n, const float *from, int32_t from_width, float *to,
                         int32_t to_width) {
  for (int32_t r = 0; r < rows; r++, from += from_width, to += to_width)
    memcpy(to, from, (size_t)n * sizeof *to);
}

/* The top LSTM layer, whose outputs are the features. */
static const train_layer *top(const train_ctx *x) { return &x->layer[x->n_layers - 1]; }

/* ---------------------------------------------------------------- carried state */

/* Streams that start a song, and all of window nets, start from 0. So does the backward
 * direction, whose initial state is in the trace's last row. */
static void load_state(const train_ctx *x, const train_layer *y, int32_t from, int32_t to) {
  const nd_batch *b = x->batch;
  const nd_lstm_work *w = &y->work;
  bool zero = w->backwards || x->net->config.window > 0;
  size_t H = (size_t)w->layer.hidden, n = H * (size_t)b->streams;
  size_t row = w->backwards ? n * (size_t)b->steps : 0;
  for (int32_t s = from; s < to; s++) {
    float *h = w->trace.h + row + (size_t)s * H, *c = w->trace.c + row + (size_t)s * H;
    if (zero || b->reset_state[s]) {
      memset(h, 0, H * sizeof *h);
      memset(c, 0, H * sizeof *c);
    } else {
      memcpy(h, b->state + y->state_at + (size_t)s * H, H * sizeof *h);
      memcpy(c, b->state + y->state_at + n + (size_t)s * H, H * sizeof *c);
    }
  }
}

/* After the last step; streams from..to-1, which are adjacent, at once. The backward
 * direction carries nothing: it starts anew at the end of each batch. */
static void store_state(const train_ctx *x, const train_layer *y, int32_t from, int32_t to) {
  const nd_lstm_work *w = &y->work;
  if (w->backwards) return;
  size_t H = (size_t)w->layer.hidden, n = H * (size_t)w->streams, last = n * (size_t)w->steps;
  size_t first = (size_t)from * H, bytes = (size_t)(to - from) * H * sizeof(float);
  float *state = x->batch->state + y->state_at + first;
  memcpy(state, w->trace.h + last + first, bytes);
  memcpy(state + n, w->trace.c + last + first, bytes);
}

/* --------------------------------------------------------------------- forward */

/* Reserves the random numbers of every mask before threads start: a thread can
 * then draw the part of its streams, and the numbers do not depend on how streams
 * are divided among threads or processes. */
static void reserve_masks(train_ctx *x) {
  uint64_t rows = (uint64_t)x->batch->steps * (uint64_t)x->batch->shard.total;
  for (int32_t k = 0; k < x->n_layers && x->layer[k].mask != NULL; k++) {
    x->layer[k].mask_rng = *x->rng;
    nd_rng_skip(x->rng, nd_dropout_draws(rows * (uint64_t)x->layer[k].work.layer.hidden));
  }
}

/* Copies a layer's outputs, streams from..to-1, to where the next layer reads them,
 * through dropout if there is a mask. The mask is drawn in the order in which the layer
 * runs: the backward direction starts with the last step. */
static void copy_outputs(const train_ctx *x, const train_layer *y, int32_t from, int32_t to) {
  const nd_lstm_work *w = &y->work;
  const nd_shard *shard = &x->batch->shard;
  size_t n = (size_t)w->layer.hidden;
  const float *h = nd_lstm_outputs(w);
  for (int32_t t = 0; t < w->steps && y->out != h; t++) {
    size_t row = (size_t)t * (size_t)w->streams + (size_t)from;
    const float *in = h + row * n;
    float *out = y->out + row * (size_t)y->out_width;
    if (y->mask == NULL) {
      copy_columns(to - from, (int32_t)n, in, (int32_t)n, out, y->out_width);
      continue;
    }
    float *mask = y->mask + row * n;
    size_t drawn_row = (size_t)(w->backwards ? w->steps - 1 - t : t) * (size_t)shard->total +
                       (size_t)(shard->first + from);
    nd_dropout_mask(&y->mask_rng, x->net->config.dropout, drawn_row * n,
                    (to - from) * (int32_t)n, mask);
    for (int32_t r = from; r < to; r++, in += n, mask += n, out += y->out_width)
      nd_product((int32_t)n, in, mask, out);
  }
}

/* Divides the inputs of each step between the encoder and the first layer. */
static void split_inputs(train_ctx *x, int32_t from, int32_t to) {
  const nd_net_config *c = &x->net->config;
  const nd_batch *b = x->batch;
  int32_t E = c->encoded, I = c->inputs, D = nd_net_decoder_inputs(c);
  for (int32_t t = 0; t < b->steps; t++) {
    size_t row = (size_t)t * (size_t)b->streams + (size_t)from;
    const float *in = b->x + row * (size_t)I;
    copy_columns(to - from, E, in, I, x->encoder_in + row * (size_t)E, E);
    copy_columns(to - from, I - E, in + E, I, x->decoder_in + row * (size_t)D + nd_net_encoding(c),
                 D);
  }
}

/* The loss of some rows to x->sums; their logits become its gradient, if wanted. */
static void compute_loss(const train_ctx *x, int32_t row, int32_t rows) {
  const nd_net_config *c = &x->net->config;
  size_t at = (size_t)row;
  const float *y = x->batch->y + at * (size_t)x->batch->y_width;
  const float *mask = x->batch->mask + at * (size_t)c->voices;
  float *logits = x->logits + at * (size_t)nd_net_outputs(c);
  (c->touch ? nd_touch_loss : nd_hits_loss)(rows, c->voices, y, mask, logits, x->scale,
                                            x->sums + row);
}

/* Steps that the head sees: all, or a window's last one. */
static int32_t head_steps(const train_ctx *x) { return x->rows / x->batch->streams; }

/* One thread's streams through the encoder, all layers and (without dense layers) the
 * output layer and the loss. Rows of one stream range are adjacent at each step only,
 * so the output layer takes them as one block a step. */
static void forward_streams(void *job, int part, int parts) {
  train_ctx *x = job;
  const nd_net *net = x->net;
  const nd_net_config *c = &net->config;
  nd_batch *b = x->batch;
  int32_t from = nd_partition_begin(b->streams, 1, part, parts);
  int32_t to = nd_partition_begin(b->streams, 1, part + 1, parts);
  if (from == to) return;
  if (c->encoder > 0) split_inputs(x, from, to);
  for (int32_t k = 0; k < x->n_layers; k++) {
    const train_layer *y = &x->layer[k];
    load_state(x, y, from, to);
    nd_lstm_forward_streams(&y->work, from, to);
    store_state(x, y, from, to);
    copy_outputs(x, y, from, to);
  }
  if (x->n_ops > 0) return;  /* dense layers follow; a norm's statistics need all streams */
  size_t first = (size_t)from;
  nd_hits_forward(&net->hits, x->hits_panels, head_steps(x), b->streams, to - from,
                  x->features + first * (size_t)c->hidden, b->x + first * (size_t)c->inputs,
                  b->y + first * (size_t)b->y_width, x->logits + first * (size_t)nd_net_outputs(c));
  for (int32_t t = 0; t < head_steps(x); t++) compute_loss(x, t * b->streams + from, to - from);
}

/* Training uses the batch's statistics and remembers them; evaluation the running ones. */
static void forward_norm(train_ctx *x, train_head_op *h, float *out) {
  const nd_norm_params *p = &x->net->params.norm[h->op.index];
  if (x->training)
    nd_norm_train(&x->batch->shard, x->rows, h->op.in, p->gamma, p->beta, h->moments, out, h->saved,
                  h->inverse);
  else
    nd_norm_apply(x->rows, h->op.in, p->gamma, p->beta, p->mean, p->var, out);
}

/* The dense layers, all rows at once on the calling thread: BLAS has the threads. */
static void forward_head(train_ctx *x) {
  const nd_net *net = x->net;
  float dropout = net->config.head_dropout;
  /* a copy, because dropout and norms work in place and the LSTM's backward pass needs h */
  memcpy(x->head[0].in, x->features,
         (size_t)x->rows * (size_t)net->config.hidden * sizeof *x->features);
  for (int32_t k = 0; k < x->n_ops; k++) {
    train_head_op *h = &x->head[k];
    float *out = k + 1 < x->n_ops ? x->head[k + 1].in : x->head_out;
    if (h->op.kind == ND_HEAD_DENSE) {
      const nd_dense_params *p = &net->params.dense[h->op.index];
      nd_dense_forward(x->rows, h->op.in, h->op.out, h->in, p->w, p->b, out);
      continue;
    }
    memcpy(out, h->in, (size_t)x->rows * (size_t)h->op.in * sizeof *out);
    if (h->op.kind == ND_HEAD_NORM) forward_norm(x, h, out);
    else if (x->training && dropout > 0.0f)
      nd_dropout(&x->batch->shard, head_steps(x), x->batch->streams * h->op.in, dropout, x->rng,
                 h->saved, out);
  }
  x->features = x->head_out;
  nd_hits_forward(&net->hits, NULL, 1, x->rows, x->rows, x->features, x->batch->x, x->batch->y,
                  x->logits);
  compute_loss(x, 0, x->rows);
}

/* Before each pass the weights that it multiplies by are packed for the kernels, divided
 * among the threads: the forward pass needs wx and wh, the backward pass their
 * transposes. The output layer is small and packed once, for both, by one thread. */
static void pack_weights(void *job, int part, int parts) {
  train_ctx *x = job;
  for (int32_t k = 0; k < x->n_layers; k++)
    nd_lstm_pack(&x->layer[k].work, x->backward, part, parts);
  if (part == parts - 1 && !x->backward) nd_hits_pack(&x->net->hits, x->hits_panels);
}

/* The mean loss is over the cells of all processes, so their count comes before the
 * gradient. Sums are added in row order, in double precision. */
double nd_forward(train_ctx *x, double *count) {
  const nd_net_config *c = &x->net->config;
  *count = (double)nd_hits_count(x->rows, c->voices, x->batch->mask);
  if (x->training) nd_shard_sum(&x->batch->shard, count, 1);
  x->scale = x->training && *count > 0 ? 1.0f / (float)*count : 0.0f;
  x->features = top(x)->out;
  if (c->window > 0)
    x->features += (size_t)(x->batch->steps - 1) * (size_t)x->batch->streams * (size_t)c->hidden;
  reserve_masks(x);
  x->backward = false;
  nd_thread_pool_run(x->pool, pack_weights, x);
  nd_thread_pool_run(x->pool, forward_streams, x);
  if (x->n_ops > 0) forward_head(x);
  /* sums are by row, so that this order, and the result, is the same for all threads */
  double sum = 0;
  for (int32_t r = 0; r < x->rows; r++) sum += x->sums[r];
  return sum;
}

/* -------------------------------------------------------------------- backward */

/* The output layer and the dense layers, in reverse: leaves the gradient of the last
 * LSTM layer's outputs (rows, H) in d_head. */
static void backward_head(train_ctx *x) {
  const nd_net *net = x->net;
  nd_hits_backward(&net->hits, x->hits_panels, 1, x->rows, x->rows, x->logits, x->d_head);
  for (int32_t k = x->n_ops - 1; k >= 0; k--) {
    const train_head_op *h = &x->head[k];
    float *d = x->d_head;
    if (h->op.kind == ND_HEAD_DENSE) {
      const nd_dense_params *g = &x->grad.dense[h->op.index];
      nd_dense_backward(x->rows, h->op.in, h->op.out, h->in, net->params.dense[h->op.index].w, d,
                        g->w, g->b, x->d_swap);
      x->d_head = x->d_swap;
      x->d_swap = d;
    } else if (h->op.kind == ND_HEAD_NORM) {
      const nd_norm_params *g = &x->grad.norm[h->op.index];
      nd_norm_backward(&x->batch->shard, x->rows, h->op.in, net->params.norm[h->op.index].gamma,
                       h->saved, h->inverse, g->gamma, g->beta, d);
    } else if (net->config.head_dropout > 0.0f) {
      nd_multiply(x->rows * h->op.in, h->saved, d);
    }
  }
}

/* The gradient of the last layer's outputs for streams from..from+rows-1: from the
 * dense layers if there are any, else from the logits. Of a window, only the last
 * step's output is used; the gradient of the others is 0. */
static void gradient_of_features(train_ctx *x, int32_t from, int32_t rows) {
  const nd_net *net = x->net;
  const nd_net_config *c = &net->config;
  int32_t B = x->batch->streams, T = x->batch->steps;
  size_t H = (size_t)c->hidden, row = (size_t)B * H, first = (size_t)from * H;
  size_t bytes = (size_t)rows * H * sizeof(float);
  float *d = top(x)->work.dh;
  if (c->window > 0)
    for (int32_t t = 0; t < T - 1; t++, d += row) memset(d + first, 0, bytes);
  if (x->n_ops > 0)
    for (int32_t t = 0; t < head_steps(x); t++)
      memcpy(d + (size_t)t * row + first, x->d_head + (size_t)t * row + first, bytes);
  else
    nd_hits_backward(&net->hits, x->hits_panels, head_steps(x), B, rows,
                     x->logits + (size_t)from * (size_t)nd_net_outputs(c), d + first);
}

/* Back-propagation through time for some streams, layer by layer from the top. The
 * layers share one dh: each turns it in place into that of the layer below. The gradient
 * of an encoder's direction is a range of columns of d_encoder. */
static void backward_streams(void *job, int part, int parts) {
  train_ctx *x = job;
  const nd_net_config *c = &x->net->config;
  int32_t B = x->batch->streams, encoding = nd_net_encoding(c);
  int32_t from = nd_partition_begin(B, 1, part, parts);
  int32_t rows = nd_partition_begin(B, 1, part + 1, parts) - from;
  if (rows == 0) return;
  gradient_of_features(x, from, rows);
  for (int32_t k = x->n_layers - 1; k >= 0; k--) {
    const train_layer *y = &x->layer[k];
    int32_t H = y->work.layer.hidden;
    for (int32_t t = 0; t < x->batch->steps; t++) {
      size_t row = (size_t)t * (size_t)B + (size_t)from, at = row * (size_t)H;
      if (k < nd_net_directions(c))
        copy_columns(rows, H, x->d_encoder + row * (size_t)encoding + k * H, encoding,
                     y->work.dh + at, H);
      if (y->mask != NULL) nd_multiply(rows * H, y->mask + at, y->work.dh + at);
    }
    nd_lstm_backward_streams(&y->work, from, from + rows);
  }
}

/* ------------------------------------------------------- gradients of the weights
 * In the order of the block: the encoder's directions, the layers, the output layer. */

/* Each thread computes some columns of every matrix: for dw = x^T dz no two threads write
 * to the same place, and each sum over the rows is one thread's. The column count may not
 * divide evenly: the first matrix gives the larger parts to the opposite end, so that of
 * an encoder's two directions no thread gets both larger parts. */
static void gradient_columns(void *job, int part, int parts) {
  const train_ctx *x = job;
  for (int32_t i = x->gradient_from; i < x->gradient_to; i++) {
    if (i < x->n_layers) {
      const train_layer *y = &x->layer[i];
      int own = i == 0 && x->net->config.encoder > 0 ? parts - 1 - part : part;
      nd_lstm_gradient(&y->work, own, parts, y->grad.wx, y->grad.wh, y->grad.b);
    } else if (part == 0) {
      const nd_output_params *g = &x->grad.out;
      nd_hits_gradient(&x->net->hits, x->rows, x->features, x->batch->x, x->batch->y, x->logits,
                       g->w, g->b, g->skip, g->mix);
    }
  }
}

/* Those of the layers from..to-1, where number n_layers is the output layer. */
static void compute_gradients(train_ctx *x, int32_t from, int32_t to) {
  x->gradient_from = from;
  x->gradient_to = to;
  nd_thread_pool_run(x->pool, gradient_columns, x);
}

/* The same for processes that share a batch: from the end of the block, so that the
 * sum of one layer's gradient over all processes overlaps the computation of the
 * next one's. */
static void compute_shared_gradients(train_ctx *x) {
  float *gradient = x->gradient;
  size_t end = x->net->n_trained;
  for (int32_t i = x->n_layers; i >= 0; i--) {
    compute_gradients(x, i, i + 1);
    const float *begin = i < x->n_layers ? x->layer[i].grad.wx : x->grad.out.w;
    size_t at = (size_t)(begin - gradient);
    nd_shard_begin_sum(&x->batch->shard, gradient + at, end - at);
    end = at;
  }
}

/* Order: gradients of outputs from the top down (dense layers on one thread, LSTM layers
 * by streams), then the weights' gradients, which need all streams' dz. */
void nd_backward(train_ctx *x) {
  float *gradient = x->gradient;
  /* gradients of LSTM layers are overwritten, those after them are added to */
  size_t added = (size_t)(top(x)->grad.b - gradient);
  memset(gradient + added, 0, (x->net->n_trained - added) * sizeof *gradient);
  x->backward = true;
  nd_thread_pool_run(x->pool, pack_weights, x);
  if (x->n_ops > 0) backward_head(x);
  nd_thread_pool_run(x->pool, backward_streams, x);
  if (x->batch->shard.comm != NULL) compute_shared_gradients(x);
  else compute_gradients(x, 0, x->n_layers + 1);
}
