#include "generator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/blas.h"
#include "../net/kernels.h"
#include "../net/encoder.h"
#include "playability.h"

/* History is kept in rings: RING steps hold four bars of any usual meter. */
enum { RING = 4096, BARS = 32 };

/* What one take has for itself. */
typedef struct take {
  const nd_generator_options *options;
  nd_rng rng, scale_rng;
  float temperature_scale;    /* of this bar, from the temperature spread */
  int64_t steps;              /* played or heard since the start */
  int64_t bars;               /* begun */
  int64_t bar_start[BARS];    /* ring, by bar */
  uint8_t *ring;              /* (RING, voices) hits, by step */
  float style[ND_MAX_STYLE_SIZE];
  int32_t chosen;             /* index of the style among the drummer's, or -1 */
  uint64_t edition;           /* of the drummer's styles, when it was chosen */
  bool has_style;
  float odds[ND_MAX_VOICES];
  bool unsound;               /* some odds since the start were no number */
} take;

/* What the net needs for `n` takes side by side, in one block. */
typedef struct desk {
  const nd_drummer *drummer;
  int32_t n;
  int32_t rows;               /* states of a take: the window, or 1. Then n is 1 */
  float *block;
  size_t floats;
  float *h, *c;               /* (layers, n rows, hidden) */
  float *z;                   /* (n rows, 4 hidden) */
  float *x;                   /* (n, inputs) */
  float *reader;              /* (n, 2, encoder) h and c of the forward reader, live */
  float *reading;             /* (4 encoder) its scratch */
  float *feature, *scratch;   /* of the head, (n, widest) */
  float *logits;              /* (n, voices) */
} desk;

struct nd_generator {
  const nd_drummer *drummer;
  nd_generator_options options;
  nd_sequence *prime;
  take take;
  desk desk;
};

nd_generator_options nd_generator_defaults(const nd_drummer *d) {
  bool original = d->features.kind == ND_FEATURES_ORIGINAL;
  return (nd_generator_options){.seed = 1, .temperature = d->temperature,
                                .temperature_spread = d->temperature_spread,
                                .cutoff = d->cutoff,
                                .forced = d->forced, .velocity = original ? 127 : 100,
                                .start = original ? ND_START_BASIC : ND_START_BLANK,
                                .playable = !original, .always = original};
}

static nd_status desk_make(desk *k, const nd_drummer *d, int32_t n, nd_error *err) {
  const nd_net_config *c = &d->net.config;
  *k = (desk){.drummer = d, .n = n, .rows = c->window > 0 ? c->window : 1};
  size_t many = (size_t)n, rows = many * (size_t)k->rows, H = (size_t)c->hidden;
  size_t cells = (size_t)c->layers * rows * H, wide = nd_net_head_scratch(&d->net, n);
  size_t reader = 2 * (size_t)c->encoder;
  k->floats = 2 * cells + rows * 4 * H + many * (size_t)c->inputs + (many + 2) * reader + 2 * wide +
              many * (size_t)c->voices;
  k->block = nd_calloc(k->floats, sizeof *k->block);
  if (k->block == NULL) return nd_nomem(err);
  k->h = k->block;
  k->c = k->h + cells;
  k->z = k->c + cells;
  k->x = k->z + rows * 4 * H;
  k->reader = k->x + many * (size_t)c->inputs;
  k->reading = k->reader + many * reader;
  k->feature = k->reading + 2 * reader;
  k->scratch = k->feature + wide;
  k->logits = k->scratch + wide;
  return ND_OK;
}

static nd_status take_make(take *t, const nd_generator *g, nd_error *err) {
  *t = (take){.options = &g->options, .chosen = -1};
  t->ring = nd_calloc((size_t)RING * (size_t)g->drummer->net.config.voices, 1);
  return t->ring != NULL ? ND_OK : nd_nomem(err);
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
  status = take_make(&g->take, g, err);
  if (status == ND_OK) status = desk_make(&g->desk, d, 1, err);
  if (status == ND_OK && prime != NULL) {
    status = nd_sequence_blank(&g->prime, prime);
    if (status == ND_OK) status = nd_sequence_set_hits(g->prime, prime->hits, prime->offsets);
    if (status != ND_OK) status = nd_nomem(err);
  }
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
  free(g->take.ring);
  free(g->desk.block);
  free(g);
}

/* ------------------------------------------------------------------- the past */

static uint8_t *row(const desk *k, const take *t, int64_t step) {
  return t->ring + (size_t)(step % RING) * (size_t)k->drummer->net.config.voices;
}

static nd_history look_back(const desk *k, const take *t) {
  nd_history past = {.available = true};
  const nd_features *f = &k->drummer->features;
  if (t->steps > 0) past.before = row(k, t, t->steps - 1);
  int64_t bar = t->bars - 1, place = t->steps - t->bar_start[bar % BARS];
  for (int32_t i = 0; i < f->n_back; i++) {
    int64_t b = bar - f->back[i];
    if (b < 0 || f->back[i] >= BARS) break;
    int64_t at = t->bar_start[b % BARS] + place;
    if (at < t->bar_start[(b + 1) % BARS] && t->steps - at <= RING) past.back[i] = row(k, t, at);
  }
  return past;
}

/* -------------------------------------------------------------------- one step
 * Of `many` takes, which sit at rows `from`.. of a desk. */

