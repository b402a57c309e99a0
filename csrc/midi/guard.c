/* The rules, learnt from fuzzing libsmf 1.3, which asserts, reads past the end
 * or goes quadratic on bytes that break them.
 *
 * Rejected, with the byte: under 14 bytes; no MThd in the first 4 KiB; header
 * length below 6; format above 2, or format 2 with several tracks; division 0
 * or no SMPTE rate; no MTrk; anything over the limits.
 *
 * Repaired, and reported: leading junk and RIFF wrappers; long headers (unless a
 * track stands where six bytes end, and nothing where they say); a wrong
 * count of tracks; junk between chunks; unknown chunks (set aside); wrong
 * lengths of tracks; missing ends of tracks, and what stands behind them;
 * running status across metas and sysex. Where a track can't be read on (a
 * number over four bytes, a length past the end, F4, F5, FD, no status, ticks
 * over ND_MAX_TICK) it is cut there: the repair is marked lossy.
 *
 * Parked: libsmf misreads metas over 127 bytes, aborts on F7, keeps data bytes
 * over 0x7F, and its tempo map is quadratic. We need it for none of these, nor
 * for controllers and bends, so it sees notes, programs and ends of tracks alone.
 */
#include "guard.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/bytes.h"
#include "../base/file.h"

const nd_midi_limits nd_midi_default_limits = {
  .max_bytes = ND_MAX_FILE_BYTES,
  .max_events = ND_MAX_EVENTS,
  .max_tracks = ND_MAX_TRACKS,
  .strict = false,
};

enum {
  HEADER_WITHIN = 4096,
  MAX_TRACKS = UINT16_MAX,  /* the header has no more room */
  MAX_CHUNKS = 2 * UINT16_MAX
};

/* ------------------------------------------------------------- the scanner */

static const char *const torn = "the track ends within an event";

static inline const char *read_vlq(const nd_midi_scan *scan, size_t *at, uint32_t *value) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) {
    if (*at >= scan->end) return torn;
    uint8_t byte = scan->bytes[(*at)++];
    v = v << 7 | (byte & 0x7Fu);
    if (byte < 0x80) {
      *value = v;
      return NULL;
    }
  }
  return "a number of more than four bytes";
}

/* Data bytes of a channel or system event; -1 where MIDI files have none such. */
static inline int data_bytes(uint8_t status) {
  switch (status < 0xF0 ? status & 0xF0 : status) {
    case 0x80: case 0x90: case 0xA0: case 0xB0: case 0xE0: case 0xF2: return 2;
    case 0xC0: case 0xD0: case 0xF1: case 0xF3: return 1;
    case 0xF4: case 0xF5: case 0xFD: return -1;
    default: return 0;
  }
}

static inline const char *next_event(nd_midi_scan *scan, nd_midi_event *event) {
  nd_midi_event e = {.at = scan->at};
  size_t at = scan->at;
  const char *why = read_vlq(scan, &at, &e.delta);
  if (why != NULL) return why;
  if (e.delta > (uint32_t)(ND_MAX_TICK - scan->tick)) return "time runs past the limit";
  e.tick = scan->tick + (int32_t)e.delta;
  e.body = at;
  if (at >= scan->end) return torn;
  if (scan->bytes[at] >= 0x80) {
    e.status = scan->bytes[at++];
  } else {
    if (scan->running == 0) return "a data byte without a status";
    e.status = scan->running;
    e.running = true;
  }

  uint32_t length;
  if (e.status == 0xFF || e.status == 0xF0 || e.status == 0xF7) {
    if (e.status == 0xFF) {
      if (at >= scan->end) return torn;
      e.type = scan->bytes[at++];
    }
    if ((why = read_vlq(scan, &at, &length)) != NULL) return why;
  } else {
    int n = data_bytes(e.status);
    if (n < 0) return "a status that MIDI files don't have";
    length = (uint32_t)n;
  }
  e.data = at;
  if (length > scan->end - at) return torn;
  e.end = at + length;
  if (e.status < 0xF0) {
    for (size_t i = e.data; i < e.end; i++) e.bad_data = e.bad_data || scan->bytes[i] > 0x7F;
    scan->running = e.status;
  }
  scan->at = e.end;
  scan->tick = e.tick;
  *event = e;
  return NULL;
}

