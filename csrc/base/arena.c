/* arena.c - see the header for how an arena is used. Arrays are handed out by moving an
 * offset, and are never freed one by one. */
#include "arena.h"

#include <stdlib.h>

enum { LINE = 64 };  /* bytes of a cache line, and of the widest vector */

/* The division checks n * size + used for overflow. An arena that overflowed stays at a
 * value that nd_arena_reserve() refuses. */
void *nd_arena_take(nd_arena *a, size_t n, size_t size) {
  size_t at = a->used;
  if (n > (SIZE_MAX - LINE - at) / size) {
    a->used = SIZE_MAX - LINE;  /* never granted: nd_arena_bytes() would overflow */
    return NULL;
  }
  a->used = at + (n * size + LINE - 1) / LINE * LINE;
  if (a->memory == NULL || a->used > a->capacity) return NULL;
  return a->memory + (LINE - (uintptr_t)a->memory % LINE) + at;
}

/* One line more, because malloc aligns to 16 bytes only. */
size_t nd_arena_bytes(size_t bytes) { return bytes + LINE; }

/* A block that is too small is freed before the new one is allocated: its content is
 * not needed, and the peak is lower. */
bool nd_arena_reserve(nd_arena *a, size_t bytes) {
  a->used = 0;
  if (a->memory != NULL && bytes <= a->capacity) return true;
  nd_arena_clear(a);
  if (bytes >= SIZE_MAX - LINE) return false;
  a->memory = nd_calloc(nd_arena_bytes(bytes), 1);
  if (a->memory == NULL) return false;
  a->capacity = bytes;
  return true;
}

/* The arena is empty then and can be used again. */
void nd_arena_clear(nd_arena *a) {
  free(a->memory);
  *a = (nd_arena){0};
}
