/* humanise.h - velocities and offsets for hits that are known, by a touch
 * model, which was trained on recorded drummers.
 *
 * The model predicts a normal distribution for each velocity and offset. Half of
 * the variance is drawn once per voice for the whole performance (one hand is
 * lighter today), the other half for each hit.
 */
#ifndef ND_PLAY_HUMANISE_H
#define ND_PLAY_HUMANISE_H

#include "../base/job.h"
#include "drummer.h"

typedef struct nd_humanise nd_humanise;

/* Starts work on `seq`, which must stay until the job is freed, as the model
 * must. ND_MISUSE when the drummer is no touch model, or has another kit or
 * grid. */
nd_status nd_humanise_make(nd_humanise **out, const nd_drummer *touch, const nd_sequence *seq,
                           nd_error *err);

/* The work in slices. The job frees the nd_humanise. */
nd_job nd_humanise_job(nd_humanise *h);

/* After the last slice: a copy of the Sequence with new velocities and offsets,
 * which the caller frees. `amount` 0..1 interpolates from the velocities and
 * offsets that are there to the predicted ones. Cells that are not 0 in
 * `fixed_mask` (n_steps, voices; may be NULL) stay as they are. The same seed
 * gives the same result. May be called again with other arguments. */
nd_status nd_humanise_end(const nd_humanise *h, float amount, uint64_t seed,
                          const uint8_t *fixed_mask, nd_sequence **out, nd_error *err);

#endif
