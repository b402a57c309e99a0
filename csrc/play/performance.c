#include "performance.h"

#include <stdlib.h>
#include <string.h>

#include "../net/encoder.h"
#include "take.h"

/* A song is played in the phases below. What needs the whole song is done before
 * the first step: the takes' styles, the encoder over all steps, and which bars
 * repeat earlier ones. Each phase consists of units (a step, a take, a few steps of
 * the encoder), and advance() does units until its budget of
 * multiply-accumulates is spent. A unit is never interrupted, so a slice overruns
 * its budget by at most one. Results do not depend on where slices end.
 *
 * The cost is linear in the song's steps and in the takes, except for choosing a style
 * (n * n for n known styles) and finding repeats (each bar is compared with the 64
 * before it). Memory is dominated by the encoder's rows and outputs, which takes with
 * equal directions share.
 *
 * Nothing of a generator changes before nd_performance_end(): each take has a state
 * of its own here, which nd_performance_end() copies. */

/* Steps whose encoder outputs are multiplied at once: enough to use each weight often
 * while it is in the cache, few enough for a slice of work to stay short. */
enum { CHUNK = 32 };

/* Work that is no matrix product, as the multiply-accumulates that take equally
 * long: comparing two styles; making one step's input row, or its part of work
 * that is done once per song. */
static const double style_cost = 400.0, row_cost = 5e3;

/* Phases in their order, and the unit of each. */
typedef enum phase {
  START,         /* a step of the takes' starts */
  STYLES,        /* a take's style */
  ENCODER_ROWS,  /* the encoder's inputs of a step */
  ENCODER,       /* a few steps of the encoder */
  RECURRENCE,    /* which bars repeat earlier ones: once */
  STEPS,         /* a step of all takes */
  DONE
} phase;

/* One take of the song: what comes in, what it plays, and its state meanwhile. */
typedef struct take_io {
  nd_generator *generator;
  const nd_direction *direction;
  nd_take take;
  uint8_t *hits;              /* (n_steps, voices) played */
  int32_t encoding;           /* of the encodings, the one that it uses */
  bool leads;                 /* the first take that uses it */
  nd_sequence *result;
} take_io;

/* The song as a whole. All takes are at the same step; they differ in their direction,
 * their random numbers and therefore their hits. */
struct nd_performance {
  const nd_drummer *drummer;
  uint64_t style_generation;  /* of the drummer's styles, at the start */
  const nd_sequence *song;
  int32_t n;
  take_io *takes;             /* (n) */
  nd_decoder_batch batch;     /* of all takes */
  float *style_weights;       /* (styles) or NULL while no style was drawn */
  nd_recurrence recurrence;
  int32_t enter, leave;       /* the band plays from step `enter` to before `leave` */
  phase phase;
  int32_t at;                 /* progress in the phase: a step or a take */
  /* The encoder's inputs and outputs, one for each distinct input of the takes; none
   * without an encoder. */
  int32_t n_encodings;
  nd_encoder_run encoder;
  nd_arena arena;             /* all of the below, and the takes' hits */
  int32_t *lengths;           /* (n_encodings) n_steps each, as nd_encoder_run takes them */
  float **rows, **outputs;    /* (n_encodings) of (n_steps, encoded), (n_steps, encoding) */
  float *products;            /* (n_encodings, CHUNK, 4 hidden) outputs times their weights */
  nd_step_io *steps;          /* (n) of the current step */
};

/* -------------------------------------------------------------------- setting up */

/* The steps between which the song sounds; all of them when no step does: drums alone,
 * or token text, have no such metric. */
static void find_band(nd_performance *p) {
  int32_t n = nd_sequence_steps(p->song);
  /* backwards: the first step that is found is the last that plays */
  for (int32_t t = n - 1; t >= 0; t--) {
    if (p->song->metrics[(size_t)t * ND_N_METRICS + ND_M_PLAYING] == 0.0f) continue;
    if (p->leave == 0) p->leave = t + 1;
    p->enter = t;
  }
  if (p->leave == 0) p->leave = n;
}

/* Whether two controls (n) are equal, or both not given. Bytes are compared, because NAN
 * stands for a bar without the control, and does not equal itself. */
static bool same_bars(const float *a, const float *b, int32_t n) {
  return a == b || (a != NULL && b != NULL && memcmp(a, b, (size_t)n * sizeof *a) == 0);
}

/* Whether two directions give the encoder the same input. It does not see the style,
 * nor hits in cells that are not masked. */
