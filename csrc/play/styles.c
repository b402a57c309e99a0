#include "styles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/utf8.h"

static const int profiled[] = {ND_M_BASS, ND_M_ONSETS_LOW, ND_M_ONSETS_MID, ND_M_ONSETS_HIGH};
enum { PROFILED = sizeof profiled / sizeof *profiled };

/* Over the steps that play. */
static void song_traits(const nd_sequence *seq, float *out) {
  double sum[ND_N_METRICS] = {0}, squares[ND_N_METRICS] = {0}, n = 0;
  double struck[PROFILED][ND_SONG_PLACES] = {{0}}, at[ND_SONG_PLACES] = {0};
  const nd_grid *grid = &seq->grid;
  int32_t bar = 0;
  for (int32_t t = 0; t < grid->n_steps; t++) {
    while (bar + 1 < grid->n_bars && grid->bars[bar + 1].step <= t) bar++;
    const float *m = seq->metrics + (size_t)t * ND_N_METRICS;
    if (m[ND_M_PLAYING] == 0.0f) continue;
    n += 1;
    for (int k = 0; k < ND_N_METRICS; k++) {
      sum[k] += (double)m[k];
      squares[k] += (double)m[k] * (double)m[k];
    }
    int32_t place = (t - grid->bars[bar].step) * 4 / grid->steps_per_beat % ND_SONG_PLACES;
    at[place] += 1;
    for (size_t k = 0; k < PROFILED; k++) struck[k][place] += m[profiled[k]] > 0.0f;
  }
  for (int k = 0; k < ND_N_METRICS; k++) {
    double mean = n > 0 ? sum[k] / n : 0, var = n > 0 ? squares[k] / n - mean * mean : 0;
    *out++ = (float)mean;
    *out++ = var > 0 ? (float)sqrt(var) : 0.0f;
  }
  for (size_t k = 0; k < PROFILED; k++)
    for (int p = 0; p < ND_SONG_PLACES; p++)
      *out++ = at[p] > 0 ? (float)sqrt(struck[k][p] / at[p]) : 0.0f;
}

static bool has_hits(const nd_sequence *seq) { return seq->first[nd_sequence_steps(seq)] > 0; }

/* A song's name without its folders, and without what a line of UTF-8 cannot hold. */
static nd_status add_name(char **names, size_t *n, size_t *capacity, const char *path) {
  const char *slash = strrchr(path, '/');
  const char *name = slash != NULL ? slash + 1 : path;
  char *text = nd_utf8_copy(name, strlen(name));
  size_t length = text != NULL ? strlen(text) : 0;
  bool room = text != NULL && ND_GROW(*names, *n + length + 2, *capacity);
  for (size_t i = 0; i < length && room; i++)
    (*names)[(*n)++] = (unsigned char)text[i] < 0x20 ? ' ' : text[i];
  free(text);
  if (!room) return ND_NOMEM;
  (*names)[(*n)++] = '\n';
  (*names)[*n] = '\0';
  return ND_OK;
}

static bool in_split(const nd_corpus *corpus, int32_t song, int32_t split) {
  return split < 0 || (int32_t)nd_corpus_split(corpus, song) == split;
}

nd_status nd_styles_learn(nd_styles *out, const nd_corpus *corpus, int32_t split, int32_t most,
                          nd_error *err) {
  int32_t songs = nd_corpus_count(corpus), all = 0, room;
  for (int32_t i = 0; i < songs; i++) all += in_split(corpus, i, split);
  room = all < most ? all : most;
  int32_t voices = nd_corpus_tokeniser(corpus)->kit.n_voices;
  nd_styles learnt = {.voices = voices, .size = nd_style_size(voices)};
  size_t used = 0, capacity = 0;
  learnt.style = nd_calloc((size_t)room * (size_t)learnt.size, sizeof *learnt.style);
  learnt.song = nd_calloc((size_t)room * ND_SONG_TRAITS, sizeof *learnt.song);
  learnt.near = nd_calloc(ND_SONG_TRAITS * ND_STYLES_PROJECTED, sizeof *learnt.near);
  nd_status status = learnt.style && learnt.song && learnt.near ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  int64_t number = 0;
  for (int32_t i = 0; i < songs && status == ND_OK; i++) {
    if (!in_split(corpus, i, split)) continue;
    number++;
    if ((double)number * room <= (double)learnt.n * all) continue;  /* so many there should be */
    nd_sequence *seq;
    status = nd_corpus_read(corpus, i, &seq, err);
    if (status != ND_OK) break;
    if (has_hits(seq)) {
      (void)nd_style_measure(seq, NULL, learnt.style + (size_t)learnt.n * (size_t)learnt.size);
      song_traits(seq, learnt.song + (size_t)learnt.n * ND_SONG_TRAITS);
      if (add_name(&learnt.names, &used, &capacity, nd_corpus_name(corpus, i)) != ND_OK)
        status = nd_fail(err, ND_NOMEM, "out of memory");
      learnt.n++;
    }
    nd_sequence_free(seq);
  }
  if (status != ND_OK) {
    nd_styles_clear(&learnt);
    return status;
  }
  *out = learnt;
  return ND_OK;
}

