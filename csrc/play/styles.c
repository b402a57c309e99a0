#include "styles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Mean and standard deviation of every metric over the steps that play. */
static void song_traits(const nd_sequence *seq, float *out) {
  double sum[ND_N_METRICS] = {0}, squares[ND_N_METRICS] = {0}, n = 0;
  for (int32_t t = 0; t < nd_sequence_steps(seq); t++) {
    const float *m = seq->metrics + (size_t)t * ND_N_METRICS;
    if (m[ND_M_PLAYING] == 0.0f) continue;
    n += 1;
    for (int k = 0; k < ND_N_METRICS; k++) {
      sum[k] += (double)m[k];
      squares[k] += (double)m[k] * (double)m[k];
    }
  }
  for (int k = 0; k < ND_N_METRICS; k++) {
    double mean = n > 0 ? sum[k] / n : 0, var = n > 0 ? squares[k] / n - mean * mean : 0;
    out[2 * k] = (float)mean;
    out[2 * k + 1] = var > 0 ? (float)sqrt(var) : 0.0f;
  }
}

static bool has_hits(const nd_sequence *seq) { return seq->first[nd_sequence_steps(seq)] > 0; }

/* A song's name without its folders, and without what a line cannot hold. */
static nd_status add_name(char **names, size_t *n, size_t *capacity, const char *path) {
  const char *slash = strrchr(path, '/');
  const char *name = slash != NULL ? slash + 1 : path;
  size_t length = strlen(name);
  if (!nd_reserve((void **)names, capacity, *n + length + 2, 1)) return ND_NOMEM;
  for (size_t i = 0; i < length; i++)
    (*names)[(*n)++] = (unsigned char)name[i] < 0x20 ? ' ' : name[i];
  (*names)[(*n)++] = '\n';
  (*names)[*n] = '\0';
  return ND_OK;
}

nd_status nd_styles_learn(nd_styles *s, const nd_corpus *corpus, int32_t split, nd_error *err) {
  int32_t songs = nd_corpus_count(corpus);
  nd_styles learnt = {.size = nd_style_size(nd_corpus_tokeniser(corpus)->kit.n_voices)};
  size_t used = 0, capacity = 0;
  learnt.style = nd_calloc((size_t)songs * (size_t)learnt.size, sizeof *learnt.style);
  learnt.song = nd_calloc((size_t)songs * ND_SONG_TRAITS, sizeof *learnt.song);
  nd_status status = learnt.style && learnt.song ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
  for (int32_t i = 0; i < songs && status == ND_OK; i++) {
    if (split >= 0 && (int32_t)nd_corpus_split(corpus, i) != split) continue;
    nd_sequence *seq;
    status = nd_corpus_read(corpus, i, &seq, err);
    if (status != ND_OK) break;
    if (has_hits(seq)) {
      nd_style_measure(seq, learnt.style + (size_t)learnt.n * (size_t)learnt.size);
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
  nd_styles_clear(s);
  *s = learnt;
  return ND_OK;
}

void nd_styles_clear(nd_styles *s) {
  free(s->style);
  free(s->song);
  free(s->names);
  memset(s, 0, sizeof *s);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* 1 / variance of each trait over the table; 0 where it does not vary. */
static void weights(const nd_styles *s, double *w) {
  for (int32_t k = 0; k < ND_SONG_TRAITS; k++) {
    w[k] = 0.0;
    if (nd_metric_is_place(k / 2) && k / 2 != ND_M_METER) continue;
    double sum = 0, squares = 0;
    for (int32_t i = 0; i < s->n; i++) {
      double x = (double)s->song[(size_t)i * ND_SONG_TRAITS + (size_t)k];
      sum += x;
      squares += x * x;
    }
    double mean = sum / s->n, var = squares / s->n - mean * mean;
    if (var > 1e-9) w[k] = 1.0 / var;
  }
}

/* How many styles of the table are like style `i`, 1 at least: itself. */
static double company(const nd_styles *s, int32_t i) {
  const double near = 0.2;  /* of a distance between styles, whose numbers are 0..1 */
  const float *own = s->style + (size_t)i * (size_t)s->size;
  double sum = 0;
  for (int32_t j = 0; j < s->n; j++) {
    const float *other = s->style + (size_t)j * (size_t)s->size;
    double distance = 0;
    for (int32_t k = 0; k < s->size; k++)
      distance += ((double)own[k] - (double)other[k]) * ((double)own[k] - (double)other[k]);
    sum += exp(-distance / (2.0 * near * near));
  }
  return sum;
}

nd_status nd_styles_odds(const nd_styles *s, const nd_sequence *song, float *odds, nd_error *err) {
  enum { NEAR = 8 };
  if (s->n == 0) return ND_OK;
  double *distance = nd_calloc(2 * (size_t)s->n, sizeof *distance);
  if (distance == NULL) return nd_fail(err, ND_NOMEM, "out of memory");
  double *sorted = distance + s->n;
  float traits[ND_SONG_TRAITS];
  double w[ND_SONG_TRAITS], total = 0;
  song_traits(song, traits);
  weights(s, w);
  for (int32_t i = 0; i < s->n; i++) {
    for (int32_t k = 0; k < ND_SONG_TRAITS; k++) {
      double d = (double)traits[k] - (double)s->song[(size_t)i * ND_SONG_TRAITS + (size_t)k];
      distance[i] += d * d * w[k];
    }
    sorted[i] = distance[i];
  }
  qsort(sorted, (size_t)s->n, sizeof *sorted, ascending);
  double scale = sorted[s->n > NEAR ? NEAR : s->n - 1] - sorted[0] + 1e-9;
  for (int32_t i = 0; i < s->n; i++) {
    odds[i] = (float)(exp(-2.0 * (distance[i] - sorted[0]) / scale) * sqrt(company(s, i)));
    total += (double)odds[i];
  }
  for (int32_t i = 0; i < s->n; i++) odds[i] = (float)((double)odds[i] / total);
  free(distance);
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
