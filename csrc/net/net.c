#include "net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dense.h"
#include "head_plan.h"
#include "kernels.h"

/* ------------------------------------------------------------ the head's plan */

int32_t nd_head_plan(const nd_net_config *c, nd_head_op *ops) {
  if (c->n_dense == 0) return 0;
  int32_t n = 0, width = c->hidden, norms = 0;
  ops[n++] = (nd_head_op){ND_HEAD_DROP, width, width, 0};
  if (c->norm) ops[n++] = (nd_head_op){ND_HEAD_NORM, width, width, ++norms};
  for (int32_t k = 0; k < c->n_dense; k++) {
    ops[n++] = (nd_head_op){ND_HEAD_DENSE, width, c->dense[k], k + 1};
    width = c->dense[k];
    ops[n++] = (nd_head_op){ND_HEAD_DROP, width, width, 0};
  }
  if (c->norm) ops[n++] = (nd_head_op){ND_HEAD_NORM, width, width, ++norms};
  return n;
}

static int32_t features(const nd_net_config *c) {
  return c->n_dense > 0 ? c->dense[c->n_dense - 1] : c->hidden;
}

int32_t nd_head_widest(const nd_net_config *c) {
  int32_t w = c->hidden;
  for (int32_t k = 0; k < c->n_dense; k++)
    if (c->dense[k] > w) w = c->dense[k];
  return w;
}

int32_t nd_net_directions(const nd_net_config *c) {
  return c->encoder == 0 ? 0 : c->causal ? 1 : 2;
}

int32_t nd_net_encoding(const nd_net_config *c) { return nd_net_directions(c) * c->encoder; }

int32_t nd_net_decoder_inputs(const nd_net_config *c) {
  return c->encoder == 0 ? c->inputs : c->inputs - c->encoded + nd_net_encoding(c);
}

int32_t nd_net_carried(const nd_net_config *c) {
  return 2 * (c->layers * c->hidden + (c->encoder > 0 ? c->encoder : 0));
}

int32_t nd_net_outputs(const nd_net_config *c) {
  return c->touch ? ND_TOUCH_OUTPUTS * c->voices : c->voices;
}

int32_t nd_net_targets(const nd_net_config *c) {
  return c->touch ? ND_TOUCH_TARGETS * c->voices : c->voices;
}

/* ----------------------------------------------------------------- parameters */

/* "lstm.2.wx"; layers that there is one of have no number: "out.w" */
static void spell(char name[24], const char *kind, int32_t number, const char *which) {
  if (number > 0) (void)snprintf(name, 24, "%s.%d.%s", kind, number, which);
  else (void)snprintf(name, 24, "%s.%s", kind, which);
}

/* A vector of `columns` when `rows` is 0. */
static void declare(nd_net *net, bool trained, int32_t rows, int32_t columns, const char *kind,
                    int32_t number, const char *which) {
  nd_tensor *t = &net->tensors[net->n_tensors++];
  spell(t->name, kind, number, which);
  t->rank = rows > 0 ? 2 : 1;
  t->shape[0] = rows > 0 ? rows : columns;
  t->shape[1] = rows > 0 ? columns : 0;
  t->size = (size_t)columns * (size_t)(rows > 0 ? rows : 1);
  t->offset = net->size;
  t->trained = trained;
  net->size += t->size;
}

