#include "humanise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/output.h"
#include "../net/inference.h"

struct nd_humanise {
  const nd_drummer *touch;
  const nd_sequence *seq;
  int32_t steps[1];
  float *x[1];             /* (steps, inputs) */
  float *outputs[1];       /* (steps, 4 V) */
  nd_inference pass;
};

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

nd_status nd_humanise_make(nd_humanise **out, const nd_drummer *touch, const nd_sequence *seq,
                           nd_error *err) {
  const nd_tokeniser *a = &seq->settings, *b = &touch->tokeniser;
  const nd_net_config *c = &touch->net.config;
  if (!c->touch || touch->features.kind != ND_FEATURES_TOUCH)
    return nd_fail(err, ND_MISUSE, "not a touch model: its preset is '%s'", touch->preset);
  if (!nd_kit_equal(&a->kit, &b->kit) || a->steps_per_beat != b->steps_per_beat || a->beat != b->beat)
    return nd_fail(err, ND_MISUSE, "the sequence has another kit or grid than the touch model");
  nd_humanise *t = nd_calloc(1, sizeof *t);
  if (t == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  size_t steps = (size_t)nd_sequence_steps(seq), V = (size_t)c->voices;
  t->touch = touch;
  t->seq = seq;
  t->steps[0] = nd_sequence_steps(seq);
  t->x[0] = nd_calloc(steps * (size_t)c->inputs, sizeof **t->x);
  t->outputs[0] = nd_calloc(steps * (size_t)nd_net_outputs(c), sizeof **t->outputs);
  nd_status status = t->x[0] && t->outputs[0] ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  for (size_t i = 0; i < steps && status == ND_OK; i++) {
    nd_step_context heard = {.metrics = seq->metrics + i * ND_N_METRICS, .given = seq->hits + i * V};
    nd_features_row(&touch->features, c->voices, &heard, t->x[0] + i * (size_t)c->inputs);
  }
  if (status == ND_OK)
    status = nd_inference_make(&t->pass, &touch->net, 1, t->steps, (const float *const *)t->x, t->outputs, err);
  if (status != ND_OK) {
    nd_humanise_free(t);
    return status;
  }
  *out = t;
  return ND_OK;
}

bool nd_humanise_advance(nd_humanise *t, double *products) {
  nd_inference_weights borrowed;
  *products = nd_inference_advance(&t->pass, nd_drummer_weights(t->touch, &borrowed), *products);
  return !nd_inference_done(&t->pass);
}

void nd_humanise_free(nd_humanise *t) {
  if (t == NULL) return;
  nd_inference_clear(&t->pass);
  free(t->x[0]);
  free(t->outputs[0]);
  free(t);
}

nd_status nd_humanise_end(const nd_humanise *t, float amount, uint64_t seed, const uint8_t *known,
                          nd_sequence **out, nd_error *err) {
  const nd_sequence *seq = t->seq;
  size_t cells = (size_t)nd_sequence_steps(seq) * (size_t)nd_sequence_voices(seq);
  uint8_t *hits = nd_calloc(cells, 1);
  int8_t *offsets = nd_calloc(cells, 1);
  nd_sequence *touched = NULL;
  nd_status status = hits && offsets ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  if (status == ND_OK) {
    memcpy(hits, seq->hits, cells);
    memcpy(offsets, seq->offsets, cells);
    strike(t->outputs[0], nd_sequence_voices(seq), amount, seed, seq, known, hits, offsets);
    if (nd_sequence_blank(&touched, seq) != ND_OK ||
        nd_sequence_set_masked(touched, hits, offsets, seq, known) != ND_OK) {
      nd_sequence_free(touched);
      status = nd_fail(err, ND_NOMEM, "out of memory");
    }
  }
  free(hits);
  free(offsets);
  if (status == ND_OK) *out = touched;
  return status;
}