/* The input row of one take. */
static void lay_inputs(desk *k, int32_t at, const take *t, const nd_step_context *heard) {
  nd_step_context all = *heard;
  const nd_net_config *c = &k->drummer->net.config;
  all.history = look_back(k, t);
  all.history.recurrence = heard->history.recurrence;
  all.step_in_bar = (int32_t)(t->steps - t->bar_start[(t->bars - 1) % BARS]);
  all.steps_per_beat = k->drummer->tokeniser.steps_per_beat;
  if (t->has_style) all.style = t->style;
  nd_features_row(&k->drummer->features, c->voices, &all, k->x + (size_t)at * (size_t)c->inputs);
}

/* The first layer's x wx (4H) of this step, to z: of the inputs, or of the
 * encoder's reading of the first of them and the others. Of a song read as a
 * whole, `read` is the reading's share; live, the forward reader moves on, and
 * a backward one has nothing to read. Inputs that are 0 are skipped: most are
 * hits that were not struck. */
static void first_products(desk *k, const nd_inference_weights *w, int32_t at, const float *read,
                           float *z) {
  const nd_net *net = &k->drummer->net;
  const nd_net_config *c = &net->config;
  const float *x = k->x + (size_t)at * (size_t)c->inputs;
  size_t wide = 4 * (size_t)c->hidden;
  if (read != NULL) memcpy(z, read, wide * sizeof *z);
  else memset(z, 0, wide * sizeof *z);
  if (c->encoder > 0 && read == NULL) {
    float *h = k->reader + (size_t)at * 2 * (size_t)c->encoder, *cell = h + c->encoder;
    memset(k->reading, 0, 4 * (size_t)c->encoder * sizeof *k->reading);
    nd_kept_sparse(&w->encoder_wx[0], x, k->reading);
    nd_kept_gemm(&w->encoder_wh[0], 1, h, true, k->reading);
    nd_cell_step(1, c->encoder, k->reading, net->encoder[0].b, h, cell);
    if (nd_net_directions(c) == 1) nd_kept_gemm(&w->wx_encoder, 1, h, true, z);
    else nd_gemv(c->encoder, 4 * c->hidden, h, net->lstm[0].wx, z);
  }
  nd_kept_sparse(&w->wx_input, x + (c->encoder > 0 ? c->encoded : 0), z);
}

/* Moves every state on by one step, the inputs being laid, and leaves the
 * feature vectors (many, F) of the oldest; NULL while no window is old enough. */
static const float *advance(desk *k, const nd_inference_weights *w, int32_t from, int32_t many,
                            const take *takes, const float *const *read) {
  const nd_net *net = &k->drummer->net;
  const nd_net_config *c = &net->config;
  int32_t rows = k->rows, H = c->hidden;
  size_t wide = 4 * (size_t)H, layer = (size_t)k->n * (size_t)rows * (size_t)H;
  size_t first = (size_t)from * (size_t)rows * (size_t)H;
  int64_t steps = takes[0].steps;
  float *z = k->z + 4 * first;
  /* the window that begins here starts from nothing */
  size_t begins = (size_t)(steps % rows) * (size_t)H;
  for (int32_t l = 0; l < c->layers; l++) {
    float *h = k->h + (size_t)l * layer + first, *cell = k->c + (size_t)l * layer + first;
    if (c->window > 0) {
      memset(h + begins, 0, (size_t)H * sizeof *h);
      memset(cell + begins, 0, (size_t)H * sizeof *h);
    }
    if (l == 0) {
      for (int32_t i = 0; i < many; i++)
        first_products(k, w, from + i, read != NULL ? read[i] : NULL, z + (size_t)i * wide);
      for (int32_t r = 1; r < rows; r++) memcpy(z + (size_t)r * wide, z, wide * sizeof *z);
    } else if (rows == 1) {
      nd_kept_gemm(&w->wx[l], many, h - layer, false, z);
    } else {
      nd_gemm(ND_N, ND_N, rows, 4 * H, H, h - layer, net->lstm[l].wx, 0.0f, z);
    }
    if (rows == 1) {
      nd_kept_gemm(&w->wh[l], many, h, true, z);
      nd_cell_step(many, H, z, net->lstm[l].b, h, cell);
    } else {
      nd_lstm_step(&net->lstm[l], rows, z, h, cell);
    }
  }
  if (steps < rows - 1) return NULL;
  size_t oldest = (size_t)((steps + 1) % rows) * (size_t)H;
  memcpy(k->feature, k->h + (size_t)(c->layers - 1) * layer + first + (rows > 1 ? oldest : 0),
         (size_t)many * (size_t)H * sizeof *k->feature);
  return nd_net_head(net, many, k->feature, k->scratch);
}

/* Voice after voice, each seeing those before it; known cells are taken as
 * they are given, and others stay empty where the drummer is to be silent. */
