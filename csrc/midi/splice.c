/* splice.c - writes a song as a MIDI file of format 1, in one of two ways.
 *
 * splice_file copies a song that was read: each track chunk unchanged, repaired, or
 * without its drum notes. write_notes makes a file of notes alone (a host's song, or
 * the drums alone). In both, put_drums appends the new drum track. Time is linear in
 * the bytes, and O(n log n) in the notes that are written from a Song.
 *
 * While bytes are written, the result Song is built alongside, so that it need not be
 * parsed from them. Invariant: the result's tracks are the written ones, n_tracks of
 * them, and each of its notes has the index of its track in the file.
 *
 * The buffer remembers that an allocation failed (buffer.h); write_file checks that
 * once, at the end. Source of the layout: Standard MIDI Files 1.0 (RP-001).
 */
#include "splice.h"

#include <stdlib.h>
#include <string.h>

#include "../base/buffer.h"
#include "../base/bytes.h"
#include "chunks.h"

enum { MAX_TRACKS = UINT16_MAX };  /* the header counts tracks in 16 bits */

/* ---------------------------------------------------------- output buffer */

/* Overwrites `size` bytes at `at` with a big-endian integer: for lengths and counts,
 * which are known only after the bytes that follow them. After a failed allocation
 * the bytes at `at` may not exist. */
static void set_int(nd_buffer *out, size_t at, uint32_t value, size_t size) {
  if (!out->failed) nd_put_be(out->bytes + at, value, size);
}

/* Appends a big-endian integer of up to 4 bytes. */
static void put_int(nd_buffer *out, uint32_t value, size_t size) {
  uint8_t *to = nd_buffer_extend(out, size);
  if (to != NULL) nd_put_be(to, value, size);
}

/* A variable-length quantity of up to 28 bits. */
static void put_vlq(nd_buffer *out, uint32_t value) {
  uint8_t bytes[4];
  nd_buffer_put(out, bytes, (size_t)(nd_midi_put_vlq(bytes, value) - bytes));
}

/* --------------------------------------------------------------- the splice */

/* The state of one call of nd_splice_song. */
typedef struct splice {
  const nd_song *song, *drums;
  const nd_splice_options *options;
  nd_buffer out;
  size_t n_tracks;      /* written so far */
  nd_song *result;      /* receives what the bytes contain */
  nd_error *err;
} splice;

/* Tick at which the written song ends, and its drum track if it has one. The song's
 * end counts, because the track that reached it may be dropped. */
static int32_t end_tick(const splice *s) {
  const int32_t tail = s->drums != NULL ? s->options->tail_ticks : 0, end = s->song->end_tick;
  return tail < ND_MAX_TICK - end ? end + tail : ND_MAX_TICK;
}

/* Whether a note of the song is left out of the written file. */
static bool is_removed(const splice *s, const nd_note *note) {
  return s->options->drums_alone || (!s->options->retain_drums && nd_song_is_drum(s->song, note));
}

/* Called once for every track that is written, after its notes were added to the
 * result: until then, n_tracks is the index of the track. */
static nd_status count_track(splice *s, const char *name) {
  if (s->n_tracks >= MAX_TRACKS)
    return nd_fail(s->err, ND_LIMIT, "a MIDI file cannot have more than %d tracks", MAX_TRACKS);
  s->n_tracks++;
  return nd_song_add_track(s->result, name, strlen(name), s->err);
}

/* ------------------------------------------------- tracks written from notes */

/* A channel event to write. */
typedef struct out_event {
  int32_t tick;
  uint32_t group;       /* track × 16 + channel: each group becomes a track */
  uint32_t order;       /* index of its note, which decides between equals */
  uint8_t rank;         /* order within a tick */
  uint8_t status, data1, data2;
} out_event;

/* Ranks: notes end before others start on the same tick, but a note of length 0
 * ends after its own start. */
enum { END = 0, PROGRAM = 1, START = 2, END_AT_ONCE = 3 };

/* For qsort: a total order, so that the result does not depend on the library. */
static int by_group_and_time(const void *x, const void *y) {
  const out_event *a = x, *b = y;
  if (a->group != b->group) return a->group < b->group ? -1 : 1;
  if (a->tick != b->tick) return a->tick < b->tick ? -1 : 1;
  if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
  return a->order < b->order ? -1 : a->order > b->order;
}

