/* thread_pool.h - runs a function on several threads. A pool lives for one call of
 * the engine, so that a host that unloads the module, forks or exits finds no
 * thread of ours.
 */
#ifndef ND_THREAD_POOL_H
#define ND_THREAD_POOL_H

#include "nd.h"

enum { ND_MAX_PARTS = 64 };

typedef struct nd_thread_pool nd_thread_pool;

/* A pool of `parts` threads (at most ND_MAX_PARTS), the calling one included; fewer
 * when the system provides no more. NULL: the calling thread alone (parts is 1, or
 * no thread or memory is available), which the functions below accept. The thread
 * that made it ends it. */
nd_thread_pool *nd_thread_pool_make(int parts);
void nd_thread_pool_end(nd_thread_pool *pool);

/* Calls work(job, part, parts) once for each part in 0..parts-1, in parallel, the
 * last on the calling thread, and returns when all are done. */
void nd_thread_pool_run(nd_thread_pool *pool, void (*work)(void *job, int part, int parts),
                        void *job);

/* Divides `n` items among parts in multiples of `unit`: part p has the items from
 * nd_partition_begin(..., p, ...) up to that of p + 1. */
int32_t nd_partition_begin(int32_t n, int32_t unit, int part, int parts);

#endif