const char *nd_midi_next(nd_midi_scan *scan, nd_midi_event *event) {
  return next_event(scan, event);
}

/* Most events by far: of a channel, whole and without a flaw, the time said in
 * one byte. They are taken by the loops below without further ado. */
typedef struct plain {
  uint8_t delta, status, data, size;  /* data: offset of its bytes, up to its size */
  bool running;
} plain;

static inline bool peek_plain(const nd_midi_scan *scan, plain *p) {
  if (scan->end - scan->at < 4) return false;
  const uint8_t *b = scan->bytes + scan->at;
  const bool running = b[1] < 0x80;
  const uint8_t status = running ? scan->running : b[1], data = running ? 1 : 2;
  const uint8_t n = (status & 0xE0) == 0xC0 ? 1 : 2;
  if (b[0] >= 0x80 || status < 0x80 || status >= 0xF0 || (b[data] | b[data + n - 1]) >= 0x80 ||
      scan->tick > ND_MAX_TICK - 0x7F)
    return false;
  *p = (plain){.delta = b[0], .status = status, .data = data, .size = (uint8_t)(data + n),
               .running = running};
  return true;
}

static inline void take_plain(nd_midi_scan *scan, const plain *p) {
  scan->at += p->size;
  scan->tick += p->delta;
  scan->running = p->status;
}

bool nd_midi_tempo(const uint8_t *bytes, const nd_midi_event *e, int32_t *us_per_quarter) {
  if (e->status != 0xFF || e->type != 0x51 || e->end - e->data != 3) return false;
  const uint8_t *p = bytes + e->data;
  *us_per_quarter = p[0] << 16 | p[1] << 8 | p[2];
  return *us_per_quarter > 0;
}

bool nd_midi_meter(const uint8_t *bytes, const nd_midi_event *e, nd_meter *meter) {
  if (e->status != 0xFF || e->type != 0x58 || e->end - e->data != 4) return false;
  const uint8_t *p = bytes + e->data;
  if (p[0] == 0 || p[1] > 7) return false;  /* up to ND_MAX_DENOMINATOR */
  *meter = (nd_meter){.tick = e->tick, .numerator = p[0], .denominator = (int16_t)(1 << p[1])};
  return true;
}

/* -------------------------------------------------------------- the layout */

typedef struct report {
  nd_song *song;
  bool strict;
  nd_error *err;
} report;

#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
static nd_status repaired(const report *r, size_t offset, bool lossy, const char *fmt, ...) {
  char text[sizeof((nd_repair *)0)->text];
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (lossy && r->strict) return nd_fail(r->err, ND_FORMAT, "%s at byte %zu", text, offset);
  if (r->song != NULL && nd_song_add_repair(r->song, offset, lossy, text) != ND_OK)
    return nd_fail(r->err, ND_NOMEM, "out of memory");
  return ND_OK;
}

/* Oddities that may come by the thousand: counted, and reported once a track. */
typedef enum oddity {
  ODD_RUNNING, ODD_DATA, ODD_TEMPO, ODD_METER, ODD_SYSTEM, ODD_TYPE, ODD_END, N_ODDITIES
} oddity;

static const struct { bool lossy; const char *text; } oddities[N_ODDITIES] = {
  [ODD_RUNNING] = {false, "running status carried over a meta or sysex event"},
  [ODD_DATA] = {true, "channel event with a data byte above 127, set aside"},
  [ODD_TEMPO] = {true, "tempo that says nothing valid, set aside"},
  [ODD_METER] = {true, "time signature that says nothing valid, set aside"},
  [ODD_SYSTEM] = {false, "system message that does not belong in a file, set aside"},
  [ODD_TYPE] = {false, "meta event of a type above 127, set aside"},
  [ODD_END] = {false, "end of track with data, which it has no use for"},
};

