/* grid.h - ticks <-> steps, bars and beats.
 *
 * A grid lays `steps_per_beat` steps on every beat. A beat is a quarter note
 * (`ND_BEAT_QUARTER`) or the meter's own beat (`ND_BEAT_METER`: the
 * denominator's note, three of them in compound meters), as the original
 * system counts. Bars follow the meter map and start on the nearest step.
 *
 * Counted in quarters the steps are even; counted in the meter's beats a
 * change of meter starts a new beat wherever it stands, cutting the last one
 * short (its steps are then shorter).
 */
#ifndef ND_MUSIC_GRID_H
#define ND_MUSIC_GRID_H

#include "song.h"

typedef enum nd_beat { ND_BEAT_QUARTER = 0, ND_BEAT_METER = 1 } nd_beat;

typedef struct nd_bar {
  int32_t step;                      /* first step of the bar */
  int16_t numerator, denominator;    /* its meter */
} nd_bar;

typedef struct nd_grid {
  int32_t steps_per_beat, ppq, n_steps, n_bars;
  double *ticks;      /* (n_steps + 1): where each step starts; ascending */
  nd_bar *bars;       /* (n_bars), ascending, bars[0].step == 0; n_bars >= 1 */
} nd_grid;

/* A grid from tick 0 to the end of the bar in which `end_tick` lies (a note
 * that ends on a bar line does not open the next bar). ND_LIMIT past
 * `max_steps`, and past as many bars as an eighth of that, or of ND_DEFAULT_MAX_STEPS
 * where that is more. */
nd_status nd_grid_make(nd_grid *grid, const nd_song *song, int32_t end_tick,
                       int32_t steps_per_beat, nd_beat beat, int32_t max_steps,
                       nd_error *err);

/* `n_steps` even steps in 4/4, of which the last bar may be cut short. */
nd_status nd_grid_even(nd_grid *grid, int32_t n_steps, int32_t steps_per_beat, int32_t ppq,
                       nd_error *err);

/* Cuts the grid to its first `n_steps` (1..grid->n_steps). */
void nd_grid_cut(nd_grid *grid, int32_t n_steps);
nd_status nd_grid_copy(nd_grid *to, const nd_grid *from);
void nd_grid_clear(nd_grid *grid);

/* Nearest step of a tick, a tick midway going to the earlier; may be n_steps
 * or more when past the end. `offset` (may be NULL) gets the rest in steps,
 * -0.5..0.5. */
int32_t nd_grid_step(const nd_grid *grid, double tick, float *offset);

/* Index of the bar that holds `step`. */
int32_t nd_grid_bar(const nd_grid *grid, int32_t step);

#endif
