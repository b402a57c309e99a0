/* Three ways to write a song. splice_file copies a song that was read: each track
 * chunk unchanged, repaired, or without its drum notes. write_notes makes a file of
 * notes alone (a host's song, or the drums alone). In both, put_drums appends the
 * new drum track. While bytes are written, the result Song is built alongside, so
 * that it need not be parsed from them.
 */
#include "splice.h"

#include <stdlib.h>
#include <string.h>

#include "../base/buffer.h"
#include "../base/bytes.h"
#include "chunks.h"

enum { MAX_TRACKS = UINT16_MAX };  /* the header counts tracks in 16 bits */

/* ---------------------------------------------------------- output buffer */

/* Overwrites `size` bytes at `at` with a big-endian integer. */
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
  size_t first = 3;
  bytes[3] = value & 0x7F;
  while ((value >>= 7) != 0 && first > 0) bytes[--first] = (uint8_t)(0x80 | (value & 0x7F));
  nd_buffer_put(out, bytes + first, 4 - first);
}

/* --------------------------------------------------------------- the splice */

typedef struct splice {
  const nd_song *song, *drums;
  const nd_splice_options *options;
  nd_buffer out;
  size_t n_tracks;      /* written so far */
  nd_song *result;      /* receives what the bytes contain; NULL: not wanted */
  nd_error *err;
} splice;

/* Tick at which the drums' track ends. The song's end counts, because the track
 * that reached it may be dropped. */
static int32_t drums_end(const nd_song *song, int32_t tail_ticks) {
  return tail_ticks < ND_MAX_TICK - song->end_tick ? song->end_tick + tail_ticks : ND_MAX_TICK;
}

/* Whether a note of the song is left out of the written file. */
static bool is_removed(const splice *s, const nd_note *note) {
  return s->options->drums_alone || (!s->options->retain_drums && nd_song_is_drum(s->song, note));
}

