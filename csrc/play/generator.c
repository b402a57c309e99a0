#include "generator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../net/blas.h"
#include "../net/kernels.h"
#include "limbs.h"

/* History is kept in rings: RING steps hold four bars of any usual meter. */
enum { RING = 4096, BARS = 32 };

struct nd_generator {
  const nd_drummer *drummer;
  nd_generator_options options;
  nd_sequence *prime;
  nd_rng rng, moods;
  float heat;                 /* what this bar's temperature is multiplied by */
  int32_t rows;               /* states side by side: the window, or 1 */
  int64_t steps;              /* played or heard since the start */
  int64_t bars;               /* begun */
  int64_t bar_start[BARS];    /* ring, by bar */
  uint8_t *ring;              /* (RING, voices) hits, by step */
  float *h, *c;               /* (layers, rows, hidden) */
  float *z;                   /* (rows, 4 hidden) */
  float *x;                   /* (inputs) */
  float *reader;              /* (2, encoder) h and c of the forward reader, live */
  float *reading;             /* (4 encoder) its scratch */
  const float *read;          /* (4 hidden) of this step, where the whole song was read:
                               * the first layer's product with the encoder's reading */
  float style[ND_MAX_STYLE];
  int32_t chosen;             /* index of the style among the drummer's, or -1 */
  bool has_style;
  float *feature, *scratch;   /* of the head, one row */
  float logits[ND_MAX_VOICES], odds[ND_MAX_VOICES];
  bool unsound;               /* some odds since the start were no number */
};

nd_generator_options nd_generator_defaults(const nd_drummer *d) {
  bool original = d->features.kind == ND_FEATURES_ORIGINAL;
  return (nd_generator_options){.seed = 1, .temperature = d->temperature, .mood = d->mood,
                                .cutoff = d->cutoff,
                                .forced = d->forced, .velocity = original ? 127 : 100,
                                .start = original ? ND_START_BASIC : ND_START_BLANK,
                                .limbs = !original, .always = original};
}

static nd_status check_sequence(const nd_drummer *d, const nd_sequence *s, const char *what,
                                nd_error *err) {
  const nd_tokeniser *a = &s->settings, *b = &d->tokeniser;
  if (!nd_kit_equal(&a->kit, &b->kit))
    return nd_fail(err, ND_MISUSE, "%s has kit '%s', the model plays '%s'", what, a->kit.name, b->kit.name);
  if (a->steps_per_beat != b->steps_per_beat || a->beat != b->beat)
    return nd_fail(err, ND_MISUSE, "%s has another grid than the model (%d and %d steps a beat)", what,
                   a->steps_per_beat, b->steps_per_beat);
  return ND_OK;
}

