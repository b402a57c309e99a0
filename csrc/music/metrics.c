/* metrics.c - measures the metrics of a song, step by step.
 *
 * The notes are put on the grid as spans, sorted by start (the song's order) and,
 * by a counting sort, by stop. One walk over the steps then adds the notes that
 * start and removes those that stop, so the time is O(notes + steps). */
#include "metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[ND_N_METRICS] = {
  [ND_M_INTENSITY] = "intensity", [ND_M_ONSETS_LOW] = "onsets_low",
  [ND_M_ONSETS_MID] = "onsets_mid", [ND_M_ONSETS_HIGH] = "onsets_high",
  [ND_M_BASS] = "bass", [ND_M_LOUDNESS] = "loudness", [ND_M_SOUNDING] = "sounding",
  [ND_M_HARMONY] = "harmony", [ND_M_TEMPO] = "tempo",
  [ND_M_BEAT_SIN] = "beat_sin", [ND_M_BEAT_COS] = "beat_cos",
  [ND_M_BAR_SIN] = "bar_sin", [ND_M_BAR_COS] = "bar_cos",
  [ND_M_PHRASE_SIN] = "phrase_sin", [ND_M_PHRASE_COS] = "phrase_cos",
  [ND_M_DOWNBEAT] = "downbeat", [ND_M_ON_BEAT] = "on_beat", [ND_M_METER] = "meter",
  [ND_M_ENERGY] = "energy", [ND_M_PLAYING] = "playing",
  [ND_M_MELODY] = "melody", [ND_M_ENDINGS] = "endings", [ND_M_ROOT] = "root",
  [ND_M_GUITARS] = "guitars", [ND_M_STRINGS] = "strings", [ND_M_WINDS] = "winds",
  [ND_M_SYNTHS] = "synths", [ND_M_CONTRAST] = "contrast", [ND_M_RECURRENCE] = "recurrence",
  [ND_M_NOVELTY] = "novelty", [ND_M_PROGRESS] = "progress",
};

/* Depends on the order of enum nd_metric. */
bool nd_metric_is_position(int metric) {
  return (metric >= ND_M_BEAT_SIN && metric <= ND_M_METER) || metric == ND_M_PLAYING;
}

/* Depends on the order of enum nd_metric. */
bool nd_metric_needs_future(int metric) {
  return metric >= ND_M_CONTRAST && metric <= ND_M_PROGRESS;
}

const char *nd_metric_name(int metric) {
  return metric >= 0 && metric < ND_N_METRICS ? names[metric] : NULL;
}

/* Linear: there are about thirty names. */
int nd_metric_find(const char *name) {
  for (int k = 0; k < ND_N_METRICS; k++)
    if (strcmp(names[k], name) == 0) return k;
  return -1;
}

static double clip(double x, double limit) { return x < -limit ? -limit : x > limit ? limit : x; }

/* Population standard deviation; *mean gets the mean. */
static double deviation(const double *x, size_t n, double *mean) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += x[i];
  *mean = sum / (double)n;
  for (size_t i = 0; i < n; i++) squares += (x[i] - *mean) * (x[i] - *mean);
  return sqrt(squares / (double)n);
}

/* Runs of outliers are replaced as a whole: `before` is the last inlier before the
 * run, `after` the first one after it; at the ends of the song the other side's
 * value is used for both. */
void nd_metrics_normalise(double *x, size_t n) {
  double mean, sd;
  if (n == 0) return;
  sd = deviation(x, n, &mean);
  double low = mean - 2 * sd, high = mean + 2 * sd;
  size_t before = n;  /* the last inlier; n: none so far */
  for (size_t i = 0; sd > 0 && i < n;) {
    size_t after = i;
    while (after < n && !(x[after] > low && x[after] < high)) after++;
    if (after > i) {
      /* An inlier exists on one side at least: by Chebyshev's inequality three
       * values in four are within two deviations. */
      double left = before < n ? x[before] : x[after];
      double right = after < n ? x[after] : left;
      for (; i < after; i++) x[i] = (left + right) / 2;
    }
    before = after;
    i = after + 1;
  }
  sd = deviation(x, n, &mean);
  for (size_t i = 0; i < n; i++) x[i] = sd > 1e-12 ? (x[i] - mean) / sd : 0;
}