typedef struct tally { size_t count[N_ODDITIES], first[N_ODDITIES]; } tally;

static void count_odd(tally *t, oddity odd, size_t offset) {
  if (t->count[odd]++ == 0) t->first[odd] = offset;
}

static void inspect(tally *t, const uint8_t *bytes, const nd_midi_event *e, bool after_other) {
  int32_t us;
  nd_meter meter;
  if (e->running && after_other) count_odd(t, ODD_RUNNING, e->body);
  if (e->bad_data) count_odd(t, ODD_DATA, e->body);
  if (e->status > 0xF0 && e->status != 0xF7 && e->status != 0xFF) count_odd(t, ODD_SYSTEM, e->body);
  if (e->status != 0xFF) return;
  if (e->type > 0x7F) count_odd(t, ODD_TYPE, e->body);
  if (e->type == 0x2F && e->end > e->data) count_odd(t, ODD_END, e->body);
  if (e->type == 0x51 && !nd_midi_tempo(bytes, e, &us)) count_odd(t, ODD_TEMPO, e->body);
  if (e->type == 0x58 && !nd_midi_meter(bytes, e, &meter)) count_odd(t, ODD_METER, e->body);
}

/* Where the next MTrk stands in at..end; `end` when none does. */
static size_t find_track(const uint8_t *bytes, size_t at, size_t end) {
  while (end - at >= 8) {
    const uint8_t *m = memchr(bytes + at, 'M', end - at - 7);
    if (m == NULL) break;
    at = (size_t)(m - bytes);
    if (memcmp(m, "MTrk", 4) == 0) return at;
    at++;
  }
  return end;
}

/* An unknown chunk is believed when its name is text and its body fits. */
static bool chunk_at(const uint8_t *bytes, size_t at, size_t end) {
  if (end - at < 8) return false;
  if (memcmp(bytes + at, "MTrk", 4) == 0) return true;
  for (size_t i = at; i < at + 4; i++)
    if (bytes[i] < 0x20 || bytes[i] > 0x7E) return false;
  return nd_get_be32(bytes + at + 4) <= end - at - 8;
}

typedef struct walk {
  nd_midi_scan scan;
  tally odd;
  size_t events, earlier;  /* in this track, in those before it */
  size_t strikes;       /* note-ons in this track */
  bool after_other;     /* the last event was a meta or sysex */
  bool ended;
  const char *why;      /* why it stopped before the end, or NULL */
} walk;

static nd_status walk_on(walk *w, size_t end, size_t max_events, nd_error *err) {
  nd_midi_scan scan = w->scan;
  nd_midi_event e;
  plain p;
  scan.end = end;
  w->why = NULL;
  while (!w->ended && scan.at < end) {
    const size_t at = scan.at;
    if (peek_plain(&scan, &p) && !(p.running && w->after_other)) {
      take_plain(&scan, &p);
      w->strikes += (p.status & 0xF0) == 0x90;
      w->after_other = false;
    } else {
      w->why = next_event(&scan, &e);
      if (w->why != NULL) break;
      w->strikes += (e.status & 0xF0) == 0x90;
      inspect(&w->odd, scan.bytes, &e, w->after_other);
      w->after_other = e.status >= 0xF0;
      w->ended = nd_midi_is_end(&e);
    }
    if (++w->events > max_events - w->earlier)
      return nd_fail(err, ND_LIMIT, "more than %zu events (max_events) at byte %zu", max_events,
                     at);
  }
  w->scan = scan;
  return ND_OK;
}

