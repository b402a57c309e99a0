#include "sampler.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/thread_pool.h"

/* One stream: the song it walks through, -1 when it has none, with what may be
 * told of it. */
typedef struct stream {
  int32_t song, steps, step, bar;
  nd_sequence *seq;                     /* NULL: no song, or another process's stream */
  float *density, *fill;                /* (n_bars) */
  nd_recurrence returns;
  float style[ND_MAX_STYLE_SIZE];
} stream;

/* What a stretch is told and what is kept from it, drawn anew for each. */
typedef struct lesson {
  bool no_history, secret;              /* … and nothing says that there was any */
  bool no_before, no_back[ND_MAX_BACK], no_alike;
  bool density, fill;
  bool deaf[ND_N_METRICS];              /* metrics that are not heard */
  bool style;
  float told[ND_MAX_STYLE_SIZE];             /* the style, blurred */
  bool voices[ND_MAX_VOICES];           /* given whole */
  float bars, cells;                    /* shares given */
  int32_t opening;                      /* bars given from the song's start */
  int32_t hole_from, hole_to;           /* bars not given though all others are; or equal */
  uint32_t salt;
} lesson;

struct nd_sampler {
  const nd_corpus *corpus;
  const nd_drummer *drummer;
  nd_sampler_options options;
  nd_batch batch;
  int32_t *songs, n_songs;    /* of the split, long enough */
  int32_t *queue;             /* the pass's order */
  int32_t next;               /* in the queue */
  int64_t pass, epoch, at, count;
  nd_rng rng;                 /* windows, and what is erased */
  stream *streams;
  stream *coming;             /* by stream, what it takes up next; behind the streams */
};

static void let_go(stream *w) {
  nd_sequence_free(w->seq);
  free(w->density);
  nd_recurrence_clear(&w->returns);
  w->song = -1;
  w->seq = NULL;
  w->density = w->fill = NULL;
}

static nd_status no_memory(nd_error *err) { return nd_fail(err, ND_NOMEM, "out of memory"); }

/* The order of a pass depends on its number alone, so that it need not be saved. */
static void begin_pass(nd_sampler *s, int64_t pass) {
  s->pass = pass;
  s->next = 0;
  memcpy(s->queue, s->songs, (size_t)s->n_songs * sizeof *s->queue);
  if (!s->options.shuffle) return;
  nd_rng rng = nd_rng_seed(s->options.seed, 100 + (uint64_t)pass);
  nd_rng_shuffle(&rng, s->queue, (size_t)s->n_songs);
}

static int64_t stretches(const nd_sampler *s, int32_t song) {
  return ((int64_t)nd_corpus_steps(s->corpus, song) + s->options.steps - 1) / s->options.steps;
}

/* Batches that one pass without shuffling takes: the walk itself, counted. */
static int64_t count_pass(const nd_sampler *s, int64_t *left) {
  int32_t next = 0;
  int64_t batches = 0;
  memset(left, 0, (size_t)s->options.batch * sizeof *left);
  for (;; batches++) {
    bool any = false;
    for (int32_t b = 0; b < s->options.batch; b++) {
      if (left[b] == 0 && next < s->n_songs) left[b] = stretches(s, s->songs[next++]);
      if (left[b] > 0) {
        left[b]--;
        any = true;
      }
    }
    if (!any) return batches;
  }
}

static nd_status count_batches(nd_sampler *s, nd_error *err) {
  if (s->drummer->net.config.window > 0) {
    s->count = s->n_songs / s->options.batch;
    if (s->count == 0) s->count = 1;
    return ND_OK;
  }
  if (s->options.shuffle) {
    int64_t all = 0;
    for (int32_t i = 0; i < s->n_songs; i++) all += stretches(s, s->songs[i]);
    s->count = (all + s->options.batch - 1) / s->options.batch;
    return ND_OK;
  }
  int64_t *left = nd_calloc((size_t)s->options.batch, sizeof *left);
  if (left == NULL) return no_memory(err);
  s->count = count_pass(s, left);
  free(left);
  return ND_OK;
}

