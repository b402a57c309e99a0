/* smf_sandbox.h - libsmf, held: it asserts, its memory may run out under it, and glib
 * aborts the process then. Where libsmf.a is there (HELD, see the Makefile) it
 * is linked into us, with its memory, its asserts and the few functions of glib
 * that it calls taken from here: it works in a room of fixed size, and what
 * goes wrong within ends the call instead of the process. Where it is not, the
 * shared one is called, after what it will want has been asked for.
 *
 * Either way one slice of the guard's at a time (ND_MIDI_SLICE events). */
#ifndef ND_MIDI_SMF_SANDBOX_H
#define ND_MIDI_SMF_SANDBOX_H

#include <smf.h>

#include "guard.h"

#ifdef ND_HELD

#include <setjmp.h>
#include <stddef.h>

/* What a slice takes: an event there is a struct, its bytes and its place in an
 * array that doubles; each block has its size in front. */
enum { ND_HOLD_BYTES = (ND_MIDI_SLICE + 1) * (int)(sizeof(smf_event_t) + 128) + 8192 };

typedef struct nd_hold {
  size_t used;
  jmp_buf out;
  _Alignas(max_align_t) unsigned char room[ND_HOLD_BYTES];
} nd_hold;

#else

typedef struct nd_hold { guint handler; } nd_hold;

#endif

/* Before the first slice of a song, and after its last. */
void nd_hold_begin(nd_hold *hold);
void nd_hold_end(nd_hold *hold);

/* Bytes that may be taken elsewhere before memory has to be asked for again. */
enum { ND_HOLD_SPARE = 1 << 16 };

/* libsmf's reading of a file with one track: ND_NOMEM, or ND_FORMAT when it
 * did not take it. To be let go before the next. `ask`: more than ND_HOLD_SPARE
 * bytes were taken since it was last asked for. */
nd_status nd_hold_load(nd_hold *hold, const uint8_t *bytes, size_t n, bool ask, smf_t **out);
void nd_hold_let_go(nd_hold *hold, smf_t *smf);

#endif