static nd_status open_track(nd_midi_file *file, nd_midi_chunk *chunk, size_t max_events,
                            const report *r) {
  const size_t number = file->n_tracks + 1, body = chunk->at + 8, end = file->end;
  const uint32_t declared = nd_get_be32(file->bytes + chunk->at + 4);
  const bool fits = declared <= end - body;
  size_t limit = fits ? body + declared : find_track(file->bytes, body, end);
  walk w = {.scan = {.bytes = file->bytes, .at = body}, .earlier = file->n_events};
  nd_status status = walk_on(&w, limit, max_events, r->err);
  bool corrected = false;

  if (status == ND_OK && fits && w.ended) {
    /* The length may be long: the next track begins where this one has ended. */
    const size_t next = find_track(file->bytes, w.scan.at, end - limit > 7 ? limit + 7 : end);
    if (next < limit) {
      limit = next;
      corrected = true;
    }
  } else if (status == ND_OK && fits && (w.why == NULL || w.why == torn) && limit < end &&
      !chunk_at(file->bytes, limit, end)) {
    /* The length may be short. It is, when an end of track follows; else
     * what follows is junk, and the track keeps its length. */
    walk longer = w;
    status = walk_on(&longer, find_track(file->bytes, limit, end), max_events, r->err);
    if (status == ND_OK && longer.ended) {
      w = longer;
      limit = w.scan.at;
      corrected = true;
    }
    status = ND_OK;  /* junk may well be more events than a file may have */
  }
  if (status != ND_OK) return status;

  chunk->kind = ND_MIDI_TRACK;
  chunk->body = body;
  chunk->stop = w.scan.at;
  chunk->end = fits || !w.ended ? limit : w.scan.at;
  chunk->ended = w.ended;
  chunk->sound = fits && !corrected && w.ended;
  file->n_tracks++;
  file->n_events += w.events;
  file->n_strikes += w.strikes;

  if (corrected)
    status = repaired(r, chunk->at, false, "track %zu: %lu bytes declared, %zu found", number,
                      (unsigned long)declared, w.scan.at - body);
  else if (!fits)
    status = repaired(r, chunk->at, !w.ended, "track %zu: %lu bytes declared, %zu there", number,
                      (unsigned long)declared, chunk->end - body);
  for (int i = 0; i < N_ODDITIES && status == ND_OK; i++)
    if (w.odd.count[i] > 0)
      status = repaired(r, w.odd.first[i], oddities[i].lossy, "track %zu: %s (%zu of them)",
                        number, oddities[i].text, w.odd.count[i]);
  if (status == ND_OK && w.why != NULL)
    status = repaired(r, w.scan.at, true, "track %zu: %s; cut there", number, w.why);
  else if (status == ND_OK && !w.ended)
    status = repaired(r, w.scan.at, false, "track %zu: no end of track, added", number);
  else if (status == ND_OK && chunk->stop < chunk->end)
    status = repaired(r, chunk->stop, false, "track %zu: %zu bytes after its end, set aside",
                      number, chunk->end - chunk->stop);
  return status;
}

