/* buffer.c - appends to a buffer whose capacity doubles: n bytes cost O(n) in all. */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* n is added before the caller fills the bytes. The subtraction checks for overflow
 * without computing the sum. */
uint8_t *nd_buffer_extend(nd_buffer *b, size_t n) {
  if (b->failed || n > SIZE_MAX - b->n || !ND_GROW(b->bytes, b->n + n, b->capacity)) {
    b->failed = true;
    return NULL;
  }
  b->n += n;
  return b->bytes + b->n - n;
}

void nd_buffer_put(nd_buffer *b, const void *bytes, size_t n) {
  uint8_t *to = nd_buffer_extend(b, n);
  /* memcpy from NULL is undefined even for 0 bytes */
  if (to != NULL && n > 0) memcpy(to, bytes, n);
}

void nd_buffer_print(nd_buffer *b, const char *format, ...) {
  char text[128];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  nd_buffer_put(b, text, strlen(text));
}
