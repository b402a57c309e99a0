/* retime.h - moves drums in time, to positions that need not be steps: swing and
 * its removal. */
#ifndef ND_MUSIC_RETIME_H
#define ND_MUSIC_RETIME_H

#include "sequence.h"

/* A copy of `seq` in which the strikes of step t stand at times[t] (in steps,
 * from 0), each with the offset that it had. Every strike then belongs to the
 * nearest step, at the song's ends to the first or last. Where strikes of one
 * pitch meet, one remains. Strikes in cells that `mask` (n_steps, voices; may be
 * NULL) marks, and strikes outside the kit, do not move. Fails with ND_MISUSE
 * for a time that is not finite. */
nd_status nd_retime(nd_sequence **out, const nd_sequence *seq, const double *times,
                    const uint8_t *mask, nd_error *err);

#endif