static bool same_encoding(const nd_sequence *song, const nd_direction *a, const nd_direction *b) {
  size_t cells = (size_t)nd_sequence_steps(song) * (size_t)nd_sequence_voices(song);
  if (!same_bars(a->density, b->density, song->grid.n_bars) ||
      !same_bars(a->fill, b->fill, song->grid.n_bars))
    return false;
  if (a->fixed_mask == NULL || b->fixed_mask == NULL) return a->fixed_mask == b->fixed_mask;
  if (memcmp(a->fixed_mask, b->fixed_mask, cells) != 0) return false;
  /* one Sequence for both is the usual case, and needs no comparison */
  for (size_t i = 0; i < cells && a->fixed != b->fixed; i++)
    if (a->fixed_mask[i] && a->fixed->hits[i] != b->fixed->hits[i]) return false;
  return true;
}

/* Groups the takes by equal input. With takes of one direction, as drafts are, the
 * encoder runs once; comparing directions is cheap against a run. */
static void group_takes(nd_performance *p) {
  for (int32_t i = 0; i < p->n; i++) {
    take_io *t = &p->takes[i];
    int32_t k = 0;
    while (k < i && !same_encoding(p->song, p->takes[k].direction, t->direction)) k++;
    t->leads = k == i;
    t->encoding = t->leads ? p->n_encodings++ : p->takes[k].encoding;
  }
}

/* Runs twice, see arena.h. Rows and outputs of a whole song are by far the largest part of
 * a performance's memory: (encoded + encoding) floats a step. */
static void lay_out(nd_performance *p, nd_arena *a) {
  const nd_net_config *c = &p->drummer->net.config;
  size_t steps = (size_t)nd_sequence_steps(p->song), n = (size_t)p->n_encodings;
  size_t encoded = steps * (size_t)c->encoded, encoding = steps * (size_t)nd_net_encoding(c);
  p->steps = nd_arena_take(a, (size_t)p->n, sizeof *p->steps);
  p->lengths = nd_arena_take(a, n, sizeof *p->lengths);
  p->rows = nd_arena_take(a, n, sizeof *p->rows);
  p->outputs = nd_arena_take(a, n, sizeof *p->outputs);
  p->products = nd_arena_floats(a, n * CHUNK * 4 * (size_t)c->hidden);
  for (int32_t i = 0; i < p->n; i++) {
    take_io *t = &p->takes[i];
    t->hits = nd_arena_take(a, steps * (size_t)c->voices, 1);
    if (c->encoder == 0 || !t->leads) continue;
    /* one encoder run for all takes with this input: only the first makes space for it */
    float *x = nd_arena_floats(a, encoded), *y = nd_arena_floats(a, encoding);
    if (a->memory == NULL) continue;  /* only counted */
    p->lengths[t->encoding] = (int32_t)steps;
    p->rows[t->encoding] = x;
    p->outputs[t->encoding] = y;
  }
}

/* All memory and the takes of a performance whose song, drummer and n are set. */
static nd_status allocate(nd_performance *p, nd_generator *const *generators,
                          const nd_direction *directions, nd_error *err) {
  const nd_net *net = &p->drummer->net;
  nd_arena counted = {0};
  p->takes = nd_calloc((size_t)p->n, sizeof *p->takes);
  if (p->takes == NULL) return nd_nomem(err);
  for (int32_t i = 0; i < p->n; i++) {
    p->takes[i].generator = generators[i];
    p->takes[i].direction = &directions[i];
    nd_take_reset(&p->takes[i].take, &generators[i]->options);
  }
  /* before the layout: it needs the number of encodings */
  if (net->config.encoder > 0) group_takes(p);
  lay_out(p, &counted);
  if (!nd_arena_reserve(&p->arena, counted.used)) return nd_nomem(err);
  lay_out(p, &p->arena);
  nd_status status = nd_decoder_make(&p->batch, p->drummer, p->n, err);
  if (status == ND_OK && p->n_encodings > 0)
    status = nd_encoder_run_make(&p->encoder, net, p->n_encodings, p->lengths,
                                 (const float *const *)p->rows, (size_t)net->config.encoded,
                                 p->outputs, err);
  return status;
}

