/* config.c - checks of a network's settings, and the sizes that follow from them. Every
 * other file takes a checked configuration, and asks here for sizes, so that each rule
 * (which inputs the encoder reads, how wide its output is) is written once. */
#include "config.h"

#include "output.h"

/* 1 is excluded, because values that are not dropped are divided by 1 - p. */
static bool is_dropout(float p) { return p >= 0.0f && p < 1.0f; }

/* `name` is how users know the setting, because they see the message. */
static nd_status check_range(const char *name, int32_t value, int32_t min, int32_t max,
                             nd_error *err) {
  if (value >= min && value <= max) return ND_OK;
  return nd_fail(err, ND_MISUSE, "%s: %d is not in %d..%d", name, value, min, max);
}

/* Ranges first, then combinations. A touch net's outputs are not hits, so that voices
 * cannot see each other through them. A window net starts from zero state: an encoder
 * would see no more than the window does. */
nd_status nd_net_config_check(const nd_net_config *c, nd_error *err) {
  nd_status status = check_range("inputs", c->inputs, 1, ND_MAX_INPUTS, err);
  if (status == ND_OK) status = check_range("voices", c->voices, 1, ND_MAX_VOICES, err);
  if (status == ND_OK) status = check_range("layers", c->layers, 1, ND_MAX_LAYERS, err);
  if (status == ND_OK) status = check_range("hidden", c->hidden, 1, ND_MAX_UNITS, err);
  if (status == ND_OK) status = check_range("window", c->window, 0, ND_MAX_WINDOW, err);
  if (status == ND_OK) status = check_range("dense layers", c->n_dense, 0, ND_MAX_DENSE, err);
  for (int32_t k = 0; status == ND_OK && k < c->n_dense; k++)
    status = check_range("dense", c->dense[k], 1, ND_MAX_UNITS, err);
  if (status == ND_OK) status = check_range("encoder", c->encoder, 0, ND_MAX_UNITS, err);
  if (status == ND_OK && c->encoder > 0)
    status = check_range("encoded", c->encoded, 1, c->inputs, err);
  if (status != ND_OK) return status;
  if (!is_dropout(c->dropout) || !is_dropout(c->head_dropout))
    return nd_fail(err, ND_MISUSE, "dropout must be at least 0 and less than 1");
  if (c->touch && (c->mix || c->window > 0))
    return nd_fail(err, ND_MISUSE,
                   "a touch net cannot have a window or voices that see each other");
  if (c->window > 0 && (c->skip || c->encoder > 0))
    return nd_fail(err, ND_MISUSE, "a window net cannot have an encoder or skip connections");
  return ND_OK;
}

/* A causal encoder sees no later step, so it has no backward direction. */
int32_t nd_net_directions(const nd_net_config *c) {
  return c->encoder == 0 ? 0 : c->causal ? 1 : 2;
}

int32_t nd_net_encoding(const nd_net_config *c) { return nd_net_directions(c) * c->encoder; }

/* The encoder's outputs replace the inputs that it reads. */
int32_t nd_net_decoder_inputs(const nd_net_config *c) {
  return c->encoder == 0 ? c->inputs : c->inputs - c->encoded + nd_net_encoding(c);
}

/* The backward direction carries nothing: it starts at the end of each batch. */
int32_t nd_net_carried(const nd_net_config *c) { return 2 * (c->layers * c->hidden + c->encoder); }

/* The last dense layer's width, or the LSTM's. */
int32_t nd_net_features(const nd_net_config *c) {
  return c->n_dense > 0 ? c->dense[c->n_dense - 1] : c->hidden;
}

/* Touch: two normal distributions a voice, each a mean and a deviation. */
int32_t nd_net_outputs(const nd_net_config *c) {
  return c->touch ? ND_TOUCH_OUTPUTS * c->voices : c->voices;
}

/* Touch: a velocity and an offset a voice. */
int32_t nd_net_targets(const nd_net_config *c) {
  return c->touch ? ND_TOUCH_TARGETS * c->voices : c->voices;
}

/* Dropout on the LSTM's output and after each dense layer; norms before the first and
 * after the last dense layer, as in the 2023 system's Keras model. */
int32_t nd_head_ops(const nd_net_config *c, nd_head_op *ops) {
  if (c->n_dense == 0) return 0;
  int32_t n = 0, width = c->hidden, drops = 0, norms = 0;
  ops[n++] = (nd_head_op){ND_HEAD_DROPOUT, width, width, drops++};
  if (c->norm) ops[n++] = (nd_head_op){ND_HEAD_NORM, width, width, norms++};
  for (int32_t k = 0; k < c->n_dense; k++) {
    ops[n++] = (nd_head_op){ND_HEAD_DENSE, width, c->dense[k], k};
    width = c->dense[k];
    ops[n++] = (nd_head_op){ND_HEAD_DROPOUT, width, width, drops++};
  }
  if (c->norm) ops[n++] = (nd_head_op){ND_HEAD_NORM, width, width, norms++};
  return n;
}

/* For buffers that any layer above the LSTM can write its output to. */
int32_t nd_head_widest(const nd_net_config *c) {
  int32_t width = c->hidden;
  for (int32_t k = 0; k < c->n_dense; k++)
    if (c->dense[k] > width) width = c->dense[k];
  return width;
}
