/* comm.h - the processes of an MPI job as an nd_allreduce. The one room that
 * knows of MPI: a library of its own holds it, so that nothing else needs it.
 */
#ifndef ND_MPI_COMM_H
#define ND_MPI_COMM_H

#include "../net/allreduce.h"

typedef struct nd_comm nd_comm;

/* Joins the processes that were started together; one that was started alone
 * is a world of one. A process does so once: ND_MISUSE when it has joined
 * before. ND_IO when MPI refuses. */
nd_status nd_comm_join(nd_comm **out, nd_error *err);

/* All processes part, and may then end. */
nd_status nd_comm_leave(nd_comm *w, nd_error *err);

/* Without parting: a process that then ends takes the others along. */
void nd_comm_free(nd_comm *w);

/* Ends all processes, this one too, with that exit status. */
void nd_comm_abort(const nd_comm *w, int status);

/* Valid while the world is, which is its `self`. */
nd_allreduce *nd_comm_allreduce(nd_comm *w);

/* Whether `hash` is the same in all processes; ND_IO. */
nd_status nd_comm_same(nd_comm *w, uint64_t hash, bool *same, nd_error *err);

#endif
