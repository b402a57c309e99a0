/* nd.h - what every room of the engine shares: status codes, errors, limits
 * and units.
 *
 * The engine is plain C11. It knows nothing of Lua, prints nothing, never
 * exits and keeps no mutable globals. Functions that can fail return an
 * nd_status and, given a non-NULL `nd_error *`, leave a sentence there; on
 * failure every output argument is as if the call had not been made.
 *
 * Units: a tick is 1/ppq of a quarter note; a beat is a quarter note; a step
 * is the grid's unit (steps_per_beat of them a beat); velocities are 1..127
 * in MIDI and 0..1 for users; channels are 0..15 here and 1..16 for users.
 */
#ifndef ND_H
#define ND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ND_VERSION "0.1.0"

typedef enum nd_status {
  ND_OK = 0,
  ND_NOMEM,   /* memory ran out; nothing else is wrong */
  ND_IO,      /* the operating system refused: see the error's text */
  ND_FORMAT,  /* the bytes are not what they should be */
  ND_LIMIT,   /* a limit below, or the caller's own, was passed */
  ND_MISUSE   /* the caller asked for what cannot be: a programming error */
} nd_status;

typedef struct nd_error {
  nd_status status;
  char text[240];  /* one line, no file name: the caller knows that */
} nd_error;

/* Fills `err` (which may be NULL) and returns `status`, so that a failing
 * function ends in `return nd_fail(err, ND_FORMAT, "…", …);`. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
nd_status nd_fail(nd_error *err, nd_status status, const char *fmt, ...);

/* Fails with ND_NOMEM and the text "out of memory". */
nd_status nd_nomem(nd_error *err);

/* Overflow-checked allocation: n * size zeroed bytes, or NULL.
 * A request for nothing gives a pointer that can be freed. */
void *nd_calloc(size_t n, size_t size);

/* Grows `*array` of `*capacity` elements to hold at least `need`; doubling.
 * false when memory ran out, with the array as it was. */
bool nd_reserve(void **array, size_t *capacity, size_t need, size_t size);

/* FNV-1a (Fowler, Noll, Vo): tells texts apart, and keeps no secrets. */
uint64_t nd_hash(const char *bytes, size_t n);

/* Limits. The first three are defaults that a caller may change. */
enum {
  ND_MAX_FILE_BYTES = 256 << 20,
  ND_MAX_EVENTS = 8000000,
  ND_DEFAULT_MAX_STEPS = 1 << 20,       /* of a Sequence: 36 hours at 120 bpm */
  ND_MAX_STEPS = 1 << 24,      /* that this limit may be set to */
  ND_STEPS_A_BAR = 8,           /* bars are limited to as many as this makes of max_steps */
  ND_MAX_TRACKS = 4096,
  ND_MAX_TICK = 0x0FFFFFFF,
  ND_MAX_VOICES = 32,
  ND_DRUM_CHANNEL = 9           /* "channel 10" */
};

#endif
