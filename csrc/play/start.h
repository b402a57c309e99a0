/* start.h - the steps that a take is shown before the first one that it plays: the
 * user's prime, or a start of the 2023 system. Internal to generator.c and
 * performance.c.
 */
#ifndef ND_PLAY_START_H
#define ND_PLAY_START_H

#include "step.h"

/* How many steps there are. A window net needs at least a window, less the step
 * that it plays; a streaming net needs none for a blank start. `prime` may be
 * NULL. */
int32_t nd_start_steps(const nd_drummer *d, const nd_generator_options *options,
                       const nd_sequence *prime);

/* Feeds step `step` of them to take `at` of a batch, in order from 0. */
void nd_start_feed(nd_decoder_batch *b, int32_t at, nd_take *t, const nd_sequence *prime,
                   int32_t step);

#endif
