#include "performance.h"

#include <stdlib.h>
#include <string.h>

#include "../net/encoder.h"
#include "generator_state.h"

/* A song is played in the phases below. What needs the whole song is done before
 * the first step: the takes' styles, the encoder over all steps, and which bars
 * repeat earlier ones. Each phase consists of units (a step, a take, a few steps of
 * the encoder), and nd_performance_advance() does units until its budget of
 * multiply-accumulates is spent. A unit is never interrupted, so a slice overruns
 * its budget by at most one. Results do not depend on where slices end.
 *
 * Nothing of a generator changes before nd_performance_end(): each take has a state
 * of its own here, and hand_over() swaps it in. */

enum { CHUNK = 32 };   /* steps whose encoder outputs are multiplied at once */

/* Work that is no matrix product, as the multiply-accumulates that take equally
 * long: comparing two styles; making one step's input row, or its part of work
 * that is done once per song. */
static const double style_cost = 400.0, row_cost = 5e3;

/* Phases in their order. Each is done in small units, between which a slice of the
 * work may end. */
typedef enum phase { START, STYLES, ENCODER_ROWS, ENCODER, RECURRENCE, STEPS, DONE } phase;

/* One take: what comes in, what it plays, and its state meanwhile. */
typedef struct take_io {
  nd_generator *generator;
  const nd_direction *direction;
  nd_take take;
  uint8_t *hits;              /* (n_steps, voices) played */
  uint8_t *fixed_hits;        /* (n_steps, voices) the direction's under its mask, else 0:
                               * the network must not see hits that are to be replaced */
  int32_t enter, leave;       /* steps between which the band plays */
  int32_t encoding;           /* of the encodings, the one that it uses */
  nd_sequence *result;
} take_io;

/* Encoder outputs, one for each distinct input. `take` is a take that has it. */
typedef struct encodings {
  int32_t n, *take;           /* (n) */
  int32_t *lengths;           /* (n) n_steps each, as nd_encoder_run takes them */
  float **rows, **outputs;    /* (n) of (n_steps, encoded), (n_steps, encoding) */
  float *chunk;               /* (CHUNK, n, encoding) outputs, put together … */
  float *products;            /* (CHUNK, n, 4 hidden) … and times their weights */
  nd_encoder_run run;
  nd_arena arena;
} encodings;

struct nd_performance {
  const nd_drummer *drummer;
  uint64_t style_generation;  /* of the drummer's styles, at the start */
  const nd_sequence *song;
  int32_t n, n_batches;
  take_io *takes;             /* (n) */
  nd_step_io *steps;          /* (n) of the current step */
  nd_decoder_batch *batches;  /* one for all takes; for a window net one each */
  float *style_weights;       /* (styles) or NULL while no style was drawn */
  encodings encodings;        /* n is 0 without an encoder */
  nd_recurrence recurrence;
  phase phase;
  int32_t at, bar;            /* progress in the phase: step and its bar, or take */
};

/* The decoder batch of take `i`, and its place there. */
static nd_decoder_batch *batch_of(const nd_performance *p, int32_t i, int32_t *at) {
  *at = p->n_batches == 1 ? i : 0;
  return &p->batches[p->n_batches == 1 ? 0 : i];
}

/* -------------------------------------------------------------------- setting up */

/* The steps between which the song sounds, from *enter to before *leave; all of
 * them when no step does: drums alone, or token text, have no such metric. */
static void find_band(const nd_sequence *song, int32_t *enter, int32_t *leave) {
  int32_t n = nd_sequence_steps(song);
  const float *playing = song->metrics + ND_M_PLAYING;
  *enter = 0;
  *leave = n;
  while (*enter < n && playing[(size_t)*enter * ND_N_METRICS] == 0.0f) ++*enter;
  if (*enter == n) {
    *enter = 0;
    return;
  }
  while (playing[(size_t)(*leave - 1) * ND_N_METRICS] == 0.0f) --*leave;
}

/* The direction's sequence may hold hits in cells that are not masked; those stay
 * hidden from the network. */
