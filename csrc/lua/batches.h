/* batches.h - batches, for the bindings that train with them and save them. */
#ifndef LND_BATCHES_H
#define LND_BATCHES_H

#include "../net/batch.h"
#include "../net/checkpoint.h"
#include "lnd.h"

/* The filled batch of the batches at `arg`. Raises an error before the first next(). */
nd_batch *lnd_check_batch(lua_State *L, int arg);

/* Raises an error unless the batches at `arg` are for the model at index `model`.
 * Whether this process is the one that writes the checkpoint. */
bool lnd_check_batches_of(lua_State *L, int arg, int model);

/* Adds the batches' position and their streams' state to a checkpoint. Every process
 * calls it, with NULL where lnd_check_batches_of() is false. Raises no error after
 * that check. */
nd_status lnd_batches_save(lua_State *L, int arg, nd_checkpoint *c, nd_error *err);

#endif
