#define _POSIX_C_SOURCE 200809L
#include "share.h"

#include <pthread.h>
#include <signal.h>

typedef struct errand {
  void (*work)(void *job, int part, int parts);
  void *job;
  int part, parts;
} errand;

static void *run(void *arg) {
  const errand *e = arg;
  e->work(e->job, e->part, e->parts);
  return NULL;
}

void nd_share(int parts, void (*work)(void *job, int part, int parts), void *job) {
  pthread_t thread[ND_MAX_PARTS];
  errand errands[ND_MAX_PARTS];
  bool started[ND_MAX_PARTS];
  sigset_t all, before;
  /* the host's signals are for the host's threads */
  bool blocked = parts > 1 && sigfillset(&all) == 0 && pthread_sigmask(SIG_SETMASK, &all, &before) == 0;
  for (int p = 0; p < parts - 1; p++) {
    errands[p] = (errand){work, job, p, parts};
    started[p] = pthread_create(&thread[p], NULL, run, &errands[p]) == 0;
  }
  if (blocked) (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  work(job, parts - 1, parts);
  for (int p = 0; p < parts - 1; p++) {
    if (started[p]) (void)pthread_join(thread[p], NULL);
    else work(job, p, parts);
  }
}

int32_t nd_share_from(int32_t n, int32_t unit, int part, int parts) {
  int64_t units = ((int64_t)n + unit - 1) / unit, at = units * part / parts * unit;
  return at < n ? (int32_t)at : n;
}
