/* smf_sandbox.h - runs libsmf in a sandbox. libsmf calls assert, and glib ends
 * the process when malloc fails; a module in somebody else's process may do
 * neither. The Makefile therefore links a copy of libsmf.a whose calls to malloc,
 * assert, g_log and GPtrArray are renamed to functions of smf_sandbox.c: libsmf
 * allocates from a fixed buffer, and any failure longjmps out of the call. glib
 * itself is not linked; only its headers are needed, for types.
 *
 * Only smf_sandbox.c includes smf.h. Compiled with ND_NO_LIBSMF it does without
 * libsmf, and nd_sandbox_new fails.
 *
 * A sandbox is used by one thread at a time; several may run in parallel.
 */
#ifndef ND_MIDI_SMF_SANDBOX_H
#define ND_MIDI_SMF_SANDBOX_H

#include "../base/nd.h"

/* Events of one file that is passed to libsmf, besides its end of track. The
 * buffer is sized for this many. */
enum { ND_SANDBOX_EVENTS = 63 };

typedef struct nd_sandbox nd_sandbox;

/* ND_NOMEM, or ND_IO: built without libsmf. */
nd_status nd_sandbox_new(nd_sandbox **out, nd_error *err);
void nd_sandbox_free(nd_sandbox *box);  /* NULL is fine */

/* libsmf parses a MIDI file of one track. Returns the number of its events, or
 * -1 when libsmf refused the file or exceeded the buffer. */
int nd_sandbox_load(nd_sandbox *box, const uint8_t *bytes, size_t n);

/* Event `i` of the file last loaded: its bytes (status first, running status
 * expanded), valid until the next load, and its tick. */
const uint8_t *nd_sandbox_event(const nd_sandbox *box, int i, int32_t *tick);

#endif
