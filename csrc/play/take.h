/* take.h - what generator.c, performance.c, start.c, step.c and playability.c share: the
 * state of a take and of the network, how a take begins, and one step of several takes
 * side by side. Internal to these files.
 *
 * What a take needs for itself (nd_take) is apart from what the network needs for
 * all of them (nd_decoder_batch), so that takes can move between a batch of one,
 * the generator's, and a shared one.
 */
#ifndef ND_PLAY_TAKE_H
#define ND_PLAY_TAKE_H

#include "../base/arena.h"
#include "direction.h"

/* History is kept in ring buffers: 4096 steps are eight bars, the longest
 * look-back, of any usual meter and grid. */
enum { ND_HISTORY_STEPS = 4096, ND_HISTORY_BARS = 32 };

/* A plain value: it owns nothing, and is copied by assignment. */
typedef struct nd_take {
  const nd_generator_options *options;
  nd_rng rng, scale_rng;      /* of hits; of bars' temperatures */
  float temperature_scale;    /* of this bar, from the temperature spread */
  int64_t steps, bars;        /* begun since the start */
  int64_t bar_start[ND_HISTORY_BARS];  /* ring, by bar: its first step */
  bool has_style;
  float style[ND_MAX_STYLE_SIZE];
  int32_t style_index;        /* among the model's styles, or -1 */
  uint64_t style_generation;  /* of the model's styles that the index is of */
  float probabilities[ND_MAX_VOICES];
  bool has_nan;               /* a probability since the start was NaN */
  /* Ring, (ND_HISTORY_STEPS, voices): hits by step. As large as the largest kit needs.
   * The last field: nd_take_reset() leaves it as it is. */
  uint8_t history[ND_HISTORY_STEPS * ND_MAX_VOICES];
} nd_take;

/* The network's state and scratch memory. A take has one row of state in a streaming
 * net, and `window` rows in a window net. */
typedef struct nd_decoder_batch {
  const nd_drummer *drummer;
  int32_t n, rows;            /* takes; rows of state of each */
  nd_arena arena;
  float *h, *c;               /* (layers, n, rows, hidden) */
  float *z;                   /* (n, rows, 4 hidden) pre-activations */
  float *x;                   /* (n, inputs) */
  float *encoder_state;       /* (n, 2, encoder) h and c of a causal encoder, live */
  float *encoder_z;           /* (4 encoder) */
  float *feature, *scratch;   /* (n, nd_net_head_scratch) */
  float *logits;              /* (n, voices) */
} nd_decoder_batch;

/* One take's part of a step. */
typedef struct nd_step_io {
  nd_take *take;
  nd_step_context context;    /* history and place in the bar are filled in */
  const float *encoding;      /* (4 hidden) the encoder's output times its weights;
                               * NULL: live */
  bool silent;                /* only fixed hits sound */
  uint8_t *hits;              /* (voices) result: velocities */
} nd_step_io;

/* At the start: no history, no style, the seed's random numbers. The options must outlive
 * the take. */
void nd_take_reset(nd_take *t, const nd_generator_options *options);

/* State and scratch memory of n takes; its arena is to be cleared, also after a failure.
 * ND_NOMEM. Then: all takes at zero state. */
nd_status nd_decoder_make(nd_decoder_batch *b, const nd_drummer *d, int32_t n, nd_error *err);
void nd_decoder_reset(nd_decoder_batch *b);

/* Copies the state of take `at` of `from` to `to`, a batch of one. */
void nd_decoder_copy(nd_decoder_batch *to, const nd_decoder_batch *from, int32_t at);

/* A context of metrics alone: nothing fixed, no style, no controls. */
nd_step_context nd_step_metrics(const float *metrics);

/* A step of take `at` whose hits are known: they become history and state, and
 * nothing is sampled. */
void nd_step_feed(nd_decoder_batch *b, int32_t at, nd_take *t, const float *metrics, bool bar,
                  const uint8_t *hits);

/* Plays a step of all takes, io (n); `bar` is true where a bar begins. */
void nd_step_play(nd_decoder_batch *b, nd_step_io *io, bool bar);

/* Removes hits (voices) until hands and feet suffice, the least probable by
 * `probabilities` (voices) first. Cells of `fixed_mask` (voices; may be NULL)
 * are counted, but never removed: they are the user's. */
void nd_playability_limit(const nd_kit *kit, const float *probabilities, const uint8_t *fixed_mask,
                          uint8_t *hits);

/* ------------------------------------------------------------- generators */

typedef struct nd_generator {
  const nd_drummer *drummer;
  nd_generator_options options;
  nd_sequence *prime;         /* owned; or NULL */
  nd_take take;
  nd_decoder_batch batch;     /* of one take */
} nd_generator;

/* Feeds step `step`, in order from 0, of the generator's start to take `at` of a batch:
 * its prime, or a start of the 2023 system. false when the start has no such step. */
bool nd_start_feed(const nd_generator *g, nd_decoder_batch *b, int32_t at, nd_take *t,
                   int32_t step);

/* Gives the take its style: the one that the direction determines, else one of the
 * model's, drawn for the song by the take's seed. *weights is NULL or what
 * nd_styles_weights() gave for the song; it is computed, and malloc'd, when it is
 * needed first, so that takes of one song can share it. ND_NOMEM. */
nd_status nd_take_choose_style(nd_take *t, const nd_drummer *d, const nd_sequence *song,
                               const nd_direction *direction, float **weights, nd_error *err);

#endif
