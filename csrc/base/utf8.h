/* utf8.h - makes text valid UTF-8 (RFC 3629). Names in MIDI files are bytes of any
 * encoding; JSON and terminals need UTF-8.
 */
#ifndef ND_UTF8_H
#define ND_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Writes the character `c` (below 0x110000) at `to`; returns its bytes, 1 to 4. */
size_t nd_utf8_put(char *to, uint32_t c);

/* A malloc'd, zero-terminated copy of n bytes, in which U+FFFD replaces each byte
 * that belongs to no character. NULL: out of memory. */
char *nd_utf8_copy(const char *text, size_t n);

#endif
