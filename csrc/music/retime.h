/* retime.h - drums moved in time: what was struck at a step is struck at
 * another place, which need be no step. */
#ifndef ND_MUSIC_RETIME_H
#define ND_MUSIC_RETIME_H

#include "sequence.h"

/* A copy of `seq` in which the strikes of step t come at `times[t]` (in steps,
 * from 0), each as early or late as it was. They then stand at the step that
 * is nearest, with the offset from it; beyond the song's ends at its ends. Of
 * strikes that meet in pitch and time one stays. Cells with a byte
 * above 0 in `known` (n_steps, voices; may be NULL) and strikes beside the kit
 * stay where they are. ND_MISUSE for a time that is no number. */
nd_status nd_shift(nd_sequence **out, const nd_sequence *seq, const double *times,
                   const uint8_t *known, nd_error *err);

#endif
