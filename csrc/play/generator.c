#include "generator.h"

#include <stdlib.h>
#include <string.h>

#include "take.h"

/* A generator for live playing, and what it shares with performances: how a take comes by
 * its style. Playing itself is in step.c, starts are in start.c.
 *
 * All memory is taken when a generator is made: about 130 KiB of history, and the state
 * and scratch memory of one step. A step costs nd_net_macs() multiply-accumulates, plus
 * the encoder's forward direction for a causal model. Choosing a style among n costs
 * n * n comparisons of grooves, once per song. */

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
  status = nd_decoder_make(&g->batch, d, 1, err);
  /* the prime's hits, without its doubled strikes: they are what history shows */
  if (status == ND_OK && prime != NULL && nd_sequence_blank(&g->prime, prime) != ND_OK)
    status = nd_nomem(err);
  if (g->prime != NULL && nd_sequence_set_hits(g->prime, prime->hits, prime->offsets) != ND_OK)
    status = nd_nomem(err);
  if (status == ND_OK) {
    nd_generator_reset(g);
    *out = g;
  } else {
    nd_generator_free(g);
  }
  return status;
}

/* Also a generator that was made half-way. */
void nd_generator_free(nd_generator *g) {
  if (g == NULL) return;
  nd_sequence_free(g->prime);
  nd_arena_clear(&g->batch.arena);
  free(g);
}

/* The start is fed again rather than stored: it takes as long as playing a few bars,
 * and a copy of the state would double a generator's memory. */
void nd_generator_reset(nd_generator *g) {
  nd_decoder_reset(&g->batch);
  nd_take_reset(&g->take, &g->options);
  for (int32_t step = 0; nd_start_feed(g, &g->batch, 0, &g->take, step);) step++;
}

/* ----------------------------------------------------------------------- live */

/* A causal encoder, or none, needs the steps so far only. With both directions the
 * encoder needs the song's end before the first step. */
bool nd_generator_live(const nd_generator *g) {
  return nd_net_directions(&g->drummer->net.config) < 2;
}

/* The context has metrics only: a live host knows neither the song's form nor what is to
 * be fixed. */
void nd_generator_step(nd_generator *g, const float *metrics, bool bar, uint8_t *hits) {
  nd_step_io io = {.take = &g->take, .context = nd_step_metrics(metrics), .hits = hits};
  nd_step_play(&g->batch, &io, bar);
}

const float *nd_generator_probabilities(const nd_generator *g) { return g->take.probabilities; }
bool nd_generator_is_finite(const nd_generator *g) { return !g->take.has_nan; }

/* ---------------------------------------------------------------------- style */

/* The style that the direction gives in numbers; false when it gives none. A style is
 * measured from fixed hits when they fill whole bars: what the user keeps then tells
 * more than any style of the model's. */
static bool take_given_style(nd_take *t, const nd_drummer *d, const nd_direction *direction) {
  enum { MIN_BARS = 2 };   /* fixed bars with hits that show a style */
  size_t size = (size_t)nd_style_size(d->net.config.voices);
  if (direction->style != NULL) memcpy(t->style, direction->style, size * sizeof *t->style);
  else if (direction->fixed_mask == NULL || direction->style_number > 0 ||
           nd_style_measure(direction->fixed, direction->fixed_mask, t->style) < MIN_BARS)
    return false;
  t->has_style = true;
  return true;
}

/* In order of precedence: no style; the direction's numbers, or those of its fixed hits; a
 * model's style by its number; else one is drawn, because a song does not determine how
 * it is drummed, and an average of several styles would be one that nobody plays.
 *
 * The numbers of a model's style are copied: the model's styles may be replaced while
 * the take lives. */
nd_status nd_take_choose_style(nd_take *t, const nd_drummer *d, const nd_sequence *song,
                               const nd_direction *direction, float **weights, nd_error *err) {
  const nd_styles *s = &d->styles;
  int32_t index = direction->style_number - 1;
  if (d->features.kind != ND_FEATURES_WHOLE || direction->no_style ||
      take_given_style(t, d, direction) || s->n == 0)
    return ND_OK;
  if (index < 0 && *weights == NULL) {
    *weights = nd_calloc((size_t)s->n, sizeof **weights);
    nd_status status =
        *weights != NULL ? nd_styles_weights(s, song, *weights, err) : nd_nomem(err);
    if (status != ND_OK) return status;
  }
  /* a generator of its own: what is drawn here must not shift the hits' numbers */
  nd_rng rng = nd_rng_seed(t->options->seed, 5);
  t->style_index = index < 0 ? nd_styles_draw(s, *weights, &rng) : index;
  t->style_generation = s->generation;
  t->has_style = true;
  memcpy(t->style, s->style + (size_t)t->style_index * (size_t)s->size,
         (size_t)s->size * sizeof *t->style);
  return ND_OK;
}

/* As a performance does for each take, without playing. */
nd_status nd_generator_choose(nd_generator *g, const nd_sequence *song,
                              const nd_direction *direction, nd_error *err) {
  float *weights = NULL;
  nd_status status = nd_drummer_accepts(g->drummer, &song->settings, "the song", err);
  if (status != ND_OK) return status;
  nd_generator_reset(g);
  status = nd_take_choose_style(&g->take, g->drummer, song, direction, &weights, err);
  free(weights);
  return status;
}

/* An index is of one generation of styles: after they were replaced it means nothing. */
int32_t nd_generator_style(const nd_generator *g, const float **numbers) {
  const nd_take *t = &g->take;
  *numbers = t->has_style ? t->style : NULL;
  return t->style_generation == g->drummer->styles.generation ? t->style_index : -1;
}
