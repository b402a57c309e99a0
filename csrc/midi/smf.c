#include "smf.h"

#include <stdlib.h>
#include <string.h>

#include "smf_sandbox.h"

typedef struct program { int32_t tick; uint8_t channel, number; } program;

typedef struct reader {
  const nd_midi_file *file;
  nd_midi_guard guard;
  nd_sandbox *sandbox;
  nd_song *song;
  nd_error *err;
  program *programs;
  size_t n_programs, capacity, sounding;
  /* Notes that sound, per channel and pitch, first in first out: indices into
   * song->notes, linked through their durations while they last. */
  int32_t first[16][128], last[16][128];
} reader;

enum { NONE = -1 };

static nd_status nomem(const reader *r) { return nd_fail(r->err, ND_NOMEM, "out of memory"); }

/* There is room for every note that the file can have. */
static void note_on(reader *r, uint16_t track, int32_t tick, const uint8_t *m) {
  const int channel = m[0] & 0xF, pitch = m[1];
  const int32_t index = (int32_t)r->song->n_notes++;
  r->sounding++;
  r->song->notes[index] = (nd_note){.tick = tick, .duration = NONE, .track = track,
                                    .pitch = m[1], .velocity = m[2], .channel = (uint8_t)channel};
  if (r->first[channel][pitch] == NONE) r->first[channel][pitch] = index;
  else r->song->notes[r->last[channel][pitch]].duration = index;
  r->last[channel][pitch] = index;
}

/* An end without a beginning is common, and means nothing. */
static void note_off(reader *r, int32_t tick, int channel, int pitch) {
  const int32_t index = r->first[channel][pitch];
  if (index == NONE) return;
  nd_note *note = &r->song->notes[index];
  r->sounding--;
  r->first[channel][pitch] = note->duration;
  note->duration = tick - note->tick;
}

static nd_status read_parked(reader *r, const nd_midi_event *e) {
  int32_t us;
  nd_meter meter;
  if (r->file->fixed_tempo == 0 && nd_midi_tempo(r->file->bytes, e, &us))
    return nd_song_add_tempo(r->song, (nd_tempo){.tick = e->tick, .us_per_quarter = us}, r->err);
  if (nd_midi_meter(r->file->bytes, e, &meter)) return nd_song_add_meter(r->song, meter, r->err);
  return ND_OK;
}

static nd_status read_event(reader *r, uint16_t track, int32_t tick, const uint8_t *m) {
  switch (m[0] & 0xF0) {
    case 0x90:
      if (m[2] > 0) {
        note_on(r, track, tick, m);
        return ND_OK;
      }
      /* fall through */
    case 0x80:
      note_off(r, tick, m[0] & 0xF, m[1]);
      return ND_OK;
    case 0xC0: {
      if (!ND_GROW(r->programs, r->n_programs + 1, r->capacity)) return nomem(r);
      r->programs[r->n_programs++] =
          (program){.tick = tick, .channel = m[0] & 0xF, .number = m[1]};
      return ND_OK;
    }
    default:
      return ND_OK;
  }
}

/* libsmf reads a slice. */
static nd_status read_slice(reader *r, uint16_t number, size_t offset) {
  const int n = nd_sandbox_load(r->sandbox, r->guard.bytes, r->guard.n);
  if (n != (int)r->guard.n_events + 1)  /* and the end of track */
    return nd_fail(r->err, ND_FORMAT, "libsmf did not take the track at byte %zu", offset);
  nd_status status = ND_OK;
  for (int i = 0; i < n && status == ND_OK; i++) {
    int32_t tick;
    const uint8_t *event = nd_sandbox_event(r->sandbox, i, &tick);
    status = read_event(r, number, r->guard.base + tick, event);
  }
  return status;
}

