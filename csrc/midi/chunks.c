/* chunks.c - finds a MIDI file's chunks and the extent of its tracks, with repairs.
 *
 * Source: Standard MIDI Files 1.0 (RP-001), "Header Chunks", "Track Chunks".
 * The rules for files that violate it were found by fuzzing libsmf 1.3
 * and by reading what other programs accept.
 *
 * Rejected, with the byte: under 14 bytes; no MThd in the first 4 KiB; header
 * length below 6; format above 2, or format 2 with several tracks; division 0 or
 * an unknown SMPTE rate; no MTrk; anything over the limits.
 *
 * Repaired, and reported: junk and RIFF wrappers before the header; long headers
 * (unless a track stands after six bytes, and no chunk where they end); a wrong
 * count of tracks; junk between chunks; unknown chunks; wrong lengths of tracks; a
 * missing end-of-track, and bytes after one; running status across meta and sysex
 * events. A track is cut at the first byte that is no event (see nd_midi_fault);
 * that repair is marked lossy.
 *
 * Linear time: each byte is looked at a few times at most, because every search for
 * a header ends at the next track. No recursion; one array, of the chunks.
 * Invariant of the layout: chunks follow each other without gaps from header_end to
 * tail, and body <= stop <= end for every track.
 */
#include "chunks.h"

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
  HEADER_WITHIN = 4096,     /* the last offset at which MThd is searched */
  MAX_TRACKS = UINT16_MAX,  /* the header counts tracks in 16 bits */
  MAX_CHUNKS = 2 * UINT16_MAX  /* bounds the memory: an empty chunk is 8 bytes, its
                                  nd_midi_chunk 40 */
};

/* -------------------------------------------------------------- reporting */

typedef struct report {
  nd_song *song;   /* receives the repairs; may be NULL */
  bool strict;
  nd_error *err;
} report;

/* Adds a repair at byte `offset` to the song, or fails with its text when the caller
 * asked for strictness and the repair loses events. Also ND_NOMEM. */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
static nd_status add_repair(const report *r, size_t offset, bool lossy, const char *fmt, ...) {
  char text[sizeof((nd_repair *)0)->text];
  va_list args;
  va_start(args, fmt);
  (void)vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (lossy && r->strict) return nd_fail(r->err, ND_FORMAT, "%s at byte %zu", text, offset);
  if (r->song != NULL && nd_song_add_repair(r->song, offset, lossy, text) != ND_OK)
    return nd_nomem(r->err);
  return ND_OK;
}

/* For repairs: why a track is cut. */
static const char *const fault_texts[] = {
  [ND_MIDI_TRUNCATED] = "the track ends within an event",
  [ND_MIDI_LONG_NUMBER] = "a number of more than four bytes",
  [ND_MIDI_LATE] = "tick above 268435455",
  [ND_MIDI_NO_STATUS] = "data byte without a status byte",
  [ND_MIDI_UNDEFINED] = "undefined status byte",
};

/* Flaws of single events, which readers treat differently or ignore. A track may have
 * thousands, so each kind is counted and reported once a track, at the first. */
typedef enum anomaly {
  RUNNING_STATUS, BAD_DATA, BAD_TEMPO, BAD_METER, SYSTEM_MESSAGE, UNKNOWN_META, LONG_END,
  N_ANOMALIES
} anomaly;

static const struct { bool lossy; const char *text; } anomalies[N_ANOMALIES] = {
  [RUNNING_STATUS] = {false, "running status continued after a meta or sysex event"},
  [BAD_DATA] = {true, "channel event with a data byte above 127 ignored"},
  [BAD_TEMPO] = {true, "invalid tempo event ignored"},
  [BAD_METER] = {true, "invalid time signature ignored"},
  [SYSTEM_MESSAGE] = {false, "system message, not allowed in a file, ignored"},
  [UNKNOWN_META] = {false, "meta event of a type above 127 ignored"},
  [LONG_END] = {false, "data in the end-of-track event ignored"},
};

typedef struct anomaly_counts { size_t count[N_ANOMALIES], first[N_ANOMALIES]; } anomaly_counts;

/* `offset` is remembered for the first of each kind. */
static void count_anomaly(anomaly_counts *counts, anomaly kind, size_t offset) {
  if (counts->count[kind]++ == 0) counts->first[kind] = offset;
}

/* Counts what is wrong with an event that could be read. `after_other`: the event
 * before it is a meta or sysex event. */
