/* generator_state.h - what a generator consists of, and how a take comes by its
 * style. Internal to generator.c and performance.c.
 */
#ifndef ND_PLAY_GENERATOR_STATE_H
#define ND_PLAY_GENERATOR_STATE_H

#include "start.h"

struct nd_generator {
  const nd_drummer *drummer;
  nd_generator_options options;
  nd_sequence *prime;         /* owned; or NULL */
  nd_take take;
  nd_decoder_batch batch;     /* of one take */
};

/* Gives the take the style that the direction determines: the one given, one of
 * the model's by its number, that of the fixed bars, or none. false when the
 * direction leaves it open, so that it has to be drawn for the song. */
bool nd_take_fix_style(nd_take *t, const nd_drummer *d, const nd_direction *direction);

/* Draws one of the model's styles for the song by the take's seed. *weights are
 * computed and malloc'd if NULL, for all takes of the song. ND_NOMEM. */
nd_status nd_take_draw_style(nd_take *t, const nd_drummer *d, const nd_sequence *song,
                             float **weights, nd_error *err);

#endif
