#include "smf_sandbox.h"

#include <stdlib.h>
#include <string.h>

#ifdef ND_HELD

/* What libsmf calls, by the names that the Makefile gives these in it. It hands
 * no state along, so that which room they work in is this thread's. */
void *nd_held_malloc(size_t n);
void *nd_held_calloc(size_t n, size_t size);
void *nd_held_realloc(void *p, size_t n);
void nd_held_free(void *p);
_Noreturn void nd_held_assert_fail(const char *what, const char *file, unsigned line,
                                   const char *function);
void nd_held_g_log(const gchar *domain, GLogLevelFlags level, const gchar *format, ...);
GPtrArray *nd_held_g_ptr_array_new(void);
void nd_held_g_ptr_array_add(GPtrArray *array, gpointer p);
gpointer *nd_held_g_ptr_array_free(GPtrArray *array, gboolean all);
gboolean nd_held_g_ptr_array_remove(GPtrArray *array, gpointer p);
gpointer nd_held_g_ptr_array_remove_index(GPtrArray *array, guint i);
_Noreturn void nd_held_g_ptr_array_sort(GPtrArray *array, GCompareFunc compare);

static _Thread_local nd_hold *entered;

static _Noreturn void leave(void) { longjmp(entered->out, 1); }

/* ------------------------------------------------------------------- memory */

enum { UNIT = sizeof(max_align_t) };  /* of a block, and of the size in front of it */

static size_t size_of(const void *p) {
  size_t n;
  memcpy(&n, (const unsigned char *)p - UNIT, sizeof n);
  return n;
}

void *nd_held_malloc(size_t n) {
  nd_hold *hold = entered;
  if (n > ND_HOLD_BYTES - 2 * UNIT) leave();
  const size_t whole = UNIT + (n + UNIT - 1) / UNIT * UNIT;
  if (whole > ND_HOLD_BYTES - hold->used) leave();
  unsigned char *p = hold->room + hold->used;
  memcpy(p, &n, sizeof n);
  hold->used += whole;
  return p + UNIT;
}

void *nd_held_calloc(size_t n, size_t size) {
  if (size > 0 && n > ND_HOLD_BYTES / size) leave();
  return memset(nd_held_malloc(n * size), 0, n * size);
}

void *nd_held_realloc(void *p, size_t n) {
  void *to = nd_held_malloc(n);
  if (p != NULL) memcpy(to, p, size_of(p) < n ? size_of(p) : n);
  return to;
}

/* The room is emptied as a whole. */
void nd_held_free(void *p) { (void)p; }

/* ------------------------------------------------------- what it says, asserts */

void nd_held_assert_fail(const char *what, const char *file, unsigned line, const char *function) {
  (void)what;
  (void)file;
  (void)line;
  (void)function;
  leave();
}

void nd_held_g_log(const gchar *domain, GLogLevelFlags level, const gchar *format, ...) {
  (void)domain;
  (void)level;
  (void)format;
}

/* ------------------------------------------------------------- glib's arrays */

typedef struct array { GPtrArray seen; guint capacity; } array;

GPtrArray *nd_held_g_ptr_array_new(void) { return nd_held_calloc(1, sizeof(array)); }

void nd_held_g_ptr_array_add(GPtrArray *given, gpointer p) {
  array *a = (array *)given;
  if (given->len == a->capacity) {
    a->capacity = a->capacity > 0 ? 2 * a->capacity : 16;
    given->pdata = nd_held_realloc(given->pdata, a->capacity * sizeof *given->pdata);
  }
  given->pdata[given->len++] = p;
}

gpointer *nd_held_g_ptr_array_free(GPtrArray *given, gboolean all) {
  return all ? NULL : given->pdata;
}

gpointer nd_held_g_ptr_array_remove_index(GPtrArray *given, guint i) {
  if (i >= given->len) leave();
  gpointer p = given->pdata[i];
  given->len--;
  memmove(given->pdata + i, given->pdata + i + 1, (given->len - i) * sizeof *given->pdata);
  return p;
}

