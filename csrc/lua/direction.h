/* direction.h - what a caller asks of a performance, read from Lua tables. */
#ifndef LND_DIRECTION_H
#define LND_DIRECTION_H

#include "../play/performance.h"
#include "job.h"

/* Reads the style at `at` into `style` (nd_style_size): one of the model's by its
 * index, that of a Sequence's drums, or a list of its numbers. Returns `style`, or
 * NULL for nil and false: none. */
const float *lnd_read_style(lua_State *L, int at, const nd_drummer *d, float *style);

/* The option "mask", copied for the job: a byte for each grid cell of `seq`, 0 where
 * the cell is open. NULL when it is not given. */
const uint8_t *lnd_opt_mask(lua_State *L, int arg, lnd_job *job, const nd_sequence *seq);

/* Reads a direction, a table or nil at `at`, for `song`. What it refers to belongs to
 * the job. */
void lnd_read_direction(lua_State *L, int at, lnd_job *job, const nd_drummer *d,
                        const nd_sequence *song, nd_direction *out);

/* The part of it that says which style: the value at `at`, read into `style`. */
void lnd_read_style_choice(lua_State *L, int at, const nd_drummer *d, float *style,
                           nd_direction *out);

#endif
