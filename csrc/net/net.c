/* net.c - makes a network: its tensors' places in one block, first weights, checks of
 * loaded weights, and what all kinds of inference share. The layers' arithmetic is in
 * lstm.c, dense.c and output.c, training in trainer.c and backprop.c. */
#include "net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dense.h"
#include "kernels.h"

/* ------------------------------------------------------------------ parameters */

static nd_lstm bind_lstm(int32_t inputs, int32_t hidden, const nd_lstm_params *p) {
  return (nd_lstm){.inputs = inputs, .hidden = hidden, .wx = p->wx, .wh = p->wh, .b = p->b};
}

/* Layers are sizes with views into the block; nothing is copied. */
static void bind_layers(nd_net *net) {
  const nd_net_config *c = &net->config;
  const nd_params *p = &net->params;
  for (int32_t k = 0; k < nd_net_directions(c); k++)
    net->encoder[k] = bind_lstm(c->encoded, c->encoder, &p->encoder[k]);
  for (int32_t l = 0; l < c->layers; l++)
    net->lstm[l] = bind_lstm(l == 0 ? nd_net_decoder_inputs(c) : c->hidden, c->hidden, &p->lstm[l]);
  net->hits = (nd_hits_head){.features = nd_net_features(c), .inputs = c->inputs,
                             .voices = nd_net_outputs(c), .w = p->out.w, .b = p->out.b,
                             .skip = p->out.skip, .mix = p->out.mix};
}

/* Trained tensors come first in the list, so that n_trained is where the last one ends. */
nd_status nd_net_declare(nd_net *net, const nd_net_config *config, nd_error *err) {
  nd_status status = nd_net_config_check(config, err);
  if (status != ND_OK) return status;
  memset(net, 0, sizeof *net);
  net->config = *config;
  net->n_tensors = nd_params_list(config, net->tensors);
  for (int32_t i = 0; i < net->n_tensors; i++) {
    net->size += net->tensors[i].size;
    if (net->tensors[i].trained) net->n_trained = net->size;
  }
  return ND_OK;
}

/* Zeroed, so that a net is valid before its values are drawn or read from a file. */
nd_status nd_net_allocate(nd_net *net, nd_error *err) {
  net->block = nd_calloc(net->size, sizeof *net->block);
  if (net->block == NULL) return nd_nomem(err);
  net->params = nd_params_bind(net->tensors, net->n_tensors, net->block, net->size);
  bind_layers(net);
  return ND_OK;
}

void nd_net_clear(nd_net *net) {
  free(net->block);
  memset(net, 0, sizeof *net);
}

/* For Lua and checkpoints, by name; the engine itself uses net->params. */
const nd_tensor *nd_net_tensor(const nd_net *net, const char *name) {
  for (int32_t i = 0; i < net->n_tensors; i++)
    if (strcmp(net->tensors[i].name, name) == 0) return &net->tensors[i];
  return NULL;
}

/* --------------------------------------------------------------- first weights */

/* All first values follow from the seed alone, so that a training can be repeated. */
static void fill(float *w, size_t n, float value) {
  for (size_t i = 0; i < n; i++) w[i] = value;
}

/* Uniform within +-sqrt(6 / (inputs + outputs)), which keeps the variance of
 * activations and gradients alike. */
static void fill_glorot(nd_rng *rng, float *w, const nd_tensor *t) {
  /* a uniform distribution within +-a has the variance a^2 / 3 = 2 / (inputs + outputs) */
  float limit = sqrtf(6.0f / (float)(t->shape[0] + t->shape[1]));
  for (size_t i = 0; i < t->size; i++) w[i] = limit * (2.0f * nd_rng_float(rng) - 1.0f);
}

/* Orthonormal rows: normal deviates, then modified Gram-Schmidt. There are never
 * more rows than columns, H <= 4H. */
static void fill_orthogonal(nd_rng *rng, float *w, int32_t rows, int32_t columns) {
  size_t n = (size_t)columns;
  for (int32_t r = 0; r < rows; r++) {
    float *row = w + (size_t)r * n;
    for (size_t j = 0; j < n; j++) row[j] = nd_rng_normal(rng);
    for (int32_t q = 0; q < r; q++) {
      const float *other = w + (size_t)q * n;
      float dot = 0.0f;
      for (size_t j = 0; j < n; j++) dot += row[j] * other[j];
      nd_axpy(columns, -dot, other, row);
    }
    /* 1e-30: a row that vanished, which random rows do not, would become NaN */
    float scale = (float)(1.0 / sqrt(nd_sum_squares(n, row) + 1e-30));
    for (size_t j = 0; j < n; j++) row[j] *= scale;
  }
}

/* Draws in the order of the list, from a stream of random numbers of its own (1). The
 * forget gate starts open, or the state would decay before anything is learnt. */
