/* sampler.c - walks a corpus and fills batches.
 *
 * A batch has B streams (rows b of every step t). For streaming networks each
 * stream is in the middle of a song; fill_stream copies its next T steps. For
 * window networks each stream is a window of a random song; fill_window copies it.
 * Both draw random numbers in the same order on every process. */
#include "sampler.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buffer.h"
#include "augment.h"

/* One stream of the batch: the song that it walks through. Streams of other
 * processes hold the song's index and length alone. */
typedef struct stream {
  int32_t song;               /* -1: none */
  int32_t steps, step, bar;   /* the song's length; the next step and its bar */
  nd_sequence *seq;           /* NULL: no song, or another process's stream */
  float *density, *fill;      /* (n_bars) controls, measured; one block */
  nd_recurrence recurrence;
  float style[ND_MAX_STYLE_SIZE];
} stream;

struct nd_sampler {
  const nd_corpus *corpus;
  const nd_drummer *drummer;
  nd_sampler_options options;
  nd_batch batch;
  int32_t *songs, n_songs;    /* of the split, and long enough */
  int32_t *queue, next;       /* the songs in the order of this walk; next of it */
  int64_t walk;               /* how often the queue was refilled */
  int64_t epoch, at, count;   /* epoch from 1; batches done in it; batches in it */
  nd_rng rng;                 /* windows and augmentation */
  stream *streams;            /* (batch) */
  stream *upcoming;           /* (batch) songs read but not yet begun */
};

/* Frees the song; the stream has none then. May be called twice. */
static void stream_clear(stream *w) {
  nd_sequence_free(w->seq);
  free(w->density);
  nd_recurrence_clear(&w->recurrence);
  w->song = -1;
  w->seq = NULL;
  w->density = w->fill = NULL;
}

/* Refills the queue. Its order depends on the walk's number alone, so that a
 * checkpoint need not hold it. */
static void begin_walk(nd_sampler *s, int64_t walk) {
  s->walk = walk;
  s->next = 0;
  memcpy(s->queue, s->songs, (size_t)s->n_songs * sizeof *s->queue);
  if (!s->options.shuffle) return;
  nd_rng rng = nd_rng_seed(s->options.seed, 100 + (uint64_t)walk);
  nd_rng_shuffle(&rng, s->queue, (size_t)s->n_songs);
}

/* How many batches a song takes: its steps over T, rounded up. */
static int64_t count_stretches(const nd_sampler *s, int32_t song) {
  return ((int64_t)nd_corpus_steps(s->corpus, song) + s->options.steps - 1) / s->options.steps;
}

/* Batches of one walk without shuffling, by simulating it: `left` (batch) holds
 * how many stretches each stream still has. */
static int64_t simulate_walk(const nd_sampler *s, int64_t *left) {
  int32_t next = 0;
  int64_t batches = 0;
  memset(left, 0, (size_t)s->options.batch * sizeof *left);
  for (;; batches++) {
    bool any = false;
    for (int32_t b = 0; b < s->options.batch; b++) {
      if (left[b] == 0 && next < s->n_songs) left[b] = count_stretches(s, s->songs[next++]);
      if (left[b] > 0) {
        left[b]--;
        any = true;
      }
    }
    if (!any) return batches;
  }
}

/* How many batches an epoch has. A shuffled walk goes on across epochs, so an
 * epoch is defined there by the amount of material, not by the walk's end. */
static nd_status count_batches(nd_sampler *s, nd_error *err) {
  if (s->drummer->net.config.window > 0) {
    s->count = s->n_songs / s->options.batch;
    if (s->count == 0) s->count = 1;
    return ND_OK;
  }
  if (s->options.shuffle) {
    int64_t all = 0;
    for (int32_t i = 0; i < s->n_songs; i++) all += count_stretches(s, s->songs[i]);
    s->count = (all + s->options.batch - 1) / s->options.batch;
    return ND_OK;
  }
  int64_t *left = nd_calloc((size_t)s->options.batch, sizeof *left);
  if (left == NULL) return nd_nomem(err);
  s->count = simulate_walk(s, left);
  free(left);
  return ND_OK;
}