void nd_styles_replace(nd_styles *s, nd_styles *by) {
  uint64_t edition = s->edition + 1;
  nd_styles_clear(s);
  *s = *by;
  s->edition = edition;
  *by = (nd_styles){.n = 0};
}

void nd_styles_clear(nd_styles *s) {
  free(s->style);
  free(s->song);
  free(s->near);
  free(s->names);
  memset(s, 0, sizeof *s);
}

float nd_styles_agree(const nd_styles *s, int32_t a, int32_t b) {
  int32_t V = s->voices;
  const float *x = s->style + (size_t)a * (size_t)s->size + nd_style_traits(V);
  const float *y = s->style + (size_t)b * (size_t)s->size + nd_style_traits(V);
  float both = 0, all = 0;
  for (int32_t i = 0; i < ND_SONG_PLACES * V; i++) {
    float least = x[i] < y[i] ? x[i] : y[i];
    both += least * least;  /* styles have square roots of rates */
    all += x[i] * x[i] + y[i] * y[i];
  }
  return all > 0.0f ? 2.0f * both / all : 1.0f;
}

/* A song as the projection has it. */
static void project(const nd_styles *s, const float *traits, float *out) {
  memset(out, 0, ND_STYLES_PROJECTED * sizeof *out);
  for (int k = 0; k < ND_SONG_TRAITS; k++)
    for (int i = 0; i < ND_STYLES_PROJECTED; i++) out[i] += traits[k] * s->near[k * ND_STYLES_PROJECTED + i];
}

/* How near each style's song is, adding up to 1. */
static void vote(const nd_styles *s, const float *here, float *near) {
  float there[ND_STYLES_PROJECTED], least = INFINITY;
  double total = 0;
  for (int32_t i = 0; i < s->n; i++) {
    project(s, s->song + (size_t)i * ND_SONG_TRAITS, there);
    near[i] = 0.0f;
    for (int k = 0; k < ND_STYLES_PROJECTED; k++) near[i] += (here[k] - there[k]) * (here[k] - there[k]);
    if (near[i] < least) least = near[i];
  }
  for (int32_t i = 0; i < s->n; i++) total += (double)(near[i] = expf(least - near[i]));
  for (int32_t i = 0; i < s->n; i++) near[i] = (float)((double)near[i] / total);
}

/* Hits of a style's groove in four beats. */
static float hits_of(const nd_styles *s, int32_t i) {
  const float *x = s->style + (size_t)i * (size_t)s->size + nd_style_traits(s->voices);
  float sum = 0;
  for (int32_t k = 0; k < ND_SONG_PLACES * s->voices; k++) sum += x[k] * x[k];
  return sum;
}

nd_status nd_styles_weights(const nd_styles *s, const nd_sequence *song, float *odds, nd_error *err) {
  const float sure = 25.0f;    /* of agreement: how much more it makes a style likely */
  const float measure = 10.0f; /* and how much less one of more hits, or fewer, than voted for */
  const float least = 0.02f;   /* of the likeliest: votes that are worth the counting */
  if (s->n == 0) return ND_OK;
  float *near = nd_calloc((size_t)s->n, sizeof *near);
  if (near == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  float traits[ND_SONG_TRAITS], here[ND_STYLES_PROJECTED], nearest = 0.0f, most = -INFINITY, usual = 0.0f;
  double total = 0;
  song_traits(song, traits);
  project(s, traits, here);
  vote(s, here, near);
  for (int32_t i = 0; i < s->n; i++) {
    nearest = fmaxf(nearest, near[i]);
    usual += near[i] * hits_of(s, i);
  }
  for (int32_t i = 0; i < s->n; i++) {
    float agreed = 0.0f, more = logf((hits_of(s, i) + 0.1f) / (usual + 0.1f));
    for (int32_t j = 0; j < s->n; j++)
      if (near[j] >= least * nearest) agreed += near[j] * nd_styles_agree(s, i, j);
    odds[i] = sure * agreed - measure * more * more;
    if (odds[i] > most) most = odds[i];
  }
  for (int32_t i = 0; i < s->n; i++) total += (double)(odds[i] = expf(odds[i] - most));
  for (int32_t i = 0; i < s->n; i++) odds[i] = (float)((double)odds[i] / total);
  free(near);
  return ND_OK;
}

int32_t nd_styles_draw(const nd_styles *s, const float *odds, nd_rng *rng) {
  float at = nd_rng_float(rng);
  for (int32_t i = 0; i < s->n; i++) {
    at -= odds[i];
    if (at < 0.0f) return i;
  }
  return s->n - 1;
}

const char *nd_styles_name(const nd_styles *s, int32_t i, size_t *n) {
  const char *line = s->names;
  for (; i > 0; i--) line = strchr(line, '\n') + 1;
  *n = strcspn(line, "\n");
  return line;
}