static nd_status open_header(nd_midi_file *file, size_t n, const report *r, uint32_t *tracks) {
  nd_error *err = r->err;
  const uint8_t *b = file->bytes;
  if (n < 14) return nd_fail(err, ND_FORMAT, "too short for a MIDI file: ends at byte %zu", n);
  size_t at = 0;
  while (at <= n - 4 && at <= HEADER_WITHIN && memcmp(b + at, "MThd", 4) != 0) at++;
  if (at > n - 4 || at > HEADER_WITHIN)
    return nd_fail(err, ND_FORMAT, "not a MIDI file: no MThd at byte 0 or soon after");
  if (n - at < 14) return nd_fail(err, ND_FORMAT, "the header is cut off at byte %zu", n);
  file->start = at;
  file->end = n;

  nd_status status = ND_OK;
  if (at > 0) {
    const bool riff = at >= 8 && memcmp(b, "RIFF", 4) == 0 && memcmp(b + at - 8, "data", 4) == 0;
    if (riff) {  /* its lengths are little-endian */
      const size_t held = nd_get_le32(b + at - 4);
      if (held >= 14 && held < n - at) file->end = at + held;
    }
    status = repaired(r, 0, false, "%s of %zu bytes before the header skipped",
                      riff ? "RIFF wrapper" : "junk", at);
    if (status != ND_OK) return status;
  }

  const uint32_t length = nd_get_be32(b + at + 4);
  if (length < 6)
    return nd_fail(err, ND_FORMAT, "a header of %lu bytes, not 6, at byte %zu",
                   (unsigned long)length, at + 4);
  file->header_end = at + 14;
  const bool fits = length <= file->end - at - 8;
  const bool swallows = fits && length > 6 && file->end - at - 14 >= 8 &&
                        memcmp(b + at + 14, "MTrk", 4) == 0 &&
                        !chunk_at(b, at + 8 + length, file->end);
  if (!fits || swallows) {
    status = repaired(r, at + 4, false, "header length %lu read as 6", (unsigned long)length);
  } else if (length > 6) {
    file->header_end = at + 8 + length;
    status = repaired(r, at + 4, false, "header of %lu bytes, of which 6 are known",
                      (unsigned long)length);
  }
  if (status != ND_OK) return status;

  file->format = b[at + 8] << 8 | b[at + 9];
  *tracks = (uint32_t)b[at + 10] << 8 | b[at + 11];
  file->division = (uint16_t)(b[at + 12] << 8 | b[at + 13]);
  if (file->format > 2)
    return nd_fail(err, ND_FORMAT, "format %d is unknown at byte %zu", file->format, at + 8);
  if (file->division < 0x8000) {
    file->ppq = file->division;
    if (file->ppq == 0) return nd_fail(err, ND_FORMAT, "a division of 0 at byte %zu", at + 12);
    return ND_OK;
  }
  /* SMPTE: frames a second, negated, and ticks a frame. One "quarter" is made
   * a second, or 1.001 of them at 29.97 frames (30000/1001). */
  const int frames = 256 - b[at + 12], ticks = b[at + 13];
  if ((frames != 24 && frames != 25 && frames != 29 && frames != 30) || ticks == 0)
    return nd_fail(err, ND_FORMAT, "a SMPTE division of %d frames of %d ticks at byte %zu", frames,
                   ticks, at + 12);
  file->ppq = (frames == 29 ? 30 : frames) * ticks;
  file->fixed_tempo = frames == 29 ? 1001000 : 1000000;
  return ND_OK;
}

static nd_status open_chunks(nd_midi_file *file, const nd_midi_limits *limits, uint32_t declared,
                             const report *r) {
  const uint8_t *b = file->bytes;
  size_t at = file->header_end, capacity = 0;
  nd_status status = ND_OK;
  file->tail = at;
  while (status == ND_OK && file->end - at >= 8) {
    if (file->n_chunks >= MAX_CHUNKS)
      return nd_fail(r->err, ND_LIMIT, "more than %d chunks at byte %zu", MAX_CHUNKS, at);
    if (!ND_GROW(file->chunks, file->n_chunks + 1, capacity))
      return nd_fail(r->err, ND_NOMEM, "out of memory");
    nd_midi_chunk *chunk = &file->chunks[file->n_chunks];
    *chunk = (nd_midi_chunk){.at = at, .body = at};
    if (memcmp(b + at, "MTrk", 4) == 0) {
      const size_t most = (size_t)(limits->max_tracks < MAX_TRACKS ? limits->max_tracks
                                                                   : MAX_TRACKS);
      if (file->n_tracks >= most)
        return nd_fail(r->err, ND_LIMIT, "more than %zu tracks (max_tracks) at byte %zu", most, at);
      status = open_track(file, chunk, limits->max_events, r);
    } else if (chunk_at(b, at, file->end)) {
      chunk->kind = ND_MIDI_OTHER;
      chunk->body = at + 8;
      chunk->end = at + 8 + nd_get_be32(b + at + 4);
      status = repaired(r, at, false, "unknown chunk '%.4s' set aside", (const char *)b + at);
    } else {
      chunk->kind = ND_MIDI_JUNK;
      chunk->end = find_track(b, at, file->end);
      if (chunk->end == file->end) break;  /* trailing bytes, no chunk */
      status = repaired(r, at, false, "%zu bytes between chunks skipped", chunk->end - at);
    }
    file->n_chunks++;
    at = file->tail = chunk->end;
  }
  if (status != ND_OK) return status;
  if (file->n_tracks == 0)
    return nd_fail(r->err, ND_FORMAT, "no track (MTrk) at byte %zu or after it", file->header_end);
  if (file->tail < file->end)
    status = repaired(r, file->tail, false, "%zu bytes after the last chunk set aside",
                      file->end - file->tail);
  if (status == ND_OK && declared != file->n_tracks)
    status = repaired(r, file->start + 10, false, "%lu tracks declared, %zu found",
                      (unsigned long)declared, file->n_tracks);
  if (status == ND_OK && file->format == 0 && file->n_tracks > 1)
    status = repaired(r, file->start + 8, false, "format 0 of %zu tracks read as format 1",
                      file->n_tracks);
  if (status == ND_OK && file->format == 2 && file->n_tracks > 1)
    return nd_fail(r->err, ND_FORMAT,
                   "format 2 with %zu tracks, which are songs of their own, at byte %zu",
                   file->n_tracks, file->start + 8);
  return status;
}