static void choose(const desk *k, take *t, float *logits, const nd_step_context *heard, bool silent,
                   uint8_t *hits) {
  const nd_generator_options *o = t->options;
  const float *mix = k->drummer->net.hits.mix;
  int32_t V = k->drummer->net.config.voices;
  for (int32_t v = 0; v < V; v++) {
    float z = logits[v];
    if (isnan(z)) t->unsound = true;
    t->odds[v] = 1.0f / (1.0f + expf(-z));
    float temperature = o->temperature * t->temperature_scale;
    bool struck = o->temperature > 0.0f
                      ? nd_rng_float(&t->rng) < 1.0f / (1.0f + expf(-z / temperature))
                      : t->odds[v] >= o->cutoff;
    struck = struck && !silent;
    hits[v] = struck ? o->velocity : 0;
    if (heard->fixed_mask != NULL && heard->fixed_mask[v]) {
      hits[v] = heard->fixed_hits[v];
      struck = hits[v] > 0;
    }
    if (struck && mix != NULL)
      for (int32_t u = v + 1; u < V; u++) logits[u] += mix[v * V + u];
  }
  bool taken[ND_MAX_VOICES] = {false};
  for (int32_t n = 0; n < o->forced && n < V && !silent; n++) {
    int32_t best = -1;
    for (int32_t v = 0; v < V; v++)
      if (!taken[v] && (best < 0 || t->odds[v] > t->odds[best])) best = v;
    taken[best] = true;
    if (heard->fixed_mask == NULL || !heard->fixed_mask[best]) hits[best] = o->velocity;
  }
  if (o->playable) nd_playability_limit(&k->drummer->tokeniser.kit, t->odds, heard->fixed_mask, hits);
}

/* Draws whether a bar is steady or free. */
static void draw_temperature_scale(take *t, const float *metrics) {
  const float free_bars = 0.35f, free_endings = 0.7f;
  /* the phrase's phase is 3/4 where its last bar begins */
  bool ending = metrics[ND_M_PHRASE_SIN] < -0.9f;
  bool is_free = nd_rng_float(&t->scale_rng) < (ending ? free_endings : free_bars);
  float spread = t->options->temperature_spread;
  t->temperature_scale = is_free ? 1.0f + 0.75f * spread : fmaxf(1.0f - spread, 0.05f);
}

static void begin_step(take *t, bool bar) {
  if (bar || t->bars == 0) t->bar_start[t->bars++ % BARS] = t->steps;
}

static void end_step(const desk *k, take *t, const uint8_t *hits) {
  memcpy(row(k, t, t->steps), hits, (size_t)k->drummer->net.config.voices);
  t->steps++;
}

static nd_step_context only(const float *metrics) {
  return (nd_step_context){.metrics = metrics, .steps_per_beat = 1, .density = NAN, .fill = NAN};
}

/* A step whose hits are given: the state hears it, nothing is drawn. */
static void hear(desk *k, int32_t at, take *t, const float *metrics, bool bar, const uint8_t *hits) {
  nd_step_context heard = only(metrics);
  nd_inference_weights borrowed;
  begin_step(t, bar);
  lay_inputs(k, at, t, &heard);
  (void)advance(k, nd_drummer_weights(k->drummer, &borrowed), at, 1, t, NULL);
  end_step(k, t, hits);
}

/* A step of all takes of a desk: `heard`, `read` (NULL: live), `silent` and
 * `hits` are of each. */
static void play_step(desk *k, take *takes, const nd_step_context *heard, bool bar,
                      const float *const *read, const bool *silent, uint8_t *const *hits) {
  const nd_net *net = &k->drummer->net;
  size_t V = (size_t)net->config.voices;
  nd_inference_weights borrowed;
  const nd_inference_weights *w = nd_drummer_weights(k->drummer, &borrowed);
  for (int32_t i = 0; i < k->n; i++) {
    if (bar || takes[i].bars == 0) draw_temperature_scale(&takes[i], heard[i].metrics);
    begin_step(&takes[i], bar);
    lay_inputs(k, i, &takes[i], &heard[i]);
  }
  const float *features = advance(k, w, 0, k->n, takes, read);
  /* voices are mixed in one by one, as they are struck */
  if (features != NULL) nd_inference_logits(net, w, k->n, features, k->x, k->logits);
  for (int32_t i = 0; i < k->n; i++) {
    if (features != NULL)
      choose(k, &takes[i], k->logits + (size_t)i * V, &heard[i], silent[i], hits[i]);
    else memset(hits[i], 0, V);
    end_step(k, &takes[i], hits[i]);
  }
}

bool nd_generator_live(const nd_generator *g) {
  return nd_net_directions(&g->drummer->net.config) < 2;
}

void nd_generator_step(nd_generator *g, const float *metrics, bool bar, uint8_t *hits) {
  nd_step_context heard = only(metrics);
  bool silent = false;
  play_step(&g->desk, &g->take, &heard, bar, NULL, &silent, &hits);
}

const float *nd_generator_probabilities(const nd_generator *g) { return g->take.odds; }
bool nd_generator_is_finite(const nd_generator *g) { return !g->take.unsound; }

/* -------------------------------------------------------------------- the start */

static void strike(const nd_kit *kit, uint8_t *hits, uint8_t pitch) {
  int32_t v = kit->voice_of[pitch];
  if (v >= 0) hits[v] = 100;
}

/* Hits of step `t` of a start of `n` steps, as the 2023 system lays them out
 * on its eighths. Steps between eighths stay empty. */