/* Quarter notes in a full bar of this meter, even if the bar is cut short. */
static double quarters(const nd_bar *bar) { return 4.0 * bar->numerator / bar->denominator; }

/* Sine and cosine of a phase, rounded to half precision. They cost most of this
 * part, and the same step of one bar after another has the same phase: so the
 * last value is cached for each step of a bar. */
typedef struct circle { double phase; float sin, cos; } circle;
enum { CACHED_STEPS = 64 };

/* Writes sine and cosine of `phase` (in turns) to at[0] and at[1]. */
static void put_circle(float *at, circle *cache, int32_t step, double phase) {
  circle uncached = {.phase = NAN}, *c = step < CACHED_STEPS ? &cache[step] : &uncached;
  if (c->phase != phase) {
    c->phase = phase;
    c->sin = nd_half_round((float)sin(6.283185307179586 * phase));
    c->cos = nd_half_round((float)cos(6.283185307179586 * phase));
  }
  at[0] = c->sin;
  at[1] = c->cos;
}

/* The phase of a bar is counted in ticks, so that a bar that is cut short ends
 * before phase 1 and one that is rounded up does not exceed it. */
void nd_metrics_position(float *out, const nd_grid *grid) {
  circle beat[CACHED_STEPS], in_bar[CACHED_STEPS], phrase[4][CACHED_STEPS];
  for (int i = 0; i < CACHED_STEPS; i++) {
    beat[i].phase = in_bar[i].phase = NAN;
    for (int k = 0; k < 4; k++) phrase[k][i].phase = NAN;
  }
  /* A first bar that is shorter than the second is a pickup: phrases of four
   * bars count from the bar after it. */
  int32_t pickup = grid->n_bars > 1 && quarters(&grid->bars[0]) < quarters(&grid->bars[1]);
  for (int32_t b = 0; b < grid->n_bars; b++) {
    const nd_bar *bar = &grid->bars[b];
    int32_t stop = nd_grid_bar_end(grid, b);
    int32_t of_four = (b + 4 - pickup) % 4, in_beat = 0;
    double length = quarters(bar);
    float meter = nd_half_round((float)fmin(length / 4, 4));
    for (int32_t t = bar->step; t < stop; t++) {
      float *m = out + (size_t)t * ND_N_METRICS;
      double phase = (grid->ticks[t] - grid->ticks[bar->step]) / grid->ppq / length;
      if (phase > 1) phase = 1;
      put_circle(m + ND_M_BEAT_SIN, beat, in_beat, (double)in_beat / grid->steps_per_beat);
      put_circle(m + ND_M_BAR_SIN, in_bar, t - bar->step, phase);
      put_circle(m + ND_M_PHRASE_SIN, phrase[of_four], t - bar->step, (of_four + phase) / 4);
      m[ND_M_DOWNBEAT] = t == bar->step;
      m[ND_M_ON_BEAT] = in_beat == 0;
      m[ND_M_METER] = meter;
      if (++in_beat == grid->steps_per_beat) in_beat = 0;
    }
  }
}

/* Energy is computed from the unrounded intensities and then rounded itself. */
void nd_metrics_set_intensity(float *out, const nd_grid *grid, const double *intensity) {
  for (int32_t b = 0; b < grid->n_bars; b++) {
    int32_t start = grid->bars[b].step;
    int32_t stop = nd_grid_bar_end(grid, b);
    double sum = 0;
    for (int32_t t = start; t < stop; t++) sum += intensity[t];
    float energy = nd_half_round((float)(sum / (stop - start)));
    for (int32_t t = start; t < stop; t++) {
      float *m = out + (size_t)t * ND_N_METRICS;
      m[ND_M_INTENSITY] = nd_half_round((float)intensity[t]);
      m[ND_M_ENERGY] = energy;
    }
  }
}