/* The corpus must have been encoded as the drummer's network expects. */
static nd_status check_tokeniser(const nd_corpus *corpus, const nd_drummer *d, nd_error *err) {
  const nd_tokeniser *settings = nd_corpus_tokeniser(corpus);
  if (d->features.kind == ND_FEATURES_RAW)
    return nd_fail(err, ND_MISUSE, "a raw model has no features to fill from a corpus");
  if (settings->original != d->tokeniser.original)
    return nd_fail(err, ND_MISUSE, "the corpus was encoded %s the 2023 system's rules, the model "
                   "needs one %s them", settings->original ? "by" : "without",
                   settings->original ? "without" : "by");
  return nd_drummer_accepts(d, settings, "the corpus", err);
}

/* Whether batches are made of a song. */
static bool is_used(const nd_sampler *s, int32_t song) {
  bool in = s->options.split < 0 || (int32_t)nd_corpus_split(s->corpus, song) == s->options.split;
  return in && nd_corpus_steps(s->corpus, song) > s->drummer->net.config.window;
}

/* Lists the songs of the split. A window network needs one step more than a window,
 * its target. */
static nd_status find_songs(nd_sampler *s, nd_error *err) {
  int32_t n = nd_corpus_count(s->corpus);
  s->songs = nd_calloc((size_t)n, sizeof *s->songs);
  s->queue = nd_calloc((size_t)n, sizeof *s->queue);
  if (s->songs == NULL || s->queue == NULL) return nd_nomem(err);
  for (int32_t i = 0; i < n; i++)
    if (is_used(s, i)) s->songs[s->n_songs++] = i;
  if (s->n_songs > 0) return ND_OK;
  const char *split = s->options.split < 0 ? "all" : nd_split_names[s->options.split];
  const int window = s->drummer->net.config.window;
  if (window > 0)
    return nd_fail(err, ND_FORMAT, "no song of the split '%s' is longer than %d steps", split,
                   window);
  return nd_fail(err, ND_FORMAT, "no song of the split '%s' to learn from", split);
}

/* With several processes, a batch of this process's streams. */
static nd_status make_batch(nd_sampler *s, nd_error *err) {
  const nd_net_config *c = &s->drummer->net.config;
  const nd_allreduce *comm = s->options.comm;
  nd_shard shard = nd_shard_local(comm, s->options.batch);
  if (comm != NULL && comm->size > s->options.batch)
    return nd_fail(err, ND_MISUSE, "option 'batch': %d streams cannot be shared by %d processes",
                   s->options.batch, comm->size);
  nd_status status = nd_batch_make(&s->batch, c, s->options.steps, shard.count, err);
  if (status == ND_OK) s->batch.shard = shard;
  return status;
}

/* Streams of all processes: each process follows all positions. */
static nd_status make_streams(nd_sampler *s, nd_error *err) {
  s->streams = nd_calloc(2 * (size_t)s->options.batch, sizeof *s->streams);
  if (s->streams == NULL) return nd_nomem(err);
  for (int32_t b = 0; b < 2 * s->options.batch; b++) s->streams[b].song = -1;
  s->upcoming = s->streams + s->options.batch;
  return ND_OK;
}

/* 0 in the options stands for the drummer's own batch size and steps; a window
 * network's steps are its window. */
nd_status nd_sampler_make(nd_sampler **out, const nd_corpus *corpus, const nd_drummer *drummer,
                          const nd_sampler_options *options, nd_error *err) {
  nd_status status = check_tokeniser(corpus, drummer, err);
  if (status != ND_OK) return status;
  nd_sampler *s = nd_calloc(1, sizeof *s);
  if (s == NULL) return nd_nomem(err);
  const nd_net_config *c = &drummer->net.config;
  s->corpus = corpus;
  s->drummer = drummer;
  s->options = *options;
  if (s->options.batch <= 0) s->options.batch = drummer->batch;
  if (c->window > 0) s->options.steps = c->window;
  else if (s->options.steps <= 0) s->options.steps = drummer->steps;
  s->rng = nd_rng_seed(options->seed, 3);
  s->epoch = 1;
  status = find_songs(s, err);
  if (status == ND_OK) status = make_batch(s, err);
  if (status == ND_OK) status = make_streams(s, err);
  if (status == ND_OK) status = count_batches(s, err);
  if (status != ND_OK) {
    nd_sampler_free(s);
    return status;
  }
  begin_walk(s, 0);
  *out = s;
  return ND_OK;
}

