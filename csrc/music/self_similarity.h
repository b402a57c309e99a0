/* self_similarity.h - how similar the bars of a song are, judged by its metrics
 * without the drums, and what follows from it (Foote 2000, "Automatic audio
 * segmentation using a measure of audio novelty"): where the song turns to
 * something new, and which earlier bar a bar repeats.
 *
 * A bar is a vector: onsets by register, bass, notes sounding, loudness and
 * harmony at each of 16 positions, every metric scaled to the same variance.
 * Similarity is 1 - squared distance / mean squared distance of the song's
 * bars: 1 for equal bars, about 0 for two bars taken at random, negative for
 * bars that differ more than that.
 */
#ifndef ND_MUSIC_SELF_SIMILARITY_H
#define ND_MUSIC_SELF_SIMILARITY_H

#include "metrics.h"

enum { ND_SIMILARITY_MAX_LAG = 64 };  /* bars back that are searched for repeats */

typedef struct nd_similarity {
  int32_t n_bars, width;
  size_t stride;       /* floats from one position to the next, at least n_bars */
  float *vectors;      /* (width, stride): one position of all bars, then the next */
  float *by_lag;       /* (n_bars, MAX_LAG): similarity to bars b - MAX_LAG .. b - 1 */
  float total;         /* mean squared distance of two bars */
} nd_similarity;

/* `metrics` is (n_steps, ND_N_METRICS) on `grid`. Fails with ND_NOMEM only. */
nd_status nd_similarity_make(nd_similarity *l, const float *metrics, const nd_grid *grid,
                             nd_error *err);
void nd_similarity_clear(nd_similarity *l);

/* Similarity of bars a and b, counted from 0. */
float nd_similarity_at(const nd_similarity *l, int32_t a, int32_t b);

/* How much the bars from `bar` on differ from those before it, over up to four
 * bars on each side; 0 for the first and the last two bars. */
float nd_similarity_novelty(const nd_similarity *l, int32_t bar);

/* For each bar the earlier bar that it most likely repeats: one of the last 64,
 * of the same length, chosen by similarity with that of the neighbouring bars
 * added and lags of whole phrases preferred. source[b] is -1 where there is
 * none; similarity[b] is at least -1, or 0 without a source. Both (n_bars). */
void nd_similarity_recurrence(const nd_similarity *l, const nd_grid *grid, int32_t *source,
                              float *similarity);

/* Sets the metrics of form, which are the same for all steps of a bar: contrast,
 * recurrence and novelty. The others must have been measured. ND_NOMEM only. */
nd_status nd_similarity_metrics(float *metrics, const nd_grid *grid, nd_error *err);

#endif