static void start_hits(const nd_tokeniser *tok, take *one, int32_t t, int32_t n, uint8_t *hits) {
  int32_t eighth = tok->steps_per_beat / 2 > 0 ? tok->steps_per_beat / 2 : 1;
  int32_t V = tok->kit.n_voices;
  memset(hits, 0, (size_t)V);
  if (t % eighth != 0) return;
  int32_t place = t / eighth;
  switch (one->options->start) {
    case ND_START_BLANK: break;
    case ND_START_COUNT_IN:
      if (t >= n - 8 * eighth && place % 2 == 0) strike(&tok->kit, hits, 42);
      break;
    case ND_START_BASIC:
      if (place % 4 == 0) strike(&tok->kit, hits, 35);
      if (place % 4 == 2) strike(&tok->kit, hits, 38);
      strike(&tok->kit, hits, 42);
      break;
    case ND_START_RANDOM: {
      uint32_t many = 1 + nd_rng_below(&one->rng, 4);
      for (uint32_t i = 0; i < many; i++) hits[nd_rng_below(&one->rng, (uint32_t)V)] = 100;
      break;
    }
  }
}

/* Steps that are heard before the first is played. */
static int32_t prelude(const nd_generator *g) {
  int32_t rows = g->desk.rows;
  if (g->prime != NULL) {
    int32_t n = nd_sequence_steps(g->prime);
    return n < rows - 1 ? rows - 1 : n;
  }
  if (rows == 1 && g->options.start == ND_START_BLANK) return 0;
  return rows > 1 ? rows : 8 * g->drummer->tokeniser.steps_per_beat;
}

/* The `t`-th of them, on a desk. */
static void hear_prelude(const nd_generator *g, desk *k, int32_t at, take *one, int32_t t) {
  uint8_t hits[ND_MAX_VOICES] = {0};
  float metrics[ND_N_METRICS] = {0};
  if (g->prime != NULL) {
    int32_t n = nd_sequence_steps(g->prime), padding = prelude(g) - n;
    const nd_grid *grid = &g->prime->grid;
    if (t < padding) {
      hear(k, at, one, metrics, false, hits);
      return;
    }
    t -= padding;
    size_t V = (size_t)nd_sequence_voices(g->prime);
    hear(k, at, one, g->prime->metrics + (size_t)t * ND_N_METRICS,
         grid->bars[nd_grid_bar(grid, t)].step == t, g->prime->hits + (size_t)t * V);
    return;
  }
  const nd_tokeniser *tok = &g->drummer->tokeniser;
  int32_t beat = tok->steps_per_beat, n = prelude(g);
  double turn = 6.283185307179586 / (4.0 * beat) * t;
  metrics[ND_M_INTENSITY] = g->options.start == ND_START_COUNT_IN ? -2.0f : 0.0f;
  metrics[ND_M_BEAT_SIN] = (float)sin(4.0 * turn);
  metrics[ND_M_BEAT_COS] = (float)cos(4.0 * turn);
  metrics[ND_M_BAR_SIN] = (float)sin(turn);
  metrics[ND_M_BAR_COS] = (float)cos(turn);
  metrics[ND_M_PHRASE_SIN] = (float)sin(turn / 4.0);
  metrics[ND_M_PHRASE_COS] = (float)cos(turn / 4.0);
  metrics[ND_M_DOWNBEAT] = t % (4 * beat) == 0 ? 1.0f : 0.0f;
  metrics[ND_M_ON_BEAT] = t % beat == 0 ? 1.0f : 0.0f;
  metrics[ND_M_METER] = 1.0f;
  start_hits(tok, one, t, n, hits);
  hear(k, at, one, metrics, t % (4 * beat) == 0, hits);
}

/* A take at its beginning, with nothing heard. Its desk's rows are 0. */
static void begin_take(take *t) {
  memset(t->odds, 0, sizeof t->odds);
  t->unsound = false;
  t->has_style = false;
  t->chosen = -1;
  t->temperature_scale = 0.0f;
  t->rng = nd_rng_seed(t->options->seed, 4);
  t->scale_rng = nd_rng_seed(t->options->seed, 7);
  t->steps = t->bars = 0;
}

static void clear_desk(desk *k) {
  memset(k->h, 0, (size_t)(k->z - k->h) * sizeof *k->h);
  memset(k->reader, 0, (size_t)(k->reading - k->reader) * sizeof *k->reader);
}

void nd_generator_reset(nd_generator *g) {
  clear_desk(&g->desk);
  begin_take(&g->take);
  for (int32_t t = 0; t < prelude(g); t++) hear_prelude(g, &g->desk, 0, &g->take, t);
}

int32_t nd_generator_style(const nd_generator *g, const float **numbers) {
  const take *t = &g->take;
  *numbers = t->has_style ? t->style : NULL;
  return t->edition == g->drummer->styles.generation ? t->chosen : -1;
}

/* ------------------------------------------------------------------- the style */

static void take_up(take *t, const nd_styles *s, int32_t i) {
  t->chosen = i;
  t->edition = s->generation;
  t->has_style = true;
  memcpy(t->style, s->style + (size_t)i * (size_t)s->size, (size_t)s->size * sizeof *t->style);
}

/* Commits to one style where that needs no lot: the one given, or that of the
 * bars that are kept. True when it is to be drawn for the song. */
