#include "humanise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/inference.h"
#include "../net/output.h"

/* Velocities and offsets from a network's distributions. The network has learnt from
 * recorded drummers how loud and how early or late a hit is, given all hits around it;
 * it has no song to see. The cost is one pass over the Sequence.
 *
 * All hits are known beforehand, so the network runs over the whole Sequence at once,
 * both ways, and its outputs are stored. Drawing from them is fast and needs no
 * network: other amounts and seeds are drawn from the same outputs.
 *
 * The inference works on lists of Sequences; the arrays here hold one. */

/* What a job needs until nd_humanise_end(), which only reads it. */
struct nd_humanise {
  const nd_drummer *touch;
  const nd_sequence *seq;
  int32_t steps[1];
  float *x[1];             /* (steps, inputs) */
  float *outputs[1];       /* (steps, 4 V): velocity mean and log-deviation, offset likewise */
  nd_inference inference;
};

/* Memory, the input rows and the inference over them. On failure discard() frees it. */
static nd_status prepare(nd_humanise *h, nd_error *err) {
  const nd_net_config *c = &h->touch->net.config;
  h->x[0] = nd_calloc((size_t)h->steps[0] * (size_t)c->inputs, sizeof **h->x);
  h->outputs[0] = nd_calloc((size_t)h->steps[0] * (size_t)nd_net_outputs(c), sizeof **h->x);
  if (h->x[0] == NULL || h->outputs[0] == NULL) return nd_nomem(err);
  for (size_t t = 0; t < (size_t)h->steps[0]; t++) {
    nd_step_context context = {.metrics = h->seq->metrics + t * ND_N_METRICS,
                               .fixed_hits = h->seq->hits + t * (size_t)c->voices};
    nd_features_row(&h->touch->features, c->voices, &context, h->x[0] + t * (size_t)c->inputs);
  }
  return nd_inference_make(&h->inference, &h->touch->net, 1, h->steps,
                           (const float *const *)h->x, h->outputs, err);
}

/* Of a touch model that is prepared half-way too: parts that are missing are NULL. */
static void discard(void *self) {
  nd_humanise *h = self;
  if (h == NULL) return;
  nd_inference_clear(&h->inference);
  free(h->x[0]);
  free(h->outputs[0]);
  free(h);
}

nd_status nd_humanise_make(nd_humanise **out, const nd_drummer *touch, const nd_sequence *seq,
                           nd_error *err) {
  if (!touch->net.config.touch || touch->features.kind != ND_FEATURES_TOUCH)
    return nd_fail(err, ND_MISUSE, "not a touch model: its preset is '%s'", touch->preset);
  nd_status status = nd_drummer_accepts(touch, &seq->settings, "the sequence", err);
  if (status != ND_OK) return status;
  nd_humanise *h = nd_calloc(1, sizeof *h);
  if (h == NULL) return nd_nomem(err);
  *h = (nd_humanise){.touch = touch, .seq = seq, .steps = {nd_sequence_steps(seq)}};
  status = prepare(h, err);
  if (status != ND_OK) discard(h);
  else *out = h;
  return status;
}

/* The whole work is one inference, which can stop anywhere. */
static nd_status advance(void *self, double *macs, bool *more, nd_error *err) {
  nd_humanise *h = self;
  (void)err;  /* the signature is a job's, but nothing can fail */
  *macs = nd_inference_advance(&h->inference, nd_drummer_weights(h->touch), *macs);
  *more = !nd_inference_done(&h->inference);
  return ND_OK;
}

nd_job nd_humanise_job(nd_humanise *h) { return (nd_job){h, advance, discard}; }

/* -------------------------------------------------------------------- drawing */

/* The result is linear in `amount` between what was there and what is drawn, so that a
 * user can turn it from mechanical to human by one control. */

/* One number for the whole performance makes a voice's hits loud or late together,
 * which independent draws, averaging out, never are.
 *
 * A normal draw whose variance is shared evenly between `shared`, a standard
 * normal number drawn once per voice, and a new one: sqrt(1/2) of each. */
static float draw(nd_rng *rng, float mean, float log_deviation, float shared) {
  const float sqrt_half = 0.70710678f;
  return mean + nd_touch_deviation(log_deviation) * sqrt_half * (shared + nd_rng_normal(rng));
}

/* Replaces the velocities (1..127) and offsets (1/256 of a step) of all hits that are
 * not fixed. Random numbers are drawn for those only, in order of time and voice. */
static void draw_all(const nd_humanise *h, float amount, uint64_t seed, const uint8_t *fixed_mask,
                     nd_sequence *seq) {
  nd_rng rng = nd_rng_seed(seed, 6);
  size_t V = (size_t)nd_sequence_voices(seq), cells = (size_t)nd_sequence_steps(seq) * V;
  uint8_t *hits = seq->hits;
  int8_t *offsets = seq->offsets;
  float shared_velocity[ND_MAX_VOICES] = {0}, shared_offset[ND_MAX_VOICES] = {0};
  for (size_t v = 0; v < V; v++) {
    shared_velocity[v] = nd_rng_normal(&rng);
    shared_offset[v] = nd_rng_normal(&rng);
  }
  for (size_t i = 0; i < cells; i++) {
    size_t v = i % V;
    if (hits[i] == 0 || (fixed_mask != NULL && fixed_mask[i] > 0)) continue;
    const float *o = h->outputs[0] + i / V * ND_TOUCH_OUTPUTS * V + v;
    /* the network's units: velocity 0..1, offset in steps */
    float velocity = 127.0f * draw(&rng, o[0], o[V], shared_velocity[v]);
    float offset = 256.0f * draw(&rng, o[2 * V], o[3 * V], shared_offset[v]);
    /* interpolated in floating point, so that small amounts are not lost to rounding */
    velocity = (float)hits[i] + amount * (velocity - (float)hits[i]);
    offset = (float)offsets[i] + amount * (offset - (float)offsets[i]);
    /* fminf and fmaxf return the bound where the other operand is NaN */
    hits[i] = (uint8_t)lrintf(fminf(fmaxf(velocity, 1.0f), 127.0f));
    offsets[i] = (int8_t)lrintf(fminf(fmaxf(offset, -127.0f), 127.0f));
  }
}

/* The new Sequence's own hits and offsets are drawn into, then become its strikes.
 * Doubled strikes and strikes outside the kit are left out, except in fixed cells. */
nd_status nd_humanise_end(const nd_humanise *h, float amount, uint64_t seed,
                          const uint8_t *fixed_mask, nd_sequence **out, nd_error *err) {
  const nd_sequence *seq = h->seq;
  size_t cells = (size_t)nd_sequence_steps(seq) * (size_t)nd_sequence_voices(seq);
  nd_sequence *made;
  if (nd_sequence_blank(&made, seq) != ND_OK) return nd_nomem(err);
  memcpy(made->hits, seq->hits, cells);
  memcpy(made->offsets, seq->offsets, cells);
  draw_all(h, amount, seed, fixed_mask, made);
  if (nd_sequence_set_masked(made, made->hits, made->offsets, seq, fixed_mask) != ND_OK) {
    nd_sequence_free(made);
    return nd_nomem(err);
  }
  *out = made;
  return ND_OK;
}
