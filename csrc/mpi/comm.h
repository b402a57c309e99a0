/* comm.h - the processes of an MPI job as an nd_allreduce. Only this file's module,
 * mpi.so, links MPI; nothing else needs it.
 *
 * MPI is initialised once in a process, and its communicator is used by one thread.
 */
#ifndef ND_MPI_COMM_H
#define ND_MPI_COMM_H

#include "../net/allreduce.h"

typedef struct nd_comm nd_comm;

/* Joins the processes that were started together (mpirun); a process that was started
 * alone is the only one. ND_MISUSE when this process has joined before, because MPI
 * allows it once; ND_IO when MPI fails. */
nd_status nd_comm_join(nd_comm **out, nd_error *err);

/* Ends communication; all processes must call it before they exit. Frees nothing.
 * ND_IO. */
nd_status nd_comm_leave(nd_comm *c, nd_error *err);

/* Frees the struct only. If this process exits without nd_comm_leave(), MPI ends the
 * others too. */
void nd_comm_free(nd_comm *c);

/* Ends all processes, this one included, with an exit status. */
void nd_comm_abort(const nd_comm *c, int status);

/* The communicator for the trainer; valid as long as `c`, which is its `self`. */
nd_allreduce *nd_comm_allreduce(nd_comm *c);

/* *same: whether all processes passed the same hash. ND_IO. */
nd_status nd_comm_same(nd_comm *c, uint64_t hash, bool *same, nd_error *err);

#endif