static void count_anomalies(anomaly_counts *counts, const uint8_t *bytes, const nd_midi_event *e,
                            bool after_other) {
  int32_t us;
  nd_meter meter;
  if (e->running && after_other) count_anomaly(counts, RUNNING_STATUS, e->body);
  if (e->bad_data) count_anomaly(counts, BAD_DATA, e->body);
  if (e->status > 0xF0 && e->status != 0xF7 && e->status != 0xFF)
    count_anomaly(counts, SYSTEM_MESSAGE, e->body);
  if (e->status != 0xFF) return;
  if (e->type > 0x7F) count_anomaly(counts, UNKNOWN_META, e->body);
  if (e->type == 0x2F && e->end > e->data) count_anomaly(counts, LONG_END, e->body);
  if (e->type == 0x51 && !nd_midi_tempo(bytes, e, &us)) count_anomaly(counts, BAD_TEMPO, e->body);
  if (e->type == 0x58 && !nd_midi_meter(bytes, e, &meter))
    count_anomaly(counts, BAD_METER, e->body);
}

/* ------------------------------------------------------------------ tracks */

/* The offset of the next MTrk header (8 bytes, all before `end`) in at..end, or `end`.
 * memchr, because junk may be megabytes long. */
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

/* Whether a chunk begins at `at`. The standard asks readers to skip unknown chunks. One
 * is accepted when its name is printable and its body fits: junk rarely has both. A
 * track is accepted whatever its length, which can be repaired. */
static bool is_chunk(const uint8_t *bytes, size_t at, size_t end) {
  if (end - at < 8) return false;
  if (memcmp(bytes + at, "MTrk", 4) == 0) return true;
  for (size_t i = at; i < at + 4; i++)
    if (bytes[i] < 0x20 || bytes[i] > 0x7E) return false;
  return nd_get_be32(bytes + at + 4) <= end - at - 8;
}

/* State of a scan through a track. It can be copied, to try how far a longer track
 * would go. */
typedef struct track_scan {
  nd_midi_scan scan;
  anomaly_counts anomalies;
  size_t events, earlier;  /* in this track, in the tracks before it */
  size_t note_ons;
  bool after_other;        /* the last event was a meta or sysex event */
  bool has_end;
  nd_midi_fault fault;     /* why the scan stopped before its end */
} track_scan;

/* Scans on to the end-of-track, a fault, or `end`, and counts events, note-ons and
 * anomalies. ND_LIMIT: too many events, so that a small file cannot make a huge Song.
 * A previous fault is cleared: with a later `end`, the event may be complete. */
static nd_status scan_events(track_scan *t, size_t end, size_t max_events, nd_error *err) {
  nd_midi_scan scan = t->scan;
  nd_midi_event e;
  nd_midi_fast_event fast;
  scan.end = end;
  t->fault = ND_MIDI_OK;
  while (!t->has_end && scan.at < end) {
    const size_t at = scan.at;
    /* a fast event has no anomaly, except that its running status may be carried over */
    if (nd_midi_peek_fast(&scan, &fast) && !(fast.running && t->after_other)) {
      nd_midi_take_fast(&scan, &fast);
      t->note_ons += (fast.status & 0xF0) == 0x90;
      t->after_other = false;
    } else {
      t->fault = nd_midi_next(&scan, &e);
      if (t->fault != ND_MIDI_OK) break;
      t->note_ons += (e.status & 0xF0) == 0x90;
      count_anomalies(&t->anomalies, scan.bytes, &e, t->after_other);
      t->after_other = e.status >= 0xF0;
      t->has_end = nd_midi_is_end(&e);
    }
    if (++t->events > max_events - t->earlier)
      return nd_fail(err, ND_LIMIT, "more than %zu events (max_events) at byte %zu", max_events,
                     at);
  }
  t->scan = scan;
  return ND_OK;
}

/* What was found out about the length of a track. */
typedef struct track_length {
  uint32_t declared;
  bool fits;         /* the declared length is within the file */
  bool corrected;    /* it is wrong nevertheless */
  size_t limit;      /* one past the track's body */
} track_length;

/* Scans a track and decides where it ends. The declared length is right when it
 * leads to a chunk; the events decide otherwise. In: length->declared, and `t` at the
 * beginning of the body. Out: the rest of both. ND_LIMIT: too many events. */