nd_status nd_generator_make(nd_generator **out, const nd_drummer *d,
                            const nd_generator_options *options, const nd_sequence *prime,
                            nd_error *err) {
  if (d->features.kind == ND_FEATURES_RAW)
    return nd_fail(err, ND_MISUSE, "a raw model has no features to play by");
  if (d->net.config.touch)
    return nd_fail(err, ND_MISUSE, "a touch model says how hits are struck, not which");
  nd_status status = prime != NULL ? check_sequence(d, prime, "the prime", err) : ND_OK;
  if (status != ND_OK) return status;
  nd_generator *g = nd_calloc(1, sizeof *g);
  if (g == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  const nd_net_config *c = &d->net.config;
  g->drummer = d;
  g->options = *options;
  g->rows = c->window > 0 ? c->window : 1;
  size_t rows = (size_t)g->rows, H = (size_t)c->hidden, L = (size_t)c->layers;
  g->h = nd_calloc(L * rows * H, sizeof *g->h);
  g->c = nd_calloc(L * rows * H, sizeof *g->c);
  g->z = nd_calloc(rows * 4 * H, sizeof *g->z);
  g->x = nd_calloc((size_t)c->inputs, sizeof *g->x);
  g->reader = nd_calloc(6 * (size_t)c->encoder, sizeof *g->reader);
  g->feature = nd_calloc(nd_net_head_scratch(&d->net, 1), sizeof *g->feature);
  g->scratch = nd_calloc(nd_net_head_scratch(&d->net, 1), sizeof *g->scratch);
  g->ring = nd_calloc((size_t)RING * (size_t)c->voices, 1);
  status = g->h && g->c && g->z && g->x && g->reader && g->feature && g->scratch && g->ring
               ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  if (status == ND_OK && prime != NULL) {
    status = nd_sequence_blank(&g->prime, prime);
    if (status == ND_OK) status = nd_sequence_set_hits(g->prime, prime->hits, prime->offsets);
    if (status != ND_OK) status = nd_fail(err, ND_NOMEM, "out of memory");
  }
  if (status != ND_OK) {
    nd_generator_free(g);
    return status;
  }
  g->reading = g->reader + 2 * c->encoder;
  nd_generator_reset(g);
  *out = g;
  return ND_OK;
}

void nd_generator_free(nd_generator *g) {
  if (g == NULL) return;
  nd_sequence_free(g->prime);
  free(g->h);
  free(g->c);
  free(g->z);
  free(g->x);
  free(g->reader);
  free(g->feature);
  free(g->scratch);
  free(g->ring);
  free(g);
}

/* ------------------------------------------------------------------- the past */

static uint8_t *row(nd_generator *g, int64_t step) {
  return g->ring + (size_t)(step % RING) * (size_t)g->drummer->net.config.voices;
}

static nd_past look_back(nd_generator *g) {
  nd_past past = {.told = true};
  const nd_features *f = &g->drummer->features;
  if (g->steps > 0) past.before = row(g, g->steps - 1);
  int64_t bar = g->bars - 1, place = g->steps - g->bar_start[bar % BARS];
  for (int32_t k = 0; k < f->n_back; k++) {
    int64_t b = bar - f->back[k];
    if (b < 0 || f->back[k] >= BARS) break;
    int64_t at = g->bar_start[b % BARS] + place;
    if (at < g->bar_start[(b + 1) % BARS] && g->steps - at <= RING) past.back[k] = row(g, at);
  }
  return past;
}

/* -------------------------------------------------------------------- one step */

/* z (4H) += x w (inputs, 4H), skipping the inputs that are 0: most are hits
 * that were not struck. */
static void add_rows(int32_t inputs, size_t wide, const float *x, const float *w, float *z) {
  for (int32_t i = 0; i < inputs; i++)
    if (x[i] != 0.0f) nd_axpy((int32_t)wide, x[i], w + (size_t)i * wide, z);
}

/* The first layer's x wx (4H) of this step, to g->z: of the inputs, or of the
 * encoder's reading of the first of them and the others. Of a song read as a
 * whole the reading's share is there already; live, the forward reader moves
 * on, and a backward one has nothing to read. */
static void first_products(nd_generator *g) {
  const nd_net *net = &g->drummer->net;
  const nd_net_config *c = &net->config;
  const float *wx = net->lstm[0].wx;
  size_t wide = 4 * (size_t)c->hidden;
  if (g->read != NULL) memcpy(g->z, g->read, wide * sizeof *g->z);
  else memset(g->z, 0, wide * sizeof *g->z);
  if (c->encoder > 0 && g->read == NULL) {
    float *h = g->reader, *cell = h + c->encoder;
    memset(g->reading, 0, 4 * (size_t)c->encoder * sizeof *g->reading);
    add_rows(c->encoded, 4 * (size_t)c->encoder, g->x, net->reader[0].wx, g->reading);
    nd_lstm_step(&net->reader[0], 1, g->reading, h, cell);
    nd_gemv(c->encoder, 4 * c->hidden, h, wx, g->z);
  }
  int32_t encoded = c->encoder > 0 ? c->encoded : 0;
  add_rows(c->inputs - encoded, wide, g->x + encoded, wx + (size_t)nd_net_encoding(c) * wide, g->z);
}

/* Moves every state on by one step and leaves the feature vector of the
 * oldest; NULL while no window is old enough. */
static const float *advance(nd_generator *g, const nd_heard *heard) {
  const nd_net *net = &g->drummer->net;
  const nd_net_config *c = &net->config;
  int32_t rows = g->rows, H = c->hidden;
  size_t cells = (size_t)rows * (size_t)H, wide = 4 * (size_t)H;
  nd_heard all = *heard;
  const uint8_t *alike = heard->past.alike;
  all.past = look_back(g);
  all.past.alike = alike;
  all.into = (int32_t)(g->steps - g->bar_start[(g->bars - 1) % BARS]);
  all.beat = g->drummer->tokeniser.steps_per_beat;
  if (g->has_style) all.style = g->style;
  nd_features_row(&g->drummer->features, c->voices, &all, g->x);
  /* the window that begins here starts from nothing */
  size_t begins = (size_t)(g->steps % rows) * (size_t)H;
  for (int32_t l = 0; l < c->layers; l++) {
    float *h = g->h + (size_t)l * cells, *cell = g->c + (size_t)l * cells;
    const nd_lstm *k = &net->lstm[l];
    if (rows > 1) {
      memset(h + begins, 0, (size_t)H * sizeof *h);
      memset(cell + begins, 0, (size_t)H * sizeof *h);
    }
    if (l == 0) {
      first_products(g);
      for (int32_t r = 1; r < rows; r++) memcpy(g->z + (size_t)r * wide, g->z, wide * sizeof *g->z);
    } else if (rows == 1) {
      memset(g->z, 0, wide * sizeof *g->z);
      nd_gemv(H, 4 * H, h - cells, k->wx, g->z);
    } else {
      nd_gemm(ND_N, ND_N, rows, 4 * H, H, h - cells, k->wx, 0.0f, g->z);
    }
    nd_lstm_step(k, rows, g->z, h, cell);
  }
  if (g->steps < rows - 1) return NULL;
  size_t oldest = (size_t)((g->steps + 1) % rows) * (size_t)H;
  memcpy(g->feature, g->h + (size_t)(c->layers - 1) * cells + oldest, (size_t)H * sizeof *g->feature);
  return nd_net_head(net, 1, g->feature, g->scratch);
}

/* Voice after voice, each seeing those before it; known cells are taken as
 * they are given, and others stay empty where the drummer is to be silent. */
static void choose(nd_generator *g, const nd_heard *heard, bool silent, uint8_t *hits) {
  const nd_generator_options *o = &g->options;
  const float *mix = g->drummer->net.hits.mix;
  int32_t V = g->drummer->net.config.voices;
  for (int32_t v = 0; v < V; v++) {
    float z = g->logits[v];
    if (isnan(z)) g->unsound = true;
    g->odds[v] = 1.0f / (1.0f + expf(-z));
    bool struck = o->temperature > 0.0f
                      ? nd_rng_float(&g->rng) < 1.0f / (1.0f + expf(-z / (o->temperature * g->heat)))
                      : g->odds[v] >= o->cutoff;
    struck = struck && !silent;
    hits[v] = struck ? o->velocity : 0;
    if (heard->known != NULL && heard->known[v]) {
      hits[v] = heard->given[v];
      struck = hits[v] > 0;
    }
    if (struck && mix != NULL)
      for (int32_t w = v + 1; w < V; w++) g->logits[w] += mix[v * V + w];
  }
  bool taken[ND_MAX_VOICES] = {false};
  for (int32_t n = 0; n < o->forced && n < V && !silent; n++) {
    int32_t best = -1;
    for (int32_t v = 0; v < V; v++)
      if (!taken[v] && (best < 0 || g->odds[v] > g->odds[best])) best = v;
    taken[best] = true;
    if (heard->known == NULL || !heard->known[best]) hits[best] = o->velocity;
  }
  if (o->limbs) nd_limbs_fit(&g->drummer->tokeniser.kit, g->odds, heard->known, hits);
}

/* Whether a bar is held or free. */
static void draw_mood(nd_generator *g, const float *metrics) {
  const float free_bars = 0.35f, free_endings = 0.7f;
  /* the phrase's phase is 3/4 where its last bar begins */
  bool ending = metrics[ND_M_PHRASE_SIN] < -0.9f;
  bool is_free = nd_rng_float(&g->moods) < (ending ? free_endings : free_bars);
  g->heat = is_free ? 1.0f + 0.75f * g->options.mood : fmaxf(1.0f - g->options.mood, 0.05f);
}

static void begin_step(nd_generator *g, bool bar) {
  if (bar || g->bars == 0) g->bar_start[g->bars++ % BARS] = g->steps;
}

static void end_step(nd_generator *g, const uint8_t *hits) {
  memcpy(row(g, g->steps), hits, (size_t)g->drummer->net.config.voices);
  g->steps++;
}

static nd_heard only(const float *metrics) {
  return (nd_heard){.metrics = metrics, .beat = 1, .density = NAN, .fill = NAN};
}

/* A step whose hits are given: the state hears it, nothing is drawn. */
static void hear(nd_generator *g, const float *metrics, bool bar, const uint8_t *hits) {
  nd_heard heard = only(metrics);
  begin_step(g, bar);
  (void)advance(g, &heard);
  end_step(g, hits);
}

static void play_step(nd_generator *g, const nd_heard *heard, bool bar, bool silent,
                      uint8_t *hits) {
  const nd_net *net = &g->drummer->net;
  if (bar || g->bars == 0) draw_mood(g, heard->metrics);
  begin_step(g, bar);
  const float *feature = advance(g, heard);
  if (feature != NULL) {
    nd_hits_head head = net->hits;
    head.mix = NULL;  /* added voice by voice, as they are struck */
    nd_hits_forward(&head, 1, feature, g->x, NULL, g->logits);
    choose(g, heard, silent, hits);
  } else {
    memset(hits, 0, (size_t)net->config.voices);
  }
  end_step(g, hits);
}

bool nd_generator_live(const nd_generator *g) {
  return nd_net_readers(&g->drummer->net.config) < 2;
}

void nd_generator_step(nd_generator *g, const float *metrics, bool bar, uint8_t *hits) {
  nd_heard heard = only(metrics);
  play_step(g, &heard, bar, false, hits);
}

const float *nd_generator_odds(const nd_generator *g) { return g->odds; }
bool nd_generator_sound(const nd_generator *g) { return !g->unsound; }

/* -------------------------------------------------------------------- the start */

static void strike(const nd_kit *kit, uint8_t *hits, uint8_t pitch) {
  int32_t v = kit->voice_of[pitch];
  if (v >= 0) hits[v] = 100;
}

/* Hits of step `t` of a start of `n` steps, as the 2023 system lays them out
 * on its eighths. Steps between eighths stay empty. */
static void start_hits(nd_generator *g, int32_t t, int32_t n, uint8_t *hits) {
  const nd_tokeniser *tok = &g->drummer->tokeniser;
  int32_t eighth = tok->steps_per_beat / 2 > 0 ? tok->steps_per_beat / 2 : 1;
  int32_t V = tok->kit.n_voices;
  memset(hits, 0, (size_t)V);
  if (t % eighth != 0) return;
  int32_t place = t / eighth;
  switch (g->options.start) {
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
      uint32_t many = 1 + nd_rng_below(&g->rng, 4);
      for (uint32_t i = 0; i < many; i++) hits[nd_rng_below(&g->rng, (uint32_t)V)] = 100;
      break;
    }
  }
}