/* Called for every track that is written: its index is n_tracks before the call. */
static nd_status count_track(splice *s, const char *name) {
  if (s->n_tracks >= MAX_TRACKS)
    return nd_fail(s->err, ND_LIMIT, "a MIDI file cannot have more than %d tracks", MAX_TRACKS);
  s->n_tracks++;
  return s->result == NULL ? ND_OK : nd_song_add_track(s->result, name, strlen(name), s->err);
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

/* Appends the events of a note, at most three: its program change where the
 * channel's `program` changes, its start, its end. Returns their number. */
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

/* Fills in the length of the track whose body began at `body`. */
static nd_status end_track(splice *s, size_t body) {
  const size_t length = s->out.n - body;
  if (s->out.failed) return nd_nomem(s->err);
  if (length > UINT32_MAX) return nd_fail(s->err, ND_LIMIT, "a track exceeds 4 GiB");
  set_int(&s->out, body - 4, (uint32_t)length, 4);
  return ND_OK;
}

/* A track-name event at the current tick, for a name that is not empty. */
static void put_name(splice *s, const char *name) {
  size_t len = strlen(name);
  if (len > ND_MAX_TICK) len = ND_MAX_TICK;  /* the largest VLQ */
  if (len == 0) return;
  nd_buffer_put(&s->out, "\0\xFF\x03", 3);
  put_vlq(&s->out, (uint32_t)len);
  nd_buffer_put(&s->out, name, len);
}

/* The delta time from *now to `tick`; *now becomes `tick`. */
static void put_delta(splice *s, int32_t *now, int32_t tick) {
  put_vlq(&s->out, (uint32_t)(tick - *now));
  *now = tick;
}

/* A track of `n` sorted events. It ends at `end` or, when that is later, with its
 * last event. */
static nd_status put_track(splice *s, const char *name, const out_event *events, size_t n,
                           int32_t end) {
  nd_status status = count_track(s, name);
  if (status != ND_OK) return status;
  const size_t body = begin_track(s);
  int32_t now = 0;
  put_name(s, name);
  for (size_t i = 0; i < n; i++) {
    const uint8_t bytes[3] = {events[i].status, events[i].data1, events[i].data2};
    put_delta(s, &now, events[i].tick);
    nd_buffer_put(&s->out, bytes, (bytes[0] & 0xF0) == 0xC0 ? 2 : 3);
  }
  put_delta(s, &now, end > now ? end : now);
  nd_buffer_put(&s->out, "\xFF\x2F", 3);  /* end-of-track; the string's zero is its length */
  return end_track(s, body);
}

/* The track of the new drums, in the written file and in the result. */
static nd_status put_drums(splice *s) {
  if (s->drums == NULL) return ND_OK;
  const nd_note *notes = s->drums->notes;
  const size_t n_notes = s->drums->n_notes;
  out_event *events = nd_calloc(n_notes, 3 * sizeof *events);
  if (events == NULL) return nd_nomem(s->err);
  size_t n = 0;
  nd_status status = ND_OK;
  for (size_t i = 0; i < n_notes; i++) {
    n += put_note(events + n, &notes[i], 0, (uint32_t)i, false);
    if (s->result != NULL && status == ND_OK) {
      nd_note note = notes[i];
      note.track = (uint16_t)s->n_tracks;
      status = nd_song_add_note(s->result, note, s->err);
    }
  }
  qsort(events, n, sizeof *events, by_group_and_time);
  if (status == ND_OK)
    status = put_track(s, s->options->track_name, events, n,
                       drums_end(s->song, s->options->tail_ticks));
  free(events);
  return status;
}

/* A time signature, without its delta time. */
static void put_meter(splice *s, const nd_meter *meter) {
  uint32_t power = 0;
  while (1 << power < meter->denominator) power++;
  nd_buffer_put(&s->out, "\xFF\x58\x04", 3);
  put_int(&s->out, (uint32_t)meter->numerator, 1);
  put_int(&s->out, power, 1);
  put_int(&s->out, 24 << 8 | 8, 2);  /* MIDI clocks a click, 32nd notes a quarter */
}

/* The first track: tempos and meters. No tempos where `timeless`: with a SMPTE
 * division they do not apply. */
static nd_status put_conductor(splice *s, bool timeless) {
  const nd_song *song = s->song;
  const char *name = song->n_tracks > 0 && !s->options->drums_alone ? song->track_names[0] : "";
  nd_status status = count_track(s, name);
  if (status != ND_OK) return status;
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
  return end_track(s, body);
}

/* Writes the header; returns the offset of its track count. */
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
  out_event *events = nd_calloc(song->n_notes, 3 * sizeof *events);
  if (events == NULL) return nd_nomem(s->err);
  uint8_t programs[16] = {0};
  size_t n = 0;
  for (size_t i = 0; i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    if (is_removed(s, note)) continue;
    const bool program = programs[note->channel] != note->program;
    programs[note->channel] = note->program;
    n += put_note(events + n, note, (uint32_t)note->track * 16 + note->channel, (uint32_t)i,
                  program);
  }
  qsort(events, n, sizeof *events, by_group_and_time);
  nd_status status = ND_OK;
  for (size_t i = 0, end; i < n && status == ND_OK; i = end) {
    const size_t track = events[i].group / 16;
    /* the events of a group, and of their starts the notes for the result */
    for (end = i; end < n && events[end].group == events[i].group; end++) {
      if (s->result == NULL || (events[end].status & 0xF0) != 0x90) continue;
      nd_note note = song->notes[events[end].order];
      note.track = (uint16_t)s->n_tracks;
      status = nd_song_add_note(s->result, note, s->err);
      if (status != ND_OK) break;
    }
    if (status == ND_OK)
      status = put_track(s, track > 0 && track < song->n_tracks ? song->track_names[track] : "",
                         events + i, end - i, 0);
  }
  free(events);
  return status;
}