static bool commit(const nd_drummer *drummer, take *t, const nd_direction *d) {
  enum { ENOUGH = 2 };   /* bars that a style shows in */
  const nd_styles *s = &drummer->styles;
  size_t size = (size_t)nd_style_size(drummer->net.config.voices) * sizeof *t->style;
  if (drummer->features.kind != ND_FEATURES_WHOLE || d->no_style) return false;
  if (d->style != NULL) {
    memcpy(t->style, d->style, size);
    t->has_style = true;
    return false;
  }
  if (d->known != NULL && d->own_style == 0 &&
      nd_style_measure(d->given, d->known, t->style) >= ENOUGH) {
    t->has_style = true;
    return false;
  }
  if (s->n == 0) return false;
  if (d->own_style > 0) {
    take_up(t, s, d->own_style - 1);
    return false;
  }
  return true;
}

/* Odds (styles) of each style for the song, for all takes that draw one;
 * malloc'd in *odds when it is NULL. */
static nd_status draw_style(const nd_drummer *drummer, take *t, const nd_sequence *song,
                            float **odds, nd_error *err) {
  const nd_styles *s = &drummer->styles;
  if (*odds == NULL) {
    *odds = nd_calloc((size_t)s->n, sizeof **odds);
    if (*odds == NULL) return nd_nomem(err);
    nd_status status = nd_styles_weights(s, song, *odds, err);
    if (status != ND_OK) return status;
  }
  nd_rng rng = nd_rng_seed(t->options->seed, 5);
  take_up(t, s, nd_styles_draw(s, *odds, &rng));
  return ND_OK;
}

nd_status nd_generator_choose(nd_generator *g, const nd_sequence *song,
                              const nd_direction *direction, nd_error *err) {
  static const nd_direction none = {0};
  float *odds = NULL;
  nd_status status = nd_drummer_accepts(g->drummer, &song->settings, "the song", err);
  if (status != ND_OK) return status;
  nd_generator_reset(g);
  if (commit(g->drummer, &g->take, direction != NULL ? direction : &none))
    status = draw_style(g->drummer, &g->take, song, &odds, err);
  free(odds);
  return status;
}

/* ------------------------------------------------------------------ whole songs */

/* Steps whose first products are made at a time. */
enum { AHEAD = 32 };

/* What is no product, in multiply-adds that take as long: comparing two styles, a
 * step's input rows, and what is made once. */
static const double style_cost = 400.0, row_cost = 5e3;

typedef enum phase { PRELUDE, STYLES, ROWS, READING, RETURNS, STEPS, DONE } phase;

struct nd_performance {
  const nd_drummer *drummer;
  uint64_t edition;                 /* of the drummer's styles */
  const nd_sequence *song;
  int32_t n;
  nd_generator *const *generators;  /* (n) */
  const nd_direction *directions;   /* (n) */
  take *takes;                      /* (n) */
  desk *desks;                      /* one for all, or of window nets one each */
  int32_t n_desks;
  uint8_t **hits, **kept;           /* (n) of (n_steps, voices) */
  nd_sequence **played;             /* (n) */
  bool *silent;                     /* (n) of the step */
  nd_step_context *heard;                  /* (n) likewise */
  uint8_t **struck;
  const float **share;              /* (n) of the encoder's reading in the first products */
  int32_t *enter, *leave;           /* (n) steps between which the band plays */
  float *odds;
  /* what is read: once for all takes under the same direction */
  int32_t n_readings, *reading_of, *reader;   /* reader: the take that stands for a reading */
  int32_t *lengths;
  float **rows, **readings;         /* (n_readings) of (n_steps, encoded), (n_steps, encoding) */
  nd_encoder_run reading;
  float *ahead, *products;          /* (AHEAD, n_readings, encoding), (…, 4 hidden) */
  nd_recurrence returns;
  phase phase;
  int32_t at, bar;                  /* step of the phase; the take, for STYLES */
};

/* The hits that are kept, and nothing of what is to be played again: it must
 * not be heard. malloc'd; NULL when memory runs out. */
static uint8_t *kept_hits(const nd_direction *d, size_t cells) {
  uint8_t *kept = nd_calloc(cells, 1);
  if (kept != NULL && d->known != NULL)
    for (size_t i = 0; i < cells; i++) kept[i] = d->known[i] ? d->given->hits[i] : 0;
  return kept;
}

/* What is heard at a step of a song under direction, without the past. */
static nd_step_context heard_at(const nd_sequence *song, const nd_direction *d, const uint8_t *kept,
                         int32_t t, int32_t bar) {
  size_t at = (size_t)t * (size_t)nd_sequence_voices(song);
  nd_step_context h = only(song->metrics + (size_t)t * ND_N_METRICS);
  if (d->known != NULL) {
    h.fixed_hits = kept + at;
    h.fixed_mask = d->known + at;
  }
  if (d->density != NULL) h.density = d->density[bar];
  if (d->fill != NULL) h.fill = d->fill[bar];
  return h;
}

/* Steps between which the song sounds, from *from to before *to; all of them
 * where nothing is known of that: drums alone, or token text. */
static void find_band(const nd_sequence *song, int32_t *from, int32_t *to) {
  int32_t n = nd_sequence_steps(song);
  const float *playing = song->metrics + ND_M_PLAYING;
  *from = 0;
  *to = n;
  while (*from < n && playing[(size_t)*from * ND_N_METRICS] == 0.0f) ++*from;
  if (*from == n) {
    *from = 0;
    return;
  }
  while (playing[(size_t)(*to - 1) * ND_N_METRICS] == 0.0f) --*to;
}

