/* params.c - lists the tensors of a configuration in the order of the block.
 *
 * One list serves everything: names and shapes in checkpoints, places in the block,
 * first values, and the pointers of nd_params. A tensor remembers at which byte of
 * nd_params its pointer is, so that the same list binds any block of this layout. */
#include "params.h"

#include <stdio.h>
#include <string.h>

/* A list of tensors that grows; offsets follow from the order. */
typedef struct listing {
  nd_tensor *tensors;
  int32_t n;
  size_t used;       /* floats */
  nd_params views;   /* never filled: tells where a pointer stands in the struct */
} listing;

/* Appends a tensor (rows, columns), or with rows 0 a vector. `index` from 1 numbers
 * the layers of a kind; 0: there is only one. */
static void add(listing *l, float **view, nd_tensor_kind kind, int32_t rows, int32_t columns,
                const char *layer, int32_t index, const char *which) {
  nd_tensor *t = &l->tensors[l->n++];
  *t = (nd_tensor){.kind = kind, .rank = rows > 0 ? 2 : 1, .offset = l->used,
                   .trained = kind < ND_MEAN,
                   .view = (size_t)((char *)view - (char *)&l->views)};
  if (index > 0) (void)snprintf(t->name, sizeof t->name, "%s.%d.%s", layer, index, which);
  else (void)snprintf(t->name, sizeof t->name, "%s.%s", layer, which);
  /* a vector has its length in shape[0] */
  t->shape[0] = rows > 0 ? rows : columns;
  t->shape[1] = rows > 0 ? columns : 0;
  t->size = (size_t)columns * (size_t)(rows > 0 ? rows : 1);
  l->used += t->size;
}

/* The order of the tensors is part of the checkpoint's and of the random numbers' order:
 * changing it would give other first weights for the same seed. */
static void add_lstm(listing *l, nd_lstm_params *p, int32_t inputs, int32_t hidden,
                     const char *layer, int32_t index) {
  add(l, &p->wx, ND_KERNEL, inputs, 4 * hidden, layer, index, "wx");
  add(l, &p->wh, ND_RECURRENT, hidden, 4 * hidden, layer, index, "wh");
  add(l, &p->b, ND_LSTM_BIAS, 0, 4 * hidden, layer, index, "b");
}

/* Names count from 1, indices from 0. Dropout has no parameters. */
static void add_head_op(listing *l, const nd_head_op *op) {
  int32_t index = op->index + 1;
  if (op->kind == ND_HEAD_NORM) {
    nd_norm_params *p = &l->views.norm[op->index];
    add(l, &p->gamma, ND_GAMMA, 0, op->in, "norm", index, "gamma");
    add(l, &p->beta, ND_ZERO, 0, op->in, "norm", index, "beta");
  } else if (op->kind == ND_HEAD_DENSE) {
    nd_dense_params *p = &l->views.dense[op->index];
    add(l, &p->w, ND_KERNEL, op->in, op->out, "dense", index, "w");
    add(l, &p->b, ND_ZERO, 0, op->out, "dense", index, "b");
  }
}

int32_t nd_params_list(const nd_net_config *c, nd_tensor *tensors) {
  /* from the inputs to the output, as data flows */
  listing l = {.tensors = tensors};
  nd_params *p = &l.views;
  nd_head_op ops[ND_MAX_HEAD_OPS];
  int32_t n_ops = nd_head_ops(c, ops), outputs = nd_net_outputs(c);
  for (int32_t k = 0; k < nd_net_directions(c); k++)
    add_lstm(&l, &p->encoder[k], c->encoded, c->encoder, "encoder", k + 1);
  for (int32_t k = 0; k < c->layers; k++)
    add_lstm(&l, &p->lstm[k], k == 0 ? nd_net_decoder_inputs(c) : c->hidden, c->hidden, "lstm",
             k + 1);
  for (int32_t k = 0; k < n_ops; k++) add_head_op(&l, &ops[k]);
  add(&l, &p->out.w, ND_KERNEL, nd_net_features(c), outputs, "out", 0, "w");
  add(&l, &p->out.b, ND_ZERO, 0, outputs, "out", 0, "b");
  if (c->skip) add(&l, &p->out.skip, ND_ZERO, c->inputs, outputs, "out", 0, "skip");
  if (c->mix) add(&l, &p->out.mix, ND_ZERO, c->voices, c->voices, "out", 0, "mix");
  /* running statistics come last: all before them is one block for the optimiser */
  for (int32_t k = 0; k < n_ops; k++) {
    if (ops[k].kind != ND_HEAD_NORM) continue;
    nd_norm_params *norm = &p->norm[ops[k].index];
    add(&l, &norm->mean, ND_MEAN, 0, ops[k].in, "norm", ops[k].index + 1, "mean");
    add(&l, &norm->var, ND_VARIANCE, 0, ops[k].in, "norm", ops[k].index + 1, "var");
  }
  return l.n;
}

/* Writes each pointer at its place in the struct, byte-wise, as the list has it. A
 * gradient has no running statistics: their views stay NULL. */
nd_params nd_params_bind(const nd_tensor *tensors, int32_t n, float *block, size_t size) {
  nd_params views;
  memset(&views, 0, sizeof views);
  for (int32_t i = 0; i < n; i++) {
    float *at = block + tensors[i].offset;
    if (tensors[i].offset + tensors[i].size <= size)
      memcpy((char *)&views + tensors[i].view, &at, sizeof at);
  }
  return views;
}