/* Appends the events of a note, at most three: its program change where `program`,
 * its start, its end. Returns their number. The end of a
 * host's note may pass ND_MAX_TICK; its delta time fits a VLQ nevertheless, because the
 * note's start precedes it. */
static size_t put_note(out_event *to, const nd_note *note, uint32_t group, uint32_t order,
                       bool program) {
  const uint8_t c = note->channel;
  size_t n = 0;
  if (program)
    to[n++] = (out_event){.tick = note->tick, .group = group, .order = order, .rank = PROGRAM,
                          .status = (uint8_t)(0xC0 | c), .data1 = note->program};
  to[n++] = (out_event){.tick = note->tick, .group = group, .order = order, .rank = START,
                        .status = (uint8_t)(0x90 | c), .data1 = note->pitch,
                        .data2 = note->velocity};
  to[n++] = (out_event){.tick = note->tick + note->duration, .group = group, .order = order,
                        .rank = note->duration > 0 ? END : END_AT_ONCE,
                        .status = (uint8_t)(0x80 | c), .data1 = note->pitch,
                        .data2 = 64};  /* the standard's default release velocity */
  return n;
}

/* Writes a track header; returns the offset of its body, for end_track. */
static size_t begin_track(splice *s) {
  nd_buffer_put(&s->out, "MTrk", 4);
  put_int(&s->out, 0, 4);
  return s->out.n;
}

/* Fills in the length of the track whose body began at `body`, and counts it. */
static nd_status end_track(splice *s, size_t body, const char *name) {
  const size_t length = s->out.n - body;
  if (length > UINT32_MAX) return nd_fail(s->err, ND_LIMIT, "a track exceeds 4 GiB");
  set_int(&s->out, body - 4, (uint32_t)length, 4);
  return count_track(s, name);
}

/* A track-name event at the current tick, for a name that is not empty. Names are
 * bytes of any encoding, and are written as they are. */
static void put_name(splice *s, const char *name) {
  size_t len = strlen(name);
  if (len > ND_MAX_TICK) len = ND_MAX_TICK;  /* the largest VLQ */
  if (len == 0) return;
  nd_buffer_put(&s->out, "\0\xFF\x03", 3);
  put_vlq(&s->out, (uint32_t)len);
  nd_buffer_put(&s->out, name, len);
}

/* The delta time from *now to `tick` (not before *now); *now becomes `tick`. */
static void put_delta(splice *s, int32_t *now, int32_t tick) {
  put_vlq(&s->out, (uint32_t)(tick - *now));
  *now = tick;
}

/* Makes the events of the notes of `from` (the song, without its removed notes, or
 * the new drums), sorted by track, channel and time. *events is malloc'd. */
static nd_status make_events(const splice *s, const nd_song *from, out_event **events, size_t *n) {
  uint8_t programs[16] = {0};  /* in force on each channel so far; 0 is MIDI's default */
  *n = 0;
  *events = nd_calloc(from->n_notes, 3 * sizeof **events);  /* put_note makes at most 3 */
  if (*events == NULL) return nd_nomem(s->err);
  for (size_t i = 0; i < from->n_notes; i++) {
    const nd_note *note = &from->notes[i];
    if (from == s->song && is_removed(s, note)) continue;
    *n += put_note(*events + *n, note, (uint32_t)note->track * 16 + note->channel, (uint32_t)i,
                   programs[note->channel] != note->program);
    programs[note->channel] = note->program;
  }
  qsort(*events, *n, sizeof **events, by_group_and_time);
  return ND_OK;
}

/* Writes a track of `n` sorted events, and adds their notes, those of `from`, to the
 * result. The track ends at `end` or, when that is later, with its last event. */
static nd_status put_track(splice *s, const char *name, const nd_song *from,
                           const out_event *events, size_t n, int32_t end) {
  const size_t body = begin_track(s);
  nd_status status = ND_OK;
  int32_t now = 0;
  put_name(s, name);
  for (size_t i = 0; i < n && status == ND_OK; i++) {
    const uint8_t bytes[3] = {events[i].status, events[i].data1, events[i].data2};
    put_delta(s, &now, events[i].tick);
    nd_buffer_put(&s->out, bytes, (bytes[0] & 0xF0) == 0xC0 ? 2 : 3);
    if (events[i].rank != START) continue;
    nd_note note = from->notes[events[i].order];
    note.track = (uint16_t)s->n_tracks;
    status = nd_song_add_note(s->result, note, s->err);
  }
  put_delta(s, &now, end > now ? end : now);
  nd_buffer_put(&s->out, "\xFF\x2F", 3);  /* end-of-track; the string's zero is its length */
  return status == ND_OK ? end_track(s, body, name) : status;
}