static nd_status scan_track(const nd_midi_file *file, size_t body, size_t max_events,
                            track_length *length, track_scan *t, nd_error *err) {
  const uint8_t *bytes = file->bytes;
  const size_t end = file->end;
  length->fits = length->declared <= end - body;
  length->limit = length->fits ? body + length->declared : find_track(bytes, body, end);
  const size_t limit = length->limit;
  nd_status status = scan_events(t, limit, max_events, err);
  if (status != ND_OK || !length->fits) return status;

  if (t->has_end) {
    /* It may be too long: an MTrk between the end-of-track and the declared end,
     * which may lie within its name (hence + 7), begins the next track. */
    const size_t next = find_track(bytes, t->scan.at, end - limit > 7 ? limit + 7 : end);
    length->corrected = next < limit;
    if (next < limit) length->limit = next;
  } else if ((t->fault == ND_MIDI_OK || t->fault == ND_MIDI_TRUNCATED) && limit < end &&
             !is_chunk(bytes, limit, end)) {
    /* It may be too short: it is when an end-of-track follows before the next MTrk.
     * Else what follows is junk. Junk may well be more events than a file may
     * have, so the limit does not count here. */
    track_scan longer = *t;
    if (scan_events(&longer, find_track(bytes, limit, end), max_events, NULL) == ND_OK &&
        longer.has_end) {
      *t = longer;
      length->limit = t->scan.at;
      length->corrected = true;
    }
  }
  return ND_OK;
}

/* Adds the repairs of a track to the report: its length, the anomalies of its events,
 * its end; of the last at most one, because a track that is cut has no end-of-track,
 * and one without an end-of-track has no bytes after it. `index` counts from 1, as
 * sequencers number tracks. A length that is past the file is lossy when the
 * end-of-track is missing too: the rest of the file was lost. */
static nd_status report_track(const nd_midi_chunk *chunk, const track_scan *t,
                              const track_length *length, size_t index, const report *r) {
  nd_status status = ND_OK;
  if (length->corrected)
    status = add_repair(r, chunk->at, false, "track %zu: %lu bytes declared, %zu found", index,
                        (unsigned long)length->declared, t->scan.at - chunk->body);
  else if (!length->fits)
    status = add_repair(r, chunk->at, !t->has_end, "track %zu: %lu bytes declared, %zu available",
                        index, (unsigned long)length->declared, chunk->end - chunk->body);
  for (int i = 0; i < N_ANOMALIES && status == ND_OK; i++)
    if (t->anomalies.count[i] > 0)
      status = add_repair(r, t->anomalies.first[i], anomalies[i].lossy, "track %zu: %s (count %zu)",
                          index, anomalies[i].text, t->anomalies.count[i]);
  if (status != ND_OK) return status;
  if (t->fault != ND_MIDI_OK)
    return add_repair(r, t->scan.at, true, "track %zu: %s; track cut here", index,
                      fault_texts[t->fault]);
  if (!t->has_end)
    return add_repair(r, t->scan.at, false, "track %zu: missing end-of-track added", index);
  if (chunk->stop < chunk->end)
    return add_repair(r, chunk->stop, false, "track %zu: %zu bytes after the end-of-track ignored",
                      index, chunk->end - chunk->stop);
  return ND_OK;
}

/* Fills in `chunk`, an MTrk, and adds it to the file's totals. */
static nd_status open_track(nd_midi_file *file, nd_midi_chunk *chunk, size_t max_events,
                            const report *r) {
  const size_t body = chunk->at + 8;
  track_length length = {.declared = nd_get_be32(file->bytes + chunk->at + 4)};
  track_scan t = {.scan = {.bytes = file->bytes, .at = body}, .earlier = file->n_events};
  nd_status status = scan_track(file, body, max_events, &length, &t, r->err);
  if (status != ND_OK) return status;
  chunk->kind = ND_MIDI_TRACK;
  chunk->body = body;
  chunk->stop = t.scan.at;
  /* where the declared length is past the file, the events tell how long it is */
  chunk->end = length.fits || !t.has_end ? length.limit : t.scan.at;
  chunk->has_end = t.has_end;
  chunk->intact = length.fits && !length.corrected && t.has_end;
  file->n_tracks++;
  file->n_events += t.events;
  file->n_note_ons += t.note_ons;
  return report_track(chunk, &t, &length, file->n_tracks, r);
}

/* ------------------------------------------------------------------ header */

/* Finds MThd, and the end of what a RIFF wrapper contains. Sets start and end. Some
 * files have bytes before the header (MacBinary: 128), hence the search; it is short,
 * so that a large file of another kind is refused at once. */
