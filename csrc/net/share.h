/* share.h - work shared out among threads that live no longer than the call. */
#ifndef ND_NET_SHARE_H
#define ND_NET_SHARE_H

#include "../nd.h"

enum { ND_MAX_PARTS = 64 };

/* Calls work(job, part, parts) for each part in 0..parts-1, at most
 * ND_MAX_PARTS, the last one on the calling thread, and returns when all are
 * done. Where no thread is to be had, the caller does that part too. */
void nd_share(int parts, void (*work)(void *job, int part, int parts), void *job);

/* The first of `n` things that falls to `part`, in steps of `unit`: the part's
 * things end where the next one's begin. */
int32_t nd_share_from(int32_t n, int32_t unit, int part, int parts);

#endif