static nd_status check_tokeniser(const nd_corpus *corpus, const nd_drummer *d, nd_error *err) {
  const nd_tokeniser *settings = nd_corpus_tokeniser(corpus);
  if (d->features.kind == ND_FEATURES_RAW)
    return nd_fail(err, ND_MISUSE, "a raw model has no features to fill from a corpus");
  if (settings->original != d->tokeniser.original)
    return nd_fail(err, ND_MISUSE, "the corpus was encoded %s the 2023 system's rules, the model "
                   "needs it %s them", settings->original ? "by" : "without",
                   settings->original ? "without" : "by");
  return nd_drummer_accepts(d, settings, "the corpus", err);
}

/* Whether batches are made of a song. */
static bool is_taken(const nd_sampler *s, int32_t song) {
  bool in = s->options.split < 0 || (int32_t)nd_corpus_split(s->corpus, song) == s->options.split;
  return in && nd_corpus_steps(s->corpus, song) > s->drummer->net.config.window;
}

static nd_status find_songs(nd_sampler *s, nd_error *err) {
  int32_t n = nd_corpus_count(s->corpus);
  s->songs = nd_calloc((size_t)n, sizeof *s->songs);
  s->queue = nd_calloc((size_t)n, sizeof *s->queue);
  if (s->songs == NULL || s->queue == NULL) return no_memory(err);
  for (int32_t i = 0; i < n; i++)
    if (is_taken(s, i)) s->songs[s->n_songs++] = i;
  if (s->n_songs > 0) return ND_OK;
  static const char *const splits[] = {"all", "train", "valid"};
  const char *split = splits[s->options.split + 1];
  const int window = s->drummer->net.config.window;
  if (window > 0)
    return nd_fail(err, ND_FORMAT, "no song of the split '%s' is longer than %d steps", split, window);
  return nd_fail(err, ND_FORMAT, "no song of the split '%s' to learn from", split);
}

nd_status nd_sampler_make(nd_sampler **out, const nd_corpus *corpus, const nd_drummer *drummer,
                          const nd_sampler_options *options, nd_error *err) {
  nd_status status = check_tokeniser(corpus, drummer, err);
  if (status != ND_OK) return status;
  nd_sampler *s = nd_calloc(1, sizeof *s);
  if (s == NULL) return no_memory(err);
  const nd_net_config *c = &drummer->net.config;
  s->corpus = corpus;
  s->drummer = drummer;
  s->options = *options;
  if (s->options.batch <= 0) s->options.batch = drummer->batch;
  if (c->window > 0) s->options.steps = c->window;
  else if (s->options.steps <= 0) s->options.steps = drummer->steps;
  s->rng = nd_rng_seed(options->seed, 3);
  s->epoch = 1;
  int32_t whole = s->options.batch, first = 0, here = whole;
  const nd_allreduce *reducer = options->reducer;
  if (reducer != NULL) {
    first = nd_partition_begin(whole, 1, reducer->rank, reducer->size);
    here = nd_partition_begin(whole, 1, reducer->rank + 1, reducer->size) - first;
  }
  status = find_songs(s, err);
  if (status == ND_OK && reducer != NULL && reducer->size > whole)
    status = nd_fail(err, ND_MISUSE, "option 'batch': %d streams cannot be shared by %d processes",
                     whole, reducer->size);
  if (status == ND_OK)
    status = nd_batch_make(&s->batch, s->options.steps, here, c->inputs, c->voices,
                           nd_net_targets(c), c->window > 0 ? 1 : s->options.steps, nd_net_carried(c), err);
  if (status == ND_OK) {
    s->batch.reducer = reducer;
    s->batch.first = first;
    s->batch.whole = whole;
    s->streams = nd_calloc(2 * (size_t)whole, sizeof *s->streams);
    for (int32_t b = 0; s->streams != NULL && b < 2 * whole; b++) s->streams[b].song = -1;
    s->coming = s->streams != NULL ? s->streams + whole : NULL;
    status = s->streams != NULL ? count_batches(s, err) : no_memory(err);
  }
  if (status != ND_OK) {
    nd_sampler_free(s);
    return status;
  }
  begin_pass(s, 0);
  *out = s;
  return ND_OK;
}

void nd_sampler_free(nd_sampler *s) {
  if (s == NULL) return;
  for (int32_t b = 0; s->streams != NULL && b < 2 * s->options.batch; b++)
    let_go(&s->streams[b]);
  free(s->streams);
  free(s->songs);
  free(s->queue);
  nd_batch_clear(&s->batch);
  free(s);
}

nd_batch *nd_sampler_batch(nd_sampler *s) { return &s->batch; }
int64_t nd_sampler_count(const nd_sampler *s) { return s->count; }
int32_t nd_sampler_songs(const nd_sampler *s) { return s->n_songs; }