static void declare_all(nd_net *net) {
  const nd_net_config *c = &net->config;
  nd_head_op ops[ND_MAX_HEAD_OPS];
  int32_t n_ops = nd_head_plan(c, ops), in = nd_net_decoder_inputs(c);
  for (int32_t k = 0; k < nd_net_directions(c); k++) {
    declare(net, true, c->encoded, 4 * c->encoder, "encoder", k + 1, "wx");
    declare(net, true, c->encoder, 4 * c->encoder, "encoder", k + 1, "wh");
    declare(net, true, 0, 4 * c->encoder, "encoder", k + 1, "b");
  }
  for (int32_t l = 0; l < c->layers; l++) {
    declare(net, true, in, 4 * c->hidden, "lstm", l + 1, "wx");
    declare(net, true, c->hidden, 4 * c->hidden, "lstm", l + 1, "wh");
    declare(net, true, 0, 4 * c->hidden, "lstm", l + 1, "b");
    in = c->hidden;
  }
  for (int32_t k = 0; k < n_ops; k++) {
    if (ops[k].kind == ND_HEAD_NORM) {
      declare(net, true, 0, ops[k].in, "norm", ops[k].number, "gamma");
      declare(net, true, 0, ops[k].in, "norm", ops[k].number, "beta");
    } else if (ops[k].kind == ND_HEAD_DENSE) {
      declare(net, true, ops[k].in, ops[k].out, "dense", ops[k].number, "w");
      declare(net, true, 0, ops[k].out, "dense", ops[k].number, "b");
    }
  }
  int32_t outputs = nd_net_outputs(c);
  declare(net, true, features(c), outputs, "out", 0, "w");
  declare(net, true, 0, outputs, "out", 0, "b");
  if (c->skip) declare(net, true, c->inputs, outputs, "out", 0, "skip");
  if (c->mix) declare(net, true, c->voices, c->voices, "out", 0, "mix");
  net->n_trained = net->size;
  for (int32_t k = 0; k < n_ops; k++)
    if (ops[k].kind == ND_HEAD_NORM) {
      declare(net, false, 0, ops[k].in, "norm", ops[k].number, "mean");
      declare(net, false, 0, ops[k].in, "norm", ops[k].number, "var");
    }
}

const nd_tensor *nd_net_tensor(const nd_net *net, const char *name) {
  for (int32_t i = 0; i < net->n_tensors; i++)
    if (strcmp(net->tensors[i].name, name) == 0) return &net->tensors[i];
  return NULL;
}

float *nd_net_part(const nd_net *net, float *block, const char *kind, int32_t number,
                   const char *which) {
  char name[24];
  spell(name, kind, number, which);
  const nd_tensor *t = nd_net_tensor(net, name);
  return t != NULL ? block + t->offset : NULL;
}

static void fill_uniform(nd_rng *rng, float *w, size_t n, float limit) {
  for (size_t i = 0; i < n; i++) w[i] = limit * (2.0f * nd_rng_float(rng) - 1.0f);
}

/* Orthonormal rows by modified Gram-Schmidt; H <= 4H always holds here. */
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
    float scale = (float)(1.0 / sqrt(nd_sum_squares(n, row) + 1e-30));
    for (size_t j = 0; j < n; j++) row[j] *= scale;
  }
}

void nd_net_first_weights(nd_net *net, uint64_t seed) {
  nd_rng rng = nd_rng_seed(seed, 1);
  for (int32_t i = 0; i < net->n_tensors; i++) {
    const nd_tensor *t = &net->tensors[i];
    float *w = net->block + t->offset;
    const char *dot = strrchr(t->name, '.');
    const char *which = dot != NULL ? dot + 1 : t->name;
    if (strcmp(which, "wh") == 0) {
      fill_orthogonal(&rng, w, t->shape[0], t->shape[1]);
    } else if (strcmp(which, "skip") == 0 || strcmp(which, "mix") == 0) {
      memset(w, 0, t->size * sizeof *w);  /* straight wires start as none */
    } else if (t->rank == 2) {
      fill_uniform(&rng, w, t->size, sqrtf(6.0f / (float)(t->shape[0] + t->shape[1])));
    } else {
      bool one = strcmp(which, "gamma") == 0 || strcmp(which, "var") == 0;
      for (size_t j = 0; j < t->size; j++) w[j] = one ? 1.0f : 0.0f;
      if (strncmp(t->name, "lstm.", 5) == 0 || strncmp(t->name, "encoder.", 8) == 0) {
        size_t H = t->size / 4;
        for (size_t j = 0; j < H; j++) w[H + j] = 1.0f;
      }
    }
  }
}