static nd_status make_take(take_io *t, nd_generator *g, const nd_direction *d,
                           const nd_sequence *song, nd_error *err) {
  size_t cells = (size_t)nd_sequence_steps(song) * (size_t)nd_sequence_voices(song);
  t->generator = g;
  t->direction = d;
  nd_status status = nd_take_make(&t->take, &g->options, nd_sequence_voices(song), err);
  if (status != ND_OK) return status;
  t->hits = nd_calloc(cells, 1);
  t->fixed_hits = nd_calloc(cells, 1);
  if (t->hits == NULL || t->fixed_hits == NULL) return nd_nomem(err);
  for (size_t i = 0; d->fixed_mask != NULL && i < cells; i++)
    t->fixed_hits[i] = d->fixed_mask[i] ? d->fixed->hits[i] : 0;
  t->leave = nd_sequence_steps(song);
  if (!g->options.play_always) find_band(song, &t->enter, &t->leave);
  return ND_OK;
}

static bool same_bars(const float *a, const float *b, int32_t n) {
  return a == b || (a != NULL && b != NULL && memcmp(a, b, (size_t)n * sizeof *a) == 0);
}

/* Whether two takes give the encoder the same input. It does not see the style. */
static bool same_encoding(const nd_sequence *song, const take_io *x, const take_io *y) {
  const nd_direction *a = x->direction, *b = y->direction;
  size_t cells = (size_t)nd_sequence_steps(song) * (size_t)nd_sequence_voices(song);
  if (!same_bars(a->density, b->density, song->grid.n_bars)) return false;
  if (!same_bars(a->fill, b->fill, song->grid.n_bars)) return false;
  if (a->fixed_mask == NULL || b->fixed_mask == NULL) return a->fixed_mask == b->fixed_mask;
  return memcmp(a->fixed_mask, b->fixed_mask, cells) == 0 &&
         memcmp(x->fixed_hits, y->fixed_hits, cells) == 0;
}

/* Rows and outputs of a whole song are by far the largest part of a performance's
 * memory: (encoded + encoding) floats a step. */
static void lay_out(const nd_performance *p, encodings *e, nd_arena *a) {
  const nd_net_config *c = &p->drummer->net.config;
  size_t steps = (size_t)nd_sequence_steps(p->song), n = (size_t)e->n;
  size_t encoding = (size_t)nd_net_encoding(c);
  e->lengths = nd_arena_take(a, n, sizeof *e->lengths);
  e->rows = nd_arena_take(a, n, sizeof *e->rows);
  e->outputs = nd_arena_take(a, n, sizeof *e->outputs);
  e->chunk = nd_arena_floats(a, CHUNK * n * encoding);
  e->products = nd_arena_floats(a, CHUNK * n * 4 * (size_t)c->hidden);
  for (size_t k = 0; k < n; k++) {
    float *rows = nd_arena_floats(a, steps * (size_t)c->encoded);
    float *outputs = nd_arena_floats(a, steps * encoding);
    if (a->memory == NULL) continue;  /* only counted */
    e->lengths[k] = (int32_t)steps;
    e->rows[k] = rows;
    e->outputs[k] = outputs;
  }
}

/* Groups the takes by equal input. With `n` takes of one direction, as drafts are,
 * the encoder runs once; comparing each take with one of every group is cheap
 * against a run. */
static nd_status make_encodings(nd_performance *p, nd_error *err) {
  encodings *e = &p->encodings;
  e->take = nd_calloc((size_t)p->n, sizeof *e->take);
  if (e->take == NULL) return nd_nomem(err);
  for (int32_t i = 0; i < p->n; i++) {
    int32_t k = 0;
    while (k < e->n && !same_encoding(p->song, &p->takes[e->take[k]], &p->takes[i])) k++;
    if (k == e->n) e->take[e->n++] = i;
    p->takes[i].encoding = k;
  }
  nd_arena counted = {0};
  lay_out(p, e, &counted);
  if (!nd_arena_reserve(&e->arena, counted.used)) return nd_nomem(err);
  lay_out(p, e, &e->arena);
  return nd_encoder_run_make(&e->run, &p->drummer->net, e->n, e->lengths,
                             (const float *const *)e->rows,
                             (size_t)p->drummer->net.config.encoded, e->outputs, err);
}

/* Streaming takes share one batch, whose products have a row for each of them. A
 * window net already has a row for each window, and gets a batch for each take. */