/* A note on the grid: it sounds from step `start` up to, without, `stop`. */
typedef struct span {
  int32_t start, stop;
  uint8_t pitch, velocity;
  uint8_t role, family;
} span;

/* Roles: a note of a bass program is the bass. Songs without such a program
 * take the lowest note that sounds, if it is below middle C. */
enum { NO_BASS, BASS_IF_LOWEST, BASS };
enum { OTHERS, GUITARS, STRINGS, WINDS, SYNTHS, FAMILIES };

/* Counts of the notes that sound at the current step. */
typedef struct sounding_state {
  int32_t by_pitch[128], by_class[12], by_family[FAMILIES], total;
  uint64_t pitches[2];   /* a bit for each pitch with a count above 0 */
} sounding_state;

/* `change` is 1 where a note starts, -1 where it stops. */
static void count_note(sounding_state *e, const span *s, int32_t change) {
  uint64_t bit = (uint64_t)1 << (s->pitch & 63);
  e->by_pitch[s->pitch] += change;
  if (e->by_pitch[s->pitch] > 0) e->pitches[s->pitch >> 6] |= bit;
  else e->pitches[s->pitch >> 6] &= ~bit;
  e->by_class[s->pitch % 12] += change;
  e->by_family[s->family] += change;
  e->total += change;
}

/* Lowest and highest pitch that sounds; undefined in silence. */
static int32_t lowest_of(const sounding_state *e) {
  return e->pitches[0] != 0 ? __builtin_ctzll(e->pitches[0]) : 64 + __builtin_ctzll(e->pitches[1]);
}

static int32_t highest_of(const sounding_state *e) {
  return e->pitches[1] != 0 ? 127 - __builtin_clzll(e->pitches[1])
                            : 63 - __builtin_clzll(e->pitches[0]);
}

/* ln(1 + n), from a table for small n: it is needed several times a step. */
typedef struct log_table { float value[64]; } log_table;

static void log_table_make(log_table *l) {
  for (int n = 0; n < 64; n++) l->value[n] = (float)log1p(n);
}

static float log_of(const log_table *l, size_t n) {
  return n < 64 ? l->value[n] : (float)log1p((double)n);
}

/* The family of a General MIDI program (0..127); programs come in groups of
 * eight similar instruments. */
static uint8_t family_of(int program) {
  static const uint8_t by_group[16] = {[3] = GUITARS, [5] = STRINGS, [6] = STRINGS, [7] = WINDS,
                                       [8] = WINDS, [9] = WINDS, [10] = SYNTHS, [11] = SYNTHS,
                                       [12] = SYNTHS};
  return by_group[program / 8 % 16];
}

/* The last tick that was looked up, and its step: notes of a chord share it. */
typedef struct lookup { int64_t tick; int32_t step; } lookup;

/* nd_grid_step with a cache of one entry. */
static int32_t step_of(lookup *last, const nd_grid *grid, int64_t tick) {
  if (tick != last->tick) *last = (lookup){tick, nd_grid_step(grid, (double)tick, NULL)};
  return last->step;
}

/* Puts the notes that are no drums on the grid, in order of start (the order of
 * the song). Returns how many there are. A note sounds for at least one step. */
static size_t lay_spans(span *spans, const nd_song *song, const nd_grid *grid) {
  size_t n = 0;
  bool has_bass = false;
  lookup starts = {.tick = -1}, stops = {.tick = -1};
  for (size_t i = 0; i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    if (nd_song_is_drum(song, note)) continue;
    int32_t start = step_of(&starts, grid, note->tick);
    if (start >= grid->n_steps) continue;
    int32_t stop = step_of(&stops, grid, (int64_t)note->tick + note->duration);
    bool bass = note->program >= 32 && note->program <= 39;  /* General MIDI basses */
    if (stop > grid->n_steps) stop = grid->n_steps;
    if (stop <= start) stop = start + 1;
    spans[n++] = (span){start, stop, note->pitch, note->velocity,
                        bass ? BASS : NO_BASS, family_of(note->program)};
    has_bass = has_bass || bass;
  }
  for (size_t i = 0; !has_bass && i < n; i++)
    if (spans[i].pitch < 60) spans[i].role = BASS_IF_LOWEST;
  return n;
}