static bool same_bars(const float *a, const float *b, int32_t n) {
  return a == b || (a != NULL && b != NULL && memcmp(a, b, (size_t)n * sizeof *a) == 0);
}

/* Whether an encoder reads the same for two takes: the style is not its affair. */
static bool same_reading(const nd_performance *p, int32_t i, int32_t j) {
  const nd_direction *a = &p->directions[i], *b = &p->directions[j];
  const nd_grid *grid = &p->song->grid;
  size_t cells = (size_t)grid->n_steps * (size_t)nd_sequence_voices(p->song);
  if (!same_bars(a->density, b->density, grid->n_bars) || !same_bars(a->fill, b->fill, grid->n_bars))
    return false;
  if (a->known == NULL || b->known == NULL) return a->known == b->known;
  return memcmp(a->known, b->known, cells) == 0 && memcmp(p->kept[i], p->kept[j], cells) == 0;
}

static nd_status make_readings(nd_performance *p, nd_error *err) {
  const nd_net_config *c = &p->drummer->net.config;
  size_t steps = (size_t)nd_sequence_steps(p->song), encoding = (size_t)nd_net_encoding(c);
  for (int32_t i = 0; i < p->n; i++) {
    int32_t r = 0;
    while (r < p->n_readings && !same_reading(p, p->reader[r], i)) r++;
    if (r == p->n_readings) p->reader[p->n_readings++] = i;
    p->reading_of[i] = r;
  }
  size_t rows = AHEAD * (size_t)p->n_readings;
  p->ahead = nd_calloc(rows * (encoding + 4 * (size_t)c->hidden), sizeof *p->ahead);
  if (p->ahead == NULL) return nd_nomem(err);
  p->products = p->ahead + rows * encoding;
  for (int32_t r = 0; r < p->n_readings; r++) {
    p->lengths[r] = (int32_t)steps;
    p->rows[r] = nd_calloc(steps * (size_t)c->encoded, sizeof **p->rows);
    p->readings[r] = nd_calloc(steps * encoding, sizeof **p->readings);
    if (p->rows[r] == NULL || p->readings[r] == NULL) return nd_nomem(err);
  }
  return nd_encoder_run_make(&p->reading, &p->drummer->net, p->n_readings, p->lengths,
                         (const float *const *)p->rows, (size_t)c->encoded, p->readings, err);
}

/* Takes, desks, and a place for everything that there is one of for each take. */
static nd_status make_takes(nd_performance *p, nd_error *err) {
  size_t n = (size_t)p->n, cells = (size_t)nd_sequence_steps(p->song) * (size_t)nd_sequence_voices(p->song);
  bool windows = p->drummer->net.config.window > 0;
  int32_t n_desks = windows ? p->n : 1;
  p->takes = nd_calloc(n, sizeof *p->takes);
  p->desks = nd_calloc((size_t)n_desks, sizeof *p->desks);
  p->hits = nd_calloc(n, sizeof *p->hits);
  p->kept = nd_calloc(n, sizeof *p->kept);
  p->played = nd_calloc(n, sizeof *p->played);
  p->silent = nd_calloc(n, sizeof *p->silent);
  p->heard = nd_calloc(n, sizeof *p->heard);
  p->struck = nd_calloc(n, sizeof *p->struck);
  p->share = nd_calloc(n, sizeof *p->share);
  p->rows = nd_calloc(n, sizeof *p->rows);
  p->readings = nd_calloc(n, sizeof *p->readings);
  p->enter = nd_calloc(5 * n, sizeof *p->enter);
  if (!p->takes || !p->desks || !p->hits || !p->kept || !p->played || !p->silent || !p->heard || !p->struck ||
      !p->share || !p->rows || !p->readings || !p->enter)
    return nd_nomem(err);
  p->leave = p->enter + n;
  p->reading_of = p->leave + n;
  p->reader = p->reading_of + n;
  p->lengths = p->reader + n;
  nd_status status = ND_OK;
  for (; p->n_desks < n_desks && status == ND_OK; p->n_desks++)
    status = desk_make(&p->desks[p->n_desks], p->drummer, windows ? 1 : p->n, err);
  for (size_t i = 0; i < n && status == ND_OK; i++) {
    status = take_make(&p->takes[i], p->generators[i], err);
    p->hits[i] = nd_calloc(cells, 1);
    p->kept[i] = kept_hits(&p->directions[i], cells);
    if (status == ND_OK && (p->hits[i] == NULL || p->kept[i] == NULL))
      status = nd_nomem(err);
    p->leave[i] = nd_sequence_steps(p->song);
    if (!p->generators[i]->options.always) find_band(p->song, &p->enter[i], &p->leave[i]);
    if (status == ND_OK) begin_take(&p->takes[i]);
  }
  return status;
}

