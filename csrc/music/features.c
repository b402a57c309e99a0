#include "features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "self_similarity.h"

/* A row is written part by part, each by one of three functions: metrics, hits (voices),
 * or values with a flag. nd_features_layout() alone decides which parts a row has and
 * where; a part that is missing has size 0, so that no other function asks for the kind.
 * A row costs about as many operations as it has inputs (some 150).
 *
 * Trained weights depend on every place and meaning in a row: a change makes models
 * unreadable that were trained before. */

/* In checkpoints, by name. */
const char *const nd_features_names[] = {
    [ND_FEATURES_DRUMMER] = "drummer", [ND_FEATURES_ORIGINAL] = "original",
    [ND_FEATURES_RAW] = "raw",         [ND_FEATURES_WHOLE] = "whole",
    [ND_FEATURES_TOUCH] = "touch",     [ND_FEATURES_TOUCH + 1] = NULL};

/* Metrics that follow from grid and tempo alone: a TOUCH net learns from people
 * who drum without a song, whose other metrics are all 0. */
static const int timing[] = {ND_M_TEMPO,    ND_M_BEAT_SIN,   ND_M_BEAT_COS, ND_M_BAR_SIN,
                             ND_M_BAR_COS,  ND_M_PHRASE_SIN, ND_M_PHRASE_COS,
                             ND_M_DOWNBEAT, ND_M_ON_BEAT,    ND_M_METER};
enum { TIMING = sizeof timing / sizeof *timing };

/* -------------------------------------------------------------------- layout */

/* The one place that knows which kind of features has which parts. Widths follow from the
 * kit (V voices). Cheap enough to be made anew for each row: about thirty additions. */
nd_layout nd_features_layout(const nd_features *f, int32_t voices) {
  int32_t V = voices, back = V * f->n_back;
  int32_t whole_song = !f->causal;  /* a bar's recurrence depends on the bars to come */
  nd_layout l = {.inputs = 0};
  switch (f->kind) {
    case ND_FEATURES_WHOLE:
      l = (nd_layout){.size = {
          [ND_PART_METRICS] = ND_N_METRICS, [ND_PART_FIXED_HITS] = V, [ND_PART_FIXED_MASK] = V,
          [ND_PART_DENSITY] = 2, [ND_PART_FILL] = 2, [ND_PART_HAS_HISTORY] = 1,
          [ND_PART_BEFORE] = V, [ND_PART_BACK] = back, [ND_PART_RECURRENCE] = whole_song * V,
          [ND_PART_SIMILARITY] = whole_song, [ND_PART_TRAITS] = nd_style_traits(V) + 1,
          [ND_PART_GROOVE] = V + 1}};
      break;
    case ND_FEATURES_DRUMMER:
      l = (nd_layout){.size = {[ND_PART_METRICS] = ND_N_METRICS, [ND_PART_BEFORE] = V,
                               [ND_PART_BACK] = back}};
      break;
    case ND_FEATURES_ORIGINAL:
      l = (nd_layout){.size = {[ND_PART_METRICS] = 1, [ND_PART_BEFORE] = V}};
      break;
    case ND_FEATURES_TOUCH:
      l = (nd_layout){.size = {[ND_PART_METRICS] = TIMING, [ND_PART_FIXED_HITS] = V}};
      break;
    case ND_FEATURES_RAW: break;
  }
  /* parts follow each other as in the enumeration, which trained weights depend on */
  for (int part = 0; part < ND_N_PARTS; part++) {
    l.at[part] = l.inputs;
    l.inputs += l.size[part];
    if (part == ND_PART_FILL && (f->kind == ND_FEATURES_WHOLE || f->kind == ND_FEATURES_TOUCH))
      l.encoded = l.inputs;
  }
  if (f->kind == ND_FEATURES_ORIGINAL) {  /* except in the 2023 system: hits come first */
    l.at[ND_PART_BEFORE] = 0;
    l.at[ND_PART_METRICS] = V;
  }
  return l;
}

/* ----------------------------------------------------------------------- rows
 * A part that the row does not have is of size 0: writing it does nothing. */

/* Metrics that a causal net must not see stay in the row as zeros, so that causal and
 * other nets have the same layout. */
static void put_metrics(float *row, const nd_features *f, const nd_layout *l,
                        const float *metrics) {
  for (int32_t k = 0; k < l->size[ND_PART_METRICS]; k++) {
    int m = f->kind == ND_FEATURES_TOUCH ? timing[k] : k;  /* metric 0 is the intensity */
    bool hidden = f->causal && nd_metric_needs_future(m);
    row[l->at[ND_PART_METRICS] + k] = hidden ? 0.0f : metrics[m];
  }
}

/* `which` of the rows of hits that a part has side by side; NULL, an unknown row, is all
 * 0. Velocities do not count: the network predicts whether a voice is hit. */
static void put_hits(float *row, const nd_layout *l, nd_part part, int32_t which, int32_t voices,
                     const uint8_t *hits) {
  row += l->at[part] + which * voices;
  for (int32_t v = 0; v < voices && l->size[part] > 0; v++)
    row[v] = hits != NULL && hits[v] > 0 ? 1.0f : 0.0f;
}