/* The track of the new drums, which are on one channel; it may be empty. */
static nd_status put_drums(splice *s) {
  if (s->drums == NULL) return ND_OK;
  const char *name = s->options->track_name != NULL ? s->options->track_name : "Drums";
  out_event *events;
  size_t n;
  nd_status status = make_events(s, s->drums, &events, &n);
  if (status == ND_OK) status = put_track(s, name, s->drums, events, n, end_tick(s));
  free(events);
  return status;
}

/* A time signature, without its delta time (RP-001, meta event 0x58). The file stores
 * the denominator as a power of two; nd_song_add_meter accepts no other. */
static void put_meter(splice *s, const nd_meter *meter) {
  /* the last two: 24 MIDI clocks a click, 8 32nd notes a quarter */
  uint8_t bytes[] = {0xFF, 0x58, 4, (uint8_t)meter->numerator, 0, 24, 8};
  while (1 << bytes[4] < meter->denominator) bytes[4]++;
  nd_buffer_put(&s->out, bytes, sizeof bytes);
}

/* The first track: tempos and meters, merged by tick, as format 1 wants them. No
 * tempos where `timeless`: with a SMPTE division they do not apply. On the same tick
 * the meter comes first. Its name is the song's (RP-001: the name of the first track
 * of a file of format 1). */
static nd_status put_conductor(splice *s, bool timeless) {
  const nd_song *song = s->song;
  const char *name = song->n_tracks > 0 && !s->options->drums_alone ? song->track_names[0] : "";
  const size_t body = begin_track(s);
  const size_t n_tempos = timeless ? 0 : song->n_tempos;
  int32_t now = 0;
  put_name(s, name);
  for (size_t t = 0, m = 0; t < n_tempos || m < song->n_meters;) {
    if (m < song->n_meters && (t == n_tempos || song->meters[m].tick <= song->tempos[t].tick)) {
      put_delta(s, &now, song->meters[m].tick);
      put_meter(s, &song->meters[m++]);
    } else {
      put_delta(s, &now, song->tempos[t].tick);
      nd_buffer_put(&s->out, "\xFF\x51\x03", 3);
      put_int(&s->out, (uint32_t)song->tempos[t++].us_per_quarter, 3);
    }
  }
  put_delta(s, &now, song->end_tick > now ? song->end_tick : now);
  nd_buffer_put(&s->out, "\xFF\x2F", 3);
  return end_track(s, body, name);
}

/* Writes a header of format 1; returns the offset of its track count, which is known
 * at the end. `division`: ticks a quarter, or the SMPTE division of the file read. */
static size_t put_header(splice *s, uint16_t division) {
  nd_buffer_put(&s->out, "MThd\0\0\0\x06\0\x01", 10);
  const size_t count = s->out.n;
  put_int(&s->out, 0, 2);
  put_int(&s->out, division, 2);
  return count;
}

/* A track for each track and channel that has notes, in order. The name of track 0
 * is the song's, which put_conductor has written. */
static nd_status put_song(splice *s) {
  const nd_song *song = s->song;
  out_event *events;
  size_t n;
  nd_status status = make_events(s, song, &events, &n);
  for (size_t i = 0, end; i < n && status == ND_OK; i = end) {
    const size_t track = events[i].group / 16;
    const char *name = track > 0 && track < song->n_tracks ? song->track_names[track] : "";
    for (end = i; end < n && events[end].group == events[i].group;) end++;
    status = put_track(s, name, song, events + i, end - i, 0);
  }
  free(events);
  return status;
}

/* A file from the song's notes instead of its bytes. `division` is the header's. */
static nd_status write_notes(splice *s, uint16_t division) {
  const size_t count = put_header(s, division);
  nd_status status = put_conductor(s, division >= 0x8000);
  if (status == ND_OK && !s->options->drums_alone) status = put_song(s);
  if (status == ND_OK) status = put_drums(s);
  set_int(&s->out, count, (uint32_t)s->n_tracks, 2);
  return status;
}

/* ---------------------------------------------------------- copied tracks */

/* Copies the events of a track without the drums' notes. The others are copied
 * unchanged, except for the delta time after a removed note, and for a status byte
 * that has to be inserted where running status depended on a removed event. Returns
 * the number of removed note-ons; *has_more: an event besides a name is left. */
