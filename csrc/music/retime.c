#include "retime.h"

#include <math.h>
#include <stdlib.h>

typedef struct moved { int32_t step; bool stays; nd_strike strike; } moved;

/* Where a strike is to stand. */
static moved move(const nd_sequence *seq, int32_t t, nd_strike strike, const double *times,
                  const uint8_t *known) {
  int8_t voice = seq->settings.kit.voice_of[strike.pitch];
  size_t row = (size_t)t * (size_t)nd_sequence_voices(seq);
  if (voice < 0 || (known != NULL && known[row + (size_t)voice] != 0))
    return (moved){t, true, strike};
  double at = times[t] + strike.offset / 256.0;
  double step = fmin(fmax(rint(at), 0), seq->grid.n_steps - 1);
  strike.offset = (int8_t)fmin(fmax(rint((at - step) * 256), -128), 127);
  return (moved){(int32_t)step, false, strike};
}

/* In order of time; those that meet side by side, the loudest first. */
static int by_time(const void *left, const void *right) {
  const moved *a = left, *b = right;
  if (a->step != b->step) return a->step < b->step ? -1 : 1;
  const nd_strike *x = &a->strike, *y = &b->strike;
  if (x->offset != y->offset) return x->offset - y->offset;
  if (x->pitch != y->pitch) return x->pitch - y->pitch;
  if (a->stays != b->stays) return a->stays ? -1 : 1;
  return y->velocity - x->velocity;
}

static bool meet(const moved *a, const moved *b) {
  return a->step == b->step && a->strike.offset == b->strike.offset &&
         a->strike.pitch == b->strike.pitch;
}

nd_status nd_shift(nd_sequence **out, const nd_sequence *seq, const double *times,
                   const uint8_t *known, nd_error *err) {
  int32_t n = nd_sequence_steps(seq), total = seq->first[n], kept = 0;
  for (int32_t t = 0; t < n; t++)
    if (!isfinite(times[t]))
      return nd_fail(err, ND_MISUSE, "step %d: its time is no number", t + 1);
  nd_sequence *copy = NULL;
  moved *all = nd_calloc((size_t)total, sizeof *all);
  nd_strike *strikes = nd_calloc((size_t)total, sizeof *strikes);
  if (all == NULL || strikes == NULL || nd_sequence_blank(&copy, seq) != ND_OK) {
    free(all);
    free(strikes);
    return nd_fail(err, ND_NOMEM, "out of memory");
  }
  for (int32_t t = 0, i = 0; t < n; t++)
    for (; i < seq->first[t + 1]; i++) all[i] = move(seq, t, seq->strikes[i], times, known);
  qsort(all, (size_t)total, sizeof *all, by_time);
  for (int32_t t = 0, i = 0; t < n; t++) {
    copy->first[t] = kept;
    for (; i < total && all[i].step == t; i++)
      if (all[i].stays || i == 0 || !meet(&all[i - 1], &all[i])) strikes[kept++] = all[i].strike;
  }
  copy->first[n] = kept;
  free(copy->strikes);
  copy->strikes = strikes;
  nd_sequence_settle(copy);
  free(all);
  *out = copy;
  return ND_OK;
}
