/* generator.h - plays drums from a model: a live step at a time, or whole songs
 * (performance.h). One generator holds one take's state; the model may be shared
 * by any number of them, in any threads, as long as nothing changes it.
 */
#ifndef ND_PLAY_GENERATOR_H
#define ND_PLAY_GENERATOR_H

#include "direction.h"

typedef struct nd_generator nd_generator;

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