/* Also what allocate() left unfinished: everything that was not made yet is zero. */
static void discard(void *self) {
  nd_performance *p = self;
  if (p == NULL) return;
  for (int32_t i = 0; p->takes != NULL && i < p->n; i++) nd_sequence_free(p->takes[i].result);
  nd_arena_clear(&p->batch.arena);
  nd_encoder_run_clear(&p->encoder);
  nd_recurrence_clear(&p->recurrence);
  nd_arena_clear(&p->arena);
  free(p->style_weights);
  free(p->takes);
  free(p);
}

/* Takes share the model's weights, so it must be one model; and each moves a generator on,
 * so that none may occur twice. A model without encoder has no inputs for a direction:
 * ignoring it silently would look like a bad model. */
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

/* Nothing is computed yet: the first slice feeds the starts. ND_NOMEM when the song is too
 * long for the memory that there is. */
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
  find_band(p);
  status = allocate(p, generators, directions, err);
  if (status != ND_OK) discard(p);
  else *out = p;
  return status;
}

/* ------------------------------------------------------------------ the phases */

/* Every phase counts from 0. */
static void next_phase(nd_performance *p, phase next) {
  p->phase = next;
  p->at = 0;
}

/* Feeds the next step of each take's start. Starts may differ in length, because each
 * generator may have a prime of its own: a take whose start is over waits. false when no
 * take had one. */
static bool feed_start(nd_performance *p) {
  bool fed = false;
  for (int32_t i = 0; i < p->n; i++)
    fed |= nd_start_feed(p->takes[i].generator, &p->batch, i, &p->takes[i].take, p->at);
  p->at++;
  return fed;
}

/* The next take's style. The first that is drawn takes the most work: the weights of the
 * model's styles for this song, which the other takes then share. */
static nd_status choose_style(nd_performance *p, double *macs, nd_error *err) {
  take_io *t = &p->takes[p->at++];
  double n = p->drummer->styles.n;
  bool weighed = p->style_weights != NULL;
  nd_status status = nd_take_choose_style(&t->take, p->drummer, p->song, t->direction,
                                          &p->style_weights, err);
  if (!weighed && p->style_weights != NULL) *macs -= style_cost * n * n;
  if (t->direction->fixed_mask != NULL) *macs -= row_cost * nd_sequence_steps(p->song);
  return status;
}

/* The song and the direction at step p->at, which is in bar `bar`, without history: what
 * the encoder sees, and what the decoder sees besides its own past. */
static nd_step_context context_of(const nd_performance *p, const nd_direction *d, int32_t bar) {
  size_t cell = (size_t)p->at * (size_t)nd_sequence_voices(p->song);
  nd_step_context c = nd_step_metrics(p->song->metrics + (size_t)p->at * ND_N_METRICS);
  if (d->fixed_mask != NULL) {
    c.fixed_hits = d->fixed->hits + cell;
    c.fixed_mask = d->fixed_mask + cell;
  }
  if (d->density != NULL) c.density = d->density[bar];
  if (d->fill != NULL) c.fill = d->fill[bar];
  return c;
}

/* The encoder's input rows of one step. The encoded inputs are the first of a
 * row; the others, which history would fill, are thrown away. */
static void make_encoder_rows(nd_performance *p) {
  const nd_net_config *c = &p->drummer->net.config;
  int32_t bar = nd_grid_bar(&p->song->grid, p->at);
  for (int32_t i = 0; i < p->n; i++) {
    const take_io *t = &p->takes[i];
    if (!t->leads) continue;
    nd_step_context context = context_of(p, t->direction, bar);
    nd_features_row(&p->drummer->features, c->voices, &context, p->batch.x);
    memcpy(p->rows[t->encoding] + (size_t)p->at * (size_t)c->encoded, p->batch.x,
           (size_t)c->encoded * sizeof *p->batch.x);
  }
}

/* The encoder's share of the first layer, for the next steps: a product of many rows
 * reads the weights once, where one per step would read them each time. */
static void multiply_chunk(nd_performance *p) {
  const nd_net_config *c = &p->drummer->net.config;
  const nd_inference_weights *w = nd_drummer_weights(p->drummer);
  int32_t left = nd_sequence_steps(p->song) - p->at, steps = left < CHUNK ? left : CHUNK;
  for (size_t k = 0; k < (size_t)p->n_encodings; k++)
    nd_matmul(&w->wx_encoder, steps, p->outputs[k] + (size_t)p->at * (size_t)nd_net_encoding(c),
              false, p->products + k * CHUNK * 4 * (size_t)c->hidden);
}

/* Row of p->products (4 hidden) for a take at this step; NULL without an encoder. Valid
 * until the next chunk is multiplied. */
