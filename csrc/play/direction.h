/* direction.h - what a take is played with: a generator's options, and what the user
 * fixes and asks for in one song. Plain values; pointers are the caller's. */
#ifndef ND_PLAY_DIRECTION_H
#define ND_PLAY_DIRECTION_H

#include "drummer.h"

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

#endif
