#define _POSIX_C_SOURCE 200809L
#include "thread_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

struct nd_thread_pool {
  int parts;
  pthread_t thread[ND_MAX_PARTS];
  pthread_mutex_t lock;
  pthread_cond_t begun, done;
  atomic_uint round;          /* of work, from 1 */
  atomic_int busy;            /* threads that are still at this round */
  atomic_int numbered;        /* threads that have their number */
  /* written before the round that they are for begins */
  void (*work)(void *job, int part, int parts);
  void *job;
};

/* Rounds follow each other at once: looking for a few microseconds is quicker
 * than being woken. */
enum { LOOKS = 2000 };

static void pause_a_little(void) {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_ia32_pause();
#endif
}

static void *live(void *arg) {
  nd_thread_pool *c = arg;
  int part = atomic_fetch_add(&c->numbered, 1);
  for (unsigned seen = 0;; seen++) {
    for (int i = 0; i < LOOKS && atomic_load(&c->round) == seen; i++) pause_a_little();
    if (atomic_load(&c->round) == seen) {
      (void)pthread_mutex_lock(&c->lock);
      while (atomic_load(&c->round) == seen) (void)pthread_cond_wait(&c->begun, &c->lock);
      (void)pthread_mutex_unlock(&c->lock);
    }
    if (c->work == NULL) return NULL;
    c->work(c->job, part, c->parts);
    if (atomic_fetch_sub(&c->busy, 1) == 1) {
      (void)pthread_mutex_lock(&c->lock);
      (void)pthread_cond_signal(&c->done);
      (void)pthread_mutex_unlock(&c->lock);
    }
  }
}

/* Lets the threads begin with `work`. */
static void begin(nd_thread_pool *c, void (*work)(void *, int, int), void *job) {
  c->work = work;
  c->job = job;
  atomic_store(&c->busy, c->parts - 1);
  (void)pthread_mutex_lock(&c->lock);
  (void)atomic_fetch_add(&c->round, 1u);
  (void)pthread_cond_broadcast(&c->begun);
  (void)pthread_mutex_unlock(&c->lock);
}

static void take_apart(nd_thread_pool *c) {
  (void)pthread_cond_destroy(&c->done);
  (void)pthread_cond_destroy(&c->begun);
  (void)pthread_mutex_destroy(&c->lock);
  free(c);
}

nd_thread_pool *nd_thread_pool_make(int parts) {
  if (parts > ND_MAX_PARTS) parts = ND_MAX_PARTS;
  nd_thread_pool *c = parts > 1 ? nd_calloc(1, sizeof *c) : NULL;
  if (c == NULL) return NULL;
  (void)pthread_mutex_init(&c->lock, NULL);
  (void)pthread_cond_init(&c->begun, NULL);
  (void)pthread_cond_init(&c->done, NULL);
  sigset_t all, before;
  /* the host's signals are for the host's threads */
  bool blocked = sigfillset(&all) == 0 && pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
  for (c->parts = 1; c->parts < parts; c->parts++)
    if (pthread_create(&c->thread[c->parts - 1], NULL, live, c) != 0) break;
  if (blocked) (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (c->parts > 1) return c;
  take_apart(c);
  return NULL;
}

void nd_thread_pool_end(nd_thread_pool *c) {
  if (c == NULL) return;
  begin(c, NULL, NULL);
  for (int p = 0; p < c->parts - 1; p++) (void)pthread_join(c->thread[p], NULL);
  take_apart(c);
}

void nd_thread_pool_run(nd_thread_pool *c, void (*work)(void *job, int part, int parts), void *job) {
  if (c == NULL) {
    work(job, 0, 1);
    return;
  }
  begin(c, work, job);
  work(job, c->parts - 1, c->parts);
  for (int i = 0; i < LOOKS && atomic_load(&c->busy) > 0; i++) pause_a_little();
  if (atomic_load(&c->busy) == 0) return;
  (void)pthread_mutex_lock(&c->lock);
  while (atomic_load(&c->busy) > 0) (void)pthread_cond_wait(&c->done, &c->lock);
  (void)pthread_mutex_unlock(&c->lock);
}

int32_t nd_partition_begin(int32_t n, int32_t unit, int part, int parts) {
  int64_t units = ((int64_t)n + unit - 1) / unit, at = units * part / parts * unit;
  return at < n ? (int32_t)at : n;
}