static nd_status read_track(reader *r, uint16_t number, const nd_midi_chunk *chunk) {
  nd_midi_event e;
  size_t name = 0, name_end = 0;
  bool named = false;
  nd_midi_guard_begin(&r->guard, r->file, chunk);
  for (nd_midi_found found; (found = nd_midi_guard_next(&r->guard, &e)) != ND_MIDI_DONE;) {
    nd_status status = ND_OK;
    if (found == ND_MIDI_NOTES) {
      status = read_slice(r, number, chunk->at);
    } else if (e.type != 0x03) {
      status = read_parked(r, &e);
    } else if (!named) {
      name = e.data;
      name_end = e.end;
      named = true;
    }
    if (status != ND_OK) return status;
  }
  const int32_t end = r->guard.scan.tick;
  for (int c = 0; c < 16 && r->sounding > 0; c++)
    for (int p = 0; p < 128; p++)
      while (r->first[c][p] != NONE) note_off(r, end, c, p);
  if (end > r->song->end_tick) r->song->end_tick = end;
  return nd_song_add_track(r->song, (const char *)r->file->bytes + name, name_end - name, r->err);
}

/* A program counts from its tick on, whichever track it stands in. */
static nd_status set_programs(reader *r) {
  uint8_t now[16] = {0};
  size_t next = 0;
  if (!nd_sort_by_tick(r->programs, r->n_programs, sizeof *r->programs)) return nomem(r);
  for (size_t i = 0; i < r->song->n_notes; i++) {
    nd_note *note = &r->song->notes[i];
    for (; next < r->n_programs && r->programs[next].tick <= note->tick; next++)
      now[r->programs[next].channel] = r->programs[next].number;
    note->program = now[note->channel];
  }
  return ND_OK;
}

static nd_status read_tracks(reader *r) {
  nd_status status = ND_OK;
  uint16_t number = 0;
  for (size_t i = 0; i < r->file->n_chunks && status == ND_OK; i++)
    if (r->file->chunks[i].kind == ND_MIDI_TRACK)
      status = read_track(r, number++, &r->file->chunks[i]);
  return status;
}

static nd_status read_song(reader *r) {
  for (int c = 0; c < 16; c++)
    for (int p = 0; p < 128; p++) r->first[c][p] = NONE;
  if (r->file->n_strikes > INT32_MAX) return nd_fail(r->err, ND_LIMIT, "too many notes");
  if (!nd_song_reserve_notes(r->song, r->file->n_strikes)) return nomem(r);
  /* the song has its defaults at tick 0, which what the file says replaces */
  if (r->file->fixed_tempo != 0) r->song->tempos[0].us_per_quarter = r->file->fixed_tempo;
  nd_status status = read_tracks(r);
  if (status == ND_OK) status = nd_song_finish(r->song, r->err);
  if (status == ND_OK) status = set_programs(r);
  return status;
}

nd_status nd_smf_parse(nd_song **out, const uint8_t *bytes, size_t n, int drum_channel,
                       const nd_midi_limits *limits, nd_error *err) {
  if (limits == NULL) limits = &nd_midi_default_limits;
  nd_midi_file file = {.n_chunks = 0};
  reader *r = nd_calloc(1, sizeof *r);
  nd_song *song = nd_song_new(1);
  nd_status status = ND_OK;
  if (r == NULL || song == NULL) status = nd_fail(err, ND_NOMEM, "out of memory");
  if (status == ND_OK) status = nd_sandbox_new(&r->sandbox, err);
  if (status == ND_OK) status = nd_midi_open(&file, bytes, n, limits, song, err);
  if (status == ND_OK) {
    song->ppq = file.ppq;
    r->file = &file;
    r->song = song;
    r->err = err;
    status = read_song(r);
  }
  if (status == ND_OK) status = nd_song_find_drums(song, drum_channel, err);
  if (status == ND_OK) {
    song->bytes = malloc(n);
    if (song->bytes == NULL) status = nd_fail(err, ND_NOMEM, "out of memory");
  }
  if (status == ND_OK) {
    memcpy(song->bytes, bytes, n);
    song->n_bytes = n;
    *out = song;
    song = NULL;
  }
  if (r != NULL) {
    nd_sandbox_free(r->sandbox);
    free(r->programs);
  }
  free(r);
  nd_song_free(song);
  nd_midi_close(&file);
  return status;
}
