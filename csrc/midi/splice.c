#include "splice.h"

#include <stdlib.h>
#include <string.h>

#include "guard.h"

enum { MAX_TRACKS = UINT16_MAX };  /* the header has no more room */

typedef struct splice {
  const nd_song *song, *drums;
  const nd_splice_options *options;
  nd_midi_out out;
  size_t n_tracks;      /* written so far */
  nd_song *result;      /* what the bytes hold, or NULL: not asked for */
  nd_error *err;
} splice;

/* Where the drums' track ends: `rest` ticks behind the song, which a track that
 * was dropped may have carried. */
static int32_t drums_end(const nd_song *song, int32_t rest) {
  return rest < ND_MAX_TICK - song->end_tick ? song->end_tick + rest : ND_MAX_TICK;
}

static nd_status nomem(nd_error *err) { return nd_fail(err, ND_NOMEM, "out of memory"); }

static bool goes(const splice *s, const nd_note *note) {
  return s->options->drums_alone || (!s->options->keep_drums && nd_song_is_drum(s->song, note));
}

/* Every track that is written passes here. */
static nd_status count_track(splice *s, const char *name) {
  if (s->n_tracks >= MAX_TRACKS)
    return nd_fail(s->err, ND_LIMIT, "a MIDI file has no room for more than %d tracks", MAX_TRACKS);
  s->n_tracks++;
  return s->result == NULL ? ND_OK : nd_song_add_track(s->result, name, strlen(name), s->err);
}

/* ---------------------------------------------------------- tracks of ours */

/* An event of a track that is written afresh. */
typedef struct fresh {
  int32_t tick;
  uint32_t group;       /* its track */
  uint32_t order;       /* of coming, which decides between equals */
  uint8_t rank, status, a, b;
} fresh;

/* Ends of notes come before what starts on the same tick, but not before
 * their own beginning. */
enum { END = 0, PROGRAM = 1, START = 2, END_AT_ONCE = 3 };

static int by_group_and_time(const void *x, const void *y) {
  const fresh *a = x, *b = y;
  if (a->group != b->group) return a->group < b->group ? -1 : 1;
  if (a->tick != b->tick) return a->tick < b->tick ? -1 : 1;
  if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
  return a->order < b->order ? -1 : a->order > b->order;
}

/* Three of them a note at most. */
static size_t note_events(fresh *to, const nd_note *note, uint32_t group, uint32_t order,
                          bool program) {
  const uint8_t c = note->channel;
  size_t n = 0;
  if (program)
    to[n++] = (fresh){note->tick, group, order, PROGRAM, (uint8_t)(0xC0 | c), note->program, 0};
  to[n++] = (fresh){note->tick, group, order, START, (uint8_t)(0x90 | c), note->pitch,
                    note->velocity};
  to[n++] = (fresh){note->tick + note->duration, group, order,
                    note->duration > 0 ? END : END_AT_ONCE, (uint8_t)(0x80 | c), note->pitch, 64};
  return n;
}

static size_t begin_track(splice *s) {
  nd_midi_put(&s->out, "MTrk", 4);
  nd_midi_put_int(&s->out, 0, 4);
  return s->out.n;
}

static nd_status end_track(splice *s, size_t body) {
  const size_t length = s->out.n - body;
  if (s->out.failed) return nomem(s->err);
  if (length > UINT32_MAX) return nd_fail(s->err, ND_LIMIT, "a track of more than 4 GiB");
  nd_midi_set_int(&s->out, body - 4, (uint32_t)length, 4);
  return ND_OK;
}

static void put_name(splice *s, const char *name) {
  size_t len = strlen(name);
  if (len > ND_MAX_TICK) len = ND_MAX_TICK;  /* both are a VLQ's range */
  if (len == 0) return;
  nd_midi_put(&s->out, "\0\xFF\x03", 3);
  nd_midi_put_vlq(&s->out, (uint32_t)len);
  nd_midi_put(&s->out, name, len);
}

static void put_delta(splice *s, int32_t *now, int32_t tick) {
  nd_midi_put_vlq(&s->out, (uint32_t)(tick - *now));
  *now = tick;
}

