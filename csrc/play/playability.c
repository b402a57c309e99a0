#include "playability.h"

bool nd_limbs_foot(const nd_kit *kit, int32_t voice) {
  uint8_t pitch = kit->pitch_of[voice];
  return pitch == 35 || pitch == 36 || pitch == 44;
}

static void fit(const nd_kit *kit, bool feet, int32_t limbs, const float *odds,
                const uint8_t *known, uint8_t *hits) {
  for (;;) {
    int32_t struck = 0, least = -1;
    for (int32_t v = 0; v < kit->n_voices; v++) {
      if (hits[v] == 0 || nd_limbs_foot(kit, v) != feet) continue;
      struck++;
      bool kept = known != NULL && known[v] != 0;
      if (!kept && (least < 0 || odds[v] < odds[least])) least = v;
    }
    if (struck <= limbs || least < 0) return;
    hits[least] = 0;
  }
}

void nd_limbs_fit(const nd_kit *kit, const float *odds, const uint8_t *known, uint8_t *hits) {
  fit(kit, false, ND_HANDS, odds, known, hits);
  fit(kit, true, ND_FEET, odds, known, hits);
}
