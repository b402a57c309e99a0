#include "net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blas.h"
#include "dense.h"
#include "kernels.h"

/* ------------------------------------------------------------ the head's plan */

typedef enum op_kind { OP_DROP, OP_NORM, OP_DENSE } op_kind;

typedef struct op {
  op_kind kind;
  int32_t in, out;   /* widths; equal but for OP_DENSE */
  int32_t number;    /* of its kind, from 1: "dense.2" */
} op;

enum { MAX_OPS = 2 * ND_MAX_DENSE + 3 };

static int32_t head_ops(const nd_net_config *c, op *ops) {
  if (c->n_dense == 0) return 0;
  int32_t n = 0, width = c->hidden, norms = 0;
  ops[n++] = (op){OP_DROP, width, width, 0};
  if (c->norm) ops[n++] = (op){OP_NORM, width, width, ++norms};
  for (int32_t k = 0; k < c->n_dense; k++) {
    ops[n++] = (op){OP_DENSE, width, c->dense[k], k + 1};
    width = c->dense[k];
    ops[n++] = (op){OP_DROP, width, width, 0};
  }
  if (c->norm) ops[n++] = (op){OP_NORM, width, width, ++norms};
  return n;
}

static int32_t features(const nd_net_config *c) {
  return c->n_dense > 0 ? c->dense[c->n_dense - 1] : c->hidden;
}

static int32_t widest(const nd_net_config *c) {
  int32_t w = c->hidden;
  for (int32_t k = 0; k < c->n_dense; k++)
    if (c->dense[k] > w) w = c->dense[k];
  return w;
}

int32_t nd_net_readers(const nd_net_config *c) {
  return c->encoder == 0 ? 0 : c->causal ? 1 : 2;
}

int32_t nd_net_encoding(const nd_net_config *c) { return nd_net_readers(c) * c->encoder; }