/* A track of `n` events, sorted, ending at `end` or with its last event. */
static nd_status put_track(splice *s, const char *name, const fresh *events, size_t n,
                           int32_t end) {
  nd_status status = count_track(s, name);
  if (status != ND_OK) return status;
  const size_t body = begin_track(s);
  int32_t now = 0;
  put_name(s, name);
  for (size_t i = 0; i < n; i++) {
    const uint8_t bytes[3] = {events[i].status, events[i].a, events[i].b};
    put_delta(s, &now, events[i].tick);
    nd_midi_put(&s->out, bytes, (bytes[0] & 0xF0) == 0xC0 ? 2 : 3);
  }
  put_delta(s, &now, end > now ? end : now);
  nd_midi_put(&s->out, "\xFF\x2F", 3);  /* and the length, 0 */
  return end_track(s, body);
}

static nd_status put_drums(splice *s) {
  if (s->drums == NULL) return ND_OK;
  const nd_note *notes = s->drums->notes;
  const size_t n_notes = s->drums->n_notes;
  fresh *events = nd_calloc(n_notes, 3 * sizeof *events);
  if (events == NULL) return nomem(s->err);
  size_t n = 0;
  nd_status status = ND_OK;
  for (size_t i = 0; i < n_notes; i++) {
    n += note_events(events + n, &notes[i], 0, (uint32_t)i, false);
    if (s->result != NULL && status == ND_OK) {
      nd_note note = notes[i];
      note.track = (uint16_t)s->n_tracks;
      status = nd_song_add_note(s->result, note, s->err);
    }
  }
  qsort(events, n, sizeof *events, by_group_and_time);
  if (status == ND_OK)
    status = put_track(s, s->options->track_name, events, n,
                       drums_end(s->song, s->options->rest));
  free(events);
  return status;
}

static void put_meter(splice *s, const nd_meter *meter) {
  uint32_t power = 0;
  while (1 << power < meter->denominator) power++;
  nd_midi_put(&s->out, "\xFF\x58\x04", 3);
  nd_midi_put_int(&s->out, (uint32_t)meter->numerator, 1);
  nd_midi_put_int(&s->out, power, 1);
  nd_midi_put_int(&s->out, 24 << 8 | 8, 2);  /* clocks a click, 32nds a quarter */
}

/* The track of tempos (not `timeless`: SMPTE divisions have none) and meters. */
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
      nd_midi_put(&s->out, "\xFF\x51\x03", 3);
      nd_midi_put_int(&s->out, (uint32_t)song->tempos[t++].us_per_quarter, 3);
    }
  }
  put_delta(s, &now, song->end_tick > now ? song->end_tick : now);
  nd_midi_put(&s->out, "\xFF\x2F", 3);
  return end_track(s, body);
}

static size_t put_header(splice *s, uint16_t division) {
  nd_midi_put(&s->out, "MThd\0\0\0\x06\0\x01", 10);
  const size_t count = s->out.n;
  nd_midi_put_int(&s->out, 0, 2);
  nd_midi_put_int(&s->out, division, 2);
  return count;
}

/* A track for each track and channel that has notes, in their order. The first
 * name is the song's, and stands in the conductor's track. */
