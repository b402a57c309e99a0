/* allreduce.h - communication between processes that share a training, as the trainer
 * sees it.
 *
 * Each process has some of the streams of every batch (shard.h); the sums over all of
 * them are formed here (all-reduce), so that every process takes the same step. The
 * implementation fills in this struct, owns it and keeps it alive (mpi/comm.h). All
 * processes must make the same calls in the same order, from one thread each.
 *
 * Sums do not fail where they are called. After a failure they do nothing, and
 * `wait` reports it before a step is taken.
 */
#ifndef ND_NET_ALLREDUCE_H
#define ND_NET_ALLREDUCE_H

#include "../base/nd.h"

typedef struct nd_allreduce {
  void *self;           /* first argument of all functions */
  int32_t rank, size;   /* this process, from 0; number of processes */

  /* Replaces n numbers by their sums over all processes. Blocks. */
  void (*sum)(void *self, double *values, size_t n);

  /* Begins the same for a part of the gradient, which must not be read or written
   * until `wait` returns: computation can go on meanwhile. */
  void (*begin)(void *self, float *values, size_t n);

  /* Waits until everything that was begun is complete. ND_IO when any of it failed. */
  nd_status (*wait)(void *self, nd_error *err);

  /* Concatenates the `mine` of all processes (n floats, which may differ from process
   * to process) by rank in `all` (total floats) of process 0; it is NULL elsewhere.
   * ND_IO, ND_NOMEM. */
  nd_status (*gather)(void *self, const float *mine, size_t n, float *all, size_t total,
                      nd_error *err);
} nd_allreduce;

#endif
