#include "metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "self_similarity.h"

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

bool nd_metric_is_place(int metric) {
  return (metric >= ND_M_BEAT_SIN && metric <= ND_M_METER) || metric == ND_M_PLAYING;
}

bool nd_metric_is_ahead(int metric) { return metric >= ND_M_CONTRAST && metric <= ND_M_PROGRESS; }

const char *nd_metric_name(int metric) {
  return metric >= 0 && metric < ND_N_METRICS ? names[metric] : NULL;
}

static double clip(double x, double limit) { return x < -limit ? -limit : x > limit ? limit : x; }

static double deviation(const double *x, size_t n, double *mean) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) sum += x[i];
  *mean = sum / (double)n;
  for (size_t i = 0; i < n; i++) squares += (x[i] - *mean) * (x[i] - *mean);
  return sqrt(squares / (double)n);
}

void nd_metrics_normalise(double *x, size_t n) {
  double mean, sd;
  if (n == 0) return;
  sd = deviation(x, n, &mean);
  double low = mean - 2 * sd, high = mean + 2 * sd;
  size_t before = n;  /* the last inlier */
  for (size_t i = 0; sd > 0 && i < n;) {
    size_t after = i;
    while (after < n && !(x[after] > low && x[after] < high)) after++;
    if (after > i) {
      /* there is one on some side: by Chebyshev three in four are inliers */
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

/* Quarters in a bar by its meter, cut short or not. */
static double quarters(const nd_bar *bar) { return 4.0 * bar->numerator / bar->denominator; }

/* A phase on the circle, in half precision. The same place of one bar after
 * another has the same phase. */
typedef struct circle { double phase; float sin, cos; } circle;
enum { KNOWN = 64 };  /* places of a bar */

static void put_circle(float *at, circle *known, int32_t place, double phase) {
  circle fresh = {.phase = NAN}, *c = place < KNOWN ? &known[place] : &fresh;
  if (c->phase != phase) {
    c->phase = phase;
    c->sin = nd_half_round((float)sin(6.283185307179586 * phase));
    c->cos = nd_half_round((float)cos(6.283185307179586 * phase));
  }
  at[0] = c->sin;
  at[1] = c->cos;
}

void nd_metrics_place(float *out, const nd_grid *grid) {
  circle beat[KNOWN], in_bar[KNOWN], phrase[4][KNOWN];
  for (int i = 0; i < KNOWN; i++) {
    beat[i].phase = in_bar[i].phase = NAN;
    for (int k = 0; k < 4; k++) phrase[k][i].phase = NAN;
  }
  /* phrases count from the bar after a pickup */
  int32_t pickup = grid->n_bars > 1 && quarters(&grid->bars[0]) < quarters(&grid->bars[1]);
  for (int32_t b = 0; b < grid->n_bars; b++) {
    const nd_bar *bar = &grid->bars[b];
    int32_t stop = b + 1 < grid->n_bars ? grid->bars[b + 1].step : grid->n_steps;
    int32_t of_four = (b + 4 - pickup) % 4, into = 0;
    double length = quarters(bar);
    float meter = nd_half_round((float)fmin(length / 4, 4));
    for (int32_t t = bar->step; t < stop; t++) {
      float *m = out + (size_t)t * ND_N_METRICS;
      double gone = (grid->ticks[t] - grid->ticks[bar->step]) / grid->ppq / length;
      if (gone > 1) gone = 1;
      put_circle(m + ND_M_BEAT_SIN, beat, into, (double)into / grid->steps_per_beat);
      put_circle(m + ND_M_BAR_SIN, in_bar, t - bar->step, gone);
      put_circle(m + ND_M_PHRASE_SIN, phrase[of_four], t - bar->step, (of_four + gone) / 4);
      m[ND_M_DOWNBEAT] = t == bar->step;
      m[ND_M_ON_BEAT] = into == 0;
      m[ND_M_METER] = meter;
      if (++into == grid->steps_per_beat) into = 0;
    }
  }
}

void nd_metrics_set_intensity(float *out, const nd_grid *grid, const double *intensity) {
  for (int32_t b = 0; b < grid->n_bars; b++) {
    int32_t start = grid->bars[b].step;
    int32_t stop = b + 1 < grid->n_bars ? grid->bars[b + 1].step : grid->n_steps;
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

/* A note on the grid: from step `start` to before step `stop`. */
typedef struct span {
  int32_t start, stop;
  uint8_t pitch, velocity;
  uint8_t role, family;
} span;

enum { NO_BASS, BASS_IF_LOWEST, BASS };                            /* roles */
enum { OTHERS, GUITARS, STRINGS, WINDS, SYNTHS, FAMILIES };

/* What sounds while the steps go by. */
typedef struct ear {
  int32_t of_pitch[128], of_class[12], of_family[FAMILIES], sounding;
  uint64_t held[2];   /* a bit for each pitch that sounds */
} ear;

static void hear(ear *e, const span *s, int32_t change) {
  uint64_t bit = (uint64_t)1 << (s->pitch & 63);
  e->of_pitch[s->pitch] += change;
  if (e->of_pitch[s->pitch] > 0) e->held[s->pitch >> 6] |= bit;
  else e->held[s->pitch >> 6] &= ~bit;
  e->of_class[s->pitch % 12] += change;
  e->of_family[s->family] += change;
  e->sounding += change;
}

/* While something sounds. */
static int32_t lowest_of(const ear *e) {
  return e->held[0] != 0 ? __builtin_ctzll(e->held[0]) : 64 + __builtin_ctzll(e->held[1]);
}

static int32_t highest_of(const ear *e) {
  return e->held[1] != 0 ? 127 - __builtin_clzll(e->held[1]) : 63 - __builtin_clzll(e->held[0]);
}

/* ln(1 + n), asked for time and again of small n. */
typedef struct logs { float of[64]; } logs;

static void logs_make(logs *l) {
  for (int n = 0; n < 64; n++) l->of[n] = (float)log1p(n);
}

static float log_of(const logs *l, size_t n) { return n < 64 ? l->of[n] : (float)log1p((double)n); }

/* By General MIDI program, from 0. */
static uint8_t family_of(int program) {
  static const uint8_t of_eight[16] = {[3] = GUITARS, [5] = STRINGS, [6] = STRINGS, [7] = WINDS,
                                       [8] = WINDS, [9] = WINDS, [10] = SYNTHS, [11] = SYNTHS,
                                       [12] = SYNTHS};
  return of_eight[program / 8 % 16];
}

/* A tick and its step: notes of a chord have the same. */
typedef struct place { int64_t tick; int32_t step; } place;

static int32_t step_of(place *last, const nd_grid *grid, int64_t tick) {
  if (tick != last->tick) *last = (place){tick, nd_grid_step(grid, (double)tick, NULL)};
  return last->step;
}

/* The notes beside the drums, in order of start. */
static size_t lay_spans(span *spans, const nd_song *song, const nd_grid *grid) {
  size_t n = 0;
  bool has_bass = false;
  place starts = {.tick = -1}, stops = {.tick = -1};
  for (size_t i = 0; i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    if (nd_song_is_drum(song, note)) continue;
    int32_t start = step_of(&starts, grid, note->tick);
    if (start >= grid->n_steps) continue;
    int32_t stop = step_of(&stops, grid, (int64_t)note->tick + note->duration);
    bool bass = note->program >= 32 && note->program <= 39;  /* as General MIDI has it */
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

/* Indices of the spans by the step where they stop: those of step t are
 * order[first[t]] .. order[first[t + 1] - 1]. */
static void sort_stops(const span *spans, size_t n, size_t *first, size_t *order, int32_t n_steps) {
  for (size_t i = 0; i < n; i++) first[spans[i].stop + 1]++;
  for (int32_t t = 0; t <= n_steps; t++) first[t + 1] += first[t];
  for (size_t i = n; i-- > 0;) order[--first[spans[i].stop + 1]] = i;
  /* each entry has moved down to where its step begins, one place up */
  memmove(first, first + 1, ((size_t)n_steps + 1) * sizeof *first);
  first[n_steps + 1] = n;
}

/* 1 - cosine; 0 where either is silent. */
static double turn(const double *a, const double *b) {
  double ab = 0, aa = 0, bb = 0;
  for (int c = 0; c < 12; c++) {
    ab += a[c] * b[c];
    aa += a[c] * a[c];
    bb += b[c] * b[c];
  }
  return aa > 0 && bb > 0 ? fmax(1 - ab / sqrt(aa * bb), 0) : 0;
}

static void measure_notes(float *out, const span *spans, size_t n, const size_t *first,
                          const size_t *order, const nd_grid *grid) {
  ear e = {.sounding = 0};
  double now[12] = {0}, last[12] = {0};
  int32_t beat = 0, root = -1;
  size_t next = 0;
  logs l;
  logs_make(&l);
  for (int32_t t = 0; t < grid->n_steps; t++) {
    float *m = out + (size_t)t * ND_N_METRICS;
    double velocity = 0;
    size_t low = 0, mid = 0, high = 0, begin = next;
    int32_t top = 0;
    for (size_t i = first[t]; i < first[t + 1]; i++) hear(&e, &spans[order[i]], -1);
    for (; next < n && spans[next].start == t; next++) {
      const span *s = &spans[next];
      hear(&e, s, 1);
      velocity += s->velocity;
      if (s->pitch > top) top = s->pitch;
      if (s->pitch < 48) low++;
      else if (s->pitch < 72) mid++;
      else high++;
    }
    if (next > begin) {
      int32_t lowest = lowest_of(&e), bass = 128;
      for (size_t i = begin; i < next; i++)
        if ((spans[i].role == BASS || (spans[i].role == BASS_IF_LOWEST && spans[i].pitch == lowest)) &&
            spans[i].pitch < bass)
          bass = spans[i].pitch;
      m[ND_M_BASS] = bass < 128;
      m[ND_M_ROOT] = bass < 128 && bass % 12 != root;
      if (bass < 128) root = bass % 12;
      m[ND_M_MELODY] = top == highest_of(&e);
      m[ND_M_LOUDNESS] = (float)(velocity / 127 / (double)(next - begin));
    }
    m[ND_M_ONSETS_LOW] = log_of(&l, low);
    m[ND_M_ONSETS_MID] = log_of(&l, mid);
    m[ND_M_ONSETS_HIGH] = log_of(&l, high);
    m[ND_M_SOUNDING] = log_of(&l, (size_t)e.sounding);
    m[ND_M_ENDINGS] = log_of(&l, first[t + 1] - first[t]);
    for (int k = GUITARS; k < FAMILIES; k++)
      m[ND_M_GUITARS + k - GUITARS] = log_of(&l, (size_t)e.of_family[k]);
    for (int c = 0; c < 12; c++) now[c] += e.of_class[c];
    bool ends = t + 1 == grid->n_steps || m[ND_N_METRICS + ND_M_ON_BEAT] > 0;
    if (ends) {  /* the beat is over: its harmony is known */
      float harmony = (float)turn(now, last);
      for (; beat <= t; beat++) out[(size_t)beat * ND_N_METRICS + ND_M_HARMONY] = harmony;
      memcpy(last, now, sizeof last);
      memset(now, 0, sizeof now);
    }
  }
}

static float tempo_of(const nd_song *song, size_t k) {
  double us = k < song->n_tempos ? song->tempos[k].us_per_quarter : 500000;
  return (float)clip(log2(500000 / fmax(us, 1)), 4);
}

static void measure_tempo(float *out, const nd_song *song, const nd_grid *grid) {
  size_t k = 0, known = 0;
  float tempo = tempo_of(song, 0);
  for (int32_t t = 0; t < grid->n_steps; t++) {
    while (k + 1 < song->n_tempos && song->tempos[k + 1].tick <= grid->ticks[t]) k++;
    if (k != known) tempo = tempo_of(song, known = k);
    out[(size_t)t * ND_N_METRICS + ND_M_TEMPO] = tempo;
  }
}

/* From the first sounding step to before `stop`. */
static void measure_progress(float *out, int32_t start, int32_t stop, int32_t n_steps) {
  for (int32_t t = start; t < n_steps; t++) {
    out[(size_t)t * ND_N_METRICS + ND_M_PLAYING] = t < stop;
    out[(size_t)t * ND_N_METRICS + ND_M_PROGRESS] = t < stop ? (float)(t - start) / (float)(stop - start) : 1;
  }
}

/* What is said of a bar by its likeness to others. */
static nd_status measure_form(float *out, const nd_grid *grid, nd_error *err) {
  nd_similarity l;
  int32_t *of = nd_calloc((size_t)grid->n_bars, sizeof *of);
  float *how = nd_calloc((size_t)grid->n_bars, sizeof *how);
  nd_status status = of && how ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  if (status == ND_OK) status = nd_similarity_make(&l, out, grid, err);
  if (status == ND_OK) {
    nd_similarity_recurrence(&l, grid, of, how);
    for (int32_t b = 0; b < grid->n_bars; b++) {
      int32_t stop = b + 1 < grid->n_bars ? grid->bars[b + 1].step : grid->n_steps;
      float bar[3] = {b > 0 ? 1.0f - nd_similarity_at(&l, b, b - 1) : 0.0f, how[b],
                      nd_similarity_novelty(&l, b)};
      for (int k = 0; k < 3; k++) bar[k] = nd_half_round((float)clip((double)bar[k], 4));
      for (int32_t t = grid->bars[b].step; t < stop; t++) {
        float *m = out + (size_t)t * ND_N_METRICS;
        m[ND_M_CONTRAST] = bar[0];
        m[ND_M_RECURRENCE] = bar[1];
        m[ND_M_NOVELTY] = bar[2];
      }
    }
    nd_similarity_clear(&l);
  }
  free(of);
  free(how);
  return status;
}

nd_status nd_metrics_measure(float *out, const nd_song *song, const nd_grid *grid,
                             bool include_drums, nd_error *err) {
  size_t n_steps = (size_t)grid->n_steps;
  span *spans = nd_calloc(song->n_notes, sizeof *spans);
  size_t *order = nd_calloc(song->n_notes, sizeof *order);
  size_t *first = nd_calloc(n_steps + 2, sizeof *first);
  double *onsets = nd_calloc(n_steps, sizeof *onsets);
  nd_status status = ND_OK;
  if (spans == NULL || order == NULL || first == NULL || onsets == NULL) {
    status = nd_fail(err, ND_NOMEM, "out of memory");
  } else {
    nd_metrics_place(out, grid);
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
    for (size_t i = 0; include_drums && i < song->n_notes; i++) {
      if (!nd_song_is_drum(song, &song->notes[i])) continue;
      int32_t step = nd_grid_step(grid, song->notes[i].tick, NULL);
      if (step < grid->n_steps) onsets[step]++;
    }
    nd_metrics_normalise(onsets, n_steps);
    for (size_t t = 0; t < n_steps; t++) onsets[t] = clip(onsets[t], 4);
    nd_metrics_set_intensity(out, grid, onsets);
    /* of what a corpus stores, so that it can be measured again from there */
    nd_half_round_all(out, n_steps * ND_N_METRICS);
    status = measure_form(out, grid, err);
  }
  free(spans);
  free(order);
  free(first);
  free(onsets);
  return status;
}
