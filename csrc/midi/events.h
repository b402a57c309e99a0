/* events.h - scans the events of a MIDI track. Everything that reads or copies
 * events uses this scanner (chunks.h, slices.h, splice.h), so that all agree about
 * what a track contains.
 *
 * An event is a set of offsets into the caller's bytes: nothing is copied or
 * allocated, and nothing outside of `at..end` of the scan is read. Ticks count
 * from the track's start. Format: Standard MIDI Files 1.0 (MMA RP-001).
 */
#ifndef ND_MIDI_EVENTS_H
#define ND_MIDI_EVENTS_H

#include "../music/song.h"

/* Offsets of an event's parts: `at` the delta time; `body` the status byte (or the
 * first data byte where `running`); `data` the data bytes, or the payload of a meta
 * or sysex event; `end` one past the event. */
typedef struct nd_midi_event {
  size_t at, body, data, end;
  uint32_t delta;
  int32_t tick;
  uint8_t status;       /* 0x80..0xFF; with running status, the one in force */
  uint8_t type;         /* of a meta event (status 0xFF) */
  bool running;         /* the status byte is omitted */
  bool bad_data;        /* a channel event with a data byte above 0x7F */
} nd_midi_event;

typedef struct nd_midi_scan {
  const uint8_t *bytes;
  size_t at, end;       /* of the next event; of the bytes to scan */
  int32_t tick;         /* of the last event */
  uint8_t running;      /* last channel status, 0 before the first. The standard ends
                           running status at a meta or sysex event; many files, and
                           most readers, continue it */
} nd_midi_scan;

/* Why the bytes at scan->at are no event. */
typedef enum nd_midi_fault {
  ND_MIDI_OK,
  ND_MIDI_TRUNCATED,    /* the event passes scan->end */
  ND_MIDI_LONG_NUMBER,  /* a VLQ of more than 4 bytes */
  ND_MIDI_LATE,         /* its tick is above ND_MAX_TICK */
  ND_MIDI_NO_STATUS,    /* a data byte, with no running status in force */
  ND_MIDI_UNDEFINED     /* status 0xF4, 0xF5 or 0xFD */
} nd_midi_fault;

/* Reads the next event. Requires scan->at < scan->end. On a fault, scan and event
 * are unchanged. */
nd_midi_fault nd_midi_next(nd_midi_scan *scan, nd_midi_event *event);

static inline bool nd_midi_is_end(const nd_midi_event *e) {
  return e->status == 0xFF && e->type == 0x2F;
}
/* Note on or off, bad data included. */
static inline bool nd_midi_is_note(const nd_midi_event *e) { return (e->status & 0xE0) == 0x80; }

/* Writes `value`, of up to 28 bits, as a variable-length quantity of 1 to 4 bytes;
 * returns the end of these. Inline: slices are written with it, event by event. */
static inline uint8_t *nd_midi_put_vlq(uint8_t *to, uint32_t value) {
  if (value >= 0x80)
    for (int shift = 21; shift > 0; shift -= 7)
      if (value >> shift != 0) *to++ = (uint8_t)(0x80 | (value >> shift & 0x7F));
  *to++ = value & 0x7F;
  return to;
}

/* The content of a tempo event (1..0xFFFFFF) or a time signature (denominator up
 * to ND_MAX_DENOMINATOR). false: another event, or its content is invalid. */
bool nd_midi_tempo(const uint8_t *bytes, const nd_midi_event *event, int32_t *us_per_quarter);
bool nd_midi_meter(const uint8_t *bytes, const nd_midi_event *event, nd_meter *meter);

/* A fast path for most events: a complete channel event without bad data, whose
 * delta time is one byte. Peek tells whether the next event is one; take consumes
 * it. Inline, because loops over millions of events call them. */
typedef struct nd_midi_fast_event {
  uint8_t delta, status;
  uint8_t data, size;   /* offset of its data bytes from scan->at; its size */
  bool running;
} nd_midi_fast_event;

static inline bool nd_midi_peek_fast(const nd_midi_scan *scan, nd_midi_fast_event *e) {
  if (scan->end - scan->at < 4) return false;
  const uint8_t *b = scan->bytes + scan->at;
  const bool running = b[1] < 0x80;
  const uint8_t status = running ? scan->running : b[1], data = running ? 1 : 2;
  const uint8_t n = (status & 0xE0) == 0xC0 ? 1 : 2;  /* programs and channel pressure: 1 */
  if (b[0] >= 0x80 || status < 0x80 || status >= 0xF0 || (b[data] | b[data + n - 1]) >= 0x80 ||
      scan->tick > ND_MAX_TICK - 0x7F)
    return false;
  *e = (nd_midi_fast_event){.delta = b[0], .status = status, .data = data,
                            .size = (uint8_t)(data + n), .running = running};
  return true;
}

static inline void nd_midi_take_fast(nd_midi_scan *scan, const nd_midi_fast_event *e) {
  scan->at += e->size;
  scan->tick += e->delta;
  scan->running = e->status;
}

#endif