void nd_sampler_place(const nd_sampler *s, int64_t *epoch, int64_t *batch) {
  *epoch = s->epoch;
  *batch = s->at;
}

static bool is_here(const nd_sampler *s, int32_t b) {
  return b >= s->batch.first && b < s->batch.first + s->batch.streams;
}

static bool chance(nd_sampler *s, float share) {
  return share > 0.0f && nd_rng_float(&s->rng) < share;
}

/* Which drums a stretch is given: whole bars, whole voices, the song's first
 * bars, scattered cells, or all but a few bars. */
static void give_drums(nd_sampler *s, lesson *l, const stream *w) {
  int32_t V = s->drummer->net.config.voices, bars = w->seq != NULL ? w->seq->grid.n_bars : 1;
  switch (nd_rng_below(&s->rng, 5)) {
    case 0: l->bars = 0.2f + 0.6f * nd_rng_float(&s->rng); break;
    case 1:
      for (int32_t v = 0; v < V; v++) l->voices[v] = chance(s, 0.4f);
      break;
    case 2: l->opening = 1 << nd_rng_below(&s->rng, 5); break;
    case 3: l->cells = 0.8f * nd_rng_float(&s->rng); break;
    default: {
      int32_t ahead = (int32_t)nd_rng_below(&s->rng, 8), first = w->bar + ahead;
      l->hole_from = first;
      l->hole_to = first + 1 + (int32_t)nd_rng_below(&s->rng, 8);
      if (l->hole_from >= bars) l->hole_from = l->hole_to = 0;
    }
  }
}

/* A style to the last digit is a song's name, and would be learnt as one. */
static void tell_style(nd_sampler *s, lesson *l, const stream *w) {
  const nd_drummer *d = s->drummer;
  int32_t V = d->net.config.voices, traits = nd_style_traits(V);
  bool groove = chance(s, d->groove_given);
  if (w->seq == NULL) {  /* two draws a normal */
    nd_rng_skip(&s->rng, 2 * (uint64_t)(groove ? nd_style_size(V) : traits));
    return;
  }
  for (int32_t k = 0; k < nd_style_size(V); k++)
    l->told[k] = k < traits || groove ? w->style[k] + d->style_noise * nd_rng_normal(&s->rng)
                                      : ND_NO_GROOVE;
  if (groove) l->told[traits] = fmaxf(l->told[traits], 0.0f);  /* below 0 there is none */
}

static void draw_lesson(nd_sampler *s, lesson *l, const stream *w) {
  const nd_drummer *d = s->drummer;
  *l = (lesson){0};
  if (!s->options.erase) return;
  l->no_history = chance(s, d->history_all);
  l->secret = l->no_history && chance(s, d->history_hidden);
  l->no_before = chance(s, d->history_back);
  for (int32_t k = 0; k < ND_MAX_BACK; k++) l->no_back[k] = chance(s, d->history_back);
  l->no_alike = chance(s, d->history_back);
  if (d->features.kind != ND_FEATURES_WHOLE) return;
  l->style = chance(s, d->style_given);
  l->density = chance(s, d->controls_given);
  l->fill = chance(s, d->controls_given);
  l->salt = nd_rng_u32(&s->rng);
  for (int k = 0; k < ND_N_METRICS; k++) l->deaf[k] = !nd_metric_is_place(k) && chance(s, d->metric_dropout);
  if (l->style) tell_style(s, l, w);
  if (chance(s, d->fixed_given)) give_drums(s, l, w);
}

/* A number in 0..1 that belongs to a bar of a stretch. */
static float bar_lot(const lesson *l, int32_t bar) {
  nd_rng rng = nd_rng_seed(l->salt, (uint64_t)bar);
  return nd_rng_float(&rng);
}

static void known_cells(nd_sampler *s, const lesson *l, int32_t bar, int32_t V, uint8_t *known) {
  bool whole = bar < l->opening || (l->bars > 0.0f && bar_lot(l, bar) < l->bars) ||
               (l->hole_to > l->hole_from && (bar < l->hole_from || bar >= l->hole_to));
  for (int32_t v = 0; v < V; v++) {
    bool lot = chance(s, l->cells);
    known[v] = whole || l->voices[v] || lot;
  }
}

