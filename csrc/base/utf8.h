/* utf8.h - text that has to be UTF-8, whatever it was: songs' names are bytes. */
#ifndef ND_UTF8_H
#define ND_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The character `c`, below 0x110000, at `to`; how many bytes it takes, 1 to 4. */
size_t nd_utf8_put(char *to, uint32_t c);

/* A malloc'd copy of n bytes, ended by a zero, with U+FFFD for each byte that
 * belongs to no character; NULL without memory. */
char *nd_utf8_copy(const char *text, size_t n);

#endif
