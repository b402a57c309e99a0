/* smf_sandbox.c - libsmf with a memory, assertions, a log and arrays of ours.
 *
 * Why leaving libsmf by longjmp is safe: between setjmp and longjmp only code of
 * libsmf and of this file runs. libsmf takes no lock and opens no file here, its only
 * resource is memory, and all of that is in the sandbox's buffer, which the next load
 * empties. So a jump leaks nothing and leaves nothing half done that is used again.
 *
 * What must not happen in between: a call of the real malloc, fopen or a lock, a
 * callback into other code, or another setjmp of this sandbox; and libsmf's objects
 * must not be used after a jump. Local variables that change between setjmp and the
 * jump are undefined afterwards unless they are volatile (C11 7.13.2.1).
 *
 * The Makefile stops the build when libsmf calls a function of glib that is not here. */
#include "smf_sandbox.h"

#include <stdlib.h>

/* Without libsmf the module still trains and plays; it cannot read MIDI files. */
#ifdef ND_NO_LIBSMF

nd_status nd_sandbox_new(nd_sandbox **out, nd_error *err) {
  (void)out;
  return nd_fail(err, ND_IO, "MIDI files cannot be read: built without libsmf");
}

void nd_sandbox_free(nd_sandbox *box) { (void)box; }

int nd_sandbox_load(nd_sandbox *box, const uint8_t *bytes, size_t n) {
  (void)box;
  (void)bytes;
  (void)n;
  return -1;
}

const uint8_t *nd_sandbox_event(const nd_sandbox *box, int i, int32_t *tick) {
  (void)box;
  (void)i;
  *tick = 0;
  return NULL;
}

#else

#include <setjmp.h>
#include <smf.h>
#include <string.h>

/* What a file takes: each event is a struct, its bytes, and a slot in an array
 * that doubles without freeing the old one; every block has its size in front.
 * The 8 KiB are for the file, its track and its tempo. */
enum { BUFFER_BYTES = (ND_SANDBOX_EVENTS + 1) * (int)(sizeof(smf_event_t) + 128) + 8192 };

/* About 20 KiB, freed with the parser: nothing of libsmf outlives a parse. */
struct nd_sandbox {
  size_t used;               /* bytes of the buffer, a multiple of UNIT */
  const smf_track_t *track;  /* of the file last loaded, within the buffer */
  jmp_buf failed;
  _Alignas(max_align_t) unsigned char buffer[BUFFER_BYTES];
};

/* What libsmf calls in place of the C library and glib, under the names that the
 * Makefile gives these calls. */
void *nd_libsmf_malloc(size_t n);
void *nd_libsmf_calloc(size_t n, size_t size);
void *nd_libsmf_realloc(void *p, size_t n);
void nd_libsmf_free(void *p);
_Noreturn void nd_libsmf_assert_fail(const char *what, const char *file, unsigned line,
                                      const char *function);
void nd_libsmf_g_log(const gchar *domain, GLogLevelFlags level, const gchar *format, ...);
GPtrArray *nd_libsmf_g_ptr_array_new(void);
void nd_libsmf_g_ptr_array_add(GPtrArray *array, gpointer p);
gpointer *nd_libsmf_g_ptr_array_free(GPtrArray *array, gboolean all);
gboolean nd_libsmf_g_ptr_array_remove(GPtrArray *array, gpointer p);
gpointer nd_libsmf_g_ptr_array_remove_index(GPtrArray *array, guint i);
_Noreturn void nd_libsmf_g_ptr_array_sort(GPtrArray *array, GCompareFunc compare);

/* The sandbox that this thread is in: libsmf passes no context to these calls.
 * Set only while libsmf runs, so it carries nothing from one call to the next. */
static _Thread_local nd_sandbox *entered;

/* Ends the call of libsmf that this thread is in; nd_sandbox_load then returns -1. */
static _Noreturn void leave(void) { longjmp(entered->failed, 1); }

/* ------------------------------------------------------------------- memory */

/* A bump allocator. Each block has its size in the UNIT bytes before it, for
 * realloc; nothing is freed before the next load empties the buffer. */
enum { UNIT = sizeof(max_align_t) };

/* The size that a block was requested with. */
static size_t size_of(const void *p) {
  size_t n;
  memcpy(&n, (const unsigned char *)p - UNIT, sizeof n);
  return n;
}

/* Never returns NULL: a full buffer ends the load. */
void *nd_libsmf_malloc(size_t n) {
  nd_sandbox *box = entered;
  if (n > BUFFER_BYTES - 2 * UNIT) leave();  /* so that the sum below cannot overflow */
  const size_t block = UNIT + (n + UNIT - 1) / UNIT * UNIT;
  if (block > BUFFER_BYTES - box->used) leave();
  unsigned char *p = box->buffer + box->used;
  memcpy(p, &n, sizeof n);
  box->used += block;
  return p + UNIT;
}