/* Also frees a sampler that nd_sampler_make could not complete. NULL is allowed. */
void nd_sampler_free(nd_sampler *s) {
  if (s == NULL) return;
  for (int32_t b = 0; s->streams != NULL && b < 2 * s->options.batch; b++)
    stream_clear(&s->streams[b]);
  free(s->streams);
  free(s->songs);
  free(s->queue);
  nd_batch_clear(&s->batch);
  free(s);
}

nd_batch *nd_sampler_batch(nd_sampler *s) { return &s->batch; }
int64_t nd_sampler_count(const nd_sampler *s) { return s->count; }
int32_t nd_sampler_songs(const nd_sampler *s) { return s->n_songs; }

void nd_sampler_position(const nd_sampler *s, int64_t *epoch, int64_t *batch) {
  *epoch = s->epoch;
  *batch = s->at;
}

/* Whether stream b of the whole batch belongs to this process. */
static bool is_local(const nd_sampler *s, int32_t b) {
  return nd_shard_has(&s->batch.shard, b);
}

/* One input row (inputs), target row (y_width) and row of counted grid cells
 * (voices) for the stream's step. y NULL: the input row alone. */
static void fill_row(nd_sampler *s, const stream *w, const nd_augmentation *a, float *x, float *y,
                     float *mask) {
  const nd_sequence *seq = w->seq;
  const nd_drummer *d = s->drummer;
  int32_t V = nd_sequence_voices(seq);
  const uint8_t *hits = seq->hits + (size_t)w->step * (size_t)V;
  uint8_t fixed_mask[ND_MAX_VOICES];
  float metrics[ND_N_METRICS] = {0};
  for (int k = 0; k < ND_N_METRICS; k++)
    if (!a->drop_metric[k]) metrics[k] = seq->metrics[(size_t)w->step * ND_N_METRICS + (size_t)k];
  nd_step_context context = {.metrics = metrics,
                             .style = a->show_style ? a->style : NULL,
                             .step_in_bar = w->step - seq->grid.bars[w->bar].step,
                             .steps_per_beat = seq->settings.steps_per_beat,
                             .density = a->show_density ? w->density[w->bar] : NAN,
                             .fill = a->show_fill ? w->fill[w->bar] : NAN};
  bool hidden = nd_augmentation_hides_step(a, d, &s->rng);
  if (!a->hide_history && !hidden) {
    /* The bar that this one repeats is shown from the recorded drums, as all history is:
     * teacher forcing. */
    bool recurs = w->recurrence.bar != NULL && !a->hide_recurrence;
    int32_t source = recurs ? w->recurrence.bar[w->bar] : -1;
    if (source >= 0) context.similarity = w->recurrence.similarity[w->bar];
    context.history = nd_features_history(&d->features, &seq->grid, V, seq->hits, w->step,
                                          w->bar, source);
    for (int32_t k = 0; k < d->features.n_back; k++)
      if (a->hide_back[k]) context.history.back[k] = NULL;
    if (a->hide_previous_step) context.history.before = NULL;
  }
  if (a->hidden_as_empty) context.history.available = true;
  nd_augmentation_mask(a, &s->rng, w->bar, V, fixed_mask);
  context.fixed_mask = fixed_mask;
  /* a touch net, whose rows have no mask, is shown all hits: it predicts how they are played */
  context.fixed_hits = hits;
  nd_features_row(&d->features, V, &context, x);
  if (y == NULL) return;
  if (d->net.config.touch) {
    const int8_t *offsets = seq->offsets + (size_t)w->step * (size_t)V;
    for (int32_t v = 0; v < V; v++) {
      y[v] = (float)hits[v] / 127.0f;
      y[V + v] = (float)offsets[v] / 256.0f;
      mask[v] = hits[v] > 0 ? 1.0f : 0.0f;
    }
    return;
  }
  /* nothing is learnt from a hit that stands among the inputs */
  for (int32_t v = 0; v < V; v++) {
    y[v] = hits[v] > 0 ? 1.0f : 0.0f;
    mask[v] = fixed_mask[v] ? 0.0f : 1.0f;
  }
}

