/* world.h - the processes of an MPI job as an nd_reducer. The one room that
 * knows of MPI: a library of its own holds it, so that nothing else needs it.
 */
#ifndef ND_MPI_WORLD_H
#define ND_MPI_WORLD_H

#include "../net/reducer.h"

typedef struct nd_world nd_world;

/* Joins the processes that were started together; one that was started alone
 * is a world of one. A process does so once: ND_MISUSE when it has joined
 * before. ND_IO when MPI refuses. */
nd_status nd_world_join(nd_world **out, nd_error *err);

/* All processes part, and may then end. */
nd_status nd_world_leave(nd_world *w, nd_error *err);

/* Without parting: a process that then ends takes the others along. */
void nd_world_free(nd_world *w);

/* Ends all processes, this one too, with that exit status. */
void nd_world_abort(const nd_world *w, int status);

/* Valid while the world is, which is its `self`. */
nd_reducer *nd_world_reducer(nd_world *w);

/* Whether `hash` is the same in all processes; ND_IO. */
nd_status nd_world_same(nd_world *w, uint64_t hash, bool *same, nd_error *err);

#endif
