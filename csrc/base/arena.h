/* arena.h - several arrays in one block of memory: counted first, allocated
 * once, then handed out one after another.
 *
 * One function lays the arrays out, and runs twice:
 *
 *   static void lay_out(thing *t, nd_arena *a) {
 *     t->x = nd_arena_floats(a, n);
 *     t->y = nd_arena_floats(a, m);
 *   }
 *   ...
 *   nd_arena counted = {0};
 *   lay_out(&t, &counted);
 *   if (!nd_arena_reserve(&t.arena, counted.used)) return nd_nomem(err);
 *   lay_out(&t, &t.arena);
 *
 * An arena without memory only counts: every array is NULL then. The arena owns
 * the block; the arrays live until nd_arena_clear(), or until a larger block is
 * reserved.
 */
#ifndef ND_BASE_ARENA_H
#define ND_BASE_ARENA_H

#include "nd.h"

typedef struct nd_arena {
  unsigned char *memory;  /* as malloc gave it; NULL: the arena only counts */
  size_t capacity;        /* bytes that can be handed out */
  size_t used;            /* bytes handed out or counted so far */
} nd_arena;

/* The next array, `n` elements of `size` bytes, on a cache line of its own (64
 * bytes): threads that write to different arrays do not disturb each other, and
 * vector loads are aligned. NULL while the arena only counts, or beyond what was
 * reserved. A size that overflows is counted as SIZE_MAX, which no
 * nd_arena_reserve() grants. */
void *nd_arena_take(nd_arena *a, size_t n, size_t size);
static inline float *nd_arena_floats(nd_arena *a, size_t n) {
  return nd_arena_take(a, n, sizeof(float));
}

/* Reserves `bytes` and starts handing out from the beginning. A block that
 * is large enough is reused, with whatever it holds; a new one is zeroed. false
 * when memory runs out; the arena is empty then. */
bool nd_arena_reserve(nd_arena *a, size_t bytes);

/* Bytes that nd_arena_reserve(a, bytes) asks malloc for, alignment included. */
size_t nd_arena_bytes(size_t bytes);

void nd_arena_clear(nd_arena *a);

#endif