static bool may_forget(const nd_sampler *s, const lesson *l) {
  return s->options.erase && !l->no_history && s->drummer->history_step > 0.0f;
}

/* Rows that another process fills: what fill_row would draw for them. */
static void pass_rows(nd_sampler *s, const lesson *l, int32_t rows) {
  int32_t lots = l->cells > 0.0f ? s->drummer->net.config.voices : 0;
  nd_rng_skip(&s->rng, (uint64_t)rows * (uint64_t)((may_forget(s, l) ? 1 : 0) + lots));
}

/* One input row, target row and row of counted cells of a song's step. */
static void fill_row(nd_sampler *s, const stream *w, const lesson *l, float *x, float *y,
                     float *mask) {
  const nd_sequence *seq = w->seq;
  int32_t V = nd_sequence_voices(seq);
  const uint8_t *hits = seq->hits + (size_t)w->step * (size_t)V;
  uint8_t known[ND_MAX_VOICES], given[ND_MAX_VOICES];
  float metrics[ND_N_METRICS];
  for (int k = 0; k < ND_N_METRICS; k++)
    metrics[k] = l->deaf[k] ? 0.0f : seq->metrics[(size_t)w->step * ND_N_METRICS + (size_t)k];
  nd_step_context heard = {.metrics = metrics,
                    .style = l->style ? l->told : NULL,
                    .step_in_bar = w->step - seq->grid.bars[w->bar].step,
                    .steps_per_beat = seq->settings.steps_per_beat,
                    .density = l->density ? w->density[w->bar] : NAN,
                    .fill = l->fill ? w->fill[w->bar] : NAN};
  bool forgotten = may_forget(s, l) && chance(s, s->drummer->history_step);
  if (!l->no_history && !forgotten) {
    int32_t alike = w->returns.bar != NULL && !l->no_alike ? w->returns.bar[w->bar] : -1;
    if (alike >= 0) heard.similarity = w->returns.similarity[w->bar];
    heard.history = nd_features_history(&s->drummer->features, &seq->grid, V, seq->hits, w->step, w->bar, alike);
    for (int32_t k = 0; k < s->drummer->features.n_back; k++)
      if (l->no_back[k]) heard.history.back[k] = NULL;
    if (l->no_before) heard.history.before = NULL;
  }
  if (l->secret) heard.history.available = true;
  known_cells(s, l, w->bar, V, known);
  for (int32_t v = 0; v < V; v++) given[v] = known[v] ? hits[v] : 0;
  heard.fixed_mask = known;
  heard.fixed_hits = given;
  if (s->drummer->net.config.touch) heard.fixed_hits = hits;
  nd_features_row(&s->drummer->features, V, &heard, x);
  if (y == NULL) return;
  if (s->drummer->net.config.touch) {
    const int8_t *offsets = seq->offsets + (size_t)w->step * (size_t)V;
    for (int32_t v = 0; v < V; v++) {
      y[v] = (float)hits[v] / 127.0f;
      y[V + v] = (float)offsets[v] / 256.0f;
      mask[v] = hits[v] > 0 ? 1.0f : 0.0f;
    }
    return;
  }
  for (int32_t v = 0; v < V; v++) {
    y[v] = hits[v] > 0 ? 1.0f : 0.0f;
    mask[v] = known[v] ? 0.0f : 1.0f;
  }
}

/* Reads a song and measures what may be told of it, where that is done here. */
static nd_status take_up(nd_sampler *s, stream *w, int32_t song, bool here, nd_error *err) {
  let_go(w);
  w->steps = nd_corpus_steps(s->corpus, song);
  w->step = w->bar = 0;
  if (!here) {
    w->song = song;
    return ND_OK;
  }
  nd_status status = nd_corpus_read(s->corpus, song, &w->seq, err);
  if (status != ND_OK) return status;
  size_t bars = (size_t)w->seq->grid.n_bars;
  w->density = nd_calloc(2 * bars, sizeof *w->density);
  status = w->density != NULL ? nd_recurrence_make(&w->returns, &s->drummer->features, w->seq->metrics,
                                                &w->seq->grid, err)
                              : no_memory(err);
  if (status != ND_OK) {
    let_go(w);
    return status;
  }
  w->fill = w->density + bars;
  nd_style_bars(w->seq, w->density, w->fill);
  (void)nd_style_measure(w->seq, NULL, w->style);
  w->song = song;
  return ND_OK;
}