void nd_net_initialise(nd_net *net, uint64_t seed) {
  nd_rng rng = nd_rng_seed(seed, 1);
  for (int32_t i = 0; i < net->n_tensors; i++) {
    const nd_tensor *t = &net->tensors[i];
    float *w = net->block + t->offset;
    size_t H = t->size / 4;  /* of an LSTM's bias: gates i, f, g, o */
    fill(w, t->size, t->kind == ND_GAMMA || t->kind == ND_VARIANCE ? 1.0f : 0.0f);
    if (t->kind == ND_KERNEL) fill_glorot(&rng, w, t);
    if (t->kind == ND_RECURRENT) fill_orthogonal(&rng, w, t->shape[0], t->shape[1]);
    if (t->kind == ND_LSTM_BIAS) fill(w + H, H, 1.0f);
  }
}

/* --------------------------------------------------------------------- checking */

static const float max_weight = 65504.0f;  /* the largest half */

/* Compares bits, which order as magnitudes do (inf and NaN above all finite
 * values): compilers make vector code of it, and checking is most of the time that
 * loading a model takes. */
bool nd_all_in_range(size_t n, const float *w) {
  int32_t largest = 0, max;
  for (size_t i = 0; i < n; i++) {
    int32_t bits;
    memcpy(&bits, w + i, sizeof bits);
    bits &= INT32_MAX;
    largest = bits > largest ? bits : largest;
  }
  memcpy(&max, &max_weight, sizeof max);
  return largest <= max;
}

/* The fast test first. Where it fails, and for variances, whose sign matters, a second
 * look names the index. */
nd_status nd_net_check(const nd_net *net, nd_error *err) {
  for (int32_t i = 0; i < net->n_tensors; i++) {
    const nd_tensor *t = &net->tensors[i];
    const bool variance = t->kind == ND_VARIANCE;
    if (!variance && nd_all_in_range(t->size, net->block + t->offset)) continue;
    for (size_t j = 0; j < t->size; j++) {
      const float w = net->block[t->offset + j];
      if (!isfinite(w))
        return nd_fail(err, ND_FORMAT, "tensor %s: the value at index %zu is not finite",
                       t->name, j);
      if (fabsf(w) > max_weight)
        return nd_fail(err, ND_FORMAT, "tensor %s: value %g at index %zu is out of range "
                       "(max %.0f)", t->name, (double)w, j, (double)max_weight);
      if (variance && w < 0)
        return nd_fail(err, ND_FORMAT, "tensor %s: variance %g at index %zu is negative", t->name,
                       (double)w, j);
    }
  }
  return ND_OK;
}

/* -------------------------------------------------------------------- inference */

/* An LSTM layer multiplies its inputs and its state by 4 H columns. A window net runs
 * its layers over the whole window and its head once. */
double nd_net_macs(const nd_net *net) {
  const nd_net_config *c = &net->config;
  /* in doubles: the counts of large nets exceed 32 bits */
  double H = c->hidden, lstm = 0, head = (double)nd_net_features(c) * nd_net_outputs(c);
  for (int32_t l = 0; l < c->layers; l++)
    lstm += 4 * H * (H + (l == 0 ? nd_net_decoder_inputs(c) : c->hidden));
  lstm += nd_net_directions(c) * 4.0 * c->encoder * (c->encoder + c->encoded);
  for (int32_t k = 0; k < c->n_dense; k++)
    head += (double)(k == 0 ? c->hidden : c->dense[k - 1]) * c->dense[k];
  if (c->skip) head += (double)c->inputs * nd_net_outputs(c);
  return lstm * (c->window > 0 ? c->window : 1) + head;
}

/* x, which starts as the LSTM's outputs, must be as large when there are dense layers. */
size_t nd_net_head_scratch(const nd_net *net, int32_t rows) {
  return (size_t)rows * (size_t)nd_head_widest(&net->config);
}

/* Dense layers write to the other buffer, norms work in place. Dropout is the identity
 * outside training, because it scales when it drops ("inverted"). */
const float *nd_net_head(const nd_net *net, int32_t rows, float *x, float *scratch) {
  nd_head_op ops[ND_MAX_HEAD_OPS];
  int32_t n_ops = nd_head_ops(&net->config, ops);
  float *from = x, *to = scratch;
  for (int32_t k = 0; k < n_ops; k++) {
    const nd_head_op *op = &ops[k];
    if (op->kind == ND_HEAD_NORM) {
      const nd_norm_params *p = &net->params.norm[op->index];
      nd_norm_apply(rows, op->in, p->gamma, p->beta, p->mean, p->var, from);
    } else if (op->kind == ND_HEAD_DENSE) {
      const nd_dense_params *p = &net->params.dense[op->index];
      nd_dense_forward(rows, op->in, op->out, from, p->w, p->b, to);
      float *swap = from;
      from = to;
      to = swap;
    }
  }
  return from;
}