static nd_status find_header(nd_midi_file *file, size_t n, const report *r) {
  const uint8_t *b = file->bytes;
  if (n < 14) return nd_fail(r->err, ND_FORMAT, "too short for a MIDI file: ends at byte %zu", n);
  size_t at = 0;
  while (at <= n - 4 && at <= HEADER_WITHIN && memcmp(b + at, "MThd", 4) != 0) at++;
  if (at > n - 4 || at > HEADER_WITHIN)
    return nd_fail(r->err, ND_FORMAT, "not a MIDI file: no MThd at byte 0 or within %d bytes",
                   HEADER_WITHIN);
  if (n - at < 14) return nd_fail(r->err, ND_FORMAT, "the header is cut off at byte %zu", n);
  file->start = at;
  file->end = n;
  if (at == 0) return ND_OK;
  const bool riff = at >= 8 && memcmp(b, "RIFF", 4) == 0 && memcmp(b + at - 8, "data", 4) == 0;
  if (riff) {
    /* RMID: RIFF, length, "RMID", "data", length (little-endian), the MIDI file */
    const size_t length = nd_get_le32(b + at - 4);
    if (length >= 14 && length < n - at) file->end = at + length;
  }
  return add_repair(r, 0, false, "%s of %zu bytes before the header skipped",
                    riff ? "RIFF wrapper" : "junk", at);
}

/* Sets header_end. The standard lets a header be longer than 6 bytes, for extensions;
 * some writers state a longer one by mistake, and the track follows after 6 bytes. */
static nd_status measure_header(nd_midi_file *file, const report *r) {
  const uint8_t *b = file->bytes;
  const size_t at = file->start;
  const uint32_t length = nd_get_be32(b + at + 4);
  file->header_end = at + 14;
  if (length < 6)
    return nd_fail(r->err, ND_FORMAT, "header length %lu is below 6 at byte %zu",
                   (unsigned long)length, at + 4);
  const bool fits = length <= file->end - at - 8;
  /* the long header would swallow a track, and ends at no chunk */
  const bool swallows = fits && length > 6 && file->end - at - 14 >= 8 &&
                        memcmp(b + at + 14, "MTrk", 4) == 0 &&
                        !is_chunk(b, at + 8 + length, file->end);
  if (!fits || swallows)
    return add_repair(r, at + 4, false, "header length %lu read as 6", (unsigned long)length);
  if (length == 6) return ND_OK;
  file->header_end = at + 8 + length;
  return add_repair(r, at + 4, false, "header of %lu bytes: those after the first 6 ignored",
                    (unsigned long)length);
}

/* Reads format, track count and division (RP-001, "Header Chunks"). *tracks: as
 * declared. Format 2 is decided by check_layout, when the tracks are counted. */
static nd_status open_header(nd_midi_file *file, size_t n, const report *r, uint32_t *tracks) {
  nd_error *err = r->err;
  nd_status status = find_header(file, n, r);
  if (status == ND_OK) status = measure_header(file, r);
  if (status != ND_OK) return status;

  const size_t at = file->start;
  const uint8_t *b = file->bytes + at;
  file->format = b[8] << 8 | b[9];
  *tracks = (uint32_t)b[10] << 8 | b[11];
  file->division = (uint16_t)(b[12] << 8 | b[13]);
  if (file->format > 2)
    return nd_fail(err, ND_FORMAT, "unknown format %d at byte %zu", file->format, at + 8);
  if (file->division < 0x8000) {
    file->ppq = file->division;
    if (file->ppq == 0) return nd_fail(err, ND_FORMAT, "division 0 at byte %zu", at + 12);
    return ND_OK;
  }
  /* SMPTE (RP-001, "Header Chunks"): the first byte is minus the frames a second, the
   * second the ticks a frame. A "quarter" of frames × ticks then lasts one second, or
   * 1.001 of them at 29.97 frames a second (30000/1001). */
  const int frames = 256 - b[12], ticks = b[13];
  if ((frames != 24 && frames != 25 && frames != 29 && frames != 30) || ticks == 0)
    return nd_fail(err, ND_FORMAT, "invalid SMPTE division (%d frames, %d ticks) at byte %zu",
                   frames, ticks, at + 12);
  file->ppq = (frames == 29 ? 30 : frames) * ticks;
  file->fixed_tempo = frames == 29 ? 1001000 : 1000000;
  return ND_OK;
}

/* ------------------------------------------------------------------ layout */

/* Fills in the chunk at chunk->at: a track, an unknown chunk, or junk up to the next
 * track. At least 8 bytes are left there. */
