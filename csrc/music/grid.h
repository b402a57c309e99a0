/* grid.h - converts between ticks and steps, bars and beats.
 *
 * A grid has `steps_per_beat` steps in every beat. A beat is a quarter note
 * (ND_BEAT_QUARTER), or the meter's own beat (ND_BEAT_METER: the denominator's
 * note, or three of them in compound meters) as the 2023 system counts. Bars
 * follow the song's meters and begin on the nearest step.
 *
 * With quarter notes all steps are equally long. With the meter's beats a change
 * of meter begins a new beat and may cut the last one short; its steps are then
 * shorter.
 *
 * A grid owns its arrays; nd_grid_clear frees them.
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
  double *ticks;      /* (n_steps + 1) begin of each step, and the end; ascending */
  nd_bar *bars;       /* (n_bars) ascending; the first begins at step 0; never none */
} nd_grid;

/* Makes a grid from tick 0 to the end of the bar that contains `end_tick`; a note
 * that ends on a bar line does not begin another bar. Fails with ND_LIMIT when
 * the song has more than `max_steps` steps, or more bars than an eighth of
 * max_steps or of ND_DEFAULT_MAX_STEPS, whichever is larger. */
nd_status nd_grid_make(nd_grid *grid, const nd_song *song, int32_t end_tick,
                       int32_t steps_per_beat, nd_beat beat, int32_t max_steps,
                       nd_error *err);

/* Makes a grid of n_steps equal steps in 4/4; the last bar may be shorter. */
nd_status nd_grid_even(nd_grid *grid, int32_t n_steps, int32_t steps_per_beat, int32_t ppq,
                       nd_error *err);

/* Shortens the grid to its first n_steps (1..grid->n_steps). */
void nd_grid_cut(nd_grid *grid, int32_t n_steps);

/* A copy with arrays of its own. ND_NOMEM. */
nd_status nd_grid_copy(nd_grid *to, const nd_grid *from);
void nd_grid_clear(nd_grid *grid);

/* The step nearest to a tick; the earlier of two equally near. It is n_steps or
 * more after the end. *offset (may be NULL) gets the distance from that step,
 * -0.5..0.5 of a step. */
int32_t nd_grid_step(const nd_grid *grid, double tick, float *offset);

/* One past the last step of a bar. */
static inline int32_t nd_grid_bar_end(const nd_grid *grid, int32_t bar) {
  return bar + 1 < grid->n_bars ? grid->bars[bar + 1].step : grid->n_steps;
}

/* The index of the bar that contains `step`, by binary search. */
int32_t nd_grid_bar(const nd_grid *grid, int32_t step);

#endif