gboolean nd_held_g_ptr_array_remove(GPtrArray *given, gpointer p) {
  for (guint i = 0; i < given->len; i++) {
    if (given->pdata[i] != p) continue;
    (void)nd_held_g_ptr_array_remove_index(given, i);
    return TRUE;
  }
  return FALSE;
}

/* Of events out of order, which a file cannot have. */
void nd_held_g_ptr_array_sort(GPtrArray *given, GCompareFunc compare) {
  (void)given;
  (void)compare;
  leave();
}

/* ---------------------------------------------------------------------- calls */

void nd_hold_begin(nd_hold *hold) { hold->used = 0; }
void nd_hold_end(nd_hold *hold) { hold->used = 0; }

nd_status nd_hold_load(nd_hold *hold, const uint8_t *bytes, size_t n, bool ask, smf_t **out) {
  (void)ask;
  hold->used = 0;
  entered = hold;
  *out = NULL;
  if (setjmp(hold->out) == 0) *out = smf_load_from_memory(bytes, (int)n);
  entered = NULL;
  return *out != NULL ? ND_OK : ND_FORMAT;
}

void nd_hold_let_go(nd_hold *hold, smf_t *smf) {
  (void)smf;
  hold->used = 0;
}

#else

/* libsmf tells its troubles to glib's log, which prints. Behind the guard it
 * has none; should it have one after all, our error says so. */
static void discard(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer data) {
  (void)domain;
  (void)level;
  (void)text;
  (void)data;
}

/* glib gives the number of a new handler back after it has let go of its lock:
 * of two threads at once, both may get the same, and one handler would stay for
 * good. So they take turns; the lock is all that is shared, and holds nothing.
 * Once a song, and not left behind: a host may unload us. */
static GMutex turns;

void nd_hold_begin(nd_hold *hold) {
  g_mutex_lock(&turns);
  hold->handler = g_log_set_handler(
      "libsmf", (GLogLevelFlags)(G_LOG_LEVEL_MASK | G_LOG_FLAG_RECURSION), discard, NULL);
  g_mutex_unlock(&turns);
}

void nd_hold_end(nd_hold *hold) { g_log_remove_handler("libsmf", hold->handler); }

/* libsmf and glib don't outlive the end of memory: the one crashes, the other
 * aborts. So what they will want for a slice is asked for beforehand, and given
 * back. An event there is a struct, its bytes, and its place in an array. More
 * than that is asked for, so that it need not be done again before so much has
 * been taken: a block of this size makes malloc tidy up all that is free. */
static bool has_room(void) {
  enum { OVERHEAD = 32 };  /* of a block: malloc's own, and rounding */
  const size_t event = sizeof(smf_event_t) + 4 * sizeof(void *) + 2 * OVERHEAD;
  void *room = malloc((ND_MIDI_SLICE + 1) * event + sizeof(smf_t) + sizeof(smf_track_t) +
                      sizeof(smf_tempo_t) + 4096 + ND_HOLD_SPARE);
  free(room);
  return room != NULL;
}

nd_status nd_hold_load(nd_hold *hold, const uint8_t *bytes, size_t n, bool ask, smf_t **out) {
  (void)hold;
  *out = NULL;
  if (ask && !has_room()) return ND_NOMEM;
  *out = smf_load_from_memory(bytes, (int)n);
  return *out != NULL ? ND_OK : ND_FORMAT;
}

/* smf_delete looks every event up before it frees it, and moves the rest. */
void nd_hold_let_go(nd_hold *hold, smf_t *smf) {
  (void)hold;
  for (guint t = 0; t < smf->tracks_array->len; t++) {
    smf_track_t *track = g_ptr_array_index(smf->tracks_array, t);
    for (guint i = 0; i < track->events_array->len; i++) {
      smf_event_t *event = g_ptr_array_index(track->events_array, i);
      free(event->midi_buffer);
      free(event);
    }
    (void)g_ptr_array_free(track->events_array, TRUE);
    free(track);
  }
  (void)g_ptr_array_free(smf->tracks_array, TRUE);
  for (guint i = 0; i < smf->tempo_array->len; i++) free(g_ptr_array_index(smf->tempo_array, i));
  (void)g_ptr_array_free(smf->tempo_array, TRUE);
  free(smf);
}

#endif
