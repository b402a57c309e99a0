/* nd.c - errors, allocation and a hash: what every file of the engine uses. */
#include "nd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text that is too long is cut; it is always terminated. */
nd_status nd_fail(nd_error *err, nd_status status, const char *fmt, ...) {
  if (err != NULL) {
    va_list args;
    va_start(args, fmt);
    err->status = status;
    (void)vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
  }
  return status;
}

nd_status nd_nomem(nd_error *err) { return nd_fail(err, ND_NOMEM, "out of memory"); }

/* Never of 0 bytes: malloc(0) may return NULL, which callers take for a failure. */
void *nd_calloc(size_t n, size_t size) {
  if (n == 0 || size == 0) n = size = 1;
  return calloc(n, size);  /* glibc's and musl's calloc check n * size */
}

/* http://www.isthe.com/chongo/tech/comp/fnv: offset basis and prime of 64 bits. */
uint64_t nd_hash(const char *bytes, size_t n) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
  return hash;
}

/* `array` points to a pointer of the caller's type. It is read and written by
 * memcpy, because access through a void ** would break C's aliasing rules. */
bool nd_grow(void *array, size_t count, size_t *capacity, size_t size) {
  size_t grown = *capacity < 16 ? 16 : *capacity;
  while (grown < count) {
    if (grown > SIZE_MAX / 2 / size) return false;
    grown *= 2;
  }
  if (grown > SIZE_MAX / size) return false;  /* count may be below 16, size huge */
  void *old, *p;
  memcpy(&old, array, sizeof old);
  p = realloc(old, grown * size);
  if (p == NULL) return false;
  memcpy(array, &p, sizeof p);
  *capacity = grown;
  return true;
}
