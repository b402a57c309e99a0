/* grid.c - builds grids and converts ticks to steps.
 *
 * All arithmetic is in double: ticks are below 2^28, and a step or a beat need not
 * be a whole number of them (a sixteenth at 25 ticks per quarter note is not). */
#include "grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A grid under construction: its arrays grow. */
typedef struct builder {
  nd_grid *grid;
  size_t ticks_capacity, bars_capacity;
  int32_t max_steps, max_bars;
} builder;

/* Appends a bar that begins at `step`. */
static nd_status put_bar(builder *l, int32_t step, const nd_meter *m, nd_error *err) {
  nd_grid *g = l->grid;
  nd_bar bar = {step, m->numerator, m->denominator};
  /* Bars must ascend. Two meters can round to the same step only where a bar between
   * them would have had no step. */
  if (g->n_bars > 0 && g->bars[g->n_bars - 1].step >= step) {
    /* The last bar was shorter than a step; the later meter replaces it. */
    bar.step = g->bars[g->n_bars - 1].step;
    g->bars[g->n_bars - 1] = bar;
    return ND_OK;
  }
  if (g->n_bars >= l->max_bars)
    return nd_fail(err, ND_LIMIT, "the song has more than %d bars (max_steps)", l->max_bars);
  if (!ND_GROW(g->bars, (size_t)g->n_bars + 1, l->bars_capacity)) return nd_nomem(err);
  g->bars[g->n_bars++] = bar;
  return ND_OK;
}

/* Sets the tick of step n_steps, the next one. */
static bool put_tick(builder *l, double tick) {
  nd_grid *g = l->grid;
  if (!ND_GROW(g->ticks, (size_t)g->n_steps + 1, l->ticks_capacity)) return false;
  g->ticks[g->n_steps] = tick;
  return true;
}

static nd_status too_long(const builder *l, nd_error *err) {
  return nd_fail(err, ND_LIMIT, "the song is longer than %d steps (max_steps)", l->max_steps);
}

/* Beats are quarter notes: steps are even from tick 0, and bars begin on the
 * nearest step. Meters last until the next one, the last for ever. */
static nd_status build_by_quarters(builder *l, const nd_song *song, double end, nd_error *err) {
  nd_grid *g = l->grid;
  double per_tick = (double)g->steps_per_beat / g->ppq;
  for (size_t k = 0;; k++) {
    const nd_meter *m = &song->meters[k];
    double next = k + 1 < song->n_meters ? song->meters[k + 1].tick : HUGE_VAL;
    /* A bar has at least one step. */
    double length = fmax(4.0 * g->ppq * m->numerator / m->denominator, 1.0 / per_tick);
    /* Bars are counted from the meter's own tick, not added up: no drift. */
    double start = m->tick;
    for (double bar = 1; start < next; bar++) {
      /* The bar ends at the next meter if that comes first, so every change of meter
       * begins a bar. */
      double stop = fmin(m->tick + bar * length, next);
      double step = ceil(start * per_tick - 0.5);  /* halfway: the earlier step */
      if (step >= l->max_steps) return too_long(l, err);
      nd_status status = put_bar(l, (int32_t)step, m, err);
      if (status != ND_OK) return status;
      /* The song ends in this bar. It still has at least one step, although its end may
       * round down to its begin. */
      if (stop >= end) {
        double n = fmax(ceil(stop * per_tick - 0.5), g->bars[g->n_bars - 1].step + 1.0);
        if (n > l->max_steps) return too_long(l, err);
        g->n_steps = (int32_t)n;
        g->ticks = nd_calloc((size_t)n + 1, sizeof *g->ticks);
        if (g->ticks == NULL) return nd_nomem(err);
        for (int32_t s = 0; s <= g->n_steps; s++)
          g->ticks[s] = (double)s * g->ppq / g->steps_per_beat;
        return ND_OK;
      }
      start = stop;
    }
  }
}

/* Beats are the meter's: each beat is divided into steps, and a change of meter
 * cuts the last beat short. As pretty_midi counts them, 6/8, 9/8 and 12/8 have
 * dotted quarters; 3/8 has eighths. */
static nd_status build_by_meter(builder *l, const nd_song *song, double end, nd_error *err) {
  nd_grid *g = l->grid;
  for (size_t k = 0;; k++) {
    const nd_meter *m = &song->meters[k];
    double next = k + 1 < song->n_meters ? song->meters[k + 1].tick : HUGE_VAL;
    /* 6/8 has two beats of a dotted quarter, not six eighths. The beat is 12/denominator
     * quarter notes then, else 4/denominator. */
    bool compound = m->numerator > 3 && m->numerator % 3 == 0;
    double length = (compound ? 12.0 : 4.0) * g->ppq / m->denominator;
    int32_t in_bar = compound ? m->numerator / 3 : m->numerator;
    double start = m->tick;
    for (int32_t beat = 0; start < next; beat++) {
      double stop = m->tick + (beat + 1.0) * length;
      /* A change just after the beat (1/64 of one) is taken to be on it. */
      if (stop > next - length / 64) stop = next;
      nd_status status = beat % in_bar == 0 ? put_bar(l, g->n_steps, m, err) : ND_OK;
      if (status != ND_OK) return status;
      for (int32_t s = 0; s < g->steps_per_beat; s++, g->n_steps++) {
        if (g->n_steps >= l->max_steps) return too_long(l, err);
        if (!put_tick(l, start + (stop - start) * s / g->steps_per_beat)) return nd_nomem(err);
      }
      start = stop;
      if (stop >= end && (stop == next || (beat + 1) % in_bar == 0))
        return put_tick(l, stop) ? ND_OK : nd_nomem(err);
    }
  }
}

