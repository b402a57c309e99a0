/* step.c - nd_generator_step counted: what it asks of the allocator, of locks
 * and of the disk. step MODEL STEPS prints one number each, and a last one that
 * hangs on what was played. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "net/checkpoint.h"
#include "play/drummer.h"
#include "play/generator.h"

/* of this thread: a library's own go to sleep when they like */
static _Thread_local long allocations, locks, calls;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t n) { return allocations++, __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return allocations++, __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { return allocations++, __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return allocations++, __libc_memalign(a, n); }
void free(void *p) {
  allocations++;
  __libc_free(p);
}

#define PASS_ON(count, result, name, parameters, ...)                              \
  result name parameters {                                                         \
    static result(*real) parameters;                                               \
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, #name);                   \
    count++;                                                                       \
    return real(__VA_ARGS__);                                                      \
  }
PASS_ON(locks, int, pthread_mutex_lock, (pthread_mutex_t *m), m)
PASS_ON(locks, int, pthread_mutex_trylock, (pthread_mutex_t *m), m)
PASS_ON(calls, ssize_t, read, (int fd, void *p, size_t n), fd, p, n)
PASS_ON(calls, ssize_t, write, (int fd, const void *p, size_t n), fd, p, n)

int main(int argc, char **argv) {
  nd_error err;
  nd_checkpoint c = {0};
  nd_drummer *d;
  nd_generator *g;
  if (argc < 3) return 2;
  if (nd_checkpoint_read(&c, argv[1], &err) != ND_OK ||
      nd_drummer_restore(&d, &c, &err) != ND_OK) {
    fprintf(stderr, "%s\n", err.text);
    return 1;
  }
  nd_checkpoint_clear(&c);
  nd_generator_options o = nd_generator_defaults(d);
  if (nd_generator_make(&g, d, &o, NULL, &err) != ND_OK || !nd_generator_live(g)) return 1;
  float metrics[ND_N_METRICS] = {0};
  uint8_t hits[ND_MAX_VOICES];
  long struck = 0, before[3] = {0}, steps = atol(argv[2]);
  for (long t = 0; t < steps + 32; t++) {
    if (t == 32) before[0] = allocations, before[1] = locks, before[2] = calls;
    for (int m = 0; m < ND_N_METRICS; m++) metrics[m] = (float)((t * (m + 3)) % 7) / 7.0f;
    nd_generator_step(g, metrics, t % 16 == 0, hits);
    for (int32_t v = 0; v < d->tokeniser.kit.n_voices; v++) struck += hits[v] > 0;
  }
  printf("%ld %ld %ld %ld\n", allocations - before[0], locks - before[1], calls - before[2], struck);
  nd_generator_free(g);
  nd_drummer_free(d);
  return 0;
}
