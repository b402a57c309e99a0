/* playability.h - what one drummer can strike at once: two hands and two feet. */
#ifndef ND_PLAY_PLAYABILITY_H
#define ND_PLAY_PLAYABILITY_H

#include "../music/kit.h"

enum { ND_HANDS = 2, ND_FEET = 2 };

/* Whether a foot strikes the voice: a bass drum or a pedal hat, by the pitch
 * that is written for it. */
bool nd_limbs_foot(const nd_kit *kit, int32_t voice);

/* Takes hits (voices) away until hands and feet suffice, the least likely by
 * `odds` (voices) first. What is `known` (may be NULL) always stays. */
void nd_limbs_fit(const nd_kit *kit, const float *odds, const uint8_t *known, uint8_t *hits);

#endif