/* A file from the song's notes instead of its bytes. */
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
  while (scan.at < scan.end && nd_midi_next(&scan, &e) == ND_MIDI_OK) {
    if (nd_midi_is_note(&e) && (e.status & 0xF) == s->song->drum_channel) {
      waited += e.delta;
      if ((e.status & 0xF0) == 0x90 && file->bytes[e.data + 1] > 0) n_removed++;
      continue;
    }
    if (waited > 0) put_vlq(&s->out, waited + e.delta);
    else nd_buffer_put(&s->out, file->bytes + e.at, e.body - e.at);
    waited = 0;
    if (e.running && running != e.status) nd_buffer_put(&s->out, &e.status, 1);
    nd_buffer_put(&s->out, file->bytes + e.body, e.end - e.body);
    running = e.status < 0xF0 ? e.status : 0;
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

/* Track `index` of the song; *written: it was not dropped. */
static nd_status splice_track(splice *s, const nd_midi_file *file, const nd_midi_chunk *chunk,
                              size_t index, bool *written) {
  const nd_song *song = s->song;
  const bool drums = !s->options->retain_drums && song->drum_channel >= 0 &&
                     (song->drum_tracks == NULL || song->drum_tracks[index]);
  const size_t mark = s->out.n;
  bool has_more = true;
  *written = true;
  if (drums) {
    const size_t body = begin_track(s);
    if (put_without_drums(s, file, chunk, &has_more) > 0) {
      *written = has_more || index == 0;  /* track 0's name is the song's */
      if (*written) return end_track(s, body);
      s->out.n = mark;
      return s->out.failed ? nd_nomem(s->err) : ND_OK;
    }
    s->out.n = mark;  /* no drums: copied below, byte for byte */
  }
  if (chunk->intact) {
    nd_buffer_put(&s->out, file->bytes + chunk->at, chunk->end - chunk->at);
    return s->out.failed ? nd_nomem(s->err) : ND_OK;
  }
  const size_t body = begin_track(s);
  nd_buffer_put(&s->out, file->bytes + chunk->body, chunk->stop - chunk->body);
  if (!chunk->has_end) nd_buffer_put(&s->out, "\0\xFF\x2F", 4);
  return end_track(s, body);
}

/* Unknown chunks are copied; junk between chunks is not. */
static void put_other(splice *s, const nd_midi_file *file, const nd_midi_chunk *chunk) {
  if (chunk->kind == ND_MIDI_OTHER)
    nd_buffer_put(&s->out, file->bytes + chunk->at, chunk->end - chunk->at);
}

/* Adds the song's remaining notes to the result. `new_index` (n_tracks): of each
 * track, in the written file. */
static nd_status copy_notes(splice *s, const uint16_t *new_index) {
  const nd_song *song = s->song;
  nd_status status = ND_OK;
  for (size_t i = 0; s->result != NULL && i < song->n_notes && status == ND_OK; i++) {
    nd_note note = song->notes[i];
    if (is_removed(s, &note)) continue;
    note.track = note.track < song->n_tracks ? new_index[note.track] : 0;
    status = nd_song_add_note(s->result, note, s->err);
  }
  return status;
}

/* Copies header, tracks and other chunks in their order. */
static nd_status splice_file(splice *s, const nd_midi_file *file) {
  const nd_song *song = s->song;
  if (file->n_tracks != song->n_tracks)
    return nd_fail(s->err, ND_MISUSE, "the song has %zu tracks, but its bytes have %zu",
                   song->n_tracks, file->n_tracks);
  /* the header is copied whole, with bytes beyond the sixth; format and track
   * count are overwritten */
  const uint32_t length = (uint32_t)(file->header_end - file->start - 8);
  nd_buffer_put(&s->out, "MThd", 4);
  put_int(&s->out, length, 4);
  nd_buffer_put(&s->out, file->bytes + file->start + 8, length);
  set_int(&s->out, 8, 1, 2);

  uint16_t *new_index = nd_calloc(song->n_tracks, sizeof *new_index);
  if (new_index == NULL) return nd_nomem(s->err);
  nd_status status = ND_OK;
  size_t next = 0, index = 0;
  while (index < song->n_tracks && status == ND_OK) {
    const nd_midi_chunk *chunk = &file->chunks[next++];
    if (chunk->kind != ND_MIDI_TRACK) {
      put_other(s, file, chunk);
      continue;
    }
    bool written;
    new_index[index] = (uint16_t)s->n_tracks;
    status = splice_track(s, file, chunk, index, &written);
    if (status == ND_OK && written) status = count_track(s, song->track_names[index]);
    index++;
  }
  if (status == ND_OK) status = copy_notes(s, new_index);
  free(new_index);
  /* the drums follow the other tracks: many readers stop at an unknown chunk */
  if (status == ND_OK) status = put_drums(s);
  while (next < file->n_chunks) put_other(s, file, &file->chunks[next++]);
  set_int(&s->out, 10, (uint32_t)s->n_tracks, 2);
  nd_buffer_put(&s->out, file->bytes + file->tail, file->end - file->tail);
  return status;
}

/* ------------------------------------------------------------ entry points */

/* Writes the whole file into s->out. */
static nd_status write_file(splice *s) {
  nd_status status;
  if (s->song->bytes == NULL) {
    status = write_notes(s, (uint16_t)s->song->ppq);
  } else {
    /* it was read before, perhaps with other limits */
    const nd_midi_limits none = {SIZE_MAX, SIZE_MAX, INT32_MAX, false};
    nd_midi_file file;
    status = nd_midi_open(&file, s->song->bytes, s->song->n_bytes, &none, NULL, s->err);
    if (status != ND_OK) return status;
    status = s->options->drums_alone ? write_notes(s, file.division) : splice_file(s, &file);
    nd_midi_close(&file);
  }
  return status == ND_OK && s->out.failed ? nd_nomem(s->err) : status;
}

/* write_file with the options completed. On failure the buffer is freed. */
static nd_status run(splice *s, const nd_splice_options *options) {
  nd_splice_options chosen = {.retain_drums = false};
  if (options != NULL) chosen = *options;
  if (chosen.track_name == NULL) chosen.track_name = "Drums";
  s->options = &chosen;
  nd_status status = write_file(s);
  s->options = NULL;
  if (status != ND_OK) {
    free(s->out.bytes);
    s->out.bytes = NULL;
  }
  return status;
}

nd_status nd_splice(uint8_t **bytes, size_t *n, const nd_song *song, const nd_song *drums,
                    const nd_splice_options *options, nd_error *err) {
  splice s = {.song = song, .drums = drums, .err = err};
  nd_status status = run(&s, options);
  if (status != ND_OK) return status;
  *bytes = s.out.bytes;
  *n = s.out.n;
  return ND_OK;
}

/* Adds tempos and meters to the result, and finds its drums. */
static nd_status finish_result(const splice *s, int32_t tail_ticks) {
  nd_song *result = s->result;
  const nd_song *song = s->song;
  nd_status status = ND_OK;
  for (size_t i = 0; i < song->n_tempos && status == ND_OK; i++)
    status = nd_song_add_tempo(result, song->tempos[i], s->err);
  for (size_t i = 0; i < song->n_meters && status == ND_OK; i++)
    status = nd_song_add_meter(result, song->meters[i], s->err);
  if (status != ND_OK) return status;
  result->end_tick = drums_end(song, tail_ticks);
  status = nd_song_finish(result, s->err);
  if (status != ND_OK) return status;
  /* a channel guessed from a track's name is guessed again: the track may be gone */
  const int channel = s->drums != NULL && s->drums->n_notes > 0 ? s->drums->notes[0].channel
                      : song->drum_channel_guessed              ? -1
                                                                : song->drum_channel;
  bool used = false;
  for (size_t i = 0; i < result->n_notes && !used; i++)
    used = result->notes[i].channel == channel;
  return nd_song_find_drums(result, used ? channel : -1, s->err);
}

nd_status nd_splice_song(nd_song **out, const nd_song *song, const nd_song *drums,
                         const nd_splice_options *options, nd_error *err) {
  splice s = {.song = song, .drums = drums, .err = err, .result = nd_song_new(song->ppq)};
  if (s.result == NULL) return nd_nomem(err);
  nd_status status = run(&s, options);
  if (status == ND_OK) {
    s.result->bytes = s.out.bytes;
    s.result->n_bytes = s.out.n;
    status = finish_result(&s, drums != NULL && options != NULL ? options->tail_ticks : 0);
  }
  if (status != ND_OK) {
    nd_song_free(s.result);
    return status;
  }
  *out = s.result;
  return ND_OK;
}