nd_status nd_performance_make(nd_performance **out, nd_generator *const *generators, int32_t n,
                          const nd_sequence *song, const nd_direction *directions, nd_error *err) {
  const nd_drummer *drummer = generators[0]->drummer;
  nd_status status = nd_drummer_accepts(drummer, &song->settings, "the song", err);
  for (int32_t i = 0; i < n && status == ND_OK; i++) {
    const nd_direction *d = &directions[i];
    if (generators[i]->drummer != drummer)
      return nd_fail(err, ND_MISUSE, "generators that play together are of one model");
    for (int32_t j = 0; j < i; j++)
      if (generators[j] == generators[i])
        return nd_fail(err, ND_MISUSE, "one generator cannot play twice at a time");
    if (drummer->features.kind != ND_FEATURES_WHOLE &&
        (d->known != NULL || d->style != NULL || d->own_style > 0 || d->density != NULL ||
         d->fill != NULL))
      return nd_fail(err, ND_MISUSE, "this model takes no direction: it has no encoder");
  }
  if (status != ND_OK) return status;
  nd_performance *p = nd_calloc(1, sizeof *p);
  if (p == NULL) return nd_nomem(err);
  p->drummer = drummer;
  p->edition = drummer->styles.generation;
  p->song = song;
  p->n = n;
  p->generators = generators;
  p->directions = directions;
  status = make_takes(p, err);
  if (status == ND_OK && drummer->net.config.encoder > 0) status = make_readings(p, err);
  if (status != ND_OK) {
    nd_performance_free(p);
    return status;
  }
  *out = p;
  return ND_OK;
}

void nd_performance_free(nd_performance *p) {
  if (p == NULL) return;
  for (int32_t i = 0; i < p->n; i++) {
    if (p->takes != NULL) free(p->takes[i].ring);
    if (p->hits != NULL) free(p->hits[i]);
    if (p->kept != NULL) free(p->kept[i]);
    if (p->played != NULL) nd_sequence_free(p->played[i]);
    if (p->rows != NULL) free(p->rows[i]);
    if (p->readings != NULL) free(p->readings[i]);
  }
  for (int32_t k = 0; k < p->n_desks; k++) free(p->desks[k].block);
  nd_encoder_run_clear(&p->reading);
  nd_recurrence_clear(&p->returns);
  free(p->takes);
  free(p->desks);
  free(p->hits);
  free(p->kept);
  free(p->played);
  free(p->silent);
  free(p->heard);
  free(p->struck);
  free((void *)p->share);
  free(p->rows);
  free(p->readings);
  free(p->enter);
  free(p->odds);
  free(p->ahead);
  free(p);
}

static void next(nd_performance *p, phase now) {
  p->phase = now;
  p->at = p->bar = 0;
}

/* The take's desk, and its row there. */
static desk *desk_of(const nd_performance *p, int32_t i, int32_t *at) {
  *at = p->n_desks == 1 ? i : 0;
  return &p->desks[p->n_desks == 1 ? 0 : i];
}

/* Step p->at of what is heard before the song, for each take that has so many. */
static bool hear_before(nd_performance *p) {
  bool more = false;
  for (int32_t i = 0; i < p->n; i++) {
    int32_t at;
    desk *k = desk_of(p, i, &at);
    if (p->at >= prelude(p->generators[i])) continue;
    hear_prelude(p->generators[i], k, at, &p->takes[i], p->at);
    more = true;
  }
  p->at++;
  return more;
}

/* Bar of a step, going on from that of the step before; true where it begins. */
static bool to_bar(const nd_performance *p, int32_t *bar) {
  const nd_grid *grid = &p->song->grid;
  bool begins = p->at == 0;
  while (*bar + 1 < grid->n_bars && grid->bars[*bar + 1].step <= p->at) {
    ++*bar;
    begins = true;
  }
  return begins;
}

/* One step's rows for the encoder. */
static void lay_rows(nd_performance *p) {
  const nd_net_config *c = &p->drummer->net.config;
  float *x = p->desks[0].x;
  (void)to_bar(p, &p->bar);
  for (int32_t r = 0; r < p->n_readings; r++) {
    int32_t i = p->reader[r];
    nd_step_context h = heard_at(p->song, &p->directions[i], p->kept[i], p->at, p->bar);
    nd_features_row(&p->drummer->features, c->voices, &h, x);
    memcpy(p->rows[r] + (size_t)p->at * (size_t)c->encoded, x, (size_t)c->encoded * sizeof *x);
  }
}

/* The reading's share in the first products of the steps to come. */
static void look_ahead(nd_performance *p) {
  const nd_net *net = &p->drummer->net;
  size_t encoding = (size_t)nd_net_encoding(&net->config), n = (size_t)p->n_readings;
  nd_inference_weights borrowed;
  const nd_inference_weights *w = nd_drummer_weights(p->drummer, &borrowed);
  int32_t left = nd_sequence_steps(p->song) - p->at, steps = left < AHEAD ? left : AHEAD;
  for (size_t t = 0; t < (size_t)steps; t++)
    for (size_t r = 0; r < n; r++)
      memcpy(p->ahead + (t * n + r) * encoding, p->readings[r] + ((size_t)p->at + t) * encoding,
             encoding * sizeof *p->ahead);
  nd_kept_gemm(&w->wx_encoder, steps * p->n_readings, p->ahead, false, p->products);
}