/* Builds into `made`, so that *grid is unchanged on failure. */
nd_status nd_grid_make(nd_grid *grid, const nd_song *song, int32_t end_tick,
                       int32_t steps_per_beat, nd_beat beat, int32_t max_steps,
                       nd_error *err) {
  nd_grid made = {.steps_per_beat = steps_per_beat, .ppq = song->ppq};
  builder l = {.grid = &made, .max_steps = max_steps};
  /* A bar costs the work of many steps even when it is as short as one. */
  int32_t steps = max_steps > ND_DEFAULT_MAX_STEPS ? max_steps : ND_DEFAULT_MAX_STEPS;
  l.max_bars = steps / ND_STEPS_A_BAR;
  /* At least one tick, so that the grid has at least one bar. */
  double end = end_tick < 1 ? 1 : end_tick;
  nd_status status = beat == ND_BEAT_METER ? build_by_meter(&l, song, end, err)
                                           : build_by_quarters(&l, song, end, err);
  if (status != ND_OK) nd_grid_clear(&made);
  else *grid = made;
  return status;
}

/* The last bar may be shorter than four beats. */
nd_status nd_grid_even(nd_grid *grid, int32_t n_steps, int32_t steps_per_beat, int32_t ppq,
                       nd_error *err) {
  nd_grid made = {.steps_per_beat = steps_per_beat, .ppq = ppq, .n_steps = n_steps};
  int32_t bar = 4 * steps_per_beat;
  made.n_bars = (n_steps + bar - 1) / bar;
  made.ticks = nd_calloc((size_t)n_steps + 1, sizeof *made.ticks);
  made.bars = nd_calloc((size_t)made.n_bars, sizeof *made.bars);
  if (made.ticks == NULL || made.bars == NULL) {
    nd_grid_clear(&made);
    return nd_nomem(err);
  }
  for (int32_t s = 0; s <= n_steps; s++) made.ticks[s] = (double)s * ppq / steps_per_beat;
  for (int32_t b = 0; b < made.n_bars; b++) made.bars[b] = (nd_bar){b * bar, 4, 4};
  *grid = made;
  return ND_OK;
}

/* At least one step remains, and with it the first bar. */
void nd_grid_cut(nd_grid *grid, int32_t n_steps) {
  grid->n_steps = n_steps;
  while (grid->bars[grid->n_bars - 1].step >= n_steps) grid->n_bars--;
}

nd_status nd_grid_copy(nd_grid *to, const nd_grid *from) {
  nd_grid made = *from;
  size_t n_ticks = (size_t)from->n_steps + 1, n_bars = (size_t)from->n_bars;
  made.ticks = nd_calloc(n_ticks, sizeof *made.ticks);
  made.bars = nd_calloc(n_bars, sizeof *made.bars);
  if (made.ticks == NULL || made.bars == NULL) {
    nd_grid_clear(&made);
    return ND_NOMEM;
  }
  memcpy(made.ticks, from->ticks, n_ticks * sizeof *made.ticks);
  memcpy(made.bars, from->bars, n_bars * sizeof *made.bars);
  *to = made;
  return ND_OK;
}

void nd_grid_clear(nd_grid *grid) {
  free(grid->ticks);
  free(grid->bars);
  *grid = (nd_grid){.n_steps = 0};
}

/* Whether `step` is the last step that begins at or before the tick. */
static bool contains(const nd_grid *grid, int32_t step, double tick) {
  return (step == 0 || grid->ticks[step] <= tick) &&
         (step + 1 == grid->n_steps || grid->ticks[step + 1] > tick);
}

/* The step that contains a tick: guessed, which is right on even grids, else by
 * binary search. */
static int32_t step_before(const nd_grid *grid, double tick) {
  double even = tick * grid->steps_per_beat / grid->ppq;
  int32_t low = even < grid->n_steps ? (int32_t)even : grid->n_steps - 1;
  if (contains(grid, low, tick)) return low;
  int32_t high = grid->n_steps;
  low = 0;
  while (high - low > 1) {
    int32_t mid = low + (high - low) / 2;
    if (grid->ticks[mid] <= tick) low = mid;
    else high = mid;
  }
  return low;
}

/* Rounds to the nearest step, halfway to the earlier one. A tick after the last
 * step is extrapolated by the length of that step; the result is limited so that it
 * fits an int32_t. */
int32_t nd_grid_step(const nd_grid *grid, double tick, float *offset) {
  int32_t low = step_before(grid, tick);
  /* How far the tick is from the begin of step `low`, in steps. Before tick 0 and after
   * the end it is extrapolated and then limited. */
  double position = (tick - grid->ticks[low]) / (grid->ticks[low + 1] - grid->ticks[low]);
  double max = (double)INT32_MAX - low, steps = 0;
  if (position < -0.5) position = -0.5;
  if (position > max) position = max;
  /* Ticks of steps need not be whole numbers. The tolerance makes a tick halfway
   * between two steps count as halfway in spite of rounding. */
  double beyond = position - 0.5 - 1e-9;
  if (beyond > 0) steps = beyond <= 1 ? 1 : ceil(beyond);
  if (offset != NULL) {
    double residue = position - steps;
    *offset = (float)(residue < -0.5 ? -0.5 : residue > 0.5 ? 0.5 : residue);
  }
  return low + (int32_t)steps;
}

/* Invariant of the search: bars[low].step <= step < bars[high].step. */
int32_t nd_grid_bar(const nd_grid *grid, int32_t step) {
  int32_t low = 0, high = grid->n_bars;
  while (high - low > 1) {
    int32_t mid = low + (high - low) / 2;
    if (grid->bars[mid].step <= step) low = mid;
    else high = mid;
  }
  return low;
}