static nd_lstm bind_lstm(nd_net *net, const char *kind, int32_t number, int32_t inputs,
                         int32_t hidden) {
  return (nd_lstm){inputs, hidden, nd_net_part(net, net->block, kind, number, "wx"),
                   nd_net_part(net, net->block, kind, number, "wh"),
                   nd_net_part(net, net->block, kind, number, "b")};
}

static void bind(nd_net *net) {
  const nd_net_config *c = &net->config;
  for (int32_t k = 0; k < nd_net_directions(c); k++)
    net->encoder[k] = bind_lstm(net, "encoder", k + 1, c->encoded, c->encoder);
  for (int32_t l = 0; l < c->layers; l++)
    net->lstm[l] = bind_lstm(net, "lstm", l + 1, l == 0 ? nd_net_decoder_inputs(c) : c->hidden, c->hidden);
  net->hits = (nd_hits_head){features(c), c->inputs, nd_net_outputs(c),
                             nd_net_part(net, net->block, "out", 0, "w"),
                             nd_net_part(net, net->block, "out", 0, "b"),
                             nd_net_part(net, net->block, "out", 0, "skip"),
                             nd_net_part(net, net->block, "out", 0, "mix")};
}

static nd_status check_config(const nd_net_config *c, nd_error *err) {
  if (c->inputs < 1 || c->inputs > ND_MAX_INPUTS)
    return nd_fail(err, ND_MISUSE, "inputs: %d is not in 1..%d", c->inputs, ND_MAX_INPUTS);
  if (c->voices < 1 || c->voices > ND_MAX_VOICES)
    return nd_fail(err, ND_MISUSE, "voices: %d is not in 1..%d", c->voices, ND_MAX_VOICES);
  if (c->layers < 1 || c->layers > ND_MAX_LAYERS)
    return nd_fail(err, ND_MISUSE, "layers: %d is not in 1..%d", c->layers, ND_MAX_LAYERS);
  if (c->hidden < 1 || c->hidden > ND_MAX_UNITS)
    return nd_fail(err, ND_MISUSE, "hidden: %d is not in 1..%d", c->hidden, ND_MAX_UNITS);
  if (c->window < 0 || c->window > ND_MAX_WINDOW)
    return nd_fail(err, ND_MISUSE, "window: %d is not in 0..%d", c->window, ND_MAX_WINDOW);
  if (c->n_dense < 0 || c->n_dense > ND_MAX_DENSE)
    return nd_fail(err, ND_MISUSE, "at most %d dense layers", ND_MAX_DENSE);
  for (int32_t k = 0; k < c->n_dense; k++)
    if (c->dense[k] < 1 || c->dense[k] > ND_MAX_UNITS)
      return nd_fail(err, ND_MISUSE, "dense: %d is not in 1..%d", c->dense[k], ND_MAX_UNITS);
  if (!(c->dropout >= 0.0f && c->dropout < 1.0f) ||
      !(c->head_dropout >= 0.0f && c->head_dropout < 1.0f))
    return nd_fail(err, ND_MISUSE, "dropout is in 0..1, without 1");
  if (c->touch && (c->mix || c->window > 0))
    return nd_fail(err, ND_MISUSE, "a touch net has neither a window nor voices that see each other");
  if (c->encoder < 0 || c->encoder > ND_MAX_UNITS)
    return nd_fail(err, ND_MISUSE, "encoder: %d is not in 0..%d", c->encoder, ND_MAX_UNITS);
  if (c->encoder > 0 && (c->encoded < 1 || c->encoded > c->inputs))
    return nd_fail(err, ND_MISUSE, "encoded: %d is not in 1..%d", c->encoded, c->inputs);
  if (c->window > 0 && (c->skip || c->encoder > 0))
    return nd_fail(err, ND_MISUSE, "a window net has neither an encoder nor wires to the hits");
  return ND_OK;
}

nd_status nd_net_declare(nd_net *net, const nd_net_config *config, nd_error *err) {
  nd_status status = check_config(config, err);
  if (status != ND_OK) return status;
  memset(net, 0, sizeof *net);
  net->config = *config;
  declare_all(net);
  return ND_OK;
}