/* Counting sort of the spans by the step where they stop: order[first[t]] ..
 * order[first[t + 1] - 1] are the spans that stop at step t. `first` has
 * n_steps + 2 zeros at the start, because notes may stop at the song's end. */
static void sort_stops(const span *spans, size_t n, size_t *first, size_t *order, int32_t n_steps) {
  for (size_t i = 0; i < n; i++) first[spans[i].stop + 1]++;
  for (int32_t t = 0; t <= n_steps; t++) first[t + 1] += first[t];
  for (size_t i = n; i-- > 0;) order[--first[spans[i].stop + 1]] = i;
  /* first[t + 1] has moved down to where step t begins: shift by one */
  memmove(first, first + 1, ((size_t)n_steps + 1) * sizeof *first);
  first[n_steps + 1] = n;
}

/* Cosine distance of two vectors of pitch classes; 0 where either is silent. */
static double cosine_distance(const double *a, const double *b) {
  double ab = 0, aa = 0, bb = 0;
  for (int c = 0; c < 12; c++) {
    ab += a[c] * b[c];
    aa += a[c] * a[c];
    bb += b[c] * b[c];
  }
  return aa > 0 && bb > 0 ? fmax(1 - ab / sqrt(aa * bb), 0) : 0;
}

/* Every metric that depends on notes. Walks the steps with a count of what
 * sounds; harmony is known only when its beat is complete. */
static void measure_notes(float *out, const span *spans, size_t n, const size_t *first,
                          const size_t *order, const nd_grid *grid) {
  sounding_state e = {.total = 0};
  double now[12] = {0}, last[12] = {0};
  int32_t beat = 0, root = -1;
  size_t next = 0;
  log_table l;
  log_table_make(&l);
  for (int32_t t = 0; t < grid->n_steps; t++) {
    float *m = out + (size_t)t * ND_N_METRICS;
    double velocity = 0;
    size_t low = 0, mid = 0, high = 0, begin = next;
    /* Notes that stop at this step go first: a note that is repeated sounds once. */
    int32_t top = 0;
    for (size_t i = first[t]; i < first[t + 1]; i++) count_note(&e, &spans[order[i]], -1);
    for (; next < n && spans[next].start == t; next++) {
      const span *s = &spans[next];
      count_note(&e, s, 1);
      velocity += s->velocity;
      if (s->pitch > top) top = s->pitch;
      if (s->pitch < 48) low++;
      else if (s->pitch < 72) mid++;
      else high++;
    }
    if (next > begin) {
      /* Bass and melody are among the notes that start here. The bass is the lowest of them
       * with a bass role; the melody is a note above everything that sounds. */
      int32_t lowest = lowest_of(&e), bass = 128;
      for (size_t i = begin; i < next; i++) {
        const span *s = &spans[i];
        bool is_bass = s->role == BASS || (s->role == BASS_IF_LOWEST && s->pitch == lowest);
        if (is_bass && s->pitch < bass) bass = s->pitch;
      }
      m[ND_M_BASS] = bass < 128;
      m[ND_M_ROOT] = bass < 128 && bass % 12 != root;
      if (bass < 128) root = bass % 12;
      m[ND_M_MELODY] = top == highest_of(&e);
      m[ND_M_LOUDNESS] = (float)(velocity / 127 / (double)(next - begin));
    }
    m[ND_M_ONSETS_LOW] = log_of(&l, low);
    m[ND_M_ONSETS_MID] = log_of(&l, mid);
    m[ND_M_ONSETS_HIGH] = log_of(&l, high);
    m[ND_M_SOUNDING] = log_of(&l, (size_t)e.total);
    m[ND_M_ENDINGS] = log_of(&l, first[t + 1] - first[t]);
    for (int k = GUITARS; k < FAMILIES; k++)
      m[ND_M_GUITARS + k - GUITARS] = log_of(&l, (size_t)e.by_family[k]);
    /* Harmony compares pitch classes of whole beats, weighted by how long they sound. */
    for (int c = 0; c < 12; c++) now[c] += e.by_class[c];
    bool ends = t + 1 == grid->n_steps || m[ND_N_METRICS + ND_M_ON_BEAT] > 0;
    if (ends) {
      float harmony = (float)cosine_distance(now, last);
      for (; beat <= t; beat++) out[(size_t)beat * ND_N_METRICS + ND_M_HARMONY] = harmony;
      memcpy(last, now, sizeof last);
      memset(now, 0, sizeof now);
    }
  }
}

