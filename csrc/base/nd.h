/* nd.h - what every file of the engine shares: status codes, errors, limits,
 * allocation, units and words.
 *
 * The engine is plain C11. It does not depend on Lua, prints nothing, never
 * exits and keeps no mutable globals. A function that can fail returns an
 * nd_status and, given a non-NULL `nd_error *`, writes a message there. On
 * failure, output arguments are unchanged unless a header says otherwise.
 *
 * Units: a tick is 1/ppq of a quarter note. Velocities are 1..127 in MIDI and
 * 0..1 for users; channels are 0..15 here and 1..16 for users.
 *
 * Glossary
 *   beat            a quarter note
 *   step            the grid's unit; a beat has steps_per_beat of them (4: sixteenths)
 *   bar             a measure, of as many steps as its meter says
 *   kit, voice      a set of drums; one of them (kick, snare, closed hat, ...)
 *   strike          one drum note of a song: step, voice, velocity, offset
 *   hit             1 where a voice has a strike on a step, else 0
 *   velocity        loudness of a strike, 0..1
 *   offset          deviation of a strike from the grid, -0.5..0.5 of a step
 *   grid cell       one (step, voice) pair
 *   mask, fixed hits  grid cells that the user keeps, and their content (inpainting)
 *   metrics         what the network sees of the accompaniment at each step
 *   style           a vector that describes how a drummer plays: rates, habits, groove
 *   plan            sections, and for each bar whether it repeats, varies or fills
 *   take            one performance of a song among several that are generated together
 *   recurrence      a bar that repeats an earlier one; self-similarity finds it
 *   novelty         how much a place differs from what precedes it (Foote 2000)
 *   logit           log-odds, before the sigmoid makes it a probability
 *   humanise        to choose velocities and offsets for known hits
 *   teacher forcing evaluation of the network on recorded drums, not on its own
 *   panel           columns of a matrix packed so that a kernel reads them in sequence
 *   MAC             multiply-accumulate, the unit in which work is budgeted
 *   PPQ, SMPTE      the two time divisions of MIDI files: ticks a quarter note or a frame
 *   VLQ             variable-length quantity: MIDI's integers of 7 bits a byte
 *   running status  a MIDI event without a status byte repeats the previous one's
 */
#ifndef ND_H
#define ND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ND_VERSION "0.1.0"

typedef enum nd_status {
  ND_OK = 0,
  ND_NOMEM,   /* an allocation failed */
  ND_IO,      /* the operating system reported an error */
  ND_FORMAT,  /* the input is malformed */
  ND_LIMIT,   /* a limit below, or one set by the caller, was exceeded */
  ND_MISUSE   /* an argument is invalid: a programming error */
} nd_status;

typedef struct nd_error {
  nd_status status;
  char text[240];  /* one line, without the file's name, which the caller adds */
} nd_error;

/* Fills `err` (which may be NULL) and returns `status`, so that a function can
 * fail with `return nd_fail(err, ND_FORMAT, "...", ...);`. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
nd_status nd_fail(nd_error *err, nd_status status, const char *fmt, ...);

/* Fails with ND_NOMEM and the text "out of memory". */
nd_status nd_nomem(nd_error *err);

/* n * size zeroed bytes, or NULL; the product is checked for overflow. A request
 * for 0 bytes returns a pointer that can be freed. */
void *nd_calloc(size_t n, size_t size);

/* Makes `array` (a malloc'd pointer, or NULL), of `capacity` (a size_t lvalue)
 * elements, hold at least `count`. The capacity doubles, from 16. false when out
 * of memory: array and capacity are then unchanged. Arguments are evaluated
 * twice. */
#define ND_GROW(array, count, capacity) \
  ((count) <= (capacity) || nd_grow(&(array), (count), &(capacity), sizeof *(array)))
bool nd_grow(void *array, size_t count, size_t *capacity, size_t size);

/* FNV-1a (Fowler, Noll, Vo), 64 bits. Not for secrets. */
uint64_t nd_hash(const char *bytes, size_t n);

/* Limits. The first three are defaults that a caller may change. */
enum {
  ND_MAX_FILE_BYTES = 256 << 20,
  ND_MAX_EVENTS = 8000000,
  ND_DEFAULT_MAX_STEPS = 1 << 20,  /* of a Sequence: 36 hours at 120 bpm */
  ND_MAX_STEPS = 1 << 24,          /* upper bound of max_steps */
  ND_STEPS_A_BAR = 8,              /* a Sequence has at most max_steps / 8 bars */
  ND_MAX_TRACKS = 4096,
  ND_MAX_TICK = 0x0FFFFFFF,
  ND_MAX_VOICES = 32,
  ND_DRUM_CHANNEL = 9           /* "channel 10" */
};

#endif
