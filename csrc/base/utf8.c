/* utf8.c - encodes characters, and checks and copies text. */
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* RFC 3629, section 3. The first byte begins with as many ones as there are bytes. */
size_t nd_utf8_put(char *to, uint32_t c) {
  if (c < 0x80) {
    to[0] = (char)c;
    return 1;
  }
  const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  /* 6 bits in each byte but the first, whose n upper bits are set */
  for (size_t i = n; i-- > 1; c >>= 6) to[i] = (char)(0x80 | (c & 0x3F));
  to[0] = (char)((0xF00u >> n & 0xFF) | c);
  return n;
}

/* The number of bytes of the character at `s`, or 0: none begins there. Surrogates
 * and encodings longer than necessary are invalid. */
static size_t character(const unsigned char *s, size_t n) {
  static const uint32_t min_of_length[] = {0, 0, 0x80, 0x800, 0x10000};
  if (s[0] < 0x80) return 1;
  size_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
  if (s[0] < 0xC0 || s[0] >= 0xF8 || length > n) return 0;
  uint32_t c = s[0] & (0x7Fu >> length);
  for (size_t i = 1; i < length; i++) {
    if ((s[i] & 0xC0) != 0x80) return 0;
    c = c << 6 | (s[i] & 0x3Fu);
  }
  return c < min_of_length[length] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) ? 0 : length;
}

/* Two passes, O(n): the first counts, so that the copy is allocated with its exact
 * size. One U+FFFD a byte, not one a sequence: the reader then sees how much is bad. */
char *nd_utf8_copy(const char *text, size_t n) {
  static const char replacement[] = "\xEF\xBF\xBD";  /* U+FFFD */
  const unsigned char *s = (const unsigned char *)text;
  size_t invalid = 0, used = 0;
  for (size_t at = 0, length; at < n; at += length > 0 ? length : 1) {
    length = character(s + at, n - at);
    invalid += length == 0;
  }
  char *copy = malloc(n + 2 * invalid + 1);  /* one byte becomes three */
  if (copy == NULL) return NULL;
  for (size_t at = 0, length; at < n; at += length > 0 ? length : 1) {
    length = character(s + at, n - at);
    memcpy(copy + used, length > 0 ? text + at : replacement, length > 0 ? length : 3);
    used += length > 0 ? length : 3;
  }
  copy[used] = '\0';
  return copy;
}
