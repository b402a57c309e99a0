/* humanise.h - how hard and when: velocities and offsets for hits that are
 * known, by a touch net that learnt them from people.
 *
 * Each is drawn from the normal that the net gives for it. Half of the
 * variance is the performance's own, one draw a voice (a hand that is light
 * today), half the hit's.
 */
#ifndef ND_PLAY_HUMANISE_H
#define ND_PLAY_HUMANISE_H

#include "drummer.h"

/* In slices: made for `seq`, which stays until the end; gone on with for about
 * *products multiply-adds at a time while that says that there is more; ended.
 * ND_MISUSE when the drummer is no touch net or plays another kit or grid. */
typedef struct nd_humanise nd_humanise;

nd_status nd_humanise_make(nd_humanise **out, const nd_drummer *touch, const nd_sequence *seq,
                           nd_error *err);
bool nd_humanise_advance(nd_humanise *t, double *products);

/* A copy of `seq` with touch. `amount` 0: as it is; 1: as learnt; between:
 * between. Cells with a byte above 0 in `known` (n_steps, voices; may be
 * NULL) stay as they are. The same seed gives the same touch. */
nd_status nd_humanise_end(const nd_humanise *t, float amount, uint64_t seed, const uint8_t *known,
                          nd_sequence **out, nd_error *err);
void nd_humanise_free(nd_humanise *t);

#endif