/* The next song of the queue, or none: a walk that ends with its pass. */
static nd_status take_song(nd_sampler *s, stream *w, bool here, nd_error *err) {
  let_go(w);
  if (s->next == s->n_songs) {
    if (!s->options.shuffle) return ND_OK;
    begin_pass(s, s->pass + 1);
  }
  nd_status status = take_up(s, w, s->queue[s->next], here, err);
  if (status != ND_OK) return status;
  s->next++;
  return ND_OK;
}

static bool has_ended(const stream *w) { return w->song < 0 || w->step >= w->steps; }

/* A song for each stream that has ended. All are read before one is taken up: where
 * one cannot be, the place stays as it was. */
static nd_status take_songs(nd_sampler *s, nd_error *err) {
  const int64_t pass = s->pass;
  const int32_t next = s->next, n = s->options.batch;
  nd_status status = ND_OK;
  for (int32_t b = 0; b < n && status == ND_OK; b++)
    if (has_ended(&s->streams[b])) status = take_song(s, &s->coming[b], is_here(s, b), err);
  if (status != ND_OK) {
    for (int32_t b = 0; b < n; b++) let_go(&s->coming[b]);
    if (s->pass != pass) begin_pass(s, pass);
    s->next = next;
    return status;
  }
  for (int32_t b = 0; b < n; b++) {
    if (!has_ended(&s->streams[b])) continue;
    let_go(&s->streams[b]);
    s->streams[b] = s->coming[b];
    s->coming[b] = (stream){.song = -1};
  }
  return ND_OK;
}

static void fill_stream(nd_sampler *s, int32_t b) {
  stream *w = &s->streams[b];
  nd_batch *batch = &s->batch;
  bool here = is_here(s, b), fresh = w->song < 0 || w->step == 0;
  if (w->seq != NULL) w->bar = nd_grid_bar(&w->seq->grid, w->step);  /* also after a restore */
  lesson l;
  draw_lesson(s, &l, w);
  if (!here) {
    int32_t left = w->song < 0 ? 0 : w->steps - w->step;
    int32_t rows = left < batch->steps ? left : batch->steps;
    pass_rows(s, &l, rows);
    w->step += rows;
    return;
  }
  b -= batch->first;
  batch->fresh[b] = fresh;
  for (int32_t t = 0; t < batch->steps; t++) {
    size_t row = (size_t)t * (size_t)batch->streams + (size_t)b;
    float *x = batch->x + row * (size_t)batch->inputs, *y = batch->y + row * (size_t)batch->y_width;
    float *mask = batch->mask + row * (size_t)batch->voices;
    if (w->seq == NULL || w->step >= w->steps) {
      memset(x, 0, (size_t)batch->inputs * sizeof *x);
      memset(y, 0, (size_t)batch->y_width * sizeof *y);
      memset(mask, 0, (size_t)batch->voices * sizeof *mask);
      continue;
    }
    const nd_grid *grid = &w->seq->grid;
    while (w->bar + 1 < grid->n_bars && grid->bars[w->bar + 1].step <= w->step) w->bar++;
    fill_row(s, w, &l, x, y, mask);
    w->step++;
  }
}

/* A window of W steps and the step after it. Row t holds the hits of step
 * at + t and the intensity of at + t + 1, which is that row's metrics. */
static nd_status fill_window(nd_sampler *s, int32_t b, nd_error *err) {
  nd_batch *batch = &s->batch;
  stream w = {0};
  lesson l = {0};
  int32_t song = s->songs[nd_rng_below(&s->rng, (uint32_t)s->n_songs)], W = batch->steps;
  int32_t at = (int32_t)nd_rng_below(&s->rng, (uint32_t)(nd_corpus_steps(s->corpus, song) - W));
  if (!is_here(s, b)) {
    pass_rows(s, &l, W);
    return ND_OK;
  }
  nd_status status = nd_corpus_read(s->corpus, song, &w.seq, err);
  if (status != ND_OK) return status;
  b -= batch->first;
  size_t V = (size_t)batch->voices, target = (size_t)b * V;
  for (int32_t t = 0; t < W; t++) {
    size_t row = (size_t)t * (size_t)batch->streams + (size_t)b;
    bool last = t + 1 == W;
    w.step = at + t + 1;
    w.bar = nd_grid_bar(&w.seq->grid, w.step);
    fill_row(s, &w, &l, batch->x + row * (size_t)batch->inputs, last ? batch->y + target : NULL,
             batch->mask + target);
  }
  let_go(&w);
  return ND_OK;
}