int32_t nd_net_front(const nd_net_config *c) {
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
  op ops[MAX_OPS];
  int32_t n_ops = head_ops(c, ops), in = nd_net_front(c);
  for (int32_t k = 0; k < nd_net_readers(c); k++) {
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
    if (ops[k].kind == OP_NORM) {
      declare(net, true, 0, ops[k].in, "norm", ops[k].number, "gamma");
      declare(net, true, 0, ops[k].in, "norm", ops[k].number, "beta");
    } else if (ops[k].kind == OP_DENSE) {
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
    if (ops[k].kind == OP_NORM) {
      declare(net, false, 0, ops[k].in, "norm", ops[k].number, "mean");
      declare(net, false, 0, ops[k].in, "norm", ops[k].number, "var");
    }
}

const nd_tensor *nd_net_tensor(const nd_net *net, const char *name) {
  for (int32_t i = 0; i < net->n_tensors; i++)
    if (strcmp(net->tensors[i].name, name) == 0) return &net->tensors[i];
  return NULL;
}

/* A tensor's values in `block` (weights or gradients); NULL when the net has
 * no such tensor. */
static float *part(const nd_net *net, float *block, const char *kind, int32_t number,
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
  return (nd_lstm){inputs, hidden, part(net, net->block, kind, number, "wx"),
                   part(net, net->block, kind, number, "wh"),
                   part(net, net->block, kind, number, "b")};
}

static void bind(nd_net *net) {
  const nd_net_config *c = &net->config;
  for (int32_t k = 0; k < nd_net_readers(c); k++)
    net->reader[k] = bind_lstm(net, "encoder", k + 1, c->encoded, c->encoder);
  for (int32_t l = 0; l < c->layers; l++)
    net->lstm[l] = bind_lstm(net, "lstm", l + 1, l == 0 ? nd_net_front(c) : c->hidden, c->hidden);
  net->hits = (nd_hits_head){features(c), c->inputs, nd_net_outputs(c),
                             part(net, net->block, "out", 0, "w"),
                             part(net, net->block, "out", 0, "b"),
                             part(net, net->block, "out", 0, "skip"),
                             part(net, net->block, "out", 0, "mix")};
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

/* The largest half. What trained weights come to is a thousandth of it; beyond
 * it, products run out of the floats before the last layer. */
static const float max_weight = 65504.0f;

nd_status nd_net_check(const nd_net *net, nd_error *err) {
  for (int32_t i = 0; i < net->n_tensors; i++) {
    const nd_tensor *t = &net->tensors[i];
    const size_t name = strlen(t->name);
    const bool variance = name > 4 && strcmp(t->name + name - 4, ".var") == 0;
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

double nd_net_products(const nd_net *net) {
  const nd_net_config *c = &net->config;
  double H = c->hidden, lstm = 0, head = (double)features(c) * nd_net_outputs(c);
  for (int32_t l = 0; l < c->layers; l++) lstm += 4 * H * (H + (l == 0 ? nd_net_front(c) : c->hidden));
  lstm += nd_net_readers(c) * 4.0 * c->encoder * (c->encoder + c->encoded);
  op ops[MAX_OPS];
  int32_t n_ops = head_ops(c, ops);
  for (int32_t k = 0; k < n_ops; k++)
    if (ops[k].kind == OP_DENSE) head += (double)ops[k].in * ops[k].out;
  if (c->skip) head += (double)c->inputs * nd_net_outputs(c);
  return lstm * (c->window > 0 ? c->window : 1) + head;
}

/* ------------------------------------------------------------- head, playing */

size_t nd_net_head_scratch(const nd_net *net, int32_t rows) {
  return (size_t)rows * (size_t)widest(&net->config);
}

const float *nd_net_head(const nd_net *net, int32_t rows, float *x, float *scratch) {
  op ops[MAX_OPS];
  int32_t n_ops = head_ops(&net->config, ops);
  float *from = x, *to = scratch;
  for (int32_t k = 0; k < n_ops; k++) {
    const op *o = &ops[k];
    if (o->kind == OP_NORM) {
      nd_norm_apply(rows, o->in, part(net, net->block, "norm", o->number, "gamma"),
                    part(net, net->block, "norm", o->number, "beta"),
                    part(net, net->block, "norm", o->number, "mean"),
                    part(net, net->block, "norm", o->number, "var"), from);
    } else if (o->kind == OP_DENSE) {
      nd_dense_forward(rows, o->in, o->out, from, part(net, net->block, "dense", o->number, "w"),
                       part(net, net->block, "dense", o->number, "b"), to);
      float *swap = from;
      from = to;
      to = swap;
    }
  }
  return from;
}

/* ----------------------------------------------------------- encoder, playing */

nd_status nd_net_encode(const nd_net *net, int32_t steps, const float *x, float *out,
                        nd_error *err) {
  const nd_net_config *c = &net->config;
  int32_t He = c->encoder, readers = nd_net_readers(c);
  size_t wide = 4 * (size_t)He, n = (size_t)steps;
  float *z = nd_calloc(n * wide + 2 * (size_t)He, sizeof *z);
  if (z == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  float *h = z + n * wide, *cell = h + He;
  for (int32_t k = 0; k < readers; k++) {
    memset(h, 0, 2 * (size_t)He * sizeof *h);
    nd_gemm(ND_N, ND_N, steps, 4 * He, c->encoded, x, net->reader[k].wx, 0.0f, z);
    for (int32_t i = 0; i < steps; i++) {
      size_t t = (size_t)(k == 0 ? i : steps - 1 - i);
      nd_lstm_step(&net->reader[k], 1, z + t * wide, h, cell);
      memcpy(out + t * (size_t)(readers * He) + (size_t)k * (size_t)He, h, (size_t)He * sizeof *h);
    }
  }
  free(z);
  return ND_OK;
}

/* ------------------------------------------------------------------- training */

/* Where everything of one pass lies in the trainer's work block. */
typedef struct pass {
  nd_lstm_trace read[2];        /* the encoder; the second runs backwards */
  float *heard[2];              /* (T, B, encoded): what each reads, in its order */
  float *read_keep[2];          /* (T, B, encoder): dropout masks, in its order; or NULL */
  float *front;                 /* (T, B, front): what the first layer takes */
  float *dfront;
  nd_lstm_trace trace[ND_MAX_LAYERS];
  float *out[ND_MAX_LAYERS];    /* (T, B, H): outputs as the next layer sees them */
  float *keep[ND_MAX_LAYERS];   /* dropout masks, NULL without dropout */
  float *head[MAX_OPS + 1];     /* head[k]: input of op k; head[n_ops]: the features */
  float *head_keep[MAX_OPS];    /* mask, or xhat of a norm */
  float *inverse[MAX_OPS];
  float *logits, *dz, *dh, *dx, *dc, *dhead, *dhead2;
  int32_t rows;                 /* of the head: T B, or B */
} pass;

/* Lays the pass into `block`; with block NULL, only counts. */
static size_t lay_out(const nd_net_config *c, const nd_batch *b, float *block, bool training,
                      pass *p) {
  size_t used = 0;
#define TAKE(n) (used += (n), block != NULL ? block + (used - (n)) : NULL)
  int32_t T = b->steps, B = b->streams;
  size_t all = (size_t)T * (size_t)B, cells = all * (size_t)c->hidden;
  size_t broad = all * (size_t)(c->hidden > c->encoder ? c->hidden : c->encoder);
  memset(p, 0, sizeof *p);
  for (int32_t k = 0; k < nd_net_readers(c); k++) {
    float *at = TAKE(nd_lstm_trace_size(c->encoder, T, B));
    if (at != NULL) p->read[k] = nd_lstm_trace_at(at, c->encoder, T, B);
    p->heard[k] = TAKE(all * (size_t)c->encoded);
    if (training && c->dropout > 0.0f) p->read_keep[k] = TAKE(all * (size_t)c->encoder);
  }
  if (c->encoder > 0) {
    p->front = TAKE(all * (size_t)nd_net_front(c));
    if (training) p->dfront = TAKE(all * (size_t)nd_net_front(c));
  }
  for (int32_t l = 0; l < c->layers; l++) {
    float *at = TAKE(nd_lstm_trace_size(c->hidden, T, B));
    if (at != NULL) {
      p->trace[l] = nd_lstm_trace_at(at, c->hidden, T, B);
      p->out[l] = p->trace[l].h + (size_t)B * (size_t)c->hidden;
    }
    if (training && c->dropout > 0.0f) {
      p->out[l] = TAKE(cells);
      p->keep[l] = TAKE(cells);
    }
  }
  p->rows = c->window > 0 ? B : T * B;
  size_t rows = (size_t)p->rows, wide = rows * (size_t)widest(c);
  op ops[MAX_OPS];
  int32_t n_ops = head_ops(c, ops);
  for (int32_t k = 0; k < n_ops; k++) {
    p->head[k] = TAKE(rows * (size_t)ops[k].in);
    p->head_keep[k] = TAKE(rows * (size_t)ops[k].in);
    p->inverse[k] = TAKE((size_t)ops[k].in);
  }
  p->head[n_ops] = TAKE(n_ops > 0 ? wide : 0);
  p->logits = TAKE(rows * (size_t)nd_net_outputs(c));
  if (training) {
    p->dz = TAKE(4 * broad);
    p->dh = TAKE(broad);
    p->dx = TAKE(broad);
    p->dc = TAKE(broad / (size_t)T);
    p->dhead = TAKE(wide);
    p->dhead2 = TAKE(wide);
  }
#undef TAKE
  return used;
}

static nd_status prepare(nd_trainer *t, const nd_batch *b, bool training, pass *p, nd_error *err) {
  const nd_net_config *c = &t->net->config;
  if (b->inputs != c->inputs || b->voices != c->voices ||
      b->y_width != nd_net_targets(c) || b->carried != nd_net_carried(c))
    return nd_fail(err, ND_MISUSE, "the batch was made for another model");
  if (b->targets != (c->window > 0 ? 1 : b->steps) || (c->window > 0 && b->steps != c->window))
    return nd_fail(err, ND_MISUSE, "the batch has %d steps and %d targets, which this model has not",
                   b->steps, b->targets);
  if ((double)b->steps * b->streams * 4.0 * (widest(c) + c->encoder) > (double)INT32_MAX)
    return nd_fail(err, ND_LIMIT, "a batch of %d x %d steps is too large", b->streams, b->steps);
  size_t need = lay_out(c, b, NULL, training, p);
  if (need > t->work_size) {
    free(t->work);
    t->work_size = 0;
    t->work = nd_calloc(need, sizeof *t->work);
    if (t->work == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
    t->work_size = need;
  }
  (void)lay_out(c, b, t->work, training, p);
  return ND_OK;
}

/* The carried state of one layer lies at `at` floats into the batch's: h of
 * all streams, then c. */
static void load_state(const nd_batch *b, size_t at, int32_t hidden, bool none,
                       nd_lstm_trace *trace) {
  size_t H = (size_t)hidden, cells = H * (size_t)b->streams;
  memcpy(trace->h, b->state + at, cells * sizeof *b->state);
  memcpy(trace->c, b->state + at + cells, cells * sizeof *b->state);
  for (int32_t s = 0; s < b->streams; s++)
    if (b->fresh[s] || none) {
      memset(trace->h + (size_t)s * H, 0, H * sizeof *b->state);
      memset(trace->c + (size_t)s * H, 0, H * sizeof *b->state);
    }
}

static void store_state(nd_batch *b, size_t at, int32_t hidden, const nd_lstm_trace *trace) {
  size_t cells = (size_t)hidden * (size_t)b->streams, last = cells * (size_t)b->steps;
  memcpy(b->state + at, trace->h + last, cells * sizeof *b->state);
  memcpy(b->state + at + cells, trace->c + last, cells * sizeof *b->state);
}

/* Copies `n` columns of each of `rows` rows. */
static void copy_columns(int32_t rows, int32_t n, const float *from, int32_t from_width, float *to,
                         int32_t to_width) {
  for (int32_t r = 0; r < rows; r++, from += from_width, to += to_width)
    memcpy(to, from, (size_t)n * sizeof *to);
}

/* Dropout of `units` of each stream in each of `steps` steps. */
static void drop(nd_trainer *t, const nd_batch *b, int32_t steps, int32_t units, float p,
                 float *mask, float *x) {
  nd_dropout(steps, b->streams * units, b->first * units, b->whole * units, p, &t->rng, mask, x);
}

/* The encoder over a stretch: the forward reader carries its state on, the
 * backward one starts at the stretch's end. Returns the first layer's input. */
static const float *encode(nd_trainer *t, nd_batch *b, pass *p) {
  const nd_net_config *c = &t->net->config;
  int32_t B = b->streams, T = b->steps, E = c->encoded, He = c->encoder;
  int32_t front = nd_net_front(c), readers = nd_net_readers(c), encoding = nd_net_encoding(c);
  size_t at = 2 * (size_t)c->layers * (size_t)c->hidden * (size_t)B;
  size_t slice = (size_t)B * (size_t)c->inputs, cells = (size_t)B * (size_t)He;
  for (int32_t k = 0; k < readers; k++) {
    for (int32_t i = 0; i < T; i++)
      copy_columns(B, E, b->x + (size_t)(k == 0 ? i : T - 1 - i) * slice, c->inputs,
                   p->heard[k] + (size_t)i * (size_t)B * (size_t)E, E);
    load_state(b, at, He, k == 1, &p->read[k]);
    nd_lstm_forward(&t->net->reader[k], T, B, p->heard[k], &p->read[k]);
    if (k == 0) store_state(b, at, He, &p->read[k]);
    const float *h = p->read[k].h + cells;
    if (p->read_keep[k] != NULL) {
      /* dx is not needed before the backward pass */
      memcpy(p->dx, h, (size_t)T * cells * sizeof *h);
      drop(t, b, T, He, c->dropout, p->read_keep[k], p->dx);
      h = p->dx;
    }
    for (int32_t i = 0; i < T; i++)
      copy_columns(B, He, h + (size_t)(k == 0 ? i : T - 1 - i) * cells, He,
                   p->front + (size_t)i * (size_t)B * (size_t)front + (size_t)k * (size_t)He, front);
  }
  copy_columns(T * B, c->inputs - E, b->x + E, c->inputs, p->front + encoding, front);
  return p->front;
}

/* Features of the hits head. */
static float *forward(nd_trainer *t, nd_batch *b, bool training, pass *p) {
  nd_net *net = t->net;
  const nd_net_config *c = &net->config;
  size_t B = (size_t)b->streams, H = (size_t)c->hidden, cells = (size_t)b->steps * B * H;
  const float *x = c->encoder > 0 ? encode(t, b, p) : b->x;
  for (int32_t l = 0; l < c->layers; l++) {
    size_t at = 2 * (size_t)l * B * H;
    load_state(b, at, c->hidden, c->window > 0, &p->trace[l]);
    nd_lstm_forward(&net->lstm[l], b->steps, b->streams, x, &p->trace[l]);
    store_state(b, at, c->hidden, &p->trace[l]);
    if (p->keep[l] != NULL) {
      memcpy(p->out[l], p->trace[l].h + B * H, cells * sizeof *x);
      drop(t, b, b->steps, c->hidden, c->dropout, p->keep[l], p->out[l]);
    }
    x = p->out[l];
  }
  float *top = p->out[c->layers - 1];
  if (c->window > 0) top += cells - B * H;
  op ops[MAX_OPS];
  int32_t n_ops = head_ops(c, ops), rows = p->rows;
  if (n_ops == 0) return top;
  memcpy(p->head[0], top, (size_t)rows * H * sizeof *top);
  for (int32_t k = 0; k < n_ops; k++) {
    const op *o = &ops[k];
    size_t n = (size_t)rows * (size_t)o->in;
    float *in = p->head[k], *out = p->head[k + 1];
    if (o->kind == OP_DENSE) {
      nd_dense_forward(rows, o->in, o->out, in, part(net, net->block, "dense", o->number, "w"),
                       part(net, net->block, "dense", o->number, "b"), out);
      continue;
    }
    memcpy(out, in, n * sizeof *in);
    if (o->kind == OP_DROP) {
      if (training && c->head_dropout > 0.0f)
        drop(t, b, b->targets, o->in, c->head_dropout, p->head_keep[k], out);
    } else {
      const float *gamma = part(net, net->block, "norm", o->number, "gamma");
      const float *beta = part(net, net->block, "norm", o->number, "beta");
      float *mean = part(net, net->block, "norm", o->number, "mean");
      float *var = part(net, net->block, "norm", o->number, "var");
      if (training)
        nd_norm_train(rows, o->in, b->targets * b->whole, b->reducer, gamma, beta, mean, var, out,
                      p->head_keep[k], p->inverse[k]);
      else
        nd_norm_apply(rows, o->in, gamma, beta, mean, var, out);
    }
  }
  return p->head[n_ops];
}

/* The backward pass comes from the end of the gradient to its start: all from
 * the tensor `name` on is complete. `*from` is where what was said before begins. */
static void complete(const nd_trainer *t, const nd_batch *b, const char *kind, int32_t number,
                     const char *which, size_t *from) {
  if (b->reducer == NULL) return;
  size_t at = (size_t)(part(t->net, t->gradient, kind, number, which) - t->gradient);
  b->reducer->begin(b->reducer->self, t->gradient + at, *from - at);
  *from = at;
}

static void backward(nd_trainer *t, const nd_batch *b, const float *top, pass *p) {
  nd_net *net = t->net;
  const nd_net_config *c = &net->config;
  float *g = t->gradient;
  size_t B = (size_t)b->streams, H = (size_t)c->hidden, cells = (size_t)b->steps * B * H;
  size_t done = net->n_trained;  /* from here on, the gradient is complete */
  memset(g, 0, net->n_trained * sizeof *g);
  float *d = p->dhead, *other = p->dhead2;
  nd_hits_backward(&net->hits, p->rows, top, b->x, b->y, p->logits, part(net, g, "out", 0, "w"),
                   part(net, g, "out", 0, "b"), part(net, g, "out", 0, "skip"),
                   part(net, g, "out", 0, "mix"), d);
  complete(t, b, "out", 0, "w", &done);
  op ops[MAX_OPS];
  for (int32_t k = head_ops(c, ops) - 1; k >= 0; k--) {
    const op *o = &ops[k];
    if (o->kind == OP_DENSE) {
      nd_dense_backward(p->rows, o->in, o->out, p->head[k],
                        part(net, net->block, "dense", o->number, "w"), d,
                        part(net, g, "dense", o->number, "w"),
                        part(net, g, "dense", o->number, "b"), other);
      complete(t, b, "dense", o->number, "w", &done);
      float *swap = d;
      d = other;
      other = swap;
    } else if (o->kind == OP_DROP) {
      if (c->head_dropout > 0.0f) nd_multiply(p->rows * o->in, p->head_keep[k], d);
    } else {
      nd_norm_backward(p->rows, o->in, b->targets * b->whole, b->reducer,
                       part(net, net->block, "norm", o->number, "gamma"),
                       p->head_keep[k], p->inverse[k], part(net, g, "norm", o->number, "gamma"),
                       part(net, g, "norm", o->number, "beta"), d);
      complete(t, b, "norm", o->number, "gamma", &done);
    }
  }
  float *dh = p->dh, *dx = p->dx;
  if (c->window > 0) {
    memset(dh, 0, (cells - B * H) * sizeof *dh);
    memcpy(dh + (cells - B * H), d, B * H * sizeof *dh);
  } else {
    memcpy(dh, d, cells * sizeof *dh);
  }
  const float *first = c->encoder > 0 ? p->front : b->x;
  for (int32_t l = c->layers - 1; l >= 0; l--) {
    if (p->keep[l] != NULL) nd_multiply((int32_t)cells, p->keep[l], dh);
    nd_lstm_backward(&net->lstm[l], b->steps, b->streams, l == 0 ? first : p->out[l - 1],
                     &p->trace[l], dh, p->dz, p->dc, part(net, g, "lstm", l + 1, "wx"),
                     part(net, g, "lstm", l + 1, "wh"), part(net, g, "lstm", l + 1, "b"),
                     l > 0 ? dx : p->dfront);
    complete(t, b, "lstm", l + 1, "wx", &done);
    float *swap = dh;
    dh = dx;
    dx = swap;
  }
  int32_t front = nd_net_front(c), He = c->encoder, T = b->steps;
  for (int32_t k = 0; k < nd_net_readers(c); k++) {
    for (int32_t i = 0; i < T; i++)
      copy_columns(b->streams, He,
                   p->dfront + (size_t)(k == 0 ? i : T - 1 - i) * B * (size_t)front +
                       (size_t)k * (size_t)He,
                   front, p->dh + (size_t)i * B * (size_t)He, He);
    if (p->read_keep[k] != NULL)
      nd_multiply(T * b->streams * He, p->read_keep[k], p->dh);
    nd_lstm_backward(&net->reader[k], T, b->streams, p->heard[k], &p->read[k], p->dh, p->dz,
                     p->dc, part(net, g, "encoder", k + 1, "wx"),
                     part(net, g, "encoder", k + 1, "wh"), part(net, g, "encoder", k + 1, "b"), NULL);
  }
  if (c->encoder > 0) complete(t, b, "encoder", 1, "wx", &done);
}

/* The loss of the pass's logits, summed; they become its gradient times `scale`
 * if that is above 0. */
static double loss_of(const nd_net_config *c, const nd_batch *b, pass *p, float scale) {
  return c->touch ? nd_touch_loss(p->rows, c->voices, b->y, b->mask, p->logits, scale)
                  : nd_hits_loss(p->rows, c->voices, b->y, b->mask, p->logits, scale);
}

/* A number of this process's streams becomes that of the whole batch. */
static void add_up(const nd_batch *b, double *value) {
  if (b->reducer != NULL) b->reducer->sum(b->reducer->self, value, 1);
}

static nd_status added_up(const nd_batch *b, nd_error *err) {
  return b->reducer != NULL ? b->reducer->wait(b->reducer->self, err) : ND_OK;
}

nd_status nd_trainer_make(nd_trainer *t, nd_net *net, uint64_t seed, nd_error *err) {
  memset(t, 0, sizeof *t);
  t->net = net;
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

nd_status nd_trainer_step(nd_trainer *t, nd_batch *batch, const nd_adam_options *adam,
                          double *loss, double *norm, nd_error *err) {
  pass p;
  nd_status status = prepare(t, batch, true, &p, err);
  if (status != ND_OK) return status;
  nd_net *net = t->net;
  double count = (double)nd_hits_count(p.rows, batch->voices, batch->mask);
  add_up(batch, &count);
  const float *top = forward(t, batch, true, &p);
  nd_hits_forward(&net->hits, p.rows, top, batch->x, batch->y, p.logits);
  double sum = loss_of(&net->config, batch, &p, count > 0 ? 1.0f / (float)count : 0.0f);
  if (count > 0) backward(t, batch, top, &p);
  add_up(batch, &sum);
  status = added_up(batch, err);
  if (status != ND_OK) return status;
  *loss = count > 0 ? sum / count : 0.0;
  *norm = 0.0;
  if (count == 0) return ND_OK;  /* nothing to learn from */
  if (!isfinite(*loss)) return nd_fail(err, ND_FORMAT, "training diverged: the loss is not finite");
  if (!nd_adam_step(adam, t->step + 1, net->n_trained, net->block, t->gradient, t->m, t->v, norm))
    return nd_fail(err, ND_FORMAT, "training diverged: the gradient is not finite");
  t->step++;
  return ND_OK;
}

nd_status nd_trainer_loss(nd_trainer *t, nd_batch *batch, double *sum, int64_t *count,
                          float *logits, nd_error *err) {
  pass p;
  nd_status status = prepare(t, batch, false, &p, err);
  if (status != ND_OK) return status;
  const float *top = forward(t, batch, false, &p);
  nd_hits_forward(&t->net->hits, p.rows, top, batch->x, batch->y, p.logits);
  *count = nd_hits_count(p.rows, batch->voices, batch->mask);
  *sum = loss_of(&t->net->config, batch, &p, 0.0f);
  if (logits != NULL)
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): prepare took it */
    memcpy(logits, p.logits,
           (size_t)p.rows * (size_t)nd_net_outputs(&t->net->config) * sizeof *logits);
  return ND_OK;
}
