/* job.c - runs a job of the engine in slices: see job.h. */
#include "job.h"

#include <math.h>
#include <stdlib.h>

#include "../net/blas.h"

enum { JOB = LND_PAUSE + 1 };  /* stack index of the job's userdata */

/* Multiply-accumulates of a slice: a few milliseconds on current machines, short enough for
 * a user interface and long enough that the calls between slices cost nothing. */
static const double slice = 3e7;

/* Memory and shares of objects, newest first. */
typedef struct lnd_resource {
  struct lnd_resource *next;
  lnd_box *box;          /* NULL for memory */
  max_align_t memory[];
} lnd_resource;

/* Work in the engine refers to the job's memory and objects, so it goes first. */
static void job_free(void *p) {
  lnd_job *job = p;
  if (job->work.free != NULL) job->work.free(job->work.self);  /* before what it refers to */
  for (lnd_resource *o = job->resources, *next; o != NULL; o = next) {
    next = o->next;
    lnd_release(o->box);
    free(o);
  }
  free(job);
}

static const lnd_class job_class = {"neuraldrummer.job", job_free};

lnd_job *lnd_job_begin(lua_State *L, void (*finish)(lua_State *, lnd_job *), size_t context) {
  lua_settop(L, LND_PAUSE);
  if (!lua_isnil(L, LND_PAUSE)) luaL_checktype(L, LND_PAUSE, LUA_TFUNCTION);
  lnd_box *box = lnd_push(L, &job_class, NULL);             /* job */
  lnd_job *job = box->p = lnd_calloc(L, 1, sizeof *job);
  job->threads = 1;
  job->finish = finish;
  job->context = lnd_job_alloc(L, job, context);
  return job;
}

/* An entry of the job's list with room for `bytes`. The list owns it at once, so that an
 * error raised later does not leak it. */
static lnd_resource *add_resource(lua_State *L, lnd_job *job, size_t bytes) {
  if (bytes > SIZE_MAX - sizeof(lnd_resource)) lnd_nomem(L);
  lnd_resource *o = lnd_calloc(L, 1, sizeof *o + bytes);
  o->next = job->resources;
  job->resources = o;
  return o;
}

void *lnd_job_alloc(lua_State *L, lnd_job *job, size_t bytes) {
  return add_resource(L, job, bytes)->memory;
}

/* The entry is made before the share is taken: making it may raise an error. */
void *lnd_job_retain(lua_State *L, lnd_job *job, int at, const lnd_class *class) {
  lnd_resource *o = add_resource(L, job, 0);
  o->box = lnd_retain(L, at, class);
  return o->box->p;
}

/* The slices from now on; Lua calls it again after a pause that yielded. The job is
 * looked up anew each time: where a coroutine was given up and collected, another
 * object's finaliser can still resume it, after the job is gone. */
static int run(lua_State *L, int status, lua_KContext context) {
  (void)status;
  for (bool more = true; more;) {
    lnd_job *job = lnd_test(L, JOB, &job_class);
    if (job == NULL) return luaL_error(L, "the paused call was collected and cannot continue");
    const bool pauses = !lua_isnil(L, LND_PAUSE);
    double macs = pauses ? slice : HUGE_VAL;
    nd_error err;
    nd_blas_begin(job->threads);
    const nd_status did = job->work.advance(job->work.self, &macs, &more, &err);
    nd_blas_end();
    if (did != ND_OK) return lnd_raise(L, &err);
    if (more) {
      /* a coroutine that yields within `pause` continues in run(), with the same stack */
      lua_pushvalue(L, LND_PAUSE);                          /* pause */
      lua_pushnumber(L, slice - macs);                      /* pause,done */
      lua_callk(L, 1, 0, context, run);
    }
  }
  lnd_job *job = lnd_check(L, JOB, &job_class);  /* a pause may have closed it by hand */
  job->finish(L, job);                                      /* result */
  lnd_close(L, JOB);
  return 1;
}

int lnd_job_run(lua_State *L) {
  lua_settop(L, JOB);
  return run(L, LUA_OK, 0);
}

void lnd_open_job(lua_State *L) { lnd_type(L, &job_class, NULL, NULL); }