/* Puts a song into a stream. A local stream reads it and measures its style,
 * controls and recurrence; on failure the stream is empty. */
static nd_status begin_song(nd_sampler *s, stream *w, int32_t song, bool local, nd_error *err) {
  stream_clear(w);
  w->steps = nd_corpus_steps(s->corpus, song);
  w->step = w->bar = 0;
  if (!local) {
    w->song = song;
    return ND_OK;
  }
  nd_status status = nd_corpus_read(s->corpus, song, &w->seq, err);
  if (status != ND_OK) return status;
  size_t bars = (size_t)w->seq->grid.n_bars;
  w->density = nd_calloc(2 * bars, sizeof *w->density);
  status = w->density != NULL ? nd_recurrence_make(&w->recurrence, &s->drummer->features,
                                                   w->seq->metrics, &w->seq->grid, err)
                              : nd_nomem(err);
  if (status != ND_OK) {
    stream_clear(w);
    return status;
  }
  w->fill = w->density + bars;
  nd_style_bars(w->seq, w->density, w->fill);
  (void)nd_style_measure(w->seq, NULL, w->style);
  w->song = song;
  return ND_OK;
}

/* The queue's next song; none where a walk that is not shuffled has ended. */
static nd_status next_song(nd_sampler *s, stream *w, bool local, nd_error *err) {
  stream_clear(w);
  if (s->next == s->n_songs) {
    if (!s->options.shuffle) return ND_OK;
    begin_walk(s, s->walk + 1);
  }
  nd_status status = begin_song(s, w, s->queue[s->next], local, err);
  if (status != ND_OK) return status;
  s->next++;
  return ND_OK;
}

/* Whether a stream needs another song. */
static bool has_ended(const stream *w) { return w->song < 0 || w->step >= w->steps; }

/* A song for each stream that has ended. All songs are read before any stream
 * changes, so that a failure leaves the position as it was. */
static nd_status refill_streams(nd_sampler *s, nd_error *err) {
  const int64_t walk = s->walk;
  const int32_t next = s->next, n = s->options.batch;
  nd_status status = ND_OK;
  for (int32_t b = 0; b < n && status == ND_OK; b++)
    if (has_ended(&s->streams[b])) status = next_song(s, &s->upcoming[b], is_local(s, b), err);
  if (status != ND_OK) {
    for (int32_t b = 0; b < n; b++) stream_clear(&s->upcoming[b]);
    if (s->walk != walk) begin_walk(s, walk);
    s->next = next;
    return status;
  }
  for (int32_t b = 0; b < n; b++) {
    if (!has_ended(&s->streams[b])) continue;
    stream_clear(&s->streams[b]);
    s->streams[b] = s->upcoming[b];
    s->upcoming[b] = (stream){.song = -1};
  }
  return ND_OK;
}

/* Another process's stream: advances position and random numbers as filling
 * the rows would, so that all processes draw the same. */
static void skip_rows(nd_sampler *s, stream *w, const nd_augmentation *a) {
  int32_t left = w->song < 0 ? 0 : w->steps - w->step;
  int32_t rows = left < s->batch.steps ? left : s->batch.steps;
  nd_augmentation_skip(a, s->drummer, &s->rng, rows);
  w->step += rows;
}

/* The next stretch of stream b of the whole batch: T rows, zeros with mask 0
 * after the song's end. */