static nd_status open_chunk(nd_midi_file *file, nd_midi_chunk *chunk, const nd_midi_limits *limits,
                            const report *r) {
  const uint8_t *b = file->bytes;
  const size_t at = chunk->at;
  if (memcmp(b + at, "MTrk", 4) == 0) {
    const size_t max = (size_t)(limits->max_tracks < MAX_TRACKS ? limits->max_tracks : MAX_TRACKS);
    if (file->n_tracks >= max)
      return nd_fail(r->err, ND_LIMIT, "more than %zu tracks (max_tracks) at byte %zu", max, at);
    return open_track(file, chunk, limits->max_events, r);
  }
  if (is_chunk(b, at, file->end)) {
    chunk->kind = ND_MIDI_OTHER;
    chunk->body = at + 8;
    chunk->end = at + 8 + nd_get_be32(b + at + 4);
    return add_repair(r, at, false, "unknown chunk '%.4s' ignored", (const char *)b + at);
  }
  chunk->kind = ND_MIDI_JUNK;
  chunk->end = find_track(b, at, file->end);
  if (chunk->end == file->end) return ND_OK;  /* bytes after the last chunk */
  return add_repair(r, at, false, "%zu bytes between chunks skipped", chunk->end - at);
}

/* What is wrong with the file as a whole: repairs, or ND_FORMAT. The declared number
 * of tracks is never relied on. */
static nd_status check_layout(const nd_midi_file *file, uint32_t declared, const report *r) {
  const size_t n = file->n_tracks;
  nd_status status = ND_OK;
  if (n == 0)
    return nd_fail(r->err, ND_FORMAT, "no track (MTrk) at byte %zu or later", file->header_end);
  if (file->tail < file->end)
    status = add_repair(r, file->tail, false, "%zu bytes after the last chunk ignored",
                        file->end - file->tail);
  if (status == ND_OK && declared != n)
    status = add_repair(r, file->start + 10, false, "%lu tracks declared, %zu found",
                        (unsigned long)declared, n);
  if (status == ND_OK && file->format == 0 && n > 1)
    status = add_repair(r, file->start + 8, false, "format 0 with %zu tracks read as format 1", n);
  if (status == ND_OK && file->format == 2 && n > 1)
    return nd_fail(r->err, ND_FORMAT,
                   "format 2 with %zu tracks (separate songs) is not supported, at byte %zu", n,
                   file->start + 8);
  return status;
}

/* Walks the chunks until fewer than 8 bytes are left, or no chunk follows. The bytes
 * after that, from `tail` on, are copied when the song is written. Terminates: each
 * chunk has at least one byte, because junk reaches to a track after its beginning. */
static nd_status open_chunks(nd_midi_file *file, const nd_midi_limits *limits, uint32_t declared,
                             const report *r) {
  size_t at = file->header_end, capacity = 0;
  file->tail = at;
  while (file->end - at >= 8) {
    if (file->n_chunks >= MAX_CHUNKS)
      return nd_fail(r->err, ND_LIMIT, "more than %d chunks at byte %zu", MAX_CHUNKS, at);
    if (!ND_GROW(file->chunks, file->n_chunks + 1, capacity)) return nd_nomem(r->err);
    nd_midi_chunk *chunk = &file->chunks[file->n_chunks];
    *chunk = (nd_midi_chunk){.at = at, .body = at};
    nd_status status = open_chunk(file, chunk, limits, r);
    if (status != ND_OK) return status;
    if (chunk->kind == ND_MIDI_JUNK && chunk->end == file->end) break;
    file->n_chunks++;
    at = file->tail = chunk->end;
  }
  return check_layout(file, declared, r);
}

/* On failure the chunks found so far are freed, so that callers need no nd_midi_close. */
nd_status nd_midi_open(nd_midi_file *file, const uint8_t *bytes, size_t n,
                       const nd_midi_limits *limits, nd_song *song, nd_error *err) {
  const report r = {.song = song, .strict = limits->strict, .err = err};
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

nd_status nd_midi_read(const char *path, const nd_midi_limits *limits, uint8_t **bytes, size_t *n,
                       nd_error *err) {
  nd_status status = nd_file_read(path, limits->max_bytes, bytes, n, err);
  if (status == ND_LIMIT && err != NULL) {
    /* name the option, which nd_file_read does not know */
    const size_t length = strlen(err->text);
    (void)snprintf(err->text + length, sizeof err->text - length, " (max_bytes)");
  }
  return status;
}
