#include "styles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buffer.h"
#include "../base/utf8.h"

/* Learning measures each song of a corpus once: its style from the drums (style.h), its
 * traits from everything else. Choosing compares the traits of a new song with those of
 * all known songs, lets the similar ones vote, and scores every style by how well its
 * groove agrees with what was voted for. With n styles of V voices this takes n * n * 16 V
 * operations at most, once per song: about 0.1 s for 1000 styles. */

/* ------------------------------------------------------------------- learning */

/* Metrics whose onsets are profiled over four beats: they show the rhythm of the
 * accompaniment, which means and deviations do not. */
static const int profiled[] = {ND_M_BASS, ND_M_ONSETS_LOW, ND_M_ONSETS_MID, ND_M_ONSETS_HIGH};
enum { PROFILED = sizeof profiled / sizeof *profiled };

/* Sums over the steps of a song on which it plays, in double precision: songs have
 * thousands of steps, and the variance is a difference of sums. */
typedef struct trait_sums {
  double n, sum[ND_N_METRICS], squares[ND_N_METRICS];
  double steps[ND_SONG_PLACES], onsets[PROFILED][ND_SONG_PLACES];
} trait_sums;

/* Steps before the song's first note and after its last are left out: they would make a
 * long silence a trait of its music. */
static void sum_traits(const nd_sequence *seq, trait_sums *s) {
  const nd_grid *grid = &seq->grid;
  *s = (trait_sums){.n = 0};
  for (int32_t t = 0; t < grid->n_steps; t++) {
    const float *m = seq->metrics + (size_t)t * ND_N_METRICS;
    if (m[ND_M_PLAYING] == 0.0f) continue;
    s->n += 1;
    for (int k = 0; k < ND_N_METRICS; k++) {
      s->sum[k] += (double)m[k];
      s->squares[k] += (double)m[k] * (double)m[k];
    }
    /* the sixteenth of four beats; longer bars wrap around */
    int32_t step_in_bar = t - grid->bars[nd_grid_bar(grid, t)].step;
    int32_t sixteenth = step_in_bar * 4 / grid->steps_per_beat % ND_SONG_PLACES;
    s->steps[sixteenth] += 1;
    for (size_t k = 0; k < PROFILED; k++) s->onsets[k][sixteenth] += m[profiled[k]] > 0.0f;
  }
}

/* Fills out (ND_SONG_TRAITS) in the order that styles.h gives; a song that never plays
 * gives zeros. The square root spreads small rates, as in style.h. */
static void song_traits(const nd_sequence *seq, float *out) {
  trait_sums s;
  sum_traits(seq, &s);
  for (int k = 0; k < ND_N_METRICS; k++) {
    double mean = s.n > 0 ? s.sum[k] / s.n : 0;
    /* rounding can make the variance of a constant slightly negative */
    double variance = s.n > 0 ? s.squares[k] / s.n - mean * mean : 0;
    *out++ = (float)mean;
    *out++ = variance > 0 ? (float)sqrt(variance) : 0.0f;
  }
  for (size_t k = 0; k < PROFILED; k++)
    for (int p = 0; p < ND_SONG_PLACES; p++)
      *out++ = s.steps[p] > 0 ? (float)sqrt(s.onsets[k][p] / s.steps[p]) : 0.0f;
}

/* Appends a song's name as one line: without its folders, as valid UTF-8, which
 * a checkpoint's metadata has to be, and with spaces for control characters. */
static void add_name(nd_buffer *names, const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
  char *text = nd_utf8_copy(name, strlen(name));
  for (char *p = text; p != NULL && *p != '\0'; p++)
    if ((unsigned char)*p < 0x20) *p = ' ';
  if (text != NULL) nd_buffer_put(names, text, strlen(text));
  nd_buffer_put(names, "\n", 1);
  /* a name that is missing would shift all later ones */
  names->failed = names->failed || text == NULL;
  free(text);
}

/* Whether a song counts: split -1 takes all of the corpus. */
static bool in_split(const nd_corpus *corpus, int32_t song, int32_t split) {
  return split < 0 || (int32_t)nd_corpus_split(corpus, song) == split;
}

/* Measures one song of the corpus, reading and freeing it, so that memory does not grow
 * with the corpus; one without drums adds no style. */