static void hear_start(nd_generator *g) {
  int32_t beat = g->drummer->tokeniser.steps_per_beat;
  int32_t n = g->rows > 1 ? g->rows : 8 * beat;
  if (g->rows == 1 && g->options.start == ND_START_BLANK) return;
  float metrics[ND_N_METRICS] = {0};
  uint8_t hits[ND_MAX_VOICES];
  for (int32_t t = 0; t < n; t++) {
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
    start_hits(g, t, n, hits);
    hear(g, metrics, t % (4 * beat) == 0, hits);
  }
}

void nd_generator_reset(nd_generator *g) {
  const nd_net_config *c = &g->drummer->net.config;
  size_t cells = (size_t)c->layers * (size_t)g->rows * (size_t)c->hidden;
  memset(g->h, 0, cells * sizeof *g->h);
  memset(g->c, 0, cells * sizeof *g->c);
  memset(g->odds, 0, sizeof g->odds);
  g->unsound = false;
  memset(g->reader, 0, 2 * (size_t)c->encoder * sizeof *g->reader);
  g->read = NULL;
  g->has_style = false;
  g->chosen = -1;
  g->rng = nd_rng_seed(g->options.seed, 4);
  g->moods = nd_rng_seed(g->options.seed, 7);
  g->steps = g->bars = 0;
  if (g->prime == NULL) {
    hear_start(g);
    return;
  }
  int32_t V = c->voices, n = nd_sequence_steps(g->prime), bar = 0;
  const nd_grid *grid = &g->prime->grid;
  static const float nothing[ND_N_METRICS] = {0};
  uint8_t silent[ND_MAX_VOICES] = {0};
  for (int32_t t = n; t < g->rows - 1; t++) hear(g, nothing, false, silent);  /* padded in front */
  for (int32_t t = 0; t < n; t++) {
    bool begins = bar < grid->n_bars && grid->bars[bar].step == t;
    if (begins) bar++;
    hear(g, g->prime->metrics + (size_t)t * ND_N_METRICS, begins, g->prime->hits + (size_t)t * (size_t)V);
  }
}