nd_status nd_midi_read(const char *path, const nd_midi_limits *limits, uint8_t **bytes, size_t *n,
                       nd_error *err) {
  nd_status status = nd_file_read(path, limits->max_bytes, bytes, n, err);
  if (status == ND_LIMIT && err != NULL) {  /* what is read without parsing has no such option */
    const size_t length = strlen(err->text);
    (void)snprintf(err->text + length, sizeof err->text - length, " (max_bytes)");
  }
  return status;
}

nd_status nd_midi_open(nd_midi_file *file, const uint8_t *bytes, size_t n,
                       const nd_midi_limits *limits, nd_song *song, nd_error *err) {
  const report r = {song, limits->strict, err};
  uint32_t declared = 0;
  *file = (nd_midi_file){.bytes = bytes};
  if (n > limits->max_bytes)
    return nd_fail(err, ND_LIMIT, "%zu bytes, over the limit of %zu (max_bytes)", n,
                   limits->max_bytes);
  nd_status status = open_header(file, n, &r, &declared);
  if (status == ND_OK) status = open_chunks(file, limits, declared, &r);
  if (status != ND_OK) nd_midi_close(file);
  return status;
}

void nd_midi_close(nd_midi_file *file) {
  free(file->chunks);
  file->chunks = NULL;
  file->n_chunks = 0;
}

/* --------------------------------------------------------------- the guard */

void nd_midi_put(nd_midi_out *out, const void *bytes, size_t n) {
  if (out->failed || n > SIZE_MAX - out->n || !ND_GROW(out->bytes, out->n + n, out->capacity)) {
    out->failed = true;
    return;
  }
  if (n > 0) memcpy(out->bytes + out->n, bytes, n);
  out->n += n;
}

void nd_midi_set_int(nd_midi_out *out, size_t at, uint32_t value, int bytes) {
  if (!out->failed) nd_put_be(out->bytes + at, value, (size_t)bytes);
}

void nd_midi_put_int(nd_midi_out *out, uint32_t value, int bytes) {
  uint8_t text[4];
  nd_put_be(text, value, (size_t)bytes);
  nd_midi_put(out, text, (size_t)bytes);
}

void nd_midi_put_vlq(nd_midi_out *out, uint32_t value) {
  uint8_t bytes[4];
  int first = 3;
  bytes[3] = value & 0x7F;
  while ((value >>= 7) != 0 && first > 0) bytes[--first] = (uint8_t)(0x80 | (value & 0x7F));
  nd_midi_put(out, bytes + first, (size_t)(4 - first));
}