static const float *encoding_of(const nd_performance *p, const take_io *t) {
  size_t row = (size_t)t->encoding * CHUNK + (size_t)(p->at % CHUNK);
  if (p->n_encodings == 0) return NULL;
  return p->products + row * 4 * (size_t)p->drummer->net.config.hidden;
}

/* Plays one step of all takes. Recurrence refers to the take's own earlier hits:
 * where the song repeats a bar, the network sees what it played there. */
static void play_step(nd_performance *p) {
  const nd_grid *grid = &p->song->grid;
  int32_t V = p->drummer->net.config.voices, bar = nd_grid_bar(grid, p->at);
  int32_t repeats = p->recurrence.bar[bar];
  bool band_plays = p->at >= p->enter && p->at < p->leave;
  if (p->at % CHUNK == 0) multiply_chunk(p);  /* nothing without an encoder */
  for (int32_t i = 0; i < p->n; i++) {
    take_io *t = &p->takes[i];
    nd_step_io *io = &p->steps[i];
    /* where the band is silent only fixed hits sound, unless options.play_always is set */
    *io = (nd_step_io){.take = &t->take,
                       .context = context_of(p, t->direction, bar),
                       .encoding = encoding_of(p, t),
                       .silent = !band_plays && !t->generator->options.play_always,
                       .hits = t->hits + (size_t)p->at * (size_t)V};
    io->context.similarity = p->recurrence.similarity[bar];
    if (repeats >= 0)
      io->context.history = nd_features_history(&p->drummer->features, grid, V, t->hits, p->at,
                                                bar, repeats);
  }
  /* one step for all takes: each weight is read once */
  nd_step_play(&p->batch, p->steps, grid->bars[bar].step == p->at);
}

/* One unit of work of the current phase; *macs is reduced by its estimated cost. */
static nd_status advance_phase(nd_performance *p, double *macs, nd_error *err) {
  const nd_drummer *d = p->drummer;
  int32_t n_steps = nd_sequence_steps(p->song);
  double step_cost = nd_net_macs(&d->net) * p->n;
  nd_status status = ND_OK;
  switch (p->phase) {
    case START:
      if (feed_start(p)) *macs -= step_cost;
      else next_phase(p, STYLES);
      break;
    case STYLES:
      if (p->at < p->n) status = choose_style(p, macs, err);
      else next_phase(p, p->n_encodings > 0 ? ENCODER_ROWS : RECURRENCE);
      break;
    case ENCODER_ROWS:
      make_encoder_rows(p);
      *macs -= row_cost * p->n_encodings;
      if (++p->at == n_steps) next_phase(p, ENCODER);
      break;
    case ENCODER:
      *macs = nd_encoder_run_advance(&p->encoder, nd_drummer_weights(d), *macs);
      if (nd_encoder_run_done(&p->encoder)) next_phase(p, RECURRENCE);
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

/* Units of work until the budget is spent. After an error the job can only be freed. */
static nd_status advance(void *self, double *macs, bool *more, nd_error *err) {
  nd_performance *p = self;
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

nd_job nd_performance_job(nd_performance *p) { return (nd_job){p, advance, discard}; }

/* --------------------------------------------------------------------- results */

/* The hits of fixed cells were sampled over, as in step.c, but velocities, offsets and
 * doubled strikes are copied from the user's sequence.
 *
 * All results first: if one fails, no generator has changed. Then each generator gets the
 * state as if it had played the song by itself. */
nd_status nd_performance_end(nd_performance *p, nd_error *err) {
  for (int32_t i = 0; i < p->n; i++) {
    take_io *t = &p->takes[i];
    const nd_direction *d = t->direction;
    if (t->take.has_nan) return nd_drummer_is_corrupt(err);
    if (nd_sequence_blank(&t->result, p->song) != ND_OK ||
        nd_sequence_set_masked(t->result, t->hits, NULL, d->fixed, d->fixed_mask) != ND_OK)
      return nd_nomem(err);
  }
  for (int32_t i = 0; i < p->n; i++) {
    nd_generator *g = p->takes[i].generator;
    nd_decoder_copy(&g->batch, &p->batch, i);
    g->take = p->takes[i].take;
  }
  return ND_OK;
}

/* NULL before nd_performance_end(). Ownership moves to the caller, so that
 * nd_performance_free() does not free it. */
nd_sequence *nd_performance_result(nd_performance *p, int32_t i) {
  nd_sequence *result = p->takes[i].result;
  p->takes[i].result = NULL;
  return result;
}
