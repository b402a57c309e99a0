/* styles.h - the styles that a drummer chooses among: one of each song it was
 * taught on, or of some of very many, kept with what that song is like without its drums. A song leaves
 * its style open; the drummer commits to one whole style, and never to an
 * average of many.
 *
 * Songs are near by their traits, seen through a projection that learn/nca.c
 * finds. What is near votes, and the style drawn is one whose groove those
 * agree with that are likely (the least expected risk, Kumar & Byrne 2004):
 * the odd one out of a likely song is not taken for its drums.
 */
#ifndef ND_PLAY_STYLES_H
#define ND_PLAY_STYLES_H

#include "../music/corpus.h"
#include "../music/style.h"
#include "../base/rng.h"

/* Of a song: mean and deviation of every metric while it plays; then at each
 * sixteenth of four beats the square root of how often the bass strikes, and
 * low, middle and high notes. */
enum { ND_SONG_PLACES = 16, ND_SONG_TRAITS = 2 * ND_N_METRICS + 4 * ND_SONG_PLACES,
       ND_STYLES_PROJECTED = 16,
       ND_MAX_STYLES = 4096 };  /* how near they are is learnt from all pairs */

typedef struct nd_styles {
  int32_t n, voices;    /* styles; voices of the kit */
  int32_t size;         /* numbers in a style */
  float *style;         /* (n, size) */
  float *song;          /* (n, ND_SONG_TRAITS) */
  float *near;          /* (ND_SONG_TRAITS, ND_STYLES_PROJECTED): exp(-squared distance)
                         * behind it is how near two songs are */
  char *names;          /* one a line, in order */
  uint64_t edition;     /* another whenever they are replaced: what an index is of */
} nd_styles;

/* Of the songs of `split` (-1: all) that have drums; of more than `most`, so
 * many from all over the corpus. *out is the caller's to clear; when it fails, nothing.
 * `near` is left to learn/nca.h: zeros, by which all songs are as near. */
nd_status nd_styles_learn(nd_styles *out, const nd_corpus *corpus, int32_t split, int32_t most,
                          nd_error *err);

/* `by` in place of what is there; it is left empty. */
void nd_styles_replace(nd_styles *s, nd_styles *by);
void nd_styles_clear(nd_styles *s);

/* How far the grooves of two styles agree: twice the hits that they have in
 * common at each sixteenth of four beats, over those of both; 0..1. */
float nd_styles_agree(const nd_styles *s, int32_t a, int32_t b);

/* Odds (n) of each style for a song, adding up to 1. */
nd_status nd_styles_weights(const nd_styles *s, const nd_sequence *song, float *odds, nd_error *err);

/* One drawn by the odds; -1 when there is none. */
int32_t nd_styles_draw(const nd_styles *s, const float *odds, nd_rng *rng);

/* The name of style `i`, not ended by 0: its length in *n. */
const char *nd_styles_name(const nd_styles *s, int32_t i, size_t *n);

#endif