static void play_all(nd_performance *p) {
  const nd_features *f = &p->drummer->features;
  const nd_net_config *c = &p->drummer->net.config;
  int32_t t = p->at, V = c->voices;
  bool begins = to_bar(p, &p->bar);
  if (p->n_readings > 0 && t % AHEAD == 0) look_ahead(p);
  for (int32_t i = 0; i < p->n; i++) {
    p->heard[i] = heard_at(p->song, &p->directions[i], p->kept[i], t, p->bar);
    if (p->returns.bar[p->bar] >= 0) {
      p->heard[i].history = nd_features_history(f, &p->song->grid, V, p->hits[i], t, p->bar,
                                          p->returns.bar[p->bar]);
      p->heard[i].similarity = p->returns.similarity[p->bar];
    }
    p->silent[i] = t < p->enter[i] || t >= p->leave[i];
    p->struck[i] = p->hits[i] + (size_t)t * (size_t)V;
    if (p->n_readings > 0)
      p->share[i] = p->products + ((size_t)(t % AHEAD) * (size_t)p->n_readings +
                                   (size_t)p->reading_of[i]) * 4 * (size_t)c->hidden;
  }
  for (int32_t k = 0, i = 0; k < p->n_desks; i += p->desks[k++].n)
    play_step(&p->desks[k], p->takes + i, p->heard + i, begins,
              p->n_readings > 0 ? p->share + i : NULL, p->silent + i, p->struck + i);
}

nd_status nd_performance_advance(nd_performance *p, double *left, bool *more, nd_error *err) {
  double products = *left;
  const nd_drummer *d = p->drummer;
  int32_t n = nd_sequence_steps(p->song);
  double step = nd_net_macs(&d->net) * p->n, rows = row_cost * p->n_readings;
  nd_inference_weights borrowed;
  /* odds, and indices in directions, are of the styles that it began with */
  if (d->styles.generation != p->edition)
    return nd_fail(err, ND_MISUSE, "the model's styles changed while it was playing");
  while (p->phase != DONE && products > 0) {
    nd_status status = ND_OK;
    switch (p->phase) {
      case PRELUDE:
        if (hear_before(p)) products -= step;
        else next(p, STYLES);
        break;
      case STYLES:
        if (p->at == p->n) {
          next(p, p->n_readings > 0 ? ROWS : RETURNS);
        } else if (commit(d, &p->takes[p->at], &p->directions[p->at])) {
          if (p->odds == NULL) products -= style_cost * d->styles.n * d->styles.n;
          status = draw_style(d, &p->takes[p->at], p->song, &p->odds, err);
          p->at++;
        } else {
          products -= p->directions[p->at].known != NULL ? row_cost * n : 0.0;
          p->at++;
        }
        break;
      case ROWS:
        lay_rows(p);
        products -= rows;
        if (++p->at == n) next(p, READING);
        break;
      case READING:
        products = nd_encoder_run_advance(&p->reading, nd_drummer_weights(d, &borrowed), products);
        if (nd_encoder_run_done(&p->reading)) next(p, RETURNS);
        break;
      case RETURNS:
        status = nd_recurrence_make(&p->returns, &d->features, p->song->metrics, &p->song->grid, err);
        products -= row_cost * n;
        next(p, STEPS);
        break;
      case STEPS:
        play_all(p);
        products -= step;
        if (++p->at == n) next(p, DONE);
        break;
      case DONE: break;
    }
    if (status != ND_OK) return status;
  }
  *more = p->phase != DONE;
  *left = products;
  return ND_OK;
}

/* A generator is left as it had played alone. */
static void hand_over(nd_performance *p, int32_t i) {
  nd_generator *g = p->generators[i];
  const nd_net_config *c = &p->drummer->net.config;
  int32_t at;
  const desk *k = desk_of(p, i, &at);
  size_t rows = (size_t)k->rows * (size_t)c->hidden, layer = (size_t)k->n * rows;
  for (size_t l = 0; l < (size_t)c->layers; l++) {
    memcpy(g->desk.h + l * rows, k->h + l * layer + (size_t)at * rows, rows * sizeof *k->h);
    memcpy(g->desk.c + l * rows, k->c + l * layer + (size_t)at * rows, rows * sizeof *k->c);
  }
  memcpy(g->desk.reader, k->reader + (size_t)at * 2 * (size_t)c->encoder,
         2 * (size_t)c->encoder * sizeof *k->reader);
  uint8_t *former = g->take.ring;
  g->take = p->takes[i];
  p->takes[i].ring = former;
}

nd_status nd_performance_end(nd_performance *p, nd_error *err) {
  for (int32_t i = 0; i < p->n; i++) {
    const nd_direction *d = &p->directions[i];
    if (p->takes[i].unsound)
      return nd_drummer_is_corrupt(err);
    if (nd_sequence_blank(&p->played[i], p->song) != ND_OK ||
        nd_sequence_set_masked(p->played[i], p->hits[i], NULL, d->given, d->known) != ND_OK)
      return nd_nomem(err);
  }
  for (int32_t i = 0; i < p->n; i++) hand_over(p, i);
  return ND_OK;
}

nd_sequence *nd_performance_take(nd_performance *p, int32_t i) {
  nd_sequence *played = p->played[i];
  p->played[i] = NULL;
  return played;
}

static nd_status advance_job(void *self, double *macs, bool *more, nd_error *err) {
  return nd_performance_advance(self, macs, more, err);
}

static void free_job(void *self) { nd_performance_free(self); }

nd_job nd_performance_job(nd_performance *p) {
  return (nd_job){.self = p, .advance = advance_job, .free = free_job};
}