static nd_status make_all(nd_performance *p, nd_generator *const *generators,
                          const nd_direction *directions, nd_error *err) {
  const nd_net_config *c = &p->drummer->net.config;
  int32_t n_batches = c->window > 0 ? p->n : 1, size = c->window > 0 ? 1 : p->n;
  nd_status status = ND_OK;
  p->takes = nd_calloc((size_t)p->n, sizeof *p->takes);
  p->steps = nd_calloc((size_t)p->n, sizeof *p->steps);
  p->batches = nd_calloc((size_t)n_batches, sizeof *p->batches);
  if (p->takes == NULL || p->steps == NULL || p->batches == NULL) return nd_nomem(err);
  for (; p->n_batches < n_batches && status == ND_OK; p->n_batches++)
    status = nd_decoder_make(&p->batches[p->n_batches], p->drummer, size, err);
  for (int32_t i = 0; i < p->n && status == ND_OK; i++)
    status = make_take(&p->takes[i], generators[i], &directions[i], p->song, err);
  if (status == ND_OK && c->encoder > 0) status = make_encodings(p, err);
  return status;
}

static nd_status check_takes(nd_generator *const *generators, int32_t n,
                             const nd_direction *directions, nd_error *err) {
  const nd_drummer *drummer = generators[0]->drummer;
  for (int32_t i = 0; i < n; i++) {
    const nd_direction *d = &directions[i];
    if (generators[i]->drummer != drummer)
      return nd_fail(err, ND_MISUSE, "generators that play together must be of one model");
    for (int32_t j = 0; j < i; j++)
      if (generators[j] == generators[i])
        return nd_fail(err, ND_MISUSE, "generator %d is the same as generator %d: each take needs "
                       "its own", i + 1, j + 1);
    if (drummer->features.kind != ND_FEATURES_WHOLE &&
        (d->fixed_mask != NULL || d->style != NULL || d->style_number > 0 || d->density != NULL ||
         d->fill != NULL))
      return nd_fail(err, ND_MISUSE, "this model takes no direction (fixed hits, style, density or "
                     "fills): it has no encoder");
  }
  return ND_OK;
}

nd_status nd_performance_make(nd_performance **out, nd_generator *const *generators, int32_t n,
                              const nd_sequence *song, const nd_direction *directions,
                              nd_error *err) {
  const nd_drummer *drummer = generators[0]->drummer;
  nd_status status = nd_drummer_accepts(drummer, &song->settings, "the song", err);
  if (status == ND_OK) status = check_takes(generators, n, directions, err);
  if (status != ND_OK) return status;
  nd_performance *p = nd_calloc(1, sizeof *p);
  if (p == NULL) return nd_nomem(err);
  p->drummer = drummer;
  p->style_generation = drummer->styles.generation;
  p->song = song;
  p->n = n;
  status = make_all(p, generators, directions, err);
  if (status != ND_OK) {
    nd_performance_free(p);
    return status;
  }
  *out = p;
  return ND_OK;
}

void nd_performance_free(nd_performance *p) {
  if (p == NULL) return;
  for (int32_t i = 0; p->takes != NULL && i < p->n; i++) {
    nd_take_clear(&p->takes[i].take);
    free(p->takes[i].hits);
    free(p->takes[i].fixed_hits);
    nd_sequence_free(p->takes[i].result);
  }
  for (int32_t k = 0; k < p->n_batches; k++) nd_decoder_clear(&p->batches[k]);
  nd_encoder_run_clear(&p->encodings.run);
  nd_arena_clear(&p->encodings.arena);
  nd_recurrence_clear(&p->recurrence);
  free(p->encodings.take);
  free(p->style_weights);
  free(p->takes);
  free(p->steps);
  free(p->batches);
  free(p);
}

/* ------------------------------------------------------------------ the phases */

static void next_phase(nd_performance *p, phase next) {
  p->phase = next;
  p->at = p->bar = 0;
}

/* Feeds the next step of each take's start. false when no take had one. */
static bool feed_start(nd_performance *p) {
  bool fed = false;
  for (int32_t i = 0; i < p->n; i++) {
    int32_t at;
    nd_decoder_batch *b = batch_of(p, i, &at);
    const nd_generator *g = p->takes[i].generator;
    if (p->at >= nd_start_steps(p->drummer, &g->options, g->prime)) continue;
    nd_start_feed(b, at, &p->takes[i].take, g->prime, p->at);
    fed = true;
  }
  p->at++;
  return fed;
}

