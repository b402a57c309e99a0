/* buffer.h - a growing byte buffer, for files and texts that are built in memory.
 *
 * Appending cannot fail where it is called: after an allocation failed, `failed`
 * stays set and nothing more is appended, so that a caller checks once, at the
 * end. The caller owns `bytes` and frees it; a zeroed nd_buffer is empty. Texts
 * are not terminated unless the caller appends the zero.
 */
#ifndef ND_BASE_BUFFER_H
#define ND_BASE_BUFFER_H

#include "nd.h"

typedef struct nd_buffer {
  uint8_t *bytes;
  size_t n, capacity;
  bool failed;        /* out of memory */
} nd_buffer;

/* Appends n bytes that the caller fills; NULL after a failure. The pointer is
 * valid until the next call. */
uint8_t *nd_buffer_extend(nd_buffer *b, size_t n);

void nd_buffer_put(nd_buffer *b, const void *bytes, size_t n);

/* Appends as printf does, at most 127 characters. Not for floating-point numbers:
 * their decimal point depends on the host's locale. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void nd_buffer_print(nd_buffer *b, const char *format, ...);

#endif
