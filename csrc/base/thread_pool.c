/* thread_pool.c - fork and join: each call of run is a round, in which every worker
 * does one part of the job and the caller the last part.
 *
 * Protocol: the caller writes the job, sets `busy` to the number of workers and
 * increases `round`; each worker sees the new round, does its part and decreases
 * `busy`; the caller waits for 0. Both sides poll before they sleep on a condition. A
 * round without work ends the workers. */
#define _POSIX_C_SOURCE 200809L
#include "thread_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

struct nd_thread_pool {
  int parts;                  /* threads, the calling one included */
  pthread_t thread[ND_MAX_PARTS];
  pthread_mutex_t mutex;
  pthread_cond_t begun, done;
  atomic_uint round;          /* number of the current call of run, from 1 */
  atomic_int busy;            /* workers that have not finished this round */
  atomic_int numbered;        /* workers that have taken their part number */
  /* The round's job; written before `round` is increased, which publishes it. No
   * function: the workers are to end. */
  void (*work)(void *job, int part, int parts);
  void *job;
};

/* Rounds follow each other closely, so a thread polls for a few microseconds before
 * it sleeps: that is faster than to be woken. */
enum { SPIN_LIMIT = 2000 };

/* Tells the CPU that this is a polling loop: it saves power, and the other thread of
 * the same core runs faster. */
static void pause_briefly(void) {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_ia32_pause();
#endif
}

/* A worker: waits for a round, does its part, reports, and so on until a round without
 * work. It takes its part number itself, because which thread has which does not
 * matter. `last` wraps around after 2^32 rounds, as `round` does. */
static void *worker_main(void *arg) {
  nd_thread_pool *pool = arg;
  const int part = atomic_fetch_add(&pool->numbered, 1);
  for (unsigned last = 0;; last++) {  /* the round that this worker has finished */
    for (int i = 0; i < SPIN_LIMIT && atomic_load(&pool->round) == last; i++) pause_briefly();
    if (atomic_load(&pool->round) == last) {
      (void)pthread_mutex_lock(&pool->mutex);
      while (atomic_load(&pool->round) == last)
        (void)pthread_cond_wait(&pool->begun, &pool->mutex);
      (void)pthread_mutex_unlock(&pool->mutex);
    }
    if (pool->work == NULL) return NULL;
    pool->work(pool->job, part, pool->parts);
    if (atomic_fetch_sub(&pool->busy, 1) == 1) {
      /* under the mutex, so that the caller cannot miss it between test and wait */
      (void)pthread_mutex_lock(&pool->mutex);
      (void)pthread_cond_signal(&pool->done);
      (void)pthread_mutex_unlock(&pool->mutex);
    }
  }
}

/* Starts a round on the workers. The order matters: the job and `busy` are written
 * before `round` changes, because a worker that polls may start at once. `round`
 * changes under the mutex, because a worker that is about to sleep has tested it
 * there, and would otherwise miss the broadcast. */
static void begin_round(nd_thread_pool *pool, void (*work)(void *, int, int), void *job) {
  pool->work = work;
  pool->job = job;
  atomic_store(&pool->busy, pool->parts - 1);
  (void)pthread_mutex_lock(&pool->mutex);
  (void)atomic_fetch_add(&pool->round, 1u);
  (void)pthread_cond_broadcast(&pool->begun);
  (void)pthread_mutex_unlock(&pool->mutex);
}

static void free_pool(nd_thread_pool *pool) {
  (void)pthread_cond_destroy(&pool->done);
  (void)pthread_cond_destroy(&pool->begun);
  (void)pthread_mutex_destroy(&pool->mutex);
  free(pool);
}

/* Workers start while `parts` still grows; they wait for the first round, which is
 * begun when all exist, so they read its final value. */
nd_thread_pool *nd_thread_pool_make(int parts) {
  if (parts > ND_MAX_PARTS) parts = ND_MAX_PARTS;
  nd_thread_pool *pool = parts > 1 ? nd_calloc(1, sizeof *pool) : NULL;
  if (pool == NULL) return NULL;
  (void)pthread_mutex_init(&pool->mutex, NULL);
  (void)pthread_cond_init(&pool->begun, NULL);
  (void)pthread_cond_init(&pool->done, NULL);
  sigset_t all, before;
  /* workers inherit a full signal mask: the host's handlers run on its own threads */
  bool blocked = sigfillset(&all) == 0 && pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
  for (pool->parts = 1; pool->parts < parts; pool->parts++)
    if (pthread_create(&pool->thread[pool->parts - 1], NULL, worker_main, pool) != 0) break;
  if (blocked) (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (pool->parts > 1) return pool;
  free_pool(pool);
  return NULL;
}

void nd_thread_pool_end(nd_thread_pool *pool) {
  if (pool == NULL) return;
  begin_round(pool, NULL, NULL);
  for (int p = 0; p < pool->parts - 1; p++) (void)pthread_join(pool->thread[p], NULL);
  free_pool(pool);
}

/* The caller works too, then polls and at last sleeps until busy is 0. What the
 * workers wrote is visible then: busy is decreased after their work, and the atomic
 * operations are sequentially consistent. */
void nd_thread_pool_run(nd_thread_pool *pool, void (*work)(void *job, int part, int parts),
                        void *job) {
  if (pool == NULL) {
    work(job, 0, 1);
    return;
  }
  begin_round(pool, work, job);
  work(job, pool->parts - 1, pool->parts);
  for (int i = 0; i < SPIN_LIMIT && atomic_load(&pool->busy) > 0; i++) pause_briefly();
  if (atomic_load(&pool->busy) == 0) return;
  (void)pthread_mutex_lock(&pool->mutex);
  while (atomic_load(&pool->busy) > 0) (void)pthread_cond_wait(&pool->done, &pool->mutex);
  (void)pthread_mutex_unlock(&pool->mutex);
}

int32_t nd_partition_begin(int32_t n, int32_t unit, int part, int parts) {
  /* whole units; the last one may be incomplete */
  int64_t units = ((int64_t)n + unit - 1) / unit, at = units * part / parts * unit;
  return at < n ? (int32_t)at : n;
}