static size_t put_without_drums(splice *s, const nd_midi_file *file, const nd_midi_chunk *chunk,
                                bool *has_more) {
  nd_midi_scan scan = {.bytes = file->bytes, .at = chunk->body, .end = chunk->stop};
  nd_midi_event e;
  size_t n_removed = 0;
  uint32_t waited = 0;  /* sum of the delta times of removed events */
  uint8_t running = 0;  /* the running status that a reader of our output has */
  *has_more = false;
  /* a fault is impossible: chunk->stop is before the first one */
  while (scan.at < scan.end && nd_midi_next(&scan, &e) == ND_MIDI_OK) {
    if (nd_midi_is_note(&e) && (e.status & 0xF) == s->song->drum_channel) {
      waited += e.delta;
      if ((e.status & 0xF0) == 0x90 && file->bytes[e.data + 1] > 0) n_removed++;
      continue;
    }
    /* the sum is a difference of two ticks, so it fits a VLQ; without a removed event,
     * the delta time is copied as it is, even if it has superfluous bytes */
    if (waited > 0) put_vlq(&s->out, waited + e.delta);
    else nd_buffer_put(&s->out, file->bytes + e.at, e.body - e.at);
    waited = 0;
    if (e.running && running != e.status) nd_buffer_put(&s->out, &e.status, 1);
    nd_buffer_put(&s->out, file->bytes + e.body, e.end - e.body);
    running = e.status < 0xF0 ? e.status : 0;  /* meta and sysex events end it */
    if (e.status != 0xFF || (e.type != 0x03 && e.type != 0x2F)) *has_more = true;
  }
  if (!chunk->has_end) {
    /* the track was cut or unfinished: end it where its last event was */
    put_vlq(&s->out, waited);
    nd_buffer_put(&s->out, "\xFF\x2F", 3);
  } else if (chunk->intact) {
    /* bytes after the end-of-track, which the declared length includes */
    nd_buffer_put(&s->out, file->bytes + chunk->stop, chunk->end - chunk->stop);
  }
  return n_removed;
}

/* Writes track `index` of the song, unless nothing but its name would be left. */
static nd_status splice_track(splice *s, const nd_midi_file *file, const nd_midi_chunk *chunk,
                              size_t index) {
  const nd_song *song = s->song;
  const char *name = song->track_names[index];
  if (!s->options->retain_drums && song->drum_channel >= 0 &&
      (song->drum_tracks == NULL || song->drum_tracks[index])) {
    bool has_more;
    const size_t mark = s->out.n, body = begin_track(s);
    const size_t n_removed = put_without_drums(s, file, chunk, &has_more);
    /* track 0 is never dropped: its name is the song's */
    if (n_removed > 0 && (has_more || index == 0)) return end_track(s, body, name);
    s->out.n = mark;
    if (n_removed > 0) return ND_OK;
    /* no drums: the track is copied below, byte for byte */
  }
  if (chunk->intact) {
    nd_buffer_put(&s->out, file->bytes + chunk->at, chunk->end - chunk->at);
    return count_track(s, name);
  }
  const size_t body = begin_track(s);
  nd_buffer_put(&s->out, file->bytes + chunk->body, chunk->stop - chunk->body);
  if (!chunk->has_end) nd_buffer_put(&s->out, "\0\xFF\x2F", 4);
  return end_track(s, body, name);
}

/* Adds the song's remaining notes to the result. `new_index` (n_tracks): of each
 * track, in the written file. */
static nd_status copy_notes(splice *s, const uint16_t *new_index) {
  const nd_song *song = s->song;
  nd_status status = ND_OK;
  for (size_t i = 0; i < song->n_notes && status == ND_OK; i++) {
    nd_note note = song->notes[i];
    if (is_removed(s, &note)) continue;
    note.track = note.track < song->n_tracks ? new_index[note.track] : 0;
    status = nd_song_add_note(s->result, note, s->err);
  }
  return status;
}

/* Copies header, tracks and other chunks in their order. `file` is the layout of the
 * song's own bytes, which the same code found when the song was read, so both have the
 * same tracks unless a caller has changed the song. */