nd_status nd_sampler_next(nd_sampler *s, bool *more, nd_error *err) {
  *more = s->at < s->count;
  if (!*more) {
    s->at = 0;
    s->epoch++;
    if (!s->options.shuffle && s->drummer->net.config.window == 0) {
      for (int32_t b = 0; b < s->options.batch; b++) let_go(&s->streams[b]);
      begin_pass(s, s->pass + 1);
    }
    return ND_OK;
  }
  bool window = s->drummer->net.config.window > 0;
  /* outside training the same windows every epoch: losses can be compared */
  if (window && !s->options.shuffle && s->at == 0) s->rng = nd_rng_seed(s->options.seed, 3);
  const nd_rng rng = s->rng;
  nd_status status = window ? ND_OK : take_songs(s, err);
  for (int32_t b = 0; b < s->options.batch && status == ND_OK; b++) {
    if (window) status = fill_window(s, b, err);
    else fill_stream(s, b);
  }
  if (status == ND_OK) s->at++;
  else s->rng = rng;
  return status;
}

nd_status nd_sampler_save(const nd_sampler *s, char **text, nd_error *err) {
  size_t size = 160 + 32 * (size_t)s->options.batch, used;
  char *t = malloc(size);
  if (t == NULL) return no_memory(err);
  used = (size_t)snprintf(t, size, "1 %d %d %d %" PRIu64 " %" PRId64 " %d %" PRId64 " %" PRId64
                          " %" PRIu64 " %" PRIu64, s->options.batch, s->options.steps, s->n_songs,
                          s->options.seed, s->pass, s->next, s->epoch, s->at, s->rng.state,
                          s->rng.stream);
  for (int32_t b = 0; b < s->options.batch; b++) {
    const stream *w = &s->streams[b];
    used += (size_t)snprintf(t + used, size - used, " %d:%d", w->song, w->step);
  }
  *text = t;
  return ND_OK;
}

static nd_status out_of_range(nd_error *err) {
  return nd_fail(err, ND_FORMAT, "the checkpoint's place in it is out of range");
}

static nd_status unreadable(nd_error *err) {
  return nd_fail(err, ND_FORMAT, "the checkpoint's place in it cannot be read");
}

nd_status nd_sampler_restore(nd_sampler *s, const char *text, nd_error *err) {
  int32_t batch, steps, songs, next;
  int64_t pass, epoch, at;
  uint64_t seed, state, line;
  int used = 0;
  int n = sscanf(text, "1 %" SCNd32 " %" SCNd32 " %" SCNd32 " %" SCNu64 " %" SCNd64 " %" SCNd32
                 " %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNu64 "%n", &batch, &steps, &songs, &seed,
                 &pass, &next, &epoch, &at, &state, &line, &used);
  if (n != 10) return unreadable(err);
  if (batch != s->options.batch || steps != s->options.steps || songs != s->n_songs ||
      seed != s->options.seed)
    return nd_fail(err, ND_FORMAT,
                   "the training to go on with took other batches of it (%d x %d steps of %d songs, "
                   "seed %" PRIu64 ")", batch, steps, songs, seed);
  if (pass < 0 || pass > INT32_MAX || next < 0 || next > s->n_songs || epoch < 1 ||
      epoch > INT32_MAX || at < 0 || at > s->count)
    return out_of_range(err);
  begin_pass(s, pass);
  s->next = next;
  s->epoch = epoch;
  s->at = at;
  s->rng = (nd_rng){state, line | 1u};
  const char *p = text + used;
  for (int32_t b = 0; b < batch; b++) {
    stream *w = &s->streams[b];
    int32_t song, step;
    if (sscanf(p, " %" SCNd32 ":%" SCNd32 "%n", &song, &step, &used) != 2 || song < -1 ||
        song >= nd_corpus_count(s->corpus) || step < 0)
      return out_of_range(err);
    if (song >= 0 && (!is_taken(s, song) || step > nd_corpus_steps(s->corpus, song)))
      return out_of_range(err);
    p += used;
    let_go(w);
    if (song < 0) continue;
    nd_status status = take_up(s, w, song, is_here(s, b), err);
    if (status != ND_OK) return status;
    w->step = step;
  }
  return *p == '\0' ? ND_OK : unreadable(err);
}
