/* self_similarity.h - how alike the bars of a song are, by what is heard in them
 * beside the drums, and what follows from that: where the song turns to
 * something new (Foote 2000), and of which earlier bar a bar is the return.
 *
 * A bar is a vector: at each of 16 places the onsets by register, the bass,
 * what sounds, the loudness and the harmony, each metric with the same share
 * of the variance over the song. Likeness is 1 for the same, about 0 for two
 * bars of the song taken by chance, below for unlike ones.
 */
#ifndef ND_MUSIC_SELF_SIMILARITY_H
#define ND_MUSIC_SELF_SIMILARITY_H

#include "metrics.h"

enum { ND_SIMILARITY_MAX_LAG = 64 };  /* how far back a bar may be the return of another */

typedef struct nd_similarity {
  int32_t n_bars, width;
  size_t stride;       /* n_bars and some more, so that places don't share cache lines */
  float *vectors;      /* (width, stride): a place of every bar, then the next place */
  float *near;         /* (n_bars, ND_SIMILARITY_MAX_LAG): likeness to bars b - REACH .. b - 1 */
  float total;         /* mean square distance of two bars */
} nd_similarity;

/* `metrics` (n_steps, ND_N_METRICS) on `grid`. ND_NOMEM alone can go wrong. */
nd_status nd_similarity_make(nd_similarity *l, const float *metrics, const nd_grid *grid, nd_error *err);
void nd_similarity_clear(nd_similarity *l);

/* Of bars a and b, from 0. */
float nd_similarity_at(const nd_similarity *l, int32_t a, int32_t b);

/* How much the bars from `bar` on differ from those before it: likeness within
 * either side of four bars less that across; 0 near the song's ends. */
float nd_similarity_novelty(const nd_similarity *l, int32_t bar);

/* Of every bar the earlier one, of the last 64 and of its own length, that it
 * is most like, neighbours counting too and distances of four bars preferred;
 * -1 where there is none. `how` gets their likeness, -1 at least, or 0. Both
 * (n_bars). */
void nd_similarity_recurrence(const nd_similarity *l, const nd_grid *grid, int32_t *of, float *how);

#endif
