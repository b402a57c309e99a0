/* augment.c - draws and applies the augmentation of a stretch.
 *
 * The order of the draws is part of a training's reproducibility: a change here
 * changes every training that starts from the same seed. */
#include "augment.h"

#include <math.h>

/* True with the given probability. Draws nothing for 0, so that a rate of 0 costs
 * no random number. */
static bool chance(nd_rng *rng, float probability) {
  return probability > 0.0f && nd_rng_float(rng) < probability;
}

/* Chooses one of five patterns of fixed hits, as users fix them: some bars,
 * some voices, the song's opening, scattered grid cells, or all but a few bars
 * ("play these again"). The gap may begin ahead of the stretch, so that the
 * network also sees the fixed bars that lead to one. */
static void draw_fixed_hits(nd_augmentation *a, nd_rng *rng, int32_t n_voices, int32_t bar,
                            int32_t n_bars) {
  switch (nd_rng_below(rng, 5)) {
    case 0: a->fixed_bars = 0.2f + 0.6f * nd_rng_float(rng); break;
    case 1:
      for (int32_t v = 0; v < n_voices; v++) a->fixed_voices[v] = chance(rng, 0.4f);
      break;
    case 2: a->fixed_opening = 1 << nd_rng_below(rng, 5); break;
    case 3: a->fixed_cells = 0.8f * nd_rng_float(rng); break;
    default: {
      int32_t ahead = (int32_t)nd_rng_below(rng, 8);
      a->gap_begin = bar + ahead;
      a->gap_end = a->gap_begin + 1 + (int32_t)nd_rng_below(rng, 8);
      if (a->gap_begin >= n_bars) a->gap_begin = a->gap_end = 0;
    }
  }
}

/* An exact style vector identifies its song, and the network would memorise
 * it; so noise is added. The groove by place, the longer part, is hidden in
 * some stretches, for users who give rates alone. */
static void draw_style(nd_augmentation *a, const nd_drummer *d, nd_rng *rng, const float *style) {
  int32_t voices = d->net.config.voices, traits = nd_style_traits(voices);
  bool groove = chance(rng, d->groove_given);
  if (style == NULL) {  /* nd_rng_normal draws twice */
    nd_rng_skip(rng, 2 * (uint64_t)(groove ? nd_style_size(voices) : traits));
    return;
  }
  for (int32_t k = 0; k < nd_style_size(voices); k++)
    a->style[k] = k < traits || groove ? style[k] + d->style_noise * nd_rng_normal(rng)
                                       : ND_NO_GROOVE;
  /* A negative first value would mean "no groove given". */
  if (groove) a->style[traits] = fmaxf(a->style[traits], 0.0f);
}

/* Networks without an encoder take no style, controls or fixed hits: they draw the
 * history alone. */
void nd_augmentation_draw(nd_augmentation *a, const nd_drummer *d, nd_rng *rng,
                          const float *style, int32_t bar, int32_t n_bars) {
  *a = (nd_augmentation){.active = true};
  a->hide_history = chance(rng, d->history_all);
  a->hidden_as_empty = a->hide_history && chance(rng, d->history_hidden);
  a->hide_previous_step = chance(rng, d->history_back);
  for (int32_t k = 0; k < ND_MAX_BACK; k++) a->hide_back[k] = chance(rng, d->history_back);
  a->hide_recurrence = chance(rng, d->history_back);
  if (d->features.kind != ND_FEATURES_WHOLE) return;
  a->show_style = chance(rng, d->style_given);
  a->show_density = chance(rng, d->controls_given);
  a->show_fill = chance(rng, d->controls_given);
  a->hash_seed = nd_rng_u32(rng);
  for (int k = 0; k < ND_N_METRICS; k++)
    a->drop_metric[k] = !nd_metric_is_position(k) && chance(rng, d->metric_dropout);
  if (a->show_style) draw_style(a, d, rng, style);
  if (chance(rng, d->fixed_given)) draw_fixed_hits(a, rng, d->net.config.voices, bar, n_bars);
}

/* Whether a bar belongs to the share of fixed bars: a hash of its index, so
 * that all its steps agree without a table. */
static bool is_fixed_bar(const nd_augmentation *a, int32_t bar) {
  nd_rng rng = nd_rng_seed(a->hash_seed, (uint64_t)bar);
  return a->fixed_bars > 0.0f && nd_rng_float(&rng) < a->fixed_bars;
}

void nd_augmentation_mask(const nd_augmentation *a, nd_rng *rng, int32_t bar, int32_t n_voices,
                          uint8_t *mask) {
  bool outside_gap = a->gap_end > a->gap_begin && (bar < a->gap_begin || bar >= a->gap_end);
  bool all = bar < a->fixed_opening || outside_gap || is_fixed_bar(a, bar);
  for (int32_t v = 0; v < n_voices; v++) {
    bool cell = chance(rng, a->fixed_cells);  /* drawn always: see nd_augmentation_skip */
    mask[v] = all || a->fixed_voices[v] || cell;
  }
}

/* Whether nd_augmentation_hides_step draws a number in each step. */
static bool draws_by_step(const nd_augmentation *a, const nd_drummer *d) {
  return a->active && !a->hide_history && d->history_step > 0.0f;
}

bool nd_augmentation_hides_step(const nd_augmentation *a, const nd_drummer *d, nd_rng *rng) {
  return draws_by_step(a, d) && chance(rng, d->history_step);
}

void nd_augmentation_skip(const nd_augmentation *a, const nd_drummer *d, nd_rng *rng,
                          int32_t rows) {
  int32_t cells = a->fixed_cells > 0.0f ? d->net.config.voices : 0;
  nd_rng_skip(rng, (uint64_t)rows * (uint64_t)((draws_by_step(a, d) ? 1 : 0) + cells));
}
