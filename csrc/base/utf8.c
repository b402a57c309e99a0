#include "utf8.h"

#include <stdlib.h>
#include <string.h>

size_t nd_utf8_put(char *to, uint32_t c) {
  if (c < 0x80) return to[0] = (char)c, 1;
  if (c < 0x800) return to[0] = (char)(0xC0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), 2;
  if (c < 0x10000)
    return to[0] = (char)(0xE0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63)),
           to[2] = (char)(0x80 | (c & 63)), 3;
  return to[0] = (char)(0xF0 | c >> 18), to[1] = (char)(0x80 | (c >> 12 & 63)),
         to[2] = (char)(0x80 | (c >> 6 & 63)), to[3] = (char)(0x80 | (c & 63)), 4;
}

/* Bytes of the character that the n bytes begin with; 0: they begin with none.
 * No surrogates, and nothing in more bytes than it needs (RFC 3629). */
static size_t character(const unsigned char *s, size_t n) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (s[0] < 0x80) return 1;
  size_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
  if (s[0] < 0xC0 || s[0] >= 0xF8 || length > n) return 0;
  uint32_t c = s[0] & (0x7Fu >> length);
  for (size_t i = 1; i < length; i++) {
    if ((s[i] & 0xC0) != 0x80) return 0;
    c = c << 6 | (s[i] & 0x3Fu);
  }
  return c < least[length] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) ? 0 : length;
}

char *nd_utf8_copy(const char *text, size_t n) {
  static const char unknown[] = "\xEF\xBF\xBD";
  const unsigned char *s = (const unsigned char *)text;
  size_t odd = 0, used = 0;
  for (size_t at = 0, length; at < n; at += length > 0 ? length : 1) {
    length = character(s + at, n - at);
    odd += length == 0;
  }
  char *copy = malloc(n + 2 * odd + 1);
  if (copy == NULL) return NULL;
  for (size_t at = 0, length; at < n; at += length > 0 ? length : 1) {
    length = character(s + at, n - at);
    memcpy(copy + used, length > 0 ? text + at : unknown, length > 0 ? length : 3);
    used += length > 0 ? length : 3;
  }
  copy[used] = '\0';
  return copy;
}
