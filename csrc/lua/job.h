/* job.h - calls that a host can interleave with its own work.
 *
 * A function that takes `pause` as its fourth argument does its work in slices of
 * a few milliseconds and calls `pause` between them, which may yield. Meanwhile a
 * program may close any object and change any table or variable. A job therefore
 * owns all that it works with: copies of its arguments, and shares of its objects.
 *
 * A binding calls lnd_job_begin(), retains the objects and copies the tables and
 * strings that the work needs, stores the engine's job in `work`, and returns
 * lnd_job_run(). `finish` then pushes the result, from what `context` has.
 *
 * A job that is collected half-way, because its coroutine was given up or `pause`
 * raised an error, has changed nothing.
 */
#ifndef LND_JOB_H
#define LND_JOB_H

#include "../base/job.h"
#include "lnd.h"

enum { LND_PAUSE = 4 };  /* argument: the function to call between slices, or nil */

typedef struct lnd_job {
  nd_job work;           /* the engine's; set by the caller of lnd_job_begin() */
  int threads;           /* for matrix products, at least 1 */
  /* Pushes one result when the work is done. */
  void (*finish)(lua_State *L, struct lnd_job *job);
  void *context;         /* for `finish`; of lnd_job_alloc() */
  struct lnd_resource *resources;
} lnd_job;

/* A job for the running function, whose arguments become four. Raises an error
 * unless `pause` is nil or a function. */
lnd_job *lnd_job_begin(lua_State *L, void (*finish)(lua_State *, lnd_job *), size_t context);

/* Zeroed memory that lives as long as the job. Raises an error without memory. */
void *lnd_job_alloc(lua_State *L, lnd_job *job, size_t bytes);

/* The object at `at`, which stays alive as long as the job. Raises an error as
 * lnd_check() does. */
void *lnd_job_retain(lua_State *L, lnd_job *job, int at, const lnd_class *class);

/* Does the work. The binding returns what this returns. */
int lnd_job_run(lua_State *L);

#endif
