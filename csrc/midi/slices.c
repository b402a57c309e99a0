/* slices.c - splits a track into small MIDI files for libsmf. One pass over the
 * track, O(1) memory: the slicer's buffer, which each slice overwrites.
 *
 * A slice has at most ND_SANDBOX_EVENTS events, so libsmf's memory has a bound that is
 * known when the sandbox is compiled, and its slow parts (it inserts events one by
 * one) stay linear in the track. */
#include "slices.h"

#include <string.h>

#include "../base/bytes.h"

/* Headers of a slice: format 0, one track; division and track length are filled in. */
static const uint8_t slice_head[22] = {'M', 'T', 'h', 'd', 0, 0, 0, 6, 0, 0, 0, 1, 0, 0,
                                       'M', 'T', 'r', 'k', 0, 0, 0, 0};
enum { AT_DIVISION = 12, AT_LENGTH = 18 };

/* Empties the buffer for the next slice. Its time begins at the last event that was
 * written, so that the first delta time is the track's own and not a tick of the song. */
static void begin_slice(nd_midi_slicer *s) {
  memcpy(s->bytes, slice_head, sizeof slice_head);
  nd_put_be(s->bytes + AT_DIVISION, (uint32_t)s->file->ppq, 2);
  s->n = sizeof slice_head;
  s->n_events = 0;
  s->base = s->last;
  s->returned = false;
}

void nd_midi_slicer_begin(nd_midi_slicer *s, const nd_midi_file *file,
                          const nd_midi_chunk *track) {
  s->file = file;
  s->scan = (nd_midi_scan){.bytes = file->bytes, .at = track->body, .end = track->stop};
  s->last = 0;
  begin_slice(s);
}

/* Appends a channel event of 1 or 2 data bytes, with its status byte, so that nothing
 * depends on how libsmf treats running status. The
 * buffer has space for ND_SANDBOX_EVENTS events of at most 4 + 3 bytes. */
static inline void put_event(nd_midi_slicer *s, int32_t tick, uint8_t status, const uint8_t *data,
                             size_t n) {
  uint8_t *p = nd_midi_put_vlq(s->bytes + s->n, (uint32_t)(tick - s->last));
  *p++ = status;
  *p++ = data[0];
  if (n > 1) *p++ = data[1];
  s->n = (size_t)(p - s->bytes);
  s->last = tick;
  s->n_events++;
}

/* Note off, note on, program change: what a Song needs of a track. Controllers,
 * pitch bends and pressure make up most of many files, and are not passed on. */
static inline bool is_wanted(uint8_t status) {
  return (status & 0xE0) == 0x80 || (status & 0xF0) == 0xC0;
}

/* Ends the slice with an end-of-track and fills in the track's length. The slice stays
 * in the buffer for the caller; the next call begins another. */
static nd_midi_part finish_slice(nd_midi_slicer *s) {
  static const uint8_t end[4] = {0, 0xFF, 0x2F, 0};  /* libsmf requires an end-of-track */
  memcpy(s->bytes + s->n, end, sizeof end);
  s->n += sizeof end;
  nd_put_be(s->bytes + AT_LENGTH, (uint32_t)(s->n - sizeof slice_head), 4);
  s->returned = true;
  return ND_MIDI_SLICE;
}

/* Scans on until a slice is full or a meta event is wanted. A meta event may be
 * returned while a slice is incomplete, so it can precede notes of earlier ticks: the
 * Song sorts both anyway. The track ends with its end-of-track or its last event,
 * because chunk->stop is there. */
nd_midi_part nd_midi_slicer_next(nd_midi_slicer *s, nd_midi_event *e) {
  nd_midi_scan scan = s->scan;  /* a copy, which the compiler keeps in registers */
  nd_midi_part part = ND_MIDI_DONE;
  nd_midi_fast_event fast;
  if (s->returned) begin_slice(s);
  while (part == ND_MIDI_DONE && scan.at < scan.end) {
    const uint8_t *b = scan.bytes + scan.at;
    if (nd_midi_peek_fast(&scan, &fast)) {
      nd_midi_take_fast(&scan, &fast);
      if (is_wanted(fast.status))
        put_event(s, scan.tick, fast.status, b + fast.data, (size_t)fast.size - fast.data);
    } else if (nd_midi_next(&scan, e) != ND_MIDI_OK) {
      break;  /* unreachable: chunks.c cuts a track at its first fault */
    } else if (e->status < 0xF0) {
      if (is_wanted(e->status) && !e->bad_data)
        put_event(s, e->tick, e->status, scan.bytes + e->data, e->end - e->data);
    } else if (e->status == 0xFF && (e->type == 0x03 || e->type == 0x51 || e->type == 0x58)) {
      part = ND_MIDI_META;
    }
    if (s->n_events == ND_SANDBOX_EVENTS) part = finish_slice(s);
  }
  s->scan = scan;
  return part == ND_MIDI_DONE && s->n_events > 0 ? finish_slice(s) : part;
}
