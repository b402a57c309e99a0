#include "take.h"

/* At most two hands and two feet: what a drummer could not play sounds like a machine,
 * however probable each hit is by itself. Quadratic in the hits of one step, which are
 * few. Limits are by limb, not by distance: whether a hand reaches two drums in time is
 * left to the network. */

enum { HANDS = 2, FEET = 2, BASS_DRUM_2 = 35, BASS_DRUM_1 = 36, PEDAL_HAT = 44 };

/* Whether a foot plays the voice, by the pitch that is written for it. */
static bool is_pedal(const nd_kit *kit, int32_t voice) {
  uint8_t pitch = kit->pitch_of[voice];
  return pitch == BASS_DRUM_2 || pitch == BASS_DRUM_1 || pitch == PEDAL_HAT;
}

/* Removes one hit at a time. Fixed hits alone may exceed the limit: then all others
 * go, and the fixed ones stay. */
static void limit(const nd_kit *kit, bool feet, int32_t max, const float *probabilities,
                  const uint8_t *fixed_mask, uint8_t *hits) {
  for (;;) {  /* count again after each removal: the limits are small */
    int32_t count = 0, worst = -1;
    for (int32_t v = 0; v < kit->n_voices; v++) {
      if (hits[v] == 0 || is_pedal(kit, v) != feet) continue;
      count++;
      bool fixed = fixed_mask != NULL && fixed_mask[v] != 0;
      if (!fixed && (worst < 0 || probabilities[v] < probabilities[worst])) worst = v;
    }
    if (count <= max || worst < 0) return;
    hits[worst] = 0;
  }
}

void nd_playability_limit(const nd_kit *kit, const float *probabilities, const uint8_t *fixed_mask,
                          uint8_t *hits) {
  limit(kit, false, HANDS, probabilities, fixed_mask, hits);
  limit(kit, true, FEET, probabilities, fixed_mask, hits);
}
