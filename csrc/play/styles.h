/* styles.h - the styles that a drummer chooses from: one for each song that it
 * was trained on, or for a sample of them, each with traits of that song's
 * music (its drums left out). A song does not determine its drum style, so the
 * drummer draws one whole style and keeps it; an average of several styles
 * would be one that nobody plays.
 *
 * The choice has two steps. Each known song votes, with a weight that falls
 * with its distance to the song to be played: exp(-squared distance) of their
 * traits under a projection that learn/nca.c learns. A style's score is then
 * the agreement of its groove with the grooves of all styles, weighted by
 * those votes (minimum Bayes risk, Kumar & Byrne 2004): an outlier among the
 * neighbours is therefore unlikely to be chosen.
 */
#ifndef ND_PLAY_STYLES_H
#define ND_PLAY_STYLES_H

#include "../base/rng.h"
#include "../music/corpus.h"
#include "../music/style.h"

/* Traits of a song: mean and standard deviation of every metric over the steps
 * on which it plays; then, for bass, low, middle and high notes, at each
 * sixteenth of four beats, the square root of the share of steps with onsets. */
enum {
  ND_SONG_PLACES = 16,
  ND_SONG_TRAITS = 2 * ND_N_METRICS + 4 * ND_SONG_PLACES,
  ND_STYLES_PROJECTED = 16,
  ND_MAX_STYLES = 4096     /* learning the projection takes all pairs: n * n */
};

typedef struct nd_styles {
  int32_t n, voices;       /* styles; voices of the kit */
  int32_t size;            /* numbers of one style, nd_style_size() */
  float *style;            /* (n, size) */
  float *song;             /* (n, ND_SONG_TRAITS) */
  float *projection;       /* (ND_SONG_TRAITS, ND_STYLES_PROJECTED) */
  char *names;             /* of the songs, one a line, in order */
  uint64_t generation;     /* counts replacements: an index is of one generation */
} nd_styles;

/* Sets the sizes and makes zeroed arrays for `capacity` styles; n and names stay as they
 * are. ND_NOMEM. */
nd_status nd_styles_allocate(nd_styles *s, int32_t capacity, int32_t voices, nd_error *err);

/* Measures the songs of `split` (-1: all) that have drums; if there are more
 * than `max`, an even sample over the corpus. The projection stays zero, which
 * makes all songs equally near, until nd_nca_learn(). The caller clears *out;
 * on failure it is unchanged. */
nd_status nd_styles_learn(nd_styles *out, const nd_corpus *corpus, int32_t split, int32_t max,
                          nd_error *err);

/* Replaces *s by *by, which is left empty, and counts the generation up. */
void nd_styles_replace(nd_styles *s, nd_styles *by);
void nd_styles_clear(nd_styles *s);

/* Agreement of the grooves of styles `a` and `b`, 0..1: twice the expected hits
 * that they share at each sixteenth of four beats, over the hits of both (the
 * Dice coefficient). */
float nd_styles_agree(const nd_styles *s, int32_t a, int32_t b);

/* The probability of each style for a song: weights (n), adding up to 1. Takes
 * n * n comparisons. ND_NOMEM only. */
nd_status nd_styles_weights(const nd_styles *s, const nd_sequence *song, float *weights,
                            nd_error *err);

/* Draws an index by the weights; -1 when there is no style. */
int32_t nd_styles_draw(const nd_styles *s, const float *weights, nd_rng *rng);

/* The name of style `i`, *n bytes, not zero-terminated. */
const char *nd_styles_name(const nd_styles *s, int32_t i, size_t *n);

#endif
