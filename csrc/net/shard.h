/* shard.h - which streams of a batch this process trains on.
 *
 * Training may be shared by several processes (allreduce.h): each has a
 * contiguous range of every batch's streams. A process alone has the shard
 * 0..total-1 and no communicator, and all functions below then do nothing, so
 * that callers need not tell the two cases apart.
 */
#ifndef ND_NET_SHARD_H
#define ND_NET_SHARD_H

#include "../base/thread_pool.h"
#include "allreduce.h"

typedef struct nd_shard {
  const nd_allreduce *comm;  /* borrowed; NULL: this process has all streams */
  int32_t first, count;      /* the local streams: first..first+count-1 */
  int32_t total;             /* streams of the whole batch */
} nd_shard;

/* The shard of process `rank`, from 0, of those in `comm` (NULL: there is one). */
static inline nd_shard nd_shard_of(const nd_allreduce *comm, int32_t total, int rank) {
  if (comm == NULL) return (nd_shard){NULL, 0, total, total};
  int32_t first = nd_partition_begin(total, 1, rank, comm->size);
  return (nd_shard){comm, first, nd_partition_begin(total, 1, rank + 1, comm->size) - first, total};
}

static inline nd_shard nd_shard_local(const nd_allreduce *comm, int32_t total) {
  return nd_shard_of(comm, total, comm != NULL ? comm->rank : 0);
}

static inline bool nd_shard_has(const nd_shard *s, int32_t stream) {
  return stream >= s->first && stream < s->first + s->count;
}

/* Whether this process writes the files: one of them does. */
static inline bool nd_shard_is_main(const nd_shard *s) {
  return s->comm == NULL || s->comm->rank == 0;
}

/* Replaces n local sums by those over all processes, in place. Errors are
 * reported by nd_shard_wait(). */
static inline void nd_shard_sum(const nd_shard *s, double *values, int32_t n) {
  if (s->comm != NULL) s->comm->sum(s->comm->self, values, (size_t)n);
}

/* The same for n floats, begun here and complete after nd_shard_wait(); nobody may
 * touch them until then. */
static inline void nd_shard_begin_sum(const nd_shard *s, float *values, size_t n) {
  if (s->comm != NULL) s->comm->begin(s->comm->self, values, n);
}

/* Waits for all sums. ND_IO when one of them failed. */
static inline nd_status nd_shard_wait(const nd_shard *s, nd_error *err) {
  return s->comm != NULL ? s->comm->wait(s->comm->self, err) : ND_OK;
}

#endif