static void fill_stream(nd_sampler *s, int32_t b) {
  stream *w = &s->streams[b];
  nd_batch *batch = &s->batch;
  /* The network's state is reset where a song begins, and for streams without a song. */
  bool begins = w->song < 0 || w->step == 0;
  nd_augmentation a = {0};
  if (w->seq != NULL) w->bar = nd_grid_bar(&w->seq->grid, w->step);  /* also after a restore */
  if (s->options.augment)
    nd_augmentation_draw(&a, s->drummer, &s->rng, w->seq != NULL ? w->style : NULL, w->bar,
                         w->seq != NULL ? w->seq->grid.n_bars : 1);
  if (!is_local(s, b)) {
    skip_rows(s, w, &a);
    return;
  }
  b -= batch->shard.first;
  batch->reset_state[b] = begins;
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
    /* follow the bars; the step only moves forward */
    while (w->bar + 1 < grid->n_bars && grid->bars[w->bar + 1].step <= w->step) w->bar++;
    fill_row(s, w, &a, x, y, mask);
    w->step++;
  }
}

/* Window b: W steps at a random place of a random song, with the next step as
 * the target. Row t holds the hits of step at + t and the intensity of step
 * at + t + 1, which the 2023 system stores one step early. */
static nd_status fill_window(nd_sampler *s, int32_t b, nd_error *err) {
  nd_batch *batch = &s->batch;
  stream w = {0};
  const nd_augmentation none = {.active = s->options.augment};
  int32_t song = s->songs[nd_rng_below(&s->rng, (uint32_t)s->n_songs)], W = batch->steps;
  /* is_used guarantees that the song is longer than the window */
  int32_t at = (int32_t)nd_rng_below(&s->rng, (uint32_t)(nd_corpus_steps(s->corpus, song) - W));
  if (!is_local(s, b)) {
    nd_augmentation_skip(&none, s->drummer, &s->rng, W);
    return ND_OK;
  }
  nd_status status = nd_corpus_read(s->corpus, song, &w.seq, err);
  if (status != ND_OK) return status;
  b -= batch->shard.first;
  size_t V = (size_t)batch->voices, target = (size_t)b * V;
  for (int32_t t = 0; t < W; t++) {
    size_t row = (size_t)t * (size_t)batch->streams + (size_t)b;
    bool last = t + 1 == W;
    w.step = at + t + 1;
    w.bar = nd_grid_bar(&w.seq->grid, w.step);
    fill_row(s, &w, &none, batch->x + row * (size_t)batch->inputs,
             last ? batch->y + target : NULL, batch->mask + target);
  }
  stream_clear(&w);
  return ND_OK;
}

/* Walks that are shuffled go on; others start again with the first song. */
static void end_epoch(nd_sampler *s) {
  s->at = 0;
  s->epoch++;
  if (s->options.shuffle || s->drummer->net.config.window > 0) return;
  for (int32_t b = 0; b < s->options.batch; b++) stream_clear(&s->streams[b]);
  begin_walk(s, s->walk + 1);
}

/* On failure the random numbers are set back as well, so that the next try makes the
 * batch that would have come. */
nd_status nd_sampler_next(nd_sampler *s, bool *more, nd_error *err) {
  *more = s->at < s->count;
  if (!*more) {
    end_epoch(s);
    return ND_OK;
  }
  bool window = s->drummer->net.config.window > 0;
  /* validation sees the same windows in every epoch, so that losses compare */
  if (window && !s->options.shuffle && s->at == 0) s->rng = nd_rng_seed(s->options.seed, 3);
  const nd_rng rng = s->rng;
  nd_status status = window ? ND_OK : refill_streams(s, err);
  for (int32_t b = 0; b < s->options.batch && status == ND_OK; b++) {
    if (window) status = fill_window(s, b, err);
    else fill_stream(s, b);
  }
  if (status == ND_OK) s->at++;
  else s->rng = rng;
  return status;
}

/* The line is "1", then what has to match on restoring (batch, steps, songs,
 * seed), the position, the generator, and song:step of each stream. */
