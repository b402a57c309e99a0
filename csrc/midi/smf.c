/* smf.c - builds a Song from a MIDI file: pairs note-ons with note-offs, collects
 * tempos, meters and names, and assigns programs. O(n) for n events, besides sorting;
 * memory for the notes (16 bytes each), the program changes and a copy of the bytes.
 *
 * libsmf reads the notes (slices.h); meta events are read here, because libsmf 1.3
 * misreads some. Notes of equal tick stay in file order, so that the same file gives
 * the same Song everywhere. */
#include "smf.h"

#include <stdlib.h>
#include <string.h>

#include "slices.h"

typedef struct program_change { int32_t tick; uint8_t channel, program; } program_change;

/* What the parsing of one file needs. Allocated, because its queues are large. */
typedef struct parser {
  const nd_midi_file *file;
  nd_midi_slicer slicer;
  nd_sandbox *sandbox;
  nd_song *song;
  nd_error *err;
  program_change *programs;
  size_t n_programs, capacity;
  /* Notes that sound, for each channel and pitch a queue: a note-off ends the note
   * that began first. Elements are indices into song->notes; until a note ends, its
   * duration is the index of the next in the queue, or NONE. */
  int32_t first[16][128], last[16][128];
  size_t n_sounding;
} parser;

enum { NONE = -1 };

/* Adds a note and appends it to the queue of its channel and pitch. `m`: status,
 * pitch, velocity. song->notes has capacity for all note-ons of the file, which the
 * layout has counted, so nothing is allocated here. */
static void note_on(parser *p, uint16_t track, int32_t tick, const uint8_t *m) {
  const int channel = m[0] & 0xF, pitch = m[1];
  const int32_t index = (int32_t)p->song->n_notes++;
  p->n_sounding++;
  p->song->notes[index] = (nd_note){.tick = tick, .duration = NONE, .track = track,
                                    .pitch = m[1], .velocity = m[2], .channel = (uint8_t)channel};
  if (p->first[channel][pitch] == NONE) p->first[channel][pitch] = index;
  else p->song->notes[p->last[channel][pitch]].duration = index;
  p->last[channel][pitch] = index;
}

/* Ends the note of this channel and pitch that began first. The standard leaves open
 * which of several a note-off ends; first in, first out gives overlapping notes of
 * equal length their own durations. A note-off without a note is common, and ignored. */
static void note_off(parser *p, int32_t tick, int channel, int pitch) {
  const int32_t index = p->first[channel][pitch];
  if (index == NONE) return;
  nd_note *note = &p->song->notes[index];
  p->n_sounding--;
  p->first[channel][pitch] = note->duration;
  note->duration = tick - note->tick;
}

/* A tempo or time signature; invalid ones were reported with the layout. A SMPTE
 * division fixes the length of a tick, so tempo events do not apply. */
static nd_status read_meta(parser *p, const nd_midi_event *e) {
  int32_t us;
  nd_meter meter;
  if (p->file->fixed_tempo == 0 && nd_midi_tempo(p->file->bytes, e, &us))
    return nd_song_add_tempo(p->song, (nd_tempo){.tick = e->tick, .us_per_quarter = us}, p->err);
  if (nd_midi_meter(p->file->bytes, e, &meter)) return nd_song_add_meter(p->song, meter, p->err);
  return ND_OK;
}

/* A channel event from libsmf; slices contain no others besides the end-of-track.
 * `m`: its bytes, status first. ND_NOMEM is the only failure. */
static nd_status read_event(parser *p, uint16_t track, int32_t tick, const uint8_t *m) {
  const uint8_t kind = m[0] & 0xF0, channel = m[0] & 0xF;
  if (kind == 0x90 && m[2] > 0) {
    note_on(p, track, tick, m);
  } else if (kind == 0x80 || kind == 0x90) {  /* a note-on of velocity 0 is a note-off */
    note_off(p, tick, channel, m[1]);
  } else if (kind == 0xC0) {
    if (!ND_GROW(p->programs, p->n_programs + 1, p->capacity)) return nd_nomem(p->err);
    p->programs[p->n_programs++] =
        (program_change){.tick = tick, .channel = channel, .program = m[1]};
  }
  return ND_OK;
}

/* Parses the current slice and adds its notes and programs. `offset` of the track is
 * for the message; we know of no slice that libsmf refuses. */
static nd_status read_slice(parser *p, uint16_t track, size_t offset) {
  const int n = nd_sandbox_load(p->sandbox, p->slicer.bytes, p->slicer.n);
  if (n != (int)p->slicer.n_events + 1)  /* and the end-of-track */
    return nd_fail(p->err, ND_FORMAT, "libsmf cannot parse the track at byte %zu", offset);
  nd_status status = ND_OK;
  for (int i = 0; i < n && status == ND_OK; i++) {
    int32_t tick;
    const uint8_t *event = nd_sandbox_event(p->sandbox, i, &tick);
    status = read_event(p, track, p->slicer.base + tick, event);
  }
  return status;
}

/* Notes, tempos, meters and name of the track with this index. The queues are empty
 * before and after, because a note-off in one track does not end a note of another. */
