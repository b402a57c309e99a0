/* The sandbox of libsmf (csrc/midi/smf_sandbox.h) with files that were not repaired
 * before: what would end the process ends the call. Linked with smf_sandbox.c and the
 * build's copy of libsmf.a; prints how many files were refused, and how many events
 * valid ones have.
 */
#include "midi/smf_sandbox.h"

#include <stdio.h>
#include <string.h>

static nd_sandbox *box;

/* Events of a file with one track of `body` repeated; -1: refused. */
static int load(const char *body, size_t n, int times, const char *end) {
  static uint8_t bytes[1 << 20] = "MThd\0\0\0\6\0\0\0\1\0\x60MTrk";
  size_t at = 22;
  for (int i = 0; i < times; i++, at += n) memcpy(bytes + at, body, n);
  memcpy(bytes + at, end, 4);
  if (end[1] != 0) at += 4;
  for (int i = 0; i < 4; i++) bytes[18 + i] = (uint8_t)((at - 22) >> 8 * (3 - i));
  const int events = nd_sandbox_load(box, bytes, at);
  int32_t tick = 0;
  if (events > 0 && nd_sandbox_event(box, events - 1, &tick)[1] != 0x2F) return -2;
  return events;
}

int main(void) {
  static const char END[] = "\0\xFF\x2F", NONE[4] = "";
  int refused = 0, sound = 0;
  if (nd_sandbox_new(&box, NULL) != ND_OK) return 1;
  for (int round = 0; round < 100; round++) {
    refused += load("\0\xF7\1\xF8", 4, 1, END) < 0;                      /* asserts: F7 */
    refused += load("\0\x90\x3C\x40", 4, 1, NONE) < 0;                    /* no end of track */
    refused += load("\0\x90\x3C\x40\0\xF0\2\x7E\xF7\0\x3C\0", 12, 1, END) < 0;
    refused += load("\xFF\xFF\xFF\x7F\x90\x3C\x40", 7, 9, END) < 0;       /* ticks beyond an int */
    refused += load("\0\x90\x3C\x40", 4, 100000, END) < 0;                /* exceeds the buffer */
    sound += load("\0\x90\x3C\x40", 4, ND_SANDBOX_EVENTS, END);
  }
  nd_sandbox_free(box);
  printf("%d refused, %d events\n", refused, sound);
  return 0;
}