/* The next take's style. */
static nd_status choose_style(nd_performance *p, double *macs, nd_error *err) {
  take_io *t = &p->takes[p->at++];
  if (nd_take_fix_style(&t->take, p->drummer, t->direction)) {
    if (t->direction->fixed_mask != NULL) *macs -= row_cost * nd_sequence_steps(p->song);
    return ND_OK;
  }
  double n = p->drummer->styles.n;
  if (p->style_weights == NULL) *macs -= style_cost * n * n;
  return nd_take_draw_style(&t->take, p->drummer, p->song, &p->style_weights, err);
}

/* Moves p->bar to the bar of step p->at; true where that bar begins. */
static bool begins_bar(nd_performance *p) {
  const nd_grid *grid = &p->song->grid;
  bool begins = p->at == 0;
  while (p->bar + 1 < grid->n_bars && grid->bars[p->bar + 1].step <= p->at) {
    p->bar++;
    begins = true;
  }
  return begins;
}

/* The song and the direction at step p->at, without history. */
static nd_step_context context_of(const nd_performance *p, const take_io *t) {
  const nd_direction *d = t->direction;
  size_t cell = (size_t)p->at * (size_t)nd_sequence_voices(p->song);
  nd_step_context c = nd_step_metrics(p->song->metrics + (size_t)p->at * ND_N_METRICS);
  if (d->fixed_mask != NULL) {
    c.fixed_hits = t->fixed_hits + cell;
    c.fixed_mask = d->fixed_mask + cell;
  }
  if (d->density != NULL) c.density = d->density[p->bar];
  if (d->fill != NULL) c.fill = d->fill[p->bar];
  return c;
}

/* The encoder's input rows of one step. The encoded inputs are the first of a
 * row; the others, which history would fill, are thrown away. */
static void make_encoder_rows(nd_performance *p) {
  const nd_net_config *c = &p->drummer->net.config;
  float *x = p->batches[0].x;
  (void)begins_bar(p);
  for (int32_t k = 0; k < p->encodings.n; k++) {
    nd_step_context context = context_of(p, &p->takes[p->encodings.take[k]]);
    nd_features_row(&p->drummer->features, c->voices, &context, x);
    memcpy(p->encodings.rows[k] + (size_t)p->at * (size_t)c->encoded, x,
           (size_t)c->encoded * sizeof *x);
  }
}

/* The encoder's share of the first layer, for the next steps: one product of many
 * rows reads the weights once, where one per step would read them each time. */
static void multiply_chunk(nd_performance *p) {
  encodings *e = &p->encodings;
  size_t encoding = (size_t)nd_net_encoding(&p->drummer->net.config), n = (size_t)e->n;
  nd_inference_weights borrowed;
  const nd_inference_weights *w = nd_drummer_weights(p->drummer, &borrowed);
  int32_t left = nd_sequence_steps(p->song) - p->at, steps = left < CHUNK ? left : CHUNK;
  for (size_t t = 0; t < (size_t)steps; t++)
    for (size_t k = 0; k < n; k++)
      memcpy(e->chunk + (t * n + k) * encoding, e->outputs[k] + ((size_t)p->at + t) * encoding,
             encoding * sizeof *e->chunk);
  nd_matmul(&w->wx_encoder, steps * e->n, e->chunk, false, e->products);
}

/* Row of e->products for a take at this step. */
static const float *encoding_of(const nd_performance *p, const take_io *t) {
  const encodings *e = &p->encodings;
  size_t row = (size_t)(p->at % CHUNK) * (size_t)e->n + (size_t)t->encoding;
  return e->n > 0 ? e->products + row * 4 * (size_t)p->drummer->net.config.hidden : NULL;
}

/* Plays one step of all takes. Recurrence refers to the take's own earlier hits:
 * where the song repeats a bar, the network sees what it played there. */
