/* generator.h - plays drums from a model: a live step at a time, or whole songs
 * (performance.h). One generator holds one take's state; the model may be shared
 * by any number of them, in any threads, as long as nothing changes it.
 */
#ifndef ND_PLAY_GENERATOR_H
#define ND_PLAY_GENERATOR_H

#include "drummer.h"

typedef struct nd_generator nd_generator;

/* Hits that the network is shown before the first step that it plays. */
typedef enum nd_start {
  ND_START_BLANK, ND_START_COUNT_IN, ND_START_BASIC, ND_START_RANDOM
} nd_start;

typedef struct nd_generator_options {
  uint64_t seed;
  float temperature;         /* > 0: hits are sampled, logits divided by it; 0: cut-off */
  float temperature_spread;  /* 0..1: how much the temperature differs between bars. A
                              * bar is drawn either steady, at temperature * (1 - spread),
                              * or free, at temperature * (1 + 0.75 spread); the last bar
                              * of a four-bar phrase is free more often. Drummers repeat
                              * a bar or vary it: constant noise in every bar sounds wrong */
  float cutoff;              /* at temperature 0: a hit where the probability reaches it */
  int32_t forced;            /* this many of the most probable voices always sound */
  uint8_t velocity;          /* 1..127, of every hit */
  nd_start start;
  bool playable;             /* at most two hands and two feet strike at once */
  bool play_always;          /* also before the song's first note and after its last */
} nd_generator_options;

/* What the user fixes and asks for. All of it is optional: a zeroed struct leaves
 * everything to the drummer. */
typedef struct nd_direction {
  const nd_sequence *fixed;  /* hits to keep, of the song's length and kit */
  const uint8_t *fixed_mask; /* (n_steps, voices) 1 where a cell is kept, hit or not */
  const float *style;        /* (nd_style_size); NULL: see below */
  int32_t style_number;      /* > 0: one of the model's styles, from 1, if `style` is NULL */
  bool no_style;             /* no style at all; else one is drawn for the song by the seed */
  const float *density;      /* (n_bars) as nd_style_bars; NAN: not given */
  const float *fill;         /* (n_bars) likewise */
} nd_direction;

/* The model's own temperature, spread, cut-off and forced hits. Playable, and
 * silent where the band is, except for a model of the 2023 system. */
nd_generator_options nd_generator_defaults(const nd_drummer *d);

/* A generator at its start; the caller frees it, before the model. `prime` (may
 * be NULL; copied) replaces `options->start`. ND_MISUSE when its kit or grid are
 * not the model's, or the model predicts no hits. */
nd_status nd_generator_make(nd_generator **out, const nd_drummer *d,
                            const nd_generator_options *options, const nd_sequence *prime,
                            nd_error *err);
void nd_generator_free(nd_generator *g);

/* Back to the start: the same seed and prime, no other history. */
void nd_generator_reset(nd_generator *g);

/* Whether the model is causal, so that it can play step by step. */
bool nd_generator_live(const nd_generator *g);

/* Plays one step: metrics (ND_N_METRICS) of that step; `bar` is true where a bar
 * begins; hits (voices) receives velocities. Real-time safe: no allocation, lock
 * or I/O. */
void nd_generator_step(nd_generator *g, const float *metrics, bool bar, uint8_t *hits);

/* Probabilities (voices) of the last step at temperature 1, each given the hits
 * of the voices before it. Valid until the next step. */
const float *nd_generator_probabilities(const nd_generator *g);

/* false when a probability since the start was NaN; hits are then meaningless. */
bool nd_generator_is_finite(const nd_generator *g);

/* Resets, and takes on the style in which nd_performance would play this song. */
nd_status nd_generator_choose(nd_generator *g, const nd_sequence *song,
                              const nd_direction *direction, nd_error *err);

/* The style of the last song: its index in the model, or -1 if it is none of the
 * model's, or these were replaced since. *numbers (nd_style_size) is valid until
 * the next song; NULL when it was played without a style. */
int32_t nd_generator_style(const nd_generator *g, const float **numbers);

#endif
