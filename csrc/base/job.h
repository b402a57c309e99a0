/* job.h - work in slices: what a host runs a little of at a time, so that its
 * user interface stays responsive, without knowing what it is.
 */
#ifndef ND_JOB_H
#define ND_JOB_H

#include "nd.h"

typedef struct nd_job {
  void *self;
  /* Runs until about *macs multiply-accumulates are spent or the work is done;
   * at least one unit of work if *macs > 0. On return *macs holds what is left,
   * slightly negative if the last unit overran it, and *more tells whether work
   * remains. After an error the job can only be freed. */
  nd_status (*advance)(void *self, double *macs, bool *more, nd_error *err);
  void (*free)(void *self);   /* at any time; NULL is fine */
} nd_job;

#endif
