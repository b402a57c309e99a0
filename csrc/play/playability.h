/* playability.h - whether one drummer can play a step: at most two hands and
 * two feet strike at once.
 */
#ifndef ND_PLAY_PLAYABILITY_H
#define ND_PLAY_PLAYABILITY_H

#include "../music/kit.h"

/* Removes hits (voices) until hands and feet suffice, the least probable by
 * `probabilities` (voices) first. Cells of `fixed_mask` (voices; may be NULL)
 * are counted, but never removed: they are the user's. */
void nd_playability_limit(const nd_kit *kit, const float *probabilities, const uint8_t *fixed_mask,
                          uint8_t *hits);

#endif