static nd_status add_style(nd_styles *s, const nd_corpus *corpus, int32_t song, nd_buffer *names,
                           nd_error *err) {
  nd_sequence *seq;
  nd_status status = nd_corpus_read(corpus, song, &seq, err);
  if (status != ND_OK) return status;
  if (seq->first[nd_sequence_steps(seq)] > 0) {
    (void)nd_style_measure(seq, NULL, s->style + (size_t)s->n * (size_t)s->size);
    song_traits(seq, s->song + (size_t)s->n * ND_SONG_TRAITS);
    add_name(names, nd_corpus_name(corpus, song));
    s->n++;
  }
  nd_sequence_free(seq);
  return ND_OK;
}

/* On failure some arrays may be there: nd_styles_clear() frees them. */
nd_status nd_styles_allocate(nd_styles *s, int32_t capacity, int32_t voices, nd_error *err) {
  s->voices = voices;
  s->size = nd_style_size(voices);
  s->style = nd_calloc((size_t)capacity * (size_t)s->size, sizeof *s->style);
  s->song = nd_calloc((size_t)capacity * ND_SONG_TRAITS, sizeof *s->song);
  s->projection = nd_calloc(ND_SONG_TRAITS * ND_STYLES_PROJECTED, sizeof *s->projection);
  return s->style && s->song && s->projection ? ND_OK : nd_nomem(err);
}

/* Songs without drums add no style, so that there may be fewer than `max` even of a large
 * corpus. A song that cannot be read fails the whole. */
nd_status nd_styles_learn(nd_styles *out, const nd_corpus *corpus, int32_t split, int32_t max,
                          nd_error *err) {
  int32_t songs = nd_corpus_count(corpus), all = 0;
  for (int32_t i = 0; i < songs; i++) all += in_split(corpus, i, split);
  int32_t capacity = all < max ? all : max;
  nd_styles learnt = {.n = 0};
  nd_buffer names = {0};
  nd_status status = nd_styles_allocate(&learnt, capacity,
                                        nd_corpus_tokeniser(corpus)->kit.n_voices, err);
  int64_t seen = 0;
  for (int32_t i = 0; i < songs && status == ND_OK; i++) {
    if (!in_split(corpus, i, split)) continue;
    seen++;
    /* after `seen` songs there should be seen * capacity / all styles: an even sample */
    if ((double)seen * capacity > (double)learnt.n * all)
      status = add_style(&learnt, corpus, i, &names, err);
  }
  nd_buffer_put(&names, "", 1);  /* the terminating zero */
  if (status == ND_OK && names.failed) status = nd_nomem(err);
  learnt.names = (char *)names.bytes;
  if (status == ND_OK) *out = learnt;
  else nd_styles_clear(&learnt);
  return status;
}

/* The generation rises, so that an index of the former styles is recognised as stale. */
void nd_styles_replace(nd_styles *s, nd_styles *by) {
  uint64_t generation = s->generation + 1;
  nd_styles_clear(s);
  *s = *by;
  s->generation = generation;
  *by = (nd_styles){.n = 0};
}

void nd_styles_clear(nd_styles *s) {
  free(s->style);
  free(s->song);
  free(s->projection);
  free(s->names);
  *s = (nd_styles){.n = 0};
}

/* ------------------------------------------------------------------- choosing
 * Distances, votes and agreements are computed anew for each song rather than stored:
 * a table of agreements would take n * n floats. */

/* The first four beats of a style's groove: (ND_SONG_PLACES, voices) square
 * roots of hit rates. */
static const float *groove(const nd_styles *s, int32_t i) {
  return s->style + (size_t)i * (size_t)s->size + nd_style_traits(s->voices);
}

/* Symmetric; 1 for two silent grooves. Negative roots, which stand for "no groove", cannot
 * occur: learnt styles have one. */
float nd_styles_agree(const nd_styles *s, int32_t a, int32_t b) {
  const float *x = groove(s, a), *y = groove(s, b);
  float both = 0, all = 0;
  for (int32_t i = 0; i < ND_SONG_PLACES * s->voices; i++) {
    float smaller = x[i] < y[i] ? x[i] : y[i];
    both += smaller * smaller;  /* the square of a root: a rate */
    all += x[i] * x[i] + y[i] * y[i];
  }
  return all > 0.0f ? 2.0f * both / all : 1.0f;
}

/* out (ND_STYLES_PROJECTED) = traits (ND_SONG_TRAITS) times the projection, which also
 * scales each trait: traits have different units. */
static void project(const nd_styles *s, const float *traits, float *out) {
  memset(out, 0, ND_STYLES_PROJECTED * sizeof *out);
  for (int k = 0; k < ND_SONG_TRAITS; k++)
    for (int i = 0; i < ND_STYLES_PROJECTED; i++)
      out[i] += traits[k] * s->projection[k * ND_STYLES_PROJECTED + i];
}