static nd_status splice_file(splice *s, const nd_midi_file *file) {
  const nd_song *song = s->song;
  if (file->n_tracks != song->n_tracks)
    return nd_fail(s->err, ND_MISUSE, "the song has %zu tracks, but its bytes have %zu",
                   song->n_tracks, file->n_tracks);
  /* the header is copied with its bytes beyond the sixth, which a reader ignores; its
   * length may have been repaired, format and track count are ours */
  nd_buffer_put(&s->out, file->bytes + file->start, file->header_end - file->start);
  set_int(&s->out, 4, (uint32_t)(file->header_end - file->start - 8), 4);
  set_int(&s->out, 8, 1, 2);

  uint16_t *new_index = nd_calloc(song->n_tracks, sizeof *new_index);
  if (new_index == NULL) return nd_nomem(s->err);
  nd_status status = ND_OK;
  for (size_t i = 0, index = 0; i < file->n_chunks && status == ND_OK; i++) {
    const nd_midi_chunk *chunk = &file->chunks[i];
    if (chunk->kind == ND_MIDI_OTHER)  /* junk between chunks is not copied */
      nd_buffer_put(&s->out, file->bytes + chunk->at, chunk->end - chunk->at);
    if (chunk->kind != ND_MIDI_TRACK) continue;
    new_index[index] = (uint16_t)s->n_tracks;
    status = splice_track(s, file, chunk, index++);
    if (status != ND_OK || index < song->n_tracks) continue;
    /* the drums follow the last track, before other chunks: many readers stop at an
     * unknown chunk */
    status = copy_notes(s, new_index);
    if (status == ND_OK) status = put_drums(s);
  }
  free(new_index);
  set_int(&s->out, 10, (uint32_t)s->n_tracks, 2);
  nd_buffer_put(&s->out, file->bytes + file->tail, file->end - file->tail);
  return status;
}

/* ------------------------------------------------------------ entry points */

/* Writes the whole file into s->out. The layout is found again and not stored in the
 * Song: scanning is fast, and most songs are never written. */
static nd_status write_file(splice *s) {
  nd_status status;
  if (s->song->bytes == NULL) {
    status = write_notes(s, (uint16_t)s->song->ppq);
  } else {
    /* it was read before, perhaps with other limits */
    const nd_midi_limits none = {.max_bytes = SIZE_MAX, .max_events = SIZE_MAX,
                                 .max_tracks = INT32_MAX};
    nd_midi_file file;
    status = nd_midi_open(&file, s->song->bytes, s->song->n_bytes, &none, NULL, s->err);
    if (status != ND_OK) return status;
    status = s->options->drums_alone ? write_notes(s, file.division) : splice_file(s, &file);
    nd_midi_close(&file);
  }
  return status == ND_OK && s->out.failed ? nd_nomem(s->err) : status;
}

/* Completes the result: adds tempos and meters, sorts, and finds its drums, as the
 * parser would for the written bytes. */
static nd_status finish_result(const splice *s) {
  nd_song *result = s->result;
  const nd_song *song = s->song;
  nd_status status = ND_OK;
  for (size_t i = 0; i < song->n_tempos && status == ND_OK; i++)
    status = nd_song_add_tempo(result, song->tempos[i], s->err);
  for (size_t i = 0; i < song->n_meters && status == ND_OK; i++)
    status = nd_song_add_meter(result, song->meters[i], s->err);
  if (status != ND_OK) return status;
  result->end_tick = end_tick(s);
  status = nd_song_finish(result, s->err);
  if (status != ND_OK) return status;
  /* a channel guessed from a track's name is guessed again: the track may be gone */
  const int channel = s->drums != NULL && s->drums->n_notes > 0 ? s->drums->notes[0].channel
                      : song->drum_channel_guessed              ? -1
                                                                : song->drum_channel;
  /* a channel without notes would be reported as that of the song's drums */
  bool used = false;
  for (size_t i = 0; i < result->n_notes && !used; i++)
    used = result->notes[i].channel == channel;
  return nd_song_find_drums(result, used ? channel : -1, s->err);
}

nd_status nd_splice_song(nd_song **out, const nd_song *song, const nd_song *drums,
                         const nd_splice_options *options, nd_error *err) {
  static const nd_splice_options none = {.retain_drums = false};
  splice s = {.song = song, .drums = drums, .options = options != NULL ? options : &none,
              .err = err, .result = nd_song_new(song->ppq)};
  if (s.result == NULL) return nd_nomem(err);
  nd_status status = write_file(&s);
  s.result->bytes = s.out.bytes;  /* on failure too, so that they are freed with it */
  s.result->n_bytes = s.out.n;
  if (status == ND_OK) status = finish_result(&s);
  if (status == ND_OK) *out = s.result;
  else nd_song_free(s.result);
  return status;
}
