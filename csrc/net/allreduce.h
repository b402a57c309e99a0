/* allreduce.h - a training that is shared out among processes, as the trainer
 * sees it. Each process has some of the streams of every batch; what all of
 * them find is added up, so that all take the same step. Who joins the
 * processes fills in this struct and keeps it; every process makes the same
 * calls in the same order.
 *
 * Adding up never fails where it is called: from a failure on it does nothing,
 * and `wait` tells of it, before a step is taken.
 */
#ifndef ND_NET_ALLREDUCE_H
#define ND_NET_ALLREDUCE_H

#include "../base/nd.h"

typedef struct nd_allreduce {
  void *self;
  int32_t rank, size;   /* this process, from 0, of so many */

  /* Adds up n numbers over all processes, in place. */
  void (*sum)(void *self, double *values, size_t n);

  /* Begins to add up a part of the gradient: it is complete, and nobody
   * touches it before `wait`. */
  void (*begin)(void *self, float *values, size_t n);

  /* Until all that was begun is added up. ND_IO when any of it failed. */
  nd_status (*wait)(void *self, nd_error *err);

  /* `mine` (n floats, as many as each process likes) of all processes, in
   * their order, to the first one's `all` (total floats), which is NULL
   * elsewhere. */
  nd_status (*gather)(void *self, const float *mine, size_t n, float *all, size_t total,
                      nd_error *err);
} nd_allreduce;

#endif
