#include "touch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/blas.h"
#include "../net/dense.h"

/* The net's outputs for every step, (n_steps, 4 V): the whole track is read
 * first, then one LSTM layer after the other. */
static nd_status run(const nd_drummer *touch, const nd_sequence *seq, float *out, nd_error *err) {
  const nd_net *net = &touch->net;
  const nd_net_config *c = &net->config;
  int32_t n = nd_sequence_steps(seq), V = c->voices, O = nd_net_outputs(c);
  int32_t front = nd_net_front(c), H = c->hidden, widest = front > H ? front : H;
  size_t steps = (size_t)n;
  float *x = nd_calloc(steps * (size_t)c->inputs, sizeof *x);
  float *layer = nd_calloc(steps * (size_t)widest, sizeof *layer);
  float *z = nd_calloc(steps * 4 * (size_t)H, sizeof *z);
  float *h = nd_calloc(2 * (size_t)H, sizeof *h);
  nd_status status = x && layer && z && h ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  if (status == ND_OK) {
    for (int32_t t = 0; t < n; t++) {
      nd_heard heard = {.metrics = seq->metrics + (size_t)t * ND_N_METRICS,
                        .given = seq->hits + (size_t)t * (size_t)V};
      nd_features_row(&touch->features, V, &heard, x + (size_t)t * (size_t)c->inputs);
    }
    if (c->encoder > 0) status = nd_net_encode(net, n, x, layer, err);
    else memcpy(layer, x, steps * (size_t)c->inputs * sizeof *x);
  }
  for (int32_t l = 0; l < c->layers && status == ND_OK; l++) {
    int32_t in = l == 0 ? front : H;
    nd_gemm(ND_N, ND_N, n, 4 * H, in, layer, net->lstm[l].wx, 0.0f, z);
    memset(h, 0, 2 * (size_t)H * sizeof *h);
    for (size_t t = 0; t < steps; t++) {
      nd_lstm_step(&net->lstm[l], 1, z + t * 4 * (size_t)H, h, h + H);
      memcpy(layer + t * (size_t)H, h, (size_t)H * sizeof *h);
    }
  }
  if (status == ND_OK) {
    nd_dense_forward(n, H, O, layer, net->hits.w, net->hits.b, out);
    if (net->hits.skip != NULL) nd_gemm(ND_N, ND_N, n, O, c->inputs, x, net->hits.skip, 1.0f, out);
  }
  free(x);
  free(layer);
  free(z);
  free(h);
  return status;
}

static float draw(nd_rng *rng, float mean, float logarithm, float own) {
  const float half = 0.70710678f;
  return mean + nd_touch_deviation(logarithm) * half * (own + nd_rng_normal(rng));
}

static void strike(const float *out, int32_t V, float amount, uint64_t seed, const nd_sequence *seq,
                   const uint8_t *known, uint8_t *hits, int8_t *offsets) {
  nd_rng rng = nd_rng_seed(seed, 6);
  float hard[ND_MAX_VOICES], late[ND_MAX_VOICES];
  for (int32_t v = 0; v < V; v++) {
    hard[v] = nd_rng_normal(&rng);
    late[v] = nd_rng_normal(&rng);
  }
  size_t cells = (size_t)nd_sequence_steps(seq) * (size_t)V;
  for (size_t i = 0; i < cells; i++) {
    size_t v = i % (size_t)V;
    if (hits[i] == 0 || (known != NULL && known[i] > 0)) continue;
    const float *o = out + i / (size_t)V * ND_TOUCH_OUTPUTS * (size_t)V + v;
    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): the voices up to V are drawn */
    float velocity = 127.0f * draw(&rng, o[0], o[V], hard[v]);
    float offset = 256.0f * draw(&rng, o[2 * V], o[3 * V], late[v]);
    float struck = (float)hits[i] + amount * (velocity - (float)hits[i]);
    float moved = (float)offsets[i] + amount * (offset - (float)offsets[i]);
    hits[i] = (uint8_t)lrintf(fminf(fmaxf(struck, 1.0f), 127.0f));
    offsets[i] = (int8_t)lrintf(fminf(fmaxf(moved, -127.0f), 127.0f));
  }
}

nd_status nd_touch_apply(const nd_drummer *touch, const nd_sequence *seq, float amount,
                         uint64_t seed, const uint8_t *known, nd_sequence **out, nd_error *err) {
  const nd_tokeniser *a = &seq->settings, *b = &touch->tokeniser;
  if (!touch->net.config.touch || touch->features.kind != ND_FEATURES_TOUCH)
    return nd_fail(err, ND_MISUSE, "not a touch model: its preset is '%s'", touch->preset);
  if (!nd_kit_equal(&a->kit, &b->kit) || a->steps_per_beat != b->steps_per_beat || a->beat != b->beat)
    return nd_fail(err, ND_MISUSE, "the sequence has another kit or grid than the touch model");
  int32_t V = touch->net.config.voices;
  size_t steps = (size_t)nd_sequence_steps(seq), cells = steps * (size_t)V;
  float *outputs = nd_calloc(steps * (size_t)nd_net_outputs(&touch->net.config), sizeof *outputs);
  uint8_t *hits = nd_calloc(cells, 1);
  int8_t *offsets = nd_calloc(cells, 1);
  nd_sequence *touched = NULL;
  nd_status status = outputs && hits && offsets ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  if (status == ND_OK) status = run(touch, seq, outputs, err);
  if (status == ND_OK) {
    memcpy(hits, seq->hits, cells);
    memcpy(offsets, seq->offsets, cells);
    strike(outputs, V, amount, seed, seq, known, hits, offsets);
    if (nd_sequence_blank(&touched, seq) != ND_OK ||
        nd_sequence_set_kept(touched, hits, offsets, seq, known) != ND_OK) {
      nd_sequence_free(touched);
      status = nd_fail(err, ND_NOMEM, "out of memory");
    }
  }
  free(outputs);
  free(hits);
  free(offsets);
  if (status == ND_OK) *out = touched;
  return status;
}