nd_status nd_sampler_save(const nd_sampler *s, char **text, nd_error *err) {
  nd_buffer t = {0};
  nd_buffer_print(&t, "1 %d %d %d %" PRIu64, s->options.batch, s->options.steps, s->n_songs,
                  s->options.seed);
  nd_buffer_print(&t, " %" PRId64 " %d %" PRId64 " %" PRId64, s->walk, s->next, s->epoch, s->at);
  nd_buffer_print(&t, " %" PRIu64 " %" PRIu64, s->rng.state, s->rng.stream);
  for (int32_t b = 0; b < s->options.batch; b++)
    nd_buffer_print(&t, " %d:%d", s->streams[b].song, s->streams[b].step);
  nd_buffer_put(&t, "", 1);
  if (t.failed) free(t.bytes);
  if (t.failed) return nd_nomem(err);
  *text = (char *)t.bytes;
  return ND_OK;
}

/* Reads an integer that `end` follows, and moves *p past `end` (not past a zero).
 * A negative one comes out as its two's complement. false: there is none, or it
 * does not fit. */
static bool read_int(const char **p, char end, uint64_t *value) {
  char *stop;
  errno = 0;
  *value = strtoull(*p, &stop, 10);
  if (stop == *p || errno != 0 || *stop != end) return false;
  *p = end != '\0' ? stop + 1 : stop;
  return true;
}

static nd_status out_of_range(nd_error *err) {
  return nd_fail(err, ND_FORMAT, "the saved batch position is out of range");
}

static nd_status unreadable(nd_error *err) {
  return nd_fail(err, ND_FORMAT, "the saved batch position cannot be parsed");
}

/* Parses one "song:step" and puts the stream there. */
static nd_status restore_stream(nd_sampler *s, int32_t b, const char **p, nd_error *err) {
  stream *w = &s->streams[b];
  uint64_t number, step;
  char end = b + 1 < s->options.batch ? ' ' : '\0';
  if (!read_int(p, ':', &number) || !read_int(p, end, &step)) return unreadable(err);
  int64_t song = (int64_t)number;
  if (song < -1 || song >= nd_corpus_count(s->corpus) || step > INT32_MAX) return out_of_range(err);
  stream_clear(w);
  if (song < 0) return ND_OK;
  if (!is_used(s, (int32_t)song) || (int32_t)step > nd_corpus_steps(s->corpus, (int32_t)song))
    return out_of_range(err);
  nd_status status = begin_song(s, w, (int32_t)song, is_local(s, b), err);
  if (status == ND_OK) w->step = (int32_t)step;
  return status;
}

/* Every number is checked before it is used; the file may have been edited. */
nd_status nd_sampler_restore(nd_sampler *s, const char *text, nd_error *err) {
  enum { FORMAT, BATCH, STEPS, SONGS, SEED, WALK, NEXT, EPOCH, AT, RNG_STATE, RNG_STREAM, FIELDS };
  const char *p = text;
  uint64_t f[FIELDS];
  for (int i = 0; i < FIELDS; i++)
    if (!read_int(&p, ' ', &f[i])) return unreadable(err);
  if (f[FORMAT] != 1) return unreadable(err);
  if (f[BATCH] != (uint64_t)s->options.batch || f[STEPS] != (uint64_t)s->options.steps ||
      f[SONGS] != (uint64_t)s->n_songs || f[SEED] != s->options.seed)
    return nd_fail(err, ND_FORMAT,
                   "cannot resume: it was trained with batches of %" PRId64 " x %" PRId64
                   " steps from %" PRId64 " songs, seed %" PRIu64,
                   (int64_t)f[BATCH], (int64_t)f[STEPS], (int64_t)f[SONGS], f[SEED]);
  if (f[WALK] > INT32_MAX || f[NEXT] > (uint64_t)s->n_songs || f[EPOCH] < 1 ||
      f[EPOCH] > INT32_MAX || f[AT] > (uint64_t)s->count)
    return out_of_range(err);
  begin_walk(s, (int64_t)f[WALK]);
  s->next = (int32_t)f[NEXT];
  s->epoch = (int64_t)f[EPOCH];
  s->at = (int64_t)f[AT];
  s->rng = (nd_rng){f[RNG_STATE], f[RNG_STREAM] | 1u};  /* PCG needs an odd increment */
  nd_status status = ND_OK;
  for (int32_t b = 0; b < s->options.batch && status == ND_OK; b++)
    status = restore_stream(s, b, &p, err);
  return status;
}