static void play_step(nd_performance *p) {
  const nd_features *f = &p->drummer->features;
  int32_t V = p->drummer->net.config.voices;
  bool begins = begins_bar(p);
  int32_t repeats = p->recurrence.bar[p->bar];
  if (p->encodings.n > 0 && p->at % CHUNK == 0) multiply_chunk(p);
  for (int32_t i = 0; i < p->n; i++) {
    take_io *t = &p->takes[i];
    nd_step_io *io = &p->steps[i];
    *io = (nd_step_io){.take = &t->take,
                       .context = context_of(p, t),
                       .encoding = encoding_of(p, t),
                       .silent = p->at < t->enter || p->at >= t->leave,
                       .hits = t->hits + (size_t)p->at * (size_t)V};
    if (repeats >= 0) {
      io->context.history =
          nd_features_history(f, &p->song->grid, V, t->hits, p->at, p->bar, repeats);
      io->context.similarity = p->recurrence.similarity[p->bar];
    }
  }
  for (int32_t k = 0, i = 0; k < p->n_batches; i += p->batches[k++].n)
    nd_step_play(&p->batches[k], p->steps + i, begins);
}

/* One unit of work of the current phase. */
static nd_status advance_phase(nd_performance *p, double *macs, nd_error *err) {
  const nd_drummer *d = p->drummer;
  int32_t n_steps = nd_sequence_steps(p->song);
  double step_cost = nd_net_macs(&d->net) * p->n;
  nd_inference_weights borrowed;
  nd_status status = ND_OK;
  switch (p->phase) {
    case START:
      if (feed_start(p)) *macs -= step_cost;
      else next_phase(p, STYLES);
      break;
    case STYLES:
      if (p->at < p->n) status = choose_style(p, macs, err);
      else next_phase(p, p->encodings.n > 0 ? ENCODER_ROWS : RECURRENCE);
      break;
    case ENCODER_ROWS:
      make_encoder_rows(p);
      *macs -= row_cost * p->encodings.n;
      if (++p->at == n_steps) next_phase(p, ENCODER);
      break;
    case ENCODER:
      *macs = nd_encoder_run_advance(&p->encodings.run, nd_drummer_weights(d, &borrowed), *macs);
      if (nd_encoder_run_done(&p->encodings.run)) next_phase(p, RECURRENCE);
      break;
    case RECURRENCE:
      status = nd_recurrence_make(&p->recurrence, &d->features, p->song->metrics, &p->song->grid,
                                  err);
      *macs -= row_cost * n_steps;
      next_phase(p, STEPS);
      break;
    case STEPS:
      play_step(p);
      *macs -= step_cost;
      if (++p->at == n_steps) next_phase(p, DONE);
      break;
    case DONE: break;
  }
  return status;
}

nd_status nd_performance_advance(nd_performance *p, double *macs, bool *more, nd_error *err) {
  /* style weights, and the style numbers of directions, are of the styles at the start */
  if (p->drummer->styles.generation != p->style_generation)
    return nd_fail(err, ND_MISUSE, "the model's styles changed while it was playing");
  while (p->phase != DONE && *macs > 0) {
    nd_status status = advance_phase(p, macs, err);
    if (status != ND_OK) return status;
  }
  *more = p->phase != DONE;
  return ND_OK;
}

ND_DEFINE_JOB(nd_performance)

/* --------------------------------------------------------------------- results */

/* The generator ends up as if it had played the song by itself. */
static void hand_over(nd_performance *p, int32_t i) {
  nd_generator *g = p->takes[i].generator;
  int32_t at;
  const nd_decoder_batch *b = batch_of(p, i, &at);
  nd_take former = g->take;
  nd_decoder_copy(&g->batch, b, at);
  g->take = p->takes[i].take;
  p->takes[i].take = former;  /* whose ring nd_performance_free() frees */
}

/* All results first: if one fails, no generator has changed. */
nd_status nd_performance_end(nd_performance *p, nd_error *err) {
  for (int32_t i = 0; i < p->n; i++) {
    take_io *t = &p->takes[i];
    const nd_direction *d = t->direction;
    if (t->take.has_nan) return nd_drummer_is_corrupt(err);
    if (nd_sequence_blank(&t->result, p->song) != ND_OK ||
        nd_sequence_set_masked(t->result, t->hits, NULL, d->fixed, d->fixed_mask) != ND_OK)
      return nd_nomem(err);
  }
  for (int32_t i = 0; i < p->n; i++) hand_over(p, i);
  return ND_OK;
}

/* Ownership moves to the caller, so that nd_performance_free() does not free it. */
nd_sequence *nd_performance_result(nd_performance *p, int32_t i) {
  nd_sequence *result = p->takes[i].result;
  p->takes[i].result = NULL;
  return result;
}
