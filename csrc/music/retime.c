/* retime.c - moves strikes to new times, in O(n log n): compute each strike's new
 * step and offset, sort, drop duplicates, and write the rows again. */
#include "retime.h"

#include <math.h>
#include <stdlib.h>

/* A strike with its new step; `fixed`: it has not moved and must not be merged. */
typedef struct moved { int32_t step; bool fixed; nd_strike strike; } moved;

/* The new position of a strike of step t. */
static moved move(const nd_sequence *seq, int32_t t, nd_strike strike, const double *times,
                  const uint8_t *mask) {
  int8_t voice = seq->settings.kit.voice_of[strike.pitch];
  size_t row = (size_t)t * (size_t)nd_sequence_voices(seq);
  if (voice < 0 || (mask != NULL && mask[row + (size_t)voice] != 0))
    return (moved){t, true, strike};
  /* the exact new time; the nearest step, then what remains as the offset */
  double at = times[t] + strike.offset / 256.0;
  double step = fmin(fmax(rint(at), 0), seq->grid.n_steps - 1);
  strike.offset = (int8_t)fmin(fmax(rint((at - step) * 256), -128), 127);
  return (moved){(int32_t)step, false, strike};
}

/* Sorts by time. Strikes that meet come together, fixed ones first, then the
 * loudest: of those that moved, only the first of a group remains. */
static int by_time(const void *left, const void *right) {
  const moved *a = left, *b = right;
  if (a->step != b->step) return a->step < b->step ? -1 : 1;
  const nd_strike *x = &a->strike, *y = &b->strike;
  if (x->offset != y->offset) return x->offset - y->offset;
  if (x->pitch != y->pitch) return x->pitch - y->pitch;
  if (a->fixed != b->fixed) return a->fixed ? -1 : 1;
  return y->velocity - x->velocity;
}

/* Two strikes that one MIDI note could not tell apart. */
static bool is_same_place(const moved *a, const moved *b) {
  return a->step == b->step && a->strike.offset == b->strike.offset &&
         a->strike.pitch == b->strike.pitch;
}

/* The strikes are replaced in a blank copy; hits and offsets follow from them. */
nd_status nd_retime(nd_sequence **out, const nd_sequence *seq, const double *times,
                    const uint8_t *mask, nd_error *err) {
  int32_t n = nd_sequence_steps(seq), total = seq->first[n], count = 0;
  for (int32_t t = 0; t < n; t++)
    if (!isfinite(times[t]))
      return nd_fail(err, ND_MISUSE, "step %d: its time is not a finite number", t + 1);
  nd_sequence *copy = NULL;
  moved *all = nd_calloc((size_t)total, sizeof *all);
  nd_strike *strikes = nd_calloc((size_t)total, sizeof *strikes);
  if (all == NULL || strikes == NULL || nd_sequence_blank(&copy, seq) != ND_OK) {
    free(all);
    free(strikes);
    return nd_nomem(err);
  }
  for (int32_t t = 0, i = 0; t < n; t++)
    for (; i < seq->first[t + 1]; i++) all[i] = move(seq, t, seq->strikes[i], times, mask);
  qsort(all, (size_t)total, sizeof *all, by_time);
  for (int32_t t = 0, i = 0; t < n; t++) {
    copy->first[t] = count;
    for (; i < total && all[i].step == t; i++)
      if (all[i].fixed || i == 0 || !is_same_place(&all[i - 1], &all[i]))
        strikes[count++] = all[i].strike;
  }
  copy->first[n] = count;
  free(copy->strikes);
  copy->strikes = strikes;
  nd_sequence_derive_hits(copy);
  free(all);
  *out = copy;
  return ND_OK;
}