/* Log-weights become weights that add up to 1. The largest is subtracted first, so that
 * exp() cannot underflow to 0 for all of them. */
static void softmax(float *x, int32_t n) {
  float largest = -INFINITY;
  double total = 0;
  for (int32_t i = 0; i < n; i++) largest = x[i] > largest ? x[i] : largest;
  for (int32_t i = 0; i < n; i++) {
    x[i] = expf(x[i] - largest);
    total += (double)x[i];
  }
  for (int32_t i = 0; i < n; i++) x[i] = (float)((double)x[i] / total);
}

/* Fills votes (n) for a song with these traits: softmax of minus the squared distance
 * under the projection. */
static void vote(const nd_styles *s, const float *traits, float *votes) {
  float position[ND_STYLES_PROJECTED], other[ND_STYLES_PROJECTED];
  project(s, traits, position);
  for (int32_t i = 0; i < s->n; i++) {
    project(s, s->song + (size_t)i * ND_SONG_TRAITS, other);
    float distance = 0.0f;
    for (int k = 0; k < ND_STYLES_PROJECTED; k++)
      distance += (position[k] - other[k]) * (position[k] - other[k]);
    votes[i] = -distance;
  }
  softmax(votes, s->n);
}

/* Expected hits of a style's groove in four beats: squares of roots are rates. */
static float expected_hits(const nd_styles *s, int32_t i) {
  const float *x = groove(s, i);
  float sum = 0;
  for (int32_t k = 0; k < ND_SONG_PLACES * s->voices; k++) sum += x[k] * x[k];
  return sum;
}

/* Fills scores (n), log-probabilities up to a constant.
 *
 * With the votes as the posterior over styles, and disagreement of grooves as the
 * loss, the expected loss of playing style i is 1 - sum_j vote_j agreement_ij. The
 * style that minimises it is a typical one among the probable, where the most
 * probable style by itself may be an outlier. The gain decides how far less typical
 * styles are drawn too. A style whose groove has many more or fewer hits than the
 * votes expect is penalised: agreement favours dense grooves, which share hits with
 * everything. */
static void score(const nd_styles *s, const float *votes, float *scores) {
  const float agreement_gain = 25.0f;
  const float density_penalty = 10.0f;  /* of the squared log-ratio to the hits voted for */
  const float ignored = 0.02f;          /* share of the largest vote: too small to count */
  float largest = 0.0f, usual = 0.0f;
  /* `usual`: the hits that the votes expect */
  for (int32_t i = 0; i < s->n; i++) {
    largest = fmaxf(largest, votes[i]);
    usual += votes[i] * expected_hits(s, i);
  }
  /* 0.1 hits more on both sides: a silent groove has a ratio as well */
  for (int32_t i = 0; i < s->n; i++) {
    float agreement = 0.0f, excess = logf((expected_hits(s, i) + 0.1f) / (usual + 0.1f));
    for (int32_t j = 0; j < s->n; j++)
      if (votes[j] >= ignored * largest) agreement += votes[j] * nd_styles_agree(s, i, j);
    scores[i] = agreement_gain * agreement - density_penalty * excess * excess;
  }
}

/* Both steps of the choice, see styles.h: votes by the songs' traits, scores by grooves. */
nd_status nd_styles_weights(const nd_styles *s, const nd_sequence *song, float *weights,
                            nd_error *err) {
  if (s->n == 0) return ND_OK;
  float *votes = nd_calloc((size_t)s->n, sizeof *votes);
  if (votes == NULL) return nd_nomem(err);
  float traits[ND_SONG_TRAITS];
  song_traits(song, traits);
  vote(s, traits, votes);
  score(s, votes, weights);
  softmax(weights, s->n);
  free(votes);
  return ND_OK;
}

/* By inversion of the cumulative distribution. */
int32_t nd_styles_draw(const nd_styles *s, const float *weights, nd_rng *rng) {
  float at = nd_rng_float(rng);
  for (int32_t i = 0; i < s->n; i++) {
    at -= weights[i];
    if (at < 0.0f) return i;
  }
  return s->n - 1;  /* rounding: the weights may add up to a little less than 1 */
}

/* Linear in i: names are needed for messages only. */
const char *nd_styles_name(const nd_styles *s, int32_t i, size_t *n) {
  const char *line = s->names;
  for (; i > 0; i--) line = strchr(line, '\n') + 1;
  *n = strcspn(line, "\n");
  return line;
}