static nd_status read_track(parser *p, uint16_t track, const nd_midi_chunk *chunk) {
  nd_midi_event e;
  size_t name = 0, name_end = 0;  /* of the first track name */
  bool named = false;
  nd_midi_slicer_begin(&p->slicer, p->file, chunk);
  for (nd_midi_part part; (part = nd_midi_slicer_next(&p->slicer, &e)) != ND_MIDI_DONE;) {
    nd_status status = ND_OK;
    if (part == ND_MIDI_SLICE) {
      status = read_slice(p, track, chunk->at);
    } else if (e.type != 0x03) {
      status = read_meta(p, &e);
    } else if (!named) {
      name = e.data;
      name_end = e.end;
      named = true;
    }
    if (status != ND_OK) return status;
  }
  /* notes that never end do so with their track; n_sounding spares most tracks a
   * search through all 2048 queues */
  const int32_t end = p->slicer.scan.tick;
  for (int c = 0; c < 16 && p->n_sounding > 0; c++)
    for (int pitch = 0; pitch < 128; pitch++)
      while (p->first[c][pitch] != NONE) note_off(p, end, c, pitch);
  if (end > p->song->end_tick) p->song->end_tick = end;
  return nd_song_add_track(p->song, (const char *)p->file->bytes + name, name_end - name, p->err);
}

/* A program change applies to its channel from its tick on, whichever track it is
 * in: a synthesiser receives the tracks merged. So programs are set after all tracks
 * were read, by one pass over notes and changes, both by tick; on the same tick a
 * change precedes the note. Requires sorted notes; sorts the changes. */
static nd_status set_programs(parser *p) {
  uint8_t current[16] = {0};
  size_t next = 0;
  if (!nd_sort_by_tick(p->programs, p->n_programs, sizeof *p->programs)) return nd_nomem(p->err);
  for (size_t i = 0; i < p->song->n_notes; i++) {
    nd_note *note = &p->song->notes[i];
    for (; next < p->n_programs && p->programs[next].tick <= note->tick; next++)
      current[p->programs[next].channel] = p->programs[next].program;
    note->program = current[note->channel];
  }
  return ND_OK;
}

/* Reads all tracks, then completes the song. Notes get their programs last, when
 * nd_song_finish has sorted them. */
static nd_status read_song(parser *p) {
  for (int c = 0; c < 16; c++)
    for (int pitch = 0; pitch < 128; pitch++) p->first[c][pitch] = NONE;
  /* indices of notes are int32_t */
  if (p->file->n_note_ons > INT32_MAX) return nd_fail(p->err, ND_LIMIT, "too many notes");
  if (!nd_song_reserve_notes(p->song, p->file->n_note_ons)) return nd_nomem(p->err);
  /* a new song has its defaults at tick 0, which the file's own replace */
  if (p->file->fixed_tempo != 0) p->song->tempos[0].us_per_quarter = p->file->fixed_tempo;
  nd_status status = ND_OK;
  uint16_t track = 0;
  for (size_t i = 0; i < p->file->n_chunks && status == ND_OK; i++)
    if (p->file->chunks[i].kind == ND_MIDI_TRACK)
      status = read_track(p, track++, &p->file->chunks[i]);
  if (status == ND_OK) status = nd_song_finish(p->song, p->err);
  if (status == ND_OK) status = set_programs(p);
  return status;
}

/* One exit for success and failure: each step runs only if all before it succeeded,
 * and everything but the song is freed in any case. The song itself is given out only
 * when it is complete. */
nd_status nd_smf_parse(nd_song **out, const uint8_t *bytes, size_t n, int drum_channel,
                       const nd_midi_limits *limits, nd_error *err) {
  if (limits == NULL) limits = &nd_midi_default_limits;
  nd_midi_file file = {.n_chunks = 0};  /* can be closed whether or not it was opened */
  parser *p = nd_calloc(1, sizeof *p);  /* 25 KiB, too large for some hosts' stacks */
  nd_song *song = nd_song_new(1);
  nd_status status = p == NULL || song == NULL ? nd_nomem(err) : ND_OK;
  if (status == ND_OK) status = nd_sandbox_new(&p->sandbox, err);
  if (status == ND_OK) status = nd_midi_open(&file, bytes, n, limits, song, err);
  if (status == ND_OK) {
    song->ppq = file.ppq;
    p->file = &file;
    p->song = song;
    p->err = err;
    status = read_song(p);
  }
  if (status == ND_OK) status = nd_song_find_drums(song, drum_channel, err);
  if (status == ND_OK && (song->bytes = malloc(n)) == NULL) status = nd_nomem(err);
  if (p != NULL) {
    nd_sandbox_free(p->sandbox);
    free(p->programs);
  }
  free(p);
  nd_midi_close(&file);
  if (status != ND_OK) {
    nd_song_free(song);
    return status;
  }
  memcpy(song->bytes, bytes, n);  /* for lossless writing (splice.h) */
  song->n_bytes = n;
  *out = song;
  return ND_OK;
}
