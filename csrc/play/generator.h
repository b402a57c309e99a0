/* generator.h - plays: one network step for each grid step, never a window
 * run twice.
 *
 * A streaming net has one running state. A window net has one for each of the
 * W windows that are open at a step, side by side as the rows of one product:
 * every step moves all of them on, the one that is W steps old gives the
 * hits, and a new one begins in its place. The result is the sliding
 * window's, at one pass over the weights a step.
 *
 * The drummer is shared and only read; the state is the generator's own.
 */
#ifndef ND_PLAY_GENERATOR_H
#define ND_PLAY_GENERATOR_H

#include "../base/job.h"
#include "drummer.h"

typedef struct nd_generator nd_generator;

/* What a window, or the first bars of a streaming net, starts from. */
typedef enum nd_start { ND_START_BLANK, ND_START_COUNT_IN, ND_START_BASIC, ND_START_RANDOM } nd_start;

typedef struct nd_generator_options {
  uint64_t seed;
  float temperature;   /* > 0: hits are drawn, logits divided by it; 0: by cut-off */
  float temperature_spread;  /* 0..1: how much the temperature differs between bars.
                        * A bar is drawn either steady, at temperature * (1 - spread),
                        * or free, at temperature * (1 + 0.75 spread); the last bar of
                        * a four-bar phrase is free more often. Drummers repeat a bar
                        * or vary it: constant noise in every bar sounds wrong */
  float cutoff;        /* struck where the probability is at least this */
  int32_t forced;      /* so many of the likeliest voices are struck as well */
  uint8_t velocity;    /* 1..127, of every hit */
  nd_start start;
  bool playable;       /* at most two hands and two feet strike at once */
  bool always;         /* plays also before the song's first note and after its last */
} nd_generator_options;

/* Direction: what the player keeps and asks for. All may be NULL: the drummer
 * decides. */
typedef struct nd_direction {
  const nd_sequence *given;  /* whose hits are kept; of the song's length and kit */
  const uint8_t *known;    /* (n_steps, voices) 1 where a cell is kept, hit or not */
  const float *style;      /* (nd_style_size); NULL: one is drawn by the seed */
  int32_t own_style;       /* one of the drummer's own, from 1; 0: `style` counts */
  bool no_style;           /* none is drawn either */
  const float *density;    /* (n_bars) as nd_style_bars; NAN where not asked */
  const float *fill;       /* (n_bars) likewise */
} nd_direction;

/* The drummer's own temperature, cut-off and forced hits; with limbs, and in
 * when the band is, unless it is of the 2023 system. */
nd_generator_options nd_generator_defaults(const nd_drummer *d);

/* `prime` (may be NULL) is heard in place of `start`; it is copied.
 * ND_MISUSE when its kit or grid is not the drummer's, or for a raw net. */
nd_status nd_generator_make(nd_generator **out, const nd_drummer *d,
                            const nd_generator_options *options, const nd_sequence *prime,
                            nd_error *err);
void nd_generator_free(nd_generator *g);

/* Back to the start: same seed, same prime, nothing else behind. */
void nd_generator_reset(nd_generator *g);

/* Whether the drummer can play step by step: it hears no step to come. */
bool nd_generator_live(const nd_generator *g);

/* One step: `metrics` (ND_N_METRICS) of the step to be played, `bar` where a
 * bar starts there; `hits` (voices) gets velocities. Neither allocates, locks
 * nor does I/O. */
void nd_generator_step(nd_generator *g, const float *metrics, bool bar, uint8_t *hits);

/* Probabilities (voices) of the last step, given the voices struck before
 * each, at temperature 1. */
const float *nd_generator_probabilities(const nd_generator *g);

/* Whether all odds since the start were numbers. They are not where weights
 * are finite but absurd; nd_performance_end fails then. */
bool nd_generator_is_finite(const nd_generator *g);

/* Plays a whole song, from the start: a new Sequence with its grid, in which what
 * is kept stands as it was given. Several takes of one drummer may be played at
 * a time, each under a direction of its own: their products are made together,
 * and a song is read once for all whose direction is the same. What comes out
 * is what each generator plays alone.
 *
 * ND_MISUSE when the song was encoded otherwise than the drummer hears, when the
 * drummer takes no direction but is given some, for generators of several
 * drummers, or one twice. */
typedef struct nd_performance nd_performance;

/* `generators` and `directions` (n), what they point to, and the song are the
 * caller's and stay until the end. The generators are left as they are until
 * then: a playing that is freed half-way has changed nothing. */
nd_status nd_performance_make(nd_performance **out, nd_generator *const *generators, int32_t n,
                          const nd_sequence *song, const nd_direction *directions, nd_error *err);

/* Goes on for about *products multiply-adds, which then says what is left of them:
 * less than 0 by the last few steps. *more: it is not done yet. ND_MISUSE when the
 * drummer's styles were replaced since it began. */
nd_status nd_performance_advance(nd_performance *p, double *products, bool *more, nd_error *err);
nd_job nd_performance_job(nd_performance *p);

/* The generators then have what they played behind them, and each Sequence may
 * be taken, once. ND_FORMAT when odds were no numbers. */
nd_status nd_performance_end(nd_performance *p, nd_error *err);
nd_sequence *nd_performance_take(nd_performance *p, int32_t i);
void nd_performance_free(nd_performance *p);

/* Resets, and commits to the style that `play` would play this song in. */
nd_status nd_generator_choose(nd_generator *g, const nd_sequence *song,
                              const nd_direction *direction, nd_error *err);

/* The style that the last song was played in: its index among the drummer's,
 * or -1, also when those were replaced since. In *numbers (nd_style_size), NULL when
 * it was played in none. */
int32_t nd_generator_style(const nd_generator *g, const float **numbers);

#endif