/* Zeroed here: the buffer still contains what the last load wrote. */
void *nd_libsmf_calloc(size_t n, size_t size) {
  if (n > BUFFER_BYTES || size > BUFFER_BYTES) leave();  /* their product fits a size_t */
  return memset(nd_libsmf_malloc(n * size), 0, n * size);
}

/* Always a new block; the old one stays in the buffer until the next load. */
void *nd_libsmf_realloc(void *p, size_t n) {
  void *to = nd_libsmf_malloc(n);
  if (p != NULL) memcpy(to, p, size_of(p) < n ? size_of(p) : n);
  return to;
}

/* The next load empties the buffer as a whole. */
void nd_libsmf_free(void *p) { (void)p; }

/* ------------------------------------------------------- assertions and logs */

/* In place of glibc's __assert_fail, which aborts the process. An assertion that does
 * not hold means that libsmf's objects are inconsistent, so it must not go on. */
void nd_libsmf_assert_fail(const char *what, const char *file, unsigned line,
                            const char *function) {
  (void)what;
  (void)file;
  (void)line;
  (void)function;
  leave();
}

/* glib would print. The result of the load tells enough. */
void nd_libsmf_g_log(const gchar *domain, GLogLevelFlags level, const gchar *format, ...) {
  (void)domain;
  (void)level;
  (void)format;
}

/* ------------------------------------------------------------- glib's arrays */

/* GPtrArray with its hidden capacity: libsmf reads pdata and len directly. */
typedef struct array { GPtrArray public; guint capacity; } array;

GPtrArray *nd_libsmf_g_ptr_array_new(void) { return nd_libsmf_calloc(1, sizeof(array)); }

/* Capacities are 16, 32, 64, ...; the old block stays in the buffer, which
 * BUFFER_BYTES allows for. */
void nd_libsmf_g_ptr_array_add(GPtrArray *pointers, gpointer p) {
  array *a = (array *)pointers;
  if (pointers->len == a->capacity) {
    a->capacity = a->capacity > 0 ? 2 * a->capacity : 16;
    pointers->pdata = nd_libsmf_realloc(pointers->pdata, a->capacity * sizeof *pointers->pdata);
  }
  pointers->pdata[pointers->len++] = p;
}

/* glib returns the elements when they are not to be freed. */
gpointer *nd_libsmf_g_ptr_array_free(GPtrArray *pointers, gboolean all) {
  return all ? NULL : pointers->pdata;
}

/* glib logs an index that is out of range and goes on. */
gpointer nd_libsmf_g_ptr_array_remove_index(GPtrArray *pointers, guint i) {
  if (i >= pointers->len) leave();
  gpointer p = pointers->pdata[i];
  pointers->len--;
  memmove(pointers->pdata + i, pointers->pdata + i + 1,
          (pointers->len - i) * sizeof *pointers->pdata);
  return p;
}

/* The first element equal to `p`. O(n), for at most ND_SANDBOX_EVENTS + 1 elements. */
gboolean nd_libsmf_g_ptr_array_remove(GPtrArray *pointers, gpointer p) {
  for (guint i = 0; i < pointers->len; i++) {
    if (pointers->pdata[i] != p) continue;
    (void)nd_libsmf_g_ptr_array_remove_index(pointers, i);
    return TRUE;
  }
  return FALSE;
}

/* Called for events that are out of order, which a file cannot contain. */
void nd_libsmf_g_ptr_array_sort(GPtrArray *pointers, GCompareFunc compare) {
  (void)pointers;
  (void)compare;
  leave();
}

/* ---------------------------------------------------------------------- calls */

nd_status nd_sandbox_new(nd_sandbox **out, nd_error *err) {
  *out = malloc(sizeof **out);
  return *out != NULL ? ND_OK : nd_fail(err, ND_NOMEM, "out of memory");
}

void nd_sandbox_free(nd_sandbox *box) { free(box); }

/* `entered` is cleared on both ways out, so that nothing outside of a load can use the
 * sandbox through it. What libsmf returned is in the buffer: smf_delete is not called. */
int nd_sandbox_load(nd_sandbox *box, const uint8_t *bytes, size_t n) {
  /* leave() returns here for the second time. volatile: set between setjmp and longjmp */
  smf_t *volatile smf = NULL;
  box->used = 0;
  box->track = NULL;
  entered = box;
  if (setjmp(box->failed) == 0) smf = smf_load_from_memory(bytes, (int)n);
  entered = NULL;
  if (smf == NULL || smf->tracks_array->len != 1) return -1;
  box->track = g_ptr_array_index(smf->tracks_array, 0);
  return (int)box->track->events_array->len;
}

/* libsmf has computed time_pulses, the sum of the delta times, while loading. */
const uint8_t *nd_sandbox_event(const nd_sandbox *box, int i, int32_t *tick) {
  const smf_event_t *event = g_ptr_array_index(box->track->events_array, i);
  *tick = event->time_pulses;
  return event->midi_buffer;
}

#endif