/* log2(bpm / 120) of the k-th tempo; 120 bpm where there is none. */
static float tempo_of(const nd_song *song, size_t k) {
  double us = k < song->n_tempos ? song->tempos[k].us_per_quarter : 500000;
  return (float)clip(log2(500000 / fmax(us, 1)), 4);
}

/* The tempo in force at each step's tick. A logarithm is computed only where the
 * tempo changes. */
static void measure_tempo(float *out, const nd_song *song, const nd_grid *grid) {
  /* Tempos ascend by tick, and the first one is at tick 0. */
  size_t k = 0, measured = 0;
  float tempo = tempo_of(song, 0);
  for (int32_t t = 0; t < grid->n_steps; t++) {
    while (k + 1 < song->n_tempos && song->tempos[k + 1].tick <= grid->ticks[t]) k++;
    if (k != measured) tempo = tempo_of(song, measured = k);
    out[(size_t)t * ND_N_METRICS + ND_M_TEMPO] = tempo;
  }
}

/* Playing and progress. The song sounds from step `start` up to `stop`. */
static void measure_progress(float *out, int32_t start, int32_t stop, int32_t n_steps) {
  for (int32_t t = start; t < n_steps; t++) {
    float *m = out + (size_t)t * ND_N_METRICS;
    m[ND_M_PLAYING] = t < stop;
    m[ND_M_PROGRESS] = t < stop ? (float)(t - start) / (float)(stop - start) : 1;
  }
}

/* Onsets are collected for all notes first, because intensity is relative to the
 * whole song; contrast, recurrence and novelty are left to nd_similarity_metrics. */
nd_status nd_metrics_measure(float *out, const nd_song *song, const nd_grid *grid,
                             bool include_drums, nd_error *err) {
  size_t n_steps = (size_t)grid->n_steps;
  span *spans = nd_calloc(song->n_notes, sizeof *spans);
  size_t *order = nd_calloc(song->n_notes, sizeof *order);
  size_t *first = nd_calloc(n_steps + 2, sizeof *first);
  double *onsets = nd_calloc(n_steps, sizeof *onsets);
  nd_status status = ND_OK;
  if (spans == NULL || order == NULL || first == NULL || onsets == NULL) {
    status = nd_nomem(err);
  } else {
    nd_metrics_position(out, grid);
    measure_tempo(out, song, grid);
    size_t n = lay_spans(spans, song, grid);
    sort_stops(spans, n, first, order, grid->n_steps);
    measure_notes(out, spans, n, first, order, grid);
    int32_t stop = 0;
    for (size_t i = 0; i < n; i++) {
      onsets[spans[i].start]++;
      if (spans[i].stop > stop) stop = spans[i].stop;
    }
    if (n > 0) measure_progress(out, spans[0].start, stop, grid->n_steps);
    /* The 2023 system counts drums as well; they are not among the spans. */
    for (size_t i = 0; include_drums && i < song->n_notes; i++) {
      if (!nd_song_is_drum(song, &song->notes[i])) continue;
      int32_t step = nd_grid_step(grid, song->notes[i].tick, NULL);
      if (step < grid->n_steps) onsets[step]++;
    }
    nd_metrics_normalise(onsets, n_steps);
    for (size_t t = 0; t < n_steps; t++) onsets[t] = clip(onsets[t], 4);
    nd_metrics_set_intensity(out, grid, onsets);
    /* What a corpus stores: nothing is lost by storing it then. */
    nd_half_round_all(out, n_steps * ND_N_METRICS);
  }
  free(spans);
  free(order);
  free(first);
  free(onsets);
  return status;
}