nd_status nd_net_allocate(nd_net *net, nd_error *err) {
  net->block = nd_calloc(net->size, sizeof *net->block);
  if (net->block == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  bind(net);
  return ND_OK;
}

void nd_net_clear(nd_net *net) {
  free(net->block);
  memset(net, 0, sizeof *net);
}

/* The largest half. */
static const float max_weight = 65504.0f;

/* By their bits, which compilers make vectors of: this is most of what loading a
 * model takes. */
bool nd_all_usual(size_t n, const float *w) {
  int32_t largest = 0, most;
  for (size_t i = 0; i < n; i++) {
    int32_t bits;
    memcpy(&bits, w + i, sizeof bits);
    bits &= INT32_MAX;
    largest = bits > largest ? bits : largest;
  }
  memcpy(&most, &max_weight, sizeof most);
  return largest <= most;
}

nd_status nd_net_check(const nd_net *net, nd_error *err) {
  for (int32_t i = 0; i < net->n_tensors; i++) {
    const nd_tensor *t = &net->tensors[i];
    const size_t name = strlen(t->name);
    const bool variance = name > 4 && strcmp(t->name + name - 4, ".var") == 0;
    if (!variance && nd_all_usual(t->size, net->block + t->offset)) continue;
    for (size_t j = 0; j < t->size; j++) {
      const float w = net->block[t->offset + j];
      if (!isfinite(w))
        return nd_fail(err, ND_FORMAT, "weight %zu of tensor %s is not finite", j, t->name);
      if (fabsf(w) > max_weight || (variance && w < 0))
        return nd_fail(err, ND_FORMAT, "weight %zu of tensor %s, %g, is none that training gives", j,
                       t->name, (double)w);
    }
  }
  return ND_OK;
}

double nd_net_macs(const nd_net *net) {
  const nd_net_config *c = &net->config;
  double H = c->hidden, lstm = 0, head = (double)features(c) * nd_net_outputs(c);
  for (int32_t l = 0; l < c->layers; l++) lstm += 4 * H * (H + (l == 0 ? nd_net_decoder_inputs(c) : c->hidden));
  lstm += nd_net_directions(c) * 4.0 * c->encoder * (c->encoder + c->encoded);
  nd_head_op ops[ND_MAX_HEAD_OPS];
  int32_t n_ops = nd_head_plan(c, ops);
  for (int32_t k = 0; k < n_ops; k++)
    if (ops[k].kind == ND_HEAD_DENSE) head += (double)ops[k].in * ops[k].out;
  if (c->skip) head += (double)c->inputs * nd_net_outputs(c);
  return lstm * (c->window > 0 ? c->window : 1) + head;
}

/* ------------------------------------------------------------- head, playing */

size_t nd_net_head_scratch(const nd_net *net, int32_t rows) {
  return (size_t)rows * (size_t)nd_head_widest(&net->config);
}

const float *nd_net_head(const nd_net *net, int32_t rows, float *x, float *scratch) {
  nd_head_op ops[ND_MAX_HEAD_OPS];
  int32_t n_ops = nd_head_plan(&net->config, ops);
  float *from = x, *to = scratch;
  for (int32_t k = 0; k < n_ops; k++) {
    const nd_head_op *o = &ops[k];
    if (o->kind == ND_HEAD_NORM) {
      nd_norm_apply(rows, o->in, nd_net_part(net, net->block, "norm", o->number, "gamma"),
                    nd_net_part(net, net->block, "norm", o->number, "beta"),
                    nd_net_part(net, net->block, "norm", o->number, "mean"),
                    nd_net_part(net, net->block, "norm", o->number, "var"), from);
    } else if (o->kind == ND_HEAD_DENSE) {
      nd_dense_forward(rows, o->in, o->out, from, nd_net_part(net, net->block, "dense", o->number, "w"),
                       nd_net_part(net, net->block, "dense", o->number, "b"), to);
      float *swap = from;
      from = to;
      to = swap;
    }
  }
  return from;
}