int32_t nd_generator_style(const nd_generator *g, const float **numbers) {
  *numbers = g->has_style ? g->style : NULL;
  return g->chosen;
}

/* Commits to one style: the one given, that of the bars that are kept, or one
 * drawn for this song. */
static nd_status commit(nd_generator *g, const nd_sequence *song, const nd_direction *d,
                        nd_error *err) {
  enum { ENOUGH = 2 };   /* bars that a style shows in */
  const nd_styles *s = &g->drummer->styles;
  size_t size = (size_t)nd_style_size(g->drummer->net.config.voices) * sizeof *g->style;
  if (g->drummer->features.kind != ND_FEATURES_WHOLE || d->no_style) return ND_OK;
  if (d->style != NULL) {
    memcpy(g->style, d->style, size);
    g->has_style = true;
    return ND_OK;
  }
  if (d->known != NULL && d->own_style == 0 &&
      nd_style_measure(d->given, d->known, g->style) >= ENOUGH) {
    g->has_style = true;
    return ND_OK;
  }
  if (s->n == 0) return ND_OK;
  if (d->own_style > 0) {
    g->chosen = d->own_style - 1;
    memcpy(g->style, s->style + (size_t)g->chosen * (size_t)s->size, size);
    g->has_style = true;
    return ND_OK;
  }
  float *odds = nd_calloc((size_t)s->n, sizeof *odds);
  if (odds == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  nd_status status = nd_styles_odds(s, song, odds, err);
  if (status == ND_OK) {
    nd_rng rng = nd_rng_seed(g->options.seed, 5);
    g->chosen = nd_styles_draw(s, odds, &rng);
    memcpy(g->style, s->style + (size_t)g->chosen * (size_t)s->size, size);
    g->has_style = true;
  }
  free(odds);
  return status;
}

/* The hits that are kept, and nothing of what is to be played again: it must
 * not be heard. malloc'd; NULL when memory runs out. */
static uint8_t *kept_hits(const nd_direction *d, size_t cells) {
  uint8_t *kept = nd_calloc(cells, 1);
  if (kept != NULL && d->known != NULL)
    for (size_t i = 0; i < cells; i++) kept[i] = d->known[i] ? d->given->hits[i] : 0;
  return kept;
}

/* What is heard at a step of a song under direction, without the past. */
static nd_heard heard_at(const nd_sequence *song, const nd_direction *d, const uint8_t *kept,
                         int32_t t, int32_t bar) {
  size_t at = (size_t)t * (size_t)nd_sequence_voices(song);
  nd_heard h = only(song->metrics + (size_t)t * ND_N_METRICS);
  if (d->known != NULL) {
    h.given = kept + at;
    h.known = d->known + at;
  }
  if (d->density != NULL) h.density = d->density[bar];
  if (d->fill != NULL) h.fill = d->fill[bar];
  return h;
}

/* The whole song through the encoder, and on through the first layer's
 * weights, in one product for all steps: (n_steps, 4 hidden), malloc'd; NULL
 * without an encoder. */
static nd_status read_song(nd_generator *g, const nd_sequence *song, const nd_direction *d,
                           const uint8_t *kept, float **read, nd_error *err) {
  const nd_net *net = &g->drummer->net;
  const nd_net_config *c = &net->config;
  *read = NULL;
  if (c->encoder == 0) return ND_OK;
  int32_t n = nd_sequence_steps(song), bar = 0;
  size_t E = (size_t)c->encoded, steps = (size_t)n;
  float *x = nd_calloc(steps * E, sizeof *x);
  float *reading = nd_calloc(steps * (size_t)nd_net_encoding(c), sizeof *reading);
  float *products = nd_calloc(steps * 4 * (size_t)c->hidden, sizeof *products);
  nd_status status = x && reading && products ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  for (int32_t t = 0; t < n && status == ND_OK; t++) {
    while (bar + 1 < song->grid.n_bars && song->grid.bars[bar + 1].step <= t) bar++;
    nd_heard h = heard_at(song, d, kept, t, bar);
    nd_features_row(&g->drummer->features, c->voices, &h, g->x);
    memcpy(x + (size_t)t * E, g->x, E * sizeof *x);
  }
  if (status == ND_OK) status = nd_net_encode(net, n, x, reading, err);
  if (status == ND_OK) {
    nd_gemm(ND_N, ND_N, n, 4 * c->hidden, nd_net_encoding(c), reading, net->lstm[0].wx, 0.0f, products);
    *read = products;
    products = NULL;
  }
  free(x);
  free(reading);
  free(products);
  return status;
}

nd_status nd_generator_choose(nd_generator *g, const nd_sequence *song,
                              const nd_direction *direction, nd_error *err) {
  static const nd_direction none = {0};
  nd_status status = check_sequence(g->drummer, song, "the song", err);
  if (status != ND_OK) return status;
  nd_generator_reset(g);
  return commit(g, song, direction != NULL ? direction : &none, err);
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

nd_status nd_generator_play(nd_generator *g, const nd_sequence *song,
                            const nd_direction *direction, nd_sequence **out, nd_error *err) {
  static const nd_direction none = {0};
  const nd_direction *d = direction != NULL ? direction : &none;
  nd_status status = check_sequence(g->drummer, song, "the song", err);
  if (status != ND_OK) return status;
  if (g->drummer->features.kind != ND_FEATURES_WHOLE &&
      (d->known != NULL || d->style != NULL || d->own_style > 0 || d->density != NULL ||
       d->fill != NULL))
    return nd_fail(err, ND_MISUSE, "this model takes no direction: it has no encoder");
  nd_sequence *played = NULL;
  float *read = NULL;
  nd_returns returns = {NULL, NULL};
  int32_t V = nd_sequence_voices(song), n = nd_sequence_steps(song), bar = 0;
  size_t width = 4 * (size_t)g->drummer->net.config.hidden;
  uint8_t *hits = nd_calloc((size_t)n * (size_t)V, 1);
  uint8_t *kept = kept_hits(d, (size_t)n * (size_t)V);
  if (hits == NULL || kept == NULL) {
    free(hits);
    free(kept);
    return nd_fail(err, ND_NOMEM, "out of memory");
  }
  int32_t enter = 0, leave = n;
  if (!g->options.always) find_band(song, &enter, &leave);
  nd_generator_reset(g);
  status = commit(g, song, d, err);
  if (status == ND_OK) status = read_song(g, song, d, kept, &read, err);
  if (status == ND_OK)
    status = nd_returns_make(&returns, &g->drummer->features, song->metrics, &song->grid, err);
  for (int32_t t = 0; t < n && status == ND_OK; t++) {
    bool begins = t == 0;
    while (bar + 1 < song->grid.n_bars && song->grid.bars[bar + 1].step <= t) {
      bar++;
      begins = true;
    }
    nd_heard h = heard_at(song, d, kept, t, bar);
    if (returns.of[bar] >= 0) {
      h.past = nd_features_past(&g->drummer->features, &song->grid, V, hits, t, bar, returns.of[bar]);
      h.likeness = returns.how[bar];
    }
    g->read = read != NULL ? read + (size_t)t * width : NULL;
    play_step(g, &h, begins, t < enter || t >= leave, hits + (size_t)t * (size_t)V);
  }
  g->read = NULL;
  free(read);
  nd_returns_clear(&returns);
  if (status == ND_OK && g->unsound)
    status = nd_fail(err, ND_FORMAT, "the model's weights are spoilt: its odds are no numbers");
  if (status == ND_OK && (nd_sequence_blank(&played, song) != ND_OK ||
                          nd_sequence_set_kept(played, hits, NULL, d->given, d->known) != ND_OK)) {
    nd_sequence_free(played);
    status = nd_fail(err, ND_NOMEM, "out of memory");
  }
  free(hits);
  free(kept);
  if (status == ND_OK) *out = played;
  return status;
}
