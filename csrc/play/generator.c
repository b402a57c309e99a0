#include "generator.h"

#include <stdlib.h>
#include <string.h>

#include "generator_state.h"

/* A model of the 2023 system plays as that system does: full velocity, a basic beat
 * first, any number of voices at once, from the first step to the last. */
nd_generator_options nd_generator_defaults(const nd_drummer *d) {
  bool original = d->features.kind == ND_FEATURES_ORIGINAL;
  return (nd_generator_options){.seed = 1,
                                .temperature = d->temperature,
                                .temperature_spread = d->temperature_spread,
                                .cutoff = d->cutoff,
                                .forced = d->forced,
                                .velocity = original ? 127 : 100,
                                .start = original ? ND_START_BASIC : ND_START_BLANK,
                                .playable = !original,
                                .play_always = original};
}

/* A copy of the hits of a prime, without its doubled strikes. */
static nd_status copy_prime(nd_sequence **out, const nd_sequence *prime, nd_error *err) {
  if (nd_sequence_blank(out, prime) != ND_OK) return nd_nomem(err);
  if (nd_sequence_set_hits(*out, prime->hits, prime->offsets) != ND_OK) return nd_nomem(err);
  return ND_OK;
}

nd_status nd_generator_make(nd_generator **out, const nd_drummer *d,
                            const nd_generator_options *options, const nd_sequence *prime,
                            nd_error *err) {
  nd_status status = nd_drummer_predicts_hits(d, err);
  if (status == ND_OK && prime != NULL)
    status = nd_drummer_accepts(d, &prime->settings, "the prime", err);
  if (status != ND_OK) return status;
  nd_generator *g = nd_calloc(1, sizeof *g);
  if (g == NULL) return nd_nomem(err);
  g->drummer = d;
  g->options = *options;
  status = nd_take_make(&g->take, &g->options, d->net.config.voices, err);
  if (status == ND_OK) status = nd_decoder_make(&g->batch, d, 1, err);
  if (status == ND_OK && prime != NULL) status = copy_prime(&g->prime, prime, err);
  if (status != ND_OK) {
    nd_generator_free(g);
    return status;
  }
  nd_generator_reset(g);
  *out = g;
  return ND_OK;
}

void nd_generator_free(nd_generator *g) {
  if (g == NULL) return;
  nd_sequence_free(g->prime);
  nd_take_clear(&g->take);
  nd_decoder_clear(&g->batch);
  free(g);
}

/* The start is fed again rather than stored: it takes as long as playing a few bars,
 * and a copy of the state would double a generator's memory. */
void nd_generator_reset(nd_generator *g) {
  int32_t n = nd_start_steps(g->drummer, &g->options, g->prime);
  nd_decoder_reset(&g->batch);
  nd_take_reset(&g->take);
  for (int32_t step = 0; step < n; step++)
    nd_start_feed(&g->batch, 0, &g->take, g->prime, step);
}

/* ----------------------------------------------------------------------- live */

/* With both directions the encoder needs the song's end before the first step. */
bool nd_generator_live(const nd_generator *g) {
  return nd_net_directions(&g->drummer->net.config) < 2;
}

void nd_generator_step(nd_generator *g, const float *metrics, bool bar, uint8_t *hits) {
  nd_step_io io = {.take = &g->take, .context = nd_step_metrics(metrics), .hits = hits};
  nd_step_play(&g->batch, &io, bar);
}

const float *nd_generator_probabilities(const nd_generator *g) { return g->take.probabilities; }
bool nd_generator_is_finite(const nd_generator *g) { return !g->take.has_nan; }

/* ---------------------------------------------------------------------- style */

/* The numbers are copied: the model's styles may be replaced while the take lives. */
static void set_style(nd_take *t, const nd_styles *s, int32_t index) {
  t->style_index = index;
  t->style_generation = s->generation;
  t->has_style = true;
  memcpy(t->style, s->style + (size_t)index * (size_t)s->size, (size_t)s->size * sizeof *t->style);
}

/* In order of precedence. A style is measured from fixed hits when they fill whole
 * bars: what the user keeps then tells more than any style of the model's. */
bool nd_take_fix_style(nd_take *t, const nd_drummer *d, const nd_direction *direction) {
  enum { MIN_BARS = 2 };   /* fixed bars with hits that show a style */
  const nd_styles *s = &d->styles;
  if (d->features.kind != ND_FEATURES_WHOLE || direction->no_style) return true;
  if (direction->style != NULL) {
    size_t size = (size_t)nd_style_size(d->net.config.voices);
    memcpy(t->style, direction->style, size * sizeof *t->style);
    t->has_style = true;
  } else if (direction->fixed_mask != NULL && direction->style_number == 0 &&
             nd_style_measure(direction->fixed, direction->fixed_mask, t->style) >= MIN_BARS) {
    t->has_style = true;
  } else if (s->n > 0 && direction->style_number > 0) {
    set_style(t, s, direction->style_number - 1);
  } else {
    return s->n == 0;  /* a model without styles plays without one */
  }
  return true;
}

nd_status nd_take_draw_style(nd_take *t, const nd_drummer *d, const nd_sequence *song,
                             float **weights, nd_error *err) {
  const nd_styles *s = &d->styles;
  if (*weights == NULL) {
    *weights = nd_calloc((size_t)s->n, sizeof **weights);
    if (*weights == NULL) return nd_nomem(err);
    nd_status status = nd_styles_weights(s, song, *weights, err);
    if (status != ND_OK) return status;
  }
  /* a generator of its own: what is drawn here must not shift the hits' numbers */
  nd_rng rng = nd_rng_seed(t->options->seed, 5);
  set_style(t, s, nd_styles_draw(s, *weights, &rng));
  return ND_OK;
}

nd_status nd_generator_choose(nd_generator *g, const nd_sequence *song,
                              const nd_direction *direction, nd_error *err) {
  static const nd_direction none = {.fixed = NULL};
  float *weights = NULL;
  nd_status status = nd_drummer_accepts(g->drummer, &song->settings, "the song", err);
  if (status != ND_OK) return status;
  nd_generator_reset(g);
  if (!nd_take_fix_style(&g->take, g->drummer, direction != NULL ? direction : &none))
    status = nd_take_draw_style(&g->take, g->drummer, song, &weights, err);
  free(weights);
  return status;
}

int32_t nd_generator_style(const nd_generator *g, const float **numbers) {
  const nd_take *t = &g->take;
  *numbers = t->has_style ? t->style : NULL;
  return t->style_generation == g->drummer->styles.generation ? t->style_index : -1;
}