static nd_status put_song(splice *s) {
  const nd_song *song = s->song;
  fresh *events = nd_calloc(song->n_notes, 3 * sizeof *events);
  if (events == NULL) return nomem(s->err);
  uint8_t programs[16] = {0};
  size_t n = 0;
  for (size_t i = 0; i < song->n_notes; i++) {
    const nd_note *note = &song->notes[i];
    if (goes(s, note)) continue;
    const bool program = programs[note->channel] != note->program;
    programs[note->channel] = note->program;
    n += note_events(events + n, note, (uint32_t)note->track * 16 + note->channel, (uint32_t)i,
                     program);
  }
  qsort(events, n, sizeof *events, by_group_and_time);
  nd_status status = ND_OK;
  for (size_t i = 0, end; i < n && status == ND_OK; i = end) {
    const size_t track = events[i].group / 16;
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

static nd_status afresh(splice *s, uint16_t division) {
  const size_t count = put_header(s, division);
  nd_status status = put_conductor(s, division >= 0x8000);
  if (status == ND_OK && !s->options->drums_alone) status = put_song(s);
  if (status == ND_OK) status = put_drums(s);
  nd_midi_set_int(&s->out, count, (uint32_t)s->n_tracks, 2);
  return status;
}

/* --------------------------------------------------------- tracks as found */

/* The events of a track without the drums' notes. What stays, stays as it is
 * written, but for the delta times behind notes that went, and a status where
 * the one it ran on is gone. Says how many notes went (ends without beginnings
 * are none), and whether anything but a name stays. */
static size_t put_without_drums(splice *s, const nd_midi_file *file, const nd_midi_chunk *chunk,
                                bool *something) {
  nd_midi_scan scan = {.bytes = file->bytes, .at = chunk->body, .end = chunk->stop};
  nd_midi_event e;
  size_t gone = 0;
  uint32_t waited = 0;  /* the delta times of notes that went */
  uint8_t running = 0;  /* the channel status last written, and still in force */
  *something = false;
  while (scan.at < scan.end && nd_midi_next(&scan, &e) == NULL) {
    if (nd_midi_is_note(&e) && (e.status & 0xF) == s->song->drum_channel) {
      waited += e.delta;
      if ((e.status & 0xF0) == 0x90 && file->bytes[e.data + 1] > 0) gone++;
      continue;
    }
    if (waited > 0) nd_midi_put_vlq(&s->out, waited + e.delta);
    else nd_midi_put(&s->out, file->bytes + e.at, e.body - e.at);
    waited = 0;
    if (e.running && running != e.status) nd_midi_put(&s->out, &e.status, 1);
    nd_midi_put(&s->out, file->bytes + e.body, e.end - e.body);
    running = e.status < 0xF0 ? e.status : 0;
    if (e.status != 0xFF || (e.type != 0x03 && e.type != 0x2F)) *something = true;
  }
  if (!chunk->ended) {
    nd_midi_put_vlq(&s->out, waited);
    nd_midi_put(&s->out, "\xFF\x2F", 3);
  } else if (chunk->sound) {
    nd_midi_put(&s->out, file->bytes + chunk->stop, chunk->end - chunk->stop);
  }
  return gone;
}

static nd_status splice_track(splice *s, const nd_midi_file *file, const nd_midi_chunk *chunk,
                              size_t number, bool *kept) {
  const nd_song *song = s->song;
  const bool drums = !s->options->keep_drums && song->drum_channel >= 0 &&
                     (song->drum_tracks == NULL || song->drum_tracks[number]);
  const size_t mark = s->out.n;
  bool something = true;
  *kept = true;
  if (drums) {
    const size_t body = begin_track(s);
    if (put_without_drums(s, file, chunk, &something) > 0) {
      /* the first track's name is the song's */
      *kept = something || number == 0;
      if (*kept) return end_track(s, body);
      s->out.n = mark;
      return s->out.failed ? nomem(s->err) : ND_OK;
    }
    s->out.n = mark;
  }
  if (chunk->sound) {
    nd_midi_put(&s->out, file->bytes + chunk->at, chunk->end - chunk->at);
    return s->out.failed ? nomem(s->err) : ND_OK;
  }
  const size_t body = begin_track(s);
  nd_midi_put(&s->out, file->bytes + chunk->body, chunk->stop - chunk->body);
  if (!chunk->ended) nd_midi_put(&s->out, "\0\xFF\x2F", 4);
  return end_track(s, body);
}

static void put_other(splice *s, const nd_midi_file *file, const nd_midi_chunk *chunk) {
  if (chunk->kind == ND_MIDI_OTHER)
    nd_midi_put(&s->out, file->bytes + chunk->at, chunk->end - chunk->at);
}

static nd_status splice_file(splice *s, const nd_midi_file *file) {
  const nd_song *song = s->song;
  if (file->n_tracks != song->n_tracks)
    return nd_fail(s->err, ND_MISUSE, "a song of %zu tracks with the bytes of one of %zu",
                   song->n_tracks, file->n_tracks);
  /* the header as it was, what it may hold beyond six bytes too */
  const uint32_t length = (uint32_t)(file->header_end - file->start - 8);
  nd_midi_put(&s->out, "MThd", 4);
  nd_midi_put_int(&s->out, length, 4);
  nd_midi_put(&s->out, file->bytes + file->start + 8, length);
  nd_midi_set_int(&s->out, 8, 1, 2);

  uint16_t *place = nd_calloc(song->n_tracks, sizeof *place);  /* of a track, now */
  if (place == NULL) return nomem(s->err);
  nd_status status = ND_OK;
  size_t next = 0, number = 0;
  while (number < song->n_tracks && status == ND_OK) {
    const nd_midi_chunk *chunk = &file->chunks[next++];
    if (chunk->kind != ND_MIDI_TRACK) {
      put_other(s, file, chunk);
      continue;
    }
    bool kept;
    place[number] = (uint16_t)s->n_tracks;
    status = splice_track(s, file, chunk, number, &kept);
    if (status == ND_OK && kept) status = count_track(s, song->track_names[number]);
    number++;
  }
  for (size_t i = 0; s->result != NULL && i < song->n_notes && status == ND_OK; i++) {
    nd_note note = song->notes[i];
    if (goes(s, &note)) continue;
    note.track = note.track < song->n_tracks ? place[note.track] : 0;
    status = nd_song_add_note(s->result, note, s->err);
  }
  free(place);
  /* next to the other tracks: many readers stop at a chunk they don't know */
  if (status == ND_OK) status = put_drums(s);
  while (next < file->n_chunks) put_other(s, file, &file->chunks[next++]);
  nd_midi_set_int(&s->out, 10, (uint32_t)s->n_tracks, 2);
  nd_midi_put(&s->out, file->bytes + file->tail, file->end - file->tail);
  return status;
}

/* ------------------------------------------------------------ the two doors */

static nd_status write_file(splice *s) {
  nd_status status;
  if (s->song->bytes == NULL) {
    status = afresh(s, (uint16_t)s->song->ppq);
  } else {
    const nd_midi_limits anything = {SIZE_MAX, SIZE_MAX, INT32_MAX, false};
    nd_midi_file file;
    status = nd_midi_open(&file, s->song->bytes, s->song->n_bytes, &anything, NULL, s->err);
    if (status != ND_OK) return status;
    status = s->options->drums_alone ? afresh(s, file.division) : splice_file(s, &file);
    nd_midi_close(&file);
  }
  return status == ND_OK && s->out.failed ? nomem(s->err) : status;
}

static nd_status run(splice *s, const nd_splice_options *options) {
  nd_splice_options chosen = options != NULL ? *options : (nd_splice_options){.keep_drums = false};
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

/* Tempos, meters and drums of a song that was spliced from `s->song`. */
static nd_status finish_result(const splice *s, int32_t rest) {
  nd_song *result = s->result;
  const nd_song *song = s->song;
  nd_status status = ND_OK;
  for (size_t i = 0; i < song->n_tempos && status == ND_OK; i++)
    status = nd_song_add_tempo(result, song->tempos[i], s->err);
  for (size_t i = 0; i < song->n_meters && status == ND_OK; i++)
    status = nd_song_add_meter(result, song->meters[i], s->err);
  if (status != ND_OK) return status;
  result->end_tick = drums_end(song, rest);
  status = nd_song_finish(result, s->err);
  if (status != ND_OK) return status;
  /* what was guessed from a name is guessed again: the name may be gone */
  const int channel = s->drums != NULL && s->drums->n_notes > 0 ? s->drums->notes[0].channel
                      : song->drum_channel_guessed              ? -1
                                                                : song->drum_channel;
  bool struck = false;
  for (size_t i = 0; i < result->n_notes && !struck; i++)
    struck = result->notes[i].channel == channel;
  return nd_song_find_drums(result, struck ? channel : -1, s->err);
}

nd_status nd_splice_song(nd_song **out, const nd_song *song, const nd_song *drums,
                         const nd_splice_options *options, nd_error *err) {
  splice s = {.song = song, .drums = drums, .err = err, .result = nd_song_new(song->ppq)};
  if (s.result == NULL) return nomem(err);
  nd_status status = run(&s, options);
  if (status == ND_OK) {
    s.result->bytes = s.out.bytes;
    s.result->n_bytes = s.out.n;
    status = finish_result(&s, drums != NULL && options != NULL ? options->rest : 0);
  }
  if (status != ND_OK) {
    nd_song_free(s.result);
    return status;
  }
  *out = s.result;
  return ND_OK;
}
