/* thread_pool.h - work shared out among threads: a crew that lives for one call of
 * ours, so that a host that unloads, forks or exits finds no thread behind it. */
#ifndef ND_THREAD_POOL_H
#define ND_THREAD_POOL_H

#include "nd.h"

enum { ND_MAX_PARTS = 64 };

typedef struct nd_thread_pool nd_thread_pool;

/* `parts` workers, at most ND_MAX_PARTS, of which the caller is one; fewer when
 * no more threads are to be had. NULL: the caller alone. Ended by the same
 * thread that made it. */
nd_thread_pool *nd_thread_pool_make(int parts);
void nd_thread_pool_end(nd_thread_pool *crew);

/* Calls work(job, part, parts) for each part in 0..parts-1, the last one on the
 * calling thread, and returns when all are done. */
void nd_thread_pool_run(nd_thread_pool *crew, void (*work)(void *job, int part, int parts), void *job);

/* The first of `n` things that falls to `part`, in steps of `unit`: the part's
 * things end where the next one's begin. */
int32_t nd_partition_begin(int32_t n, int32_t unit, int part, int parts);

#endif
