/* styles.h - the styles that a drummer chooses among: one of each song it was
 * taught on, kept with what that song is like without its drums. A song leaves
 * its style open; the drummer commits to one whole style, drawn by how near
 * its song is, and never to an average of many.
 */
#ifndef ND_PLAY_STYLES_H
#define ND_PLAY_STYLES_H

#include "../music/corpus.h"
#include "../music/style.h"
#include "../rng.h"

enum { ND_SONG_TRAITS = 2 * ND_N_METRICS };   /* mean and sd of every metric */

typedef struct nd_styles {
  int32_t n, size;      /* styles, numbers in each */
  float *style;         /* (n, size) */
  float *song;          /* (n, ND_SONG_TRAITS) */
  char *names;          /* one a line, in order */
} nd_styles;

/* Of the songs of `split` (-1: all) that have drums. Replaces what is there. */
nd_status nd_styles_learn(nd_styles *s, const nd_corpus *corpus, int32_t split, nd_error *err);
void nd_styles_clear(nd_styles *s);

/* Odds (n) of each style for a song, adding up to 1: by the distance of their
 * songs' traits, each over its standard deviation, the eighth nearest song
 * setting the scale; times the root of how many styles are like it, so that
 * an odd one out of a likely song is not taken for its drums. */
nd_status nd_styles_odds(const nd_styles *s, const nd_sequence *song, float *odds, nd_error *err);

/* One drawn by the odds; -1 when there is none. */
int32_t nd_styles_draw(const nd_styles *s, const float *odds, nd_rng *rng);

/* The name of style `i`, not ended by 0: its length in *n. */
const char *nd_styles_name(const nd_styles *s, int32_t i, size_t *n);

#endif