static const uint8_t slice_head[22] = {'M', 'T', 'h', 'd', 0, 0, 0, 6, 0, 0, 0, 1, 0, 0,
                                       'M', 'T', 'r', 'k', 0, 0, 0, 0};
enum { AT_PPQ = 12, AT_LENGTH = 18 };

static void begin_slice(nd_midi_guard *g) {
  memcpy(g->bytes, slice_head, sizeof slice_head);
  g->bytes[AT_PPQ] = (uint8_t)(g->file->ppq >> 8);
  g->bytes[AT_PPQ + 1] = (uint8_t)g->file->ppq;
  g->n = sizeof slice_head;
  g->n_events = 0;
  g->base = g->last;
  g->given = false;
}

void nd_midi_guard_begin(nd_midi_guard *g, const nd_midi_file *file, const nd_midi_chunk *track) {
  g->file = file;
  g->scan = (nd_midi_scan){.bytes = file->bytes, .at = track->body, .end = track->stop};
  g->last = 0;
  g->ended = false;
  begin_slice(g);
}

/* A channel event, its status said, the time since the one before it. */
static inline void put_event(nd_midi_guard *g, int32_t tick, uint8_t status, const uint8_t *data,
                             size_t n) {
  uint8_t *p = g->bytes + g->n;
  const uint32_t delta = (uint32_t)(tick - g->last);
  if (delta >= 0x80)
    for (int shift = 21; shift > 0; shift -= 7)
      if (delta >> shift != 0) *p++ = (uint8_t)(0x80 | (delta >> shift & 0x7F));
  *p++ = delta & 0x7F;
  *p++ = status;
  *p++ = data[0];
  if (n > 1) *p++ = data[1];
  g->n = (size_t)(p - g->bytes);
  g->last = tick;
  g->n_events++;
}

/* Notes and programs. */
static inline bool is_heard(uint8_t status) {
  return (status & 0xE0) == 0x80 || (status & 0xF0) == 0xC0;
}

/* libsmf asks for an end of track. */
static nd_midi_found give_slice(nd_midi_guard *g) {
  static const uint8_t end[4] = {0, 0xFF, 0x2F, 0};
  memcpy(g->bytes + g->n, end, sizeof end);
  g->n += sizeof end;
  const size_t length = g->n - sizeof slice_head;
  g->bytes[AT_LENGTH + 2] = (uint8_t)(length >> 8);
  g->bytes[AT_LENGTH + 3] = (uint8_t)length;
  g->given = true;
  return ND_MIDI_NOTES;
}

nd_midi_found nd_midi_guard_next(nd_midi_guard *g, nd_midi_event *e) {
  nd_midi_scan scan = g->scan;
  nd_midi_found found = ND_MIDI_DONE;
  plain p;
  if (g->given) begin_slice(g);
  while (found == ND_MIDI_DONE && !g->ended && scan.at < scan.end) {
    const uint8_t *b = scan.bytes + scan.at;
    if (peek_plain(&scan, &p)) {
      take_plain(&scan, &p);
      if (is_heard(p.status)) put_event(g, scan.tick, p.status, b + p.data, (size_t)p.size - p.data);
    } else if (next_event(&scan, e) != NULL) {
      break;
    } else if (e->status < 0xF0) {
      if (is_heard(e->status) && !e->bad_data)
        put_event(g, e->tick, e->status, scan.bytes + e->data, e->end - e->data);
    } else if (nd_midi_is_end(e)) {
      g->ended = true;
    } else if (e->status == 0xFF && (e->type == 0x03 || e->type == 0x51 || e->type == 0x58)) {
      found = ND_MIDI_PARKED;
    }
    if (g->n_events == ND_MIDI_SLICE) found = give_slice(g);
  }
  g->scan = scan;
  return found == ND_MIDI_DONE && g->n_events > 0 ? give_slice(g) : found;
}