/* Values, then the flag: 0 alone could mean both "0" and "not given". */
static void put_given(float *row, const nd_layout *l, nd_part part, const float *values) {
  int32_t n = l->size[part] - 1;
  row += l->at[part];
  for (int32_t k = 0; k < n; k++) row[k] = values != NULL ? values[k] : 0.0f;
  if (n >= 0) row[n] = values != NULL ? 1.0f : 0.0f;
}

/* History that is not available leaves its parts 0, and the flag says that they are
 * unknown. Similarity without a bar to repeat is 0 as well. */
void nd_features_row(const nd_features *f, int32_t voices, const nd_step_context *c, float *row) {
  nd_layout l = nd_features_layout(f, voices);
  const nd_history *h = &c->history;
  const float *groove = NULL;
  if (c->style != NULL)
    groove = nd_style_groove(c->style, voices, c->step_in_bar, c->steps_per_beat);
  put_metrics(row, f, &l, c->metrics);
  put_hits(row, &l, ND_PART_FIXED_HITS, 0, voices, c->fixed_hits);
  put_hits(row, &l, ND_PART_FIXED_MASK, 0, voices, c->fixed_mask);
  /* what stands in cells that are to be replaced must not show */
  for (int32_t v = 0; v < l.size[ND_PART_FIXED_MASK]; v++)
    row[l.at[ND_PART_FIXED_HITS] + v] *= row[l.at[ND_PART_FIXED_MASK] + v];
  put_given(row, &l, ND_PART_DENSITY, isnan(c->density) ? NULL : &c->density);
  put_given(row, &l, ND_PART_FILL, isnan(c->fill) ? NULL : &c->fill);
  if (l.size[ND_PART_HAS_HISTORY] > 0) row[l.at[ND_PART_HAS_HISTORY]] = h->available ? 1.0f : 0.0f;
  put_hits(row, &l, ND_PART_BEFORE, 0, voices, h->before);
  for (int32_t k = 0; k < f->n_back; k++) put_hits(row, &l, ND_PART_BACK, k, voices, h->back[k]);
  put_hits(row, &l, ND_PART_RECURRENCE, 0, voices, h->recurrence);
  if (l.size[ND_PART_SIMILARITY] > 0)
    row[l.at[ND_PART_SIMILARITY]] = h->recurrence != NULL ? c->similarity : 0.0f;
  put_given(row, &l, ND_PART_TRAITS, c->style);
  put_given(row, &l, ND_PART_GROOVE, groove);
}

/* -------------------------------------------------------------------- history
 * For a whole Sequence whose hits stand one step after another. A live take has rings
 * instead (play/step.c). */

/* The row of hits at a step of a bar that is not the last; NULL where it is shorter. */
static const uint8_t *row_at(const nd_grid *grid, const uint8_t *hits, int32_t voices, int32_t bar,
                             int32_t step_in_bar) {
  int32_t step = grid->bars[bar].step + step_in_bar;
  return step < grid->bars[bar + 1].step ? hits + (size_t)step * (size_t)voices : NULL;
}

/* Rows are pointers into `hits`, so that an explanation can tell from a pointer
 * which hit an input stood for. Bars before the first do not exist: back[] is
 * ascending, so the loop may end there. */
nd_history nd_features_history(const nd_features *f, const nd_grid *grid, int32_t voices,
                               const uint8_t *hits, int32_t step, int32_t bar, int32_t repeats) {
  nd_history h = {.available = true};
  if (step > 0) h.before = hits + (size_t)(step - 1) * (size_t)voices;
  int32_t step_in_bar = step - grid->bars[bar].step;
  for (int32_t k = 0; k < f->n_back && f->back[k] <= bar; k++)
    h.back[k] = row_at(grid, hits, voices, bar - f->back[k], step_in_bar);
  if (repeats >= 0 && !f->causal) h.recurrence = row_at(grid, hits, voices, repeats, step_in_bar);
  return h;
}

/* ----------------------------------------------------------------- recurrence
 * Similarity compares bars with all earlier ones: whole songs only, and costs time
 * that features without the part need not spend. */

/* Costs 64 comparisons a bar at most, besides what self_similarity.c says. */
nd_status nd_recurrence_make(nd_recurrence *r, const nd_features *f, const float *metrics,
                             const nd_grid *grid, nd_error *err) {
  nd_similarity s;
  size_t n = (size_t)grid->n_bars;
  r->bar = nd_calloc(n, sizeof *r->bar + sizeof *r->similarity);
  if (r->bar == NULL) return nd_nomem(err);
  r->similarity = (void *)(r->bar + n);  /* the second half of one block */
  for (size_t b = 0; b < n; b++) r->bar[b] = -1;
  if (f->kind != ND_FEATURES_WHOLE || f->causal) return ND_OK;
  nd_status status = nd_similarity_make(&s, metrics, grid, err);
  if (status != ND_OK) {
    nd_recurrence_clear(r);
    return status;
  }
  nd_similarity_recurrence(&s, grid, r->bar, r->similarity);
  nd_similarity_clear(&s);
  return ND_OK;
}

/* Also of one that was never made, if it is zeroed. */
void nd_recurrence_clear(nd_recurrence *r) {
  free(r->bar);
  *r = (nd_recurrence){.bar = NULL};
}
